//! Where Rust is built and run: a copy of the tree whose files are exchanged, a target folder that stays between builds,
//! and the built test programs started without cargo.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prunella_sandbox::{CancelToken, Exit, JailSpec, Mount, Report};
use tempfile::TempDir;

use super::command::{CargoTest, Program, Said, read};
use super::schema::{CHOICE, TRACE};
use crate::evaluate::session::{OUT, folder};
use crate::evaluate::{NotSearched, SearchTask};

/// Where builds go inside.
const TARGET: &str = "/opt/prunella/target";
/// The name of a trace in its folder.
const TRACED: &str = "trace";
/// Bytes of a build's output that are kept: each error of some hundred candidates is a few thousand.
const SAID: u64 = 48 << 20;
/// Memory of one test program: what fills it is no repair.
const MEMORY: u64 = 2 << 30;
/// What a test program may wait, beside computing.
const WAITING: Duration = Duration::from_secs(2);
/// The most bytes of a trace that are read.
const MAX_TRACE: u64 = 8 << 20;
/// The most entries of a tree that are copied.
const MAX_FILES: usize = 40_000;

/// The place.
pub(super) struct Bench<'a> {
    pub(super) cargo: CargoTest,
    /// The tree as it was given, on the host.
    pub(super) given: PathBuf,
    /// How long the search may take, and the processor over all cores.
    pub(super) budget: Duration,
    pub(super) core_budget: Duration,
    /// Programs that run at a time.
    pub(super) cores: usize,
    base: JailSpec,
    root: PathBuf,
    cancel: &'a CancelToken,
    tree: TempDir,
    target: TempDir,
}

/// A build.
pub(super) struct Built {
    pub(super) passed: bool,
    pub(super) said: Said,
}

/// One run of a test program.
pub(super) struct Ran {
    pub(super) report: Report,
    /// What was written to the trace.
    pub(super) trace: String,
}

impl Ran {
    pub(super) fn passed(&self) -> bool {
        self.report.exit == Exit::Exited(0)
    }

    /// Seconds of the processor.
    pub(super) fn core_seconds(&self) -> f64 {
        (self.report.cpu_user + self.report.cpu_sys).as_secs_f64()
    }
}

impl<'a> Bench<'a> {
    /// Copies the tree.
    ///
    /// # Errors
    /// If it cannot be copied.
    pub(super) fn new(task: &SearchTask<'_>, cargo: CargoTest, cancel: &'a CancelToken) -> Result<Self, NotSearched> {
        let (tree, target) = (folder(0o755)?, folder(0o777)?);
        let mut left = MAX_FILES;
        copy(task.tree, tree.path(), &mut left).map_err(|e| NotSearched::Machine(e.to_string()))?;
        Ok(Self {
            cargo,
            given: task.tree.to_owned(),
            budget: task.budget,
            core_budget: task.core_budget,
            cores: task.cores.max(1),
            base: (task.jail)(task.argv, task.budget),
            root: task.root.to_owned(),
            cancel,
            tree,
            target,
        })
    }

    /// Writes a file of the tree, if it is not that already.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn put(&self, file: &str, text: &str) -> Result<(), NotSearched> {
        let path = self.tree.path().join(file);
        if fs::read(&path).is_ok_and(|now| now == text.as_bytes()) {
            return Ok(());
        }
        // The copy may share its bytes with the original: it is replaced, not written to.
        let write = || {
            let _ = fs::remove_file(&path);
            fs::write(&path, text)
        };
        write().map_err(|e| NotSearched::Machine(format!("{file}: {e}")))
    }

    fn spec(&self, argv: &[String], wall: Duration) -> JailSpec {
        let mut spec = self.base.clone();
        spec.limits.wall = wall.max(Duration::from_secs(1));
        spec.limits.cpu = spec.limits.wall.saturating_mul(8);
        argv.clone_into(&mut spec.argv);
        for mount in spec.mounts.iter_mut().filter(|mount| mount.target == self.root) {
            self.tree.path().clone_into(&mut mount.source);
        }
        spec.mounts.push(Mount::writable(self.target.path(), TARGET));
        spec.env.insert("CARGO_TARGET_DIR".to_owned(), TARGET.to_owned());
        spec.env.insert("CARGO_NET_OFFLINE".to_owned(), "true".to_owned());
        spec.env.insert("CARGO_TERM_COLOR".to_owned(), "never".to_owned());
        spec
    }

    /// Builds the tests.
    ///
    /// # Errors
    /// If the sandbox does not run it.
    pub(super) fn build(&self, wall: Duration) -> Result<Built, NotSearched> {
        let mut spec = self.spec(&self.cargo.build, wall);
        spec.limits.output_bytes = SAID;
        let report = self.jail(&spec)?;
        let said = read(&report.stdout.text());
        tracing::debug!(
            exit = ?report.exit,
            seconds = report.wall.as_secs_f64(),
            programs = said.programs.len(),
            faults = said.faults.len(),
            first = said.faults.first().map(|fault| fault.message.as_str()),
            said = report.stderr.text().lines().rev().take(2).collect::<Vec<_>>().join(" | "),
            "build"
        );
        Ok(Built {
            passed: report.exit == Exit::Exited(0) && said.faults.is_empty(),
            said,
        })
    }

    /// Runs a test program with arguments, as a candidate or traced. `limit` is of the processor's time; a clock that
    /// stands still while others have the processor gets more.
    ///
    /// # Errors
    /// If the sandbox does not run it.
    pub(super) fn run(
        &self,
        program: &Program,
        arguments: &[String],
        choice: Option<u32>,
        is_traced: bool,
        limit: Duration,
    ) -> Result<Ran, NotSearched> {
        let argv: Vec<String> = std::iter::once(program.path.clone())
            .chain(arguments.iter().cloned())
            .collect();
        let mut spec = self.spec(&argv, limit.saturating_mul(3) + WAITING);
        spec.cwd.clone_from(&program.package);
        spec.limits.memory_bytes = spec.limits.memory_bytes.min(MEMORY);
        spec.limits.cpu = limit;
        let package = program.package.to_string_lossy().into_owned();
        let libraries = PathBuf::from(&program.path)
            .parent()
            .map(|dir| dir.to_string_lossy().into_owned());
        spec.env.insert("CARGO_MANIFEST_DIR".to_owned(), package);
        spec.env
            .extend(libraries.map(|dir| ("LD_LIBRARY_PATH".to_owned(), dir)));
        spec.env.insert(
            "RUST_BACKTRACE".to_owned(),
            if is_traced { "1" } else { "0" }.to_owned(),
        );
        if let Some(choice) = choice {
            spec.env.insert(CHOICE.to_owned(), choice.to_string());
        }
        if !is_traced {
            let report = self.jail(&spec)?;
            return Ok(Ran {
                report,
                trace: String::new(),
            });
        }
        let out = folder(0o777)?;
        spec.mounts.push(Mount::writable(out.path(), OUT));
        spec.env.insert(TRACE.to_owned(), format!("{OUT}/{TRACED}"));
        let report = self.jail(&spec)?;
        Ok(Ran {
            report,
            trace: read_trace(&out.path().join(TRACED)),
        })
    }

    fn jail(&self, spec: &JailSpec) -> Result<Report, NotSearched> {
        if self.cancel.is_cancelled() {
            return Err(NotSearched::Sandbox("it was stopped".to_owned()));
        }
        prunella_sandbox::run(spec, self.cancel).map_err(|error| NotSearched::Sandbox(error.to_string()))
    }

    /// A file as the compiler or a panic names it, as a path in the tree. Names are relative to the workspace, to the
    /// package, or absolute.
    pub(super) fn file(&self, named: &str) -> Option<String> {
        let named = named.strip_prefix("./").unwrap_or(named);
        let inside = match Path::new(named).strip_prefix(&self.root) {
            Ok(inside) => inside.to_owned(),
            Err(_) if named.starts_with('/') => return None,
            Err(_) => PathBuf::from(named),
        };
        let is_plain = |path: &Path| {
            path.components()
                .all(|part| matches!(part, std::path::Component::Normal(_)))
        };
        let here = self.tree.path();
        // The workspace can be below the root, where the command was called.
        let above = self.base.cwd.ancestors();
        let prefixes = above.filter_map(|dir| dir.strip_prefix(&self.root).ok());
        let mut all = std::iter::once(inside.clone()).chain(prefixes.map(|prefix| prefix.join(&inside)));
        let found = all.find(|path| is_plain(path) && here.join(path).is_file())?;
        Some(found.to_string_lossy().into_owned())
    }

    /// The first place of an error that is in one of the tree's files.
    pub(super) fn places(&self, places: &[(String, Range<usize>)]) -> Vec<(String, Range<usize>)> {
        let known = places
            .iter()
            .filter_map(|(file, span)| Some((self.file(file)?, span.clone())));
        known.collect()
    }
}

fn read_trace(path: &Path) -> String {
    use std::io::Read as _;
    let mut text = Vec::new();
    if let Ok(file) = fs::File::open(path) {
        let _ = file.take(MAX_TRACE).read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Copies a folder; files share their bytes where the file system can.
fn copy(from: &Path, to: &Path, left: &mut usize) -> std::io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        *left = left
            .checked_sub(1)
            .ok_or_else(|| std::io::Error::other(format!("more than {MAX_FILES} files")))?;
        let (source, copied) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            fs::create_dir(&copied)?;
            copy(&source, &copied, left)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source)?, &copied)?;
        } else if fs::hard_link(&source, &copied).is_err() {
            fs::copy(&source, &copied)?;
        }
    }
    Ok(())
}
