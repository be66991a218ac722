//! Cursors (RFC 9865): where a walk through a list stands, as text that a URL may hold and a client only hands back.
//!
//! A cursor is a position and nothing that the server keeps: it never expires, and holding one opens nothing, because the
//! request that brings it says anew who asks and for what. It carries the sort value and the id of the last resource, the
//! total as it was counted for the first page, and a fingerprint of the query that it belongs to.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::error::ScimError;
use super::filter::Filter;
use super::folded;
use super::schema::Kind;
use super::sort::Sort;

/// The longest cursor that is read, in bytes; the longest that is written is shorter.
const LONGEST: usize = 16 * 1024;

/// Where a walk stands: after this resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// What its query was.
    query: Fingerprint,
    /// How many resources matched when the first page was read.
    pub total: u64,
    /// Whether the last resource was a group.
    pub group: bool,
    /// What it was sorted by; `None` where it had no value, or the order is that of the ids.
    pub key: Option<String>,
    /// Its id.
    pub id: Uuid,
}

/// What a cursor's next request must ask for again: filter, order and kind of resource. How many at once, and which of
/// their attributes, may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Of a query at this endpoint.
    pub fn of(endpoint: &str, filter: Option<&Filter>, sorts: &[Option<&Sort>]) -> Self {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        };
        add(endpoint);
        add(&filter.map(ToString::to_string).unwrap_or_default());
        for sort in sorts.iter().flatten() {
            add(if sort.descending { "down" } else { "up" });
            add(&sort.attr.as_ref().map(|attr| attr.path.join("/")).unwrap_or_default());
        }
        let bytes: [u8; 32] = hash.finalize().into();
        Self(bytes[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

impl Cursor {
    /// The place behind a resource.
    pub fn after(query: Fingerprint, total: u64, group: bool, key: Option<String>, id: Uuid) -> Self {
        Self { query, total, group, key, id }
    }

    /// The text for the client.
    pub fn encode(&self) -> String {
        let fields = (self.query, self.total, self.group, &self.key, self.id);
        // Numbers, text and null into memory: it cannot fail.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&fields).unwrap_or_default())
    }

    /// Reads what a client hands back with a query, sorted by an attribute of that kind if by one at all.
    ///
    /// # Errors
    ///
    /// 400 `invalidCursor` for what no page of this query ended with.
    pub fn decode(text: &str, query: Fingerprint, sorted_by: Option<Kind>) -> Result<Self, ScimError> {
        let broken =
            || ScimError::invalid_cursor("cursor is not one that this server gave; start anew with an empty one.");
        if text.len() > LONGEST {
            return Err(broken());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| broken())?;
        let (of, total, group, key, id): (Fingerprint, u64, bool, Option<String>, Uuid) =
            serde_json::from_slice(&bytes).map_err(|_| broken())?;
        if of != query {
            return Err(ScimError::invalid_cursor(
                "cursor belongs to another query; filter, sortBy and sortOrder must stay the same from page to page.",
            ));
        }
        if key.as_deref().is_some_and(|key| !fits(key, sorted_by)) {
            return Err(broken());
        }
        Ok(Self::after(of, total, group, key, id))
    }
}

/// Whether the text can be a sort value of an attribute of that kind.
fn fits(key: &str, kind: Option<Kind>) -> bool {
    match kind {
        None | Some(Kind::Complex) => false,
        Some(Kind::Boolean) => matches!(key, "true" | "false"),
        Some(Kind::DateTime) => folded::instant(key).is_some(),
        Some(Kind::Integer | Kind::Decimal) => {
            let digits = key.strip_prefix('-').unwrap_or(key);
            let digit_or_point = |byte: u8| byte.is_ascii_digit() || byte == b'.';
            digits.bytes().all(digit_or_point) && key.parse::<f64>().is_ok()
        }
        Some(Kind::String | Kind::Reference | Kind::Binary) => !key.contains('\0'),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::scim::ScimType;
    use crate::scim::filter::{Limits, parse};
    use crate::scim::schema::user;

    fn by(name: &str, order: &str) -> Sort {
        Sort::parse(Some(name), Some(order), user()).unwrap().unwrap()
    }

    fn query(filter: &str, sort: &Sort) -> Fingerprint {
        Fingerprint::of("/Users", Some(&parse(filter, &Limits::default()).unwrap()), &[Some(sort)])
    }

    #[test]
    fn a_query_is_told_from_each_that_differs() {
        let up = by("title", "ascending");
        let all = [
            Fingerprint::of("/Users", None, &[]),
            Fingerprint::of("/Groups", None, &[]),
            Fingerprint::of("/", None, &[]),
            Fingerprint::of("/Users", None, &[Some(&up)]),
            Fingerprint::of("/Users", None, &[Some(&by("title", "descending"))]),
            Fingerprint::of("/Users", None, &[Some(&by("nickName", "ascending"))]),
            query("title pr", &up),
            query("title eq \"a\"", &up),
            query("title eq \"A\"", &up),
        ];
        for (a, first) in all.iter().enumerate() {
            for (b, second) in all.iter().enumerate() {
                assert_eq!(first == second, a == b, "{a} {b}");
            }
        }
        assert_eq!(query("title  pr", &up), query("(title PR)", &up), "spelling that means the same");
    }

    #[test]
    fn a_cursor_of_another_query_or_of_nobody_is_refused() {
        let of = Fingerprint::of("/Users", None, &[]);
        let text = Cursor::after(of, 7, false, None, Uuid::nil()).encode();
        assert!(Cursor::decode(&text, of, None).is_ok());
        let other = Fingerprint::of("/Groups", None, &[]);
        let keyed = |key: &str| Cursor::after(of, 7, false, Some(key.to_owned()), Uuid::nil()).encode();
        for (text, query, kind) in [
            (text.clone(), other, None),
            (text[1..].to_owned(), of, None),
            (format!("{text}="), of, None),
            ("0".to_owned(), of, None),
            ("x".repeat(LONGEST + 1), of, None),
            (keyed("a"), of, None),
            (keyed("a"), of, Some(Kind::DateTime)),
            (keyed("a"), of, Some(Kind::Boolean)),
            (keyed("1e999999999"), of, Some(Kind::Decimal)),
            (keyed("."), of, Some(Kind::Decimal)),
            (keyed("a\0"), of, Some(Kind::String)),
        ] {
            let error = Cursor::decode(&text, query, kind).unwrap_err();
            assert_eq!((error.status, error.scim_type), (400, Some(ScimType::InvalidCursor)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_cursor_is_read_as_it_was_written(total: u64, group: bool, key in prop::option::of("[^\0]{0,300}"), id: u128) {
            let of = Fingerprint::of("/Users", None, &[]);
            let cursor = Cursor::after(of, total, group, key, Uuid::from_u128(id));
            let text = cursor.encode();
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            prop_assert_eq!(Cursor::decode(&text, of, Some(Kind::String)).unwrap(), cursor);
        }

        #[test]
        fn any_text_is_a_cursor_or_an_error(text in any::<String>()) {
            let _ = Cursor::decode(&text, Fingerprint::of("/Users", None, &[]), Some(Kind::String));
        }
    }
}
