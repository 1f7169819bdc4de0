//! The domain-specific model: what the organisation's own code is like.
//!
//! Trained here on lexed code, never leaving the machine. Repairs are ranked by it; each use can be left out, so that its
//! worth is measured.

mod counts;
mod lexed;
mod mixture;
mod names;
mod nested;
mod style;

pub use counts::{Counts, MAX_NGRAMS, ORDER, Shard, is_word, token};
pub use lexed::{Token, TokenKind};
pub use mixture::{Mixture, Place};
pub use names::{Company, MAX_PAIRS, NameUse, uses};
pub use nested::{Cached, Level, Nested};
pub use style::{LineEnds, Style, StyleCounts, Tally};
