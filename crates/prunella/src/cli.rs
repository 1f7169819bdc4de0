//! The command line. What each command does is in [`crate::commands`].

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::Span;
use crate::heal::budget::Budget;
use crate::llm::Choice;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the answer is no: not healed, not promoted, a blocker was found
  2  the command line or prunella.toml is wrong
  3  this machine lacks something: git, a writable directory, a whole ledger
  4  refused by policy
  5  a defect in prunella
  6  neither yes nor no: the evidence is too thin (verify)

stdout carries data, stderr carries talk. NO_COLOR is respected.";

/// Self-healing code: watches a service, takes a failing change out of the traffic, finds the commit and the hunk that
/// did it, and ships a proven fix.
#[derive(Debug, Parser)]
#[command(name = "prunella", version, after_help = EXIT_CODES, max_term_width = 100, propagate_version = false)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Work in this directory's repository instead of the current one
    #[arg(short = 'C', long, value_name = "DIR", global = true)]
    pub directory: Option<PathBuf>,
    /// Print data as one JSON document on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// When to use colour: auto, always or never
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Color::Auto, global = true, hide_possible_values = true)]
    pub color: Color,
    /// Say nothing but errors on stderr
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more on stderr; twice for even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Read the repository and write prunella.toml
    ///
    /// Looks for the start, test and build commands, the readiness check and the state files. Each line of the file says
    /// where its value was found; other readings are there as comments. Nothing is asked and nothing else is changed.
    Init(Init),
    /// Say what works here, and how to get what does not
    ///
    /// Exits with 0 if `prunella run` can work, otherwise with 1.
    Doctor,
    /// Start the service behind the gateway, watch it and heal it
    ///
    /// Runs until Ctrl-C. The service outlives a killed or upgraded prunella and is adopted again at the next start.
    Run(Run),
    /// Ask for a release of a commit
    ///
    /// The daemon checks it out, builds it, starts it beside the last-known-good release and gives it the traffic step by
    /// step. A commit that contains a commit proven bad, and none of the commits that heal it, is refused.
    Deploy(Deploy),
    /// Show the service, its releases and its open incidents
    Status,
    /// List incidents, or explain one
    Incidents(Incidents),
    /// Explain an incident: what hurts, since when, the cause and its proof, the fix and what to run next
    Explain(Explain),
    /// Show recorded telemetry to the detectors, with the recorded time
    ///
    /// Reads OTLP as the Collector's file exporter writes it (JSON lines, or protobuf with lengths), and log lines: JSON,
    /// logfmt or plain text. Several files are merged by time. Needs no repository.
    Replay(Replay),
    /// Acknowledge an incident: until then its causes open no other
    Ack(Ack),
    /// Go back to the last-known-good release
    Rollback,
    /// Turn the kill switch on: mitigation goes on, nothing else is changed
    Pause,
    /// Turn the kill switch off
    Resume,
    /// Heal a failing command: find the commit that broke it and prove a patch
    ///
    /// Works in any git repository, without prunella.toml and without a running service. The command runs in the sandbox,
    /// on the work tree as it is and on older commits. The work tree, the index and the branches stay as they are unless
    /// --branch or --commit is given.
    ///
    /// Exits with 0 if a patch was proven, with 1 if not: then the page says how far it got.
    #[command(after_help = "Example: prunella heal --patch fix.diff -- python -m pytest tests/test_cart.py")]
    Heal(Heal),
    /// Judge a patch that somebody made for a failing command
    ///
    /// The command must fail without the patch and pass with it, what passed in the repository's own tests must pass
    /// still, and the patch must withstand the attempt to refute it: what its diff shows, parts that no test needs, what
    /// it does on inputs that no test has, and other patches that pass too. Everything runs in the sandbox; the work
    /// tree, the index and the branches stay as they are. The report is stored in the state directory under the hash of
    /// its content, and signed.
    ///
    /// Exits with 0 if the patch passed, with 1 if it was refuted, with 6 if the evidence is too thin to say.
    #[command(after_help = "Example: prunella verify --patch fix.diff -- python -m pytest tests/test_cart.py")]
    Verify(Verify),
    /// Put recorded traffic to a candidate and to last-known-good side by side, and compare
    ///
    /// Starts last-known-good twice and the candidate once, each in a sandbox with private copies of the tree and of the
    /// state, and puts the same requests to all of them. Status, header fields, bodies (JSON, HTML, XML and text by their
    /// parts), output, what is left in the state, and latency are compared. What differs between the two instances of
    /// last-known-good is noise and is learnt: time stamps, random values, the order of sets. What seems to differ is asked
    /// again of fresh instances. Nothing reaches production, and no call leaves the sandbox; requests that change state
    /// are put to the copies only with --writes.
    ///
    /// The traffic is a HAR file, an access log, a list of paths or curl commands, or what the gateway recorded. The start
    /// command, the readiness check and the state come from prunella.toml where they are not given.
    ///
    /// Exits with 0 if the candidate answers as last-known-good does, with 1 if not, with 6 if that cannot be told.
    #[command(
        after_help = "Examples:\n  prunella shadow --good HEAD~1 --requests access.log -- python app.py --port {port}\n  prunella shadow --good v1.2 --candidate my-branch --requests session.har"
    )]
    Shadow(Shadow),
    /// Say who did it: of a failing command, a frozen incident or a live one
    ///
    /// `diagnose -- COMMAND` finds the commit and the hunks that broke a command: as `heal`, without making a patch. Exits
    /// with 0 if the cause is proven, otherwise with 1.
    ///
    /// `diagnose DIR` ranks a frozen incident, a directory with exported telemetry, and runs nothing: docs/bundle-format.md
    /// says what can be in it. `diagnose INCIDENT` shows what is known of one in the ledger. Both show evidence for and
    /// against, what was ruled out and what was not looked at, and exit with 0 if a commit or another cause is likelier
    /// than everything else together, otherwise with 1.
    #[command(
        after_help = "Examples:\n  prunella diagnose -- npm test\n  prunella diagnose incident/ --repo . --format sarif"
    )]
    Diagnose(Diagnose),
    /// Show the log templates of a log, and the statements that wrote them
    ///
    /// Reads any text log, one record a line, in bounded memory. In a repository, or with --repo, each template is matched
    /// to the string literals of the tracked source files: file, line and how well it fits.
    Templates(Templates),
    /// Learn how this house writes and fixes code: a model of the repository, kept beside it
    ///
    /// Reads the source files of HEAD and the small fixes in the history, on this machine. What is kept holds numbers, no
    /// code, but for the patterns of fixes; a later call reads only what changed. `heal` uses it.
    #[command(
        after_help = "Examples:\n  prunella learn\n  prunella learn ../billing ../web\n  prunella learn --export fixes/"
    )]
    Learn(Learn),
    /// Show what was learnt, or the patterns of fixes
    Model(Model),
    /// Show what left this machine: when, where to, how much, and what was taken out before
    Egress(Egress),
    /// Watch a real service break under real traffic and heal
    ///
    /// Needs git and python3. Works in a temporary directory and cleans up after itself.
    Demo(Demo),
}

/// `init`
#[derive(Clone, Debug, Args)]
pub struct Init {
    /// Overwrite a prunella.toml that is there
    #[arg(long)]
    pub force: bool,
}

/// `run`
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// The start command, instead of the one in prunella.toml; `{port}` and $PORT say where to listen
    #[arg(last = true, value_name = "COMMAND")]
    pub start: Vec<String>,
}

/// `deploy`
#[derive(Clone, Debug, Args)]
pub struct Deploy {
    /// The commit, branch or tag
    #[arg(default_value = "HEAD", value_name = "REV")]
    pub rev: String,
    /// Deploy even what is known to be bad, and a commit that runs already
    #[arg(long)]
    pub force: bool,
    /// Wait until the release takes all the traffic, or until it is the last-known-good one
    #[arg(long, value_enum, value_name = "STAGE", num_args = 0..=1, default_missing_value = "promoted", require_equals = true)]
    pub wait: Option<WaitFor>,
    /// How long to wait at most
    #[arg(long, value_name = "TIME", default_value = "30m", requires = "wait")]
    pub timeout: Span,
}

/// What `deploy --wait` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WaitFor {
    /// The release takes all the traffic.
    Promoted,
    /// The canary judge accepted it: it is the last-known-good release.
    Accepted,
}

/// `incidents`
#[derive(Clone, Debug, Args)]
pub struct Incidents {
    /// Explain this one; any unambiguous beginning will do
    pub id: Option<String>,
    /// Only those that are not closed
    #[arg(long, conflicts_with = "id")]
    pub open: bool,
}

/// `ack`
#[derive(Clone, Debug, Args)]
pub struct Ack {
    /// The incident's identifier, or the beginning of it
    pub id: String,
    /// For how long: 30m, 8h, 2d
    #[arg(long = "for", value_name = "TIME", default_value = "8h")]
    pub time: Span,
}

/// `explain`
#[derive(Clone, Debug, Args)]
pub struct Explain {
    /// The incident; any unambiguous beginning will do
    pub id: String,
}

/// `replay`
#[derive(Clone, Debug, Args)]
pub struct Replay {
    /// The recordings; also packed by gzip or zstd
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The service that log lines are of
    #[arg(long, value_name = "NAME", default_value = "replayed")]
    pub service: String,
    /// What the detectors may keep together, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    pub memory: usize,
}

/// A failing command and what may be spent on it.
#[derive(Clone, Debug, Args)]
pub struct Failing {
    /// What it may cost: seconds (60s, 5m), joules (500J), tokens (2000tokens), several by commas
    #[arg(long, value_name = "BUDGET", default_value = "600s")]
    pub budget: Budget,
    /// How long one run of the command may take
    #[arg(long, value_name = "TIME", default_value = "5m")]
    pub timeout: Span,
    /// The failing command
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// `heal`
#[derive(Clone, Debug, Args)]
pub struct Heal {
    /// The command and its limits.
    #[command(flatten)]
    pub failing: Failing,
    /// Try only this strategy
    #[arg(long, value_name = "NAME")]
    pub strategy: Option<String>,
    /// Write the proven patch to this file, as a unified diff for `git apply`
    #[arg(long, value_name = "FILE")]
    pub patch: Option<PathBuf>,
    /// Make a branch with the patch as a commit on top of HEAD
    #[arg(long, value_name = "NAME", conflicts_with = "commit")]
    pub branch: Option<String>,
    /// Commit the patch to the branch that is checked out
    #[arg(long)]
    pub commit: bool,
    /// A language model that may be asked where nothing else has a patch
    #[command(flatten)]
    pub llm: Llm,
    /// Do without a part of the house's model: ngrams, names, patterns, known-fixes
    #[arg(
        long,
        value_enum,
        value_name = "PART",
        value_delimiter = ',',
        hide_possible_values = true
    )]
    pub off: Vec<ModelPart>,
    /// Find and prove the patch, and write nothing
    #[arg(long, conflicts_with_all = ["patch", "branch", "commit"])]
    pub dry_run: bool,
}

/// A language model, and what it may see. The repository has no say in it.
#[derive(Clone, Debug, Default, Args)]
pub struct Llm {
    /// Ask this language model where nothing else has a patch: openai:MODEL@URL (and all that speak its protocol),
    /// anthropic:MODEL, ollama:MODEL
    #[arg(long, value_name = "MODEL", env = "PRUNELLA_LLM")]
    pub llm: Option<Choice>,
    /// The variable that holds the model's key, if it is not its provider's usual one
    #[arg(long, value_name = "VARIABLE", requires = "llm")]
    pub llm_key: Option<String>,
    /// Hosts that redacted text may be sent to; this machine always may
    #[arg(long, value_name = "HOST", env = "PRUNELLA_EGRESS_TO", value_delimiter = ',')]
    pub egress_to: Vec<String>,
    /// Show the model only files below this path; several times for several
    #[arg(long, value_name = "PATH")]
    pub llm_path: Vec<String>,
    /// Answer from this file what was asked before, and record what is new
    #[arg(long, value_name = "FILE", requires = "llm")]
    pub cassette: Option<PathBuf>,
    /// Print each question as it leaves, on stderr
    #[arg(long, requires = "llm")]
    pub show_prompt: bool,
}

/// `egress`
#[derive(Clone, Debug, Args)]
pub struct Egress {
    /// What to show.
    #[command(subcommand)]
    pub what: EgressVerb,
}

/// What `egress` shows.
#[derive(Clone, Debug, Subcommand)]
pub enum EgressVerb {
    /// List the calls that left this machine, or went to a model on it
    Log,
}

/// `verify`
#[derive(Clone, Debug, Args)]
pub struct Verify {
    /// The patch, a unified diff against the work tree as it is; `-` is standard input
    #[arg(long, value_name = "FILE", required_unless_present = "replay")]
    pub patch: Option<PathBuf>,
    /// Judge a stored report again; any unambiguous beginning of its name will do
    #[arg(long, value_name = "ID", conflicts_with_all = ["patch", "command"])]
    pub replay: Option<String>,
    /// With --replay: run the stored command with the stored patch again, on the work tree as it is now
    #[arg(long, requires = "replay")]
    pub again: bool,
    /// How long to search for other patches that pass too; 0s for not at all
    #[arg(long, value_name = "TIME", default_value = "20s")]
    pub rivals: Span,
    /// Leave out the attempt to refute the patch: only before, after and the test suite
    #[arg(long)]
    pub no_refutation: bool,
    /// What it may cost: seconds (60s, 5m), joules (500J), tokens (2000tokens), several by commas
    #[arg(long, value_name = "BUDGET", default_value = "600s")]
    pub budget: Budget,
    /// How long one run of the command may take
    #[arg(long, value_name = "TIME", default_value = "5m")]
    pub timeout: Span,
    /// The failing command
    #[arg(last = true, value_name = "COMMAND", required_unless_present = "replay")]
    pub command: Vec<String>,
}

/// `shadow`
#[derive(Clone, Debug, Args)]
pub struct Shadow {
    /// Last-known-good, a commit
    #[arg(long, value_name = "REV")]
    pub good: String,
    /// The candidate, a commit; the work tree as it is if it is not given
    #[arg(long, value_name = "REV")]
    pub candidate: Option<String>,
    /// What the candidate was made from: where it answers as that does, the difference is not the candidate's
    #[arg(long, value_name = "REV")]
    pub base: Option<String>,
    /// The recorded traffic; `-` is standard input; what the running gateway recorded if it is not given
    #[arg(long, value_name = "FILE")]
    pub requests: Option<PathBuf>,
    /// Requests whose answers are meant to differ, in the same forms
    #[arg(long, value_name = "FILE")]
    pub expected: Option<PathBuf>,
    /// Put requests that change state to the private copies too
    #[arg(long)]
    pub writes: bool,
    /// A file or directory that the service keeps its state in: each instance gets a copy, and what it leaves there is
    /// compared; several times for several
    #[arg(long, value_name = "PATH")]
    pub state: Vec<PathBuf>,
    /// A path that answers with a status below 400 when the service is ready; otherwise when its port accepts a connection
    #[arg(long, value_name = "PATH")]
    pub ready: Option<String>,
    /// The most requests that are compared
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub most: usize,
    /// How long all of it may take
    #[arg(long, value_name = "TIME", default_value = "300s")]
    pub time: Span,
    /// The start command, with `{port}`, or listening on $PORT
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// `diagnose`
#[derive(Clone, Debug, Args)]
pub struct Diagnose {
    /// A directory with exported telemetry, or an incident (any unambiguous beginning will do)
    #[arg(
        value_name = "DIR|INCIDENT",
        required_unless_present = "command",
        conflicts_with = "command"
    )]
    pub target: Option<String>,
    /// Take commits, diffs and owners from this git repository where the directory has none
    #[arg(long, value_name = "PATH", conflicts_with = "command")]
    pub repo: Option<PathBuf>,
    /// How to show the answer: text, markdown, json or sarif
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text, hide_possible_values = true, conflicts_with = "command")]
    pub format: Format,
    /// What a command may cost: seconds (60s, 5m), joules (500J), tokens (2000tokens), several by commas
    #[arg(long, value_name = "BUDGET", default_value = "600s")]
    pub budget: Budget,
    /// How long one run of the command may take
    #[arg(long, value_name = "TIME", default_value = "5m")]
    pub timeout: Span,
    /// The failing command
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

impl Diagnose {
    /// The failing command with its limits, if one was given.
    #[must_use]
    pub fn failing(&self) -> Option<Failing> {
        (!self.command.is_empty()).then(|| Failing {
            budget: self.budget,
            timeout: self.timeout,
            command: self.command.clone(),
        })
    }
}

/// How a diagnosis is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a terminal.
    Text,
    /// For a pull request, a chat, a document.
    Markdown,
    /// For programs.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

/// `templates`
#[derive(Clone, Debug, Args)]
pub struct Templates {
    /// The log; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Look for the statements in this repository instead of the current directory's
    #[arg(long, value_name = "DIR")]
    pub repo: Option<PathBuf>,
    /// Show so many templates, those with the most lines first
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
}

/// `learn`
#[derive(Clone, Debug, Args)]
pub struct Learn {
    /// Other repositories of the organisation, whose code counts as well, only less
    #[arg(value_name = "REPOSITORY")]
    pub siblings: Vec<PathBuf>,
    /// Write the fixes of the history as training data to this new directory instead
    #[arg(long, value_name = "DIR", conflicts_with = "siblings")]
    pub export: Option<PathBuf>,
}

/// `model`
#[derive(Clone, Debug, Args)]
pub struct Model {
    /// What to show.
    #[command(subcommand)]
    pub verb: ModelVerb,
}

/// What of the model.
#[derive(Clone, Debug, Subcommand)]
pub enum ModelVerb {
    /// Its extent, the commit it has seen, the style of the house, the best patterns, and what uses it
    Show,
    /// List the patterns of fixes; veto those that are not wanted
    Patterns(PatternsOf),
}

/// `model patterns`
#[derive(Clone, Debug, Args)]
pub struct PatternsOf {
    /// Never propose this pattern (any unambiguous beginning of its identifier)
    #[arg(long, value_name = "ID")]
    pub veto: Vec<String>,
    /// Take a veto back
    #[arg(long, value_name = "ID")]
    pub allow: Vec<String>,
    /// Show so many
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub limit: usize,
}

/// A part of the house's model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModelPart {
    /// How natural the lines of a candidate are.
    Ngrams,
    /// Which names go together.
    Names,
    /// What people did in earlier fixes.
    Patterns,
    /// What ended the same failure before.
    KnownFixes,
}

/// `demo`
#[derive(Clone, Debug, Args)]
pub struct Demo {
    /// Leave the healed service running and keep its directory
    #[arg(long)]
    pub keep: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_follows_two_dashes_is_the_start_command() {
        let cli = Cli::try_parse_from(["prunella", "run", "--", "python3", "-m", "shop", "--json"]).unwrap();
        assert!(!cli.global.json);
        let Verb::Run(run) = cli.verb else {
            panic!("{:?}", cli.verb)
        };
        assert_eq!(run.start, ["python3", "-m", "shop", "--json"]);
    }

    #[test]
    fn waiting_has_stages() {
        let wait = |args: &[&str]| match Cli::try_parse_from(args).unwrap().verb {
            Verb::Deploy(deploy) => (deploy.rev, deploy.wait),
            other => panic!("{other:?}"),
        };
        assert_eq!(wait(&["prunella", "deploy"]), ("HEAD".into(), None));
        assert_eq!(
            wait(&["prunella", "deploy", "--wait", "v2"]),
            ("v2".into(), Some(WaitFor::Promoted))
        );
        assert_eq!(
            wait(&["prunella", "deploy", "--wait=accepted"]),
            ("HEAD".into(), Some(WaitFor::Accepted))
        );
    }
}
