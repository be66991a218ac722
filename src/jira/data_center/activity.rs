//! Switching an account on and off: believed only when Jira shows it (DC-28), with the leads handed over where they are in
//! the way (DC-31), and through the Crowd API where Jira is too old (DC-82).

use serde_json::{Map, Value, json};

use super::super::reply::{Rejection, Reply, Words};
use super::super::{AccountRef, Calls, Switch, TargetError, crowd};
use super::user::{named, put, same_name};
use super::{Crowd, DataCenter};
use crate::account::{AccountId, Field, SeenAccount};

/// The first version that knows `active` in a PUT (DC-28).
const KNOWS_ACTIVE: &[u32] = &[8, 3];

impl DataCenter {
    /// Activates or deactivates. One call where all goes well.
    pub(super) async fn switch(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
        switch: &Switch,
    ) -> Result<SeenAccount, TargetError> {
        let (id, active) = (account.id, switch.active);
        if self.is_older_than(KNOWS_ACTIVE) {
            return self.switch_an_old_jira(calls, id, active).await;
        }
        match self.put(calls, "user.set_active", id, activity(account.username, active)).await {
            Ok(reply) => self.believe(calls, id, active, reply).await,
            Err(Rejection::BadRequest(words)) if !active && words.field == Some(Field::Active) => {
                self.hindered(calls, account, switch.hand_over_to.as_deref(), words).await
            }
            Err(Rejection::BadRequest(words)) => self.switch_after_no(calls, account, switch, words).await,
            Err(rejection) => Err(self.settle(calls, rejection, || named(id)).await),
        }
    }

    /// A 400 to an (in)activation: already so is done; a name on record that is out of date must not keep a leaver
    /// in (DC-47); anything else is Jira's no (DC-31 to DC-34).
    async fn switch_after_no(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
        switch: &Switch,
        words: Words,
    ) -> Result<SeenAccount, TargetError> {
        let (id, active) = (account.id, switch.active);
        let seen = self.read_back(calls, id).await?;
        if seen.active == active {
            return Ok(seen);
        }
        let words = if same_name(&seen.username, account.username) {
            words
        } else {
            match self.put(calls, "user.set_active", id, activity(&seen.username, active)).await {
                Ok(reply) => return self.believe(calls, id, active, reply).await,
                Err(Rejection::BadRequest(words)) if !active && words.field == Some(Field::Active) => {
                    let account = AccountRef { id, username: &seen.username };
                    return self.hindered(calls, account, switch.hand_over_to.as_deref(), words).await;
                }
                Err(Rejection::BadRequest(words)) => words,
                Err(rejection) => return Err(self.settle(calls, rejection, || named(id)).await),
            }
        };
        Err(TargetError::Refused { reason: words.reason, field: words.field.or(Some(Field::Active)) })
    }

    /// The account as the answer shows it, if that is as it should be; else as a second look does.
    pub(super) async fn believe(
        &self,
        calls: &Calls<'_>,
        id: &AccountId,
        active: bool,
        reply: Reply,
    ) -> Result<SeenAccount, TargetError> {
        let mut seen = self.seen_after(calls, id, reply).await?;
        if seen.active != active {
            seen = self.read_back(calls, id).await.map_err(TargetError::after_a_write)?;
        }
        if seen.active == active {
            return Ok(seen);
        }
        match &self.crowd {
            // It asks none of Jira's rules, so that it is for a Jira that cannot, or may not be able to (DC-88).
            Some(crowd) if !self.is_at_least(KNOWS_ACTIVE) => self.switch_by_crowd(calls, crowd, seen, active).await,
            _ => Err(still(active)),
        }
    }

    /// Before 8.3 only the Crowd API can do it; without its credential nothing is tried.
    async fn switch_an_old_jira(
        &self,
        calls: &Calls<'_>,
        id: &AccountId,
        active: bool,
    ) -> Result<SeenAccount, TargetError> {
        let Some(crowd) = &self.crowd else {
            let reason = "Jira before 8.3 cannot switch accounts on or off over REST: give this target a Crowd credential, \
                          or update Jira";
            return Err(TargetError::Refused { reason: reason.to_owned(), field: Some(Field::Active) });
        };
        // By key, because the Crowd API goes by the name alone, which may be somebody else's by now (DC-47).
        let seen = self.read_back(calls, id).await?;
        if seen.active == active { Ok(seen) } else { self.switch_by_crowd(calls, crowd, seen, active).await }
    }

    async fn switch_by_crowd(
        &self,
        calls: &Calls<'_>,
        crowd: &Crowd,
        seen: SeenAccount,
        active: bool,
    ) -> Result<SeenAccount, TargetError> {
        let what = || named(&seen.id);
        let mut user = crowd.user(calls, &seen.username).await.map_err(|no| no.about_known(what))?;
        if user.key.as_ref().is_some_and(|key| *key != seen.id.0) {
            return Err(crowd::No::NotFound.about_known(what));
        }
        user.active = Some(active);
        crowd.replace(calls, &user).await.map_err(|no| no.about_known(what))?;
        let after = self.read_back(calls, &seen.id).await.map_err(TargetError::after_a_write)?;
        if after.active == active { Ok(after) } else { Err(still(active)) }
    }
}

/// Jira said yes and did nothing.
fn still(active: bool) -> TargetError {
    let state = if active { "inactive" } else { "active" };
    let reason = format!(
        "Jira answered that the account was changed, but it is still {state}; Jira before 8.3 cannot change this over \
         REST, other than with a Crowd credential"
    );
    TargetError::Refused { reason, field: Some(Field::Active) }
}

/// The name goes with the flag, for an old Jira refuses a body with nothing else (DC-28).
pub(super) fn activity(username: &str, active: bool) -> Value {
    let mut body = Map::new();
    put(&mut body, "name", Some(username));
    body.insert("active".to_owned(), json!(active));
    Value::Object(body)
}
