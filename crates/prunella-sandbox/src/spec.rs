//! The description of a run.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use crate::{Limits, SandboxError, Tier};

/// Most bytes of arguments and environment together.
const MAX_STRINGS: usize = 1 << 20;
/// Most mounts, and most toolchain directories.
const MAX_MOUNTS: usize = 128;
/// Most descriptors passed on; the kernel's limit of one control message is 253.
const MAX_FDS: usize = 16;
/// Descriptors are placed below this number.
const MAX_FD_NUMBER: i32 = 64;

/// How one piece of the host is seen inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountKind {
    /// The source, not writable.
    ReadOnly,
    /// A private writable copy of the source directory. Changes go to the scratch memory file system and are
    /// discarded, or to `scratch`, an existing empty directory of the host (see [`crate::scratch_changes`]).
    Overlay {
        /// Where the changes are kept, if they are. What is written there belongs to the jail's user, not to the
        /// caller, and its amount is not limited.
        scratch: Option<PathBuf>,
    },
    /// The source itself: what is written is written on the host.
    Writable,
    /// An empty memory file system of this size; the source is ignored.
    Tmpfs {
        /// Its size.
        bytes: u64,
    },
}

/// One mount, applied in the order of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Absolute path on the host, a directory or a file. Symbolic links in it are followed on the host.
    pub source: PathBuf,
    /// Absolute path inside. Symbolic links in it are refused.
    pub target: PathBuf,
    /// How the source is seen.
    pub kind: MountKind,
}

impl Mount {
    /// A source that cannot be written.
    pub fn read_only(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self {
            source: source.into(),
            target: target.into(),
            kind: MountKind::ReadOnly,
        }
    }

    /// A private writable copy whose changes are discarded.
    pub fn overlay(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self {
            source: source.into(),
            target: target.into(),
            kind: MountKind::Overlay { scratch: None },
        }
    }

    /// The source itself, writable.
    pub fn writable(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self {
            source: source.into(),
            target: target.into(),
            kind: MountKind::Writable,
        }
    }

    /// An empty memory file system.
    pub fn tmpfs(target: impl Into<PathBuf>, bytes: u64) -> Self {
        Self {
            source: PathBuf::new(),
            target: target.into(),
            kind: MountKind::Tmpfs { bytes },
        }
    }
}

/// What the network is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// Its own loopback interface and nothing else. In tier C there is no network at all.
    #[default]
    Loopback,
    /// The host's network. For dependency steps only.
    Host,
}

/// Where the run stands beside production on the same cores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Priority {
    /// As the caller.
    Normal,
    /// Nice 10 and `SCHED_BATCH`.
    #[default]
    Background,
}

/// How the root is made: a small memory file system with read-only binds of the operating system, a generated
/// `/etc`, a minimal `/dev`, its own `/proc`, and empty `/tmp` and home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// Directories of the operating system, bound read-only where they exist (links are kept as links).
    pub directories: Vec<PathBuf>,
    /// Entries of `/etc` that are bound read-only where they exist. Everything else of `/etc` is absent or generated.
    pub etc: Vec<String>,
    /// The home directory inside, an empty memory file system.
    pub home: PathBuf,
    /// The host name inside.
    pub hostname: String,
}

impl Default for System {
    fn default() -> Self {
        let paths = [
            "/usr",
            "/bin",
            "/sbin",
            "/lib",
            "/lib32",
            "/lib64",
            "/libx32",
            "/nix/store",
            "/gnu/store",
        ];
        Self {
            directories: paths.iter().map(PathBuf::from).collect(),
            etc: ETC_ALLOWED.iter().map(ToString::to_string).collect(),
            home: "/home/jail".into(),
            hostname: "jail".into(),
        }
    }
}

/// Public, non-secret entries of `/etc` that ordinary programs read.
const ETC_ALLOWED: &[&str] = &[
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "ssl/certs",
    "ssl/openssl.cnf",
    "pki/tls/certs",
    "pki/ca-trust/extracted",
    "ca-certificates.conf",
    "alternatives",
    "localtime",
    "timezone",
    "mime.types",
    "services",
    "protocols",
    "ethertypes",
    "magic",
    "os-release",
    "lsb-release",
    "debian_version",
    "redhat-release",
    "alpine-release",
    "locale.alias",
    "locale.conf",
    "fonts",
    "perl",
    "python3",
    "java-17-openjdk",
    "java-21-openjdk",
    "bash.bashrc",
    "terminfo",
    "crypto-policies",
];

/// A descriptor of the caller's that the command gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraFd {
    /// Its number in the calling process, which must keep it open until the run ends.
    pub outer: i32,
    /// Its number inside, 0 or from 3 to 63.
    pub inner: i32,
}

/// One run of untrusted code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JailSpec {
    /// The command. A name without a slash is looked up in the `PATH` of `env`.
    pub argv: Vec<String>,
    /// The exact environment: nothing is inherited, nothing is added.
    pub env: BTreeMap<String, String>,
    /// Working directory inside.
    pub cwd: PathBuf,
    /// What is seen of the host beside the system.
    pub mounts: Vec<Mount>,
    /// How the root is made.
    pub system: System,
    /// Further read-only directories or files, at their own paths (see [`crate::find_toolchain`]). A path that does
    /// not exist is an error.
    pub toolchains: Vec<PathBuf>,
    /// What the network is.
    pub network: Network,
    /// What the run may use.
    pub limits: Limits,
    /// Descriptors passed on; all others are closed.
    pub extra_fds: Vec<ExtraFd>,
    /// Where the run stands beside production.
    pub priority: Priority,
    /// The weakest isolation that is acceptable; below it the run is refused.
    pub minimum_tier: Tier,
}

impl JailSpec {
    /// A run of `argv` in `/tmp` with a plain `PATH`, `HOME`, `LANG` and `TMPDIR`, no mounts and the default limits.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        let system = System::default();
        let home = system.home.to_string_lossy().into_owned();
        let env = [
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("HOME", home.as_str()),
            ("LANG", "C.UTF-8"),
            // In tier C, `/tmp` itself is closed and the value is rewritten to where it is.
            ("TMPDIR", "/tmp"),
        ];
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            env: env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            cwd: "/tmp".into(),
            mounts: Vec::new(),
            system,
            toolchains: Vec::new(),
            network: Network::default(),
            limits: Limits::default(),
            extra_fds: Vec::new(),
            priority: Priority::default(),
            minimum_tier: Tier::C,
        }
    }

    /// Refuses what contradicts itself, before anything is started.
    ///
    /// # Errors
    /// [`SandboxError::InvalidSpec`] naming the field.
    pub fn check(&self) -> Result<(), SandboxError> {
        self.limits.check()?;
        self.check_strings()?;
        inside("cwd", &self.cwd)?;
        inside("system.home", &self.system.home)?;
        if self.mounts.len() > MAX_MOUNTS || self.toolchains.len() > MAX_MOUNTS {
            return refuse(format!("more than {MAX_MOUNTS} mounts or toolchains"));
        }
        self.mounts.iter().try_for_each(check_mount)?;
        self.toolchains.iter().try_for_each(|path| target("toolchains", path))?;
        self.check_system()?;
        check_fds(&self.extra_fds)
    }

    fn check_strings(&self) -> Result<(), SandboxError> {
        if self.argv.first().is_none_or(String::is_empty) {
            return refuse("argv is empty");
        }
        let all = || self.argv.iter().chain(self.env.keys()).chain(self.env.values());
        if all().any(|s| s.contains('\0')) {
            return refuse("argv or env contains a NUL byte");
        }
        if self.env.keys().any(|k| k.is_empty() || k.contains('=')) {
            return refuse("a name in env is empty or contains '='");
        }
        if all().map(|s| s.len() + 1).sum::<usize>() > MAX_STRINGS {
            return refuse(format!("argv and env are larger than {MAX_STRINGS} bytes"));
        }
        Ok(())
    }

    fn check_system(&self) -> Result<(), SandboxError> {
        let name = &self.system.hostname;
        if name.is_empty() || name.len() > 63 || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return refuse("system.hostname is not a host name");
        }
        self.system
            .directories
            .iter()
            .try_for_each(|path| target("system.directories", path))?;
        for entry in &self.system.etc {
            let path = Path::new(entry);
            if entry.is_empty() || !path.components().all(|c| matches!(c, Component::Normal(_))) {
                return refuse(format!("system.etc: {entry:?} is not a path below /etc"));
            }
        }
        Ok(())
    }
}

fn refuse<T>(why: impl Into<String>) -> Result<T, SandboxError> {
    Err(SandboxError::InvalidSpec(why.into()))
}

/// An absolute path without `..` that can be written down as text.
fn inside(field: &str, path: &Path) -> Result<(), SandboxError> {
    let plain = path
        .components()
        .all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
    if !path.is_absolute() || !plain {
        return refuse(format!(
            "{field}: {} is not an absolute path without '..'",
            path.display()
        ));
    }
    if path.to_str().is_none_or(|s| s.contains('\0')) {
        return refuse(format!("{field}: {} is not valid text", path.display()));
    }
    Ok(())
}

/// A place where something may be mounted: not the root, nor what the jail itself makes.
fn target(field: &str, path: &Path) -> Result<(), SandboxError> {
    inside(field, path)?;
    if path == Path::new("/") || path.starts_with("/proc") || path.starts_with("/dev") || path.starts_with("/sys") {
        return refuse(format!("{field}: nothing may be mounted on {}", path.display()));
    }
    Ok(())
}

fn check_mount(mount: &Mount) -> Result<(), SandboxError> {
    target("mounts.target", &mount.target)?;
    match &mount.kind {
        MountKind::Tmpfs { bytes } if *bytes < 4096 => return refuse("mounts: a tmpfs of less than one page"),
        MountKind::Tmpfs { .. } => return Ok(()),
        MountKind::Overlay { scratch: Some(scratch) } => inside("mounts.scratch", scratch)?,
        _ => {}
    }
    inside("mounts.source", &mount.source)?;
    if mount.source == Path::new("/") {
        return refuse("mounts.source: the host's root is never shown");
    }
    Ok(())
}

fn check_fds(fds: &[ExtraFd]) -> Result<(), SandboxError> {
    let inner: BTreeSet<i32> = fds.iter().map(|fd| fd.inner).collect();
    if fds.len() > MAX_FDS || inner.len() != fds.len() {
        return refuse(format!("extra_fds: more than {MAX_FDS}, or one inner number twice"));
    }
    let allowed = |n: i32| n == 0 || (3..MAX_FD_NUMBER).contains(&n);
    if fds.iter().any(|fd| fd.outer < 0 || !allowed(fd.inner)) {
        return refuse(format!("extra_fds: inner numbers are 0 or 3 to {}", MAX_FD_NUMBER - 1));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut JailSpec)) -> Result<(), SandboxError> {
        let mut spec = JailSpec::new(["/bin/true"]);
        change(&mut spec);
        spec.check()
    }

    #[test]
    fn a_plain_specification_is_accepted() {
        assert_eq!(check(|s| s.mounts.push(Mount::overlay("/srv/app", "/tree"))), Ok(()));
    }

    #[test]
    fn contradictions_are_refused() {
        let cases: Vec<(&str, Result<(), SandboxError>)> = vec![
            ("argv", check(|s| s.argv.clear())),
            ("NUL", check(|s| s.argv.push("a\0b".into()))),
            ("'='", check(|s| drop(s.env.insert("A=B".into(), "1".into())))),
            ("cwd", check(|s| s.cwd = "work".into())),
            ("'..'", check(|s| s.cwd = "/tree/../etc".into())),
            ("/proc", check(|s| s.mounts.push(Mount::writable("/srv", "/proc/sys")))),
            ("host's root", check(|s| s.mounts.push(Mount::read_only("/", "/mnt")))),
            (
                "twice",
                check(|s| s.extra_fds = vec![ExtraFd { outer: 5, inner: 3 }; 2]),
            ),
            ("inner", check(|s| s.extra_fds.push(ExtraFd { outer: 5, inner: 1 }))),
            ("system.etc", check(|s| s.system.etc.push("../root".into()))),
            ("hostname", check(|s| s.system.hostname = "a b".into())),
        ];
        for (word, result) in cases {
            let text = result.expect_err(word).to_string();
            assert!(text.contains(word), "{word}: {text}");
        }
    }

    #[test]
    fn a_specification_survives_json() {
        let mut spec = JailSpec::new(["sh", "-c", "echo \u{e9}"]);
        spec.mounts.push(Mount::tmpfs("/var/tmp", 1 << 20));
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<JailSpec>(&text).unwrap(), spec);
    }
}
