//! Whether an answer is the one that a step expects.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Value, json};

use super::file::Step;
use crate::http_app::Answer;

/// What `{{name}}` stands for.
pub type Names = BTreeMap<String, String>;

pub fn judge(place: &str, step: &Step, answer: &Answer, names: &Names) {
    assert_eq!(answer.status, step.status, "{place}: {answer:?}");
    // The answer to a create holds the id that it gives a name to.
    let mut names = names.clone();
    if let Some(name) = &step.id {
        names.insert(name.clone(), answer.id());
    }
    if !step.answer.is_null() {
        let expected = filled(&step.answer, &names);
        fits(&expected, &answer.body, step.in_order).unwrap_or_else(|why| panic!("{place}: {why} in {}", answer.body));
    }
    // Clients stumble over null; what has no value is left out (ENTRA-39).
    assert!(answer.body.is_null() || !holds_null(&answer.body), "{place}: null in {}", answer.body);
    for pointer in &step.lacks {
        assert_eq!(answer.body.pointer(pointer), None, "{place}: {pointer} in {}", answer.body);
    }
    for (header, expected) in &step.expects {
        let found = answer.headers.get(header).map(|value| value.to_str().unwrap());
        let fits = match expected.as_deref() {
            Some("*") => found.is_some_and(|found| !found.is_empty()),
            Some(text) => found == Some(named(text, &names).as_str()),
            None => found.is_none(),
        };
        assert!(fits, "{place}: {header} is {found:?} and not {expected:?}");
    }
    if step.status == 201 {
        // GEN-19.
        assert!(answer.header("location").ends_with(&answer.id()), "{place}: {answer:?}");
        assert_eq!(answer.body["meta"]["location"], answer.header("location"), "{place}");
    }
}

fn holds_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(holds_null),
        Value::Object(members) => members.values().any(holds_null),
        _ => false,
    }
}

/// Whether `found` holds what is expected: members of objects by name, lists of the same length in any order (VAL-8)
/// unless it matters, `"*"` for anything but nothing, `"~..."` for a regular expression.
pub fn fits(expected: &Value, found: &Value, in_order: bool) -> Result<(), String> {
    match (expected, found) {
        (Value::String(any), found) if any == "*" => {
            let nothing = [json!(null), json!(""), json!([]), json!({})];
            if nothing.contains(found) { Err(format!(" is {found}: nothing")) } else { Ok(()) }
        }
        (Value::String(pattern), found) if pattern.starts_with('~') => {
            let text = found.as_str().unwrap_or_default();
            if Regex::new(&pattern[1..]).unwrap().is_match(text) {
                Ok(())
            } else {
                Err(format!(" is {found} and does not match {pattern}"))
            }
        }
        (Value::Object(expected), Value::Object(found)) => expected.iter().try_for_each(|(name, value)| {
            let found = found.get(name).ok_or_else(|| format!(".{name} is missing"))?;
            fits(value, found, in_order).map_err(|why| format!(".{name}{why}"))
        }),
        (Value::Array(expected), Value::Array(found)) => {
            if expected.len() != found.len() {
                return Err(format!(" has {} entries and not {}", found.len(), expected.len()));
            }
            if in_order {
                return expected.iter().zip(found).try_for_each(|(expected, found)| fits(expected, found, true));
            }
            let mut left: Vec<&Value> = found.iter().collect();
            for value in expected {
                let hit = left.iter().position(|found| fits(value, found, false).is_ok());
                left.remove(hit.ok_or_else(|| format!(" lacks {value}"))?);
            }
            Ok(())
        }
        (expected, found) if expected == found => Ok(()),
        (expected, found) => Err(format!(" is {found} and not {expected}")),
    }
}

/// `{{ann}}` becomes what is known as `ann`, in any string, and `{{ann upper}}` the same in capitals; `{"$times": 3, "$of": ...}` in a list becomes three entries, in
/// which `{{n}}` counts from 1.
pub fn filled(value: &Value, names: &Names) -> Value {
    match value {
        Value::String(text) => json!(named(text, names)),
        Value::Array(items) => items.iter().flat_map(|item| entries(item, names)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (named(name, names), filled(value, names)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

fn entries(item: &Value, names: &Names) -> Vec<Value> {
    let Some(times) = item.get("$times").and_then(Value::as_u64) else { return vec![filled(item, names)] };
    (1..=times)
        .map(|n| {
            let mut names = names.clone();
            names.insert("n".to_owned(), n.to_string());
            filled(&item["$of"], &names)
        })
        .collect()
}

pub fn named(text: &str, names: &Names) -> String {
    let mut text = text.to_owned();
    for (name, id) in names {
        text = text.replace(&format!("{{{{{name}}}}}"), id);
        text = text.replace(&format!("{{{{{name} upper}}}}"), &id.to_uppercase());
    }
    assert!(!text.contains("{{"), "{text}: no such name is known");
    text
}
