//! One Jira group that several feed: SCIM groups of one tenant, or tenants of one Jira. Nobody takes away what another one gave.

use std::sync::Arc;

use jira_scim::directory::{Caller, Precondition};
use jira_scim::scim::patch::Member;
use jira_scim::store::tenant::{Tenant, TenantChange};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{World, origin};

/// Two tenants of one Jira: Acme with Ann and Abe, Okta with Zoe.
struct Street {
    world: World,
    okta: Arc<Tenant>,
    ann: Uuid,
    abe: Uuid,
    zoe: Uuid,
}

impl Street {
    async fn with(acme: Value, okta: Value) -> Self {
        let world = World::with_policy(acme).await;
        world.other_tenant("okta").await;
        let change = TenantChange { policy: Some(okta), ..TenantChange::default() };
        let mut conn = world.pool().acquire().await.unwrap();
        let okta = jira_scim::store::tenant::update(&mut conn, "okta", &change, origin()).await.unwrap();
        drop(conn);
        let okta = Arc::new(okta);
        let (ann, abe) = (world.user("ann").await, world.user("abe").await);
        let zoe = json!({"userName": "zoe", "displayName": "zoe"}).as_object().unwrap().clone();
        let zoe = world.directory.create_user(&world.caller_of(&okta, None), zoe).await.unwrap().view.id;
        Self { world, okta, ann, abe, zoe }
    }

    fn acme(&self) -> Caller {
        self.world.caller_in_a_hurry()
    }

    fn okta(&self) -> Caller {
        self.world.caller_of(&self.okta, None)
    }

    async fn group(&self, caller: &Caller, name: &str, members: &[Uuid]) -> String {
        let attrs = json!({"displayName": name}).as_object().unwrap().clone();
        let members = members.iter().map(|id| Member { value: id.to_string(), kind: None }).collect();
        self.world.directory.create_group(caller, attrs, members).await.unwrap().view.id.to_string()
    }

    async fn leave(&self, caller: &Caller, group: &str, user: Uuid) {
        let path = format!("members[value eq \"{user}\"]");
        let patch = World::patch(json!([{"op": "remove", "path": path}]));
        self.world.directory.patch_group(caller, group, patch, &Precondition::None).await.unwrap();
        self.world.writer.drain().await.unwrap();
    }

    async fn delete(&self, caller: &Caller, group: &str) {
        self.world.directory.delete_group(caller, group, &Precondition::None).await.unwrap();
        self.world.writer.drain().await.unwrap();
    }

    /// Who is in the Jira group; nothing where there is none.
    fn members(&self, group: &str) -> Option<Vec<String>> {
        let mut members = self.world.jira.members(group);
        members.sort();
        self.world.jira.groups().iter().any(|name| name == group).then_some(members)
    }
}

fn names(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

#[tokio::test]
async fn two_tenants_feed_one_jira_group_and_neither_takes_away_the_others_people() {
    for (acme, okta) in [
        (json!({}), json!({})),
        // Also where everything that nobody asks for is taken away: the accounts are another tenant's.
        (json!({"groups": {"remove": "all"}}), json!({"groups": {"remove": "all"}})),
    ] {
        let street = Street::with(acme, okta).await;
        let (acme, okta) = (street.acme(), street.okta());
        let ours = street.group(&acme, "developers", &[street.ann, street.abe]).await;
        let theirs = street.group(&okta, "developers", &[street.zoe]).await;
        street.world.writer.drain().await.unwrap();
        assert_eq!(street.members("developers"), names(&["abe", "ann", "zoe"]));
        street.leave(&acme, &ours, street.ann).await;
        assert_eq!(street.members("developers"), names(&["abe", "zoe"]));
        street.leave(&okta, &theirs, street.zoe).await;
        assert_eq!(street.members("developers"), names(&["abe"]));
        street.delete(&acme, &ours).await;
        assert_eq!(street.members("developers"), names(&[]), "emptied; it stays with its permissions");
        street.delete(&okta, &theirs).await;
        assert_eq!(street.members("developers"), names(&[]));
    }
}

#[tokio::test]
async fn a_group_that_is_deleted_with_its_scim_group_stays_while_another_tenant_feeds_it() {
    let policy = json!({"deprovision": {"on_group_delete": "delete"}});
    let street = Street::with(policy.clone(), policy).await;
    let (acme, okta) = (street.acme(), street.okta());
    let ours = street.group(&acme, "developers", &[street.ann]).await;
    street.world.writer.drain().await.unwrap();
    let theirs = street.group(&okta, "developers", &[street.zoe]).await;
    street.world.writer.drain().await.unwrap();
    street.delete(&acme, &ours).await;
    assert_eq!(street.members("developers"), names(&["zoe"]), "only its own people left");
    street.delete(&okta, &theirs).await;
    // Acme made it, and Okta found it there: it is nobody's to delete any more.
    assert_eq!(street.members("developers"), names(&[]));
}

#[tokio::test]
async fn several_scim_groups_stand_for_one_jira_group_and_whoever_is_in_one_of_them_stays() {
    let table = json!({"groups": {"mode": "manual", "table": {"Dev East": ["developers"], "Dev West": ["developers", "west"]}}});
    let pattern = json!({"groups": {"rename": [{"pattern": "^Dev (East|West)$", "with": "developers"}]}});
    for policy in [table.clone(), pattern] {
        let street = Street::with(policy.clone(), json!({})).await;
        let caller = street.acme();
        let east = street.group(&caller, "Dev East", &[street.ann, street.abe]).await;
        let west = street.group(&caller, "Dev West", &[street.ann]).await;
        street.world.writer.drain().await.unwrap();
        assert_eq!(street.members("developers"), names(&["abe", "ann"]));
        assert_eq!(street.members("Dev East"), None, "{policy}");
        let calls = street.world.writes().len();
        street.leave(&caller, &east, street.ann).await;
        assert_eq!(street.members("developers"), names(&["abe", "ann"]), "she is in the other one");
        assert_eq!(street.world.writes().len(), calls, "and that costs Jira nothing");
        street.delete(&caller, &east).await;
        assert_eq!(street.members("developers"), names(&["ann"]));
        if policy == table {
            assert_eq!(street.members("west"), names(&["ann"]));
        }
        street.leave(&caller, &west, street.ann).await;
        assert_eq!(street.members("developers"), names(&[]));
    }
}
