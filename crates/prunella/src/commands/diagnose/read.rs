//! Reads the directory of a frozen incident, within limits.
//!
//! Everything in it is hostile: only regular files are opened, links are not followed, and each file and all of them
//! together have a limit. Documents of one record a line are cut at the limit; others are refused.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use prunella_core::diagnose::bundle::{Bundle, Documents};
use prunella_core::diagnose::plain;

use crate::ui::{Fault, Problem};

/// The largest document, in bytes.
const MAX_FILE: u64 = 64 << 20;
/// All documents together, in bytes.
const MAX_ALL: u64 = 256 << 20;
/// The most files of other context.
const MAX_FILES: usize = 200;

/// Documents at the top, with their possible endings.
const TOP: &[(&str, &[&str])] = &[
    ("alert", &["json"]),
    ("logs", &["ndjson", "jsonl", "json"]),
    ("patterns", &["json", "ndjson"]),
    ("metrics", &["csv", "json", "ndjson"]),
    ("traces", &["json", "ndjson", "jsonl"]),
];
/// Documents below `context/`, or at the top.
const CONTEXT: &[&str] = &["commits", "deploys", "flags"];

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Files {
    named: Vec<(String, PathBuf, String)>,
    other: Vec<(String, String)>,
    /// What a limit left out, in words.
    pub(super) unread: Vec<String>,
    left: u64,
}

impl Files {
    fn text(&self, name: &str) -> &str {
        self.named
            .iter()
            .find(|(stem, ..)| stem == name)
            .map_or("", |(_, _, text)| text.as_str())
    }

    /// As the diagnosis wants them.
    pub(super) fn documents(&self) -> Documents<'_> {
        Documents {
            alert: self.text("alert"),
            logs: self.text("logs"),
            patterns: self.text("patterns"),
            metrics: self.text("metrics"),
            traces: self.text("traces"),
            commits: self.text("commits"),
            deploys: self.text("deploys"),
            flags: self.text("flags"),
            other: &self.other,
        }
    }

    fn add(&mut self, stem: &str, path: &Path) -> Result<(), Problem> {
        let text = self.open(path)?;
        self.named.push((stem.to_owned(), path.to_owned(), text));
        Ok(())
    }

    /// A file's text, within the limits.
    fn open(&mut self, path: &Path) -> Result<String, Problem> {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let size = file.metadata().map_err(|error| unreadable(path, &error))?.len();
        let limit = MAX_FILE.min(self.left);
        let by_lines = matches!(ending(path).as_str(), "ndjson" | "jsonl" | "csv" | "txt" | "log");
        if size > limit && !by_lines {
            return Err(too_large(path, size, limit));
        }
        let mut bytes = Vec::new();
        // A file may grow while it is read.
        file.take(limit)
            .read_to_end(&mut bytes)
            .map_err(|error| unreadable(path, &error))?;
        self.left -= bytes.len() as u64;
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        if size > limit {
            text.truncate(text.rfind('\n').unwrap_or(0));
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            self.unread.push(format!("{name} beyond {} MiB", limit >> 20));
        }
        Ok(text)
    }
}

/// Reads the documents of a directory, or of its `data/` where the directory itself has none.
pub(super) fn read(dir: &Path) -> Result<Files, Problem> {
    let mut files = Files {
        left: MAX_ALL,
        ..Files::default()
    };
    top(dir, &mut files)?;
    let inner = dir.join("data");
    let base = if files.named.is_empty() && inner.is_dir() {
        inner
    } else {
        dir.to_owned()
    };
    if base != dir {
        top(&base, &mut files)?;
    }
    context(&base.join("context"), &mut files)?;
    if files.named.is_empty() && files.other.is_empty() {
        return Err(Problem::new(
            Fault::Usage,
            format!("`{}` holds none of the documents of a bundle", shown(dir)),
            "At least one of alert.json, logs.ndjson, patterns.json, metrics.csv and traces.json has to be there; \
             docs/bundle-format.md describes them.",
        ));
    }
    Ok(files)
}

fn top(dir: &Path, files: &mut Files) -> Result<(), Problem> {
    let below = CONTEXT.iter().map(|stem| (*stem, &["json"][..]));
    for (stem, endings) in TOP.iter().copied().chain(below) {
        let found = endings
            .iter()
            .map(|ending| dir.join(format!("{stem}.{ending}")))
            .find(|path| is_there(path));
        if let Some(path) = found {
            regular(&path)?;
            files.add(stem, &path)?;
        }
    }
    Ok(())
}

fn context(dir: &Path, files: &mut Files) -> Result<(), Problem> {
    if !dir.is_dir() {
        return Ok(());
    }
    let entries = fs::read_dir(dir).map_err(|error| unreadable(dir, &error))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .take(10_000)
        .collect();
    paths.sort();
    for path in paths {
        if !fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file()) {
            continue;
        }
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if CONTEXT.contains(&stem.as_str()) {
            files.add(&stem, &path)?;
        } else if files.other.len() < MAX_FILES {
            let text = files.open(&path)?;
            files.other.push((stem, text));
        } else {
            files.unread.push(format!("context beyond {MAX_FILES} files"));
            break;
        }
    }
    Ok(())
}

/// A document that is there and says nothing is a mistake of whoever wrote it, if nothing else says anything either.
pub(super) fn check(bundle: &Bundle, files: &Files, dir: &Path) -> Result<(), Problem> {
    let says = !bundle.logs.is_empty()
        || !bundle.patterns.is_empty()
        || !bundle.metrics.is_empty()
        || !bundle.spans.is_empty()
        || !bundle.alert.text.is_empty()
        || !bundle.alert.service.is_empty();
    if says {
        return Ok(());
    }
    let blank = files.named.iter().find(|(_, _, text)| !text.trim().is_empty());
    let what = match blank {
        Some((_, path, _)) => format!(
            "`{}` has no readable record, and no other document has one",
            shown(path)
        ),
        None => format!("all documents of `{}` are empty", shown(dir)),
    };
    Err(Problem::new(
        Fault::Usage,
        what,
        "Lists are JSON or one JSON object a line, metrics a CSV with the heading time,service,metric,value; \
         docs/bundle-format.md describes them.",
    ))
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// A pipe would block for ever, and a link may lead anywhere.
fn regular(path: &Path) -> Result<(), Problem> {
    let meta = fs::symlink_metadata(path).map_err(|error| unreadable(path, &error))?;
    if meta.is_file() {
        return Ok(());
    }
    Err(Problem::new(
        Fault::Usage,
        format!("`{}` is not a regular file", shown(path)),
        "Put the document itself there: links, pipes and directories are not followed.",
    ))
}

fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

fn shown(path: &Path) -> String {
    plain(&path.to_string_lossy(), 200)
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    Problem::new(
        Fault::Machine,
        format!("`{}` cannot be read: {error}", shown(path)),
        "Make it readable for this user.",
    )
}

fn too_large(path: &Path, size: u64, limit: u64) -> Problem {
    Problem::new(
        Fault::Usage,
        format!(
            "`{}` has {} MiB; at most {} MiB are read",
            shown(path),
            size >> 20,
            limit >> 20
        ),
        "Cut it to the hours around the incident, or write one record a line (.ndjson): that is cut by itself.",
    )
}
