use jira_scim::jira::{Examination, Level};
use jira_scim::sandbox::{NewAccount, Role};

use super::*;

async fn examined(office: &Office) -> Examination {
    office.target.examine(&office.calls()).await.unwrap()
}

fn fact<'a>(told: &'a Examination, name: &str) -> &'a str {
    told.facts.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

#[tokio::test]
async fn a_healthy_jira_has_facts_and_nothing_to_say() {
    // DC-12, DC-13, DC-41, DC-51
    let office = Office::open().await;
    let calls = office.calls();
    let told = office.target.examine(&calls).await.unwrap();
    assert_eq!(told.findings, []);
    for (name, value) in [
        ("version", "10.3.24"),
        ("account", "svc-scim"),
        ("administers Jira", "yes"),
        ("credential", "token"),
        ("e-mail addresses", "shown"),
        ("jira-software", "unlimited"),
        ("Crowd API", "no credential"),
        ("user/list", "yes"),
        ("usernames in several directories", "0"),
        ("rate limit", "off"),
    ] {
        assert_eq!(fact(&told, name), value, "{name}");
    }
    assert!(office.sandbox.journal().iter().all(|entry| entry.method == "GET"), "it writes nothing");
}

#[tokio::test]
async fn what_is_missing_is_said_with_what_to_do_about_it() {
    // DC-4, DC-28, DC-37, DC-52
    let options = SandboxOptions {
        version: "8.2".parse().unwrap(),
        password: Some("s3cret".to_owned()),
        emails_hidden: true,
        rate_limit: Some("50/10/60".parse().unwrap()),
        applications: vec![Role::named("jira-software", Some(0))],
        ..SandboxOptions::default()
    };
    let basic = Credential::Basic { user: "svc-scim".to_owned(), secret: "s3cret".to_owned() };
    let office = Office::with(options, |client| client.credential = basic).await;
    let told = examined(&office).await;
    for (level, part) in [
        (Level::Problem, "8.2.0 cannot switch accounts off"),
        (Level::Warning, "logs in with a password"),
        (Level::Warning, "jira-software has no free seat: 0 of 0 seats left"),
        (Level::Note, "hides e-mail addresses"),
        (Level::Note, "beginnings of their names"),
        (Level::Note, "10 calls every 60 s"),
    ] {
        let found = told.findings.iter().find(|finding| finding.text.contains(part));
        let found = found.unwrap_or_else(|| panic!("{part}: {told:?}"));
        assert!(found.level == level && !found.advice.is_empty(), "{found:?}");
    }
    assert_eq!(fact(&told, "usernames in several directories"), "this version does not tell");
}

#[tokio::test]
async fn copies_in_other_directories_are_named_with_their_directories() {
    // DC-50
    let office = Office::open().await;
    office.sandbox.add_account(&NewAccount::named("mara.lund")).unwrap();
    office.sandbox.change(|world| world.add_copy("mara.lund", "Corporate LDAP", true)).unwrap();
    let told = examined(&office).await;
    let [finding] = told.findings.as_slice() else { panic!("{told:?}") };
    assert_eq!(
        finding.text,
        "1 usernames are in more than one directory: mara.lund (Jira Internal Directory, Corporate LDAP)"
    );
}

#[tokio::test]
async fn somebody_who_does_not_administer_is_a_problem_and_no_error() {
    // DC-13
    let office = Office::open().await;
    office.sandbox.add_account(&NewAccount::named("ole.dahl")).unwrap();
    let token = office.sandbox.issue_token("ole.dahl").unwrap();
    let mut client = client_options(&office.sandbox);
    (client.credential, client.expected_user) = (Credential::Bearer(token), None);
    let target = DataCenter::new(DataCenterOptions::new(client)).unwrap();
    let told = target.examine(&office.calls()).await.unwrap();
    assert_eq!((told.findings[0].level, fact(&told, "administers Jira")), (Level::Problem, "no"));
}

#[tokio::test]
async fn the_crowd_credential_is_tried() {
    // DC-80
    assert_eq!(fact(&examined(&of_version("10.3", true).await).await, "Crowd API"), "yes");
    let office = Office::open().await;
    let crowd = Some(CrowdOptions { user: "crowd-scim".to_owned(), secret: "wrong".to_owned(), secret_file: None });
    let target = DataCenter::new(DataCenterOptions { client: client_options(&office.sandbox), crowd }).unwrap();
    let told = target.examine(&office.calls()).await.unwrap();
    assert!(told.findings[0].text.starts_with("The Crowd credential cannot be used"), "{told:?}");
    assert!(!told.findings[0].text.contains("wrong\""));
}

#[tokio::test]
async fn a_jira_that_cannot_be_reached_is_an_error() {
    let office = Office::open().await;
    office.sandbox.stop().await.unwrap();
    let error = office.target.examine(&office.calls()).await.unwrap_err();
    assert!(matches!(error, TargetError::Unreachable { .. }), "{error:?}");
}
