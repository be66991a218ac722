//! Whether the store, Jira and what the clients remember agree, once nothing is left to be done.

use std::collections::{BTreeMap, BTreeSet};

use jira_scim::sandbox::{AccountView, Sandbox};
use sqlx::{PgConnection, Row};

use super::daemon::eventually;
use super::load::Person;

/// Waits until the outbox is empty; tells what is left in it when it does not become so.
pub(crate) async fn drained(database: &mut PgConnection) {
    let drained = eventually_empty(database);
    if tokio::time::timeout(super::daemon::PATIENCE, drained).await.is_err() {
        let rows = sqlx::query(
            "SELECT to_jsonb(o)::text || coalesce((SELECT to_jsonb(l)::text FROM link l WHERE l.user_id = o.subject_id), '')
             FROM outbox o ORDER BY due_at LIMIT 10",
        );
        let left: Vec<String> = rows.fetch_all(database).await.unwrap().iter().map(|row| row.get(0)).collect();
        panic!("the outbox does not become empty:\n{}", left.join("\n"));
    }
}

async fn eventually_empty(database: &mut PgConnection) {
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(50));
    while sqlx::query_scalar::<_, i64>("SELECT count(*) FROM outbox").fetch_one(&mut *database).await.unwrap() > 0 {
        ticks.tick().await;
    }
}

/// The database of a daemon that has just been restarted.
pub(crate) async fn database(home: &super::daemon::Home) -> PgConnection {
    eventually("the private PostgreSQL", async || home.database().await).await
}

/// Everything that is wrong, one sentence each.
pub(crate) async fn differences(people: &[&Person], jira: &Sandbox, database: &mut PgConnection) -> Vec<String> {
    let mut wrong = Vec::new();
    let accounts: BTreeMap<String, AccountView> =
        jira.accounts().into_iter().filter(|a| a.username != jira.admin()).map(|a| (a.username.clone(), a)).collect();
    for person in people {
        let before = wrong.len();
        compare(person, accounts.get(&person.user_name), &mut wrong);
        if wrong.len() > before {
            wrong.push(format!("    on record: {}", on_record(database, &person.id).await));
        }
    }
    let wanted: BTreeSet<&str> =
        people.iter().filter(|p| p.active && !p.deleted).map(|p| p.user_name.as_str()).collect();
    for account in accounts.values().filter(|account| account.active && !wanted.contains(account.username.as_str())) {
        wrong.push(format!("{} may log in, and nobody wants that: {account:?}", account.username));
    }
    let links = links(database).await;
    for account in accounts.values() {
        match links.get(&account.key).map_or(0, Vec::len) {
            1 => {}
            holders => wrong.push(format!("{} is the account of {holders} users: {account:?}", account.username)),
        }
    }
    wrong
}

fn compare(person: &Person, account: Option<&AccountView>, wrong: &mut Vec<String>) {
    let Some(account) = account else {
        if person.active && !person.deleted {
            wrong.push(format!("no account: {person:?}"));
        }
        return;
    };
    let active = person.active && !person.deleted;
    if account.active != active {
        wrong.push(format!("active is {}: {person:?}", account.active));
    }
    let ours: BTreeSet<String> = account.groups.iter().filter(|name| *name != "jira-software-users").cloned().collect();
    // Somebody who may not log in joins nothing new.
    let fits = if active { ours == person.groups } else { ours.is_subset(&person.groups) };
    if !fits {
        wrong.push(format!("groups are {ours:?}: {person:?}"));
    }
    if active && account.display_name != person.display_name {
        wrong.push(format!("the display name is {}: {person:?}", account.display_name));
    }
    if active && account.email != format!("{}@corp.example", person.external_id) {
        wrong.push(format!("the address is {}: {person:?}", account.email));
    }
}

async fn on_record(database: &mut PgConnection, id: &str) -> String {
    let link = sqlx::query_scalar("SELECT to_jsonb(l)::text FROM link l WHERE user_id::text = $1").bind(id);
    link.fetch_optional(database).await.unwrap().unwrap_or_default()
}

/// Users by the key of the account that they are on record as.
async fn links(database: &mut PgConnection) -> BTreeMap<String, Vec<uuid::Uuid>> {
    let rows = sqlx::query("SELECT user_id, record #>> '{known,linked,seen,id}' FROM link").fetch_all(database).await;
    let mut links: BTreeMap<String, Vec<uuid::Uuid>> = BTreeMap::new();
    for row in rows.unwrap() {
        if let Some(key) = row.get::<Option<String>, _>(1) {
            links.entry(key).or_default().push(row.get(0));
        }
    }
    links
}
