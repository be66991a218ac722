//! The Align practice with a directory: a group of it decides who has an account, and everybody else is locked; but only when
//! the directory was read to its end.

use std::time::Duration;

use jira_scim::app;
use jira_scim::config::{Bind, LdapConfig, Preset, Schedule, ServerConfig, SourceConfig, Vanished, VanishedGroups};
use jira_scim::lifecycle::Lifecycle;
use jira_scim::sandbox::{AlignOptions, AlignUser};
use jira_scim::secret::Secret;
use jira_scim::store::run::{self, Kind, State};
use jira_scim::store::tenant;
use jira_scim::sync::Sync;
use jira_scim::sync::run::Asked;
use jira_scim::telemetry::Metrics;
use jira_scim::writer::unmatched::{Act, UnmatchedError};
use serde_json::json;
use uuid::Uuid;

use super::stage::{Stage, policy};
use crate::sync::slapd::{self, ADMIN, BASE, PASSWORD, Slapd, dn, group, group_dn, person};
use crate::world::origin;

const ALL: Act = Act::SwitchOff { limit: 20, seen_for: Duration::ZERO };

fn source(url: &str) -> SourceConfig {
    let bind = Bind { dn: ADMIN.into(), password: Secret::new(PASSWORD) };
    SourceConfig {
        name: "corp".into(),
        tenant: "acme".into(),
        take_over: false,
        users: true,
        groups: false,
        scope_groups: vec![group_dn("align")],
        vanished: Vanished::Deactivate,
        vanished_groups: VanishedGroups::Delete,
        fall_percent: 10,
        fall_min: 5,
        schedule: Schedule::ByHand,
        at_start: false,
        full_every: 1,
        server: ServerConfig::Ldap(LdapConfig { bind: Some(bind), ..LdapConfig::new(Preset::OpenLdap, url, BASE) }),
    }
}

/// Reads the source, writes what is due, and answers how the read ended.
async fn read(stage: &Stage, config: &SourceConfig) -> State {
    let configured = app::source(config).unwrap();
    let (store, life) = (stage.app.store.clone(), Lifecycle::new());
    let lease = Duration::from_secs(60);
    let sync = Sync::new(store, vec![configured.clone()], lease, life, Metrics::new().unwrap(), None);
    let tenant = tenant_id(stage).await;
    let id = sync.ask(tenant, Kind::Sync, &Asked::default(), origin()).await.unwrap().unwrap();
    sync.work(&configured, tenant, id, &mut |_| {}).await.unwrap().unwrap();
    stage.app.writer.drain().await.unwrap();
    let mut conn = stage.app.store.pool().acquire().await.unwrap();
    run::get(&mut conn, tenant, id).await.unwrap().unwrap().state
}

async fn tenant_id(stage: &Stage) -> Uuid {
    tenant::get(stage.app.store.pool(), "acme").await.unwrap().unwrap().id
}

/// Locks who is nobody's, as the hourly comparison does; false where it is too early to say.
async fn lock_the_others(stage: &Stage) -> bool {
    let tenant = tenant::get(stage.app.store.pool(), "acme").await.unwrap().unwrap();
    match stage.app.writer.compare(&tenant, ALL, origin()).await {
        Ok(_) => true,
        Err(UnmatchedError::NotYet(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn everybody_else_is_locked_after_a_complete_read_and_a_complete_import_only() {
    let people: String = ["ada", "bo", "cy"].iter().map(|uid| person(uid)).collect();
    let mut slapd = Slapd::start(&(slapd::tree() + &people + &group("align", &[dn("ada"), dn("bo")])));
    let mut rules = policy();
    rules["unmatched_accounts"] = json!({"action": "deactivate"});
    let stage = Stage::like(AlignOptions::default(), rules, |_| ()).await;
    for name in ["cy", "zed"] {
        stage.jira.change(|world| world.add(AlignUser::named(name, name, "Lund")));
    }
    let config = source(&slapd.url());
    // A read that finds less than it was to find says nothing about the others.
    let unbound = SourceConfig { scope_groups: vec![group_dn("nowhere")], ..config.clone() };
    assert_eq!(read(&stage, &unbound).await, State::Failed);
    assert!(!lock_the_others(&stage).await);

    assert_eq!(read(&stage, &config).await, State::Done);
    // An import that did not come to its end.
    let import = "INSERT INTO run (tenant_id, id, kind, state, actor, request_id, started, finished)
        SELECT id, gen_random_uuid(), 'import', $1, 'test', gen_random_uuid(), now(), now() FROM tenant";
    sqlx::query(import).bind("failed").execute(stage.app.store.pool()).await.unwrap();
    assert!(!lock_the_others(&stage).await);
    assert_eq!(stage.jira.active(), ["ada", "bo", "cy", "svc-scim", "zed"]);
    sqlx::query(import).bind("done").execute(stage.app.store.pool()).await.unwrap();
    assert!(lock_the_others(&stage).await);
    assert_eq!(stage.jira.active(), ["ada", "bo", "svc-scim"], "cy is in the directory and not in the group");

    // Somebody leaves the group, and somebody joins it.
    slapd.modify(&format!(
        "dn: {}\nchangetype: modify\nreplace: member\nmember: {}\nmember: {}\n\n",
        group_dn("align"),
        dn("ada"),
        dn("cy")
    ));
    assert_eq!(read(&stage, &config).await, State::Done);
    assert_eq!(stage.jira.active(), ["ada", "cy", "svc-scim"]);

    stage.jira.change(|world| world.add(AlignUser::named("yan", "yan", "Lund")));
    slapd.kill();
    assert_eq!(read(&stage, &config).await, State::Failed);
    assert!(!lock_the_others(&stage).await, "while the last read failed");
    assert!(stage.is_active("yan"));
}
