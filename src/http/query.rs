//! The query of a request: the parameters of RFC 7644 sections 3.4.2 and 3.9, and nothing else.
//!
//! Names compare without regard to letter case, values may write a space as `+` (GEN-6), anything unknown is ignored,
//! a flag on the base URL included (GEN-5, ENTRA-12), and nothing at all may stand behind the question mark (OL-8).
//! Meaning is given by `scim`; here is only the wire.

use percent_encoding::percent_decode;

use crate::scim::{ScimError, Search};

/// Reads the part of the URI behind the question mark; the first of two parameters with one name counts.
///
/// # Errors
/// 400 where a value that matters is not UTF-8 or contains a NUL, which no attribute can.
pub(super) fn read(raw: Option<&str>) -> Result<Search, ScimError> {
    let mut search = Search::default();
    for pair in raw.unwrap_or_default().split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(slot) = search.slot(name) else { continue };
        if slot.is_none() && (!value.is_empty() || Search::may_be_empty(name)) {
            *slot = Some(decoded(name, value)?);
        }
    }
    Ok(search)
}

fn decoded(name: &str, value: &str) -> Result<String, ScimError> {
    let spaced: Vec<u8> = value.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }).collect();
    let text = percent_decode(&spaced)
        .decode_utf8()
        .map_err(|_| ScimError::invalid_value(format!("query parameter {name} is not UTF-8")))?;
    if text.contains('\0') {
        return Err(ScimError::invalid_value(format!("query parameter {name} contains a NUL character")));
    }
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_ignore_case_and_values_are_decoded() {
        let query = read(Some("FILTER=userName+eq+%22a%2Bb%22&startindex=2&Count=10&attributes=userName,id")).unwrap();
        assert_eq!(query.filter.as_deref(), Some("userName eq \"a+b\""));
        assert_eq!(query.start_index.as_deref(), Some("2"));
        assert_eq!(query.count.as_deref(), Some("10"));
        assert_eq!(query.attributes.as_deref(), Some("userName,id"));
    }

    #[test]
    fn the_unknown_and_the_empty_are_ignored() {
        for raw in ["", "aadOptscim062020", "x=%ff&y=%00", "filter=", "&&", "=", "filter"] {
            assert_eq!(read(Some(raw)).unwrap(), Search::default(), "{raw}");
        }
        assert_eq!(read(None).unwrap(), Search::default());
    }

    #[test]
    fn an_empty_cursor_asks_for_the_first_page() {
        for raw in ["cursor", "cursor=", "count=2&CURSOR=&cursor=x"] {
            assert_eq!(read(Some(raw)).unwrap().cursor.as_deref(), Some(""), "{raw}");
        }
        assert_eq!(read(Some("sortBy=title&sortorder=Descending")).unwrap().sort_order.as_deref(), Some("Descending"));
    }

    #[test]
    fn a_flag_on_the_base_url_may_stand_before_the_others() {
        let query = read(Some("aadOptscim062020&filter=title+eq+\"why?\"")).unwrap();
        assert_eq!(query.filter.as_deref(), Some("title eq \"why?\""));
    }

    #[test]
    fn a_value_that_matters_must_be_text() {
        for raw in ["filter=%ff", "filter=a%00b", "attributes=%C3%28"] {
            assert_eq!(read(Some(raw)).unwrap_err().status, 400, "{raw}");
        }
    }
}
