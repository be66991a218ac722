//! From a step to the target's calls.

use super::absorb::Done;
use super::plan::Step;
use crate::account::fold;
use crate::jira::{Calls, EnsuredGroup, Target, TargetError};

/// Does one step. `username` is the account's login name at the target as of now.
pub async fn perform(
    target: &dyn Target,
    calls: &Calls<'_>,
    step: &Step,
    username: Option<&str>,
) -> Result<Done, TargetError> {
    let name = username.unwrap_or_default();
    match step {
        Step::Look { id: Some(id), .. } => target.get_account(calls, id).await.map(Done::Looked),
        Step::Look { id: None, username } => target.find_account(calls, username).await.map(Done::Looked),
        Step::Link { .. } => Ok(Done::Linked),
        Step::Create { account } => target.create_account(calls, account).await.map(Done::Created),
        Step::Update { id, change } => target.update_account(calls, id, name, change).await.map(Done::Written),
        Step::SetActive { id, active } => target.set_active(calls, id, name, *active).await.map(Done::Written),
        Step::Delete { id } => target.delete_account(calls, id).await.map(|()| Done::Deleted),
        Step::EnsureGroup { name, create, .. } => ensure(target, calls, name, *create).await,
        Step::AddMember { name: group, .. } => target.add_member(calls, group, name).await.map(|()| Done::PairWritten),
        Step::RemoveMember { name: group, .. } => {
            target.remove_member(calls, group, name).await.map(|()| Done::PairWritten)
        }
    }
}

/// A group that was there already is looked at before anybody joins it: it may be one that makes administrators.
async fn ensure(target: &dyn Target, calls: &Calls<'_>, name: &str, create: bool) -> Result<Done, TargetError> {
    if create && target.ensure_group(calls, name).await? == EnsuredGroup::New {
        return Ok(Done::Ensured { made: true, administrative: false });
    }
    Ok(match target.find_group(calls, name).await? {
        Some(group) => {
            debug_assert_eq!(fold(&group.name), fold(name));
            Done::Ensured { made: false, administrative: group.administrative }
        }
        None => Done::NoGroup,
    })
}
