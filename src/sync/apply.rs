//! The second half of a run: what was judged is done, by the door that every request takes. Each change is one transaction with
//! its audit row; a run that is cut off has done a part of it, and the next one does the rest.

use futures_util::{FutureExt, StreamExt, stream};
use serde_json::{Value, json};
use uuid::Uuid;

use super::read::PAGE;
use super::run::{SyncError, Work};
use crate::config::Vanished;
use crate::directory::{DirectoryError, Precondition};
use crate::scim::{self, ScimType, urn};
use crate::store::source::compare::{self, Gone, Judged, Page, Pending};
use crate::store::source::members::{self, Pair};
use crate::store::source::{Of, staging};

/// Changes at the same time.
const AT_ONCE: usize = 4;
/// Members of one change.
const MEMBERS: usize = 1000;
/// Members that are looked for at once.
const MEMBERS_PAGE: i64 = 5000;
/// How often names that are taken are tried again, while others become free.
const PASSES: usize = 8;

/// What became of one entry.
enum Became {
    Done(Uuid),
    /// Its name is somebody else's, perhaps not for long.
    Taken(String),
    Failed(String),
}

impl Work<'_> {
    /// Does what was judged: first who goes, so that names become free and leavers wait for nobody.
    pub(super) async fn apply(&mut self) -> Result<(), SyncError> {
        let config = self.configured.config.clone();
        if self.takes_people_away() && self.counters.people.vanish > 0 {
            self.take_people_away(config.vanished).await?;
        }
        if config.users {
            self.write(Of::Users).await?;
        }
        if config.groups {
            self.write(Of::Groups).await?;
            if self.counters.joins + self.counters.leaves > 0 {
                self.memberships().await?;
            }
            if self.takes_groups_away() && self.counters.groups.vanish > 0 {
                self.take_groups_away().await?;
            }
        }
        Ok(())
    }

    async fn take_people_away(&mut self, how: Vanished) -> Result<(), SyncError> {
        let mut after = Uuid::nil();
        loop {
            let mut conn = self.conn().await?;
            let page = compare::gone_users(&mut conn, self.stage, after, how == Vanished::Deactivate, PAGE).await?;
            drop(conn);
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            let work = &*self;
            let calls: Vec<_> = page.iter().map(|gone| work.take_person_away(gone, how).boxed()).collect();
            let done: Vec<_> = stream::iter(calls).buffered(AT_ONCE).collect().await;
            for (gone, done) in page.iter().zip(done) {
                self.noted(Of::Users, &gone.name, done)?;
            }
            self.keep("switching off").await?;
        }
    }

    async fn take_person_away(&self, gone: &Gone, how: Vanished) -> Result<(), DirectoryError> {
        let (id, directory) = (gone.id.to_string(), &self.sync.directory);
        match how {
            Vanished::Keep => {}
            Vanished::Delete => drop(directory.delete_user(&self.caller, &id, &Precondition::None).await?),
            Vanished::Deactivate => {
                let body = patch(json!([{ "op": "replace", "path": "active", "value": false }]));
                drop(directory.patch_user(&self.caller, &id, body, &Precondition::None).await?);
            }
        }
        Ok(())
    }

    async fn take_groups_away(&mut self) -> Result<(), SyncError> {
        let mut after = Uuid::nil();
        loop {
            let mut conn = self.conn().await?;
            let page = compare::gone_groups(&mut conn, self.stage, after, PAGE).await?;
            drop(conn);
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for gone in &page {
                let id = gone.id.to_string();
                let done = self.sync.directory.delete_group(&self.caller, &id, &Precondition::None).await;
                self.noted(Of::Groups, &gone.name, done.map(drop))?;
            }
            self.keep("deleting groups").await?;
        }
    }

    /// What came of one change: done, told, or the end of the run where the store itself failed.
    fn noted(&mut self, of: Of, name: &str, done: Result<(), DirectoryError>) -> Result<(), SyncError> {
        match done {
            Ok(()) | Err(DirectoryError::NotFound { .. }) => self.counters.done += 1,
            Err(DirectoryError::Store(error)) => return Err(error.into()),
            Err(error) => {
                self.counters.of(of).skip += 1;
                self.counters.say(format!("{} {name}: {error}", of.as_str()));
            }
        }
        Ok(())
    }

    /// Makes and changes people or groups, in passes: a name that is taken in one may be free in the next.
    async fn write(&mut self, of: Of) -> Result<(), SyncError> {
        for pass in 1..=PASSES {
            let (done, taken) = self.pass(of, pass == PASSES).await?;
            if taken == 0 {
                return Ok(());
            }
            // Nobody gave up a name: what is taken now stays taken.
            if done == 0 {
                self.pass(of, true).await?;
                return Ok(());
            }
        }
        Ok(())
    }

    async fn pass(&mut self, of: Of, last: bool) -> Result<(u64, u64), SyncError> {
        let (mut after, mut done, mut taken) = (String::new(), 0, 0);
        loop {
            let mut conn = self.conn().await?;
            let page = compare::pending(&mut conn, self.stage, of, Page { after: &after, limit: PAGE }).await?;
            drop(conn);
            let Some(end) = page.last() else { return Ok((done, taken)) };
            after = end.key.clone();
            let work = &*self;
            let calls: Vec<_> = page.iter().map(|pending| work.write_one(of, pending).boxed()).collect();
            let became: Vec<_> = stream::iter(calls).buffered(AT_ONCE).collect().await;
            let mut judged = Vec::new();
            for (pending, became) in page.iter().zip(became) {
                let (subject, verdict) = match became? {
                    Became::Done(id) => {
                        self.counters.done += 1;
                        done += 1;
                        (Some(id), "same")
                    }
                    Became::Taken(_) if !last => {
                        taken += 1;
                        continue;
                    }
                    Became::Taken(why) | Became::Failed(why) => {
                        self.counters.of(of).skip += 1;
                        self.counters.say(format!("{} {}: {why}", of.as_str(), name_of(of, &pending.body)));
                        (pending.subject, "skip")
                    }
                };
                judged.push(Judged { key: pending.key.clone(), subject, verdict });
            }
            let mut conn = self.conn().await?;
            compare::judged(&mut conn, self.stage, of, &judged).await?;
            drop(conn);
            self.keep(if of == Of::Users { "writing people" } else { "writing groups" }).await?;
        }
    }

    async fn write_one(&self, of: Of, pending: &Pending) -> Result<Became, SyncError> {
        let written = match of {
            Of::Users => self.write_person(pending).await,
            Of::Groups => self.write_group(pending).await,
        };
        match written {
            Ok(id) => Ok(Became::Done(id)),
            Err(DirectoryError::Store(error)) => Err(error.into()),
            Err(DirectoryError::Scim(error)) if error.scim_type == Some(ScimType::Uniqueness) => {
                Ok(Became::Taken(error.detail))
            }
            Err(error) => Ok(Became::Failed(error.to_string())),
        }
    }

    async fn write_person(&self, pending: &Pending) -> Result<Uuid, DirectoryError> {
        let (directory, body) = (&self.sync.directory, pending.body.clone());
        match pending.subject {
            None => {
                let attrs = scim::check_new(self.caller.types.user, body)?;
                Ok(directory.create_user(&self.caller, attrs).await?.view.id)
            }
            Some(id) => {
                directory.replace_user(&self.caller, &id.to_string(), body, &Precondition::None).await?;
                Ok(id)
            }
        }
    }

    async fn write_group(&self, pending: &Pending) -> Result<Uuid, DirectoryError> {
        let directory = &self.sync.directory;
        match pending.subject {
            None => {
                let attrs = scim::check_new(self.caller.types.group, pending.body.clone())?;
                Ok(directory.create_group(&self.caller, attrs, Vec::new()).await?.view.id)
            }
            Some(id) => {
                let body = patch(json!([{ "op": "replace", "value": pending.body }]));
                directory.patch_group(&self.caller, &id.to_string(), body, &Precondition::None).await?;
                Ok(id)
            }
        }
    }

    /// Makes the members of every group those that were read: a difference, a page at a time.
    async fn memberships(&mut self) -> Result<(), SyncError> {
        // Whoever was made meanwhile has an id now.
        let mut conn = self.conn().await?;
        staging::measure(&mut conn).await?;
        drop(conn);
        for (group, member, name) in self.left_behind().await? {
            self.one_by_one(group, &name, &[member], false).await?;
        }
        let mut after = String::new();
        loop {
            let mut conn = self.conn().await?;
            let page = members::standing(&mut conn, self.stage, Page { after: &after, limit: PAGE }).await?;
            drop(conn);
            let Some(last) = page.last() else { return Ok(()) };
            after = last.key.clone();
            for group in page {
                if let Some(id) = group.id {
                    let pair = Pair { key: &group.key, id };
                    if self.takes_members_away() {
                        self.members_of(pair, &group.name, false).await?;
                    }
                    self.members_of(pair, &group.name, true).await?;
                    self.breathe("writing members").await?;
                }
            }
            self.keep("writing members").await?;
        }
    }

    async fn members_of(&mut self, group: Pair<'_>, name: &str, join: bool) -> Result<(), SyncError> {
        let mut after = Uuid::nil();
        loop {
            let mut conn = self.conn().await?;
            let page = match join {
                true => members::joining(&mut conn, self.stage, group, after, MEMBERS_PAGE).await?,
                false => members::leaving(&mut conn, self.stage, group, after, MEMBERS_PAGE).await?,
            };
            drop(conn);
            let Some(last) = page.last() else { return Ok(()) };
            after = *last;
            for members in page.chunks(MEMBERS) {
                match self.move_members(group.id, members, join).await {
                    Ok(()) => self.counters.done += members.len() as u64,
                    Err(DirectoryError::Store(error)) => return Err(error.into()),
                    // One of them may be a group that would close a circle: the others are members all the same.
                    Err(_) => self.one_by_one(group.id, name, members, join).await?,
                }
                self.keep("writing members").await?;
            }
        }
    }

    async fn one_by_one(&mut self, id: Uuid, name: &str, members: &[Uuid], join: bool) -> Result<(), SyncError> {
        for member in members {
            let done = self.move_members(id, std::slice::from_ref(member), join).await;
            self.noted(Of::Groups, &format!("{name}, member {member}"), done)?;
        }
        Ok(())
    }

    async fn move_members(&self, group: Uuid, members: &[Uuid], join: bool) -> Result<(), DirectoryError> {
        let values: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
        let body = patch(json!([{ "op": if join { "add" } else { "remove" }, "path": "members", "value": values }]));
        self.sync.directory.patch_group(&self.caller, &group.to_string(), body, &Precondition::None).await?;
        Ok(())
    }
}

fn patch(operations: Value) -> Value {
    json!({ "schemas": [urn::PATCH_OP], "Operations": operations })
}

fn name_of(of: Of, body: &Value) -> String {
    let attribute = if of == Of::Users { "userName" } else { "displayName" };
    body.get(attribute).and_then(Value::as_str).unwrap_or_default().to_owned()
}
