//! Which service failed first.
//!
//! *Signals*: erroneous spans, calls between services, onsets of metrics, bad texts, the alert.
//! *Method*: each service that hurts gets a score: from the alert, from bad texts and metrics of its own that are not
//! about waiting for somebody else, from being the deepest erroneous span of a trace, and against it from being the
//! one that another cut off (cancelled) or from calling one that hurts itself.
//! *Source*: the deepest anomalous service of a call path, as in MicroRank and MonitorRank; callers see first what
//! callees hide (Huang et al., "Panorama", OSDI 2018).

use std::collections::BTreeMap;

use super::case::Case;
use super::lexis::says_any;

/// The service that most likely failed first, if any hurts.
pub(super) fn first_failing(case: &Case<'_>) -> Option<String> {
    let mut scores: BTreeMap<&str, f64> = case.affected.iter().map(|name| (name.as_str(), 0.0)).collect();
    let mut add = |name: &str, weight: f64| {
        if let Some((_, score)) = scores
            .get_key_value(name)
            .map(|(key, _)| *key)
            .and_then(|key| scores.get_mut(key).map(|score| (key, score)))
        {
            *score += weight;
        }
    };
    add(&case.bundle.alert.service, 3.0);
    for saying in case
        .symptoms
        .sayings
        .iter()
        .filter(|saying| saying.bad && saying.source != "alert")
    {
        let cut_off = says_any(&saying.normed, &["cancel", "client closed"]);
        let waits = says_any(&saying.normed, &["upstream"]);
        add(&saying.service, if cut_off || waits { -0.5 } else { 0.3 });
    }
    for span in case.bundle.spans.iter().filter(|span| span.failed) {
        let child = case
            .bundle
            .spans
            .iter()
            .any(|other| other.failed && other.trace == span.trace && other.parent.as_deref() == Some(&span.id));
        add(&span.service, if child { -0.2 } else { 0.5 });
    }
    for name in &case.affected {
        let callee = case
            .topology
            .calls
            .iter()
            .any(|(caller, callee)| caller == name && case.affected.contains(callee));
        add(name, if callee { -0.5 } else { 0.5 });
    }
    let best = scores
        .into_iter()
        .max_by(|one, two| one.1.total_cmp(&two.1).then(two.0.cmp(one.0)));
    best.map(|(name, _)| name.to_owned())
}
