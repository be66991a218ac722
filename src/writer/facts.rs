//! Facts as the planner wants them: what the store says of users, with the Jira groups that the tenant's policy makes of their
//! SCIM groups, and the other way round.

use std::collections::BTreeSet;

use sqlx::PgConnection;
use uuid::Uuid;

use super::plan::{Rules, wanted};
use crate::account::fold;
use crate::policy::Groups;
use crate::policy::groups::jira_groups;
use crate::store::StoreError;
use crate::store::drive;
use crate::store::link::UserFacts;

/// Groups that are looked at at once.
const PAGE: i64 = 1000;

/// Desired and applied of some users.
pub(crate) async fn facts_of(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    users: &[Uuid],
    rules: &Rules,
) -> Result<Vec<UserFacts>, StoreError> {
    let groups = &rules.policy.groups;
    let keys: Vec<String> = groups.default_groups.iter().map(|name| fold(name.trim())).collect();
    let mut all = drive::facts(conn, tenant_id, users, &keys).await?;
    all.iter_mut().for_each(|facts| facts.wanted = wanted(&facts.groups_in, groups));
    if groups.is_plain() {
        return Ok(all);
    }
    // What the first statement could not know: under which names the rules put the groups. What is on record of a Jira
    // group is learnt by whoever asks first, so that it may come from a moment later.
    let missing = |facts: &UserFacts| -> Vec<String> {
        facts.wanted.keys().filter(|key| !facts.groups.contains_key(*key)).cloned().collect()
    };
    let keys: BTreeSet<String> = all.iter().flat_map(missing).collect();
    if !keys.is_empty() {
        let known = drive::jira_groups(conn, tenant_id, &keys.into_iter().collect::<Vec<_>>()).await?;
        for facts in &mut all {
            let found = missing(facts).into_iter().filter_map(|key| known.get_key_value(&key));
            facts.groups.extend(found.map(|(key, group)| (key.clone(), group.clone())).collect::<Vec<_>>());
        }
    }
    Ok(all)
}

/// Desired and applied of one user.
pub(crate) async fn user_facts(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    user_id: Uuid,
    rules: &Rules,
) -> Result<Option<UserFacts>, StoreError> {
    Ok(facts_of(conn, tenant_id, &[user_id], rules).await?.pop())
}

/// The living SCIM groups of a tenant that stand for a Jira group.
pub(crate) async fn standing_for(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    groups: &Groups,
    key: &str,
) -> Result<Vec<Uuid>, StoreError> {
    let stands =
        |(id, alias): (Uuid, String)| jira_groups(groups, &alias).iter().any(|name| fold(name) == key).then_some(id);
    if groups.is_plain() {
        let called = drive::groups_called(conn, tenant_id, key).await?;
        return Ok(called.into_iter().filter_map(stands).collect());
    }
    let (mut found, mut after) = (Vec::new(), Uuid::nil());
    loop {
        let page = drive::aliases(conn, tenant_id, after, PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(found) };
        after = *last;
        found.extend(page.into_iter().filter_map(stands));
    }
}
