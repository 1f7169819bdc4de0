//! Where this process may make groups.

use std::fs;
use std::path::{Path, PathBuf};

/// Parent directories for new groups.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Version 2 with the memory and pids controllers.
    Unified(PathBuf),
    /// Version 1.
    Split {
        memory: PathBuf,
        pids: PathBuf,
        cpuacct: Option<PathBuf>,
    },
}

impl Place {
    pub(super) fn parents(&self) -> impl Iterator<Item = &Path> {
        let all = match self {
            Self::Unified(dir) => [Some(dir.as_path()), None, None],
            Self::Split { memory, pids, cpuacct } => [Some(memory.as_path()), Some(pids.as_path()), cpuacct.as_deref()],
        };
        all.into_iter().flatten()
    }
}

/// Finds the place, or says why there is none and how to get one.
pub(super) fn place() -> Result<Place, String> {
    let read = |path| fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let (mounts, groups) = (read("/proc/self/mountinfo")?, read("/proc/self/cgroup")?);
    if let Some(place) = split(&mounts, &groups) {
        return Ok(place);
    }
    let own = unified(&mounts, &groups).ok_or("no cgroup file system with a memory controller is mounted")?;
    let beside = own
        .0
        .parent()
        .filter(|parent| parent.starts_with(&own.1))
        .map(Path::to_owned);
    for dir in std::iter::once(own.0.clone()).chain(beside) {
        if controls(&dir) && writable(&dir) {
            return Ok(Place::Unified(dir));
        }
    }
    Err(format!(
        "{} gives no memory and pids controllers to groups made there; run as a service with Delegate=yes, or with \
         systemd-run --user --scope",
        own.0.display()
    ))
}

fn writable(dir: &Path) -> bool {
    rustix::fs::access(dir, rustix::fs::Access::WRITE_OK).is_ok()
}

/// Whether children of `dir` get the controllers, after they were asked for where that is allowed.
fn controls(dir: &Path) -> bool {
    let has = || {
        let text = fs::read_to_string(dir.join("cgroup.subtree_control")).unwrap_or_default();
        let words: Vec<&str> = text.split_whitespace().collect();
        words.contains(&"memory") && words.contains(&"pids")
    };
    // Refused where processes live in `dir` itself (the rule of no internal processes), which is no harm.
    has() || (fs::write(dir.join("cgroup.subtree_control"), "+memory +pids").is_ok() && has())
}

/// Own group of version 2, and the root of its mount.
fn unified(mounts: &str, groups: &str) -> Option<(PathBuf, PathBuf)> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mount = mounts.lines().filter_map(Mount::parse).find(|m| m.kind == "cgroup2")?;
    Some((mount.locate(own)?, mount.point.into()))
}

/// Own groups of version 1.
fn split(mounts: &str, groups: &str) -> Option<Place> {
    let mounts: Vec<Mount<'_>> = mounts
        .lines()
        .filter_map(Mount::parse)
        .filter(|m| m.kind == "cgroup")
        .collect();
    let own = |controller: &str| -> Option<PathBuf> {
        let path = groups.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            parts
                .next()?
                .split(',')
                .any(|c| c == controller)
                .then(|| parts.next())?
        })?;
        let mount = mounts.iter().find(|m| m.options.split(',').any(|o| o == controller))?;
        mount.locate(path).filter(|dir| writable(dir))
    };
    Some(Place::Split {
        memory: own("memory")?,
        pids: own("pids")?,
        cpuacct: own("cpuacct"),
    })
}

/// The fields of a mountinfo line that matter here (proc_pid_mountinfo(5)).
struct Mount<'a> {
    root: &'a str,
    point: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let mut right = right.split(' ');
        let (root, point) = (left.next()?, left.next()?);
        let (kind, options) = (right.next()?, right.nth(1)?);
        Some(Self {
            root,
            point,
            kind,
            options,
        })
    }

    /// The directory of a group, where the mount shows it.
    fn locate(&self, group: &str) -> Option<PathBuf> {
        let below = Path::new(group).strip_prefix(self.root).ok()?;
        Some(Path::new(self.point).join(below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_groups_are_located_below_their_mounts() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["memory/app/web", "pids/web"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        let mounts = format!(
            "35 31 0:32 / {} rw - cgroup cgroup rw,memory\n39 31 0:36 /app {} rw - cgroup cgroup rw,pids\n\
             41 31 0:38 / {} rw - cgroup2 cgroup2 rw\n",
            at("memory").display(),
            at("pids").display(),
            at("unified").display(),
        );
        let groups = "8:pids:/app/web\n4:memory:/app/web\n2:cpuacct:/\n0::/slice\n";
        let expected = Place::Split {
            memory: at("memory/app/web"),
            pids: at("pids/web"),
            cpuacct: None,
        };
        assert_eq!(split(&mounts, groups), Some(expected));
        assert_eq!(unified(&mounts, groups), Some((at("unified/slice"), at("unified"))));
        assert_eq!(split("", groups), None);
    }

    #[test]
    fn a_group_without_controllers_is_not_a_place() {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            !controls(dir.path()),
            "a directory without control files that cannot hand out controllers"
        );
        fs::write(dir.path().join("cgroup.subtree_control"), "cpu memory pids\n").unwrap();
        assert!(controls(dir.path()));
    }
}
