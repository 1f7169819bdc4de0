//! The bubblewrap back end: an independent, widely reviewed builder of jails below the same supervisor.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::{Backend, CancelToken, Capabilities, Exit, JailSpec, Launcher, Layer, Report, SandboxError, Tier, native};

/// Name in reports.
const NAME: &str = "bubblewrap";
/// Where distributions put it.
const PROGRAMS: &[&str] = &["/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap"];

/// Runs in namespaces made by `bwrap` (0.8 or newer), with private copies and limits as in tier B. As root, the jail is
/// built by a user that owns nothing: what only root may read cannot be shown. It adds `PWD` to the environment, and an
/// exit code from 129 to 192 is read as an end by a signal, as shells do.
#[derive(Debug)]
pub struct Bubblewrap {
    launcher: Launcher,
    capabilities: OnceLock<Capabilities>,
}

impl Default for Bubblewrap {
    fn default() -> Self {
        Self::new(Launcher::default())
    }
}

impl Bubblewrap {
    /// A back end whose supervisor is started by `launcher`.
    #[must_use]
    pub fn new(launcher: Launcher) -> Self {
        Self {
            launcher,
            capabilities: OnceLock::new(),
        }
    }

    fn run_with(&self, program: PathBuf, spec: &JailSpec, cancel: &CancelToken) -> Result<Report, SandboxError> {
        native::run(&self.launcher, NAME, spec, Tier::B, Some(program), cancel)
    }

    fn try_probe(&self) -> Capabilities {
        let Some(program) = program() else {
            return Capabilities::none(NAME, "bwrap is not installed; install the package bubblewrap");
        };
        match self.run_with(program, &JailSpec::new(["true"]), &CancelToken::new()) {
            Ok(report) if report.exit == Exit::Exited(0) => {
                let detail = "user, pid, mount, network, ipc, host name; private copies".to_owned();
                Capabilities {
                    tier: Tier::B,
                    layers: vec![Layer {
                        name: NAME.into(),
                        works: true,
                        detail,
                    }],
                }
            }
            Ok(report) => Capabilities::none(NAME, format!("a trial ended with {:?}", report.exit)),
            Err(error) => Capabilities::none(NAME, error.to_string()),
        }
    }
}

fn program() -> Option<PathBuf> {
    PROGRAMS
        .iter()
        .map(Path::new)
        .find(|path| path.is_file())
        .map(Path::to_owned)
}

impl Backend for Bubblewrap {
    fn name(&self) -> &'static str {
        NAME
    }

    fn probe(&self) -> &Capabilities {
        self.capabilities.get_or_init(|| self.try_probe())
    }

    fn run(&self, spec: &JailSpec, cancel: &CancelToken) -> Result<Report, SandboxError> {
        spec.check()?;
        let found = self.probe();
        let unavailable = || SandboxError::Unavailable {
            backend: NAME.into(),
            why: found.missing(),
        };
        if found.tier == Tier::D {
            return Err(unavailable());
        }
        if found.tier > spec.minimum_tier {
            let wanted = spec.minimum_tier;
            return Err(SandboxError::TierTooLow {
                found: found.tier,
                wanted,
                why: "bubblewrap has no cgroup".into(),
            });
        }
        self.run_with(program().ok_or_else(unavailable)?, spec, cancel)
    }
}
