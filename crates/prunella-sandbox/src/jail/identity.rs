//! Who the jail runs as, seen from outside.
//!
//! Not root: as the caller, in a user namespace that maps that one id to itself. Root: never as root. A tree that
//! belongs to an ordinary user is run as that user; a tree that belongs to root is shown through an id-mapped
//! mount (or copied) as the property of an id that owns nothing on the host.

use std::os::unix::fs::MetadataExt;

use crate::{JailSpec, MountKind};

/// An id that no distribution gives out (Debian policy 9.2.2 reserves 65000 to 65533).
const NOBODY_ELSE: u32 = 65533;

/// How the jail gets the right to build its namespaces, and whom the command runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity {
    /// The supervisor may build everything itself and drops to this user and group afterwards.
    Dropped {
        uid: u32,
        gid: u32,
        /// Whether trees of root's are shown as this user's.
        remap: bool,
    },
    /// Everything happens in a user namespace, as this user.
    UserNamespace { uid: u32, gid: u32 },
}

impl Identity {
    /// The right one for this process and this specification.
    pub(super) fn choose(spec: &JailSpec) -> Self {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        if uid != 0 || !super::caps::may_administrate() || !may_become(NOBODY_ELSE) {
            return Self::UserNamespace { uid, gid };
        }
        match tree_owner(spec) {
            Some((uid, gid)) if uid != 0 && gid != 0 && may_become(uid) => Self::Dropped { uid, gid, remap: false },
            _ => Self::Dropped {
                uid: NOBODY_ELSE,
                gid: NOBODY_ELSE,
                remap: true,
            },
        }
    }

    /// For a jail without namespaces: root becomes the id that owns nothing, others stay.
    pub(super) fn without_namespaces() -> Self {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        if uid == 0 && may_become(NOBODY_ELSE) {
            return Self::Dropped {
                uid: NOBODY_ELSE,
                gid: NOBODY_ELSE,
                remap: false,
            };
        }
        Self::UserNamespace { uid, gid }
    }

    pub(super) fn uid(self) -> u32 {
        match self {
            Self::Dropped { uid, .. } | Self::UserNamespace { uid, .. } => uid,
        }
    }

    pub(super) fn gid(self) -> u32 {
        match self {
            Self::Dropped { gid, .. } | Self::UserNamespace { gid, .. } => gid,
        }
    }
}

/// Owner of the first tree that the command may write to.
fn tree_owner(spec: &JailSpec) -> Option<(u32, u32)> {
    let written = |kind: &MountKind| matches!(kind, MountKind::Overlay { .. } | MountKind::Writable);
    let tree = spec.mounts.iter().find(|mount| written(&mount.kind))?;
    let meta = std::fs::metadata(&tree.source).ok()?;
    Some((meta.uid(), meta.gid()))
}

/// Whether the id exists in this process's own user namespace.
fn may_become(id: u32) -> bool {
    std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| maps(&map, id))
}

/// Whether this process is root of the whole host and not of a container's user namespace.
pub(super) fn in_first_user_namespace() -> bool {
    std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| maps(&map, u32::MAX - 1))
}

fn maps(uid_map: &str, id: u32) -> bool {
    uid_map.lines().any(|line| {
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        matches!(numbers[..], [first, _, count] if (first..first + count).contains(&u64::from(id)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_maps_are_read() {
        assert!(maps("         0          0 4294967295\n", u32::MAX - 1));
        assert!(maps("0 1000 1\n1 100000 65536\n", 65533));
        assert!(!maps("0 1000 1\n", 65533));
        assert!(!maps("", 0));
    }
}
