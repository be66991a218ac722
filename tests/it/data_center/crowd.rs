use jira_scim::jira::AccountChange;
use jira_scim::sandbox::Fault;

use super::*;

const REST: &str = "GET /rest/api/2/user?key={key}&expand=groups";
const USER: &str = "GET /rest/usermanagement/1/user?username={username}&expand=attributes";
const REPLACE: &str = "PUT /rest/usermanagement/1/user?username={username}";

fn names(first: &str, last: &str) -> BTreeMap<String, String> {
    [("first-name", first), ("last-name", last)].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

#[tokio::test]
async fn an_old_jira_switches_off_and_on_by_the_crowd_api() {
    // DC-28, DC-82
    let office = of_version("8.2", true).await;
    office.target.probe(&office.calls()).await.unwrap();
    let id = office.hire("mara.lund").await;
    let before = office.sandbox.account("mara.lund").unwrap();
    for active in [false, true] {
        let calls = office.calls();
        let seen = seen(office.target.set_active(&calls, at(&id, "mara.old"), &switch(active)).await.unwrap());
        assert_eq!(seen.active, active);
        assert_eq!(
            told(&calls),
            [format!("{REST} 200"), format!("{USER} 200"), format!("{REPLACE} 204"), format!("{REST} 200")]
        );
    }
    assert_eq!(office.sandbox.account("mara.lund").unwrap(), before, "nothing was blanked");
    let calls = office.calls();
    office.target.set_active(&calls, at(&id, "mara.lund"), &switch(true)).await.unwrap();
    assert_eq!(told(&calls), [format!("{REST} 200")], "it is so already");
}

#[tokio::test]
async fn an_old_jira_without_the_crowd_api_refuses_before_anything_is_tried() {
    // DC-28
    let office = of_version("8.2", false).await;
    office.target.probe(&office.calls()).await.unwrap();
    let id = office.hire("mara.lund").await;
    let calls = office.calls();
    let error = office.target.set_active(&calls, at(&id, "mara.lund"), &switch(false)).await.unwrap_err();
    assert!(reason(error).contains("Crowd credential"));
    assert!(told(&calls).is_empty());
}

#[tokio::test]
async fn first_and_last_name_are_written_by_the_crowd_api_and_blank_nothing() {
    // DC-82
    let office = of_version("10.3", true).await;
    let calls = office.calls();
    let account = Account { extra: names("Mara", "Lund"), ..person("mara.lund") };
    let made = office.target.create_account(&calls, &account).await.unwrap();
    assert_eq!(told(&calls), ["POST /rest/api/2/user 201".to_owned(), format!("{REPLACE} 204")]);
    let Created::New(seen) = made else { panic!("{made:?}") };
    assert_eq!(seen.extra["last-name"], "Lund");
    let change = AccountChange { extra: names("Mara", "Berg"), ..AccountChange::default() };
    let calls = office.calls();
    office.target.update_account(&calls, at(&seen.id, "mara.lund"), &change).await.unwrap();
    assert_eq!(told(&calls), [format!("{USER} 200"), format!("{REPLACE} 204")]);
    let account = office.sandbox.account("mara.lund").unwrap();
    assert_eq!((account.email.as_str(), account.active), ("mara.lund@example.test", true));
    let page = office.target.accounts(&office.calls(), None).await.unwrap();
    let mara = page.items.into_iter().find(|seen| seen.username == "mara.lund").unwrap();
    assert_eq!(mara.extra["last-name"], "Berg");
}

#[tokio::test]
async fn an_account_without_its_name_parts_is_there_all_the_same_and_they_are_still_to_do() {
    // DC-82
    let office = of_version("10.3", true).await;
    office.sandbox.inject(Fault::status(503).on("PUT /user").times(1));
    let account = Account { extra: names("Mara", "Lund"), ..person("mara.lund") };
    let made = office.target.create_account(&office.calls(), &account).await.unwrap();
    assert!(matches!(&made, Created::New(seen) if seen.extra["first-name"].is_empty()), "{made:?}");
}

#[tokio::test]
async fn a_new_letter_case_is_stored_by_the_crowd_api() {
    // DC-30, DC-86
    let office = of_version("10.3", true).await;
    let id = office.hire("mara.lund").await;
    let change = AccountChange { username: Some("Mara.Lund".to_owned()), ..AccountChange::default() };
    let calls = office.calls();
    let seen = seen(office.target.update_account(&calls, at(&id, "mara.lund"), &change).await.unwrap());
    assert_eq!(seen.username, "Mara.Lund");
    assert_eq!(told(&calls).len(), 2);
    assert_eq!(office.sandbox.account("mara.lund").unwrap().username, "Mara.Lund");
}

#[tokio::test]
async fn a_namesake_is_never_written_by_name() {
    // DC-47, DC-82
    let office = of_version("10.3", true).await;
    let (mara, _) = (office.hire("mara.lund").await, office.hire("ole.dahl").await);
    let change = AccountChange { extra: names("Mara", "Berg"), ..AccountChange::default() };
    let before = office.sandbox.account("ole.dahl").unwrap();
    // The name on record is a namesake's, or nobody's: the account is found by its key, and never taken for gone.
    for name in ["ole.dahl", "nobody"] {
        let calls = office.calls();
        office.target.update_account(&calls, at(&mara, name), &change).await.unwrap();
        let first = if name == "nobody" { 404 } else { 200 };
        let written = told(&calls);
        assert_eq!(written[..3], [format!("{USER} {first}"), format!("{REST} 200"), format!("{USER} 200")]);
    }
    assert_eq!(office.sandbox.account("ole.dahl").unwrap(), before);
    let page = office.target.accounts(&office.calls(), None).await.unwrap();
    let mara = page.items.into_iter().find(|seen| seen.username == "mara.lund").unwrap();
    assert_eq!(mara.extra["last-name"], "Berg");
}

#[tokio::test]
async fn a_crowd_credential_that_is_wrong_stops_nothing_that_the_other_can_do() {
    // DC-80
    let office = of_version("10.3", true).await;
    office.hire("mara.lund").await;
    office.sandbox.inject(Fault::status(401).on("GET /search").times(1));
    let page = office.target.accounts(&office.calls(), None).await.unwrap();
    assert!(page.items.iter().any(|seen| seen.username == "mara.lund"), "the list comes through the other door");
}

#[tokio::test]
async fn an_applications_password_that_was_replaced_in_its_file_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crowd");
    let (name, secret) = ("crowd-scim".to_owned(), "open-sesame".to_owned());
    let options = SandboxOptions { crowd: Some((name.clone(), secret.clone())), ..SandboxOptions::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    std::fs::write(&file, format!("{secret}\n")).unwrap();
    // What it was when the daemon started.
    let crowd = CrowdOptions { user: name, secret: "the one before".to_owned(), secret_file: Some(file) };
    let client = client_options(&sandbox);
    let target = Arc::new(DataCenter::new(DataCenterOptions { client, crowd: Some(crowd) }).unwrap());
    let office = Office { sandbox, target, gate: Turnstile::default() };
    for _ in 0..2 {
        office.target.accounts(&office.calls(), None).await.unwrap();
    }
    let searches: Vec<Option<u16>> = office
        .sandbox
        .journal()
        .iter()
        .filter(|call| call.route.ends_with("/search"))
        .map(|call| call.status)
        .collect();
    assert_eq!(searches[..2], [Some(401), Some(200)], "{searches:?}");
    assert!(searches[2..].iter().all(|status| *status == Some(200)), "{searches:?}");
}
