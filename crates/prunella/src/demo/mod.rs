//! `prunella demo`: a real service breaks under real traffic and heals, before your eyes.
//!
//! Nothing here reaches into the daemon: it is `prunella run` as a user starts it, on a repository as a user has one,
//! and what is shown comes from the ledger and from the customers' side of the gateway. Which commit is guilty is known
//! here only, and used for nothing but the last line.

mod error;
mod follow;
mod leftovers;
mod process;
mod report;
mod scenario;
mod screen;
mod shop;
mod stage;
mod story;
mod traffic;

use std::future::Future;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

pub use report::Report;
pub use scenario::Scenario;

use crate::ui::{Exit, Problem};
use error::DemoError;
use screen::{Screen, Transcript};
use stage::Stage;
use story::Story;

/// What `prunella demo` was asked to do.
#[derive(Clone, Copy, Debug)]
pub struct DemoOptions {
    /// Leaves the directory, the service and Prunella running.
    pub keep: bool,
    /// Ends with one object on stdout; the transcript goes to stderr.
    pub json: bool,
    /// Requests a second.
    pub rate: u32,
    /// What breaks.
    pub scenario: Scenario,
    /// When the demo gives up.
    pub deadline: Duration,
}

impl Default for DemoOptions {
    fn default() -> Self {
        Self {
            keep: false,
            json: false,
            rate: 200,
            scenario: Scenario::default(),
            deadline: Duration::from_secs(180),
        }
    }
}

/// Runs the demo and cleans up after it, also on Ctrl-C and after errors. Success only if the service was healed and the
/// right commit blamed.
///
/// # Errors
/// A [`Problem`]: git or python3 is missing, something did not start, or a part of the story did not come about in time.
/// How far it got has been shown by then.
pub async fn run(options: DemoOptions) -> miette::Result<ExitCode> {
    let mut screen = Screen::new(if options.json {
        Transcript::Talk
    } else {
        Transcript::Data
    });
    let mut stage = Stage::new().map_err(Problem::from)?;
    let (report, error) = perform(&mut stage, &mut screen, &options).await;
    let was_interrupted = matches!(error, Some(DemoError::Interrupted));
    screen.clear();
    if options.keep && !was_interrupted {
        let kept = how_to_go_on(stage);
        screen.block(&kept);
    } else {
        clean(stage, &mut screen).await;
    }
    if let Some(report) = report.as_ref().filter(|_| options.json) {
        let text = serde_json::to_string(report).expect("a report has string keys only");
        let _ = writeln!(anstream::stdout(), "{text}");
    }
    match error {
        Some(error) => Err(Problem::from(error).into()),
        None if report.is_some_and(|r| r.is_success()) => Ok(Exit::Done.into()),
        None => Ok(Exit::No.into()),
    }
}

/// The demo itself. There is a report once traffic has flowed, also of a demo that was given up.
async fn perform(stage: &mut Stage, screen: &mut Screen, options: &DemoOptions) -> (Option<Report>, Option<DemoError>) {
    let mut story = match unless_interrupted(Story::open(stage, screen, options)).await {
        Ok(story) => story,
        Err(error) => return (None, Some(error)),
    };
    let played = unless_interrupted(story.play(stage, screen)).await;
    let ending = story.close().await;
    if !matches!(played, Err(DemoError::Interrupted)) {
        ending.show(screen);
    }
    (Some(ending.report), played.err())
}

async fn unless_interrupted<T>(work: impl Future<Output = Result<T, DemoError>>) -> Result<T, DemoError> {
    let listen = |kind| {
        signal(kind).map_err(|source| DemoError::System {
            what: "listen for Ctrl-C",
            source,
        })
    };
    let mut int = listen(SignalKind::interrupt())?;
    let mut term = listen(SignalKind::terminate())?;
    let mut hup = listen(SignalKind::hangup())?;
    tokio::select! {
        done = work => done,
        _ = int.recv() => Err(DemoError::Interrupted),
        _ = term.recv() => Err(DemoError::Interrupted),
        _ = hup.recv() => Err(DemoError::Interrupted),
    }
}

async fn clean(stage: Stage, screen: &mut Screen) {
    screen.progress(|| "stopping the service".to_owned());
    let left = stage.leave().await;
    screen.clear();
    if left.daemon_was_killed {
        screen.say("clean-up", "`prunella run` did not stop in time and was killed");
    }
    for orphan in &left.orphans {
        screen.say("clean-up", &format!("this was still running and was ended: {orphan}"));
    }
}

/// Leaves everything running, and says how to look around and how to end it.
fn how_to_go_on(mut stage: Stage) -> String {
    let pid = stage.daemon().and_then(|d| d.pid());
    let log = stage.daemon().map(|d| d.log().display().to_string());
    let addr = stage.addr();
    let program = stage.program().display().to_string();
    let dir = stage.keep();
    let shop = dir.join("shop");
    let mut text = format!("\nKept in {}\n", shop.display());
    if let (Some(pid), Some(log), Some(addr)) = (pid, log, addr) {
        text.push_str(&format!(
            "  the service   http://{addr}/\n  look around   cd {shop} && {program} status && {program} incidents\n  read along    tail -f {log}\n  \
             stop it       kill -INT {pid}\n",
            shop = shop.display()
        ));
    }
    text.push_str(&format!("  remove it     rm -r {}\n", dir.display()));
    text
}
