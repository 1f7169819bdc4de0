//! The engines of the ranking: one kind of link between a commit and a symptom each.

mod changed_files;
mod frames_on_lines;
mod kind_of_change;
mod listed;
pub(super) mod no_code;
mod recency;
mod shared_words;
pub(super) mod test_names;
mod what_it_does;

use super::rank::Engine;

/// All engines. A new one is a file and a line here.
pub(super) static ENGINES: &[&dyn Engine] = &[
    &frames_on_lines::FramesOnLines,
    &changed_files::ChangedFiles,
    &shared_words::SharedWords,
    &recency::Recency,
    &kind_of_change::KindOfChange,
    &what_it_does::WhatItDoes,
    &test_names::TestNames,
    &listed::Listed,
];
