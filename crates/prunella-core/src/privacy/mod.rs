//! What may leave the machine: text goes out only as [`Redacted`], and only a [`Vault`] makes one.
//!
//! *Method*: secrets are found by rules ([`rules`], one row a kind of credential), by the names they are given to
//! ([`named`]) and by their randomness ([`entropy`]); structured personal data by formats with check digits
//! ([`personal`]). Names and places of people are not found by rules, and nothing here claims it. What is found is
//! replaced by a placeholder that is the same for the same value, so that a reader can still tell two apart; the vault
//! keeps the way back. Finding too much costs little, because it is put back; finding too little cannot be undone.
//! *Source*: the classes of credentials follow what public scanners look for (GitHub secret scanning's list of partner
//! patterns); entropy thresholds after Meli et al., "How Bad Can It Git?", NDSS 2019. The rules are our own.

mod entropy;
mod named;
mod personal;
mod rules;
mod vault;

use std::ops::Range;

pub use vault::{Redacted, Unresolved, Vault};

/// What a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A credential.
    Secret,
    /// An electronic mail address.
    Email,
    /// A telephone number in international form.
    Phone,
    /// A payment card's number.
    Card,
    /// An international bank account number, or a national identity number.
    Account,
    /// A public internet address.
    Address,
    /// What looks like a placeholder already: it is replaced too, so that none can be forged.
    Literal,
}

impl Kind {
    /// Its word in a placeholder.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Secret => "SECRET",
            Self::Email => "EMAIL",
            Self::Phone => "PHONE",
            Self::Card => "CARD",
            Self::Account => "ACCOUNT",
            Self::Address => "ADDRESS",
            Self::Literal => "LITERAL",
        }
    }
}

/// A place in a text that must not leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// What it is.
    pub kind: Kind,
    /// Which rule found it.
    pub rule: &'static str,
}

/// Everything in a text that must not leave, in order and without overlaps: findings that touch each other's bytes
/// become one, named after the first.
#[must_use]
pub fn findings(text: &str) -> Vec<Finding> {
    let mut found = rules::find(text);
    found.extend(named::find(text));
    found.extend(entropy::find(text));
    found.extend(personal::find(text));
    merged(found)
}

fn merged(mut found: Vec<Finding>) -> Vec<Finding> {
    found.retain(|finding| !finding.span.is_empty());
    found.sort_by_key(|finding| (finding.span.start, finding.kind, usize::MAX - finding.span.end));
    let mut result: Vec<Finding> = Vec::with_capacity(found.len());
    for finding in found {
        match result.last_mut() {
            Some(last) if finding.span.start < last.span.end => {
                last.span.end = last.span.end.max(finding.span.end);
                last.kind = last.kind.min(finding.kind);
            }
            _ => result.push(finding),
        }
    }
    result
}

#[cfg(test)]
mod tests;
