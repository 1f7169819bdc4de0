//! The engines of the ranking: one kind of link between a commit and a symptom each.

mod changed_files;
mod frames_on_lines;
mod kind_of_change;
pub(super) mod no_code;
mod recency;
mod shared_words;

use super::rank::Engine;

/// All engines. A new one is a file and a line here.
pub(super) static ENGINES: &[&dyn Engine] = &[
    &frames_on_lines::FramesOnLines,
    &changed_files::ChangedFiles,
    &shared_words::SharedWords,
    &recency::Recency,
    &kind_of_change::KindOfChange,
];
