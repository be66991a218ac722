//! Who asks: the tenant in the URL and the bearer token, together (RFC 6750).
//!
//! A good pair is remembered for two seconds, so that a busy client costs the store one look-up in that time and a
//! revoked token stops within it. Nothing bad is remembered. What is wrong with a credential is never told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::error::Failure;
use crate::config::is_slug;
use crate::lifecycle::Lifecycle;
use crate::store::tenant::Tenant;
use crate::store::token::{self, Credential};
use crate::store::{Store, StoreError};
use crate::telemetry::Chain;

/// How long a good pair is believed without asking the store.
const REMEMBERED: Duration = Duration::from_secs(2);
/// How many are remembered; beyond that the old ones go, and at worst all.
const MOST_REMEMBERED: usize = 4096;
/// How often the use of a token is written down.
const NOTED: Duration = Duration::from_secs(60);

/// The tenant and the credential of a request that may go on.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) tenant: Arc<Tenant>,
    pub(super) credential: Arc<Credential>,
}

/// Pairs of tenant and token that were good a moment ago.
#[derive(Debug, Default)]
pub(super) struct Doorkeeper {
    known: RwLock<HashMap<[u8; 32], Known>>,
    noted: Mutex<HashMap<Uuid, Instant>>,
}

#[derive(Debug)]
struct Known {
    identity: Identity,
    since: Instant,
}

impl Doorkeeper {
    /// Lets the bearer of a token of this tenant pass.
    ///
    /// # Errors
    /// 401, alike for every reason; 503 where the store cannot be asked.
    pub(super) async fn admit(
        &self,
        store: &Store,
        slug: &str,
        headers: &HeaderMap,
        now: Instant,
    ) -> Result<Identity, Failure> {
        // Any token is hashed and looked up once, whether the tenant exists or not.
        let hash = token::hash(bearer(headers).ok_or_else(Failure::unauthorized)?);
        if let Some(identity) = self.recall(slug, &hash, now, Utc::now()) {
            return Ok(identity);
        }
        // A NUL or anything else that is no slug cannot be asked for.
        if !is_slug(slug) {
            return Err(Failure::unauthorized());
        }
        let Some((tenant, credential)) = token::authenticate(store.pool(), slug, &hash).await? else {
            return Err(Failure::unauthorized());
        };
        let identity = Identity { tenant: Arc::new(tenant), credential: Arc::new(credential) };
        self.remember(hash, identity.clone(), now);
        Ok(identity)
    }

    /// Writes down in the background that a token was used, unless that was done a moment ago.
    pub(super) fn note_use(&self, identity: &Identity, store: &Store, lifecycle: &Lifecycle, now: Instant) {
        let id = identity.credential.id;
        if !self.is_noteworthy(id, now) {
            return;
        }
        let (tenant_id, store) = (identity.tenant.id, store.clone());
        lifecycle.spawn("token last used", async move {
            if let Err(error) = note(&store, tenant_id, id).await {
                tracing::warn!(error = %Chain(&error), "the use of a token could not be noted");
            }
        });
    }

    fn is_noteworthy(&self, id: Uuid, now: Instant) -> bool {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        match noted.get(&id) {
            Some(at) if now.saturating_duration_since(*at) < NOTED => false,
            _ => {
                if noted.len() >= MOST_REMEMBERED {
                    noted.clear();
                }
                noted.insert(id, now);
                true
            }
        }
    }

    fn recall(&self, slug: &str, hash: &[u8; 32], now: Instant, today: DateTime<Utc>) -> Option<Identity> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let Known { identity, since } = known.get(hash)?;
        let fresh = now.saturating_duration_since(*since) < REMEMBERED;
        let valid = identity.credential.expires.is_none_or(|expires| expires > today);
        (fresh && valid && identity.tenant.slug == slug).then(|| identity.clone())
    }

    fn remember(&self, hash: [u8; 32], identity: Identity, now: Instant) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_REMEMBERED {
            known.retain(|_, known| now.saturating_duration_since(known.since) < REMEMBERED);
        }
        if known.len() >= MOST_REMEMBERED {
            known.clear();
        }
        known.insert(hash, Known { identity, since: now });
    }
}

async fn note(store: &Store, tenant_id: Uuid, id: Uuid) -> Result<(), StoreError> {
    token::touch_last_used(store.pool(), tenant_id, id, Utc::now()).await
}

/// The token of `Authorization: Bearer ...`; the scheme's name ignores letter case (RFC 9110 section 11.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim();
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::store::tenant::Mode;

    const HASH: [u8; 32] = [7; 32];

    fn identity(expires: Option<DateTime<Utc>>) -> Identity {
        let epoch = DateTime::UNIX_EPOCH;
        let tenant = Tenant {
            id: Uuid::from_u128(1),
            slug: "acme".into(),
            target: "jira".into(),
            mode: Mode::Enforce,
            policy: serde_json::Value::Null,
            policy_version: 1,
            declared: false,
            created: epoch,
            modified: epoch,
        };
        let credential = Credential { id: Uuid::from_u128(2), label: "okta".into(), expires };
        Identity { tenant: Arc::new(tenant), credential: Arc::new(credential) }
    }

    #[test]
    fn only_a_bearer_token_is_read() {
        let table = [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("BEARER abc", Some("abc")),
            ("Bearer", None),
            ("Bearer ", None),
            ("Basic YTpi", None),
            ("abc", None),
            ("", None),
        ];
        for (text, token) in table {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, text.parse().unwrap())]);
            assert_eq!(bearer(&headers), token, "{text}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[test]
    fn a_good_pair_is_remembered_for_two_seconds() {
        let (keeper, start) = (Doorkeeper::default(), Instant::now());
        keeper.remember(HASH, identity(None), start);
        let recall = |after| keeper.recall("acme", &HASH, start + Duration::from_millis(after), Utc::now()).is_some();
        assert!(recall(1999));
        assert!(!recall(2000));
    }

    #[test]
    fn a_token_opens_no_other_tenants_door_and_stops_when_it_expires() {
        let (keeper, start, today) = (Doorkeeper::default(), Instant::now(), Utc::now());
        keeper.remember(HASH, identity(Some(today)), start);
        assert!(keeper.recall("other", &HASH, start, today - Duration::from_secs(1)).is_none());
        assert!(keeper.recall("acme", &HASH, start, today - Duration::from_secs(1)).is_some());
        assert!(keeper.recall("acme", &HASH, start, today).is_none());
    }

    #[test]
    fn the_memory_is_bounded() {
        let (keeper, start) = (Doorkeeper::default(), Instant::now());
        for n in 0..=MOST_REMEMBERED {
            let mut hash = HASH;
            hash[..8].copy_from_slice(&n.to_le_bytes());
            keeper.remember(hash, identity(None), start);
        }
        assert!(keeper.known.read().unwrap().len() <= MOST_REMEMBERED);
    }

    #[test]
    fn the_use_of_a_token_is_noted_once_a_minute() {
        let (keeper, start, id) = (Doorkeeper::default(), Instant::now(), Uuid::from_u128(2));
        assert!(keeper.is_noteworthy(id, start));
        assert!(!keeper.is_noteworthy(id, start + Duration::from_secs(59)));
        assert!(keeper.is_noteworthy(id, start + Duration::from_secs(60)));
    }
}
