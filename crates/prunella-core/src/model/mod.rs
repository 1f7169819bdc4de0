//! The domain-specific model: what the organisation's own code is like.
//!
//! Trained here on lexed code, never leaving the machine. Repairs are ranked by it; each use can be left out, so that its
//! worth is measured.

mod ngram;

pub use ngram::{Counts, MAX_NGRAMS, Nested, ORDER, token};
