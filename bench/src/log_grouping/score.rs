//! Grouping and parsing accuracy.

use std::collections::HashMap;
use std::hash::Hash;

/// The share of lines whose predicted group has exactly the lines of their true group (Zhu et al., *Tools and Benchmarks
/// for Automated Log Parsing*, ICSE-SEIP 2019).
pub(crate) fn grouping_accuracy<P: Eq + Hash + Copy>(predicted: &[P], truth: &[u32]) -> f64 {
    let mut both: HashMap<(P, u32), usize> = HashMap::new();
    let mut guessed: HashMap<P, usize> = HashMap::new();
    let mut real: HashMap<u32, usize> = HashMap::new();
    for (&p, &t) in predicted.iter().zip(truth) {
        *both.entry((p, t)).or_default() += 1;
        *guessed.entry(p).or_default() += 1;
        *real.entry(t).or_default() += 1;
    }
    let right: usize = both
        .iter()
        .filter(|((p, t), n)| guessed[p] == **n && real[t] == **n)
        .map(|(_, n)| n)
        .sum();
    right as f64 / truth.len().max(1) as f64
}

/// The share of lines whose predicted template is the true one, white space normalised (Dai et al., *Logram*, TSE 2020).
pub(crate) fn parsing_accuracy(predicted: &[String], truth: &[String]) -> f64 {
    share(predicted, truth, spaces)
}

/// The same after the corrections of Khan et al. (*Guidelines for Assessing the Accuracy of Log Message Template
/// Identification Techniques*, ICSE 2022) on both sides: variables joined by punctuation alone are one variable, so
/// that `<*>:<*>` and `<*>` for one value with its port are no difference.
pub(crate) fn corrected_parsing_accuracy(predicted: &[String], truth: &[String]) -> f64 {
    share(predicted, truth, corrected)
}

fn share(predicted: &[String], truth: &[String], form: fn(&str) -> String) -> f64 {
    let mut forms: HashMap<&str, String> = HashMap::new();
    for text in predicted.iter().chain(truth) {
        forms.entry(text).or_insert_with(|| form(text));
    }
    let right = predicted
        .iter()
        .zip(truth)
        .filter(|(p, t)| forms[p.as_str()] == forms[t.as_str()])
        .count();
    right as f64 / truth.len().max(1) as f64
}

fn spaces(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Collapses every run of tokens' characters around a `<*>` as far as it has no letter, digit, bracket or quote.
fn corrected(text: &str) -> String {
    let words = text.split_whitespace().map(|word| {
        let mut parts: Vec<&str> = word.split("<*>").collect();
        let last = parts.len() - 1;
        let joins = |s: &str| {
            s.bytes()
                .all(|b| matches!(b, b'.' | b':' | b'/' | b'-' | b'_' | b'#' | b'@' | b',' | b'|'))
        };
        let mut at = 0;
        parts.retain(|p| {
            at += 1;
            at == 1 || at - 1 == last || !joins(p)
        });
        parts.join("<*>")
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_counts_only_when_it_is_exactly_the_true_one() {
        // The first group is right; the second true group is split, so none of its lines count.
        assert!((grouping_accuracy(&[7, 7, 8, 9], &[0, 0, 1, 1]) - 0.5).abs() < 1e-12);
        // Too much in one group spoils both.
        assert!(grouping_accuracy(&[1, 1, 1], &[0, 0, 1]).abs() < 1e-12);
    }

    #[test]
    fn corrections_join_what_punctuation_joins() {
        assert_eq!(corrected("from <*>:<*> to  blk_<*>"), "from <*> to blk_<*>");
        assert_eq!(corrected("a=<*>##<*>, b"), "a=<*>, b");
        assert_eq!(corrected("(<*>) <*> x"), "(<*>) <*> x");
    }

    #[test]
    fn templates_must_be_equal() {
        let own = ["a <*>".to_owned(), "b <*>:<*>".to_owned()];
        let truth = ["a  <*>".to_owned(), "b <*>".to_owned()];
        assert!((parsing_accuracy(&own, &truth) - 0.5).abs() < 1e-12);
        assert!((corrected_parsing_accuracy(&own, &truth) - 1.0).abs() < 1e-12);
    }
}
