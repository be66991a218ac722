//! DC-60 to DC-74 of `docs/targets/data-center.md`, through a socket.

use jira_scim::sandbox::{ADMINISTRATORS, NewAccount, SYSTEM_ADMINISTRATORS};
use serde_json::{Value, json};

use crate::sandbox_client::Bench;

async fn with_crew(members: &[&str]) -> Bench {
    let bench = Bench::new().await;
    assert_eq!(bench.post("/group", json!({"name": "Crew"})).await.status, 201);
    for member in members {
        bench.jira.add_account(&NewAccount::named(member)).unwrap();
        bench.jira.add_member("crew", member).unwrap();
    }
    bench
}

fn names(page: &Value) -> Vec<&str> {
    page["values"].as_array().unwrap().iter().map(|bean| bean["name"].as_str().unwrap()).collect()
}

/// DC-60, DC-61
#[tokio::test]
async fn a_group_exists_once_in_whatever_letter_case() {
    let bench = Bench::new().await;
    let created = bench.post("/group", json!({"name": "Crew"})).await;
    assert_eq!((created.status, &created.json()["name"]), (201, &json!("Crew")));
    assert_eq!(created.header("Location"), created.json()["self"]);
    for name in ["Crew", "CREW", "", " "] {
        let refused = bench.post("/group", json!({"name": name})).await;
        assert_eq!((refused.status, refused.messages().len()), (400, 1), "{name}");
    }
    assert_eq!(bench.post("/group", json!({"name": "x".repeat(256)})).await.status, 400);
    assert_eq!(bench.get("/group/member?groupname=crew&maxResults=1").await.status, 200);
    assert_eq!(bench.get("/group/member?groupname=other&maxResults=1").await.status, 404);
}

/// DC-62
#[tokio::test]
async fn a_deleted_group_is_200_and_empty_and_404_when_repeated() {
    let bench = with_crew(&["mara.lund"]).await;
    let gone = bench.delete("/group?groupname=crew").await;
    assert_eq!((gone.status, gone.text.as_str()), (200, ""));
    assert!(bench.jira.groups_of("mara.lund").is_empty());
    assert_eq!(bench.delete("/group?groupname=crew").await.status, 404);
}

/// DC-63
#[tokio::test]
async fn a_member_is_added_by_username_and_the_whole_group_comes_back() {
    let bench = with_crew(&[]).await;
    let key = bench.jira.add_account(&NewAccount::named("mara.lund")).unwrap();
    let by_key = bench.post("/group/user?groupname=crew", json!({"name": key})).await;
    assert_eq!(by_key.status, 404);
    let added = bench.post("/group/user?groupname=crew", json!({"name": "MARA.lund"})).await;
    assert_eq!((added.status, &added.json()["name"]), (201, &json!("Crew")));
    assert_eq!(bench.jira.members("crew"), ["mara.lund"]);
}

/// DC-64
#[tokio::test]
async fn a_present_member_is_400() {
    let bench = with_crew(&["mara.lund"]).await;
    let refused = bench.post("/group/user?groupname=CREW", json!({"name": "mara.lund"})).await;
    assert_eq!((refused.status, refused.messages().len()), (400, 1));
}

/// DC-65
#[tokio::test]
async fn an_unknown_user_or_group_is_404() {
    let bench = with_crew(&["mara.lund"]).await;
    assert_eq!(bench.post("/group/user?groupname=crew", json!({"name": "nobody"})).await.status, 404);
    assert_eq!(bench.post("/group/user?groupname=other", json!({"name": "mara.lund"})).await.status, 404);
    assert_eq!(bench.delete("/group/user?groupname=crew&username=nobody").await.status, 404);
    assert_eq!(bench.delete("/group/user?groupname=other&username=mara.lund").await.status, 404);
    assert_eq!(bench.post("/group/user?groupname=", json!({"name": "mara.lund"})).await.status, 400);
}

/// DC-66
#[tokio::test]
async fn a_removed_member_is_200_and_empty_and_400_when_repeated() {
    let bench = with_crew(&["mara.lund", "other"]).await;
    let removed = bench.delete("/group/user?groupname=crew&username=mara.lund").await;
    assert_eq!((removed.status, removed.text.as_str()), (200, ""));
    assert_eq!(bench.jira.members("crew"), ["other"]);
    assert_eq!(bench.delete("/group/user?groupname=crew&username=mara.lund").await.status, 400);
}

/// DC-67, DC-69
#[tokio::test]
async fn members_come_fifty_at_a_time_ordered_by_username() {
    let usernames: Vec<String> = (0..120).rev().map(|n| format!("p{n:03}")).collect();
    let bench = with_crew(&usernames.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let first = bench.get("/group/member?groupname=crew&maxResults=1000").await.json();
    assert_eq!((&first["maxResults"], &first["total"], &first["isLast"]), (&json!(50), &json!(120), &json!(false)));
    assert_eq!((names(&first).len(), names(&first)[0]), (50, "p000"));
    assert!(first["nextPage"].as_str().unwrap().contains("startAt=50"));
    let last = bench.get("/group/member?groupname=crew&startAt=100").await.json();
    assert_eq!((names(&last).len(), &last["isLast"], last.get("nextPage")), (20, &json!(true), None));
}

/// DC-68
#[tokio::test]
async fn inactive_members_are_left_out_unless_asked_for() {
    let bench = with_crew(&["a", "b", "c"]).await;
    bench.jira.change(|world| world.force_active("b", false)).unwrap();
    let active = bench.get("/group/member?groupname=crew").await.json();
    assert_eq!((names(&active), &active["total"]), (vec!["a", "c"], &json!(2)));
    let all = bench.get("/group/member?groupname=crew&includeInactiveUsers=true").await.json();
    assert_eq!((names(&all), &all["total"]), (vec!["a", "b", "c"], &json!(3)));
}

/// DC-70
#[tokio::test]
async fn the_picker_shows_twenty_matches_of_a_part_of_the_name_and_their_total() {
    let bench = Bench::new().await;
    for n in 0..25 {
        bench.jira.add_group(&format!("team-{n:02}-crew")).unwrap();
    }
    let found = bench.get("/groups/picker?query=crew").await.json();
    assert_eq!((found["groups"].as_array().unwrap().len(), &found["total"]), (20, &json!(25)));
    assert_eq!(found["header"], "Showing 20 of 25 matching groups");
    let again = bench.get("/groups/picker?query=crew&startAt=20&maxResults=1000").await.json();
    assert_eq!((again["groups"].as_array().unwrap().len(), &again["groups"][0]["name"]), (25, &json!("team-00-crew")));
    let one = bench.get("/groups/picker?query=TEAM-07&exclude=team-08-crew").await.json();
    assert_eq!((&one["total"], &one["groups"][0]["labels"]), (&json!(1), &json!([])));
}

/// DC-71
#[tokio::test]
async fn the_picker_labels_groups_that_grant_administration() {
    let bench = with_crew(&[]).await;
    bench.jira.label_admin("crew").unwrap();
    let found = bench.get("/groups/picker?maxResults=1000").await.json();
    let labelled: Vec<&str> = found["groups"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|group| group["labels"].as_array().unwrap().iter().any(|label| label["type"] == "ADMIN"))
        .map(|group| group["name"].as_str().unwrap())
        .collect();
    assert_eq!(labelled, ["Crew", ADMINISTRATORS, SYSTEM_ADMINISTRATORS]);
}

/// DC-72, DC-74
#[tokio::test]
async fn a_name_is_trimmed_on_reads_and_not_on_writes_and_may_hold_anything() {
    let bench = with_crew(&["mara.lund"]).await;
    assert_eq!(bench.get("/group/member?groupname=%20crew%20").await.status, 200);
    assert_eq!(bench.post("/group/user?groupname=%20crew", json!({"name": "mara.lund"})).await.status, 404);
    let odd = "R&D + ops #1/2";
    let created = bench.post("/group", json!({"name": odd})).await;
    assert_eq!(created.status, 201);
    let link = created.json()["self"].as_str().unwrap().to_owned();
    assert!(link.ends_with("groupname=R%26D%20%2B%20ops%20%231%2F2"), "{link}");
    assert_eq!(bench.delete("/group?groupname=R%26D%20%2B%20ops%20%231%2F2").await.status, 200);
}

/// DC-73
#[tokio::test]
async fn nobody_saws_off_the_branch_that_he_administers_from() {
    let bench = Bench::new().await;
    let refused = bench.delete("/group/user?groupname=jira-administrators&username=svc-scim").await;
    assert_eq!(refused.status, 400);
    assert_eq!(bench.delete("/group?groupname=jira-system-administrators").await.status, 200);
    assert_eq!(bench.delete("/group?groupname=jira-administrators").await.status, 400);
    assert_eq!(bench.jira.members(ADMINISTRATORS), ["svc-scim"]);
}
