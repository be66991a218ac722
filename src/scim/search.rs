//! The parameters of a query (RFC 7644 sections 3.4.2 and 3.4.3, RFC 9865 section 2) as texts, from wherever they come.
//!
//! What a body of `/.search` says is read into the same texts that a URL has, so that both are understood alike.

use serde_json::Value;

use super::error::ScimError;

/// What is asked for, not yet understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// `filter`.
    pub filter: Option<String>,
    /// `sortBy`.
    pub sort_by: Option<String>,
    /// `sortOrder`.
    pub sort_order: Option<String>,
    /// `startIndex`.
    pub start_index: Option<String>,
    /// `count`.
    pub count: Option<String>,
    /// `cursor`; empty for the first page.
    pub cursor: Option<String>,
    /// `attributes`, with commas.
    pub attributes: Option<String>,
    /// `excludedAttributes`, with commas.
    pub excluded_attributes: Option<String>,
}

impl Search {
    /// The place for the parameter of that name, in any letter case (GEN-6); `None` for what means nothing (GEN-5).
    pub fn slot(&mut self, name: &str) -> Option<&mut Option<String>> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("filter") {
            Some(&mut self.filter)
        } else if is("sortBy") {
            Some(&mut self.sort_by)
        } else if is("sortOrder") {
            Some(&mut self.sort_order)
        } else if is("startIndex") {
            Some(&mut self.start_index)
        } else if is("count") {
            Some(&mut self.count)
        } else if is("cursor") {
            Some(&mut self.cursor)
        } else if is("attributes") {
            Some(&mut self.attributes)
        } else if is("excludedAttributes") {
            Some(&mut self.excluded_attributes)
        } else {
            None
        }
    }

    /// Whether an empty value says something: the first page by cursors is asked for by one (RFC 9865 section 2).
    pub fn may_be_empty(name: &str) -> bool {
        name.eq_ignore_ascii_case("cursor")
    }

    /// Reads the body of a `/.search`. `schemas` is not asked for (GEN-8), null is absence (GEN-9), and what the RFC has
    /// as a list may come as a text with commas.
    ///
    /// # Errors
    ///
    /// 400 `invalidSyntax` for what is no object, 400 `invalidValue` naming the member of a wrong type.
    pub fn from_body(body: &Value) -> Result<Self, ScimError> {
        let Value::Object(body) = body else {
            return Err(ScimError::invalid_syntax("The body must be a JSON object."));
        };
        let mut search = Self::default();
        for (name, value) in body {
            if let Some(slot) = search.slot(name)
                && slot.is_none()
            {
                *slot = text(name, value)?.filter(|text| !text.is_empty() || Self::may_be_empty(name));
            }
        }
        Ok(search)
    }
}

fn text(name: &str, value: &Value) -> Result<Option<String>, ScimError> {
    let is = |known: &[&str]| known.iter().any(|known| name.eq_ignore_ascii_case(known));
    let text = match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if is(&["startIndex", "count"]) => Some(number.to_string()),
        Value::Array(names) if is(&["attributes", "excludedAttributes"]) => {
            let names: Option<Vec<&str>> = names.iter().map(Value::as_str).collect();
            Some(names.ok_or_else(|| wrong(name, "a list of names"))?.join(","))
        }
        _ if is(&["startIndex", "count"]) => return Err(wrong(name, "a whole number")),
        _ if is(&["attributes", "excludedAttributes"]) => return Err(wrong(name, "a list of names")),
        _ => return Err(wrong(name, "a string")),
    };
    match text {
        Some(text) if text.contains('\0') => Err(wrong(name, "text without the character U+0000")),
        text => Ok(text),
    }
}

fn wrong(name: &str, expected: &str) -> ScimError {
    ScimError::invalid_value(format!("{name} must be {expected}."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_says_what_a_url_would() {
        let search = Search::from_body(&json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
            "Attributes": ["userName", "emails.value"],
            "excludedAttributes": "groups,title",
            "FILTER": "title pr",
            "sortBy": "userName", "sortOrder": "descending",
            "startIndex": 3, "count": "10", "cursor": "", "unknown": { "a": 1 }
        }))
        .unwrap();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            search,
            Search {
                filter: some("title pr"),
                sort_by: some("userName"),
                sort_order: some("descending"),
                start_index: some("3"),
                count: some("10"),
                cursor: some(""),
                attributes: some("userName,emails.value"),
                excluded_attributes: some("groups,title"),
            }
        );
        let nothing = json!({ "filter": null, "cursor": null, "attributes": [], "sortBy": "" });
        assert_eq!(Search::from_body(&nothing).unwrap(), Search::default());
    }

    #[test]
    fn what_is_no_search_is_refused_by_name() {
        for (body, named) in [
            (json!([]), "body"),
            (json!({ "filter": 1 }), "filter"),
            (json!({ "filter": "a\0" }), "filter"),
            (json!({ "startIndex": "1", "COUNT": true }), "COUNT"),
            (json!({ "attributes": [1] }), "attributes"),
            (json!({ "excludedAttributes": { "a": 1 } }), "excludedAttributes"),
            (json!({ "cursor": 7 }), "cursor"),
            (json!({ "sortBy": ["a"] }), "sortBy"),
        ] {
            let error = Search::from_body(&body).unwrap_err();
            assert_eq!(error.status, 400);
            assert!(error.detail.contains(named), "{}", error.detail);
        }
    }
}
