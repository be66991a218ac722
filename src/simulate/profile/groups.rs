//! What every provider does with groups, in the words of its dialect.

use hyper::Method;
use serde_json::{Value, json};

use super::dialect::{Dialect, Import, Match, Members, Patching, Rename, Shown, at, encoded, named};
use super::{Group, Member, Movement, steps};
use crate::simulate::check::{Check, Fault, Kind};
use crate::simulate::wire::{Ask, Failed, Wire};

/// A group is looked for in at most so many pages.
const PAGES: u64 = 200;
const PAGE: Import = Import::Pages(100);

/// The group of this name, if the provider looks for it before a create.
pub(super) async fn find(dialect: &Dialect, wire: &mut Wire, name: &str) -> Result<Option<Group>, Failed> {
    let Some(groups) = &dialect.groups else { return Ok(None) };
    let there = match groups.find {
        Match::Before(path) => {
            let ask = steps::lookup(Kind::Group, path(name), name, groups.cites.find);
            steps::hit(wire, ask, Kind::Group, name).await?
        }
        Match::ReadAll => among_all(wire, name, groups.cites.find).await?,
        Match::AfterConflict(_) | Match::Never => None,
    };
    there.map(|group| known(&group, name)).transpose()
}

fn known(group: &Value, name: &str) -> Result<Group, Failed> {
    let id = group.get("id").and_then(Value::as_str).ok_or(Failed)?.to_owned();
    Ok(Group { id, name: name.to_owned() })
}

/// Reads all groups, and compares the names on this side: each has to be there once (PING-5).
async fn among_all(wire: &mut Wire, name: &str, cites: &'static str) -> Result<Option<Value>, Failed> {
    let (all, _) = steps::read_all(wire, Kind::Group, PAGE, PAGES, cites).await?;
    let mut same = all.into_iter().filter(|group| group.get("displayName").and_then(Value::as_str) == Some(name));
    let found = same.next();
    if same.next().is_some() {
        let fault = Fault::new(format!("{name} is listed twice"), "PING-5, OKTA-21");
        wire.recorder().complain("GET /Groups (all)", fault);
    }
    Ok(found)
}

/// POST. Where the provider matches after a conflict, the one that is there is linked (AK-4).
pub(super) async fn create(dialect: &Dialect, wire: &mut Wire, name: &str) -> Result<Group, Failed> {
    let groups = dialect.groups.as_ref().ok_or(Failed)?;
    let mut ask = steps::create(Kind::Group, name, &(groups.body)(name)).cites(groups.cites.create);
    let after_conflict = match groups.find {
        Match::AfterConflict(path) => Some(path),
        _ => None,
    };
    if after_conflict.is_some() {
        ask.statuses = &[201, 409];
        ask = ask.check(Check::Error);
    }
    let answer = steps::made(wire, ask, Kind::Group, name).await?;
    let Some(path) = after_conflict.filter(|_| answer.status == 409) else {
        return Ok(Group { id: steps::id_of(&answer)?.to_owned(), name: name.to_owned() });
    };
    let link = steps::lookup(Kind::Group, path(name), name, groups.cites.find);
    let there = steps::hit(wire, link, Kind::Group, name).await?.ok_or(Failed)?;
    let group = known(&there, name)?;
    if steps::taken_over(wire, Kind::Group, &group.id, name) { Ok(group) } else { Err(Failed) }
}

/// Changes the members.
pub(super) async fn change(
    dialect: &Dialect,
    wire: &mut Wire,
    group: &Group,
    movement: Movement<'_>,
) -> Result<(), Failed> {
    let groups = dialect.groups.as_ref().ok_or(Failed)?;
    let about = moved(&group.name, movement);
    match groups.members {
        Members::Put(body) => put(dialect, wire, group, about, &body(group, movement.all)).await,
        Members::Patch(patching) => {
            for body in (patching.change)(group, movement.joining, movement.leaving) {
                patch(wire, group, &about, &body, &patching, groups.cites.members).await?;
            }
            Ok(())
        }
    }
}

/// Sends what this makes of a group, whoever is in it.
pub(super) async fn change_by(
    wire: &mut Wire,
    group: &Group,
    patching: &Patching,
    cites: &'static str,
) -> Result<(), Failed> {
    for body in (patching.change)(group, &[], &[]) {
        patch(wire, group, &group.name, &body, patching, cites).await?;
    }
    Ok(())
}

/// Who is in it.
pub(super) async fn present(wire: &mut Wire, group: &Group) -> Result<Vec<Member>, Failed> {
    let answer = wire.ask(read(group).cites("AK-8")).await?;
    let members = answer.body.get("members").and_then(Value::as_array);
    Ok(members.into_iter().flatten().filter_map(member).collect())
}

/// Makes exactly these the members: in one request where the provider has one for it, else by difference (AK-8).
pub(super) async fn push(dialect: &Dialect, wire: &mut Wire, group: &Group, all: &[Member]) -> Result<(), Failed> {
    let groups = dialect.groups.as_ref().ok_or(Failed)?;
    let about = format!("{}: exactly {}", group.name, all.len());
    match groups.members {
        Members::Put(body) => put(dialect, wire, group, about, &body(group, all)).await,
        Members::Patch(patching) => match patching.whole {
            Some(body) => patch(wire, group, &about, &body(group, all), &patching, groups.cites.members).await,
            None => by_difference(dialect, wire, group, all).await,
        },
    }
}

async fn by_difference(dialect: &Dialect, wire: &mut Wire, group: &Group, all: &[Member]) -> Result<(), Failed> {
    let present = present(wire, group).await?;
    let without = |from: &[Member], others: &[Member]| -> Vec<Member> {
        from.iter().filter(|one| !others.iter().any(|other| other.id == one.id)).cloned().collect()
    };
    let (joining, leaving) = (without(all, &present), without(&present, all));
    if joining.is_empty() && leaving.is_empty() {
        return Ok(());
    }
    change(dialect, wire, group, Movement { all, joining: &joining, leaving: &leaving }).await
}

fn member(entry: &Value) -> Option<Member> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    entry.get("value").and_then(Value::as_str).map(|id| Member { id: id.to_owned(), user_name: text("display") })
}

async fn put(dialect: &Dialect, wire: &mut Wire, group: &Group, about: String, body: &Value) -> Result<(), Failed> {
    let cites = dialect.groups.as_ref().map_or("", |groups| groups.cites.members);
    let ask = Ask::new("PUT /Groups/{id}", Method::PUT, at(Kind::Group, &group.id), dialect.put)
        .about(about)
        .cites(cites)
        .json(body)
        .check(Check::ResourceOrNothing(Kind::Group))
        .check(Check::Id(group.id.clone()))
        .check(Check::Echo(body.clone()));
    wire.ask(ask).await.map(drop)
}

async fn patch(
    wire: &mut Wire,
    group: &Group,
    about: &str,
    body: &Value,
    patching: &Patching,
    cites: &'static str,
) -> Result<(), Failed> {
    let path = format!("{}{}", at(Kind::Group, &group.id), patching.suffix);
    let mut ask = Ask::new("PATCH /Groups/{id}", Method::PATCH, path, &[200, 204])
        .about(about)
        .cites(cites)
        .json(body)
        .check(Check::ResourceOrNothing(Kind::Group))
        .check(Check::Id(group.id.clone()));
    if patching.quiet {
        ask = ask.check(Check::Without("members"));
    }
    wire.ask(ask).await.map(drop)
}

/// Gives the group another name, with its members as they are; answers it as it is now.
pub(super) async fn rename(
    dialect: &Dialect,
    wire: &mut Wire,
    group: &Group,
    name: &str,
    all: &[Member],
) -> Result<Group, Failed> {
    let groups = dialect.groups.as_ref().ok_or(Failed)?;
    let renamed = Group { id: group.id.clone(), name: name.to_owned() };
    let about = format!("{} becomes {name}", group.name);
    match (groups.rename, groups.members) {
        (Rename::No, _) => return Ok(group.clone()),
        (Rename::WithMembers, Members::Put(body)) => put(dialect, wire, &renamed, about, &body(&renamed, all)).await?,
        (Rename::WithMembers, Members::Patch(patching)) => {
            for body in (patching.change)(&renamed, &[], &[]) {
                patch(wire, group, &about, &body, &patching, groups.cites.rename).await?;
            }
        }
        (Rename::Patch(body), _) => {
            let patching = Patching { change: |_, _, _| Vec::new(), batch: 1, whole: None, suffix: "", quiet: false };
            patch(wire, group, &about, &body(group, name), &patching, groups.cites.rename).await?;
        }
    }
    wire.ask(read(&renamed).check(Check::Echo(json!({ "displayName": name })))).await?;
    Ok(renamed)
}

fn read(group: &Group) -> Ask {
    Ask::new(named(&Method::GET, Kind::Group), Method::GET, at(Kind::Group, &group.id), &[200])
        .about(format!("{}: its members", group.name))
        .check(Check::Resource(Kind::Group))
        .check(Check::Id(group.id.clone()))
}

/// Checks that exactly these are the members.
pub(super) async fn verify(dialect: &Dialect, wire: &mut Wire, group: &Group, all: &[Member]) -> Result<(), Failed> {
    let groups = dialect.groups.as_ref().ok_or(Failed)?;
    if groups.shown == Shown::OneByOne {
        one_by_one(wire, group, all).await?;
    }
    let ids = all.iter().map(|member| member.id.clone()).collect();
    wire.ask(read(group).check(Check::Members(ids))).await.map(drop)
}

async fn one_by_one(wire: &mut Wire, group: &Group, all: &[Member]) -> Result<(), Failed> {
    let path = format!("{}?excludedAttributes=members", at(Kind::Group, &group.id));
    let bare = Ask::new("GET /Groups/{id} (no members)", Method::GET, path, &[200])
        .about(group.name.as_str())
        .cites("ENTRA-7")
        .check(Check::Resource(Kind::Group))
        .check(Check::Without("members"));
    wire.ask(bare).await?;
    let Some(member) = all.first() else { return Ok(()) };
    let question = format!("id eq \"{}\" and members eq \"{}\"", group.id, member.id);
    let path = format!("/Groups?filter={}&attributes=id", encoded(&question));
    let ask = Ask::new("GET /Groups?filter (member)", Method::GET, path, &[200])
        .about(format!("{} in {}", member.user_name, group.name))
        .cites("F-10")
        .check(Check::Unpaged)
        .check(Check::Found(vec![group.id.clone()]));
    wire.ask(ask).await.map(drop)
}

/// Deletes the group; where the provider can say "no members" in one request, it does so before.
pub(super) async fn retire(dialect: &Dialect, wire: &mut Wire, group: &Group) -> Result<(), Failed> {
    let Some(groups) = &dialect.groups else { return Ok(()) };
    let empties = match groups.members {
        Members::Put(_) => true,
        Members::Patch(patching) => patching.whole.is_some(),
    };
    if empties {
        push(dialect, wire, group, &[]).await?;
        verify(dialect, wire, group, &[]).await?;
    }
    steps::delete(dialect, wire, Kind::Group, &group.id, &group.name, groups.cites.delete).await
}

/// `Platform Crew +2 -1`.
fn moved(name: &str, movement: Movement<'_>) -> String {
    let mut text = name.to_owned();
    for (sign, members) in [('+', movement.joining), ('-', movement.leaving)] {
        if let [only] = members {
            text.push_str(&format!(" {sign}{}", only.user_name));
        } else if !members.is_empty() {
            text.push_str(&format!(" {sign}{}", members.len()));
        }
    }
    text
}
