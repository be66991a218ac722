//! `/users/{id}/manage`: profile, address and life of accounts that the organisation manages.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::refusal::manage as refuse;
use super::state::{AccountStatus, Person, Trouble};
use super::{Answer, Visit};
use crate::sandbox::exchange::Reply;

/// The parts of `extended_profile`.
const EXTENDED: [&str; 4] = ["job_title", "department", "organization", "location"];

#[derive(Deserialize)]
struct Email {
    email: String,
}

/// Answers a call below `/users/{account_id}/manage`.
pub(super) fn answer(visit: &mut Visit<'_>) -> Reply {
    let call = visit.call;
    let what = call.route().strip_prefix("/users/{account_id}/manage").unwrap_or("/");
    let handler: fn(&mut Visit<'_>, &str) -> Answer = match (call.method.as_str(), what) {
        ("GET", "") => privileges,
        ("GET", "/profile") => |visit, id| visit.profile(id),
        ("PATCH", "/profile") => patch,
        ("PUT", "/email") => email,
        ("POST", "/lifecycle/disable") => disable,
        ("POST", "/lifecycle/enable") => enable,
        ("POST", "/lifecycle/delete") => delete,
        ("POST", "/lifecycle/cancel-delete") => cancel_delete,
        _ => return refuse(404, "notFound", None),
    };
    let id = visit.segment(0).to_owned();
    admitted(visit, &id).and_then(|()| handler(visit, &id)).unwrap_or_else(|refusal| refusal)
}

/// CLOUD-13: a stranger's account is nobody's business; an unsettled one is not there yet.
fn admitted(visit: &mut Visit<'_>, id: &str) -> Result<(), Reply> {
    let found = visit.world.person_by_id(id).filter(|person| person.status != AccountStatus::Closed);
    let person = found.ok_or_else(|| refuse(404, "accountNotFound", None))?;
    if !visit.world.manages(person) {
        return Err(refuse(403, "forbidden", None));
    }
    if person.membership.is_some() && visit.world.settled(id).is_err() {
        return Err(refuse(404, "accountNotFound", None));
    }
    Ok(())
}

fn found<'a>(visit: &'a Visit<'_>, id: &str) -> Result<&'a Person, Reply> {
    visit.world.person_by_id(id).ok_or_else(|| refuse(404, "accountNotFound", None))
}

/// Why a field cannot be written, if it cannot (CLOUD-50, CLOUD-51).
fn obstacle(person: &Person, field: &str) -> Option<&'static str> {
    match () {
        () if person.synced => Some("externalDirectory.scim"),
        () if person.saml && field == "name" => Some("authPolicy.saml"),
        () => None,
    }
}

fn rule(obstacle: Option<&str>) -> Value {
    match obstacle {
        None => json!({"allowed": true}),
        Some(key) => json!({"allowed": false, "reason": {"key": key}}),
    }
}

/// What would be refused, told beforehand (CLOUD-52).
fn privileges(visit: &mut Visit<'_>, id: &str) -> Answer {
    let person = found(visit, id)?;
    let fields = ["name", "nickname", "zoneinfo", "locale"].into_iter().map(str::to_owned);
    let fields = fields.chain(EXTENDED.iter().map(|field| format!("extended_profile.{field}")));
    let write: Map<String, Value> = fields.map(|field| (field.clone(), rule(obstacle(person, &field)))).collect();
    let whole = rule(person.synced.then_some("externalDirectory.scim"));
    Ok(Reply::json(
        200,
        &json!({
            "profile.write": write, "email.set": whole, "lifecycle.enablement": whole, "lifecycle.delete": whole,
        }),
    ))
}

fn patch(visit: &mut Visit<'_>, id: &str) -> Answer {
    let Value::Object(body) = visit.body(|_| refuse(400, "bodyParseFailure", None))? else {
        return Err(refuse(400, "bodyParseFailure", None));
    };
    let extended = body.get("extended_profile").and_then(Value::as_object).cloned().unwrap_or_default();
    let flat = body.iter().filter(|(name, _)| *name != "extended_profile");
    let named = extended.iter().map(|(name, value)| (format!("extended_profile.{name}"), value));
    let fields: Vec<(String, String)> = flat
        .map(|(name, value)| (name.clone(), value))
        .chain(named)
        .map(|(name, value)| (name, value.as_str().unwrap_or_default().to_owned()))
        .collect();
    let person = found(visit, id)?;
    let refused: Map<String, Value> = fields
        .iter()
        .filter_map(|(field, _)| obstacle(person, field).map(|why| (field.clone(), rule(Some(why)))))
        .collect();
    if !refused.is_empty() {
        return Err(refuse(403, "forbidden.fieldMutation", Some(Value::Object(refused))));
    }
    let violations: Vec<Value> = fields.iter().filter_map(|(field, value)| violation(field, value)).collect();
    if !violations.is_empty() {
        return Err(refuse(400, "fieldConstraintsViolated", Some(json!({ "fieldViolations": violations }))));
    }
    let person = visit.world.person_mut(id).map_err(|_| refuse(404, "accountNotFound", None))?;
    for (field, value) in fields {
        match field.strip_prefix("extended_profile.").unwrap_or(&field) {
            "name" => person.name = value,
            other => {
                person.profile.insert(other.to_owned(), value);
            }
        }
    }
    visit.world.changed();
    visit.profile(id)
}

/// CLOUD-53.
fn violation(field: &str, value: &str) -> Option<Value> {
    let most = match field {
        "nickname" => 30,
        _ => 100,
    };
    let key = match value.chars().count() {
        0 if ["name", "nickname", "zoneinfo", "locale"].contains(&field) => "minLength",
        // BCP 47 has a hyphen.
        _ if field == "locale" && value.contains('_') => "invalidFormat",
        length if length > most => "maxLength",
        _ if value.chars().any(char::is_control) => "controlCharacters",
        _ => return None,
    };
    Some(json!({"field": field, "violations": [{"key": key}]}))
}

/// CLOUD-54.
fn email(visit: &mut Visit<'_>, id: &str) -> Answer {
    let Email { email } = visit.body(|_| refuse(400, "bodyParseFailure", None))?;
    if found(visit, id)?.synced {
        return Err(refuse(403, "forbidden.action", Some(rule(Some("externalDirectory.scim")))));
    }
    if !email.contains('@') || email.len() > 255 {
        return Err(refuse(400, "fieldConstraintsViolated", None));
    }
    if !visit.world.has_domain(&email) {
        let domain = email.rsplit('@').next().unwrap_or_default();
        return Err(refuse(403, "forbidden.unclaimedDomain", Some(json!({ "domain": domain }))));
    }
    match visit.world.change_email(id, &email) {
        Ok(()) => Ok(Reply::empty(204)),
        // The code is unconfirmed.
        Err(_) => Err(refuse(400, "emailInUse", None)),
    }
}

fn disable(visit: &mut Visit<'_>, id: &str) -> Answer {
    let _: Value = visit.body(|_| refuse(400, "bodyParseFailure", None))?;
    switch(visit, id, &[AccountStatus::Active], AccountStatus::Inactive)?;
    Ok(Reply::empty(204))
}

fn enable(visit: &mut Visit<'_>, id: &str) -> Answer {
    switch(visit, id, &[AccountStatus::Inactive], AccountStatus::Active)?;
    Ok(Reply::empty(204))
}

fn delete(visit: &mut Visit<'_>, id: &str) -> Answer {
    switch(visit, id, &[AccountStatus::Active, AccountStatus::Inactive], AccountStatus::ForDeletion)?;
    Ok(Reply::json(200, &json!({"message": format!("AccountId {id} has been deleted.")})))
}

fn cancel_delete(visit: &mut Visit<'_>, id: &str) -> Answer {
    switch(visit, id, &[AccountStatus::ForDeletion], AccountStatus::Active)?;
    Ok(Reply::json(200, &json!({"message": "The deletion has been cancelled."})))
}

/// Whatever is not as it has to be beforehand is a conflict, a repetition too (CLOUD-46).
fn switch(visit: &mut Visit<'_>, id: &str, from: &[AccountStatus], to: AccountStatus) -> Result<(), Reply> {
    let person = found(visit, id)?;
    if person.synced {
        return Err(refuse(403, "forbidden.action", Some(rule(Some("externalDirectory.scim")))));
    }
    if !from.contains(&person.status) {
        let context = json!({
            "accountId": id, "message": "The account is not in a state for this.",
            "errorCodes": [{"code": "account.state"}],
        });
        return Err(refuse(409, "conflict.lifecycleErrors", Some(context)));
    }
    visit.world.set_status(id, to).map_err(|_: Trouble| refuse(404, "accountNotFound", None))
}

impl Visit<'_> {
    fn profile(&self, id: &str) -> Answer {
        let person = found(self, id)?;
        let status = if person.status == AccountStatus::Active { "active" } else { "inactive" };
        let extended: Map<String, Value> = EXTENDED
            .iter()
            .filter_map(|field| person.profile.get(*field).map(|value| ((*field).to_owned(), value.as_str().into())))
            .collect();
        let nickname = person.profile.get("nickname").map_or(person.name.as_str(), String::as_str);
        let mut account = json!({
            "account_id": person.id, "account_status": status, "account_type": "atlassian", "name": person.name,
            "nickname": nickname, "email": person.email, "picture": format!("{}/avatar.png", self.base_url),
            "extended_profile": extended,
        });
        for field in ["zoneinfo", "locale"] {
            if let Some(value) = person.profile.get(field) {
                account[field] = value.as_str().into();
            }
        }
        Ok(Reply::json(200, &json!({ "account": account })))
    }
}
