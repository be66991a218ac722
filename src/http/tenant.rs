//! Who asks: the tenant in the URL and its credential, together. What a credential may be is in [`super::credential`].
//!
//! A good pair is remembered for two seconds, so that a busy client costs the store one look-up in that time and a
//! revoked token stops within it. Of what is bad nothing is remembered but how often an address was wrong
//! (`login::slow`). What is wrong with a credential, or whether there is such a tenant, is told to the log alone.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use ring::hmac;
use uuid::Uuid;

use super::credential::Presented;
use super::error::Failure;
use super::proof::{Proof, Refusal};
use crate::lifecycle::Lifecycle;
use crate::login::jwks::Jwks;
use crate::login::password::Passwords;
use crate::login::slow::Slow;
use crate::policy::record::Level;
use crate::policy::{Groups, Policy, Scim};
use crate::scim::Types;
use crate::store::source;
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
    /// How much of its requests goes on record, from its policy.
    pub(super) level: Level,
    /// The source that its people come from: then clients only read.
    pub(super) source: Option<Arc<str>>,
}

impl Identity {
    pub(super) fn new(tenant: Tenant, credential: Credential) -> Result<Self, Failure> {
        let read = |policy: Policy| {
            let types = if policy.last_login.publish { policy.scim.types_with_login() } else { policy.scim.types() };
            Ok((types?, policy.scim, policy.groups, policy.record.level))
        };
        let (types, scim, groups, level) = Policy::from_value(&tenant.policy).and_then(read).map_err(|problems| {
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
            level,
            source: None,
        })
    }

    /// Whether the tenant's clients may come from there.
    pub(super) fn may_come_from(&self, address: IpAddr) -> bool {
        let networks = &self.scim.networks;
        networks.is_empty() || networks.iter().any(|network| network.contains(&address))
    }
}

/// Lets in who may come in, and remembers them for a moment.
#[derive(Debug)]
pub(super) struct Doorkeeper {
    /// What is remembered is kept as numbers that say nothing to anybody else: a chosen password can be guessed.
    key: hmac::Key,
    known: RwLock<HashMap<[u8; 32], Known>>,
    noted: Mutex<HashMap<Uuid, Instant>>,
    pub(super) passwords: Passwords,
    pub(super) slow: Slow,
    pub(super) jwks: Jwks,
}

#[derive(Debug)]
struct Known {
    identity: Identity,
    since: Instant,
}

impl Default for Doorkeeper {
    fn default() -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>()),
            known: RwLock::default(),
            noted: Mutex::default(),
            passwords: Passwords::default(),
            slow: Slow::default(),
            jwks: Jwks::default(),
        }
    }
}

/// Whoever asks, as far as the connection and the path tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visitor<'a> {
    /// The tenant that the path names, which may not exist.
    pub(super) slug: &'a str,
    /// Where the request comes from, as far as trusted proxies tell; none in a test without connections.
    pub(super) from: Option<IpAddr>,
    pub(super) now: Instant,
}

impl Visitor<'_> {
    pub(super) fn address(&self) -> IpAddr {
        self.from.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

impl Doorkeeper {
    /// Lets the bearer of a credential of this tenant pass.
    ///
    /// # Errors
    /// 401, alike for every reason, and 429 where that is too often; 503 where the store cannot be asked, or nobody has
    /// time to check a password.
    pub(super) async fn admit(
        &self,
        store: &Store,
        visitor: Visitor<'_>,
        headers: &HeaderMap,
    ) -> Result<Identity, Failure> {
        let Some(presented) = Presented::of(headers) else {
            return Err(told_apart_in_the_log(visitor, Refusal::Missing, Failure::unauthorized()));
        };
        let key = self.number(visitor.slug, &presented);
        let proof = match self.recall(visitor.slug, &key, visitor.now, Utc::now()) {
            Some(identity) => Proof::Good(identity),
            None => match self.prove(store, visitor, &presented).await? {
                Proof::Good(mut identity) => {
                    let held = source::held(store.pool(), identity.tenant.id).await?;
                    identity.source = held.map(|held| held.name.into());
                    self.remember(key, identity.clone(), visitor.now);
                    Proof::Good(identity)
                }
                bad => bad,
            },
        };
        match proof {
            Proof::Good(identity) if identity.may_come_from(visitor.address()) => Ok(identity),
            Proof::Good(_) => Err(self.refuse(visitor, Refusal::Network)),
            Proof::Bad(why) => Err(self.refuse(visitor, why)),
        }
    }

    /// What somebody hears who is not let in.
    pub(super) fn refuse(&self, visitor: Visitor<'_>, why: Refusal) -> Failure {
        let allowed = match why {
            // It was counted before it was looked at.
            Refusal::Password => Ok(()),
            _ => self.slow.wrong(visitor.address(), visitor.now),
        };
        let failure = allowed.map_or_else(Failure::wrong_too_often, |()| Failure::unauthorized());
        told_apart_in_the_log(visitor, why, failure)
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

    /// Tenant, user name and secret as one number.
    fn number(&self, slug: &str, presented: &Presented) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        let username = presented.username.as_ref().map_or(&[][..], |name| name.as_bytes());
        for part in [slug.as_bytes(), username, presented.secret.expose().as_bytes()] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.update(&[u8::from(presented.username.is_some())]);
        let mut number = [0; 32];
        number.copy_from_slice(context.sign().as_ref());
        number
    }

    fn recall(&self, slug: &str, key: &[u8; 32], now: Instant, today: DateTime<Utc>) -> Option<Identity> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let Known { identity, since } = known.get(key)?;
        let fresh = now.saturating_duration_since(*since) < REMEMBERED;
        let valid = identity.credential.expires.is_none_or(|expires| expires > today);
        (fresh && valid && identity.tenant.slug == slug).then(|| identity.clone())
    }

    fn remember(&self, key: [u8; 32], identity: Identity, now: Instant) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_REMEMBERED {
            known.retain(|_, known| now.saturating_duration_since(known.since) < REMEMBERED);
        }
        if known.len() >= MOST_REMEMBERED {
            known.clear();
        }
        known.insert(key, Known { identity, since: now });
    }
}

async fn note(store: &Store, tenant_id: Uuid, id: Uuid) -> Result<(), StoreError> {
    token::touch_last_used(store.pool(), tenant_id, id, Utc::now()).await
}

/// One line that says why; the client is not told.
pub(super) fn told_apart_in_the_log(visitor: Visitor<'_>, why: Refusal, failure: Failure) -> Failure {
    tracing::info!(event = "login.refused", from = %visitor.address(), why = why.as_str(), "a login was refused");
    failure
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::store::tenant::Mode;
    use crate::store::token::{Kind, Scope};

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
        let credential = Credential {
            id: Uuid::from_u128(2),
            label: "first".into(),
            kind: Kind::Secret,
            username: None,
            me: None,
            scope: Scope::Write,
            users_only: false,
            expires,
        };
        Identity::new(tenant, credential).unwrap()
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
