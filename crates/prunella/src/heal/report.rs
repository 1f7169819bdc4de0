//! What a heal or a diagnosis of a failing command came to: one object for scripts, a page for people.

use prunella_core::diagnose::{CounterfactualRow, Diagnosis, Grade, HunkSummary, plain, render_table};
use prunella_core::verify::GateResult;
use serde::Serialize;

/// How it ended. Exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A patch was proven, and the command passes with it.
    Healed,
    /// A patch was proven for one failure; the command still fails for others that were there before.
    PartlyHealed,
    /// The cause was found (`diagnose` ends here; `heal` found no patch that passes).
    Diagnosed,
    /// Neither cause nor patch was found.
    Inconclusive,
    /// The failure comes and goes: nobody is accused.
    Flaky,
    /// It is not the code.
    NotCode,
    /// The command does not fail in the sandbox.
    NotReproduced,
}

/// A suspect of the ranking.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suspected {
    /// The commit.
    pub commit: String,
    /// The first line of its message.
    pub subject: String,
    /// By the ranking alone, before any experiment.
    pub probability: f64,
}

/// A candidate that is not the answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alternative {
    /// Which strategy.
    pub strategy: String,
    /// The unified diff.
    pub patch: String,
    /// Why it is not the answer.
    pub why: String,
    /// That it is right, from 0 to 1, where its maker or the attempt to refute it can tell.
    pub probability: Option<f64>,
    /// Whether it passes the command and the tests and is held back for what else was found.
    pub passes_tests: bool,
}

/// Candidates that pass and are held back, which the page shows.
const SHOWN: usize = 3;

impl Alternative {
    fn text(&self) -> String {
        let why = plain(&self.why, 400);
        format!(
            "\nnot offered, by {}: {why}\n{}",
            plain(&self.strategy, 80),
            shown(&self.patch)
        )
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// `proven`, `likely` or `inconclusive`.
    pub grade: String,
    /// The commit that brought the failure.
    pub guilty_commit: Option<String>,
    /// The strategy of the patch.
    pub strategy: Option<String>,
    /// That the patch is right, or without one that the diagnosis is; from 0 to 1.
    pub confidence: f64,
    /// The proven patch as a unified diff for `git apply`.
    pub patch: Option<String>,
    /// That the patch is right, from 0 to 1, by the attempt to refute it; nothing where it only takes back.
    pub probability: Option<f64>,
    /// Each gate that the patch went through.
    pub gates: Vec<GateResult>,
    /// Other candidates.
    pub alternatives: Vec<Alternative>,
    /// How many candidates were tried.
    pub candidates: usize,
    /// Wall-clock time.
    pub seconds: f64,
    /// Energy, an estimate ± 50 %.
    pub joules: f64,
    /// Tokens of language models, in and out.
    pub tokens: u64,
    /// What happened, in a sentence.
    pub summary: String,
    /// The failure, in a line.
    pub failure: Option<String>,
    /// The failing test, where the runner is known.
    pub test: Option<String>,
    /// The cause for people: the commit's subject and author, or what it is instead.
    pub cause: Option<String>,
    /// The hunks of the guilty commit that do it.
    pub hunks: Vec<HunkSummary>,
    /// How many hunks it has.
    pub hunks_total: u32,
    /// The experiments that carry the grade.
    pub counterfactual: Vec<CounterfactualRow>,
    /// The ranking's first five.
    pub suspects: Vec<Suspected>,
    /// Where it got to and what was not looked at, a sentence each.
    pub notes: Vec<String>,
    /// Runs of the command and of the suite.
    pub experiments: u32,
    /// A branch that was made.
    pub branch: Option<String>,
    /// A commit that was made.
    pub commit: Option<String>,
}

impl Report {
    /// An empty one.
    #[must_use]
    pub fn new(outcome: Outcome, summary: impl Into<String>) -> Self {
        Self {
            outcome,
            grade: "inconclusive".to_owned(),
            guilty_commit: None,
            strategy: None,
            confidence: 0.0,
            patch: None,
            probability: None,
            gates: Vec::new(),
            alternatives: Vec::new(),
            candidates: 0,
            seconds: 0.0,
            joules: 0.0,
            tokens: 0,
            summary: summary.into(),
            failure: None,
            test: None,
            cause: None,
            hunks: Vec::new(),
            hunks_total: 0,
            counterfactual: Vec::new(),
            suspects: Vec::new(),
            notes: Vec::new(),
            experiments: 0,
            branch: None,
            commit: None,
        }
    }

    /// Takes over what a diagnosis shows.
    pub fn show(&mut self, diagnosis: &Diagnosis) {
        match &diagnosis.grade {
            Grade::Proven => "proven",
            Grade::Likely { .. } => "likely",
            Grade::Inconclusive { .. } => "inconclusive",
        }
        .clone_into(&mut self.grade);
        self.hunks.clone_from(&diagnosis.guilty_hunks);
        self.hunks_total = diagnosis.hunks_total;
        self.counterfactual.clone_from(&diagnosis.counterfactual);
    }

    /// The page for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines = vec![plain(&self.summary, 400)];
        let mut line = |label: &str, text: &str| lines.push(format!("  {label:<10} {text}"));
        if let Some(failure) = &self.failure {
            line("failure", &plain(failure, 200));
        }
        if let Some(test) = &self.test {
            line("test", &plain(test, 200));
        }
        if let Some(cause) = &self.cause {
            line("cause", &plain(cause, 300));
        }
        line("grade", &self.grade);
        if let Some(strategy) = &self.strategy {
            line("strategy", &format!("{strategy}, confidence {:.2}", self.confidence));
        }
        if let Some(gate) = self.gates.iter().find(|gate| gate.gate == "refutation") {
            line("refutation", &plain(&gate.why, 300));
        }
        let effort = format!(
            "{} runs, {:.1} s, about {:.0} J (± 50 %)",
            self.experiments, self.seconds, self.joules
        );
        line("effort", &effort);
        if let Some(branch) = &self.branch {
            line("branch", branch);
        }
        if let Some(commit) = &self.commit {
            line("commit", commit);
        }
        for hunk in &self.hunks {
            lines.push(format!("\n{} {}\n{}", hunk.file, hunk.header, hunk.excerpt));
        }
        if !self.counterfactual.is_empty() {
            lines.push(format!("\n{}", render_table(&self.counterfactual).trim_end()));
        }
        if !self.notes.is_empty() {
            lines.push(String::new());
            lines.extend(self.notes.iter().map(|note| format!("- {}", plain(note, 400))));
        }
        if let Some(patch) = &self.patch {
            lines.push(format!("\n{}", shown(patch)));
        } else {
            let held_back = self.alternatives.iter().filter(|other| other.passes_tests);
            lines.extend(held_back.take(SHOWN).map(Alternative::text));
        }
        lines.join("\n")
    }

    /// The sentence of a heal without an answer.
    pub(super) fn no_patch(&self) -> String {
        let held_back = self.alternatives.iter().filter(|other| other.passes_tests).count();
        match held_back {
            0 => " No patch passed.".to_owned(),
            1 => " Not healed: one patch passes the tests and is not believed.".to_owned(),
            many => format!(" Not healed: {many} patches pass the tests and none is believed."),
        }
    }
}

/// A patch on a terminal: without what a terminal would obey.
fn shown(patch: &str) -> String {
    patch
        .lines()
        .map(|line| plain(line, 2000))
        .collect::<Vec<_>>()
        .join("\n")
}
