//! Finds out what works here by doing it once.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::{cgroup, landlock, supervise};
use crate::{Capabilities, Exit, JailSpec, Layer, Limits, Mount, SandboxError, Tier};

/// Tries every layer and names the best tier.
pub(super) fn probe() -> Capabilities {
    let version = landlock::version();
    let trial = trial_run();
    let group = cgroup::Cgroup::create(&Limits::default()).map(drop);
    let namespaces = trial.is_ok();
    let (overlay, overlay_detail) = match &trial {
        Ok(notes) if notes.is_empty() => (true, "writable layer in memory".to_owned()),
        Ok(notes) => (false, format!("private copies are made instead: {}", notes.join("; "))),
        Err(_) => (false, "not tried without namespaces".to_owned()),
    };
    let tier = match (namespaces, group.is_ok(), version.is_ok()) {
        (true, true, _) => Tier::A,
        (true, false, _) => Tier::B,
        (false, _, _) => Tier::D,
    };
    let layers = vec![
        layer(
            "namespaces",
            trial
                .map(|_| "user, pid, mount, network, ipc, host name".to_owned())
                .map_err(|e| e.to_string()),
        ),
        Layer {
            name: "overlay".into(),
            works: overlay,
            detail: overlay_detail,
        },
        layer("cgroup", group.map(|()| "memory, pids".to_owned())),
        layer("landlock", version.map(|v| format!("version {v}"))),
    ];
    Capabilities { tier, layers }
}

fn layer(name: &str, result: Result<String, String>) -> Layer {
    let works = result.is_ok();
    Layer {
        name: name.into(),
        works,
        detail: result.unwrap_or_else(|why| why),
    }
}

/// Runs a whole jail of tier B with an overlay; answers with what was done otherwise than asked.
fn trial_run() -> Result<Vec<String>, SandboxError> {
    let mut spec = JailSpec::new(["true"]);
    let tree = Scrap::new().map_err(|e| SandboxError::setup("make a directory for the probe", e))?;
    spec.mounts.push(Mount::overlay(&tree.0, "/probe"));
    let (caller, _open) = UnixStream::pair().map_err(|e| SandboxError::setup("probe", e))?;
    let (summary, _) = supervise::run(&spec, Tier::B, Vec::new(), &caller)?;
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
