//! `pause` and `resume`: the kill switch.

use std::path::Path;

use prunella_core::ledger::{Event, Stream};
use prunella_core::release::ReleaseEvent;
use serde::Serialize;

use super::site::Site;
use crate::ui::{Exit, Problem, Ui};

#[derive(Serialize)]
struct Switched {
    paused: bool,
    changed: bool,
    daemon: Option<u32>,
}

pub(super) async fn set(dir: Option<&Path>, paused: bool, ui: &Ui) -> Result<Exit, Problem> {
    let site = Site::open(dir)?;
    let mut journal = site.journal().await?;
    let event = if paused {
        ReleaseEvent::Paused
    } else {
        ReleaseEvent::Resumed
    };
    let appended = journal
        .decide(&Stream::Releases, |world| {
            if world.service.paused == paused {
                Vec::new()
            } else {
                vec![Event::Release(event.clone())]
            }
        })
        .await?;
    let document = Switched {
        paused,
        changed: !appended.is_empty(),
        daemon: site.home.daemon(),
    };
    ui.data(&document, || sentence(&document).to_owned())?;
    Ok(Exit::Done)
}

fn sentence(now: &Switched) -> &'static str {
    match (now.paused, now.changed) {
        (true, true) => {
            "Paused. Damage is still taken away; nothing is repaired, published or shipped until `prunella resume`."
        }
        (true, false) => "Paused already; `prunella resume` lets it go on.",
        (false, true) => "Resumed. Open incidents go on where they stood.",
        (false, false) => "It was not paused.",
    }
}
