//! Token buckets: how often something may happen.

/// A bucket that refills with time. Time is the worker's coarse clock, in milliseconds.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    tokens: f64,
    at_ms: u64,
    per_second: f64,
    burst: f64,
}

impl Bucket {
    pub(crate) fn new(per_second: f64, burst: f64) -> Self {
        Self {
            tokens: burst,
            at_ms: 0,
            per_second,
            burst,
        }
    }

    fn refill(&mut self, now_ms: u64) {
        let elapsed = now_ms.saturating_sub(self.at_ms) as f64 / 1000.0;
        self.tokens = (self.tokens + elapsed * self.per_second).min(self.burst);
        self.at_ms = self.at_ms.max(now_ms);
    }

    /// Takes a token if there is one.
    pub(crate) fn take(&mut self, now_ms: u64) -> bool {
        let ok = self.has_token(now_ms);
        if ok {
            self.tokens -= 1.0;
        }
        ok
    }

    /// Whether there is a token.
    pub(crate) fn has_token(&mut self, now_ms: u64) -> bool {
        self.refill(now_ms);
        self.tokens >= 1.0
    }

    /// Takes a token even if that leaves a debt of up to one burst.
    pub(crate) fn charge(&mut self) {
        self.tokens = (self.tokens - 1.0).max(-self.burst);
    }

    /// Gives a token back.
    pub(crate) fn refund(&mut self) {
        self.tokens = (self.tokens + 1.0).min(self.burst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_refills() {
        let mut b = Bucket::new(10.0, 2.0);
        assert_eq!([b.take(0), b.take(0), b.take(0)], [true, true, false]);
        assert!(!b.take(99));
        assert!(b.take(100));
        assert!(!b.take(100));
        assert_eq!([b.take(10_000), b.take(10_000), b.take(10_000)], [true, true, false]);
    }

    #[test]
    fn charges_and_refunds_move_the_level() {
        let mut b = Bucket::new(0.0, 2.0);
        b.charge();
        b.charge();
        assert!(!b.has_token(0));
        b.refund();
        assert!(b.has_token(0));
    }
}
