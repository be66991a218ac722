//! Who asks: the tenant in the URL and its credential, together: a bearer token (RFC 6750), the same text alone
//! (`OKTA-3`), or a user name with its generated password (RFC 7617).
//!
//! A good pair is remembered for two seconds, so that a busy client costs the store one look-up in that time and a
//! revoked token stops within it. Nothing bad is remembered. What is wrong with a credential is never told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::error::Failure;
use crate::config::is_slug;
use crate::lifecycle::Lifecycle;
use crate::policy::{Groups, Policy, Scim};
use crate::scim::Types;
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
    /// How the tenant's clients are answered, from its policy.
    pub(super) scim: Arc<Scim>,
    /// Which Jira groups its groups stand for, from its policy.
    pub(super) groups: Arc<Groups>,
    /// The schemas that its policy declares, with those of every tenant.
    pub(super) types: Types,
}

impl Identity {
    fn new(tenant: Tenant, credential: Credential) -> Result<Self, Failure> {
        let read = |policy: Policy| {
            let types = if policy.last_login.publish { policy.scim.types_with_login() } else { policy.scim.types() };
            Ok((types?, policy.scim, policy.groups))
        };
        let (types, scim, groups) = Policy::from_value(&tenant.policy).and_then(read).map_err(|problems| {
            // It was checked when it was written; a newer version of this program may have written it.
            tracing::error!(tenant = tenant.slug, problems = problems.join(" "), "the tenant's policy cannot be read");
            Failure::internal()
        })?;
        Ok(Self {
            tenant: Arc::new(tenant),
            credential: Arc::new(credential),
            scim: Arc::new(scim),
            groups: Arc::new(groups),
            types,
        })
    }
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
    /// Lets the bearer of a credential of this tenant pass.
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
        let presented = presented(headers).ok_or_else(Failure::unauthorized)?;
        let hash = token::hash(&presented.secret);
        if let Some(identity) = self.recall(slug, &hash, now, Utc::now()) {
            return presented.opens(identity);
        }
        // A NUL or anything else that is no slug cannot be asked for.
        if !is_slug(slug) {
            return Err(Failure::unauthorized());
        }
        let Some((tenant, credential)) = token::authenticate(store.pool(), slug, &hash).await? else {
            return Err(Failure::unauthorized());
        };
        let identity = Identity::new(tenant, credential)?;
        self.remember(hash, identity.clone(), now);
        presented.opens(identity)
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

/// What a request shows of itself.
#[derive(Debug, PartialEq, Eq)]
struct Presented {
    /// HTTP Basic: as whom.
    username: Option<String>,
    secret: String,
}

impl Presented {
    /// A password opens only with its user name, and a token only without one.
    fn opens(&self, identity: Identity) -> Result<Identity, Failure> {
        let fits = self.username == identity.credential.username;
        if fits { Ok(identity) } else { Err(Failure::unauthorized()) }
    }
}

/// Reads `Authorization`; the name of a scheme ignores letter case (RFC 9110 section 11.1).
fn presented(headers: &HeaderMap) -> Option<Presented> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim();
    let (username, secret) = match value.split_once(' ') {
        None => (None, value.to_owned()),
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => (None, token.trim().to_owned()),
        Some((scheme, pair)) if scheme.eq_ignore_ascii_case("basic") => {
            let pair = String::from_utf8(STANDARD.decode(pair.trim()).ok()?).ok()?;
            let (username, password) = pair.split_once(':')?;
            (Some(username.to_owned()), password.to_owned())
        }
        Some(_) => return None,
    };
    (!secret.is_empty()).then_some(Presented { username, secret })
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
            policy: serde_json::json!({}),
            policy_version: 1,
            declared: false,
            created: epoch,
            modified: epoch,
        };
        let credential =
            Credential { id: Uuid::from_u128(2), label: "first".into(), username: None, me: None, expires };
        Identity::new(tenant, credential).unwrap()
    }

    #[test]
    fn a_credential_comes_as_bearer_as_basic_or_alone() {
        let table = [
            ("Bearer abc", Some((None, "abc"))),
            ("bearer  abc ", Some((None, "abc"))),
            ("BEARER abc", Some((None, "abc"))),
            ("abc", Some((None, "abc"))),
            ("Basic YTpi", Some((Some("a"), "b"))),
            ("basic YTpiOmM=", Some((Some("a"), "b:c"))),
            ("Basic OmI=", Some((Some(""), "b"))),
            // The word alone is a bare token like any other, which nobody has.
            ("Bearer", Some((None, "Bearer"))),
            ("Basic YTo=", None),
            ("Basic YWI=", None),
            ("Basic ???", None),
            ("Digest abc", None),
            ("", None),
        ];
        for (text, expected) in table {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, text.parse().unwrap())]);
            let expected = expected.map(|(username, secret)| Presented {
                username: username.map(str::to_owned),
                secret: secret.to_owned(),
            });
            assert_eq!(presented(&headers), expected, "{text}");
        }
        assert_eq!(presented(&HeaderMap::new()), None);
    }

    #[test]
    fn a_password_opens_only_as_its_user_and_a_token_only_as_nobody() {
        let opens = |username: Option<&str>, of: Option<&str>| {
            let mut identity = identity(None);
            let credential = Credential { username: of.map(str::to_owned), ..(*identity.credential).clone() };
            identity.credential = Arc::new(credential);
            let presented = Presented { username: username.map(str::to_owned), secret: "s".into() };
            presented.opens(identity).is_ok()
        };
        assert!(opens(None, None) && opens(Some("agent"), Some("agent")));
        assert!(!opens(Some("agent"), None) && !opens(None, Some("agent")) && !opens(Some("Agent"), Some("agent")));
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
