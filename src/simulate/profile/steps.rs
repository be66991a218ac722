//! What every provider does with users, in the words of its dialect. The rule of the house: a resource that was there before
//! is touched only if its name has the mark of a seed, for then an earlier session made it.

use hyper::Method;
use serde_json::Value;

use super::dialect::{Deletes, Dialect, Import, Match, Reread, Switch, Update, at, filter, named};
use super::{Found, Member};
use crate::simulate::check::{Answer, Check, Fault, Kind};
use crate::simulate::people::{Person, is_marked};
use crate::simulate::wire::{Ask, Failed, Wire};

/// A list as this path asks for it: by pages where it has a `count`.
pub(super) fn list_of(path: &str) -> Check {
    let number = |name: &str| {
        let value = path.split(['?', '&']).find_map(|pair| pair.strip_prefix(name))?;
        value.parse().ok()
    };
    match number("count=") {
        Some(count) => Check::List { start: number("startIndex=").unwrap_or(1), count },
        None => Check::Unpaged,
    }
}

/// A look-up; whatever is found has to have this name.
pub(super) fn lookup(kind: Kind, path: String, name: &str, cites: &'static str) -> Ask {
    let called = match kind {
        Kind::User => "GET /Users?filter",
        Kind::Group => "GET /Groups?filter",
    };
    let list = list_of(&path);
    Ask::new(called, Method::GET, path, &[200])
        .about(name)
        .cites(cites)
        .check(list)
        .check(Check::EachHas(kind.name(), name.to_owned()))
}

/// The resource of this name. A list of others only is a fault, and nobody to go on with: it may be anybody.
pub(super) async fn hit(wire: &mut Wire, ask: Ask, kind: Kind, name: &str) -> Result<Option<Value>, Failed> {
    let answer = wire.ask(ask).await?;
    let same = |resource: &&Value| {
        let found = resource.get(kind.name()).and_then(Value::as_str);
        found.is_some_and(|found| found.to_lowercase() == name.to_lowercase())
    };
    match answer.resources() {
        [] => Ok(None),
        resources => resources.iter().find(same).cloned().map(Some).ok_or(Failed),
    }
}

/// Whether to go on with a resource that was there before; it is on record either way.
pub(super) fn taken_over(wire: &Wire, kind: Kind, id: &str, name: &str) -> bool {
    wire.recorder().ledger(|ledger| {
        let ours = is_marked(name) || ledger.has(kind, id);
        match ours {
            true => ledger.made(kind, id, name),
            false => ledger.left_alone(kind, name),
        }
        ours
    })
}

fn found(user: &Value) -> Result<Found, Failed> {
    let id = user.get("id").and_then(Value::as_str).ok_or(Failed)?.to_owned();
    Ok(Found { id, active: user.get("active") != Some(&Value::Bool(false)) })
}

/// Looks for the person, if the provider does so before a create.
pub(super) async fn find_user(dialect: &Dialect, wire: &mut Wire, person: &Person) -> Result<Option<Found>, Failed> {
    let Match::Before(path) = dialect.users.find else { return Ok(None) };
    let ask = lookup(Kind::User, path(person), &person.user_name, dialect.users.cites.find);
    hit(wire, ask, Kind::User, &person.user_name).await?.as_ref().map(found).transpose()
}

/// POST. Where the provider matches after a conflict, the one who is there is linked and updated (AK-4).
pub(super) async fn create_user(dialect: &Dialect, wire: &mut Wire, person: &Person) -> Result<String, Failed> {
    let body = (dialect.users.body)(person, None, true);
    let mut ask = create(Kind::User, &person.user_name, &body).cites(dialect.users.cites.create);
    if body.get("active").is_some() {
        ask = ask.check(Check::Active(true));
    }
    let Match::AfterConflict(path) = dialect.users.find else {
        let answer = made(wire, ask, Kind::User, &person.user_name).await?;
        look_again(dialect, wire, id_of(&answer)?, person, true, false).await?;
        return id_of(&answer).map(str::to_owned);
    };
    ask.statuses = &[201, 409];
    let answer = made(wire, ask.check(Check::Error), Kind::User, &person.user_name).await?;
    if answer.status == 201 {
        return id_of(&answer).map(str::to_owned);
    }
    let link = lookup(Kind::User, path(person), &person.user_name, dialect.users.cites.find);
    let there = hit(wire, link, Kind::User, &person.user_name).await?;
    let Some(there) = there.as_ref().map(found).transpose()? else {
        let fault = Fault::new("409, and nobody of this userName is found", "GEN-16");
        wire.recorder().complain(format!("POST /Users ({})", person.user_name), fault);
        return Err(Failed);
    };
    if !taken_over(wire, Kind::User, &there.id, &person.user_name) {
        return Err(Failed);
    }
    update_user(dialect, wire, &there.id, person).await?;
    Ok(there.id)
}

/// POST of somebody who is not active yet, or no more, and has to stay so (GOOG-8, OPP-5); answers the id.
pub(super) async fn create_inactive(
    dialect: &Dialect,
    wire: &mut Wire,
    person: &Person,
    cites: &'static str,
) -> Result<String, Failed> {
    if let Some(found) = find_user(dialect, wire, person).await? {
        let ours = taken_over(wire, Kind::User, &found.id, &person.user_name);
        return if ours { Ok(found.id) } else { Err(Failed) };
    }
    let body = (dialect.users.body)(person, None, false);
    let ask = create(Kind::User, &person.user_name, &body).cites(cites).check(Check::Active(false));
    let answer = made(wire, ask, Kind::User, &person.user_name).await?;
    let id = id_of(&answer)?;
    wire.recorder().ledger(|ledger| ledger.switched(id, false));
    Ok(id.to_owned())
}

/// The POST of a resource that is not there.
pub(super) fn create(kind: Kind, name: &str, body: &Value) -> Ask {
    Ask::new(named(&Method::POST, kind), Method::POST, kind.path(), &[201])
        .about(name)
        .json(body)
        .check(Check::Resource(kind))
        .check(Check::Location(kind))
        .check(Check::Echo(body.clone()))
}

/// Sends a POST, and keeps in the ledger what became of it.
pub(super) async fn made(wire: &mut Wire, ask: Ask, kind: Kind, name: &str) -> Result<Answer, Failed> {
    let answer = wire.ask(ask).await;
    let id = answer.as_ref().ok().filter(|answer| answer.status == 201).and_then(Answer::id).map(str::to_owned);
    let in_doubt = answer.is_err() && wire.is_in_doubt();
    wire.recorder().ledger(|ledger| match id {
        Some(id) => ledger.made(kind, &id, name),
        None if in_doubt => ledger.unsure(kind, name),
        None => {}
    });
    answer
}

pub(super) fn id_of(answer: &Answer) -> Result<&str, Failed> {
    // Its absence is a complaint already.
    answer.id().ok_or(Failed)
}

/// Makes the profile that of `person`, who is active.
pub(super) async fn update_user(dialect: &Dialect, wire: &mut Wire, id: &str, person: &Person) -> Result<(), Failed> {
    let cites = dialect.users.cites.update;
    match dialect.users.update {
        Update::PutBack(change) => {
            put_back(dialect, wire, id, &person.user_name, cites, |body| change(person, body)).await?;
        }
        Update::Put => put(dialect, wire, id, person, true, cites).await?,
        Update::Patch(body) => patch(wire, id, &person.user_name, cites, &body(person, id), Vec::new()).await?,
    }
    look_again(dialect, wire, id, person, true, false).await
}

/// Switches the user on or off.
pub(super) async fn set_active(
    dialect: &Dialect,
    wire: &mut Wire,
    id: &str,
    person: &Person,
    active: bool,
) -> Result<(), Failed> {
    let cites = dialect.users.cites.switch;
    let about = format!("{} {}", person.user_name, if active { "returns" } else { "leaves" });
    match dialect.users.switch {
        Switch::PutBack => put_back(dialect, wire, id, &about, cites, |body| body["active"] = active.into()).await?,
        Switch::Put => put(dialect, wire, id, person, active, cites).await?,
        Switch::Patch(body) => {
            patch(wire, id, &about, cites, &body(id, active), vec![Check::Active(active)]).await?;
        }
    }
    wire.recorder().ledger(|ledger| ledger.switched(id, active));
    look_again(dialect, wire, id, person, active, true).await
}

/// GET, change, PUT back as received (OKTA-11).
async fn put_back(
    dialect: &Dialect,
    wire: &mut Wire,
    id: &str,
    about: &str,
    cites: &'static str,
    change: impl FnOnce(&mut Value) + Send,
) -> Result<(), Failed> {
    let read = Ask::new("GET /Users/{id}", Method::GET, at(Kind::User, id), &[200])
        .about(about)
        .cites(cites)
        .check(Check::Resource(Kind::User))
        .check(Check::Id(id.to_owned()));
    let mut body = wire.ask(read).await?.body;
    change(&mut body);
    let active = body.get("active").and_then(Value::as_bool).map(Check::Active);
    let mut write = Ask::new("PUT /Users/{id}", Method::PUT, at(Kind::User, id), dialect.put)
        .about(about)
        .cites(cites)
        .json(&body)
        .check(Check::ResourceOrNothing(Kind::User))
        .check(Check::Id(id.to_owned()))
        .check(Check::Echo(body));
    write.checks.extend(active);
    wire.ask(write).await.map(drop)
}

async fn put(
    dialect: &Dialect,
    wire: &mut Wire,
    id: &str,
    person: &Person,
    active: bool,
    cites: &'static str,
) -> Result<(), Failed> {
    let body = (dialect.users.body)(person, Some(id), active);
    let ask = Ask::new("PUT /Users/{id}", Method::PUT, at(Kind::User, id), dialect.put)
        .about(person.user_name.as_str())
        .cites(cites)
        .json(&body)
        .check(Check::ResourceOrNothing(Kind::User))
        .check(Check::Id(id.to_owned()))
        .check(Check::Echo(body))
        .check(Check::Active(active));
    wire.ask(ask).await.map(drop)
}

pub(super) async fn patch(
    wire: &mut Wire,
    id: &str,
    about: &str,
    cites: &'static str,
    body: &Value,
    checks: Vec<Check>,
) -> Result<(), Failed> {
    let mut ask = Ask::new("PATCH /Users/{id}", Method::PATCH, at(Kind::User, id), &[200, 204])
        .about(about)
        .cites(cites)
        .json(body)
        .check(Check::ResourceOrNothing(Kind::User))
        .check(Check::Id(id.to_owned()));
    ask.checks.extend(checks);
    wire.ask(ask).await.map(drop)
}

/// What was written is visible at once (ENTRA-26), and those who are inactive, too (GEN-15).
async fn look_again(
    dialect: &Dialect,
    wire: &mut Wire,
    id: &str,
    person: &Person,
    active: bool,
    switched: bool,
) -> Result<(), Failed> {
    if matches!(dialect.users.reread, Reread::Switched) && !switched {
        return Ok(());
    }
    let by_id = || {
        Ask::new("GET /Users/{id}", Method::GET, at(Kind::User, id), &[200])
            .check(Check::Resource(Kind::User))
            .check(Check::Id(id.to_owned()))
    };
    let ask = match (dialect.users.reread, dialect.users.find) {
        (Reread::Switched | Reread::Lookup, Match::Before(path) | Match::AfterConflict(path)) => {
            lookup(Kind::User, path(person), &person.user_name, dialect.users.cites.find)
                .check(Check::Found(vec![id.to_owned()]))
        }
        _ => by_id(),
    };
    let echo = (dialect.users.body)(person, Some(id), active);
    let ask = ask.about(person.user_name.as_str()).check(Check::Active(active)).check(Check::Echo(echo));
    wire.ask(ask).await.map(drop)
}

/// DELETE; afterwards nobody is there.
pub(super) async fn delete_user(dialect: &Dialect, wire: &mut Wire, user: &Member) -> Result<(), Failed> {
    delete(dialect, wire, Kind::User, &user.id, &user.user_name, dialect.users.cites.delete).await?;
    let id = at(Kind::User, &user.id);
    let gone = Ask::new("GET /Users/{id} (deleted)", Method::GET, id, &[404])
        .about(user.user_name.as_str())
        .cites("VAL-7, S11-29")
        .check(Check::Error);
    wire.ask(gone).await?;
    if dialect.users.deletes != Deletes::Twice {
        return Ok(());
    }
    let again = Ask::new("DELETE /Users/{id} (again)", Method::DELETE, at(Kind::User, &user.id), &[404])
        .about(user.user_name.as_str())
        .cites("VAL-1, ENTRA-30, AK-12")
        .check(Check::Error);
    wire.ask(again).await.map(drop)
}

/// DELETE of what the session made.
pub(super) async fn delete(
    dialect: &Dialect,
    wire: &mut Wire,
    kind: Kind,
    id: &str,
    name: &str,
    cites: &'static str,
) -> Result<(), Failed> {
    let ask = Ask::new(named(&Method::DELETE, kind), Method::DELETE, at(kind, id), dialect.deleted())
        .about(name)
        .cites(cites)
        .check(Check::Nothing);
    wire.ask(ask).await?;
    wire.recorder().ledger(|ledger| ledger.gone(kind, id));
    Ok(())
}

/// Reads all of a kind, at most so many pages; answers them, and whether these were all.
pub(super) async fn read_all(
    wire: &mut Wire,
    kind: Kind,
    page: Import,
    pages: u64,
    cites: &'static str,
) -> Result<(Vec<Value>, bool), Failed> {
    let called = match kind {
        Kind::User => "GET /Users (all)",
        Kind::Group => "GET /Groups (all)",
    };
    let mut all: Vec<Value> = Vec::new();
    for _ in 0..pages {
        let start = all.len() as u64 + 1;
        let (query, check) = match page {
            Import::No => return Ok((all, false)),
            Import::Pages(count) => (format!("?startIndex={start}&count={count}"), Check::List { start, count }),
            Import::ServersPages => (format!("?startIndex={start}"), Check::List { start, count: u64::MAX }),
            Import::Whole => (String::new(), Check::Unpaged),
        };
        let path = format!("{}{query}", kind.path());
        let about = format!("from {start}");
        let mut answer =
            wire.ask(Ask::new(called, Method::GET, path, &[200]).about(about).cites(cites).check(check)).await?;
        let page_is_empty = answer.resources().is_empty();
        let total = answer.total().unwrap_or_default();
        if let Some(Value::Array(resources)) = answer.body.get_mut("Resources").map(Value::take) {
            all.extend(resources);
        }
        let complete = all.len() as u64 >= total;
        if complete || page_is_empty || matches!(page, Import::Whole) {
            return Ok((all, complete));
        }
    }
    Ok((all, false))
}

/// Whether a create that was not answered was done after all; only of what has the mark of a seed.
pub(super) async fn doubt(wire: &mut Wire, kind: Kind, name: &str) -> Result<Option<String>, Failed> {
    let ask = lookup(kind, filter(kind, kind.name(), name), name, "GEN-22");
    let there = hit(wire, ask, kind, name).await?;
    wire.recorder().ledger(|ledger| ledger.sure(kind, name));
    let id = there.as_ref().and_then(|there| there.get("id")).and_then(Value::as_str);
    Ok(id.filter(|id| taken_over(wire, kind, id, name)).map(str::to_owned))
}
