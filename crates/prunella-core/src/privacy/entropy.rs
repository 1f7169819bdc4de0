//! Values that nobody chose: long runs of letters and digits that are too random for a name.

use std::sync::LazyLock;

use regex::Regex;

use super::{Finding, Kind};

/// The shortest run looked at, in bytes.
const SHORTEST: usize = 20;
/// The least entropy of a run over all letters and digits, in bits per character. Random base-64 of 20 characters has
/// about 4.0 on average, names of programs and of people below 3.6.
const MIXED_BITS: f64 = 3.6;
/// The least entropy of hexadecimal digits, in bits per character, of at most 4.
const HEX_BITS: f64 = 3.0;
/// The shortest run of hexadecimal digits: keys have 128 bits.
const HEX_SHORTEST: usize = 32;

static RUN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[A-Za-z0-9_-]{20,}|[A-Za-z0-9+/]{40,}={0,2}")
        .expect("a constant pattern, compiled by every test of this file")
});

/// Random runs.
pub(super) fn find(text: &str) -> Vec<Finding> {
    RUN.find_iter(text)
        .filter(|run| is_random(run.as_str()))
        .map(|run| Finding {
            span: run.range(),
            kind: Kind::Secret,
            rule: "random characters",
        })
        .collect()
}

fn is_random(run: &str) -> bool {
    let bare = run.trim_end_matches('=');
    if bare.bytes().all(|b| b.is_ascii_hexdigit()) && bare.bytes().any(|b| b.is_ascii_digit()) {
        return bare.len() >= HEX_SHORTEST && bits(bare) >= HEX_BITS;
    }
    let digits = bare.bytes().filter(u8::is_ascii_digit).count();
    // Letters and digits that change all the time; in a name they come in words.
    bare.len() >= SHORTEST && digits >= 2 && bits(bare) >= MIXED_BITS && changes(bare) * 4 >= bare.len()
}

/// How often the class of characters changes from one to the next: lower case, upper case, digit, other. A word that
/// begins with a capital letter counts one change, not two.
fn changes(run: &str) -> usize {
    let class = |b: u8| match b {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let bytes = run.as_bytes();
    bytes
        .windows(2)
        .filter(|pair| {
            class(pair[0]) != class(pair[1]) && !(class(pair[0]) == 1 && class(pair[1]) == 0) && class(pair[1]) != 3
        })
        .count()
}

/// Shannon's entropy of the characters' frequencies, in bits per character.
fn bits(run: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in run.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let total = run.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / total)
        .map(|share| -share * share.log2())
        .sum()
}
