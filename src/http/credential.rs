//! What a request shows of its sender: a bearer token (RFC 6750), the same text alone (`OKTA-3`), or a user name with its
//! password (RFC 7617).

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::login::jwt::{self, Claimed};
use crate::secret::Secret;

/// What a request shows of itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Presented {
    /// HTTP Basic: as whom.
    pub(super) username: Option<String>,
    pub(super) secret: Secret,
}

impl Presented {
    /// Reads `Authorization`; the name of a scheme ignores letter case (RFC 9110 section 11.1).
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
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
        (!secret.is_empty()).then_some(Self { username, secret: Secret::new(secret) })
    }

    /// What it says of itself, where it is a JWT.
    pub(super) fn jwt(&self) -> Option<Claimed> {
        if self.username.is_some() { None } else { jwt::claimed(self.secret.expose()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
                secret: Secret::new(secret),
            });
            assert_eq!(Presented::of(&headers), expected, "{text}");
        }
        assert_eq!(Presented::of(&HeaderMap::new()), None);
    }
}
