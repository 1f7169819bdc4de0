//! `incidents [id]`: the table, or one incident.

use std::path::Path;

use prunella_core::incident::Incident;
use prunella_core::ledger::World;

use super::explain::explain;
use super::site::Site;
use crate::cli::Incidents;
use crate::render::{self, Summary};
use crate::ui::{Exit, Problem, Ui};

fn newest_first(world: &World, only_open: bool) -> Vec<&Incident> {
    let all = world.order.iter().rev().filter_map(|id| world.incidents.get(id));
    all.filter(|i| !only_open || i.is_open()).collect()
}

pub(super) async fn incidents(dir: Option<&Path>, options: &Incidents, ui: &Ui) -> Result<Exit, Problem> {
    if let Some(id) = &options.id {
        return explain(dir, id, ui).await;
    }
    let world = Site::open(dir)?.world().await?;
    let shown = newest_first(&world, options.open);
    let document: Vec<Summary> = shown.iter().map(|i| Summary::of(i)).collect();
    ui.data(&document, || render::incidents(shown.iter().copied()))?;
    if !shown.is_empty() {
        ui.hint("`prunella explain <incident>` shows one in full.");
    }
    Ok(Exit::Done)
}
