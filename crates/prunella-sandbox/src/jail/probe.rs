//! Finds out what works here by doing it once.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::supervise::Order;
use super::{cgroup, landlock, start, supervise};
use crate::{Capabilities, Exit, JailSpec, Layer, Limits, Mount, SandboxError, Tier};

/// Landlock's version from which on signals do not leave it.
const KEEPS_SIGNALS: i64 = 6;

/// Tries every layer and names the best tier.
pub(super) fn probe() -> Capabilities {
    let trial = trial_run(Tier::B);
    let group = cgroup::Cgroup::create(&Limits::default()).map(drop);
    let landlock = landlock::version();
    let confinement = confinement(&landlock);
    let tier = match (trial.is_ok(), group.is_ok(), confinement.is_ok()) {
        (true, true, _) => Tier::A,
        (true, false, _) => Tier::B,
        (false, _, true) => Tier::C,
        (false, _, false) => Tier::D,
    };
    let overlay = match &trial {
        Ok(notes) if notes.is_empty() => Ok("writable layer in memory".to_owned()),
        Ok(notes) => Err(format!("private copies are made instead: {}", notes.join("; "))),
        Err(_) => Err("not tried without namespaces".to_owned()),
    };
    let namespaces = trial.map(|_| "user, pid, mount, network, ipc, host name".to_owned());
    let layers = vec![
        layer("namespaces", namespaces.map_err(|error| explained(&error))),
        layer("overlay", overlay),
        layer("cgroup", group.map(|()| "memory, pids".to_owned())),
        layer("landlock", landlock.map(|version| format!("version {version}"))),
        layer("confinement", confinement),
    ];
    Capabilities { tier, layers }
}

/// The failed step, with the way out: AppArmor lets the namespace be made and refuses the mounts in it.
fn explained(error: &SandboxError) -> String {
    let text = error.to_string();
    match start::hint() {
        Some(hint) if !text.contains(hint) => text + hint,
        _ => text,
    }
}

/// Whether tier C holds here: Landlock keeps files and signals, or root can become a user that owns nothing.
fn confinement(landlock: &Result<i64, String>) -> Result<String, String> {
    let version = landlock.clone().map_err(|why| format!("needs Landlock: {why}"))?;
    if version < KEEPS_SIGNALS && !rustix::process::geteuid().is_root() {
        return Err(format!(
            "Landlock version {version} lets signals out; a kernel from 6.12 on, or root, is needed without namespaces"
        ));
    }
    trial_run(Tier::C)
        .map(|_| "Landlock and seccomp on private copies".to_owned())
        .map_err(|e| e.to_string())
}

fn layer(name: &str, result: Result<String, String>) -> Layer {
    let works = result.is_ok();
    Layer {
        name: name.into(),
        works,
        detail: result.unwrap_or_else(|why| why),
    }
}

/// Runs a whole jail with a private tree; answers with what was done otherwise than asked.
fn trial_run(tier: Tier) -> Result<Vec<String>, SandboxError> {
    let mut spec = JailSpec::new(["true"]);
    let tree = Scrap::new().map_err(|e| SandboxError::setup("make a directory for the probe", e))?;
    spec.mounts.push(Mount::overlay(&tree.0, "/probe"));
    let (caller, _open) = UnixStream::pair().map_err(|e| SandboxError::setup("probe", e))?;
    let (summary, _) = supervise::run(
        &Order {
            spec: &spec,
            tier,
            bubblewrap: None,
        },
        Vec::new(),
        &caller,
    )?;
    match summary.exit {
        Exit::Exited(0) => Ok(summary.notes),
        other => Err(SandboxError::setup("probe", format!("a trial ended with {other:?}"))),
    }
}

/// An empty directory that stands for a work tree, removed at the end.
struct Scrap(PathBuf);

impl Scrap {
    fn new() -> io::Result<Self> {
        let name = format!("prunella-probe-{}", std::process::id());
        let mut last = io::ErrorKind::NotFound.into();
        for parent in ["/tmp", "/var/tmp", "/dev/shm"] {
            let path = Path::new(parent).join(&name);
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl Drop for Scrap {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}
