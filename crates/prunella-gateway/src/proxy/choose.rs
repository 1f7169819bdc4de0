//! Dealing requests between primary and canary.

use crate::control::Stickiness;
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};
use std::cell::Cell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

/// 2^64 divided by the golden ratio: steps of this size, modulo 2^64, fill the circle as evenly as
/// possible at every moment (Weyl's equidistribution; Knuth, TAOCP vol. 3, §6.4).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Decides for each request whether the canary gets it.
pub(crate) struct Dealer {
    /// Points below this, of 2^64, are the canary's; `None` when every point is.
    threshold: Option<u64>,
    sticky: Stickiness,
    point: Cell<u64>,
}

impl Dealer {
    pub(crate) fn new(share: f64, sticky: Stickiness) -> Self {
        let threshold = (share < 1.0).then(|| (share * 2_f64.powi(64)) as u64);
        Self {
            threshold,
            sticky,
            point: Cell::new(0),
        }
    }

    /// Whether the canary gets a request with these headers from this client.
    pub(crate) fn deal(&self, headers: &HeaderMap, client: IpAddr) -> bool {
        let Some(threshold) = self.threshold else { return true };
        let key = match self.sticky {
            Stickiness::Session => session_key(headers),
            Stickiness::Client => Some(hash_of(&client)),
            Stickiness::None => None,
        };
        key.unwrap_or_else(|| self.next_point()) < threshold
    }

    fn next_point(&self) -> u64 {
        let p = self.point.get().wrapping_add(GOLDEN);
        self.point.set(p);
        p
    }
}

/// A hash of what identifies the session: the credentials, or else a session-like cookie.
fn session_key(headers: &HeaderMap) -> Option<u64> {
    if let Some(a) = headers.get(AUTHORIZATION) {
        return Some(hash_of(a.as_bytes()));
    }
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|v| v.as_bytes().split(|b| *b == b';'))
        .find_map(|pair| {
            let pair = pair.trim_ascii();
            let name = &pair[..pair.iter().position(|b| *b == b'=')?];
            is_session_name(name).then(|| hash_of(pair))
        })
}

fn is_session_name(name: &[u8]) -> bool {
    [&b"sess"[..], b"sid", b"auth"]
        .iter()
        .any(|part| name.windows(part.len()).any(|w| w.eq_ignore_ascii_case(part)))
}

/// The same in every worker and after a restart: SipHash with fixed keys. Clients who choose their
/// cookie to land on one side gain nothing by it.
fn hash_of<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut h = DefaultHasher::new();
    value.hash(&mut h);
    h.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn dealt(share: f64, n: usize) -> usize {
        let d = Dealer::new(share, Stickiness::Session);
        (0..n).filter(|_| d.deal(&HeaderMap::new(), CLIENT)).count()
    }

    #[test]
    fn shares_hold_from_the_first_requests_on() {
        assert_eq!(dealt(0.0, 1000), 0);
        assert_eq!(dealt(1.0, 1000), 1000);
        for (n, share) in [(20, 0.1), (100, 0.1), (1000, 0.25), (1000, 0.01)] {
            let expected = n as f64 * share;
            assert!(
                (dealt(share, n) as f64 - expected).abs() <= 1.5,
                "{share} of {n}: {}",
                dealt(share, n)
            );
        }
    }

    #[test]
    fn sessions_stay_on_one_side() {
        let d = Dealer::new(0.5, Stickiness::Session);
        let mut sides = [0; 2];
        for i in 0..200 {
            let mut h = HeaderMap::new();
            h.insert(COOKIE, format!("theme=dark; sessionid={i}").parse().unwrap());
            let side = d.deal(&h, CLIENT);
            h.insert(COOKIE, format!("theme=light; sessionid={i}").parse().unwrap());
            assert!((0..10).all(|_| d.deal(&h, CLIENT) == side));
            sides[usize::from(side)] += 1;
        }
        assert!(sides[0] > 60 && sides[1] > 60, "{sides:?}");
    }

    #[test]
    fn stickiness_by_client_is_all_or_nothing_for_one_address() {
        let d = Dealer::new(0.5, Stickiness::Client);
        let first = d.deal(&HeaderMap::new(), CLIENT);
        assert!((0..100).all(|_| d.deal(&HeaderMap::new(), CLIENT) == first));
    }
}
