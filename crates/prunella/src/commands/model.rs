//! `model`: what was learnt, for people: extent, style, patterns, known fixes, and what uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use prunella_core::diagnose::plain;
use prunella_core::model::Style;
use prunella_core::repair::patterns::Patterns;
use serde::Serialize;

use super::site::Site;
use crate::cli::{Model as Options, ModelVerb, PatternsOf};
use crate::learn::{Corpus, FILE, KnownFixes, Saved, Shelf, Skipped, VERSION};
use crate::render::Table;
use crate::ui::{Exit, Fault, Problem, Ui};

/// Patterns that `show` shows.
const SHOWN: usize = 10;
/// Characters of a pattern in a table.
const WIDTH: usize = 70;

/// What was read of one language.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Languages {
    files: u64,
    lines: u64,
    tokens: u64,
    style: Style,
}

/// A pattern for people.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PatternRow {
    id: String,
    language: String,
    before: String,
    after: String,
    around: Option<String>,
    support: u32,
    commits: Vec<String>,
    elsewhere: u32,
    confidence: f64,
    swallows: bool,
    vetoed: bool,
}

/// A use of the model, and how it is switched off.
#[derive(Clone, Debug, Serialize)]
struct Use {
    name: &'static str,
    what: &'static str,
    off: &'static str,
}

const USES: &[Use] = &[
    Use {
        name: "n-grams",
        what: "rank the candidates of the search by how natural their lines are here",
        off: "heal --off ngrams",
    },
    Use {
        name: "names",
        what: "rank them by which names, calls and arguments go together here",
        off: "heal --off names",
    },
    Use {
        name: "patterns",
        what: "propose what people of this house did in earlier fixes",
        off: "heal --off patterns",
    },
    Use {
        name: "known fixes",
        what: "propose what ended the same failure before",
        off: "heal --off known-fixes",
    },
];

#[derive(Serialize)]
struct Document {
    repository: String,
    format: u32,
    commit: Option<String>,
    /// Whether the newest commit is another.
    stale: bool,
    learnt_ms: i64,
    bytes: u64,
    files: usize,
    lines: u64,
    tokens: u64,
    vocabulary: usize,
    languages: BTreeMap<String, Languages>,
    skipped: Skipped,
    siblings: BTreeMap<String, u64>,
    fixes_read: u32,
    edits: u32,
    patterns: usize,
    vetoed: usize,
    top_patterns: Vec<PatternRow>,
    known_fixes: usize,
    uses: &'static [Use],
}

pub(super) fn run(dir: Option<&Path>, options: &Options, ui: &Ui) -> Result<Exit, Problem> {
    let site = Site::open(dir)?;
    match &options.verb {
        ModelVerb::Show => show(&site, ui),
        ModelVerb::Patterns(options) => patterns(&site, options, ui),
    }
}

fn show(site: &Site, ui: &Ui) -> Result<Exit, Problem> {
    let path = site.home.model().join(FILE);
    let saved = Saved::read(&path)
        .map_err(|error| Problem::new(Fault::Machine, error.to_string(), "`prunella learn` writes it anew."))?;
    let Some(saved) = saved else {
        return Err(Problem::new(
            Fault::Answer,
            "no model was learnt for this repository yet",
            "Run `prunella learn`.",
        ));
    };
    let (patterns, vetoed) = shelved(site)?;
    let known = KnownFixes::new(&site.home.model())
        .all()
        .map_err(|error| unreadable(&error))?;
    let (lines, tokens) = saved.corpus.extent();
    let words: BTreeSet<u64> = saved
        .corpus
        .files
        .values()
        .flat_map(|file| file.tokens.iter().copied())
        .collect();
    let head = site.repo.head()?;
    let document = Document {
        repository: site.repo.root().display().to_string(),
        format: VERSION,
        stale: saved.corpus.commit.as_ref() != Some(&head),
        commit: saved.corpus.commit.as_ref().map(ToString::to_string),
        learnt_ms: saved.learnt_ms,
        bytes: std::fs::metadata(&path).map_or(0, |meta| meta.len()),
        files: saved.corpus.files.len(),
        lines,
        tokens,
        vocabulary: words.len(),
        languages: languages(&saved.corpus),
        skipped: saved.corpus.skipped,
        siblings: saved
            .siblings
            .iter()
            .map(|(root, c)| (root.display().to_string(), c.extent().0))
            .collect(),
        fixes_read: patterns.read,
        edits: patterns.edits,
        patterns: patterns.all.len(),
        vetoed: vetoed.len(),
        top_patterns: rows(&patterns, &vetoed, SHOWN),
        known_fixes: known.len(),
        uses: USES,
    };
    ui.data(&document, || text(&document))?;
    Ok(Exit::Done)
}

/// What was read of each language, with its habits.
pub(super) fn languages(corpus: &Corpus) -> BTreeMap<String, Languages> {
    let mut found: BTreeMap<String, Languages> = BTreeMap::new();
    for file in corpus.files.values() {
        let row = found.entry(file.language.to_owned()).or_default();
        row.files += 1;
        row.lines += u64::from(file.lines);
        row.tokens += file.tokens.len() as u64;
    }
    for (language, counts) in &corpus.styles {
        if let Some(row) = found.get_mut(language) {
            row.style = counts.style();
        }
    }
    found
}

/// The first patterns, for people.
pub(super) fn rows(patterns: &Patterns, vetoed: &BTreeSet<String>, count: usize) -> Vec<PatternRow> {
    let row = |pattern: &prunella_core::repair::patterns::Pattern| {
        let (before, after) = pattern.text();
        PatternRow {
            id: pattern.id.clone(),
            language: pattern.language.clone(),
            before,
            after,
            around: pattern.around.clone(),
            support: pattern.support,
            commits: pattern.commits.iter().map(|c| c.chars().take(12).collect()).collect(),
            elsewhere: pattern.elsewhere,
            confidence: pattern.confidence(),
            swallows: pattern.swallows,
            vetoed: vetoed.contains(&pattern.id),
        }
    };
    patterns.all.iter().take(count).map(row).collect()
}

fn shelved(site: &Site) -> Result<(Patterns, BTreeSet<String>), Problem> {
    let shelf = Shelf::new(site.home.model());
    Ok((
        shelf.patterns().map_err(|error| unreadable(&error))?,
        shelf.vetoed().map_err(|error| unreadable(&error))?,
    ))
}

fn unreadable(error: &std::io::Error) -> Problem {
    Problem::new(
        Fault::Machine,
        format!("the model's directory cannot be read or written: {error}"),
        "`prunella learn` writes the patterns anew; vetoes and known fixes are files beside them.",
    )
}

fn text(document: &Document) -> String {
    let commit = document.commit.as_deref().and_then(|c| c.get(..12)).unwrap_or("none");
    let stale = if document.stale {
        " (the newest commit is another: `prunella learn`)"
    } else {
        ""
    };
    let mut out = format!(
        "{}: format {}, commit {commit}{stale}\n{} lines in {} files, {} tokens, {} different; {:.1} MiB on disk\n\n",
        plain(&document.repository, 200),
        document.format,
        document.lines,
        document.files,
        document.tokens,
        document.vocabulary,
        document.bytes as f64 / f64::from(1 << 20),
    );
    let mut table = Table::with_heading(&["LANGUAGE", "FILES", "LINES", "STYLE"]);
    for (name, row) in &document.languages {
        table.row([
            name.clone(),
            row.files.to_string(),
            row.lines.to_string(),
            style(&row.style),
        ]);
    }
    out.push_str(&table.render(0));
    out.push_str(&format!(
        "\n{} patterns from {} edits in {} fixes, {} vetoed; {} known fixes\n",
        document.patterns, document.edits, document.fixes_read, document.vetoed, document.known_fixes
    ));
    out.push_str(&pattern_table(&document.top_patterns));
    out.push_str("\nUsed to:\n");
    let mut uses = Table::default();
    for used in document.uses {
        uses.row([used.name.to_owned(), used.what.to_owned(), used.off.to_owned()]);
    }
    out.push_str(&uses.render(2));
    out
}

fn style(style: &Style) -> String {
    let named = [
        ("", &style.indent),
        ("quotes ", &style.quotes),
        ("", &style.variables),
        ("types ", &style.types),
        ("trailing commas ", &style.trailing_commas),
        ("semicolons ", &style.semicolons),
        ("imports ", &style.imports),
    ];
    let mut words: Vec<String> = named
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}{}", value.as_ref()?)))
        .collect();
    words.extend(style.line_length.map(|length| format!("lines up to {length}")));
    words.join(", ")
}

fn pattern_table(rows: &[PatternRow]) -> String {
    let mut table = Table::with_heading(&["ID", "FIXES", "ELSEWHERE", "WAS", "BECOMES"]);
    let line = |text: &str| plain(&text.replace('\n', " ⏎ "), WIDTH);
    for row in rows {
        let mark = match (row.vetoed, row.swallows) {
            (true, _) => " (vetoed)",
            (false, true) => " (guard)",
            (false, false) => "",
        };
        table.row([
            format!("{}{mark}", row.id),
            row.commits.len().to_string(),
            row.elsewhere.to_string(),
            line(&row.before),
            line(&row.after),
        ]);
    }
    table.render(0)
}

fn patterns(site: &Site, options: &PatternsOf, ui: &Ui) -> Result<Exit, Problem> {
    let (patterns, _) = shelved(site)?;
    let shelf = Shelf::new(site.home.model());
    for (id, wanted) in options
        .veto
        .iter()
        .map(|id| (id, false))
        .chain(options.allow.iter().map(|id| (id, true)))
    {
        let matching: BTreeSet<&str> = patterns
            .all
            .iter()
            .map(|pattern| pattern.id.as_str())
            .filter(|known| known.starts_with(id.as_str()))
            .collect();
        let known = match (matching.len(), wanted) {
            (1, _) => matching.first().copied().unwrap_or(id),
            // A pattern that is no longer mined can still be allowed again.
            (0, true) => id,
            _ => {
                return Err(Problem::new(
                    Fault::Usage,
                    format!("{} patterns begin with `{}`", matching.len(), plain(id, 40)),
                    "`prunella model patterns` lists them.",
                ));
            }
        };
        shelf.veto(known, wanted).map_err(|error| unreadable(&error))?;
    }
    let vetoed = shelf.vetoed().map_err(|error| unreadable(&error))?;
    let rows = rows(&patterns, &vetoed, options.limit);
    ui.data(&rows, || pattern_table(&rows))?;
    Ok(Exit::Done)
}
