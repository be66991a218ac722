//! What a record may not hold: passwords, tokens, and what a tenant's clients may never read. Pure.

use serde_json::Value;

use crate::secret::{names_secret, without_tokens};

/// A longer path is cut.
const LONGEST: usize = 2000;
/// Larger bodies are not kept.
const LARGEST: usize = 16 * 1024;
/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";
/// What a query speaks of that holds a secret.
const NAMES: [&str; 8] =
    ["passw", "token", "access_token", "secret", "client_secret", "client_assertion", "api_key", "authorization"];
/// What only the owner of a key may have (RFC 7518 section 6, RFC 8037 section 2).
const OF_KEYS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The path of a request with its query, without secrets. A query that speaks of one is left out altogether: what it compares
/// it with may stand anywhere in it.
pub fn path_of(uri: &axum::http::Uri, secrets: &[&str]) -> String {
    let path: String = without_tokens(uri.path()).chars().take(LONGEST).collect();
    let Some(query) = uri.query() else { return path };
    let plain = percent_encoding::percent_decode_str(query).decode_utf8_lossy().to_lowercase();
    let speaks = |name: &&str| plain.contains(&name.to_lowercase());
    match NAMES.iter().any(speaks) || secrets.iter().any(speaks) {
        true => format!("{path}?{REDACTED}"),
        false => format!("{path}?{}", without_tokens(query)).chars().take(LONGEST).collect(),
    }
}

/// The body of a request to the administrators' door without secrets, or a word about its size.
pub fn redacted(body: &Value) -> Value {
    let text = body.to_string();
    if text.len() > LARGEST {
        return serde_json::json!({ "omitted": format!("{} bytes", text.len()) });
    }
    let mut body = body.clone();
    redact(&mut body);
    body
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let is_key = members.contains_key("kty");
            for (name, value) in members.iter_mut() {
                if names_secret(name) || (is_key && OF_KEYS.contains(&name.as_str())) {
                    *value = Value::String(REDACTED.to_owned());
                } else {
                    redact(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::String(text) => {
            if let std::borrow::Cow::Owned(kept) = without_tokens(text) {
                *text = kept;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_keeps_its_query_unless_that_speaks_of_a_secret() {
        for (uri, kept) in [
            ("/scim/a/v2/Users", "/scim/a/v2/Users"),
            ("/Users?filter=userName+eq+%22a%22", "/Users?filter=userName+eq+%22a%22"),
            ("/Users?filter=PassWord+eq+%22s3cret%22", "/Users?[redacted]"),
            ("/Users?filter=pass%77ord+eq+%22s3cret%22", "/Users?[redacted]"),
            ("/Users?access_token=s3cret", "/Users?[redacted]"),
            ("/Users?filter=badge:Pin+eq+1", "/Users?[redacted]"),
        ] {
            assert_eq!(path_of(&uri.parse().unwrap(), &["pin"]), kept);
        }
        let long = format!("/{}", "x".repeat(9000));
        assert_eq!(path_of(&long.parse().unwrap(), &[]).len(), LONGEST);
    }

    #[test]
    fn an_administrators_secrets_are_not_kept() {
        let kept = redacted(&json!({"token": "s3cret", "a": [{"Password": {"x": "s3cret"}}], "label": "okta"}));
        assert!(!kept.to_string().contains("s3cret") && kept["label"] == "okta", "{kept}");
        assert!(redacted(&json!("x".repeat(20_000)))["omitted"].is_string());
        let key = json!({"kty": "oct", "k": "s3cret", "kid": "a"});
        let kept = redacted(&json!({"jwks": {"keys": [key]}, "passwort": "s3cret", "client-secret": "s3cret"}));
        assert!(!kept.to_string().contains("s3cret") && kept["jwks"]["keys"][0]["kid"] == "a", "{kept}");
        let token = format!("jsa_{}", "x".repeat(43));
        assert_eq!(redacted(&json!({"tokn": [format!("my {token}")]})), json!({"tokn": ["my [redacted]"]}));
    }
}
