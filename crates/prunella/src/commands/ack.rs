//! `ack <id>`: a person knows of an incident.

use std::path::Path;

use prunella_core::diagnose::plain;
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
    by: String,
    daemon: Option<u32>,
}

/// Where names of users are.
const USERS: &str = "/etc/passwd";

/// Who runs this, as the system knows them; by number where it knows no name.
fn user() -> String {
    let uid = rustix::process::getuid().as_raw();
    let users = std::fs::read_to_string(USERS).unwrap_or_default();
    name_of(&users, uid).unwrap_or_else(|| format!("user {uid}"))
}

fn name_of(users: &str, uid: u32) -> Option<String> {
    let uid = uid.to_string();
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1) == Some(uid.as_str())).then(|| plain(name, 32))
    })
}

pub(super) async fn ack(dir: Option<&Path>, options: &Ack, ui: &Ui) -> Result<Exit, Problem> {
    let site = Site::open(dir)?;
    let world = site.world().await?;
    let (id, observed) = {
        let incident = find(&world, &options.id)?;
        (incident.id.clone(), incident.observed)
    };
    let until_ms = clock::now_ms().saturating_add(options.time.as_ms());
    let mut journal = site.journal().await?;
    let by = user();
    let event = Event::Incident(IncidentEvent::Acknowledged {
        until_ms,
        by: Some(by.clone()),
    });
    journal
        .decide(&Stream::Incident(id.clone()), |_| vec![event.clone()])
        .await?;
    let document = Acknowledged {
        incident: id.to_string(),
        until_ms,
        by,
        daemon: site.home.daemon(),
    };
    ui.data(&document, || {
        let then = if observed {
            "It is not run here, and is closed."
        } else {
            "It goes on healing."
        };
        format!(
            "Acknowledged: for {} its causes open no other incident. {then}",
            options.time
        )
    })?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_by_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\n:x:7:\nbroken\nada:x:1000:1000:Ada,,,:/home/ada:/bin/sh\n";
        assert_eq!(name_of(users, 1000).as_deref(), Some("ada"));
        assert_eq!(name_of(users, 0).as_deref(), Some("root"));
        assert_eq!(
            (name_of(users, 7), name_of(users, 100), name_of("", 0)),
            (None, None, None)
        );
    }
}
