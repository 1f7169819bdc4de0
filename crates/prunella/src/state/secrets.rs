//! What looks like a secret, by name and by value. A wrong "yes" costs a reproduction a variable, and says so; a wrong
//! "no" hands a secret to untrusted code. The rules lean to the first.

use std::collections::HashMap;
use std::path::Path;

/// Words of a name that make its value a secret.
const WORDS: &[&str] = &[
    "SECRET",
    "SECRETS",
    "TOKEN",
    "TOKENS",
    "PASSWORD",
    "PASSWORDS",
    "PASSWD",
    "PASSPHRASE",
    "PASS",
    "PWD",
    "PW",
    "CREDENTIAL",
    "CREDENTIALS",
    "CREDS",
    "PRIVATE",
    "KEY",
    "KEYS",
    "APIKEY",
    "AUTH",
    "AUTHORIZATION",
    "COOKIE",
    "COOKIES",
    "SALT",
    "PEPPER",
    "SIGNATURE",
    "DSN",
    "JWT",
    "OTP",
    "PIN",
    "WEBHOOK",
];

/// Names that contain such a word and are harmless.
const HARMLESS: &[&str] = &["PWD", "OLDPWD", "SSH_AUTH_SOCK"];

/// How the values of well-known kinds of secrets begin.
const PREFIXES: &[&str] = &[
    "AKIA",
    "ASIA",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "sk-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "xoxa-",
    "xoxb-",
    "xoxp-",
    "xoxr-",
    "xoxs-",
    "xapp-",
    "eyJ",
    "AIza",
    "SG.",
    "hf_",
    "npm_",
    "pypi-",
    "dop_v1_",
    "ya29.",
    "whsec_",
    "shpat_",
    "lin_api_",
    "Bearer ",
    "Basic ",
];

/// Whether a variable of this name holds a secret.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let upper = words_of(name);
    !HARMLESS.contains(&name)
        && upper.split('_').any(|word| {
            let plain = word.trim_end_matches(|c: char| c.is_ascii_digit());
            WORDS.contains(&plain) || ["PASSWORD", "SECRET", "APIKEY"].iter().any(|part| word.contains(part))
        })
}

/// The name in capitals with `_` between its words; `apiKey` has two.
fn words_of(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    let mut lower = false;
    for char in name.chars() {
        if !char.is_ascii_alphanumeric() {
            text.push('_');
        } else {
            if lower && char.is_ascii_uppercase() {
                text.push('_');
            }
            text.push(char.to_ascii_uppercase());
        }
        lower = char.is_ascii_lowercase();
    }
    text
}

/// Whether a value is a secret, whatever its name: a key, a token, an address with a password in it.
#[must_use]
pub fn is_secret_value(value: &str) -> bool {
    let value = value.trim();
    value.contains("-----BEGIN ")
        || PREFIXES
            .iter()
            .any(|prefix| value.starts_with(prefix) && value.len() >= prefix.len() + 8)
        || has_userinfo(value)
        || has_secret_parameter(value)
        || looks_random(value)
}

/// `scheme://user:password@host`, and `scheme://key@host` as error trackers use it.
fn has_userinfo(value: &str) -> bool {
    value.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', '#', ' ']).next().unwrap_or_default();
        authority
            .rsplit_once('@')
            .is_some_and(|(userinfo, _)| userinfo.contains(':') || userinfo.len() >= 16)
    })
}

/// `name=value` pairs, as in queries and connection strings.
fn has_secret_parameter(value: &str) -> bool {
    value.split(['?', '&', ';', ' ', ',']).any(|pair| {
        pair.split_once('=')
            .is_some_and(|(name, value)| !value.is_empty() && is_secret_name(name.trim()))
    })
}

/// One long word of mixed characters with the entropy of a generated one (Shannon, bits per character).
fn looks_random(value: &str) -> bool {
    const SHORTEST: usize = 20;
    const BITS: f64 = 3.4;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '=');
    let (letters, digits) = (
        value.chars().any(|c| c.is_ascii_alphabetic()),
        value.chars().any(|c| c.is_ascii_digit()),
    );
    value.len() >= SHORTEST && value.chars().all(plain) && letters && digits && entropy(value) >= BITS
}

#[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^52")]
fn entropy(text: &str) -> f64 {
    let mut counts: HashMap<u8, usize> = HashMap::new();
    for byte in text.bytes() {
        *counts.entry(byte).or_default() += 1;
    }
    let length = text.len() as f64;
    counts
        .values()
        .map(|count| *count as f64 / length)
        .map(|share| -share * share.log2())
        .sum()
}

/// Whether a file holds secrets, by its name or that of a directory above it.
#[must_use]
pub fn is_secret_file(path: &Path) -> bool {
    const DIRECTORIES: &[&str] = &[".ssh", ".aws", ".gnupg", ".kube", ".docker", ".azure", ".gcloud"];
    const NAMES: &[&str] = &[
        ".env",
        ".netrc",
        ".pgpass",
        ".my.cnf",
        ".npmrc",
        ".pypirc",
        ".git-credentials",
        ".htpasswd",
        ".vault-token",
    ];
    const EXTENSIONS: &[&str] = &["pem", "key", "p12", "pfx", "jks", "keystore", "kdbx", "ppk", "gpg"];
    const STEMS: &[&str] = &[
        "credentials",
        "secrets",
        "secret",
        "id_rsa",
        "id_dsa",
        "id_ecdsa",
        "id_ed25519",
    ];
    let in_directory = path.iter().any(|part| DIRECTORIES.iter().any(|name| part == *name));
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().to_ascii_lowercase())
        .unwrap_or_default();
    let (stem, extension) = name.rsplit_once('.').unwrap_or((&name, ""));
    let example = ["example", "sample", "template", "dist"].contains(&extension);
    in_directory
        || NAMES.contains(&name.as_str())
        || (name.starts_with(".env.") && !example)
        || EXTENSIONS.contains(&extension)
        || (STEMS.contains(&stem) && extension != "py" && extension != "js" && extension != "rs")
}

/// Whether a file begins with a private key.
pub(super) fn is_secret_content(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for secret in [
            "DB_PASSWORD",
            "SECRET_KEY",
            "apiKey",
            "GITHUB_TOKEN",
            "PGPASSWORD",
            "DB_PWD",
            "stripe-key",
            "JWT2",
        ] {
            assert!(is_secret_name(secret), "{secret}");
        }
        for plain in [
            "PATH",
            "PWD",
            "TOKENIZERS_PARALLELISM",
            "KEYBOARD",
            "BYPASS",
            "DEBUG",
            "MONKEY",
            "TZ",
            "COMPASS",
        ] {
            assert!(!is_secret_name(plain), "{plain}");
        }
    }

    #[test]
    fn values() {
        for secret in [
            "postgres://app:hunter2@db/app",
            "https://0123456789abcdef0123@o1.ingest.example/1",
            "redis://cache:6379/0?password=x",
            "Server=db;Password=hunter2;",
            "ghp_0123456789abcdefghij",
            "-----BEGIN RSA PRIVATE KEY-----",
            "9f86d081884c7d659a2feaa0c55ad015",
            "c2VjcmV0LXZhbHVlLTEyMzQ1Njc4",
        ] {
            assert!(is_secret_value(secret), "{secret}");
        }
        for plain in [
            "",
            "production",
            "/var/lib/app/data.db",
            "postgres://db/app",
            "sqlite:///data/shop.db?mode=rw",
            "http://127.0.0.1:4318",
            "a-long-but-plain-service-name",
            "db-prod-eu1.internal.example.com",
            "true,false,maybe",
            "aaaaaaaaaaaaaaaaaaaaaaaa1",
        ] {
            assert!(!is_secret_value(plain), "{plain}");
        }
    }

    #[test]
    fn files() {
        for secret in [
            ".env",
            "x/.env.production",
            "tls/server.key",
            "a/.ssh/config",
            "id_rsa",
            "Credentials.json",
        ] {
            assert!(is_secret_file(Path::new(secret)), "{secret}");
        }
        for plain in [
            ".env.example",
            "data.db",
            "keys/readme.md",
            "secrets.py",
            "id_rsa_notes.txt",
        ] {
            assert!(!is_secret_file(Path::new(plain)), "{plain}");
        }
    }
}
