//! The caller's mounts: work trees as overlays (or copies where there is no overlay), and the rest.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Gid, Mode, Uid};
use rustix::mount::UnmountFlags;

use super::base::{Base, Kind};
use super::{Plan, mount};
use crate::jail::copy;
use crate::jail::identity::{Identity, in_first_user_namespace};
use crate::jail::sys;
use crate::{Mount, MountKind, SandboxError};

/// Where the layers are while the overlays are made, below the new root; gone before it is entered.
const LOWER: &str = ".lower";
const SCRATCH: &str = ".scratch";
const OWN: &str = ".own";

/// One mount of the specification with what was taken of the host for it.
pub(super) struct Tree<'a> {
    spec: &'a Mount,
    /// `None` for a tmpfs.
    source: Option<OwnedFd>,
    /// The caller's directory for changes.
    scratch: Option<OwnedFd>,
    /// Whether the source belongs to root and could not be shown as the jail's user's.
    foreign: bool,
}

/// Takes the sources of all mounts.
pub(super) fn take<'a>(plan: &Plan<'a>) -> Result<Vec<Tree<'a>>, SandboxError> {
    plan.spec.mounts.iter().map(|spec| take_one(plan, spec)).collect()
}

fn take_one<'a>(plan: &Plan<'_>, spec: &'a Mount) -> Result<Tree<'a>, SandboxError> {
    let mut tree = Tree {
        spec,
        source: None,
        scratch: None,
        foreign: false,
    };
    if matches!(spec.kind, MountKind::Tmpfs { .. }) {
        return Ok(tree);
    }
    let fail = |path: &Path| {
        let stage = format!("take {}", path.display());
        move |error: io::Error| SandboxError::setup(stage.clone(), error)
    };
    let source = mount::clone_host(&spec.source).map_err(fail(&spec.source))?;
    tree.foreign = remap(plan, source.as_fd()).map_err(fail(&spec.source))?;
    let read_only = if spec.kind == MountKind::ReadOnly {
        mount::RDONLY
    } else {
        0
    };
    mount::restrict(source.as_fd(), mount::NOSUID | mount::NODEV | read_only).map_err(fail(&spec.source))?;
    if tree.foreign && spec.kind == MountKind::Writable {
        return Err(SandboxError::setup(
            format!("show {} writable", spec.source.display()),
            "it belongs to root and its file system cannot be id-mapped; change its owner",
        ));
    }
    if let MountKind::Overlay { scratch: Some(path) } = &spec.kind {
        // Not remapped: the kernel makes the layers' directories as root, which a map to another id excludes.
        tree.scratch = Some(mount::clone_host(path).map_err(fail(path))?);
    }
    tree.source = Some(source);
    Ok(tree)
}

/// Shows root's files as the jail's user's. Returns whether that was needed but cannot be had.
fn remap(plan: &Plan<'_>, source: BorrowedFd<'_>) -> io::Result<bool> {
    if !matches!(plan.identity, Identity::Dropped { remap: true, .. }) {
        return Ok(false);
    }
    let owner = rustix::fs::statat(source, "", AtFlags::EMPTY_PATH)?.st_uid;
    if owner != 0 {
        return Ok(false);
    }
    let Some(map) = &plan.id_map else { return Ok(true) };
    Ok(sys::mount_setattr(source, true, 0, Some(map.as_fd())).is_err())
}

/// Puts the mounts in place, in the order of the specification. `at` is where the new root can be reached now.
pub(super) fn put(base: &Base, at: &Path, plan: &Plan<'_>, trees: &[Tree<'_>]) -> Result<Vec<String>, SandboxError> {
    let mut notes = Vec::new();
    let overlays = trees.iter().any(|t| matches!(t.spec.kind, MountKind::Overlay { .. }));
    if overlays {
        // One file system for all overlays, so that one size bounds them together.
        let shared = mount::tmpfs(plan.spec.limits.scratch_bytes, "755")
            .map_err(|error| SandboxError::setup("make scratch", error))?;
        base.put(Path::new(SCRATCH), shared.as_fd())?;
    }
    for (n, tree) in trees.iter().enumerate() {
        let target = &tree.spec.target;
        match (&tree.spec.kind, &tree.source) {
            (MountKind::Tmpfs { bytes }, _) => {
                let owner = Some((plan.identity.uid(), plan.identity.gid()));
                super::system::empty(base, target, *bytes, "755", owner)?;
            }
            (MountKind::Overlay { .. }, Some(source)) => {
                let layers = Layers::attach(base, at, tree, source, n)?;
                let (mounted, note) = layers.private(plan, tree)?;
                layers.detach(base, tree)?;
                notes.extend(note);
                base.put(target, mounted.as_fd())?;
            }
            (_, Some(source)) => base.put(target, source.as_fd())?,
            (_, None) => {}
        }
    }
    if overlays {
        hide(base, at, SCRATCH).map_err(|error| SandboxError::setup("detach scratch", error))?;
    }
    Ok(notes)
}

/// Takes layers out of sight; the overlays hold on to their own references.
fn hide(base: &Base, at: &Path, name: &str) -> io::Result<()> {
    rustix::mount::unmount(at.join(name), UnmountFlags::DETACH)?;
    Ok(rustix::fs::unlinkat(base.as_fd(), name, AtFlags::REMOVEDIR)?)
}

/// The layers of one overlay, in sight as long as it is being made.
struct Layers {
    at: PathBuf,
    lower: PathBuf,
    scratch: PathBuf,
}

impl Layers {
    fn attach(base: &Base, at: &Path, tree: &Tree<'_>, source: &OwnedFd, n: usize) -> Result<Self, SandboxError> {
        let attach = || -> io::Result<Self> {
            if Kind::of(source.as_fd())? != Kind::Directory {
                return Err(io::Error::other("an overlay needs a directory"));
            }
            mount::attach(source.as_fd(), base.make(Path::new(LOWER), Kind::Directory)?.as_fd())?;
            let scratch = if let Some(own) = &tree.scratch {
                mount::attach(own.as_fd(), base.make(Path::new(OWN), Kind::Directory)?.as_fd())?;
                at.join(OWN)
            } else {
                let mine = at.join(SCRATCH).join(n.to_string());
                std::fs::create_dir(&mine)?;
                mine
            };
            Ok(Self {
                at: at.to_owned(),
                lower: at.join(LOWER),
                scratch,
            })
        };
        attach().map_err(|error| SandboxError::setup(format!("overlay {}", tree.spec.source.display()), error))
    }

    /// The overlay, or a copy with the reason why.
    fn private(&self, plan: &Plan<'_>, tree: &Tree<'_>) -> Result<(OwnedFd, Option<String>), SandboxError> {
        let why = if tree.foreign {
            "its owner cannot be mapped".to_owned()
        } else {
            match self.overlay() {
                Ok(mounted) => return Ok((mounted, None)),
                Err(error) => error.to_string(),
            }
        };
        let source = tree.spec.source.display();
        let copied = self
            .copied(plan)
            .map_err(|error| SandboxError::setup(format!("copy {source} (no overlay: {why})"), error))?;
        Ok((copied, Some(format!("{source} was copied, no overlay: {why}"))))
    }

    fn overlay(&self) -> io::Result<OwnedFd> {
        let (upper, work) = (self.scratch.join("upper"), self.scratch.join("work"));
        std::fs::create_dir(&upper)?;
        std::fs::create_dir(&work)?;
        // The overlay's root shows the attributes of the upper directory.
        let lower = rustix::fs::stat(&self.lower)?;
        own(mount::place(&upper)?.as_fd(), lower.st_uid, lower.st_gid)?;
        rustix::fs::chmod(&upper, Mode::from_raw_mode(lower.st_mode & 0o7777))?;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let (lower, upper, work) = (text(&self.lower), text(&upper), text(&work));
        let mut options = vec![
            ("lowerdir", Some(&*lower)),
            ("upperdir", Some(&*upper)),
            ("workdir", Some(&*work)),
        ];
        if !in_first_user_namespace() {
            options.push(("userxattr", None));
        }
        mount::filesystem("overlay", &options, mount::NOSUID | mount::NODEV)
    }

    fn copied(&self, plan: &Plan<'_>) -> io::Result<OwnedFd> {
        let to = self.scratch.join("copy");
        let owner = match plan.identity {
            Identity::Dropped { uid, gid, .. } => Some((uid, gid)),
            Identity::UserNamespace { .. } => None,
        };
        copy::tree(&self.lower, &to, owner, &mut plan.spec.limits.scratch_bytes.clone())?;
        let fd = mount::clone_host(&to)?;
        mount::restrict(fd.as_fd(), mount::NOSUID | mount::NODEV)?;
        Ok(fd)
    }

    fn detach(&self, base: &Base, tree: &Tree<'_>) -> Result<(), SandboxError> {
        let lower = hide(base, &self.at, LOWER);
        let own = if tree.scratch.is_some() {
            hide(base, &self.at, OWN)
        } else {
            Ok(())
        };
        lower
            .and(own)
            .map_err(|error| SandboxError::setup("detach the layers", error))
    }
}

/// Changes the owner of an open file or directory.
pub(super) fn own(fd: BorrowedFd<'_>, uid: u32, gid: u32) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    Ok(rustix::fs::chownat(fd, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?)
}
