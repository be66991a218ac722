//! The Jira of the properties: what `perform` would come to, without any HTTP.

use std::collections::BTreeSet;

use super::super::super::absorb::Done;
use super::*;
use crate::jira::{Created, TargetError, Written};

/// A Jira with the little that a plan needs of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Jira {
    pub(super) accounts: Vec<SeenAccount>,
    /// Made by us.
    pub(super) made: BTreeSet<String>,
    pub(super) groups: BTreeSet<String>,
    pub(super) members: BTreeSet<(String, String)>,
    /// Resources and the accounts that have access to them.
    pub(super) access: BTreeSet<(String, String)>,
    pub(super) hides_addresses: bool,
    pub(super) ids: u32,
}

impl Jira {
    pub(super) fn named(&mut self, username: &str) -> Option<&mut SeenAccount> {
        self.accounts.iter_mut().find(|account| fold(&account.username) == fold(username))
    }

    pub(super) fn of_id(&mut self, id: &AccountId) -> Option<&mut SeenAccount> {
        self.accounts.iter_mut().find(|account| account.id == *id)
    }

    pub(super) fn shown(&self, account: &SeenAccount) -> SeenAccount {
        let groups = self.members.iter().filter(|(_, id)| *id == account.id.0).map(|(key, _)| key.clone());
        let email = account.email.clone().filter(|_| !self.hides_addresses);
        SeenAccount { email, groups: Some(groups.collect()), ..account.clone() }
    }

    pub(super) fn add(&mut self, account: &Account) -> SeenAccount {
        self.ids += 1;
        let account = SeenAccount {
            id: AccountId(format!("JIRAUSER{}", 100 + self.ids)),
            username: account.username.clone(),
            email: Some(account.email.clone()),
            display_name: account.display_name.clone(),
            active: account.active,
            ..SeenAccount::default()
        };
        self.accounts.push(account.clone());
        account
    }

    /// Where addresses are hidden, nobody is found by one.
    pub(super) fn with_address(&self, email: &str) -> Result<Option<SeenAccount>, TargetError> {
        let by = By::Email(email.to_owned());
        let mut having = self.accounts.iter().map(|account| self.shown(account)).filter(|seen| by.is(seen));
        match (having.next(), having.next()) {
            (Some(_), Some(_)) => Err(TargetError::Refused { reason: "more than one".to_owned(), field: None }),
            (found, _) => Ok(found),
        }
    }

    pub(super) fn delete(&mut self, id: &AccountId) {
        self.accounts.retain(|account| account.id != *id);
        self.members.retain(|(_, member)| *member != id.0);
        self.access.retain(|(_, holder)| *holder != id.0);
    }

    /// Executes a step, as `perform` would; `username` as the caller knew it.
    pub(super) fn execute(&mut self, step: &Step, username: &str) -> Result<Done, TargetError> {
        let looks = matches!(step, Step::Look { .. });
        assert!(looks || fold(username) != "scim", "our own account was touched: {step:?}");
        let gone = || TargetError::Gone { what: "it".to_owned() };
        match step {
            Step::Look { id: Some(id), .. } => {
                let found = self.of_id(id).cloned();
                Ok(Done::Looked(found.map(|account| self.shown(&account))))
            }
            Step::Look { username, by, .. } => {
                let by = if by.is_empty() { vec![By::Username(username.clone())] } else { by.clone() };
                for by in &by {
                    let found = match by {
                        By::Username(username) => self.named(username).cloned().map(|account| self.shown(&account)),
                        By::Id(id) => self.of_id(id).cloned().map(|account| self.shown(&account)),
                        By::Email(email) => self.with_address(email)?,
                    };
                    if let Some(seen) = found.filter(|seen| by.is(seen)) {
                        return Ok(Done::Looked(Some(seen)));
                    }
                }
                Ok(Done::Looked(None))
            }
            Step::Link { .. } => Ok(Done::Linked),
            Step::Create { account, .. } => {
                if let Some(there) = self.named(&account.username).cloned() {
                    return Ok(Done::Created(Created::Exists(self.shown(&there))));
                }
                let new = self.add(account);
                self.made.insert(new.id.0.clone());
                self.access.extend(account.access.iter().map(|access| (access.resource.clone(), new.id.0.clone())));
                Ok(Done::Created(Created::New(self.shown(&new))))
            }
            Step::Update { id, change, .. } => {
                let taken = change.username.as_ref().and_then(|name| self.named(name)).is_some_and(|a| a.id != *id);
                if taken {
                    return Err(TargetError::Conflict { reason: "taken".to_owned() });
                }
                let account = self.of_id(id).ok_or_else(gone)?;
                if let Some(name) = &change.username {
                    account.username.clone_from(name);
                }
                if let Some(email) = &change.email {
                    account.email = Some(email.clone());
                }
                if let Some(name) = &change.display_name {
                    account.display_name.clone_from(name);
                }
                let account = account.clone();
                Ok(Done::Written(Written::Seen(self.shown(&account))))
            }
            Step::SetActive { id, active, .. } => {
                let account = self.of_id(id).ok_or_else(gone)?;
                account.active = *active;
                let account = account.clone();
                Ok(Done::Written(Written::Seen(self.shown(&account))))
            }
            Step::Grant { access, .. } => {
                let account = self.named(username).cloned().ok_or_else(gone)?;
                self.access.insert((access.resource.clone(), account.id.0));
                Ok(Done::AccessWritten)
            }
            Step::Revoke { access, .. } => {
                let account = self.named(username).cloned().ok_or_else(gone)?;
                self.access.remove(&(access.resource.clone(), account.id.0));
                Ok(Done::AccessWritten)
            }
            Step::DeleteGroup { key, .. } => {
                self.groups.remove(key);
                self.members.retain(|(group, _)| group != key);
                Ok(Done::GroupDeleted)
            }
            Step::Delete { id } => {
                self.delete(id);
                Ok(Done::Deleted)
            }
            Step::EnsureGroup { key, create, .. } => {
                assert_ne!(key, "admins", "a barred group was touched");
                if *create {
                    self.groups.insert(key.clone());
                }
                let there = self.groups.contains(key);
                Ok(match there {
                    true => Done::Ensured { made: true, administrative: false, id: None },
                    false => Done::NoGroup { reason: "it is not there".to_owned() },
                })
            }
            Step::AddMember { key, .. } => {
                assert_ne!(key, "admins", "a barred group was joined");
                let account = self.named(username).cloned().ok_or_else(gone)?;
                if !self.groups.contains(key) {
                    return Err(gone());
                }
                self.members.insert((key.clone(), account.id.0));
                Ok(Done::PairWritten)
            }
            Step::RemoveMember { key, .. } => {
                assert_ne!(key, "admins", "somebody was taken out of a barred group");
                if let Some(account) = self.named(username).cloned() {
                    self.members.remove(&(key.clone(), account.id.0));
                }
                Ok(Done::PairWritten)
            }
        }
    }
}
