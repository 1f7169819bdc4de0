//! What one run of the failing command shows: the same failure, another one, or none.
//!
//! *Method*: the exit code says whether the command passed; the runner's report says which tests; the stack traces say
//! how. A failure is the same if the same test fails with the same class, normalised message and innermost own frame.
//! A run in which the failing test did not take place is no pass: it shows nothing.
//! *Source*: matching by exception class alone ended on a spurious hunk in our own delta debugging; Google's culprit
//! finder (ICST 2023) for runs that show nothing.

use std::time::Duration;

use prunella_core::diagnose::failure::{Exit as Ended, FailureIdentity, Location, Match};
use prunella_core::diagnose::plain;
use prunella_core::signal::Exception;
use prunella_core::verify::{SuiteExit, SuiteRun, Trial};
use prunella_lang::runner::{file_of, function_of};
use prunella_lang::stacktrace::{Assembler, Limits, PathMapper};
use prunella_lang::testreport::{self, TestOutcome, TestReport};
use prunella_sandbox::{Exit, Report};

/// Exceptions that are kept of one run.
const MAX_EXCEPTIONS: usize = 64;

/// What a run showed.
#[derive(Clone, Debug)]
pub(super) struct Observation {
    /// How the command ended.
    pub(super) exit: Exit,
    /// What its test runner reported, if it has one that is known.
    pub(super) tests: Option<TestReport>,
    /// Stack traces in its output, in their order.
    pub(super) exceptions: Vec<Exception>,
    /// The last line that says something.
    pub(super) last_line: String,
    /// Wall-clock time.
    pub(super) wall: Duration,
}

impl Observation {
    /// Reads the record of a run of the tree that stood at `root`.
    #[must_use]
    pub(super) fn of(report: &Report, root: &str) -> Self {
        let (out, err) = (report.stdout.text(), report.stderr.text());
        let mut exceptions = exceptions(&out, root);
        exceptions.extend(exceptions_of(
            &err,
            root,
            MAX_EXCEPTIONS.saturating_sub(exceptions.len()),
        ));
        let last = |text: &str| {
            text.lines()
                .rev()
                .map(str::trim)
                .find(|line| !line.is_empty())
                .map(str::to_owned)
        };
        Self {
            exit: report.exit,
            tests: testreport::parse(&out, &err),
            exceptions,
            last_line: last(&err).or_else(|| last(&out)).unwrap_or_default(),
            wall: report.wall,
        }
    }

    /// Whether the command ended by itself with code 0.
    #[must_use]
    pub(super) fn passed(&self) -> bool {
        self.exit == Exit::Exited(0)
    }

    /// The tests that failed, without those that could not be collected where others failed.
    #[must_use]
    pub(super) fn failing(&self) -> Vec<String> {
        let Some(report) = &self.tests else { return Vec::new() };
        report.bad().map(str::to_owned).collect()
    }

    fn outcome_of(&self, test: &str) -> Option<TestOutcome> {
        self.tests.as_ref()?.tests.get(test).copied()
    }

    /// As a run of the repository's suite.
    #[must_use]
    pub(super) fn as_suite(&self) -> SuiteRun {
        let exit = match self.exit {
            Exit::Exited(127) => SuiteExit::NotRun {
                why: self.last_line.clone(),
            },
            Exit::Exited(code) => SuiteExit::Exited { code },
            other => SuiteExit::Killed {
                what: format!("{other:?}"),
            },
        };
        let core = |outcome: TestOutcome| match outcome {
            TestOutcome::Passed => prunella_core::verify::TestOutcome::Passed,
            TestOutcome::Failed | TestOutcome::Error => prunella_core::verify::TestOutcome::Failed,
            TestOutcome::Skipped => prunella_core::verify::TestOutcome::Skipped,
        };
        let report = self.tests.as_ref();
        SuiteRun {
            exit,
            tests: report.map(|r| r.tests.iter().map(|(n, o)| (n.clone(), core(*o))).collect()),
            passed_unnamed: report.filter(|r| !r.names_passed).map(|r| r.passed),
            wall_ms: u64::try_from(self.wall.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

fn exceptions(text: &str, root: &str) -> Vec<Exception> {
    exceptions_of(text, root, MAX_EXCEPTIONS)
}

fn exceptions_of(text: &str, root: &str, most: usize) -> Vec<Exception> {
    let mut assembler = Assembler::new(PathMapper::new([root]), Limits::DEFAULT);
    let mut records = Vec::new();
    for line in text.lines() {
        if is_rule(line) {
            // A message ends where the runner goes on.
            records.extend(assembler.finish());
        } else {
            records.extend(assembler.feed(line, 0));
        }
    }
    records.extend(assembler.finish());
    records
        .into_iter()
        .filter_map(|record| record.exception)
        .take(most)
        .collect()
}

/// A line with which runners part their sections: `=== FAILURES ===`, `___ test_a ___`, `--- Captured stdout ---`.
fn is_rule(line: &str) -> bool {
    const SHORTEST: usize = 3;
    let Some(first) = line.chars().next().filter(|c| "=_-".contains(*c)) else {
        return false;
    };
    let run = |mut chars: std::str::Chars<'_>| chars.by_ref().take_while(|c| *c == first).count() >= SHORTEST;
    let reversed: String = line.chars().rev().take(SHORTEST).collect();
    run(line.chars()) && (run(reversed.chars()) || first == '=')
}

/// How strictly a failure has to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strictness {
    /// Class, message and innermost own frame.
    Exact,
    /// The same test and class: what it says changes along the history. What is found this way is proven only by the
    /// counterfactual on the newest commit.
    SameTest,
}

/// The failure to look for.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The failing test, where the runner is known.
    pub(super) test: Option<String>,
    /// Its identity.
    pub(super) identity: FailureIdentity,
    /// The exceptions of the first run that belong to it.
    pub(super) exceptions: Vec<Exception>,
    /// All tests that failed beside it.
    pub(super) failing: Vec<String>,
}

impl Target {
    /// The failure that a failing run shows; `None` for a run that passed.
    #[must_use]
    pub(super) fn of(seen: &Observation, command: &str) -> Option<Self> {
        if seen.passed() {
            return None;
        }
        let failing = seen.failing();
        // A test that fails says more than one whose set-up does.
        let is_leaf = |test: &&String| !failing.iter().any(|other| other.starts_with(&format!("{test} > ")));
        let failed = failing
            .iter()
            .filter(is_leaf)
            .find(|test| seen.outcome_of(test) == Some(TestOutcome::Failed));
        let test = failed.or(failing.first()).cloned();
        Some(Self::in_test(seen, test, failing, command))
    }

    /// The command as a whole, whatever its runner says of tests.
    #[must_use]
    pub(super) fn whole(seen: &Observation, command: &str) -> Self {
        Self::in_test(seen, None, seen.failing(), command)
    }

    fn in_test(seen: &Observation, test: Option<String>, failing: Vec<String>, command: &str) -> Self {
        let exceptions: Vec<Exception> = match &test {
            Some(test) => own_exceptions(seen, test).cloned().collect(),
            None => seen.exceptions.last().cloned().into_iter().collect(),
        };
        let identity = identity(seen, test.as_deref(), exceptions.first(), command);
        Self {
            test,
            identity,
            exceptions,
            failing,
        }
    }

    /// Other failing tests of the same run that fail in ways of their own, one of each way.
    #[must_use]
    pub(super) fn others(&self, seen: &Observation, most: usize) -> Vec<Self> {
        let way = |target: &Self| {
            let identity = &target.identity;
            (
                identity.class.clone(),
                identity.message.clone(),
                identity.frames.clone(),
            )
        };
        let mut ways = vec![way(self)];
        let mut others = Vec::new();
        for test in self.failing.iter().filter(|test| Some(*test) != self.test.as_ref()) {
            let other = Self::in_test(seen, Some(test.clone()), self.failing.clone(), "");
            if others.len() < most && !ways.contains(&way(&other)) {
                ways.push(way(&other));
                others.push(other);
            }
        }
        others
    }

    /// What a run says about this failure.
    #[must_use]
    pub(super) fn read(&self, seen: &Observation, strictness: Strictness) -> Trial {
        match &self.test {
            Some(test) => self.read_test(seen, test, strictness),
            None if seen.passed() => Trial::Passed,
            None => self.compare(seen, None, strictness),
        }
    }

    fn read_test(&self, seen: &Observation, test: &str, strictness: Strictness) -> Trial {
        let not_run = |why: String| Trial::NotRun { why };
        let Some(report) = &seen.tests else {
            // The runner itself broke off: by the failure, or by something else. Where the failure raises something and this
            // does not, as pytest that does not know an option of the time, it says nothing of the test.
            let shows = self.exceptions.is_empty() || !seen.exceptions.is_empty();
            return match self.compare(seen, Some(test), Strictness::Exact) {
                same @ Trial::Failed { .. } if !seen.passed() && shows => same,
                _ => not_run(format!("no test report: {}", plain(&seen.last_line, 200))),
            };
        };
        match seen.outcome_of(test) {
            Some(TestOutcome::Passed) => Trial::Passed,
            Some(TestOutcome::Skipped) => not_run(format!("{} was skipped", plain(test, 120))),
            Some(TestOutcome::Failed | TestOutcome::Error) => self.compare(seen, Some(test), strictness),
            None if seen.passed() && !report.names_passed && report.passed > 0 => Trial::Passed,
            None => not_run(format!("{} did not run", plain(test, 120))),
        }
    }

    fn compare(&self, seen: &Observation, test: Option<&str>, strictness: Strictness) -> Trial {
        let exception = match test {
            Some(test) => own_exceptions(seen, test).next(),
            None => seen.exceptions.last(),
        };
        let command = match &self.identity.location {
            Location::Command(command) => command.as_str(),
            _ => "",
        };
        let identity = identity(seen, test, exception, command);
        let said = format!("{}: {}", identity.location, identity.headline());
        let same = match self.identity.matches(&identity) {
            Match::Same => true,
            // One side shows no stack; the test and how it ended are the same.
            Match::Weaker => test.is_some() && self.identity.location == identity.location,
            Match::Different(_) => strictness == Strictness::SameTest && self.identity.class == identity.class,
        };
        if same {
            Trial::Failed { seen: said }
        } else if matches!(
            seen.exit,
            Exit::TimedOut | Exit::CpuLimit | Exit::OutOfMemory | Exit::Cancelled
        ) {
            Trial::NotRun {
                why: format!("{:?} after {:.0} s", seen.exit, seen.wall.as_secs_f64()),
            }
        } else {
            Trial::OtherFailure { seen: said }
        }
    }
}

/// The exceptions with a frame in the test's function; all of them if none has.
fn own_exceptions<'a>(seen: &'a Observation, test: &str) -> impl Iterator<Item = &'a Exception> {
    let (function, file) = (function_of(test).to_owned(), file_of(test).map(str::to_owned));
    let is_own = move |exception: &Exception| {
        exception.frames.iter().any(|frame| {
            frame.function.rsplit(['.', ':']).next() == Some(function.as_str())
                && file
                    .as_deref()
                    .is_none_or(|file| frame.file.ends_with(file) || file.ends_with(&frame.file))
        })
    };
    let any = seen.exceptions.iter().any(&is_own);
    seen.exceptions
        .iter()
        .filter(move |exception| !any || is_own(exception))
}

fn identity(seen: &Observation, test: Option<&str>, exception: Option<&Exception>, command: &str) -> FailureIdentity {
    let location = match test {
        Some(test) => Location::Test(test.to_owned()),
        None => Location::Command(plain(command, 200)),
    };
    if let Some(exception) = exception {
        return FailureIdentity::from_exception(exception, location, None, &[]);
    }
    let ended = match seen.exit {
        Exit::Exited(code) => Ended::Code(code),
        Exit::Signaled(signal) => Ended::Signal(signal),
        _ => Ended::TimedOut,
    };
    // With a test's name the last line is the runner's sum, which says nothing about this test.
    let last = if test.is_some() { "" } else { seen.last_line.as_str() };
    FailureIdentity::from_exit(location, ended, last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prunella_sandbox::{Output, Tier};

    fn seen(code: i32, out: &str) -> Observation {
        let report = Report {
            backend: "test".into(),
            tier: Tier::A,
            exit: Exit::Exited(code),
            stdout: Output {
                head: out.as_bytes().to_vec(),
                ..Output::default()
            },
            stderr: Output::default(),
            wall: Duration::from_secs(1),
            cpu_user: Duration::from_secs(1),
            cpu_sys: Duration::ZERO,
            max_rss_bytes: 0,
            processes_killed_at_end: 0,
            notes: Vec::new(),
        };
        Observation::of(&report, "/w")
    }

    fn pytest(message: &str, frame: &str) -> String {
        format!(
            "=== FAILURES ===\n___ test_a ___\nTraceback (most recent call last):\n  File \"/w/tests/test_a.py\", line 3, in \
             test_a\n    f()\n  File \"/w/{frame}\", line 9, in f\n    raise\nKeyError: {message}\n\
             === short test summary info ===\nFAILED tests/test_a.py::test_a - KeyError\n=== 1 failed in 0.1s ===\n"
        )
    }

    const PASSED: &str = "=== short test summary info ===\nPASSED tests/test_a.py::test_a\n=== 1 passed in 0.1s ===\n";

    fn target() -> Target {
        Target::of(&seen(1, &pytest("'x'", "a.py")), "pytest").unwrap()
    }

    #[test]
    fn the_same_failure_is_class_message_frame_and_test() {
        let target = target();
        assert_eq!(target.test.as_deref(), Some("tests/test_a.py::test_a"));
        assert_eq!(target.identity.frames[0].file, "a.py");
        let read = |text: &str, strictness| target.read(&seen(1, text), strictness);
        assert!(matches!(
            read(&pytest("'x'", "a.py"), Strictness::Exact),
            Trial::Failed { .. }
        ));
        let (message, frame) = (pytest("'other'", "a.py"), pytest("'x'", "b.py"));
        for other in [&message, &frame] {
            assert!(
                matches!(read(other, Strictness::Exact), Trial::OtherFailure { .. }),
                "{other}"
            );
            assert!(matches!(read(other, Strictness::SameTest), Trial::Failed { .. }));
        }
    }

    #[test]
    fn a_message_ends_where_the_runner_goes_on() {
        assert_eq!(target().identity.message, "'x'");
        for (line, rule) in [
            ("=== a ===", true),
            ("___ t ___", true),
            ("---- b", false),
            ("a ===", false),
            ("", false),
        ] {
            assert_eq!(is_rule(line), rule, "{line}");
        }
    }

    #[test]
    fn a_test_that_did_not_run_is_no_pass() {
        let target = target();
        let read = |code, text: &str| target.read(&seen(code, text), Strictness::Exact);
        assert_eq!(read(0, PASSED), Trial::Passed);
        let others = PASSED.replace("test_a.py::test_a", "test_a.py::test_b");
        assert!(matches!(read(0, &others), Trial::NotRun { .. }));
        assert!(matches!(
            read(5, "=== no tests ran in 0.1s ===\n"),
            Trial::NotRun { .. }
        ));
        assert!(matches!(read(0, "it all went well\n"), Trial::NotRun { .. }));
        let usage = "ERROR: usage: pytest [options] [file]\npytest: error: unrecognized arguments: --cov\n";
        assert!(matches!(read(4, usage), Trial::NotRun { .. }));
    }

    #[test]
    fn another_tests_failure_does_not_hide_a_pass() {
        let both = "=== short test summary info ===\nPASSED tests/test_a.py::test_a\n\
                    FAILED tests/test_a.py::test_b - x\n=== 1 failed, 1 passed in 0.1s ===\n";
        assert_eq!(target().read(&seen(1, both), Strictness::Exact), Trial::Passed);
    }

    #[test]
    fn without_a_runner_the_exit_and_the_last_line_count() {
        let target = Target::of(&seen(3, "one\ncannot open 'x'\n"), "./check").unwrap();
        let read = |code, text| target.read(&seen(code, text), Strictness::Exact);
        assert_eq!(read(0, ""), Trial::Passed);
        assert!(matches!(read(3, "two\ncannot open 'x'\n"), Trial::Failed { .. }));
        assert!(matches!(read(3, "cannot parse 'x'\n"), Trial::OtherFailure { .. }));
        assert!(matches!(read(4, "cannot open 'x'\n"), Trial::OtherFailure { .. }));
    }
}
