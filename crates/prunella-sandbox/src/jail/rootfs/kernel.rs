//! `/dev` and `/proc`: the few devices that programs need, and a process list of the jail's own.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::AtFlags;
use rustix::mount::UnmountFlags;

use super::base::Base;
use super::{Plan, mount, system};
use crate::SandboxError;

/// Devices without side effects.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];
/// Links that programs expect.
const LINKS: &[(&str, &str)] = &[
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/ptmx", "pts/ptmx"),
];
/// Parts of `/proc` that only a host's administrator needs to change.
const READ_ONLY: &[&str] = &["sys", "irq", "bus", "fs", "sysrq-trigger"];
/// Files of `/proc` that tell about the host's kernel or keys: covered by an empty one.
const HIDDEN_FILES: &[&str] = &[
    "kcore",
    "keys",
    "key-users",
    "kmsg",
    "timer_list",
    "sched_debug",
    "latency_stats",
    "kallsyms",
    "kpagecount",
];
/// Directories of `/proc` of the same kind.
const HIDDEN_DIRECTORIES: &[&str] = &["acpi", "asound", "scsi", "driver"];

/// An empty directory and file to cover others with; gone before the root is entered.
const NOTHING: &str = ".nothing";

/// The host's devices, taken while they are in sight.
pub(super) struct Devices(Vec<(&'static str, OwnedFd)>);

/// Takes the devices. One that the host itself lacks is left out.
pub(super) fn take_devices() -> io::Result<Devices> {
    let mut taken = Vec::new();
    for name in DEVICES {
        let path = Path::new("/dev").join(name);
        if path.exists() {
            let fd = mount::clone_host(&path)?;
            mount::restrict(fd.as_fd(), mount::NOSUID | mount::NOEXEC)?;
            taken.push((*name, fd));
        }
    }
    Ok(Devices(taken))
}

/// Puts `/dev` and `/proc` in place.
pub(super) fn put(base: &Base, at: &Path, plan: &Plan<'_>, devices: Devices) -> Result<(), SandboxError> {
    put_dev(base, plan, devices)?;
    put_proc(base, at)
}

fn put_dev(base: &Base, plan: &Plan<'_>, devices: Devices) -> Result<(), SandboxError> {
    for (name, fd) in devices.0 {
        base.put(&Path::new("/dev").join(name), fd.as_fd())?;
    }
    system::empty(
        base,
        Path::new("/dev/shm"),
        plan.spec.limits.scratch_bytes,
        "1777",
        None,
    )?;
    let options = [
        ("newinstance", None),
        ("ptmxmode", Some("0666")),
        ("mode", Some("0620")),
    ];
    let pts = mount::filesystem("devpts", &options, mount::NOSUID | mount::NOEXEC)
        .map_err(|error| SandboxError::setup("mount /dev/pts", error))?;
    base.put(Path::new("/dev/pts"), pts.as_fd())?;
    LINKS
        .iter()
        .try_for_each(|(path, to)| base.link(Path::new(path), Path::new(to)))
}

fn put_proc(base: &Base, at: &Path) -> Result<(), SandboxError> {
    let fail = |error: io::Error| SandboxError::setup("mount /proc", error);
    let flags = mount::NOSUID | mount::NODEV | mount::NOEXEC;
    let proc = mount::filesystem("proc", &[], flags).map_err(|error| {
        SandboxError::setup(
            "mount /proc",
            format!("{error} (a container that masks its own /proc forbids this)"),
        )
    })?;
    base.put(Path::new("/proc"), proc.as_fd())?;
    let proc = base
        .make(Path::new("/proc"), super::base::Kind::Directory)
        .map_err(fail)?;
    base.put(Path::new(NOTHING), mount::tmpfs(64 << 10, "555").map_err(fail)?.as_fd())?;
    let nothing = base
        .make(Path::new(NOTHING), super::base::Kind::Directory)
        .map_err(fail)?;
    let file = rustix::fs::openat(
        &nothing,
        "empty",
        rustix::fs::OFlags::CREATE | rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::from_raw_mode(0o444),
    )
    .map_err(|e| fail(e.into()))?;
    for name in READ_ONLY {
        cover(&proc, name, |at| mount::clone_fd(at.as_fd()), mount::RDONLY).map_err(fail)?;
    }
    for name in HIDDEN_FILES {
        cover(&proc, name, |_| mount::clone_fd(file.as_fd()), mount::RDONLY).map_err(fail)?;
    }
    for name in HIDDEN_DIRECTORIES {
        cover(&proc, name, |_| mount::clone_fd(nothing.as_fd()), mount::RDONLY).map_err(fail)?;
    }
    rustix::mount::unmount(at.join(NOTHING), UnmountFlags::DETACH).map_err(|e| fail(e.into()))?;
    rustix::fs::unlinkat(base.as_fd(), NOTHING, AtFlags::REMOVEDIR).map_err(|e| fail(e.into()))
}

/// Mounts what `with` makes over an entry of `/proc`, where that entry exists.
fn cover(proc: &OwnedFd, name: &str, with: impl FnOnce(&OwnedFd) -> io::Result<OwnedFd>, flags: u64) -> io::Result<()> {
    use rustix::fs::{Mode, OFlags};
    let at = match rustix::fs::openat(
        proc,
        name,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    ) {
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        other => other?,
    };
    let cover = with(&at)?;
    mount::restrict(cover.as_fd(), flags | mount::NOSUID | mount::NODEV | mount::NOEXEC)?;
    mount::attach(cover.as_fd(), at.as_fd())
}
