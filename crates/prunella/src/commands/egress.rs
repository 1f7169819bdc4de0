//! `egress log`: what left this machine.

use std::path::PathBuf;

use prunella_core::diagnose::plain;
use serde::Serialize;

use crate::cli::{Egress, EgressVerb};
use crate::config::passed_variable;
use crate::egress::{Log, Row, Stage};
use crate::render::utc;
use crate::ui::{Exit, Fault, Problem, Ui};

#[derive(Serialize)]
struct Document {
    file: PathBuf,
    unreadable: usize,
    rows: Vec<Row>,
}

/// The log of this user: in `XDG_STATE_HOME`, by default `~/.local/state/prunella` (XDG Base Directory Specification).
pub(super) fn log() -> Result<Log, Problem> {
    let state = passed_variable("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute());
    let home = || passed_variable("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let dir = state.or_else(home).ok_or_else(|| {
        Problem::new(
            Fault::Machine,
            "there is no place for the log of what leaves: neither XDG_STATE_HOME nor HOME is set",
            "Set one of them.",
        )
    })?;
    Ok(Log::in_dir(&dir.join("prunella")))
}

pub(super) fn egress(options: &Egress, ui: &Ui) -> Result<Exit, Problem> {
    let EgressVerb::Log = options.what;
    let log = log()?;
    let (rows, unreadable) = log.rows().map_err(|error| {
        Problem::new(
            Fault::Machine,
            error.to_string(),
            "Make the file readable, or move it away.",
        )
    })?;
    if unreadable > 0 {
        ui.warn(&format!(
            "{unreadable} lines of {} cannot be read",
            log.path().display()
        ));
    }
    let document = Document {
        file: log.path().to_owned(),
        unreadable,
        rows,
    };
    ui.data(&document, || text(&document.rows))?;
    Ok(Exit::Done)
}

fn text(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "Nothing left this machine.".to_owned();
    }
    let line = |row: &Row| {
        let taken: Vec<String> = row
            .taken_out
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        let taken = if taken.is_empty() {
            "nothing".to_owned()
        } else {
            taken.join(", ")
        };
        let host = plain(&row.host, 80);
        let place = if row.local { "this machine" } else { host.as_str() };
        let when = utc(row.at_ms);
        match row.stage {
            Stage::Call => format!(
                "{when}  {}  to {place}: {} for {}, {} bytes (sha256 {}), taken out: {taken}",
                plain(&row.id, 40),
                plain(&row.model, 60),
                plain(&row.purpose, 40),
                row.sent_bytes,
                plain(&row.sent_sha256, 64).chars().take(12).collect::<String>(),
            ),
            Stage::End => format!(
                "{when}  {}  {}, {} bytes back, {} tokens in, {} out, {:.1} s",
                plain(&row.id, 40),
                plain(&row.outcome, 120),
                row.received_bytes,
                row.tokens.0,
                row.tokens.1,
                row.took_ms as f64 / 1000.0
            ),
        }
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
