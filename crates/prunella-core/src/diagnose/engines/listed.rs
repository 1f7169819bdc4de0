//! Commits that the repository's people listed as not worth blaming.
//!
//! *Signals*: `.git-blame-ignore-revs`, as the caller read it.
//! *Method*: a listed commit is demoted as one that only formats; nothing is ruled out by it.
//! *Source*: `git blame --ignore-revs-file` and the file that forges read.

use crate::diagnose::rank::{Context, Engine, SuspectInput, Symptom};

const LISTED: f64 = -2.5;

pub(super) struct Listed;

impl Engine for Listed {
    fn name(&self) -> &'static str {
        "listed"
    }

    fn weigh(&self, suspect: &SuspectInput, _: &Symptom, context: &Context) -> Vec<(f64, String)> {
        if context.ignored.contains(&suspect.commit) {
            vec![(LISTED, ".git-blame-ignore-revs lists it".to_owned())]
        } else {
            vec![]
        }
    }
}
