//! A session that every identity provider could play: connect, assign people, push groups, change things, import, and
//! clean up. What goes over the wire is the profile's; what happens, and what must be true afterwards, is here.
//!
//! Only what the session made is touched, and what an earlier one with the same mark made: see `profile/steps`.

mod ending;
mod moves;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;

use super::check::{Fault, Kind};
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
    /// What happens to them at the end.
    pub ending: Ending,
}

/// What happens to groups and people at the end of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// What the provider does when an application is taken from everybody: people are deleted or switched off.
    #[default]
    Usual,
    /// They are left as they are.
    Keep,
    /// Everything that the session made is deleted, also by a provider that never deletes people.
    Purge,
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
    /// The id before he was deleted and created again.
    former: Option<String>,
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
    /// Deleted and created again, by providers that delete.
    Rehired,
    Stays,
}

impl Fate {
    fn of(number: usize) -> Self {
        match number % 10 {
            1 => Self::Renamed,
            3 => Self::Moved,
            5 => Self::Leaves,
            7 => Self::Returns,
            9 => Self::Rehired,
            _ => Self::Stays,
        }
    }
}

impl Session {
    /// Plays one round, or rounds with other people until the budget is spent.
    pub(super) async fn play(mut self) {
        if self.connect().await.is_err() {
            return;
        }
        for round in 0.. {
            self.play_round(round).await;
            if self.size.ending != Ending::Keep {
                self.recorder.begin_clean_up();
                self.sweep().await;
                self.recorder.end_clean_up();
            }
            if !self.recorder.is_limited() || self.recorder.is_spent() {
                return;
            }
        }
    }

    async fn connect(&mut self) -> Result<(), Failed> {
        let first = self.stage.wires.first_mut().ok_or(Failed)?;
        self.idp.test_connection(first).await?;
        let stranger = Person::new(self.seed, 0).besides("trial");
        // A failure is on record, and no reason not to go on.
        let _ = self.idp.activate(first, &stranger, &format!("Trial {}", group_name(self.seed, 0))).await;
        Ok(())
    }

    async fn play_round(&mut self, round: u64) {
        let mut people = self.people(round);
        self.assign(&mut people).await;
        if people.iter().all(|subject| subject.member.is_none()) && !people.is_empty() && !self.recorder.is_spent() {
            self.recorder
                .complain("the session", Fault::new("nobody could be assigned: there is nothing to go on with", ""));
            return;
        }
        self.accept(&people).await;
        let mut groups = self.push(&people, round).await;
        self.change(&mut people, &mut groups).await;
        self.import(&people).await;
        if self.size.ending != Ending::Keep {
            self.recorder.begin_clean_up();
            self.clean_up(&people, &groups).await;
            self.recorder.end_clean_up();
        }
    }

    fn people(&self, round: u64) -> Vec<Subject> {
        let first = round * self.size.users as u64;
        (0..self.size.users)
            .map(|number| Subject {
                person: Person::new(self.seed, first + number as u64),
                member: None,
                former: None,
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
        let many = if idp.pushes_groups() { self.size.groups } else { 0 };
        let names: Vec<String> =
            (0..many).map(|number| group_name(self.seed, round * many as u64 + number as u64)).collect();
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

    /// Names change, people move between groups, leave, and return; one group gets another name.
    async fn change(&mut self, people: &mut [Subject], groups: &mut [Option<Pushed>]) {
        let idp = &*self.idp;
        let slots: Vec<_> = people.iter_mut().map(tokio::sync::Mutex::new).collect();
        each(&mut self.stage, "changes", slots.len(), async |wire: &mut Wire, number| {
            // What goes wrong is on record, and the others go on.
            let _ = change_one(idp, wire, &mut **slots[number].lock().await, Fate::of(number)).await;
        })
        .await;
        drop(slots);
        self.rename(groups).await;
        let idp = &*self.idp;
        let moves = moves::moves(people, groups);
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

    /// The first group of all gets another name, which keeps the mark.
    async fn rename(&mut self, groups: &mut [Option<Pushed>]) {
        let Some(pushed) = groups.iter_mut().flatten().next() else { return };
        let Some(wire) = self.stage.wires.first_mut() else { return };
        let name = format!("Renamed {}", pushed.group.name);
        if let Ok(group) = self.idp.rename_group(wire, &pushed.group, &name, &pushed.members).await {
            pushed.group = group;
        }
    }

    /// Everybody of ours is there once, where everything was read.
    async fn import(&mut self, people: &[Subject]) {
        let Some(wire) = self.stage.wires.first_mut() else { return };
        let Ok((ids, complete)) = self.idp.import_users(wire, IMPORT_PAGES).await else { return };
        let distinct: HashSet<&str> = ids.iter().map(String::as_str).collect();
        if distinct.len() < ids.len() {
            let twice = ids.len() - distinct.len();
            let fault = Fault::new(format!("{twice} users were listed twice"), "OKTA-21, PING-5");
            self.recorder.complain("GET /Users (all)", fault);
        }
        let ours = people.iter().filter_map(|subject| subject.member.as_ref());
        let missing = ours.filter(|member| !distinct.contains(member.id.as_str())).count();
        if complete && missing > 0 {
            let fault = Fault::new(format!("{missing} users of ours are not listed"), "OKTA-21, GEN-15");
            self.recorder.complain("GET /Users (all)", fault);
        }
    }
}

async fn assign_one(idp: &dyn Idp, wire: &mut Wire, person: &Person) -> Result<String, Failed> {
    let Some(found) = idp.find_user(wire, person).await? else { return idp.create_user(wire, person).await };
    if !idp.takes_over(wire, Kind::User, &found.id, &person.user_name) {
        return Err(Failed);
    }
    idp.update_user(wire, &found.id, person).await?;
    if !found.active {
        idp.set_active(wire, &found.id, person, true).await?;
    }
    Ok(found.id)
}

/// A group of an earlier session is gone on with, and emptied first, so that its members are known.
async fn group_one(idp: &dyn Idp, wire: &mut Wire, name: &str) -> Result<Group, Failed> {
    let Some(group) = idp.find_group(wire, name).await? else { return idp.create_group(wire, name).await };
    if !idp.takes_over(wire, Kind::Group, &group.id, name) {
        return Err(Failed);
    }
    idp.push_members(wire, &group, &[]).await?;
    Ok(group)
}

async fn change_one(idp: &dyn Idp, wire: &mut Wire, subject: &mut Subject, fate: Fate) -> Result<(), Failed> {
    let Some(member) = &subject.member else { return Ok(()) };
    match fate {
        Fate::Renamed => {
            let renamed = subject.person.renamed();
            idp.update_user(wire, &member.id, &renamed).await?;
            subject.person = renamed;
        }
        Fate::Leaves => idp.set_active(wire, &member.id, &subject.person, false).await?,
        Fate::Returns => {
            idp.set_active(wire, &member.id, &subject.person, false).await?;
            idp.set_active(wire, &member.id, &subject.person, true).await?;
        }
        Fate::Rehired if idp.deletes_users() => {
            idp.delete_user(wire, member).await?;
            subject.former = subject.member.take().map(|member| member.id);
            let id = assign_one(idp, wire, &subject.person).await?;
            subject.member = Some(Member { id, user_name: subject.person.user_name.clone() });
        }
        Fate::Stays | Fate::Moved | Fate::Rehired => {}
    }
    Ok(())
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
