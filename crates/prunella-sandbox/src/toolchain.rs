//! Finds the directories that a command's interpreter or toolchain lives in, so that they can be shown read-only.
//!
//! Interpreters live in odd places: pyenv's shims are scripts, a virtual environment's `python` is a link to a base
//! interpreter, `cargo` is a proxy that looks for toolchains under the home directory. The answer is always the
//! narrowest directory that works; never a home directory, nor anything that holds credentials.

mod guard;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use guard::Guard;

/// Links followed and interpreters of interpreters looked at; real chains are much shorter.
const MAX_STEPS: usize = 32;

/// Existing directories and files, sorted, that must be shown at their own paths so that `argv0` runs inside. Empty
/// where the operating system's directories suffice or where nothing is found. A name without a slash is looked up in
/// `path`, a list like the variable `PATH`.
#[must_use]
pub fn find_toolchain(argv0: &OsStr, path: &OsStr) -> Vec<PathBuf> {
    let mut search = Search {
        path,
        guard: Guard::of_host(),
        found: BTreeSet::new(),
        seen: BTreeSet::new(),
    };
    search.command(argv0);
    search.finish()
}

struct Search<'a> {
    path: &'a OsStr,
    guard: Guard,
    found: BTreeSet<PathBuf>,
    seen: BTreeSet<PathBuf>,
}

impl Search<'_> {
    fn command(&mut self, name: &OsStr) {
        if let Some(program) = self.locate(name) {
            self.program(&program);
        }
    }

    fn locate(&self, name: &OsStr) -> Option<PathBuf> {
        let name = Path::new(name);
        if name.components().count() > 1 || name.is_absolute() {
            return name.is_absolute().then(|| name.to_owned());
        }
        std::env::split_paths(self.path)
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join(name))
            .find(|p| runs(p))
    }

    /// Everything along the chain of links from `program` to the file that is executed, and what that file needs.
    fn program(&mut self, program: &Path) {
        let mut at = program.to_owned();
        for _ in 0..MAX_STEPS {
            if !self.seen.insert(at.clone()) {
                return;
            }
            self.place(&at);
            match fs::read_link(&at) {
                Ok(to) => at = normal(&at.parent().unwrap_or(Path::new("/")).join(to)),
                Err(_) => break,
            }
        }
        // Directories on the way may be links as well: the kernel's answer is the true place.
        if let Ok(real) = fs::canonicalize(program) {
            if self.seen.insert(real.clone()) {
                self.place(&real);
            }
            self.interpreter(&real);
        }
    }

    /// What must be visible for the file at `at`.
    fn place(&mut self, at: &Path) {
        let Some(bin) = at.parent() else { return };
        let prefix = bin.parent().unwrap_or(bin);
        if bin.ends_with("shims") && prefix.join("versions").is_dir() {
            // pyenv, rbenv and their kin: the shim runs libexec and one of the versions.
            return self.add(prefix, at);
        }
        if bin.ends_with(".cargo/bin") {
            return self.rust(prefix);
        }
        if let Ok(text) = read_small(&prefix.join("pyvenv.cfg")) {
            self.add(prefix, at);
            if let Some(base) = text
                .lines()
                .find_map(|l| l.strip_prefix("home")?.trim_start().strip_prefix('='))
            {
                self.add(Path::new(base.trim()).parent().unwrap_or(Path::new("/")), at);
            }
            return;
        }
        let directory = if bin.ends_with("bin") || bin.ends_with("sbin") {
            prefix
        } else {
            bin
        };
        self.add(directory, at);
    }

    /// rustup's proxies, the toolchains and the downloaded sources, but not `.cargo` itself: that holds the
    /// registry's tokens.
    fn rust(&mut self, cargo: &Path) {
        let rustup = cargo.parent().map(|home| home.join(".rustup"));
        let wanted = [Some(cargo.join("bin")), Some(cargo.join("registry")), rustup];
        for directory in wanted.into_iter().flatten() {
            self.add(&directory, &directory);
        }
    }

    /// The interpreter that a script names in its first line.
    fn interpreter(&mut self, script: &Path) {
        let mut head = [0; 256];
        let Ok(n) = fs::File::open(script).and_then(|mut file| file.read(&mut head)) else {
            return;
        };
        let Some(line) = head[..n]
            .strip_prefix(b"#!")
            .and_then(|rest| rest.split(|&b| b == b'\n').next())
        else {
            return;
        };
        let line = String::from_utf8_lossy(line);
        let mut words = line.split_whitespace();
        let Some(program) = words.next() else { return };
        if self.seen.len() > MAX_STEPS {
            return;
        }
        if program.ends_with("/env") {
            let name = words.find(|word| !word.starts_with('-') && !word.contains('='));
            if let Some(name) = name {
                self.command(OsStr::new(name));
            }
        } else {
            self.command(OsStr::new(program));
        }
    }

    /// Adds a directory, or only the file in question where the directory must not be shown.
    fn add(&mut self, directory: &Path, file: &Path) {
        if self.guard.is_system(directory) {
            return;
        }
        if directory.is_dir() && self.guard.may_show(directory) {
            self.found.insert(directory.to_owned());
        } else if file.exists() && self.guard.may_show_file(file) {
            self.found.insert(file.to_owned());
        }
    }

    /// Without what lies below something else that is found.
    fn finish(self) -> Vec<PathBuf> {
        let found = &self.found;
        let covered = |path: &Path| path.ancestors().skip(1).any(|above| found.contains(above));
        found.iter().filter(|path| !covered(path)).cloned().collect()
    }
}

fn runs(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// A configuration file, of bounded size.
fn read_small(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(64 << 10).read_to_string(&mut text)?;
    Ok(text)
}

/// Without `.` and `..`, by text; the result is only used to find candidates, which are checked on disk.
fn normal(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => drop(clean.pop()),
            std::path::Component::CurDir => {}
            other => clean.push(other),
        }
    }
    clean
}

#[cfg(test)]
mod tests;
