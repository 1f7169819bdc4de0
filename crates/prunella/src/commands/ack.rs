//! `ack <id>`: a person knows of an incident.

use std::path::Path;

use prunella_core::incident::IncidentEvent;
use prunella_core::ledger::{Event, Stream};
use serde::Serialize;

use super::explain::find;
use super::site::Site;
use crate::cli::Ack;
use crate::clock;
use crate::ui::{Exit, Problem, Ui};

#[derive(Serialize)]
struct Acknowledged {
    incident: String,
    until_ms: i64,
    daemon: Option<u32>,
}

pub(super) async fn ack(dir: Option<&Path>, options: &Ack, ui: &Ui) -> Result<Exit, Problem> {
    let site = Site::open(dir)?;
    let id = find(&site.world().await?, &options.id)?.id.clone();
    let until_ms = clock::now_ms().saturating_add(options.time.as_ms());
    let mut journal = site.journal().await?;
    let event = Event::Incident(IncidentEvent::Acknowledged { until_ms });
    journal
        .decide(&Stream::Incident(id.clone()), |_| vec![event.clone()])
        .await?;
    let document = Acknowledged {
        incident: id.to_string(),
        until_ms,
        daemon: site.home.daemon(),
    };
    ui.data(&document, || {
        format!(
            "Acknowledged: for {} its causes open no other incident. It goes on healing.",
            options.time
        )
    })?;
    Ok(Exit::Done)
}
