//! From the members of a request to a difference.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::scim::patch::{Member, MemberChange};
use crate::store::group::Delta;

/// The longest text that is recorded of what is no id of ours, in characters; an id has 36.
const LONGEST: usize = 80;
/// So many of them are recorded for one request.
const MOST_RECORDED: usize = 1000;

/// Members as ids; what is no id of ours is returned as text, to be refused, or skipped and recorded.
pub(super) fn ids(members: &[Member]) -> (Vec<Uuid>, Vec<String>) {
    let mut known = Vec::with_capacity(members.len());
    let mut odd = Vec::new();
    for member in members {
        match Uuid::try_parse(member.value.trim()) {
            Ok(id) => known.push(id),
            Err(_) => odd.push(recorded(&member.value)),
        }
    }
    known.sort_unstable();
    known.dedup();
    (known, distinct(odd))
}

fn recorded(odd: &str) -> String {
    odd.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

fn distinct(mut odd: Vec<String>) -> Vec<String> {
    odd.sort_unstable();
    odd.dedup();
    odd.truncate(MOST_RECORDED);
    odd
}

/// Folds the changes of one request, in order, into one difference. `RemoveWhere` must have been turned into `Remove`.
pub(super) fn fold(changes: &[MemberChange]) -> Delta {
    let mut replace = false;
    let mut fate: BTreeMap<Uuid, bool> = BTreeMap::new();
    let mut odd = Vec::new();
    for change in changes {
        match change {
            MemberChange::Add(members) => {
                let (known, unknown) = ids(members);
                fate.extend(known.into_iter().map(|id| (id, true)));
                odd.extend(unknown);
            }
            MemberChange::Remove(values) => {
                fate.extend(values.iter().filter_map(|v| Uuid::try_parse(v.trim()).ok()).map(|id| (id, false)));
            }
            MemberChange::RemoveAll => {
                replace = true;
                fate.clear();
            }
            MemberChange::ReplaceAll(members) => {
                replace = true;
                let (known, unknown) = ids(members);
                fate = known.into_iter().map(|id| (id, true)).collect();
                odd.extend(unknown);
            }
            MemberChange::RemoveWhere(_) => {}
        }
    }
    let side = |joins: bool| fate.iter().filter(|(_, fate)| **fate == joins).map(|(id, _)| *id).collect();
    Delta { replace, add: side(true), remove: side(false), odd: distinct(odd) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn member(n: u128) -> Member {
        Member { value: Uuid::from_u128(n).to_string(), kind: None }
    }

    fn uuids(ns: &[u128]) -> Vec<Uuid> {
        ns.iter().map(|n| Uuid::from_u128(*n)).collect()
    }

    #[test]
    fn changes_are_folded_in_their_order() {
        let add = |n| MemberChange::Add(vec![member(n)]);
        let remove = |n| MemberChange::Remove(vec![member(n).value]);
        let cases: Vec<(Vec<MemberChange>, Delta)> = vec![
            (vec![add(1), remove(2)], Delta { replace: false, add: uuids(&[1]), remove: uuids(&[2]), odd: vec![] }),
            (vec![add(1), remove(1)], Delta { replace: false, add: vec![], remove: uuids(&[1]), odd: vec![] }),
            (vec![remove(1), add(1)], Delta { replace: false, add: uuids(&[1]), remove: vec![], odd: vec![] }),
            (
                vec![add(1), MemberChange::RemoveAll, add(2)],
                Delta { replace: true, add: uuids(&[2]), remove: vec![], odd: vec![] },
            ),
            (
                vec![MemberChange::ReplaceAll(vec![member(1), member(2)]), remove(2)],
                Delta { replace: true, add: uuids(&[1]), remove: uuids(&[2]), odd: vec![] },
            ),
            (vec![], Delta::default()),
        ];
        for (changes, expected) in cases {
            assert_eq!(fold(&changes), expected, "{changes:?}");
        }
    }

    #[test]
    fn what_is_no_id_of_ours_is_named_and_removes_nobody() {
        let changes = [
            MemberChange::Add(vec![Member { value: "u-7f31".to_owned(), kind: None }]),
            MemberChange::Remove(vec!["u-7f31".to_owned()]),
        ];
        assert_eq!(fold(&changes), Delta { odd: vec!["u-7f31".to_owned()], ..Delta::default() });
        let long = Member { value: format!("\u{7}{}", "x".repeat(500)), kind: None };
        assert_eq!(ids(&[long.clone(), long]), (vec![], vec!["x".repeat(80)]), "short, and once");
    }
}
