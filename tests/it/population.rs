//! One tenant's users and groups, at random: few and awkward, as rows in the store and as the documents that a filter or a
//! sort sees.

use std::collections::{BTreeMap, BTreeSet};

use jira_scim::account::fold;
use jira_scim::scim::folded::{folded, instant_text};
use jira_scim::scim::schema::{group, user};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::rows::{at, bury, insert_group, insert_member, insert_user};

pub const BASE: &str = "https://scim.example/scim/acme/v2";
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// Few and awkward, so that they meet often: wildcards, quotes, letters whose folding changes their length or order.
pub const WORDS: [&str; 12] = ["a", "A", "ab", "aB c", "Ä", "ä", "İ", "ß", "%", "_", "\\\"'", "zz"];
pub const USERS: usize = 7;
pub const GROUPS: usize = 5;

pub fn word() -> impl Strategy<Value = &'static str> {
    select(&WORDS[..])
}

pub fn id(of: u128, index: usize) -> Uuid {
    Uuid::from_u128(of << 64 | index as u128)
}

/// One user's document; where it may be odd, seldom of a shape that checking would not let in.
fn user_document(odd: bool) -> impl Strategy<Value = Map<String, Value>> {
    let email = (option::of(word()), option::of(select(&["work", "Home"][..])), option::of(any::<bool>()));
    let entry = email.prop_map(|(value, kind, primary)| {
        let mut entry = Map::new();
        entry.extend(value.map(|v| ("value".to_owned(), json!(v))));
        entry.extend(kind.map(|v| ("type".to_owned(), json!(v))));
        entry.extend(primary.map(|v| ("primary".to_owned(), json!(v))));
        Value::Object(entry)
    });
    let (may_be_odd, odd) =
        (odd, select(vec![Value::Null, json!(1), json!({ "value": "a" }), json!("a"), json!([["a"], 7]), json!(true)]));
    let odd = option::weighted(0.15, (select(&["emails", "name", "title", ENTERPRISE][..]), odd));
    (
        option::of(word()),
        option::of(word()),
        vec(entry, 0..4),
        option::of(word()),
        option::of(word()),
        any::<bool>(),
        odd.prop_map(move |odd| odd.filter(|_| may_be_odd)),
    )
        .prop_map(|(title, given, emails, department, external, active, odd)| {
            let mut document = Map::new();
            document.extend(title.map(|v| ("title".to_owned(), json!(v))));
            document.extend(given.map(|v| ("name".to_owned(), json!({ "givenName": v }))));
            if !emails.is_empty() {
                document.insert("emails".into(), Value::Array(emails));
            }
            document.extend(
                department.map(|v| (ENTERPRISE.to_owned(), json!({ "department": v, "manager": { "value": v } }))),
            );
            document.extend(external.map(|v| ("externalId".to_owned(), json!(v))));
            document.insert("active".into(), json!(active));
            document.extend(odd.filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.to_owned(), v)));
            document
        })
}

/// A population.
#[derive(Debug, Clone)]
pub struct Population {
    pub users: Vec<Map<String, Value>>,
    /// Which name a group has.
    pub groups: Vec<&'static str>,
    /// (group, user or group, is it a group).
    pub edges: BTreeSet<(usize, usize, bool)>,
    pub dead_user: Option<usize>,
    pub dead_group: Option<usize>,
}

pub fn population(odd: bool) -> impl Strategy<Value = Population> {
    let edge = (0..GROUPS, any::<bool>())
        .prop_flat_map(|(g, nested)| (Just(g), 0..if nested { GROUPS } else { USERS }, Just(nested)));
    let members = vec(edge, 0..14);
    (vec(user_document(odd), USERS), vec(word(), GROUPS), members, option::of(0..USERS), option::of(0..GROUPS))
        .prop_map(|(users, groups, edges, dead_user, dead_group)| Population {
            users,
            groups,
            edges: edges.into_iter().filter(|(g, m, nested)| !(*nested && g == m)).collect(),
            dead_user,
            dead_group,
        })
}

impl Population {
    fn user(&self, n: usize) -> Value {
        let mut document = self.users[n].clone();
        document.insert("userName".into(), json!(format!("User{n}")));
        Value::Object(document)
    }

    fn group(&self, n: usize) -> Value {
        json!({ "displayName": format!("Group{n} {}", self.groups[n]), "externalId": self.groups[n] })
    }

    pub async fn store(&self, conn: &mut PgConnection, tenant: Uuid) {
        for n in 0..USERS {
            insert_user(conn, tenant, id(1, n), &self.user(n), at(n as i64 % 4)).await;
        }
        for n in 0..GROUPS {
            insert_group(conn, tenant, id(2, n), &self.group(n), at(n as i64 % 3)).await;
        }
        for (n, &(group, member, nested)) in self.edges.iter().enumerate() {
            let member = id(if nested { 2 } else { 1 }, member);
            insert_member(conn, tenant, id(2, group), member, nested, at(n as i64 % 5)).await;
        }
        if let Some(n) = self.dead_user {
            bury(conn, "scim_user", id(1, n), at(9)).await;
        }
        if let Some(n) = self.dead_group {
            bury(conn, "scim_group", id(2, n), at(9)).await;
        }
    }

    /// The groups of a user, and whether directly.
    fn groups_of(&self, member: usize) -> BTreeMap<usize, bool> {
        let living = |g: &usize| Some(*g) != self.dead_group;
        let mut found: BTreeMap<usize, bool> = self
            .edges
            .iter()
            .filter(|(g, m, nested)| !nested && *m == member && living(g))
            .map(|e| (e.0, true))
            .collect();
        loop {
            let further: Vec<usize> = self
                .edges
                .iter()
                .filter(|(g, m, nested)| *nested && found.contains_key(m) && !found.contains_key(g) && living(g))
                .map(|e| e.0)
                .collect();
            if further.is_empty() {
                return found;
            }
            found.extend(further.into_iter().map(|g| (g, false)));
        }
    }

    /// What the evaluator sees of the living users.
    pub fn user_documents(&self) -> Vec<(Uuid, Value)> {
        let document = |n: usize| {
            let mut document = self.user(n).as_object().unwrap().clone();
            let when = instant_text(&at(n as i64 % 4));
            document.insert("id".into(), json!(id(1, n)));
            document.insert("meta".into(), meta("User", &id(1, n), 1, &when, &when));
            let groups: Vec<Value> = self
                .groups_of(n)
                .into_iter()
                .map(|(g, direct)| {
                    json!({ "value": id(2, g), "display": self.group(g)["displayName"],
                            "$ref": format!("{BASE}/Groups/{}", id(2, g)),
                            "type": if direct { "direct" } else { "indirect" } })
                })
                .collect();
            if !groups.is_empty() {
                document.insert("groups".into(), Value::Array(groups));
            }
            (id(1, n), Value::Object(folded(user(), &document)))
        };
        (0..USERS).filter(|n| Some(*n) != self.dead_user).map(document).collect()
    }

    pub fn group_documents(&self) -> Vec<(Uuid, Value)> {
        let document = |n: usize| {
            let mut document = self.group(n).as_object().unwrap().clone();
            let touched = self.edges.iter().enumerate().filter(|(_, e)| e.0 == n).map(|(at, _)| at as i64 % 5).max();
            let when = instant_text(&at((n as i64 % 3).max(touched.unwrap_or(0))));
            document.insert("id".into(), json!(id(2, n)));
            let changes = self.edges.iter().filter(|e| e.0 == n).count();
            let created = instant_text(&at(n as i64 % 3));
            document.insert("meta".into(), meta("Group", &id(2, n), 1 + changes, &created, &when));
            let mut members: Vec<Value> = self
                .edges
                .iter()
                .filter(|(g, m, nested)| *g == n && Some(*m) != if *nested { self.dead_group } else { self.dead_user })
                .map(|&(_, m, nested)| {
                    if nested {
                        json!({ "value": id(2, m), "$ref": format!("{BASE}/Groups/{}", id(2, m)), "type": "Group",
                                "display": self.group(m)["displayName"] })
                    } else {
                        json!({ "value": id(1, m), "$ref": format!("{BASE}/Users/{}", id(1, m)), "type": "User",
                                "display": fold(&format!("User{m}")) })
                    }
                })
                .collect();
            members.sort_by_key(|member| member["value"].to_string());
            if !members.is_empty() {
                document.insert("members".into(), Value::Array(members));
            }
            (id(2, n), Value::Object(folded(group(), &document)))
        };
        (0..GROUPS).filter(|n| Some(*n) != self.dead_group).map(document).collect()
    }
}

fn meta(kind: &str, id: &Uuid, version: usize, created: &str, modified: &str) -> Value {
    json!({
        "resourceType": kind,
        "created": created,
        "lastModified": modified,
        "location": format!("{BASE}/{kind}s/{id}"),
        "version": format!("W/\"{version}\""),
    })
}
