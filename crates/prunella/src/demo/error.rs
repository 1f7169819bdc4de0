//! What can keep the demo from going on.

use std::path::PathBuf;

use crate::journal::JournalError;
use crate::store::StoreError;
use crate::ui::{Fault, Problem};

use super::traffic::PlanError;

/// Why the demo ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemoError {
    /// A program that the demo needs is not there.
    #[error("the demo needs `{program}`, and it cannot be started: {why}")]
    Missing {
        /// The program.
        program: &'static str,
        /// What the system said.
        why: String,
    },
    /// A program that the demo runs did not do what it was told; its own words follow.
    #[error("`{command}` failed ({status}){words}")]
    Tool {
        /// What was run.
        command: String,
        /// How it ended.
        status: String,
        /// The end of its output, with a line break before it; empty if it said nothing.
        words: String,
    },
    /// `prunella run` ended although nobody asked it to.
    #[error("`prunella run` ended ({status}){words}")]
    Daemon {
        /// How it ended.
        status: String,
        /// The end of its output.
        words: String,
    },
    /// Something did not happen in time.
    #[error("{what} did not happen within {seconds} s{words}")]
    TooLate {
        /// What.
        what: String,
        /// The limit.
        seconds: u64,
        /// The end of the daemon's output.
        words: String,
    },
    /// A release was not promoted that should have been.
    #[error("release {release} of `{tag}` was not promoted: {why}")]
    NotPromoted {
        /// The release.
        release: String,
        /// What it carries.
        tag: &'static str,
        /// Why.
        why: String,
    },
    /// Someone pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// The temporary directory cannot be used.
    #[error("cannot {what} {path}: {source}")]
    Files {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system refused something else.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The ledger cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A blob cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The embedded traffic is wrong.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A name in the demo's own story is wrong.
    #[error("the demo's history or traffic has no `{0}`")]
    Script(&'static str),
}

impl From<DemoError> for Problem {
    fn from(error: DemoError) -> Self {
        let what = error.to_string();
        match error {
            DemoError::Missing { program: "python3", .. } => Self::new(
                Fault::Machine,
                what,
                "Install Python 3.8 or newer, for example with `apt install python3`.",
            ),
            DemoError::Missing { .. } => {
                Self::new(Fault::Machine, what, "Install it, for example with `apt install git`.")
            }
            DemoError::Tool { .. } | DemoError::Daemon { .. } => Self::new(
                Fault::Answer,
                what,
                "The words above are its own; `prunella doctor` says what works here.",
            ),
            DemoError::TooLate { .. } => Self::new(
                Fault::Answer,
                what,
                "A busy machine is the usual cause; `--keep` leaves everything there to look around.",
            )
            .may_retry(),
            DemoError::NotPromoted { .. } => {
                Self::new(Fault::Answer, what, "`--keep` leaves everything there to look around.").may_retry()
            }
            DemoError::Interrupted => Self::new(Fault::Answer, what, "Everything was cleaned up.").may_retry(),
            DemoError::Files { .. } | DemoError::System { .. } => Self::new(
                Fault::Machine,
                what,
                "Set TMPDIR to a directory that can be written and has 100 MB left.",
            ),
            DemoError::Journal(error) => error.into(),
            DemoError::Store(error) => error.into(),
            DemoError::Plan(_) | DemoError::Script(_) => Self::new(Fault::Defect, what, "Please report it."),
        }
    }
}

/// The end of a program's output as it is shown under a message: indented, made safe, at most 20 lines. Of a panic the
/// beginning is shown: its message stands above a long backtrace.
pub(super) fn quoted(output: &str) -> String {
    const LINES: usize = 20;
    let lines: Vec<&str> = output.lines().filter(|l| !l.trim().is_empty()).collect();
    let panic = lines.iter().rposition(|l| l.contains(" panicked at "));
    let from = panic.unwrap_or(lines.len().saturating_sub(LINES));
    let shown = lines[from..]
        .iter()
        .take(LINES)
        .map(|l| prunella_core::diagnose::plain(l, 400));
    shown.fold(String::new(), |all, line| format!("{all}\n    {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::Exit;

    #[test]
    fn words_are_the_last_lines_made_safe() {
        let output: String = (0..30).map(|n| format!("line {n}\u{1b}[31m\n\n")).collect();
        let quoted = quoted(&output);
        assert_eq!(quoted.lines().filter(|l| !l.is_empty()).count(), 20);
        assert!(
            quoted.starts_with("\n    line 10") && quoted.ends_with("line 29[31m"),
            "{quoted}"
        );
    }

    #[test]
    fn a_panic_is_shown_from_its_beginning() {
        let backtrace: String = (0..90).map(|n| format!("  {n}: frame\n")).collect();
        let quoted = quoted(&format!(
            "started\nthread 'main' panicked at x.rs:1:2:\nthe reason\n{backtrace}"
        ));
        assert!(
            quoted.starts_with("\n    thread 'main' panicked at x.rs:1:2:\n    the reason\n"),
            "{quoted}"
        );
        assert_eq!(quoted.lines().count(), 21);
    }

    #[test]
    fn a_missing_program_is_the_machines_fault() {
        let missing = DemoError::Missing {
            program: "python3",
            why: "No such file or directory".into(),
        };
        let problem = Problem::from(missing);
        assert_eq!(problem.exit(), Exit::Machine);
        assert!(problem.what().contains("python3") && problem.next().contains("Install Python"));
        assert_eq!(Problem::from(DemoError::Interrupted).exit(), Exit::No);
    }
}
