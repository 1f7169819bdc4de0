//! Plain text, and what form a short text has.

use super::Node;
use super::json::count;

/// A number as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) zero: bool,
    pub(super) negative: bool,
    /// Digits of the fraction.
    pub(super) fraction: usize,
    /// The binary exponent; 0 for zero.
    pub(super) exponent: i32,
}

/// Reads a number.
pub(super) fn number_of(text: &[u8]) -> Option<Number> {
    let text = std::str::from_utf8(text).ok()?;
    if !text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) {
        return None;
    }
    let value: f64 = text.parse().ok().filter(|v: &f64| v.is_finite())?;
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let fraction = mantissa.split_once('.').map_or("", |(_, digits)| digits);
    let exponent = if value == 0.0 {
        0
    } else {
        value.abs().log2().floor() as i32
    };
    Some(Number {
        zero: value == 0.0,
        negative: value < 0.0,
        fraction: fraction.trim_end_matches('0').len(),
        exponent,
    })
}

/// The form of a text of `len` bytes that begins with `text`: 0 a number, 1 a date, 2 an address, 3 an identifier.
pub(super) fn form_of(text: &[u8], len: u64) -> Option<usize> {
    let whole = len == text.len() as u64;
    let digit = |i: usize| text.get(i).is_some_and(u8::is_ascii_digit);
    let date = (0..4).all(digit) && text.get(4) == Some(&b'-') && digit(5) && digit(6) && text.get(7) == Some(&b'-');
    if date {
        return Some(1);
    }
    if whole && text.iter().any(u8::is_ascii_digit) && number_of(text).is_some() {
        return Some(0);
    }
    if text.starts_with(b"http://") || text.starts_with(b"https://") || (text.first() == Some(&b'/') && text.len() > 1)
    {
        return Some(2);
    }
    let hex = whole
        && text.len() >= 8
        && text.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-')
        && text.iter().any(u8::is_ascii_digit);
    hex.then_some(3)
}

/// A body that is neither JSON nor markup.
#[derive(Debug, Default)]
pub(super) struct Text {
    begin: Vec<u8>,
    len: u64,
    lines: u64,
    blank: bool,
}

impl Text {
    pub(super) fn feed(&mut self, data: &[u8]) {
        let room = 40_usize.saturating_sub(self.begin.len()).min(data.len());
        self.begin.extend_from_slice(&data[..room]);
        if self.len == 0 {
            self.blank = true;
        }
        self.len += data.len() as u64;
        self.lines += data.iter().filter(|b| **b == b'\n').count() as u64;
        self.blank &= data.iter().all(u8::is_ascii_whitespace);
    }

    pub(super) fn finish(self) -> (Vec<Node>, u32, bool) {
        let mut whole = Node::default();
        let text = self.begin.trim_ascii();
        let all = self.len <= self.begin.len() as u64;
        match number_of(text).filter(|_| all) {
            Some(number) => count(&mut whole, number),
            None => {
                whole.strings = 1;
                whole.size = self.len;
                whole.empty = u32::from(self.blank);
                if let Some(form) = form_of(text, if all { text.len() as u64 } else { self.len }) {
                    whole.forms[form] = 1;
                }
            }
        }
        let lines = Node {
            at: "<lines>".to_owned(),
            arrays: 1,
            size: self.lines,
            ..Node::default()
        };
        (vec![whole, lines], 0, true)
    }
}
