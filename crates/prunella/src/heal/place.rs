//! The user's place as the sandbox shows it: the tree under test stands where the work tree stands, so that installed
//! links to it and absolute paths go on working; beside it what git ignores (virtual environments, `node_modules`,
//! build results), the toolchains and installed packages outside, and the shell's variables without secrets.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prunella_sandbox::{JailSpec, Limits, Mount, Network, Priority, Tier};

use super::packages::{listed, packages_below, toolchains};
use crate::git::{GitError, Repo};
use crate::state::secrets::{is_secret_file, is_secret_name, is_secret_value};

/// Variables that mean something else inside, or give power over the machine or the session.
const DROPPED: &[&str] = &[
    "HOME",
    "TMPDIR",
    "TEMP",
    "TMP",
    "_",
    "SHLVL",
    "OLDPWD",
    "PWD",
    "LD_PRELOAD",
    "LD_AUDIT",
    "MAIL",
    // Outside of the tree nothing can be written: builds go where they go without it.
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
];
const DROPPED_PREFIXES: &[&str] = &[
    "PRUNELLA_",
    "GIT_",
    "SSH_",
    "GPG_",
    "DBUS_",
    "XDG_",
    "SUDO_",
    "SYSTEMD_",
    "WAYLAND_",
    "NOTIFY_",
    "LISTEN_",
];
/// Variables without which programs are not found; a trial without the others keeps them.
const BASIC: &[&str] = &[
    "PATH",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "PYENV_ROOT",
    "RUSTUP_HOME",
    "CARGO_HOME",
    "CARGO_NET_OFFLINE",
    "VIRTUAL_ENV",
    "PYTHONUSERBASE",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUNBUFFERED",
    "NVM_DIR",
    "NVM_BIN",
    "GOROOT",
    "GOPATH",
    "JAVA_HOME",
    "LD_LIBRARY_PATH",
    "CONDA_PREFIX",
    "PYTEST_ADDOPTS",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD",
    "PYTHONFAULTHANDLER",
    "RUST_BACKTRACE",
];
/// Ignored directories that are caches of earlier runs: a run must not see what another one left.
const CACHES: &[&str] = &[
    "__pycache__",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".hypothesis",
    ".tox",
    ".nox",
    ".cache",
    ".prunella",
    ".git",
    ".coverage",
    "htmlcov",
    ".nyc_output",
    "coverage",
];
/// Ignored directories that hold dependencies or build results, at any depth.
const DEPENDENCIES: &[&str] = &[
    "node_modules",
    ".venv",
    "venv",
    "env",
    ".env",
    "virtualenv",
    "target",
    "vendor",
    "build",
    "dist",
    ".eggs",
    "site-packages",
    "bower_components",
    ".yarn",
    ".pnp.cjs",
    ".gradle",
];
/// Ignored entries that are shown at most, and the largest one that is copied as a file, in bytes.
const MAX_SHOWN: usize = 64;
const MAX_FILE: u64 = 64 << 20;
/// The largest file that each run gets a copy of, in bytes; larger ones cannot be written to.
const MAX_COPY: u64 = 4 << 20;
/// Something that git ignores and the sandbox shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ignored {
    /// Relative to the root.
    pub(crate) path: String,
    /// Whether it is a directory.
    pub(crate) is_dir: bool,
    /// Whether it holds dependencies or build results, rather than data.
    pub(crate) is_dependency: bool,
}

/// Where and how a command runs.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The root of the work tree; the tree under test is shown here.
    pub(crate) root: PathBuf,
    /// Where the command starts, below the root.
    pub(crate) cwd: PathBuf,
    /// The environment without secrets.
    pub(crate) env: BTreeMap<String, String>,
    /// What git ignores and is shown.
    pub(crate) ignored: Vec<Ignored>,
    /// What is not shown, and why.
    pub(crate) left_out: Vec<String>,
    toolchains: Vec<PathBuf>,
}

impl Place {
    /// The place of a command in a repository. `cwd` is where it was called.
    ///
    /// # Errors
    /// If git cannot list what it ignores.
    pub(crate) fn new(
        repo: &Repo,
        cwd: &Path,
        argv: &[String],
        env: BTreeMap<String, String>,
    ) -> Result<Self, GitError> {
        let root = repo.root().canonicalize().unwrap_or_else(|_| repo.root().to_owned());
        let cwd = cwd
            .canonicalize()
            .ok()
            .filter(|dir| dir.starts_with(&root))
            .unwrap_or_else(|| root.clone());
        let mut left_out = Vec::new();
        let home = env.get("HOME").map(PathBuf::from);
        let mut env = kept(env, &mut left_out);
        let ignored = shown(&root, repo.ignored()?, &mut left_out);
        let toolchains = toolchains(&root, &cwd, argv, &mut env, home.as_deref());
        Ok(Self {
            root,
            cwd,
            env,
            ignored,
            left_out,
            toolchains,
        })
    }

    /// The variables beyond the basic ones and search paths: what an experiment can leave out.
    #[must_use]
    pub(crate) fn optional_variables(&self) -> Vec<String> {
        self.env
            .keys()
            .filter(|name| !BASIC.contains(&name.as_str()) && !name.ends_with("PATH"))
            .cloned()
            .collect()
    }

    /// The ignored entries that are data rather than dependencies.
    #[must_use]
    pub(crate) fn optional_files(&self) -> Vec<String> {
        let data = self.ignored.iter().filter(|entry| !entry.is_dependency);
        data.map(|entry| entry.path.clone()).collect()
    }

    /// Folders outside of the commits in which programs find installed modules.
    #[must_use]
    pub(crate) fn module_folders(&self) -> Vec<PathBuf> {
        let ignored = self.ignored.iter().filter(|entry| entry.is_dir);
        let roots: Vec<PathBuf> = ignored
            .map(|entry| self.root.join(&entry.path))
            .chain(self.toolchains.iter().cloned())
            .collect();
        let mut folders: Vec<PathBuf> = roots.iter().flat_map(|root| packages_below(root)).collect();
        for variable in ["PYTHONPATH", "NODE_PATH"] {
            let listed = listed(&self.env, variable, &self.cwd);
            folders.extend(listed.into_iter().filter(|dir| !dir.starts_with(&self.root)));
        }
        folders
    }

    /// The specification of one run on the tree at `tree`. Small ignored files get private copies in `copies`, because
    /// a run may write to them (a lock file that git ignores).
    #[must_use]
    pub(crate) fn spec(&self, tree: &Path, argv: &[String], wall: Duration, copies: &Path) -> JailSpec {
        let mut spec = JailSpec::new(argv.iter().cloned());
        spec.env.extend(self.env.clone());
        spec.cwd.clone_from(&self.cwd);
        spec.mounts.push(Mount::overlay(tree, &self.root));
        for (number, entry) in self.ignored.iter().enumerate() {
            // What a commit holds itself is its own.
            if tree.join(&entry.path).symlink_metadata().is_ok() {
                continue;
            }
            let path = self.root.join(&entry.path);
            spec.mounts.push(if entry.is_dir {
                Mount::overlay(&path, &path)
            } else {
                match private_copy(&path, copies, number) {
                    Some(copy) => Mount::writable(copy, &path),
                    None => Mount::read_only(&path, &path),
                }
            });
        }
        spec.toolchains.clone_from(&self.toolchains);
        spec.limits = Limits {
            wall,
            cpu: wall.saturating_mul(8).max(Duration::from_secs(1)),
            memory_bytes: 4 << 30,
            processes: 1024,
            file_size_bytes: 2 << 30,
            scratch_bytes: 2 << 30,
            open_files: 4096,
            output_bytes: 8 << 20,
            ..Limits::default()
        };
        spec.network = Network::Loopback;
        spec.priority = Priority::Normal;
        spec.minimum_tier = Tier::C;
        spec
    }
}

fn private_copy(path: &Path, copies: &Path, number: usize) -> Option<PathBuf> {
    let small = path.metadata().is_ok_and(|about| about.len() <= MAX_COPY);
    let copy = copies.join(number.to_string());
    (small && fs::copy(path, &copy).is_ok()).then_some(copy)
}

/// The variables that may be passed on.
fn kept(env: BTreeMap<String, String>, left_out: &mut Vec<String>) -> BTreeMap<String, String> {
    let mut kept = BTreeMap::new();
    for (name, value) in env {
        if DROPPED.contains(&name.as_str()) || DROPPED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let listed = name == "PATH" || name.ends_with("PATH");
        if is_secret_name(&name) || (!listed && is_secret_value(&value)) {
            left_out.push(format!("the variable {name}: it looks like a secret"));
        } else if !name.is_empty() && !name.contains('=') {
            kept.insert(name, value);
        }
    }
    kept
}

/// What of the ignored is shown.
fn shown(root: &Path, ignored: Vec<String>, left_out: &mut Vec<String>) -> Vec<Ignored> {
    let mut shown: Vec<Ignored> = Vec::new();
    for path in ignored {
        let is_dir = path.ends_with('/');
        let path = path.trim_end_matches('/').to_owned();
        let name = path.rsplit('/').next().unwrap_or(&path);
        if CACHES.contains(&name) || name.ends_with(".pyc") || name.ends_with(".log") {
            continue;
        }
        let Ok(about) = root.join(&path).symlink_metadata() else {
            continue;
        };
        let usable = (is_dir && about.is_dir()) || (about.is_file() && about.len() <= MAX_FILE);
        // A virtual environment can be called `.env`; a file of that name holds secrets.
        if !is_dir && is_secret_file(Path::new(&path)) {
            left_out.push(format!("{path}: it looks like a secret"));
        } else if !usable || shown.len() == MAX_SHOWN {
            left_out.push(format!("{path}: beyond what is shown"));
        } else {
            let is_dependency = path
                .split('/')
                .any(|part| DEPENDENCIES.contains(&part) || part.ends_with(".egg-info"))
                || path.ends_with(".so")
                || root.join(&path).join("pyvenv.cfg").is_file();
            shown.push(Ignored {
                path,
                is_dir,
                is_dependency,
            });
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use prunella_testkit::repo::RepoBuilder;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn secrets_and_the_session_stay_outside() {
        let mut left_out = Vec::new();
        let all = env(&[
            ("PATH", "/usr/bin"),
            ("DEBUG", "1"),
            ("GITHUB_TOKEN", "x"),
            ("CONFIG", "ghp_0123456789abcdef"),
            ("SSH_AUTH_SOCK", "/run/ssh"),
            ("LD_PRELOAD", "/tmp/x.so"),
            ("HOME", "/home/ada"),
        ]);
        let kept: Vec<String> = kept(all, &mut left_out).into_keys().collect();
        assert_eq!(kept, ["DEBUG", "PATH"]);
        assert_eq!(left_out.len(), 2, "{left_out:?}");
    }

    #[test]
    fn what_git_ignores_is_shown_unless_it_is_a_cache_or_a_secret() {
        let mut builder = RepoBuilder::new();
        builder.commit(&[("a", "1\n"), (".gitignore", "*\n!a\n!.gitignore\n")], "One");
        for file in [
            ".venv/lib/x.py",
            "__pycache__/a.pyc",
            ".env",
            "data/big.json",
            "_version.py",
            "src/m.so",
        ] {
            builder.write(file, "x");
        }
        let repo = Repo::open(builder.path()).unwrap();
        let place = Place::new(&repo, builder.path(), &["true".to_owned()], env(&[])).unwrap();
        let shown: Vec<(&str, bool)> = place
            .ignored
            .iter()
            .map(|e| (e.path.as_str(), e.is_dependency))
            .collect();
        assert_eq!(
            shown,
            [(".venv", true), ("_version.py", false), ("data", false), ("src", false)]
        );
        assert_eq!(place.optional_files(), ["_version.py", "data", "src"]);
        assert!(
            place.left_out.iter().any(|line| line.starts_with(".env:")),
            "{:?}",
            place.left_out
        );
    }
}
