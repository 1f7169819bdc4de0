//! `learn`: reads the repository and its history, and keeps the house's model beside it.

use std::collections::BTreeMap;
use std::path::Path;

use prunella_core::diagnose::plain;
use serde::Serialize;

use super::model::{Languages, PatternRow, languages, rows};
use super::site::Site;
use crate::cli::Learn as Options;
use crate::clock::now_ms;
use crate::git::Repo;
use crate::learn::{Exported, NotExported, NotLearnt, Skipped, export, learn};
use crate::ui::{Exit, Fault, Problem, Ui};

/// Patterns that are shown.
const SHOWN: usize = 5;

#[derive(Serialize)]
struct Document {
    repository: String,
    commit: String,
    files: usize,
    files_read: usize,
    lines: u64,
    tokens: u64,
    vocabulary: u64,
    ngrams: usize,
    /// Whether n-grams were left out for want of room.
    full: bool,
    languages: BTreeMap<String, Languages>,
    skipped: Skipped,
    siblings: Vec<String>,
    fixes_read: u32,
    edits: u32,
    patterns: usize,
    top_patterns: Vec<PatternRow>,
    bytes: u64,
    read_seconds: f64,
    mined_seconds: f64,
}

pub(super) fn run(dir: Option<&Path>, options: &Options, ui: &Ui) -> Result<Exit, Problem> {
    let site = Site::open(dir)?;
    if let Some(out) = &options.export {
        return exported(&site, out, ui);
    }
    site.home.create()?;
    let siblings: Vec<Repo> = options
        .siblings
        .iter()
        .map(|path| Repo::open(path))
        .collect::<Result<_, _>>()?;
    ui.hint("reading the source files, then the fixes in the history");
    let learnt = learn(&site.repo, &siblings, &site.home.model(), now_ms()).map_err(problem)?;
    if let Some(why) = &learnt.anew {
        ui.warn(&format!("{why}; it was learnt anew"));
    }
    let house = &learnt.house;
    let (files, lines, tokens) = house.extent();
    let document = Document {
        repository: site.repo.root().display().to_string(),
        commit: house
            .corpus()
            .commit
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        files,
        files_read: learnt.files_read,
        lines,
        tokens,
        vocabulary: house.project().vocabulary(),
        ngrams: house.project().ngrams(),
        full: house.project().is_full(),
        languages: languages(house.corpus()),
        skipped: house.corpus().skipped,
        siblings: siblings.iter().map(|repo| repo.root().display().to_string()).collect(),
        fixes_read: learnt.patterns.read,
        edits: learnt.patterns.edits,
        patterns: learnt.patterns.all.len(),
        top_patterns: rows(&learnt.patterns, &Default::default(), SHOWN),
        bytes: learnt.bytes,
        read_seconds: learnt.took.0.as_secs_f64(),
        mined_seconds: learnt.took.1.as_secs_f64(),
    };
    ui.data(&document, || text(&document))?;
    Ok(Exit::Done)
}

fn text(document: &Document) -> String {
    let mut out = format!(
        "Learnt {} lines in {} files ({} read now) of {} at {}.\n{} tokens, {} different; {} n-grams; {:.1} MiB on disk; {:.1} s.\n",
        document.lines,
        document.files,
        document.files_read,
        plain(&document.repository, 200),
        document.commit.get(..12).unwrap_or(&document.commit),
        document.tokens,
        document.vocabulary,
        document.ngrams,
        document.bytes as f64 / f64::from(1 << 20),
        document.read_seconds,
    );
    let skipped = document.skipped;
    if skipped.all() > 0 {
        out.push_str(&format!(
            "Not read: {} generated or foreign, {} packed, {} not text, {} too long, {} beyond the limit.\n",
            skipped.generated, skipped.packed, skipped.binary, skipped.too_long, skipped.over_limit
        ));
    }
    out.push_str(&format!(
        "{} small fixes with {} edits gave {} patterns in {:.1} s. `prunella model show` says more.\n",
        document.fixes_read, document.edits, document.patterns, document.mined_seconds
    ));
    out
}

fn exported(site: &Site, out: &Path, ui: &Ui) -> Result<Exit, Problem> {
    let head = site.repo.head()?;
    let done = export(&site.repo, &head, out).map_err(|error| match error {
        NotExported::Git(error) => error.into(),
        NotExported::NoFixes => Problem::new(
            Fault::Answer,
            error.to_string(),
            "A longer history may have some: is the clone shallow?",
        ),
        NotExported::NotEmpty(_) => Problem::new(Fault::Usage, error.to_string(), "Nothing was written."),
        NotExported::Io(..) => Problem::new(
            Fault::Machine,
            error.to_string(),
            "Nothing of the repository was changed.",
        ),
    })?;
    ui.data(&done, || export_text(&done))?;
    Ok(Exit::Done)
}

fn export_text(done: &Exported) -> String {
    let count = |map: &BTreeMap<String, usize>| {
        let all: Vec<String> = map
            .iter()
            .map(|(what, n)| format!("{n} {}", what.to_lowercase()))
            .collect();
        if all.is_empty() {
            "none".to_owned()
        } else {
            all.join(", ")
        }
    };
    format!(
        "Wrote {} pairs for training and {} newer ones for testing to {}.\nReplaced values: {}. Fixes left out: {}.\n\
         Look through it before it leaves the machine: names of people in comments are not recognised.\n",
        done.train,
        done.test,
        plain(&done.dir.display().to_string(), 200),
        count(&done.redacted),
        count(&done.left_out)
    )
}

fn problem(error: NotLearnt) -> Problem {
    match error {
        NotLearnt::Git(error) => error.into(),
        NotLearnt::Store(_) | NotLearnt::Shelf(..) => Problem::new(
            Fault::Machine,
            error.to_string(),
            "Make the state directory writable, or set `state_dir` in prunella.toml.",
        ),
    }
}
