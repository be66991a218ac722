//! Jira Align through API 2.0: one file for reading users, one for writing them, one for the probe. The traps that are
//! cited as `ALIGN-n` are listed in `docs/targets/align.md`.
//!
//! There are no groups (ALIGN-27). Each write is read back, and a create looks first: what the others leave open here is
//! more than one call can tell.

mod answer;
mod fields;
mod index;
mod look;
mod probe;
mod record;
mod user;

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::OnceLock;

use chrono::Utc;
use serde_json::Value;

use super::client::{Client, ClientError, ClientOptions, Credential, Request};
use super::{
    AccountChange, AccountRef, Answer, Calls, Created, EnsuredGroup, Examination, GroupRef, LastLogin, Page, Probe,
    Switch, Target, TargetError, Written,
};
use crate::account::{Access, Account, AccountId, Capabilities, Kind, Naming, SeenAccount, SeenGroup};
use answer::Rejection;
pub(super) use fields::field_problem;
use index::Index;

/// Where the users are (ALIGN-1).
const USERS: &str = "/rest/align/api/2/Users";
/// One of them.
const USER: &str = "/rest/align/api/2/Users/{id}";

/// What a person is found by, which also decides what is written as external id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MatchOn {
    /// `externalId`, which is what single sign-on uses: it is written from the account's login name.
    #[default]
    ExternalId,
    /// The e-mail address, which is written as `externalId` as well unless the policy has a field for that.
    Email,
}

impl MatchOn {
    /// As in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExternalId => "external_id",
            Self::Email => "email",
        }
    }

    /// As the API calls it.
    fn member(self) -> &'static str {
        match self {
            Self::ExternalId => "externalId",
            Self::Email => "email",
        }
    }
}

impl FromStr for MatchOn {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        [Self::ExternalId, Self::Email]
            .into_iter()
            .find(|way| way.name() == name)
            .ok_or_else(|| format!("\"{name}\" is nothing to match on; there are external_id and email"))
    }
}

/// Everything that a Jira Align must be told.
#[derive(Clone, Debug)]
pub struct AlignOptions {
    /// Its address without the API's path, the token (`user:<id>|<secret>`), and the usual limits.
    pub client: ClientOptions,
    /// What a person is found by.
    pub match_on: MatchOn,
    /// System roles whose users are neither adopted nor changed (ALIGN-31).
    pub ignore_roles: BTreeSet<i64>,
    /// `divisionId` and `cityId` for records that lack them and so refuse every change (ALIGN-20).
    pub repair: BTreeMap<String, i64>,
}

impl AlignOptions {
    /// Matched on the external id, nobody ignored, nothing to repair with.
    pub fn new(client: ClientOptions) -> Self {
        Self { client, match_on: MatchOn::default(), ignore_roles: BTreeSet::new(), repair: BTreeMap::new() }
    }
}

/// Whose token we have.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owner {
    /// The token says so (ALIGN-3).
    Id(String),
    /// An Atlassian API token goes with an e-mail address.
    Email(String),
    /// A token of another form.
    Unknown,
}

impl Owner {
    fn of(credential: &Credential) -> Self {
        match credential {
            Credential::Basic { user, .. } => Self::Email(user.clone()),
            Credential::Bearer(token) => {
                let id = token.strip_prefix("user:").and_then(|rest| rest.split_once('|')).map(|(id, _)| id);
                match id.filter(|id| id.parse::<u64>().is_ok()) {
                    Some(id) => Self::Id(id.to_owned()),
                    None => Self::Unknown,
                }
            }
        }
    }

    fn is(&self, id: &str) -> bool {
        matches!(self, Self::Id(own) if own == id)
    }
}

/// One Jira Align; holds its client and its options, and what it learnt of the site.
pub struct Align {
    client: Client,
    match_on: MatchOn,
    ignore_roles: BTreeSet<i64>,
    repair: BTreeMap<String, i64>,
    owner: Owner,
    /// The id of the token's owner, where the token does not say it and a probe found it.
    owner_id: OnceLock<String>,
    index: Index,
}

impl Align {
    /// The Jira Align of these options; opens no connection.
    ///
    /// # Errors
    /// [`ClientError`] where the options cannot be used.
    pub fn new(options: AlignOptions) -> Result<Self, ClientError> {
        let AlignOptions { client, match_on, ignore_roles, repair } = options;
        let owner = Owner::of(&client.credential);
        // No answer names its caller.
        let client = Client::new(ClientOptions { expected_user: None, ..client })?;
        let (owner_id, index) = (OnceLock::new(), Index::default());
        Ok(Self { client, match_on, ignore_roles, repair, owner, owner_id, index })
    }

    /// Whether that is the owner of our token.
    fn is_own(&self, id: &str) -> bool {
        self.owner.is(id) || self.owner_id.get().is_some_and(|own| own == id)
    }

    async fn call(&self, calls: &Calls<'_>, request: Request<'_>) -> Result<Value, Rejection> {
        let writes = request.writes();
        let raw = self.client.exchange(calls, request).await?;
        answer::classify(writes, Utc::now(), raw.status, &raw.headers, &raw.body)
    }
}

/// What there is not (ALIGN-27), without asking.
fn no_groups<'a, T: Send + 'a>() -> Answer<'a, T> {
    nothing("Jira Align has no groups")
}

fn nothing<'a, T: Send + 'a>(reason: &'static str) -> Answer<'a, T> {
    Box::pin(async move { Err(TargetError::Refused { reason: reason.to_owned(), field: None }) })
}

impl Target for Align {
    fn capabilities(&self) -> Capabilities {
        let naming = match self.match_on {
            MatchOn::ExternalId => Naming::UserName,
            MatchOn::Email => Naming::Email,
        };
        Capabilities { kind: Kind::Align, groups: false, naming }
    }

    fn probe<'a>(&'a self, calls: &'a Calls<'a>) -> Answer<'a, Probe> {
        Box::pin(self.look_around(calls))
    }

    fn examine<'a>(&'a self, calls: &'a Calls<'a>) -> Answer<'a, Examination> {
        Box::pin(self.look_closely(calls))
    }

    fn find_account<'a>(&'a self, calls: &'a Calls<'a>, username: &'a str) -> Answer<'a, Option<SeenAccount>> {
        Box::pin(self.account_of(calls, username))
    }

    fn find_by_email<'a>(&'a self, _: &'a Calls<'a>, _: &'a str) -> Answer<'a, Option<SeenAccount>> {
        // Refused when the policy is written; a stored one may be older than its target's kind.
        let reason = "Jira Align finds people by what target.align.match_on says, not by policy.match";
        Box::pin(async move { Err(TargetError::Refused { reason: reason.to_owned(), field: None }) })
    }

    fn get_account<'a>(&'a self, calls: &'a Calls<'a>, id: &'a AccountId) -> Answer<'a, Option<SeenAccount>> {
        Box::pin(self.account(calls, id))
    }

    fn create_account<'a>(&'a self, calls: &'a Calls<'a>, account: &'a Account) -> Answer<'a, Created> {
        Box::pin(self.create(calls, account))
    }

    fn update_account<'a>(
        &'a self,
        calls: &'a Calls<'a>,
        account: AccountRef<'a>,
        change: &'a AccountChange,
    ) -> Answer<'a, Written> {
        Box::pin(self.update(calls, account, change))
    }

    fn set_active<'a>(
        &'a self,
        calls: &'a Calls<'a>,
        account: AccountRef<'a>,
        switch: &'a Switch,
    ) -> Answer<'a, Written> {
        Box::pin(self.switch(calls, account, switch))
    }

    /// ALIGN-26.
    fn delete_account<'a>(&'a self, _calls: &'a Calls<'a>, _account: AccountRef<'a>) -> Answer<'a, ()> {
        nothing("Jira Align cannot delete a user over its REST API")
    }

    fn find_group<'a>(&'a self, _calls: &'a Calls<'a>, _name: &'a str) -> Answer<'a, Option<SeenGroup>> {
        Box::pin(async { Ok(None) })
    }

    fn ensure_group<'a>(&'a self, _calls: &'a Calls<'a>, _name: &'a str) -> Answer<'a, EnsuredGroup> {
        no_groups()
    }

    fn delete_group<'a>(&'a self, _calls: &'a Calls<'a>, _group: GroupRef<'a>) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn add_member<'a>(
        &'a self,
        _calls: &'a Calls<'a>,
        _group: GroupRef<'a>,
        _account: AccountRef<'a>,
    ) -> Answer<'a, ()> {
        no_groups()
    }

    fn remove_member<'a>(
        &'a self,
        _calls: &'a Calls<'a>,
        _group: GroupRef<'a>,
        _account: AccountRef<'a>,
    ) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn grant<'a>(&'a self, _calls: &'a Calls<'a>, _account: AccountRef<'a>, _access: &'a Access) -> Answer<'a, ()> {
        nothing("Jira Align has no applications to give access to")
    }

    fn revoke<'a>(&'a self, _calls: &'a Calls<'a>, _account: AccountRef<'a>, _access: &'a Access) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn administrative_groups<'a>(&'a self, _calls: &'a Calls<'a>) -> Answer<'a, Vec<String>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn accounts<'a>(&'a self, calls: &'a Calls<'a>, after: Option<&'a str>) -> Answer<'a, Page<SeenAccount>> {
        Box::pin(self.listed(calls, after))
    }

    fn last_logins<'a>(&'a self, _calls: &'a Calls<'a>, _after: Option<&'a str>) -> Answer<'a, Page<LastLogin>> {
        nothing("Jira Align's REST API does not tell when a person last logged in")
    }

    fn groups<'a>(&'a self, _calls: &'a Calls<'a>, _after: Option<&'a str>) -> Answer<'a, Page<SeenGroup>> {
        Box::pin(async { Ok(Page::default()) })
    }

    fn members<'a>(
        &'a self,
        _calls: &'a Calls<'a>,
        _group: GroupRef<'a>,
        _after: Option<&'a str>,
    ) -> Answer<'a, Page<AccountId>> {
        Box::pin(async { Ok(Page::default()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_whose_it_is() {
        // ALIGN-3
        let bearer = |token: &str| Owner::of(&Credential::Bearer(token.to_owned()));
        assert_eq!(bearer("user:4201|s3cret"), Owner::Id("4201".to_owned()));
        assert!(bearer("user:4201|s3cret").is("4201") && !bearer("user:4201|s3cret").is("42"));
        for other in ["s3cret", "user:4201", "user:mara|s3cret", "4201|s3cret"] {
            assert_eq!(bearer(other), Owner::Unknown, "{other}");
        }
        let basic = Credential::Basic { user: "svc@example.test".to_owned(), secret: "s3cret".to_owned() };
        assert_eq!(Owner::of(&basic), Owner::Email("svc@example.test".to_owned()));
    }

    #[test]
    fn what_to_match_on_is_one_of_two() {
        assert_eq!("external_id".parse(), Ok(MatchOn::ExternalId));
        assert_eq!("email".parse(), Ok(MatchOn::Email));
        assert!("userName".parse::<MatchOn>().is_err());
    }
}
