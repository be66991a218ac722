//! Layer 0: a secret that cannot be printed by accident.
//!
//! Holds a token, a password or a URL with a password from the moment it is read. It has no `Serialize`, and its
//! `Debug` and `Display` say nothing of it; whoever needs the text says so with [`Secret::expose`].

use std::borrow::Cow;
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

/// Whether something of that name may be a secret: a password, a token, a key. Rather one name too many than one too few: it is
/// asked before something is put on record.
pub fn names_secret(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let holds = ["passw", "passphrase", "secret", "token", "apikey", "privatekey", "clientassertion"];
    holds.iter().any(|part| plain.contains(part)) || plain == "authorization" || plain.ends_with("pwd")
}

/// A text without the secrets that somebody wrote into it, wherever they do not belong: tokens of ours, what follows the word
/// Bearer, private keys in PEM form.
pub fn without_tokens(text: &str) -> Cow<'_, str> {
    let mut kept = Cow::Borrowed(text);
    if let Some(at) = text.find("-----BEGIN ").filter(|at| text[*at..].contains("PRIVATE KEY-----")) {
        let end =
            text[at..].rfind("-----END ").and_then(|end| Some(at + end + text[at + end + 9..].find("-----")? + 14));
        kept = Cow::Owned(format!("{}[redacted]{}", &text[..at], &text[end.unwrap_or(text.len())..]));
    }
    for begin in TOKENS {
        if let Some(fewer) = without(&kept, begin) {
            kept = Cow::Owned(fewer);
        }
    }
    kept
}

/// How our own tokens begin, 256 bits in base64 follow; and how a token is shown in HTTP. All in small letters.
const TOKENS: [&str; 3] = ["jst_", "jsa_", "bearer "];
/// So many letters after it are a token, or most of one.
const LETTERS: usize = 20;

/// Without what begins so; `None` where there is nothing of it.
fn without(text: &str, begin: &str) -> Option<String> {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    // As long as the text itself: only ASCII changes.
    let small = text.to_ascii_lowercase();
    let (mut kept, mut from, mut any) = (String::new(), 0, false);
    while let Some(at) = small[from..].find(begin).map(|at| from + at) {
        let inside = at + begin.len();
        let end = text[inside..].find(|c| !is_letter(c)).map_or(text.len(), |length| inside + length);
        let is_token = end - inside >= LETTERS;
        kept.push_str(&text[from..if is_token { at } else { end }]);
        kept.push_str(if is_token { "[redacted]" } else { "" });
        (from, any) = (end, any || is_token);
    }
    any.then(|| kept + &text[from..])
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
            (format!("{token} and {token}!"), "[redacted] and [redacted]!"),
            ("authorization: Bearer abcdefghijklmnopqrstuvwxyz".to_owned(), "authorization: [redacted]"),
            ("the bearer of it".to_owned(), "the bearer of it"),
            ("a -----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY----- b".to_owned(), "a [redacted] b"),
            ("-----BEGIN PRIVATE KEY-----\nMHc".to_owned(), "[redacted]"),
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
