//! What this host can offer, found by trying.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How strong the isolation of a run is. `A` is the strongest and the smallest in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Tier {
    /// Namespaces, overlay and a cgroup that accounts for the whole tree.
    A,
    /// Namespaces and overlay; limits by rlimits and a watchdog.
    B,
    /// Landlock and seccomp on a private copy, without namespaces. No network at all, not even its own loopback.
    /// Weaker than B: paths are rewritten instead of mounted, names of other processes and whether a path exists can
    /// be learnt, the amount of disk is limited at the copy only, and a supervisor killed by `SIGKILL` may leave
    /// processes behind.
    C,
    /// Nothing that holds: runs are refused.
    D,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
        })
    }
}

/// One mechanism, whether it works here, and what to do when it does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// For example `namespaces`.
    pub name: String,
    /// Whether a trial succeeded.
    pub works: bool,
    /// Detail of the success (version), or the reason of the failure and how to get it.
    pub detail: String,
}

/// What a back end found on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// The best tier that these layers allow.
    pub tier: Tier,
    /// Every layer that was tried.
    pub layers: Vec<Layer>,
}

impl Capabilities {
    /// The layers that do not work with their reasons, as one line for an error message.
    #[must_use]
    pub fn missing(&self) -> String {
        let parts: Vec<String> = self
            .layers
            .iter()
            .filter(|l| !l.works)
            .map(|l| format!("{}: {}", l.name, l.detail))
            .collect();
        if parts.is_empty() {
            "no layer is missing".into()
        } else {
            parts.join("; ")
        }
    }

    /// Whether the named layer works.
    #[must_use]
    pub fn works(&self, name: &str) -> bool {
        self.layers.iter().any(|l| l.name == name && l.works)
    }

    /// Nothing works, for the one reason given.
    pub(crate) fn none(name: &str, why: impl Into<String>) -> Self {
        Self {
            tier: Tier::D,
            layers: vec![Layer {
                name: name.into(),
                works: false,
                detail: why.into(),
            }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_better_tier_is_smaller_and_missing_layers_are_named() {
        assert!(Tier::A < Tier::B && Tier::C < Tier::D);
        let caps = Capabilities::none("namespaces", "user.max_user_namespaces is 0");
        assert_eq!(caps.missing(), "namespaces: user.max_user_namespaces is 0");
        assert!(!caps.works("namespaces"));
    }
}
