//! The native back end, seen from the caller: start the supervisor, hand over the specification, wait.

mod launcher;

use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::OnceLock;

pub use launcher::Launcher;

use crate::wire::{self, Reply, Request};
use crate::{Backend, CancelToken, Capabilities, JailSpec, Report, SandboxError, Tier};

/// Name in reports.
const NAME: &str = "native";

/// Runs in namespaces made by this program itself; see the crate's documentation.
#[derive(Debug)]
pub struct Native {
    launcher: Launcher,
    at_most: Tier,
    capabilities: OnceLock<Capabilities>,
}

impl Default for Native {
    fn default() -> Self {
        Self::new(Launcher::default())
    }
}

impl Native {
    /// A back end whose supervisor is started by `launcher`.
    #[must_use]
    pub fn new(launcher: Launcher) -> Self {
        Self {
            launcher,
            at_most: Tier::A,
            capabilities: OnceLock::new(),
        }
    }

    /// Never uses a tier better than this one: to test what the lower tiers promise.
    #[must_use]
    pub fn at_most(mut self, tier: Tier) -> Self {
        self.at_most = tier;
        self
    }

    fn try_probe(&self) -> Capabilities {
        let ask = || ask(&self.launcher, NAME, &Request::Probe, &[], &CancelToken::new());
        // The answer is kept for as long as this process lives: a supervisor that was killed does not decide it.
        let answer = match ask() {
            Err(SandboxError::Supervisor(_)) => ask(),
            answer => answer,
        };
        match answer {
            Ok(Answer::Capabilities(found)) => found,
            Ok(Answer::Report(_)) => Capabilities::none("supervisor", "the supervisor answered out of turn"),
            Err(error) => Capabilities::none("supervisor", error.to_string()),
        }
    }
}

/// Starts a supervisor, hands over the specification with its descriptors and waits for the report.
pub(crate) fn run(
    launcher: &Launcher,
    name: &str,
    spec: &JailSpec,
    tier: Tier,
    bubblewrap: Option<PathBuf>,
    cancel: &CancelToken,
) -> Result<Report, SandboxError> {
    let fds: Vec<BorrowedFd<'_>> = spec
        .extra_fds
        .iter()
        // SAFETY: the caller keeps the descriptors open during the run, as `ExtraFd` demands; a number that is
        // not open makes sendmsg fail with EBADF and touches nothing.
        .map(|fd| unsafe { BorrowedFd::borrow_raw(fd.outer) })
        .collect();
    let request = Request::Run {
        spec: Box::new(spec.clone()),
        tier,
        bubblewrap,
    };
    match ask(launcher, name, &request, &fds, cancel) {
        Ok(Answer::Report(report)) => Ok(*report),
        Ok(Answer::Capabilities(_)) => Err(SandboxError::Supervisor("it answered out of turn".into())),
        // The order came before the supervisor had the specification: it has started nothing.
        Err(SandboxError::Supervisor(_)) if cancel.is_cancelled() => Ok(Report::cancelled(name, tier)),
        Err(error) => Err(error),
    }
}

fn ask(
    launcher: &Launcher,
    name: &str,
    request: &Request,
    fds: &[BorrowedFd<'_>],
    cancel: &CancelToken,
) -> Result<Answer, SandboxError> {
    let mut supervisor = launcher.start()?;
    let _watch = cancel.watch(&supervisor.socket).map_err(broken)?;
    let told = wire::send(&mut supervisor.socket, request, fds);
    if let (Err(error), false) = (told, cancel.is_cancelled()) {
        return Err(broken(error));
    }
    match wire::receive::<Reply>(&mut supervisor.socket).map_err(broken)?.0 {
        Reply::Done(summary) => {
            let report = summary.into_report(name, &mut supervisor.socket).map_err(broken)?;
            Ok(Answer::Report(Box::new(report)))
        }
        Reply::Probed(capabilities) => Ok(Answer::Capabilities(capabilities)),
        Reply::Failed(error) => Err(error),
    }
}

enum Answer {
    Report(Box<Report>),
    Capabilities(Capabilities),
}

#[expect(clippy::needless_pass_by_value, reason = "used as a map_err function")]
fn broken(error: std::io::Error) -> SandboxError {
    let reason = match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "it died before it answered".to_owned(),
        _ => error.to_string(),
    };
    SandboxError::Supervisor(reason)
}

impl Backend for Native {
    fn name(&self) -> &'static str {
        NAME
    }

    fn probe(&self) -> &Capabilities {
        self.capabilities.get_or_init(|| self.try_probe())
    }

    fn run(&self, spec: &JailSpec, cancel: &CancelToken) -> Result<Report, SandboxError> {
        spec.check()?;
        let found = self.probe();
        let tier = found.tier.max(self.at_most);
        if tier == Tier::D || tier > spec.minimum_tier {
            return Err(SandboxError::TierTooLow {
                found: tier,
                wanted: spec.minimum_tier,
                why: found.missing(),
            });
        }
        run(&self.launcher, NAME, spec, tier, None, cancel)
    }
}
