//! How many requests a key may make: a bucket that fills with time and empties with requests.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Buckets by caller.
pub struct Limiter {
    per_second: f64,
    buckets: Mutex<HashMap<String, (f64, Instant)>>,
}

/// Seconds whose requests may be made at once.
pub const BURST_SECONDS: u64 = 10;
/// Callers that are known at a time; full buckets are forgotten first, as they say nothing.
const MOST: usize = 10_000;

/// Where a caller stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Allowance {
    /// The request is allowed; so many more are at once.
    Allowed(u64),
    /// It is not, for so many seconds.
    Wait(u64),
}

impl Limiter {
    /// Allows `per_second` requests a second to each caller.
    pub fn new(per_second: u32) -> Limiter {
        Limiter { per_second: f64::from(per_second), buckets: Mutex::default() }
    }

    /// How many requests may be made at once.
    pub fn burst(&self) -> u64 {
        (self.per_second * BURST_SECONDS as f64) as u64
    }

    /// Takes a request of `caller` into account.
    pub fn take(&self, caller: &str, now: Instant) -> Allowance {
        let most = self.per_second * BURST_SECONDS as f64;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST && !buckets.contains_key(caller) {
            let level =
                |(left, at): &(f64, Instant)| left + now.duration_since(*at).as_secs_f64() * self.per_second;
            buckets.retain(|_, bucket| level(bucket) < most);
        }
        let (left, at) = buckets.entry(caller.to_owned()).or_insert((most, now));
        *left = (*left + now.duration_since(*at).as_secs_f64() * self.per_second).min(most);
        *at = now;
        if *left < 1.0 {
            return Allowance::Wait(((1.0 - *left) / self.per_second).ceil().max(1.0) as u64);
        }
        *left -= 1.0;
        Allowance::Allowed(*left as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_then_a_rate() {
        let limiter = Limiter::new(2);
        let start = Instant::now();
        for left in (0..20).rev() {
            assert_eq!(limiter.take("a", start), Allowance::Allowed(left));
        }
        assert_eq!(limiter.take("a", start), Allowance::Wait(1));
        assert_eq!(limiter.take("b", start), Allowance::Allowed(19), "another caller");
        assert_eq!(limiter.take("a", start + Duration::from_millis(600)), Allowance::Allowed(0));
        assert_eq!(limiter.take("a", start + Duration::from_secs(3600)), Allowance::Allowed(19));
    }
}
