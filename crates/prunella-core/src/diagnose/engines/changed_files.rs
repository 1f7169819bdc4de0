//! Changed files among the stack's files, or beside them.
//!
//! *Signals*: in-app frames; changed paths before and after.
//! *Method*: the best of: a changed file has a frame; a changed source file lies in the folder of a frame's file.
//! *Source*: our measurement of 499 Python bugs (the fixed file is among the frames in 83 %).

use crate::diagnose::failure::same_file;
use crate::diagnose::paths::PathKind;
use crate::diagnose::rank::{ChangedFile, Context, Engine, Place, SuspectInput, Symptom};

const SAME_FILE: f64 = 1.5;
const SAME_FOLDER: f64 = 0.4;

pub(super) struct ChangedFiles;

impl Engine for ChangedFiles {
    fn name(&self) -> &'static str {
        "changed-files"
    }

    fn weigh(&self, suspect: &SuspectInput, _: &Symptom, context: &Context) -> Vec<(f64, String)> {
        let pairs = context
            .places
            .iter()
            .flat_map(|place| suspect.files.iter().map(move |file| (place, file)));
        pairs
            .filter_map(|(place, file)| hit(place, file))
            .max_by(|one, two| one.0.total_cmp(&two.0))
            .into_iter()
            .collect()
    }
}

fn hit(place: &Place, file: &ChangedFile) -> Option<(f64, String)> {
    if !matches!(file.kind(), PathKind::Source | PathKind::Lockfile) {
        return None;
    }
    let is_on_stack = |path: &str| same_file(&place.file, path);
    if is_on_stack(&file.path) || file.old_path.as_deref().is_some_and(is_on_stack) {
        return Some((
            SAME_FILE * place.discount(),
            format!("it changed {}, which is on the stack", file.path),
        ));
    }
    let folder = |path: &str| path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let shared = folder(&file.path).filter(|one| folder(&place.file).as_ref() == Some(one))?;
    Some((
        SAME_FOLDER * place.discount(),
        format!(
            "it changed {} in {shared}/, where {} is on the stack",
            file.path, place.file
        ),
    ))
}
