//! Sessions of the admin page: a JWT in a cookie that no script can read, and a second word that a page of somebody else's
//! cannot know. A session says which token began it and nothing of what that may do: that is looked up each time.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use ring::hmac;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::secret::Secret;

/// The cookie's name.
pub(super) const COOKIE: &str = "jira_scim_session";

/// What a session says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    /// Id of the admin token that began it.
    pub(super) sub: Uuid,
    /// Its own id.
    pub(super) jti: Uuid,
    /// When it began, and when it ends, in seconds.
    pub(super) iat: i64,
    pub(super) exp: i64,
}

/// Makes sessions.
pub(super) struct Sessions {
    key: Vec<u8>,
    /// What the second words follow from: another key, so that neither can be taken for the other.
    words: hmac::Key,
    length: Duration,
}

impl Sessions {
    /// With this key, or one that nobody knows and that is gone with the process.
    pub(super) fn new(key: Option<&Secret>, length: Duration) -> Self {
        crate::login::ring::install();
        let key = key.map_or_else(
            || rand::random::<[u8; 32]>().to_vec(),
            |secret| Sha256::digest(secret.expose().as_bytes()).to_vec(),
        );
        let words = hmac::Key::new(hmac::HMAC_SHA256, &[b"csrf ".as_slice(), &key].concat());
        Self { key, words, length }
    }

    /// A session of a token that is good until `expires`.
    pub(super) fn begin(&self, token: Uuid, expires: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Claims {
        let end = now.timestamp() + i64::try_from(self.length.as_secs()).unwrap_or(3600);
        let exp = expires.map_or(end, |at| at.timestamp().min(end));
        Claims { sub: token, jti: Uuid::new_v4(), iat: now.timestamp(), exp }
    }

    /// Its JWT.
    pub(super) fn sign(&self, claims: &Claims) -> Option<String> {
        let signed = jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(&self.key));
        signed.inspect_err(|error| tracing::error!(%error, "a session could not be signed")).ok()
    }

    /// What a JWT says, where it is one of ours and its time is not over; whether somebody ended it, the store knows.
    pub(super) fn read(&self, token: &str, now: DateTime<Utc>) -> Option<Claims> {
        let mut rules = Validation::new(Algorithm::HS256);
        // The time is ours to say.
        rules.validate_exp = false;
        rules.required_spec_claims.clear();
        let read = jsonwebtoken::decode::<Claims>(token, &DecodingKey::from_secret(&self.key), &rules);
        let claims = read.ok()?.claims;
        (claims.exp > now.timestamp()).then_some(claims)
    }

    /// What must come with everything that changes something: it follows from the session, and only we can tell it.
    pub(super) fn csrf(&self, claims: &Claims) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.words, claims.jti.as_bytes()))
    }

    /// Whether this is a session's second word; takes as long whatever is wrong with it.
    pub(super) fn is_csrf(&self, claims: &Claims, given: &str) -> bool {
        let Ok(given) = URL_SAFE_NO_PAD.decode(given) else { return false };
        hmac::verify(&self.words, claims.jti.as_bytes(), &given).is_ok()
    }
}

/// The cookie's value among all that a browser sends.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';')).find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// How the cookie is set; an empty value takes it away. For no script, for no page of another site, and where the connection is
/// encrypted for no other one.
pub(super) fn set_cookie(value: &str, seconds: i64, tls: bool) -> String {
    let secure = if tls { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{secure}", seconds.max(0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn a_session_is_read_until_it_ends() {
        let sessions = Sessions::new(None, HOUR);
        let claims = sessions.begin(Uuid::from_u128(1), None, at(0));
        let token = sessions.sign(&claims).unwrap();
        assert_eq!(sessions.read(&token, at(3599)), Some(claims));
        assert_eq!(sessions.read(&token, at(3600)), None);
    }

    #[test]
    fn a_session_is_no_longer_than_its_token() {
        let sessions = Sessions::new(None, HOUR);
        assert_eq!(sessions.begin(Uuid::nil(), Some(at(60)), at(0)).exp, at(60).timestamp());
    }

    #[test]
    fn what_is_signed_otherwise_or_changed_is_none_of_ours() {
        let (ours, theirs) = (Sessions::new(None, HOUR), Sessions::new(None, HOUR));
        let claims = ours.begin(Uuid::from_u128(1), None, at(0));
        assert_eq!(ours.read(&theirs.sign(&claims).unwrap(), at(1)), None);
        let token = ours.sign(&claims).unwrap();
        let [head, payload, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
        let other = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        for forged in [
            format!("{other}.{payload}."),
            format!("{other}.{payload}.{signature}"),
            format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode("{}")),
            format!("{head}.{payload}."),
            String::new(),
        ] {
            assert_eq!(ours.read(&forged, at(1)), None, "{forged}");
        }
    }

    #[test]
    fn replicas_with_one_key_read_each_others_sessions() {
        let key = Secret::new("k".repeat(32));
        let [one, other] = [Sessions::new(Some(&key), HOUR), Sessions::new(Some(&key), HOUR)];
        let claims = one.begin(Uuid::from_u128(1), None, at(0));
        assert_eq!(other.read(&one.sign(&claims).unwrap(), at(1)), Some(claims.clone()));
        assert!(other.is_csrf(&claims, &one.csrf(&claims)));
        assert!(
            !other.is_csrf(&Claims { jti: Uuid::nil(), ..claims }, &one.csrf(&one.begin(Uuid::nil(), None, at(0))))
        );
    }

    #[test]
    fn the_cookie_is_found_among_others_and_made_for_nobody_else() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "a=b; jira_scim_session=x.y.z; c=d".parse().unwrap());
        assert_eq!(cookie(&headers), Some("x.y.z"));
        headers.insert(header::COOKIE, "jira_scim_session_two=1".parse().unwrap());
        assert_eq!(cookie(&headers), None);
        assert_eq!(
            set_cookie("v", 60, true),
            "jira_scim_session=v; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure"
        );
        assert!(!set_cookie("", 0, false).contains("Secure"));
    }
}
