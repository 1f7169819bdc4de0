//! From text to pieces: words, variables by shape, and delimiters.
//!
//! One configuration serves every source. White space separates; brackets, quotes, `=`, `,`, `;`, `|` and `:` separate
//! and are pieces themselves. What lies between them is a word or, by its shape, a variable (see [`shape`]). A run of
//! variables (a list, a date, `host:port`) is one piece, so that lines with lists of different lengths look alike.

use super::hash::{hash_bytes, mix};
use super::shape::{self, Shape};

/// More pieces than this and the rest of the line is one variable. Wildcards are bits of a `u128`.
pub(super) const MAX_PIECES: usize = 120;
/// Bytes of a line that are looked at; what follows is part of a last variable.
pub(super) const MAX_LINE: usize = 2048;
/// The symbol of a variable.
pub(super) const VAR: u64 = 1;
/// The symbol of the dots between a name and its value, however many.
const LEADER: u64 = 3;
/// The bit that tells a [`Kind::Numbered`] from a word.
pub(super) const NUMBERED: u64 = 1 << 63;
/// The symbol of a word or a variable in a skeleton.
const SLOT: u64 = 2;

/// The symbol of a delimiter of one byte.
pub(super) fn delimiter(byte: u8) -> u64 {
    0x100 + u64::from(byte)
}

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A variable by its shape; may be empty (`()` after white space, `key=` without a value).
    Var,
    /// A word.
    Word,
    /// A word that ends in a number (`blk_-17`, `worker3`): the name is literal, the number is not.
    Numbered,
    /// Punctuation.
    Delim,
}

/// A piece of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// First byte.
    pub(super) start: u32,
    /// One past the last byte.
    pub(super) end: u32,
    /// Where the number begins in a [`Kind::Numbered`].
    pub(super) number: u32,
    /// What it is.
    pub(super) kind: Kind,
    /// Equal for equal pieces; [`VAR`] for every variable.
    pub(super) symbol: u64,
}

impl Piece {
    /// Its text in `line`.
    pub(super) fn of<'a>(&self, line: &'a str) -> &'a str {
        line.get(self.start as usize..self.end as usize).unwrap_or("")
    }

    /// Whether it can be a value: not punctuation.
    pub(super) fn is_slot(&self) -> bool {
        self.kind != Kind::Delim
    }
}

/// As much of a line as is looked at.
pub(super) fn head(line: &str) -> &str {
    &line[..line.floor_char_boundary(MAX_LINE)]
}

/// Whether a [`head`] may lack its tail. Its length says so by itself, so that a stored head is read as the line was.
fn is_cut(head: &str) -> bool {
    head.len() > MAX_LINE - 4
}

/// The pieces of one line. Reused from line to line.
#[derive(Clone, Debug, Default)]
pub(super) struct Tokens {
    /// In the order of the line.
    pub(super) pieces: Vec<Piece>,
}

impl Tokens {
    /// Looks at a line anew.
    pub(super) fn read(&mut self, line: &str) {
        self.pieces.clear();
        let line = head(line);
        let bytes = line.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            if self.pieces.len() >= MAX_PIECES {
                self.push(Kind::Var, at, bytes.len(), VAR);
                return;
            }
            at = match shape::class(bytes[at]) {
                shape::Class::Space => at + 1,
                shape::Class::Delim if !shape::less_than(bytes, at) => self.delimiter(bytes, at),
                _ => self.atom(bytes, at),
            };
        }
        if is_cut(line) {
            self.cut(bytes.len());
        }
    }

    /// The last piece of a cut line may lack its tail: it goes to the list before it, or is a variable.
    fn cut(&mut self, end: usize) {
        let word = self.pieces.pop_if(|p| matches!(p.kind, Kind::Word | Kind::Delim));
        match self.pieces.last_mut() {
            Some(p) if p.is_slot() && p.kind != Kind::Word => p.end = end as u32,
            _ => self.push(Kind::Var, word.map_or(end, |p| p.start as usize), end, VAR),
        }
    }

    /// The bits of the pieces that are variables.
    pub(super) fn variables(&self) -> u128 {
        self.bits(|p| p.kind == Kind::Var)
    }

    /// The bits of the pieces for which `keep` holds.
    pub(super) fn bits(&self, keep: impl Fn(&Piece) -> bool) -> u128 {
        let bits = self.pieces.iter().enumerate();
        bits.filter(|(_, p)| keep(p)).fold(0, |acc, (i, _)| acc | 1 << i)
    }

    /// The hash of the symbols, with the pieces of `wild` as variables.
    pub(super) fn signature(&self, wild: u128) -> u64 {
        let symbols = self.pieces.iter().enumerate();
        symbols.fold(self.seed(), |h, (i, p)| {
            mix(h, if wild >> i & 1 == 1 { VAR } else { p.symbol })
        })
    }

    /// The hash of the layout: the delimiters, and where the slots are.
    pub(super) fn skeleton(&self) -> u64 {
        let seed = self.seed();
        self.pieces
            .iter()
            .fold(seed, |h, p| mix(h, if p.is_slot() { SLOT } else { p.symbol }))
    }

    fn seed(&self) -> u64 {
        self.pieces.len() as u64
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize, symbol: u64) {
        self.pieces.push(Piece {
            start: start as u32,
            end: end as u32,
            number: end as u32,
            kind,
            symbol,
        });
    }

    /// One delimiter, and the empty value that it may stand before. Returns where to go on.
    fn delimiter(&mut self, bytes: &[u8], at: usize) -> usize {
        let byte = bytes[at];
        self.push(Kind::Delim, at, at + 1, delimiter(byte));
        if shape::empty_value(bytes, at) {
            self.variable(bytes, at + 1, at + 1);
        }
        at + 1
    }

    /// A run without white space or delimiters other than `:`. Returns where to go on.
    fn atom(&mut self, bytes: &[u8], at: usize) -> usize {
        let mut end = at + 1;
        while end < bytes.len() && shape::inside(bytes, end) {
            end += 1;
        }
        let mut last = end;
        while last > at && shape::trails(bytes[last - 1]) {
            last -= 1;
        }
        self.parts(bytes, at, last);
        if last < end {
            self.literal(Kind::Delim, bytes, last, end);
        }
        end
    }

    /// An atom, taken apart at its colons unless it is one thing with them.
    fn parts(&mut self, bytes: &[u8], mut start: usize, end: usize) {
        if shape::is_quoted_value(bytes, start, end) {
            return self.variable(bytes, start, end);
        }
        while start < end && self.pieces.len() < MAX_PIECES {
            let atom = &bytes[start..end];
            if let Some((name, value)) = shape::leader(atom) {
                self.parts(bytes, start, start + name);
                self.push(Kind::Delim, start + name, start + value, LEADER);
                start += value;
                continue;
            }
            let colon = shape::colon(atom);
            let Some(colon) = colon.filter(|_| !shape::whole(atom)) else {
                return self.classify(bytes, start, end);
            };
            if colon > 0 {
                self.classify(bytes, start, start + colon);
            }
            start += colon;
            self.push(Kind::Delim, start, start + 1, delimiter(b':'));
            start += 1;
        }
    }

    fn classify(&mut self, bytes: &[u8], start: usize, end: usize) {
        let previous = self.pieces.last().filter(|p| p.kind == Kind::Var);
        let after_variable = previous.is_some_and(|p| shape::only_space(bytes, p.end as usize, start));
        match shape::of(bytes, start, end, after_variable) {
            Shape::Variable => self.variable(bytes, start, end),
            Shape::Unit => {
                if let Some(p) = self.pieces.last_mut() {
                    p.end = end as u32;
                }
            }
            Shape::Numbered(digits) => self.numbered(bytes, start, digits, end),
            Shape::Punctuation => self.literal(Kind::Delim, bytes, start, end),
            Shape::Word => self.literal(Kind::Word, bytes, start, end),
        }
    }

    fn literal(&mut self, kind: Kind, bytes: &[u8], start: usize, end: usize) {
        self.push(kind, start, end, hash_bytes(&bytes[start..end]));
    }

    /// A variable; it joins the one before when only white space or a list's separator lies between.
    fn variable(&mut self, bytes: &[u8], start: usize, end: usize) {
        if start < end && self.join(bytes, VAR, start, end) {
            return;
        }
        self.push(Kind::Var, start, end, VAR);
    }

    fn numbered(&mut self, bytes: &[u8], start: usize, digits: usize, end: usize) {
        let symbol = hash_bytes(&bytes[start..digits]) | NUMBERED;
        if self.join(bytes, symbol, start, end) {
            return;
        }
        self.push(Kind::Numbered, start, end, symbol);
        if let Some(p) = self.pieces.last_mut() {
            p.number = digits as u32;
        }
    }

    /// Lengthens a list that ends right before `start` and has the same symbol.
    fn join(&mut self, bytes: &[u8], symbol: u64, start: usize, end: usize) -> bool {
        let n = self.pieces.len();
        let separated = n >= 2 && self.pieces[n - 1].kind == Kind::Delim && {
            let p = self.pieces[n - 1];
            p.end - p.start == 1 && shape::separates(bytes[p.start as usize])
        };
        let head = if separated { n.checked_sub(2) } else { n.checked_sub(1) };
        let Some(head) = head.filter(|&h| self.pieces[h].symbol == symbol && self.pieces[h].start < self.pieces[h].end)
        else {
            return false;
        };
        self.pieces.truncate(head + 1);
        self.pieces[head].end = end as u32;
        debug_assert!(start < end);
        true
    }
}
