//! Answers that claim success and have another structure than the last-known-good release gives them.
//!
//! Both releases answer the same requests on the same state in the same sandbox, so that structures can be compared
//! exactly. What the good release itself answers now so and now otherwise is no sign.

use prunella_core::detect::shape::{Trait, differences};
use prunella_core::signal::ResponseShape;
use prunella_core::verify::Trial;

use super::outcome::not_run;
use super::probe_wire::{MAX_BODY, ProbeAnswer, ProbeReply, ProbeRequest, ProbeResult};
use super::reproduction::{Reproduction, Sign};
use crate::shapes;

/// The structure of a reply, if it is one that claims success.
fn of_reply(reply: &ProbeReply, uri: &str) -> Option<ResponseShape> {
    match &reply.answer {
        ProbeAnswer::Response {
            status,
            content_type,
            body,
            body_len,
            ..
        } if *status < 400 => {
            let whole = *body_len <= MAX_BODY as u64;
            let mut shape = shapes::of_answer(*status, content_type.as_deref(), uri, body, whole);
            shape.bytes = *body_len;
            Some(shape)
        }
        _ => None,
    }
}

/// The structures of the answers to the targets, which were sent after `before` other requests.
#[must_use]
pub fn answers(seen: &ProbeResult, before: usize, targets: &[ProbeRequest]) -> Vec<Option<ResponseShape>> {
    let mut all = vec![None; targets.len()];
    for reply in &seen.replies {
        let index = reply.request.checked_sub(before);
        if let Some((slot, target)) = index.and_then(|i| Some((all.get_mut(i)?, targets.get(i)?))) {
            *slot = of_reply(reply, &target.uri);
        }
    }
    all
}

/// What is otherwise on the failing release, in both of its runs, and never between two runs of the good one. Of that,
/// what was seen in production; all of it, but for what is only more, if none of that was.
#[must_use]
pub fn signs(
    good: [&[Option<ResponseShape>]; 2],
    bad: [&[Option<ResponseShape>]; 2],
    claims: &[(String, Trait)],
) -> Vec<Sign> {
    let mut all = Vec::new();
    for target in 0..good[0].len() {
        let at = |run: &[Option<ResponseShape>]| run.get(target).cloned().flatten();
        let (Some(g1), Some(g2), Some(b1), Some(b2)) = (at(good[0]), at(good[1]), at(bad[0]), at(bad[1])) else {
            continue;
        };
        let mut noise = differences(&g1, &g2);
        noise.extend(differences(&g2, &g1));
        let again = differences(&g1, &b2);
        let found = differences(&g1, &b1);
        let real = found.into_iter().filter(|d| again.contains(d) && !noise.contains(d));
        all.extend(real.map(|(at, what)| Sign { target, at, what }));
    }
    let exact: Vec<Sign> = all
        .iter()
        .filter(|s| claims.iter().any(|(at, what)| *at == s.at && *what == s.what))
        .cloned()
        .collect();
    let near = |s: &&Sign| claims.iter().any(|(at, _)| *at == s.at);
    if !exact.is_empty() {
        return exact;
    }
    let near: Vec<Sign> = all.iter().filter(near).cloned().collect();
    if !near.is_empty() {
        return near;
    }
    all.retain(|s| !matches!(s.what, Trait::Larger | Trait::Higher));
    all
}

/// Reads a trial: whether an answer shows one of the signs.
pub(super) fn read(
    reproduction: &Reproduction,
    seen: &ProbeResult,
    (signs, good): (&[Sign], &[Option<ResponseShape>]),
    good_class: Option<u16>,
) -> Trial {
    if let Some(why) = &seen.not_ready {
        return not_run(seen, why);
    }
    if signs.is_empty() {
        return not_run(seen, "the two releases' answers were not compared yet");
    }
    let location = &reproduction.identity.location;
    let from = reproduction.before.len();
    let answered = answers(seen, from, &reproduction.targets);
    let mut other = None;
    for (index, now) in answered
        .iter()
        .enumerate()
        .filter(|(i, _)| signs.iter().any(|s| s.target == *i))
    {
        let (Some(now), Some(Some(then))) = (now, good.get(index)) else {
            let reply = seen.replies.iter().find(|r| r.request == index + from);
            other = other.or(Some(Trial::OtherFailure {
                seen: format!("{location}: {}", said(reply)),
            }));
            continue;
        };
        let found = differences(then, now);
        let shown = signs
            .iter()
            .find(|s| s.target == index && found.iter().any(|(at, what)| *at == s.at && *what == s.what));
        if let Some(sign) = shown {
            let place = if sign.at.is_empty() { "the answer" } else { &sign.at };
            return Trial::Failed {
                seen: format!("{location}: {place} {}", sign.what.words()),
            };
        }
        if let Some(class) = good_class.filter(|class| *class != now.status / 100) {
            other = other.or(Some(Trial::OtherFailure {
                seen: format!("{location}: {}, not {class}xx", now.status),
            }));
        }
    }
    other.unwrap_or(Trial::Passed)
}

fn said(reply: Option<&ProbeReply>) -> String {
    match reply.map(|r| &r.answer) {
        Some(ProbeAnswer::Response { status, .. }) => status.to_string(),
        Some(ProbeAnswer::Broken { what }) => what.clone(),
        Some(ProbeAnswer::TimedOut) => "no response in time".to_owned(),
        None => "no answer".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(bodies: &[&str]) -> Vec<Option<ResponseShape>> {
        let of = |body: &&str| {
            Some(shapes::of_answer(
                200,
                Some("application/json"),
                "/a",
                body.as_bytes(),
                true,
            ))
        };
        bodies.iter().map(of).collect()
    }

    #[test]
    fn a_sign_is_what_is_otherwise_each_time_and_only_on_the_failing_release() {
        let good = [run(&[r#"{"a":1,"t":"x"}"#, "[1]"]), run(&[r#"{"a":1,"t":""}"#, "[1]"])];
        let bad = [run(&[r#"{"t":"","b":2}"#, "[]"]), run(&[r#"{"t":"","b":2}"#, "[]"])];
        let all = signs([&good[0], &good[1]], [&bad[0], &bad[1]], &[]);
        let words: Vec<(usize, &str, Trait)> = all.iter().map(|s| (s.target, s.at.as_str(), s.what)).collect();
        assert_eq!(
            words,
            [(0, "a", Trait::Missing), (1, "", Trait::Empty), (1, "", Trait::Smaller)]
        );
        let claimed = [(String::new(), Trait::Empty)];
        assert_eq!(signs([&good[0], &good[1]], [&bad[0], &bad[1]], &claimed).len(), 1);
        assert!(signs([&good[0], &good[1]], [&good[0], &good[1]], &[]).is_empty());
    }
}
