//! A repository, the daemon on it, and its ledger.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use prunella::config;
use prunella::home::Home;
use prunella::journal::Journal;
use prunella::supervise::{RunState, Supervisor};
use prunella_core::id::{CommitId, ReleaseId};
use prunella_core::incident::{Incident, Outcome};
use prunella_core::ledger::{Entry, Event, World as Truth};
use prunella_core::release::{Release, ReleaseState};
use prunella_testkit::repo::RepoBuilder;
use tokio::runtime::Runtime;

use crate::client::{Answer, get};
use crate::process::{self, Found};

/// How long anything may take on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);
/// Between two looks at something that has no event to wait for.
const LOOK: Duration = Duration::from_millis(3);
/// Lines of the daemon's output that a failure shows.
const SHOWN: usize = 60;

type Lines = Arc<Mutex<Vec<String>>>;

/// The daemon's process.
struct Daemon {
    child: Child,
    /// What this daemon said.
    lines: Lines,
}

/// What a command of the binary left.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn all(&self) -> String {
        format!("exit {}\n{}{}", self.code, self.out, self.err)
    }
}

pub(crate) struct World {
    pub(crate) repo: RepoBuilder,
    daemon: Option<Daemon>,
    /// What all daemons said.
    said: Lines,
    journal: Option<Journal>,
    entries: Vec<Entry>,
    runtime: Runtime,
    addr: Option<SocketAddr>,
    /// Sizes of files that the daemon may write at most, if it has such a limit.
    pub(crate) file_limit: Option<u64>,
}

impl World {
    /// An empty repository.
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            repo: RepoBuilder::new(),
            daemon: None,
            said: Lines::default(),
            journal: None,
            entries: Vec::new(),
            runtime,
            addr: None,
            file_limit: None,
        }
    }

    pub(crate) fn home(&self) -> Home {
        let config = config::load(self.repo.path()).ok();
        Home::of(self.repo.path(), config.as_ref())
    }

    /// The directory of everything that this test makes.
    pub(crate) fn dir(&self) -> PathBuf {
        self.repo.path().parent().unwrap().to_owned()
    }

    #[allow(clippy::disallowed_methods, reason = "the binary is what is tested")]
    fn command(&self, args: &[&str]) -> Command {
        let mut command = match self.file_limit {
            None => Command::new(env!("CARGO_BIN_EXE_prunella")),
            Some(bytes) => {
                let mut limited = Command::new("prlimit");
                limited
                    .arg(format!("--fsize={bytes}"))
                    .arg(env!("CARGO_BIN_EXE_prunella"));
                limited
            }
        };
        command
            .args(args)
            .current_dir(self.repo.path())
            .env_clear()
            .env("PATH", env!("PATH"))
            .env("HOME", self.dir())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CEILING_DIRECTORIES", "/")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn cli(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().expect("the binary runs");
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// As [`World::cli`]; it must succeed.
    pub(crate) fn ok(&self, args: &[&str]) -> Ran {
        let ran = self.cli(args);
        assert_eq!(ran.code, 0, "{args:?}: {}", ran.all());
        ran
    }

    /// Starts `prunella run` and waits until it watches the service.
    pub(crate) fn run(&mut self) {
        self.spawn(&["run", "--json"]);
        let text = self.hears("watching");
        self.addr = text
            .split("http://")
            .nth(1)
            .and_then(|rest| rest.split(['"', ' ']).next())
            .and_then(|addr| addr.parse().ok());
    }

    /// Starts the daemon without waiting for anything.
    pub(crate) fn spawn(&mut self, args: &[&str]) {
        assert!(self.daemon.is_none(), "one daemon at a time");
        let mut child = self
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let lines = Lines::default();
        listen(child.stdout.take().unwrap(), &lines, &self.said);
        listen(child.stderr.take().unwrap(), &lines, &self.said);
        self.daemon = Some(Daemon { child, lines });
    }

    /// Where the gateway listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr.expect("a service with HTTP was started")
    }

    pub(crate) fn daemon_pid(&self) -> i32 {
        self.daemon.as_ref().expect("the daemon runs").child.id().cast_signed()
    }

    /// Waits for a line of this daemon that contains the text.
    pub(crate) fn hears(&mut self, text: &str) -> String {
        let lines = self.daemon.as_ref().expect("the daemon runs").lines.clone();
        self.eventually(&format!("the daemon says {text:?}"), |_| {
            lines.lock().unwrap().iter().find(|l| l.contains(text)).cloned()
        })
    }

    /// Whether this daemon has said something with the text.
    pub(crate) fn heard(&self, text: &str) -> bool {
        let daemon = self.daemon.as_ref().expect("the daemon runs");
        daemon.lines.lock().unwrap().iter().any(|l| l.contains(text))
    }

    /// `kill -9` of the daemon.
    pub(crate) fn kill(&mut self) {
        let mut daemon = self.daemon.take().expect("the daemon runs");
        daemon.child.kill().unwrap();
        daemon.child.wait().unwrap();
    }

    /// Sends the daemon a signal and waits for its end.
    pub(crate) fn end_with(&mut self, signal: i32) -> ExitStatus {
        process::signal(self.daemon_pid(), signal);
        self.ended()
    }

    /// Waits for the daemon's end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.eventually("the daemon ends", |w| {
            w.daemon.as_mut().expect("the daemon runs").child.try_wait().unwrap()
        });
        self.daemon.take().unwrap().child.wait().unwrap()
    }

    /// `SIGINT`: everything must be gone, and the exit code say that all is well.
    pub(crate) fn stop(&mut self) {
        let status = self.end_with(libc::SIGINT);
        assert_eq!(status.code(), Some(0), "{}", self.told());
        self.is_gone();
    }

    /// No process of this test is left.
    pub(crate) fn is_gone(&mut self) {
        self.eventually("all processes are gone", |w| {
            process::of(&w.dir()).is_empty().then_some(())
        });
    }

    /// Asks again and again until there is an answer.
    pub(crate) fn eventually<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "never happened: {what}\n{}", self.told());
            std::thread::sleep(LOOK);
        }
    }

    /// What is true now.
    pub(crate) fn truth(&mut self) -> &Truth {
        if self.journal.is_none() {
            let home = self.home();
            self.journal = Some(self.runtime.block_on(Journal::open(&home)).expect("the ledger opens"));
        }
        let journal = self.journal.as_mut().unwrap();
        let new = self.runtime.block_on(journal.refresh()).expect("the ledger is whole");
        self.entries.extend(new);
        self.journal.as_ref().unwrap().world()
    }

    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Waits for something to be true in the ledger.
    pub(crate) fn until<T>(&mut self, what: &str, look: impl Fn(&Truth) -> Option<T>) -> T {
        self.eventually(what, |w| look(w.truth()))
    }

    /// The newest release of a commit.
    pub(crate) fn release_of(truth: &Truth, commit: &CommitId) -> Option<Release> {
        let newest = truth.service.order.iter().rev();
        newest
            .filter_map(|id| truth.service.releases.get(id))
            .find(|r| r.commit == *commit)
            .cloned()
    }

    /// Waits until a commit runs as the last-known-good release.
    pub(crate) fn until_good(&mut self, commit: &CommitId) -> ReleaseId {
        self.until(&format!("{commit} is good"), |t| {
            Self::release_of(t, commit)
                .filter(|r| r.state == ReleaseState::Good)
                .map(|r| r.id)
        })
    }

    /// Waits until the newest incident is closed.
    pub(crate) fn until_closed(&mut self) -> Incident {
        self.until("an incident is closed", |t| {
            let newest = t.order.last().and_then(|id| t.incidents.get(id))?;
            newest.outcome.is_some().then(|| newest.clone())
        })
    }

    /// As [`World::until_closed`], with this outcome.
    pub(crate) fn until_closed_as(&mut self, outcome: Outcome) -> Incident {
        let incident = self.until_closed();
        assert_eq!(
            incident.outcome.as_ref().map(|(o, _)| *o),
            Some(outcome),
            "{incident:#?}\n{}",
            self.told()
        );
        incident
    }

    /// Asks the service through the gateway.
    pub(crate) fn get(&self, path: &str) -> Answer {
        get(self.addr(), path).unwrap_or_else(|e| panic!("{path}: {e}\n{}", self.told()))
    }

    /// The processes of the service that run, by release: shim and service.
    pub(crate) fn services(&self) -> Vec<RunState> {
        let supervisor = Supervisor::new(
            self.home().runs(),
            prunella::supervise::Launcher::default(),
            String::new(),
        );
        let mut states: Vec<RunState> = supervisor
            .runs()
            .unwrap_or_default()
            .iter()
            .filter_map(|dir| serde_json::from_slice(&std::fs::read(dir.join("state.json")).ok()?).ok())
            .filter(|s: &RunState| s.service.is_some_and(|i| process::alive(i.pid)))
            .collect();
        states.sort_by(|a, b| a.run.cmp(&b.run));
        states
    }

    /// The gateway's process.
    pub(crate) fn gateway_pid(&mut self) -> i32 {
        self.eventually("the gateway runs", |w| {
            let all = process::of(&w.dir());
            let is_gateway = |f: &&Found| f.command.contains(" gateway --state-dir ");
            all.iter().find(is_gateway).map(|f| f.pid)
        })
    }

    /// The last of what the daemons said, for failures.
    pub(crate) fn told(&self) -> String {
        let said = self.said.lock().unwrap();
        let from = said.len().saturating_sub(SHOWN);
        let processes: Vec<String> = process::of(&self.dir())
            .iter()
            .map(|f| format!("  {} (of {}): {}", f.pid, f.parent, f.command))
            .collect();
        format!(
            "--- daemon\n{}\n--- processes\n{}",
            said[from..].join("\n"),
            processes.join("\n")
        )
    }
}

impl Drop for World {
    #[allow(clippy::print_stdout, reason = "a failed test shows what the daemons said")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.told());
        }
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.child.kill();
            let _ = daemon.child.wait();
        }
        process::end_all(&self.dir());
    }
}

fn listen(stream: impl Read + Send + 'static, one: &Lines, all: &Lines) {
    let (one, all) = (one.clone(), all.clone());
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            one.lock().unwrap().push(line.clone());
            all.lock().unwrap().push(line);
        }
    });
}

/// The names of the events of the newest incident, in order.
pub(crate) fn happened(entries: &[Entry]) -> Vec<String> {
    entries
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Incident(event) => serde_json::to_value(event).ok()?["event"]
                .as_str()
                .map(ToOwned::to_owned),
            Event::Release(_) => None,
        })
        .collect()
}

impl World {
    /// Every event since the test looked first.
    pub(crate) fn entries(&mut self) -> &[Entry] {
        self.truth();
        &self.entries
    }

    /// Waits until the ledger has this event of an incident.
    pub(crate) fn until_event(&mut self, name: &str) {
        self.eventually(&format!("an incident has {name:?}"), |w| {
            happened(w.entries()).iter().any(|n| n == name).then_some(())
        });
    }
}
