//! Accounts: `/rest/api/2/user`. The link between a person and an account is the key (DC-20); the username is only what
//! the membership calls need.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::client::Request;
use super::super::reply::{Rejection, Reply, Words};
use super::super::{AccountChange, Calls, Created, TargetError};
use super::{DataCenter, get};
use crate::account::{Account, AccountId, Field, SeenAccount, fold};

const USER: &str = "/rest/api/2/user";

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
        let request = Request::new("user.create", Method::POST, USER).json(creation(account, self.notify));
        let reply = match self.call(calls, request).await {
            Ok(reply) => reply,
            Err(Rejection::BadRequest(words) | Rejection::Conflict(words)) => {
                let found = self.account_named(calls, &account.username).await?;
                return found.map(Created::Exists).ok_or_else(|| words.refused());
            }
            Err(rejection) => return Err(self.settle(calls, rejection, the_account).await),
        };
        let made: User = reply.parse()?;
        // A new account is active whatever the answer says or leaves out (DC-25).
        let active = made.active.unwrap_or(true);
        let made = User { active: Some(active), ..made }.seen()?;
        if active && !account.active {
            return Ok(Created::New(self.quieten(calls, made).await));
        }
        Ok(Created::New(made))
    }

    /// Makes a new account inactive. It exists, whatever becomes of this second call, and that is what must be on
    /// record: so a failure leaves it active in the answer, and the caller still has a step to do.
    async fn quieten(&self, calls: &Calls<'_>, made: SeenAccount) -> SeenAccount {
        match self.switch(calls, &made.id, &made.username, false).await {
            Ok(seen) => seen,
            Err(error) => {
                tracing::warn!(account = %made.id, %error, "a new account is still active that should not be");
                made
            }
        }
    }

    /// Sets what is given and not blank (DC-27), addressed by key so that a rename is safe to repeat (DC-29).
    pub(super) async fn update(
        &self,
        calls: &Calls<'_>,
        id: &AccountId,
        current_username: &str,
        change: &AccountChange,
    ) -> Result<SeenAccount, TargetError> {
        let body = changes(change);
        if body.is_empty() {
            return self.read_back(calls, id).await;
        }
        let renames = body.contains_key("name");
        let only_case = body.len() == 1 && change.username.as_deref().is_some_and(|n| same_name(n, current_username));
        let seen = match self.put(calls, "user.update", id, Value::Object(body)).await {
            Ok(reply) => self.seen_after(calls, id, reply).await?,
            // A change of letter case alone may count as no change at all (DC-27, DC-30).
            Err(Rejection::BadRequest(_)) if only_case => self.read_back(calls, id).await?,
            Err(Rejection::BadRequest(words) | Rejection::Conflict(words)) if renames => {
                return Err(self.refused_rename(calls, id, change, words).await);
            }
            Err(rejection) => return Err(self.settle(calls, rejection, || named(id)).await),
        };
        match &change.username {
            Some(wanted) if !same_name(&seen.username, wanted) => self.renamed_after_all(calls, id, wanted).await,
            _ => Ok(seen),
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
        let seen = self.read_back(calls, id).await.map_err(after_a_write)?;
        if same_name(&seen.username, wanted) {
            return Ok(seen);
        }
        let reason = "Jira answered that the account was changed, but its username is still the old one".to_owned();
        Err(TargetError::Refused { reason, field: Some(Field::Username) })
    }

    /// Activates or deactivates, and believes it only when Jira shows it (DC-28).
    pub(super) async fn switch(
        &self,
        calls: &Calls<'_>,
        id: &AccountId,
        username: &str,
        active: bool,
    ) -> Result<SeenAccount, TargetError> {
        match self.put(calls, "user.set_active", id, activity(username, active)).await {
            Ok(reply) => self.believe(calls, id, active, reply).await,
            Err(Rejection::BadRequest(words)) => self.switch_after_no(calls, id, username, active, words).await,
            Err(rejection) => Err(self.settle(calls, rejection, || named(id)).await),
        }
    }

    /// A 400 to an (in)activation: already so is done; a name on record that is out of date must not keep a leaver
    /// in (DC-47); anything else is Jira's no (DC-31 to DC-34).
    async fn switch_after_no(
        &self,
        calls: &Calls<'_>,
        id: &AccountId,
        username: &str,
        active: bool,
        words: Words,
    ) -> Result<SeenAccount, TargetError> {
        let seen = self.read_back(calls, id).await?;
        if seen.active == active {
            return Ok(seen);
        }
        let words = if same_name(&seen.username, username) {
            words
        } else {
            match self.put(calls, "user.set_active", id, activity(&seen.username, active)).await {
                Ok(reply) => return self.believe(calls, id, active, reply).await,
                Err(Rejection::BadRequest(words)) => words,
                Err(rejection) => return Err(self.settle(calls, rejection, || named(id)).await),
            }
        };
        Err(TargetError::Refused { reason: words.reason, field: words.field.or(Some(Field::Active)) })
    }

    async fn believe(
        &self,
        calls: &Calls<'_>,
        id: &AccountId,
        active: bool,
        reply: Reply,
    ) -> Result<SeenAccount, TargetError> {
        let mut seen = self.seen_after(calls, id, reply).await?;
        if seen.active != active {
            seen = self.read_back(calls, id).await.map_err(after_a_write)?;
        }
        if seen.active == active {
            return Ok(seen);
        }
        let state = if active { "inactive" } else { "active" };
        let reason = format!(
            "Jira answered that the account was changed, but it is still {state}; \
             Jira before 8.3 cannot change this over REST"
        );
        Err(TargetError::Refused { reason, field: Some(Field::Active) })
    }

    /// Deletes; a key that is unknown has been deleted before (DC-42).
    pub(super) async fn remove_account(&self, calls: &Calls<'_>, id: &AccountId) -> Result<(), TargetError> {
        let request = Request::new("user.delete", Method::DELETE, USER).about("key", &id.0);
        match self.call(calls, request).await {
            Ok(_) | Err(Rejection::NotFound(_)) => Ok(()),
            Err(rejection) => Err(self.settle(calls, rejection, || named(id)).await),
        }
    }

    async fn put(
        &self,
        calls: &Calls<'_>,
        operation: &'static str,
        id: &AccountId,
        body: Value,
    ) -> Result<Reply, Rejection> {
        self.call(calls, Request::new(operation, Method::PUT, USER).about("key", &id.0).json(body)).await
    }

    /// The account as the answer to a PUT shows it, or as a GET does where that answer is no account.
    async fn seen_after(&self, calls: &Calls<'_>, id: &AccountId, reply: Reply) -> Result<SeenAccount, TargetError> {
        match reply.parse::<User>().and_then(User::seen) {
            Ok(seen) if seen.id == *id => Ok(seen),
            _ => self.read_back(calls, id).await.map_err(after_a_write),
        }
    }

    async fn read_back(&self, calls: &Calls<'_>, id: &AccountId) -> Result<SeenAccount, TargetError> {
        self.account_with_key(calls, id).await?.ok_or_else(|| TargetError::Gone { what: named(id) })
    }
}

/// Whether two spellings are one username to Jira.
pub(super) fn same_name(one: &str, other: &str) -> bool {
    fold(one.trim()) == fold(other.trim())
}

/// A look failed that was to show what a write had done: whatever kept us from looking, the write has an unknown outcome,
/// and must not count as one that was never made.
fn after_a_write(error: TargetError) -> TargetError {
    match error {
        TargetError::Unreachable { .. }
        | TargetError::Throttled { .. }
        | TargetError::Denied { .. }
        | TargetError::Later { .. }
        | TargetError::Stopped { .. } => {
            TargetError::Unreachable { detail: format!("the change could not be read back: {error}"), maybe_done: true }
        }
        TargetError::Refused { .. }
        | TargetError::Gone { .. }
        | TargetError::Conflict { .. }
        | TargetError::NoSeats { .. } => error,
    }
}

fn the_account() -> String {
    "the account".to_owned()
}

fn named(id: &AccountId) -> String {
    format!("the account {id}")
}

/// The body of a create: never a password (Jira makes a random one), no mail unless asked for (DC-23), never a blank
/// (DC-27), and no `active`, which cannot be relied on (DC-25).
fn creation(account: &Account, notify: bool) -> Value {
    let mut body = Map::new();
    put(&mut body, "name", Some(&account.username));
    put(&mut body, "emailAddress", Some(&account.email));
    put(&mut body, "displayName", Some(&account.display_name));
    put(&mut body, "notification", Some(if notify { "true" } else { "false" }));
    Value::Object(body)
}

fn changes(change: &AccountChange) -> Map<String, Value> {
    let mut body = Map::new();
    put(&mut body, "name", change.username.as_deref());
    put(&mut body, "emailAddress", change.email.as_deref());
    put(&mut body, "displayName", change.display_name.as_deref());
    body
}

fn put(body: &mut Map<String, Value>, member: &str, value: Option<&str>) {
    if let Some(value) = value.filter(|value| !value.trim().is_empty()) {
        body.insert(member.to_owned(), value.into());
    }
}

/// The name goes with the flag, for an old Jira refuses a body with nothing else (DC-28).
fn activity(username: &str, active: bool) -> Value {
    let mut body = Map::new();
    put(&mut body, "name", Some(username));
    body.insert("active".to_owned(), json!(active));
    Value::Object(body)
}

/// An account as Jira writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    key: String,
    name: String,
    email_address: Option<String>,
    display_name: Option<String>,
    active: Option<bool>,
    deleted: Option<bool>,
    groups: Option<Groups>,
}

#[derive(Deserialize)]
struct Groups {
    size: Option<usize>,
    #[serde(default)]
    items: Vec<GroupName>,
}

#[derive(Deserialize)]
struct GroupName {
    name: String,
}

impl User {
    /// In our own words.
    pub(super) fn seen(self) -> Result<SeenAccount, TargetError> {
        let active = self.active.ok_or_else(|| TargetError::Unreachable {
            detail: "the answer does not say whether the account is active".to_owned(),
            maybe_done: true,
        })?;
        Ok(SeenAccount {
            id: AccountId(self.key),
            display_name: self.display_name.unwrap_or_else(|| self.name.clone()),
            username: self.name,
            // Absent or masked ("mara at example dot test") is unknown, never different (DC-37).
            email: self.email_address.filter(|address| address.contains('@')),
            active,
            groups: self.groups.and_then(Groups::complete),
            ..SeenAccount::default()
        })
    }
}

impl Groups {
    /// The names, unless they were not expanded (DC-36).
    fn complete(self) -> Option<Vec<String>> {
        let expected = self.size.unwrap_or(self.items.len());
        (self.items.len() >= expected).then(|| self.items.into_iter().map(|group| group.name).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(document: Value) -> Result<SeenAccount, TargetError> {
        serde_json::from_value::<User>(document).unwrap().seen()
    }

    fn mara() -> Value {
        json!({"key": "JIRAUSER10417", "name": "mara.lund", "emailAddress": "mara.lund@example.test",
               "displayName": "Mara Lund", "active": true, "lastLoginTime": "2024-02-19T08:41:07+0100",
               "groups": {"size": 0, "items": []}})
    }

    #[test]
    fn a_hidden_or_masked_address_is_unknown() {
        // DC-37
        assert_eq!(read(mara()).unwrap().email.as_deref(), Some("mara.lund@example.test"));
        for hidden in [Value::Null, json!(""), json!("mara.lund at example dot test")] {
            let mut document = mara();
            document["emailAddress"] = hidden;
            assert_eq!(read(document).unwrap().email, None);
        }
    }

    #[test]
    fn groups_that_were_not_expanded_are_unknown() {
        // DC-36
        for (groups, known) in [
            (json!({"size": 2, "items": []}), None),
            (json!({"size": 0, "items": []}), Some(vec![])),
            (json!({"size": 1, "items": [{"name": "platform-crew", "self": "x"}]}), Some(vec!["platform-crew"])),
            (Value::Null, None),
        ] {
            let mut document = mara();
            document["groups"] = groups;
            let known = known.map(|names| names.into_iter().map(str::to_owned).collect());
            assert_eq!(read(document).unwrap().groups, known);
        }
    }

    #[test]
    fn an_answer_that_does_not_say_whether_the_account_is_active_is_not_guessed_at() {
        let mut document = mara();
        document.as_object_mut().unwrap().remove("active");
        assert!(matches!(read(document), Err(TargetError::Unreachable { .. })));
    }

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
