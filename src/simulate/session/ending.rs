//! The end of a session: what the provider does then, and what it would not, so that nothing stays that nobody wants.

use super::{Ending, Fate, Pushed, Session, Subject, each};
use crate::simulate::check::Kind;
use crate::simulate::people::is_marked;
use crate::simulate::profile::Group;
use crate::simulate::wire::Wire;

impl Session {
    /// The groups are deleted; the people, too, or switched off: Okta never deletes people (OKTA-10).
    pub(super) async fn clean_up(&mut self, people: &[Subject], groups: &[Option<Pushed>]) {
        let idp = &*self.idp;
        let groups: Vec<&Group> = groups.iter().flatten().map(|pushed| &pushed.group).collect();
        let deletes = idp.deletes_users();
        let there = |(number, subject): &(usize, &Subject)| {
            subject.member.is_some() && (deletes || Fate::of(*number) != Fate::Leaves)
        };
        let people: Vec<&Subject> = people.iter().enumerate().filter(there).map(|(_, subject)| subject).collect();
        each(&mut self.stage, "clean-up of groups", groups.len(), async |wire: &mut Wire, number| {
            let _ = idp.delete_group(wire, groups[number]).await;
        })
        .await;
        each(&mut self.stage, "clean-up of people", people.len(), async |wire: &mut Wire, number| {
            let subject = people[number];
            let Some(member) = &subject.member else { return };
            let _ = match deletes {
                true => idp.delete_user(wire, member).await,
                false => idp.set_active(wire, &member.id, &subject.person, false).await,
            };
        })
        .await;
    }

    /// Whatever is left: what was not answered, what a failure left, and everything where nothing is to stay.
    pub(super) async fn sweep(&mut self) {
        let idp = &*self.idp;
        let doubts = self.recorder.ledger(|ledger| ledger.doubts());
        let doubts: Vec<_> = doubts.into_iter().filter(|(_, name)| is_marked(name)).collect();
        if !doubts.is_empty() {
            each(&mut self.stage, "doubts", doubts.len(), async |wire: &mut Wire, number| {
                let (kind, name) = &doubts[number];
                let _ = idp.doubt(wire, *kind, name).await;
            })
            .await;
        }
        let everything = self.size.ending == Ending::Purge;
        let may_go = |kind: Kind| kind == Kind::Group || everything || idp.deletes_users();
        let left = self.recorder.ledger(|ledger| ledger.there());
        let left: Vec<_> = left.into_iter().filter(|(kind, ..)| may_go(*kind)).collect();
        if left.is_empty() {
            return;
        }
        each(&mut self.stage, "sweep", left.len(), async |wire: &mut Wire, number| {
            let (kind, id, name) = &left[number];
            let _ = idp.sweep(wire, *kind, id, name).await;
        })
        .await;
    }
}
