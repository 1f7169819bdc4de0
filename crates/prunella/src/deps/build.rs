//! Runs a dependency command in the sandbox.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prunella_sandbox::{Backend, CancelToken, Exit, JailSpec, Limits, Mount, Network, Report, find_toolchain};

use super::DepsConfig;
use super::entry::{Complete, Entry};
use super::error::DepsError;
use super::key;
use super::network;
use crate::clock::now_ms;
use crate::copy::{CopyLimits, copy_tree};

/// How much of a failed build's output the error shows.
const SHOWN: usize = 4000;
/// What a build sees of the caller's environment. `HOME` is the sandbox's own.
const BASE: &[&str] = &["PATH", "LANG", "LC_ALL", "TZ"];

/// What a build may use beside its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildLimits {
    /// Memory of all its processes, in bytes.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub processes: u32,
    /// The largest file, in bytes.
    pub file_size_bytes: u64,
    /// What it may write to its temporary and home directories, in bytes each.
    pub scratch_bytes: u64,
    /// The most that its outputs may hold, in bytes.
    pub output_bytes: u64,
}

impl Default for BuildLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 4 << 30,
            processes: 2048,
            file_size_bytes: 4 << 30,
            scratch_bytes: 4 << 30,
            output_bytes: 20 << 30,
        }
    }
}

/// Builds the entry and declares it whole.
pub(super) fn build(
    entry: &Entry,
    release: &Path,
    config: &DepsConfig,
    base_env: &[(String, String)],
    backend: &dyn Backend,
    cancel: &CancelToken,
) -> Result<Complete, DepsError> {
    entry.clear()?;
    let tree = entry.tree();
    // Outputs of the release itself are not taken over: the entry must depend on nothing but its key.
    let outputs: Vec<PathBuf> = config.outputs.iter().map(PathBuf::from).collect();
    copy_tree(release, &tree, CopyLimits::default(), &|path| {
        outputs.iter().any(|output| path == output)
    })?;
    let spec = jail(&tree, config, base_env)?;
    let report = backend.run(&spec, cancel)?;
    judge(entry, &spec, &report)?;
    for output in &config.outputs {
        if !tree.join(output).exists() {
            let command = spec.argv.join(" ");
            return Err(DepsError::OutputMissing {
                command,
                output: output.clone(),
            });
        }
    }
    prune(&tree, Path::new(""), &outputs)?;
    let mut complete = Complete {
        outputs: config.outputs.clone(),
        leaving: Vec::new(),
        bytes: 0,
        built_ms: now_ms(),
    };
    for output in &config.outputs {
        let (bytes, leaves) = survey(&tree.join(output))?;
        complete.bytes += bytes;
        if leaves {
            complete.leaving.push(output.clone());
        }
    }
    if complete.bytes > config.limits.output_bytes {
        let limit = config.limits.output_bytes;
        return Err(DepsError::BadConfig(format!(
            "the outputs have {} bytes, the limit is {limit}",
            complete.bytes
        )));
    }
    entry.finish(&complete)?;
    let _ = fs::remove_file(entry.log());
    Ok(complete)
}

fn jail(tree: &Path, config: &DepsConfig, base_env: &[(String, String)]) -> Result<JailSpec, DepsError> {
    let mut spec = JailSpec::new(config.command.resolve(None)?);
    let base = base_env
        .iter()
        .filter(|(name, value)| BASE.contains(&name.as_str()) || network::may_pass(name, value));
    let given: BTreeMap<String, String> = base.chain(&config.env).cloned().collect();
    spec.env.extend(given);
    let path = spec.env.get("PATH").cloned().unwrap_or_default();
    for program in key::programs(&config.command, base_env) {
        spec.toolchains
            .extend(find_toolchain(OsStr::new(&program), OsStr::new(&path)));
    }
    spec.toolchains.sort();
    spec.toolchains.dedup();
    // rustup finds its toolchains through the home directory, which is another one inside.
    if let Some(rustup) = spec.toolchains.iter().find(|path| path.ends_with(".rustup")) {
        let rustup = rustup.to_string_lossy().into_owned();
        spec.env.entry("RUSTUP_HOME".to_owned()).or_insert(rustup);
    }
    spec.cwd = tree.to_owned();
    spec.mounts.push(Mount::writable(tree, tree));
    let certificates = network::certificates(base_env);
    spec.mounts
        .extend(certificates.iter().map(|path| Mount::read_only(path, path)));
    spec.network = Network::Host;
    spec.limits = Limits {
        wall: config.timeout,
        // Compilers use every core; the wall clock is the limit that counts.
        cpu: config.timeout.saturating_mul(64).min(Duration::from_secs(24 * 3600)),
        memory_bytes: config.limits.memory_bytes,
        processes: config.limits.processes,
        file_size_bytes: config.limits.file_size_bytes,
        scratch_bytes: config.limits.scratch_bytes,
        open_files: 8192,
        ..Limits::default()
    };
    Ok(spec)
}

/// Keeps what a failed build printed and says how it failed.
fn judge(entry: &Entry, spec: &JailSpec, report: &Report) -> Result<(), DepsError> {
    let how = match report.exit {
        Exit::Exited(0) => return Ok(()),
        Exit::Cancelled => return Err(DepsError::Cancelled),
        Exit::Exited(code) => format!("exited with code {code}"),
        Exit::Signaled(signal) => format!("was killed by signal {signal}"),
        Exit::TimedOut => format!("took longer than {} s", spec.limits.wall.as_secs()),
        Exit::CpuLimit => "used too much processor time".to_owned(),
        Exit::OutOfMemory => format!("used more than {} bytes of memory", spec.limits.memory_bytes),
        Exit::OutputLimit => "printed too much".to_owned(),
    };
    let text = format!("{}\n{}", report.stdout.text(), report.stderr.text());
    let log = entry.log();
    fs::write(&log, &text).map_err(DepsError::io("write", &log))?;
    Err(DepsError::Failed {
        command: spec.argv.join(" "),
        how,
        output: tail(text.trim(), SHOWN).to_owned(),
        log,
    })
}

/// The last bytes of a text, from a line's beginning where possible.
fn tail(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let mut start = text.len() - bytes;
    while !text.is_char_boundary(start) {
        start += 1;
    }
    match text[start..].find('\n') {
        Some(end) => &text[start + end + 1..],
        None => &text[start..],
    }
}

/// Removes what is neither an output nor on the way to one.
fn prune(tree: &Path, relative: &Path, outputs: &[PathBuf]) -> Result<(), DepsError> {
    let dir = tree.join(relative);
    for item in fs::read_dir(&dir).map_err(DepsError::io("read", &dir))? {
        let item = item.map_err(DepsError::io("read", &dir))?;
        let (path, child) = (item.path(), relative.join(item.file_name()));
        if outputs.contains(&child) {
            continue;
        }
        let is_dir = item.file_type().map_err(DepsError::io("read", &path))?.is_dir();
        let removed = match is_dir {
            true if outputs.iter().any(|output| output.starts_with(&child)) => {
                prune(tree, &child, outputs)?;
                continue;
            }
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
        removed.map_err(DepsError::io("remove", &path))?;
    }
    Ok(())
}

/// The size of an output, and whether relative links lead out of it (npm's workspaces are such links).
fn survey(output: &Path) -> Result<(u64, bool), DepsError> {
    let (mut bytes, mut leaves) = (0, false);
    let mut queue = vec![(output.to_owned(), 0_usize)];
    while let Some((path, depth)) = queue.pop() {
        let metadata = fs::symlink_metadata(&path).map_err(DepsError::io("read", &path))?;
        if metadata.is_dir() {
            for item in fs::read_dir(&path).map_err(DepsError::io("read", &path))? {
                queue.push((item.map_err(DepsError::io("read", &path))?.path(), depth + 1));
            }
        } else if metadata.is_symlink() {
            let link = fs::read_link(&path).map_err(DepsError::io("read", &path))?;
            leaves |= leads_out(&link, depth);
        } else {
            bytes += metadata.len();
        }
    }
    Ok((bytes, leaves))
}

/// Whether a relative link that stands `depth` levels below the output's root leads above it.
fn leads_out(link: &Path, depth: usize) -> bool {
    let mut level = depth.saturating_sub(1);
    for part in link.components() {
        match part {
            std::path::Component::ParentDir if level == 0 => return true,
            std::path::Component::ParentDir => level -= 1,
            std::path::Component::Normal(_) => level += 1,
            // An absolute link means the same from everywhere.
            std::path::Component::RootDir | std::path::Component::Prefix(_) => return false,
            std::path::Component::CurDir => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_out_of_an_output_are_seen() {
        // node_modules/foo -> ../packages/foo
        assert!(leads_out(Path::new("../packages/foo"), 1));
        // node_modules/.bin/tool -> ../tool/cli.js
        assert!(!leads_out(Path::new("../tool/cli.js"), 2));
        assert!(leads_out(Path::new("../../x"), 2));
        assert!(!leads_out(Path::new("/usr/bin/python3"), 2));
    }

    #[test]
    fn a_long_output_is_shown_from_a_line() {
        assert_eq!(tail("short", 10), "short");
        assert_eq!(tail("first line\nsecond\nthird", 10), "third");
        assert_eq!(tail("äöüäöü", 5), "öü", "a cut is never inside a character");
    }
}
