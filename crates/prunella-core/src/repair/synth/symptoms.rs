//! What failing tests show: how they ended, and which values they compared.
//!
//! *Method*: two texts that differ are cut to the part that differs; a constant that contains this part (with as much
//! around it as tells where) is proposed with the other one; numbers alike, by their difference and their ratio.
//! *Source*: value-based constraints of Angelix (ICSE 2016) and of Nopol's constants, taken from the assertion itself.

/// What the failing tests of a search show.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Symptoms {
    /// The classes of the exceptions that they end with.
    pub exceptions: Vec<String>,
    /// Texts that were compared and differ, in the order of the comparison.
    pub texts: Vec<(String, String)>,
    /// Numbers that were compared and differ.
    pub numbers: Vec<(f64, f64)>,
}

/// Characters before and after a difference that tell where it belongs; the longest first.
const CONTEXTS: &[(usize, usize)] = &[(4, 4), (2, 2), (1, 1), (2, 0), (0, 2), (1, 0), (0, 1), (0, 0)];
/// The most texts that are proposed for one constant.
const MAX_TEXTS: usize = 8;

impl Symptoms {
    /// Only exceptions.
    #[must_use]
    pub fn of_exceptions(exceptions: &[String]) -> Self {
        Self {
            exceptions: exceptions.to_vec(),
            ..Self::default()
        }
    }

    /// What a text of the program might have to be, if the difference of compared texts comes from it.
    #[must_use]
    pub fn instead_of_text(&self, now: &str) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let both = self.texts.iter().flat_map(|(a, b)| [(a, b), (b, a)]);
        for (is, should) in both {
            let (start, end) = common_ends(is, should);
            let (gone, come) = (&is[start..is.len() - end], &should[start..should.len() - end]);
            for (earlier, later) in CONTEXTS {
                let before = tail(&is[..start], *earlier);
                let after = head(&is[is.len() - end..], *later);
                let pattern = format!("{before}{gone}{after}");
                if pattern.is_empty() || !now.contains(&pattern) {
                    continue;
                }
                let text = now.replacen(&pattern, &format!("{before}{come}{after}"), 1);
                if text != now && !found.contains(&text) {
                    found.push(text);
                }
                break;
            }
            if found.len() >= MAX_TEXTS {
                break;
            }
        }
        found
    }

    /// What a whole number of the program might have to be.
    #[must_use]
    pub fn instead_of_number(&self, now: i64) -> Vec<i64> {
        let mut found: Vec<i64> = Vec::new();
        let mut add = |value: f64| {
            #[allow(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
            let whole = value as i64;
            if value.fract().abs() < 1e-9 && value.abs() < 1e12 && whole != now && !found.contains(&whole) {
                found.push(whole);
            }
        };
        #[allow(clippy::cast_precision_loss, reason = "constants of programs are small")]
        let value = now as f64;
        for (left, right) in &self.numbers {
            for (is, should) in [(left, right), (right, left)] {
                if (is - value).abs() < 1e-9 {
                    add(*should);
                }
                add(value + should - is);
                if is.abs() > 1e-9 && value.abs() > 1e-9 {
                    add(value * should / is);
                }
            }
        }
        found.truncate(MAX_TEXTS);
        found
    }
}

/// How many bytes two texts have in common at their start and at their end, at boundaries of characters, never overlapping.
fn common_ends(a: &str, b: &str) -> (usize, usize) {
    let start: usize = a
        .chars()
        .zip(b.chars())
        .take_while(|(x, y)| x == y)
        .map(|(x, _)| x.len_utf8())
        .sum();
    let end: usize = a[start..]
        .chars()
        .rev()
        .zip(b[start..].chars().rev())
        .take_while(|(x, y)| x == y)
        .map(|(x, _)| x.len_utf8())
        .sum();
    (start, end)
}

fn tail(text: &str, characters: usize) -> &str {
    let at = text
        .char_indices()
        .rev()
        .take(characters)
        .last()
        .map_or(text.len(), |(at, _)| at);
    &text[at..]
}

fn head(text: &str, characters: usize) -> &str {
    let at = text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at);
    &text[..at]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(now: &str, is: &str, should: &str) -> Vec<String> {
        let symptoms = Symptoms {
            texts: vec![(is.to_owned(), should.to_owned())],
            ..Symptoms::default()
        };
        symptoms.instead_of_text(now)
    }

    #[test]
    fn the_part_that_differs_is_exchanged_where_the_constant_has_it() {
        // Which of the two is the wrong one is not known: the first way round comes first.
        let first = |now, is, should, wanted: &str| assert_eq!(texts(now, is, should)[0], wanted);
        first(", ", "a, b", "a; b", "; ");
        first(" items", "3 items left", "3 item left", " item");
        first("Helo {}", "Helo Ann", "Hello Ann", "Hello {}");
        assert!(texts("unrelated", "a, b", "a; b").is_empty());
    }

    #[test]
    fn numbers_follow_the_difference_and_the_ratio() {
        let symptoms = Symptoms {
            numbers: vec![(90.0, 100.0), (900.0, 1800.0)],
            ..Symptoms::default()
        };
        let found = symptoms.instead_of_number(90);
        assert!(found.contains(&100) && found.contains(&180), "{found:?}");
    }

    proptest! {
        #[test]
        fn never_panics(now in "\\PC{0,8}", is in "\\PC{0,12}", should in "\\PC{0,12}", n in any::<i64>(), a in any::<f64>(), b in any::<f64>()) {
            let _ = texts(&now, &is, &should);
            let symptoms = Symptoms { numbers: vec![(a, b)], ..Symptoms::default() };
            let _ = symptoms.instead_of_number(n);
        }
    }
}
