//! The hypothesis that no commit of the range did it.
//!
//! *Signals*: words of the failure that name the world outside: network, names, certificates, disk, quotas.
//! *Method*: begins at a quarter of the probability against suspects without evidence, whatever their number; the
//! first rule that the message meets adds to it. A commit is named only where its evidence beats this.
//! *Source*: a no-culprit hypothesis raised bisection accuracy from .80 to .97 (Google, ICST 2023).

use crate::diagnose::rank::{Evidence, NotTheCode, Symptom};

/// Odds against the sum of all suspects without evidence.
const PRIOR_ODDS: f64 = 1.0 / 3.0;

/// What a message may say, in lower case, and what it speaks for.
const RULES: &[(&[&str], f64, &str)] = &[
    (
        &[
            "no space left",
            "enospc",
            "disk quota exceeded",
            "disk is full",
            "read-only file system",
        ],
        3.0,
        "the disk",
    ),
    (
        &[
            "certificate has expired",
            "certificate expired",
            "cert_has_expired",
            "certificate is not yet valid",
        ],
        3.0,
        "a certificate",
    ),
    (
        &[
            "name or service not known",
            "enotfound",
            "eai_again",
            "temporary failure in name resolution",
            "nxdomain",
        ],
        2.5,
        "name resolution",
    ),
    (
        &[
            "connection refused",
            "econnrefused",
            "no route to host",
            "network is unreachable",
            "ehostunreach",
        ],
        2.0,
        "an upstream or the network",
    ),
    (
        &[
            "connection reset",
            "econnreset",
            "etimedout",
            "connection timed out",
            "bad gateway",
            "service unavailable",
        ],
        1.5,
        "an upstream or the network",
    ),
    (
        &[
            "too many requests",
            "rate limit",
            "quota exceeded",
            "resource_exhausted",
        ],
        2.0,
        "a quota",
    ),
    (
        &[
            "too many open files",
            "emfile",
            "cannot allocate memory",
            "enomem",
            "out of memory",
        ],
        1.0,
        "the machine's limits",
    ),
];

/// Weighs the hypothesis against this many suspects.
pub(in crate::diagnose) fn weigh(suspects: usize, symptom: &Symptom) -> NotTheCode {
    let mut evidence = Vec::new();
    let mut push = |weight: f64, sentence: String| {
        evidence.push(Evidence {
            engine: "no-code-cause".to_owned(),
            weight,
            sentence,
        });
    };
    push(
        (suspects.max(1) as f64 * PRIOR_ODDS).ln(),
        "failures also come without a change of the code".to_owned(),
    );
    let mut texts: Vec<String> = vec![
        symptom.identity.message.to_lowercase(),
        symptom.identity.class.to_lowercase(),
    ];
    for exception in &symptom.exceptions {
        texts.push(exception.message.to_lowercase());
        texts.push(exception.class.to_lowercase());
        texts.extend(exception.causes.iter().map(|cause| cause.message.to_lowercase()));
    }
    let says = |phrases: &[&str]| {
        phrases
            .iter()
            .any(|phrase| texts.iter().any(|text| text.contains(phrase)))
    };
    if let Some((_, weight, what)) = RULES.iter().find(|(phrases, _, _)| says(phrases)) {
        push(*weight, format!("the message speaks of {what}"));
    }
    let score = evidence.iter().map(|evidence| evidence.weight).sum();
    NotTheCode {
        score,
        probability: 0.0,
        evidence,
    }
}
