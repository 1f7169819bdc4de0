//! Whether it is where it hurts.
//!
//! *Signals*: deploys, paths, services that hurt, calls between services.
//! *Method*: a change deployed to a service that hurts is likelier than one deployed to its neighbour, and that one
//! likelier than one deployed to a bystander. What connects services is not always recorded: a bystander of which the
//! failure names what was changed, which changes the shape of what others read, or which is infrastructure without
//! telemetry, is farther, but not out.

use super::{Case, STRONG, Suspect, WEAK};
use crate::diagnose::bundle::not_code::common_host;

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
    } else if let Some(service) = services.iter().find(|service| case.moved(service)) {
        reasons.push((-WEAK, format!("runs in `{service}`, where something changed as well")));
    } else if case.is_linked(suspect) {
        let told = "runs in no service that hurts, but what fails names what it changed";
        reasons.push((-2.0 * WEAK, told.to_owned()));
    } else if case.is_silent(suspect) {
        let told = "configures something that reports nothing itself";
        reasons.push((-2.0 * WEAK, told.to_owned()));
    } else if suspect.shapes() {
        let told = "runs in no service that hurts, but changes the shape of what others read";
        reasons.push((-3.0 * WEAK, told.to_owned()));
    } else if suspect.asks_more() {
        let told = "runs in no service that hurts, but asks others more often or lets them keep less";
        reasons.push((-3.0 * WEAK, told.to_owned()));
    } else {
        reasons.push((-5.0 * WEAK, "runs in no service that hurts".to_owned()));
    }
    if let Some((host, hurt)) = common_host(case).filter(|_| !suspect.shared)
        && let Some(other) = hurt
            .into_iter()
            .find(|other| !services.contains(other) && !services.iter().any(|own| case.topology.adjacent(own, other)))
    {
        let told = format!(
            "`{other}`, where it does not run, complains of `{}` as well",
            super::super::clipped(&host)
        );
        reasons.push((-STRONG, told));
    }
    reasons
}
