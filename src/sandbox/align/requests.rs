//! The operations of API 2.0: `/Users`, `/Users/{id}`, and the lists that their ids come from.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use hyper::Method;
use serde_json::{Map, Value, json};

use super::api::{CITIES, DIVISIONS, REGIONS, USER, USERS, refused};
use super::filter::Filter;
use super::state::{AlignUser, AlignWorld, fold};
use crate::sandbox::exchange::{Call, Reply};

/// Rows of one answer, whatever is asked for (ALIGN-7).
const ROWS: usize = 100;

/// One call, by somebody who is known.
pub(super) struct Visit<'a> {
    pub(super) world: &'a mut AlignWorld,
    pub(super) call: &'a Call,
    pub(super) caller: u64,
    pub(super) now: DateTime<Utc>,
}

pub(super) fn answer(visit: &mut Visit<'_>) -> Reply {
    let answered = match (&visit.call.method, visit.call.route()) {
        (&Method::GET, USERS) => visit.users(),
        (&Method::POST, USERS) => visit.create(),
        (&Method::GET, USER) => visit.user(),
        (&Method::PATCH, USER) => visit.patch(),
        (&Method::GET, REGIONS) => visit.regions(),
        (&Method::GET, CITIES) => visit.cities(),
        (&Method::GET, DIVISIONS) => visit.divisions(),
        // ALIGN-2, ALIGN-26: what there is not is not there.
        _ => Err(Reply::empty(404)),
    };
    answered.unwrap_or_else(|refused| refused)
}

impl Visit<'_> {
    fn users(&self) -> Result<Reply, Reply> {
        let filter =
            self.call.parameter("$filter").map(Filter::parse).transpose().map_err(|text| refused(400, &text))?;
        let mut found: Vec<&AlignUser> = match filter.as_ref().and_then(|filter| filter.candidates(self.world)) {
            Some(candidates) => candidates,
            None => self.world.users().collect(),
        };
        self.sort(&mut found)?;
        let fits = |document: &Value| filter.as_ref().is_none_or(|filter| filter.fits(document));
        let documents: Vec<Value> = match &filter {
            // Nothing is looked at that is not shown, which counts with many users.
            None => self.page(found.into_iter())?.map(AlignUser::document).collect(),
            Some(_) => self.page(found.into_iter().map(AlignUser::document).filter(fits))?.collect(),
        };
        Ok(Reply::json(200, &documents.into_iter().map(|document| self.selected(document)).collect()))
    }

    /// ALIGN-8: without `$orderby`, or where it is not honoured, the order is nobody's business: here it is not that of
    /// the ids.
    fn sort(&self, users: &mut [&AlignUser]) -> Result<(), Reply> {
        let by_name = |one: &&AlignUser, other: &&AlignUser| -> Ordering {
            (&one.last_name, &one.first_name, one.id).cmp(&(&other.last_name, &other.first_name, other.id))
        };
        let wanted = self.call.parameter("$orderby").filter(|_| self.world.rules.honours_order);
        match wanted.map(fold).as_deref() {
            None => users.sort_by(by_name),
            Some("id" | "id asc") => users.sort_by_key(|user| user.id),
            Some("id desc") => users.sort_by_key(|user| std::cmp::Reverse(user.id)),
            Some(other) => return Err(refused(400, &format!("Could not find a property named '{other}'."))),
        }
        Ok(())
    }

    /// `$skip` and `$top` (ALIGN-7).
    fn page<T>(&self, rows: impl Iterator<Item = T>) -> Result<impl Iterator<Item = T>, Reply> {
        let number = |name: &str, default: usize| match self.call.parameter(name) {
            None => Ok(default),
            Some(text) => {
                text.parse::<usize>().map_err(|_| refused(400, &format!("The value of '{name}' is not valid.")))
            }
        };
        Ok(rows.skip(number("$skip", 0)?).take(number("$top", ROWS)?.min(ROWS)))
    }

    /// `$select`.
    fn selected(&self, document: Value) -> Value {
        let Some(names) = self.call.parameter("$select") else { return document };
        let names: Vec<String> = names.split(',').map(|name| fold(name.trim())).collect();
        match document {
            Value::Object(members) => {
                members.into_iter().filter(|(name, _)| names.contains(&fold(name))).collect::<Map<_, _>>().into()
            }
            other => other,
        }
    }

    fn user(&self) -> Result<Reply, Reply> {
        let id = self.addressed()?;
        let user = self.world.user(id).ok_or_else(|| Reply::empty(404))?;
        Ok(Reply::json(200, &self.selected(self.shown(user))))
    }

    /// ALIGN-12: the user, or its bare id.
    fn create(&mut self) -> Result<Reply, Reply> {
        self.manages()?;
        let body = self.body()?;
        let id = self.world.create(&body, self.now).map_err(|text| refused(400, &text))?;
        if self.world.rules.answers_ids {
            return Ok(Reply::json(200, &id.into()));
        }
        Ok(Reply::json(201, &self.world.user(id).map(|user| self.shown(user)).unwrap_or_default()))
    }

    /// ALIGN-24: success, without a body.
    fn patch(&mut self) -> Result<Reply, Reply> {
        self.manages()?;
        let id = self.addressed()?;
        let operations = self.body()?;
        if self.world.user(id).is_none() {
            return Err(Reply::empty(404));
        }
        self.world.patch(id, &operations, self.now).map_err(|text| refused(400, &text))?;
        Ok(Reply::empty(200))
    }

    fn shown(&self, user: &AlignUser) -> Value {
        let mut document = user.document();
        if self.world.rules.forgets_status {
            // ALIGN-17
            document["status"] = "Active".into();
        }
        document
    }

    fn regions(&self) -> Result<Reply, Reply> {
        let rows = self.world.rules.regions.iter().map(|(id, name)| json!({"id": id, "name": name}));
        Ok(Reply::json(200, &self.page(rows)?.collect()))
    }

    fn cities(&self) -> Result<Reply, Reply> {
        let cities = self.world.rules.cities.iter();
        let rows = cities.map(|(id, city)| json!({"id": id, "name": city.name, "regionId": city.region}));
        Ok(Reply::json(200, &self.page(rows)?.collect()))
    }

    fn divisions(&self) -> Result<Reply, Reply> {
        let rows = self.world.rules.divisions.iter().map(|(id, name)| json!({"id": id, "name": name}));
        Ok(Reply::json(200, &self.page(rows)?.collect()))
    }

    /// An id that is no number is a route that there is not.
    fn addressed(&self) -> Result<u64, Reply> {
        self.call.place.segments.first().and_then(|id| id.parse().ok()).ok_or_else(|| Reply::empty(404))
    }

    /// ALIGN-4: the token may do what its owner's role may.
    fn manages(&self) -> Result<(), Reply> {
        let role = self.world.user(self.caller).map(|caller| caller.role_id);
        match role {
            Some(role) if self.world.rules.managing_roles.contains(&role) => Ok(()),
            _ => Err(Reply::empty(403)),
        }
    }

    fn body(&self) -> Result<Value, Reply> {
        let content_type = self.call.header("content-type").unwrap_or_default();
        if !content_type.to_ascii_lowercase().starts_with("application/json") {
            return Err(Reply::empty(415));
        }
        serde_json::from_slice(&self.call.body).map_err(|_| refused(400, "The body is not valid JSON."))
    }
}
