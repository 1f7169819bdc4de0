//! The operating system inside: its directories read-only, `/etc` from a list and generated, toolchains.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::base::{Base, Kind};
use super::{Plan, mount};
use crate::{JailSpec, Network, SandboxError};

/// Flags of everything that is shown of the host's system.
const SHOWN: u64 = mount::RDONLY | mount::NOSUID | mount::NODEV;

/// Something of the host's for the same path inside.
enum Piece {
    Link(PathBuf),
    Mount(OwnedFd),
}

/// What was taken of the host, in the order in which it is put in place.
pub(super) struct Taken(Vec<(PathBuf, Piece)>);

/// Takes the directories, the entries of `/etc` and the toolchains.
pub(super) fn take(spec: &JailSpec) -> Result<Taken, SandboxError> {
    let mut taken = Vec::new();
    for path in &spec.system.directories {
        // Merged-usr systems have links here; programs and the loader expect the same shape.
        if let Ok(to) = std::fs::read_link(path) {
            taken.push((path.clone(), Piece::Link(to)));
        } else if path.is_dir() {
            taken.push((path.clone(), Piece::Mount(shown(path)?)));
        }
    }
    let host_only = ["resolv.conf", "gai.conf"];
    let host_network = if spec.network == Network::Host {
        &host_only[..]
    } else {
        &[]
    };
    for name in spec
        .system
        .etc
        .iter()
        .map(String::as_str)
        .chain(host_network.iter().copied())
    {
        let path = Path::new("/etc").join(name);
        if path.exists() {
            taken.push((path.clone(), Piece::Mount(shown(&path)?)));
        }
    }
    for path in &spec.toolchains {
        if !spec.system.directories.iter().any(|dir| path.starts_with(dir)) {
            taken.push((path.clone(), Piece::Mount(shown(path)?)));
        }
    }
    Ok(Taken(taken))
}

fn shown(path: &Path) -> Result<OwnedFd, SandboxError> {
    let take = || -> std::io::Result<OwnedFd> {
        let fd = mount::clone_host(path)?;
        mount::restrict(fd.as_fd(), SHOWN)?;
        Ok(fd)
    };
    take().map_err(|error| SandboxError::setup(format!("show {}", path.display()), error))
}

/// Puts in place what was taken, the generated files and the empty directories.
pub(super) fn put(base: &Base, plan: &Plan<'_>, taken: Taken) -> Result<(), SandboxError> {
    let bytes = plan.spec.limits.scratch_bytes;
    empty(base, Path::new("/tmp"), bytes, "1777", None)?;
    empty(base, Path::new("/var/tmp"), bytes, "1777", None)?;
    let owner = Some((plan.identity.uid(), plan.identity.gid()));
    empty(base, &plan.spec.system.home, bytes, "700", owner)?;
    for (path, content) in generated(plan.spec, (plan.identity.uid(), plan.identity.gid())) {
        base.write(&Path::new("/etc").join(path), &content)?;
    }
    for (path, piece) in taken.0 {
        match piece {
            Piece::Link(to) => base.link(&path, &to)?,
            Piece::Mount(fd) => base.put(&path, fd.as_fd())?,
        }
    }
    base.make(Path::new("/run"), Kind::Directory)
        .map_err(|e| SandboxError::setup("make /run", e))?;
    Ok(())
}

/// An empty memory file system at `path`.
pub(super) fn empty(
    base: &Base,
    path: &Path,
    bytes: u64,
    mode: &str,
    owner: Option<(u32, u32)>,
) -> Result<(), SandboxError> {
    let fail = |error: std::io::Error| SandboxError::setup(format!("mount {}", path.display()), error);
    let fd = mount::tmpfs(bytes, mode).map_err(fail)?;
    if let Some((uid, gid)) = owner {
        super::tree::own(fd.as_fd(), uid, gid).map_err(fail)?;
    }
    base.put(path, fd.as_fd())
}

/// The files of `/etc` that say who and where one is; the host's own tell too much.
pub(in crate::jail) fn generated(spec: &JailSpec, (uid, gid): (u32, u32)) -> Vec<(&'static str, String)> {
    let (home, host) = (spec.system.home.display(), &spec.system.hostname);
    let mut files = vec![
        (
            "passwd",
            format!(
                "root:x:0:0:root:/:/usr/sbin/nologin\njail:x:{uid}:{gid}:jail:{home}:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
            ),
        ),
        ("group", format!("root:x:0:\njail:x:{gid}:\nnogroup:x:65534:\n")),
        ("hosts", format!("127.0.0.1 localhost {host}\n::1 localhost\n")),
        ("hostname", format!("{host}\n")),
        (
            "nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files dns\n".to_owned(),
        ),
        ("machine-id", "0123456789abcdef0123456789abcdef\n".to_owned()),
        ("shells", "/bin/sh\n/bin/bash\n".to_owned()),
    ];
    if spec.network == Network::Loopback {
        // Without a server to ask, a look-up fails at once instead of after a timeout.
        files.push(("resolv.conf", "options timeout:1 attempts:1\n".to_owned()));
    }
    files
}
