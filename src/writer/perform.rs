//! From a step to the target's calls.

use super::absorb::Done;
use super::plan::Step;
use crate::account::{By, SeenAccount, fold};
use crate::jira::{AccountRef, Calls, EnsuredGroup, GroupRef, Switch, Target, TargetError};
use crate::store::link::UserFacts;

/// Does one step. `facts` are the record as of now: the account's login name and the groups' keys are taken from there.
pub async fn perform(
    target: &dyn Target,
    calls: &Calls<'_>,
    step: &Step,
    facts: &UserFacts,
) -> Result<Done, TargetError> {
    let linked = || {
        let seen = facts.record.linked().ok_or(TargetError::Stopped { reason: "there is no account on record" })?;
        Ok(AccountRef { id: &seen.id, username: &seen.username })
    };
    match step {
        Step::Look { id: Some(id), .. } => target.get_account(calls, id).await.map(Done::Looked),
        Step::Look { username, by, .. } if by.is_empty() => {
            target.find_account(calls, username).await.map(Done::Looked)
        }
        Step::Look { by, .. } => find(target, calls, by).await.map(Done::Looked),
        Step::Link { .. } => Ok(Done::Linked),
        Step::Create { account, .. } => target.create_account(calls, account).await.map(Done::Created),
        Step::Update { change, .. } => target.update_account(calls, linked()?, change).await.map(Done::Written),
        Step::SetActive { active, off, hand_over_to, .. } => {
            let switch = Switch { active: *active, off: *off, hand_over_to: hand_over_to.clone() };
            target.set_active(calls, linked()?, &switch).await.map(Done::Written)
        }
        Step::Delete { .. } => target.delete_account(calls, linked()?).await.map(|()| Done::Deleted),
        Step::Grant { access } => target.grant(calls, linked()?, access).await.map(|()| Done::AccessWritten),
        Step::Revoke { access } => target.revoke(calls, linked()?, access).await.map(|()| Done::AccessWritten),
        Step::EnsureGroup { name, create, .. } => ensure(target, calls, name, *create).await,
        Step::AddMember { key, name } => {
            target.add_member(calls, group(facts, key, name), linked()?).await.map(|()| Done::PairWritten)
        }
        Step::DeleteGroup { key, name } => {
            target.delete_group(calls, group(facts, key, name)).await.map(|()| Done::GroupDeleted)
        }
        Step::RemoveMember { key, name } => {
            target.remove_member(calls, group(facts, key, name), linked()?).await.map(|()| Done::PairWritten)
        }
    }
}

/// The account that the first of several finds.
async fn find(target: &dyn Target, calls: &Calls<'_>, by: &[By]) -> Result<Option<SeenAccount>, TargetError> {
    for by in by {
        let found = match by {
            By::Username(username) => target.find_account(calls, username).await?,
            By::Email(email) => target.find_by_email(calls, email).await?,
            By::Id(id) => target.get_account(calls, id).await?,
        };
        // What it says of itself counts: else the plan would look again and again.
        if let Some(seen) = found.filter(|seen| by.is(seen)) {
            return Ok(Some(seen));
        }
    }
    Ok(None)
}

fn group<'a>(facts: &'a UserFacts, key: &str, name: &'a str) -> GroupRef<'a> {
    GroupRef { name, id: facts.groups.get(key).and_then(|group| group.id.as_deref()) }
}

/// A group that was there already is looked at before anybody joins it: it may be one that makes administrators, or one
/// whose members somebody else decides on.
async fn ensure(target: &dyn Target, calls: &Calls<'_>, name: &str, create: bool) -> Result<Done, TargetError> {
    let found = if create {
        match target.ensure_group(calls, name).await? {
            EnsuredGroup::New { id } => return Ok(Done::Ensured { made: true, administrative: false, id }),
            EnsuredGroup::Existed(group) => Some(group),
        }
    } else {
        target.find_group(calls, name).await?
    };
    Ok(match found {
        Some(group) if group.read_only.is_some() => Done::NoGroup { reason: group.read_only.unwrap_or_default() },
        Some(group) => {
            debug_assert_eq!(fold(&group.name), fold(name));
            Done::Ensured { made: false, administrative: group.administrative, id: group.id }
        }
        None => Done::NoGroup { reason: no_such_group(name) },
    })
}

/// Why there is no group to be written.
pub(crate) fn no_such_group(name: &str) -> String {
    format!("The Jira group {name} does not exist, and groups.create_missing is off.")
}
