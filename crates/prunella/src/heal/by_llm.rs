//! Asks a language model where nothing else has a patch: one more untrusted source under the same judge.
//!
//! *Signals*: the failure, its frames, the guilty change where one is proven, and why earlier candidates were refuted.
//! *Method*: a few questions with localised context; each refutation is the next question's context, within a bound.
//! *Source*: conversational repair (Xia & Zhang, 2023) after localisation (Agentless, Xia et al., 2024).
//! *Fix safety*: writes lines that never were there; protected files are refused by the drafts' door.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use prunella_core::diagnose::hunks::{CommitDiff, FileState};
use prunella_core::diagnose::patch::render_patch;
use prunella_core::diagnose::paths::{PathKind, path_kind};
use prunella_core::privacy::Vault;
use prunella_core::repair::answer::edited;
use prunella_core::repair::ask::{self, Attempt, Question, Shown};
use prunella_core::repair::{Candidate, Draft, DraftFile, FixSafety};

use super::Helper;
use super::mend::{Bench, files};
use crate::egress::{Gate, Hosts, Log};
use crate::llm::{Cassette, Choice, Key, Model, Question as Sent};

/// The strategy's name for `--strategy`.
pub const NAME: &str = "llm";
/// Questions of one heal.
const QUESTIONS: usize = 4;
/// Files that may be edited, at most.
const FILES: usize = 6;
/// Tests that are shown, at most.
const TESTS: usize = 2;
/// The largest file that is shown in part, in bytes.
const LARGEST: usize = 512 * 1024;
/// The randomness of the first question, and what each further one adds: the same question again should not get the
/// same answer.
const TEMPERATURE: (f64, f64) = (0.0, 0.3);

/// The model that the owner chose, and how it may be asked.
#[derive(Clone, Debug)]
pub struct Asking {
    /// Which.
    pub choice: Choice,
    /// What its provider wants to see.
    pub key: Option<Key>,
    /// Where text may go beside this machine.
    pub hosts: Hosts,
    /// Where the log of what leaves is.
    pub log: Log,
    /// Recorded answers.
    pub cassette: Option<PathBuf>,
    /// Only files below these are shown; all if it is empty.
    pub paths: Vec<String>,
    /// Whether each question is printed before it leaves.
    pub prints: bool,
}

impl Asking {
    /// The model behind the gate.
    ///
    /// # Errors
    /// If its host was not allowed, or the cassette cannot be read.
    pub fn model(&self) -> Result<Model, String> {
        let cassette = self.cassette.as_deref().map(Cassette::open).transpose();
        let cassette = cassette.map_err(|error| error.to_string())?;
        let gate = Gate::new(self.hosts.clone(), self.log.clone());
        Model::new(self.choice.clone(), self.key.clone(), gate, cassette).map_err(|error| error.to_string())
    }

    /// Whether a file's text may be shown: never one that is there to hold secrets.
    fn shows(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
        let holds_secrets = name.starts_with(".env")
            || [
                ".pem",
                ".key",
                ".p12",
                ".pfx",
                ".jks",
                ".keystore",
                ".netrc",
                ".npmrc",
                ".pypirc",
            ]
            .iter()
            .any(|end| name.ends_with(end))
            || name.starts_with("id_rsa")
            || name.starts_with("id_ed25519")
            || name.contains("credentials");
        let below = |prefix: &String| {
            let prefix = prefix.trim_start_matches("./").trim_end_matches('/');
            path == prefix || path.starts_with(&format!("{prefix}/"))
        };
        !holds_secrets && (self.paths.is_empty() || self.paths.iter().any(below))
    }
}

impl Helper<'_> {
    /// What needs no guilty commit: a known fix and the search first, then the model.
    pub(super) fn written(
        &mut self,
        bench: &mut Bench<'_>,
        culprit: Option<&CommitDiff>,
    ) -> Result<Option<usize>, String> {
        if let Some(found) = self.without_culprit(bench)? {
            return Ok(Some(found));
        }
        self.asked(bench, culprit)
    }

    /// The first candidate of the model that the judge lets through.
    fn asked(&mut self, bench: &mut Bench<'_>, culprit: Option<&CommitDiff>) -> Result<Option<usize>, String> {
        let Some(asking) = self.request.llm.clone() else {
            return Ok(None);
        };
        if self.request.strategy.as_deref().is_some_and(|asked| asked != NAME) {
            return Ok(None);
        }
        let mut model = match asking.model() {
            Ok(model) => model,
            Err(why) => {
                self.notes.push(format!("{NAME}: {why}"));
                return Ok(None);
            }
        };
        let known = bench.editable(&asking, culprit)?;
        let texts = texts(&known);
        if texts.is_empty() {
            self.notes
                .push(format!("{NAME}: no file is known that it could be asked about"));
            return Ok(None);
        }
        let mut question = bench.question(&asking, &texts, culprit)?;
        let mut vault = Vault::new();
        for round in 0..QUESTIONS {
            if bench.shop.over().is_some() {
                break;
            }
            let prompt = ask::prompt(&question);
            let sent = Sent {
                system: vault.redact(&prompt.system),
                user: vault.redact(&prompt.user),
            };
            if asking.prints {
                (self.say)(&format!(
                    "to {}:\n{}\n{}",
                    model.label(),
                    sent.system.as_str(),
                    sent.user.as_str()
                ));
            }
            (self.say)(&format!("asking {}", model.label()));
            let answer = match model.ask(&sent, &vault, TEMPERATURE.0 + TEMPERATURE.1 * round as f64) {
                Ok(answer) => answer,
                Err(error) => {
                    self.notes.push(format!("{NAME}: {error}"));
                    break;
                }
            };
            bench.shop.account.spend_tokens(answer.tokens.0 + answer.tokens.1);
            let attempt = match read(&answer.text, &vault, &texts, &known, bench, &model.label()) {
                Err(why) => Attempt {
                    patch: String::new(),
                    why,
                },
                Ok(candidate) if self.tried.iter().any(|tried| tried.candidate.patch == candidate.patch) => Attempt {
                    patch: candidate.patch,
                    why: "this was tried before".to_owned(),
                },
                Ok(candidate) => {
                    let patch = candidate.patch.clone();
                    if let Some(at) = self.attempt(bench, candidate)? {
                        return Ok(Some(at));
                    }
                    let why = self.tried.last().map(super::mend::Tried::why).unwrap_or_default();
                    Attempt { patch, why }
                }
            };
            question.attempts.push(attempt);
        }
        let refused = question
            .attempts
            .iter()
            .map(|attempt| attempt.why.lines().next().unwrap_or_default());
        let refused: Vec<&str> = refused.collect();
        self.notes.push(format!(
            "{NAME}: {} answers, none passed: {}",
            refused.len(),
            refused.join("; ")
        ));
        Ok(None)
    }
}

/// An answer as a candidate.
fn read(
    answer: &str,
    vault: &Vault,
    texts: &BTreeMap<String, String>,
    known: &BTreeMap<String, FileState>,
    bench: &Bench<'_>,
    label: &str,
) -> Result<Candidate, String> {
    let restored = vault.restore(answer).map_err(|error| error.to_string())?;
    let (changed, rung) = edited(&restored, texts).map_err(|error| error.to_string())?;
    let draft = Draft {
        strategy: NAME.to_owned(),
        rationale: format!(
            "Written by the language model {label}, applied {}.",
            format!("{rung:?}").to_lowercase()
        ),
        files: changed
            .into_iter()
            .map(|(path, content)| DraftFile {
                path,
                content: content.into_bytes(),
            })
            .collect(),
        fix_safety: FixSafety::Writes,
        swallows_symptom: false,
        prior: 0.5,
    };
    draft
        .candidate(bench.head, known)
        .map_err(|declined| declined.to_string())
}

/// What is text.
fn texts(known: &BTreeMap<String, FileState>) -> BTreeMap<String, String> {
    let text = |(path, state): (&String, &FileState)| {
        let text = String::from_utf8(state.content.clone()).ok()?;
        Some((path.clone(), text))
    };
    known.iter().filter_map(text).collect()
}

impl Bench<'_> {
    /// Files that the model may edit, the likeliest first: where the failure shows, what the guilty commit changed, what
    /// the failing test speaks of.
    fn editable(&self, asking: &Asking, culprit: Option<&CommitDiff>) -> Result<BTreeMap<String, FileState>, String> {
        let mut wanted: Vec<String> = Vec::new();
        let mut want = |path: &str| {
            let is_source = matches!(path_kind(path), PathKind::Source);
            if is_source && asking.shows(path) && !wanted.iter().any(|known| known == path) {
                wanted.push(path.to_owned());
            }
        };
        self.places.iter().for_each(|(path, _)| want(path));
        for file in culprit.iter().flat_map(|diff| diff.files()) {
            file.new_state().into_iter().for_each(|state| want(&state.path));
        }
        for path in self.spoken_of()? {
            want(&path);
        }
        wanted.truncate(FILES);
        let mut found = files(self.shop, self.head, wanted.iter().map(String::as_str))?;
        found.retain(|_, state| state.content.len() <= LARGEST);
        Ok(found)
    }

    /// Source files whose name the failing tests say, as a word.
    fn spoken_of(&self) -> Result<Vec<String>, String> {
        let tests = self.tests();
        let known = files(self.shop, self.head, tests.iter().map(String::as_str))?;
        let mut words: BTreeSet<String> = BTreeSet::new();
        for state in known.values().filter(|state| state.content.len() <= LARGEST) {
            let text = String::from_utf8_lossy(&state.content);
            let split = text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'));
            words.extend(split.filter(|word| word.len() > 1).map(str::to_owned));
        }
        let listing = self.shop.shadow.listing(self.head).map_err(|error| error.to_string())?;
        let stem = |path: &str| {
            let name = path.rsplit('/').next().unwrap_or(path);
            name.split('.').next().unwrap_or(name).to_owned()
        };
        let suffix = |path: &str| path.rsplit_once('.').map(|(_, end)| end.to_owned());
        let languages: BTreeSet<Option<String>> = tests.iter().map(|path| suffix(path)).collect();
        let paths = listing.into_iter().map(|file| file.path);
        Ok(paths
            .filter(|path| words.contains(&stem(path)) && languages.contains(&suffix(path)))
            .collect())
    }

    /// Test files of the failure: where it shows, what its name says, what the command is called with.
    fn tests(&self) -> Vec<String> {
        let mut tests: Vec<String> = self.places.iter().map(|(path, _)| path.clone()).collect();
        tests.retain(|path| path_kind(path) == PathKind::Test);
        let words = self.target.test.iter().chain(&self.telling.argv);
        let paths = words.filter_map(|word| word.split("::").next());
        tests.extend(paths.map(|path| path.trim_start_matches("./").to_owned()));
        tests.retain(|path| path_kind(path) == PathKind::Test);
        tests.sort();
        tests.dedup();
        tests
    }

    fn question(
        &self,
        asking: &Asking,
        texts: &BTreeMap<String, String>,
        culprit: Option<&CommitDiff>,
    ) -> Result<Question, String> {
        let lines = |path: &str| -> Vec<u32> {
            let here = self.places.iter().filter(|(file, _)| file == path);
            here.map(|(_, line)| *line).collect()
        };
        let show = |(path, text): (&String, &String)| ask::shown(path, text, &lines(path));
        let known = files(self.shop, self.head, self.tests().iter().map(String::as_str))?;
        let tests: Vec<Shown> = self::texts(&known)
            .iter()
            .filter(|(path, _)| asking.shows(path))
            .take(TESTS)
            .map(show)
            .collect();
        let trace: Vec<String> = self
            .target
            .exceptions
            .iter()
            .take(3)
            .map(|exception| {
                let frames = exception.in_app_frames();
                let frames: Vec<String> = frames
                    .map(|frame| format!("  {}:{} in {}", frame.file, frame.line.unwrap_or(0), frame.function))
                    .collect();
                frames.join("\n")
            })
            .collect();
        let culprit = culprit.map(|diff| {
            let all: BTreeSet<_> = diff.hunk_ids().collect();
            diff.revert(&all)
                .map(|edits| render_patch(&backwards(edits)))
                .unwrap_or_default()
        });
        Ok(Question {
            command: self.telling.argv.join(" "),
            test: self.target.test.clone(),
            failure: self.target.identity.headline(),
            trace: trace.join("\n\n"),
            files: texts.iter().map(show).collect(),
            tests,
            culprit: culprit.filter(|diff| !diff.is_empty()),
            attempts: Vec::new(),
        })
    }
}

/// A revert's edits the other way round: the change itself.
fn backwards(edits: Vec<prunella_core::diagnose::hunks::Edit>) -> Vec<prunella_core::diagnose::hunks::Edit> {
    edits
        .into_iter()
        .map(|edit| prunella_core::diagnose::hunks::Edit {
            before: edit.after,
            after: edit.before,
        })
        .collect()
}
