//! `explain <id>`: the incident page as text.

use std::path::Path;

use prunella_core::diagnose::plain;
use prunella_core::incident::{CandidateState, Incident};
use prunella_core::ledger::World;
use prunella_core::verify::judge;

use super::site::Site;
use crate::render::{self, Explanation, Reviewed, Seconds};
use crate::store::Blobs;
use crate::ui::{Exit, Fault, Problem, Ui};

/// The incident whose identifier begins with this text, with or without `inc-`.
pub(super) fn find<'a>(world: &'a World, text: &str) -> Result<&'a Incident, Problem> {
    let asked = plain(text, 64);
    let fits = |incident: &&Incident| {
        let id = incident.id.as_str();
        !text.is_empty() && (id.starts_with(text) || id.strip_prefix("inc-").is_some_and(|id| id.starts_with(text)))
    };
    if let Some(exact) = world.incidents.values().find(|i| i.id.as_str() == text) {
        return Ok(exact);
    }
    let found: Vec<&Incident> = world.incidents.values().filter(fits).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(Problem::new(
            Fault::Usage,
            format!("there is no incident `{asked}`"),
            "`prunella incidents` lists them.",
        )),
        many => Err(Problem::new(
            Fault::Usage,
            format!("`{asked}` fits {} incidents", many.len()),
            "Give more of the identifier; `prunella incidents` lists them.",
        )),
    }
}

/// Judges the stored report again: what the ledger says of it is a record, not a verdict.
fn review(state: &CandidateState, blobs: Option<&Blobs>) -> Reviewed {
    let mut reviewed = Reviewed {
        candidate: state.proposal.candidate.clone(),
        recorded: state.judged.as_ref().map(|(_, decision, _)| *decision),
        judged_again: None,
        remark: None,
    };
    let Some((report, recorded, _)) = &state.judged else {
        return reviewed;
    };
    let stored = match blobs.map(|blobs| blobs.get(report)) {
        Some(Ok(stored)) => stored,
        Some(Err(error)) => {
            reviewed.remark = Some(format!("it cannot be judged again: {error}"));
            return reviewed;
        }
        None => {
            reviewed.remark = Some("it cannot be judged again: there are no stored reports".to_owned());
            return reviewed;
        }
    };
    match judge(&stored) {
        Err(error) => reviewed.remark = Some(format!("it cannot be judged again: {error}")),
        Ok((verdict, patch)) => {
            if patch.is_some_and(|p| p.candidate() != state.proposal.candidate || p.tree() != state.proposal.tree) {
                reviewed.remark =
                    Some("the stored report is about another candidate or tree: nothing was proven".to_owned());
            } else if verdict.decision != *recorded {
                reviewed.remark = Some("the ledger recorded another decision; the judge's counts".to_owned());
            }
            reviewed.judged_again = Some(verdict);
        }
    }
    reviewed
}

pub(super) async fn explain(dir: Option<&Path>, id: &str, ui: &Ui) -> Result<Exit, Problem> {
    let site = Site::open(dir)?;
    let world = site.world().await?;
    let incident = find(&world, id)?;
    let dir = site.home.blobs();
    let blobs = if dir.is_dir() { Some(Blobs::open(&dir)?) } else { None };
    let policy = site.policy(&world);
    let page = Explanation {
        incident,
        seconds: Seconds::of(incident),
        candidates: incident.candidates.iter().map(|c| review(c, blobs.as_ref())).collect(),
        working_on: incident
            .is_open()
            .then(|| render::working_on(incident, &world, &policy)),
        next: render::what_next(incident, &world, site.home.daemon().is_some()),
    };
    ui.data(&page, || render::explain(&page))?;
    Ok(Exit::Done)
}
