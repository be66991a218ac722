//! The keys of issuers, by address (RFC 7517): fetched within bounds, kept, fetched again when a token names an unknown one,
//! but not more often than that does no harm, and kept for a day while the issuer cannot be reached.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::Jwk;
use serde_json::Value;
use url::Url;

use super::jwt::{self, Claimed};
use crate::jira::{ClientError, tls_for};
use crate::telemetry::Chain;

/// How long keys are used without a look at the issuer's.
const FRESH: Duration = Duration::from_secs(600);
/// How long they are used while the issuer does not answer.
const STALE: Duration = Duration::from_secs(86_400);
/// How often an issuer is asked at most, also about keys that nobody has.
const EACH: Duration = Duration::from_secs(30);
/// How long it may take; an identity provider hangs up at five seconds.
const PATIENCE: Duration = Duration::from_secs(3);
/// The largest answer, in bytes.
const LARGEST: usize = 256 << 10;
/// How many addresses are kept.
const MOST: usize = 1024;

/// Why keys could not be had.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("TLS cannot be set up")]
    Tls(#[from] ClientError),
    #[error("the issuer did not answer")]
    Http(#[from] reqwest::Error),
    #[error("the issuer answered {0}")]
    Status(reqwest::StatusCode),
    #[error("the answer is longer than {LARGEST} bytes")]
    TooLarge,
    #[error("the answer {0}")]
    NoKeys(&'static str),
    #[error("the answer is not JSON")]
    Json(#[from] serde_json::Error),
}

/// Whether keys may be fetched from there: over TLS, or from this machine.
pub fn may_be_asked(url: &Url) -> bool {
    let loopback = || match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(url::Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    };
    let plain = url.username().is_empty() && url.password().is_none();
    plain && (url.scheme() == "https" && url.has_host() || url.scheme() == "http" && loopback())
}

/// What [`may_be_asked`] wants, in words.
pub const ADDRESS: &str = "must be an https address without a user name, or one of this machine";

/// No key fits, and the issuer could not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the keys of the issuer cannot be fetched")]
pub struct Away;

/// The keys of all issuers.
#[derive(Debug, Default)]
pub struct Jwks {
    known: Mutex<HashMap<String, Arc<Entry>>>,
}

/// An address.
#[derive(Debug, Default)]
struct Entry {
    known: Mutex<Known>,
    /// Held while somebody asks.
    asking: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    keys: Arc<Vec<Jwk>>,
    fetched: Option<Instant>,
    asked: Option<Instant>,
    failed: bool,
}

impl Known {
    fn younger_than(at: Option<Instant>, age: Duration, now: Instant) -> bool {
        at.is_some_and(|at| now.saturating_duration_since(at) < age)
    }

    /// Whether the issuer has to be asked for this token's sake.
    fn is_due(&self, claimed: &Claimed, now: Instant) -> bool {
        let enough = Self::younger_than(self.fetched, FRESH, now) && self.has_key(claimed, now);
        !enough && !Self::younger_than(self.asked, EACH, now)
    }

    /// Whether there is a key for it that may still be used.
    fn has_key(&self, claimed: &Claimed, now: Instant) -> bool {
        Self::younger_than(self.fetched, STALE, now) && jwt::has_key(&self.keys, claimed)
    }

    fn answer(&self, claimed: &Claimed, now: Instant) -> Result<Arc<Vec<Jwk>>, Away> {
        let usable = Self::younger_than(self.fetched, STALE, now);
        match self.failed && !self.has_key(claimed, now) {
            true => Err(Away),
            false => Ok(if usable { Arc::clone(&self.keys) } else { Arc::default() }),
        }
    }
}

impl Entry {
    fn look(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether this caller is the one who asks.
    fn begin(&self, claimed: &Claimed, now: Instant) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let due = known.is_due(claimed, now);
        if due {
            known.asked = Some(now);
        }
        due
    }

    async fn ask(&self, url: &str, now: Instant) {
        let fetched = fetch(url).await;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.failed = fetched.is_err();
        match fetched {
            Ok(keys) => (known.keys, known.fetched) = (Arc::new(keys), Some(now)),
            Err(error) => tracing::warn!(url, error = %Chain(&error), "the keys of an issuer could not be fetched"),
        }
    }
}

impl Jwks {
    /// The keys at that address, as fresh as this token needs them. Who has a key does not wait for fresher ones; who names one
    /// that was not among those of a moment ago waits only where he is known, so that nobody learns by the clock whose keys
    /// these are.
    ///
    /// # Errors
    /// [`Away`]
    pub async fn keys(
        &self,
        url: &str,
        claimed: &Claimed,
        (known, now): (bool, Instant),
    ) -> Result<Arc<Vec<Jwk>>, Away> {
        let entry = self.entry(url);
        if let Ok(asking) = Arc::clone(&entry.asking).try_lock_owned()
            && entry.begin(claimed, now)
        {
            // A task of its own, for three seconds at most: a client that hangs up does not end it.
            let (entry, url) = (Arc::clone(&entry), url.to_owned());
            tokio::spawn(async move {
                entry.ask(&url, now).await;
                drop(asking);
            });
        }
        let look = entry.look();
        if !look.has_key(claimed, now) && (known || !Known::younger_than(look.fetched, FRESH, now)) {
            // Whoever needs the answer waits for it, the one who asked and those who came meanwhile.
            drop(entry.asking.lock().await);
        }
        entry.look().answer(claimed, now)
    }

    fn entry(&self, url: &str) -> Arc<Entry> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST && !known.contains_key(url) {
            known.clear();
        }
        Arc::clone(known.entry(url.to_owned()).or_default())
    }
}

async fn fetch(url: &str) -> Result<Vec<Jwk>, FetchError> {
    let no_address = || FetchError::NoKeys("cannot be asked for: the address is none");
    let url = Url::parse(url).ok().filter(may_be_asked).ok_or_else(no_address)?;
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(tls_for(&url)?)
        .user_agent(concat!("jira-scim/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .no_proxy()
        .timeout(PATIENCE)
        .build()?;
    let mut answer = http.get(url).send().await?;
    if !answer.status().is_success() {
        return Err(FetchError::Status(answer.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > LARGEST {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    jwt::keys(&serde_json::from_slice::<Value>(&body)?).map_err(FetchError::NoKeys)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn keys_are_fetched_over_tls_or_from_this_machine() {
        for (url, may) in [
            ("https://issuer.example/keys", true),
            ("http://127.0.0.1:8080/keys", true),
            ("http://[::1]/keys", true),
            ("http://localhost/keys", true),
            ("http://issuer.example/keys", false),
            ("http://localhost.example/keys", false),
            ("https://me:secret@issuer.example/keys", false),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(may_be_asked(&Url::parse(url).unwrap()), may, "{url}");
        }
    }
}
