//! Structured personal data: what a format or a check digit tells. Names and places are not looked for.

use core::net::Ipv4Addr;
use std::sync::LazyLock;

use regex::Regex;

use super::{Finding, Kind};

macro_rules! pattern {
    ($name:ident, $pattern:expr) => {
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($pattern).expect("a constant pattern, compiled by every test of this file"));
    };
}

pattern!(EMAIL, r"(?i)[a-z0-9._%+-]{1,64}@(?:[a-z0-9-]{1,63}\.)+[a-z]{2,24}\b");
pattern!(
    PHONE,
    r"(?:\+|\b00)[1-9]\d{0,2}[ .\-/]?\(?\d{1,4}\)?(?:[ .\-/]?\d{2,4}){2,5}\b"
);
pattern!(DIGITS, r"\b\d(?:[ -]?\d){12,18}\b");
pattern!(IBAN, r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b");
pattern!(IDENTITY, r"\b\d{3}-\d{2}-\d{4}\b");
pattern!(IPV4, r"\b(?:\d{1,3}\.){3}\d{1,3}\b");

/// Personal data.
pub(super) fn find(text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut all = |pattern: &Regex, kind, rule, is: &dyn Fn(&str) -> bool| {
        let matches = pattern.find_iter(text).filter(|found| is(found.as_str()));
        found.extend(matches.map(|found| Finding {
            span: found.range(),
            kind,
            rule,
        }));
    };
    all(&EMAIL, Kind::Email, "mail address", &|address| !is_reserved(address));
    all(&PHONE, Kind::Phone, "telephone number", &|number| {
        (9..=17).contains(&number.bytes().filter(u8::is_ascii_digit).count())
    });
    all(&DIGITS, Kind::Card, "card number", &is_card);
    all(&IBAN, Kind::Account, "bank account", &is_iban);
    all(&IDENTITY, Kind::Account, "identity number", &|number| {
        !number.starts_with("000")
    });
    all(&IPV4, Kind::Address, "internet address", &is_public);
    found
}

/// Names that belong to nobody (RFC 2606, RFC 6761).
fn is_reserved(address: &str) -> bool {
    let domain = address.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
    let of = |name: &str| domain == name || domain.ends_with(&format!(".{name}"));
    [
        "example.com",
        "example.org",
        "example.net",
        "test",
        "example",
        "invalid",
        "localhost",
    ]
    .into_iter()
    .any(of)
}

/// ISO/IEC 7812: Luhn's check digit, and a first digit that issuers of cards have.
fn is_card(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match at % 2 {
            0 => *digit,
            _ if digit * 2 > 9 => digit * 2 - 9,
            _ => digit * 2,
        })
        .sum();
    matches!(digits.first(), Some(2..=6)) && sum.is_multiple_of(10)
}

/// ISO 13616: the number modulo 97 is 1.
fn is_iban(text: &str) -> bool {
    let compact: Vec<u8> = text.bytes().filter(|b| *b != b' ').collect();
    if !(15..=34).contains(&compact.len()) {
        return false;
    }
    let rotated = compact[4..].iter().chain(&compact[..4]);
    let rest = rotated.fold(0_u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte.to_ascii_uppercase().wrapping_sub(b'A')) + 10) % 97,
    });
    rest == 1
}

/// Addresses that lead to somebody. Private, local and documentation ranges do not (RFC 1918, 5737, 3927).
fn is_public(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok_and(|address| {
        let first = address.octets()[0];
        !(address.is_private()
            || address.is_loopback()
            || address.is_link_local()
            || address.is_unspecified()
            || address.is_broadcast()
            || address.is_documentation()
            || address.is_multicast())
            && first >= 11
    })
}
