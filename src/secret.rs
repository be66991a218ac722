//! Layer 0: a secret that cannot be printed by accident.
//!
//! Holds a token, a password or a URL with a password from the moment it is read. It has no `Serialize`, and its
//! `Debug` and `Display` say nothing of it; whoever needs the text says so with [`Secret::expose`].

use std::fmt;

use serde::Deserialize;

/// Text that must not reach a log, an error or a page.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes the text into keeping.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends or hashes it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text at all, which is never a usable secret.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("redacted")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// How our own tokens begin; 256 bits in base64 follow.
const TOKENS: [&str; 2] = ["jst_", "jsa_"];
/// So many letters after it are a token, or most of one.
const LETTERS: usize = 20;

/// Whether something of that name may be a secret: a password, a token, a key. Rather one name too many than one too few: it is
/// asked before something is put on record.
pub fn names_secret(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let holds = ["passw", "passphrase", "secret", "token", "apikey", "privatekey", "clientassertion"];
    holds.iter().any(|part| plain.contains(part)) || plain == "authorization" || plain.ends_with("pwd")
}

/// A text without the tokens of ours that somebody wrote into it, wherever they do not belong.
pub fn without_tokens(text: &str) -> std::borrow::Cow<'_, str> {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let (mut rest, mut kept) = (text, String::new());
    while let Some(at) = TOKENS.iter().filter_map(|begin| rest.find(begin)).min() {
        let end = rest[at..].find(|c| !is_letter(c)).map_or(rest.len(), |length| at + length);
        let is_token = end - at >= LETTERS + TOKENS[0].len();
        kept.push_str(if is_token { &rest[..at] } else { &rest[..end] });
        kept.push_str(if is_token { "[redacted]" } else { "" });
        rest = &rest[end..];
    }
    if kept.is_empty() { text.into() } else { (kept + rest).into() }
}

#[cfg(test)]
mod tests {
    use super::{Secret, names_secret, without_tokens};

    #[test]
    fn names_that_people_give_to_secrets_are_known() {
        for name in [
            "password",
            "newPassword",
            "passwd",
            "client-secret",
            "API_KEY",
            "access_token",
            "Authorization",
            "userPwd",
        ] {
            assert!(names_secret(name), "{name}");
        }
        for name in ["userName", "compass", "keys", "title", "label", "kind", "expires", "displayName"] {
            assert!(!names_secret(name), "{name}");
        }
    }

    #[test]
    fn a_token_in_the_wrong_place_is_taken_out_of_a_text() {
        let token = format!("jsa_{}", "aB3-_".repeat(9));
        for (text, kept) in [
            (format!("/api/v1/session/{token}"), "/api/v1/session/[redacted]"),
            (format!("{token} and {token}."), "[redacted] and [redacted]."),
            ("jst_wrong, ünal jsa_".to_owned(), "jst_wrong, ünal jsa_"),
            ("nothing".to_owned(), "nothing"),
        ] {
            assert_eq!(without_tokens(&text), kept);
        }
    }

    #[test]
    fn a_secret_shows_itself_only_when_asked_to() {
        let secret = Secret::new("hunter2");
        assert_eq!(secret.expose(), "hunter2");
        assert!(!format!("{secret:?} {secret}").contains("hunter2"));
    }
}
