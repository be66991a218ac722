//! Who is let in: the bearer of an admin token, or of a session that one began. What was good is remembered for two seconds, so
//! that a revoked token and its sessions end within them. An address that is wrong too often is slowed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::refusal::Refusal;
use super::session::{Claims, Sessions, cookie};
use crate::login::slow::Slow;
use crate::store::Store;
use crate::store::admin_token::{self, AdminToken};
use crate::store::token::hash;

/// How long a good token is believed without asking the store.
const REMEMBERED: Duration = Duration::from_secs(2);
/// How many are remembered.
const MOST_REMEMBERED: usize = 1024;
/// Whoever is let in.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) token: AdminToken,
    /// The session that the cookie is of; none with a bearer token.
    pub(super) session: Option<Claims>,
}

/// See the module.
pub(super) struct Door {
    pub(super) sessions: Sessions,
    known: Mutex<HashMap<Key, (AdminToken, Instant)>>,
    slow: Slow,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Hash([u8; 32]),
    Session(Uuid),
}

impl Door {
    pub(super) fn new(sessions: Sessions) -> Self {
        Self { sessions, known: Mutex::default(), slow: Slow::default() }
    }

    /// Lets the bearer of a good token or session pass.
    ///
    /// # Errors
    /// 401, alike for every reason; 429 for an address that has to wait; the store's.
    pub(super) async fn admit(
        &self,
        store: &Store,
        headers: &HeaderMap,
        address: IpAddr,
        now: DateTime<Utc>,
    ) -> Result<Identity, Refusal> {
        if let Some(given) = headers.get(header::AUTHORIZATION) {
            let text = given.to_str().unwrap_or_default();
            let token = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            let token = token.map(|(_, token)| token.trim()).ok_or_else(Refusal::unauthenticated)?;
            return Ok(Identity { token: self.bearer(store, token, address, now).await?, session: None });
        }
        let claims = cookie(headers).and_then(|value| self.sessions.read(value, now));
        let claims = claims.ok_or_else(Refusal::unauthenticated)?;
        let key = Key::Session(claims.jti);
        let token = match self.recall(&key) {
            Some(token) => Some(token),
            None => self.remember(key, admin_token::of_session(store.pool(), claims.sub, claims.jti).await?),
        };
        let token = token.filter(|token| token.is_live(now)).ok_or_else(Refusal::unauthenticated)?;
        Ok(Identity { token, session: Some(claims) })
    }

    /// The token of this text, if it lets anybody in.
    ///
    /// # Errors
    /// As [`Door::admit`].
    pub(super) async fn bearer(
        &self,
        store: &Store,
        text: &str,
        address: IpAddr,
        now: DateTime<Utc>,
    ) -> Result<AdminToken, Refusal> {
        let key = Key::Hash(hash(text));
        if let Some(token) = self.recall(&key).filter(|token| token.is_live(now)) {
            return Ok(token);
        }
        if !self.was_good(&key) {
            // A flood of guesses is no flood of queries. Whoever was let in before is looked up whatever others guess.
            let look = self.slow.may_look(address, Instant::now());
            look.map_err(|wait| Refusal::too_many_attempts(wait.as_secs() + 1))?;
        }
        let found = admin_token::by_hash(store.pool(), &hash(text)).await?;
        let Some(token) = found.filter(|token| token.is_live(now)) else {
            // Whoever guesses waits longer and longer; a good token is never kept waiting by what others guess.
            let wait = self.slow.wrong(address, Instant::now());
            wait.map_err(|wait| Refusal::too_many_attempts(wait.as_secs() + 1))?;
            return Err(Refusal::wrong_token());
        };
        self.remember(key, Some(token.clone()));
        Ok(token)
    }

    /// Ends a session: here at once, at other replicas when they do not remember it any more.
    ///
    /// # Errors
    /// The store failed; the session goes on.
    pub(super) async fn end(&self, store: &Store, claims: &Claims, now: DateTime<Utc>) -> Result<(), Refusal> {
        let until = DateTime::from_timestamp(claims.exp, 0).unwrap_or(now);
        admin_token::end(store.pool(), claims.jti, until, now).await?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&Key::Session(claims.jti));
        Ok(())
    }

    /// Whether somebody was let in with it, as far as is remembered.
    fn was_good(&self, key: &Key) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).contains_key(key)
    }

    fn recall(&self, key: &Key) -> Option<AdminToken> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).filter(|(_, since)| since.elapsed() < REMEMBERED).map(|(token, _)| token.clone())
    }

    fn remember(&self, key: Key, token: Option<AdminToken>) -> Option<AdminToken> {
        let token = token?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_REMEMBERED {
            known.retain(|_, (_, since)| since.elapsed() < REMEMBERED);
        }
        if known.len() < MOST_REMEMBERED {
            known.insert(key, (token.clone(), Instant::now()));
        }
        Some(token)
    }
}
