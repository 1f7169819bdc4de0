//! The suite's requests: a web shop's telemetry, made by a rule, the same each time.

use std::ops::Range;

use prunella_core::signal::otlp::{Kind, write};

/// When it begins, ns since the epoch.
pub(crate) const BEGIN_NS: u64 = 1_750_000_000_000_000_000;

/// Records in a request.
const BATCH: usize = 512;
/// Requests of a kind: enough that they do not stay in the processor's caches.
const REQUESTS: usize = 200;

/// What is logged; each `{}` is a number.
const TEXTS: [&str; 12] = [
    "GET /api/catalog/items/{} 200 in {} ms",
    "order {} of customer {} was accepted",
    "payment of {} cents by card ending in {} authorized",
    "cache miss for key user:{}:profile, loaded in {} us",
    "connection {} to postgres released after {} queries",
    "message {} from topic orders partition {} handled",
    "session {} expired after {} s",
    "retrying call to inventory, attempt {}, waited {} ms",
    "flushed {} records to segment {}",
    "user {} added item {} to the cart",
    "job nightly-report step {} done in {} ms",
    "recommendation model scored {} candidates in {} us",
];
const ROUTES: [&str; 6] = [
    "/",
    "/api/catalog/{id}",
    "/api/cart",
    "/api/orders",
    "/api/pay",
    "/healthz",
];

/// A small generator (xorshift64*), so that the requests are the same on each machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

fn text_attribute(out: &mut Vec<u8>, number: u32, key: &str, value: &str) {
    let (mut any, mut pair) = (Vec::new(), Vec::new());
    write::bytes(&mut any, 1, value.as_bytes());
    write::bytes(&mut pair, 1, key.as_bytes());
    write::bytes(&mut pair, 2, &any);
    write::bytes(out, number, &pair);
}

fn int_attribute(out: &mut Vec<u8>, number: u32, key: &str, value: u64) {
    let (mut any, mut pair) = (Vec::new(), Vec::new());
    write::integer(&mut any, 3, value);
    write::bytes(&mut pair, 1, key.as_bytes());
    write::bytes(&mut pair, 2, &any);
    write::bytes(out, number, &pair);
}

/// A request of one resource and one scope with these records, each encoded.
fn request(service: u64, scope: &str, records: &[Vec<u8>]) -> Vec<u8> {
    let (mut resource, mut name, mut inner, mut all, mut out) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    text_attribute(&mut resource, 1, "service.name", &format!("shop-{service}"));
    text_attribute(&mut resource, 1, "service.version", "1.4.2");
    text_attribute(&mut resource, 1, "service.instance.id", &format!("pod-{service}-7f9c"));
    text_attribute(&mut resource, 1, "telemetry.sdk.language", "python");
    write::bytes(&mut name, 1, scope.as_bytes());
    write::bytes(&mut inner, 1, &name);
    records.iter().for_each(|record| write::bytes(&mut inner, 2, record));
    write::bytes(&mut all, 1, &resource);
    write::bytes(&mut all, 2, &inner);
    write::bytes(&mut out, 1, &all);
    out
}

/// The requests of a kind.
pub(crate) fn requests(kind: Kind) -> Vec<Vec<u8>> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let one = |at: usize| {
        if kind == Kind::Metrics {
            return points(at * BATCH..(at + 1) * BATCH, 0);
        }
        let service = random.below(8);
        let records: Vec<Vec<u8>> = (0..BATCH)
            .map(|n| match kind {
                Kind::Logs => log(&mut random, at * BATCH + n),
                _ => span(&mut random, at * BATCH + n),
            })
            .collect();
        request(service, "shop.api", &records)
    };
    (0..REQUESTS).map(one).collect()
}

fn time(number: usize) -> u64 {
    BEGIN_NS + number as u64 * 10_000
}

/// A log record of about 300 bytes.
fn log(random: &mut Random, number: usize) -> Vec<u8> {
    let mut text = random.one_of(&TEXTS).to_owned();
    while let Some(at) = text.find("{}") {
        text.replace_range(at..at + 2, &random.below(1_000_000).to_string());
    }
    let (mut body, mut out) = (Vec::new(), Vec::new());
    write::fixed64(&mut out, 1, time(number));
    write::integer(&mut out, 2, if random.below(50) == 0 { 13 } else { 9 });
    write::bytes(&mut out, 3, b"INFO");
    write::bytes(&mut body, 1, text.as_bytes());
    write::bytes(&mut out, 5, &body);
    text_attribute(&mut out, 6, "code.file.path", "/srv/shop/api/handlers.py");
    int_attribute(&mut out, 6, "code.line.number", random.below(400));
    text_attribute(&mut out, 6, "http.route", random.one_of(&ROUTES));
    text_attribute(&mut out, 6, "user.id", &format!("u-{:08}", random.below(10_000_000)));
    text_attribute(&mut out, 6, "thread.name", &format!("worker-{}", random.below(16)));
    write::bytes(
        &mut out,
        9,
        &[random.next().to_le_bytes(), random.next().to_le_bytes()].concat(),
    );
    write::bytes(&mut out, 10, &random.next().to_le_bytes());
    write::fixed64(&mut out, 11, time(number) + 500);
    out
}

/// A span of a trace of eight.
fn span(random: &mut Random, number: usize) -> Vec<u8> {
    let (trace, at) = ((number / 8) as u64 + 1, (number % 8) as u64);
    let id = |at: u64| (trace * 8 + at + 1).to_be_bytes();
    let mut out = Vec::new();
    write::bytes(&mut out, 1, &[trace.to_be_bytes(), [7; 8]].concat());
    write::bytes(&mut out, 2, &id(at));
    if at > 0 {
        write::bytes(&mut out, 4, &id((at - 1) / 2));
    }
    let route = random.one_of(&ROUTES);
    let (name, kind) = match at {
        0 => (format!("GET {route}"), 2),
        1 | 2 => ("SELECT shop.items".to_owned(), 3),
        3 => ("POST inventory".to_owned(), 3),
        _ => ("render".to_owned(), 1),
    };
    write::bytes(&mut out, 5, name.as_bytes());
    write::integer(&mut out, 6, kind);
    write::fixed64(&mut out, 7, time(number));
    write::fixed64(&mut out, 8, time(number) + 200_000 + random.below(5_000_000));
    text_attribute(&mut out, 9, "http.request.method", "GET");
    text_attribute(&mut out, 9, "http.route", route);
    int_attribute(&mut out, 9, "http.response.status_code", 200);
    text_attribute(&mut out, 9, "server.address", "inventory.shop.svc");
    let mut status = Vec::new();
    if random.below(200) == 0 {
        write::integer(&mut status, 3, 2);
    }
    write::bytes(&mut out, 15, &status);
    out
}

/// A request with one point for each of these series: a tenth histograms, the rest counters and gauges. `pass` is how often they were
/// asked before.
pub(crate) fn points(series: Range<usize>, pass: u64) -> Vec<u8> {
    let service = (series.start / BATCH % 8) as u64;
    let mut metrics = Vec::new();
    for number in series {
        let mut random = Random((number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ pass);
        let (mut point, mut data, mut metric) = (Vec::new(), Vec::new(), Vec::new());
        let form = number % 10;
        write::fixed64(&mut point, 2, BEGIN_NS);
        write::fixed64(&mut point, 3, BEGIN_NS + pass * 10_000_000_000);
        let (attributes, field) = if form == 0 {
            (9, 9)
        } else {
            (7, if form < 5 { 5 } else { 7 })
        };
        text_attribute(&mut point, attributes, "http.route", ROUTES[number % ROUTES.len()]);
        text_attribute(&mut point, attributes, "pod", &format!("pod-{}", number / 100));
        int_attribute(&mut point, attributes, "shard", (number % 100) as u64);
        if form == 0 {
            let counts: Vec<u64> = (0..12).map(|n| (pass + 1) * (12 - n)).collect();
            write::fixed64(&mut point, 4, counts.iter().sum());
            write::fixed64(&mut point, 5, (pass as f64 * 10.0).to_bits());
            write::bytes(
                &mut point,
                6,
                &counts.iter().flat_map(|c| c.to_le_bytes()).collect::<Vec<u8>>(),
            );
            let bounds = (0..11).map(|n| f64::from(1 << n));
            write::bytes(
                &mut point,
                7,
                &bounds.flat_map(|b| b.to_bits().to_le_bytes()).collect::<Vec<u8>>(),
            );
        } else if form < 5 {
            write::fixed64(&mut point, 4, (random.below(1_000) as f64 / 10.0).to_bits());
        } else {
            write::fixed64(&mut point, 6, pass * 100 + random.below(10));
        }
        write::bytes(&mut data, 1, &point);
        if field != 5 {
            write::integer(&mut data, 2, 2);
        }
        if field == 7 {
            write::integer(&mut data, 3, 1);
        }
        let name = match form {
            0 => "http.server.request.duration",
            1..5 => "queue.length",
            _ => "orders",
        };
        write::bytes(&mut metric, 1, name.as_bytes());
        write::bytes(&mut metric, field, &data);
        metrics.push(metric);
    }
    request(service, "shop.metrics", &metrics)
}
