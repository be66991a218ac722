//! Why a user is as he is in Jira.

use serde_json::{Value, json};
use uuid::Uuid;

use super::history::{History, history};
use super::waiting::{looks_first, next_steps, obstacle};
use super::words::{list, stuck, time};
use super::{ExplainError, Explanation, meant};
use crate::policy::Adopt;
use crate::store::explain::{Born, Open, born, open};
use crate::store::link::{AccountStep, Known, StepState};
use crate::store::overrides::{self, Listed};
use crate::store::tenant::Tenant;
use crate::store::{StoreError, brake};
use crate::writer::Writer;
use crate::writer::plan::Place;
use crate::writer::position::Position;

/// Explains a user by userName (also a former one), login name in Jira, or id.
///
/// # Errors
/// [`ExplainError`].
pub async fn user(writer: &Writer, tenant: &Tenant, name: &str) -> Result<Explanation, ExplainError> {
    let id = meant(writer, tenant, name).await?;
    let case = read(writer, tenant, id).await?;
    let mut sentences = vec![case.answer()];
    sentences.extend(case.origin());
    sentences.extend(case.account());
    sentences.extend(case.rules());
    sentences.extend(case.pinned());
    sentences.extend(case.not_done());
    sentences.extend(case.brake.clone());
    sentences.extend(next_steps(&case.position));
    sentences.extend(case.groups());
    sentences.extend(case.last());
    let facts = case.facts();
    Ok(Explanation { sentences, timeline: case.history.timeline, facts })
}

/// All that is known of a user.
pub(super) struct Case<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) position: Position,
    pub(super) open: Option<Open>,
    born: Option<Born>,
    pub(super) pins: Vec<Listed>,
    pub(super) history: History,
    /// That the brake is tripped.
    brake: Option<String>,
}

/// Reads it, everything from the store.
pub(super) async fn read<'a>(writer: &Writer, tenant: &'a Tenant, id: Uuid) -> Result<Case<'a>, ExplainError> {
    let no_user = || ExplainError::NoUser { tenant: tenant.slug.clone(), name: id.to_string() };
    let position = writer.position(tenant, id).await?.ok_or_else(no_user)?;
    let mut conn = writer.store().pool().acquire().await.map_err(StoreError::from)?;
    let window = position.rules.policy.brake.window.duration();
    let (trip, _) = brake::look(&mut conn, tenant.id, window).await?;
    let brake = trip.map(|trip| {
        format!(
            "The tenant's brake is tripped since {}: {} What takes away is held.",
            time(trip.at),
            super::words::sentence(&trip.reason)
        )
    });
    Ok(Case {
        tenant,
        open: open(&mut conn, tenant.id, id).await?,
        born: born(&mut conn, tenant.id, id).await?,
        pins: overrides::list(&mut conn, tenant.id, Some(id), false, 20).await?,
        history: history(&mut conn, tenant.id, id).await?,
        position,
        brake,
    })
}

impl Case<'_> {
    fn attr(&self, name: &str) -> Option<&str> {
        self.position.facts.user.as_ref()?.attrs.get(name)?.as_str()
    }

    /// `Ann Lee (ann@example.com)`.
    pub(super) fn called(&self) -> String {
        let user_name = self.attr("userName").unwrap_or("somebody without a name");
        match self.attr("displayName").filter(|name| *name != user_name) {
            Some(name) => format!("{name} ({user_name})"),
            None => user_name.to_owned(),
        }
    }

    /// The state of the account step that keeps something from being done.
    pub(super) fn stuck_account(&self) -> Option<(&AccountStep, &StepState)> {
        let on_record = self.position.facts.record.steps.iter();
        let planned = self.position.plan.stuck.iter().filter_map(|(place, state)| match place {
            Place::Account(step) => Some((step, state)),
            _ => None,
        });
        let void = |step: &AccountStep| self.position.plan.void.contains(&Place::Account(step.clone()));
        planned.chain(on_record.filter(|(step, _)| !void(step))).next()
    }

    /// Why the person may not log in, whoever has to see to it.
    pub(super) fn why_out(&self) -> Option<String> {
        let (facts, reasons) = (&self.position.facts, &self.position.reasons);
        let user = facts.user.as_ref()?;
        if reasons.forced == Some(false) {
            let pin = self.pins.iter().find(|pin| pin.what == "inactive");
            let by = pin.map(|pin| format!(" by {} ({})", pin.actor, pin.reason)).unwrap_or_default();
            return Some(format!("that was pinned by hand{by}"));
        }
        if let Some(at) = user.deleted_at {
            return Some(format!("the identity provider deleted the user at {}", time(at)));
        }
        if !user.active {
            return Some("the identity provider says that the user is not active".to_owned());
        }
        if !reasons.required {
            let groups = &self.position.rules.policy.users.required_groups;
            return Some(format!(
                "the user is in none of the groups of policy.users.required_groups ({})",
                list(groups)
            ));
        }
        (user.imported && !self.position.desired.account.active)
            .then(|| "the account was imported as it is, and no identity provider has claimed it yet".to_owned())
    }

    /// Why what is wanted is not so (yet).
    pub(super) fn why_not_yet(&self) -> String {
        if let Some((_, state)) = self.stuck_account() {
            return format!("it {}", stuck(state));
        }
        if let Some(obstacle) = obstacle(self.tenant, &self.position, self.open.as_ref()) {
            return super::words::sentence(&obstacle);
        }
        if looks_first(&self.position) {
            return "it is looked at Jira first, because the outcome of an earlier write is not known.".to_owned();
        }
        match self.position.plan.steps.is_empty() {
            true => "nothing is left to do, as far as is on record.".to_owned(),
            false => "it is written with the next drive.".to_owned(),
        }
    }

    /// The answer, in one sentence.
    fn answer(&self) -> String {
        let (who, desired) = (self.called(), &self.position.desired);
        let record = &self.position.facts.record;
        let wanted = desired.account.active;
        let out = self.why_out().unwrap_or_else(|| "nobody wants it otherwise".to_owned());
        match record.linked() {
            Some(seen) if seen.active && wanted => {
                let but = match self.stuck_account() {
                    Some((_, state)) => format!("; but something {}", stuck(state)),
                    None => ".".to_owned(),
                };
                format!("{who} may log in to Jira as {}{but}", seen.username)
            }
            Some(seen) if !seen.active && !wanted => {
                format!("{who} may not log in to Jira: the account {} is switched off, because {out}.", seen.username)
            }
            Some(seen) if seen.active => {
                format!("{who} may still log in to Jira as {} although {out}: {}", seen.username, self.why_not_yet())
            }
            Some(seen) => format!(
                "{who} may not log in to Jira yet, although the account {} is to be switched on: {}",
                seen.username,
                self.why_not_yet()
            ),
            None if desired.there => format!("{who} has no account in Jira yet: {}", self.why_not_yet()),
            None => format!("{who} has no account in Jira, and gets none, because {out}."),
        }
    }

    fn origin(&self) -> Option<String> {
        let (user, born) = (self.position.facts.user.as_ref()?, self.born.as_ref()?);
        let how = if user.imported {
            "was imported from Jira, and no identity provider has claimed it since"
        } else {
            "was made by the identity provider"
        };
        let state = match (user.deleted_at, user.active) {
            (Some(at), _) if user.undone => format!("the create was taken back at {}", time(at)),
            (Some(at), _) => format!("deleted at {}", time(at)),
            (None, true) => "active".to_owned(),
            (None, false) => "not active".to_owned(),
        };
        let external = self.attr("externalId").map(|id| format!(", externalId {id}")).unwrap_or_default();
        Some(format!(
            "The SCIM user {} (id {}{external}) {how}, at {}; it was last changed at {} and is now {state}.",
            self.attr("userName").unwrap_or_default(),
            self.position.facts.user_id,
            time(born.created),
            time(born.modified)
        ))
    }

    /// Which account it is, and how it came to be the user's.
    fn account(&self) -> Vec<String> {
        let record = &self.position.facts.record;
        let mut told = Vec::new();
        match &record.known {
            Known::Linked { seen, maybe } => {
                let how = self.how_linked();
                let mail = seen.email.as_ref().map(|mail| format!(", {mail}")).unwrap_or_default();
                told.push(format!(
                    "The account is {} (key {}): {}{mail}, {}. {how}",
                    seen.username,
                    seen.id,
                    seen.display_name,
                    if seen.active { "active" } else { "switched off" }
                ));
                if *maybe {
                    told.push("The outcome of the last write is not known; the account is looked at before it is written again.".to_owned());
                }
            }
            Known::Found(seen) => {
                let why = match self.position.rules.policy.adopt {
                    Adopt::Ask => "waits for approval (policy.adopt = \"ask\")",
                    Adopt::Off => "is not taken over (policy.adopt = \"off\")",
                    Adopt::Link => "is taken over with the next write",
                };
                told.push(format!("An account {} (key {}) was found in Jira; it {why}.", seen.username, seen.id));
            }
            Known::Absent => told.push("It was looked for in Jira, and there was no account of that name.".to_owned()),
            Known::Nothing => {}
        }
        if let Some(at) = self.position.facts.look_at {
            told.push(format!("Jira may still do what it did not answer: it is looked at once more at {}.", time(at)));
        }
        told
    }

    fn how_linked(&self) -> String {
        let record = &self.position.facts.record;
        if let (true, Some(creation)) = (record.made, &self.history.creation) {
            return format!("It was created from here at {}.", time(creation.at));
        }
        if record.made {
            return "It was created from here, before the records go back.".to_owned();
        }
        if self.position.facts.user.as_ref().is_some_and(|user| user.imported) {
            return "It was there before, and was imported.".to_owned();
        }
        match &record.approved {
            Some(_) => "It was there before, and became this user's when somebody approved.".to_owned(),
            None => "It was there before, and was taken over for this user.".to_owned(),
        }
    }

    /// What the policy makes of the user.
    fn rules(&self) -> Vec<String> {
        let (position, mut told) = (&self.position, Vec::new());
        let (account, rules) = (&position.desired.account, &position.rules.policy.account);
        let by = |rule: bool, key: &str, otherwise: &str| match rule {
            true => format!("policy.account.{key}"),
            false => otherwise.to_owned(),
        };
        if position.reasons.managed && position.facts.user.as_ref().is_some_and(|user| !user.deleted) {
            told.push(format!(
                "By the policy the login name is {} (from {}), the e-mail address {} (from {}), the display name {} (from {}).",
                account.username,
                by(rules.username.is_some(), "username", "userName"),
                account.email,
                by(rules.email.is_some(), "email", "emails"),
                account.display_name,
                by(rules.display_name.is_some(), "display_name", "displayName or name"),
            ));
        }
        if !position.reasons.managed && !position.rules.policy.users.enabled {
            told.push("policy.users.enabled is off: the account is only found, never written.".to_owned());
        }
        told.extend(position.reasons.unmapped.as_ref().map(|why| format!("The account cannot be written: {why}")));
        told.extend(position.reasons.barred.clone());
        let required = &position.rules.policy.users.required_groups;
        if !required.is_empty() && position.reasons.required {
            told.push(format!(
                "The user is in one of the groups that policy.users.required_groups asks for ({}).",
                list(required)
            ));
        }
        told
    }

    fn pinned(&self) -> Vec<String> {
        let told = self.pins.iter().map(|pin| {
            let what = pin.group.as_ref().map_or_else(|| pin.what.clone(), |group| format!("member of {group}"));
            let until = pin
                .until
                .map_or_else(|| "until the identity provider agrees".to_owned(), |at| format!("until {}", time(at)));
            format!(
                "Pinned by {} at {}: {what}, {until}, because: {}",
                pin.actor,
                time(pin.created),
                super::words::sentence(&pin.reason)
            )
        });
        told.collect()
    }

    /// Every step that is not being done.
    fn not_done(&self) -> Vec<String> {
        let (facts, mut told) = (&self.position.facts, Vec::new());
        for (step, state) in &facts.record.steps {
            let what = match step {
                AccountStep::Write => "Writing the account".to_owned(),
                AccountStep::Active => "Switching the account on or off".to_owned(),
                AccountStep::Delete => "Deleting the account".to_owned(),
                AccountStep::Access(access) => format!("Access to {access}"),
            };
            told.push(format!("{what} {}", stuck(state)));
        }
        for (key, pair) in &facts.pairs {
            let name = facts.groups.get(key).map(|group| group.name.clone()).filter(|name| !name.is_empty());
            let name = name.or_else(|| facts.wanted.get(key).cloned()).unwrap_or_else(|| key.clone());
            told.extend(
                pair.step.as_ref().map(|state| format!("The membership of the Jira group {name} {}", stuck(state))),
            );
        }
        let settled = self.position.plan.steps.is_empty() && self.position.plan.stuck.is_empty();
        let open = self.open.as_ref().filter(|open| !settled || open.attempts > 0);
        if !settled || open.is_some() {
            told.extend(obstacle(self.tenant, &self.position, open).map(|why| {
                let mut chars = why.chars();
                let first = chars.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default();
                super::words::sentence(&format!("{first}{}", chars.as_str()))
            }));
        }
        told
    }

    fn groups(&self) -> Option<String> {
        if !self.position.reasons.writes_groups {
            return None;
        }
        let names: Vec<&String> = self.position.desired.groups.values().collect();
        let shown: Vec<&String> = names.iter().take(30).copied().collect();
        let more = names.len().saturating_sub(shown.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Some(match names.is_empty() {
            true => "The user is to be in no Jira group.".to_owned(),
            false if names.len() == 1 => format!("The user is to be in one Jira group: {}.", list(&shown)),
            false => format!("The user is to be in {} Jira groups: {}{more}.", names.len(), list(&shown)),
        })
    }

    /// The last request and the last thing that was done to Jira.
    fn last(&self) -> Vec<String> {
        let deed = self.history.deeds.first();
        let delivery = self.history.deliveries.first();
        let mut told = Vec::new();
        told.extend(deed.map(|deed| format!("Last change, {}: {}", time(deed.at), super::words::done(deed))));
        told.extend(delivery.map(|one| format!("Last delivery, {}: {}", time(one.at), super::words::delivered(one))));
        told
    }

    /// The same as data.
    pub(super) fn facts(&self) -> Value {
        let (position, facts) = (&self.position, &self.position.facts);
        let user = facts.user.as_ref();
        json!({
            "tenant": self.tenant.slug,
            "user": {
                "id": facts.user_id,
                "userName": self.attr("userName"),
                "active": user.map(|user| user.active),
                "deleted": user.and_then(|user| user.deleted_at),
                "imported": user.is_some_and(|user| user.imported),
                "born": self.born,
                "groups": facts.groups_in.iter()
                    .map(|group| json!({"name": group.shown, "direct": group.direct})).collect::<Vec<_>>(),
            },
            "mode": self.tenant.mode,
            "account": facts.record.known,
            "made": facts.record.made,
            "wanted": {"account": position.desired.account, "there": position.desired.there, "groups": position.desired.groups},
            "steps": position.plan.steps,
            "not_done": facts.record.steps,
            "pairs": facts.pairs,
            "open": self.open,
            "pinned": self.pins,
            "target": {
                "name": self.tenant.target,
                "paused": position.target.is_paused(),
                "pause": position.target.pause_reason.as_deref().filter(|_| position.target.is_paused()),
                "until": position.target.paused_until.filter(|_| position.target.is_paused()),
            },
            "deliveries": self.history.deliveries,
        })
    }
}
