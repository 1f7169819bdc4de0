//! What the diff does, and whether that causes what the failure says.
//!
//! *Signals*: changed lines outside of tests and generated files; classes and messages of the failure.
//! *Method*: a change that only says, moves or formats is demoted; a removed check, another comparison, a lowered
//! limit and the like are promoted by how risky they are, and more if the catalogue says that they lead to a failure
//! of this kind. Long changes do many things, so that the promotion is small and capped.
//! *Source*: the readers and the catalogue of [`bundle`](crate::diagnose::bundle); the style-commit filter of Fonte (An
//! et al., ICSE 2023).

use crate::diagnose::rank::{Context, Engine, SuspectInput, Symptom};

const RISKY: f64 = 0.4;
const EXPLAINS: f64 = 1.0;

pub(super) struct WhatItDoes;

impl Engine for WhatItDoes {
    fn name(&self) -> &'static str {
        "what-it-does"
    }

    fn weigh(&self, suspect: &SuspectInput, _: &Symptom, context: &Context) -> Vec<(f64, String)> {
        let Some(doing) = context.doings.get(&suspect.commit) else {
            return vec![];
        };
        if let Some((weight, why)) = doing.harmless() {
            return vec![(weight, why.to_owned())];
        }
        if let Some((strength, why)) = doing.explains(&context.said) {
            return vec![(RISKY + EXPLAINS * strength, format!("it {why}"))];
        }
        let risk = doing.risk().map(|(risk, what)| (RISKY * risk, format!("it {what}")));
        risk.into_iter().collect()
    }
}
