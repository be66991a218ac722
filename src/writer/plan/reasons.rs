//! Why a plan is as it is, for whoever explains it: what the planner knows and a plan does not say. Pure.

use std::collections::BTreeSet;

use super::{Known, Planner, Rules, UserFacts, required};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasons {
    /// Whether somebody pinned by hand that the person may log in, or may not.
    pub forced: Option<bool>,
    /// Whether the person is in one of the groups that the policy asks for.
    pub required: bool,
    /// Whether the account itself is written.
    pub managed: bool,
    /// Why the account cannot be written, where the policy's expressions do not come out.
    pub unmapped: Option<String>,
    /// Why the account, or its name, is left alone altogether.
    pub barred: Option<String>,
    /// Whether anything is done about groups.
    pub writes_groups: bool,
    /// Jira groups, wanted or on record, that nothing touches.
    pub barred_groups: BTreeSet<String>,
    /// Memberships on record that nobody asks for and that stay all the same.
    pub left_groups: BTreeSet<String>,
}

/// Why a user's plan is as it is; `None` where there is no such user.
pub fn reasons(facts: &UserFacts, rules: &Rules) -> Option<Reasons> {
    let planner = Planner::new(facts, rules)?;
    let bar = match &facts.record.known {
        Known::Found(seen) | Known::Linked { seen, .. } => planner.bar(seen),
        Known::Nothing | Known::Absent => planner.bar_of_name(&planner.desired.username),
    };
    let wanted = planner.wanted_groups();
    let keys = wanted.keys().chain(facts.pairs.keys());
    let left = facts.pairs.iter().filter(|(key, pair)| !wanted.contains_key(*key) && !planner.takes_away(key, pair));
    Some(Reasons {
        forced: planner.forced,
        required: required(facts, &rules.policy),
        managed: planner.managed,
        unmapped: planner.unmapped.clone(),
        barred: bar.map(|bar| bar.into_reason()),
        writes_groups: planner.writes_groups(),
        barred_groups: keys.filter(|key| planner.bars(key)).cloned().collect(),
        left_groups: left.map(|(key, _)| key.clone()).collect(),
    })
}
