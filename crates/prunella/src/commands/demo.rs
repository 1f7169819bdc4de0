//! `demo`: a real service breaks under real traffic and heals.

use std::process::ExitCode;

use crate::cli::Demo;
use crate::ui::{Fault, Problem, Ui};

#[allow(clippy::unused_async, reason = "the demo is asynchronous")]
pub(super) async fn demo(_options: Demo, _ui: &Ui) -> miette::Result<ExitCode> {
    Err(Problem::new(
        Fault::Defect,
        "this build of prunella has no demo",
        "Install a release build.",
    )
    .into())
}
