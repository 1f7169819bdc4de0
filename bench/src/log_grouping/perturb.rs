//! The same sets, made strange: what was learned about these sets by heart does not help with these.

use super::data::Set;

/// The lines in another order, always the same one, with their true groups.
pub(crate) fn shuffled(set: &Set) -> (Vec<String>, Vec<u32>) {
    let mut order: Vec<usize> = (0..set.lines.len()).collect();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for i in (1..order.len()).rev() {
        // xorshift64: good enough to mix, and the same everywhere.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        order.swap(i, (state % (i as u64 + 1)) as usize);
    }
    let lines = order.iter().map(|&i| set.lines[i].clone()).collect();
    (lines, order.iter().map(|&i| set.truth[i]).collect())
}

/// Every run of four and more letters spelt with other letters, one to one, case kept. Shorter ones stay: units and
/// dates are no vocabulary.
pub(crate) fn renamed(set: &Set) -> Vec<String> {
    set.lines.iter().map(|line| rename(line)).collect()
}

fn rename(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while !rest.is_empty() {
        let run = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(run);
        let digits = word.strip_prefix('x').unwrap_or(word);
        let hexadecimal = digits.bytes().all(|b| b.is_ascii_hexdigit());
        let keep = word.len() < 4 || hexadecimal;
        out.extend(word.chars().map(|c| if keep { c } else { respell(c) }));
        let other = tail.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(tail.len());
        out.push_str(&tail[..other]);
        rest = &tail[other..];
    }
    out
}

fn respell(c: char) -> char {
    const TO: &[u8; 26] = b"uqzmokylwrgtdhisnxfvjpcbea";
    let letter = char::from(TO[(c.to_ascii_lowercase() as u8 - b'a') as usize]);
    if c.is_ascii_uppercase() {
        letter.to_ascii_uppercase()
    } else {
        letter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renaming_is_one_to_one() {
        let mut letters: Vec<char> = ('a'..='z').map(respell).collect();
        letters.sort_unstable();
        assert!(letters.into_iter().eq('a'..='z'));
        assert_eq!(rename("Sent 5 KB to 0xdeadbeef!"), "Fohv 5 KB to 0xdeadbeef!");
    }
}
