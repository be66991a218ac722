//! Whether Jira is as the store says, computed anew from the rows: it uses nothing of the policy, the planner or the
//! records of the writer, so that it cannot share their mistakes. For tenants with the default policy.

use std::collections::{BTreeMap, BTreeSet};

use jira_scim::sandbox::{AccountView, Sandbox};
use serde_json::Value;
use sqlx::PgPool;

/// A person as the store has them, in Jira's words.
#[derive(Debug)]
struct Person {
    username: String,
    email: String,
    display_name: String,
    active: bool,
    groups: BTreeSet<String>,
}

/// Asserts that every account, group and membership is as the store says. `strangers` are accounts that no IdP knows.
pub async fn assert_agreement(pool: &PgPool, jira: &Sandbox, strangers: &[&str]) {
    let differences = differences(pool, jira, strangers).await;
    assert!(differences.is_empty(), "store and Jira differ:\n{}", differences.join("\n"));
}

/// In words, one a line.
pub async fn differences(pool: &PgPool, jira: &Sandbox, strangers: &[&str]) -> Vec<String> {
    let people = people(pool).await;
    let mut differences = Vec::new();
    for (key, person) in &people {
        let account = jira.account(&person.username);
        differences.extend(compare(person, account.as_ref()).into_iter().map(|text| format!("{key}: {text}")));
    }
    for account in jira.accounts() {
        let key = account.username.to_lowercase();
        let expected = people.contains_key(&key) || key == jira.admin() || strangers.contains(&key.as_str());
        if account.active && !expected {
            differences.push(format!("{key}: may log in, and the store does not know them"));
        }
        let leftovers = groups_of(jira, &key);
        if !expected && !leftovers.is_empty() {
            differences.push(format!("{key}: is unknown to the store and in {leftovers:?}"));
        }
    }
    let groups: Vec<String> =
        sqlx::query_scalar("SELECT alias FROM scim_group WHERE deleted_at IS NULL").fetch_all(pool).await.unwrap();
    let there: BTreeSet<String> = jira.groups().iter().map(|name| name.to_lowercase()).collect();
    differences.extend(
        groups.into_iter().filter(|name| !there.contains(&name.to_lowercase())).map(|name| format!("no group {name}")),
    );
    differences
}

fn compare(person: &Person, account: Option<&AccountView>) -> Vec<String> {
    let Some(account) = account else {
        return if person.active { vec!["has no account".to_owned()] } else { Vec::new() };
    };
    let mut differences = Vec::new();
    let mut differ = |what: &str, wanted: &str, found: &str| {
        if wanted != found {
            differences.push(format!("{what} is {found:?} and should be {wanted:?}"));
        }
    };
    differ("userName", &person.username.to_lowercase(), &account.username.to_lowercase());
    differ("e-mail", &person.email, &account.email);
    differ("display name", &person.display_name, &account.display_name);
    differ("active", &person.active.to_string(), &account.active.to_string());
    let found: BTreeSet<String> = ours(account.groups.iter());
    // Somebody who may not log in keeps the groups they have and joins none.
    let fits = if person.active { found == person.groups } else { found.is_subset(&person.groups) };
    if !fits {
        differences.push(format!("is in {found:?} and should be in {:?}", person.groups));
    }
    differences
}

async fn people(pool: &PgPool) -> BTreeMap<String, Person> {
    let rows: Vec<(Value, bool, Vec<String>)> = sqlx::query_as(
        "SELECT u.attrs, u.active, ARRAY(
            SELECT g.alias FROM group_member m JOIN scim_group g ON g.tenant_id = m.tenant_id AND g.id = m.group_id
            WHERE m.tenant_id = u.tenant_id AND m.member_id = u.id AND g.deleted_at IS NULL)
         FROM scim_user u WHERE u.deleted_at IS NULL",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let people = rows.into_iter().map(|(attrs, active, groups)| person(&attrs, active, &groups));
    people.map(|person| (person.username.to_lowercase(), person)).collect()
}

fn person(attrs: &Value, active: bool, groups: &[String]) -> Person {
    let text = |value: &Value| value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let username = text(&attrs["userName"]).unwrap();
    let no_emails = Vec::new();
    let emails = attrs["emails"].as_array().unwrap_or(&no_emails);
    let pick = |fits: &dyn Fn(&Value) -> bool| emails.iter().filter(|e| fits(e)).find_map(|e| text(&e["value"]));
    let email = pick(&|e| e["primary"] == true)
        .or_else(|| pick(&|e| e["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("work"))))
        .or_else(|| pick(&|_| true))
        .unwrap_or_else(|| if username.contains('@') { username.clone() } else { format!("{username}@users.invalid") });
    let name = &attrs["name"];
    let parts: Vec<String> = ["givenName", "familyName"].iter().filter_map(|part| text(&name[*part])).collect();
    let display_name = text(&attrs["displayName"])
        .or_else(|| text(&name["formatted"]))
        .or_else(|| (!parts.is_empty()).then(|| parts.join(" ")))
        .unwrap_or_else(|| username.clone());
    Person { username, email, display_name, active, groups: ours(groups.iter()) }
}

fn groups_of(jira: &Sandbox, username: &str) -> BTreeSet<String> {
    ours(jira.groups_of(username).iter())
}

/// Without the groups that Jira itself puts every account into.
fn ours<'a>(groups: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    groups.map(|name| name.to_lowercase()).filter(|name| name != "jira-software-users").collect()
}
