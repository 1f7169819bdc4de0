//! Words that the symptom and the changed lines share, weighted by their rarity.
//!
//! *Signals*: the message, the route, function names on the stack; added and removed lines.
//! *Method*: inverse document frequency over the suspects of this range, capped: a word that every change has says
//! nothing, one that a single change has says much.
//! *Source*: Spärck Jones, "A statistical interpretation of term specificity" (1972); bug localisation by retrieval
//! (Zhou, Zhang, Lo, ICSE 2012).

use crate::diagnose::rank::{Context, Engine, SuspectInput, Symptom};

const PER_WORD: f64 = 0.8;
const MOST: f64 = 2.0;
const SHOWN: usize = 4;

pub(super) struct SharedWords;

impl Engine for SharedWords {
    fn name(&self) -> &'static str {
        "shared-words"
    }

    fn weigh(&self, suspect: &SuspectInput, _: &Symptom, context: &Context) -> Vec<(f64, String)> {
        let Some(own) = context.shared.get(&suspect.commit) else {
            return vec![];
        };
        let all = (context.suspects + 1) as f64;
        let mut shared: Vec<(f64, &str)> = context
            .words
            .iter()
            .filter(|(word, count)| **count > 0 && own.contains(*word))
            .map(|(word, count)| ((all / *count as f64).ln() / all.ln(), word.as_str()))
            .filter(|(rarity, _)| *rarity > 0.2)
            .collect();
        shared.sort_by(|one, two| two.0.total_cmp(&one.0).then(one.1.cmp(two.1)));
        if shared.is_empty() {
            return vec![];
        }
        let weight = shared
            .iter()
            .map(|(rarity, _)| PER_WORD * rarity)
            .sum::<f64>()
            .min(MOST);
        let shown: Vec<String> = shared.iter().take(SHOWN).map(|(_, word)| format!("`{word}`")).collect();
        vec![(
            weight,
            format!("its changed lines and the failure both name {}", shown.join(", ")),
        )]
    }
}
