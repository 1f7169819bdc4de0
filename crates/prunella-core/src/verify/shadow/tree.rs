//! An answer as a tree: the one form in which JSON, HTML, XML and text are compared.

use serde_json::Value;

use super::{markup, text};

/// The most nodes that one body becomes; what is beyond them is one leaf with a digest.
pub(super) const MAX_NODES: usize = 20_000;
/// The deepest nesting that is looked into.
pub(super) const MAX_DEPTH: usize = 48;

/// A value without parts.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub(super) enum Leaf {
    /// JSON's null.
    Null,
    /// True or false.
    Bool(bool),
    /// A number, as it was written, and its value.
    Number(String, f64),
    /// Text.
    Text(String),
    /// Bytes that are not looked into: their digest, and how many they are.
    Opaque(String, usize),
}

impl Leaf {
    /// The value in a line, for people.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(is) => is.to_string(),
            Self::Number(written, _) => written.clone(),
            Self::Text(text) => format!("\"{}\"", text.chars().take(80).collect::<String>()),
            Self::Opaque(digest, bytes) => format!("{bytes} bytes ({})", digest.get(..8).unwrap_or(digest)),
        }
    }
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// A value.
    Leaf(Leaf),
    /// Named parts. A name can come several times.
    Map(Vec<(String, Node)>),
    /// Parts in an order.
    List(Vec<Node>),
}

impl Node {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Leaf(Leaf::Text(text.into()))
    }
}

/// The tree of a body. `media` is the content type without its parameters; where it says nothing, the body's beginning does.
pub(super) fn of_body(media: &str, body: &[u8]) -> Node {
    let Ok(written) = std::str::from_utf8(body) else {
        return opaque(body);
    };
    let begin = written.trim_start();
    let media = media.to_ascii_lowercase();
    let is_json = media.contains("json") || begin.starts_with(['{', '[']);
    if is_json && let Ok(value) = serde_json::from_str::<Value>(written) {
        return of_json(value, &mut MAX_NODES.clone(), 0).unwrap_or_else(|| opaque(body));
    }
    if is_json && let Some(lines) = json_lines(written) {
        return lines;
    }
    let is_markup = media.contains("html") || media.contains("xml") || begin.starts_with('<');
    let parsed = if is_markup {
        markup::parse(written, !media.contains("xml") && !begin.starts_with("<?xml"))
    } else {
        text::parse(written)
    };
    parsed.unwrap_or_else(|| opaque(body))
}

/// One JSON value on each line.
fn json_lines(written: &str) -> Option<Node> {
    let mut left = MAX_NODES;
    let lines = written.lines().filter(|line| !line.trim().is_empty());
    let values: Option<Vec<Node>> = lines
        .map(|line| of_json(serde_json::from_str(line).ok()?, &mut left, 1))
        .collect();
    values.filter(|values| values.len() > 1).map(Node::List)
}

fn of_json(value: Value, left: &mut usize, depth: usize) -> Option<Node> {
    *left = left.checked_sub(1)?;
    if depth > MAX_DEPTH {
        return None;
    }
    Some(match value {
        Value::Null => Node::Leaf(Leaf::Null),
        Value::Bool(is) => Node::Leaf(Leaf::Bool(is)),
        Value::Number(number) => Node::Leaf(Leaf::Number(number.to_string(), number.as_f64().unwrap_or(0.0))),
        Value::String(text) => Node::text(text),
        Value::Array(items) => {
            let items: Option<Vec<Node>> = items.into_iter().map(|v| of_json(v, left, depth + 1)).collect();
            Node::List(items?)
        }
        Value::Object(fields) => {
            let fields: Option<Vec<(String, Node)>> = fields
                .into_iter()
                .map(|(name, v)| Some((name, of_json(v, left, depth + 1)?)))
                .collect();
            Node::Map(fields?)
        }
    })
}

/// A body that is not looked into.
pub(super) fn opaque(body: &[u8]) -> Node {
    Node::Leaf(Leaf::Opaque(crate::id::BlobId::of(body).to_string(), body.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_what_it_says_or_what_it_begins_with() {
        let one = Node::Map(vec![("a".into(), Node::Leaf(Leaf::Number("1".into(), 1.0)))]);
        assert_eq!(of_body("application/json", b"{\"a\":1}"), one);
        assert_eq!(of_body("", b" {\"a\":1}"), one);
        assert!(matches!(of_body("application/x-ndjson", b"{\"a\":1}\n{\"a\":2}\n"), Node::List(l) if l.len() == 2));
        assert!(matches!(
            of_body("image/png", b"\xff\xfe"),
            Node::Leaf(Leaf::Opaque(_, 2))
        ));
        // What says that it is JSON and is not is read as text.
        assert!(!matches!(
            of_body("application/json", b"oops"),
            Node::Leaf(Leaf::Opaque(..))
        ));
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert!(matches!(
            of_body("application/json", deep.as_bytes()),
            Node::Leaf(Leaf::Opaque(..)) | Node::Map(_)
        ));
    }

    proptest::proptest! {
        #[test]
        fn no_body_is_too_strange(body: Vec<u8>, media in "(text/html|application/xml|application/json|text/plain|)") {
            let _ = of_body(&media, &body);
        }

        #[test]
        fn markup_of_any_form_is_read(body in "([<>/a-c \"'=!-]|<p>|</p>|<script>|<!--|<br>){0,60}") {
            let _ = of_body("text/html", body.as_bytes());
        }
    }
}
