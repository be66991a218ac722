use jira_scim::account::SeenGroup;
use jira_scim::jira::EnsuredGroup;
use jira_scim::sandbox::Fault;

use super::*;

const PICKER: &str = "GET /rest/api/2/groups/picker?query={query}&maxResults=1000";
const PROBE: &str = "GET /rest/api/2/group/member?groupname={groupname}&maxResults=1";
const ADD: &str = "POST /rest/api/2/group/user?groupname={groupname}";
const REMOVE: &str = "DELETE /rest/api/2/group/user?groupname={groupname}&username={username}";
const FIND: &str = "GET /rest/api/2/user?key={key}&expand=groups";

#[tokio::test]
async fn a_group_is_made_once_and_then_known_to_exist_in_whatever_case() {
    // DC-60, DC-61
    let office = Office::open().await;
    let calls = office.calls();
    assert_eq!(office.target.ensure_group(&calls, "platform-crew").await.unwrap(), EnsuredGroup::New { id: None });
    assert_eq!(told(&calls), ["POST /rest/api/2/group 201"]);
    let found = SeenGroup { name: "platform-crew".to_owned(), ..SeenGroup::default() };
    let ensured = office.target.ensure_group(&calls, "Platform-Crew").await.unwrap();
    assert_eq!(ensured, EnsuredGroup::Existed(found));
    assert_eq!(
        told(&calls),
        ["POST /rest/api/2/group 400".to_owned(), format!("{PROBE} 200"), format!("{PICKER} 200")]
    );
}

#[tokio::test]
async fn a_name_that_jira_does_not_take_is_refused() {
    // DC-61
    let office = Office::open().await;
    let calls = office.calls();
    let error = office.target.ensure_group(&calls, &"x".repeat(256)).await.unwrap_err();
    assert!(!reason(error).is_empty());
    assert_eq!(told(&calls), ["POST /rest/api/2/group 400".to_owned(), format!("{PROBE} 404")]);
    let error = office.target.ensure_group(&calls, "  ").await.unwrap_err();
    assert!(matches!(error, TargetError::Refused { .. }), "{error:?}");
    assert!(told(&calls).is_empty());
}

#[tokio::test]
async fn any_name_travels_whole_and_trimmed() {
    // DC-72, DC-74
    let office = Office::open().await;
    office.hire("mara+lund@example.test").await;
    for name in ["R&D + Öl #1/2", "50% of a=b?", "a'b\"c;d", "日本 team"] {
        let calls = office.calls();
        let padded = format!(" {name} ");
        assert_eq!(office.target.ensure_group(&calls, &padded).await.unwrap(), EnsuredGroup::New { id: None });
        assert_eq!(office.target.find_group(&calls, &padded).await.unwrap().unwrap().name, name);
        office.target.add_member(&calls, group(&padded), who("mara+lund@example.test")).await.unwrap();
        assert_eq!(office.sandbox.members(name), ["mara+lund@example.test"]);
        office.target.remove_member(&calls, group(&padded), who("mara+lund@example.test")).await.unwrap();
        assert!(office.sandbox.members(name).is_empty());
        office.target.delete_group(&calls, group(&padded)).await.unwrap();
        assert!(!office.sandbox.groups().contains(&name.to_owned()));
        assert!(told(&calls).iter().all(|call| !call.contains("mara") && !call.contains(name)));
    }
}

#[tokio::test]
async fn a_group_that_is_gone_is_deleted() {
    // DC-62
    let office = Office::open().await;
    office.sandbox.add_group("platform-crew").unwrap();
    for status in [200, 404] {
        let calls = office.calls();
        office.target.delete_group(&calls, group("platform-crew")).await.unwrap();
        assert_eq!(told(&calls), [format!("DELETE /rest/api/2/group?groupname={{groupname}} {status}")]);
    }
    // The documentation has 400 for a group that does not exist.
    office.sandbox.inject(Fault::status(400).on("DELETE /group"));
    office.target.delete_group(&office.calls(), group("platform-crew")).await.unwrap();
    office.sandbox.add_group("platform-crew").unwrap();
    let error = office.target.delete_group(&office.calls(), group("platform-crew")).await.unwrap_err();
    assert!(matches!(error, TargetError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn a_membership_is_one_call_by_username_and_repeating_it_is_done() {
    // DC-63, DC-64, DC-66
    let office = Office::open().await;
    let id = office.hire("mara.lund").await;
    office.sandbox.add_group("platform-crew").unwrap();
    let calls = office.calls();
    office.target.add_member(&calls, group("platform-crew"), at(&id, "mara.lund")).await.unwrap();
    assert_eq!(told(&calls), [format!("{ADD} 201")]);
    office.target.add_member(&calls, group("Platform-Crew"), at(&id, "Mara.Lund")).await.unwrap();
    assert_eq!(told(&calls), [format!("{ADD} 400"), format!("{FIND} 200")]);
    office.target.remove_member(&calls, group("platform-crew"), at(&id, "mara.lund")).await.unwrap();
    assert_eq!(told(&calls), [format!("{REMOVE} 200")]);
    office.target.remove_member(&calls, group("platform-crew"), at(&id, "mara.lund")).await.unwrap();
    assert_eq!(told(&calls), [format!("{REMOVE} 400"), format!("{FIND} 200")]);
}

#[tokio::test]
async fn a_membership_without_its_account_or_its_group_says_which_of_them_is_gone() {
    // DC-65
    let office = Office::open().await;
    let mara = office.hire("mara.lund").await;
    office.sandbox.add_group("platform-crew").unwrap();
    let calls = office.calls();
    for (group, username, what) in [
        ("platform-crew", "nobody", "the account \"nobody\""),
        ("no-crew", "mara.lund", "the group \"no-crew\""),
        ("no-crew", "nobody", "the account \"nobody\""),
    ] {
        let account = if username == "nobody" { who(username) } else { at(&mara, username) };
        let error = office.target.add_member(&calls, super::group(group), account).await.unwrap_err();
        assert_eq!(error, TargetError::Gone { what: what.to_owned() });
        office.target.remove_member(&calls, super::group(group), account).await.unwrap();
    }
}

#[tokio::test]
async fn a_membership_that_jira_refuses_for_another_reason_is_refused_in_its_words() {
    // DC-15, DC-64, DC-66
    let office = Office::open().await;
    let mara = office.hire("mara.lund").await;
    let ole = office.hire("ole.dahl").await;
    office.sandbox.add_group("platform-crew").unwrap();
    office.sandbox.add_member("platform-crew", "ole.dahl").unwrap();
    office.sandbox.inject(Fault::status(400).on("/group/user"));
    let calls = office.calls();
    let error = office.target.add_member(&calls, group("platform-crew"), at(&mara, "mara.lund")).await.unwrap_err();
    assert!(!reason(error).is_empty());
    let error = office.target.remove_member(&calls, group("platform-crew"), at(&ole, "ole.dahl")).await.unwrap_err();
    assert!(!reason(error).is_empty());
}

#[tokio::test]
async fn whoever_has_another_name_by_now_joins_and_leaves_all_the_same() {
    // DC-47
    let office = Office::open().await;
    let id = office.hire("mara.berg").await;
    office.sandbox.add_group("platform-crew").unwrap();
    let calls = office.calls();
    for _ in 0..2 {
        office.target.add_member(&calls, group("platform-crew"), at(&id, "mara.lund")).await.unwrap();
        assert_eq!(office.sandbox.members("platform-crew"), ["mara.berg"]);
    }
    assert_eq!(
        told(&calls),
        [
            format!("{ADD} 404"),
            format!("{FIND} 200"),
            format!("{ADD} 201"),
            format!("{ADD} 404"),
            format!("{FIND} 200")
        ]
    );
    for _ in 0..2 {
        office.target.remove_member(&calls, group("platform-crew"), at(&id, "mara.lund")).await.unwrap();
        assert!(office.sandbox.members("platform-crew").is_empty());
    }
    assert_eq!(
        told(&calls),
        [
            format!("{REMOVE} 404"),
            format!("{FIND} 200"),
            format!("{REMOVE} 200"),
            format!("{REMOVE} 404"),
            format!("{FIND} 200")
        ]
    );
}

#[tokio::test]
async fn a_lost_answer_to_a_membership_is_unknown_and_repeating_it_is_done() {
    // DC-16
    let office = Office::open().await;
    let id = office.hire("mara.lund").await;
    office.sandbox.add_group("platform-crew").unwrap();
    office.sandbox.inject(Fault::drop_answer().on("POST /group/user").times(1));
    office.sandbox.inject(Fault::drop_answer().on("DELETE /group/user").times(1));
    let calls = office.calls();
    let error = office.target.add_member(&calls, group("platform-crew"), at(&id, "mara.lund")).await.unwrap_err();
    assert!(matches!(error, TargetError::Unreachable { maybe_done: true, .. }), "{error:?}");
    office.target.add_member(&calls, group("platform-crew"), at(&id, "mara.lund")).await.unwrap();
    let error = office.target.remove_member(&calls, group("platform-crew"), at(&id, "mara.lund")).await.unwrap_err();
    assert!(matches!(error, TargetError::Unreachable { maybe_done: true, .. }), "{error:?}");
    office.target.remove_member(&calls, group("platform-crew"), at(&id, "mara.lund")).await.unwrap();
}

#[tokio::test]
async fn finding_a_group_is_exact_and_brings_its_spelling_and_its_label() {
    // DC-60, DC-70, DC-71
    let office = Office::open().await;
    office.sandbox.add_group("Platform-Crew").unwrap();
    office.sandbox.add_group("platform-crew-admins").unwrap();
    office.sandbox.label_admin("platform-crew-admins").unwrap();
    let calls = office.calls();
    let crew = office.target.find_group(&calls, "platform-crew").await.unwrap().unwrap();
    assert_eq!((crew.name.as_str(), crew.administrative), ("Platform-Crew", false));
    let admins = office.target.find_group(&calls, "PLATFORM-crew-admins").await.unwrap().unwrap();
    assert_eq!((admins.name.as_str(), admins.administrative), ("platform-crew-admins", true));
    assert_eq!(office.target.find_group(&calls, "platform").await.unwrap(), None);
}

#[tokio::test]
async fn every_administrative_group_is_found_in_a_jira_with_more_groups_than_the_picker_shows() {
    // DC-70, DC-71
    let office = Office::open().await;
    for number in 0..1_200 {
        office.sandbox.add_group(&format!("crew {number}")).unwrap();
    }
    office.sandbox.label_admin("crew 1199").unwrap();
    office.sandbox.label_admin("crew 999").unwrap();
    let groups = office.target.administrative_groups(&office.calls()).await.unwrap();
    for name in ["crew 1199", "crew 999", "jira-administrators"] {
        assert!(groups.contains(&name.to_owned()), "{name} is not in {groups:?}");
    }
    assert!(!groups.contains(&"crew 1".to_owned()));
}
