//! Who changes groups, on paper.

use super::{Fate, Pushed, Subject};
use crate::simulate::profile::Member;

/// One group's part of the moves.
#[derive(Default)]
pub(super) struct Step {
    pub(super) group: usize,
    pub(super) joining: Vec<Member>,
    pub(super) leaving: Vec<Member>,
}

/// Moves the moved on to the next group, on paper, and the rehired into theirs again; one step for each group that is
/// concerned.
pub(super) fn moves(people: &[Subject], groups: &mut [Option<Pushed>]) -> Vec<Step> {
    let mut steps: Vec<Step> = (0..groups.len()).map(|group| Step { group, ..Step::default() }).collect();
    for (number, subject) in people.iter().enumerate() {
        if let Some(former) = &subject.former {
            rejoin(subject, former, groups, &mut steps);
        }
        let Some(member) = subject.member.as_ref().filter(|_| Fate::of(number) == Fate::Moved) else { continue };
        let to = (subject.group + 1) % groups.len().max(1);
        if to == subject.group || groups.get(to).is_none_or(Option::is_none) {
            continue;
        }
        let Some(Some(from)) = groups.get_mut(subject.group) else { continue };
        from.members.retain(|other| other.id != member.id);
        steps[subject.group].leaving.push(member.clone());
        steps[to].joining.push(member.clone());
        if let Some(to) = &mut groups[to] {
            to.members.push(member.clone());
        }
    }
    steps.retain(|step| !(step.joining.is_empty() && step.leaving.is_empty()));
    steps
}

/// Who was deleted is in no group any more; who was created again is pushed again.
fn rejoin(subject: &Subject, former: &str, groups: &mut [Option<Pushed>], steps: &mut [Step]) {
    let Some(Some(group)) = groups.get_mut(subject.group) else { return };
    group.members.retain(|other| other.id != former);
    if let Some(member) = &subject.member {
        group.members.push(member.clone());
        steps[subject.group].joining.push(member.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::people::Person;
    use crate::simulate::profile::Group;

    fn member(number: u64) -> Member {
        Member { id: format!("u-{number}"), user_name: Person::new(0, number).user_name }
    }

    fn world() -> (Vec<Subject>, Vec<Option<Pushed>>) {
        let subject = |number: u64| {
            let group = number as usize % 2;
            Subject { person: Person::new(0, number), member: Some(member(number)), former: None, group }
        };
        let group = |number: usize| {
            let members = (0..10).filter(|who| who % 2 == number as u64).map(member).collect();
            Some(Pushed { group: Group { id: format!("g-{number}"), name: String::new() }, members })
        };
        ((0..10).map(subject).collect(), (0..2).map(group).collect())
    }

    fn ids(members: &[Member]) -> Vec<&str> {
        members.iter().map(|member| member.id.as_str()).collect()
    }

    #[test]
    fn the_fourth_of_ten_moves_to_the_next_group() {
        let (people, mut groups) = world();
        let steps = moves(&people, &mut groups);
        assert_eq!(steps.len(), 2);
        assert_eq!((ids(&steps[0].joining), ids(&steps[1].leaving)), (vec!["u-3"], vec!["u-3"]));
        assert_eq!(groups[0].as_ref().map(|pushed| pushed.members.len()), Some(6));
    }

    #[test]
    fn who_was_created_again_joins_again_with_the_new_id() {
        let (mut people, mut groups) = world();
        people[9].former = people[9].member.replace(member(19)).map(|member| member.id);
        let steps = moves(&people, &mut groups);
        assert_eq!(ids(&steps[1].joining), ["u-19"]);
        let members = groups[1].as_ref().map(|pushed| ids(&pushed.members)).unwrap_or_default();
        assert!(members.contains(&"u-19") && !members.contains(&"u-9"), "{members:?}");
    }
}
