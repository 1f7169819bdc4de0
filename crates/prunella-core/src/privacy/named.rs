//! Values that are secret because of the name they are given to: `db_password = "…"`, `API_KEY=…`, `"token": "…"`.

use std::sync::LazyLock;

use regex::Regex;

use super::{Finding, Kind};

/// Words that make a name one of a secret.
const WORDS: &str = r"passw(?:or)?d|passwd|passphrase|pwd|secret|token|api[_-]?key|apikey|access[_-]?key|private[_-]?key|signing[_-]?key|encryption[_-]?key|master[_-]?key|credential|client[_-]?secret|auth[_-]?key|session[_-]?id|connection[_-]?string|webhook[_-]?url|salt|pepper|otp|pin[_-]?code";

static QUOTED: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = format!(
        r#"(?i)[A-Za-z0-9_.-]*(?:{WORDS})[A-Za-z0-9_.-]*["'`]?\]?\s*(?::\s*[A-Za-z_&'\[\]<>. |]{{0,40}}=|=>|:=|={{1,3}}|!==?|:|,)\s*(?:[bruf]{{0,2}}|@|\$)(?:"([^"\r\n]{{3,512}})"|'([^'\r\n]{{3,512}})'|`([^`\r\n]{{3,512}})`)"#
    );
    Regex::new(&pattern).expect("a constant pattern, compiled by every test of this file")
});

static BARE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = format!(
        r#"(?im)(?:^|[\s;,{{?&])[A-Za-z0-9_.-]*(?:{WORDS})[A-Za-z0-9_.-]*["']?\s*[=:]\s*([^\s"'`,;&<>(){{}}\[\]]{{4,512}})(?:$|[\s,;&}}"'])"#
    );
    Regex::new(&pattern).expect("a constant pattern, compiled by every test of this file")
});

/// Values of secret names.
pub(super) fn find(text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for captures in QUOTED.captures_iter(text) {
        let Some(value) = (1..=3).find_map(|group| captures.get(group)) else {
            continue;
        };
        if !is_harmless(value.as_str()) {
            found.push(finding(value.range()));
        }
    }
    let mut from = 0;
    // The end of one value may be the beginning of the next name: matches may share that character.
    while let Some(captures) = BARE.captures_at(text, from) {
        let Some(value) = captures.get(1) else { break };
        if !is_harmless(value.as_str()) && !is_code(value.as_str()) {
            found.push(finding(value.range()));
        }
        from = value.end();
    }
    found
}

fn finding(span: std::ops::Range<usize>) -> Finding {
    Finding {
        span,
        kind: Kind::Secret,
        rule: "value of a secret name",
    }
}

/// References to where the secret is kept, and words of a language: `${DB_PASSWORD}`, `os.environ[...]`, `bearer`.
fn is_harmless(value: &str) -> bool {
    let reference =
        value.starts_with("${") || value.starts_with("{{") || value.starts_with("$(") || value.starts_with("<%");
    let word = value.len() <= 24
        && (value
            .bytes()
            .all(|b| b.is_ascii_lowercase() || matches!(b, b'_' | b'-' | b' '))
            && is_plain_word(value));
    reference
        || word
        || value
            .bytes()
            .all(|b| matches!(b, b'*' | b'x' | b'X' | b'.' | b'-' | b'#'))
}

/// Words that stand where a secret could, and are none.
fn is_plain_word(value: &str) -> bool {
    const PLAIN: &[&str] = &[
        "token",
        "tokens",
        "password",
        "passwd",
        "secret",
        "bearer",
        "basic",
        "none",
        "null",
        "true",
        "false",
        "undefined",
        "string",
        "str",
        "text",
        "hidden",
        "required",
        "optional",
        "invalid",
        "missing",
        "empty",
        "access",
        "refresh",
        "session",
        "header",
        "cookie",
        "query",
        "body",
        "json",
        "form",
        "default",
        "number",
        "integer",
        "identifier",
        "username",
        "user",
        "email",
        "api_key",
        "apikey",
        "access_token",
        "refresh_token",
        "csrf_token",
        "id_token",
        "token_type",
        "client_secret",
        "private_key",
        "public_key",
        "salt",
        "sha1",
        "sha256",
        "md5",
        "utf-8",
        "ascii",
        "operator",
        "keyword",
        "literal",
        "comment",
        "whitespace",
        "newline",
        "punctuation",
        "error",
        "name",
        "value",
        "key",
        "type",
        "and",
        "for",
        "not",
        "with",
    ];
    PLAIN.contains(&value)
}

/// What stands unquoted after a name is code more often than a value: a type, a variable, a call, a number.
fn is_code(value: &str) -> bool {
    let path = value
        .bytes()
        .all(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'.' | b':' | b'*' | b'?' | b'|' | b'!'));
    let number = value.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'_')) && value.len() < 6;
    let mixed = value.bytes().any(|b| b.is_ascii_lowercase()) && value.bytes().any(|b| b.is_ascii_uppercase());
    number || (path && (value.contains(['.', ':', '_', '*', '?', '|', '!']) || !mixed || value.len() < 12))
}
