//! The second stage: which Jira groups are ours. The rules lead from SCIM groups to Jira groups and not back, so what every
//! SCIM group stands for is worked out once.

use std::collections::HashMap;

use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{CHUNK, GROUPS, GROUPS_GONE, Place, TRIES, Tally, Work, may_try_again};
use crate::account::{SeenGroup, fold};
use crate::policy::groups::jira_groups;
use crate::scim::schema::group;
use crate::scim::{self, Attrs, urn};
use crate::store::StoreError;
use crate::store::import::{self, GroupName, IMPORTED, NewGroup};
use crate::writer::runs::RunError;

/// SCIM groups that are read at once.
const PAGE: i64 = 5000;

const ADMINISTRATIVE: &str = "grants administration";
const READ_ONLY: &str = "its members cannot be changed";
const PROTECTED: &str = "protected by the policy";
const NOT_OURS: &str = "the policy does not want it";
const NAME_TAKEN: &str = "the name is another group's";

/// The SCIM groups that stand for a Jira group.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    /// The one that was imported from it, and stands for nothing else.
    pub(super) imported: Option<Uuid>,
    /// Those that the identity provider looks after.
    pub(super) others: Vec<Uuid>,
}

/// By a Jira group's key.
pub(super) type Index = HashMap<String, Standing>;

impl Work<'_> {
    /// Works out what every living SCIM group stands for.
    pub(super) async fn index(&self) -> Result<Index, RunError> {
        let mut index = Index::new();
        let mut after = Uuid::nil();
        loop {
            let mut conn = self.inner.store.pool().acquire().await?;
            let page = import::group_names(&mut conn, self.held.tenant.id, after, PAGE).await?;
            drop(conn);
            let Some(last) = page.last() else { return Ok(index) };
            after = last.id;
            page.into_iter().for_each(|group| self.add(&mut index, &group));
        }
    }

    fn add(&self, index: &mut Index, group: &GroupName) {
        let names = jira_groups(&self.held.policy.groups, &group.alias);
        let alone = names.len() == 1 && group.imported;
        for name in names {
            let standing = index.entry(fold(name.trim())).or_default();
            match alone && standing.imported.is_none() {
                true => standing.imported = Some(group.id),
                false => standing.others.push(group.id),
            }
        }
    }

    /// Reads all groups from where it was.
    pub(super) async fn groups(&mut self, index: Index) -> Result<(), RunError> {
        loop {
            let target = &self.held.runtime.target;
            let page = target.groups(&self.calls, self.place.after.as_deref()).await?;
            let last = page.next.is_none();
            self.page_of_groups(&index, &page.items, page.next).await?;
            if last {
                return Ok(());
            }
        }
    }

    async fn page_of_groups(
        &mut self,
        index: &Index,
        groups: &[SeenGroup],
        next: Option<String>,
    ) -> Result<(), RunError> {
        let mut tries = 0;
        loop {
            match self.try_groups(index, groups, next.clone()).await {
                Err(error) if may_try_again(&error) && tries < TRIES => tries += 1,
                other => return other,
            }
        }
    }

    async fn try_groups(&mut self, index: &Index, groups: &[SeenGroup], next: Option<String>) -> Result<(), RunError> {
        let mut counters = self.counters.clone();
        let mut tx = self.held.begin(self.inner).await?;
        for chunk in groups.chunks(CHUNK) {
            self.chunk_of_groups(&mut tx, index, chunk, &mut counters.groups).await?;
        }
        let stage = if next.is_some() { GROUPS } else { GROUPS_GONE };
        let place = Place { after: next, ..Place::default() };
        self.commit(tx, stage, place, counters).await
    }

    async fn chunk_of_groups(
        &self,
        tx: &mut PgConnection,
        index: &Index,
        chunk: &[SeenGroup],
        tally: &mut Tally,
    ) -> Result<(), StoreError> {
        let tenant_id = self.held.tenant.id;
        let mut there: Vec<(String, &SeenGroup)> = Vec::new();
        let mut new: Vec<(NewGroup, &SeenGroup)> = Vec::new();
        for group in chunk {
            tally.seen += 1;
            let key = fold(group.name.trim());
            match self.why_not(group, &key) {
                Some(why) => tally.skip(why, 1),
                None if index.contains_key(&key) => {
                    tally.known += 1;
                    there.push((key, group));
                }
                None if self.comes_back(group, &key) => new.push((new_group(group, key), group)),
                None => tally.skip(NOT_OURS, 1),
            }
        }
        let groups: Vec<NewGroup> = new.iter().map(|(group, _)| group.clone()).collect();
        let made = import::create_groups(tx, tenant_id, &groups).await?;
        tally.created += made.len() as u64;
        tally.skip(NAME_TAKEN, (new.len() as u64).saturating_sub(made.len() as u64));
        there.extend(new.into_iter().filter(|(new, _)| made.contains(&new.key)).map(|(new, group)| (new.key, group)));
        import::know_groups(tx, tenant_id, &there).await?;
        let listed: Vec<String> = chunk.iter().map(|group| fold(group.name.trim())).collect();
        import::see_groups(tx, tenant_id, self.held.run.id, &listed).await
    }

    /// Why a Jira group is none of ours, whatever the mapping says.
    fn why_not(&self, group: &SeenGroup, key: &str) -> Option<&'static str> {
        let (policy, protected) = (&self.held.policy, self.held.runtime.protected().unwrap_or_default());
        if policy.protect.covers_group(&group.name) {
            Some(PROTECTED)
        } else if protected.bars_group(policy, key, group.administrative) {
            Some(ADMINISTRATIVE)
        } else if group.read_only.is_some() {
            Some(READ_ONLY)
        } else {
            None
        }
    }

    /// Whether a SCIM group of that name would stand for exactly this Jira group.
    fn comes_back(&self, group: &SeenGroup, key: &str) -> bool {
        let names = jira_groups(&self.held.policy.groups, &group.name);
        names.len() == 1 && fold(names[0].trim()) == key
    }
}

fn new_group(seen: &SeenGroup, key: String) -> NewGroup {
    let name = seen.name.trim().to_owned();
    let origin = (urn::ORIGIN_GROUP.to_owned(), json!({ "origin": IMPORTED }));
    let attrs = Attrs::from_iter([("displayName".to_owned(), Value::String(name.clone())), origin]);
    NewGroup { id: Uuid::now_v7(), folded: scim::folded(group(), &attrs), name, key, attrs }
}
