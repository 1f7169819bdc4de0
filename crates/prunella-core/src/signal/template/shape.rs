//! What a run of characters is by its shape alone: numbers, addresses, paths, identifiers, dates, sizes.
//!
//! The shapes are those of programs everywhere, not those of one source: nothing here knows a message.

/// What a byte is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Separates.
    Space,
    /// Separates and is a piece.
    Delim,
    /// `:`, which separates unless the whole is one thing (a URL, a MAC address).
    Colon,
    /// 0–9.
    Digit,
    /// Letters, `_` and every byte beyond ASCII.
    Letter,
    /// The rest.
    Other,
}

static CLASSES: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut table = [Class::Other; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = match i as u8 {
            b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c | 0 => Class::Space,
            b'=' | b',' | b';' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'<' | b'>' | b'"' | b'\'' | b'|' | b'`' => {
                Class::Delim
            }
            b':' => Class::Colon,
            b'0'..=b'9' => Class::Digit,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..=0xff => Class::Letter,
            _ => Class::Other,
        };
        i += 1;
    }
    table
}

/// The class of a byte.
#[inline]
pub(super) fn class(byte: u8) -> Class {
    CLASSES[byte as usize]
}

fn word_like(byte: u8) -> bool {
    matches!(class(byte), Class::Letter | Class::Digit)
}

/// Whether the byte at `at` belongs to the atom before it. An apostrophe inside a word does.
#[inline]
pub(super) fn inside(bytes: &[u8], at: usize) -> bool {
    match class(bytes[at]) {
        Class::Space => false,
        Class::Delim => {
            bytes[at] == b'\'' && word_like(bytes[at - 1]) && bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic)
        }
        _ => true,
    }
}

/// Punctuation that ends a clause, not a word.
pub(super) fn trails(byte: u8) -> bool {
    matches!(byte, b'.' | b':' | b'!' | b'?')
}

/// What may stand between the elements of a list.
pub(super) fn separates(byte: u8) -> bool {
    matches!(byte, b',' | b':' | b'|' | b';')
}

/// Whether only white space lies between two places.
pub(super) fn only_space(bytes: &[u8], from: usize, to: usize) -> bool {
    bytes[from..to].iter().all(|&b| class(b) == Class::Space)
}

/// Whether the `<` at `at` means *less than*: `<1 sec`, but not `<1>`.
pub(super) fn less_than(bytes: &[u8], at: usize) -> bool {
    let starts = at == 0 || class(bytes[at - 1]) == Class::Space;
    let rest = &bytes[at + 1..];
    let number = rest.iter().take_while(|&&b| word_like(b) || b == b'.').count();
    bytes[at] == b'<' && starts && rest.first().is_some_and(u8::is_ascii_digit) && rest.get(number) != Some(&b'>')
}

/// Whether the delimiter at `at` stands before a value that is empty: `[]`, `{}`, `()` apart from a name, `key=`.
pub(super) fn empty_value(bytes: &[u8], at: usize) -> bool {
    let rest = &bytes[at + 1..];
    let apart = at == 0 || class(bytes[at - 1]) == Class::Space;
    match bytes[at] {
        b'[' => rest.first() == Some(&b']'),
        b'{' => rest.first() == Some(&b'}'),
        b'(' => apart && rest.first() == Some(&b')'),
        b'=' => !apart && empty_after_equals(rest),
        _ => false,
    }
}

/// After `key=`: the end, a closing delimiter, or white space and the next `key=`.
fn empty_after_equals(rest: &[u8]) -> bool {
    let Some(&first) = rest.first() else { return true };
    if matches!(first, b',' | b';' | b')' | b']' | b'}' | b'|') {
        return true;
    }
    let spaces = rest.iter().take_while(|&&b| class(b) == Class::Space).count();
    let name = rest[spaces..].iter().take(48).take_while(|&&b| word_like(b)).count();
    spaces > 0 && (spaces == rest.len() || name > 0 && rest.get(spaces + name) == Some(&b'='))
}

/// Whether an atom with a digit is all that its quotes hold: one value, whatever punctuation it has.
pub(super) fn is_quoted_value(bytes: &[u8], start: usize, end: usize) -> bool {
    let Some(&quote) = start.checked_sub(1).and_then(|i| bytes.get(i)) else {
        return false;
    };
    let quoted = matches!(quote, b'"' | b'\'' | b'`') && bytes.get(end) == Some(&quote);
    quoted && bytes[start..end].iter().any(u8::is_ascii_digit)
}

/// The end of the name and the beginning of the value in `name......value`: three dots at least.
pub(super) fn leader(atom: &[u8]) -> Option<(usize, usize)> {
    let name = atom.windows(3).position(|w| w == b"...").filter(|&n| n > 0)?;
    let dots = atom[name..].iter().take_while(|&&b| b == b'.').count();
    (name + dots < atom.len()).then_some((name, name + dots))
}

/// The colon at which an atom comes apart. `::` joins names.
pub(super) fn colon(atom: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < atom.len() {
        if atom[at] == b':' {
            if atom.get(at + 1) != Some(&b':') {
                return Some(at);
            }
            at += 1;
        }
        at += 1;
    }
    None
}

/// Whether an atom with a colon is one thing: a URL, a path, a MAC or IPv6 address, a host with its port.
pub(super) fn whole(atom: &[u8]) -> bool {
    let drive = atom.len() > 2 && atom[0].is_ascii_alphabetic() && atom[1] == b':' && matches!(atom[2], b'\\' | b'/');
    drive || is_path(atom) || atom.windows(3).any(|w| w == b"://") || is_hex_groups(atom) || is_host_port(atom)
}

fn is_path(atom: &[u8]) -> bool {
    let rooted = matches!(atom.first(), Some(b'/' | b'\\')) || atom.starts_with(b"~/") || atom.starts_with(b"./");
    rooted && atom.len() > 1
}

/// A MAC or IPv6 address, with its zone or prefix length; a PCI address (`0000:0a:00.1`).
fn is_hex_groups(atom: &[u8]) -> bool {
    let end = atom
        .iter()
        .position(|b| matches!(b, b'%' | b'/' | b'.'))
        .unwrap_or(atom.len());
    let (mut groups, mut digits, mut even) = (0, false, true);
    for group in atom[..end].split(|&b| b == b':') {
        if group.len() > 4 || !group.iter().all(u8::is_ascii_hexdigit) {
            return false;
        }
        digits |= group.iter().any(u8::is_ascii_digit);
        even &= matches!(group.len(), 2 | 4);
        groups += 1;
    }
    digits && (groups > 3 || groups == 3 && even)
}

fn is_host_port(atom: &[u8]) -> bool {
    let Some(colon) = atom.iter().rposition(|&b| b == b':') else {
        return false;
    };
    let (host, port) = (&atom[..colon], &atom[colon + 1..]);
    let named = host.contains(&b'.') || host == b"localhost";
    named && host.iter().all(|&b| word_like(b) || b == b'.' || b == b'-') && is_number(port) && port.len() <= 5
}

fn is_number(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit)
}

/// What an atom is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A value.
    Variable,
    /// The unit of the number before.
    Unit,
    /// A name and a number; where the number begins.
    Numbered(usize),
    /// No letter, no digit.
    Punctuation,
    /// A word.
    Word,
}

/// Longer words are data.
const MAX_WORD: usize = 80;

/// What `bytes[start..end]` is. `after_variable`: only white space lies between it and a variable.
pub(super) fn of(bytes: &[u8], start: usize, end: usize, after_variable: bool) -> Shape {
    let atom = &bytes[start..end];
    let mut counts = [0usize; 6];
    let mut slashes = 0;
    for &byte in atom {
        counts[class(byte) as usize] += 1;
        slashes += usize::from(byte == b'/' || byte == b'\\');
    }
    let (digits, letters) = (counts[Class::Digit as usize], counts[Class::Letter as usize]);
    if digits > 0 {
        return if is_name(atom, bytes.get(end), digits) {
            Shape::Word
        } else {
            with_digits(atom, start, slashes)
        };
    }
    if letters == 0 {
        return if is_path(atom) {
            Shape::Variable
        } else {
            Shape::Punctuation
        };
    }
    let clause = start == 0 || !matches!(class(bytes[start - 1]), Class::Delim | Class::Colon);
    if atom.len() > MAX_WORD || is_value_word(atom, slashes) || is_truth(atom) || !clause && is_nothing(atom) {
        return Shape::Variable;
    }
    if after_variable && is_unit(atom) {
        return Shape::Unit;
    }
    if is_date_word(atom) && (after_variable || date_follows(&bytes[end..])) {
        return Shape::Variable;
    }
    Shape::Word
}

/// Whether an atom with digits is the name of a field (`r24=`) or of a function (`jk2_init(`).
fn is_name(atom: &[u8], next: Option<&u8>, digits: usize) -> bool {
    let letters = atom.iter().filter(|b| b.is_ascii_alphabetic()).count();
    let plain = atom
        .iter()
        .all(|&b| word_like(b) || matches!(b, b'.' | b':' | b'~' | b'-'));
    let named = plain && atom[0].is_ascii_alphabetic() && digits <= 3;
    named && (next == Some(&b'=') || next == Some(&b'(') && letters >= 3)
}

/// A value without digits: a path, a URL, `user@host`, hexadecimal, a truth value, nothing.
fn is_value_word(atom: &[u8], slashes: usize) -> bool {
    if slashes > 0 && (is_path(atom) || slashes > 1 || atom.contains(&b'.')) {
        return true;
    }
    let inner = &atom[1..atom.len().max(2) - 1];
    inner.contains(&b'@') || atom.len() >= 8 && atom.iter().all(u8::is_ascii_hexdigit)
}

fn is_truth(atom: &[u8]) -> bool {
    atom.eq_ignore_ascii_case(b"true") || atom.eq_ignore_ascii_case(b"false")
}

/// The absent value of some language. In running text it is a word like others (`none of them`).
fn is_nothing(atom: &[u8]) -> bool {
    const NOTHING: [&[u8]; 4] = [b"null", b"none", b"nil", b"undefined"];
    atom.len() <= 9 && NOTHING.iter().any(|v| v.eq_ignore_ascii_case(atom))
}

/// A name with a number at its end keeps its name; everything else with a digit is a value.
fn with_digits(atom: &[u8], start: usize, slashes: usize) -> Shape {
    let mut name = atom.iter().take_while(|b| !b.is_ascii_digit()).count();
    // A sign after punctuation belongs to the number, after a letter it joins: `blk_-17`, `node-3`.
    if name > 1 && matches!(atom[name - 1], b'-' | b'+') && !atom[name - 2].is_ascii_alphabetic() {
        name -= 1;
    }
    let letters = atom[..name]
        .iter()
        .filter(|&&b| class(b) == Class::Letter && b != b'_')
        .count();
    let numeric = |b: &u8| b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-' | b'#' | b'+');
    let hexadecimal = atom.iter().all(u8::is_ascii_hexdigit);
    if letters < 3 || slashes > 0 || hexadecimal || !atom[name..].iter().all(numeric) {
        return Shape::Variable;
    }
    Shape::Numbered(start + name)
}

pub(super) fn is_unit(atom: &[u8]) -> bool {
    const UNITS: [&str; 30] = [
        "B", "KB", "MB", "GB", "TB", "PB", "kB", "Kb", "Mb", "Gb", "KiB", "MiB", "GiB", "TiB", "ns", "us", "ms", "s",
        "sec", "secs", "min", "mins", "hr", "hrs", "Hz", "kHz", "MHz", "GHz", "AM", "PM",
    ];
    atom.len() <= 4 && UNITS.iter().any(|u| u.as_bytes() == atom)
}

/// An English name of a day or a month, short or whole, as RFC 5322, `ctime` and `date` write them.
pub(super) fn is_date_word(atom: &[u8]) -> bool {
    const NAMES: [&[u8]; 19] = [
        b"monday",
        b"tuesday",
        b"wednesday",
        b"thursday",
        b"friday",
        b"saturday",
        b"sunday",
        b"january",
        b"february",
        b"march",
        b"april",
        b"may",
        b"june",
        b"july",
        b"august",
        b"september",
        b"october",
        b"november",
        b"december",
    ];
    if !(3..=9).contains(&atom.len()) || !atom[0].is_ascii_uppercase() {
        return false;
    }
    NAMES
        .iter()
        .any(|n| n.eq_ignore_ascii_case(atom) || n[..3].eq_ignore_ascii_case(atom))
}

/// Whether a number or another name of a date comes next.
fn date_follows(rest: &[u8]) -> bool {
    let skip = rest.iter().take_while(|&&b| matches!(b, b' ' | b',')).count();
    let next = &rest[skip..];
    let word = next.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    skip > 0 && (next.first().is_some_and(u8::is_ascii_digit) || is_date_word(&next[..word]))
}

/// Whether a word is in capitals: a state or a constant (`RUNNING`, `NEW_ORDER`).
pub(super) fn is_capital(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b == b'-')
}
