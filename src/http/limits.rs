//! How many requests a tenant may make: a token bucket each, in this process. Pure apart from its map; the time is given.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

/// The buckets of all tenants.
#[derive(Debug)]
pub(super) struct Limiter {
    /// Requests a second; 0 turns the limit off.
    rate: f64,
    /// How many requests may come at once.
    burst: f64,
    buckets: Mutex<HashMap<Uuid, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Limiter {
    /// Allows `rate` requests a second on average (0: any number) and `burst` at once.
    pub(super) fn new(rate: u32, burst: u32) -> Self {
        Self { rate: f64::from(rate), burst: f64::from(burst.max(1)), buckets: Mutex::default() }
    }

    /// Takes one request out of the tenant's bucket.
    ///
    /// # Errors
    /// The time until there will be one.
    pub(super) fn take(&self, tenant: Uuid, now: Instant) -> Result<(), Duration> {
        if self.rate <= 0.0 {
            return Ok(());
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(tenant).or_insert(Bucket { left: self.burst, at: now });
        let elapsed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.left = (bucket.left + elapsed * self.rate).min(self.burst);
        bucket.at = now;
        if bucket.left >= 1.0 {
            bucket.left -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - bucket.left) / self.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACME: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    #[test]
    fn a_burst_is_served_and_then_the_rate() {
        let (limiter, start) = (Limiter::new(2, 3), Instant::now());
        for _ in 0..3 {
            assert!(limiter.take(ACME, start).is_ok());
        }
        assert_eq!(limiter.take(ACME, start), Err(Duration::from_millis(500)));
        assert!(limiter.take(ACME, start + Duration::from_millis(500)).is_ok());
        assert!(limiter.take(ACME, start + Duration::from_millis(600)).is_err());
    }

    #[test]
    fn one_tenant_does_not_slow_another() {
        let (limiter, start) = (Limiter::new(1, 1), Instant::now());
        assert!(limiter.take(ACME, start).is_ok());
        assert!(limiter.take(ACME, start).is_err());
        assert!(limiter.take(OTHER, start).is_ok());
    }

    #[test]
    fn a_rate_of_nought_means_no_limit() {
        let (limiter, start) = (Limiter::new(0, 1), Instant::now());
        assert!((0..1000).all(|_| limiter.take(ACME, start).is_ok()));
    }
}
