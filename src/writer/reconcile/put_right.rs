//! What the target has goes on record, under the lease of the subject, and where nobody was quicker: then the drive writes what is
//! wanted, or, where the change by hand is to stay, the steps that would write over it are waived.

use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Comparison, GROUPS, PAGE};
use crate::account::{SeenAccount, fold};
use crate::policy::groups::Remove;
use crate::policy::guard::DriftAction;
use crate::store::by_hand::{self, Noted};
use crate::store::drift::{self, Difference, KnownGroup};
use crate::store::drive::{self, Finish, Holder, Lease, With};
use crate::store::link::{StepState, Stuck, UserFacts};
use crate::store::outbox::{self, NudgeAs, Subject};
use crate::writer::absorb::{self, Done, Times};
use crate::writer::claim::knowledge;
use crate::writer::drift::place_of;
use crate::writer::facts::{standing_for, user_facts};
use crate::writer::plan::{Step, fingerprint, group_fingerprint, plan_user, refused};
use crate::writer::runs::RunError;

/// Why a step is waived.
const ACCEPTED: &str = "It was changed in Jira by hand, and that was accepted.";

impl Comparison<'_> {
    /// Puts on record what a look showed of a user's account. False where somebody was quicker: then nothing is done.
    pub(super) async fn put_right(
        &self,
        tx: &mut PgConnection,
        before: &UserFacts,
        seen: Option<SeenAccount>,
        found: &[Difference],
        action: DriftAction,
    ) -> Result<bool, RunError> {
        let Some((lease, mut facts)) = self.take(tx, before.user_id).await? else { return Ok(false) };
        if (&facts.record, &facts.pairs, facts.look_at) != (&before.record, &before.pairs, before.look_at) {
            return Ok(false);
        }
        let stored = facts.clone();
        let gone = seen.is_none();
        let look = Step::Look { id: facts.record.account_id().cloned(), username: String::new(), by: Vec::new() };
        let survey = self.rules.policy.groups.remove == Remove::All;
        let times = Times { now: lease.now, late: self.held.runtime.late, survey };
        absorb::absorb(&mut facts, &look, Done::Looked(seen), times);
        if gone {
            // The name is free for whoever wants it next, this user first.
            let me = Holder { tenant_id: lease.tenant_id, user_id: facts.user_id };
            drive::keep_claims(tx, me, &[], None).await?;
        }
        if action == DriftAction::Accept {
            self.waive(&mut facts, found);
        }
        self.give_back(tx, &lease, &facts, &stored).await?;
        self.note(tx, Subject::User(facts.user_id), found, action).await?;
        Ok(true)
    }

    /// The steps that would write over what was found are left alone until something else is wanted.
    fn waive(&self, facts: &mut UserFacts, found: &[Difference]) {
        for place in found.iter().filter_map(place_of) {
            if let Some(fingerprint) = fingerprint(facts, &self.rules, &place) {
                absorb::set_state(facts, &place, Some(self.waived(fingerprint)));
            }
        }
    }

    fn waived(&self, fingerprint: String) -> StepState {
        let state = refused(fingerprint, ACCEPTED.to_owned(), None, self.rules.now);
        StepState { state: Stuck::Waived, ..state }
    }

    /// Takes a user's lease, with what is on record now. `None` where somebody else has it, or the user is gone.
    async fn take(&self, tx: &mut PgConnection, user_id: Uuid) -> Result<Option<(Lease, UserFacts)>, RunError> {
        let (tenant_id, subject) = (self.held.tenant.id, Subject::User(user_id));
        let how = NudgeAs { request_id: Some(self.held.run.request_id), ..NudgeAs::BULK };
        outbox::nudge(tx, tenant_id, subject.kind(), &[user_id], how).await?;
        let lease = drive::take(tx, tenant_id, subject, Uuid::new_v4(), self.inner.options.lease).await?;
        let Some(lease) = lease else { return Ok(None) };
        let facts = user_facts(tx, tenant_id, user_id, &self.rules).await?;
        Ok(facts.map(|facts| (lease, facts)))
    }

    /// Writes the record, and leaves the user due where there is something to do.
    async fn give_back(
        &self,
        tx: &mut PgConnection,
        lease: &Lease,
        facts: &UserFacts,
        stored: &UserFacts,
    ) -> Result<(), RunError> {
        drive::save(tx, lease, facts, &knowledge(facts, stored, stored), With::default()).await?;
        let plan = plan_user(facts, &self.rules);
        match plan.is_empty() {
            true => drive::finish(tx, lease, &Finish::Done { due: plan.due }).await?,
            false => by_hand::make_due(tx, lease).await?,
        }
        Ok(())
    }

    /// Puts on record that a Jira group is not there, and that nobody is in it.
    pub(super) async fn forget_group(&mut self, group: &KnownGroup, subject: Option<Uuid>) -> Result<(), RunError> {
        let tenant_id = self.held.tenant.id;
        let mut tx = self.held.begin(self.inner).await?;
        drift::forget_group(&mut tx, tenant_id, &group.key).await?;
        match (self.action(), subject) {
            (DriftAction::Accept, _) => {
                let fingerprint = group_fingerprint(&group.key, self.rules.policy.groups.create_missing);
                by_hand::save_group_step(&mut tx, tenant_id, &group.key, Some(&self.waived(fingerprint))).await?;
            }
            (_, Some(id)) => {
                outbox::nudge(&mut tx, tenant_id, "group", &[id], NudgeAs::BULK).await?;
            }
            (_, None) => {}
        }
        self.held.commit(tx, GROUPS, &self.place, &self.counters).await?;
        let mut after = Uuid::nil();
        loop {
            let page = drift::written_members(&mut self.conn, tenant_id, &group.key, after, PAGE).await?;
            let Some(last) = page.last().copied() else { return Ok(()) };
            for user_id in page {
                self.forget_member(user_id, &group.key).await?;
            }
            after = last;
        }
    }

    async fn forget_member(&mut self, user_id: Uuid, key: &str) -> Result<(), RunError> {
        let mut tx = self.held.begin(self.inner).await?;
        let Some((lease, mut facts)) = self.take(&mut tx, user_id).await? else {
            self.counters.skipped += 1;
            return Ok(());
        };
        let stored = facts.clone();
        if let Some(pair) = facts.pairs.get_mut(key) {
            pair.written = false;
        }
        self.give_back(&mut tx, &lease, &facts, &stored).await?;
        self.held.commit(tx, GROUPS, &self.place, &self.counters).await
    }

    pub(super) async fn note(
        &self,
        tx: &mut PgConnection,
        subject: Subject,
        found: &[Difference],
        action: DriftAction,
    ) -> Result<(), RunError> {
        let body = json!({ "differences": found, "run": self.held.run.id });
        let noted = Noted {
            tenant_id: self.held.tenant.id,
            request_id: self.held.run.request_id,
            actor: &self.held.run.actor,
            action: if action == DriftAction::Accept { "drift.accept" } else { "drift.revert" },
            kind: subject.kind(),
            subject_id: subject.id(),
            body: &body,
        };
        by_hand::note(tx, noted).await?;
        Ok(())
    }

    /// The SCIM group that a Jira group is made for, if there is one, and whether anybody is to be in it.
    pub(super) async fn is_wanted(&mut self, group: &KnownGroup) -> Result<(Option<Uuid>, bool), RunError> {
        let subject =
            standing_for(&mut self.conn, self.held.tenant.id, &self.rules.policy.groups, &group.key).await?.pop();
        let default = &self.rules.policy.groups.default_groups;
        let wanted = subject.is_some() || default.iter().any(|name| fold(name.trim()) == group.key);
        Ok((subject, wanted))
    }
}
