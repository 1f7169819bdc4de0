//! Errors as they are shown at the edge, and the exit codes that scripts see.

use std::fmt;
use std::io;
use std::process::ExitCode;

use miette::Diagnostic;
use prunella_gateway::GatewayError;

use crate::config::ConfigError;
use crate::daemon::traffic::TrafficError;
use crate::git::GitError;
use crate::home::HomeError;
use crate::ingest::{IntakeError, ReplayError};
use crate::journal::JournalError;
use crate::store::StoreError;

/// The documented exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The answer is no.
    No = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// The machine lacks something.
    Machine = 3,
    /// Policy refused.
    Refused = 4,
    /// A defect in Prunella.
    Internal = 5,
    /// Neither yes nor no: the evidence is too thin.
    Unclear = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Whose fault a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The command line's.
    Usage,
    /// `prunella.toml`'s.
    Configuration,
    /// The machine's: a missing program, a full disk, a damaged file.
    Machine,
    /// Nobody's: policy says no.
    Policy,
    /// Nobody's: what was asked for did not come about.
    Answer,
    /// Prunella's own.
    Defect,
}

/// Whether the same command may work when it is run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Not before something was changed.
    AfterThat,
    /// Perhaps, as it is.
    MayHelp,
}

/// An error as it is shown at the edge: what, whose fault, what next, does a retry help.
#[derive(Debug)]
pub struct Problem {
    fault: Fault,
    what: String,
    next: String,
    retry: Retry,
}

impl Problem {
    /// A problem whose remedy must come before a retry.
    #[must_use]
    pub fn new(fault: Fault, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            fault,
            what: what.into(),
            next: next.into(),
            retry: Retry::AfterThat,
        }
    }

    /// A retry as it is may help.
    #[must_use]
    pub fn may_retry(mut self) -> Self {
        self.retry = Retry::MayHelp;
        self
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// What happened.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What to do next.
    #[must_use]
    pub fn next(&self) -> &str {
        &self.next
    }

    /// Whether a retry helps.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.retry
    }

    /// The exit code that says so to scripts.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self.fault {
            Fault::Usage | Fault::Configuration => Exit::Usage,
            Fault::Machine => Exit::Machine,
            Fault::Policy => Exit::Refused,
            Fault::Answer => Exit::No,
            Fault::Defect => Exit::Internal,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    /// Whose fault it is, in words.
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let code = match self.fault {
            Fault::Usage => "the command line",
            Fault::Configuration => "prunella.toml",
            Fault::Machine => "this machine",
            Fault::Policy | Fault::Answer => return None,
            Fault::Defect => "prunella itself; please report it",
        };
        Some(Box::new(code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.next))
    }
}

impl Problem {
    /// From a message of the form "what\n  what to do".
    fn of(fault: Fault, error: &dyn fmt::Display) -> Self {
        let text = error.to_string();
        let (what, next) = text.split_once("\n  ").unwrap_or((&text, ""));
        let next: Vec<&str> = next.lines().map(str::trim).collect();
        Self::new(fault, what, next.join(" "))
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        match &error {
            ConfigError::Missing(_) => Self::of(Fault::Configuration, &error),
            ConfigError::Unreadable { .. } => Self::new(Fault::Machine, error.to_string(), "Make the file readable."),
            ConfigError::Malformed { .. } | ConfigError::Invalid { .. } => Self::new(
                Fault::Configuration,
                error.to_string(),
                "Mend that line; docs/configuration.md lists every key with its default and unit.",
            ),
        }
    }
}

impl From<GitError> for Problem {
    /// Git's messages have the form "what; what to do".
    fn from(error: GitError) -> Self {
        let text = prunella_core::diagnose::plain(&error.to_string(), 400);
        let (what, next) = text.split_once("; ").unwrap_or((&text, ""));
        match error {
            GitError::BadRevision(_) => Self::new(Fault::Usage, what, "Name a commit, a branch or a tag."),
            GitError::NoDirectory(_) => Self::new(Fault::Usage, what, "Name a directory inside a git repository."),
            GitError::NotARepository(_)
            | GitError::Bare(_)
            | GitError::NoCommits(_)
            | GitError::UnknownRevision(_)
            | GitError::BadBranch(_) => Self::new(Fault::Usage, what, next),
            GitError::NoGit(_) | GitError::DubiousOwnership(_) => Self::new(Fault::Machine, what, next),
            GitError::Timeout { .. } => Self::new(Fault::Machine, what, next).may_retry(),
            _ => Self::new(
                Fault::Machine,
                what,
                "`git status` and `git fsck` in the repository say more.",
            ),
        }
    }
}

impl From<GatewayError> for Problem {
    /// The gateway's messages say what to do themselves.
    fn from(error: GatewayError) -> Self {
        let problem = Self::new(Fault::Machine, error.to_string(), "");
        match error {
            GatewayError::System(_) | GatewayError::Bind { .. } => problem.may_retry(),
            _ => problem,
        }
    }
}

impl From<TrafficError> for Problem {
    fn from(error: TrafficError) -> Self {
        let fault = match error {
            TrafficError::Listen { .. } => Fault::Machine,
            TrafficError::Start { .. } | TrafficError::Refused(_) | TrafficError::Control(_) => Fault::Defect,
        };
        Self::of(fault, &error)
    }
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        let fault = match error {
            IntakeError::Token { .. } | IntakeError::Tls(_) => Fault::Configuration,
            IntakeError::Listen { .. } | IntakeError::Spool(_) | IntakeError::Thread(_) => Fault::Machine,
        };
        Self::of(fault, &error)
    }
}

impl From<ReplayError> for Problem {
    fn from(error: ReplayError) -> Self {
        Self::new(
            Fault::Usage,
            error.to_string(),
            "Name files of OTLP (JSON lines, or protobuf with lengths) or of log lines.",
        )
    }
}

impl From<HomeError> for Problem {
    fn from(error: HomeError) -> Self {
        let fault = match error {
            HomeError::Unwritable { .. } => Fault::Machine,
            HomeError::Taken { .. } => Fault::Answer,
        };
        Self::of(fault, &error)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { .. } => {
                Self::new(Fault::Machine, error.to_string(), "Somebody else was faster.").may_retry()
            }
            StoreError::Database { .. } => Self::of(Fault::Machine, &error).may_retry(),
            StoreError::Blob { .. } => Self::new(
                Fault::Machine,
                error.to_string(),
                "What it held is lost; the incident it belongs to stays readable.",
            ),
            _ => Self::of(Fault::Machine, &error),
        }
    }
}

impl From<JournalError> for Problem {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Store(error) => error.into(),
            JournalError::Unknown { .. } => Self::of(Fault::Machine, &error),
        }
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::new(
            Fault::Machine,
            format!("the system refused something: {error}"),
            "The message above says what.",
        )
        .may_retry()
    }
}
