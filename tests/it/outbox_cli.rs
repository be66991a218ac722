//! `jira-scim outbox` as a person runs it, beside a writer that does what it is told.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use jira_scim::directory::Precondition;
use jira_scim::policy::mapping::Grounds;
use jira_scim::sandbox::Fault;
use jira_scim::store::link::Stuck;
use jira_scim::store::outbox::Subject;
use jira_scim::store::outbox_view::{self, Cursor, Entry, State};
use jira_scim::store::{drive, tenant};
use jira_scim::writer::by_hand::{ByHand, ByHandError, Which, place_named, step_name};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{World, origin};

/// Exit code, standard output and standard error of a command on the world's database.
async fn run(world: &World, line: &str) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = "[[target]]\nname = 'jira'\nurl = 'http://jira.example'\ntoken = 't'\n";
    std::fs::write(folder.path().join("jira-scim.toml"), file).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_jira-scim"));
    command.arg("outbox").args(line.split_whitespace()).current_dir(folder.path()).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JIRA_SCIM")) {
        command.env_remove(name);
    }
    command.env("JIRA_SCIM__DATABASE__URL", &world.db.url).env("USER", "anna").env_remove("SUDO_USER");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

async fn ok(world: &World, line: &str) -> String {
    let (code, out, err) = run(world, line).await;
    assert_eq!(code, 0, "{line}: {out}\n{err}");
    out
}

async fn listed(world: &World, line: &str) -> Value {
    serde_json::from_str(&ok(world, &format!("list --json {line}")).await).unwrap()
}

/// `step state` of each entry, `-` for a subject.
async fn in_short(world: &World, line: &str) -> Vec<String> {
    let list = listed(world, line).await;
    let entries = list["entries"].as_array().unwrap();
    assert_eq!(list["total"]["count"], entries.len());
    let short =
        entries.iter().map(|e| format!("{} {}", e["step"].as_str().unwrap_or("-"), e["state"].as_str().unwrap()));
    short.collect()
}

async fn set_active(world: &World, user: Uuid, active: bool) {
    let patch = World::patch(json!([{ "op": "replace", "path": "active", "value": active }]));
    let id = user.to_string();
    world.directory.patch_user(&world.caller_in_a_hurry(), &id, patch, &Precondition::None).await.unwrap();
    world.writer.drain().await.unwrap();
}

/// Jitter may make a back-off shorter than a command takes to start.
async fn a_long_back_off(world: &World) {
    world.later(-3600).await;
}

/// Ann, who leads a project, and whom the provider took away.
async fn refused_leaver(world: &World) -> Uuid {
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    world.jira.make_lead("ann", "PRJ").unwrap();
    set_active(world, ann, false).await;
    ann
}

#[tokio::test]
async fn a_refusal_is_shown_and_tried_again_by_hand() {
    let world = World::new().await;
    assert_eq!(ok(&world, "list").await, "nothing: Jira agrees");
    let ann = refused_leaver(&world).await;
    // The step is refused; the user is due again tomorrow, because a refusal must not hand access back.
    assert_eq!(in_short(&world, "").await, ["- waiting", "active refused"]);
    assert_eq!(in_short(&world, "--state refused").await, ["active refused"]);
    assert_eq!(in_short(&world, "--state due,leased,held,waived").await, [""; 0]);
    let shown = listed(&world, "--state refused --tenant acme").await;
    let entry = &shown["entries"][0];
    assert_eq!((&entry["tenant"], &entry["kind"], &entry["name"]), (&json!("acme"), &json!("user"), &json!("ann")));
    assert_eq!((&entry["id"], &entry["step"]), (&json!(ann), &json!("active")));
    let text = ok(&world, "list").await;
    assert!(text.contains("2 in all, the oldest for"), "{text}");
    assert!(ok(&world, "list --limit 1").await.contains("(1 not shown: --limit)"));

    world.jira.change(|jira| jira.remove_lead("PRJ"));
    let calls = world.calls();
    world.writer.drain().await.unwrap();
    assert_eq!(world.calls(), calls, "nobody asked for another try");
    let said = ok(&world, "retry --user ANN").await;
    assert!(said.starts_with("acme: user ANN: active (refused: "), "{said}");
    assert!(said.ends_with("will be tried again"), "{said}");
    world.writer.drain().await.unwrap();
    assert!(!world.jira.account("ann").unwrap().active);
    assert_eq!(ok(&world, "list").await, "nothing: Jira agrees");

    let audit: Vec<(String, String, String, Uuid, Value)> =
        sqlx::query_as("SELECT actor, action, kind, subject_id, body FROM audit WHERE action LIKE 'outbox.%'")
            .fetch_all(world.pool())
            .await
            .unwrap();
    let [(actor, action, kind, subject, body)] = &audit[..] else { panic!("{audit:?}") };
    assert_eq!((actor.as_str(), action.as_str(), kind.as_str(), *subject), ("cli:anna", "outbox.retry", "user", ann));
    assert_eq!((&body["steps"][0]["step"], &body["steps"][0]["was"]), (&json!("active"), &json!("refused")));
    // Once more is no harm.
    assert!(ok(&world, "retry --user ann").await.contains("it is due now"));
    world.writer.drain().await.unwrap();
    assert_eq!(world.outbox().await, 0);
}

#[tokio::test]
async fn a_waived_step_is_left_alone_until_its_value_changes() {
    let world = World::new().await;
    let ann = refused_leaver(&world).await;
    let said = ok(&world, "waive --user ann --step active").await;
    assert!(said.contains("active (refused: ") && said.contains("is left undone"), "{said}");
    world.writer.drain().await.unwrap();
    assert_eq!(in_short(&world, "").await, ["active waived"], "not even tomorrow");
    let calls = world.calls();
    world.later(200_000).await;
    assert!(ok(&world, "retry --all").await.contains("nothing to retry"), "waived on purpose");
    world.writer.drain().await.unwrap();
    assert_eq!(world.calls(), calls);
    // Wanted otherwise, and then again: that is another wish.
    set_active(&world, ann, true).await;
    assert_eq!(in_short(&world, "").await, [""; 0]);
    world.jira.change(|jira| jira.remove_lead("PRJ"));
    set_active(&world, ann, false).await;
    assert!(!world.jira.account("ann").unwrap().active);

    let (code, _, err) = run(&world, "waive --user ann --step active").await;
    assert_eq!(code, 1);
    assert!(err.contains("active has nothing to do at present"), "{err}");
}

#[tokio::test]
async fn a_step_that_only_fails_can_be_waived_and_taken_up_again() {
    let world = World::new().await;
    world.jira.inject(Fault::status(500).on("POST /user"));
    world.user("ann").await;
    world.writer.drain().await.unwrap();
    a_long_back_off(&world).await;
    let list = listed(&world, "--state waiting").await;
    assert!(list["entries"][0]["attempts"].as_i64() >= Some(1) && list["entries"][0]["step"].is_null(), "{list}");
    assert!(list["entries"][0]["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{list}");
    world.later(4000).await;

    let said = ok(&world, "waive --user ann --step account").await;
    assert!(said.starts_with("acme: user ann: account is left undone"), "{said}");
    let calls = world.calls();
    world.writer.drain().await.unwrap();
    assert_eq!(world.calls(), calls);
    assert_eq!(in_short(&world, "").await, ["account waived"]);

    world.jira.clear_faults();
    assert!(ok(&world, "retry --all --state waived").await.contains("account (waived: "));
    world.writer.drain().await.unwrap();
    assert!(world.jira.account("ann").unwrap().active);
    assert_eq!(ok(&world, "list").await, "nothing: Jira agrees");
}

#[tokio::test]
async fn retry_all_does_not_wait_for_a_back_off() {
    let world = World::new().await;
    world.user("bo").await;
    world.writer.drain().await.unwrap();
    world.jira.inject(Fault::status(500).on("POST /user").times(1));
    world.user("ann").await;
    world.writer.drain().await.unwrap();
    a_long_back_off(&world).await;
    assert_eq!(in_short(&world, "").await, ["- waiting"]);
    ok(&world, "retry --all").await;
    let row: (i32, Option<String>) =
        sqlx::query_as("SELECT attempts, last_error FROM outbox").fetch_one(world.pool()).await.unwrap();
    assert_eq!(row, (0, None));
    world.writer.drain().await.unwrap();
    assert!(world.jira.account("ann").is_some());
    // Nobody knows what became of the first try: the second look is still to come.
    assert_eq!(in_short(&world, "").await, ["- waiting"]);
    world.later(4000).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.outbox().await, 0);
}

#[tokio::test]
async fn members_wait_for_their_group_until_it_is_tried_again() {
    let world = World::with_policy(json!({ "groups": { "create_missing": false } })).await;
    let (ann, bo) = (world.user("ann").await, world.user("bo").await);
    let crew = world.group("Crew", &[ann, bo]).await;
    world.writer.drain().await.unwrap();
    let steps = in_short(&world, "").await;
    // Both are looked at again within the hour: somebody may make the group by hand.
    assert_eq!(steps, ["- waiting", "- waiting", "member:Crew waiting", "member:Crew waiting", "group:Crew refused"]);
    assert_eq!(listed(&world, "--state refused").await["entries"][0]["kind"], "jira-group");

    let said = ok(&world, "waive --group Crew").await;
    assert!(said.contains("group:crew (refused: "), "{said}");
    assert_eq!(in_short(&world, "--state waived").await, ["group:Crew waived"]);
    world.jira.add_group("Crew").unwrap();
    let said = ok(&world, &format!("retry --group {crew}")).await;
    assert!(said.contains("group:crew (waived: Waived by hand; it was refused: "), "{said}");
    world.writer.drain().await.unwrap();
    assert_eq!(world.groups_of("ann"), ["Crew"]);
    assert_eq!(world.groups_of("bo"), ["Crew"]);
    assert_eq!(ok(&world, "list").await, "nothing: Jira agrees");
    let (code, _, err) = run(&world, "waive --group crew").await;
    assert_eq!(code, 1);
    assert!(err.contains("nothing to do at present"), "{err}");
}

#[tokio::test]
async fn the_refused_members_of_a_group_are_tried_again_with_it() {
    let world = World::new().await;
    world.jira.add_group("Crew").unwrap();
    world.jira.inject(Fault::status(400).on("POST /group/user"));
    let (ann, bo) = (world.user("ann").await, world.user("bo").await);
    world.group("Crew", &[ann, bo]).await;
    world.writer.drain().await.unwrap();
    assert_eq!(in_short(&world, "").await, ["member:Crew refused", "member:Crew refused"]);
    ok(&world, "waive --user bo --step member:CREW").await;
    world.jira.clear_faults();
    ok(&world, "retry --group crew --state refused").await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.groups_of("ann"), ["Crew"]);
    assert_eq!(in_short(&world, "").await, ["member:Crew waived"]);
    ok(&world, "retry --user bo --step member:crew").await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.groups_of("bo"), ["Crew"]);
}

static GROUNDS: Grounds = Grounds(BTreeMap::new());

fn by_hand(world: &World) -> ByHand<'_> {
    ByHand { store: &world.store, origin: origin(), patience: Duration::ZERO, grounds: &GROUNDS }
}

#[tokio::test]
async fn whoever_drives_a_subject_is_not_disturbed() {
    let world = World::new().await;
    let ann = refused_leaver(&world).await;
    let (token, subject) = (Uuid::new_v4(), Subject::User(ann));
    let mut conn = world.pool().acquire().await.unwrap();
    let long = Duration::from_secs(60);
    let lease = drive::take(&mut conn, world.tenant.id, subject, token, long).await.unwrap().unwrap();
    assert_eq!(in_short(&world, "--state leased").await, ["- leased"]);
    let before = world.record(ann).await;
    let which = Which { states: vec![Stuck::Refused], place: None };
    let retried = by_hand(&world).retry_user(&world.tenant, ann, &which, 0).await;
    assert!(matches!(retried, Err(ByHandError::Busy)), "{retried:?}");
    let waived = by_hand(&world).waive_user(&world.tenant, ann, &place_named("active").unwrap()).await;
    assert!(matches!(waived, Err(ByHandError::Busy)), "{waived:?}");
    assert_eq!(world.record(ann).await, before);
    let seq: i64 = sqlx::query_scalar("SELECT seq FROM outbox").fetch_one(world.pool()).await.unwrap();
    assert_eq!(seq, lease.seq, "nothing half done");
    // As soon as it is free again, the lease that the change by hand took is gone with its transaction.
    jira_scim::store::outbox::hand_over(&mut conn, world.tenant.id, subject, token).await.unwrap();
    assert_eq!(by_hand(&world).retry_user(&world.tenant, ann, &which, 0).await.unwrap().len(), 1);
    let (seq, free): (i64, bool) = sqlx::query_as("SELECT seq, lease_token IS NULL AND due_at <= now() FROM outbox")
        .fetch_one(world.pool())
        .await
        .unwrap();
    assert_eq!((seq, free), (lease.seq + 1, true));
}

#[tokio::test]
async fn the_pause_of_a_target_is_ended_by_name() {
    let world = World::new().await;
    world.user("bo").await;
    world.writer.drain().await.unwrap();
    assert_eq!(ok(&world, "retry --target jira").await, "target jira is not paused");
    world.jira.inject(Fault::status(401).on("POST /user"));
    world.user("ann").await;
    world.writer.drain().await.unwrap();
    let paused = "SELECT paused_until > now() FROM target_state";
    assert!(sqlx::query_scalar::<_, bool>(paused).fetch_one(world.pool()).await.unwrap());
    let said = ok(&world, "retry --target jira").await;
    assert!(said.starts_with("target jira: its pause (denied: "), "{said}");
    assert!(!sqlx::query_scalar::<_, bool>(paused).fetch_one(world.pool()).await.unwrap());
    let noted: i64 = sqlx::query_scalar("SELECT count(*) FROM audit WHERE action = 'outbox.retry' AND kind = 'tenant'")
        .fetch_one(world.pool())
        .await
        .unwrap();
    assert_eq!(noted, 1);
    assert!(run(&world, "retry --target other").await.2.contains("there is no target other"));
}

#[tokio::test]
async fn what_cannot_be_meant_is_said() {
    let world = World::new().await;
    let other = world.other_tenant("beta").await;
    world.user("ann").await;
    let namesake = json!({ "userName": "ann" });
    let caller = world.caller_of(&other, None);
    world.directory.create_user(&caller, namesake.as_object().unwrap().clone()).await.unwrap();
    for (line, code, what) in [
        ("retry --user nobody", 1, "there is no user nobody"),
        ("retry --user ann", 1, "ann may be one of several"),
        ("retry --group none", 1, "there is no group none"),
        ("list --tenant none", 1, "there is no tenant none"),
        ("retry", 2, "required"),
        ("retry --user a --group b", 2, "cannot be used with"),
        ("retry --user a --step nonsense", 2, "a step is account, active, delete, member:NAME or group:NAME"),
        ("waive --user a", 2, "--step"),
        ("list --state nonsense", 2, "possible values"),
    ] {
        let (exit, _, err) = run(&world, line).await;
        assert_eq!(exit, code, "{line}: {err}");
        assert!(err.contains(what), "{line}: {err}");
    }
    assert!(ok(&world, "retry --user ann --tenant beta").await.starts_with("beta: user ann"));
    let list = listed(&world, "--tenant beta").await;
    assert_eq!((&list["total"]["count"], &list["entries"][0]["state"]), (&json!(1), &json!("due")));
}

/// Everything there is, read in pages of that size.
async fn paged(world: &World, states: &[State], limit: i64) -> Vec<Entry> {
    let mut conn = world.pool().acquire().await.unwrap();
    let (mut all, mut after) = (Vec::new(), Some(Cursor::default()));
    while let Some(cursor) = after {
        let (entries, next) = outbox_view::page(&mut conn, world.tenant.id, states, &cursor, limit).await.unwrap();
        assert!(i64::try_from(entries.len()).unwrap() <= limit);
        all.extend(entries);
        after = next;
    }
    all
}

#[tokio::test]
async fn pages_of_any_size_show_everything_once_and_the_sample_counts_it() {
    let world = World::with_policy(json!({ "groups": { "create_missing": false } })).await;
    let mut users = Vec::new();
    for n in 0..5 {
        users.push(world.user(&format!("user{n}")).await);
    }
    world.writer.drain().await.unwrap();
    for group in ["Dev", "Ops"] {
        world.group(group, &users).await;
    }
    for name in ["user0", "user1"] {
        world.jira.make_lead(name, name).unwrap();
    }
    for user in &users[..2] {
        set_active(&world, *user, false).await;
    }
    ok(&world, "waive --user user4 --step member:dev").await;
    world.writer.drain().await.unwrap();
    world.user("late").await;
    let all = paged(&world, &State::ALL, 1000).await;
    for limit in [1, 2, 3, 7] {
        assert_eq!(paged(&world, &State::ALL, limit).await, all, "pages of {limit}");
    }
    let count = |state: State| all.iter().filter(|entry| entry.state == state).count();
    for state in State::ALL {
        assert_eq!(paged(&world, &[state], 2).await.len(), count(state), "{state:?}");
        let mut conn = world.pool().acquire().await.unwrap();
        let total = outbox_view::total(&mut conn, world.tenant.id, &[state]).await.unwrap();
        assert_eq!(total.count, i64::try_from(count(state)).unwrap(), "{state:?}");
        assert_eq!(total.oldest, all.iter().filter(|entry| entry.state == state).map(|entry| entry.since).min());
    }
    assert_eq!((count(State::Refused), count(State::Waived), count(State::Due)), (4, 1, 1), "{all:#?}");

    let idle = world.other_tenant("idle").await;
    let mut conn = world.pool().acquire().await.unwrap();
    let samples = outbox_view::sample(&mut conn).await.unwrap();
    assert_eq!(samples.iter().map(|sample| sample.slug.as_str()).collect::<Vec<_>>(), ["acme", "idle"]);
    let subjects = all.iter().filter(|entry| entry.step.is_none()).count();
    let acme = &samples[0];
    assert_eq!((acme.depth, acme.refused, acme.held, acme.waived), (subjects as i64, 4, 0, 1));
    assert!(acme.oldest_seconds > 0.0);
    assert_eq!((samples[1].tenant_id, samples[1].depth, samples[1].oldest_seconds), (idle.id, 0, 0.0));
}

#[tokio::test]
async fn tombstones_are_found_by_name_and_their_refusals_end() {
    let world = World::with_policy(json!({ "deprovision": { "on_delete": "delete" } })).await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    world.jira.make_lead("ann", "PRJ").unwrap();
    let id = ann.to_string();
    world.directory.delete_user(&world.caller_in_a_hurry(), &id, &Precondition::None).await.unwrap();
    world.writer.drain().await.unwrap();
    assert_eq!(in_short(&world, "--state refused").await, ["active refused", "delete refused"]);
    assert!(ok(&world, "list").await.contains("ann (deleted)"));
    world.jira.change(|jira| jira.remove_lead("PRJ"));
    ok(&world, "retry --user ann --step delete").await;
    world.writer.drain().await.unwrap();
    assert!(world.jira.account("ann").is_none());
    assert_eq!(ok(&world, "list").await, "nothing: Jira agrees", "what was said of the account went with it");
    assert!(tenant::get(world.pool(), "acme").await.unwrap().is_some());
}

#[test]
fn steps_are_named_as_they_are_read() {
    for name in ["account", "active", "delete", "member:crew", "group:crew"] {
        assert_eq!(step_name(&place_named(name).unwrap()), name);
    }
    assert_eq!(place_named("member: Crew "), place_named("member:crew"));
    for name in ["", "member:", "member", "group: ", "account:x", "write"] {
        assert_eq!(place_named(name), None, "{name}");
    }
}
