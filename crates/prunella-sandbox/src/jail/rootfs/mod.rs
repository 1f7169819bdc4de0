//! Makes the file system that the command sees and enters it. Runs in pid 1 of the jail, in its own mount
//! namespace, with the right to mount there, before anything untrusted exists.

mod base;
mod kernel;
mod mount;
mod system;
mod tree;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use base::Base;
use rustix::mount::{MountPropagationFlags, UnmountFlags};
pub(super) use system::generated;

use super::identity::Identity;
use super::sys;
use crate::{JailSpec, SandboxError};

/// Size of the memory file system that holds the root's directories and generated files.
const ROOT_BYTES: u64 = 16 << 20;

/// What the building needs to know.
pub(super) struct Plan<'a> {
    pub(super) spec: &'a JailSpec,
    pub(super) identity: Identity,
    /// Shows root's files as the jail's user's, where the identity asks for that and the kernel can.
    pub(super) id_map: Option<OwnedFd>,
}

/// Builds the root and enters it. Returns what was done otherwise than asked.
pub(super) fn enter(plan: &Plan<'_>) -> Result<Vec<String>, SandboxError> {
    let step = |name: &'static str| move |error: io::Error| SandboxError::setup(name, error);
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).map_err(|e| SandboxError::setup("make mounts private", e))?;

    // Everything of the host's is taken before the new root hides a part of it.
    let system = system::take(plan.spec)?;
    let trees = tree::take(plan)?;
    let devices = kernel::take_devices().map_err(step("take devices"))?;

    let root = mount::tmpfs(ROOT_BYTES, "755").map_err(step("make the root"))?;
    let at = attach_point().map_err(step("attach the root"))?;
    mount::attach(root.as_fd(), mount::place(at).map_err(step("attach the root"))?.as_fd())
        .map_err(step("attach the root"))?;
    let base = Base::new(root);

    system::put(&base, plan, system)?;
    kernel::put(&base, at, plan, devices)?;
    let notes = tree::put(&base, at, plan, &trees)?;

    pivot(&base).map_err(step("enter the root"))?;
    sys::mount_setattr(base.as_fd(), false, mount::RDONLY, None).map_err(step("make the root read-only"))?;
    Ok(notes)
}

/// A directory that every system has; the new root covers it for a moment, in this namespace only.
fn attach_point() -> io::Result<&'static Path> {
    let candidates = ["/tmp", "/mnt", "/usr"];
    candidates
        .into_iter()
        .map(Path::new)
        .find(|p| p.is_dir())
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Makes the base the root and drops the host's root out of reach (pivot_root(2), "." twice).
fn pivot(base: &Base) -> io::Result<()> {
    rustix::process::fchdir(base.as_fd())?;
    rustix::process::pivot_root(".", ".")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/")?;
    Ok(())
}
