//! Reads of what changed, between those of everything.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use jira_scim::store::run::{Kind, Run};
use jira_scim::store::source;
use jira_scim::sync::counters::{Counters, counters_of};
use jira_scim::sync::run::{Asked, Configured};
use jira_scim::sync::source::{Reading, Source, SourceError, Step, Wanted, WantedGroups};
use serde_json::{Value, json};

use super::Org;
use super::safety::hangs_up_after;
use super::slapd::{BASE, aged, dn, group, group_dn, person};

const ELSEWHERE: &str = "ou=elsewhere,dc=corp,dc=example";

fn team() -> String {
    let mut ldif: String = ["ann", "bob", "cid", "dora", "eve", "finn", "gus"].iter().map(|uid| person(uid)).collect();
    ldif.push_str(&group("crew", &[dn("ann"), dn("bob"), dn("cid"), dn("zed")]));
    ldif.push_str(&group("captains", &[dn("ann")]));
    aged(&ldif)
}

/// With everything read once, and every fourth read of everything.
async fn org() -> Org {
    let mut org = Org::with(&team()).await;
    org.config.full_every = 4;
    let counters = org.synced().await;
    assert_eq!((counters.extent.as_str(), counters.because.as_deref()), ("full", Some("it is the first")));
    org
}

fn replaced(dn: &str, attribute: &str, value: &str) -> String {
    format!("dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n\n")
}

async fn held(org: &Org) -> source::Held {
    source::held(org.world.pool(), org.world.tenant.id).await.unwrap().unwrap()
}

fn changes(counters: &Counters) {
    assert_eq!((counters.extent.as_str(), counters.because.as_deref()), ("changes", None));
}

fn full(counters: &Counters, because: &str) {
    let why = counters.because.clone().unwrap_or_default();
    assert!(counters.extent == "full" && why.contains(because), "{}: {why}", counters.extent);
}

#[tokio::test]
async fn only_what_changed_is_read_until_it_is_time_for_everything() {
    let org = org().await;
    org.slapd.modify(&replaced(&dn("ann"), "title", "Boss"));
    let counters = org.synced().await;
    changes(&counters);
    assert_eq!((counters.people.read, counters.people.change, counters.people.same), (2, 1, 1), "and the newest again");
    assert_eq!((counters.groups.read, counters.joins, counters.leaves), (1, 0, 0));
    assert_eq!(org.person("ann").await["title"], "Boss");

    // Who is gone is not among the changes.
    org.slapd.modify(&format!("dn: {}\nchangetype: delete\n\n", dn("bob")));
    let (calls, before) = (org.world.calls(), org.holdings().await);
    let counters = org.synced().await;
    changes(&counters);
    assert_eq!((counters.wanted(), org.world.calls(), org.holdings().await), (0, calls, before));
    changes(&org.synced().await);
    let counters = org.synced().await;
    full(&counters, "its turn");
    assert_eq!((counters.people.vanish, counters.people.read), (1, 6));
    changes(&org.synced().await);
    assert_eq!(org.staged().await, 0);
}

#[tokio::test]
async fn who_is_renamed_moves_joins_or_leaves_is_followed_by_changes_alone() {
    let org = org().await;
    let ann = org.person("ann").await["id"].clone();
    let new = format!("uid=ann.moss,{ELSEWHERE}");
    org.slapd.modify(&format!(
        "dn: {}\nchangetype: modrdn\nnewrdn: uid=ann.moss\ndeleteoldrdn: 1\nnewsuperior: {ELSEWHERE}\n\n\
         dn: {}\nchangetype: modify\nreplace: member\nmember: {new}\n\n\
         dn: {}\nchangetype: modify\ndelete: member\nmember: {}\nmember: {}\n-\nadd: member\nmember: {new}\nmember: {}\n\n",
        dn("ann"),
        group_dn("captains"),
        group_dn("crew"),
        dn("ann"),
        dn("bob"),
        dn("dora"),
    ));
    let counters = org.synced().await;
    changes(&counters);
    assert_eq!((counters.people.create, counters.people.change), (0, 1));
    assert_eq!((counters.joins, counters.leaves), (1, 1), "dora and bob; ann is who she was");
    assert_eq!(org.person("ann.moss").await["id"], ann);
    assert_eq!(org.world.groups_of("ann.moss"), ["captains", "crew"]);
    assert_eq!(org.world.groups_of("dora"), ["crew"]);
    assert!(org.world.groups_of("bob").is_empty());

    // A group in a group, and a new person in it.
    org.slapd.modify(&format!(
        "{}{}",
        person("hal").replacen('\n', "\nchangetype: add\n", 1),
        group("fleet", &[group_dn("crew"), dn("hal")]).replacen('\n', "\nchangetype: add\n", 1),
    ));
    let counters = org.synced().await;
    changes(&counters);
    assert_eq!((counters.people.create, counters.groups.create, counters.joins), (1, 1, 2));
    assert_eq!(org.world.groups_of("dora"), ["crew", "fleet"]);
    assert_eq!(org.world.groups_of("hal"), ["fleet"]);
    org.slapd.modify(&replaced(&format!("uid=hal,ou=people,{BASE}"), "pwdAccountLockedTime", "000001010000Z"));
    changes(&org.synced().await);
    assert!(!org.world.jira.account("hal").unwrap().active);
}

#[tokio::test]
async fn a_group_with_somebody_whom_nobody_knows_makes_the_read_a_full_one() {
    let org = org().await;
    // Everybody in it has another DN, and none of them changed.
    org.slapd.modify(&format!(
        "dn: ou=people,{BASE}\nchangetype: modrdn\nnewrdn: ou=staff\ndeleteoldrdn: 1\n\n{}",
        replaced(&group_dn("crew"), "member", &format!("uid=cid,ou=staff,{BASE}")),
    ));
    let counters = org.synced().await;
    full(&counters, "names uid=cid,ou=staff");
    assert_eq!((counters.people.vanish, counters.people.same), (0, 7));
    assert_eq!(org.world.groups_of("cid"), ["crew"]);
    assert!(org.world.groups_of("bob").is_empty());
}

#[tokio::test]
async fn somebody_new_whom_groups_named_before_is_in_them() {
    let org = org().await;
    org.slapd.modify(&person("zed").replacen('\n', "\nchangetype: add\n", 1));
    let counters = org.synced().await;
    full(&counters, "groups named it before");
    assert_eq!((counters.people.create, counters.joins), (1, 1));
    assert_eq!(org.world.groups_of("zed"), ["crew"]);
}

#[tokio::test]
async fn where_groups_decide_who_comes_a_change_of_them_is_a_full_read() {
    let mut org =
        Org::with(&aged(&(team() + &group("inner", &[dn("eve")]) + &group("jira", &[group_dn("inner"), dn("ann")]))))
            .await;
    org.config.scope_groups = vec![group_dn("jira")];
    org.config.full_every = 10;
    assert_eq!(org.synced().await.people.create, 2);
    org.slapd.modify(&(replaced(&dn("eve"), "title", "Boss") + &replaced(&dn("bob"), "title", "Boss")));
    let counters = org.synced().await;
    changes(&counters);
    assert_eq!((counters.people.change, counters.people.create), (1, 0), "bob is in none of them");
    // The newest of all, which is read again each time.
    org.slapd.modify(&replaced(&group_dn("inner"), "member", &dn("bob")));
    let counters = org.synced().await;
    full(&counters, "decides who comes");
    assert_eq!((counters.people.create, counters.people.vanish), (1, 1));
    changes(&org.synced().await);
    changes(&org.synced().await);
}

#[tokio::test]
async fn changes_that_are_not_read_to_their_end_change_nobody_and_everything_is_read_again() {
    let mut org = Org::with(&team()).await;
    let bytes = Arc::new(AtomicUsize::new(usize::MAX));
    let socket: PathBuf = org.slapd.socket();
    org.ldap().urls = vec![hangs_up_after(socket, Arc::clone(&bytes)).await];
    org.ldap().start_tls = false;
    org.config.full_every = 10;
    org.synced().await;
    let titles: String = ["ann", "bob", "cid", "dora", "eve"].map(|uid| replaced(&dn(uid), "title", "Boss")).concat();
    org.slapd.modify(&titles);
    let before = held(&org).await;
    for limit in [20, 300, 900] {
        bytes.store(limit, Ordering::SeqCst);
        let why = org.failed().await;
        assert!(why.contains("cannot be reached"), "after {limit} bytes: {why}");
        assert_eq!(held(&org).await, before);
    }
    bytes.store(usize::MAX, Ordering::SeqCst);
    let counters = org.synced().await;
    full(&counters, "the last read failed");
    assert_eq!(counters.people.change, 5);
    changes(&org.synced().await);
}

#[tokio::test]
async fn everything_is_read_after_another_configuration_a_reset_or_when_it_is_asked_for() {
    let mut org = org().await;
    let asked = Asked { full: true, ..Asked::default() };
    let (run, _) = org.work(Kind::Sync, &asked).await;
    full(&counters_of(&run), "asked for");
    org.ldap().user_filter = Some("(&(objectClass=inetOrgPerson)(!(uid=gus)))".into());
    let counters = org.synced().await;
    full(&counters, "configured otherwise");
    assert_eq!(counters.people.vanish, 1);
    changes(&org.synced().await);
    sqlx::query(
        "INSERT INTO run (tenant_id, id, kind, state, actor, request_id, started, finished)
         SELECT tenant_id, gen_random_uuid(), 'purge', 'done', 'test', gen_random_uuid(), now(), now() FROM source",
    )
    .execute(org.world.pool())
    .await
    .unwrap();
    full(&org.synced().await, "removed from the store");
    changes(&org.synced().await);
    org.ldap().changed_by = Some(jira_scim::config::ChangedBy::Never);
    full(&org.synced().await, "configured otherwise");
    full(&org.synced().await, "did not end with a mark");
}

#[tokio::test]
async fn a_plan_is_of_what_the_next_read_will_read_and_moves_nothing() {
    let org = org().await;
    org.slapd.modify(&replaced(&dn("ann"), "title", "Boss"));
    let before = held(&org).await;
    let of = |run: &Run| counters_of(run).extent;
    let (run, lines) = org.work(Kind::SyncPlan, &Asked::default()).await;
    assert_eq!((of(&run).as_str(), lines.len()), ("changes", 1));
    let (run, lines) = org.work(Kind::SyncPlan, &Asked { full: true, ..Asked::default() }).await;
    assert_eq!((of(&run).as_str(), lines.len()), ("full", 1));
    assert_eq!(held(&org).await, before);
    let next = org.sync().next(&org.configured(), &org.world.tenant, chrono::Utc::now()).await.unwrap();
    assert_eq!((next.extent.as_str(), next.full_in, next.at), ("changes", 4, None));
}

/// A source that notices when it is read twice at the same time.
struct Watched {
    inner: Arc<dyn Source>,
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    reads: AtomicUsize,
}

struct WatchedReading {
    inner: Box<dyn Reading>,
    now: Arc<AtomicUsize>,
}

impl Watched {
    async fn begun(&self, inner: Result<Box<dyn Reading>, SourceError>) -> Result<Box<dyn Reading>, SourceError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        Ok(Box::new(WatchedReading { inner: inner?, now: Arc::clone(&self.now) }))
    }
}

impl Drop for WatchedReading {
    fn drop(&mut self) {
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Reading for WatchedReading {
    fn next(&mut self) -> BoxFuture<'_, Result<Step, SourceError>> {
        self.inner.next()
    }
}

impl Source for Watched {
    fn people<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<Box<dyn Reading>, SourceError>> {
        Box::pin(async move { self.begun(self.inner.people(wanted).await).await })
    }

    fn groups<'a>(&'a self, wanted: &'a WantedGroups) -> BoxFuture<'a, Result<Box<dyn Reading>, SourceError>> {
        Box::pin(async move { self.begun(self.inner.groups(wanted).await).await })
    }

    fn place(&self, written: &str) -> Result<String, String> {
        self.inner.place(written)
    }

    fn address(&self) -> String {
        self.inner.address()
    }
}

#[tokio::test]
async fn several_daemons_whose_time_has_come_never_read_a_source_at_the_same_time() {
    let org = Org::with(&team()).await;
    let Configured { config, source } = org.configured();
    let watched =
        Arc::new(Watched { inner: source, now: Arc::default(), most: Arc::default(), reads: AtomicUsize::new(0) });
    let configured =
        Configured { config: jira_scim::config::SourceConfig { at_start: true, ..config }, source: watched.clone() };
    let daemons = [org.sync(), org.sync(), org.sync()];
    for _ in 0..5 {
        let due = daemons.iter().map(|daemon| daemon.run_source(&configured, true, chrono::Utc::now()));
        futures_util::future::try_join_all(due).await.unwrap();
    }
    assert_eq!(watched.most.load(Ordering::SeqCst), 1);
    assert!(watched.reads.load(Ordering::SeqCst) >= 10, "each time one of them reads people and groups");
    let states: Vec<Value> =
        sqlx::query_scalar("SELECT to_jsonb(state) FROM run").fetch_all(org.world.pool()).await.unwrap();
    assert!(states.iter().all(|state| *state == json!("done")), "{states:?}");
}
