//! From another server's documents to those that the store is fed with. What they mean for Jira is the tenant's policy.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::account::fold;
use crate::config::ScimId;
use crate::scim::{self, urn};
use crate::sync::mapping::{ENTERPRISE, Goal, MOST_VALUES};
use crate::sync::source::{Entry, Piece};

/// What is the server's own, or nobody else's business.
const OWN: &[&str] = &["id", "meta", "schemas", "groups", "password", "externalId"];

/// A group as it comes; of its members only what says who they are is kept, for there may be many.
#[derive(Debug, Deserialize)]
pub(super) struct RawGroup {
    #[serde(default)]
    id: Value,
    #[serde(default, rename = "externalId")]
    external_id: Value,
    #[serde(default, rename = "displayName")]
    display_name: Value,
    #[serde(default)]
    meta: Value,
    #[serde(default)]
    members: Option<Vec<RawMember>>,
}

/// A member as it comes.
#[derive(Debug, Deserialize)]
struct RawMember {
    #[serde(default)]
    value: Value,
    #[serde(default, rename = "type")]
    kind: Value,
    #[serde(default, rename = "$ref")]
    reference: Value,
}

/// A person or a group as it comes.
pub(super) trait Raw {
    /// The server's id.
    fn id(&self) -> Option<String>;
    /// When it was changed last.
    fn modified(&self) -> Option<DateTime<Utc>>;
}

impl Raw for RawGroup {
    fn id(&self) -> Option<String> {
        text(&self.id)
    }

    fn modified(&self) -> Option<DateTime<Utc>> {
        moment(&self.meta)
    }
}

impl Raw for Value {
    fn id(&self) -> Option<String> {
        text(&self["id"])
    }

    fn modified(&self) -> Option<DateTime<Utc>> {
        moment(&self["meta"])
    }
}

fn moment(meta: &Value) -> Option<DateTime<Utc>> {
    let text = meta["lastModified"].as_str()?;
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc())
}

/// A text, or a number, that is not empty.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What members of groups name a person by.
pub(super) fn person_place(id: &str) -> String {
    format!("user:{id}")
}

/// What members of groups name a group by.
pub(super) fn group_place(id: &str) -> String {
    format!("group:{id}")
}

/// The server's id of a person at this place.
pub(super) fn person_id(place: &str) -> &str {
    place.strip_prefix("user:").unwrap_or(place)
}

/// Whether a name of a schema is another, or begins with it.
pub(super) fn is_like(schema: &str, urn: &str) -> bool {
    schema.get(..urn.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(urn))
}

/// Attributes that are made of others of the same server.
#[derive(Clone, Debug, Default)]
pub(super) struct Mapping {
    goals: Vec<(Goal, Vec<String>)>,
}

impl Mapping {
    /// From paths to paths (`userName` to `emails|userName`); one without a path is left out.
    ///
    /// # Errors
    /// A sentence about the first that cannot be used.
    pub(super) fn new(attributes: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut goals = Vec::new();
        for (path, sources) in attributes {
            let goal = Goal::read(path)?;
            let sources: Vec<String> =
                sources.split('|').map(str::trim).filter(|path| !path.is_empty()).map(str::to_owned).collect();
            let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '$');
            if let Some(odd) = sources.iter().find(|source| !source.chars().all(word)) {
                return Err(format!("attributes: \"{odd}\" is no name of a SCIM attribute"));
            }
            if goal.is_user_name() && sources.is_empty() {
                return Err("attributes: userName has to be made of something".to_owned());
            }
            goals.push((goal, sources));
        }
        Ok(Self { goals })
    }

    /// Those that the userName is made of, as a filter names them.
    pub(super) fn user_names(&self) -> Vec<String> {
        let made = self.goals.iter().find(|(goal, _)| goal.is_user_name());
        made.map_or_else(
            || vec!["userName".to_owned()],
            |(_, sources)| {
                let as_filtered = |source: &String| match scim::user().attribute(source) {
                    Some(attribute) if attribute.multi_valued => format!("{source}.value"),
                    _ => source.replacen(ENTERPRISE, &format!("{}:", urn::ENTERPRISE_USER), 1),
                };
                sources.iter().map(as_filtered).collect()
            },
        )
    }
}

/// A person.
pub(super) fn person(raw: Value, id: ScimId, mapping: &Mapping) -> Piece {
    let shown = raw["userName"].as_str().or_else(|| raw["id"].as_str()).unwrap_or("a user").to_owned();
    let Some((key, place)) = keys(&raw["id"], &raw["externalId"], id, person_place) else {
        return nameless(shown, id);
    };
    let Value::Object(raw) = raw else { return nameless(shown, id) };
    let mut body: Map<String, Value> =
        raw.iter().filter(|(name, _)| !is_own(name)).map(|(name, value)| (canonical(name), value.clone())).collect();
    for (goal, sources) in &mapping.goals {
        let values = sources.iter().map(|path| values(&raw, path)).find(|values| !values.is_empty());
        match values {
            Some(values) => goal.put(&mut body, &values.iter().map(String::as_str).collect::<Vec<_>>()),
            None => goal.clear(&mut body),
        }
    }
    let named = body.get("userName").and_then(Value::as_str).is_some_and(|name| !name.trim().is_empty());
    let body = if named {
        body.insert("externalId".to_owned(), json!(key));
        body.entry("active").or_insert(Value::Bool(true));
        Ok(Value::Object(body))
    } else {
        Err(format!("it has no {}", mapping.user_names().join(" or ")))
    };
    let also = raw.get("id").and_then(text).as_deref().map(any_place);
    Piece::Entry(Entry { key, place, also, shown, body })
}

/// A group with those of its members that came with it.
pub(super) fn group(raw: RawGroup, id: ScimId) -> Result<(Entry, Option<Vec<String>>), Box<Piece>> {
    let name = raw.display_name.as_str().map(str::trim).filter(|name| !name.is_empty());
    let shown = name.map(str::to_owned).or_else(|| text(&raw.id)).unwrap_or_else(|| "a group".to_owned());
    let Some((key, place)) = keys(&raw.id, &raw.external_id, id, group_place) else {
        return Err(Box::new(nameless(shown, id)));
    };
    let body = match name {
        Some(name) => Ok(json!({ "displayName": name, "externalId": key })),
        None => Err("it has no displayName".to_owned()),
    };
    let members = raw.members.map(|members| members.iter().filter_map(place_of).collect());
    let also = text(&raw.id).as_deref().map(any_place);
    Ok((Entry { key, place, also, shown, body }, members))
}

/// What members name a person or a group by of which nobody says which it is: a server's ids are nobody else's.
fn any_place(id: &str) -> String {
    format!("id:{id}")
}

/// Where a member is.
fn place_of(member: &RawMember) -> Option<String> {
    let id = text(&member.value)?;
    let kind = member.kind.as_str().unwrap_or_default();
    let reference = member.reference.as_str().unwrap_or_default().to_lowercase();
    match (kind.to_lowercase().as_str(), reference.contains("/groups/"), reference.contains("/users/")) {
        ("user", _, _) => Some(person_place(&id)),
        ("group", _, _) => Some(group_place(&id)),
        (_, true, false) => Some(group_place(&id)),
        (_, false, true) => Some(person_place(&id)),
        _ => Some(any_place(&id)),
    }
}

/// The key and the place.
fn keys(id: &Value, external_id: &Value, of: ScimId, place: fn(&str) -> String) -> Option<(String, String)> {
    let id = text(id)?;
    let key = match of {
        ScimId::Id => id.clone(),
        ScimId::ExternalId => text(external_id)?,
    };
    Some((key, place(&id)))
}

fn nameless(shown: String, id: ScimId) -> Piece {
    let why = match id {
        ScimId::Id => "it has no id",
        ScimId::ExternalId => "it has no externalId",
    };
    Piece::Nameless { shown, why: why.to_owned() }
}

fn is_own(name: &str) -> bool {
    OWN.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Names come in any letter case.
fn canonical(name: &str) -> String {
    if let Some(attribute) = scim::user().attribute(name) {
        return attribute.name.to_owned();
    }
    scim::user().extension(name).map_or_else(|| name.to_owned(), |extension| extension.id.to_owned())
}

/// The values at a path, the primary one first.
fn values(raw: &Map<String, Value>, path: &str) -> Vec<String> {
    let (urn, rest) = match path.strip_prefix(ENTERPRISE) {
        Some(rest) => (Some(urn::ENTERPRISE_USER), rest),
        None if path.to_lowercase().starts_with("urn:") => match path.rsplit_once(':') {
            Some((urn, rest)) => (Some(urn), rest),
            None => return Vec::new(),
        },
        None => (None, path),
    };
    let (name, part) = rest.split_once('.').map_or((rest, "value"), |(name, part)| (name, part));
    let old = (urn == Some(urn::ENTERPRISE_USER)).then_some(urn::ENTERPRISE_USER_1);
    let object = match urn {
        None => Some(raw),
        Some(urn) => [Some(urn), old].into_iter().flatten().find_map(|urn| member(raw, urn)?.as_object()),
    };
    let Some(found) = object.and_then(|object| member(object, name)) else { return Vec::new() };
    let of = |value: &Value| match value {
        Value::Object(object) => member(object, part).and_then(text),
        other => text(other),
    };
    match found {
        Value::Array(items) => {
            let mut items: Vec<&Value> = items.iter().collect();
            items.sort_by_key(|item| item["primary"] != Value::Bool(true));
            items.into_iter().filter_map(of).take(MOST_VALUES).collect()
        }
        other => of(other).into_iter().collect(),
    }
}

/// A member of an object, its name in any letter case.
fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).or_else(|| object.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, v)| v))
}

/// Whether an entry is the person of that folded userName: not every server looks at a filter.
pub(super) fn is_named(piece: &Piece, name: &str) -> bool {
    let Piece::Entry(Entry { body: Ok(body), .. }) = piece else { return false };
    body.get("userName").and_then(Value::as_str).is_some_and(|found| fold(found.trim()) == name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn mapping(pairs: &[(&str, &str)]) -> Result<Mapping, String> {
        Mapping::new(&pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect())
    }

    fn body(raw: Value, mapping: &Mapping) -> Value {
        match person(raw, ScimId::Id, mapping) {
            Piece::Entry(entry) => entry.body.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_person_loses_what_is_the_servers_own() {
        let raw = json!({ "schemas": ["x"], "id": 7, "externalId": "theirs", "USERNAME": "ann", "meta": {}, "groups": [],
            "password": "secret", "title": "Boss" });
        let expected = json!({ "userName": "ann", "externalId": "7", "active": true, "title": "Boss" });
        assert_eq!(body(raw, &Mapping::default()), expected);
    }

    #[test]
    fn the_id_may_be_the_one_that_somebody_gave() {
        let raw = json!({ "id": "7", "externalId": "e7", "userName": "ann" });
        let Piece::Entry(entry) = person(raw, ScimId::ExternalId, &Mapping::default()) else { panic!() };
        assert_eq!((entry.key.as_str(), entry.place.as_str()), ("e7", "user:7"));
        let raw = json!({ "id": "7", "userName": "ann" });
        assert!(matches!(person(raw, ScimId::ExternalId, &Mapping::default()), Piece::Nameless { .. }));
    }

    #[test]
    fn an_attribute_may_be_made_of_another() {
        let made = mapping(&[
            ("userName", "emails|userName"),
            ("title", ""),
            ("enterprise.costCenter", "enterprise.division"),
        ]);
        let raw = json!({ "id": "7", "userName": "x", "title": "Boss",
            "emails": [{ "value": "b@x" }, { "value": "a@x", "primary": true }],
            urn::ENTERPRISE_USER_1: { "division": "North" } });
        let body = body(raw, made.as_ref().unwrap());
        assert_eq!((&body["userName"], &body["title"]), (&json!("a@x"), &Value::Null));
        assert_eq!(body[urn::ENTERPRISE_USER]["costCenter"], "North");
        assert_eq!(made.unwrap().user_names(), ["emails.value", "userName"]);
        for wrong in [("nothing", "x"), ("active", "x"), ("userName", ""), ("title", "a b")] {
            assert!(mapping(&[wrong]).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_member_is_where_it_says() {
        let raw = json!({ "id": "g", "displayName": "Crew", "members": [
            { "value": "1", "type": "User" }, { "value": "2", "type": "Group" },
            { "value": "3", "$ref": "https://x/v2/Users/3" }, { "value": "4", "$ref": "https://x/v2/Groups/4" },
            { "value": "5" }, { "display": "nobody" },
        ] });
        let (entry, members) = group(serde_json::from_value(raw).unwrap(), ScimId::Id).unwrap();
        assert_eq!(entry.body.unwrap(), json!({ "displayName": "Crew", "externalId": "g" }));
        let expected = ["user:1", "group:2", "user:3", "group:4", "id:5"];
        assert_eq!(members.unwrap(), expected);
        let none = group(serde_json::from_value(json!({ "displayName": "Crew" })).unwrap(), ScimId::Id);
        assert!(none.is_err_and(|piece| matches!(*piece, Piece::Nameless { .. })));
    }
}
