//! Whether it is where it hurts.
//!
//! *Signals*: deploys, paths, services that hurt, calls between services.
//! *Method*: a change deployed to a service that hurts is likelier than one deployed to its neighbour, and that one
//! likelier than one deployed to a bystander.

use super::{Case, Suspect, WEAK};

pub(super) fn weigh(suspect: &Suspect<'_>, case: &Case<'_>) -> Vec<(f64, String)> {
    let services = suspect.services();
    let mut reasons = Vec::new();
    if services.is_empty() {
        return vec![];
    }
    let alerted = case.bundle.alert.service.as_str();
    let near = |service: &&&str| case.affected.iter().any(|other| case.topology.adjacent(service, other));
    if services.contains(alerted) {
        reasons.push((WEAK, format!("runs in `{alerted}`, which raised the alarm")));
    } else if let Some(service) = services.iter().find(|service| case.affected.contains(**service)) {
        reasons.push((WEAK, format!("runs in `{service}`, which hurts")));
    } else if let Some(service) = services.iter().find(near) {
        reasons.push((-WEAK, format!("runs in `{service}`, next to what hurts")));
    } else {
        reasons.push((-5.0 * WEAK, "runs in no service that hurts".to_owned()));
    }
    reasons
}
