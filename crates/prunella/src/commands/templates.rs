//! `templates FILE`: the log templates of any log, and the statements that wrote them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use prunella_core::diagnose::plain;
use prunella_core::signal::template::{Limits, Template, TemplateId, Templates};
use prunella_lang::statements::Statements;
use serde::Serialize;

use super::repository::tracked;
use crate::cli::Templates as Options;
use crate::git::Repo;
use crate::render::{self, Table};
use crate::statements::index;
use crate::ui::{Exit, Fault, Problem, Ui};

/// Bytes of one line that are kept; the rest of it is read and dropped.
const MAX_LINE: u64 = 16 * 1024;
/// Places of templates that are remembered; merged and forgotten ones are swept out then.
const MAX_PLACES: usize = 64 * 1024;
const EXAMPLES: usize = 3;
/// Characters of a template that people are shown.
const MAX_SHOWN: usize = 400;

/// What was read, and what it consists of.
#[derive(Debug, Serialize)]
struct Document {
    lines: u64,
    cut_lines: u64,
    templates: Vec<Shown>,
    /// Templates that `--limit` left out, and their lines.
    left_out: usize,
    left_out_lines: u64,
    /// Signatures that were forgotten for want of room.
    forgotten: u64,
    repository: Option<String>,
}

#[derive(Debug, Serialize)]
struct Shown {
    template: String,
    lines: u64,
    share: f64,
    first_line: u64,
    last_line: u64,
    variables: Vec<String>,
    examples: Vec<String>,
    statements: Vec<Place>,
}

#[derive(Debug, Serialize)]
struct Place {
    file: String,
    line: u32,
    score: f64,
}

/// The log as it was read.
struct Log {
    templates: Templates,
    /// The first and the last line of each template.
    places: HashMap<TemplateId, (u64, u64)>,
    lines: u64,
    cut: u64,
}

pub(super) fn templates(dir: Option<&Path>, options: &Options, ui: &Ui) -> Result<Exit, Problem> {
    let log = if options.file.as_os_str() == "-" {
        read(io::stdin().lock())
    } else {
        File::open(&options.file).and_then(|file| read(BufReader::with_capacity(1 << 16, file)))
    };
    let mut log = log.map_err(|error| {
        Problem::new(
            Fault::Usage,
            format!("{} cannot be read: {error}", options.file.display()),
            "Give the path of a text log, or `-` for standard input.",
        )
    })?;
    let (root, statements) = sources(dir, options, ui)?;
    let document = log.document(options.limit, &statements, root);
    ui.data(&document, || text(&document))?;
    if document.forgotten > 0 {
        ui.warn(&format!(
            "{} rare signatures were forgotten: the log has more than fit",
            document.forgotten
        ));
    }
    Ok(Exit::Done)
}

fn read(mut from: impl BufRead) -> io::Result<Log> {
    let mut log = Log {
        templates: Templates::new(Limits::default()),
        places: HashMap::new(),
        lines: 0,
        cut: 0,
    };
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        if from.by_ref().take(MAX_LINE).read_until(b'\n', &mut buffer)? == 0 {
            return Ok(log);
        }
        if buffer.last() != Some(&b'\n') && buffer.len() as u64 == MAX_LINE {
            log.cut += 1;
            from.skip_until(b'\n')?;
        }
        match std::str::from_utf8(&buffer) {
            Ok(line) => log.line(line.trim_end_matches(['\n', '\r'])),
            Err(_) => log.line(String::from_utf8_lossy(&buffer).trim_end_matches(['\n', '\r'])),
        }
    }
}

impl Log {
    fn line(&mut self, line: &str) {
        self.lines += 1;
        let template = self.templates.observe(line).template;
        let at = self.lines;
        self.places.entry(template).or_insert((at, at)).1 = at;
        if self.places.len() > MAX_PLACES {
            self.sweep();
        }
    }

    /// Follows merges; what was forgotten goes.
    fn sweep(&mut self) {
        let known: std::collections::HashSet<TemplateId> =
            self.templates.templates().iter().map(Template::id).collect();
        for (id, (first, last)) in std::mem::take(&mut self.places) {
            let id = self.templates.resolve(id);
            if known.contains(&id) {
                let place = self.places.entry(id).or_insert((first, last));
                *place = (place.0.min(first), place.1.max(last));
            }
        }
    }

    fn document(&mut self, limit: usize, statements: &Statements, root: Option<PathBuf>) -> Document {
        self.templates.refine();
        self.sweep();
        let all = self.templates.templates();
        let (shown, rest) = all.split_at(limit.min(all.len()));
        Document {
            lines: self.lines,
            cut_lines: self.cut,
            templates: shown.iter().map(|t| self.shown(t, statements)).collect(),
            left_out: rest.len(),
            left_out_lines: rest.iter().map(Template::lines).sum(),
            forgotten: self.templates.stats().forgotten,
            repository: root.map(|root| root.display().to_string()),
        }
    }

    fn shown(&self, template: &Template<'_>, statements: &Statements) -> Shown {
        let (first_line, last_line) = self.places.get(&template.id()).copied().unwrap_or_default();
        let found = statements.locate(&template.literal_pattern()).into_iter();
        Shown {
            template: template.text(),
            lines: template.lines(),
            share: template.lines() as f64 / self.lines.max(1) as f64,
            first_line,
            last_line,
            variables: template.example_values().into_iter().map(str::to_owned).collect(),
            examples: template.examples().take(EXAMPLES).map(str::to_owned).collect(),
            statements: found
                .map(|s| Place {
                    file: s.file,
                    line: s.line,
                    score: s.score,
                })
                .collect(),
        }
    }
}

/// The statements of the repository that was named, or that the directory is in; none if it is in none.
fn sources(dir: Option<&Path>, options: &Options, ui: &Ui) -> Result<(Option<PathBuf>, Statements), Problem> {
    let named = options.repo.as_deref();
    let repo = match Repo::open(named.or(dir).unwrap_or(Path::new("."))) {
        Ok(repo) => repo,
        Err(error) if named.is_some() => return Err(error.into()),
        Err(_) => return Ok((None, Statements::new())),
    };
    let all = index(repo.root(), tracked(repo.root())?);
    if all.cut {
        let (files, root) = (all.files, repo.root().display());
        ui.warn(&format!(
            "only the first {files} files of {root} were searched for statements"
        ));
    }
    Ok((Some(repo.root().to_owned()), all.statements))
}

fn text(document: &Document) -> String {
    let mut table = Table::with_heading(&["LINES", "SHARE", "FIRST", "LAST", "TEMPLATE"]);
    for shown in &document.templates {
        table.row([
            shown.lines.to_string(),
            format!("{:.1} %", 100.0 * shown.share),
            shown.first_line.to_string(),
            shown.last_line.to_string(),
            plain(&shown.template, MAX_SHOWN),
        ]);
        for place in &shown.statements {
            let place = format!(
                "  {}:{} ({:.2})",
                plain(&place.file, MAX_SHOWN),
                place.line,
                place.score
            );
            table.painted(
                ["", "", "", ""]
                    .map(|s| (s.to_owned(), render::dim as fn(&str) -> String))
                    .into_iter()
                    .chain([(place, render::dim as fn(&str) -> String)]),
            );
        }
    }
    let mut out = table.render(0);
    if document.left_out > 0 {
        let (n, lines) = (document.left_out, document.left_out_lines);
        out.push_str(&format!("{n} more templates with {lines} lines; --limit shows more.\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_and_long_ones_are_cut() {
        let long = "x".repeat(2 * MAX_LINE as usize);
        let text = format!("took 5 ms\r\n{long}\ntook 7 ms\nlast line");
        let mut log = read(text.as_bytes()).unwrap();
        let document = log.document(10, &Statements::new(), None);
        assert_eq!((document.lines, document.cut_lines), (4, 1));
        let first = &document.templates[0];
        assert_eq!((first.template.as_str(), first.lines), ("took <*> ms", 2));
        assert_eq!((first.first_line, first.last_line), (1, 3));
        assert_eq!(first.variables, ["5"]);
    }

    #[test]
    fn what_the_limit_leaves_out_is_counted() {
        let mut log = read("a b\na b\nc d e\n".as_bytes()).unwrap();
        let document = log.document(1, &Statements::new(), None);
        assert_eq!(
            (document.templates.len(), document.left_out, document.left_out_lines),
            (1, 1, 1)
        );
    }
}
