//! What the tests of a crate do before anything is changed: which fail, how, and which statements each of them runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use prunella_core::repair::synth::{NodeId, Tree, panics};
use prunella_core::signal::Language;
use prunella_lang::syntax;
use prunella_lang::testreport::{self, TestOutcome};
use prunella_sandbox::Exit;
use regex::Regex;

use super::bench::{Bench, Ran};
use super::command::Program;
use super::schema::{Part, part_at, traced};
use crate::evaluate::NotSearched;
use crate::evaluate::baseline::is_ours;
use crate::evaluate::wire::{Compared, TestRow};

/// The most files that are traced, and the largest one, in bytes.
const MAX_FILES: usize = 600;
const MAX_BYTES: u64 = 600 << 10;
/// Builds until a traced source compiles.
const ROUNDS: usize = 5;
/// The most failing and passing tests that are traced.
const MAX_FAILING: usize = 12;
const MAX_PASSING: usize = 250;
/// The share of the time for tracing passing tests.
const SHARE: f64 = 0.12;
/// The most compared pairs that are read.
const MAX_COMPARED: usize = 16;

/// A test, or a whole program that names none.
#[derive(Clone, Debug)]
pub(super) struct Test {
    pub(super) program: usize,
    /// Its name in its program; `None` where the program is all that can be run.
    pub(super) name: Option<String>,
    pub(super) passed: bool,
}

/// The state before.
pub(super) struct Observed {
    pub(super) programs: Vec<Program>,
    /// How long each program took.
    pub(super) walls: Vec<Duration>,
    pub(super) tests: Vec<Test>,
    pub(super) rows: Vec<TestRow>,
}

/// Runs all programs and says what their tests do.
pub(super) fn tests(bench: &Bench<'_>, programs: Vec<Program>, wall: Duration) -> Result<Observed, NotSearched> {
    let (mut tests, mut walls) = (Vec::new(), Vec::new());
    for (number, program) in programs.iter().enumerate() {
        let ran = bench.run(program, &bench.cargo.harness, None, false, wall)?;
        walls.push(ran.report.wall.max(ran.report.cpu_user + ran.report.cpu_sys));
        let named = named(&ran);
        if named.is_empty() {
            // What passes without saying anything has nothing to run, or is no harness.
            tests.push(Test {
                program: number,
                name: None,
                passed: ran.passed(),
            });
        }
        tests.extend(named.into_iter().map(|(name, passed)| Test {
            program: number,
            name: Some(name),
            passed,
        }));
    }
    Ok(Observed {
        programs,
        walls,
        tests,
        rows: Vec::new(),
    })
}

/// Tests of a run with whether they passed; none if the run ended early, for then it is not known which did.
pub(super) fn named(ran: &Ran) -> Vec<(String, bool)> {
    let Some(report) = testreport::parse(&ran.report.stdout.text(), &ran.report.stderr.text()) else {
        return Vec::new();
    };
    let known = report.tests.into_iter().filter_map(|(name, outcome)| match outcome {
        TestOutcome::Passed => Some((name, true)),
        TestOutcome::Failed | TestOutcome::Error => Some((name, false)),
        TestOutcome::Skipped => None,
    });
    known.collect()
}

/// The tree's own sources that may be repaired.
pub(super) fn sources(root: &Path) -> BTreeMap<String, Tree> {
    let (mut found, mut open) = (BTreeMap::new(), vec![PathBuf::new()]);
    while let Some(dir) = open.pop() {
        let mut entries: Vec<_> = std::fs::read_dir(root.join(&dir))
            .into_iter()
            .flatten()
            .flatten()
            .collect();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let path = dir.join(entry.file_name());
            let name = path.to_string_lossy().into_owned();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                let is_left_out =
                    name.starts_with('.') || ["target", "benches", "examples"].iter().any(|d| path.ends_with(d));
                open.extend((!is_left_out).then_some(path));
            } else if kind.is_file() && name.ends_with(".rs") && !name.ends_with("build.rs") && is_ours(&name) {
                let small = entry.metadata().is_ok_and(|about| about.len() <= MAX_BYTES);
                if found.len() >= MAX_FILES || !small {
                    continue;
                }
                let text = std::fs::read_to_string(root.join(&path)).unwrap_or_default();
                if let Ok(tree) = syntax::parse(Language::Rust, &text) {
                    found.insert(name, tree);
                }
            }
        }
    }
    found
}

/// Traces the failing tests, and as many passing ones as there is time for.
pub(super) fn trace(
    bench: &Bench<'_>,
    observed: &mut Observed,
    sources: &BTreeMap<String, Tree>,
) -> Result<(), NotSearched> {
    let Some((lines, programs)) = instrument(bench, sources)? else {
        return Ok(());
    };
    let began = Instant::now();
    let budget = bench.budget.mul_f64(SHARE);
    let (mut failing, mut passing) = (0, 0);
    let mut order: Vec<usize> = (0..observed.tests.len()).collect();
    order.sort_by_key(|at| observed.tests[*at].passed);
    for index in order {
        let test = observed.tests[index].clone();
        let count = if test.passed { &mut passing } else { &mut failing };
        let most = if test.passed { MAX_PASSING } else { MAX_FAILING };
        *count += 1;
        let is_left_out = *count > most || test.passed && began.elapsed() > budget;
        let mut row = TestRow {
            index,
            passed: test.passed,
            error: (!test.passed).then(|| "Panic".to_owned()),
            ..TestRow::default()
        };
        let same = |program: &&Program| {
            program.name == observed.programs[test.program].name
                && program.package == observed.programs[test.program].package
        };
        if let Some(program) = programs.iter().find(same).filter(|_| !is_left_out) {
            let wall = observed.walls[test.program]
                .saturating_mul(20)
                .max(Duration::from_secs(10));
            let ran = bench.run(
                program,
                &exactly(test.name.as_slice(), &bench.cargo.harness),
                None,
                true,
                wall,
            )?;
            row.seconds = ran.report.wall.as_secs_f64();
            row.traced = true;
            row.lines = marked(&ran.trace, &lines);
            if !test.passed {
                said(bench, &ran, &mut row);
            }
        }
        observed.rows.push(row);
    }
    Ok(())
}

/// Arguments that run some tests only.
pub(super) fn exactly(names: &[String], harness: &[String]) -> Vec<String> {
    let options = harness.iter().filter(|word| word.starts_with('-')).cloned();
    if names.is_empty() {
        return harness.to_vec();
    }
    let exact = (!harness.iter().any(|word| word == "--exact")).then(|| "--exact".to_owned());
    options.chain(exact).chain(names.iter().cloned()).collect()
}

type Marks = BTreeMap<usize, (String, Vec<Vec<u32>>)>;

/// Builds with marks; functions that do not compile with them go without.
fn instrument(
    bench: &Bench<'_>,
    sources: &BTreeMap<String, Tree>,
) -> Result<Option<(Marks, Vec<Program>)>, NotSearched> {
    let mut but: BTreeMap<&str, Vec<NodeId>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        let (mut lines, mut parts): (Marks, BTreeMap<String, Vec<Part>>) = (BTreeMap::new(), BTreeMap::new());
        for (number, (file, tree)) in sources.iter().enumerate() {
            let (generated, marks) = traced(tree, number, but.get(file.as_str()).map_or(&[], Vec::as_slice));
            bench.put(file, &generated.text)?;
            lines.insert(number, (file.clone(), marks));
            parts.insert(file.clone(), generated.parts);
        }
        let built = bench.build(bench.budget.mul_f64(0.4))?;
        if built.passed {
            return Ok(Some((lines, built.said.programs)));
        }
        let mut found = false;
        for fault in &built.said.faults {
            for (file, span) in bench.places(&fault.places) {
                let Some((file, of)) = parts.get_key_value(&file) else {
                    continue;
                };
                if let Some(part) = part_at(of, &span)
                    && let Some((name, _)) = sources.get_key_value(file)
                {
                    let without = but.entry(name.as_str()).or_default();
                    if !without.contains(&part.unit) {
                        without.push(part.unit);
                        found = true;
                    }
                }
            }
        }
        if !found {
            tracing::debug!(faults = ?built.said.faults.iter().take(3).collect::<Vec<_>>(), "the traced source does not compile");
            return Ok(None);
        }
    }
    Ok(None)
}

/// The lines that a trace marks.
fn marked(trace: &str, lines: &Marks) -> BTreeMap<String, Vec<u32>> {
    let mut found: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for line in trace.lines() {
        let Some((file, mark)) = line.split_once(' ') else {
            continue;
        };
        let (Ok(file), Ok(mark)) = (file.parse::<usize>(), mark.parse::<usize>()) else {
            continue;
        };
        if let Some((name, marks)) = lines.get(&file)
            && let Some(of) = marks.get(mark)
        {
            found.entry(name.clone()).or_default().extend(of);
        }
    }
    found
}

static PLACE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"([A-Za-z0-9_./+-]+\.rs):(\d+)(?::\d+)?").expect("a constant pattern"));
static PANIC: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)^thread '[^\n]*' (?:\(\d+\) )?panicked at (?:'(?P<old>.*)', \S+|\S+:\d+:\d+:\n(?P<new>[^\n]*))")
        .expect("a constant pattern")
});
static SIDE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^ *(left|right): (.*?),?$").expect("a constant pattern"));

/// How a test failed: the panic's class, the lines that it passed through, the values that were compared.
fn said(bench: &Bench<'_>, ran: &Ran, row: &mut TestRow) {
    let text = format!("{}\n{}", ran.report.stdout.text(), ran.report.stderr.text());
    let kind = match ran.report.exit {
        Exit::TimedOut | Exit::CpuLimit => "Hung",
        _ => class(&text),
    };
    row.error = Some(kind.to_owned());
    for found in PLACE.captures_iter(&text).take(400) {
        if let (Some(file), Ok(line)) = (bench.file(&found[1]), found[2].parse()) {
            // The lines of traced sources are those of the originals: marks stand on the lines of their statements.
            row.raised.push((file, line, kind.to_owned()));
        }
    }
    row.compared = compared(&text);
}

fn class(text: &str) -> &'static str {
    let message = PANIC
        .captures(text)
        .and_then(|found| found.name("new").or_else(|| found.name("old")));
    match message {
        Some(message) => panics::class(message.as_str()),
        None => panics::class(text),
    }
}

/// The two values of failed equalities.
fn compared(text: &str) -> Vec<Compared> {
    let (mut left, mut found) = (None, Vec::new());
    for side in SIDE.captures_iter(text) {
        let value = side[2].trim().trim_matches('`').to_owned();
        if &side[1] == "left" {
            left = Some(value);
        } else if let Some(left) = left.take() {
            found.extend(pair(&left, &value));
        }
    }
    found.truncate(MAX_COMPARED);
    found
}

fn pair(a: &str, b: &str) -> Option<Compared> {
    let bare = |text: &str| -> String {
        let inside = ["Some(", "Ok("]
            .iter()
            .find_map(|head| text.strip_prefix(head)?.strip_suffix(')'));
        inside.unwrap_or(text).to_owned()
    };
    let (a, b) = (bare(a), bare(b));
    if let (Ok(a), Ok(b)) = (a.parse(), b.parse()) {
        return Some(Compared::Numbers(a, b));
    }
    let text = |value: &str| Some(value.strip_prefix('"')?.strip_suffix('"')?.to_owned());
    Some(Compared::Texts(text(&a)?, text(&b)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_say_their_class_and_what_they_compared() {
        let new = "\nthread 'tests::a' (12) panicked at src/lib.rs:4:5:\nassertion `left == right` failed\n  left: 3\n right: 4\n";
        assert_eq!(class(new), "AssertionError");
        assert!(matches!(compared(new)[..], [Compared::Numbers(a, b)] if (b - a - 1.0).abs() < 1e-9));
        let old = "thread 'a' panicked at 'attempt to subtract with overflow', src/lib.rs:2:5\n";
        assert_eq!(class(old), "Overflow");
        let texts = "  left: `Some(\"a-b\")`,\n right: `Some(\"a_b\")`: why\n";
        assert!(
            compared(texts).is_empty(),
            "a message after the value is not part of it"
        );
        let texts = "  left: Some(\"a-b\")\n right: Some(\"a_b\")\n";
        assert!(matches!(&compared(texts)[..], [Compared::Texts(a, b)] if a == "a-b" && b == "a_b"));
    }

    #[test]
    fn only_the_tests_asked_for_are_run() {
        let of = |names: &[&str], harness: &[&str]| {
            let own = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
            exactly(&own(names), &own(harness)).join(" ")
        };
        assert_eq!(of(&["a::b"], &["a", "--nocapture"]), "--nocapture --exact a::b");
        assert_eq!(of(&[], &["a", "--nocapture"]), "a --nocapture");
    }

    #[test]
    fn a_trace_is_read_leniently() {
        let lines = BTreeMap::from([(2, ("src/lib.rs".to_owned(), vec![vec![4], vec![5, 6]]))]);
        let found = marked("2 1\n2 9\nx\n3 0\n", &lines);
        assert_eq!(found, BTreeMap::from([("src/lib.rs".to_owned(), vec![5, 6])]));
    }
}
