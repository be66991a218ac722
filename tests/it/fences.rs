//! Fences: a person who leaves does leave, an account key is used at its own Jira only, a credential that was taken away is
//! gone, and a re-hire that fails hands nothing back.

use chrono::Utc;
use jira_scim::sandbox::{Fault, NewAccount};
use jira_scim::store::tenant::{self, TenantChange, TenantError};
use jira_scim::store::token::{self, NewToken};
use serde_json::json;
use uuid::Uuid;

use crate::world::{World, origin};

/// Fails when the update is planned before the deactivation: a step that fails ends the round.
#[tokio::test]
async fn a_leaver_leaves_although_the_new_address_cannot_be_written() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    world.jira.inject(Fault::status(500).on("PUT /user").containing("emailAddress"));
    world.set(ann, json!({"active": false, "emails": [{"value": "new@corp.example"}]})).await;
    world.writer.drain().await.unwrap();
    assert!(!world.jira.account("ann").unwrap().active);
}

#[tokio::test]
async fn a_tenant_whose_people_have_accounts_keeps_its_target() {
    let world = World::new().await;
    let change = TenantChange { target: Some("another".into()), ..TenantChange::default() };
    let mut conn = world.pool().acquire().await.unwrap();
    world.user("ann").await;
    world.writer.drain().await.unwrap();
    let refused = tenant::update(&mut conn, "acme", &change, origin()).await;
    assert!(matches!(refused, Err(TenantError::TargetInUse { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_token_that_the_configuration_declares_no_more_is_revoked() {
    let world = World::new().await;
    let (kept, gone, by_hand) = (NewToken::generate(), NewToken::generate(), NewToken::generate());
    let (tenant, at) = (world.tenant.id, Utc::now());
    let mut conn = world.pool().acquire().await.unwrap();
    for (label, token) in [("kept", &kept), ("gone", &gone)] {
        token::upsert_declared(
            &mut conn,
            tenant,
            Uuid::now_v7(),
            token::NewCredential::bearer(label, token.hash(), None),
            origin(),
        )
        .await
        .unwrap();
    }
    token::create(
        &mut *conn,
        tenant,
        Uuid::now_v7(),
        token::NewCredential::bearer("by hand", by_hand.hash(), None),
        origin(),
    )
    .await
    .unwrap();
    let revoked = token::revoke_undeclared(&mut *conn, tenant, &["kept".into()], at).await.unwrap();
    assert_eq!(revoked, ["gone"]);
    for (token, works) in [(&kept, true), (&gone, false), (&by_hand, true)] {
        assert_eq!(token::authenticate(world.pool(), "acme", token.hash()).await.unwrap().is_some(), works);
    }
}

/// Fails when how the account was before its adoption outlives the person's own leaving.
#[tokio::test]
async fn a_refused_rehire_does_not_make_an_adopted_account_active_again() {
    let world = World::new().await;
    world.jira.add_account(&NewAccount::named("ann")).unwrap();
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    world.delete(ann).await;
    world.writer.drain().await.unwrap();
    assert!(!world.jira.account("ann").unwrap().active);
    let attrs = json!({"userName": "ann", "displayName": "x".repeat(300)});
    let caller = world.caller();
    let accepted = world.directory.create_user(&caller, attrs.as_object().unwrap().clone()).await.unwrap();
    let settled = world.settle(&accepted).await;
    assert!(matches!(settled, jira_scim::writer::Settled::Refused(_)), "{settled:?}");
    world.directory.undo(&caller, accepted.undo.unwrap(), 400, "refused").await.unwrap();
    world.writer.drain().await.unwrap();
    assert!(!world.jira.account("ann").unwrap().active, "a refusal must not hand access back");
}
