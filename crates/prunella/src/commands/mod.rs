//! The verbs, one file each. Each reads the ledger, says what it found, and appends at most one decision; the daemon
//! does the work.

mod ack;
mod demo;
mod deploy;
mod diagnose;
mod doctor;
mod egress;
mod explain;
mod heal;
pub mod hidden;
mod incidents;
mod init;
mod learn;
mod model;
mod replay;
mod repository;
mod rollback;
mod run;
mod shadow;
mod site;
mod status;
mod switch;
mod templates;
mod tool;
mod verify;
mod wait;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Verb};
use crate::ui::{self, Exit, Fault, Problem, Ui};

/// Parses the command line, does what it says and reports the exit code. Errors were shown when this returns.
#[must_use]
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and the version come as errors too, with code 0.
            let code = error.exit_code();
            let _ = error.print();
            return ExitCode::from(u8::try_from(code).unwrap_or(Exit::Usage as u8));
        }
    };
    let ui = Ui::install(&cli.global);
    log_to_stderr(cli.global.verbose, cli.global.quiet);
    match dispatch(cli, &ui) {
        Ok(code) => code,
        Err(report) => {
            ui::show_error(&report);
            ui::exit_of(&report).into()
        }
    }
}

fn dispatch(cli: Cli, ui: &Ui) -> miette::Result<ExitCode> {
    let dir = cli.global.directory.as_deref();
    let runtime = runtime(matches!(cli.verb, Verb::Run(_) | Verb::Demo(_)))?;
    runtime.block_on(async {
        let exit = match cli.verb {
            Verb::Init(options) => init::init(dir, &options, ui)?,
            Verb::Doctor => doctor::doctor(dir, ui).await?,
            Verb::Run(options) => return run::run(dir, options, ui).await,
            Verb::Deploy(options) => deploy::deploy(dir, &options, ui).await?,
            Verb::Status => status::status(dir, ui).await?,
            Verb::Incidents(options) => incidents::incidents(dir, &options, ui).await?,
            Verb::Explain(options) => explain::explain(dir, &options.id, ui).await?,
            Verb::Replay(options) => replay::replay(dir, &options, ui)?,
            Verb::Diagnose(options) => diagnose::run(dir, &options, ui).await?,
            Verb::Ack(options) => ack::ack(dir, &options, ui).await?,
            Verb::Rollback => rollback::rollback(dir, ui).await?,
            Verb::Pause => switch::set(dir, true, ui).await?,
            Verb::Resume => switch::set(dir, false, ui).await?,
            Verb::Heal(options) => heal::heal(dir, &options, ui)?,
            Verb::Verify(options) => verify::verify(dir, &options, ui)?,
            Verb::Shadow(options) => shadow::shadow(dir, &options, ui).await?,
            Verb::Templates(options) => templates::templates(dir, &options, ui)?,
            Verb::Learn(options) => learn::run(dir, &options, ui)?,
            Verb::Model(options) => model::run(dir, &options, ui)?,
            Verb::Egress(options) => egress::egress(&options, ui)?,
            Verb::Demo(options) => return demo::demo(options, ui).await,
        };
        Ok(exit.into())
    })
}

/// Only the daemon has work for more than one thread.
fn runtime(many_threads: bool) -> Result<tokio::runtime::Runtime, Problem> {
    let mut builder = if many_threads {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    builder.enable_all().build().map_err(|error| {
        Problem::new(
            Fault::Machine,
            format!("the system gives no threads or descriptors: {error}"),
            "Raise the limits of processes and open files (`ulimit -u`, `ulimit -n`).",
        )
        .may_retry()
    })
}

fn log_to_stderr(verbose: u8, quiet: bool) {
    let level = match verbose {
        _ if quiet => tracing::Level::ERROR,
        0 => tracing::Level::WARN,
        1 => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    // A second installation in one process changes nothing.
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_max_level(level)
        .with_target(verbose > 1)
        .try_init();
}
