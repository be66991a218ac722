//! Writing users: create, change, lock, unlock. Each write is read back, because Jira Align answers success to changes
//! that it does not make (ALIGN-17, ALIGN-24).

use chrono::Utc;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::super::client::Request;
use super::super::{AccountChange, AccountRef, Calls, Created, Switch, TargetError, Written};
use super::answer::Rejection;
use super::fields::{MANDATORY, encoded, granted, refuse, same};
use super::look::named;
use super::record::{Defect, User};
use super::{Align, MatchOn, USER, USERS};
use crate::account::{Account, Field, SeenAccount, fold};

impl Align {
    /// Looks first, because whether a duplicate is refused is not known (ALIGN-15); then one call where all goes well.
    pub(super) async fn create(&self, calls: &Calls<'_>, account: &Account) -> Result<Created, TargetError> {
        let body = self.creation(account)?;
        if let Some(found) = self.user_with_key(calls, &account.username).await? {
            return Ok(Created::Exists(self.seen(&found)?));
        }
        // Whoever is there already needs none of them.
        refuse_incomplete(&body)?;
        let made = self.post(calls, account, body).await;
        match &made {
            Ok(user) => self.index.learn(user),
            Err(_) => self.index.forget(),
        }
        let user = made?;
        let mut seen = self.seen(&user)?;
        seen.extra.extend(granted(&account.extra, |name| user.get(name).clone()));
        spell(&mut seen, Some(&account.email));
        if seen.active && !account.active {
            return Ok(Created::New(self.quieten(calls, seen).await));
        }
        Ok(Created::New(seen))
    }

    async fn post(&self, calls: &Calls<'_>, account: &Account, body: Map<String, Value>) -> Result<User, TargetError> {
        let request = Request::new("user.create", Method::POST, USERS).json(Value::Object(body));
        match self.call(calls, request).await {
            Ok(document) => self.made(calls, account, document).await,
            Err(Rejection::Refused(words)) => Err(self.why_not_created(calls, account, words).await?),
            Err(rejection) => Err(rejection.into_error(|| "the list of users".to_owned())),
        }
    }

    /// The user that a POST made: it answers the user, or its id, or nothing of use (ALIGN-12).
    async fn made(&self, calls: &Calls<'_>, account: &Account, document: Value) -> Result<User, TargetError> {
        if let Some(user) = User::read(document.clone()).filter(|user| user.active().is_some()) {
            return Ok(user);
        }
        let id = match &document {
            Value::Number(id) => Some(id.to_string()),
            Value::String(id) => Some(id.clone()),
            Value::Object(_) => User::read(document).map(|user| user.id.to_string()),
            _ => None,
        };
        let found = match id {
            Some(id) => self.user_with_id(calls, &id).await,
            None => self.user_with_key(calls, &account.username).await,
        };
        found.map_err(TargetError::after_a_write)?.ok_or_else(|| TargetError::Unreachable {
            detail: "Jira Align answered that the user was made, but does not show it".to_owned(),
            maybe_done: true,
        })
    }

    /// A refusal where the address belongs to somebody who is matched by something else is worth a look: the record may be
    /// the person's own, without the external id that would have found it (ALIGN-14).
    async fn why_not_created(
        &self,
        calls: &Calls<'_>,
        account: &Account,
        words: String,
    ) -> Result<TargetError, TargetError> {
        let refused = |reason, field| TargetError::Refused { reason, field };
        if self.match_on == MatchOn::Email {
            return Ok(refused(words, None));
        }
        let others = self.users_with(calls, "email", &account.email).await?;
        let Some(other) = others.first() else { return Ok(refused(words, None)) };
        let reason = if other.text("externalId").is_empty() {
            format!(
                "{words} The user {} of Jira Align has this e-mail address and no externalId: give it the one of this \
                 person, and it is found",
                other.id
            )
        } else {
            format!("{words} The user {} of Jira Align has this e-mail address and another externalId", other.id)
        };
        Ok(refused(reason, Some(Field::Email)))
    }

    /// Locks a new account. It exists, whatever becomes of this second call, and that is what must be on record.
    async fn quieten(&self, calls: &Calls<'_>, made: SeenAccount) -> SeenAccount {
        match self.patch(calls, &made.id.0, switched(false)).await {
            Ok(user) => SeenAccount { active: user.active() == Some(true), ..made },
            Err(error) => {
                tracing::warn!(account = %made.id, %error, "a new account is still active that should not be");
                made
            }
        }
    }

    /// The body of a POST.
    fn creation(&self, account: &Account) -> Result<Map<String, Value>, TargetError> {
        let mut body = encoded(&account.extra)?;
        let (first, last) = split(&account.display_name);
        body.entry("firstName").or_insert_with(|| first.into());
        body.entry("lastName").or_insert_with(|| last.into());
        body.entry("isExternal").or_insert_with(|| 0.into());
        body.insert("email".to_owned(), account.email.trim().into());
        match self.match_on {
            MatchOn::ExternalId => {
                self.refuse_second_key(&account.extra)?;
                body.insert("externalId".to_owned(), account.username.trim().into());
            }
            MatchOn::Email => {
                body.entry("externalId").or_insert_with(|| account.email.trim().into());
            }
        }
        Ok(body)
    }

    /// The login name is what is written as external id, so that nothing else can be.
    fn refuse_second_key(&self, extra: &std::collections::BTreeMap<String, String>) -> Result<(), TargetError> {
        if self.match_on == MatchOn::ExternalId && extra.contains_key("externalId") {
            let reason = "externalId is written from policy.account.username where match_on is external_id; \
                          policy.account.fields.externalId must go";
            return Err(refuse(reason));
        }
        Ok(())
    }

    /// Sets what is given.
    pub(super) async fn update(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
        change: &AccountChange,
    ) -> Result<Written, TargetError> {
        self.refuse_second_key(&change.extra)?;
        let mut members = encoded(&change.extra)?;
        let given =
            |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        if let Some(email) = given(&change.email) {
            members.insert("email".to_owned(), email.into());
        }
        match (self.match_on, given(&change.username)) {
            (MatchOn::ExternalId, Some(key)) => {
                members.insert("externalId".to_owned(), key.into());
            }
            (MatchOn::Email, Some(email)) => {
                if !members.contains_key("externalId") && self.key_follows_email(calls, account).await? {
                    members.insert("externalId".to_owned(), email.clone().into());
                }
                members.insert("email".to_owned(), email.into());
            }
            (_, None) => {}
        }
        if members.is_empty() {
            let user = self.user_with_id(calls, &account.id.0).await?;
            let user = user.ok_or_else(|| TargetError::Gone { what: named(&account.id.0) })?;
            return self.written(&user, change).map(Written::Seen);
        }
        let user = self.patch(calls, &account.id.0, members).await?;
        self.written(&user, change).map(Written::Seen)
    }

    /// The account after a change that was believed: what is as asked in all but spelling is spelled as asked.
    fn written(&self, user: &User, change: &AccountChange) -> Result<SeenAccount, TargetError> {
        let mut seen = self.seen(user)?;
        seen.extra.extend(granted(&change.extra, |name| user.get(name).clone()));
        spell(&mut seen, change.email.as_ref());
        Ok(seen)
    }

    /// Whether the external id is the address that is about to change, and not something of its own.
    async fn key_follows_email(&self, calls: &Calls<'_>, account: AccountRef<'_>) -> Result<bool, TargetError> {
        let user = self.user_with_id(calls, &account.id.0).await?;
        let user = user.ok_or_else(|| TargetError::Gone { what: named(&account.id.0) })?;
        let key = fold(user.text("externalId"));
        Ok(key.is_empty() || key == fold(user.text("email")) || key == fold(account.username))
    }

    /// Locks or unlocks. The owner of our own token is never locked: the token would die with it (ALIGN-5).
    pub(super) async fn switch(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
        switch: &Switch,
    ) -> Result<Written, TargetError> {
        if !switch.active && self.is_own(&account.id.0) {
            let reason = format!("{} owns the token of this program, which would die with it", named(&account.id.0));
            return Err(TargetError::Refused { reason, field: Some(Field::Active) });
        }
        let user = self.patch(calls, &account.id.0, switched(switch.active)).await?;
        self.seen(&user).map(Written::Seen)
    }

    /// Changes members, and believes it only when Jira Align shows them.
    async fn patch(&self, calls: &Calls<'_>, id: &str, members: Map<String, Value>) -> Result<User, TargetError> {
        self.refuse_ignored(calls, id).await?;
        let patched = self.patch_at_once(calls, id, &members).await;
        match &patched {
            Ok(user) => self.index.learn(user),
            Err(_) => self.index.forget(),
        }
        let user = patched?;
        believe(&user, &members)?;
        Ok(user)
    }

    /// A role that is to be ignored may have been given after the account was linked: where there are such roles, each
    /// change is preceded by a look (ALIGN-31).
    async fn refuse_ignored(&self, calls: &Calls<'_>, id: &str) -> Result<(), TargetError> {
        if self.ignore_roles.is_empty() {
            return Ok(());
        }
        let user = self.user_with_id(calls, id).await?.ok_or_else(|| TargetError::Gone { what: named(id) })?;
        match self.seen(&user)?.hands_off {
            Some(why) => Err(refuse(format!("{} is left alone: {why}", named(id)))),
            None => Ok(()),
        }
    }

    async fn patch_at_once(
        &self,
        calls: &Calls<'_>,
        id: &str,
        members: &Map<String, Value>,
    ) -> Result<User, TargetError> {
        match self.send(calls, id, members).await {
            Ok(_) => {}
            Err(Rejection::Refused(words)) => self.repair(calls, id, members, words).await?,
            Err(Rejection::NotFound) => return Err(self.why_not_found(calls, id).await),
            Err(rejection) => return Err(rejection.into_error(|| named(id))),
        }
        let user = self.user_with_id(calls, id).await.map_err(TargetError::after_a_write)?;
        user.ok_or_else(|| TargetError::Gone { what: named(id) })
    }

    async fn send(&self, calls: &Calls<'_>, id: &str, members: &Map<String, Value>) -> Result<Value, Rejection> {
        let operation =
            |(name, value): (&String, &Value)| json!({"op": "replace", "path": format!("/{name}"), "value": value});
        let patch = Value::Array(members.iter().map(operation).collect());
        self.call(calls, Request::new("user.patch", Method::PATCH, USER).segment("id", id).json(patch)).await
    }

    async fn why_not_found(&self, calls: &Calls<'_>, id: &str) -> TargetError {
        match self.user_with_id(calls, id).await {
            Ok(None) => TargetError::Gone { what: named(id) },
            Ok(Some(_)) => TargetError::Unreachable {
                detail: "Jira Align shows the user, but answered 404 to a change".to_owned(),
                maybe_done: false,
            },
            Err(error) => error,
        }
    }

    /// A record with certain defects refuses every change, whatever it is (ALIGN-19). They are cured together with the
    /// change, once, and reported.
    async fn repair(
        &self,
        calls: &Calls<'_>,
        id: &str,
        members: &Map<String, Value>,
        words: String,
    ) -> Result<(), TargetError> {
        let refused = |reason: String| TargetError::Refused { reason, field: field_of(members) };
        let user = self.user_with_id(calls, id).await?.ok_or_else(|| TargetError::Gone { what: named(id) })?;
        let defects = user.defects(members, &self.repair, Utc::now());
        let incurable: Vec<&str> = defects.iter().filter(|d| d.remedy.is_none()).map(|d| d.member).collect();
        if defects.is_empty() {
            return Err(refused(words));
        }
        if !incurable.is_empty() {
            let names = incurable.join(" and ");
            return Err(refused(format!(
                "{words} The record of the user {id} has no {names}; fill it in, or say in the target's settings \
                 (repair) which to take"
            )));
        }
        let mut whole = members.clone();
        for Defect { member, remedy, .. } in &defects {
            whole.insert((*member).to_owned(), remedy.clone().unwrap_or_default());
        }
        match self.send(calls, id, &whole).await {
            Ok(_) => {
                let told: Vec<String> = defects.iter().map(Defect::told).collect();
                let told = told.join(", ");
                tracing::warn!(account = id, repaired = told, "a record that refused every change was repaired");
                calls.note(format!("The record of the user {id} refused every change and was repaired: {told}."));
                Ok(())
            }
            Err(Rejection::Refused(words)) => Err(refused(words)),
            Err(rejection) => Err(rejection.into_error(|| named(id))),
        }
    }
}

/// What a POST cannot do without (ALIGN-13).
fn refuse_incomplete(body: &Map<String, Value>) -> Result<(), TargetError> {
    let missing: Vec<&str> = MANDATORY.into_iter().filter(|name| !body.contains_key(*name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let keys: Vec<String> = missing.iter().map(|name| format!("policy.account.fields.{name}")).collect();
    let (missing, keys) = (missing.join(", "), keys.join(", "));
    Err(refuse(format!("Jira Align makes no user without {missing}: {keys} must give it")))
}

/// Unlocking clears the end date that locking set, always: else nobody can log in, and no change is possible any more
/// (ALIGN-18, ALIGN-22).
fn switched(active: bool) -> Map<String, Value> {
    let mut members = Map::new();
    members.insert("isLocked".to_owned(), json!(if active { 0 } else { -1 }));
    if active {
        members.insert("userEndDate".to_owned(), Value::Null);
    }
    members
}

/// Whether the record shows what was sent; a lock is believed only when `status` agrees.
fn believe(user: &User, members: &Map<String, Value>) -> Result<(), TargetError> {
    for (name, sent) in members {
        let shown = user.get(name);
        let believed = match name.as_str() {
            "isLocked" => user.active() == Some(*sent == json!(0)),
            _ => same(sent, shown),
        };
        if !believed {
            let reason = format!("Jira Align answered that the user was changed, but {name} is still {shown}");
            return Err(TargetError::Refused { reason, field: Some(field(name)) });
        }
    }
    if members.contains_key("isLocked") && user.contradicts_itself() {
        let reason =
            format!("isLocked is {} as asked, but status is \"{}\"", user.get("isLocked"), user.text("status"));
        return Err(TargetError::Refused { reason, field: Some(Field::Active) });
    }
    Ok(())
}

/// An address that differs in letter case alone is the one that was asked for.
fn spell(seen: &mut SeenAccount, asked: Option<&String>) {
    if let (Some(shown), Some(asked)) = (&seen.email, asked)
        && fold(shown) == fold(asked.trim())
    {
        seen.email = Some(asked.clone());
    }
}

fn field(member: &str) -> Field {
    match member {
        "isLocked" | "userEndDate" => Field::Active,
        "email" => Field::Email,
        "externalId" => Field::Username,
        _ => Field::Extra,
    }
}

/// The one field that a change is about, if it is about one.
fn field_of(members: &Map<String, Value>) -> Option<Field> {
    let mut fields = members.keys().map(|name| field(name));
    let first = fields.next()?;
    fields.all(|other| other == first).then_some(first)
}

/// The last word is the last name; a single word is both, for neither may be empty.
fn split(display_name: &str) -> (&str, &str) {
    let name = display_name.trim();
    name.rsplit_once(char::is_whitespace).map_or((name, name), |(first, last)| (first.trim(), last))
}
