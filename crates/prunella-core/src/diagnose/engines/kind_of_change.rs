//! What the commit changed at all: tests, documentation and merges seldom break a service.
//!
//! *Signals*: the kinds of the changed paths; the number of parents.
//! *Method*: a change of one harmless kind is demoted by a fixed amount; nothing is ruled out by it.
//! *Source*: the style-commit filter of Fonte (An et al., ICSE 2023), generalised.

use crate::diagnose::paths::PathKind;
use crate::diagnose::rank::{ChangedFile, Context, Engine, SuspectInput, Symptom};

pub(super) struct KindOfChange;

impl Engine for KindOfChange {
    fn name(&self) -> &'static str {
        "kind-of-change"
    }

    fn weigh(&self, suspect: &SuspectInput, _: &Symptom, _: &Context) -> Vec<(f64, String)> {
        let is_merge = suspect.parents.len() > 1;
        let files = &suspect.files;
        let only = |what: fn(&ChangedFile) -> bool| !files.is_empty() && files.iter().all(what);
        let found = if files.is_empty() {
            Some((
                -3.0,
                if is_merge {
                    "it merges without a change of its own"
                } else {
                    "it changed no file"
                },
            ))
        } else if only(|file| matches!(file.kind(), PathKind::Docs)) {
            Some((-3.0, "it changed documentation only"))
        } else if only(|file| matches!(file.kind(), PathKind::Docs | PathKind::Test | PathKind::Ci)) {
            Some((-2.5, "it changed tests, CI or documentation only"))
        } else if only(|file| file.kind() == PathKind::Lockfile) {
            Some((-1.0, "it changed lockfiles only"))
        } else if only(|file| file.is_generated || file.is_test) {
            Some((-1.0, "it changed generated files only"))
        } else if is_merge {
            Some((-0.5, "it is a merge"))
        } else {
            None
        };
        found
            .map(|(weight, sentence)| (weight, sentence.to_owned()))
            .into_iter()
            .collect()
    }
}
