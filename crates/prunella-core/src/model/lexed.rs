//! A lexed source file, as the model reads it.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A name or keyword.
    Word,
    /// A number.
    Number,
    /// A string literal, delimiters included.
    Text,
    /// An operator or other punctuation.
    Sign,
    /// The end of a line that holds code.
    Line,
}

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: TokenKind,
    /// Its text; of a line end, the empty string.
    pub text: &'a str,
    /// Where it begins, in bytes.
    pub at: usize,
}
