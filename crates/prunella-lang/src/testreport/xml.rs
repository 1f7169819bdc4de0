//! Just enough of XML to read reports: tags and attributes. No document types, no external anything.

use std::collections::BTreeMap;

/// Attributes of one tag that are read.
const MAX_ATTRIBUTES: usize = 64;

/// A tag.
pub(super) enum Event<'a> {
    /// `<name …>` or, `empty`, `<name …/>`.
    Open {
        name: &'a str,
        attributes: BTreeMap<&'a str, String>,
        empty: bool,
    },
    /// `</name>`.
    Close { name: &'a str },
}

/// The tags of `document` in order; comments, text, CDATA, instructions and document types are passed over. It ends
/// where the document stops being well-formed.
pub(super) fn events(document: &str) -> impl Iterator<Item = Event<'_>> {
    let mut rest = document;
    std::iter::from_fn(move || {
        loop {
            rest = &rest[rest.find('<')?..];
            if let Some((open, close)) = SKIPPED.iter().find(|(open, _)| rest.starts_with(open)) {
                let body = &rest[open.len()..];
                rest = &body[body.find(close)? + close.len()..];
                continue;
            }
            let (event, after) = tag(&rest[1..])?;
            rest = after;
            return Some(event);
        }
    })
}

const SKIPPED: &[(&str, &str)] = &[("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"), ("<!", ">")];

fn tag(text: &str) -> Option<(Event<'_>, &str)> {
    if let Some(text) = text.strip_prefix('/') {
        let end = text.find('>')?;
        return Some((
            Event::Close {
                name: text[..end].trim(),
            },
            &text[end + 1..],
        ));
    }
    let end = text.find(|c: char| c.is_whitespace() || c == '>' || c == '/')?;
    let name = &text[..end];
    let mut rest = text[end..].trim_start();
    let mut attributes = BTreeMap::new();
    loop {
        if let Some(after) = rest.strip_prefix("/>") {
            return Some((
                Event::Open {
                    name,
                    attributes,
                    empty: true,
                },
                after,
            ));
        }
        if let Some(after) = rest.strip_prefix('>') {
            return Some((
                Event::Open {
                    name,
                    attributes,
                    empty: false,
                },
                after,
            ));
        }
        let equals = rest.find('=')?;
        let key = rest[..equals].trim();
        let value = rest[equals + 1..].trim_start();
        let quote = value.chars().next().filter(|c| *c == '"' || *c == '\'')?;
        let value = &value[1..];
        let end = value.find(quote)?;
        if attributes.len() < MAX_ATTRIBUTES {
            attributes.insert(key, unescape(&value[..end]));
        }
        rest = value[end + 1..].trim_start();
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        // The longest reference that counts is `&#x10FFFF;`.
        let end = rest.bytes().take(12).position(|byte| byte == b';');
        match end.and_then(|end| Some((reference(&rest[1..end])?, end))) {
            Some((c, end)) => {
                out.push(c);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn reference(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}
