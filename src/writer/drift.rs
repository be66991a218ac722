//! What a target has that is not what was written there: for each difference what was written, what is there, and what is to be.
//! Pure. What the target does not show, what is `maybe`, and what we may not write is no difference.

use std::collections::BTreeSet;

use super::plan::{Desired, Place, Rules, desired};
use crate::account::{Access, Account, Field, SeenAccount, fold};
use crate::policy::groups::Remove;
use crate::store::drift::Difference;
use crate::store::link::{AccountStep, Known, UserFacts};

/// Whether anything can be concluded from a look at the user's account now: it is ours, nothing about it is uncertain, and it is
/// not one that was only learnt.
pub(crate) fn is_comparable(facts: &UserFacts) -> bool {
    let certain = facts.look_at.is_none() && facts.record.maybe_granted.is_empty();
    let known = matches!(&facts.record.known, Known::Linked { seen, maybe: false } if seen.hands_off.is_none());
    certain && known && facts.user.as_ref().is_some_and(|user| !user.imported)
}

/// The differences between the record and what the target shows of the account; `None`: it is not there.
pub(crate) fn differences(facts: &UserFacts, rules: &Rules, seen: Option<&SeenAccount>) -> Vec<Difference> {
    let (Some(written), Some(desired)) = (facts.record.linked(), desired(facts, rules)) else { return Vec::new() };
    let Some(seen) = seen else { return vec![vanished(written, &desired)] };
    if seen.hands_off.is_some() || rules.protected.is_own(&seen.id) {
        return Vec::new();
    }
    let mut found = fields(written, seen, &desired.account);
    found.extend(accesses(facts, seen, &desired.account));
    found.extend(groups(facts, rules, seen, &desired));
    found
}

fn vanished(written: &SeenAccount, desired: &Desired) -> Difference {
    let wanted = desired.there.then(|| desired.account.username.clone());
    Difference { field: ACCOUNT.to_owned(), written: Some(written.username.clone()), found: None, wanted }
}

const ACCOUNT: &str = "account";
const ACTIVE: &str = "active";
const ACCESS: &str = "access:";
const GROUP: &str = "group:";

fn fields(written: &SeenAccount, seen: &SeenAccount, wanted: &Account) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut compare = |field: &str, written: &str, seen: &str, wanted: &str| {
        if written != seen {
            let text = |text: &str| Some(text.to_owned());
            found.push(Difference {
                field: field.to_owned(),
                written: text(written),
                found: text(seen),
                wanted: text(wanted),
            });
        }
    };
    compare(ACTIVE, flag(written.active), flag(seen.active), flag(wanted.active));
    let writable = |field: Field| !seen.read_only.contains(&field);
    // A login name that differs only in letter case is no rename to Jira (DC-30), and one that is hidden is unknown.
    if writable(Field::Username) && !seen.username.is_empty() && fold(&written.username) != fold(&seen.username) {
        compare("username", &written.username, &seen.username, &wanted.username);
    }
    if let (true, Some(before), Some(now)) = (writable(Field::Email), &written.email, &seen.email) {
        compare("email", before, now, &wanted.email);
    }
    if writable(Field::DisplayName) {
        compare("display_name", &written.display_name, &seen.display_name, &wanted.display_name);
    }
    for (name, value) in wanted.extra.iter().filter(|_| writable(Field::Extra)) {
        if let (Some(before), Some(now)) = (written.extra.get(name), seen.extra.get(name)) {
            compare(name, before, now, value);
        }
    }
    found
}

fn flag(active: bool) -> &'static str {
    if active { "true" } else { "false" }
}

/// Access that we gave and that is not there; what somebody else gave is no business of ours.
fn accesses(facts: &UserFacts, seen: &SeenAccount, wanted: &Account) -> Vec<Difference> {
    let Some(there) = &seen.access else { return Vec::new() };
    let gone = facts.record.granted.iter().filter(|access| !there.contains(*access));
    let difference = |access: &Access| Difference {
        field: AccountStep::Access(access.clone()).to_string(),
        written: Some("given".to_owned()),
        found: None,
        wanted: wanted.access.contains(access).then(|| "given".to_owned()),
    };
    gone.map(difference).collect()
}

/// Memberships that we wrote and that are not there; and where everything that nobody asks for is taken away, those that are
/// there and that nobody asked for.
fn groups(facts: &UserFacts, rules: &Rules, seen: &SeenAccount, desired: &Desired) -> Vec<Difference> {
    let Some(names) = seen.groups.as_ref().filter(|_| rules.policy.groups.enabled) else { return Vec::new() };
    let there: BTreeSet<String> = names.iter().map(|name| fold(name)).collect();
    let member = || Some("member".to_owned());
    let wanted = |key: &str| desired.groups.contains_key(key).then(|| "member".to_owned());
    let name = |key: &String| facts.groups.get(key).map_or(key, |group| &group.name).clone();
    let uncertain = |key: &String| facts.record.watch.contains(key);
    let gone = facts
        .pairs
        .iter()
        .filter(|(key, pair)| pair.written && !pair.theirs && !pair.maybe && !uncertain(key) && !there.contains(*key));
    let mut found: Vec<Difference> = gone
        .map(|(key, _)| Difference {
            field: format!("{GROUP}{}", name(key)),
            written: member(),
            found: None,
            wanted: wanted(key),
        })
        .collect();
    if rules.policy.groups.remove == Remove::All {
        let excluded = |name: &str| rules.policy.groups.remove_exclude.iter().any(|pattern| pattern.is_match(name));
        let barred = |key: &str, name: &str| {
            let labelled = facts.groups.get(key).is_some_and(|group| group.administrative);
            rules.protected.bars_group(&rules.policy, key, labelled) || excluded(name)
        };
        for name in names {
            let key = fold(name);
            let known = facts.pairs.get(&key).is_some_and(|pair| pair.written || pair.maybe);
            if !known && !uncertain(&key) && wanted(&key).is_none() && !barred(&key, name) {
                found.push(Difference {
                    field: format!("{GROUP}{name}"),
                    written: None,
                    found: member(),
                    wanted: None,
                });
            }
        }
    }
    found
}

/// The step that would write over what was found there.
pub(crate) fn place_of(difference: &Difference) -> Option<Place> {
    let field = difference.field.as_str();
    if let Some(name) = field.strip_prefix(GROUP) {
        return Some(Place::Pair(fold(name)));
    }
    if field.starts_with(ACCESS) {
        return AccountStep::try_from(field.to_owned()).ok().map(Place::Account);
    }
    Some(Place::Account(if field == ACTIVE { AccountStep::Active } else { AccountStep::Write }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;
    use crate::account::AccountId;
    use crate::policy::Policy;
    use crate::policy::mapping::Ground;
    use crate::policy::protect::Protected;
    use crate::store::link::{JiraGroup, Pair, UserNow};

    fn account() -> SeenAccount {
        SeenAccount {
            id: AccountId("JIRAUSER7".to_owned()),
            username: "ann".to_owned(),
            email: Some("ann@example.test".to_owned()),
            display_name: "Ann".to_owned(),
            active: true,
            groups: Some(vec!["Developers".to_owned()]),
            ..SeenAccount::default()
        }
    }

    fn rules(policy: serde_json::Value) -> Rules {
        let policy = Policy::from_value(&policy).unwrap();
        let now = chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        Rules { policy: policy.into(), protected: Protected::default(), ground: Ground::default(), now, only: None }
    }

    /// Ann as she was written: with her account, and in developers.
    fn ann() -> UserFacts {
        let attrs = json!({"userName": "ann", "displayName": "Ann", "emails": [{"value": "ann@example.test"}]});
        let mut facts = UserFacts {
            user: Some(UserNow {
                attrs: attrs.as_object().unwrap().clone(),
                active: true,
                version: 1,
                ..UserNow::default()
            }),
            ..UserFacts::default()
        };
        facts.record.known = Known::Linked { seen: SeenAccount { groups: None, ..account() }, maybe: false };
        facts.pairs.insert("developers".to_owned(), Pair { written: true, ..Pair::default() });
        facts.wanted.insert("developers".to_owned(), "Developers".to_owned());
        let group = JiraGroup { name: "Developers".to_owned(), ..JiraGroup::default() };
        facts.groups.insert("developers".to_owned(), group);
        facts
    }

    /// `field: written / found / wanted`.
    fn told(facts: &UserFacts, policy: serde_json::Value, seen: Option<&SeenAccount>) -> Vec<String> {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let line = |one: Difference| {
            format!("{}: {}", one.field, [&one.written, &one.found, &one.wanted].map(text).join(" / "))
        };
        differences(facts, &rules(policy), seen).into_iter().map(line).collect()
    }

    #[test]
    fn what_is_there_as_it_was_written_is_no_difference() {
        assert_eq!(told(&ann(), json!({}), Some(&account())), Vec::<String>::new());
        // Nor what the target does not show, or what is another spelling of the same name.
        let hidden = SeenAccount { email: None, groups: None, username: "ANN".to_owned(), ..account() };
        assert_eq!(told(&ann(), json!({}), Some(&hidden)), Vec::<String>::new());
    }

    #[test]
    fn each_field_is_told_with_what_was_written_what_is_there_and_what_is_wanted() {
        let changed = |how: fn(&mut SeenAccount)| {
            let mut seen = account();
            how(&mut seen);
            told(&ann(), json!({}), Some(&seen))
        };
        for (found, expected) in [
            (changed(|seen| seen.active = false), "active: true / false / true"),
            (changed(|seen| seen.username = "ann.moss".to_owned()), "username: ann / ann.moss / ann"),
            (
                changed(|seen| seen.email = Some("a@else.test".to_owned())),
                "email: ann@example.test / a@else.test / ann@example.test",
            ),
            (changed(|seen| seen.display_name = "Ann M".to_owned()), "display_name: Ann / Ann M / Ann"),
            (changed(|seen| seen.groups = Some(Vec::new())), "group:Developers: member / - / member"),
        ] {
            assert_eq!(found, [expected]);
        }
        assert_eq!(told(&ann(), json!({}), None), ["account: ann / - / ann"]);
    }

    #[test]
    fn what_is_wanted_by_now_may_be_something_else_again() {
        let mut facts = ann();
        facts.wanted.clear();
        facts.user.as_mut().unwrap().attrs["displayName"] = json!("Ann Moss");
        let seen = SeenAccount { display_name: "A. Moss".to_owned(), groups: Some(Vec::new()), ..account() };
        let expected = ["display_name: Ann / A. Moss / Ann Moss", "group:Developers: member / - / -"];
        assert_eq!(told(&facts, json!({}), Some(&seen)), expected);
        facts.user.as_mut().unwrap().deleted = true;
        assert_eq!(told(&facts, json!({}), None), ["account: ann / - / -"]);
    }

    #[test]
    fn what_is_uncertain_or_not_ours_to_write_is_no_difference() {
        let mut facts = ann();
        facts.pairs.get_mut("developers").unwrap().maybe = true;
        let seen = SeenAccount { groups: Some(Vec::new()), ..account() };
        assert_eq!(told(&facts, json!({}), Some(&seen)), Vec::<String>::new());
        let mut seen = SeenAccount { display_name: "Ann M".to_owned(), ..account() };
        seen.read_only.insert(Field::DisplayName);
        assert_eq!(told(&ann(), json!({}), Some(&seen)), Vec::<String>::new());
        let synced = SeenAccount { hands_off: Some("It is synced.".to_owned()), active: false, ..account() };
        assert_eq!(told(&ann(), json!({}), Some(&synced)), Vec::<String>::new());
    }

    #[test]
    fn a_group_that_nobody_asked_for_counts_only_where_everything_else_is_taken_away() {
        let groups = vec!["Developers".to_owned(), "Climbers".to_owned(), "VIP".to_owned()];
        let seen = SeenAccount { groups: Some(groups), ..account() };
        assert_eq!(told(&ann(), json!({}), Some(&seen)), Vec::<String>::new());
        let all = json!({"groups": {"remove": "all", "remove_exclude": ["^VIP$"]}});
        assert_eq!(told(&ann(), all, Some(&seen)), ["group:Climbers: - / member / -"]);
    }

    #[test]
    fn a_membership_that_was_never_ours_is_not_missed() {
        let mut facts = ann();
        facts.pairs.insert("climbers".to_owned(), Pair { written: true, theirs: true, ..Pair::default() });
        assert_eq!(told(&facts, json!({"groups": {"remove": "all"}}), Some(&account())), Vec::<String>::new());
    }

    #[test]
    fn nothing_is_concluded_about_somebody_of_whom_something_is_uncertain() {
        assert!(is_comparable(&ann()));
        let mut facts = ann();
        facts.look_at = Some(chrono::DateTime::UNIX_EPOCH);
        assert!(!is_comparable(&facts));
        let mut facts = ann();
        facts.record.known = Known::Linked { seen: account(), maybe: true };
        assert!(!is_comparable(&facts));
        facts.record.known = Known::Absent;
        assert!(!is_comparable(&facts));
        let mut facts = ann();
        facts.user.as_mut().unwrap().imported = true;
        assert!(!is_comparable(&facts), "what was only learnt is refreshed by the next import");
    }

    #[test]
    fn each_difference_has_the_step_that_would_write_over_it() {
        let of = |field: &str| {
            let field = field.to_owned();
            place_of(&Difference { field, written: None, found: None, wanted: None })
        };
        for field in ["account", "username", "email", "display_name", "roleId"] {
            assert_eq!(of(field), Some(Place::Account(AccountStep::Write)), "{field}");
        }
        assert_eq!(of("active"), Some(Place::Account(AccountStep::Active)));
        assert_eq!(of("group:Developers"), Some(Place::Pair("developers".to_owned())));
        assert!(matches!(of("access:jira-software"), Some(Place::Account(AccountStep::Access(_)))));
    }
}
