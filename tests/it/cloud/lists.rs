//! Complete listings.

use std::collections::BTreeSet;

use jira_scim::account::{AccountId, SeenAccount, SeenGroup};
use jira_scim::jira::{GroupRef, LastLogin, TargetError};
use jira_scim::sandbox::{CloudSandboxOptions, Fault, NewPerson, PersonKind};

use super::{Office, group};

fn seeded() -> CloudSandboxOptions {
    CloudSandboxOptions { seed: Some("220-users".parse().unwrap()), ..CloudSandboxOptions::default() }
}

async fn keyless() -> Office {
    Office::like(seeded(), |_, options| options.organization = None).await
}

impl Office {
    async fn all_people(&self) -> Vec<SeenAccount> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self.target.accounts(&self.calls(), after.as_deref()).await.unwrap();
            all.extend(page.items);
            after = page.next;
            if after.is_none() {
                return all;
            }
        }
    }

    async fn all_groups(&self) -> Vec<SeenGroup> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self.target.groups(&self.calls(), after.as_deref()).await.unwrap();
            all.extend(page.items);
            after = page.next;
            if after.is_none() {
                return all;
            }
        }
    }

    async fn all_members(&self, group: GroupRef<'_>) -> BTreeSet<AccountId> {
        let (mut all, mut after) = (BTreeSet::new(), None);
        loop {
            let page = self.target.members(&self.calls(), group, after.as_deref()).await.unwrap();
            all.extend(page.items);
            after = page.next;
            if after.is_none() {
                return all;
            }
        }
    }
}

#[tokio::test]
async fn the_organisation_lists_everybody_of_the_directory_a_hundred_at_a_time() {
    // CLOUD-15
    let office = Office::with(seeded()).await;
    let people = office.all_people().await;
    // The seed, and our own account.
    assert_eq!(people.len(), 221);
    assert_eq!(people.iter().filter(|seen| !seen.active).count(), 11);
    let searches = office.sandbox.journal().iter().filter(|call| call.route.ends_with("/users/search")).count();
    assert_eq!(searches, 3);
}

#[tokio::test]
async fn the_organisation_lists_groups_and_their_members_suspended_ones_too() {
    // CLOUD-15, CLOUD-36
    let office = Office::with(seeded()).await;
    let groups = office.all_groups().await;
    let administrative: Vec<&str> =
        groups.iter().filter(|group| group.administrative).map(|group| group.name.as_str()).collect();
    assert_eq!(administrative.len(), 2, "{administrative:?}");
    let everybody = groups.iter().find(|group| group.name == "everybody").unwrap();
    let members = office.all_members(group("everybody", everybody.id.as_deref().unwrap())).await;
    assert_eq!(members.len(), 220);
}

#[tokio::test]
async fn a_site_alone_lists_people_until_a_page_is_empty_and_leaves_apps_and_customers_out() {
    // CLOUD-16
    let office = keyless().await;
    office.sandbox.change(|world| {
        world.add_person(&NewPerson::named("bot@example.test", "Bot"));
        world.edit_person("bot@example.test", |bot| bot.kind = PersonKind::App).unwrap();
    });
    assert_eq!(office.all_people().await.len(), 221);
    let lists = office.sandbox.journal().iter().filter(|call| call.route.ends_with("/users/search")).count();
    assert_eq!(lists, 2);
}

#[tokio::test]
async fn a_list_that_takes_the_site_too_long_is_asked_for_in_smaller_pieces() {
    // CLOUD-16
    let office = keyless().await;
    office.sandbox.inject(Fault::status(409).on("/rest/api/3/users/search").times(2));
    assert_eq!(office.all_people().await.len(), 221);
    let asked: Vec<String> = office.sandbox.journal().iter().map(|call| call.path.clone()).collect();
    assert!(asked[2].contains("maxResults=250"), "{asked:?}");
}

#[tokio::test]
async fn a_site_alone_lists_groups_and_all_members_fifty_at_a_time() {
    // CLOUD-38
    let office = keyless().await;
    let groups = office.all_groups().await;
    assert!(groups.iter().any(|group| group.name == "system-administrators" && group.administrative));
    let everybody = groups.iter().find(|group| group.name == "everybody").unwrap();
    assert_eq!(office.all_members(group("everybody", everybody.id.as_deref().unwrap())).await.len(), 220);
    let pages = office.sandbox.journal().iter().filter(|call| call.route.ends_with("/group/member")).count();
    assert_eq!(pages, 5);
}

#[tokio::test]
async fn apps_and_customers_of_the_organisation_are_nobody_to_adopt() {
    // CLOUD-16
    let office = Office::open().await;
    let before = office.all_people().await.len();
    for (email, kind) in [("bot@example.test", PersonKind::App), ("guest@example.test", PersonKind::Customer)] {
        office.sandbox.change(|world| {
            world.add_person(&NewPerson::named(email, "Nobody"));
            world.edit_person(email, |person| person.kind = kind).unwrap();
        });
        let found = office.target.find_account(&office.calls(), email).await.unwrap().unwrap();
        assert!(found.hands_off.is_some(), "{email}");
    }
    assert_eq!(office.all_people().await.len(), before);
}

#[tokio::test]
async fn the_organisation_tells_when_the_people_it_manages_were_last_active() {
    // CLOUD-67
    let office = Office::with(seeded()).await;
    let at = chrono::DateTime::from_timestamp(1_708_328_467, 0).unwrap();
    let ada = office.all_people().await.into_iter().find(|seen| seen.active).unwrap();
    office.sandbox.change(|world| world.edit_person(&ada.username, |person| person.last_active = Some(at))).unwrap();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = office.target.last_logins(&office.calls(), after.as_deref()).await.unwrap();
        found.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, [LastLogin { id: ada.id, at }]);
    let pages = office.sandbox.journal().iter().filter(|call| call.route == "/v1/orgs/{orgId}/users").count();
    assert_eq!(pages, 3);
    // A key without that scope, and none at all.
    office.sandbox.inject(Fault::status(403).on("/v1/orgs"));
    let error = office.target.last_logins(&office.calls(), None).await.unwrap_err();
    assert!(matches!(error, TargetError::Refused { .. }), "{error:?}");
    let error = keyless().await.target.last_logins(&keyless().await.calls(), None).await.unwrap_err();
    assert!(matches!(error, TargetError::Refused { .. }), "{error:?}");
}
