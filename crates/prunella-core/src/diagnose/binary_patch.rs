//! The `GIT binary patch` literal: how a patch carries content that has no lines.
//!
//! *Method*: both directions as literals, each a zlib stream in git's base 85. The stream uses stored blocks (no
//! compression): core needs no compressor, and such files are rare in a repair. `git apply` insists on a full index
//! line, which needs git's own object hash.
//! *Source*: git's `diff.c` (`emit_binary_diff`) and `apply.c`; RFC 1950, RFC 1951 §3.2.4; FIPS 180-4 for SHA-1.

use std::fmt::Write as _;

const TO_STRING: &str = "writing to a String cannot fail";
const ALPHABET: &[u8; 85] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";

/// The index line and both literals; `None` is a file that does not exist on that side.
pub(super) fn render(old: Option<&[u8]>, new: Option<&[u8]>) -> String {
    let mut out = format!("index {}..{}\nGIT binary patch\n", object_name(old), object_name(new));
    for content in [new, old] {
        let content = content.unwrap_or(&[]);
        writeln!(out, "literal {}", content.len()).expect(TO_STRING);
        for chunk in zlib_stored(content).chunks(52) {
            let length = chunk.len() as u8;
            out.push(char::from(if length <= 26 {
                b'A' + length - 1
            } else {
                b'a' + length - 27
            }));
            base85(chunk, &mut out);
            out.push('\n');
        }
        out.push('\n');
    }
    out
}

/// Git's name of a blob in a SHA-1 repository; zeros for none.
fn object_name(content: Option<&[u8]>) -> String {
    let Some(content) = content else { return "0".repeat(40) };
    let mut object = format!("blob {}\0", content.len()).into_bytes();
    object.extend_from_slice(content);
    sha1(&object).iter().fold(String::new(), |mut text, word| {
        write!(text, "{word:08x}").expect(TO_STRING);
        text
    })
}

fn base85(chunk: &[u8], out: &mut String) {
    for group in chunk.chunks(4) {
        let mut bytes = [0; 4];
        bytes[..group.len()].copy_from_slice(group);
        let mut value = u32::from_be_bytes(bytes);
        let mut digits = [0; 5];
        for digit in digits.iter_mut().rev() {
            *digit = ALPHABET[(value % 85) as usize];
            value /= 85;
        }
        out.extend(digits.map(char::from));
    }
}

fn zlib_stored(content: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let mut blocks = content.chunks(0xffff).peekable();
    if blocks.peek().is_none() {
        out.extend([1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.extend(adler32(content).to_be_bytes());
    out
}

fn adler32(content: &[u8]) -> u32 {
    let (mut a, mut b) = (1u32, 0u32);
    for chunk in content.chunks(5552) {
        for byte in chunk {
            a += u32::from(*byte);
            b += a;
        }
        a %= 65521;
        b %= 65521;
    }
    b << 16 | a
}

/// SHA-1 as git names objects with it. Not for security.
fn sha1(message: &[u8]) -> [u32; 5] {
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(64), 0);
    if padded.len() - message.len() < 9 {
        padded.resize(padded.len() + 64, 0);
    }
    let end = padded.len() - 8;
    padded[end..].copy_from_slice(&(message.len() as u64 * 8).to_be_bytes());
    let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    padded.chunks_exact(64).for_each(|block| sha1_block(&mut state, block));
    state
}

fn sha1_block(state: &mut [u32; 5], block: &[u8]) {
    let mut w = [0u32; 80];
    for (word, bytes) in w.iter_mut().zip(block.chunks_exact(4)) {
        *word = u32::from_be_bytes(bytes.try_into().expect("chunks of four bytes"));
    }
    for i in 16..80 {
        w[i] = (w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16]).rotate_left(1);
    }
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    for (i, word) in w.iter().enumerate() {
        let (f, k) = match i / 20 {
            0 => ((b & c) | (!b & d), 0x5a82_7999),
            1 => (b ^ c ^ d, 0x6ed9_eba1),
            2 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc_u32),
            _ => (b ^ c ^ d, 0xca62_c1d6),
        };
        let next = a
            .rotate_left(5)
            .wrapping_add(f)
            .wrapping_add(e)
            .wrapping_add(k)
            .wrapping_add(*word);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
    }
    for (sum, value) in state.iter_mut().zip([a, b, c, d, e]) {
        *sum = sum.wrapping_add(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_names_are_gits() {
        // `git hash-object` of an empty file, of "hello\n", and of lengths at the edges of the padding.
        assert_eq!(object_name(Some(b"")), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assert_eq!(
            object_name(Some(b"hello\n")),
            "ce013625030ba8dba906f756967f9e9ca394464a"
        );
        for (length, name) in BLOBS_OF_X {
            assert_eq!(object_name(Some("x".repeat(*length).as_bytes())), *name, "{length}");
        }
    }

    const BLOBS_OF_X: &[(usize, &str)] = &[
        (46, "1d98a4e287acc725ef6f635b729014f7d49148da"),
        (47, "719ddd7888a02660234770b651274214ff7df239"),
        (48, "3b3abca28de4b8ce6ea9dac5da512120ed7c5a0c"),
        (55, "e329c5109ce10a7367561757d2f5a053c528f11e"),
        (56, "355e203863c368f0404d7fc7ae4761122c117dd2"),
        (57, "f32768e30e0507780e5b9edc8afa9d3f1009926c"),
        (119, "476be27639daf140e142c5f18280c33563ade72b"),
        (200, "debcf03c10222209e6ac75be3fa2c1796d204d91"),
    ];

    #[test]
    fn checksum_of_rfc_1950() {
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }
}
