//! Why a user is in a Jira group, or not.

use std::collections::BTreeMap;

use serde_json::json;
use uuid::Uuid;

use super::user::{Case, read};
use super::waiting::obstacle;
use super::words::{list, sentence, stuck};
use super::{Event, ExplainError, Explanation, meant};
use crate::account::fold;
use crate::policy::groups::{Remove, jira_groups};
use crate::store::by_hand::{self, GroupNamed};
use crate::store::link::{GroupKnown, Pair, StepState};
use crate::store::tenant::Tenant;
use crate::store::{StoreError, explain};
use crate::writer::Writer;
use crate::writer::plan::Place;

/// Explains whether and why a user is in a Jira group, named as in Jira or as the SCIM group that stands for it.
///
/// # Errors
/// [`ExplainError`].
pub async fn membership(
    writer: &Writer,
    tenant: &Tenant,
    name: &str,
    group: &str,
) -> Result<Explanation, ExplainError> {
    let id = meant(writer, tenant, name).await?;
    let case = read(writer, tenant, id).await?;
    let groups = named(writer, tenant, &case, group).await?;
    let mut conn = writer.store().pool().acquire().await.map_err(StoreError::from)?;
    let chains = explain::chains(&mut conn, tenant.id, id).await?;
    drop(conn);
    let (mut sentences, mut facts) = (Vec::new(), Vec::new());
    if groups.is_empty() {
        sentences.push(format!(
            "{} is in no Jira group because of {group}: the SCIM group stands for none under policy.groups.",
            case.called()
        ));
    }
    for (key, name) in &groups {
        let standing = writer.groups_standing_for(tenant, &case.position.rules, key).await?;
        let mut conn = writer.store().pool().acquire().await.map_err(StoreError::from)?;
        let standing = explain::group_names(&mut conn, tenant.id, &standing).await?;
        drop(conn);
        let pair = Membership { case: &case, key, name, chains: &chains, standing };
        sentences.push(pair.answer());
        sentences.extend(pair.sources());
        sentences.extend(pair.record());
        sentences.extend(pair.rules());
        facts.push(pair.facts());
    }
    let keys: Vec<&String> = groups.keys().collect();
    let timeline = case.history.timeline.iter().filter(|event| concerns(event, &groups, group)).cloned().collect();
    let facts = json!({ "memberships": facts, "groups": keys, "of": case.facts() });
    Ok(Explanation { sentences, timeline, facts })
}

/// Whether an event speaks of one of these groups.
fn concerns(event: &Event, groups: &BTreeMap<String, String>, asked: &str) -> bool {
    let text = fold(&event.sentence);
    groups.keys().any(|key| text.contains(key)) || text.contains(&fold(asked))
}

/// The Jira groups that are meant: key to name.
async fn named(
    writer: &Writer,
    tenant: &Tenant,
    case: &Case<'_>,
    group: &str,
) -> Result<BTreeMap<String, String>, StoreError> {
    let mut conn = writer.store().pool().acquire().await?;
    let known = by_hand::group_named(&mut conn, tenant.id, Uuid::try_parse(group).ok(), &fold(group)).await?;
    drop(conn);
    let facts = &case.position.facts;
    let spelt = |key: &String| {
        let name = facts.groups.get(key).map(|group| group.name.clone()).filter(|name| !name.is_empty());
        name.or_else(|| case.position.desired.groups.get(key).cloned())
    };
    Ok(match known {
        Some(GroupNamed::Scim(alias)) => jira_groups(&case.position.rules.policy.groups, &alias)
            .into_iter()
            .map(|name| (fold(&name), name))
            .collect(),
        Some(GroupNamed::Jira(key)) => BTreeMap::from([(key.clone(), spelt(&key).unwrap_or(key))]),
        None => {
            let key = fold(group.trim());
            BTreeMap::from([(key.clone(), spelt(&key).unwrap_or_else(|| group.trim().to_owned()))])
        }
    })
}

struct Membership<'a> {
    case: &'a Case<'a>,
    key: &'a str,
    name: &'a str,
    /// Names of SCIM groups as the rules see them, with the shortest way up to each.
    chains: &'a BTreeMap<String, Vec<String>>,
    /// The SCIM groups that stand for this Jira group.
    standing: Vec<String>,
}

impl Membership<'_> {
    fn pair(&self) -> Pair {
        self.case.position.facts.pairs.get(self.key).cloned().unwrap_or_default()
    }

    fn is_wanted(&self) -> bool {
        self.case.position.desired.groups.contains_key(self.key)
    }

    /// Why somebody wants it: `is in the SCIM group Crew (through Team)`, a default group, a pin.
    fn wants(&self) -> Vec<String> {
        let rules = &self.case.position.rules.policy.groups;
        let stands = |alias: &str| jira_groups(rules, alias).iter().any(|name| fold(name) == self.key);
        let mut wants = Vec::new();
        for group in &self.case.position.facts.groups_in {
            if !stands(&group.name) || !(group.direct || rules.nesting) {
                continue;
            }
            let way = self.chains.get(&group.name).map(Vec::as_slice).unwrap_or_default();
            let through = match way {
                [below @ .., _] if !group.direct && !below.is_empty() => format!(" through {}", list(below)),
                _ => String::new(),
            };
            let alias = if fold(&group.shown) == fold(&group.name) {
                String::new()
            } else {
                format!(", which counts by its first name {}", group.name)
            };
            wants.push(format!("the user is in the SCIM group {}{through}{alias}", group.shown));
        }
        if rules.default_groups.iter().any(|name| fold(name.trim()) == self.key) {
            wants.push("it is one of policy.groups.default_groups".to_owned());
        }
        let pinned = self.case.pins.iter().filter(|pin| pin.group.as_deref().is_some_and(|g| fold(g) == self.key));
        wants.extend(pinned.map(|pin| format!("{} pinned it by hand ({})", pin.actor, pin.reason)));
        wants
    }

    /// The state that keeps this membership, or its group, from being written.
    fn stuck(&self) -> Option<StepState> {
        let planned = self.case.position.plan.stuck.iter();
        let mut planned =
            planned.filter(|(place, _)| *place == Place::Pair(self.key.to_owned())).map(|(_, state)| state.clone());
        let group = self.case.position.facts.groups.get(self.key).and_then(|group| group.step.clone());
        planned.next_back().or_else(|| self.pair().step).or(group.filter(|_| self.is_wanted()))
    }

    fn why_not_yet(&self) -> String {
        let case = self.case;
        if let Some(state) = self.stuck() {
            return format!("it {}", stuck(&state));
        }
        if self.is_wanted() && case.position.facts.record.linked().is_none() {
            return format!("there is no account to put into it; {}", case.why_not_yet());
        }
        if self.is_wanted() && !case.position.desired.account.active {
            let out = case.why_out().unwrap_or_else(|| "the account is switched off".to_owned());
            return format!("whoever may not log in joins nothing new, and {out}.");
        }
        if !case.position.reasons.writes_groups {
            return "nothing is done about groups here (policy.groups.enabled, or a target without groups).".to_owned();
        }
        match obstacle(case.tenant, &case.position, case.open.as_ref()) {
            Some(why) => sentence(&why),
            None => case.why_not_yet(),
        }
    }

    fn answer(&self) -> String {
        let (who, pair, wants) = (self.case.called(), self.pair(), self.wants());
        let because = if wants.is_empty() { "it came so".to_owned() } else { wants.join(", and ") };
        let (name, on_record) = (self.name, pair.written && !pair.maybe);
        match (on_record, self.is_wanted()) {
            (true, true) if pair.theirs => {
                format!("{who} is in the Jira group {name} already, by somebody else's doing; {because}.")
            }
            (true, true) => format!("{who} is in the Jira group {name}, because {because}."),
            (true, false) if pair.theirs || self.is_left() => {
                format!(
                    "{who} is in the Jira group {name} although no identity provider asks for it: {}",
                    self.why_left(&pair)
                )
            }
            (true, false) => {
                format!("{who} is still in the Jira group {name}, and is to be taken out of it: {}", self.why_not_yet())
            }
            (false, true) => format!(
                "{who} is to be in the Jira group {name}, because {because}, and is not yet: {}",
                self.why_not_yet()
            ),
            (false, false) if pair.maybe => {
                format!(
                    "Nobody knows whether {who} is in the Jira group {name}: a write had no answer; it is taken back."
                )
            }
            (false, false) => {
                format!("{who} is not in the Jira group {name}, as far as is on record: {}", self.why_not())
            }
        }
    }

    fn is_left(&self) -> bool {
        self.case.position.reasons.left_groups.contains(self.key)
    }

    fn why_left(&self, pair: &Pair) -> String {
        match self.case.position.rules.policy.groups.remove {
            Remove::Never => "policy.groups.remove = \"never\" takes nothing away.".to_owned(),
            Remove::All => "it is one of policy.groups.remove_exclude, or nobody may touch it.".to_owned(),
            Remove::Ours if pair.theirs => "somebody else put the account there, and that is left alone.".to_owned(),
            Remove::Ours => "what was there before is left alone.".to_owned(),
        }
    }

    /// Why nobody asks for it.
    fn why_not(&self) -> String {
        let facts = &self.case.position.facts;
        if facts.user.as_ref().is_some_and(|user| user.deleted) || self.case.why_out().is_some() && self.wants_if_in() {
            let out = self.case.why_out().unwrap_or_default();
            return format!("{out}.");
        }
        let rules = &self.case.position.rules.policy.groups;
        let nested = facts.groups_in.iter().find(|group| {
            !group.direct && !rules.nesting && jira_groups(rules, &group.name).iter().any(|name| fold(name) == self.key)
        });
        if let Some(group) = nested {
            return format!(
                "the user is in {} only through another group, and policy.groups.nesting is off.",
                group.shown
            );
        }
        match self.standing.as_slice() {
            [] => "no SCIM group stands for it, it is no default group, and nobody pinned it.".to_owned(),
            [one] => format!("the SCIM group {one} stands for it, and the user is not in that."),
            many => format!("the SCIM groups {} stand for it, and the user is in none of them.", list(many)),
        }
    }

    fn wants_if_in(&self) -> bool {
        !self.wants().is_empty()
    }

    /// Which SCIM groups the user is in, and by which rule they count.
    fn sources(&self) -> Vec<String> {
        let rules = &self.case.position.rules.policy.groups;
        let mut told = Vec::new();
        if !self.standing.is_empty() {
            told.push(format!("For the Jira group {} stand these SCIM groups: {}.", self.name, list(&self.standing)));
        }
        for group in &self.case.position.facts.groups_in {
            let names = jira_groups(rules, &group.name);
            if names.iter().any(|name| fold(name) == self.key) {
                let rule = if rules.lists(&group.name) {
                    "policy.groups.table"
                } else if rules.is_plain() {
                    "its name"
                } else {
                    "policy.groups (include, exclude, rename, case)"
                };
                let how = if group.direct { "a direct member" } else { "a member through a group in it" };
                told.push(format!(
                    "The user is {how} of the SCIM group {}, which stands for {} by {rule}.",
                    group.shown,
                    list(&names)
                ));
            }
        }
        told
    }

    /// What is on record of the pair and of the group.
    fn record(&self) -> Vec<String> {
        let (pair, mut told) = (self.pair(), Vec::new());
        if pair.imported {
            told.push("The membership was there when it was imported: nobody of ours gave it.".to_owned());
        } else if pair.theirs {
            told.push("The membership is not ours: it was there, and nobody of ours gave it.".to_owned());
        } else if pair.written {
            told.push("The membership is on record as written from here, or taken over.".to_owned());
        }
        if pair.maybe {
            told.push("The outcome of the last write is not known; it is looked at again.".to_owned());
        }
        if let Some(group) = self.case.position.facts.groups.get(self.key) {
            let what = match group.known {
                GroupKnown::Exists if group.made => "exists and was made from here",
                GroupKnown::Exists => "exists, and was there before",
                GroupKnown::Maybe => "may exist: the outcome of making it is not known",
                GroupKnown::Unknown => "is not known to exist",
            };
            told.push(format!("The Jira group {} {what}.", self.name));
            told.extend(group.step.as_ref().map(|state| format!("Making it {}", stuck(state))));
        }
        told
    }

    fn rules(&self) -> Option<String> {
        let barred = self.case.position.reasons.barred_groups.contains(self.key);
        let why = match self.case.position.rules.policy.protect.covers_group(self.name) {
            true => "policy.protect.groups",
            false => "it grants administration, and protect.allow does not name it",
        };
        barred.then(|| format!("Nobody touches the Jira group {}: {why}.", self.name))
    }

    fn facts(&self) -> serde_json::Value {
        json!({
            "group": self.name,
            "wanted": self.is_wanted(),
            "because": self.wants(),
            "pair": self.case.position.facts.pairs.get(self.key),
            "jira_group": self.case.position.facts.groups.get(self.key),
            "scim_groups": self.standing,
            "ways": self.chains,
            "protected": self.case.position.reasons.barred_groups.contains(self.key),
            "not_done": self.stuck(),
        })
    }
}
