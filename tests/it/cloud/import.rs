//! An import of a Jira Cloud: people by their addresses, groups by their keys.

use jira_scim::sandbox::NewPerson;
use serde_json::json;

use super::stories::{Stage, mail};
use crate::import::{ORIGIN, imported};

#[tokio::test]
async fn people_and_groups_of_an_organisation_become_resources() {
    // CLOUD-50
    let stage = Stage::set().await;
    stage.jira.change(|world| {
        let crew = world.create_group("crew", "").unwrap();
        for name in ["mara", "ivo", "synced"] {
            let id = world.add_person(&NewPerson::named(&mail(name), &format!("{name} Lund")));
            world.join(&id, &crew).unwrap();
        }
        world.edit_person(&mail("synced"), |person| person.synced = true).unwrap();
    });
    let counters = imported(&stage.app).await;
    assert_eq!((counters.accounts.created, counters.memberships.created), (2, 2), "{counters:?}");
    assert_eq!(counters.accounts.skipped["left alone: somebody else provisions it"], 1, "{counters:?}");
    let found = stage.app.get(&format!("/Users?filter=userName%20eq%20%22{}%22", mail("mara"))).await.is(200);
    let mara = &found.body["Resources"][0];
    assert_eq!((&mara[ORIGIN]["origin"], &mara["displayName"]), (&json!("imported"), &json!("mara Lund")));
    stage.told();
    let path = format!("/Users/{}", mara["id"].as_str().unwrap());
    stage.set_active(&path, false).await.is(200);
    assert_ne!(stage.state("mara"), "active");
    let again = imported(&stage.app).await;
    assert_eq!((again.accounts.created, again.groups.created, again.memberships.created), (0, 0, 0), "{again:?}");
}

#[tokio::test]
async fn an_account_that_was_closed_and_a_group_that_was_deleted_are_gone() {
    let stage = Stage::set().await;
    let crew = stage.jira.change(|world| {
        for name in ["mara", "ivo"] {
            world.add_person(&NewPerson::named(&mail(name), &format!("{name} Lund")));
        }
        world.create_group("crew", "").unwrap()
    });
    let first = imported(&stage.app).await;
    // The site has two groups of its own.
    assert_eq!((first.accounts.created, first.groups.created), (2, 3), "{first:?}");
    stage.jira.change(|world| {
        world.close(&mail("ivo")).unwrap();
        world.delete_group(&crew).unwrap();
    });
    let again = imported(&stage.app).await;
    assert_eq!((again.accounts.removed, again.groups.removed), (1, 1), "{again:?}");
    assert_eq!(stage.app.get("/Users").await.is(200).body["totalResults"], 1);
}
