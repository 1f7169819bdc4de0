//! Terminal escapes (ECMA-48), which colour-loving runtimes print even into pipes.

use std::borrow::Cow;

/// `text` without escape sequences (CSI, OSC and the two-byte ones) and without other C0 controls but tab and newline.
///
/// Python ≥ 3.13 and Node colour their stack traces when told to, frameworks colour their logs.
pub fn strip_ansi(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(is_control) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\t' | '\n' => out.push(c),
            c if c.is_ascii_control() => {}
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t' && byte != b'\n'
}

fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            // Parameter and intermediate bytes, then one final byte. Anything else ends a broken sequence unread.
            while chars.next_if(|c| (' '..='?').contains(c)).is_some() {}
            chars.next_if(|c| ('@'..='~').contains(c));
        }
        Some(']') => {
            chars.next();
            // An operating system command ends with BEL or ESC \; a broken one ends with the line.
            while let Some(c) = chars.next_if(|c| *c != '\n') {
                if c == '\u{7}' {
                    break;
                }
                if c == '\u{1b}' {
                    chars.next_if_eq(&'\\');
                    break;
                }
            }
        }
        Some(c) if c.is_ascii() && !c.is_ascii_control() => {
            chars.next();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_text_stays() {
        assert_eq!(
            strip_ansi("\u{1b}[1;35mKeyError\u{1b}[0m: \u{1b}[35m'total'\u{1b}[0m"),
            "KeyError: 'total'"
        );
        assert_eq!(strip_ansi("a\u{1b}]8;;http://x\u{7}link\u{1b}]8;;\u{1b}\\b"), "alinkb");
        assert_eq!(strip_ansi("tab\there\r"), "tab\there");
        assert_eq!(strip_ansi("broken \u{1b}["), "broken ");
    }
}
