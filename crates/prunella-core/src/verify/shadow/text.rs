//! Plain text as a tree: each line under its own words.
//!
//! *Method*: the variable tokens of a line (those with a digit, long ones without a vowel's rest) are its values, the
//! others its name. So a counter in a line of metrics, a property of a calendar or a log line each is a path, and the values of
//! all lines with the same words are compared together.

use super::tree::{Leaf, MAX_NODES, Node};

/// Longer tokens are values, whatever is in them.
const LONG: usize = 32;
/// Characters of a line that name it.
const MAX_NAME: usize = 120;

/// The tree of a text; `None` if it has too many parts.
pub(super) fn parse(written: &str) -> Option<Node> {
    let mut left = MAX_NODES;
    let mut lines = Vec::new();
    for line in written.lines().filter(|line| !line.trim().is_empty()) {
        let (name, values) = template(line);
        left = left.checked_sub(1 + values.len())?;
        lines.push((name, Node::List(values)));
    }
    Some(Node::Map(lines))
}

/// The words of a line with `*` for each value, and the values.
pub(super) fn template(line: &str) -> (String, Vec<Node>) {
    let (mut name, mut values) = (String::new(), Vec::new());
    for token in tokens(line) {
        if is_value(token) {
            if !name.ends_with('*') {
                name.push('*');
            }
            values.push(leaf(token));
        } else if token.trim().is_empty() {
            if !name.ends_with(' ') {
                name.push(' ');
            }
        } else {
            name.push_str(token);
        }
    }
    (name.trim().chars().take(MAX_NAME).collect(), values)
}

/// Runs of what belongs together, and what is between them, each of its own.
fn tokens(line: &str) -> impl Iterator<Item = &str> {
    let joins = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '+' | '%');
    let mut rest = line;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let kind = (joins(first), first.is_whitespace());
        let end = rest
            .find(|c: char| (joins(c), c.is_whitespace()) != kind)
            .unwrap_or(rest.len());
        let (token, after) = rest.split_at(end);
        rest = after;
        Some(token)
    })
}

fn is_value(token: &str) -> bool {
    token.chars().any(|c| c.is_ascii_digit()) || (token.len() > LONG && token.chars().all(char::is_alphanumeric))
}

fn leaf(token: &str) -> Node {
    match token.parse::<f64>() {
        Ok(number) if number.is_finite() => Node::Leaf(Leaf::Number(token.to_owned(), number)),
        _ => Node::text(token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, name: &str, values: &[&str]) {
        let (found, parts) = template(line);
        let shown: Vec<String> = parts
            .iter()
            .map(|n| match n {
                Node::Leaf(leaf) => leaf.shown().trim_matches('"').to_owned(),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(
            (found.as_str(), shown),
            (name, values.iter().map(ToString::to_string).collect())
        );
    }

    #[test]
    fn words_name_a_line_and_the_rest_are_its_values() {
        check(
            "http_requests_total{code=\"200\"} 17",
            "http_requests_total{code=\"*\"} *",
            &["200", "17"],
        );
        check("DTSTAMP:20240101T000000Z", "DTSTAMP:*", &["20240101T000000Z"]);
        check("no value   here", "no value here", &[]);
    }
}
