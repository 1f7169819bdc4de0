//! What decides what a dependency command makes.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::DepsConfig;
use super::error::DepsError;
use crate::supervise::CommandLine;

/// The form of an entry: another form is another key.
const FORM: &str = "1";

/// Files that choose the version of a runtime.
const VERSION_FILES: &[&str] = &[
    ".python-version",
    ".node-version",
    ".nvmrc",
    ".ruby-version",
    ".tool-versions",
    "mise.toml",
    "rust-toolchain",
    "rust-toolchain.toml",
];

/// Which runtimes an installer installs for.
const RUNTIMES: &[(&str, &[&str])] = &[
    ("pip", &["python3", "python"]),
    ("pip3", &["python3"]),
    ("uv", &["python3", "python"]),
    ("poetry", &["python3", "python"]),
    ("pipenv", &["python3", "python"]),
    ("pdm", &["python3", "python"]),
    ("virtualenv", &["python3", "python"]),
    ("npm", &["node"]),
    ("npx", &["node"]),
    ("yarn", &["node"]),
    ("pnpm", &["node"]),
    ("corepack", &["node"]),
    ("cargo", &["rustc"]),
    ("bundle", &["ruby"]),
];

/// The key: 40 hexadecimal digits of a SHA-256 over length-prefixed parts.
pub(super) fn of(release: &Path, config: &DepsConfig, base_env: &[(String, String)]) -> Result<String, DepsError> {
    let mut hash = Sha256::new();
    let mut put = |name: &str, value: &[u8]| {
        for part in [name.as_bytes(), value] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    };
    put("form", FORM.as_bytes());
    put(
        "platform",
        format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH).as_bytes(),
    );
    put("libc", &libc_identity());
    put("command", text_of(&config.command).as_bytes());
    for output in &config.outputs {
        put("output", output.as_bytes());
    }
    for (name, value) in &config.env {
        put("env", format!("{name}={value}").as_bytes());
    }
    let files = config
        .lockfiles
        .iter()
        .map(String::as_str)
        .chain(VERSION_FILES.iter().copied());
    for file in files {
        put("file", file.as_bytes());
        put("content", &content(&release.join(file))?);
    }
    for program in runtimes(&config.command, base_env) {
        put("runtime", program.as_bytes());
    }
    let digest = hash.finalize();
    Ok(digest.iter().take(20).map(|byte| format!("{byte:02x}")).collect())
}

fn text_of(command: &CommandLine) -> String {
    match command {
        CommandLine::Shell(line) => line.clone(),
        CommandLine::Argv(argv) => argv.join("\0"),
    }
}

/// A digest of a lock file; absence is a value of its own.
fn content(path: &Path) -> Result<Vec<u8>, DepsError> {
    match fs::File::open(path) {
        Ok(mut file) => {
            let mut hash = Sha256::new();
            io::copy(&mut file, &mut hash).map_err(DepsError::io("read", path))?;
            Ok(hash.finalize().to_vec())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(DepsError::io("read", path)(error)),
    }
}

/// Every program that the command names and every runtime behind it, each with its place, size and time: an upgrade
/// changes at least one of them, and nothing has to be executed to see it.
fn runtimes(command: &CommandLine, base_env: &[(String, String)]) -> Vec<String> {
    let path = base_env
        .iter()
        .rev()
        .find(|(name, _)| name == "PATH")
        .map_or("", |(_, value)| value.as_str());
    let mut found = Vec::new();
    for word in words(command) {
        let known = RUNTIMES
            .iter()
            .find(|(name, _)| *name == word)
            .map_or(&[][..], |(_, runtimes)| *runtimes);
        for name in std::iter::once(word.as_str()).chain(known.iter().copied()) {
            if let Some(identity) = locate(name, path).and_then(|program| identity(&program)) {
                found.push(format!("{name}: {identity}"));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The programs that build these dependencies, for finding their toolchains.
pub(super) fn programs(command: &CommandLine, base_env: &[(String, String)]) -> Vec<String> {
    let path = base_env
        .iter()
        .rev()
        .find(|(name, _)| name == "PATH")
        .map_or("", |(_, value)| value.as_str());
    let mut found: Vec<String> = Vec::new();
    for word in words(command) {
        let known = RUNTIMES
            .iter()
            .find(|(name, _)| *name == word)
            .map_or(&[][..], |(_, runtimes)| *runtimes);
        found.extend(known.iter().map(|name| (*name).to_owned()));
        found.push(word);
    }
    found.retain(|name| locate(name, path).is_some());
    found.sort();
    found.dedup();
    found
}

fn words(command: &CommandLine) -> Vec<String> {
    let text = text_of(command);
    text.split(|c: char| c.is_whitespace() || "\0;&|()<>\"'`$".contains(c))
        .filter(|word| !word.is_empty() && !word.starts_with('-'))
        .map(str::to_owned)
        .collect()
}

fn locate(name: &str, path: &str) -> Option<PathBuf> {
    if name.starts_with('/') {
        return Path::new(name).is_file().then(|| PathBuf::from(name));
    }
    if name.contains('/') {
        return None;
    }
    std::env::split_paths(path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

fn identity(program: &Path) -> Option<String> {
    let real = program.canonicalize().ok()?;
    let metadata = fs::metadata(&real).ok()?;
    Some(format!(
        "{} {} {}.{}",
        real.display(),
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec()
    ))
}

/// Compiled extensions fit one C library.
fn libc_identity() -> Vec<u8> {
    ["/etc/os-release", "/usr/lib/os-release"]
        .iter()
        .find_map(|path| fs::read(path).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::{BuildLimits, Strategy};
    use super::*;
    use std::time::Duration;

    fn config(command: &str) -> DepsConfig {
        DepsConfig {
            command: CommandLine::Shell(command.to_owned()),
            outputs: vec![".venv".to_owned()],
            lockfiles: vec!["requirements.txt".to_owned(), "absent.lock".to_owned()],
            strategy: Strategy::Link,
            env: Vec::new(),
            timeout: Duration::from_secs(1),
            limits: BuildLimits::default(),
        }
    }

    #[test]
    fn what_decides_changes_the_key_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).unwrap();
        fs::write(bin.join("python3"), "3.11").unwrap();
        let path = vec![("PATH".to_owned(), bin.display().to_string())];
        let release = dir.path().join("release");
        fs::create_dir(&release).unwrap();
        fs::write(release.join("requirements.txt"), "flask==3\n").unwrap();
        let base = config("pip install -r requirements.txt");
        let key = |config: &DepsConfig| of(&release, config, &path).unwrap();
        let first = key(&base);
        assert_eq!(first.len(), 40);

        fs::write(release.join("app.py"), "print()").unwrap();
        assert_eq!(
            key(&DepsConfig {
                strategy: Strategy::Copy,
                ..base.clone()
            }),
            first,
            "the code does not decide"
        );

        assert_ne!(key(&config("pip install flask")), first);
        assert_ne!(
            key(&DepsConfig {
                env: vec![("A".into(), "1".into())],
                ..base.clone()
            }),
            first
        );
        fs::write(release.join("absent.lock"), "").unwrap();
        assert_ne!(key(&base), first, "an empty file is not an absent one");
        fs::remove_file(release.join("absent.lock")).unwrap();
        assert_eq!(key(&base), first);
        fs::write(release.join(".python-version"), "3.12").unwrap();
        assert_ne!(key(&base), first);
        fs::remove_file(release.join(".python-version")).unwrap();
        fs::write(bin.join("python3"), "3.12.1").unwrap();
        assert_ne!(key(&base), first, "the runtime behind pip was upgraded");
        fs::write(release.join("requirements.txt"), "flask==4\n").unwrap();
        assert_ne!(key(&base), first);
    }

    #[test]
    fn programs_are_found_in_shell_lines() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["python3", "npm", "node"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let path = vec![("PATH".to_owned(), dir.path().display().to_string())];
        let line = CommandLine::Shell("python3 -m venv .venv && (npm ci; true)".to_owned());
        assert_eq!(programs(&line, &path), ["node", "npm", "python3"]);
    }
}
