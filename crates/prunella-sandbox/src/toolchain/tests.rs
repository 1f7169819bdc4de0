//! Toolchains of a made-up home directory.

use super::*;
use std::os::unix::fs::symlink;

struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    /// A home directory with secrets in it.
    fn new() -> Self {
        let home = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        home.file(".ssh/id_ed25519", "PRIVATE");
        home.file(".cargo/credentials.toml", "token");
        home.file(".npmrc", "token");
        home
    }

    fn path(&self, below: &str) -> PathBuf {
        fs::canonicalize(self.dir.path()).unwrap().join(below)
    }

    fn file(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn program(&self, below: &str, text: &str) {
        self.file(below, text);
        fs::set_permissions(self.path(below), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn link(&self, below: &str, to: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(self.path(to), path).unwrap();
    }

    fn check(&self, argv0: &str, path: &str, expected: &[&str]) {
        let path = if path.is_empty() {
            PathBuf::from("/nowhere")
        } else {
            self.path(path)
        };
        let guard = Guard::new([self.path("").components().collect::<PathBuf>()]);
        let mut search = Search {
            path: path.as_os_str(),
            guard,
            found: BTreeSet::new(),
            seen: BTreeSet::new(),
        };
        search.command(OsStr::new(argv0));
        let found = search.finish();
        assert_eq!(
            found,
            expected.iter().map(|p| self.path(p)).collect::<Vec<_>>(),
            "{argv0}"
        );
    }
}

#[test]
fn pyenv_shims_lead_to_the_whole_of_pyenv() {
    let home = Home::new();
    home.program(".pyenv/shims/python3", "#!/usr/bin/env bash\nexec pyenv\n");
    home.program(".pyenv/versions/3.12.1/bin/python3.12", "");
    home.check("python3", ".pyenv/shims", &[".pyenv"]);
}

#[test]
fn a_virtual_environment_leads_to_its_base_interpreter() {
    let home = Home::new();
    home.program("versions/3.12/bin/python3.12", "");
    home.link("project/.venv/bin/python", "versions/3.12/bin/python3.12");
    let base = home.path("versions/3.12/bin");
    home.file(
        "project/.venv/pyvenv.cfg",
        &format!("home = {}\nversion = 3.12\n", base.display()),
    );
    home.check("python", "project/.venv/bin", &["project/.venv", "versions/3.12"]);
    // A console script of the environment names its python in the first line.
    let shebang = format!("#!{}\n", home.path("project/.venv/bin/python").display());
    home.program("project/.venv/bin/pytest", &shebang);
    home.check("pytest", "project/.venv/bin", &["project/.venv", "versions/3.12"]);
}

#[test]
fn cargo_is_shown_without_its_credentials() {
    let home = Home::new();
    home.program(".cargo/bin/rustup", "");
    home.link(".cargo/bin/cargo", ".cargo/bin/rustup");
    home.file(".cargo/registry/cache/x", "");
    home.file(".rustup/settings.toml", "");
    home.check("cargo", ".cargo/bin", &[".cargo/bin", ".cargo/registry", ".rustup"]);
}

#[test]
fn node_of_a_version_manager_is_its_prefix() {
    let home = Home::new();
    home.program(".nvm/versions/node/v22/bin/node", "");
    home.program(
        ".nvm/versions/node/v22/lib/node_modules/npm/bin/npm-cli.js",
        "#!/usr/bin/env node\n",
    );
    home.link(
        ".nvm/versions/node/v22/bin/npm",
        ".nvm/versions/node/v22/lib/node_modules/npm/bin/npm-cli.js",
    );
    home.check("npm", ".nvm/versions/node/v22/bin", &[".nvm/versions/node/v22"]);
}

#[test]
fn a_program_beside_secrets_is_shown_alone() {
    let home = Home::new();
    home.program("bin/tool", "");
    home.check("tool", "bin", &["bin/tool"]);
    home.file(".local/share/keyrings/login.keyring", "");
    home.program(".local/bin/tool", "");
    home.check("tool", ".local/bin", &[".local/bin/tool"]);
}

#[test]
fn secrets_are_never_shown_even_when_a_link_leads_there() {
    let home = Home::new();
    home.program(".ssh/bin/tool", "");
    home.link("tools/bin/tool", ".ssh/bin/tool");
    home.check("tool", ".ssh/bin", &[]);
    home.check("tool", "tools/bin", &["tools"]);
}

#[test]
fn system_programs_and_unknown_ones_need_nothing() {
    let home = Home::new();
    home.check("/usr/bin/env", "", &[]);
    home.check("no-such-program", "", &[]);
    assert_eq!(
        find_toolchain(OsStr::new("sh"), OsStr::new("/usr/bin:/bin")),
        [] as [PathBuf; 0]
    );
}
