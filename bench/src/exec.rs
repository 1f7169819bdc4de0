//! Processes of the benchmarks: the one module here that starts any.

use crate::report::BenchError;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A child process that is ended when dropped.
pub(crate) struct Process {
    child: Child,
}

/// Whether `name` is an executable in the usual places or on the path.
#[allow(
    clippy::disallowed_methods,
    reason = "the search path is where the system keeps its programs"
)]
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let dirs = path.split(':').chain(["/usr/sbin", "/usr/local/sbin", "/sbin"]);
    dirs.filter(|d| !d.is_empty())
        .map(|d| Path::new(d).join(name))
        .find(|p| p.is_file())
}

#[allow(
    clippy::disallowed_methods,
    reason = "benchmarks start their peers here and nowhere else"
)]
fn command(program: &Path, args: &[&str]) -> Command {
    let mut c = Command::new(program);
    c.args(args).stdin(Stdio::null());
    c
}

/// Starts `program` on processor `cpu` alone.
pub(crate) fn start_on(cpu: usize, program: &Path, args: &[&str]) -> Result<Process, BenchError> {
    let cpu = cpu.to_string();
    let program = program.display().to_string();
    let all: Vec<&str> = ["-c", &cpu, &program].into_iter().chain(args.iter().copied()).collect();
    let child = command(Path::new("taskset"), &all)
        .stdout(Stdio::null())
        .spawn()
        .map_err(BenchError::io(format!(
            "cannot start {program} by taskset (of util-linux)"
        )))?;
    Ok(Process { child })
}

/// Starts `program` on any processor.
pub(crate) fn start(program: &Path, args: &[&str]) -> Result<Process, BenchError> {
    let what = format!("cannot start {}", program.display());
    let child = command(program, args)
        .stdout(Stdio::null())
        .spawn()
        .map_err(BenchError::io(what))?;
    Ok(Process { child })
}

/// Runs `program` on processor `cpu` to its end and returns what it wrote to stdout.
pub(crate) fn output_on(cpu: usize, program: &Path, args: &[&str]) -> Result<String, BenchError> {
    let cpu = cpu.to_string();
    let program = program.display().to_string();
    let all: Vec<&str> = ["-c", &cpu, &program].into_iter().chain(args.iter().copied()).collect();
    let what = format!("cannot run {program}");
    let out = command(Path::new("taskset"), &all)
        .output()
        .map_err(BenchError::io(what))?;
    if !out.status.success() {
        let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
        return Err(BenchError::Unexpected(format!("{program} failed: {stderr}")));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Whether `program` ends with status 0 within some seconds. What it prints goes nowhere.
pub(crate) fn succeeds_within(seconds: u32, program: &Path, args: &[&str]) -> bool {
    let seconds = seconds.to_string();
    let program = program.display().to_string();
    let all: Vec<&str> = ["-k", "1", &seconds, &program]
        .into_iter()
        .chain(args.iter().copied())
        .collect();
    let mut command = command(Path::new("timeout"), &all);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs `program` in a directory with further variables, gives it this input and returns what came.
pub(crate) fn in_directory(
    program: &Path,
    args: &[&str],
    dir: &Path,
    env: &[(String, String)],
    input: &[u8],
) -> Result<Output, BenchError> {
    let what = || format!("cannot run {}", program.display());
    let mut child = command(program, args)
        .current_dir(dir)
        .envs(env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(BenchError::io(what()))?;
    // What is written is small: it fits into the pipe or is read at once. One that does not read it has its reasons.
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(input);
    }
    child.wait_with_output().map_err(BenchError::io(what()))
}

/// Runs `program` to its end, however it ends, and returns what it wrote to stderr.
pub(crate) fn stderr_of(program: &Path, args: &[&str]) -> Result<String, BenchError> {
    let what = format!("cannot run {}", program.display());
    let out = command(program, args).output().map_err(BenchError::io(what))?;
    Ok(String::from_utf8_lossy(&out.stderr).into_owned())
}

impl Process {
    /// The process's number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Processor time of the process and its children so far, in seconds, to the nanosecond.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid())).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|p| p.parse().ok());
        std::iter::once(self.pid()).chain(children).map(cpu_seconds_of).sum()
    }
}

fn cpu_seconds_of(pid: u32) -> f64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return 0.0;
    };
    let of_task = |path: PathBuf| -> Option<f64> {
        let text = fs::read_to_string(path.join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    };
    tasks.filter_map(|t| of_task(t.ok()?.path())).sum::<f64>() / 1e9
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.child.id() as i32) {
            // Lets nginx's master end its worker.
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

/// Busy time of processor `cpu` so far, in seconds.
pub(crate) fn busy_seconds(cpu: usize) -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let name = format!("cpu{cpu} ");
    let Some(line) = stat.lines().find(|l| l.starts_with(&name)) else {
        return 0.0;
    };
    let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
    // user, nice, system, (idle, iowait), irq, softirq, steal; in ticks of 10 ms.
    ticks
        .iter()
        .enumerate()
        .filter(|(i, _)| ![3, 4].contains(i) && *i < 8)
        .map(|(_, t)| t)
        .sum::<f64>()
        / 100.0
}

/// The commit that is checked out, with `-dirty` when the tree differs; `unknown` without git.
pub(crate) fn commit() -> String {
    let git = |args: &[&str]| {
        let out = command(Path::new("git"), args)
            .output()
            .ok()
            .filter(|o| o.status.success())?;
        Some(String::from_utf8_lossy(&out.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".into();
    };
    let dirty = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|s| !s.is_empty());
    if dirty { format!("{commit}-dirty") } else { commit }
}

/// Processor, number of cores, memory and kernel in one line.
pub(crate) fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|l| l.starts_with(name)).unwrap_or("");
        line.split_once(':').map_or("?", |(_, v)| v.trim()).to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = field(&read("/proc/cpuinfo"), "model name");
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let gib = memory
        .split(' ')
        .next()
        .and_then(|kb| kb.parse::<f64>().ok())
        .unwrap_or(0.0)
        / 1048576.0;
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{model}, {cores} cores, {gib:.0} GiB, Linux {}", kernel.trim())
}
