//! What must never be shown, whoever asks.

use std::fs;
use std::path::{Path, PathBuf};

/// Directories that every jail has already.
const SYSTEM: &[&str] = &[
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

/// Where credentials and private data live, relative to a home directory.
const SECRETS: &[&str] = &[
    ".ssh",
    ".aws",
    ".azure",
    ".gnupg",
    ".kube",
    ".docker",
    ".config",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".cargo/config.toml",
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    ".pypirc",
    ".netrc",
    ".git-credentials",
    ".gitconfig",
    ".gem/credentials",
    ".m2/settings.xml",
    ".gradle/gradle.properties",
    ".terraform.d",
    ".vault-token",
    ".pgpass",
    ".my.cnf",
    ".bash_history",
    ".zsh_history",
    ".python_history",
    ".node_repl_history",
    ".local/share/keyrings",
    ".mozilla",
    ".password-store",
    ".s3cfg",
    ".boto",
    ".oci",
    ".databrickscfg",
];

/// Knows the home directories of this host.
pub(super) struct Guard {
    homes: Vec<PathBuf>,
}

impl Guard {
    /// From the user database; `/root` and everything directly below `/home` count even where it does not say so.
    pub(super) fn of_host() -> Self {
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let listed = passwd
            .lines()
            .filter_map(|line| line.split(':').nth(5))
            .map(PathBuf::from);
        let below = fs::read_dir("/home")
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()));
        let all = listed.chain(below).chain([PathBuf::from("/root")]);
        // Service accounts have system directories as their homes.
        Self::new(all.filter(|home| home.components().count() > 1 && !is_system(home) && home != Path::new("/opt")))
    }

    pub(super) fn new(homes: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            homes: homes.into_iter().collect(),
        }
    }

    /// Whether the jail shows this anyway.
    #[expect(clippy::unused_self, reason = "the counterpart of the other questions")]
    pub(super) fn is_system(&self, path: &Path) -> bool {
        is_system(path)
    }

    /// Whether a directory may be shown with all that is below it.
    pub(super) fn may_show(&self, directory: &Path) -> bool {
        let real = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
        [directory, &real].into_iter().all(|path| {
            path.components().count() > 2 && !dangerous(path) && self.homes.iter().all(|home| fits(path, home))
        })
    }

    /// Whether a single file may be shown.
    pub(super) fn may_show_file(&self, file: &Path) -> bool {
        let real = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        [file, &real].into_iter().all(|path| {
            !dangerous(path)
                && !self
                    .homes
                    .iter()
                    .any(|home| SECRETS.iter().any(|s| path.starts_with(home.join(s))))
        })
    }
}

fn is_system(path: &Path) -> bool {
    SYSTEM.iter().any(|system| path.starts_with(system))
}

/// State of the running system, and configuration with secrets.
fn dangerous(path: &Path) -> bool {
    ["/etc", "/run", "/var/run", "/var/lib", "/proc", "/sys", "/dev", "/boot"]
        .iter()
        .any(|d| path.starts_with(d))
}

/// The directory is not the home directory or above it, and neither within nor around something secret of it.
fn fits(directory: &Path, home: &Path) -> bool {
    !home.starts_with(directory)
        && SECRETS.iter().map(|secret| home.join(secret)).all(|secret| {
            let around = secret.starts_with(directory) && secret.symlink_metadata().is_ok();
            !around && !directory.starts_with(&secret)
        })
}
