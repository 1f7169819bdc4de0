//! Syntax trees: what a grammar parses, as the neutral [`Tree`] that repair operators read.
//!
//! *Method*: tree-sitter's concrete tree is walked once; a language's folder says by tables which node is what. What
//! the tables do not name stays in the tree as "other", so that new syntax is carried along and never changed.

mod lower;
#[cfg(test)]
mod patterns_tests;
#[cfg(test)]
mod rust_tests;
#[cfg(test)]
mod tests;
mod tokens;

use prunella_core::repair::synth::Tree;
use prunella_core::signal::Language;

pub use prunella_core::model::{Token, TokenKind};
pub(crate) use tokens::lex;
pub use tokens::tokens;

/// The longest source that is parsed, in bytes: longer files are generated or data.
pub const MAX_SOURCE_BYTES: usize = 2 << 20;
/// The deepest nesting that is read.
const MAX_DEPTH: usize = 400;

/// Why there is no tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTree {
    /// The grammar is not built in, or there is none yet.
    #[error("no grammar of {0:?} is built in")]
    NoGrammar(Language),
    /// The source is not of the language.
    #[error("not valid syntax at line {line}")]
    Invalid {
        /// The first line that is not, from 1.
        line: u32,
    },
    /// The source is longer than [`MAX_SOURCE_BYTES`].
    #[error("longer than {MAX_SOURCE_BYTES} bytes")]
    TooLong,
    /// The source is nested deeper than is read.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// Parses a source file.
///
/// # Errors
/// If the language has no grammar here, or the source is not valid.
pub fn parse(language: Language, source: &str) -> Result<Tree, NoTree> {
    if source.len() > MAX_SOURCE_BYTES {
        return Err(NoTree::TooLong);
    }
    let grammar = grammar(language).ok_or(NoTree::NoGrammar(language))?;
    let concrete = concrete(grammar, source).ok_or(NoTree::NoGrammar(language))?;
    if let Some(line) = first_error(&concrete) {
        return Err(NoTree::Invalid { line });
    }
    lower::lower(grammar, &concrete, source).ok_or(NoTree::TooDeep)
}

/// A language's grammar and the tables that say what its nodes are.
pub(crate) struct Grammar {
    pub(crate) language: fn() -> tree_sitter::Language,
    pub(crate) dialect: prunella_core::repair::synth::Dialect,
    pub(crate) node: fn(&tree_sitter::Node<'_>) -> lower::Lowered,
    pub(crate) role: fn(&tree_sitter::Node<'_>, Option<&str>, usize) -> prunella_core::repair::synth::Role,
}

pub(crate) use lower::Lowered;

fn grammar(language: Language) -> Option<&'static Grammar> {
    match language {
        #[cfg(feature = "python")]
        Language::Python => Some(&crate::languages::PYTHON_GRAMMAR),
        #[cfg(feature = "javascript")]
        Language::JavaScript => Some(&crate::languages::JAVASCRIPT_GRAMMAR),
        #[cfg(feature = "rust")]
        Language::Rust => Some(&crate::languages::RUST_GRAMMAR),
        #[allow(unreachable_patterns, reason = "reachable where a grammar is left out of the build")]
        _ => None,
    }
}

fn concrete(grammar: &Grammar, source: &str) -> Option<tree_sitter::Tree> {
    let mut parser = tree_sitter::Parser::new();
    parser.set_language(&(grammar.language)()).ok()?;
    parser.parse(source, None)
}

fn first_error(tree: &tree_sitter::Tree) -> Option<u32> {
    let root = tree.root_node();
    if !root.has_error() {
        return None;
    }
    let mut cursor = root.walk();
    loop {
        let node = cursor.node();
        if node.is_error() || node.is_missing() {
            return Some(u32::try_from(node.start_position().row + 1).unwrap_or(u32::MAX));
        }
        if node.has_error() && cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return Some(1);
            }
        }
    }
}
