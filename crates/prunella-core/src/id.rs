//! Identifiers. Each is parsed where it enters and cannot be mistaken for another afterwards.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// An identifier that does not have the form it must have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{input}` is not a valid {kind}: {expected}")]
pub struct InvalidId {
    kind: &'static str,
    expected: &'static str,
    input: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses the text form.
            ///
            /// # Errors
            /// If the text does not have the form that the type's documentation names.
            pub fn parse(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) {
                    Ok(Self(text))
                } else {
                    let input = text.chars().take(80).collect();
                    Err(InvalidId { kind: $kind, expected: $expected, input })
                }
            }

            /// The text form.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_slug(text: &str, max: usize) -> bool {
    !text.is_empty()
        && text.len() <= max
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && !text.starts_with(['.', '-'])
}

id!(
    /// A full commit name: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
    CommitId, "commit", "expected 40 or 64 lower-case hexadecimal digits",
    |t| matches!(t.len(), 40 | 64) && is_hex(t)
);
id!(
    /// A release: one commit, checked out and started once. Safe as a path component.
    ReleaseId, "release", "expected up to 64 letters, digits, `-`, `_` and `.`", |t| is_slug(t, 64)
);
id!(
    /// An incident. Safe as a path component and in a branch name.
    IncidentId, "incident", "expected up to 64 letters, digits, `-`, `_` and `.`", |t| is_slug(t, 64)
);
id!(
    /// A service. Safe as a path component.
    ServiceName, "service name", "expected up to 64 letters, digits, `-`, `_` and `.`", |t| is_slug(t, 64)
);
id!(
    /// The SHA-256 of some content, as 64 lower-case hexadecimal digits.
    BlobId, "blob", "expected 64 lower-case hexadecimal digits", |t| t.len() == 64 && is_hex(t)
);

impl CommitId {
    /// Git's name for no object: what is not known to be any commit.
    #[must_use]
    pub fn null() -> Self {
        Self("0".repeat(40))
    }

    /// The first ten digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..10]
    }
}

impl BlobId {
    /// The identifier of this content.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(hex(&Sha256::digest(content)))
    }
}

impl IncidentId {
    /// An incident's name is a hash of what makes it this incident, so that opening it twice is harmless.
    #[must_use]
    pub fn derive(service: &ServiceName, release: &ReleaseId, cause: &str, onset_ms: i64) -> Self {
        Self(format!(
            "inc-{}",
            short_hash(&[service.as_str(), release.as_str(), cause, &onset_ms.to_string()], 10)
        ))
    }
}

/// Names one attempt at one stage of one incident: running a step twice is recognised by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(String);

impl StepId {
    /// hash(subject, stage, attempt).
    #[must_use]
    pub fn derive(subject: &str, stage: &str, attempt: u32) -> Self {
        Self(short_hash(&[subject, stage, &attempt.to_string()], 16))
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first `digits` hexadecimal digits of SHA-256 over the length-prefixed parts.
#[must_use]
pub fn short_hash(parts: &[&str], digits: usize) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut text = hex(&hasher.finalize());
    text.truncate(digits);
    text
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a String cannot fail");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_parsed_not_trusted() {
        assert!(CommitId::parse("a".repeat(40)).is_ok());
        assert!(CommitId::parse("A".repeat(40)).is_err());
        assert!(CommitId::parse("HEAD").is_err());
        for hostile in ["", "../x", "a/b", ".git", "-rf", "a b", "x\0"] {
            assert!(ReleaseId::parse(hostile).is_err(), "{hostile:?}");
        }
        assert!(serde_json::from_str::<BlobId>("\"zz\"").is_err());
    }

    #[test]
    fn hash_parts_do_not_run_together() {
        assert_ne!(short_hash(&["ab", "c"], 16), short_hash(&["a", "bc"], 16));
    }
}
