//! People through the organisation's API: search, invitation, suspension, removal, roles.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::refusal::organization as refuse;
use super::state::{AccountStatus, Person, Trouble, fold};
use super::{Answer, Visit};
use crate::sandbox::exchange::Reply;

/// Rows of a page unless another number is asked for; at most [`MOST`].
const USUAL: usize = 50;
pub(super) const MOST: usize = 100;
/// The same where the query asks.
const USUAL_IN_QUERY: usize = 20;

/// The filters that we play. Lists that are too long are refused, as the document says.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct Search {
    cursor: Option<String>,
    limit: Option<usize>,
    emails: Option<Vec<String>>,
    search_term: Option<String>,
    account_ids: Option<Vec<String>>,
    group_ids: Option<Vec<String>>,
    status: Option<Vec<String>>,
    membership_status: Option<Vec<String>>,
    claim_status: Option<String>,
    directory_ids: Option<Vec<String>>,
    expand: Vec<String>,
    #[serde(skip)]
    start: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Invitation {
    emails: Vec<String>,
    #[serde(default)]
    permission_rules: Vec<Rule>,
    #[serde(default)]
    additional_groups: Vec<String>,
    #[serde(default)]
    send_notification: bool,
}

#[derive(Deserialize)]
struct Rule {
    resource: String,
    role: String,
}

/// CLOUD-12, CLOUD-15.
pub(super) fn search(visit: &mut Visit<'_>) -> Answer {
    visit.wants_json()?;
    let directory = visit.directory()?.to_owned();
    let asked: Search = visit.body(|_| refuse(400, "ADMIN-400-24", "The body is not valid"))?;
    let limit = asked.limit.unwrap_or(USUAL);
    let wanted = followed(asked).ok_or_else(|| refuse(400, "ADMIN-400-1", "The cursor is not valid"))?;
    let too_long = |list: &Option<Vec<String>>, most: usize| list.as_ref().is_some_and(|list| list.len() > most);
    if limit == 0
        || limit > MOST
        || too_long(&wanted.emails, 100)
        || too_long(&wanted.account_ids, 10)
        || too_long(&wanted.group_ids, 10)
    {
        return Err(refuse(400, "ADMIN-400-24", "A limit or a list is out of bounds"));
    }
    if wanted.emails.is_some() && wanted.search_term.is_some() {
        return Err(refuse(400, "ADMIN-400-24", "emails and searchTerm are mutually exclusive"));
    }
    let found: Vec<&Person> = visit.world.people().filter(|person| fits(visit, &wanted, &directory, person)).collect();
    let page: Vec<Value> =
        found.iter().skip(wanted.start).take(limit).map(|person| visit.row(person, &wanted.expand)).collect();
    let next = wanted.start + page.len();
    let mut links = json!({"self": visit.call.target});
    if next < found.len() {
        links["next"] = cursor(&wanted, next).into();
    }
    Ok(Reply::json(200, &json!({"data": page, "links": links})))
}

/// What the cursor says; with one, every other filter is ignored.
fn followed(asked: Search) -> Option<Search> {
    let Some(cursor) = asked.cursor else { return Some(asked) };
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (start, filters): (usize, Search) = serde_json::from_slice(&bytes).ok()?;
    Some(Search { start, ..filters })
}

fn cursor(wanted: &Search, start: usize) -> String {
    let text = serde_json::to_vec(&(start, Search { cursor: None, limit: None, ..wanted.clone() })).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(text)
}

fn fits(visit: &Visit<'_>, wanted: &Search, directory: &str, person: &Person) -> bool {
    let any = |list: &Option<Vec<String>>, value: &dyn Fn(&str) -> bool| {
        list.as_ref().is_none_or(|list| list.iter().any(|item| value(item)))
    };
    let within = match (&person.membership, directory) {
        // An account that the organisation never had to do with is not its business.
        (None, "-") => person.on_site || visit.world.manages(person),
        (None, _) => false,
        (Some(_), "-") => true,
        (Some(membership), id) => membership.directory == id,
    };
    let term = wanted.search_term.as_deref().map(fold);
    within
        && any(&wanted.emails, &|email| fold(email) == fold(&person.email))
        && any(&wanted.account_ids, &|id| id == person.id)
        && any(&wanted.group_ids, &|id| person.groups.contains(id))
        && any(&wanted.status, &|status| status == person.state())
        && any(&wanted.membership_status, &|status| status == membership(person))
        && any(&wanted.directory_ids, &|id| person.membership.as_ref().is_some_and(|found| found.directory == id))
        && wanted.claim_status.as_ref().is_none_or(|status| status == claim(visit, person))
        && term.is_none_or(|term| fold(&person.email).contains(&term) || fold(&person.name).contains(&term))
}

fn membership(person: &Person) -> &'static str {
    match &person.membership {
        None => "no_membership",
        Some(membership) if membership.suspended => "suspended",
        Some(_) => "active",
    }
}

fn claim(visit: &Visit<'_>, person: &Person) -> &'static str {
    if visit.world.manages(person) { "managed" } else { "unmanaged" }
}

/// CLOUD-19, CLOUD-22, CLOUD-26, CLOUD-27.
pub(super) fn invite(visit: &mut Visit<'_>) -> Answer {
    visit.wants_json()?;
    let wanted: Invitation = visit.body(|_| refuse(400, "ADMIN-UAM-400-1", "The body is not valid"))?;
    if wanted.emails.is_empty() || wanted.emails.iter().any(|email| !email.contains('@')) {
        return Err(refuse(400, "ADMIN-UAM-400-1", "An email address is not valid"));
    }
    if wanted.permission_rules.iter().any(|rule| visit.world.app_of(&rule.resource).is_err())
        || wanted.additional_groups.iter().any(|id| visit.world.group_by_id(id).is_none())
    {
        return Err(refuse(404, "ADMIN-UAM-404-1", "The resource does not exist"));
    }
    let (mut data, mut failed, mut mail_to) = (Vec::new(), false, None);
    for email in &wanted.emails {
        let known = visit.world.person(email).is_some();
        let id = visit.world.invite(email);
        if !known && wanted.send_notification {
            mail_to = Some(email.clone());
        }
        let mut roles = Vec::new();
        for Rule { resource, role } in &wanted.permission_rules {
            let trouble = visit.world.assign(&id, resource, role).err();
            failed |= trouble.is_some();
            roles.push(part(json!({"resource": resource, "role": role}), trouble));
        }
        let mut groups = Vec::new();
        for group in &wanted.additional_groups {
            let trouble = visit.world.join(&id, group).err().filter(|trouble| *trouble != Trouble::AlreadyMember);
            failed |= trouble.is_some();
            groups.push(part(json!({"group": group}), trouble));
        }
        data.push(json!({
            "id": id, "email": email,
            "results": [{"roleAssignmentResult": roles, "groupAssignmentResult": groups}],
        }));
    }
    let mut reply = Reply::json(if failed { 206 } else { 200 }, &json!({ "data": data }));
    reply.mail_to = mail_to;
    Ok(reply)
}

fn part(mut of: Value, trouble: Option<Trouble>) -> Value {
    of["status"] = if trouble.is_some() { "ERROR" } else { "INVITED" }.into();
    of["statusReason"] = trouble.map_or(Value::Null, |trouble| trouble.to_string().into());
    of
}

pub(super) fn suspend(visit: &mut Visit<'_>) -> Answer {
    visit.wants_json()?;
    visit.directory()?;
    let id = visit.segment(2).to_owned();
    done(visit.world.suspend(&id))
}

pub(super) fn restore(visit: &mut Visit<'_>) -> Answer {
    visit.wants_json()?;
    visit.directory()?;
    let id = visit.segment(2).to_owned();
    match visit.world.restore(&id) {
        // No 409 is documented here *(unconfirmed)*.
        Err(Trouble::NoSeats(app)) => Err(refuse(400, "ADMIN-400-32", &format!("The user limit of {app} is reached"))),
        other => done(other),
    }
}

pub(super) fn remove(visit: &mut Visit<'_>) -> Answer {
    visit.directory()?;
    let id = visit.segment(2).to_owned();
    done(visit.world.expel(&id))
}

pub(super) fn assign(visit: &mut Visit<'_>) -> Answer {
    role(visit, true)
}

pub(super) fn withdraw(visit: &mut Visit<'_>) -> Answer {
    role(visit, false)
}

fn role(visit: &mut Visit<'_>, give: bool) -> Answer {
    visit.wants_json()?;
    let Rule { resource, role } = visit.body(|_| refuse(400, "ADMIN-UAM-400-5", "Cloud Resource is empty"))?;
    let id = visit.segment(1).to_owned();
    if visit.world.person_by_id(&id).is_none_or(|person| person.membership.is_none()) {
        return done(Err(Trouble::NotInDirectory));
    }
    done(if give { visit.world.assign(&id, &resource, &role) } else { visit.world.withdraw(&id, &resource, &role) })
}

/// Where access comes from (CLOUD-28).
pub(super) fn roles(visit: &mut Visit<'_>) -> Answer {
    let id = visit.segment(2);
    let person = visit.world.person_by_id(id).ok_or_else(|| refuse(404, "ADMIN-404-8", "The user does not exist"))?;
    let all = visit.world.roles_of(person);
    let apps = visit.world.apps.iter().filter(|app| all.iter().any(|(resource, _, _)| *resource == app.resource));
    let item = |app: &super::App| {
        let own: Vec<Value> = all
            .iter()
            .filter(|(resource, _, _)| *resource == app.resource)
            .map(|(_, role, by_group)| {
                json!({"role": role, "roleAssignmentMethods": [if *by_group { "group_direct" } else { "direct" }]})
            })
            .collect();
        json!({
            "resourceId": app.resource, "resourceOwner": app.key, "roleAssignments": own,
            "directoryId": person.membership.as_ref().map(|membership| &membership.directory),
            "userDirectoryStatus": membership(person),
        })
    };
    paged(visit, apps.map(item).collect())
}

/// A page by the cursor of the query, with which everything else there is ignored (CLOUD-15).
pub(super) fn paged(visit: &Visit<'_>, all: Vec<Value>) -> Answer {
    let limit = visit.call.parameter("limit").map_or(Some(USUAL_IN_QUERY), |limit| limit.parse().ok());
    let limit = limit.filter(|limit| (1..=MOST).contains(limit));
    let limit = limit.ok_or_else(|| refuse(400, "ADMIN-400-24", "The limit is out of bounds"))?;
    let number = |cursor: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        String::from_utf8(bytes).ok()?.parse::<usize>().ok()
    };
    let start = visit.call.parameter("cursor").map_or(Some(0), number);
    let start = start.ok_or_else(|| refuse(400, "ADMIN-400-1", "The cursor is not valid"))?;
    let page: Vec<&Value> = all.iter().skip(start).take(limit).collect();
    let next = start + page.len();
    let mut links = json!({});
    if next < all.len() {
        links["next"] = URL_SAFE_NO_PAD.encode(next.to_string()).into();
    }
    Ok(Reply::json(200, &json!({"data": page, "links": links})))
}

pub(super) fn done(result: Result<(), Trouble>) -> Answer {
    match result {
        Ok(()) => Ok(Reply::empty(204)),
        Err(trouble) => Err(match trouble {
            Trouble::NoPerson | Trouble::NotInDirectory => {
                refuse(404, "ADMIN-UAM-404-1", "One or more user not found in the directory")
            }
            Trouble::NoGroup => refuse(404, "ADMIN-UAM-404-3", "The group does not exist"),
            Trouble::NoResource => refuse(404, "ADMIN-UAM-404-1", "The resource does not exist"),
            Trouble::NoSeats(app) => refuse(409, "ADMIN-UAM-409-3", &format!("The user limit of {app} is reached")),
            Trouble::AlreadyMember => refuse(409, "ADMIN-UAM-409-2", "The user is already a member"),
            // The status is unconfirmed.
            Trouble::NotMember => refuse(404, "ADMIN-404-8", "The user is not a member of the group"),
            Trouble::ReadOnlyGroup => refuse(403, "ADMIN-403-5", "The group cannot be managed"),
            Trouble::NameTaken => refuse(409, "ADMIN-UAM-409-2", "A group of that name exists"),
            Trouble::BadName => refuse(400, "ADMIN-UAM-400-1", "The name is not valid"),
            Trouble::DefaultGroup => refuse(403, "ADMIN-403-6", "The group carries a default role"),
            Trouble::AdminGroup => refuse(403, "ADMIN-403-7", "The group grants admin access"),
            Trouble::OrgAdmin => refuse(400, "ADMIN-UAM-400-1", "An organization admin cannot be suspended or removed"),
        }),
    }
}

impl Visit<'_> {
    fn row(&self, person: &Person, expand: &[String]) -> Value {
        let status = match person.status {
            AccountStatus::Active => "active",
            AccountStatus::Inactive | AccountStatus::ForDeletion => "inactive",
            AccountStatus::Closed => "closed",
        };
        let source = match (&person.membership, person.synced) {
            (_, true) => json!("synced"),
            (Some(_), false) => json!("invited"),
            (None, false) => Value::Null,
        };
        let mut row = json!({
            "accountId": person.id, "name": person.name, "email": person.email, "emailVerified": true,
            "accountType": person.kind.name(), "accountStatus": status, "membershipStatus": membership(person),
            "status": person.state(), "claimStatus": claim(self, person), "managementSource": source,
        });
        let shown = [
            ("nickname", "nickname"),
            ("zoneinfo", "timeZone"),
            ("job_title", "jobTitle"),
            ("department", "department"),
            ("organization", "organization"),
            ("location", "location"),
        ];
        for (field, member) in shown {
            if let Some(value) = person.profile.get(field) {
                row[member] = value.as_str().into();
            }
        }
        if expand.iter().any(|item| item == "groups") {
            let groups = person.groups.iter().filter_map(|id| self.world.group_by_id(id));
            row["groups"] = groups.map(|group| json!({"id": group.id, "name": group.name})).collect();
        }
        if expand.iter().any(|item| item == "platformRoles") {
            row["platformRoles"] = if person.org_admin { json!(["atlassian/org-admin"]) } else { json!([]) };
        }
        row
    }
}
