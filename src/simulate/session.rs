//! A session that every identity provider could play: connect, assign people, push groups, change things, import, and
//! clean up. What goes over the wire is the profile's; what happens, and what must be true afterwards, is here.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;

use super::people::{Person, group_name};
use super::profile::{Group, Idp, Member, Movement};
use super::progress::Progress;
use super::wire::{Failed, Recorder, Wire};

/// An import reads at most so many pages.
const IMPORT_PAGES: u64 = 200;

/// How much of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// People of one round.
    pub users: usize,
    /// Groups of one round.
    pub groups: usize,
    /// Leave the groups and the people as they are at the end.
    pub keep: bool,
}

pub(super) struct Session {
    pub(super) idp: Box<dyn Idp>,
    pub(super) stage: Stage,
    pub(super) size: Size,
    pub(super) seed: u64,
    pub(super) recorder: Arc<Recorder>,
}

/// The connections, and whether to show how far they are.
pub(super) struct Stage {
    pub(super) wires: Vec<Wire>,
    pub(super) progress: bool,
}

/// Somebody of this round, and whether the server knows him.
struct Subject {
    person: Person,
    member: Option<Member>,
    /// The index of the group that he is in.
    group: usize,
}

/// A group of this round with the people who ought to be in it.
struct Pushed {
    group: Group,
    members: Vec<Member>,
}

/// What happens to whom: one of ten people each.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Renamed,
    Moved,
    Leaves,
    Returns,
    Stays,
}

impl Fate {
    fn of(number: usize) -> Self {
        match number % 10 {
            1 => Self::Renamed,
            3 => Self::Moved,
            5 => Self::Leaves,
            7 => Self::Returns,
            _ => Self::Stays,
        }
    }
}

impl Session {
    /// Plays one round, or rounds with other people until the budget is spent.
    pub(super) async fn play(mut self) {
        let idp = &*self.idp;
        let Some(first) = self.stage.wires.first_mut() else { return };
        if idp.test_connection(first).await.is_err() {
            return;
        }
        for round in 0.. {
            let mut people = self.people(round);
            self.assign(&mut people).await;
            self.accept(&people).await;
            let mut groups = self.push(&people, round).await;
            self.change(&mut people, &mut groups).await;
            self.import(&people).await;
            if !self.size.keep {
                self.clean_up(&people, &groups).await;
            }
            if !self.recorder.is_limited() || self.recorder.is_spent() {
                return;
            }
        }
    }

    fn people(&self, round: u64) -> Vec<Subject> {
        let first = round * self.size.users as u64;
        (0..self.size.users)
            .map(|number| Subject {
                person: Person::new(self.seed, first + number as u64),
                member: None,
                group: number % self.size.groups.max(1),
            })
            .collect()
    }

    /// OKTA-5 and what follows: found people are linked, the others created.
    async fn assign(&mut self, people: &mut [Subject]) {
        let idp = &*self.idp;
        let slots: Vec<_> = people.iter_mut().map(tokio::sync::Mutex::new).collect();
        each(&mut self.stage, "people", slots.len(), async |wire: &mut Wire, number| {
            let mut subject = slots[number].lock().await;
            if let Ok(id) = assign_one(idp, wire, &subject.person).await {
                let user_name = subject.person.user_name.clone();
                subject.member = Some(Member { id, user_name });
            }
        })
        .await;
    }

    async fn accept(&mut self, people: &[Subject]) {
        let Some((person, id)) = people.iter().find_map(|s| Some((&s.person, &s.member.as_ref()?.id))) else { return };
        if let Some(wire) = self.stage.wires.first_mut() {
            // A failure is on record.
            let _ = self.idp.acceptance(wire, person, id).await;
        }
    }

    /// Groups, then their members: in batches, several for one group at the same time (OKTA-29, OKTA-30).
    async fn push(&mut self, people: &[Subject], round: u64) -> Vec<Option<Pushed>> {
        let idp = &*self.idp;
        let names: Vec<String> = (0..self.size.groups)
            .map(|number| group_name(self.seed, round * self.size.groups as u64 + number as u64))
            .collect();
        let found = tokio::sync::Mutex::new((0..names.len()).map(|_| None).collect::<Vec<_>>());
        each(&mut self.stage, "groups", names.len(), async |wire: &mut Wire, number| {
            if let Ok(group) = group_one(idp, wire, &names[number]).await {
                found.lock().await[number] = Some(Pushed { group, members: Vec::new() });
            }
        })
        .await;
        let mut groups: Vec<Option<Pushed>> = found.into_inner();
        for subject in people {
            if let (Some(Some(group)), Some(member)) = (groups.get_mut(subject.group), &subject.member) {
                group.members.push(member.clone());
            }
        }
        self.join(&groups).await;
        self.verify("memberships", &groups).await;
        groups
    }

    async fn join(&mut self, groups: &[Option<Pushed>]) {
        let idp = &*self.idp;
        let batches: Vec<(&Pushed, &[Member])> = groups
            .iter()
            .flatten()
            .filter(|pushed| !pushed.members.is_empty())
            .flat_map(|pushed| {
                let size = idp.batch().unwrap_or(pushed.members.len());
                pushed.members.chunks(size.max(1)).map(move |batch| (pushed, batch))
            })
            .collect();
        each(&mut self.stage, "pushes", batches.len(), async |wire: &mut Wire, number| {
            let (pushed, batch) = batches[number];
            let movement = Movement { all: &pushed.members, joining: batch, leaving: &[] };
            let _ = idp.move_members(wire, &pushed.group, movement).await;
        })
        .await;
    }

    async fn verify(&mut self, title: &'static str, groups: &[Option<Pushed>]) {
        let idp = &*self.idp;
        let groups: Vec<&Pushed> = groups.iter().flatten().collect();
        each(&mut self.stage, title, groups.len(), async |wire: &mut Wire, number| {
            let _ = idp.verify_members(wire, &groups[number].group, &groups[number].members).await;
        })
        .await;
    }

    /// Names change, people move between groups, leave, and return.
    async fn change(&mut self, people: &mut [Subject], groups: &mut [Option<Pushed>]) {
        let idp = &*self.idp;
        let subjects = &*people;
        each(&mut self.stage, "changes", subjects.len(), async |wire: &mut Wire, number| {
            // What goes wrong is on record, and the others go on.
            let _ = change_one(idp, wire, &subjects[number], Fate::of(number)).await;
        })
        .await;
        let moves = moves(people, groups);
        let pushed = &*groups;
        each(&mut self.stage, "moves", moves.len(), async |wire: &mut Wire, number| {
            let step = &moves[number];
            if let Some(pushed) = &pushed[step.group] {
                let movement = Movement { all: &pushed.members, joining: &step.joining, leaving: &step.leaving };
                let _ = idp.move_members(wire, &pushed.group, movement).await;
            }
        })
        .await;
        self.verify("moved members", groups).await;
    }

    /// Everybody of ours is there once, where everything was read.
    async fn import(&mut self, people: &[Subject]) {
        let Some(wire) = self.stage.wires.first_mut() else { return };
        let Ok((ids, complete)) = self.idp.import_users(wire, IMPORT_PAGES).await else { return };
        let distinct: HashSet<&str> = ids.iter().map(String::as_str).collect();
        if distinct.len() < ids.len() {
            let twice = ids.len() - distinct.len();
            self.recorder.complain("GET /Users (import)", format!("{twice} users were listed twice"));
        }
        let ours = people.iter().filter_map(|subject| subject.member.as_ref());
        let missing = ours.filter(|member| !distinct.contains(member.id.as_str())).count();
        if complete && missing > 0 {
            self.recorder.complain("GET /Users (import)", format!("{missing} users of ours are not listed"));
        }
    }

    /// The groups are emptied and deleted, the people switched off: Okta never deletes people (OKTA-10).
    async fn clean_up(&mut self, people: &[Subject], groups: &[Option<Pushed>]) {
        let idp = &*self.idp;
        let groups: Vec<&Group> = groups.iter().flatten().map(|pushed| &pushed.group).collect();
        let members: Vec<&Member> = people
            .iter()
            .enumerate()
            .filter(|(number, _)| Fate::of(*number) != Fate::Leaves)
            .filter_map(|(_, subject)| subject.member.as_ref())
            .collect();
        each(&mut self.stage, "clean-up", groups.len() + members.len(), async |wire: &mut Wire, number| {
            let _ = match groups.get(number) {
                Some(group) => empty_and_delete(idp, wire, group).await,
                None => idp.set_active(wire, members[number - groups.len()], false).await,
            };
        })
        .await;
    }
}

async fn assign_one(idp: &dyn Idp, wire: &mut Wire, person: &Person) -> Result<String, Failed> {
    match idp.find_user(wire, person).await? {
        None => idp.create_user(wire, person).await,
        Some(found) => {
            idp.update_user(wire, &found.id, person).await?;
            if !found.active {
                let member = Member { id: found.id.clone(), user_name: person.user_name.clone() };
                idp.set_active(wire, &member, true).await?;
            }
            Ok(found.id)
        }
    }
}

/// A group that is there is taken over, and emptied first, so that its members are known.
async fn group_one(idp: &dyn Idp, wire: &mut Wire, name: &str) -> Result<Group, Failed> {
    match idp.find_group(wire, name).await? {
        None => idp.create_group(wire, name).await,
        Some(group) => {
            idp.push_members(wire, &group, &[]).await?;
            Ok(group)
        }
    }
}

async fn change_one(idp: &dyn Idp, wire: &mut Wire, subject: &Subject, fate: Fate) -> Result<(), Failed> {
    let Some(member) = &subject.member else { return Ok(()) };
    match fate {
        Fate::Stays | Fate::Moved => Ok(()),
        Fate::Renamed => idp.update_user(wire, &member.id, &subject.person.renamed()).await,
        Fate::Leaves => idp.set_active(wire, member, false).await,
        Fate::Returns => {
            idp.set_active(wire, member, false).await?;
            idp.set_active(wire, member, true).await
        }
    }
}

async fn empty_and_delete(idp: &dyn Idp, wire: &mut Wire, group: &Group) -> Result<(), Failed> {
    idp.push_members(wire, group, &[]).await?;
    idp.verify_members(wire, group, &[]).await?;
    idp.delete_group(wire, group).await
}

/// One group's part of the moves.
#[derive(Default)]
struct Step {
    group: usize,
    joining: Vec<Member>,
    leaving: Vec<Member>,
}

/// Moves the moved on to the next group, on paper; one step for each group that is concerned.
fn moves(people: &[Subject], groups: &mut [Option<Pushed>]) -> Vec<Step> {
    let mut steps: Vec<Step> = (0..groups.len()).map(|group| Step { group, ..Step::default() }).collect();
    for (number, subject) in people.iter().enumerate() {
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

/// Does `work` for 0 to `count`, each connection the next one as soon as it is free.
async fn each(stage: &mut Stage, title: &'static str, count: usize, work: impl AsyncFn(&mut Wire, usize)) {
    let next = AtomicUsize::new(0);
    let progress = stage.progress.then(|| Progress::new(title, count));
    let (next, progress, work) = (&next, &progress, &work);
    join_all(stage.wires.iter_mut().map(|wire| async move {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return;
            }
            work(wire, number).await;
            progress.iter().for_each(Progress::step);
        }
    }))
    .await;
}
