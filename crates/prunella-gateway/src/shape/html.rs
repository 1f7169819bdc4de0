//! HTML and XML as they go by: how many of which element, and how much text.
//!
//! Not a parser: script, style and comments are skipped, attributes are not looked at.

use super::{MAX_NODES, Node};
use std::collections::BTreeMap;

const MAX_NAME: usize = 24;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    /// After `<`.
    Open,
    Name,
    /// Inside a tag, after its name; with the quote that is open.
    Tag(Option<u8>),
    /// Inside of an element whose text is no text.
    Raw,
    /// A closing tag, a declaration or a comment.
    Skip,
}

#[derive(Debug)]
pub(super) struct Html {
    state: State,
    name: String,
    counts: BTreeMap<String, u64>,
    text: u64,
    left_out: u32,
    raw: bool,
}

impl Default for Html {
    fn default() -> Self {
        Self {
            state: State::Text,
            name: String::new(),
            counts: BTreeMap::new(),
            text: 0,
            left_out: 0,
            raw: false,
        }
    }
}

impl Html {
    pub(super) fn feed(&mut self, data: &[u8]) {
        for &b in data {
            self.state = self.step(b);
        }
    }

    fn step(&mut self, b: u8) -> State {
        match (self.state, b) {
            (State::Text | State::Raw, b'<') => State::Open,
            (State::Text, b) => {
                self.text += u64::from(!b.is_ascii_whitespace());
                State::Text
            }
            (State::Raw, _) => State::Raw,
            (State::Open, b'/') => {
                self.raw = false;
                State::Skip
            }
            (State::Open, b) if b.is_ascii_alphabetic() && !self.raw => {
                self.name.clear();
                self.name.push(char::from(b.to_ascii_lowercase()));
                State::Name
            }
            (State::Open, _) if self.raw => State::Raw,
            (State::Open, _) => State::Skip,
            (State::Name, b'>') => self.element(),
            (State::Name, b) if b.is_ascii_alphanumeric() || matches!(b, b':' | b'-' | b'_') => {
                if self.name.len() < MAX_NAME {
                    self.name.push(char::from(b.to_ascii_lowercase()));
                }
                State::Name
            }
            (State::Name, _) => State::Tag(None),
            (State::Tag(None), b'>') => self.element(),
            (State::Tag(None), b'"' | b'\'') => State::Tag(Some(b)),
            (State::Tag(Some(quote)), b) if b == quote => State::Tag(None),
            (State::Tag(quote), _) => State::Tag(quote),
            (State::Skip, b'>') => State::Text,
            (State::Skip, _) => State::Skip,
        }
    }

    fn element(&mut self) -> State {
        let name = std::mem::take(&mut self.name);
        self.raw = name == "script" || name == "style";
        let room = self.counts.len() + 2 < MAX_NODES;
        if let Some(count) = self.counts.get_mut(&name) {
            *count += 1;
        } else if room {
            self.counts.insert(name, 1);
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
        if self.raw { State::Raw } else { State::Text }
    }

    pub(super) fn finish(self) -> (Vec<Node>, u32, bool) {
        let text = Node {
            at: "<text>".to_owned(),
            strings: 1,
            empty: u32::from(self.text == 0),
            size: self.text,
            ..Node::default()
        };
        let elements = self.counts.into_iter().map(|(name, size)| Node {
            at: format!("<{name}>"),
            arrays: 1,
            size,
            ..Node::default()
        });
        let nodes = std::iter::once(text).chain(elements).collect();
        (nodes, self.left_out, true)
    }
}
