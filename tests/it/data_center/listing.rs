use std::collections::BTreeSet;

use jira_scim::jira::LastLogin;
use jira_scim::sandbox::NewAccount;

use super::*;

/// Everybody whom the target lists, page by page, and how many calls it took.
async fn everybody(office: &Office) -> (BTreeSet<String>, usize) {
    let calls = office.calls();
    let (mut found, mut after) = (BTreeSet::new(), None);
    loop {
        let page = office.target.accounts(&calls, after.as_deref()).await.unwrap();
        found.extend(page.items.into_iter().map(|seen| seen.username));
        after = page.next;
        if after.is_none() {
            return (found, told(&calls).len());
        }
    }
}

fn fill(office: &Office, people: usize) -> BTreeSet<String> {
    office.sandbox.change(|world| {
        for n in 0..people {
            let name = format!("{}.{n}", ["mara", "Ole", "maé", "x y"][n % 4]);
            let shown =
                NewAccount { display_name: "Mara Lund".to_owned(), applications: None, ..NewAccount::named(&name) };
            world.create_account(&NewAccount { email: format!("p{n}@example.test"), ..shown }).unwrap();
            world.force_active(&name, n % 5 != 0).unwrap();
        }
    });
    office.sandbox.accounts().into_iter().map(|account| account.username).collect()
}

#[tokio::test]
async fn everybody_is_listed_on_every_version_however_its_search_is_cut_off() {
    // DC-39, DC-40, DC-41, DC-52
    for version in ["8.2", "8.20", "9.12", "10.0", "10.3", "11.0"] {
        let office = of_version(version, false).await;
        let all = fill(&office, 1_300);
        office.target.probe(&office.calls()).await.unwrap();
        let (found, calls) = everybody(&office).await;
        assert_eq!(found, all, "{version}");
        assert!(version != "10.3" || calls == 1, "{calls} calls");
    }
}

#[tokio::test]
async fn a_small_jira_without_user_list_is_one_search() {
    // DC-41, DC-52
    let office = of_version("10.0", false).await;
    let all = fill(&office, 20);
    let calls = office.calls();
    let page = office.target.accounts(&calls, None).await.unwrap();
    assert_eq!(page.next, None);
    assert_eq!(page.items.into_iter().map(|seen| seen.username).collect::<BTreeSet<_>>(), all);
    let search = "GET /rest/api/2/user/search?username={username}&includeInactive=true&maxResults=1000 200";
    assert_eq!(told(&calls), ["GET /rest/api/2/user/list 404", "GET /status 200", search]);
    // What is not there is not asked for again.
    office.target.accounts(&calls, None).await.unwrap();
    assert_eq!(told(&calls), [search]);
}

#[tokio::test]
async fn a_list_goes_on_where_it_was_by_what_its_page_said() {
    // DC-41
    let office = Office::open().await;
    fill(&office, 4_500);
    let (found, calls) = everybody(&office).await;
    assert_eq!((found.len(), calls), (4_501, 3));
    let error = office.target.accounts(&office.calls(), Some("nonsense")).await.unwrap_err();
    assert!(reason(error).contains("did not begin here"));
}

#[tokio::test]
async fn the_crowd_api_lists_everybody_with_names_groups_and_last_login() {
    // DC-83, DC-85, DC-87
    let office = of_version("9.12", true).await;
    fill(&office, 2_200);
    office.sandbox.change(|world| world.create_group("r&d <1>")).unwrap();
    office.sandbox.add_member("r&d <1>", "mara.0").unwrap();
    let at = chrono::DateTime::from_timestamp(1_708_328_467, 0).unwrap();
    office.sandbox.change(|world| world.log_in("mara.0", at)).unwrap();
    let calls = office.calls();
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = office.target.accounts(&calls, after.as_deref()).await.unwrap();
        all.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let page = |start| {
        format!(
            "GET /rest/usermanagement/1/search?entity-type=user&expand=user,attributes&start-index={start}&max-results=1000 200"
        )
    };
    let snapshot = "GET /rest/usermanagement/1/group/membership 200".to_owned();
    assert_eq!(told(&calls), [page(0), snapshot, page(1000), page(2000)]);
    assert_eq!(all.len(), 2_201);
    let mara = all.into_iter().find(|seen| seen.username == "mara.0").unwrap();
    assert_eq!(mara.groups.unwrap(), ["jira-software-users", "r&d <1>"]);
    assert_eq!((mara.extra["first-name"].as_str(), mara.extra["last-name"].as_str()), ("Mara", "Lund"));
    assert_eq!((mara.extra["lastLoginTime"].as_str(), mara.active), ("2024-02-19T07:41:07Z", false));
}

#[tokio::test]
async fn members_come_fifty_at_a_time_inactive_ones_too() {
    // DC-67, DC-68
    let office = Office::open().await;
    fill(&office, 120);
    let calls = office.calls();
    let (mut found, mut after) = (BTreeSet::new(), None);
    loop {
        let page = office.target.members(&calls, group("jira-software-users"), after.as_deref()).await.unwrap();
        found.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((found.len(), told(&calls).len()), (120, 3));
    let error = office.target.members(&office.calls(), group("nobody"), None).await.unwrap_err();
    assert!(matches!(error, TargetError::Gone { .. }), "{error:?}");
}

#[tokio::test]
async fn members_by_the_crowd_api_are_one_call() {
    // DC-83
    let office = of_version("10.3", true).await;
    fill(&office, 120);
    let calls = office.calls();
    let page = office.target.members(&calls, group("jira-software-users"), None).await.unwrap();
    assert_eq!((page.items.len(), page.next, told(&calls).len()), (120, None, 1));
    let error = office.target.members(&office.calls(), group("nobody"), None).await.unwrap_err();
    assert!(matches!(error, TargetError::Gone { .. }), "{error:?}");
}

#[tokio::test]
async fn all_groups_are_listed_although_the_picker_has_no_pages() {
    // DC-70
    let office = Office::open().await;
    office.sandbox.change(|world| (0..1_500).for_each(|n| world.create_group(&format!("crew {n}")).unwrap()));
    let page = office.target.groups(&office.calls(), None).await.unwrap();
    assert_eq!((page.items.len(), page.next), (1_503, None));
    assert_eq!(page.items.iter().filter(|group| group.administrative).count(), 2);
}

/// Whom the target tells of, page by page, and the calls that it took.
async fn logins(office: &Office) -> Result<(Vec<LastLogin>, Vec<String>), TargetError> {
    let calls = office.calls();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = office.target.last_logins(&calls, after.as_deref()).await?;
        found.extend(page.items);
        after = page.next;
        if after.is_none() {
            return Ok((found, told(&calls)));
        }
    }
}

#[tokio::test]
async fn the_last_login_comes_from_the_crowd_api_without_a_snapshot_of_memberships_or_from_the_list() {
    // DC-41, DC-45, DC-87
    let at = chrono::DateTime::from_timestamp(1_708_328_467, 0).unwrap();
    for (version, crowd, calls) in [("9.12", true, 3), ("10.3", false, 3), ("10.3", true, 3)] {
        let office = of_version(version, crowd).await;
        fill(&office, 2_200);
        office.sandbox.change(|world| world.log_in("mara.0", at)).unwrap();
        office.target.probe(&office.calls()).await.unwrap();
        let (found, made) = logins(&office).await.unwrap();
        assert_eq!(found.iter().map(|one| one.at).collect::<Vec<_>>(), [at], "{version} {crowd}");
        assert!(made.len() <= calls && made.iter().all(|call| !call.contains("membership")), "{made:?}");
    }
    // An old Jira without that door.
    let office = of_version("9.12", false).await;
    office.target.probe(&office.calls()).await.unwrap();
    assert!(reason(logins(&office).await.unwrap_err()).contains("crowd"));
}
