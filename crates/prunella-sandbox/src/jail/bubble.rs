//! Bubblewrap as the builder of the jail, below our own supervisor: the same limits, output and killing, with private
//! copies in place of overlays (bubblewrap 0.8 has none).
//!
//! As root it is started as a user that owns nothing, so that trees and toolchains which only root may read cannot
//! be shown; the native back end can.

use std::ffi::CString;
use std::fs;
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::room::Room;
use super::seccomp::{self, Sockets};
use crate::{JailSpec, MountKind, Network, SandboxError};

/// Numbers of the descriptors that bubblewrap itself reads and closes, above all that a specification may use.
const ARGUMENTS_FD: i32 = 64;
const STATUS_FD: i32 = 65;
const FILTERS_FD: i32 = 66;

/// What is handed to bubblewrap.
pub(super) struct Bubble {
    program: CString,
    /// To be placed at these numbers.
    pub(super) fds: Vec<(OwnedFd, i32)>,
    /// Tells by an exit code that the command was reached at all.
    status: OwnedFd,
}

impl Bubble {
    /// Prepares a start of `program`; `places` are the true sources of the mounts, in their order.
    pub(super) fn new(
        program: &Path,
        spec: &JailSpec,
        room: &Room,
        places: &[PathBuf],
        owner: (u32, u32),
    ) -> Result<Self, SandboxError> {
        let fail = |error: io::Error| SandboxError::setup("prepare bubblewrap", error);
        let filters = seccomp::programs(Sockets::Contained)?;
        let mut list = system(spec, room, owner).map_err(fail)?;
        list.extend(mounts(spec, places));
        list.extend(walls(spec, owner));
        for n in 0..filters.len() {
            list.extend([
                "--add-seccomp-fd".into(),
                (FILTERS_FD + i32::try_from(n).unwrap_or(0)).to_string(),
            ]);
        }
        let text: Vec<u8> = list.iter().flat_map(|word| word.bytes().chain([0])).collect();
        let mut fds = vec![(memory(&text).map_err(fail)?, ARGUMENTS_FD)];
        let (status, writer) = super::sys::pipe().map_err(fail)?;
        fds.push((writer, STATUS_FD));
        for (number, filter) in (FILTERS_FD..).zip(&filters) {
            let bytes: Vec<u8> = filter
                .iter()
                .flat_map(|i| [&i.code.to_ne_bytes()[..], &[i.jt, i.jf], &i.k.to_ne_bytes()].concat())
                .collect();
            fds.push((memory(&bytes).map_err(fail)?, number));
        }
        let program = CString::new(program.to_string_lossy().as_bytes())
            .map_err(|error| SandboxError::setup("prepare bubblewrap", error))?;
        Ok(Self { program, fds, status })
    }

    /// Becomes bubblewrap; returns only where that failed.
    pub(super) fn exec(&self, command: &[String]) -> SandboxError {
        let words = ["bwrap".into(), "--args".into(), ARGUMENTS_FD.to_string(), "--".into()];
        let words: Vec<CString> = words
            .iter()
            .chain(command)
            .filter_map(|word| CString::new(word.as_bytes()).ok())
            .collect();
        let argv: Vec<*const libc::c_char> = words
            .iter()
            .map(|word| word.as_ptr())
            .chain([std::ptr::null()])
            .collect();
        let env = [std::ptr::null()];
        // SAFETY: both lists end with a null pointer and the strings live across the call.
        unsafe { libc::execve(self.program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
        SandboxError::setup("start bubblewrap", io::Error::last_os_error())
    }

    /// Whether the command was started and has ended: without, bubblewrap's exit code speaks of itself. To be asked
    /// when all writers are dead.
    pub(super) fn reached_the_command(&self) -> bool {
        let mut text = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(n @ 1..) = rustix::io::read(&self.status, &mut piece) {
            text.extend_from_slice(&piece[..n]);
            if text.len() > 64 << 10 {
                return false;
            }
        }
        String::from_utf8_lossy(&text).contains("\"exit-code\"")
    }
}

/// A file in memory at its beginning.
fn memory(content: &[u8]) -> io::Result<OwnedFd> {
    let fd = rustix::fs::memfd_create("prunella", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = fs::File::from(fd);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file.into())
}

fn words<const N: usize>(list: [&str; N]) -> impl Iterator<Item = String> {
    list.map(ToOwned::to_owned).into_iter()
}

/// The operating system, `/etc`, toolchains, empty directories.
fn system(spec: &JailSpec, room: &Room, owner: (u32, u32)) -> io::Result<Vec<String>> {
    let mut list: Vec<String> = Vec::new();
    let show = |list: &mut Vec<String>, path: &Path| {
        list.extend(words([
            "--ro-bind",
            &path.display().to_string(),
            &path.display().to_string(),
        ]));
    };
    let size = spec.limits.scratch_bytes.to_string();
    for (path, mode) in [
        (Path::new("/tmp"), "1777"),
        (Path::new("/var/tmp"), "1777"),
        (&spec.system.home, "0700"),
    ] {
        list.extend(words([
            "--perms",
            mode,
            "--size",
            &size,
            "--tmpfs",
            &path.display().to_string(),
        ]));
    }
    for path in &spec.system.directories {
        match fs::read_link(path) {
            Ok(to) => list.extend(words([
                "--symlink",
                &to.display().to_string(),
                &path.display().to_string(),
            ])),
            Err(_) if path.is_dir() => show(&mut list, path),
            Err(_) => {}
        }
    }
    let network = if spec.network == Network::Host {
        &["resolv.conf"][..]
    } else {
        &[]
    };
    for name in spec
        .system
        .etc
        .iter()
        .map(String::as_str)
        .chain(network.iter().copied())
    {
        let path = Path::new("/etc").join(name);
        if path.exists() {
            show(&mut list, &path);
        }
    }
    let etc = room.path("etc");
    fs::create_dir(&etc)?;
    for (name, content) in super::rootfs::generated(spec, owner) {
        fs::write(etc.join(name), content)?;
        let (from, to) = (etc.join(name), Path::new("/etc").join(name));
        list.extend(words([
            "--ro-bind",
            &from.display().to_string(),
            &to.display().to_string(),
        ]));
    }
    let covered = |path: &Path| spec.system.directories.iter().any(|dir| path.starts_with(dir));
    spec.toolchains
        .iter()
        .filter(|path| !covered(path))
        .for_each(|path| show(&mut list, path));
    list.extend(words([
        "--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--size", &size, "--tmpfs", "/dev/shm",
    ]));
    Ok(list)
}

fn mounts(spec: &JailSpec, places: &[PathBuf]) -> Vec<String> {
    let mut list = Vec::new();
    for (mount, place) in spec.mounts.iter().zip(places) {
        let (from, to) = (place.display().to_string(), mount.target.display().to_string());
        match &mount.kind {
            MountKind::ReadOnly => list.extend(words(["--ro-bind", &from, &to])),
            MountKind::Writable | MountKind::Overlay { .. } => list.extend(words(["--bind", &from, &to])),
            MountKind::Tmpfs { bytes } => list.extend(words(["--size", &bytes.to_string(), "--tmpfs", &to])),
        }
    }
    list
}

/// Namespaces, identity, environment.
fn walls(spec: &JailSpec, owner: (u32, u32)) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    // Bubblewrap's process 1 runs as the same user and can be looked into and changed through its directory.
    list.extend(words([
        "--size",
        "4096",
        "--tmpfs",
        "/proc/1",
        "--remount-ro",
        "/proc/1",
    ]));
    list.extend(words([
        "--remount-ro",
        "/",
        "--unshare-all",
        "--unshare-user",
        "--disable-userns",
    ]));
    if spec.network == Network::Host {
        list.push("--share-net".into());
    }
    list.extend(words(["--uid", &owner.0.to_string(), "--gid", &owner.1.to_string()]));
    list.extend(words([
        "--hostname",
        &spec.system.hostname,
        "--die-with-parent",
        "--new-session",
    ]));
    list.extend(words([
        "--cap-drop",
        "ALL",
        "--chdir",
        &spec.cwd.display().to_string(),
        "--clearenv",
    ]));
    for (name, value) in &spec.env {
        list.extend(words(["--setenv", name, value]));
    }
    list.extend(words(["--json-status-fd", &STATUS_FD.to_string()]));
    list
}
