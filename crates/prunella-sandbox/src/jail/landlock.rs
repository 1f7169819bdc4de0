//! Landlock: a second fence behind the mounts, as far as the kernel's version of it goes.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};

use super::sys;
use crate::SandboxError;

/// Newest version whose rights are asked for.
const NEWEST: ABI = ABI::V6;

/// What may be done below a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grant {
    /// Read and execute.
    Read,
    /// Everything but making devices.
    Write,
}

/// Restricts this process and all that it starts to `grants`; also forbids signals and abstract sockets that lead
/// out of it, and all TCP where `no_tcp`. Paths that do not exist are left out. Returns whether anything is enforced.
pub(super) fn restrict<'a>(
    grants: impl IntoIterator<Item = (&'a Path, Grant)>,
    no_tcp: bool,
) -> Result<bool, SandboxError> {
    let status = try_restrict(grants, no_tcp).map_err(|error| SandboxError::setup("landlock", error))?;
    Ok(status != RulesetStatus::NotEnforced)
}

fn try_restrict<'a>(
    grants: impl IntoIterator<Item = (&'a Path, Grant)>,
    no_tcp: bool,
) -> Result<RulesetStatus, landlock::RulesetError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?;
    if no_tcp {
        ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST))?;
    }
    let mut created = ruleset.create()?;
    for (path, grant) in grants {
        let Ok(fd) = PathFd::new(path) else { continue };
        let mut access = allowed(grant);
        if !path.is_dir() {
            access &= AccessFs::from_file(NEWEST);
        }
        created = created.add_rule(PathBeneath::new(fd, access))?;
    }
    Ok(created.restrict_self()?.ruleset)
}

fn allowed(grant: Grant) -> BitFlags<AccessFs> {
    match grant {
        Grant::Read => AccessFs::from_read(NEWEST) | AccessFs::IoctlDev,
        Grant::Write => AccessFs::from_all(NEWEST) & !(AccessFs::MakeChar | AccessFs::MakeBlock),
    }
}

/// The kernel's version of Landlock, or the reason why there is none.
pub(super) fn version() -> Result<i64, String> {
    const LANDLOCK_CREATE_RULESET_VERSION: libc::c_uint = 1;
    // SAFETY: with this flag no attributes are read, so a null pointer of size zero is right.
    let r = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            0_usize,
            0_usize,
            LANDLOCK_CREATE_RULESET_VERSION,
        )
    };
    sys::check(r).map_err(|error| match error.raw_os_error() {
        Some(libc::EOPNOTSUPP) => "built in but not enabled: add landlock to the kernel's lsm= list".into(),
        Some(libc::ENOSYS) => "the kernel is older than 5.13 or was built without it".into(),
        _ => error.to_string(),
    })
}
