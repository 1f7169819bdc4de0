//! Numbers that were turned: timeouts, lifetimes, pools, limits, batches, retries, intervals, memory.
//!
//! *Signals*: a removed and an added line with the same words and another quantity.
//! *Method*: the knob is named by the words of the line, else of the lines above, the heading, the file. The risk
//! grows with the logarithm of the factor: a fifth more is tuning, a factor of ten is another system.

use super::super::diff::{Hunk, Line};
use super::super::lexis::{Token, Unit, line_unit, norm, quantities, says_any, words};
use super::super::symptoms::rounded;
use super::{Effect, Finding};

/// A kind of knob: words that name it, effect when lowered, effect when raised, and which of them is the risky one.
struct Knob {
    names: &'static [&'static str],
    lowered: (Effect, f64),
    raised: (Effect, f64),
}

const KNOBS: &[Knob] = &[
    Knob {
        names: &["leeway", "skew", "tolerance", "grace"],
        lowered: (Effect::ToleranceLowered, 0.9),
        raised: (Effect::ThresholdChanged, 0.3),
    },
    Knob {
        names: &["retry", "retries", "attempt", "backoff", "jitter"],
        lowered: (Effect::RetryLowered, 0.5),
        raised: (Effect::RetryRaised, 0.8),
    },
    Knob {
        names: &[
            "idle",
            "ttl",
            "expir",
            "lifetime",
            "max age",
            "maxage",
            "keepalive",
            "retention",
            "stale",
            "refresh after",
        ],
        lowered: (Effect::LifetimeLowered, 0.9),
        raised: (Effect::LifetimeRaised, 0.5),
    },
    Knob {
        names: &["timeout", "deadline", "time limit", "budget", "wait"],
        lowered: (Effect::TimeoutLowered, 0.9),
        raised: (Effect::TimeoutRaised, 0.5),
    },
    Knob {
        names: &[
            "batch",
            "chunk",
            "page size",
            "pagesize",
            "fetch size",
            "prefetch",
            "flush",
            "bulk",
        ],
        lowered: (Effect::BatchChanged, 0.8),
        raised: (Effect::BatchChanged, 0.7),
    },
    Knob {
        names: &[
            "rate",
            "per second",
            "per minute",
            "per hour",
            "per sec",
            "per min",
            "rps",
            "qps",
            "burst",
            "quota",
            "throttl",
            "read capacity",
            "write capacity",
            "capacity unit",
        ],
        lowered: (Effect::RateLowered, 0.9),
        raised: (Effect::RateRaised, 0.5),
    },
    Knob {
        names: &[
            "pool",
            "connection",
            "conn",
            "worker",
            "thread",
            "concurren",
            "parallel",
            "semaphore",
            "replica",
            "shard",
            "max open",
            "max idle",
            "partitions",
            "executor",
            "permits",
            "slots",
            "capacity",
            "inflight",
            "in flight",
            "streams",
            "ulimit",
            "nofile",
        ],
        lowered: (Effect::CapacityLowered, 0.9),
        raised: (Effect::CapacityRaised, 0.6),
    },
    Knob {
        names: &["memory", "heap", "xmx", "mem limit"],
        lowered: (Effect::MemoryLowered, 0.9),
        raised: (Effect::CacheGrown, 0.5),
    },
    Knob {
        names: &["cache", "entries", "max size", "maxsize", "lru"],
        lowered: (Effect::CacheShrunk, 0.8),
        raised: (Effect::CacheGrown, 0.6),
    },
    Knob {
        names: &[
            "interval",
            "period",
            "every",
            "cron",
            "schedule",
            "poll",
            "frequency",
            "delay",
            "tick",
            "sleep",
        ],
        lowered: (Effect::IntervalLowered, 0.8),
        raised: (Effect::IntervalRaised, 0.5),
    },
    Knob {
        names: &[
            "compress",
            "quality",
            "level",
            "rounds",
            "cost",
            "iterations",
            "work factor",
            "brotli",
            "bcrypt",
        ],
        lowered: (Effect::ThresholdChanged, 0.3),
        raised: (Effect::HeavyWork, 0.7),
    },
    Knob {
        names: &["limit", "max", "buffer", "queue", "size", "depth"],
        lowered: (Effect::CapacityLowered, 0.8),
        raised: (Effect::CapacityRaised, 0.6),
    },
    Knob {
        names: &["threshold", "ratio", "percent", "sampling", "weight", "min_", "minimum"],
        lowered: (Effect::ThresholdChanged, 0.5),
        raised: (Effect::ThresholdChanged, 0.5),
    },
];

pub(super) fn read(hunk: &Hunk, found: &mut Vec<Finding>) {
    for (old, new) in hunk.replaced() {
        let (before, after) = (quantities(&old.tokens), quantities(&new.tokens));
        if before.len() == after.len() {
            let changed = before.iter().zip(&after).filter(|(before, after)| before != after);
            changed.for_each(|(before, after)| found.extend(turned(hunk, new, *before, *after)));
        }
        if before.is_empty()
            && let Some((was, is)) = units(old, new)
        {
            // Nobody changes a unit to tune something.
            let finding = turned(hunk, new, was, is);
            found.extend(finding.map(|finding| Finding::new(finding.effect, finding.risk.max(0.7), finding.sentence)));
        }
        let calls = |line: &Line| super::calls::called(line).count();
        if !before.is_empty()
            && calls(new) > calls(old)
            && old.text.split(['=', ':']).next().map(str::trim) == new.text.split(['=', ':']).next().map(str::trim)
            && let Some((knob, name)) = knob(hunk, new).filter(|_| old.text.contains(['=', ':']))
        {
            let told = format!("no longer sets {name} by a number: `{}`", new.text.trim());
            found.push(Finding::new(knob.raised.0, 0.6, told));
        }
    }
    appeared(hunk, found);
}

/// The units of two lines with the same tokens but for one word that carries another unit: `ofMinutes`, `ofSeconds`.
fn units(old: &Line, new: &Line) -> Option<((f64, Unit), (f64, Unit))> {
    if old.tokens.len() != new.tokens.len() {
        return None;
    }
    let mut differing = old.tokens.iter().zip(&new.tokens).filter(|(one, two)| one != two);
    let (Token::Word(before), Token::Word(after)) = differing.next()? else {
        return None;
    };
    let (was, is) = (line_unit(before)?, line_unit(after)?);
    (differing.next().is_none() && was.0 == is.0).then_some(((was.1, was.0), (is.1, is.0)))
}

fn turned(hunk: &Hunk, line: &Line, before: (f64, Unit), after: (f64, Unit)) -> Option<Finding> {
    let (old, new) = (before.0, after.0);
    let off = old <= 0.0 || new <= 0.0;
    let factor = if off { 10.0 } else { (new / old).max(old / new) };
    if factor <= 1.0 {
        return None;
    }
    // ×1.25: 0.1; ×2: 0.4; ×6 and more: 1.
    let size = (factor.ln() / 6.0_f64.ln()).clamp(0.1, 1.0);
    let lowered = new < old && new >= 0.0;
    let told = format!(
        "{} from {} to {}",
        if lowered { "lowers" } else { "raises" },
        shown(before),
        shown(after)
    );
    let Some((knob, name)) = knob(hunk, line) else {
        let risk = if is_version(line) { 0.0 } else { 0.4 * size };
        return (risk > 0.0)
            .then(|| Finding::new(Effect::NumberChanged, risk, format!("{told} in `{}`", line.text.trim())));
    };
    let talkative = !lowered && says_any(&norm(&place(hunk, line)), &["sampl", "telemetry", "tracing", "tracer"]);
    if talkative && matches!(knob.raised.0, Effect::ThresholdChanged | Effect::RateRaised) {
        return Some(Finding::new(
            Effect::LogsMore,
            0.8 * size,
            format!("{told} of what is recorded"),
        ));
    }
    // Zero and below usually mean "none" or "without limit": the opposite of a small value, and always a big step.
    let (effect, risk) = if lowered { knob.lowered } else { knob.raised };
    Some(Finding::new(effect, risk * size, format!("{told} ({name})")))
}

/// A limit that was not there before, or is no longer there.
fn appeared(hunk: &Hunk, found: &mut Vec<Finding>) {
    // How long an idle connection is kept is no deadline of a call.
    let idle = |line: &Line| says_any(&norm(&line.text), &["idle", "keep alive", "keepalive"]);
    let named = |line: &Line, names: &[&str]| {
        !idle(line) && says_any(&norm(&line.text), names) && !quantities(&line.tokens).is_empty()
    };
    let timeout = ["timeout", "deadline"];
    let gone = hunk.gone().any(|line| named(line, &timeout));
    match hunk.fresh().find(|line| named(line, &timeout)) {
        Some(line) if !gone => found.push(Finding::new(
            Effect::TimeoutLowered,
            0.5,
            format!("adds a time limit: `{}`", line.text.trim()),
        )),
        None if gone => found.push(Finding::new(Effect::TimeoutRaised, 0.7, "removes a time limit")),
        _ => {}
    }
    let without = ["unbounded", "unlimited", "no limit", "without limit"];
    let endless = |line: &Line| !line.tokens.is_empty() && says_any(&norm(&line.text), &without);
    if hunk.added.iter().any(endless) && !hunk.removed.iter().any(endless) {
        found.push(Finding::new(
            Effect::Accumulates,
            0.9,
            "keeps what it is given, without a bound",
        ));
    }
    let limits = ["limit", "max", "ttl", "expir", "evict", "lru", "bound"];
    let caches = ["cache", "size", "entries", "ttl", "evict", "lru", "expir"];
    let line_is = |line: &Line| says_any(&norm(&line.text), &limits) && says_any(&norm(&line.text), &caches);
    if hunk.gone().any(line_is) && !hunk.fresh().any(line_is) {
        found.push(Finding::new(
            Effect::Accumulates,
            0.8,
            "removes a bound of what is kept",
        ));
    }
}

/// A line with what stands around it.
fn place(hunk: &Hunk, line: &Line) -> String {
    let around = hunk.context.iter().map(|line| line.text.as_str());
    let around: Vec<&str> = around.chain([line.text.as_str(), &hunk.heading, &hunk.file]).collect();
    around.join(" ")
}

/// The knob that a line turns, and what named it.
fn knob(hunk: &Hunk, line: &Line) -> Option<(&'static Knob, String)> {
    let own: Vec<String> = line
        .tokens
        .iter()
        .filter_map(|token| match token {
            Token::Word(word) | Token::Text(word) => Some(word.clone()),
            _ => None,
        })
        .collect();
    let above = hunk
        .context
        .iter()
        .chain(&hunk.added)
        .filter(|other| other.text.trim_end().ends_with([':', '{', '(']))
        .map(|line| line.text.clone());
    let places = [
        own.join(" "),
        above.collect::<Vec<_>>().join(" "),
        hunk.heading.clone(),
        hunk.file.clone(),
    ];
    places.iter().find_map(|place| {
        let text = norm(place);
        let knob = KNOBS.iter().find(|knob| says_any(&text, knob.names))?;
        let word = words(place).into_iter().find(|word| {
            knob.names
                .iter()
                .any(|name| word.starts_with(name.split(' ').next().unwrap_or(name)))
        });
        let named = own.iter().find(|own| says_any(&norm(own), knob.names)).cloned();
        Some((
            knob,
            format!("`{}`", named.or(word).unwrap_or_else(|| knob.names[0].to_owned())),
        ))
    })
}

/// Versions are the dependency reader's.
fn is_version(line: &Line) -> bool {
    line.text
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .any(|part| part.matches('.').count() >= 2 && part.len() >= 5)
        || says_any(&norm(&line.text), &["version", "from_", "image", "v1", "v2", "v0"])
}

fn shown((value, unit): (f64, Unit)) -> String {
    match unit {
        Unit::Plain => trimmed(value),
        Unit::Milliseconds if value >= 1000.0 => format!("{} s", trimmed(value / 1000.0)),
        Unit::Milliseconds => format!("{} ms", trimmed(value)),
        Unit::Bytes => format!("{} MiB", trimmed(value / 1_048_576.0)),
    }
}

fn trimmed(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        format!("{value}")
    } else {
        rounded(value)
    }
}
