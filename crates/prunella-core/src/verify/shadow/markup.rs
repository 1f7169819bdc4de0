//! HTML and XML as a tree of elements, attributes and text.
//!
//! *Method*: a forgiving reader in one pass; not the HTML standard's tree construction, because both sides of a
//! comparison are read the same way. An element's name carries its classes, so that the price and the name in two cells of one row
//! are two paths. What is in `script` and `style` is text.

use super::text;
use super::tree::{MAX_DEPTH, MAX_NODES, Node};

/// Elements that have no end tag in HTML.
const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
];
/// Elements whose end may be left out: one that opens beside it ends it.
const IMPLIED: &[&str] = &["li", "p", "td", "th", "tr", "dt", "dd", "option"];
const RAW: &[&str] = &["script", "style", "textarea", "title"];
const MAX_NAME: usize = 48;

struct Open {
    tag: String,
    name: String,
    parts: Vec<(String, Node)>,
}

struct Reader<'a> {
    rest: &'a str,
    html: bool,
    left: usize,
    open: Vec<Open>,
}

/// The tree; `None` if it has too many parts. `html` says that void elements and left-out end tags are to be expected.
pub(super) fn parse(written: &str, html: bool) -> Option<Node> {
    let root = Open {
        tag: String::new(),
        name: String::new(),
        parts: Vec::new(),
    };
    let mut reader = Reader {
        rest: written,
        html,
        left: MAX_NODES,
        open: vec![root],
    };
    while !reader.rest.is_empty() {
        reader.step()?;
    }
    while reader.open.len() > 1 {
        reader.close_last();
    }
    reader.open.pop().map(|root| Node::Map(root.parts))
}

impl<'a> Reader<'a> {
    fn step(&mut self) -> Option<()> {
        let Some(at) = self.rest.find('<') else {
            let all = self.take(self.rest.len());
            return self.add_text(all);
        };
        if at > 0 {
            let before = self.take(at);
            return self.add_text(before);
        }
        let skipped = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"), ("<!", ">")];
        if let Some((begin, end)) = skipped.into_iter().find(|(begin, _)| self.rest.starts_with(begin)) {
            let inside = self.until(begin.len(), end);
            return if begin.ends_with('[') {
                self.add_text(inside)
            } else {
                Some(())
            };
        }
        let next = self.rest[1..].chars().next();
        match next {
            Some('/') => {
                let name = self.until(2, ">").trim().to_ascii_lowercase();
                self.close(&name);
                Some(())
            }
            Some(c) if c.is_ascii_alphabetic() => self.element(),
            _ => {
                let lone = self.take(1);
                self.add_text(lone)
            }
        }
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    /// What is between the first bytes and `end`, which is taken too; all of the rest if there is no `end`.
    fn until(&mut self, skip: usize, end: &str) -> &'a str {
        let _ = self.take(skip);
        match self.rest.find(end) {
            None => self.take(self.rest.len()),
            Some(at) => {
                let inside = self.take(at);
                let _ = self.take(end.len());
                inside
            }
        }
    }

    fn add(&mut self, name: String, node: Node) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        if let Some(last) = self.open.last_mut() {
            last.parts.push((name, node));
        }
        Some(())
    }

    fn add_text(&mut self, written: &str) -> Option<()> {
        let words = written.split_whitespace().collect::<Vec<_>>().join(" ");
        if words.is_empty() {
            return Some(());
        }
        self.add("#text".to_owned(), Node::text(words))
    }

    fn element(&mut self) -> Option<()> {
        let _ = self.take(1);
        let end = self.rest.find(|c: char| c.is_whitespace() || c == '>' || c == '/');
        let tag: String = self.take(end.unwrap_or(self.rest.len())).to_ascii_lowercase();
        let (attributes, closed) = self.attributes();
        if self.html && IMPLIED.contains(&tag.as_str()) && self.open.last().is_some_and(|open| open.tag == tag) {
            self.close_last();
        }
        let class = attributes
            .iter()
            .find(|(name, _)| name == "class")
            .map(|(_, v)| v.as_str());
        let mut name: String = match class {
            Some(class) => std::iter::once(tag.as_str())
                .chain(class.split_whitespace())
                .collect::<Vec<_>>()
                .join("."),
            None => tag.clone(),
        };
        name = name.chars().take(MAX_NAME).collect();
        self.left = self.left.checked_sub(attributes.len() + 1)?;
        let parts = attributes
            .into_iter()
            .filter(|(name, _)| name != "class")
            .map(|(name, value)| (format!("@{name}"), Node::text(value)))
            .collect();
        let is_raw = self.html && RAW.contains(&tag.as_str());
        self.open.push(Open { tag, name, parts });
        let is_void = self
            .open
            .last()
            .is_some_and(|open| self.html && VOID.contains(&open.tag.as_str()));
        if closed || is_void || self.open.len() > MAX_DEPTH {
            self.close_last();
        } else if is_raw {
            self.raw()?;
        }
        Some(())
    }

    /// The text of a script or a style, to its end tag.
    fn raw(&mut self) -> Option<()> {
        let end = format!(
            "</{}",
            self.open.last().map(|open| open.tag.clone()).unwrap_or_default()
        );
        let lower = self.rest.to_ascii_lowercase();
        let inside = self.take(lower.find(&end).unwrap_or(self.rest.len()));
        let node = text::parse(inside)?;
        if !inside.trim().is_empty() {
            self.add("#code".to_owned(), node)?;
        }
        let _ = self.until(0, ">");
        self.close_last();
        Some(())
    }

    /// Attributes to the end of the tag, and whether the tag closes itself.
    fn attributes(&mut self) -> (Vec<(String, String)>, bool) {
        let mut found = Vec::new();
        let mut closed = false;
        loop {
            let trimmed = self.rest.trim_start();
            self.rest = trimmed;
            match self.rest.chars().next() {
                None => return (found, closed),
                Some('>') => {
                    let _ = self.take(1);
                    return (found, closed);
                }
                Some('/' | '"' | '\'' | '=') => {
                    closed = self.rest.starts_with('/');
                    let _ = self.take(1);
                }
                Some(_) => {
                    closed = false;
                    found.push(self.attribute());
                }
            }
        }
    }

    fn attribute(&mut self) -> (String, String) {
        let end = self
            .rest
            .find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/'));
        let name: String = self
            .take(end.unwrap_or(self.rest.len()))
            .to_ascii_lowercase()
            .chars()
            .take(MAX_NAME)
            .collect();
        let Some(value) = self.rest.trim_start().strip_prefix('=') else {
            return (name, String::new());
        };
        self.rest = value.trim_start();
        let quote = self.rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let value = match quote {
            Some('"') => self.until(1, "\""),
            Some(_) => self.until(1, "'"),
            None => {
                let end = self.rest.find(|c: char| c.is_whitespace() || c == '>');
                self.take(end.unwrap_or(self.rest.len()))
            }
        };
        (name, value.to_owned())
    }

    fn close_last(&mut self) {
        if self.open.len() > 1
            && let Some(done) = self.open.pop()
            && let Some(parent) = self.open.last_mut()
        {
            parent.parts.push((done.name, Node::Map(done.parts)));
        }
    }

    /// Ends the innermost element of this name and what is open in it; an end tag of nothing is left out.
    fn close(&mut self, tag: &str) {
        let Some(at) = self.open.iter().rposition(|open| open.tag == tag).filter(|at| *at > 0) else {
            return;
        };
        while self.open.len() > at {
            self.close_last();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(node: &Node, at: &str, out: &mut Vec<String>) {
        match node {
            Node::Leaf(leaf) => out.push(format!("{at}={}", leaf.shown())),
            Node::List(items) => items.iter().for_each(|n| paths(n, at, out)),
            Node::Map(parts) => parts
                .iter()
                .for_each(|(name, n)| paths(n, &format!("{at}/{name}"), out)),
        }
    }

    fn check(html: &str, expected: &[&str]) {
        let mut found = Vec::new();
        paths(&parse(html, true).unwrap(), "", &mut found);
        assert_eq!(found, expected);
    }

    #[test]
    fn elements_attributes_and_text_have_paths() {
        check(
            "<!doctype html><p class='a b' id=x>One <b>two</b><br>three<!-- no --></p>",
            &[
                "/p.a.b/@id=\"x\"",
                "/p.a.b/#text=\"One\"",
                "/p.a.b/b/#text=\"two\"",
                "/p.a.b/#text=\"three\"",
            ],
        );
        check(
            "<ul><li>1<li>2</ul>3",
            &["/ul/li/#text=\"1\"", "/ul/li/#text=\"2\"", "/#text=\"3\""],
        );
        check(
            "<p>a < b</x></p>",
            &["/p/#text=\"a\"", "/p/#text=\"<\"", "/p/#text=\"b\""],
        );
    }

    #[test]
    fn xml_has_no_void_elements() {
        let mut found = Vec::new();
        paths(&parse("<link>a</link><b/>", false).unwrap(), "", &mut found);
        assert_eq!(found, ["/link/#text=\"a\""]);
    }
}
