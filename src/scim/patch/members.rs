//! Members of a group, as differences: never a document, so that the cost follows the change and not the group, and two
//! requests at once do not undo each other (OKTA-29).

use std::collections::HashSet;

use serde_json::Value;

use super::partial::entries;
use super::{Patch, PatchOp, Verb};
use crate::scim::error::ScimError;
use crate::scim::filter::{Expr, Literal, Op};
use crate::scim::schema::check::{At, accept};
use crate::scim::schema::{Attribute, group};

/// A member as a client names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The id of a user or group; whether it exists is for the store to say.
    pub value: String,
    /// `User` or `Group`, where `type` says so or `$ref` tells (KC-7). Most clients send neither (OKTA-20).
    pub kind: Option<&'static str>,
}

/// A change of a group's members.
#[derive(Clone, Debug, PartialEq)]
pub enum MemberChange {
    /// These become members; those that are stay so.
    Add(Vec<Member>),
    /// The members with these ids go; those that are none have gone. An empty list removes nobody.
    Remove(Vec<String>),
    /// All go.
    RemoveAll,
    /// These and no others are members.
    ReplaceAll(Vec<Member>),
    /// The members go that satisfy a filter on `value` and `type`, relative to the entry.
    RemoveWhere(Expr),
}

/// A PATCH of a group: what concerns its document, and what concerns its members, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupPatch {
    /// The operations on other attributes.
    pub attrs: Patch,
    /// The changes of members.
    pub members: Vec<MemberChange>,
}

/// Takes the operations on `members` out of a PATCH.
///
/// # Errors
///
/// 400 `invalidValue` for a list that is none or an entry without `value`; 400 `mutability` for a change within an
/// entry; 400 `invalidFilter` for a filter on anything but `value` and `type`.
pub fn split_members(patch: Patch) -> Result<GroupPatch, ScimError> {
    let mut split = GroupPatch::default();
    for op in patch.ops {
        let place = &op.target.place;
        if place.extension.is_none() && place.attribute.is_some_and(|attribute| attribute.name == "members") {
            read(op, &mut split.members)?;
        } else {
            split.attrs.ops.push(op);
        }
    }
    Ok(split)
}

/// Takes the members out of a POST or PUT body, before the rest is checked: they never become a document. `None` where
/// the body has no `members`.
///
/// # Errors
///
/// 400 `invalidValue` for a list that is none, or an entry without `value`.
pub fn take_members(body: &mut Value) -> Result<Option<Vec<Member>>, ScimError> {
    let Value::Object(body) = body else { return Ok(None) };
    let keys: Vec<String> = body.keys().filter(|key| key.eq_ignore_ascii_case("members")).cloned().collect();
    let mut members = None;
    // Who writes the name twice, in two letter cases, means all of them.
    for key in keys {
        members.get_or_insert_with(Vec::new).extend(list(body.remove(&key))?);
    }
    Ok(members)
}

fn read(op: PatchOp, changes: &mut Vec<MemberChange>) -> Result<(), ScimError> {
    // `null` for a list nobody would have sent: only the plain path with no value at all, or null, means everybody.
    let everybody = op.target.place.sub.is_none() && op.value.as_ref().is_none_or(Value::is_null);
    let value = op.value.map(unnested);
    let whole = match op.target.place.sub {
        None => true,
        // `members.value` is a long way to say `members`, as long as it names whom.
        Some(sub) if sub.name == "value" && op.target.selection.is_none() && value.is_some() => true,
        Some(_) => false,
    };
    if !whole {
        return Err(ScimError::mutability("An entry of members cannot be changed; remove it and add another."));
    }
    match (op.verb, op.target.selection) {
        (Verb::Merge, None) => merge(value, changes)?,
        (Verb::Add | Verb::Merge, _) => changes.push(MemberChange::Add(list(value)?)),
        (Verb::Replace, None) => changes.push(MemberChange::ReplaceAll(list(value)?)),
        (Verb::Replace, Some(selection)) => {
            changes.push(removal(selection.expr)?);
            changes.push(MemberChange::Add(list(value)?));
        }
        (Verb::Remove, Some(selection)) => changes.push(removal(selection.expr)?),
        (Verb::Remove, None) => changes.push(match value {
            // Only a removal that lists nobody at all empties the group (P-28); an empty list does not.
            _ if everybody => MemberChange::RemoveAll,
            listed => MemberChange::Remove(list(listed)?.into_iter().map(|member| member.value).collect()),
        }),
    }
    Ok(())
}

/// Members of a partial resource join, or leave where their entry says so (S11-18). Runs of one kind are one change.
fn merge(value: Option<Value>, changes: &mut Vec<MemberChange>) -> Result<(), ScimError> {
    let mut runs: Vec<(bool, Vec<Value>)> = Vec::new();
    for (entry, goes) in entries("members", value.unwrap_or(Value::Null))? {
        match runs.last_mut() {
            Some((going, run)) if *going == goes => run.push(entry),
            _ => runs.push((goes, vec![entry])),
        }
    }
    for (going, run) in runs {
        let members = list(Some(Value::Array(run)))?;
        changes.push(match going {
            true => MemberChange::Remove(members.into_iter().map(|member| member.value).collect()),
            false => MemberChange::Add(members),
        });
    }
    Ok(())
}

/// `{"members":[...]}` as the value of a path that names `members` already (P-34).
fn unnested(value: Value) -> Value {
    match value {
        Value::Object(mut object) => {
            let key = object.keys().find(|key| key.eq_ignore_ascii_case("members")).cloned();
            match key.and_then(|key| object.remove(&key)) {
                Some(inner) => inner,
                None => Value::Object(object),
            }
        }
        other => other,
    }
}

/// The members that a value lists, each once: objects (P-24, P-25) or bare ids (P-35); null lists nobody (P-36).
fn list(value: Option<Value>) -> Result<Vec<Member>, ScimError> {
    let Some(attribute) = group().attribute("members") else { return Ok(Vec::new()) };
    let value = match value {
        Some(Value::Array(entries)) if entries.iter().all(is_bare) => return Ok(bare(entries)),
        other => other,
    };
    let Some(Value::Array(entries)) = accept(attribute, value.unwrap_or(Value::Null), At::root("members"))? else {
        return Ok(Vec::new());
    };
    let mut seen = HashSet::with_capacity(entries.len());
    let mut members = Vec::with_capacity(entries.len());
    for entry in entries {
        let kind = kind(attribute, &entry);
        if let Value::Object(mut entry) = entry
            && let Some(Value::String(value)) = entry.remove("value")
            && seen.insert(value.clone())
        {
            members.push(Member { value, kind });
        }
    }
    Ok(members)
}

/// A member as its id alone. Large bodies are cut down to that while they are read, so such a list is taken as it is,
/// without a copy to find what is named twice.
fn is_bare(entry: &Value) -> bool {
    entry.as_str().is_some_and(|id| !id.trim().is_empty() && !id.contains('\0'))
}

fn bare(entries: Vec<Value>) -> Vec<Member> {
    let id = |entry| if let Value::String(id) = entry { Some(Member { value: id, kind: None }) } else { None };
    entries.into_iter().filter_map(id).collect()
}

fn kind(members: &Attribute, entry: &Value) -> Option<&'static str> {
    let kinds = members.sub("type")?.canonical_values;
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let named = text("type").and_then(|name| kinds.iter().find(|kind| kind.eq_ignore_ascii_case(name)));
    let collection = || text("$ref").and_then(|url| url.trim_end_matches('/').rsplit('/').nth(1));
    let told = || match collection()? {
        "Users" => kinds.iter().find(|kind| **kind == "User"),
        "Groups" => kinds.iter().find(|kind| **kind == "Group"),
        _ => None,
    };
    named.or_else(told).copied()
}

/// `members[value eq "..."]` (P-27), also several joined by `or`, is a removal by id; other filters stay filters.
fn removal(expr: Expr) -> Result<MemberChange, ScimError> {
    let ids = match &expr {
        Expr::Or(any) => any.iter().map(id).collect::<Option<Vec<_>>>(),
        single => id(single).map(|id| vec![id]),
    };
    match ids {
        Some(ids) => Ok(MemberChange::Remove(ids)),
        None if within_reach(&expr) => Ok(MemberChange::RemoveWhere(expr)),
        None => Err(ScimError::invalid_filter("Members are selected by value and type only.")),
    }
}

fn id(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Compare { attr, op: Op::Eq, value: Literal::String(id) } if attr.path == ["value"] => Some(id.clone()),
        _ => None,
    }
}

fn within_reach(expr: &Expr) -> bool {
    match expr {
        Expr::And(all) | Expr::Or(all) => all.iter().all(within_reach),
        Expr::Not(inner) => within_reach(inner),
        Expr::Compare { attr, .. } | Expr::Present(attr) => attr.path == ["value"] || attr.path == ["type"],
        Expr::Any { .. } => false,
        Expr::True | Expr::False => true,
    }
}
