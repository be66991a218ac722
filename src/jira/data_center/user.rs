//! Accounts: `/rest/api/2/user`. The link between a person and an account is the key (DC-20); the username is only what
//! the membership calls need.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Map, Value};

use super::super::client::Request;
use super::super::reply::{Rejection, Reply, Words};
use super::super::{AccountChange, AccountRef, Calls, Created, Switch, TargetError, Written, crowd};
use super::bean::User;
use super::{Crowd, DataCenter, get};
use crate::account::{Account, AccountId, Field, SeenAccount, fold};

pub(super) const USER: &str = "/rest/api/2/user";

impl DataCenter {
    /// The account of that username: an exact match without regard to case, active or not (DC-35), with its groups (DC-36).
    pub(super) async fn account_named(
        &self,
        calls: &Calls<'_>,
        username: &str,
    ) -> Result<Option<SeenAccount>, TargetError> {
        if username.trim().is_empty() {
            return Ok(None);
        }
        let request = get("user.find", USER).about("username", username).with("expand", "groups");
        let seen = self.look(calls, request).await?;
        // An answer about somebody else would make us adopt a stranger.
        Ok(seen.filter(|seen| same_name(&seen.username, username)))
    }

    /// The account of that key, compared with regard to case (DC-35), with its groups.
    pub(super) async fn account_with_key(
        &self,
        calls: &Calls<'_>,
        id: &AccountId,
    ) -> Result<Option<SeenAccount>, TargetError> {
        let request = get("user.get", USER).about("key", &id.0).with("expand", "groups");
        Ok(self.look(calls, request).await?.filter(|seen| seen.id == *id))
    }

    async fn look(&self, calls: &Calls<'_>, request: Request<'_>) -> Result<Option<SeenAccount>, TargetError> {
        match self.call(calls, request).await {
            Ok(reply) => {
                let user: User = reply.parse()?;
                if user.deleted == Some(true) { Ok(None) } else { user.seen().map(Some) }
            }
            Err(Rejection::NotFound(_)) => Ok(None),
            Err(rejection) => Err(self.settle(calls, rejection, the_account).await),
        }
    }

    /// One call where all goes well. A 400 is a duplicate only if a look finds the account (DC-21).
    pub(super) async fn create(&self, calls: &Calls<'_>, account: &Account) -> Result<Created, TargetError> {
        for access in &account.access {
            match self.reserve_seat(calls, &access.resource).await {
                // Whoever is there already may have a seat.
                Err(TargetError::NoSeats { reason }) => {
                    self.forget_seats();
                    let found = self.account_named(calls, &account.username).await?;
                    return found.map(Created::Exists).ok_or(TargetError::NoSeats { reason });
                }
                reserved => reserved?,
            }
        }
        let request = Request::new("user.create", Method::POST, USER).json(creation(account, self.notify));
        let reply = match self.call(calls, request).await {
            Ok(reply) => reply,
            Err(Rejection::BadRequest(words) | Rejection::Conflict(words)) => {
                return match self.account_named(calls, &account.username).await? {
                    Some(found) => Ok(Created::Exists(found)),
                    None => {
                        self.forget_seats();
                        Err(self.why_not_created(calls, account, words).await)
                    }
                };
            }
            Err(rejection) => {
                self.forget_seats();
                return Err(self.settle(calls, rejection, the_account).await);
            }
        };
        let mut made: User = reply.parse()?;
        // A new account is active whatever the answer says or leaves out (DC-25).
        let active = *made.active.get_or_insert(true);
        let mut made = made.seen()?;
        self.name_parts(calls, &mut made, account).await;
        if active && !account.active {
            return Ok(Created::New(self.quieten(calls, made).await));
        }
        Ok(Created::New(made))
    }

    /// Makes a new account inactive. It exists, whatever becomes of this second call, and that is what must be on
    /// record: so a failure leaves it active in the answer, and the caller still has a step to do.
    async fn quieten(&self, calls: &Calls<'_>, made: SeenAccount) -> SeenAccount {
        let switch = Switch { active: false, off: None, hand_over_to: None };
        let account = AccountRef { id: &made.id, username: &made.username };
        match self.switch(calls, account, &switch).await {
            Ok(seen) => seen,
            Err(error) => {
                tracing::warn!(account = %made.id, %error, "a new account is still active that should not be");
                made
            }
        }
    }

    /// Sets what is given and not blank (DC-27), addressed by key so that a rename is safe to repeat (DC-29). What only
    /// the Crowd API knows comes last.
    pub(super) async fn update(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
        change: &AccountChange,
    ) -> Result<Written, TargetError> {
        let body = changes(change);
        let beside = self.crowd.as_ref().filter(|_| !change.extra.is_empty());
        if body.is_empty() {
            return match beside {
                None => self.read_back(calls, account.id).await.map(Written::Seen),
                Some(crowd) => {
                    self.change_beside(calls, crowd, account, &change.extra).await?;
                    Ok(Written::AsAsked { off: None })
                }
            };
        }
        let mut seen = self.change(calls, account, change, body).await?;
        if let Some(crowd) = beside {
            let account = AccountRef { id: account.id, username: &seen.username };
            self.change_beside(calls, crowd, account, &change.extra).await.map_err(TargetError::after_a_write)?;
            seen.extra.extend(change.extra.clone());
        }
        Ok(Written::Seen(seen))
    }

    async fn change(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
        change: &AccountChange,
        body: Map<String, Value>,
    ) -> Result<SeenAccount, TargetError> {
        let id = account.id;
        let renames = body.contains_key("name");
        let only_case =
            body.len() == 1 && change.username.as_deref().is_some_and(|name| same_name(name, account.username));
        let seen = match self.put(calls, "user.update", id, Value::Object(body)).await {
            Ok(reply) => self.seen_after(calls, id, reply).await?,
            // A change of letter case alone may count as no change at all (DC-27, DC-30).
            Err(Rejection::BadRequest(_)) if only_case => self.read_back(calls, id).await?,
            Err(Rejection::BadRequest(words) | Rejection::Conflict(words)) if renames => {
                return Err(self.refused_rename(calls, id, change, words).await);
            }
            Err(rejection) => return Err(self.settle(calls, rejection, || named(id)).await),
        };
        let seen = match still_old(&seen, change) {
            None => seen,
            // An answer may be stale, a second look is not.
            Some(_) => {
                let seen = self.read_back(calls, id).await.map_err(TargetError::after_a_write)?;
                match still_old(&seen, change) {
                    None => seen,
                    Some(refused) => return Err(refused),
                }
            }
        };
        match &change.username {
            Some(wanted) if !same_name(&seen.username, wanted) => self.renamed_after_all(calls, id, wanted).await,
            Some(wanted) if seen.username != *wanted => Ok(self.respelled(calls, seen, wanted).await),
            _ => Ok(seen),
        }
    }

    /// The letter case of a username, which only the Crowd API may store (DC-30, DC-86). It is the same name either way,
    /// so that nothing depends on it.
    async fn respelled(&self, calls: &Calls<'_>, seen: SeenAccount, wanted: &str) -> SeenAccount {
        let Some(crowd) = &self.crowd else { return seen };
        match crowd.rename(calls, &seen.username, wanted).await {
            Ok(()) => SeenAccount { username: wanted.to_owned(), ..seen },
            Err(_) => seen,
        }
    }

    /// Writes the fields that only the Crowd API knows (DC-82): read, changed, written back whole.
    async fn change_beside(
        &self,
        calls: &Calls<'_>,
        crowd: &Crowd,
        account: AccountRef<'_>,
        extra: &BTreeMap<String, String>,
    ) -> Result<(), TargetError> {
        let what = || named(account.id);
        let ours = |user: &crowd::User| user.key.as_deref() == Some(account.id.0.as_str());
        let mut user = match crowd.user(calls, account.username).await {
            Ok(user) if ours(&user) => user,
            Err(crowd::No::Failed(error)) => return Err(error),
            // The name on record is out of date, or it cannot be told whose it is: by key, which says who is gone (DC-47).
            _ => {
                let seen = self.read_back(calls, account.id).await?;
                let user = crowd.user(calls, &seen.username).await.map_err(|no| no.about_known(what))?;
                if user.key.is_some() && !ours(&user) {
                    return Err(crowd::No::NotFound.about_known(what));
                }
                user
            }
        };
        if user.take(extra) {
            crowd.replace(calls, &user).await.map_err(|no| no.about_known(what))?;
        }
        Ok(())
    }

    /// First and last name of a new account. It exists whatever becomes of this: a failure leaves the fields empty in the
    /// answer, so that they are still to be written.
    async fn name_parts(&self, calls: &Calls<'_>, made: &mut SeenAccount, account: &Account) {
        let Some(crowd) = &self.crowd else { return };
        let mut user = crowd::User::of(made, &account.email);
        if !user.take(&account.extra) {
            return;
        }
        match crowd.replace(calls, &user).await {
            Ok(()) => made.extra.extend(account.extra.clone()),
            Err(no) => {
                let error = no.into_error(|| named(&made.id));
                tracing::warn!(account = %made.id, %error, "a new account has no first and last name yet");
                made.extra.extend(account.extra.keys().map(|name| (name.clone(), String::new())));
            }
        }
    }

    /// Why a PUT with a new name was refused: the name is somebody else's, or something is wrong with it (DC-29).
    async fn refused_rename(
        &self,
        calls: &Calls<'_>,
        id: &AccountId,
        change: &AccountChange,
        words: Words,
    ) -> TargetError {
        match self.account_named(calls, change.username.as_deref().unwrap_or_default()).await {
            Ok(Some(other)) if other.id != *id => TargetError::Conflict { reason: words.reason },
            Ok(_) => words.refused(),
            Err(error) => error,
        }
    }

    /// The answer to a rename showed the old name: an answer may be stale, a second look is not.
    async fn renamed_after_all(
        &self,
        calls: &Calls<'_>,
        id: &AccountId,
        wanted: &str,
    ) -> Result<SeenAccount, TargetError> {
        let seen = self.read_back(calls, id).await.map_err(TargetError::after_a_write)?;
        if same_name(&seen.username, wanted) {
            return Ok(seen);
        }
        if let Some(crowd) = &self.crowd {
            crowd.rename(calls, &seen.username, wanted).await.map_err(|no| no.about_known(|| named(id)))?;
            let seen = self.read_back(calls, id).await.map_err(TargetError::after_a_write)?;
            if same_name(&seen.username, wanted) {
                return Ok(seen);
            }
        }
        let reason = "Jira answered that the account was changed, but its username is still the old one".to_owned();
        Err(TargetError::Refused { reason, field: Some(Field::Username) })
    }

    /// Deletes; a key that is unknown has been deleted before (DC-42).
    pub(super) async fn remove_account(&self, calls: &Calls<'_>, id: &AccountId) -> Result<(), TargetError> {
        let request = Request::new("user.delete", Method::DELETE, USER).about("key", &id.0);
        match self.call(calls, request).await {
            Ok(_) | Err(Rejection::NotFound(_)) => Ok(()),
            Err(rejection) => Err(self.settle(calls, rejection, || named(id)).await),
        }
    }

    pub(super) async fn put(
        &self,
        calls: &Calls<'_>,
        operation: &'static str,
        id: &AccountId,
        body: Value,
    ) -> Result<Reply, Rejection> {
        self.call(calls, Request::new(operation, Method::PUT, USER).about("key", &id.0).json(body)).await
    }

    /// The account as the answer to a PUT shows it, or as a GET does where that answer is no account.
    pub(super) async fn seen_after(
        &self,
        calls: &Calls<'_>,
        id: &AccountId,
        reply: Reply,
    ) -> Result<SeenAccount, TargetError> {
        match reply.parse::<User>().and_then(User::seen) {
            Ok(seen) if seen.id == *id => Ok(seen),
            _ => self.read_back(calls, id).await.map_err(TargetError::after_a_write),
        }
    }

    pub(super) async fn read_back(&self, calls: &Calls<'_>, id: &AccountId) -> Result<SeenAccount, TargetError> {
        self.account_with_key(calls, id).await?.ok_or_else(|| TargetError::Gone { what: named(id) })
    }
}

/// What Jira accepted and did not do, apart from the username. What it hides cannot be told (DC-37).
fn still_old(seen: &SeenAccount, change: &AccountChange) -> Option<TargetError> {
    let alike = |one: &str, other: &str| fold(one).split_whitespace().eq(fold(other).split_whitespace());
    let differs = |seen: Option<&str>, wanted: &Option<String>| {
        let wanted = wanted.as_deref().filter(|wanted| !wanted.trim().is_empty());
        seen.zip(wanted).is_some_and(|(seen, wanted)| !alike(seen, wanted))
    };
    let (what, field) = if differs(Some(&seen.display_name), &change.display_name) {
        ("display name", Field::DisplayName)
    } else if differs(seen.email.as_deref(), &change.email) {
        ("e-mail address", Field::Email)
    } else {
        return None;
    };
    let reason = format!("Jira answered that the account was changed, but its {what} is still the old one");
    Some(TargetError::Refused { reason, field: Some(field) })
}

/// Whether two spellings are one username to Jira.
pub(super) fn same_name(one: &str, other: &str) -> bool {
    fold(one.trim()) == fold(other.trim())
}

pub(super) fn the_account() -> String {
    "the account".to_owned()
}

pub(super) fn named(id: &AccountId) -> String {
    format!("the account {id}")
}

/// The body of a create: never a password (Jira makes a random one), no mail unless asked for (DC-23), never a blank
/// (DC-27), and no `active`, which cannot be relied on (DC-25). Without `applicationKeys` the account gets the default
/// applications (DC-24).
fn creation(account: &Account, notify: bool) -> Value {
    let mut body = Map::new();
    put(&mut body, "name", Some(&account.username));
    put(&mut body, "emailAddress", Some(&account.email));
    put(&mut body, "displayName", Some(&account.display_name));
    put(&mut body, "notification", Some(if notify { "true" } else { "false" }));
    if !account.access.is_empty() {
        let keys: Vec<&str> = account.access.iter().map(|access| access.resource.as_str()).collect();
        body.insert("applicationKeys".to_owned(), keys.into());
    }
    Value::Object(body)
}

fn changes(change: &AccountChange) -> Map<String, Value> {
    let mut body = Map::new();
    put(&mut body, "name", change.username.as_deref());
    put(&mut body, "emailAddress", change.email.as_deref());
    put(&mut body, "displayName", change.display_name.as_deref());
    body
}

pub(super) fn put(body: &mut Map<String, Value>, member: &str, value: Option<&str>) {
    if let Some(value) = value.filter(|value| !value.trim().is_empty()) {
        body.insert(member.to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::account::Access;

    #[test]
    fn a_create_sends_no_password_no_blank_no_active_flag_and_asks_for_no_mail() {
        // DC-23, DC-25, DC-27
        let account = Account {
            username: "mara.lund".to_owned(),
            email: " ".to_owned(),
            display_name: "Mara Lund".to_owned(),
            active: false,
            extra: Default::default(),
            access: Default::default(),
        };
        let body = json!({"name": "mara.lund", "displayName": "Mara Lund", "notification": "false"});
        assert_eq!(creation(&account, false), body);
        let access =
            ["jira-servicedesk", "jira-software"].map(|key| Access { resource: key.into(), role: String::new() });
        let account = Account { access: access.into(), ..account };
        assert_eq!(creation(&account, false)["applicationKeys"], json!(["jira-servicedesk", "jira-software"]));
    }

    #[test]
    fn an_update_sends_what_is_given_and_not_blank() {
        // DC-27
        let change = AccountChange {
            email: Some(String::new()),
            display_name: Some("M".to_owned()),
            ..AccountChange::default()
        };
        assert_eq!(Value::Object(changes(&change)), json!({"displayName": "M"}));
    }
}
