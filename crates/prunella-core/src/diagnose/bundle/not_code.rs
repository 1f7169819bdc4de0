//! Causes that are no commit's: each is a hypothesis beside the commits.
//!
//! *Signals*: kinds of symptoms, series that moved and series that did not, flags, other context.
//! *Method*: each hypothesis has symptoms that are its own. What also follows from changed code (throttling, refused
//! connections, busy processors) weighs less than what code cannot do (a status page, an expired date, a scheduler's
//! event, traffic that rises before anything else). Facts that speak against a hypothesis are weighed as well.
//! *Source*: a no-culprit hypothesis raised accuracy from .80 to .97 at Google (ICST 2023).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use super::case::Case;
use super::engines::{DECISIVE, FAIR, STRONG, WEAK};
use super::lexis::{norm, says_any};
use super::phrases::Kind;
use super::symptoms::{Move, rounded};
use crate::diagnose::words::words;

const MINUTE: i64 = 60_000;
/// Ends of hosts' names. Names of classes, files and attributes have dots as well.
const ENDS: &[&str] = &[
    "com", "net", "org", "io", "dev", "cloud", "app", "co", "ai", "eu", "de", "uk", "us", "info", "biz", "gov", "edu",
    "example", "internal", "corp", "lan", "local", "svc", "test",
];
/// Ends of source files, which have a line behind the colon.
const SOURCES: &[&str] = &[
    "go", "py", "js", "mjs", "ts", "tsx", "jsx", "java", "kt", "scala", "rb", "rs", "php", "cs", "c", "cc", "cpp", "h",
    "ex", "erl", "swift", "clj", "lua", "sql",
];
/// What nobody thought of. It needs no sign.
pub(super) const UNKNOWN: &str = "unknown";

/// A hypothesis: name, what it is for people, own symptoms with weights from 0 to 1, and further evidence.
pub(super) struct Hypothesis {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    signs: &'static [(Kind, f64)],
    more: fn(&Case<'_>) -> Vec<(f64, String)>,
}

/// Every hypothesis, one line each.
pub(super) static HYPOTHESES: &[Hypothesis] = &[
    Hypothesis {
        name: "upstream",
        label: "an outage of a third party",
        signs: &[(Kind::Upstream, 1.0)],
        more: outside,
    },
    Hypothesis {
        name: "dns",
        label: "name resolution",
        signs: &[(Kind::Dns, 1.0)],
        more: none,
    },
    Hypothesis {
        name: "network",
        label: "the network",
        signs: &[(Kind::Network, 0.9)],
        more: none,
    },
    Hypothesis {
        name: "node",
        label: "a machine or its other tenants",
        signs: &[(Kind::Node, 1.0)],
        more: alone,
    },
    Hypothesis {
        name: "surge",
        label: "more traffic than usual",
        signs: &[(Kind::Surge, 0.7)],
        more: surge,
    },
    Hypothesis {
        name: "certificate",
        label: "an expired certificate",
        signs: &[(Kind::CertExpired, 1.0), (Kind::Tls, 0.4)],
        more: none,
    },
    Hypothesis {
        name: "credential",
        label: "a credential that expired or was revoked",
        signs: &[(Kind::Credential, 1.0)],
        more: none,
    },
    Hypothesis {
        name: "component",
        label: "a broken part of the infrastructure",
        signs: &[(Kind::Component, 0.8)],
        more: untouched,
    },
    Hypothesis {
        name: "quota",
        label: "a quota or capacity that was used up",
        signs: &[(Kind::Quota, 0.8), (Kind::RateLimited, 0.4)],
        more: used,
    },
    Hypothesis {
        name: "disk",
        label: "the disk",
        signs: &[(Kind::Disk, 0.9)],
        more: none,
    },
    Hypothesis {
        name: "clock",
        label: "a clock",
        signs: &[(Kind::Clock, 0.7)],
        more: none,
    },
    Hypothesis {
        name: "data",
        label: "bad data",
        signs: &[(Kind::BadData, 0.6)],
        more: none,
    },
    Hypothesis {
        name: "operation",
        label: "maintenance, a failover or something done by hand",
        signs: &[(Kind::Operation, 0.9)],
        more: none,
    },
    Hypothesis {
        name: "flag",
        label: "a feature flag",
        signs: &[],
        more: flag,
    },
    Hypothesis {
        name: UNKNOWN,
        label: "something that the bundle does not show",
        signs: &[],
        more: unknown,
    },
];

/// A hypothesis with its reasons.
pub(super) fn weigh(hypothesis: &Hypothesis, case: &Case<'_>) -> Vec<(f64, String)> {
    let mut reasons = Vec::new();
    let sign = |(kind, weight): &(Kind, f64)| {
        let symptom = case.symptoms.kinds.get(kind)?;
        let score = weight * symptom.strength;
        let told = format!(
            "{}, seen in {}: “{}”",
            kind.label(),
            symptom.sources.iter().copied().collect::<Vec<_>>().join(", "),
            super::clipped(&symptom.example)
        );
        Some((DECISIVE * score, told))
    };
    let best = hypothesis
        .signs
        .iter()
        .filter_map(sign)
        .max_by(|one, two| one.0.total_cmp(&two.0));
    reasons.extend(best);
    reasons.extend((hypothesis.more)(case));
    if reasons.is_empty() && hypothesis.name != UNKNOWN {
        reasons.push((-FAIR, "nothing of what is seen speaks of it".to_owned()));
    }
    reasons
}

fn none(_: &Case<'_>) -> Vec<(f64, String)> {
    vec![]
}

/// Series of the traffic that comes in.
pub(super) fn is_inbound(metric: &str) -> bool {
    let metric = norm(metric);
    says_any(
        &metric,
        &[
            "request",
            "rps",
            "qps",
            "throughput",
            "traffic",
            "visits",
            "sessions",
            "hits per",
            "invocation",
            "messages in",
            "ingress",
            "orders per",
            "calls per sec",
        ],
    ) && !says_any(
        &metric,
        &[
            "error",
            "duration",
            "latency",
            "p99",
            "p95",
            "p50",
            "per request",
            "quer",
            "fail",
            "cancel",
            "reject",
            "timeout",
            "throttl",
            "retry",
            "pending",
            "queue",
            "in flight",
            "success",
            "5xx",
            "4xx",
            "hit ratio",
            "limit",
            "memory",
            "cpu",
            "db_",
            "ratio",
            "percent",
            "share",
            "quota",
            "token refresh",
            "origin",
            "upstream",
            "outbound",
            "egress",
        ],
    )
}

/// The largest rise of incoming traffic that is not later than the onset.
pub(super) fn rise<'a>(case: &'a Case<'_>) -> Option<&'a Move> {
    let onset = case.symptoms.onset_ms.unwrap_or(i64::MAX - 10 * MINUTE);
    let inbound = case
        .symptoms
        .moves
        .iter()
        .filter(|moved| is_inbound(&moved.metric) && !case.symptoms.inner.contains(&moved.subject));
    // Where another count of the same traffic did not change, what rose is the service's own doing.
    let other_is_calm = |moved: &&Move| {
        let calm = case.symptoms.calm.iter();
        calm.filter(|(subject, metric)| *subject == moved.subject && *metric != moved.metric)
            .any(|(_, metric)| is_inbound(metric))
    };
    let risen = inbound
        .filter(|moved| !other_is_calm(moved))
        .filter(|moved| moved.shift.rises() && moved.shift.ratio() >= 1.3 && moved.shift.at_ms <= onset + 3 * MINUTE);
    risen.max_by(|one, two| one.shift.ratio().total_cmp(&two.shift.ratio()))
}

/// Whether traffic was measured and did not rise.
fn flat(case: &Case<'_>) -> Option<String> {
    if rise(case).is_some() {
        return None;
    }
    case.symptoms
        .calm
        .iter()
        .find(|(_, metric)| is_inbound(metric))
        .map(|(subject, metric)| format!("{metric} of {subject}"))
}

fn surge(case: &Case<'_>) -> Vec<(f64, String)> {
    match (rise(case), flat(case)) {
        (Some(moved), _) => {
            let (before, after) = (moved.shift.before, moved.shift.after);
            let doublings = moved.shift.ratio().log2();
            // Nobody's patch brings ten times as many people.
            let manifold = (doublings / 4.0).clamp(0.0, 1.0) * 0.4;
            let weight = STRONG * (doublings.clamp(0.4, 1.2) + manifold);
            vec![(
                weight,
                format!(
                    "{} of {} rose from {} to {} not later than the failure",
                    moved.metric,
                    moved.subject,
                    rounded(before),
                    rounded(after)
                ),
            )]
        }
        (None, Some(series)) => vec![(-STRONG, format!("{series} did not change"))],
        (None, None) => vec![],
    }
}

/// One numbered instance complains and nobody else: its peers run the same code.
pub(super) fn alone(case: &Case<'_>) -> Vec<(f64, String)> {
    let told = case
        .symptoms
        .sayings
        .iter()
        .filter(|saying| saying.bad && matches!(saying.source, "log" | "pattern" | "span"));
    let who: BTreeSet<&str> = told.map(|saying| saying.service.as_str()).collect();
    let number = |name: &str| {
        name.rsplit_once(['-', '_', '.']).is_some_and(|(stem, number)| {
            stem.len() > 2 && !number.is_empty() && number.chars().all(|c| c.is_ascii_digit())
        })
    };
    match (who.len(), who.first()) {
        (1, Some(name)) if number(name) && !case.bundle.deploys.iter().any(|deploy| deploy.service == **name) => {
            vec![(
                STRONG,
                format!(
                    "only `{}` complains, and its peers run the same code",
                    super::clipped(name)
                ),
            )]
        }
        _ => vec![],
    }
}

/// A part that nobody changed and that lost members or its hardware.
fn untouched(case: &Case<'_>) -> Vec<(f64, String)> {
    let Some(symptom) = case.symptoms.kinds.get(&Kind::Component) else {
        return vec![];
    };
    let live = |suspect: &&super::case::Suspect<'_>| suspect.live().is_some();
    let changed = |subject: &String| {
        case.suspects.iter().filter(live).any(|suspect| {
            suspect.services().contains(subject.as_str())
                || suspect
                    .commit
                    .files
                    .iter()
                    .any(|file| super::case::belongs(file, subject))
        })
    };
    match symptom.subjects.iter().find(|subject| !changed(subject)) {
        Some(subject) => vec![(WEAK, format!("nothing of `{}` was changed", super::clipped(subject)))],
        None => vec![(-FAIR, "what broke was changed before".to_owned())],
    }
}

/// What uses up a quota is either more traffic or code that asks more often.
fn used(case: &Case<'_>) -> Vec<(f64, String)> {
    match (rise(case), flat(case)) {
        (Some(moved), _) => vec![(FAIR, format!("{} of {} rose", moved.metric, moved.subject))],
        (None, Some(series)) => vec![(-FAIR, format!("{series} did not change: something asks more often"))],
        (None, None) => vec![],
    }
}

/// A third party's trouble is told by others, or is what several services here complain of.
fn outside(case: &Case<'_>) -> Vec<(f64, String)> {
    let told = case
        .symptoms
        .kinds
        .get(&Kind::Upstream)
        .filter(|symptom| symptom.sources.contains("context"));
    let mut reasons: Vec<(f64, String)> = told
        .map(|_| (FAIR, "other context speaks of it as well".to_owned()))
        .into_iter()
        .collect();
    if let Some((host, services)) = common_host(case) {
        let weight = if services.len() > 2 { STRONG } else { FAIR };
        let told = format!("{} services complain of `{}`", services.len(), super::clipped(&host));
        reasons.push((weight, told));
    }
    reasons
}

static HOST: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}(?:\.[A-Za-z0-9-]{1,63}){1,6}").expect("a fixed expression")
});

/// A host that is none of the bundle's subjects and of which most services complain, with those.
pub(super) fn common_host<'a>(case: &'a Case<'_>) -> Option<(String, BTreeSet<&'a str>)> {
    let own = case.bundle.subjects();
    let mut seen: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for saying in case
        .symptoms
        .sayings
        .iter()
        .filter(|saying| saying.bad && saying.source != "context")
    {
        for host in HOST
            .find_iter(&saying.text)
            .take(8)
            .filter(|host| is_host(&saying.text, host))
        {
            let host = host.as_str().to_lowercase();
            if !host.split('.').any(|label| own.contains(label)) {
                seen.entry(host).or_default().insert(&saying.service);
            }
        }
    }
    seen.into_iter()
        .filter(|(_, services)| services.len() > 1)
        .max_by_key(|(_, services)| services.len())
}

/// Whether a dotted name is a host's: by its scheme, its port, its last label, or a region in it.
fn is_host(text: &str, found: &regex::Match<'_>) -> bool {
    let (before, after) = (&text[..found.start()], &text[found.end()..]);
    let last = found.as_str().rsplit('.').next().unwrap_or_default();
    let port = after
        .strip_prefix(':')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let region = last.contains('-') && last.ends_with(|c: char| c.is_ascii_digit());
    let named = last.chars().any(char::is_alphabetic);
    let file = before.ends_with('/') && !before.ends_with("//");
    let scheme = before.ends_with("://");
    let line = port && !scheme && SOURCES.contains(&last);
    named && !after.starts_with('=') && !file && !line && (scheme || port || region || ENDS.contains(&last))
}

fn flag(case: &Case<'_>) -> Vec<(f64, String)> {
    let Some(onset) = case.symptoms.onset_ms else {
        return vec![];
    };
    let mut best: Option<(f64, String)> = None;
    for flip in &case.bundle.flags {
        let Some(lag) = flip
            .at_ms
            .map(|at| onset - at)
            .filter(|lag| (-MINUTE..=10 * MINUTE).contains(lag))
        else {
            continue;
        };
        let hurts = case.affected.contains(&flip.service);
        let names = words(&flip.flag);
        let said = case
            .symptoms
            .sayings
            .iter()
            .filter(|saying| saying.bad && !says_any(&saying.normed, &["flag"]))
            .map(|saying| saying.normed.clone());
        let moved = case.symptoms.moves.iter().map(|moved| norm(&moved.metric));
        let normed: Vec<String> = said.chain(moved).collect();
        let usual = |word: &str| {
            case.subject_words.contains(word)
                || case
                    .symptoms
                    .usual
                    .iter()
                    .any(|text| norm(text).contains(&format!(" {word} ")))
        };
        let named = names
            .iter()
            .filter(|word| (word.len() > 3 || word.contains(|c: char| c.is_ascii_digit())) && !usual(word))
            .any(|word| normed.iter().any(|text| text.contains(&format!(" {word} "))));
        let whole = normed.iter().any(|text| text.contains(&norm(&flip.flag)));
        let weight = if hurts { WEAK } else { 0.0 }
            + if lag <= 4 * MINUTE { WEAK } else { 0.0 }
            + if named { FAIR } else { 0.0 }
            + if whole { FAIR } else { 0.0 };
        let sentence = format!(
            "`{}` was flipped {} before it began{}",
            flip.flag,
            super::engines_span(lag.max(0)),
            if named { ", and what is seen names it" } else { "" }
        );
        if best.as_ref().is_none_or(|best| best.0 < weight) {
            best = Some((weight, sentence));
        }
    }
    best.into_iter().collect()
}

/// Nothing was deployed before it began.
fn unknown(case: &Case<'_>) -> Vec<(f64, String)> {
    let Some(onset) = case.symptoms.onset_ms else {
        return vec![];
    };
    let before = case
        .bundle
        .deploys
        .iter()
        .any(|deploy| deploy.at_ms.is_some_and(|at| at <= onset + 2 * MINUTE));
    if case.bundle.deploys.is_empty() || before {
        vec![]
    } else {
        vec![(FAIR, "nothing was deployed before it began".to_owned())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<&str> = HOST
            .find_iter(text)
            .filter(|host| is_host(text, host))
            .map(|host| host.as_str())
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn hosts_are_told_from_other_dotted_names() {
        check(
            "POST https://api.pay-example.com/charges: 502",
            &["api.pay-example.com"],
        );
        check("503 SlowDown (s3.eu-x-1)", &["s3.eu-x-1"]);
        check("dial tcp broker.kafka:9092: i/o timeout", &["broker.kafka"]);
        check("java.net.SocketTimeoutException at Pay.java:57 http.route=/pay", &[]);
        check("panic in src/pay.rs:41:5, version 1.2.3, os.path.join", &[]);
    }
}
