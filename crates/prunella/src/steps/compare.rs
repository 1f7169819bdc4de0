//! Finds by what the failing release's answers differ from the good one's, in the sandbox.

use std::collections::BTreeSet;

use prunella_core::detect::shape::Trait;
use prunella_core::id::CommitId;
use prunella_core::incident::ReleaseRef;
use prunella_core::signal::ResponseShape;
use prunella_gateway::control::is_safe_method;

use crate::experiment::lab::Lab;
use crate::experiment::probe_wire::ProbeRequest;
use crate::experiment::reproduction::{Sign, Symptom};
use crate::experiment::structure;

/// Signs whose requests are kept.
const KEPT: usize = 6;

type Answers = Vec<Option<ResponseShape>>;

/// Asks both releases twice, without what came before and, if that shows nothing, after it. From then on a trial shows
/// the failure if it shows one of the differences. Gives the reason if there are none.
///
/// # Errors
/// If the sandbox does not run the releases.
pub(super) fn answers(
    lab: &mut Lab,
    head: &CommitId,
    good: &ReleaseRef,
    claims: Vec<(String, Trait)>,
) -> Result<Option<String>, String> {
    let before = std::mem::take(&mut lab.reproduction.before);
    for earlier in [Vec::new(), before] {
        lab.reproduction.before = earlier;
        let ours = [ask(lab, &good.commit)?, ask(lab, &good.commit)?];
        let theirs = [ask(lab, head)?, ask(lab, head)?];
        let signs = structure::signs([&ours[0], &ours[1]], [&theirs[0], &theirs[1]], &claims);
        let [first, _] = ours;
        if let Some(sign) = signs.first() {
            lab.good_class = first[sign.target].as_ref().map(|shape| shape.status / 100);
            let (signs, good) = keep_what_shows(lab, signs, first);
            lab.reproduction.symptom = Symptom::Shape { claims, signs, good };
            return Ok(None);
        }
    }
    let why = "in the sandbox the failing release's answers have the structure of the good one's";
    Ok(Some(why.to_owned()))
}

fn ask(lab: &mut Lab, commit: &CommitId) -> Result<Answers, String> {
    let r = &lab.reproduction;
    let requests: Vec<ProbeRequest> = r.before.iter().chain(&r.targets).cloned().collect();
    let (before, targets) = (r.before.len(), r.targets.clone());
    let (seen, _) = lab.probe(commit, requests)?;
    match &seen.not_ready {
        Some(why) => Err(why.clone()),
        None => Ok(structure::answers(&seen, before, &targets)),
    }
}

/// Requests that only read do not depend on each other: those that show nothing are left out, for faster runs.
fn keep_what_shows(lab: &mut Lab, mut signs: Vec<Sign>, good: Answers) -> (Vec<Sign>, Answers) {
    let targets = &mut lab.reproduction.targets;
    if !targets.iter().all(|t| is_safe_method(&t.method)) {
        return (signs, good);
    }
    let shows: BTreeSet<usize> = signs.iter().map(|s| s.target).take(KEPT).collect();
    signs.retain(|s| shows.contains(&s.target));
    for sign in &mut signs {
        sign.target = shows.iter().position(|t| *t == sign.target).unwrap_or_default();
    }
    let kept = |i: &usize| shows.contains(i);
    let all = std::mem::take(targets);
    *targets = all
        .into_iter()
        .enumerate()
        .filter(|(i, _)| kept(i))
        .map(|(_, t)| t)
        .collect();
    let good = good.into_iter().enumerate().filter(|(i, _)| kept(i)).map(|(_, a)| a);
    (signs, good.collect())
}
