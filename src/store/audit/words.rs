//! The words by which a request is found again, and the query that looks for them. Pure.
//!
//! Both sides cut text the same way, so nothing depends on a dictionary of the database: at white space, without the
//! punctuation around a word; what has punctuation inside is known as a whole and by its parts. A search is for the
//! beginnings of words.

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;
use serde_json::Value;
use uuid::Uuid;

use super::{NewRequest, Query};
use crate::account::fold;
use crate::telemetry::uuid_of;

/// Words of one request; of a longer one the rest is not found.
const MOST: usize = 400;
/// Letters of a word of what came by no request, as the database has it.
const INSIDE: usize = 60;
/// Letters of a word.
const LONGEST: usize = 64;

/// What a request is found by.
pub(super) fn words_of(request: &NewRequest) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    words.insert(marked("m", &request.method));
    words.insert(format!("id:{}", request.request_id));
    words.extend(request.given.as_deref().map(|given| format!("id:{}", uuid_of(given))));
    if let Some(status) = request.status {
        words.insert(format!("s:{status}"));
        words.insert(format!("s:{}xx", status / 100));
    }
    words.insert(marked("a", &request.actor));
    words.extend(request.remote.as_deref().map(|remote| marked("r", remote)));
    words.insert(format!("side:{}", request.side.as_str()));
    words.extend(request.subjects.iter().map(Uuid::to_string));
    add_text(&mut words, &request.actor);
    add_path(&mut words, &request.path);
    add_text(&mut words, request.error.as_deref().unwrap_or_default());
    if let Some(body) = &request.body {
        let groups = request.path.contains("/Groups");
        add_value(&mut words, body, groups);
    }
    words.remove("");
    words
}

/// A query over [`words_of`] in the database's own notation; `None` where everything fits.
pub(super) fn tsquery(query: &Query) -> Option<String> {
    let mut terms = Vec::new();
    let exactly = |term: &str| format!("'{}'", term.replace('\\', "\\\\").replace('\'', "''"));
    for ids in [&query.user, &query.group].into_iter().flatten() {
        // Nobody of that name: nothing is found.
        let any: Vec<String> = ids.iter().map(|id| exactly(&id.to_string())).collect();
        terms.push(if any.is_empty() { exactly("nobody:") } else { format!("({})", any.join(" | ")) });
    }
    terms.extend(query.status.as_ref().map(|status| exactly(&format!("s:{}", fold(status)))));
    terms.extend(query.method.as_ref().map(|method| exactly(&marked("m", method))));
    terms.extend(query.actor.as_ref().map(|actor| exactly(&marked("a", actor))));
    terms.extend(query.remote.as_ref().map(|remote| exactly(&marked("r", remote))));
    terms.extend(query.request_id.map(|id| exactly(&format!("id:{id}"))));
    terms.extend(query.side.as_ref().map(|side| exactly(&format!("side:{side}"))));
    terms.extend(asked_words(query).iter().map(|word| format!("{}:*", exactly(word))));
    (!terms.is_empty()).then(|| terms.join(" & "))
}

/// A query over the words of what came by no request, which the database cuts itself (migration 0013): at everything but letters
/// and digits, with the letters A to Z alone made small. Each word is asked for in the ways in which people write it.
pub(super) fn inside_query(query: &Query) -> Option<String> {
    let text = query.text.as_deref().unwrap_or_default();
    let words = text.split(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let terms: Vec<String> = words
        .take(20)
        .map(|word| {
            let word: String = word.chars().filter(|c| *c != '\0').take(INSIDE).collect();
            let small = fold(&word);
            let mut letters = small.chars();
            let first = letters.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default();
            let ways = [word.clone(), small.clone(), word.to_uppercase(), format!("{first}{}", letters.as_str())];
            let ways: BTreeSet<String> = ways.iter().map(|way| way.to_ascii_lowercase()).collect();
            let ways: Vec<String> =
                ways.iter().map(|way| format!("'{}':*", way.replace('\\', "\\\\").replace('\'', "''"))).collect();
            format!("({})", ways.join(" | "))
        })
        .collect();
    (!terms.is_empty()).then(|| terms.join(" & "))
}

/// The words of a free text, as [`words_of`] would have them.
fn asked_words(query: &Query) -> Vec<String> {
    let text = query.text.as_deref().unwrap_or_default();
    text.split_whitespace().map(|word| cut(bare(word))).filter(|word| !word.is_empty()).take(20).collect()
}

/// The term under which a request is found that gave somebody (`n`), or a group (`g`), a name.
pub(super) fn naming(mark: &str, name: &str) -> String {
    format!("'{}'", marked(mark, name).replace('\\', "\\\\").replace('\'', "''"))
}

fn marked(mark: &str, text: &str) -> String {
    format!("{mark}:{}", cut(text))
}

/// Folded, and of a length that an index takes.
fn cut(word: &str) -> String {
    fold(word).chars().filter(|c| *c != '\n' && *c != '\0').take(LONGEST).collect()
}

/// Without the punctuation around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

fn add_text(words: &mut BTreeSet<String>, text: &str) {
    for word in text.split_whitespace().map(bare).filter(|word| !word.is_empty()) {
        if words.len() >= MOST {
            return;
        }
        words.insert(cut(word));
        if Uuid::try_parse(word).is_err() && word.contains(|c: char| !c.is_alphanumeric()) {
            let parts = word.split(|c: char| !c.is_alphanumeric()).filter(|part| part.chars().count() > 1);
            words.extend(parts.take(MOST).map(cut));
        }
    }
}

/// The ids in a path, and the values of its query; the rest is alike in all of them.
fn add_path(words: &mut BTreeSet<String>, path: &str) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let ids = path.split('/').filter(|segment| Uuid::try_parse(segment).is_ok());
    words.extend(ids.map(fold));
    for pair in query.split('&') {
        let value = pair.split_once('=').map_or(pair, |(_, value)| value).replace('+', " ");
        add_text(words, &percent_decode_str(&value).decode_utf8_lossy());
    }
}

fn add_value(words: &mut BTreeSet<String>, value: &Value, groups: bool) {
    if words.len() >= MOST {
        return;
    }
    match value {
        Value::String(text) => add_text(words, text),
        Value::Number(number) => add_text(words, &number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| add_value(words, item, groups)),
        Value::Object(members) => {
            let path = members.iter().find(|(key, _)| key.eq_ignore_ascii_case("path")).and_then(|(_, v)| v.as_str());
            for (key, value) in members {
                let key = if key.eq_ignore_ascii_case("value") { path.unwrap_or(key) } else { key };
                let mark = match groups {
                    true => key.eq_ignore_ascii_case("displayName").then_some("g"),
                    false => key.eq_ignore_ascii_case("userName").then_some("n"),
                };
                words.extend(mark.zip(value.as_str()).map(|(mark, name)| marked(mark, name)));
                // What schemas there are is no news.
                if key != "schemas" {
                    add_value(words, value, groups);
                }
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use serde_json::json;

    use super::super::{Side, Whose};
    use super::*;

    fn request(path: &str, body: Value) -> NewRequest {
        NewRequest {
            whose: Whose::Tenant(Uuid::nil()),
            at: chrono::DateTime::UNIX_EPOCH,
            request_id: Uuid::nil(),
            given: None,
            side: Side::Scim,
            actor: "Okta main".into(),
            remote: Some("192.0.2.1".into()),
            method: "POST".into(),
            path: path.into(),
            status: Some(409),
            duration: std::time::Duration::ZERO,
            subjects: vec![Uuid::from_u128(7)],
            changed: true,
            body: Some(Arc::new(body)),
            keeps_body: false,
            error: Some("userName: \"ann\" is taken.".into()),
        }
    }

    #[test]
    fn a_request_is_found_by_every_value_and_its_parts() {
        let body =
            json!({"schemas": ["urn:x:y"], "userName": "Ann.Lee@corp.example", "name": {"familyName": "O'Brien-Ünal"}});
        let words = words_of(&request("/scim/acme/v2/Users?filter=title+eq+%22Boss%22", body));
        for word in [
            "m:post",
            "s:409",
            "s:4xx",
            "a:okta main",
            "okta",
            "r:192.0.2.1",
            "side:scim",
            "n:ann.lee@corp.example",
            "ann.lee@corp.example",
            "lee",
            "corp",
            "o'brien-ünal",
            "ünal",
            "boss",
            "taken",
            "00000000-0000-0000-0000-000000000007",
        ] {
            assert!(words.contains(word), "{word}: {words:?}");
        }
        assert!(!words.iter().any(|word| word.starts_with("urn") || word == "users"), "{words:?}");
    }

    #[test]
    fn a_patch_tells_the_name_that_it_gives() {
        let body = json!({"Operations": [{"op": "replace", "path": "userName", "value": "Bo"}]});
        assert!(words_of(&request("/scim/acme/v2/Users/1", body)).contains("n:bo"));
        let body = json!({"Operations": [{"op": "replace", "value": {"displayName": "Crew"}}]});
        assert!(words_of(&request("/scim/acme/v2/Groups/1", body)).contains("g:crew"));
    }

    #[test]
    fn no_request_has_more_words_than_an_index_takes() {
        let long = "x".repeat(5000);
        let many: Vec<Value> = (0..5000).map(|n| json!(format!("w{n}"))).collect();
        let words = words_of(&request("/", json!({"a": long, "b": many, "c": "a.".repeat(5000)})));
        assert!(words.len() < MOST * 2 && words.iter().all(|word| word.chars().count() <= LONGEST + 2));
    }

    #[test]
    fn a_word_of_what_came_by_no_request_is_asked_for_in_the_ways_in_which_people_write_it() {
        let query = |text: &str| inside_query(&Query { text: Some(text.into()), ..Query::default() });
        assert_eq!(query("Ann").unwrap(), "('ann':*)");
        assert_eq!(query("ann.Lee@corp").unwrap(), "('ann':*) & ('lee':*) & ('corp':*)");
        assert_eq!(query("ötzi").unwrap(), "('Ötzi':* | 'ötzi':*)");
        assert_eq!(query(" !? "), None);
    }

    #[test]
    fn whatever_is_asked_for_is_a_query_that_can_be_read() {
        let query = |text: &str| tsquery(&Query { text: Some(text.into()), ..Query::default() });
        assert_eq!(query(" \"O'Brien\" lee\\x ").unwrap(), "'o''brien':* & 'lee\\\\x':*");
        assert_eq!(query("!!! &"), None);
        assert_eq!(tsquery(&Query::default()), None);
        let nobody = Query { user: Some(Vec::new()), ..Query::default() };
        assert_eq!(tsquery(&nobody).unwrap(), "'nobody:'");
    }
}
