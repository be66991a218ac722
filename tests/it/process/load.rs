//! Load that remembers: clients that change people and groups of their own, at random, and know what was answered 2xx.
//!
//! A request without an answer is in doubt. Its client then either repeats it, as most identity providers do, or looks
//! what became of it, as one does that never comes back to it: so after every step the model is certain again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::idp::{Answer, Idp, group, patch, set, user};

/// A person as the identity provider knows him or her.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) user_name: String,
    pub(crate) external_id: String,
    pub(crate) display_name: String,
    pub(crate) active: bool,
    pub(crate) deleted: bool,
    /// Names of the groups.
    pub(crate) groups: BTreeSet<String>,
    /// Somebody else has the old name now.
    gave_a_name: bool,
}

/// A group of one client's.
#[derive(Clone, Debug)]
struct Team {
    id: String,
    name: String,
}

/// What all clients share.
#[derive(Default)]
pub(crate) struct Progress {
    answered: AtomicU64,
    stop: AtomicBool,
    moved: Notify,
}

impl Progress {
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Waits until that many more requests were answered.
    pub(crate) async fn more(&self, requests: u64) {
        let goal = self.answered.load(Ordering::Relaxed) + requests;
        loop {
            let moved = self.moved.notified();
            if self.answered.load(Ordering::Relaxed) >= goal {
                return;
            }
            moved.await;
        }
    }

    fn answer(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.moved.notify_waiters();
    }
}

/// One client with everything that is its own.
pub(crate) struct Client {
    number: usize,
    idp: Idp,
    random: StdRng,
    next: usize,
    /// Group names and ids that all clients use.
    shared: Vec<(String, String)>,
    teams: Vec<Team>,
    /// Names that somebody was renamed from.
    freed: Vec<String>,
    pub(crate) people: Vec<Person>,
}

impl Client {
    pub(crate) fn new(number: usize, idp: Idp, seed: u64, shared: &[(String, String)]) -> Self {
        let random = StdRng::seed_from_u64(seed.wrapping_mul(31).wrapping_add(number as u64));
        let (teams, freed, people) = (Vec::new(), Vec::new(), Vec::new());
        Self { number, idp, random, next: 0, shared: shared.to_vec(), teams, freed, people }
    }

    /// Works until it is told to stop, and returns itself with what it knows.
    pub(crate) async fn work(mut self, progress: Arc<Progress>) -> Self {
        while !progress.stop.load(Ordering::Relaxed) {
            self.step().await;
            progress.answer();
        }
        self
    }

    async fn step(&mut self) {
        let whom = self.whom();
        match (self.random.random_range(0..100), whom) {
            (0..25, _) | (_, None) => self.hire().await,
            (25..40, Some(whom)) => self.rename(whom).await,
            (40..55, Some(whom)) => self.switch(whom).await,
            (55..72, Some(whom)) => self.join(whom).await,
            (72..80, Some(whom)) => self.leave(whom).await,
            (80..86, Some(whom)) => self.dismiss(whom).await,
            (86..90, _) => self.rehire().await,
            (90..93, _) => self.found_team().await,
            (93..95, _) => self.close_team().await,
            (_, Some(whom)) => self.check(whom).await,
        }
    }

    /// Somebody who is there.
    fn whom(&mut self) -> Option<usize> {
        let living: Vec<usize> = (0..self.people.len()).filter(|at| !self.people[*at].deleted).collect();
        (!living.is_empty()).then(|| living[self.random.random_range(0..living.len())])
    }

    fn fresh(&mut self) -> String {
        self.next += 1;
        format!("c{}.p{}", self.number, self.next)
    }

    /// One request that must succeed in the end. `None`: it was in doubt, and is left there.
    async fn change(&mut self, method: Method, path: &str, body: Option<Value>) -> Option<Answer> {
        match self.idp.ask(&method, path, body.as_ref()).await {
            Some(answer) if answer.succeeded() => return Some(answer),
            Some(answer) if answer.status != 503 => panic!("{method} {path} {body:?}: {answer:?}"),
            _ if self.random.random_bool(0.5) => return None,
            _ => {}
        }
        let (answer, _) = self.idp.insist(&method, path, body.as_ref()).await;
        // What was done the first time.
        let done = match method {
            Method::DELETE => answer.status == 404,
            Method::POST => answer.status == 409,
            _ => false,
        };
        assert!(answer.succeeded() || done, "{method} {path} {body:?}: {answer:?}");
        answer.succeeded().then_some(answer)
    }

    async fn hire(&mut self) {
        let external_id = self.fresh();
        let reuse = !self.freed.is_empty() && self.random.random_bool(0.3);
        let user_name = if reuse { self.freed.remove(0) } else { external_id.clone() };
        let mut document = user(&user_name, &external_id);
        let active = self.random.random_bool(0.9);
        document["active"] = active.into();
        let answer = self.change(Method::POST, "/Users", Some(document)).await;
        let id = match answer {
            Some(answer) => Some(answer.id()),
            None => self.idp.find("Users", "userName", &user_name).await,
        };
        let Some(id) = id else { return };
        self.people.push(Person {
            id,
            display_name: format!("Person {external_id}"),
            user_name,
            external_id,
            active,
            deleted: false,
            groups: BTreeSet::new(),
            gave_a_name: false,
        });
    }

    async fn rename(&mut self, whom: usize) {
        self.next += 1;
        let person = &self.people[whom];
        let path = format!("/Users/{}", person.id);
        if self.random.random_bool(0.3) {
            let display_name = format!("Person {} the {}th", person.external_id, self.next);
            if self.change(Method::PATCH, &path, Some(set("displayName", display_name.clone()))).await.is_some() {
                self.people[whom].display_name = display_name;
            } else {
                self.look(whom).await;
            }
            return;
        }
        let (old, new) = (person.user_name.clone(), format!("{}.n{}", person.external_id, self.next));
        if self.change(Method::PATCH, &path, Some(set("userName", new.clone()))).await.is_some() {
            self.people[whom].user_name = new;
        } else {
            self.look(whom).await;
        }
        if self.people[whom].user_name != old {
            self.freed.push(old);
            self.people[whom].gave_a_name = true;
        }
    }

    async fn switch(&mut self, whom: usize) {
        let person = &self.people[whom];
        let (path, active) = (format!("/Users/{}", person.id), !person.active);
        if self.change(Method::PATCH, &path, Some(set("active", active))).await.is_some() {
            self.people[whom].active = active;
        } else {
            self.look(whom).await;
        }
    }

    /// A group of everybody's, or one's own.
    fn some_group(&mut self) -> (String, String) {
        let own = self.teams.iter().map(|team| (team.name.clone(), team.id.clone()));
        let all: Vec<(String, String)> = self.shared.iter().cloned().chain(own).collect();
        all[self.random.random_range(0..all.len())].clone()
    }

    async fn join(&mut self, whom: usize) {
        let (name, id) = self.some_group();
        let operation = json!({ "op": "add", "path": "members", "value": [{ "value": self.people[whom].id }] });
        if self.change(Method::PATCH, &format!("/Groups/{id}"), Some(patch(operation))).await.is_some() {
            self.people[whom].groups.insert(name);
        } else {
            self.look(whom).await;
        }
    }

    async fn leave(&mut self, whom: usize) {
        let Some(name) = self.people[whom].groups.first().cloned() else { return self.join(whom).await };
        let own = self.teams.iter().find(|team| team.name == name).map(|team| team.id.clone());
        let id = own.or_else(|| Some(self.shared.iter().find(|(known, _)| *known == name)?.1.clone())).unwrap();
        let operation = json!({ "op": "remove", "path": format!("members[value eq \"{}\"]", self.people[whom].id) });
        if self.change(Method::PATCH, &format!("/Groups/{id}"), Some(patch(operation))).await.is_some() {
            self.people[whom].groups.remove(&name);
        } else {
            self.look(whom).await;
        }
    }

    async fn dismiss(&mut self, whom: usize) {
        // A person whose old name somebody else has is kept: who may have the name otherwise is a matter of approval.
        if self.people[whom].gave_a_name {
            return self.switch(whom).await;
        }
        let path = format!("/Users/{}", self.people[whom].id);
        if self.change(Method::DELETE, &path, None).await.is_some() {
            self.people[whom].deleted = true;
            self.people[whom].groups.clear();
        } else {
            self.look(whom).await;
        }
    }

    async fn rehire(&mut self) {
        let Some(whom) = self.people.iter().position(|person| person.deleted) else { return };
        let person = self.people[whom].clone();
        let document = user(&person.user_name, &person.external_id);
        let id = match self.change(Method::POST, "/Users", Some(document)).await {
            Some(answer) => Some(answer.id()),
            None => self.idp.find("Users", "userName", &person.user_name).await,
        };
        if let Some(id) = id {
            assert_eq!(id, person.id, "a re-hire gets the same id back: {person:?}");
            let back = &mut self.people[whom];
            (back.deleted, back.active) = (false, true);
            back.display_name = format!("Person {}", back.external_id);
        }
    }

    async fn found_team(&mut self) {
        let name = format!("Team {}", self.fresh());
        let first: Vec<usize> = (0..self.people.len()).filter(|at| !self.people[*at].deleted).take(3).collect();
        let ids: Vec<String> = first.iter().map(|at| self.people[*at].id.clone()).collect();
        let id = match self.change(Method::POST, "/Groups", Some(group(&name, &ids))).await {
            Some(answer) => Some(answer.id()),
            None => self.idp.find("Groups", "displayName", &name).await,
        };
        let Some(id) = id else { return };
        for at in first {
            self.people[at].groups.insert(name.clone());
        }
        self.teams.push(Team { id, name });
    }

    async fn close_team(&mut self) {
        if self.teams.is_empty() {
            return;
        }
        let team = self.teams.remove(0);
        let path = format!("/Groups/{}", team.id);
        if self.change(Method::DELETE, &path, None).await.is_none() {
            let (answer, _) = self.idp.insist(&Method::GET, &path, None).await;
            if answer.status == 200 {
                self.teams.push(team);
                return;
            }
            assert_eq!(answer.status, 404, "{answer:?}");
        }
        for person in &mut self.people {
            person.groups.remove(&team.name);
        }
    }

    /// What the store says of somebody, after a request in doubt.
    async fn look(&mut self, whom: usize) {
        let Some(found) = self.read(whom).await else {
            self.people[whom].deleted = true;
            self.people[whom].groups.clear();
            return;
        };
        let person = &mut self.people[whom];
        person.user_name = found["userName"].as_str().unwrap().to_owned();
        person.display_name = found["displayName"].as_str().unwrap().to_owned();
        person.active = found["active"].as_bool().unwrap();
        person.groups = group_names(&found);
    }

    async fn read(&self, whom: usize) -> Option<Value> {
        let path = format!("/Users/{}", self.people[whom].id);
        let (answer, _) = self.idp.insist(&Method::GET, &path, None).await;
        assert!(matches!(answer.status, 200 | 404), "{path}: {answer:?}");
        (answer.status == 200).then_some(answer.body)
    }

    /// What was answered 2xx is in the store.
    async fn check(&self, whom: usize) {
        let (person, found) = (&self.people[whom], self.read(whom).await);
        match found {
            None => assert!(person.deleted, "lost: {person:?}"),
            Some(found) => {
                assert!(!person.deleted, "not deleted: {person:?}");
                assert_eq!(found["userName"], person.user_name.as_str(), "{person:?}");
                assert_eq!(found["displayName"], person.display_name.as_str(), "{person:?}");
                assert_eq!(found["active"], person.active, "{person:?}");
                assert_eq!(group_names(&found), person.groups, "{person:?}");
            }
        }
    }

    /// [`Client::check`] of everybody.
    pub(crate) async fn check_all(&self) {
        for whom in 0..self.people.len() {
            self.check(whom).await;
        }
    }
}

fn group_names(found: &Value) -> BTreeSet<String> {
    let groups = found["groups"].as_array().cloned().unwrap_or_default();
    groups.iter().map(|group| group["display"].as_str().unwrap().to_owned()).collect()
}
