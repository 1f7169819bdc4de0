//! `replay`: recorded telemetry through the detectors.

use std::path::{Path, PathBuf};

use prunella_core::id::ServiceName;

use crate::cli::Replay;
use crate::ingest;
use crate::render;
use crate::ui::{Exit, Fault, Problem, Ui};

pub(super) fn replay(dir: Option<&Path>, options: &Replay, ui: &Ui) -> Result<Exit, Problem> {
    let service = ServiceName::parse(options.service.clone())
        .map_err(|e| Problem::new(Fault::Usage, e.to_string(), "Give another `--service`."))?;
    let at = |file: &PathBuf| dir.map_or_else(|| file.clone(), |dir| dir.join(file));
    let files: Vec<PathBuf> = options.files.iter().map(at).collect();
    let done = ingest::replay(&files, &service, options.memory.saturating_mul(1 << 20))?;
    ui.data(&done, || render::replayed(&done))?;
    Ok(Exit::Done)
}
