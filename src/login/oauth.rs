//! Tokens that this program issues to OAuth clients (RFC 6749 section 4.4): JWTs for a quarter of an hour, signed with a key
//! that all replicas share.
//!
//! HS256, because whoever checks them is whoever issued them: a pair of keys would be one more thing to keep and no more
//! secret. The key is in the database beside what it protects, for there is no other place that every replica has; it is
//! another one each day, and a token is good only while its client is, so a copy of the database is worth little soon.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::jwt::{self, Asked, Claimed};
use crate::store::signing_key::SigningKey;
use crate::store::tenant::Tenant;
use crate::store::token::{Credential, Scope};

/// What our own tokens name as their issuer.
pub const ISSUER: &str = "jira-scim";
/// How long one is good.
const LASTS: TimeDelta = TimeDelta::minutes(15);

/// A token that was just issued.
pub struct Issued {
    /// Its text.
    pub token: String,
    /// For how many seconds it is good.
    pub expires_in: i64,
    /// What may be done with it.
    pub scope: Scope,
}

/// A scope that is none, or more than the client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScopeError;

/// The scope that a request asks for, within what the client may do: by default all of it.
///
/// # Errors
/// It asks for something else, or more.
pub fn scope(asked: Option<&str>, may: Scope) -> Result<Scope, ScopeError> {
    let mut wanted = None;
    for word in asked.unwrap_or_default().split(' ').filter(|word| !word.is_empty()) {
        let scope = match word {
            "read" => Scope::Read,
            "write" => Scope::Write,
            _ => return Err(ScopeError),
        };
        wanted = wanted.max(Some(scope));
    }
    match wanted.unwrap_or(may) {
        scope if scope <= may => Ok(scope),
        _ => Err(ScopeError),
    }
}

/// A token for a client of a tenant; `None` only where it cannot be written down.
pub fn issue(
    tenant: &Tenant,
    client: &Credential,
    scope: Scope,
    key: &SigningKey,
    now: DateTime<Utc>,
) -> Option<Issued> {
    let until = client.expires.map_or(now + LASTS, |expires| expires.min(now + LASTS));
    let claims = json!({
        "iss": ISSUER,
        "aud": tenant.id,
        "sub": client.id,
        "client_id": client.username,
        "scope": scope.as_str(),
        "jti": Uuid::now_v7(),
        "iat": now.timestamp(),
        "exp": until.timestamp(),
    });
    let token = jwt::sign_own(&claims, &key.id.to_string(), &key.key)?;
    Some(Issued { token, expires_in: (until - now).num_seconds().max(0), scope })
}

/// Which key a token of our own names.
pub fn key_of(claimed: &Claimed) -> Option<Uuid> {
    (claimed.issuer == ISSUER && claimed.algorithm == "HS256").then_some(claimed.key.as_ref()?.parse().ok()?)
}

/// A token of our own whose signature is good.
pub struct Own {
    claims: Map<String, Value>,
    /// Whose: the client's id.
    pub client: Uuid,
}

impl Own {
    /// Reads a token that this key has signed.
    pub fn verified(token: &str, key: &SigningKey) -> Option<Self> {
        let claims = jwt::verified_own(token, &key.key)?;
        let client = claims.get("sub")?.as_str()?.parse().ok()?;
        Some(Self { claims, client })
    }

    /// What it lets its client do at that tenant.
    ///
    /// # Errors
    /// What is wrong with it, for the log.
    pub fn credential(
        &self,
        tenant: &Tenant,
        client: Credential,
        now: DateTime<Utc>,
    ) -> Result<Credential, &'static str> {
        let audience = tenant.id.to_string();
        // Replicas may differ by a little; the same program checks what it wrote.
        let skew = TimeDelta::seconds(5);
        let asked = Asked { issuer: ISSUER, audience: &audience, subject: None, granted: None, skew };
        let until = jwt::check(&self.claims, asked, now)?;
        let scope = match self.claims.get("scope").and_then(Value::as_str) {
            Some("write") => Scope::Write,
            _ => Scope::Read,
        };
        let expires = client.expires.map_or(until, |expires| expires.min(until));
        Ok(Credential { scope: scope.min(client.scope), expires: Some(expires), ..client })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_what_it_asks_for_within_what_it_may() {
        for (asked, may, granted) in [
            (None, Scope::Write, Ok(Scope::Write)),
            (None, Scope::Read, Ok(Scope::Read)),
            (Some(""), Scope::Read, Ok(Scope::Read)),
            (Some("read"), Scope::Write, Ok(Scope::Read)),
            (Some("read write"), Scope::Write, Ok(Scope::Write)),
            (Some("write"), Scope::Read, Err(ScopeError)),
            (Some("openid"), Scope::Write, Err(ScopeError)),
        ] {
            assert_eq!(scope(asked, may), granted, "{asked:?} {may:?}");
        }
    }
}
