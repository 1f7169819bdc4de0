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
    let is_on_stack = |path: &str| same_file(&place.file, path);
    let on_stack = is_on_stack(&file.path) || file.old_path.as_deref().is_some_and(is_on_stack);
    let beside = folder(&file.path).filter(|one| folder(&place.file) == Some(one));
    // The cheap questions first: this runs for every frame and every file of the range.
    if !(on_stack || beside.is_some()) || !matches!(file.kind(), PathKind::Source | PathKind::Lockfile) {
        return None;
    }
    let (path, at) = (&file.path, &place.file);
    match beside {
        _ if on_stack => Some((
            SAME_FILE * place.discount(),
            format!("it changed {path}, which is on the stack"),
        )),
        Some(shared) => Some((
            SAME_FOLDER * place.discount(),
            format!("it changed {path} in {shared}/, where {at} is on the stack"),
        )),
        None => None,
    }
}

fn folder(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(folder, _)| folder)
}
