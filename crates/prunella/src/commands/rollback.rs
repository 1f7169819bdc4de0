//! `rollback`: back to the last-known-good release.

use std::path::Path;

use prunella_core::ledger::{Event, Stream};
use prunella_core::release::{ReleaseEvent, ServiceState};
use serde::Serialize;

use super::site::Site;
use crate::ui::{Exit, Fault, Problem, Ui};

#[derive(Serialize)]
struct RolledBack {
    requested: bool,
    from: Option<String>,
    to: String,
    daemon: Option<u32>,
}

/// The release that a roll-back ends, if there is one.
fn newer(service: &ServiceState) -> Option<String> {
    let newer = service
        .preparing()
        .or_else(|| service.canary())
        .or_else(|| service.on_probation())?;
    Some(newer.id.to_string())
}

pub(super) async fn rollback(dir: Option<&Path>, ui: &Ui) -> Result<Exit, Problem> {
    let site = Site::open(dir)?;
    let before = site.world().await?;
    let Some(good) = before.service.last_known_good.clone() else {
        return Err(Problem::new(
            Fault::Answer,
            "there is no release to go back to: none has been accepted yet",
            "`prunella status` shows the releases; `prunella deploy <rev>` asks for another commit.",
        ));
    };
    let mut from = None;
    let mut journal = site.journal().await?;
    let appended = journal
        .decide(&Stream::Releases, |world| {
            from = newer(&world.service);
            if from.is_none() || world.service.rollback_requested {
                return Vec::new();
            }
            vec![Event::Release(ReleaseEvent::RollbackRequested)]
        })
        .await?;
    let document = RolledBack {
        requested: !appended.is_empty(),
        from,
        to: good.to_string(),
        daemon: site.home.daemon(),
    };
    ui.data(&document, || sentence(&document, &site))?;
    if document.requested {
        ui.hint("The commit stays where it is: the next deploy of it brings it back, unless it was reverted.");
    }
    Ok(Exit::Done)
}

fn sentence(document: &RolledBack, site: &Site) -> String {
    let to = &document.to;
    match (&document.from, document.requested) {
        (None, _) => format!("Nothing to roll back: {to} is the last-known-good release and no newer one runs."),
        (Some(_), false) => format!("A roll-back to {to} was asked for already. {}", site.daemon_sentence()),
        (Some(from), true) => format!("Rolling back from {from} to {to}. {}", site.daemon_sentence()),
    }
}
