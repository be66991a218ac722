//! What may be in a user's record: the body of a POST, a JSON Patch, and the rules that the whole record is held to,
//! whatever was changed (ALIGN-19). Pure.

use chrono::{DateTime, Duration, Utc};
use serde_json::{Map, Value};

use super::state::{AlignRefusal, AlignRules, AlignUser};

/// Members that are shown and cannot be written: a write succeeds and changes nothing (ALIGN-17).
const IGNORED: [&str; 6] = ["id", "uid", "fullName", "status", "enterpriseHierarchy", "teams"];

/// The user that a POST describes. Members that are not known are ignored, as most readers of JSON do.
pub(super) fn created(body: &Value, now: DateTime<Utc>) -> Result<AlignUser, AlignRefusal> {
    let Value::Object(given) = body else { return Err("A user is wanted.".to_owned()) };
    let mut record = written_of(&AlignUser { user_start_date: Some(now), ..AlignUser::default() });
    for (name, value) in given {
        set(&mut record, name, value.clone());
    }
    read(record)
}

/// The user with the operations of a JSON Patch applied. Operations are written in lower case, a path is `/fieldName`
/// (ALIGN-23).
pub(super) fn patched(user: &AlignUser, operations: &Value) -> Result<AlignUser, AlignRefusal> {
    let Value::Array(operations) = operations else { return Err("A JSON Patch document is an array.".to_owned()) };
    let mut record = written_of(user);
    for operation in operations {
        let member = |name: &str| operation.get(name).and_then(Value::as_str).unwrap_or_default();
        let name = member("path").strip_prefix('/').filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| "The path of an operation is not valid.".to_owned())?;
        let value = match member("op") {
            "replace" | "add" => operation.get("value").cloned().unwrap_or_default(),
            "remove" => Value::Null,
            other => return Err(format!("The operation '{other}' is not supported.")),
        };
        let known = set(&mut record, name, value) || IGNORED.iter().any(|ignored| ignored.eq_ignore_ascii_case(name));
        if !known {
            return Err(format!("The target location specified by path segment '{name}' was not found."));
        }
    }
    let mut after = read(record)?;
    after.id = user.id;
    Ok(after)
}

fn written_of(user: &AlignUser) -> Map<String, Value> {
    match serde_json::to_value(user) {
        Ok(Value::Object(record)) => record,
        _ => Map::new(),
    }
}

/// Sets a member whose name is compared without regard to case; false where there is none of that name.
fn set(record: &mut Map<String, Value>, name: &str, value: Value) -> bool {
    let Some(known) = record.keys().find(|known| known.eq_ignore_ascii_case(name)).cloned() else { return false };
    if known == "id" {
        return true;
    }
    // A text that is missing is empty where the record has a text always.
    let value = if value.is_null() && record[&known].is_string() && is_always_text(&known) { "".into() } else { value };
    record.insert(known, value);
    true
}

fn is_always_text(name: &str) -> bool {
    matches!(name, "firstName" | "lastName" | "email")
}

fn read(record: Map<String, Value>) -> Result<AlignUser, AlignRefusal> {
    serde_json::from_value(Value::Object(record)).map_err(|error| format!("The value is not valid: {error}."))
}

/// What is wrong with a record that is about to be made (ALIGN-13).
pub(super) fn complaints_of_creation(user: &AlignUser, rules: &AlignRules) -> Vec<String> {
    let mut complaints = missing(user, &["costCenterId", "divisionId", "regionId", "cityId"]);
    if user.role_id == 0 {
        complaints.push("roleId is required.".to_owned());
    }
    complaints.extend(unknown(user, rules));
    complaints.extend(of_texts(user));
    complaints
}

/// What is wrong with a record that is about to be kept: all of it is looked at, not the change alone.
pub(super) fn complaints_of_update(user: &AlignUser, rules: &AlignRules, now: DateTime<Utc>) -> Vec<String> {
    // ALIGN-20
    let mut complaints = missing(user, &["divisionId", "cityId"]);
    complaints.extend(unknown(user, rules));
    complaints.extend(of_texts(user));
    // ALIGN-22
    if user.user_end_date.is_some_and(|end| end < now - Duration::days(1)) {
        complaints.push("UserEndDate cannot be set before 1 days in past.".to_owned());
    }
    complaints
}

fn missing(user: &AlignUser, names: &[&str]) -> Vec<String> {
    let value = |name: &str| match name {
        "costCenterId" => user.cost_center_id,
        "divisionId" => user.division_id,
        "regionId" => user.region_id,
        _ => user.city_id,
    };
    names.iter().filter(|name| value(name).is_none()).map(|name| format!("{name} is required.")).collect()
}

/// Ids that this site does not have. Whether a city lies in its region is not looked at (ALIGN-28).
fn unknown(user: &AlignUser, rules: &AlignRules) -> Vec<String> {
    let given = [
        (
            "costCenterId",
            user.cost_center_id,
            user.cost_center_id.is_some_and(|id| rules.cost_centers.contains_key(&id)),
        ),
        ("divisionId", user.division_id, user.division_id.is_some_and(|id| rules.divisions.contains_key(&id))),
        ("regionId", user.region_id, user.region_id.is_some_and(|id| rules.regions.contains_key(&id))),
        ("cityId", user.city_id, user.city_id.is_some_and(|id| rules.cities.contains_key(&id))),
    ];
    let strange = given.into_iter().filter(|(_, id, known)| id.is_some() && !known);
    strange.map(|(name, id, _)| format!("{name} {} does not exist.", id.unwrap_or_default())).collect()
}

fn of_texts(user: &AlignUser) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, text) in [("firstName", &user.first_name), ("lastName", &user.last_name), ("email", &user.email)] {
        if text.trim().is_empty() {
            complaints.push(format!("{name} is required."));
        }
    }
    // ALIGN-21
    for (name, text, longest) in [("company", &user.company, 100), ("companyId", &user.company_id, 50)] {
        if text.as_ref().is_some_and(|text| !(1..=longest).contains(&text.chars().count())) {
            complaints.push(format!("{name} must be between 1 and {longest} characters."));
        }
    }
    complaints
}
