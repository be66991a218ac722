//! What goes wrong with a directory changes nobody.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::Method;
use jira_scim::app;
use jira_scim::config::Schedule;
use jira_scim::secret::Secret;
use jira_scim::store::run::{self, Hold, Kind, State};
use jira_scim::store::source;
use jira_scim::sync::run::Asked;
use jira_scim::sync::source::{SourceError, Step, Wanted};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use uuid::Uuid;

use super::slapd::{self, BASE, Slapd, dn, group, person};
use super::{Org, source as config};
use crate::http_app::App;
use crate::world::{World, origin};

fn people(count: usize) -> String {
    (0..count).map(|n| person(&format!("p{n:02}"))).collect()
}

#[tokio::test]
async fn a_wrong_password_is_told_with_the_dn_and_without_the_password() {
    let mut org = Org::with(&people(2)).await;
    org.ldap().bind.as_mut().unwrap().password = Secret::new("not-the-password");
    let why = org.failed().await;
    assert!(why.contains("does not let cn=admin") && !why.contains("not-the-password"), "{why}");
    assert_eq!(org.people().await.len(), 0);
}

#[tokio::test]
async fn a_base_that_is_not_there_is_told() {
    let mut org = Org::with(&people(2)).await;
    org.ldap().user_base_dn = Some(format!("ou=nowhere,{BASE}"));
    assert!(org.failed().await.contains(&format!("there is no ou=nowhere,{BASE}")));
}

#[tokio::test]
async fn a_server_that_is_killed_between_two_pages_gave_a_part() {
    let mut slapd = Slapd::start(&(slapd::tree() + &people(10)));
    let configured = app::source(&config("corp", &slapd.url())).unwrap();
    let mut reading = configured.source.people(&Wanted::All).await.unwrap();
    let Step::Page(first) = reading.next().await.unwrap() else { panic!("complete after no page") };
    assert_eq!(first.len(), 3);
    slapd.kill();
    let error = reading.next().await.unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
    assert!(configured.source.people(&Wanted::All).await.is_err());
}

/// Passes on so many bytes of the server's answers, and then hangs up.
pub(super) async fn hangs_up_after(socket: PathBuf, bytes: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ldap://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (socket, bytes) = (socket.clone(), Arc::clone(&bytes));
            tokio::spawn(async move {
                let server = UnixStream::connect(socket).await.unwrap();
                let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                    (client.into_split(), server.into_split());
                let up = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
                let mut buffer = vec![0; 4096];
                while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
                    let left = bytes.load(Ordering::SeqCst);
                    let passed = read.min(left);
                    bytes.store(left - passed, Ordering::SeqCst);
                    if to_client.write_all(&buffer[..passed]).await.is_err() || passed < read {
                        break;
                    }
                }
                up.abort();
            });
        }
    });
    url
}

#[tokio::test]
async fn a_connection_that_is_lost_in_the_middle_of_a_page_changes_nobody_wherever_it_is() {
    let mut org = Org::with(&(people(10) + &group("crew", &[dn("p00"), dn("p01")]))).await;
    org.synced().await;
    org.slapd.modify(&format!("dn: {}\nchangetype: delete\n\n", dn("p09")));
    let bytes = Arc::new(AtomicUsize::new(usize::MAX));
    let direct = org.ldap().urls.clone();
    org.ldap().urls = vec![hangs_up_after(org.slapd.socket(), Arc::clone(&bytes)).await];
    org.ldap().start_tls = false;
    org.plan().await;
    let all = usize::MAX - bytes.load(Ordering::SeqCst);
    for limit in (0..8).map(|eighth| 20 + (all - 40) * eighth / 7) {
        bytes.store(limit, Ordering::SeqCst);
        let why = org.failed().await;
        assert!(why.contains("cannot be reached"), "after {limit} of {all} bytes: {why}");
    }
    assert_eq!(org.staged().await, 0);
    org.ldap().urls = direct;
    assert_eq!(org.synced().await.people.vanish, 1);
}

#[tokio::test]
async fn a_size_limit_is_no_complete_read() {
    let wanted = |_: &std::path::Path| slapd::Wanted {
        global: "sizelimit size.soft=4 size.hard=4 size.prtotal=4".into(),
        ..slapd::Wanted::default()
    };
    let mut org = Org::of(World::new().await, Slapd::wanted(&(slapd::tree() + &people(10)), wanted));
    // Whoever administers the server has no limits.
    org.ldap().bind = None;
    let why = org.failed().await;
    assert!(why.contains("not complete") && why.contains("sizeLimitExceeded"), "{why}");
    assert_eq!(org.people().await.len(), 0);
}

#[tokio::test]
async fn a_referral_is_a_part_that_is_missing_unless_it_is_said_to_lead_to_nothing() {
    let referral = format!(
        "dn: ou=abroad,{BASE}\nobjectClass: referral\nobjectClass: extensibleObject\nou: abroad\n\
         ref: ldap://192.0.2.1/ou=abroad,{BASE}\n\n"
    );
    let mut org = Org::with(&(people(4) + &referral)).await;
    let why = org.failed().await;
    assert!(why.contains("not complete") && why.contains("referral"), "{why}");
    org.ldap().referrals = Some(jira_scim::config::Referrals::Ignore);
    assert_eq!(org.synced().await.people.create, 4);
}

#[tokio::test]
async fn a_sudden_fall_stops_before_the_first_change_and_says_so() {
    let mut org = Org::with(&people(20)).await;
    org.synced().await;
    org.config.fall_min = 2;
    for n in 0..3 {
        org.slapd.modify(&format!("dn: {}\nchangetype: delete\n\n", dn(&format!("p{n:02}"))));
    }
    let why = org.failed().await;
    assert!(why.starts_with("3 of 20 people would be switched off or deleted, and 2 may be at once"), "{why}");
    assert_eq!(org.staged().await, 0);
    org.config.fall_percent = 15;
    assert_eq!(org.synced().await.people.vanish, 3);
}

#[tokio::test]
async fn a_source_without_anybody_switches_nobody_off() {
    let mut org = Org::with(&people(3)).await;
    org.synced().await;
    org.ldap().user_filter = Some("(objectClass=nobody)".into());
    assert!(org.failed().await.contains("has nobody any more"));
}

#[tokio::test]
async fn members_that_may_not_be_seen_any_more_are_not_taken_away() {
    let members: Vec<String> = (0..60).map(|n| dn(&format!("p{n:02}"))).collect();
    let mut org = Org::with(&(people(60) + &group("crew", &members))).await;
    org.synced().await;
    org.ldap().member = Some("seeAlso".into());
    let why = org.failed().await;
    assert!(why.contains("60 of 60 memberships would be taken away, and 50 may be"), "{why}");
}

#[tokio::test]
async fn one_bad_entry_is_skipped_and_told_and_nobody_is_switched_off_for_it() {
    let mut org = Org::with(&(people(4) + &group("crew", &[dn("p00")]))).await;
    org.synced().await;
    // The name comes from an attribute that all but one have.
    let named: String = (1..4).fold(String::new(), |mut ldif, n| {
        let dn = dn(&format!("p{n:02}"));
        write!(ldif, "dn: {dn}\nchangetype: modify\nreplace: employeeNumber\nemployeeNumber: p{n:02}\n\n").unwrap();
        ldif
    });
    org.slapd.modify(&named);
    org.ldap().attributes = [("userName".to_owned(), "employeeNumber".to_owned())].into();
    let counters = org.synced().await;
    assert_eq!((counters.people.skip, counters.people.vanish, counters.leaves), (1, 0, 0));
    assert_eq!(counters.messages, [format!("{}: it has no employeeNumber", dn("p00"))]);
    assert_eq!(org.world.groups_of("p00"), ["crew"]);

    // Of whom nobody knows the id may be anybody.
    org.ldap().attributes.clear();
    org.ldap().id = Some("employeeNumber".into());
    let counters = org.synced().await;
    let nameless = (counters.nameless, counters.nameless_groups);
    assert_eq!((nameless, counters.people.vanish, counters.leaves), ((1, 1), 0, 0), "{:?}", counters.messages);
}

#[tokio::test]
async fn of_two_entries_with_one_name_one_comes_and_the_other_is_told() {
    let twin = person("ann").replace("ou=people", "ou=elsewhere");
    let org = Org::with(&(person("ann") + &twin)).await;
    let counters = org.synced().await;
    assert_eq!((counters.done, counters.people.skip), (1, 1));
    assert_eq!(counters.messages, ["user ann: A user with userName ann already exists."]);
}

#[tokio::test]
async fn of_two_entries_with_the_name_of_somebody_who_is_there_one_is_that_person() {
    let twin = person("ann").replace("ou=people", "ou=elsewhere");
    let mut org = Org::with(&(person("ann") + &twin)).await;
    let ann = org.world.user("ann").await;
    org.config.take_over = true;
    let counters = org.synced().await;
    assert_eq!((counters.people.change, counters.people.create, counters.people.skip), (1, 1, 1), "{counters:?}");
    assert_eq!(org.person("ann").await["id"], json!(ann));
    let again = org.synced().await;
    assert_eq!(
        (again.people.same, again.people.skip, again.done),
        (1, 1, 0),
        "the other does not take it the next time"
    );
}

#[tokio::test]
async fn a_scheduled_read_comes_once_in_its_time_and_one_that_fails_is_tried_five_times() {
    let mut org = Org::with(&people(2)).await;
    org.config.schedule = Schedule::Every(Duration::from_secs(86400));
    let last = async |org: &Org| {
        let mut conn = org.world.pool().acquire().await.unwrap();
        run::last(&mut conn, org.world.tenant.id, Kind::Sync).await.unwrap().unwrap()
    };
    let due = async |org: &Org| org.sync().run_source(&org.configured(), false, chrono::Utc::now()).await.unwrap();
    due(&org).await;
    let first = last(&org).await;
    assert_eq!((first.state, first.actor.as_str()), (State::Done, "schedule"));
    due(&org).await;
    assert_eq!(last(&org).await.id, first.id, "a day is not over");

    org.slapd.kill();
    org.world.later(86_401).await;
    for attempt in 1..=6 {
        due(&org).await;
        let run = last(&org).await;
        assert_ne!(run.id, first.id);
        assert_eq!(run.state, if attempt < 5 { State::Queued } else { State::Failed }, "attempt {attempt}");
        assert!(run.error.unwrap().contains("cannot be reached"));
        org.world.later(61).await;
    }
}

#[tokio::test]
async fn a_run_that_somebody_works_on_is_nobody_elses() {
    let org = Org::with(&people(2)).await;
    let (sync, tenant) = (org.sync(), org.world.tenant.id);
    let id = sync.ask(tenant, Kind::Sync, &Asked::default(), origin()).await.unwrap().unwrap();
    let mut conn = org.world.pool().acquire().await.unwrap();
    let other = Hold { tenant_id: tenant, id, token: Uuid::new_v4() };
    run::take(&mut conn, other, Duration::from_secs(60)).await.unwrap().unwrap();
    assert_eq!(sync.work(&org.configured(), tenant, id, &mut |_| {}).await.unwrap(), None);
    assert_eq!(sync.ask(tenant, Kind::Sync, &Asked::default(), origin()).await.unwrap(), Some(id), "it is joined");
    assert_eq!(
        sync.ask(tenant, Kind::Sync, &Asked { user: Some("p01".into()), full: false }, origin()).await.unwrap(),
        None
    );
    // Its holder died.
    org.world.later(61).await;
    sync.work(&org.configured(), tenant, id, &mut |_| {}).await.unwrap().unwrap();
    assert_eq!(run::get(&mut conn, tenant, id).await.unwrap().unwrap().state, State::Done);
    assert_eq!(org.people().await.len(), 2);
}

#[tokio::test]
async fn people_of_a_scim_client_are_not_taken_over_unless_it_is_said() {
    let mut org = Org::with(&(people(2) + &person("ann"))).await;
    let ann = org.world.user_like(json!({ "userName": "Ann", "externalId": "00u1", "title": "Boss" })).await;
    let refused = org.sync().claim(&org.configured()).await.unwrap_err().to_string();
    assert!(refused.contains("take_over = true"), "{refused}");
    org.config.take_over = true;
    let counters = org.synced().await;
    assert_eq!((counters.people.create, counters.people.change), (2, 1));
    let now = org.person("ann").await;
    assert_eq!((&now["id"], now.get("title")), (&json!(ann), None));
    assert_ne!(now["externalId"], "00u1");
    // From now on a name is not enough: somebody else may get it.
    let mut conn = org.world.pool().acquire().await.unwrap();
    assert!(source::held(&mut *conn, org.world.tenant.id).await.unwrap().unwrap().applied.is_some());
}

#[tokio::test]
async fn a_tenant_with_a_source_is_read_and_not_written_by_scim_clients() {
    let app = App::new().await;
    let id = app.user("ann").await;
    let tenant: Uuid = sqlx::query_scalar("SELECT id FROM tenant").fetch_one(app.store.pool()).await.unwrap();
    let mut conn = app.store.pool().acquire().await.unwrap();
    source::claim(&mut conn, tenant, "corp", true).await.unwrap();
    drop(conn);
    // A credential that nobody remembers; the others are told within two seconds.
    let other = crate::http_app::another_token(&app.store, "acme").await;
    let as_other = |method, path: &str| app.raw(method, &format!("/scim/acme/v2{path}")).token(&other);
    let path = format!("/Users/{id}");
    as_other(Method::GET, &path).send().await.is(200);
    let told = as_other(Method::POST, "/Users").json(&json!({ "userName": "bob" })).send().await.is(403);
    assert!(told.body["detail"].as_str().unwrap().contains("fed by the source corp"), "{told:?}");
    as_other(Method::PUT, &path).json(&json!({ "userName": "ann" })).send().await.is(403);
    as_other(Method::DELETE, &path).send().await.is(403);
    as_other(Method::POST, "/Groups").json(&json!({ "displayName": "crew" })).send().await.is(403);
}
