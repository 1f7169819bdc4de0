//! `demo`: a real service breaks under real traffic and heals.

use std::process::ExitCode;

use crate::cli::Demo;
use crate::demo::{self, DemoOptions};
use crate::ui::Ui;

pub(super) async fn demo(options: Demo, ui: &Ui) -> miette::Result<ExitCode> {
    demo::run(DemoOptions {
        keep: options.keep,
        json: ui.is_json(),
        ..DemoOptions::default()
    })
    .await
}
