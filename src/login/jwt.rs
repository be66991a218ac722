//! JWTs (RFC 7519), those of issuers that a tenant trusts and our own: what one says of itself, whether its signature is that
//! of a key, and whether its claims are what is asked for. Pure; keys and time are given.
//!
//! Which algorithm may be used is decided by the administrator and by the kind of key, never by the token: `none` is no
//! algorithm here, HS256 belongs to our own tokens alone, and a key of one kind verifies nothing of another.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::ring;

/// Longer ones are not read.
const LONGEST: usize = 16 << 10;
/// How many keys of a set may be tried where a token does not name one.
const MOST_TRIED: usize = 8;
/// How many keys of a set are looked at.
const MOST_KEYS: usize = 64;

/// What a token says of itself; nothing of it is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// `alg`
    pub algorithm: String,
    /// `kid`
    pub key: Option<String>,
    /// `iss`
    pub issuer: String,
}

#[derive(Deserialize)]
struct RawHeader {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct RawIssuer {
    iss: String,
}

/// Reads what a token says of itself; `None` where it is no JWT, or asks for what nobody here knows (`crit`, RFC 7515
/// section 4.1.11).
pub fn claimed(token: &str) -> Option<Claimed> {
    if token.len() > LONGEST {
        return None;
    }
    let mut parts = token.split('.');
    let (header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let header: RawHeader = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let RawIssuer { iss } = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    header.crit.is_none().then_some(Claimed { algorithm: header.alg, key: header.kid, issuer: iss })
}

/// The algorithm of that name, where it may be one of somebody else's tokens.
pub fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "RS256" => Some(Algorithm::RS256),
        "ES256" => Some(Algorithm::ES256),
        "EdDSA" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

/// The names of [`algorithm`].
pub const ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];

/// The keys of a set (RFC 7517 section 5) that can be used here; what is not understood is left out, as that asks for.
///
/// # Errors
/// It is no set.
pub fn keys(set: &Value) -> Result<Vec<Jwk>, &'static str> {
    let keys = set.get("keys").and_then(Value::as_array).ok_or("is no set of keys: it has no list \"keys\"")?;
    let usable = |key: &Value| serde_json::from_value::<Jwk>(key.clone()).ok().filter(suits_any);
    Ok(keys.iter().take(MOST_KEYS).filter_map(usable).collect())
}

/// Whether a set holds what only its owner may have (RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1, RFC 8037 section 2).
pub fn holds_private(set: &Value) -> bool {
    const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    let keys = set.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    keys.iter().any(|key| PRIVATE.iter().any(|member| key.get(member).is_some()))
}

fn suits_any(key: &Jwk) -> bool {
    [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA].into_iter().any(|algorithm| suits(key, algorithm))
}

/// Whether a key is one for that algorithm.
fn suits(key: &Jwk, algorithm: Algorithm) -> bool {
    let kind = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(_), Algorithm::RS256) => true,
        (AlgorithmParameters::EllipticCurve(key), Algorithm::ES256) => key.curve == EllipticCurve::P256,
        (AlgorithmParameters::OctetKeyPair(key), Algorithm::EdDSA) => key.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    let signs = !matches!(&key.common.public_key_use, Some(PublicKeyUse::Encryption));
    let named = key.common.key_algorithm.as_ref().map(ToString::to_string);
    kind && signs && named.is_none_or(|named| algorithm_name(algorithm) == named)
}

fn algorithm_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::RS256 => "RS256",
        Algorithm::ES256 => "ES256",
        Algorithm::EdDSA => "EdDSA",
        _ => "",
    }
}

/// Whether a set has the key that a token names; a token that names none asks for no more than is there.
pub fn has_key(keys: &[Jwk], claimed: &Claimed) -> bool {
    match &claimed.key {
        Some(kid) => keys.iter().any(|key| key.common.key_id.as_ref() == Some(kid)),
        None => !keys.is_empty(),
    }
}

/// The claims of a token that one of the keys has signed with that algorithm; the claims themselves are not yet checked.
pub fn verified(token: &str, claimed: &Claimed, algorithm: Algorithm, keys: &[Jwk]) -> Option<Map<String, Value>> {
    let named = |key: &&Jwk| claimed.key.is_none() || key.common.key_id == claimed.key;
    let suitable = keys.iter().filter(named).filter(|key| suits(key, algorithm)).take(MOST_TRIED);
    suitable.filter_map(|key| DecodingKey::from_jwk(key).ok()).find_map(|key| signed(token, algorithm, &key))
}

fn signed(token: &str, algorithm: Algorithm, key: &DecodingKey) -> Option<Map<String, Value>> {
    ring::install();
    let mut only_signature = Validation::new(algorithm);
    only_signature.required_spec_claims.clear();
    (only_signature.validate_exp, only_signature.validate_nbf, only_signature.validate_aud) = (false, false, false);
    jsonwebtoken::decode::<Map<String, Value>>(token, key, &only_signature).ok().map(|decoded| decoded.claims)
}

/// The claims of a token of our own.
pub fn verified_own(token: &str, key: &[u8; 32]) -> Option<Map<String, Value>> {
    signed(token, Algorithm::HS256, &DecodingKey::from_secret(key))
}

/// A token of our own with these claims; `None` only where the claims cannot be written down.
pub fn sign_own(claims: &Value, id: &str, key: &[u8; 32]) -> Option<String> {
    ring::install();
    let header = Header { kid: Some(id.to_owned()), ..Header::new(Algorithm::HS256) };
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(key)).ok()
}

/// What claims must be.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// `iss`
    pub issuer: &'a str,
    /// What `aud` must name.
    pub audience: &'a str,
    /// Whom `sub`, or one of the names of a client, must name.
    pub subject: Option<&'a str>,
    /// What `scope`, `scp` or `roles` must have.
    pub granted: Option<&'a str>,
    /// How far clocks may differ.
    pub skew: TimeDelta,
}

/// Checks claims, and returns when the token ends.
///
/// # Errors
/// What is wrong, for the log.
pub fn check(claims: &Map<String, Value>, asked: Asked<'_>, now: DateTime<Utc>) -> Result<DateTime<Utc>, &'static str> {
    if claims.get("iss").and_then(Value::as_str) != Some(asked.issuer) {
        return Err("iss is another");
    }
    if !names(claims.get("aud"), asked.audience) {
        return Err("aud is another");
    }
    let expires = time(claims, "exp").ok_or("exp is missing or no time")?;
    let until = expires.checked_add_signed(asked.skew).ok_or("exp is no time")?;
    if until <= now {
        return Err("it has expired");
    }
    for (claim, wrong) in [("nbf", "nbf lies ahead or is no time"), ("iat", "iat lies ahead or is no time")] {
        if claims.contains_key(claim) && time(claims, claim).is_none_or(|at| at - asked.skew > now) {
            return Err(wrong);
        }
    }
    let any = |claims_: &[&str], wanted: &str| claims_.iter().any(|claim| names(claims.get(*claim), wanted));
    if asked.subject.is_some_and(|subject| !any(&["sub", "azp", "appid", "client_id", "cid"], subject)) {
        return Err("sub is another");
    }
    if asked.granted.is_some_and(|granted| !granted_in(claims, granted)) {
        return Err("the scope is not granted");
    }
    Ok(until)
}

/// Whether a claim is that text, or a list with it.
fn names(claim: Option<&Value>, wanted: &str) -> bool {
    match claim {
        Some(Value::String(text)) => text == wanted,
        Some(Value::Array(list)) => list.iter().any(|item| item.as_str() == Some(wanted)),
        _ => false,
    }
}

/// Scopes are a list, or text with blanks between (RFC 6749 section 3.3).
fn granted_in(claims: &Map<String, Value>, wanted: &str) -> bool {
    ["scope", "scp", "roles"].into_iter().filter_map(|claim| claims.get(claim)).any(|claim| match claim {
        Value::String(text) => text.split(' ').any(|word| word == wanted),
        list => names(Some(list), wanted),
    })
}

/// A NumericDate (RFC 7519 section 2): seconds, perhaps with a fraction.
fn time(claims: &Map<String, Value>, claim: &str) -> Option<DateTime<Utc>> {
    let seconds = claims.get(claim)?.as_f64()?;
    // Whatever is far outside of the calendar becomes the end of i64, which is no time either.
    DateTime::from_timestamp(seconds.floor() as i64, 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn asked() -> Asked<'static> {
        let skew = TimeDelta::seconds(60);
        Asked { issuer: "https://i.example", audience: "scim", subject: None, granted: None, skew }
    }

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn claims_are_what_is_asked_for_or_the_token_is_refused() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let good = json!({"iss": "https://i.example", "aud": "scim", "exp": 1_000_100, "nbf": 999_000, "iat": 999_000});
        assert_eq!(check(&object(good.clone()), asked(), now).unwrap().timestamp(), 1_000_160);
        for (key, value, refused) in [
            ("aud", json!(["other", "scim"]), false),
            ("aud", json!(["other"]), true),
            ("aud", json!("scim other"), true),
            ("aud", json!(null), true),
            ("iss", json!("https://i.example/"), true),
            ("iss", json!(["https://i.example"]), true),
            ("exp", json!(999_941), false),
            ("exp", json!(999_940), true),
            ("exp", json!(1_000_000.5), false),
            ("exp", json!("1000100"), true),
            ("exp", json!(null), true),
            ("exp", json!(1e300), true),
            ("nbf", json!(1_000_060), false),
            ("nbf", json!(1_000_061), true),
            ("nbf", json!("soon"), true),
            ("iat", json!(1_000_061), true),
        ] {
            let mut claims = object(good.clone());
            claims.insert(key.to_owned(), value.clone());
            assert_eq!(check(&claims, asked(), now).is_err(), refused, "{key} = {value}");
        }
    }

    #[test]
    fn a_subject_is_a_client_too_and_a_scope_is_a_word_or_an_entry() {
        let now = DateTime::from_timestamp(0, 0).unwrap();
        let of = |more: Value| {
            let mut claims = object(json!({"iss": "https://i.example", "aud": "scim", "exp": 100}));
            claims.extend(object(more));
            claims
        };
        let subject = |more| check(&of(more), Asked { subject: Some("me"), ..asked() }, now).is_ok();
        assert!(
            subject(json!({"sub": "me"})) && subject(json!({"sub": "x", "azp": "me"})) && subject(json!({"cid": "me"}))
        );
        assert!(!subject(json!({"sub": "x"})) && !subject(json!({})));
        let granted = |more| check(&of(more), Asked { granted: Some("scim.write"), ..asked() }, now).is_ok();
        assert!(granted(json!({"scope": "openid scim.write"})) && granted(json!({"scp": ["scim.write"]})));
        assert!(granted(json!({"roles": ["scim.write"]})));
        assert!(!granted(json!({"scope": "scim.writer"})) && !granted(json!({"roles": "x"})) && !granted(json!({})));
    }

    #[test]
    fn what_is_no_jwt_or_asks_for_the_unknown_is_not_read() {
        let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let token = |header: Value| format!("{}.{}.c2ln", encode(header), encode(json!({"iss": "i"})));
        assert_eq!(claimed(&token(json!({"alg": "RS256", "kid": "1"}))).unwrap().key.as_deref(), Some("1"));
        assert_eq!(claimed(&token(json!({"alg": "RS256", "crit": ["exp"]}))), None);
        for text in ["", "jst_x", "a.b", "a.b.c", "a.b.c.d", &"a".repeat(LONGEST + 1)] {
            assert_eq!(claimed(text), None);
        }
    }

    #[test]
    fn our_own_tokens_open_with_our_own_key_alone() {
        let claims = json!({"iss": "us", "exp": 1});
        let token = sign_own(&claims, "k", &[1; 32]).unwrap();
        assert_eq!(Value::Object(verified_own(&token, &[1; 32]).unwrap()), claims);
        assert_eq!(verified_own(&token, &[2; 32]), None);
        assert_eq!(claimed(&token).unwrap().key.as_deref(), Some("k"));
        // The key of another kind as the secret of an HMAC: the oldest trick there is.
        assert_eq!(algorithm("HS256"), None);
        assert_eq!(algorithm("none"), None);
        let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), token.split('.').nth(1).unwrap());
        assert_eq!(verified_own(&unsigned, &[1; 32]), None);
    }
}
