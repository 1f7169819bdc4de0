//! `init`: reads the repository and writes `prunella.toml`.

mod draft;
pub(super) mod view;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use prunella_lang::project::{Confidence, ProjectGuess, detect};
use serde::Serialize;

pub(super) use self::draft::NO_START;
use self::draft::{Draft, draft};
use self::view::Files;
use super::repository::{root, tracked};
use super::site::directory;
use crate::cli::Init;
use crate::config::{self, Config, FILE_NAME};
use crate::render::Table;
use crate::ui::{Exit, Fault, Problem, Ui};

/// One value and where it comes from.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Found {
    /// The key in `prunella.toml`.
    pub(super) key: &'static str,
    /// Its value, as a person would type it.
    pub(super) value: String,
    /// Where it was found.
    pub(super) why: String,
    /// `low`, `medium` or `high`.
    pub(super) confidence: &'static str,
}

#[derive(Serialize)]
struct Written<'a> {
    path: &'a Path,
    found: &'a [Found],
    /// What a person has to fill in or look at.
    remarks: &'a [String],
    config: &'a Config,
}

/// The confidence's name.
pub(super) fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Low => "low",
        Confidence::Medium => "medium",
        Confidence::High => "high",
    }
}

pub(super) fn init(dir: Option<&Path>, options: &Init, ui: &Ui) -> Result<Exit, Problem> {
    let root = root(&directory(dir))?;
    let path = root.join(FILE_NAME);
    if !options.force && path.symlink_metadata().is_ok() {
        return Err(Problem::new(
            Fault::Answer,
            format!("{} is there already and was not touched", path.display()),
            "--force overwrites it.",
        ));
    }
    let guess = read(&root)?;
    let fallback = root.file_name().map(|n| n.to_string_lossy().into_owned());
    let draft = draft(&guess, fallback.as_deref().unwrap_or_default());
    let config = config::parse(&draft.text, &path).map_err(|error| {
        Problem::new(
            Fault::Defect,
            format!("what was found makes no valid {FILE_NAME}: {error}"),
            "Nothing was written. Please report it with the repository's manifests.",
        )
    })?;
    write(&path, &draft.text)?;
    report(&path, &draft, &config, ui)
}

fn read(root: &Path) -> Result<ProjectGuess, Problem> {
    Ok(detect(&Files::new(root, tracked(root)?)))
}

fn write(path: &PathBuf, text: &str) -> Result<(), Problem> {
    let result = fs::File::create(path).and_then(|mut file| file.write_all(text.as_bytes()));
    result.map_err(|error| {
        Problem::new(
            Fault::Machine,
            format!("cannot write {}: {error}", path.display()),
            "Make the repository's directory writable.",
        )
    })
}

fn report(path: &Path, draft: &Draft, config: &Config, ui: &Ui) -> Result<Exit, Problem> {
    let document = Written {
        path,
        found: &draft.found,
        remarks: &draft.remarks,
        config,
    };
    ui.data(&document, || {
        let mut table = Table::default();
        for found in &draft.found {
            table.row([found.key.to_owned(), found.value.clone(), found.why.clone()]);
        }
        format!("Wrote {}\n{}", path.display(), table.render(2))
    })?;
    draft.remarks.iter().for_each(|remark| ui.warn(remark));
    ui.hint("Next: read prunella.toml, then `prunella doctor`, then `prunella run`.");
    Ok(if draft.has_start { Exit::Done } else { Exit::No })
}
