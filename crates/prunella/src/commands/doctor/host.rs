//! What the machine offers.

use prunella_sandbox::{Backend as _, Capabilities, Tier, native};

use super::{Check, fail, ok, problem, warn};
use crate::commands::repository::git_version;

/// The oldest git that has every option that Prunella uses.
const OLDEST_GIT: (u32, u32) = (2, 31);

pub(super) fn git() -> Check {
    match git_version() {
        Err(error) => problem("git", &error),
        Ok(text) => match version(&text) {
            Some(found) if found >= OLDEST_GIT => ok("git", text),
            _ => warn(
                "git",
                format!("{text} is older than {}.{}", OLDEST_GIT.0, OLDEST_GIT.1),
                "install a newer git",
            ),
        },
    }
}

/// `git version 2.39.5 (Apple Git-154)` → (2, 39).
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_ascii_whitespace().nth(2)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Pidfd and the sandbox, by trial.
pub(super) fn kernel() -> Vec<Check> {
    let mut checks = vec![pidfd()];
    checks.extend(sandbox(native().probe()));
    checks
}

fn pidfd() -> Check {
    let opened = rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty());
    match opened {
        Ok(_) => ok("pidfd", "deaths are noticed at once"),
        Err(error) => fail(
            "pidfd",
            format!("pidfd_open failed: {error}"),
            "Linux 5.3 or newer is needed; in a container, its seccomp profile must allow pidfd_open",
        ),
    }
}

fn sandbox(found: &Capabilities) -> Vec<Check> {
    let name = "sandbox";
    let detail = format!("tier {}", found.tier);
    let tier = match found.tier {
        Tier::A => ok(name, format!("{detail}: namespaces, overlay and cgroup")),
        Tier::B => ok(
            name,
            format!("{detail}: namespaces and overlay, limits by rlimits and a watchdog"),
        ),
        Tier::C => warn(
            name,
            format!("{detail}: Landlock and seccomp on a private copy, without namespaces"),
            "allow user namespaces (see below) for the stronger tiers",
        ),
        Tier::D => warn(
            name,
            format!("{detail}: nothing that holds; failures are mitigated, and nothing can be diagnosed or repaired"),
            "allow user namespaces (see below)",
        ),
    };
    let layers = found.layers.iter().map(|layer| {
        let name = format!("sandbox {}", layer.name);
        if layer.works {
            ok(&name, layer.detail.clone())
        } else {
            warn(&name, layer.detail.clone(), remedy(&layer.name))
        }
    });
    std::iter::once(tier).chain(layers).collect()
}

fn remedy(layer: &str) -> &'static str {
    match layer {
        "namespaces" => {
            "sysctl -w user.max_user_namespaces=15000; on Ubuntu 24.04 also kernel.apparmor_restrict_unprivileged_userns=0, \
             or an AppArmor profile for prunella with `userns,`"
        }
        "overlay" => {
            "Linux 5.11 or newer mounts overlays in user namespaces; until then trees are copied, which is slower"
        }
        "cgroup" => {
            "run it in a delegated cgroup: `systemd-run --user --scope -p Delegate=yes prunella run`; without one, memory is \
             limited for each process and not for the tree"
        }
        "landlock" => "Linux 5.13 or newer with `landlock` in the `lsm=` list",
        _ => "see docs/cli.md",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::Health;
    use prunella_sandbox::Layer;

    #[test]
    fn versions_are_read_as_distributions_write_them() {
        assert_eq!(version("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(version("git version 2.45.GIT"), Some((2, 45)));
        assert_eq!(version("gut"), None);
    }

    #[test]
    fn a_missing_layer_has_a_remedy_and_blocks_nothing() {
        let found = Capabilities {
            tier: Tier::D,
            layers: vec![Layer {
                name: "namespaces".into(),
                works: false,
                detail: "EPERM".into(),
            }],
        };
        let checks = sandbox(&found);
        assert!(checks.iter().all(|c| c.health == Health::Warn), "{checks:?}");
        assert!(checks[1].fix.as_ref().unwrap().contains("max_user_namespaces"));
    }
}
