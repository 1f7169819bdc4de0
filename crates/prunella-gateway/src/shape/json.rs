//! JSON as it goes by, byte by byte: places and types, no values.
//!
//! Source: RFC 8259. Lenient where that costs nothing (a comma too many), for this judges no syntax; several values one
//! after the other (NDJSON) stand at one place.

use super::text::{Number, form_of, number_of};
use super::{MAX_KEY, MAX_NODES, Node};
use crate::route::is_variable;
use std::collections::HashMap;

/// Nesting that is followed; what is deeper makes the rest of the body unknown.
const MAX_DEPTH: usize = 96;
/// Bytes of a text that are kept until it ends, to see what form it has.
const MAX_TEXT: usize = 40;
/// The place of all that has no place of its own.
const NOWHERE: u16 = u16::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Value,
    Key,
    Colon,
    After,
    Text { key: bool, escaped: bool },
    Number,
    Word,
}

#[derive(Debug)]
struct Frame {
    node: u16,
    array: bool,
    /// Where the value of the present key stands.
    child: u16,
    count: u64,
}

#[derive(Debug)]
pub(super) struct Json {
    nodes: Vec<Node>,
    children: HashMap<(u16, String), u16>,
    stack: Vec<Frame>,
    state: State,
    text: Vec<u8>,
    text_len: u64,
    left_out: u32,
    values: u32,
    broken: bool,
}

impl Default for Json {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
            children: HashMap::new(),
            stack: Vec::new(),
            state: State::Value,
            text: Vec::with_capacity(MAX_KEY),
            text_len: 0,
            left_out: 0,
            values: 0,
            broken: false,
        }
    }
}

impl Json {
    pub(super) fn feed(&mut self, mut data: &[u8]) {
        while let Some((&b, rest)) = data.split_first() {
            if self.broken {
                return;
            }
            if let State::Text { escaped: false, .. } = self.state {
                // Most bytes of most bodies are inside of texts: to the next byte that means something in one step.
                let plain = data
                    .iter()
                    .position(|b| matches!(b, b'"' | b'\\'))
                    .unwrap_or(data.len());
                self.keep(&data[..plain]);
                data = &data[plain..];
                if let Some((&b, rest)) = data.split_first() {
                    self.step(b);
                    data = rest;
                }
                continue;
            }
            self.step(b);
            data = rest;
        }
    }

    pub(super) fn finish(mut self, complete: bool) -> (Vec<Node>, u32, bool) {
        if complete {
            match self.state {
                State::Number => self.number(),
                State::Word => self.word(),
                _ => {}
            }
        }
        let whole = self.stack.is_empty() && self.values > 0 && matches!(self.state, State::After | State::Value);
        (self.nodes, self.left_out, !self.broken && (whole || !complete))
    }

    fn step(&mut self, b: u8) {
        match self.state {
            State::Value => self.value(b),
            State::Key => match b {
                b'"' => self.begin_text(true),
                b'}' => self.end(false),
                b',' => {}
                b if b.is_ascii_whitespace() => {}
                _ => self.broken = true,
            },
            State::Colon => match b {
                b':' => self.state = State::Value,
                b if b.is_ascii_whitespace() => {}
                _ => self.broken = true,
            },
            State::After => self.after(b),
            State::Text { key, escaped } => self.text_byte(b, key, escaped),
            State::Number => match b {
                b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E' => self.keep(&[b]),
                _ => {
                    self.number();
                    self.step(b);
                }
            },
            State::Word => match b {
                b'a'..=b'z' | b'A'..=b'Z' => self.keep(&[b]),
                _ => {
                    self.word();
                    self.step(b);
                }
            },
        }
    }

    fn value(&mut self, b: u8) {
        match b {
            b if b.is_ascii_whitespace() => {}
            b']' if self.stack.last().is_some_and(|f| f.array) => self.end(true),
            b'{' | b'[' => {
                let node = self.place();
                if self.stack.len() == MAX_DEPTH {
                    self.broken = true;
                    return;
                }
                let array = b == b'[';
                self.stack.push(Frame {
                    node,
                    array,
                    child: NOWHERE,
                    count: 0,
                });
                if array {
                    self.state = State::Value;
                    let child = self.child(node, "[]");
                    self.stack.last_mut().expect("pushed above").child = child;
                } else {
                    self.state = State::Key;
                }
            }
            b'"' => self.begin_text(false),
            b'-' | b'0'..=b'9' => self.begin(State::Number, b),
            b'a'..=b'z' | b'A'..=b'Z' => self.begin(State::Word, b),
            _ => self.broken = true,
        }
    }

    fn after(&mut self, b: u8) {
        match (b, self.stack.last().map(|f| f.array)) {
            (b',', Some(true)) => self.state = State::Value,
            (b',', Some(false)) => self.state = State::Key,
            (b']', Some(true)) => self.end(true),
            (b'}', Some(false)) => self.end(false),
            (b, _) if b.is_ascii_whitespace() => {}
            (_, None) => {
                self.state = State::Value;
                self.value(b);
            }
            _ => self.broken = true,
        }
    }

    fn text_byte(&mut self, b: u8, key: bool, escaped: bool) {
        if escaped || b == b'\\' {
            self.keep(&[b]);
            self.state = State::Text { key, escaped: !escaped };
            return;
        }
        if key {
            return self.key();
        }
        let node = self.place();
        let (form, len) = (form_of(&self.text, self.text_len), self.text_len);
        self.at(node, |n| {
            n.strings += 1;
            n.size += len;
            n.empty += u32::from(len == 0);
            if let Some(form) = form {
                n.forms[form] += 1;
            }
        });
        self.done();
    }

    /// A key has ended: the place of its value is known.
    fn key(&mut self) {
        let text = std::mem::take(&mut self.text);
        let name = std::str::from_utf8(&text).unwrap_or("{}");
        let value = self.text_len > MAX_KEY as u64
            || name.is_empty()
            || is_variable(name)
            || name.chars().any(char::is_control);
        let name = if value { "{}" } else { name };
        let parent = self.stack.last().map_or(NOWHERE, |f| f.node);
        let child = self.child(parent, name);
        if let Some(frame) = self.stack.last_mut() {
            frame.child = child;
            frame.count += 1;
        }
        self.text = text;
        self.state = State::Colon;
    }

    fn begin_text(&mut self, key: bool) {
        self.text.clear();
        self.text_len = 0;
        self.state = State::Text { key, escaped: false };
    }

    fn begin(&mut self, state: State, b: u8) {
        self.text.clear();
        self.text_len = 0;
        self.state = state;
        self.keep(&[b]);
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.text_len += bytes.len() as u64;
        let room = MAX_TEXT.max(MAX_KEY).saturating_sub(self.text.len()).min(bytes.len());
        self.text.extend_from_slice(&bytes[..room]);
    }

    fn number(&mut self) {
        let node = self.place();
        match number_of(&self.text) {
            Some(number) => self.at(node, |n| count(n, number)),
            None => self.broken = true,
        }
        self.done();
    }

    fn word(&mut self) {
        let node = self.place();
        let word = std::mem::take(&mut self.text);
        match word.as_slice() {
            b"null" => self.at(node, |n| n.nulls += 1),
            b"true" => self.at(node, |n| (n.bools, n.trues) = (n.bools + 1, n.trues + 1)),
            b"false" => self.at(node, |n| n.bools += 1),
            // Not JSON, but what some encoders write for a number that is none.
            b"NaN" | b"Infinity" => self.at(node, |n| n.nulls += 1),
            _ => self.broken = true,
        }
        self.done();
    }

    fn end(&mut self, array: bool) {
        let Some(frame) = self.stack.pop() else {
            self.broken = true;
            return;
        };
        self.at(frame.node, |n| {
            if array {
                n.arrays += 1;
            } else {
                n.objects += 1;
            }
            n.size += frame.count;
            n.empty += u32::from(frame.count == 0);
        });
        self.done();
    }

    fn done(&mut self) {
        if self.stack.is_empty() {
            self.values = self.values.saturating_add(1);
        }
        self.state = State::After;
    }

    /// The place of the value that begins or has just been read.
    fn place(&mut self) -> u16 {
        match self.stack.last_mut() {
            None => 0,
            Some(frame) => {
                if frame.array {
                    frame.count += 1;
                }
                frame.child
            }
        }
    }

    fn child(&mut self, parent: u16, name: &str) -> u16 {
        if parent == NOWHERE {
            return NOWHERE;
        }
        if let Some(known) = self.children.get(&(parent, name.to_owned())) {
            return *known;
        }
        if self.nodes.len() >= MAX_NODES {
            self.left_out = self.left_out.saturating_add(1);
            return NOWHERE;
        }
        let above = &self.nodes[usize::from(parent)].at;
        let at = match (above.is_empty(), name) {
            (_, "[]") => format!("{above}[]"),
            (true, name) => name.to_owned(),
            (false, name) => format!("{above}.{name}"),
        };
        let index = u16::try_from(self.nodes.len()).unwrap_or(NOWHERE);
        self.nodes.push(Node { at, ..Node::default() });
        self.children.insert((parent, name.to_owned()), index);
        index
    }

    fn at(&mut self, node: u16, f: impl FnOnce(&mut Node)) {
        if let Some(node) = self.nodes.get_mut(usize::from(node)) {
            f(node);
        }
    }
}

/// Counts a number at a place.
pub(super) fn count(node: &mut Node, number: Number) {
    node.numbers += 1;
    node.zeros += u32::from(number.zero);
    node.negatives += u32::from(number.negative);
    node.fractions += u32::from(number.fraction > 0);
    node.long_fractions += u32::from(number.fraction > 4);
    node.exponents += i64::from(number.exponent);
}
