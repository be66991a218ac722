//! Passwords that somebody chose: argon2id, slow on purpose, and so never more than a few at a time, never on a thread that
//! answers requests, and not again for a minute once it was right.
//!
//! A secret that was made here has 256 random bits and needs none of this.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use ring::hmac;
use tokio::sync::Semaphore;

use crate::secret::Secret;

/// 7 MiB, five passes, one lane: of what OWASP advises for argon2id as equally good, what takes the least memory. What is
/// stored names its own, so that these may change.
const MEMORY_KIB: u32 = 7 * 1024;
const PASSES: u32 = 5;
const LANES: u32 = 1;

/// Shorter ones can be guessed.
pub const SHORTEST: usize = 12;
/// Longer ones are nobody's, in bytes.
const LONGEST: usize = 512;
/// How many are checked at once at most; each takes a core and its memory, which the allocator keeps for the next.
const MOST_AT_ONCE: usize = 2;
/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long one that was right is not checked again.
const REMEMBERED: Duration = Duration::from_secs(60);
/// How many are remembered.
const MOST_REMEMBERED: usize = 4096;

/// What a chosen password must be.
pub const CHOSEN: &str = "a password has 12 or more characters, at most 512 bytes, and no control characters";

/// Whether somebody may choose this; see [`CHOSEN`].
pub fn may_be_chosen(password: &Secret) -> bool {
    let text = password.expose();
    text.chars().count() >= SHORTEST && text.len() <= LONGEST && !text.chars().any(char::is_control)
}

/// Nobody has time to check it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked")]
pub struct Busy;

/// A password cannot be hashed.
#[derive(Debug, thiserror::Error)]
#[error("the password cannot be hashed: {0}")]
pub struct HashError(String);

fn argon2() -> Argon2<'static> {
    // The constants are within the bounds; the defaults are those of the library.
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// What is stored of a password, in the PHC form. Takes its time: not for a thread that answers requests.
///
/// # Errors
/// There is no memory for it, or the operating system has no random numbers.
pub fn hash(password: &Secret) -> Result<String, HashError> {
    let hash = argon2().hash_password(password.expose().as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| HashError(error.to_string()))
}

/// Whether the password is that of the hash. Takes its time, likewise.
pub fn fits(password: &Secret, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| argon2().verify_password(password.expose().as_bytes(), &hash).is_ok())
}

/// Checks passwords.
#[derive(Clone, Debug)]
pub struct Passwords {
    free: Arc<Semaphore>,
    /// Of this process alone: what is remembered says nothing to anybody else.
    key: hmac::Key,
    right: Arc<Mutex<HashMap<[u8; 32], Instant>>>,
}

impl Default for Passwords {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::new(cores.min(MOST_AT_ONCE))
    }
}

impl Passwords {
    /// That many at once.
    pub fn new(at_once: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(at_once)),
            key: hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>()),
            right: Arc::default(),
        }
    }

    /// Whether it was right a moment ago, which costs nothing.
    pub fn was_right(&self, password: &Secret, hash: &str, now: Instant) -> bool {
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.get(&self.pair(password, hash)).is_some_and(|at| now.saturating_duration_since(*at) < REMEMBERED)
    }

    /// Whether the password is that of the hash. Without a hash it takes as long, and is not.
    ///
    /// # Errors
    /// [`Busy`], when its turn does not come.
    pub async fn is_right(&self, password: Secret, hash: Option<String>, now: Instant) -> Result<bool, Busy> {
        let turn = Arc::clone(&self.free).acquire_owned();
        // The semaphore is never closed.
        let turn = tokio::time::timeout(PATIENCE, turn).await.map_err(|_| Busy)?.map_err(|_| Busy)?;
        let pair = hash.as_ref().map(|hash| self.pair(&password, hash));
        let checked = tokio::task::spawn_blocking(move || {
            // Held until the work is done, also when nobody waits for it any more.
            let _turn = turn;
            match hash {
                Some(hash) => fits(&password, &hash),
                None => {
                    // For the time that it takes alone.
                    let _ = fits(&password, decoy());
                    false
                }
            }
        });
        let right = checked.await.unwrap_or(false);
        if let Some(pair) = pair.filter(|_| right) {
            self.remember(pair, now);
        }
        Ok(right)
    }

    /// Password and hash as one number. The hash names its salt, so that another password or a rotation is another number.
    fn pair(&self, password: &Secret, hash: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(hash.as_bytes());
        context.update(&[0]);
        context.update(password.expose().as_bytes());
        let mut pair = [0; 32];
        pair.copy_from_slice(context.sign().as_ref());
        pair
    }

    fn remember(&self, pair: [u8; 32], now: Instant) {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.len() >= MOST_REMEMBERED {
            right.retain(|_, at| now.saturating_duration_since(*at) < REMEMBERED);
        }
        if right.len() >= MOST_REMEMBERED {
            right.clear();
        }
        right.insert(pair, now);
    }
}

/// A hash of a password that nobody has, for user names that nobody has.
fn decoy() -> &'static str {
    static DECOY: OnceLock<String> = OnceLock::new();
    DECOY.get_or_init(|| hash(&Secret::new(uuid::Uuid::new_v4().to_string())).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_stored_names_its_parameters_and_not_the_password() {
        let stored = hash(&Secret::new("correct horse battery")).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=7168,t=5,p=1$") && !stored.contains("horse"), "{stored}");
        assert_ne!(stored, hash(&Secret::new("correct horse battery")).unwrap(), "each has a salt of its own");
        assert!(fits(&Secret::new("correct horse battery"), &stored));
        assert!(!fits(&Secret::new("correct horse batter"), &stored) && !fits(&Secret::new("x"), "nonsense"));
    }

    #[test]
    fn a_password_that_can_be_guessed_or_typed_by_nobody_is_not_chosen() {
        for (password, allowed) in [
            ("elevenchars", false),
            ("twelve chars", true),
            ("zwölf Zeichen", true),
            ("with a\nnew line", false),
            (&"x".repeat(513), false),
        ] {
            assert_eq!(may_be_chosen(&Secret::new(password)), allowed, "{password:?}");
        }
    }

    #[tokio::test]
    async fn one_that_was_right_is_not_checked_again_for_a_minute() {
        let (passwords, start) = (Passwords::new(1), Instant::now());
        let (password, stored) =
            (Secret::new("correct horse battery"), hash(&Secret::new("correct horse battery")).unwrap());
        assert!(!passwords.was_right(&password, &stored, start));
        assert!(passwords.is_right(password.clone(), Some(stored.clone()), start).await.unwrap());
        assert!(passwords.was_right(&password, &stored, start + Duration::from_secs(59)));
        assert!(!passwords.was_right(&password, &stored, start + Duration::from_secs(60)));
        assert!(!passwords.was_right(&Secret::new("another"), &stored, start));
        assert!(!passwords.is_right(Secret::new("another"), Some(stored), start).await.unwrap());
        assert!(!passwords.is_right(password, None, start).await.unwrap(), "nobody has that user name");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_to_wait_too_long_for_a_turn_is_told_so() {
        let passwords = Passwords::new(1);
        let turn = Arc::clone(&passwords.free).acquire_owned().await.unwrap();
        assert_eq!(passwords.is_right(Secret::new("x"), None, Instant::now()).await, Err(Busy));
        drop(turn);
    }
}
