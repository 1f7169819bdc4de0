//! A sandbox around one checked-out tree: what is mounted where, which toolchains are shown, which limits hold.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prunella_sandbox::{
    CancelToken, JailSpec, Limits, Mount, Network, Priority, Report, SandboxError, Tier, find_toolchain,
};

use crate::config::{Command, Config};
use crate::supervise::base_env;

/// Programs that a command may start without naming them.
const USUAL: &[&str] = &["python3", "python", "node", "npm", "cargo", "rustc"];
/// Where the probe's own program is shown inside.
pub const PROBE: &str = "/opt/prunella/prunella";

/// A tree to run things in.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Where the tree stands, on the host and inside.
    pub tree: PathBuf,
    /// Directories and files of the machine that are shown read-only at their own places: toolchains, certificates.
    pub shown: Vec<PathBuf>,
    /// Prunella's own directories that the tree links to: built dependencies. Like the tree they can be private to
    /// their owner, so they are mounted as the tree is and not shown as the machine's.
    pub linked: Vec<PathBuf>,
    /// Files and directories that take the place of others: (host, inside), writable, private to this run.
    pub state: Vec<(PathBuf, PathBuf)>,
    /// The limits.
    pub limits: Limits,
    /// Whether the host's network is there: for building dependencies only.
    pub network: Network,
    /// Whether what is written to the tree stays: for building only.
    pub keeps: bool,
}

impl Cell {
    /// A cell for one tree with the limits of the configuration.
    #[must_use]
    pub fn new(config: &Config, tree: &Path, wall: Duration) -> Self {
        let sandbox = &config.sandbox;
        let limits = Limits {
            wall,
            cpu: wall.saturating_mul(2),
            memory_bytes: sandbox.memory.0,
            processes: sandbox.processes,
            file_size_bytes: sandbox.file_size.0,
            scratch_bytes: sandbox.scratch.0,
            ..Limits::default()
        };
        Self {
            tree: tree.to_owned(),
            shown: sandbox.toolchains.clone(),
            linked: Vec::new(),
            state: Vec::new(),
            limits,
            network: Network::Loopback,
            keeps: false,
        }
    }

    /// The specification of one run in this cell. The environment is exactly `env` over the machine's `PATH` and
    /// locale.
    #[must_use]
    pub fn spec(&self, argv: &[String], env: &BTreeMap<String, String>) -> JailSpec {
        let mut spec = JailSpec::new(argv.iter().cloned());
        let base: BTreeMap<String, String> = base_env().into_iter().collect();
        for name in ["PATH", "LANG", "LC_ALL", "TZ"] {
            if let Some(value) = base.get(name) {
                spec.env.insert(name.to_owned(), value.clone());
            }
        }
        spec.env.extend(env.iter().map(|(k, v)| (k.clone(), v.clone())));
        spec.cwd.clone_from(&self.tree);
        let tree = if self.keeps {
            Mount::writable(&self.tree, &self.tree)
        } else {
            Mount::overlay(&self.tree, &self.tree)
        };
        spec.mounts = vec![tree];
        spec.mounts
            .extend(self.linked.iter().map(|path| Mount::read_only(path, path)));
        spec.mounts
            .extend(self.state.iter().map(|(host, inside)| Mount::writable(host, inside)));
        let path = spec.env.get("PATH").cloned().unwrap_or_default();
        spec.toolchains = self.toolchains(argv, &path);
        spec.limits = self.limits.clone();
        spec.network = self.network;
        spec.priority = Priority::Background;
        spec.minimum_tier = Tier::C;
        spec
    }

    /// The toolchains of every program that the command names, of the usual ones, and what else is to be shown.
    fn toolchains(&self, argv: &[String], path: &str) -> Vec<PathBuf> {
        let words = argv
            .iter()
            .flat_map(|arg| arg.split(|c: char| c.is_whitespace() || ";&|()'\"=".contains(c)));
        let mut found: BTreeSet<PathBuf> = self.shown.iter().filter(|p| p.exists()).cloned().collect();
        for word in words.chain(USUAL.iter().copied()).filter(|w| !w.is_empty()) {
            let local = self.tree.join(word);
            let program = if word.contains('/') && local.exists() {
                local.as_os_str()
            } else {
                OsStr::new(word)
            };
            found.extend(find_toolchain(program, OsStr::new(path)));
        }
        found.retain(|dir| !dir.starts_with(&self.tree));
        found.into_iter().collect()
    }

    /// Runs a command of the configuration to its end. Blocks.
    ///
    /// # Errors
    /// If the run did not take place.
    pub fn run(
        &self,
        command: &Command,
        env: &BTreeMap<String, String>,
        cancel: &CancelToken,
    ) -> Result<Report, SandboxError> {
        prunella_sandbox::run(&self.spec(&command.argv(None), env), cancel)
    }
}
