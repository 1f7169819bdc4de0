//! Claims as anomalies: sentences, and whether somebody must act.

use super::profile::{BYTES, Limit};
use super::{Claim, Measured, NAME, Trait};
use crate::detect::text::{percent, quote};
use crate::detect::{Anomaly, AnomalyKind, Score, Severity};
use crate::signal::ResponseShape;

/// Whether this takes something from a client that the baseline gave, and why.
fn severity(claim: &Claim) -> (Severity, &'static str) {
    use Trait as T;
    let never_to_nearly_always = claim.base.share() <= 0.02 && claim.new.share() >= 0.5;
    let mostly_the_other = claim.base.share() <= 0.1 && claim.new.share() >= 0.5;
    match (claim.what, claim.own) {
        (T::Missing | T::Null | T::Redirect | T::NoBody | T::Unsound | T::Media, _) => {
            (Severity::Page, "clients no longer get what they got")
        }
        (T::Bool | T::Number | T::Text | T::List | T::Object, _) => (Severity::Page, "the type is another one"),
        (T::Empty | T::Zero, true) if never_to_nearly_always => (Severity::Page, "it was hardly ever empty before"),
        (T::Larger, false) if never_to_nearly_always && claim.of == Measured::Elements => {
            (Severity::Page, "most answers hold more than nearly all did before")
        }
        (T::Larger | T::Added, _) => (Severity::Odd, "more than before harms nobody by itself"),
        (T::Smaller, false) if never_to_nearly_always && claim.of == Measured::LongBody => (
            Severity::Page,
            "most bodies are shorter, and only their beginning can be compared otherwise",
        ),
        (T::Smaller, false) if claim.at == BYTES => (Severity::Odd, "a smaller body alone says little"),
        (T::Unchanged, false) if never_to_nearly_always => (Severity::Page, "the answers no longer follow the data"),
        (T::True | T::False, false) if mostly_the_other => (Severity::Page, "it was mostly the other way round"),
        (T::Unchanged | T::True | T::False, _) => (Severity::Odd, "the data may be so"),
        (_, true) => (Severity::Odd, "the data may have changed by itself"),
        (_, false) => (Severity::Page, "another release answers otherwise"),
    }
}

/// What is shown first: what matters, then what is clearest.
pub(super) fn weight(claim: &Claim) -> f64 {
    let page = severity(claim).0 == Severity::Page;
    claim.ln_e + if page { 1e6 } else { 0.0 }
}

/// What a measure of the baseline keeps within.
pub(super) fn between(at: &str, what: Trait, limit: Limit) -> String {
    let size = |half: i32| {
        if half < 0 {
            0.0
        } else {
            2_f64.powf(f64::from(half) / 2.0)
        }
    };
    let unit = match (at, what) {
        (BYTES, _) => " bytes",
        (_, Trait::Smaller | Trait::Larger) => " elements or bytes",
        _ => "",
    };
    if limit.high == i32::MAX {
        return format!("{:.0}{unit} and growing", size(limit.low));
    }
    if limit.low == i32::MIN {
        return format!("{:.0}{unit} and falling", size(limit.high));
    }
    if limit.low == limit.high {
        return format!("about {:.0}{unit}", size(limit.low));
    }
    format!("{:.0} to {:.0}{unit}", size(limit.low), size(limit.high))
}

fn subject(claim: &Claim) -> String {
    match claim.at.as_str() {
        BYTES => "the body".to_owned(),
        "" => "the answer".to_owned(),
        _ if claim.what == Trait::Media => "the answer".to_owned(),
        at => format!("`{}`", quote(at)),
    }
}

/// The claim as an anomaly.
pub(super) fn anomaly(shape: &ResponseShape, claim: &Claim) -> Anomaly {
    let ln_10 = std::f64::consts::LN_10;
    let (severity, why) = severity(claim);
    let against = if claim.own {
        "in this release before"
    } else {
        "under the last-known-good release"
    };
    let usual = match (&claim.usual, claim.what) {
        (Some(usual), Trait::Smaller | Trait::Larger | Trait::Lower | Trait::Higher) => format!(" than {usual}"),
        (_, Trait::Media) => format!(" than {}", quote(&claim.at)),
        _ => String::new(),
    };
    let sentence = format!(
        "{}: {} {}{usual} in {:.0} of {:.0} answers with status {} under release {}; {against} in {:.0} of {:.0} ({}).",
        quote(&shape.route),
        subject(claim),
        claim.what.words(),
        claim.new.bad(),
        claim.new.n(),
        shape.status,
        shape.release,
        claim.base.bad(),
        claim.base.n(),
        percent(claim.base.share()),
    );
    let word = if severity == Severity::Page {
        "Page-worthy"
    } else {
        "Odd"
    };
    Anomaly {
        detector: NAME.to_owned(),
        service: None,
        release: shape.release.clone(),
        route: Some(shape.route.clone()),
        at_ms: shape.at_ms,
        onset_ms: shape.at_ms,
        score: Score::EValue {
            log10: claim.ln_e / ln_10,
            threshold_log10: claim.ln_threshold / ln_10,
        },
        baseline: format!("the structure of the same route's answers {against}"),
        evidence: vec![sentence, format!("{word}: {why}.")],
        fingerprint: Some(fingerprint(&shape.route, &claim.at, claim.what)),
        severity,
        kind: AnomalyKind::Silent,
    }
}

/// The identity of a claim: route, place and trait.
fn fingerprint(route: &str, at: &str, what: Trait) -> String {
    let what = serde_json::to_value(what).ok();
    let what = what.as_ref().and_then(|w| w.as_str()).unwrap_or_default();
    format!("{NAME} {}{MARK}{}{MARK}{what}", quote(route), quote(at))
}

/// Between the parts of a fingerprint.
const MARK: &str = " | ";

/// The place and the trait that an anomaly of this detector is about.
#[must_use]
pub fn claim_of(anomaly: &Anomaly) -> Option<(String, Trait)> {
    let print = anomaly.fingerprint.as_ref().filter(|_| anomaly.detector == NAME)?;
    let (rest, what) = print.rsplit_once(MARK)?;
    let (_, at) = rest.rsplit_once(MARK)?;
    let what = serde_json::from_value(serde_json::Value::String(what.to_owned())).ok()?;
    Some((at.to_owned(), what))
}
