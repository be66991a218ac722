//! The words of explanations: times, steps, states, requests. Pure.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::jira::AccountChange;
use crate::store::audit::{Delivery, Row};
use crate::store::explain::Deed;
use crate::store::link::{StepState, Stuck};
use crate::writer::plan::Step;

/// Of a value that is told, so much.
const LONGEST: usize = 80;

/// A time for people.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Names one after the other: `a, b and c`.
pub(super) fn list<S: AsRef<str>>(names: &[S]) -> String {
    match names {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [all @ .., last] => {
            let all: Vec<&str> = all.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", all.join(", "), last.as_ref())
        }
    }
}

/// A sentence out of something that may end with a full stop already.
pub(super) fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

/// What is not being done, as the state of a step says it: `is refused: ... It is tried again at ...`.
pub(super) fn stuck(state: &StepState) -> String {
    let how = match (state.state, state.brake) {
        (Stuck::Held, true) => "is held by the brake",
        (Stuck::Held, false) => "is held",
        (Stuck::Refused, _) => "is refused",
        (Stuck::Waived, _) => "was waived by hand",
        (Stuck::Waiting, _) => "waits",
    };
    let again = match (state.retry_at, state.state) {
        (Some(at), _) => format!(" It is tried again at {}.", time(at)),
        (None, Stuck::Held) if state.brake => {
            " It goes on when somebody releases the brake (jira-scim brake release), or gives it up.".to_owned()
        }
        (None, Stuck::Held) => {
            " It goes on when somebody approves (jira-scim outbox approve), or there is room.".to_owned()
        }
        (None, Stuck::Waiting) => " It goes on by itself when what it waits for is there.".to_owned(),
        (None, Stuck::Refused | Stuck::Waived) => {
            " It is tried again when what is wanted changes, or when somebody says so (jira-scim outbox retry)."
                .to_owned()
        }
    };
    format!("{how} since {}: {}{again}", time(state.since), sentence(&state.reason))
}

/// A step that would be done, or was: `create the account ann`.
pub(super) fn step(step: &Step) -> String {
    match step {
        Step::Look { username, .. } => format!("look at the account {username}"),
        Step::Link { account, .. } => format!("take over the account {}", account.username),
        Step::Create { account, .. } => format!("create the account {}", account.username),
        Step::Update { change, .. } => format!("set {}", changed(change)),
        Step::SetActive { active: true, .. } => "switch the account on".to_owned(),
        Step::SetActive { .. } => "switch the account off".to_owned(),
        Step::Grant { access } => format!("give access to {access}"),
        Step::Revoke { access } => format!("take away access to {access}"),
        Step::Delete { .. } => "delete the account".to_owned(),
        Step::EnsureGroup { name, create: true, .. } => format!("make sure of the Jira group {name}"),
        Step::EnsureGroup { name, .. } => format!("look for the Jira group {name}"),
        Step::AddMember { name, .. } => format!("add to the Jira group {name}"),
        Step::RemoveMember { name, .. } => format!("remove from the Jira group {name}"),
        Step::DeleteGroup { name, .. } => format!("delete the Jira group {name}"),
    }
}

fn changed(change: &AccountChange) -> String {
    let named = [("login name", &change.username), ("e-mail", &change.email), ("display name", &change.display_name)];
    let named = named.into_iter().filter_map(|(field, value)| Some(format!("{field} to {}", value.as_ref()?)));
    let extra = change.extra.iter().map(|(name, value)| format!("{name} to {value}"));
    list(&named.chain(extra).collect::<Vec<_>>())
}

/// What a delivery did: `create the account ann: done (POST /user 201)`.
pub(super) fn delivered(delivery: &Delivery) -> String {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let steps = delivery.steps.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(|shown| {
        let planned = shown.get("step").cloned().and_then(|value| serde_json::from_value::<Step>(value).ok());
        let what = planned.as_ref().map_or_else(|| "a step".to_owned(), step);
        let outcome = text(shown, "outcome").unwrap_or_else(|| "begun".to_owned());
        match text(shown, "reason") {
            Some(why) => format!("{what}: {outcome} ({})", why.trim_end_matches('.')),
            None => format!("{what}: {outcome}"),
        }
    });
    let calls = delivery.calls.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(|call| {
        let answer =
            call.get("status").and_then(Value::as_u64).map_or_else(|| "no answer".to_owned(), |s| s.to_string());
        format!("{} {} {answer}", text(call, "method").unwrap_or_default(), text(call, "path").unwrap_or_default())
    });
    let steps = steps.collect::<Vec<_>>().join("; ");
    let calls = calls.collect::<Vec<_>>().join(", ");
    let how = match delivery.outcome.as_deref() {
        None => "Jira is being written, or the process died",
        Some("applied") => "Jira was written",
        Some(other) => return with_error(&format!("Jira: {other}: {steps}{}", in_brackets(&calls)), delivery),
    };
    with_error(&format!("{how}: {steps}{}", in_brackets(&calls)), delivery)
}

fn with_error(text: &str, delivery: &Delivery) -> String {
    match &delivery.error {
        Some(error) => format!("{text}; {}", sentence(error)),
        None => sentence(text),
    }
}

fn in_brackets(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" [{text}]") }
}

/// A change of a user, by a request or by command.
pub(super) fn done(deed: &Deed) -> String {
    let from = deed.remote.as_ref().map(|remote| format!(" from {remote}")).unwrap_or_default();
    let said = deed.body.as_ref().map(said).unwrap_or_default();
    let refused = if deed.status >= 400 { format!(" It was answered {}.", deed.status) } else { String::new() };
    let what = match deed.action.as_str() {
        "user.create" => "made the user",
        "user.replace" => "wrote the whole user",
        "user.patch" => "changed the user",
        "user.delete" => "deleted the user",
        "undo" => "the change was taken back, because Jira refused it",
        "user.deactivate_now" => "switched the user off at once",
        "override.add" => "pinned something",
        "override.lift" => "ended what was pinned",
        other => other,
    };
    sentence(&format!("{}{from}: {what}{said}.{refused}", deed.actor))
}

/// A request that concerned a user and did not change the user himself.
pub(super) fn asked(row: &Row) -> String {
    let from = row.remote.as_ref().map(|remote| format!(" from {remote}")).unwrap_or_default();
    let who = if row.actor.is_empty() { "somebody without a valid credential" } else { row.actor.as_str() };
    let answer = row.status.map_or_else(|| "nobody heard the answer".to_owned(), |status| format!("answered {status}"));
    let why = row.error.as_ref().map(|error| format!(": {}", error.trim_end_matches('.'))).unwrap_or_default();
    let what = match row.changes.first() {
        Some(change) => {
            let name = change.name.clone().unwrap_or_else(|| change.id.to_string());
            let said = change.body.as_ref().map(said).unwrap_or_default();
            format!("{} of {name}{said}", change.action)
        }
        None => format!("{} {}", row.method.as_deref().unwrap_or_default(), row.path.as_deref().unwrap_or_default()),
    };
    sentence(&format!("{who}{from}: {what}, {answer}{why}"))
}

/// What a body asks for, as far as it fits: ` (active to false, title to "Boss")`.
fn said(body: &Value) -> String {
    let mut parts = Vec::new();
    let operations = body.get("Operations").or_else(|| body.get("operations")).and_then(Value::as_array);
    match operations {
        Some(operations) => {
            for operation in operations {
                let text = |key: &str| operation.get(key).and_then(Value::as_str).unwrap_or_default().to_lowercase();
                let value = operation.get("value").unwrap_or(&Value::Null);
                match (text("op").as_str(), operation.get("path").and_then(Value::as_str), value) {
                    ("remove", path, _) => parts.push(format!("{} removed", path.unwrap_or("something"))),
                    (_, Some(path), value) => parts.push(format!("{path} to {}", short(value))),
                    (_, None, Value::Object(values)) => {
                        parts.extend(values.iter().map(|(name, value)| format!("{name} to {}", short(value))));
                    }
                    (_, None, _) => {}
                }
            }
        }
        None => {
            for name in
                ["userName", "displayName", "externalId", "active", "refusal", "reason", "step", "what", "until"]
            {
                let value = body.get(name).filter(|value| !value.is_null());
                parts.extend(value.map(|value| format!("{name} {}", pinned(value).unwrap_or_else(|| short(value)))));
            }
        }
    }
    let more = parts.len().saturating_sub(6);
    parts.truncate(6);
    if more > 0 {
        parts.push(format!("{more} more"));
    }
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

/// What a pin says: `inactive`, `member of admins`.
fn pinned(value: &Value) -> Option<String> {
    let what = value.get("what")?.as_str()?;
    let group = value.get("group").and_then(Value::as_str);
    Some(group.map_or_else(|| what.to_owned(), |group| format!("{what} of {group}")))
}

fn short(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_joined_as_people_join_them() {
        for (names, text) in
            [(vec![], ""), (vec!["a"], "a"), (vec!["a", "b"], "a and b"), (vec!["a", "b", "c"], "a, b and c")]
        {
            assert_eq!(list(&names), text);
        }
    }

    #[test]
    fn what_was_asked_for_is_told_shortly() {
        for (body, text) in [
            (json!({"userName": "ann", "active": true, "x": 1}), " (userName ann, active true)"),
            (json!({"Operations": [{"op": "Replace", "path": "active", "value": false}]}), " (active to false)"),
            (json!({"Operations": [{"op": "replace", "value": {"title": "Boss"}}]}), " (title to Boss)"),
            (json!({"Operations": [{"op": "remove", "path": "title"}]}), " (title removed)"),
            (json!({"omitted": "20000 bytes"}), ""),
            (json!({"reason": "lost", "what": {"what": "inactive"}, "until": null}), " (reason lost, what inactive)"),
        ] {
            assert_eq!(said(&body), text, "{body}");
        }
        let long = json!({"userName": "ä".repeat(200)});
        assert!(said(&long).chars().count() < 120);
    }
}
