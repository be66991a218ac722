//! What a plan says is what is done then: played over a world, compared with the calls that change anything.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use jira_scim::sandbox::{JournalEntry, NewAccount};
use jira_scim::store::tenant::{Mode, TenantChange};
use jira_scim::writer::forecast::{Asked, Kind, Line, Strays, Summary, Told};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{Make, World};

/// The lines and the sums of everybody's plan.
async fn planned(world: &World) -> (Vec<Line>, Summary) {
    let mut lines = Vec::new();
    let mut keep = |told: Told<'_>| {
        if let Told::Line(line) = told {
            lines.push(line.clone());
        }
        Ok(())
    };
    let summary = world.writer.forecast(&world.tenant, &Asked::default(), &mut keep).await.unwrap();
    (lines, summary)
}

/// A line that writes, in the words of [`did`].
fn words(line: &Line) -> String {
    let group = line.group.clone().unwrap_or_default();
    match line.kind {
        Kind::Join | Kind::Leave => format!("{} {} {group}", line.kind, line.account),
        Kind::Group => format!("group {group}"),
        kind => format!("{kind} {}", line.account),
    }
}

fn query(entry: &JournalEntry) -> BTreeMap<String, String> {
    let url = url::Url::parse(&format!("http://jira{}", entry.path)).unwrap();
    url.query_pairs().into_owned().collect()
}

/// The calls that changed the world since, in the words of [`words`]; `names` are the login names by key, and are kept up.
fn did(journal: &[std::sync::Arc<JournalEntry>], names: &mut BTreeMap<String, String>) -> Vec<String> {
    let mut did = Vec::new();
    for entry in journal.iter().filter(|entry| entry.did_work) {
        let (query, body) = (query(entry), entry.json());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let account = || {
            let by_name = query.get("username").cloned();
            by_name.or_else(|| query.get("key").and_then(|key| names.get(key).cloned())).unwrap_or_default()
        };
        did.push(match entry.operation().as_str() {
            "POST /user" => format!("create {}", text(&body["name"])),
            "PUT /user" if body["active"] == true => format!("activate {}", account()),
            "PUT /user" if body["active"] == false => format!("deactivate {}", account()),
            "PUT /user" => {
                let word = format!("update {}", account());
                if let (Some(key), Some(name)) = (query.get("key"), body["name"].as_str()) {
                    names.insert(key.clone(), name.to_owned());
                }
                word
            }
            "POST /group" => format!("group {}", text(&body["name"])),
            "POST /group/user" => format!("join {} {}", text(&body["name"]), query["groupname"]),
            "DELETE /group/user" => format!("leave {} {}", account(), query["groupname"]),
            other => panic!("{other}: {}", entry.path),
        });
    }
    did.sort();
    did
}

fn account(username: &str, display: &str) -> NewAccount {
    NewAccount { display_name: display.to_owned(), ..NewAccount::named(username) }
}

async fn patch(world: &World, user: Uuid, value: Value) {
    let patch = World::patch(json!([{ "op": "replace", "value": value }]));
    let (caller, id) = (world.caller_in_a_hurry(), user.to_string());
    world.directory.patch_user(&caller, &id, patch, &jira_scim::directory::Precondition::None).await.unwrap();
}

/// A tenant that wrote for a while and only observes since, with everything that can happen to people.
async fn a_mixed_population() -> World {
    let mut world = World::make(Make { mode: Mode::Enforce, ..Make::default() }).await;
    for (name, display) in [("anna", "Old Anna"), ("carl", "carl"), ("root", "root")] {
        world.jira.add_account(&account(name, display)).unwrap();
    }
    world.jira.add_account(&account("bert", "bert")).unwrap();
    world.jira.change(|jira| jira.force_active("bert", false)).unwrap();
    world.jira.add_group("Team").unwrap();
    world.jira.add_member("Team", "anna").unwrap();
    world.jira.add_group("Admins").unwrap();
    world.jira.label_admin("Admins").unwrap();

    let (dora, emil, fred) = (world.user("dora").await, world.user("emil").await, world.user("fred").await);
    let old = world.group("Old", &[dora, emil]).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.groups_of("dora"), ["Old"]);
    world.change_tenant(TenantChange { mode: Some(Mode::Observe), ..TenantChange::default() }).await;
    world.writer.drain().await.unwrap();

    patch(&world, dora, json!({ "userName": "dora2" })).await;
    patch(&world, emil, json!({ "active": false })).await;
    world
        .directory
        .delete_user(&world.caller_in_a_hurry(), &fred.to_string(), &jira_scim::directory::Precondition::None)
        .await
        .unwrap();
    let remove = World::patch(json!([{ "op": "remove", "path": format!("members[value eq \"{dora}\"]") }]));
    let none = jira_scim::directory::Precondition::None;
    world.directory.patch_group(&world.caller_in_a_hurry(), &old.to_string(), remove, &none).await.unwrap();
    let mut ids = Vec::new();
    for name in ["anna", "bert", "gina", "hans"] {
        ids.push(world.user(name).await);
    }
    world.user_like(json!({ "userName": "carl", "displayName": "carl", "active": false })).await;
    // Who takes a name that somebody gives up.
    ids.push(world.user_like(json!({ "userName": "dora", "displayName": "The new Dora" })).await);
    let team = world.group("Team", &ids[..2]).await;
    world.group("Dept", &[team, ids[2]]).await;
    world.group("Admins", &[ids[3]]).await;
    world.group("Nobody yet", &[]).await;
    world.writer.drain().await.unwrap();
    world
}

#[tokio::test]
async fn observe_then_enforce_writes_exactly_what_the_plan_said() {
    let mut world = a_mixed_population().await;
    let works = world.jira.totals().works;
    let (lines, summary) = planned(&world).await;
    assert_eq!(world.jira.totals().works, works, "a plan changes nothing");
    assert_eq!(world.outbox().await, 0);
    let mut said: Vec<String> =
        lines.iter().filter(|line| line.kind.writes() && line.kind != Kind::Link).map(words).collect();
    said.sort();

    let before = world.jira.journal().len();
    let mut names: BTreeMap<String, String> =
        world.jira.accounts().into_iter().map(|account| (account.key, account.username)).collect();
    world.change_tenant(TenantChange { mode: Some(Mode::Enforce), ..TenantChange::default() }).await;
    world.writer.drain().await.unwrap();
    assert_eq!(said, did(&world.jira.journal()[before..], &mut names), "{lines:#?}");
    for expected in [
        "create dora",
        "create gina",
        "update anna",
        "update dora",
        "activate bert",
        "deactivate carl",
        "deactivate emil",
        "group Dept",
        "group Nobody yet",
    ] {
        assert!(said.iter().any(|word| word == expected), "{expected}: {said:?}");
    }
    assert_eq!(summary.renames, 1);
    assert_eq!((summary.groups["Team"].plus, summary.groups["Old"].minus), (1, 1));
    let refused: Vec<&Line> = lines.iter().filter(|line| line.kind == Kind::Refused).collect();
    assert!(refused.len() == 1 && refused[0].group.as_deref() == Some("Admins"), "{refused:?}");

    let (again, summary) = planned(&world).await;
    assert!(summary.is_empty(), "{again:#?}");
}

/// Exit code, standard output and standard error of a command beside the world, on its Jira.
pub async fn run(world: &World, line: &str) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let (url, token) = (world.jira.base_url(), world.jira.token());
    let file = format!("[[target]]\nname = 'jira'\nurl = '{url}'\ntoken = '{token}'\n");
    std::fs::write(folder.path().join("jira-scim.toml"), file).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_jira-scim"));
    command.args(line.split_whitespace()).current_dir(folder.path()).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JIRA_SCIM")) {
        command.env_remove(name);
    }
    command.env("JIRA_SCIM__DATABASE__URL", &world.db.url).env("USER", "anna").env_remove("SUDO_USER");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn the_command_prints_text_json_and_csv_and_says_by_its_exit_code_whether_there_is_anything() {
    let mut world = World::make(Make { mode: Mode::Observe, ..Make::default() }).await;
    assert_eq!(run(&world, "plan acme").await.0, 0);
    for name in ["anna", "=bert", "carl"] {
        let id = world.user(name).await;
        world.group(&format!("Of {name}"), &[id]).await;
    }
    let (code, text, err) = run(&world, "plan acme").await;
    assert_eq!(code, 5, "{text}\n{err}");
    assert!(text.contains("3 users looked at, something would be written of 3"), "{text}");
    assert!(text.contains("create\n") && text.contains("anna <anna@users.invalid>"), "{text}");

    let (code, json, _) = run(&world, "plan acme --json").await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (code, json["summary"]["lines"]["create"].as_u64(), &json["summary"]["empty"]),
        (5, Some(3), &json!(false))
    );
    assert_eq!(json["lines"].as_array().unwrap().len(), 9, "an account, a group and a membership each: {json}");
    assert_eq!(json["summary"]["groups"]["Of anna"], json!({ "plus": 1, "minus": 0 }));
    let (_, json, _) = run(&world, "plan acme --json --summary --user ANNA").await;
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["summary"]["users"], 1);

    let (code, csv, err) = run(&world, "plan acme --csv --kind create,link").await;
    assert_eq!((code, csv.lines().count()), (5, 4), "{csv}");
    assert!(csv.starts_with("kind,user,id,account,group,detail\n") && csv.contains("create,'=bert,"), "{csv}");
    assert!(err.contains("3 users looked at"), "{err}");
    assert_eq!(run(&world, "plan acme --kind delete").await.0, 0, "of that kind there is nothing");
    assert!(run(&world, "plan acme --user nobody").await.2.contains("has no user nobody"));
    assert!(run(&world, "plan nowhere").await.2.contains("there is no tenant nowhere"));

    world.change_tenant(TenantChange { mode: Some(Mode::Enforce), ..TenantChange::default() }).await;
    world.writer.drain().await.unwrap();
    let (code, text, err) = run(&world, "plan acme").await;
    assert_eq!(code, 0, "{text}{err}");
    assert!(text.contains("nothing would be written"), "{text}");
}

#[tokio::test]
async fn without_an_answer_of_jira_there_is_no_plan() {
    let world = World::make(Make { mode: Mode::Observe, ..Make::default() }).await;
    world.user("anna").await;
    world.jira.inject(jira_scim::sandbox::Fault::status(401));
    let (code, _, err) = run(&world, "plan acme").await;
    assert_eq!(code, 4, "{err}");
    world.jira.clear_faults();
}

#[tokio::test]
async fn many_new_people_are_compared_with_one_list_of_accounts() {
    let world = World::make(Make { mode: Mode::Observe, ..Make::default() }).await;
    world.jira.add_account(&account("p7", "there already")).unwrap();
    for number in 0..230 {
        world.user(&format!("p{number}")).await;
    }
    let calls = world.calls();
    let (_, summary) = planned(&world).await;
    assert_eq!((summary.count(Kind::Create), summary.count(Kind::Link), summary.count(Kind::Update)), (229, 1, 1));
    assert!(world.calls() - calls < 100, "{} calls", world.calls() - calls);
}

/// What a command says while the workers work.
async fn run_and_drain(world: &World, line: &str) -> (i32, String, String) {
    let ended = std::sync::atomic::AtomicBool::new(false);
    let command = async {
        let said = run(world, line).await;
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        said
    };
    let workers = async {
        while !ended.load(std::sync::atomic::Ordering::Relaxed) {
            world.writer.drain().await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(command, workers).0
}

#[tokio::test]
async fn a_part_of_a_plan_is_released_while_the_tenant_goes_on_observing() {
    let world = World::make(Make { mode: Mode::Observe, ..Make::default() }).await;
    let (anna, bert) = (world.user("anna").await, world.user("bert").await);
    world.group("Team", &[anna]).await;
    world.group("Nobody yet", &[]).await;
    world.writer.drain().await.unwrap();

    let (code, said, err) = run(&world, "release acme --kind create --wait 0s").await;
    assert_eq!(code, 5, "{said}{err}");
    assert!(
        said.contains("2 users and 0 groups released") && err.contains("2 users and groups still wait"),
        "{said} {err}"
    );
    world.writer.drain().await.unwrap();
    assert_eq!((world.jira.groups_of("anna").len(), world.jira.account("bert").is_some()), (0, true));
    assert_eq!(world.outbox().await, 0);
    assert_eq!(planned(&world).await.1.lines, BTreeMap::from([(Kind::Group, 2), (Kind::Join, 1)]));

    let (code, said, err) = run_and_drain(&world, "release acme --kind join --json").await;
    assert_eq!(code, 0, "{said}{err}");
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["released"]["users"], &said["waiting"]), (&json!(1), &json!(0)), "{said}");
    assert_eq!(world.groups_of("anna"), ["Team"]);

    // It was released once: what comes later is observed.
    patch(&world, anna, json!({ "displayName": "Anna" })).await;
    patch(&world, bert, json!({ "displayName": "Bert" })).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.jira.account("anna").unwrap().display_name, "anna");
    assert_eq!(run_and_drain(&world, "release acme --user ANNA").await.0, 0);
    let shown = |name: &str| world.jira.account(name).unwrap().display_name;
    assert_eq!((shown("anna"), shown("bert")), ("Anna".to_owned(), "bert".to_owned()));
    assert_eq!(run_and_drain(&world, "release acme --all").await.0, 0);
    assert_eq!(shown("bert"), "Bert");
    assert_eq!(run(&world, "plan acme").await.0, 0);
    assert!(run(&world, "release acme --all").await.1.contains("nothing had to be written"));

    let audit: Vec<(String, Value)> =
        sqlx::query_as("SELECT actor, body FROM audit WHERE action = 'tenant.release' ORDER BY at")
            .fetch_all(world.pool())
            .await
            .unwrap();
    assert_eq!((audit.len(), audit[0].0.as_str(), &audit[0].1["kinds"]), (5, "cli:anna", &json!(["create"])));
}

#[tokio::test]
async fn who_does_not_observe_has_nothing_to_release() {
    let world = World::new().await;
    let (code, _, err) = run(&world, "release acme --all").await;
    assert_eq!(code, 1);
    assert!(err.contains("does not observe"), "{err}");
}

#[tokio::test]
async fn a_policy_that_would_take_away_too_much_is_shown_first() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for number in 0..12 {
        ids.push(world.user(&format!("p{number}")).await);
    }
    world.group("Staff", &ids[..8]).await;
    world.writer.drain().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let policy = |name: &str, group: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("users = {{ required_groups = ['{group}'] }}\n")).unwrap();
        path.display().to_string()
    };
    let nobody = policy("nobody.toml", "Choir");
    let (code, said, err) = run(&world, &format!("tenant update acme --policy-file {nobody}")).await;
    assert_eq!(code, 1, "{said}");
    assert!(err.contains("12 accounts (the limit is 5)") && err.contains("--yes"), "{err}");
    assert_eq!(world.outbox().await, 0, "nothing was changed");
    let (code, said, _) = run(&world, &format!("plan acme --policy {nobody} --summary")).await;
    assert_eq!(code, 5);
    assert!(said.contains("deactivate") && said.contains("the brake would trip: 12 accounts"), "{said}");

    let few = policy("staff.toml", "Staff");
    assert_eq!(
        run(&world, &format!("tenant update acme --policy-file {few}")).await.0,
        0,
        "four are no more than five"
    );
    let (code, _, err) = run(&world, &format!("tenant update acme --policy-file {nobody} --yes")).await;
    assert_eq!(code, 0, "{err}");
    assert_eq!(world.outbox().await, 1, "the tenant's own row");
}

#[tokio::test]
async fn a_policy_that_renames_too_many_is_shown_first() {
    let world = World::new().await;
    for number in 0..12 {
        world.user(&format!("p{number}")).await;
    }
    world.writer.drain().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.json");
    std::fs::write(&other, r#"{"account": {"username": "{{ userName }}.x"}}"#).unwrap();
    let (code, _, err) = run(&world, &format!("tenant update acme --policy-file {}", other.display())).await;
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("change something of 12 of 12 users, and take away nothing"), "{err}");
}

#[tokio::test]
async fn accounts_that_nobody_claims_are_in_the_plan_where_they_would_be_switched_off() {
    let unmatched =
        |limit: u32| json!({"unmatched_accounts": {"action": "deactivate", "limit": limit, "except": "^boss$"}});
    let mut world = World::make(Make { mode: Mode::Observe, policy: unmatched(2), ..Make::default() }).await;
    for name in ["stray-1", "stray-2", "boss", "ann"] {
        world.jira.add_account(&account(name, name)).unwrap();
    }
    world.user("ann").await;
    let (lines, summary) = planned(&world).await;
    let mut told: Vec<String> = lines.iter().map(words).collect();
    told.sort();
    assert_eq!(told, ["deactivate stray-1", "deactivate stray-2", "link ann", "update ann"]);
    assert_eq!(summary.unmatched, Some(Strays { found: 2, limit: 2 }));
    world.change_tenant(TenantChange { policy: Some(unmatched(1)), ..TenantChange::default() }).await;
    let (lines, summary) = planned(&world).await;
    assert_eq!(lines.iter().map(words).collect::<Vec<_>>(), ["link ann", "update ann"], "more than the limit: none");
    assert_eq!(summary.unmatched, Some(Strays { found: 2, limit: 1 }));
}

#[tokio::test]
async fn the_plan_knows_that_the_last_administrator_stays() {
    let mut world = World::new().await;
    world.jira.add_account(&account("root", "root")).unwrap();
    world.jira.add_group("Admins").unwrap();
    world.jira.label_admin("Admins").unwrap();
    world.jira.add_member("Admins", "root").unwrap();
    let root = world.user("root").await;
    world.writer.drain().await.unwrap();
    world.change_tenant(TenantChange { mode: Some(Mode::Observe), ..TenantChange::default() }).await;
    world.writer.drain().await.unwrap();
    patch(&world, root, json!({ "active": false })).await;
    world.writer.drain().await.unwrap();
    let (lines, summary) = planned(&world).await;
    assert!(summary.is_empty(), "{lines:#?}");
    assert!(lines.len() == 1 && lines[0].detail.contains("last administrator"), "{lines:#?}");
}

#[tokio::test]
async fn what_changes_after_a_release_was_not_released() {
    let world = World::make(Make {
        mode: Mode::Observe,
        policy: json!({ "deprovision": { "on_group_delete": "delete" } }),
        ..Make::default()
    })
    .await;
    let none = jira_scim::directory::Precondition::None;
    let (anna, bert, cara) = (world.user("anna").await, world.user("bert").await, world.user("cara").await);
    let team = world.group("Team", &[anna, bert, cara]).await;
    let gone = world.group("Gone", &[]).await;
    assert_eq!(run_and_drain(&world, "release acme --all").await.0, 0);
    let all = ["anna", "bert", "cara"];
    assert_eq!(world.jira.members("Team"), all);
    for id in [anna, bert, cara] {
        patch(&world, id, json!({ "displayName": "Somebody" })).await;
    }
    world.writer.drain().await.unwrap();
    let (code, said, err) = run(&world, "release acme --all --wait 0s").await;
    assert!(code == 5 && said.contains("3 users and 0 groups"), "{said} {err}");
    // Before the daemon gets to it, the provider wants something else of one, of another's group, and of a group itself.
    patch(&world, anna, json!({ "active": false })).await;
    let remove = World::patch(json!([{ "op": "remove", "path": format!("members[value eq \"{bert}\"]") }]));
    world.directory.patch_group(&world.caller_in_a_hurry(), &team.to_string(), remove, &none).await.unwrap();
    world.directory.delete_group(&world.caller_in_a_hurry(), &gone.to_string(), &none).await.unwrap();
    world.writer.drain().await.unwrap();
    assert_eq!(world.outbox().await, 0);
    let shown: Vec<(bool, String)> =
        all.iter().map(|name| world.jira.account(name).unwrap()).map(|a| (a.active, a.display_name)).collect();
    let kept = |name: &str| (true, name.to_owned());
    assert_eq!(shown, [kept("anna"), kept("bert"), kept("Somebody")], "only cara is as she was when she was released");
    assert_eq!(world.jira.members("Team"), all);
    assert!(world.jira.groups().contains(&"Gone".to_owned()), "a group that is deleted in observe stays");

    // A group that is deleted between its release and its making is not made.
    let late = world.group("Late", &[]).await;
    assert_eq!(run(&world, "release acme --kind group --wait 0s").await.0, 5);
    world.directory.delete_group(&world.caller_in_a_hurry(), &late.to_string(), &none).await.unwrap();
    world.writer.drain().await.unwrap();
    assert!(!world.jira.groups().contains(&"Late".to_owned()));
}
