//! One user's drive played to its end without writing anything. Pure: what the target and the claims would say is asked
//! for as a [`Need`], and the play begins anew once it is known.

use super::sight::{Claimed, Need, Sight};
use crate::account::{AccountId, Field, SeenAccount, fold};
use crate::jira::{Created, TargetError, Written};
use crate::policy::groups::Remove;
use crate::store::drive::What;
use crate::store::link::{AccountStep, Known, StepState, UserFacts};
use crate::writer::absorb::{Done, Times, absorb, absorb_error, set_state, set_states};
use crate::writer::drive::skip;
use crate::writer::last_administrator;
use crate::writer::perform::no_such_group;
use crate::writer::plan::{Place, Rules, Step, fingerprint, plan_user, refused};

/// How many plans one play may take: a drive makes eight rounds, and comes back.
const ROUNDS: usize = 16;

/// What a play came to.
#[derive(Clone, Debug)]
pub(super) struct Played {
    /// The record as it would be.
    pub after: UserFacts,
    /// The steps that change something, each with the account on record before it.
    pub moves: Vec<(Step, Option<SeenAccount>)>,
    /// The names and accounts that would be claimed.
    pub claimed: Vec<(What, String)>,
    /// Keys of groups that would be made.
    pub made: Vec<String>,
    /// The account of an administrator who would be none any more.
    pub administrator: Option<AccountId>,
}

/// Plays one user.
pub(super) fn play(facts: &UserFacts, rules: &Rules, sight: &Sight<'_>) -> Result<Played, Need> {
    let mut played =
        Played { after: facts.clone(), moves: Vec::new(), claimed: Vec::new(), made: Vec::new(), administrator: None };
    if matches!(facts.record.known, Known::Found(_)) && !plan_user(facts, rules).is_empty() {
        // As in a claim: an account that an earlier drive found may be gone by now.
        played.after.record.known = Known::Nothing;
    }
    for _ in 0..ROUNDS {
        let plan = plan_user(&played.after, rules);
        if plan.is_empty() {
            break;
        }
        if reserve(&mut played, rules, &plan.steps, sight)? {
            continue;
        }
        if let Some(taken) = last_administrator::taken(&played.after, rules, &plan) {
            if !sight.can_any_log_in(&taken.others)? {
                let (place, state) = taken.forbidden();
                set_state(&mut played.after, &place, Some(state));
                continue;
            }
            played.administrator = Some(taken.id);
        }
        set_states(&mut played.after, &plan);
        for step in &plan.steps {
            if skip(&mut played.after, step, rules).is_none() {
                take(&mut played, step, rules, sight)?;
            }
        }
    }
    Ok(played)
}

/// What a claim would say of the login name or account that is about to be written; true when the record is another one
/// now, and is to be planned again.
fn reserve(played: &mut Played, rules: &Rules, steps: &[Step], sight: &Sight<'_>) -> Result<bool, Need> {
    let name = |username: &str| vec![(What::Name, fold(username))];
    let wanted = steps.iter().find_map(|step| match step {
        Step::Create { account, .. } => Some((step, name(&account.username))),
        Step::Update { change, .. } => change.username.as_deref().map(|username| (step, name(username))),
        Step::Link { account, .. } => {
            Some((step, vec![(What::Name, fold(&account.username)), (What::Account, account.id.0.clone())]))
        }
        _ => None,
    });
    let Some((step, claims)) = wanted else { return Ok(false) };
    for (what, key) in &claims {
        if let Claimed::Held(why) = sight.claim(*what, key)? {
            let place = Place::Account(AccountStep::Write);
            let fingerprint = fingerprint(&played.after, rules, &place).unwrap_or_default();
            let state = refused(fingerprint, why.clone(), Some(Field::Username), rules.now);
            set_state(&mut played.after, &place, Some(StepState { conflict: true, ..state }));
            return Ok(true);
        }
    }
    played.claimed.extend(claims);
    let links = matches!(step, Step::Link { .. });
    if links {
        played.moves.push((step.clone(), None));
        absorb(&mut played.after, step, Done::Linked, times(rules));
    }
    Ok(links)
}

/// Does one step, as the target is expected to answer.
fn take(played: &mut Played, step: &Step, rules: &Rules, sight: &Sight<'_>) -> Result<(), Need> {
    let before = played.after.record.linked().cloned();
    match answer(&played.after, step, sight)? {
        Ok(done) => {
            let changes = match &done {
                Done::Looked(_) | Done::Linked | Done::NoGroup { .. } | Done::Created(Created::Exists(_)) => false,
                Done::Ensured { made, .. } => *made,
                _ => true,
            };
            if let (Step::EnsureGroup { key, .. }, true) = (step, changes) {
                played.made.push(key.clone());
            }
            if changes {
                played.moves.push((step.clone(), before));
            }
            absorb(&mut played.after, step, done, times(rules));
        }
        Err(error) => absorb_error(&mut played.after, step, &error, times(rules)),
    }
    Ok(())
}

/// The key of an account that would be made.
const NEW: &str = "new";

fn answer(facts: &UserFacts, step: &Step, sight: &Sight<'_>) -> Result<Result<Done, TargetError>, Need> {
    let as_asked = |off| Ok(Done::Written(Written::AsAsked { off }));
    Ok(match step {
        // Which groups Jira puts a new account into is not known before.
        Step::Look { id: Some(id), .. } if id.0 == NEW => {
            let made = facts.record.linked().cloned();
            Ok(Done::Looked(made.map(|made| SeenAccount { groups: Some(Vec::new()), ..made })))
        }
        Step::Look { id: Some(id), .. } => Ok(Done::Looked(sight.by_id(id)?.cloned())),
        Step::Look { username, by, .. } if by.is_empty() => Ok(Done::Looked(sight.by_name(username)?.cloned())),
        Step::Look { by, .. } => sight.by_any(by)?.map(|found| Done::Looked(found.cloned())),
        Step::Link { .. } => Ok(Done::Linked),
        Step::Create { account, .. } => Ok(Done::Created(match sight.by_name(&account.username)? {
            Some(there) => Created::Exists(there.clone()),
            None => Created::New(SeenAccount {
                id: AccountId(NEW.to_owned()),
                username: account.username.clone(),
                email: Some(account.email.clone()),
                display_name: account.display_name.clone(),
                active: account.active,
                extra: account.extra.clone(),
                ..SeenAccount::default()
            }),
        })),
        Step::Update { id, change, .. } => {
            let there = match &change.username {
                Some(username) => sight.by_name(username)?.filter(|there| there.id != *id),
                None => None,
            };
            match there {
                Some(there) => {
                    Err(TargetError::Conflict { reason: format!("An account named {} exists.", there.username) })
                }
                None => as_asked(None),
            }
        }
        Step::SetActive { active, off, .. } => as_asked(off.filter(|_| !active)),
        Step::Grant { .. } | Step::Revoke { .. } => Ok(Done::AccessWritten),
        Step::Delete { .. } => Ok(Done::Deleted),
        Step::EnsureGroup { key, name, create } => Ok(match sight.group(key, name)? {
            Some(group) if group.read_only.is_some() => {
                Done::NoGroup { reason: group.read_only.clone().unwrap_or_default() }
            }
            Some(group) => Done::Ensured { made: false, administrative: group.administrative, id: group.id.clone() },
            None if *create => Done::Ensured { made: true, administrative: false, id: None },
            None => Done::NoGroup { reason: no_such_group(name) },
        }),
        Step::DeleteGroup { .. } => Ok(Done::GroupDeleted),
        Step::AddMember { .. } | Step::RemoveMember { .. } => {
            debug_assert!(facts.record.linked().is_some());
            Ok(Done::PairWritten)
        }
    })
}

fn times(rules: &Rules) -> Times {
    let survey = rules.policy.groups.remove == Remove::All;
    Times { now: rules.now, late: chrono::TimeDelta::zero(), survey }
}
