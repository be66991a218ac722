//! What an issuer of JWTs must be before a tenant trusts it: the same for the configuration, the command line and the admin
//! API.

use url::Url;

use super::jwks::{ADDRESS, may_be_asked};
use super::{jwt, oauth};
use crate::store::jwt_issuer::NewIssuer;

/// The clock of an issuer may be off by this many seconds, unless somebody says otherwise.
pub const SKEW: i32 = 60;
/// The most that it may be off.
pub const MOST_SKEW: i32 = 600;

/// Checks an issuer.
///
/// # Errors
/// The field that is wrong, and what it must be.
pub fn check(new: &NewIssuer) -> Result<(), (&'static str, &'static str)> {
    super::credential::checked_label(&new.label)
        .map_err(|_| ("label", "must have 1 to 100 characters, none of them a control character"))?;
    let texts = [("issuer", Some(&new.issuer)), ("audience", Some(&new.audience)), ("subject", new.subject.as_ref())];
    for (field, text) in texts.into_iter().chain([("required_scope", new.granted.as_ref())]) {
        let fine = |text: &String| (1..=1000).contains(&text.len()) && !text.chars().any(char::is_control);
        if text.is_some_and(|text| !fine(text)) {
            return Err((field, "must have 1 to 1000 characters, none of them a control character"));
        }
    }
    if new.issuer == oauth::ISSUER {
        return Err(("issuer", "must not be the name under which this program issues tokens itself"));
    }
    match (&new.jwks_url, &new.jwks) {
        (Some(url), None) if Url::parse(url).is_ok_and(|url| may_be_asked(&url)) => {}
        (Some(_), None) => return Err(("jwks_url", ADDRESS)),
        (None, Some(set)) if jwt::holds_private(set) => {
            return Err(("jwks_file", "holds a private key, which is the issuer's alone; give its public keys"));
        }
        (None, Some(set)) => match jwt::keys(set) {
            Ok(keys) if !keys.is_empty() => {}
            Ok(_) => return Err(("jwks_file", "has no key for RS256, ES256 or EdDSA")),
            Err(what) => return Err(("jwks_file", what)),
        },
        _ => return Err(("jwks_url", "or jwks_file is needed, and only one of them")),
    }
    if new.algorithms.is_empty() || new.algorithms.iter().any(|name| !jwt::ALGORITHMS.contains(&name.as_str())) {
        return Err(("algorithms", "must be some of RS256, ES256 and EdDSA"));
    }
    if !(0..=MOST_SKEW).contains(&new.skew_seconds) {
        return Err(("clock_skew", "must be at most 10m"));
    }
    Ok(())
}
