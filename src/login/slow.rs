//! How often somebody may be wrong: buckets by address, and by address and user name. Pure apart from its map; the time is
//! given.
//!
//! A secret that was made here cannot be guessed: whoever has it passes, whatever others behind the same address do. Only
//! the answer to a wrong one changes, from 401 to 429. A password that somebody chose can be guessed, so it is not even
//! looked at while the bucket is empty: for the address as a whole, unless that user name was right from there lately.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ring::hmac;

/// What an address may be wrong at once, and how long one more takes.
const ADDRESS: Allowance = Allowance { burst: 30.0, each: Duration::from_secs(2) };
/// The same for one user name of one tenant from there.
const USER: Allowance = Allowance { burst: 10.0, each: Duration::from_secs(10) };
/// What is looked up, in all, for addresses that were wrong too often: a flood of guesses is no flood of queries.
const LOOKS: Allowance = Allowance { burst: 20.0, each: Duration::from_millis(100) };
/// How long a user name that was right passes by an address's bucket.
const TRUSTED: Duration = Duration::from_secs(86_400);
/// How many buckets there are at most, and user names that were right.
const MOST: usize = 16_384;

#[derive(Clone, Copy, Debug)]
struct Allowance {
    burst: f64,
    each: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
    allowance: Allowance,
}

impl Bucket {
    fn left(&self, now: Instant) -> f64 {
        let filled = now.saturating_duration_since(self.at).as_secs_f64() / self.allowance.each.as_secs_f64();
        (self.left + filled).min(self.allowance.burst)
    }
}

type Key = [u8; 32];

/// Who was wrong lately.
#[derive(Debug)]
pub struct Slow {
    /// Names are kept as numbers that say nothing to anybody else, and are as long as each other.
    key: hmac::Key,
    buckets: Mutex<HashMap<Key, Bucket>>,
    trusted: Mutex<HashMap<Key, Instant>>,
}

impl Default for Slow {
    fn default() -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>());
        Self { key, buckets: Mutex::default(), trusted: Mutex::default() }
    }
}

/// As whom somebody comes, for passwords: the tenant's name and the user name, whether there are such or not.
pub type User<'a> = (&'a str, &'a str);

impl Slow {
    /// Takes one try with a password out of the buckets, before it is looked at: however many come at once, and whatever becomes
    /// of them, each has cost one. Given back by [`Slow::right`].
    ///
    /// # Errors
    /// How long nothing may be tried.
    pub fn may_try(&self, from: IpAddr, user: User<'_>, now: Instant) -> Result<(), Duration> {
        let (address, user) = (self.address(from), self.user(from, user));
        let trusted = self.trusts(&user, now);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        wait(&buckets, &user, now)?;
        if !trusted {
            wait(&buckets, &address, now)?;
        }
        make_room(&mut buckets, now);
        // Whoever is trusted may find the address's bucket empty.
        let _neighbours = take(&mut buckets, address, ADDRESS, now);
        take(&mut buckets, user, USER, now)
    }

    /// Somebody showed a credential that is none.
    ///
    /// # Errors
    /// How long to stay away, where that was once too often.
    pub fn wrong(&self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let address = self.address(from);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut buckets, now);
        take(&mut buckets, address, ADDRESS, now)
    }

    /// Whether something that nobody knows is looked up at all for an address: always, until it was wrong too often; then as far
    /// as all such addresses together have not used up what there is for them.
    ///
    /// # Errors
    /// How long nothing is looked up.
    pub fn may_look(&self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let address = self.address(from);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if wait(&buckets, &address, now).is_ok() {
            return Ok(());
        }
        make_room(&mut buckets, now);
        take(&mut buckets, self.number(&[b"looks"]), LOOKS, now)
    }

    /// Somebody's password was right.
    pub fn right(&self, from: IpAddr, user: User<'_>, now: Instant) {
        let (address, key) = (self.address(from), self.user(from, user));
        {
            let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
            for bucket in [address, key] {
                if let Some(bucket) = buckets.get_mut(&bucket) {
                    let left = (bucket.left(now) + 1.0).min(bucket.allowance.burst);
                    *bucket = Bucket { left, at: now, ..*bucket };
                }
            }
        }
        self.note(key, now);
    }

    /// Somebody whose credential cannot be guessed was right as that user.
    pub fn trust(&self, from: IpAddr, user: User<'_>, now: Instant) {
        self.note(self.user(from, user), now);
    }

    /// Whether somebody from there was right as that user lately.
    pub fn is_trusted(&self, from: IpAddr, user: User<'_>, now: Instant) -> bool {
        self.trusts(&self.user(from, user), now)
    }

    fn trusts(&self, key: &Key, now: Instant) -> bool {
        let trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        trusted.get(key).is_some_and(|at| now.saturating_duration_since(*at) < TRUSTED)
    }

    fn note(&self, key: Key, now: Instant) {
        let mut trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        if trusted.len() >= MOST {
            trusted.retain(|_, at| now.saturating_duration_since(*at) < TRUSTED);
        }
        if trusted.len() >= MOST {
            trusted.clear();
        }
        trusted.insert(key, now);
    }

    fn address(&self, from: IpAddr) -> Key {
        self.number(&[&network(from)])
    }

    fn user(&self, from: IpAddr, (slug, name): User<'_>) -> Key {
        self.number(&[&network(from), slug.as_bytes(), name.as_bytes()])
    }

    fn number(&self, parts: &[&[u8]]) -> Key {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut number = [0; 32];
        number.copy_from_slice(context.sign().as_ref());
        number
    }
}

fn make_room(buckets: &mut HashMap<Key, Bucket>, now: Instant) {
    if buckets.len() + 2 > MOST {
        buckets.retain(|_, bucket| bucket.left(now) < bucket.allowance.burst);
    }
    if buckets.len() + 2 > MOST {
        buckets.clear();
    }
}

/// Whoever has one address of version 6 has at least those of its network.
fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets()[..8].to_vec(),
    }
}

fn wait(buckets: &HashMap<Key, Bucket>, key: &Key, now: Instant) -> Result<(), Duration> {
    let Some(bucket) = buckets.get(key) else { return Ok(()) };
    let left = bucket.left(now);
    if left >= 1.0 { Ok(()) } else { Err(bucket.allowance.each.mul_f64(1.0 - left)) }
}

fn take(buckets: &mut HashMap<Key, Bucket>, key: Key, allowance: Allowance, now: Instant) -> Result<(), Duration> {
    let allowed = wait(buckets, &key, now);
    let bucket = buckets.entry(key).or_insert(Bucket { left: allowance.burst, at: now, allowance });
    if allowed.is_ok() {
        *bucket = Bucket { left: bucket.left(now) - 1.0, at: now, allowance };
    }
    allowed
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_that_is_wrong_too_often_waits_and_others_do_not() {
        let (slow, start) = (Slow::default(), Instant::now());
        for _ in 0..30 {
            slow.wrong(at("192.0.2.1"), start).unwrap();
        }
        assert_eq!(slow.wrong(at("192.0.2.1"), start), Err(Duration::from_secs(2)));
        slow.wrong(at("192.0.2.2"), start).unwrap();
        slow.wrong(at("192.0.2.1"), start + Duration::from_secs(2)).unwrap();
        assert!(slow.may_try(at("::ffff:192.0.2.1"), ("acme", "agent"), start + Duration::from_secs(3)).is_err());
    }

    #[test]
    fn for_addresses_that_were_wrong_too_often_little_is_looked_up_in_all() {
        let (slow, start) = (Slow::default(), Instant::now());
        let looks = |from: &str, now| (0..1000).filter(|_| slow.may_look(at(from), now).is_ok()).count();
        assert_eq!(looks("192.0.2.1", start), 1000);
        for from in ["192.0.2.1", "192.0.2.2"] {
            (0..30).for_each(|_| slow.wrong(at(from), start).unwrap());
        }
        assert_eq!((looks("192.0.2.1", start), looks("192.0.2.2", start), looks("192.0.2.3", start)), (20, 0, 1000));
        assert_eq!(looks("192.0.2.2", start + Duration::from_secs(1)), 10);
    }

    #[test]
    fn a_network_of_version_6_is_one_address() {
        let (slow, start) = (Slow::default(), Instant::now());
        for n in 0..30 {
            slow.wrong(at(&format!("2001:db8::{n:x}")), start).unwrap();
        }
        assert!(slow.wrong(at("2001:db8::ffff"), start).is_err());
        slow.wrong(at("2001:db8:0:1::"), start).unwrap();
    }

    #[test]
    fn a_user_name_is_guessed_ten_times_and_then_once_in_ten_seconds() {
        let (slow, start, from) = (Slow::default(), Instant::now(), at("192.0.2.1"));
        for _ in 0..10 {
            slow.may_try(from, ("acme", "agent"), start).unwrap();
        }
        assert_eq!(slow.may_try(from, ("acme", "agent"), start), Err(Duration::from_secs(10)));
        slow.may_try(from, ("acme", "other"), start).unwrap();
        slow.may_try(from, ("other", "agent"), start).unwrap();
        slow.may_try(from, ("acme", "agent"), start + Duration::from_secs(10)).unwrap();
    }

    #[test]
    fn who_was_right_is_not_kept_out_by_a_neighbour() {
        let (slow, start, from) = (Slow::default(), Instant::now(), at("192.0.2.1"));
        slow.right(from, ("acme", "agent"), start);
        for _ in 0..30 {
            slow.wrong(from, start).unwrap();
        }
        slow.may_try(from, ("acme", "agent"), start).unwrap();
        assert!(slow.may_try(from, ("acme", "other"), start).is_err());
        assert!(slow.may_try(at("192.0.2.2"), ("acme", "other"), start).is_ok());
    }

    #[test]
    fn a_try_costs_before_it_is_judged_and_nothing_where_it_was_right() {
        let (slow, start, from) = (Slow::default(), Instant::now(), at("192.0.2.1"));
        for _ in 0..100 {
            slow.may_try(from, ("acme", "agent"), start).unwrap();
            slow.right(from, ("acme", "agent"), start);
        }
        let allowed = (0..100).filter(|_| slow.may_try(from, ("acme", "agent"), start).is_ok()).count();
        assert_eq!(allowed, 10, "as many as come at once");
    }

    #[test]
    fn the_memory_is_bounded() {
        let (slow, start) = (Slow::default(), Instant::now());
        for n in 0..20_000_u32 {
            let _ = slow.may_try(IpAddr::from(n.to_be_bytes()), ("acme", "agent"), start);
            slow.right(IpAddr::from(n.to_be_bytes()), ("acme", "agent"), start);
        }
        assert!(slow.buckets.lock().unwrap().len() <= MOST && slow.trusted.lock().unwrap().len() <= MOST);
    }
}
