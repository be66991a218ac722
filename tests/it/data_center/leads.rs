use jira_scim::account::Field;
use jira_scim::sandbox::NewAccount;

use super::*;

const PUT: &str = "PUT /rest/api/2/user?key={key}";
const PROJECTS: &str = "GET /rest/api/2/project?expand=lead&includeArchived=true 200";
const PARTS: &str = "GET /rest/api/2/project/{projectIdOrKey}/components 200";

/// Mara leads a project and a component; Ole may take over.
async fn office() -> (Office, AccountId) {
    let office = Office::open().await;
    let id = office.hire("mara.lund").await;
    office.sandbox.add_account(&NewAccount::named("ole.dahl")).unwrap();
    office
        .sandbox
        .change(|world| {
            world.add_project("CREW", "Platform Crew");
            world.add_project("WEB", "Website");
            world.add_project("ZOO", "Nobody's");
            world.make_component_lead("mara.lund", "WEB", "API")
        })
        .unwrap();
    office.sandbox.make_lead("mara.lund", "CREW").unwrap();
    (office, id)
}

fn hand_over_to(heir: &str) -> Switch {
    Switch { hand_over_to: Some(heir.to_owned()), ..switch(false) }
}

#[tokio::test]
async fn what_a_leaver_leads_is_named_after_the_refusal_and_not_before() {
    // DC-31, DC-48
    let (office, id) = office().await;
    let calls = office.calls();
    let error = office.target.set_active(&calls, at(&id, "mara.lund"), &switch(false)).await.unwrap_err();
    assert!(matches!(&error, TargetError::Refused { field: Some(Field::Active), .. }), "{error:?}");
    let words = reason(error);
    assert!(
        words.ends_with("The person leads the project CREW (Platform Crew), the component \"API\" of WEB (Website)."),
        "{words}"
    );
    // The components of the two projects that Jira named, and of no other.
    assert_eq!(told(&calls), [format!("{PUT} 400"), PROJECTS.to_owned(), PARTS.to_owned(), PARTS.to_owned()]);
}

#[tokio::test]
async fn leads_are_handed_over_and_then_the_leaver_leaves() {
    // DC-31, DC-48, DC-49
    let (office, id) = office().await;
    let calls = office.calls();
    let seen = seen(office.target.set_active(&calls, at(&id, "mara.lund"), &hand_over_to("ole.dahl")).await.unwrap());
    assert!(!seen.active);
    assert_eq!(
        told(&calls),
        [
            format!("{PUT} 400"),
            PROJECTS.to_owned(),
            PARTS.to_owned(),
            PARTS.to_owned(),
            "PUT /rest/api/2/project/{projectIdOrKey} 200".to_owned(),
            "PUT /rest/api/2/component/{id} 200".to_owned(),
            format!("{PUT} 200"),
        ]
    );
    assert_eq!(office.sandbox.look(|world| world.projects_led_by("ole.dahl")), ["CREW", "WEB"]);
}

#[tokio::test]
async fn without_leads_a_leaver_costs_one_call_whatever_the_policy() {
    // DC-28
    let office = Office::open().await;
    let id = office.hire("mara.lund").await;
    let calls = office.calls();
    office.target.set_active(&calls, at(&id, "mara.lund"), &hand_over_to("ole.dahl")).await.unwrap();
    assert_eq!(told(&calls), [format!("{PUT} 200")]);
}

#[tokio::test]
async fn an_heir_who_does_not_exist_or_is_the_leaver_is_refused_in_words() {
    // DC-49
    let (office, id) = office().await;
    for (heir, part) in [("nobody", "cannot be handed over to nobody"), ("Mara.Lund", "names this very person")] {
        let error = office.target.set_active(&office.calls(), at(&id, "mara.lund"), &hand_over_to(heir)).await;
        let words = reason(error.unwrap_err());
        assert!(words.contains(part), "{words}");
        assert!(office.sandbox.account("mara.lund").unwrap().active);
    }
}

#[tokio::test]
async fn a_leaver_under_an_old_name_hands_over_all_the_same() {
    // DC-47, DC-49
    let (office, id) = office().await;
    office.sandbox.add_account(&NewAccount::named("mara.old")).unwrap();
    let seen =
        seen(office.target.set_active(&office.calls(), at(&id, "mara.old"), &hand_over_to("ole.dahl")).await.unwrap());
    assert_eq!((seen.username.as_str(), seen.active), ("mara.lund", false));
}
