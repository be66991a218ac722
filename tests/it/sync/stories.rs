//! What happens in a directory happens in Jira.

use jira_scim::config::{Vanished, VanishedGroups};
use jira_scim::store::run::Kind;
use jira_scim::sync::counters::{Tally, counters_of};
use jira_scim::sync::run::Asked;
use serde_json::{Value, json};

use super::Org;
use super::slapd::{BASE, dn, group, group_dn, person};

fn team() -> String {
    let mut ldif: String = ["ann", "bob", "cid", "dora", "eve", "finn", "gus"].iter().map(|uid| person(uid)).collect();
    ldif.push_str(&group("crew", &[dn("ann"), dn("bob"), dn("cid"), format!("cn=nobody,{BASE}")]));
    ldif.push_str(&group("captains", &[dn("ann")]));
    ldif
}

#[tokio::test]
async fn a_first_read_brings_everybody_and_a_second_changes_nothing_and_calls_nobody() {
    let org = Org::with(&team()).await;
    let counters = org.synced().await;
    assert_eq!(counters.people, Tally { read: 7, create: 7, ..Tally::default() });
    assert_eq!(counters.groups, Tally { read: 2, create: 2, ..Tally::default() });
    assert_eq!((counters.joins, counters.leaves, counters.done), (4, 0, 13));
    let ann = org.person("ann").await;
    assert_eq!(ann["emails"], json!([{ "value": "ann@corp.example", "type": "work", "primary": true }]));
    assert_eq!((&ann["name"]["familyName"], &ann["displayName"]), (&json!("Test"), &json!("ann Test")));
    assert_eq!(ann["externalId"].as_str().unwrap().len(), 36, "the entryUUID");
    assert_eq!(org.world.groups_of("ann"), ["captains", "crew"]);
    assert_eq!(org.world.groups_of("gus"), Vec::<String>::new());
    let actors: Vec<String> = sqlx::query_scalar("SELECT DISTINCT actor FROM audit WHERE kind IN ('user', 'group')")
        .fetch_all(org.world.pool())
        .await
        .unwrap();
    assert_eq!(actors, ["sync:corp"]);

    let (calls, before) = (org.world.calls(), org.holdings().await);
    let counters = org.synced().await;
    assert_eq!(counters.people, Tally { read: 7, same: 7, ..Tally::default() });
    assert_eq!((counters.wanted(), counters.done), (0, 0));
    assert_eq!(org.world.outbox().await, 0);
    assert_eq!((org.world.calls(), org.holdings().await), (calls, before));
    assert_eq!(org.staged().await, 0);
}

#[tokio::test]
async fn who_is_renamed_or_moves_is_the_same_person_and_stays_in_the_groups() {
    let org = Org::with(&team()).await;
    org.synced().await;
    let ann = org.person("ann").await["id"].clone();
    let elsewhere = format!("ou=elsewhere,{BASE}");
    org.slapd.modify(&format!(
        "dn: {}\nchangetype: modrdn\nnewrdn: uid=ann.moss\ndeleteoldrdn: 1\nnewsuperior: {elsewhere}\n\n\
         dn: uid=ann.moss,{elsewhere}\nchangetype: modify\nreplace: mail\nmail: ann.moss@corp.example\n\n\
         dn: {}\nchangetype: modify\ndelete: member\nmember: {}\n-\nadd: member\nmember: uid=ann.moss,{elsewhere}\n\n\
         dn: {}\nchangetype: modify\nreplace: member\nmember: uid=Ann.Moss, {elsewhere}\n\n",
        dn("ann"),
        group_dn("crew"),
        dn("ann"),
        group_dn("captains"),
    ));
    let counters = org.synced().await;
    assert_eq!((counters.people.change, counters.people.create, counters.people.vanish), (1, 0, 0));
    assert_eq!((counters.joins, counters.leaves), (0, 0));
    assert_eq!(org.person("ann.moss").await["id"], ann);
    assert_eq!(org.world.groups_of("ann.moss"), ["captains", "crew"]);
    assert!(org.world.groups_of("ann").is_empty());
}

#[tokio::test]
async fn two_people_who_exchange_their_names_in_two_steps_keep_their_own_accounts() {
    let org = Org::with(&team()).await;
    org.synced().await;
    let (ann, bob) = (org.person("ann").await["id"].clone(), org.person("bob").await["id"].clone());
    // Bob becomes ann when ann has become zoe, in whatever order they are read.
    org.slapd.modify(&format!(
        "dn: {}\nchangetype: modrdn\nnewrdn: uid=zoe\ndeleteoldrdn: 1\n\n\
         dn: {}\nchangetype: modrdn\nnewrdn: uid=ann\ndeleteoldrdn: 1\n\n",
        dn("ann"),
        dn("bob")
    ));
    let counters = org.synced().await;
    assert_eq!((counters.people.change, counters.people.skip), (2, 0), "{:?}", counters.messages);
    assert_eq!((&org.person("zoe").await["id"], &org.person("ann").await["id"]), (&ann, &bob));
}

#[tokio::test]
async fn who_is_locked_for_ever_is_switched_off_and_who_is_locked_for_a_while_is_not() {
    let org = Org::with(&team()).await;
    org.synced().await;
    let locked = |uid: &str, time: &str| {
        format!("dn: {}\nchangetype: modify\nreplace: pwdAccountLockedTime\npwdAccountLockedTime: {time}\n\n", dn(uid))
    };
    org.slapd.modify(&(locked("ann", "000001010000Z") + &locked("bob", "20261121080000Z")));
    let counters = org.synced().await;
    assert_eq!(counters.people.change, 1);
    assert_eq!((active(&org, "ann"), active(&org, "bob")), (false, true));
    org.slapd.modify(&format!("dn: {}\nchangetype: modify\ndelete: pwdAccountLockedTime\n\n", dn("ann")));
    org.synced().await;
    assert!(active(&org, "ann"));
}

fn active(org: &Org, username: &str) -> bool {
    org.world.jira.account(username).is_some_and(|account| account.active)
}

#[tokio::test]
async fn who_vanishes_is_switched_off_kept_or_deleted_and_comes_back_as_the_same() {
    let mut org = Org::with(&team()).await;
    org.synced().await;
    org.slapd.modify(&format!("dn: {}\nchangetype: delete\n\n", dn("bob")));
    org.config.vanished = Vanished::Keep;
    assert_eq!(org.synced().await.people.vanish, 0);
    assert!(active(&org, "bob"));
    org.config.vanished = Vanished::Deactivate;
    let counters = org.synced().await;
    assert_eq!((counters.people.vanish, counters.done), (1, 1), "he had left the group when he was kept");
    assert!(!active(&org, "bob"));
    assert_eq!(org.synced().await.wanted(), 0, "once is enough");
    org.config.vanished = Vanished::Delete;
    assert_eq!(org.synced().await.people.vanish, 1);
    assert_eq!(org.people().await.len(), 6);
    assert_eq!(org.synced().await.wanted(), 0);
}

#[tokio::test]
async fn groups_change_are_nested_and_go() {
    let mut org = Org::with(&team()).await;
    org.synced().await;
    org.slapd.modify(&format!(
        "{}dn: {}\nchangetype: modify\nadd: member\nmember: {}\n-\ndelete: member\nmember: {}\n\n\
         dn: {}\nchangetype: modrdn\nnewrdn: cn=officers\ndeleteoldrdn: 1\n\n",
        group("fleet", &[group_dn("crew"), dn("finn")]).replacen('\n', "\nchangetype: add\n", 1),
        group_dn("crew"),
        dn("dora"),
        dn("cid"),
        group_dn("captains"),
    ));
    let counters = org.synced().await;
    assert_eq!((counters.groups.create, counters.groups.change), (1, 1));
    assert_eq!((counters.joins, counters.leaves), (3, 1), "dora; the crew and finn; cid");
    assert_eq!(org.world.groups_of("dora"), ["crew", "fleet"], "through the group in it");
    assert_eq!(org.world.groups_of("finn"), ["fleet"]);
    assert!(org.world.groups_of("cid").is_empty());

    org.slapd.modify(&format!("dn: {}\nchangetype: delete\n\n", group_dn("fleet")));
    org.config.vanished_groups = VanishedGroups::Keep;
    assert_eq!(org.synced().await.wanted(), 0);
    org.config.vanished_groups = VanishedGroups::Delete;
    assert_eq!(org.synced().await.groups.vanish, 1);
    assert_eq!(org.world.groups_of("dora"), ["crew"]);
    assert!(org.world.groups_of("finn").is_empty());
}

#[tokio::test]
async fn groups_that_are_in_each_other_are_reported_and_their_people_are_members_all_the_same() {
    let circle = group("a", &[group_dn("b"), dn("ann")]) + &group("b", &[group_dn("a"), dn("bob")]);
    let org = Org::with(&(team() + &circle)).await;
    let counters = org.synced().await;
    assert_eq!(counters.messages.len(), 1, "{:?}", counters.messages);
    assert!(org.world.groups_of("ann").contains(&"a".to_owned()));
    assert!(org.world.groups_of("bob").contains(&"b".to_owned()));
}

#[tokio::test]
async fn a_group_decides_who_comes_at_all() {
    let inner = group("inner", &[dn("eve")]);
    let mut org = Org::with(&(team() + &inner + &group("jira", &[group_dn("inner"), dn("ann")]))).await;
    org.config.scope_groups = vec![format!("CN=jira, OU=groups,{BASE}")];
    let counters = org.synced().await;
    assert_eq!(counters.people.create, 2);
    let names: Vec<Value> = org.people().await.into_iter().map(|person| person["userName"].clone()).collect();
    assert_eq!(names, ["ann", "eve"]);
    org.slapd.modify(&format!(
        "dn: {}\nchangetype: modify\nreplace: member\nmember: {}\n\n",
        group_dn("jira"),
        dn("ann")
    ));
    assert_eq!(org.synced().await.people.vanish, 1);
    assert!(!active(&org, "eve") && active(&org, "ann"));

    org.config.scope_groups = vec![group_dn("nowhere")];
    let why = org.failed().await;
    assert!(why.contains("cn=nowhere") && why.contains("scope_groups"), "{why}");
}

#[tokio::test]
async fn a_plan_says_what_a_read_would_change_and_changes_nothing() {
    let org = Org::with(&team()).await;
    let before = org.holdings().await;
    let lines = org.plan().await;
    assert_eq!(lines.iter().filter(|line| (line.what, line.of) == ("create", "user")).count(), 7);
    assert!(lines.iter().any(|line| line.name == "crew" && line.detail == "3 join, 0 leave"), "{lines:?}");
    assert_eq!((org.holdings().await, org.staged().await), (before, 0));
    org.synced().await;
    assert_eq!(org.plan().await, []);
    org.slapd.modify(&format!("dn: {}\nchangetype: modify\nreplace: title\ntitle: Boss\n\n", dn("ann")));
    let lines = org.plan().await;
    assert_eq!((lines.len(), lines[0].what, lines[0].detail.as_str()), (1, "change", "title"));
}

fn one(name: &str) -> Asked {
    Asked { user: Some(name.to_owned()), full: false }
}

#[tokio::test]
async fn one_person_is_brought_in_without_the_others_and_with_the_groups_that_this_person_is_in() {
    let org = Org::with(&team()).await;
    let asked = async |name: &str| {
        let (run, _) = org.work(Kind::Sync, &one(name)).await;
        assert_eq!(run.error, None);
        org.world.writer.drain().await.unwrap();
        counters_of(&run)
    };
    let counters = asked("Bob").await;
    assert_eq!((counters.extent.as_str(), counters.joins, counters.leaves), ("person", 1, 0));
    assert_eq!(org.people().await.len(), 1);
    assert!(active(&org, "bob"));
    assert_eq!(org.world.groups_of("bob"), ["crew"], "and nobody else is in it yet");

    org.synced().await;
    let crew = |what: &str, uid: &str| {
        format!("dn: {}\nchangetype: modify\n{what}: member\nmember: {}\n\n", group_dn("crew"), dn(uid))
    };
    let captains = format!("dn: {}\nchangetype: modify\nadd: member\nmember: {}\n\n", group_dn("captains"), dn("bob"));
    org.slapd.modify(&(crew("delete", "bob") + &crew("delete", "cid") + &captains));
    let counters = asked("bob").await;
    assert_eq!((counters.joins, counters.leaves, counters.people.same), (1, 1, 1));
    assert_eq!(org.world.groups_of("bob"), ["captains"]);
    assert_eq!(org.world.groups_of("cid"), ["crew"], "who was not asked for stays as he is");

    let (run, _) = org.work(Kind::Sync, &one("b*")).await;
    assert!(run.error.unwrap().contains("nobody of that name"), "a name is no pattern");
}

#[tokio::test]
async fn one_person_who_is_not_in_scope_does_not_come() {
    let mut org =
        Org::with(&(team() + &group("inner", &[dn("eve")]) + &group("jira", &[group_dn("inner"), dn("ann")]))).await;
    org.config.scope_groups = vec![group_dn("jira")];
    let (run, _) = org.work(Kind::Sync, &one("eve")).await;
    assert!(run.error.unwrap().contains("everything has to be read once"), "nobody knows what is in the groups yet");
    org.synced().await;
    let (run, _) = org.work(Kind::Sync, &one("eve")).await;
    assert_eq!(run.error, None, "she is in a group in it");
    let (run, _) = org.work(Kind::Sync, &one("bob")).await;
    assert_eq!(run.error.unwrap(), "bob is not in scope_groups");
    assert_eq!(org.people().await.len(), 2);
}

#[tokio::test]
async fn groups_that_name_their_members_by_user_name_are_understood() {
    let posix = format!(
        "dn: {}\nobjectClass: posixGroup\ncn: admins\ngidNumber: 1\nmemberUid: ann\nmemberUid: bob\nmemberUid: nobody\n\n",
        group_dn("admins")
    );
    let mut org = Org::with(&(team() + &posix)).await;
    org.ldap().group_filter = Some("(|(objectClass=groupOfNames)(objectClass=posixGroup))".into());
    org.ldap().member = Some("member|memberUid".into());
    assert_eq!(org.synced().await.groups.create, 3);
    assert_eq!(org.world.groups_of("ann"), ["admins", "captains", "crew"]);
    assert_eq!(org.world.groups_of("bob"), ["admins", "crew"]);
    org.slapd.modify(&format!("dn: {}\nchangetype: modify\ndelete: memberUid\nmemberUid: bob\n\n", group_dn("admins")));
    let (run, _) = org.work(Kind::Sync, &one("bob")).await;
    assert_eq!((run.error.clone(), counters_of(&run).leaves), (None, 1));
    assert_eq!(org.synced().await.wanted(), 0);
}

#[tokio::test]
async fn attributes_of_our_choice_are_mapped() {
    let mut org = Org::with(&team()).await;
    let pairs = [("title", "description|sn"), ("enterprise.costCenter", "givenName"), ("emails", "")];
    org.ldap().attributes = pairs.map(|(path, name)| (path.to_owned(), name.to_owned())).into();
    org.synced().await;
    let ann = org.person("ann").await;
    assert_eq!((&ann["title"], ann.get("emails")), (&json!("Test"), None));
    assert_eq!(ann["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]["costCenter"], "ann");
}

#[tokio::test]
async fn people_who_were_imported_from_jira_become_the_sources_own_by_name() {
    let org = Org::with(&team()).await;
    let imported = "INSERT INTO scim_user (tenant_id, id, user_name_key, active, email_keys, attrs, folded, created, modified, origin)
        SELECT id, gen_random_uuid(), name, true, '{}', a, a, now(), now(), 'imported'
        FROM tenant, (VALUES ('ann'), ('old')) AS v (name), LATERAL (SELECT jsonb_build_object('userName', name, 'active', true,
            'urn:jira-scim:params:scim:schemas:extension:origin:2.0:User', jsonb_build_object('origin', 'imported')) AS a) d";
    sqlx::query(imported).execute(org.world.pool()).await.unwrap();
    let id = org.person("ann").await["id"].clone();
    let counters = org.synced().await;
    assert_eq!((counters.people.create, counters.people.change, counters.people.vanish), (6, 1, 0));
    assert_eq!(org.person("ann").await["id"], id);
    assert_eq!(org.people().await.len(), 8, "an imported one whom the source does not have is nobody's business here");
}
