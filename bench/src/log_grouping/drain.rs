//! The peer: Drain (He et al., *Drain: An Online Log Parsing Approach with Fixed Depth Tree*, ICWS 2017) with its usual
//! depth of 4, similarity of 0.4 and 100 children, and one generic mask for every set.

use std::collections::HashMap;

const DEPTH: usize = 4;
const SIMILARITY: f64 = 0.4;
const CHILDREN: usize = 100;
const WILDCARD: &str = "<*>";

#[derive(Default)]
struct Node {
    children: HashMap<String, Node>,
    groups: Vec<usize>,
}

/// The group of each line.
pub(crate) fn group(lines: &[String]) -> Vec<usize> {
    let mut root: HashMap<usize, Node> = HashMap::new();
    let mut templates: Vec<Vec<String>> = Vec::new();
    let mut groups = Vec::with_capacity(lines.len());
    for line in lines {
        let tokens: Vec<String> = line.split_whitespace().map(mask).collect();
        let node = descend(root.entry(tokens.len()).or_default(), &tokens);
        let scored = node.groups.iter().map(|&g| (similarity(&templates[g], &tokens), g));
        let best = scored.max_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal));
        groups.push(match best.filter(|b| b.0.0 >= SIMILARITY) {
            Some((_, g)) => {
                generalise(&mut templates[g], &tokens);
                g
            }
            None => {
                node.groups.push(templates.len());
                templates.push(tokens);
                templates.len() - 1
            }
        });
    }
    groups
}

/// The generic mask: a token with a digit is a variable, with its punctuation around it.
fn mask(token: &str) -> String {
    let has_digit = |s: &str| s.bytes().any(|b| b.is_ascii_digit());
    if has_digit(token) {
        WILDCARD.into()
    } else {
        token.into()
    }
}

fn descend<'a>(mut node: &'a mut Node, tokens: &[String]) -> &'a mut Node {
    for token in tokens.iter().take(DEPTH - 2) {
        let known = node.children.contains_key(token);
        let key = if known || node.children.len() < CHILDREN && token != WILDCARD {
            token
        } else {
            WILDCARD
        };
        node = node.children.entry(key.into()).or_default();
    }
    node
}

/// Equal tokens, wildcards as half a tie-break.
fn similarity(template: &[String], tokens: &[String]) -> (f64, usize) {
    let wild = template.iter().filter(|t| *t == WILDCARD).count();
    let same = template
        .iter()
        .zip(tokens)
        .filter(|(a, b)| a == b && *a != WILDCARD)
        .count();
    let total = template.len().max(1);
    let similarity = if template.is_empty() {
        1.0
    } else {
        same as f64 / total as f64
    };
    (similarity, wild)
}

fn generalise(template: &mut [String], tokens: &[String]) {
    for (own, other) in template.iter_mut().zip(tokens) {
        if own != other {
            WILDCARD.clone_into(own);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn lines_that_differ_in_few_words_are_one_group() {
        let lines = [
            "get the file a",
            "get the file b",
            "send 5 mails now",
            "send 6 mails now",
            "stop",
        ];
        let groups = super::group(&lines.map(String::from));
        assert_eq!(groups, [0, 0, 1, 1, 2]);
    }
}
