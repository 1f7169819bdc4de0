//! What a Prometheus exporter answers → an OTLP metrics request, so that there is one way in for metrics.
//!
//! *Method.* Line by line. `# TYPE` says what a family is; the `_bucket`, `_sum` and `_count` lines of a histogram, and the
//! `quantile` lines of a summary, are put together by their other labels. Buckets, which are cumulative, become counts of
//! their own. A family without a type is a gauge, unless its name ends in `_total`.
//!
//! *Source.* Prometheus text format 0.0.4; OpenMetrics 1.0; OpenTelemetry "Prometheus and OpenMetrics Compatibility".

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::otlp::write;

/// Series of one answer that are read.
const MAX_SERIES: usize = 500_000;

/// What an answer held.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposed {
    /// The `ExportMetricsServiceRequest`.
    pub request: Vec<u8>,
    /// Samples that were read.
    pub samples: usize,
    /// Lines that could not be read, or were too many.
    pub unreadable: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gauge,
    Counter,
    Histogram,
    Summary,
}

type Labels<'a> = Vec<(&'a str, Cow<'a, str>)>;

/// The parts of a histogram or summary of one set of labels.
#[derive(Default)]
struct Parts {
    attributes: Vec<u8>,
    sum: Option<f64>,
    count: Option<f64>,
    /// Upper bound and cumulative count, or quantile and value.
    pairs: Vec<(f64, f64)>,
}

#[derive(Default)]
struct Reader<'a> {
    kinds: BTreeMap<&'a str, Kind>,
    /// The points of each gauge and counter, encoded.
    numbers: BTreeMap<&'a str, (Vec<u8>, bool)>,
    /// Histograms and summaries by family and labels.
    families: BTreeMap<(&'a str, String), Parts>,
    now_ns: u64,
}

/// Reads an exporter's answer. `service` and `instance` say whose it is; samples without a time are of `now_ns`.
#[must_use]
pub fn to_otlp(text: &str, service: &str, instance: &str, now_ns: u64) -> Exposed {
    let mut reader = Reader {
        now_ns,
        ..Reader::default()
    };
    let mut done = Exposed::default();
    for line in text.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix('#') {
            reader.comment(comment);
        } else if !line.is_empty() {
            let read = done.samples < MAX_SERIES && reader.sample(line).is_some();
            *(if read { &mut done.samples } else { &mut done.unreadable }) += 1;
        }
    }
    done.request = reader.request(service, instance);
    done
}

impl<'a> Reader<'a> {
    fn comment(&mut self, comment: &'a str) {
        let mut words = comment.split_whitespace();
        let (Some("TYPE"), Some(name), Some(kind)) = (words.next(), words.next(), words.next()) else {
            return;
        };
        let kind = match kind {
            "counter" => Kind::Counter,
            "histogram" | "gaugehistogram" => Kind::Histogram,
            "summary" => Kind::Summary,
            _ => Kind::Gauge,
        };
        self.kinds.insert(name, kind);
    }

    fn sample(&mut self, line: &'a str) -> Option<()> {
        let end = line.find(['{', ' ', '\t'])?;
        let name = &line[..end];
        let (labels, rest) = match line[end..].strip_prefix('{') {
            Some(inner) => labels(inner)?,
            None => (Vec::new(), &line[end..]),
        };
        let mut words = rest.split_whitespace();
        let value = number(words.next()?)?;
        let time_ns = words
            .next()
            .filter(|word| *word != "#")
            .and_then(|word| self.time(word));
        let time_ns = time_ns.unwrap_or(self.now_ns);
        if name.is_empty() {
            return None;
        }
        if let Some((family, kind, part)) = self.family(name) {
            return self.part(family, kind, part, &labels, value);
        }
        let base = name.strip_suffix("_total").unwrap_or(name);
        let kind = self.kinds.get(name).or_else(|| self.kinds.get(base)).copied();
        let rises = kind.map_or(name.ends_with("_total"), |kind| kind == Kind::Counter);
        let mut point = encoded(&labels, 7);
        write::fixed64(&mut point, 3, time_ns);
        write::fixed64(&mut point, 4, value.to_bits());
        let all = self.numbers.entry(name).or_insert_with(|| (Vec::new(), rises));
        write::bytes(&mut all.0, 1, &point);
        Some(())
    }

    /// Milliseconds as Prometheus writes them, or seconds as OpenMetrics does; ns.
    fn time(&self, word: &str) -> Option<u64> {
        super::line::time::epoch(word.parse().ok()?)
    }

    /// The histogram or summary that a name is a part of.
    fn family(&self, name: &'a str) -> Option<(&'a str, Kind, &'a str)> {
        for part in ["_bucket", "_sum", "_count", ""] {
            let Some(family) = name.strip_suffix(part) else {
                continue;
            };
            if let Some(kind @ (Kind::Histogram | Kind::Summary)) = self.kinds.get(family) {
                return Some((family, *kind, part));
            }
        }
        None
    }

    fn part(&mut self, family: &'a str, kind: Kind, part: &str, labels: &Labels<'a>, value: f64) -> Option<()> {
        let own = if kind == Kind::Histogram { "le" } else { "quantile" };
        let at = labels
            .iter()
            .find(|(key, _)| *key == own)
            .and_then(|(_, text)| number(text));
        let others: Labels<'a> = labels.iter().filter(|(key, _)| *key != own).cloned().collect();
        let parts = self.families.entry((family, format!("{others:?}"))).or_default();
        if parts.attributes.is_empty() {
            parts.attributes = encoded(&others, if kind == Kind::Histogram { 9 } else { 7 });
        }
        match part {
            "_sum" => parts.sum = Some(value),
            "_count" => parts.count = Some(value),
            _ => parts.pairs.push((at?, value)),
        }
        Some(())
    }

    fn request(self, service: &str, instance: &str) -> Vec<u8> {
        let mut scope = Vec::new();
        for (name, (points, rises)) in &self.numbers {
            let mut data = points.clone();
            if *rises {
                write::integer(&mut data, 2, 2);
                write::integer(&mut data, 3, 1);
            }
            metric(&mut scope, name, if *rises { 7 } else { 5 }, &data);
        }
        for ((name, _), parts) in &self.families {
            let is_histogram = self.kinds.get(name) == Some(&Kind::Histogram);
            let (mut data, point) = (
                Vec::new(),
                if is_histogram {
                    histogram(parts, self.now_ns)
                } else {
                    summary(parts, self.now_ns)
                },
            );
            write::bytes(&mut data, 1, &point);
            if is_histogram {
                write::integer(&mut data, 2, 2);
            }
            metric(&mut scope, name, if is_histogram { 9 } else { 11 }, &data);
        }
        let resource = encoded(
            &vec![
                ("service.name", Cow::Borrowed(service)),
                ("service.instance.id", Cow::Borrowed(instance)),
            ],
            1,
        );
        let (mut all, mut out) = (Vec::new(), Vec::new());
        write::bytes(&mut all, 1, &resource);
        write::bytes(&mut all, 2, &scope);
        write::bytes(&mut out, 1, &all);
        out
    }
}

fn metric(scope: &mut Vec<u8>, name: &str, form: u32, data: &[u8]) {
    let mut out = Vec::new();
    write::bytes(&mut out, 1, name.as_bytes());
    write::bytes(&mut out, form, data);
    write::bytes(scope, 2, &out);
}

fn histogram(parts: &Parts, now_ns: u64) -> Vec<u8> {
    let mut out = parts.attributes.clone();
    let mut pairs = parts.pairs.clone();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    pairs.dedup_by(|a, b| a.0 == b.0);
    let count = parts.count.or(pairs.last().map(|p| p.1)).unwrap_or(0.0) as u64;
    write::fixed64(&mut out, 3, now_ns);
    write::fixed64(&mut out, 4, count);
    if let Some(sum) = parts.sum {
        write::fixed64(&mut out, 5, sum.to_bits());
    }
    let mut below = 0;
    for (bound, upto) in pairs.iter().filter(|(bound, _)| bound.is_finite()) {
        let upto = *upto as u64;
        write::fixed64(&mut out, 6, upto.saturating_sub(below));
        write::fixed64(&mut out, 7, bound.to_bits());
        below = upto.max(below);
    }
    write::fixed64(&mut out, 6, count.saturating_sub(below));
    out
}

fn summary(parts: &Parts, now_ns: u64) -> Vec<u8> {
    let mut out = parts.attributes.clone();
    write::fixed64(&mut out, 3, now_ns);
    write::fixed64(&mut out, 4, parts.count.unwrap_or(0.0) as u64);
    write::fixed64(&mut out, 5, parts.sum.unwrap_or(0.0).to_bits());
    for (quantile, value) in &parts.pairs {
        let mut pair = Vec::new();
        write::fixed64(&mut pair, 1, quantile.to_bits());
        write::fixed64(&mut pair, 2, value.to_bits());
        write::bytes(&mut out, 6, &pair);
    }
    out
}

/// Labels as attributes, each a field of this number.
fn encoded(labels: &Labels<'_>, number: u32) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in labels {
        let (mut any, mut pair) = (Vec::new(), Vec::new());
        write::bytes(&mut any, 1, value.as_bytes());
        write::bytes(&mut pair, 1, key.as_bytes());
        write::bytes(&mut pair, 2, &any);
        write::bytes(&mut out, number, &pair);
    }
    out
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok(),
    }
}

/// The labels up to the closing brace, and what is behind it.
fn labels(mut text: &str) -> Option<(Labels<'_>, &str)> {
    let mut all = Vec::new();
    loop {
        text = text.trim_start_matches([' ', ',']);
        if let Some(rest) = text.strip_prefix('}') {
            return Some((all, rest));
        }
        let (key, rest) = text.split_once('=')?;
        let quoted = rest.trim_start().strip_prefix('"')?;
        let mut escaped = false;
        let (end, _) = quoted.char_indices().find(|(_, c)| {
            let ends = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        })?;
        all.push((key.trim(), unescaped(&quoted[..end])));
        text = &quoted[end + 1..];
    }
}

fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let (mut out, mut chars) = (String::with_capacity(text.len()), text.chars());
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => {}
            },
            (c, false) => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::otlp::{Kind as Otlp, Sink, census, decode};
    use super::super::telemetry::{Attributes, PointView};
    use super::*;

    #[derive(Default)]
    struct Lines(Vec<String>);
    impl Sink for Lines {
        fn resource(&mut self, attributes: &Attributes<'_>) {
            self.0.push(format!("{attributes:?}"));
        }
        fn point(&mut self, p: &PointView<'_>) {
            self.0
                .push(format!("{} {} {:?} {:?}", p.metric, p.time_ns, p.value, p.attributes));
        }
    }

    #[test]
    fn each_kind_of_family() {
        let text = "# HELP http_requests_total Requests.\n# TYPE http_requests_total counter\n\
            http_requests_total{code=\"200\",path=\"/a\\\"b\"} 3 1395066363000\n\
            temperature -1.5\nbytes_total 7\nbroken{x=\"1\" 2\n\
            # TYPE latency histogram\nlatency_bucket{le=\"0.1\",r=\"x\"} 1\nlatency_bucket{le=\"1\",r=\"x\"} 3\n\
            latency_bucket{le=\"+Inf\",r=\"x\"} 4\nlatency_sum{r=\"x\"} 5.5\nlatency_count{r=\"x\"} 4\n\
            # TYPE rpc summary\nrpc{quantile=\"0.5\"} 2\nrpc_sum 9\nrpc_count 3\n# EOF\n";
        let exposed = to_otlp(text, "api", "i:1", 7);
        assert_eq!((exposed.samples, exposed.unreadable), (11, 1));
        let mut lines = Lines::default();
        decode(Otlp::Metrics, &exposed.request, &mut lines).unwrap();
        let expected = [
            "[(\"service.name\", Str(\"api\")), (\"service.instance.id\", Str(\"i:1\"))]",
            "bytes_total 7 Sum { value: 7.0, monotonic: true, temporality: Cumulative } []",
            "http_requests_total 1395066363000000000 Sum { value: 3.0, monotonic: true, temporality: Cumulative } [(\"code\", Str(\"200\")), (\"path\", Str(\"/a\\\"b\"))]",
            "temperature 7 Gauge(-1.5) []",
            "latency 7 Histogram { temporality: Cumulative, count: 4, sum: Some(5.5), bounds: [0.1, 1.0], counts: [1, 2, 1] } [(\"r\", Str(\"x\"))]",
            "rpc 7 Summary { count: 3, sum: 9.0, quantiles: [(0.5, 2.0)] } []",
        ];
        assert_eq!(lines.0, expected);
    }

    proptest! {
        #[test]
        fn hostile_answers_do_not_panic(text in "(# TYPE [a-c] (counter|histogram|summary)\n|[a-c](_bucket|_sum)?[{]?[a-z=\",}\\\\ é]{0,12}[ 0-9.eInf+-]{0,8}\n){0,12}") {
            let exposed = to_otlp(&text, "s", "i", 1);
            prop_assert!(census(Otlp::Metrics, &exposed.request).is_ok());
        }
    }
}
