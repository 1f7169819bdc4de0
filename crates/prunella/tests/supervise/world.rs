//! What the tests share: a supervisor in a temporary directory, scripts, and a daemon that can be killed.

use std::future::Future;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use prunella::supervise::{
    CommandLine, Launcher, LogLimits, LogTail, Process, RunName, StartSpec, Supervisor, TailEvent, TailOffsets,
    Telemetry, base_env,
};
use prunella_core::id::{ReleaseId, ServiceName};
use tempfile::TempDir;

pub(crate) const GRACE: Duration = Duration::from_secs(20);

pub(crate) fn on_runtime(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    // A test that hangs fails, and says that it hung.
    runtime
        .block_on(async { tokio::time::timeout(Duration::from_secs(60), test).await })
        .expect("the test hung");
}

pub(crate) fn launcher() -> Launcher {
    Launcher {
        program: std::env::current_exe().unwrap(),
        args: vec!["shim".into()],
    }
}

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) supervisor: Supervisor,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let instance = format!("test-{}", dir.path().display());
        let supervisor = Supervisor::new(dir.path().join("run"), launcher(), instance);
        Self { dir, supervisor }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn spec(&self, run: &str, command: CommandLine) -> StartSpec {
        StartSpec {
            run: RunName::parse(run).unwrap(),
            service: ServiceName::parse("shop").unwrap(),
            release: ReleaseId::parse("r1").unwrap(),
            version: "0123abcd".to_owned(),
            command,
            cwd: self.dir.path().to_owned(),
            port: None,
            listener: None,
            env: Vec::new(),
            base_env: base_env(),
            telemetry: Telemetry::default(),
            logs: LogLimits::default(),
            grace: GRACE,
        }
    }

    pub(crate) async fn shell(&self, run: &str, line: &str) -> Process {
        self.supervisor
            .start(self.spec(run, CommandLine::Shell(line.to_owned())))
            .await
            .unwrap()
    }

    pub(crate) async fn python(&self, run: &str, code: &str) -> Process {
        self.supervisor.start(self.spec(run, python(code))).await.unwrap()
    }
}

impl Drop for World {
    /// Whatever a failed test left behind is ended: by the very function that is tested elsewhere.
    fn drop(&mut self) {
        for dir in self.supervisor.runs().unwrap_or_default() {
            if let Some(pid) = record(&dir, "state.json")["shim"]["pid"].as_i64() {
                signal(i32::try_from(pid).unwrap(), "KILL");
            }
        }
        let _ = prunella::supervise::sweep_orphans(self.supervisor.run_root(), self.supervisor.instance(), &[]);
    }
}

pub(crate) fn python(code: &str) -> CommandLine {
    CommandLine::Argv(vec!["python3".into(), "-u".into(), "-c".into(), code.into()])
}

/// Reads output until a line starts with `prefix`; returns the rest of that line.
pub(crate) async fn said(process: &Process, prefix: &str) -> String {
    let mut tail = LogTail::open(process.run_dir(), TailOffsets::default()).unwrap();
    loop {
        if let Some(TailEvent::Line(line)) = tail.next().await.unwrap()
            && let Some(rest) = line.line.strip_prefix(prefix)
        {
            return rest.to_owned();
        }
    }
}

/// All output of a run that has ended.
pub(crate) async fn output(process: &Process) -> Vec<String> {
    let mut tail = LogTail::open(process.run_dir(), TailOffsets::default()).unwrap();
    tail.finish();
    let mut lines = Vec::new();
    while let Some(event) = tail.next().await.unwrap() {
        let TailEvent::Line(line) = event else {
            panic!("{event:?}")
        };
        lines.push(line.line);
    }
    lines
}

pub(crate) fn record(dir: &std::path::Path, name: &str) -> serde_json::Value {
    std::fs::read(dir.join(name))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}

/// Whether a process runs. A zombie does not.
pub(crate) fn alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with(['Z', 'X']))
}

#[allow(clippy::disallowed_methods, reason = "tests signal processes from outside")]
pub(crate) fn signal(pid: i32, name: &str) {
    let _ = Command::new("/bin/sh")
        .args(["-c", &format!("kill -{name} {pid} 2>/dev/null")])
        .status();
}

/// Waits for something that another process does and that has no event to wait for.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..4000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never happened: {what}");
}

/// A second process that starts a service and can be killed.
pub(crate) struct Daemon(Child);

impl Daemon {
    /// Starts `line` as run `run` from another process; returns when it runs.
    #[allow(clippy::disallowed_methods, reason = "the daemon under test is another process")]
    pub(crate) fn start(world: &World, run: &str, line: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["daemon", world.dir.path().to_str().unwrap(), run, line])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut word = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut word)
            .unwrap();
        assert_eq!(word, "started\n");
        Self(child)
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The other side of [`Daemon`]: `daemon <world> <run> <line>`.
pub(crate) fn daemon_main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(2).collect();
    let [dir, run, line] = args.as_slice() else {
        return ExitCode::FAILURE;
    };
    on_runtime(async {
        let supervisor = Supervisor::new(PathBuf::from(dir).join("run"), launcher(), format!("test-{dir}"));
        let spec = StartSpec {
            run: RunName::parse(run).unwrap(),
            service: ServiceName::parse("shop").unwrap(),
            release: ReleaseId::parse("r1").unwrap(),
            version: "0123abcd".to_owned(),
            command: CommandLine::Shell(line.clone()),
            cwd: PathBuf::from(dir),
            port: None,
            listener: None,
            env: Vec::new(),
            base_env: base_env(),
            telemetry: Telemetry::default(),
            logs: LogLimits::default(),
            grace: GRACE,
        };
        let process = supervisor.start(spec).await.unwrap();
        let mut stdout = std::io::stdout();
        stdout.write_all(b"started\n").unwrap();
        stdout.flush().unwrap();
        process.wait().await.unwrap();
    });
    ExitCode::SUCCESS
}
