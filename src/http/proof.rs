//! Whether a credential opens the tenant that a request's path names: a made secret, a chosen password, a JWT. Why it does not
//! is for the log alone.

use std::sync::Arc;

use chrono::{TimeDelta, Utc};

use super::credential::Presented;
use super::error::Failure;
use super::tenant::{Doorkeeper, Identity, Visitor};
use crate::config::is_slug;
use crate::login::jwt::{self, Asked, Claimed};
use crate::login::oauth::{self, Own};
use crate::secret::Secret;
use crate::store::jwt_issuer::{self, Issuer};
use crate::store::token::{self, Credential, Kind};
use crate::store::{Store, StoreError, signing_key};

/// Why somebody is not let in: for the log, never for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Missing,
    NoSuch,
    Username,
    Client,
    Password,
    Network,
    Jwt(&'static str),
}

impl Refusal {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "no credential",
            Self::NoSuch => "no such tenant, or no such credential of it",
            Self::Username => "the user name is not that of the credential",
            Self::Client => "an OAuth client asks for a token first",
            Self::Password => "no such user name, or another password",
            Self::Network => "the address is not among those of the tenant",
            Self::Jwt(why) => why,
        }
    }
}

/// What proving a credential came to.
pub(super) enum Proof {
    Good(Identity),
    Bad(Refusal),
}

impl Doorkeeper {
    /// Whether the credential opens the tenant that the path names.
    ///
    /// # Errors
    /// 429, 503: it cannot be told now.
    pub(super) async fn prove(
        &self,
        store: &Store,
        visitor: Visitor<'_>,
        presented: &Presented,
    ) -> Result<Proof, Failure> {
        // A NUL or anything else that is no slug cannot be asked for; nobody is called the empty name.
        let slug = if is_slug(visitor.slug) { visitor.slug } else { "" };
        // Any secret is hashed and looked up once, whether the tenant exists or not.
        let hash = token::hash(presented.secret.expose());
        if let Some((tenant, credential)) = token::authenticate(store.pool(), slug, &hash).await? {
            // A password opens only with its user name, and a token only without one.
            return Ok(match credential.kind {
                Kind::Client => Proof::Bad(Refusal::Client),
                Kind::Secret | Kind::Password if presented.username != credential.username => {
                    Proof::Bad(Refusal::Username)
                }
                Kind::Secret | Kind::Password => Proof::Good(Identity::new(tenant, credential)?),
            });
        }
        if let Some(claimed) = presented.jwt() {
            return self.prove_jwt(store, visitor, presented.secret.expose(), &claimed).await;
        }
        match &presented.username {
            Some(username) => self.prove_password(store, visitor, (slug, username), &presented.secret).await,
            None => Ok(Proof::Bad(Refusal::NoSuch)),
        }
    }

    /// A password that somebody chose. A user name that nobody has takes as long as one that somebody has.
    async fn prove_password(
        &self,
        store: &Store,
        visitor: Visitor<'_>,
        (slug, username): (&str, &str),
        secret: &Secret,
    ) -> Result<Proof, Failure> {
        let Visitor { now, .. } = visitor;
        let user = (visitor.slug, username);
        // As the store can hold it; a NUL is in no name.
        let named = if username.contains('\0') { "" } else { username };
        let mut candidates = token::by_username(store.pool(), slug, named).await?;
        if let Some(at) = candidates.iter().position(|(_, _, hash)| self.passwords.was_right(secret, hash, now)) {
            let (tenant, credential, _) = candidates.swap_remove(at);
            return Ok(Proof::Good(Identity::new(tenant, credential)?));
        }
        self.slow.may_try(visitor.address(), user, now).map_err(Failure::wrong_too_often)?;
        if candidates.is_empty() {
            let _nobodys = self.passwords.is_right(secret.clone(), None, now).await.map_err(|_| Failure::busy())?;
        }
        for (tenant, credential, hash) in candidates {
            let right = self.passwords.is_right(secret.clone(), Some(hash), now).await;
            if right.map_err(|_| Failure::busy())? {
                self.slow.right(visitor.address(), user, now);
                return Ok(Proof::Good(Identity::new(tenant, credential)?));
            }
        }
        Ok(Proof::Bad(Refusal::Password))
    }

    /// A JWT: one of our own, or of an issuer whom the tenant trusts.
    async fn prove_jwt(
        &self,
        store: &Store,
        visitor: Visitor<'_>,
        token: &str,
        claimed: &Claimed,
    ) -> Result<Proof, Failure> {
        let slug = if is_slug(visitor.slug) { visitor.slug } else { "" };
        let bad = |why| Ok(Proof::Bad(Refusal::Jwt(why)));
        if claimed.issuer == oauth::ISSUER {
            let Some(id) = oauth::key_of(claimed) else { return bad("it names no key of ours") };
            let Some(key) = signing_key::find(store.pool(), id).await? else { return bad("it names no key of ours") };
            let Some(own) = Own::verified(token, &key) else { return bad("its signature is wrong") };
            let Some((tenant, client)) = token::client(store.pool(), slug, own.client).await? else {
                return bad("the tenant has no such client any more");
            };
            return match own.credential(&tenant, client, Utc::now()) {
                Ok(credential) => Ok(Proof::Good(Identity::new(tenant, credential)?)),
                Err(why) => bad(why),
            };
        }
        // A NUL is in no name.
        let issuer = if claimed.issuer.contains('\0') { "" } else { &claimed.issuer };
        let mut conn = store.pool().acquire().await.map_err(StoreError::from)?;
        let trusted = jwt_issuer::trusted(&mut conn, slug, issuer).await?;
        // Keys may have to be fetched: nobody else is to wait for this connection meanwhile.
        drop(conn);
        let Some((tenant, issuers)) = trusted else {
            return bad("no such tenant, or no issuer that it trusts");
        };
        let mut why = "no issuer of the tenant allows the algorithm";
        for issuer in issuers {
            match self.vouched(&issuer, token, claimed, visitor).await? {
                Ok(credential) => return Ok(Proof::Good(Identity::new(tenant, credential)?)),
                Err(wrong) => why = wrong,
            }
        }
        bad(why)
    }

    /// What an issuer's token lets its bearer do.
    async fn vouched(
        &self,
        issuer: &Issuer,
        token: &str,
        claimed: &Claimed,
        visitor: Visitor<'_>,
    ) -> Result<Result<Credential, &'static str>, Failure> {
        let allowed = issuer.algorithms.contains(&claimed.algorithm);
        let Some(algorithm) = jwt::algorithm(&claimed.algorithm).filter(|_| allowed) else {
            return Ok(Err("the algorithm is not among those of the issuer"));
        };
        let (from, user, now) = (visitor.address(), (visitor.slug, issuer.issuer.as_str()), visitor.now);
        let known = self.slow.is_trusted(from, user, now);
        let keys = match (&issuer.jwks_url, &issuer.jwks) {
            (Some(url), _) => match self.jwks.keys(url, claimed, (known, now)).await {
                Ok(keys) => keys,
                Err(_) if known => return Err(Failure::issuer_away()),
                // To anybody else it would say that there is such a tenant.
                Err(_) => return Ok(Err("the keys of the issuer cannot be fetched")),
            },
            (None, set) => Arc::new(jwt::keys(set.as_ref().unwrap_or_default()).unwrap_or_default()),
        };
        let Some(claims) = jwt::verified(token, claimed, algorithm, &keys) else {
            return Ok(Err("no key of the issuer has signed it"));
        };
        let asked = Asked {
            issuer: &issuer.issuer,
            audience: &issuer.audience,
            subject: issuer.subject.as_deref(),
            granted: issuer.granted.as_deref(),
            skew: TimeDelta::seconds(i64::from(issuer.skew_seconds)),
        };
        let until = jwt::check(&claims, asked, Utc::now());
        if until.is_ok() {
            self.slow.trust(from, user, now);
        }
        Ok(until.map(|until| Credential {
            id: issuer.id,
            label: issuer.label.clone(),
            kind: Kind::Secret,
            username: None,
            me: None,
            scope: issuer.scope,
            users_only: issuer.users_only,
            expires: Some(until),
        }))
    }

    /// The OAuth client that asks for a token.
    ///
    /// # Errors
    /// As [`Doorkeeper::prove`].
    pub(super) async fn prove_client(
        &self,
        store: &Store,
        visitor: Visitor<'_>,
        presented: &Presented,
    ) -> Result<Proof, Failure> {
        let slug = if is_slug(visitor.slug) { visitor.slug } else { "" };
        let hash = token::hash(presented.secret.expose());
        Ok(match token::authenticate(store.pool(), slug, &hash).await? {
            None => Proof::Bad(Refusal::NoSuch),
            Some((_, credential)) if credential.kind != Kind::Client || credential.username != presented.username => {
                Proof::Bad(Refusal::Client)
            }
            Some((tenant, credential)) => {
                let identity = Identity::new(tenant, credential)?;
                if identity.may_come_from(visitor.address()) {
                    Proof::Good(identity)
                } else {
                    Proof::Bad(Refusal::Network)
                }
            }
        })
    }
}
