//! A repository and the real binary in it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use prunella_testkit::repo::RepoBuilder;
use serde_json::Value;

/// The smallest configuration that is complete.
pub(crate) const CONFIG: &str =
    "[service]\nname = \"shop\"\nstart = \"sh -c 'sleep 1000'\"\nlisten = \"127.0.0.1:0\"\n";

/// A repository for one test.
pub(crate) struct World {
    pub(crate) repo: RepoBuilder,
}

/// What a run of the binary left. The repository's path is written as `<repo>`.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Everything, for snapshots.
    pub(crate) fn all(&self) -> String {
        format!("exit {}\n--- stdout\n{}--- stderr\n{}", self.code, self.out, self.err)
    }

    /// stdout, which must be one JSON document.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}\n{}", self.all()))
    }

    /// Checks the exit code and that each part is in the error; there must be no data.
    pub(crate) fn fails(&self, code: i32, parts: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{}", self.all());
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is missing in:\n{}", self.err);
        }
    }
}

impl World {
    /// An empty repository without a commit.
    pub(crate) fn empty() -> Self {
        Self {
            repo: RepoBuilder::new(),
        }
    }

    /// A configured repository with one commit.
    pub(crate) fn configured() -> Self {
        let mut world = Self::empty();
        world
            .repo
            .commit(&[("prunella.toml", CONFIG), (".gitignore", ".prunella\n")], "Begin");
        world
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.repo.path().join(".prunella")
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        run_in(self.repo.path(), args, &[])
    }
}

/// Another process of the binary, ended with the test.
pub(crate) struct Running(Child);

impl Running {
    /// Starts the binary in the repository.
    #[allow(clippy::disallowed_methods, reason = "the binary is what is tested")]
    pub(crate) fn start(world: &World, args: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_prunella"))
            .args(args)
            .current_dir(world.repo.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.expect("the binary runs"))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the binary in a directory with these environment variables and no others that matter.
#[allow(clippy::disallowed_methods, reason = "the binary is what is tested")]
pub(crate) fn run_in(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_prunella"))
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("PATH", env!("PATH"))
        .env("HOME", dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CEILING_DIRECTORIES", "/")
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&dir.display().to_string(), "<repo>");
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: shown(&output.stdout),
        err: shown(&output.stderr),
    }
}
