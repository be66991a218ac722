//! List answers and the page that a client asks for (RFC 7644 sections 3.4.2 and 3.4.2.4, RFC 9865 section 2).

use serde_json::{Map, Value, json};

use super::cursor::Cursor;
use super::error::{ScimError, quoted};
use super::urn;

/// A list answer. The three counters are integers (GEN-13, OKTA-21); `Resources` is there also when it is empty (ENTRA-2).
pub fn list_response(resources: Vec<Value>, total: u64, start_index: u64) -> Value {
    listed(resources, total, ("startIndex", Some(start_index.into())))
}

/// The answer to a request with a cursor: `nextCursor` is missing only on the last page (RFC 9865 section 2).
pub fn cursor_response(resources: Vec<Value>, total: u64, next: Option<&Cursor>) -> Value {
    listed(resources, total, ("nextCursor", next.map(|next| next.encode().into())))
}

fn listed(resources: Vec<Value>, total: u64, (name, place): (&str, Option<Value>)) -> Value {
    // By hand: the macro would serialize every resource once more.
    let mut list = Map::new();
    list.insert("schemas".to_owned(), json!([urn::LIST_RESPONSE]));
    list.insert("totalResults".to_owned(), total.into());
    list.extend(place.map(|place| (name.to_owned(), place)));
    list.insert("itemsPerPage".to_owned(), resources.len().into());
    list.insert("Resources".to_owned(), Value::Array(resources));
    Value::Object(list)
}

/// The page that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging {
    /// The first resource, counted from 1; at most `i64::MAX`.
    pub start_index: u64,
    /// How many resources at most; 0 asks for the total only.
    pub count: u64,
}

impl Paging {
    /// Reads the query parameters. A `startIndex` below 1 is 1, a negative `count` is 0, a `count` above `max` is `max`;
    /// an absent or empty `count` is `default`, so that an unpaged read gets what the page limit allows (KC-10).
    ///
    /// # Errors
    ///
    /// 400 `invalidValue` for what is no whole number.
    pub fn parse(start_index: Option<&str>, count: Option<&str>, max: u64, default: u64) -> Result<Self, ScimError> {
        let start_index = whole_number("startIndex", start_index)?.unwrap_or(1).max(1);
        let count = match whole_number("count", count)? {
            Some(count) => count.unsigned_abs().min(if count < 0 { 0 } else { max }),
            None => default.min(max),
        };
        Ok(Self { start_index: start_index.unsigned_abs(), count })
    }
}

/// A whole number of any length; what exceeds 64 bits is cut to the greatest or least one.
fn whole_number(name: &str, text: Option<&str>) -> Result<Option<i64>, ScimError> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ScimError::invalid_value(format!("{name} must be a whole number, not {}.", quoted(text))));
    }
    let limit = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    Ok(Some(text.parse().unwrap_or(limit)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_empty_list_is_the_recommended_one() {
        assert_eq!(
            list_response(Vec::new(), 0, 1),
            json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
                "totalResults": 0, "startIndex": 1, "itemsPerPage": 0, "Resources": []
            })
        );
    }

    #[test]
    fn the_page_is_read_tolerantly() {
        let most = i64::MAX.unsigned_abs();
        for (start, count, expected) in [
            (None, None, (1, 100)),
            (Some("1"), Some("2"), (1, 2)),
            (Some("101"), Some("100"), (101, 100)),
            (Some("0"), Some("0"), (1, 0)),
            (Some("-5"), Some("-5"), (1, 0)),
            (Some("1"), Some("100000"), (1, 200)),
            (Some("99999999999999999999999"), Some("99999999999999999999999"), (most, 200)),
            (Some("-99999999999999999999999"), Some("-99999999999999999999999"), (1, 0)),
            (Some(""), Some(" "), (1, 100)),
        ] {
            let page = Paging::parse(start, count, 200, 100).unwrap();
            assert_eq!((page.start_index, page.count), expected, "{start:?} {count:?}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["ten", "1.5", "0x10", "-", "1e3", "一"] {
            let error = Paging::parse(Some(text), None, 200, 100).unwrap_err();
            assert!(error.detail.starts_with("startIndex"), "{}", error.detail);
            assert!(Paging::parse(None, Some(text), 200, 100).unwrap_err().detail.starts_with("count"));
        }
    }
}
