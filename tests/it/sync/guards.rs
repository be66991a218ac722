//! What must not take anybody away: rows that are lost, a run that is somebody else's by now, a directory that shows less than it has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jira_scim::config::Vanished;
use jira_scim::store::run::{self, Hold, Kind, State};
use jira_scim::store::source::{self, Entry, Of, Stage, compare, staging};
use jira_scim::store::tenant::Mode;
use jira_scim::sync::counters::counters_of;
use jira_scim::sync::run::{Asked, Configured};
use jira_scim::sync::source::{Reading, Source, SourceError, Step, Wanted, WantedGroups};
use serde_json::json;
use uuid::Uuid;

use super::Org;
use super::slapd::{self, BASE, Slapd, aged, dn, group, group_dn, person};
use crate::world::{Make, World, origin};

fn people(count: usize) -> String {
    (0..count).map(|n| person(&format!("p{n:02}"))).collect()
}

fn replaced(dn: &str, attribute: &str, value: &str) -> String {
    format!("dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n\n")
}

type Hook = Arc<dyn Fn(usize) -> BoxFuture<'static, ()> + Send + Sync>;

/// A source to which something happens before each of its pages, and before its groups are read.
struct Meddled {
    inner: Arc<dyn Source>,
    page: Hook,
    groups: Hook,
}

struct MeddledReading {
    inner: Box<dyn Reading>,
    page: Hook,
    pages: AtomicUsize,
}

impl Meddled {
    fn with(&self, inner: Box<dyn Reading>) -> Box<dyn Reading> {
        Box::new(MeddledReading { inner, page: Arc::clone(&self.page), pages: AtomicUsize::new(0) })
    }
}

impl Reading for MeddledReading {
    fn next(&mut self) -> BoxFuture<'_, Result<Step, SourceError>> {
        Box::pin(async {
            (self.page)(self.pages.fetch_add(1, Ordering::SeqCst)).await;
            self.inner.next().await
        })
    }

    fn mark(&self) -> Option<jira_scim::sync::source::Mark> {
        self.inner.mark()
    }
}

impl Source for Meddled {
    fn people<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<Box<dyn Reading>, SourceError>> {
        Box::pin(async move { Ok(self.with(self.inner.people(wanted).await?)) })
    }

    fn groups<'a>(&'a self, wanted: &'a WantedGroups) -> BoxFuture<'a, Result<Box<dyn Reading>, SourceError>> {
        Box::pin(async move {
            (self.groups)(0).await;
            Ok(self.with(self.inner.groups(wanted).await?))
        })
    }

    fn place(&self, written: &str) -> Result<String, String> {
        self.inner.place(written)
    }

    fn address(&self) -> String {
        self.inner.address()
    }
}

fn nothing() -> Hook {
    Arc::new(|_| Box::pin(async {}))
}

/// A read of everything by that source.
async fn read(org: &Org, page: Hook, groups: Hook) -> run::Run {
    let Configured { config, source } = org.configured();
    let configured = Configured { config, source: Arc::new(Meddled { inner: source, page, groups }) };
    let (sync, tenant) = (org.sync(), org.world.tenant.id);
    let id = sync.ask(tenant, Kind::Sync, &Asked::default(), origin()).await.unwrap().unwrap();
    sync.work(&configured, tenant, id, &mut |_| {}).await.unwrap().unwrap();
    org.world.writer.drain().await.unwrap();
    let mut conn = org.world.pool().acquire().await.unwrap();
    run::get(&mut conn, tenant, id).await.unwrap().unwrap()
}

#[tokio::test]
async fn rows_that_the_database_loses_in_the_middle_of_a_read_are_noticed() {
    let org = Org::with(&(people(10) + &group("crew", &[dn("p00"), dn("p01")]))).await;
    org.synced().await;
    let before = org.holdings().await;
    for lost in ["DELETE FROM source_entry", "DELETE FROM source_member"] {
        let pool = org.world.pool().clone();
        let hook: Hook = Arc::new(move |page| {
            let pool = pool.clone();
            Box::pin(async move {
                if page == 1 {
                    sqlx::query(lost).execute(&pool).await.unwrap();
                }
            })
        });
        let run = read(&org, hook, nothing()).await;
        assert_eq!(run.state, State::Failed, "{lost}");
        assert!(run.error.unwrap().contains("the database lost what was read"));
        assert_eq!(org.holdings().await, before);
    }
}

#[tokio::test]
async fn whoever_lost_a_run_to_somebody_else_finds_nobody_to_switch_off() {
    let org = Org::with(&people(4)).await;
    org.synced().await;
    let (sync, tenant) = (org.sync(), org.world.tenant.id);
    let id = sync.ask(tenant, Kind::Sync, &Asked::default(), origin()).await.unwrap().unwrap();
    let mut conn = org.world.pool().acquire().await.unwrap();
    let lease = Duration::from_secs(60);
    let mut take = async |token| {
        run::take(&mut conn, Hold { tenant_id: tenant, id, token }, lease).await.unwrap().unwrap();
        org.world.later(61).await;
        Stage { tenant_id: tenant, run_id: token }
    };
    let first = take(Uuid::new_v4()).await;
    let second = take(Uuid::new_v4()).await;
    let mut conn = org.world.pool().acquire().await.unwrap();
    let entry = Entry { key: "k".into(), place: "p".into(), also: None, name_key: "n".into(), body: Some(json!({})) };
    for stage in [first, second] {
        staging::stage(&mut conn, stage, Of::Users, std::slice::from_ref(&entry)).await.unwrap();
    }
    // The second begins with the room that the first took.
    while staging::clear(&mut conn, second).await.unwrap() {}
    staging::stage(&mut conn, second, Of::Users, std::slice::from_ref(&entry)).await.unwrap();
    let gone = compare::gone_users(&mut conn, first, Uuid::nil(), true, 500).await.unwrap();
    assert_eq!(gone.len(), 0);
    assert_eq!(compare::gone_users(&mut conn, second, Uuid::nil(), true, 500).await.unwrap().len(), 4);
}

#[tokio::test]
async fn who_moves_while_groups_are_read_stays_in_them() {
    let org = Org::with(&aged(&(people(4) + &group("crew", &[dn("p00"), dn("p01")])))).await;
    let mut org = org;
    org.config.full_every = 5;
    org.synced().await;
    let elsewhere = format!("ou=elsewhere,{BASE}");
    // Everything is read, because it is told otherwise which of them are people.
    org.ldap().user_filter = Some("(uid=*)".into());
    let slapd = Arc::new(org.slapd);
    let moves = {
        let slapd = Arc::clone(&slapd);
        let ldif = format!(
            "dn: {}\nchangetype: modrdn\nnewrdn: uid=p00\ndeleteoldrdn: 1\nnewsuperior: {elsewhere}\n\n\
             dn: {}\nchangetype: modify\nreplace: member\nmember: uid=p00,{elsewhere}\nmember: {}\n\n",
            dn("p00"),
            group_dn("crew"),
            dn("p01")
        );
        let hook: Hook = Arc::new(move |_| {
            let (slapd, ldif) = (Arc::clone(&slapd), ldif.clone());
            Box::pin(async move { slapd.modify(&ldif) })
        });
        hook
    };
    let configured = jira_scim::app::source(&org.config).unwrap();
    let meddled = Meddled { inner: configured.source, page: nothing(), groups: moves };
    let configured = Configured { config: org.config.clone(), source: Arc::new(meddled) };
    let sync = jira_scim::sync::Sync::new(
        org.world.store.clone(),
        vec![configured.clone()],
        Duration::from_secs(60),
        org.world.life.clone(),
        jira_scim::telemetry::Metrics::new().unwrap(),
        None,
    );
    let id = sync.ask(org.world.tenant.id, Kind::Sync, &Asked::default(), origin()).await.unwrap().unwrap();
    sync.work(&configured, org.world.tenant.id, id, &mut |_| {}).await.unwrap().unwrap();
    let mut conn = org.world.pool().acquire().await.unwrap();
    let run = run::get(&mut conn, org.world.tenant.id, id).await.unwrap().unwrap();
    let counters = counters_of(&run);
    assert_eq!((run.error.as_deref(), counters.extent.as_str()), (None, "full"));
    assert_eq!((counters.leaves, counters.people.read, counters.people.same), (0, 4, 4));
}

#[tokio::test]
async fn all_that_there_is_never_goes_at_once_however_little_it_is() {
    let mut org = Org::with(&(people(3) + &group("crew", &[dn("p00"), dn("p01"), dn("p02")]))).await;
    org.synced().await;
    let as_it_was = org.config.clone();
    org.ldap().group_filter = Some("(objectClass=nobody)".into());
    assert!(org.failed().await.contains("has no group any more"));
    org.config = as_it_was.clone();
    org.ldap().member = Some("seeAlso".into());
    assert!(org.failed().await.contains("3 of 3 memberships would be taken away"));
    org.config = as_it_was.clone();
    org.config.scope_groups = vec![group_dn("crew")];
    org.slapd.modify(&replaced(&group_dn("crew"), "member", &format!("cn=nobody,{BASE}")));
    assert!(org.failed().await.contains("3 of 3 people would be switched off"));
    // Whoever means it says so.
    org.config.fall_percent = 100;
    org.config.vanished = Vanished::Deactivate;
    assert_eq!(org.synced().await.people.vanish, 3);
}

#[tokio::test]
async fn a_fall_among_changes_stops_them_as_well() {
    let mut org =
        Org::with(&aged(&(people(20) + &group("crew", &(0..20).map(|n| dn(&format!("p{n:02}"))).collect::<Vec<_>>()))))
            .await;
    org.config.full_every = 10;
    org.config.fall_min = 1;
    org.synced().await;
    let locked: String =
        (0..3).map(|n| replaced(&dn(&format!("p{n:02}")), "pwdAccountLockedTime", "000001010000Z")).collect();
    org.slapd.modify(&locked);
    assert!(org.failed().await.starts_with("3 of 20 people would be switched off"));
    org.config.fall_min = 3;
    assert_eq!(org.synced().await.people.change, 3);
}

#[tokio::test]
async fn one_persons_groups_are_kept_where_none_can_be_read() {
    let mut org = Org::with(&(people(3) + &group("crew", &[dn("p00"), dn("p01")]))).await;
    org.synced().await;
    org.ldap().member = Some("seeAlso".into());
    let (run, _) = org.work(Kind::Sync, &Asked { user: Some("p00".into()), full: false }).await;
    assert_eq!((run.error.clone(), counters_of(&run).leaves), (None, 0));
    org.world.writer.drain().await.unwrap();
    assert_eq!(org.world.groups_of("p00"), ["crew"]);
}

#[tokio::test]
async fn two_entries_with_one_id_are_one_and_the_other_is_told() {
    let numbered = |uid: &str| person(uid).replacen("\ncn:", "\nemployeeNumber: 7\ncn:", 1);
    let posts = |name: &str, who: &str| group(name, &[dn(who)]).replacen("\ncn:", "\ndescription: 9\ncn:", 1);
    let mut org =
        Org::with(&(numbered("ann") + &numbered("bob") + &posts("crew", "ann") + &posts("fleet", "bob"))).await;
    org.ldap().id = Some("employeeNumber".into());
    org.config.groups = false;
    let counters = org.synced().await;
    assert_eq!((counters.people.read, counters.people.create), (1, 1));
    assert_eq!(counters.messages, [format!("{}: another entry has the same id; it is left out", dn("bob"))]);
}

#[tokio::test]
async fn two_people_who_exchange_their_names_at_once_are_told() {
    let org = Org::with(&people(2)).await;
    org.synced().await;
    let named = |dn: &str, name: &str| format!("dn: {dn}\nchangetype: modrdn\nnewrdn: uid={name}\ndeleteoldrdn: 1\n\n");
    org.slapd.modify(&(named(&dn("p00"), "x") + &named(&dn("p01"), "p00") + &named(&dn("x"), "p01")));
    let counters = org.synced().await;
    assert_eq!((counters.people.skip, counters.done), (2, 0));
    assert!(counters.messages.iter().all(|told| told.contains("already exists")), "{:?}", counters.messages);
}

#[tokio::test]
async fn a_plan_does_not_take_the_tenant_from_its_clients() {
    let org = Org::with(&people(2)).await;
    assert_eq!(org.plan().await.len(), 2);
    assert_eq!(source::held(org.world.pool(), org.world.tenant.id).await.unwrap(), None);
}

#[tokio::test]
async fn a_read_that_fails_is_an_alert() {
    let mut org = Org::with(&people(2)).await;
    org.synced().await;
    org.slapd.kill();
    org.failed().await;
    let told: Vec<String> = sqlx::query_scalar("SELECT kind FROM alert").fetch_all(org.world.pool()).await.unwrap();
    assert_eq!(told, ["sync_failed"]);
}

#[tokio::test]
async fn a_tenant_that_observes_is_read_and_not_written() {
    let world = World::make(Make { mode: Mode::Observe, ..Make::default() }).await;
    let org = Org::of(world, Slapd::start(&(slapd::tree() + &people(3))));
    assert_eq!(org.synced().await.people.create, 3);
    assert_eq!(org.people().await.len(), 3);
    assert!(org.world.jira.account("p00").is_none());
}

#[tokio::test]
async fn the_brake_holds_what_a_directory_takes_away() {
    let few = json!({"max": 2, "percent": 1, "min": 1});
    let world = World::with_policy(json!({"brake": {"accounts": few, "memberships": few}})).await;
    let mut org = Org::of(world, Slapd::start(&(slapd::tree() + &people(20))));
    org.synced().await;
    org.config.fall_percent = 50;
    for n in 0..8 {
        org.slapd.modify(&format!("dn: {}\nchangetype: delete\n\n", dn(&format!("p{n:02}"))));
    }
    assert_eq!(org.synced().await.people.vanish, 8);
    let active = (0..20).filter(|n| org.world.jira.account(&format!("p{n:02}")).unwrap().active).count();
    assert!(active >= 17, "the brake lets two go at most, and {active} are active");
}
