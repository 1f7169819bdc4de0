//! Which of the recorded requests are put to the instances, and what is not covered.

use std::collections::{BTreeMap, BTreeSet};

use prunella_core::verify::shadow::Shadow;

use super::traffic::Recorded;

/// The same request is asked once; what an instance answers differently the next time shows in the trios.
const MAX_BYTES: usize = 16 << 20;

/// Chooses at most `most` requests, so that each route has its share, and keeps their order. What is left out is written
/// into the report.
pub(super) fn choose(all: Vec<Recorded>, writes: bool, most: usize, shadow: &mut Shadow) -> Vec<Recorded> {
    let mut seen = BTreeSet::new();
    let mut fit = Vec::new();
    for recorded in all {
        if !recorded.is_complete {
            shadow.leave_out("the body was not recorded", &recorded.label());
        } else if !recorded.is_safe() && !writes {
            let why = "they change state: not mirrored without `--writes`";
            shadow.leave_out(why, &recorded.label());
        } else if !recorded.is_safe() || seen.insert(recorded.request.clone_key()) {
            fit.push(recorded);
        }
    }
    let chosen = shares(&fit, most);
    let mut bytes = 0;
    let mut kept = Vec::new();
    for (number, recorded) in fit.into_iter().enumerate() {
        bytes += if chosen.contains(&number) {
            recorded.request.body.len()
        } else {
            0
        };
        if chosen.contains(&number) && bytes <= MAX_BYTES {
            kept.push(recorded);
        } else {
            shadow.leave_out("beyond the limit of requests", &recorded.label());
        }
    }
    kept
}

/// One request of each route in turn, until there are enough.
fn shares(fit: &[Recorded], most: usize) -> BTreeSet<usize> {
    let mut by_route: BTreeMap<(&str, Option<u16>), Vec<usize>> = BTreeMap::new();
    for (number, recorded) in fit.iter().enumerate() {
        by_route
            .entry((&recorded.route, recorded.status))
            .or_default()
            .push(number);
    }
    let mut chosen = BTreeSet::new();
    for round in 0..fit.len() {
        for numbers in by_route.values() {
            if chosen.len() >= most {
                return chosen;
            }
            chosen.extend(numbers.get(round));
        }
    }
    chosen
}

/// What makes two requests the same.
trait Key {
    fn clone_key(&self) -> (String, String, Vec<(String, String)>, Vec<u8>);
}

impl Key for crate::experiment::probe_wire::ProbeRequest {
    fn clone_key(&self) -> (String, String, Vec<(String, String)>, Vec<u8>) {
        let told = |name: &str| ["accept", "authorization", "cookie", "content-type", "range"].contains(&name);
        let headers = self
            .headers
            .iter()
            .filter(|(name, _)| told(&name.to_ascii_lowercase()))
            .cloned();
        (
            self.method.clone(),
            self.uri.clone(),
            headers.collect(),
            self.body.clone(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shadow::traffic;

    fn check(text: &str, writes: bool, most: usize, expected: &[&str], left: &[u64]) {
        let mut shadow = Shadow::default();
        let kept = choose(traffic::read(text).unwrap().requests, writes, most, &mut shadow);
        let labels: Vec<String> = kept.iter().map(Recorded::label).collect();
        assert_eq!(labels, expected);
        assert_eq!(shadow.not_covered.iter().map(|n| n.requests).collect::<Vec<_>>(), left);
    }

    #[test]
    fn writes_are_not_mirrored_unless_the_owner_says_so() {
        let text = "GET /a\nPOST /b\nPOST /b\nGET /a\n";
        check(text, false, 9, &["GET /a"], &[2]);
        check(text, true, 9, &["GET /a", "POST /b", "POST /b"], &[]);
        check("\"POST /b HTTP/1.1\" 200\n/a", true, 9, &["GET /a"], &[1]);
    }

    #[test]
    fn every_route_has_its_share() {
        let text = "/a/1\n/a/2\n/a/3\n/b\n/a/4";
        check(text, false, 3, &["GET /a/1", "GET /a/2", "GET /b"], &[2]);
    }
}
