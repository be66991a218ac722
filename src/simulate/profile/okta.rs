//! Okta as a SCIM 2.0 client, in both of its styles (OKTA-1): an app of the catalogue changes by PATCH, a private app by
//! PUT. The bodies and their order are those of OKTA-2 to OKTA-25.

use hyper::Method;
use hyper::header::{AUTHORIZATION, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{Found, Group, Idp, Member, Movement, Soon};
use crate::simulate::check::{Answer, Check, Kind};
use crate::simulate::client::Request;
use crate::simulate::people::Person;
use crate::simulate::wire::{Ask, Failed, Wire};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// What Okta leaves as it is in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The page of every list (OKTA-4, OKTA-21).
const PAGE: u64 = 100;

/// Which kind of integration (OKTA-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// An app of the catalogue, or made from the template.
    Catalogue,
    /// An app made with the wizard.
    Private,
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Okta {
    /// Which kind of integration.
    pub style: Style,
}

/// The body of a create (OKTA-6).
pub fn new_user(person: &Person) -> Value {
    json!({
        "schemas": [USER],
        "userName": person.user_name,
        "name": { "givenName": person.given, "familyName": person.family },
        "emails": emails(person),
        "displayName": person.display_name(),
        "locale": "en-US",
        "externalId": person.external_id,
        "groups": [],
        "password": person.password,
        "active": true,
    })
}

fn emails(person: &Person) -> Value {
    json!([{ "primary": true, "value": person.user_name, "type": "work" }])
}

/// The body of a change of members (OKTA-18): the name is sent along every time (P-31).
pub fn member_patch(group: &Group, joining: &[Member], leaving: &[Member]) -> Value {
    let mut operations = vec![json!({ "op": "replace", "value": { "id": group.id, "displayName": group.name } })];
    let path = |member: &Member| format!("members[value eq \"{}\"]", member.id);
    operations.extend(leaving.iter().map(|member| json!({ "op": "remove", "path": path(member) })));
    if !joining.is_empty() {
        operations.push(json!({ "op": "add", "path": "members", "value": members(joining) }));
    }
    json!({ "schemas": [PATCH], "Operations": operations })
}

/// The path of a look-up with `eq` (F-1, F-9).
pub fn lookup(kind: Kind, attribute: &str, value: &str) -> String {
    let literal = Value::from(value);
    let filter = format!("{attribute} eq {literal}");
    format!("{}?filter={}&startIndex=1&count={PAGE}", kind.path(), utf8_percent_encode(&filter, QUERY))
}

fn members(members: &[Member]) -> Value {
    members.iter().map(|member| json!({ "value": member.id, "display": member.user_name })).collect()
}

fn at(kind: Kind, id: &str) -> String {
    format!("{}/{id}", kind.path())
}

fn page(kind: Kind, start: u64, count: u64) -> String {
    format!("{}?startIndex={start}&count={count}", kind.path())
}

async fn found(wire: &mut Wire, ask: Ask) -> Result<Option<Value>, Failed> {
    let answer = wire.ask(ask).await?;
    Ok(answer.resources().first().cloned())
}

fn id_of(answer: &Answer) -> Result<String, Failed> {
    // Its absence is a complaint already.
    answer.id().map(str::to_owned).ok_or(Failed)
}

impl Okta {
    /// GET, change, PUT back as received (OKTA-11).
    async fn put_back(
        &self,
        wire: &mut Wire,
        id: &str,
        about: &str,
        change: impl FnOnce(&mut Value) + Send,
        checks: Vec<Check>,
    ) -> Result<(), Failed> {
        let read = Ask::new("GET /Users/{id}", Method::GET, at(Kind::User, id), &[200])
            .about(about)
            .check(Check::Resource(Kind::User))
            .check(Check::Id(id.to_owned()));
        let mut body = wire.ask(read).await?.body;
        change(&mut body);
        let mut write = Ask::new("PUT /Users/{id}", Method::PUT, at(Kind::User, id), &[200])
            .about(about)
            .json(&body)
            .check(Check::Resource(Kind::User))
            .check(Check::Id(id.to_owned()))
            .check(Check::Echo(body));
        write.checks.extend(checks);
        wire.ask(write).await.map(drop)
    }

    async fn patch_group(&self, wire: &mut Wire, group: &Group, about: String, body: &Value) -> Result<(), Failed> {
        let ask = Ask::new("PATCH /Groups/{id}", Method::PATCH, at(Kind::Group, &group.id), &[200, 204])
            .about(about)
            .json(body)
            .check(Check::ResourceOrNothing(Kind::Group))
            .check(Check::Id(group.id.clone()));
        wire.ask(ask).await.map(drop)
    }

    /// OKTA-19.
    async fn put_group(&self, wire: &mut Wire, group: &Group, about: String, all: &[Member]) -> Result<(), Failed> {
        let body = json!({ "schemas": [GROUP], "displayName": group.name, "members": members(all) });
        let ask = Ask::new("PUT /Groups/{id}", Method::PUT, at(Kind::Group, &group.id), &[200])
            .about(about)
            .json(&body)
            .check(Check::Resource(Kind::Group))
            .check(Check::Id(group.id.clone()))
            .check(Check::Echo(body));
        wire.ask(ask).await.map(drop)
    }
}

impl Idp for Okta {
    /// OKTA-2; no `Accept-Encoding`, because nothing here would decode the answer.
    fn headers(&self) -> Vec<(&'static str, &'static str)> {
        vec![
            ("user-agent", "Okta SCIM Client 1.0.0"),
            ("accept", "application/scim+json"),
            ("accept-charset", "utf-8"),
            ("content-type", "application/scim+json; charset=utf-8"),
        ]
    }

    /// OKTA-3.
    fn authorization(&self, token: &str) -> String {
        format!("Bearer {token}")
    }

    /// OKTA-30; the size is not documented.
    fn batch(&self) -> Option<usize> {
        match self.style {
            Style::Catalogue => Some(100),
            Style::Private => None,
        }
    }

    /// OKTA-4.
    fn test_connection<'a>(&'a self, wire: &'a mut Wire) -> Soon<'a, ()> {
        Box::pin(async move {
            for (name, kind, count) in [("GET /Users (test)", Kind::User, 2), ("GET /Groups (test)", Kind::Group, PAGE)]
            {
                let ask = Ask::new(name, Method::GET, page(kind, 1, count), &[200])
                    .about("connection test")
                    .check(Check::List { start: 1, count });
                wire.ask(ask).await?;
            }
            Ok(())
        })
    }

    /// OKTA-24, OKTA-25.
    fn acceptance<'a>(&'a self, wire: &'a mut Wire, known: &'a Person, id: &'a str) -> Soon<'a, ()> {
        Box::pin(async move {
            let shouted = known.user_name.to_uppercase();
            let capitals = Ask::new("GET /Users?filter", Method::GET, lookup(Kind::User, "userName", &shouted), &[200])
                .about("the userName in capitals")
                .check(Check::List { start: 1, count: PAGE })
                .check(Check::Found(vec![id.to_owned()]));
            wire.ask(capitals).await?;
            let again = Ask::new("POST /Users (again)", Method::POST, Kind::User.path(), &[409])
                .about(known.user_name.as_str())
                .json(&new_user(known))
                .check(Check::Error);
            wire.ask(again).await?;
            let unknown =
                Ask::new("GET /Users/{id} (unknown)", Method::GET, "/Users/010101001010101011001010101011", &[404])
                    .check(Check::Error);
            wire.ask(unknown).await?;
            let mut stranger = Ask::new("GET /Users (no token)", Method::GET, page(Kind::User, 1, 2), &[401])
                .about("a wrong credential")
                .check(Check::Error)
                .check(Check::Challenge);
            stranger.request.headers.push((AUTHORIZATION, HeaderValue::from_static("non-token")));
            wire.ask(stranger).await.map(drop)
        })
    }

    /// OKTA-5.
    fn find_user<'a>(&'a self, wire: &'a mut Wire, person: &'a Person) -> Soon<'a, Option<Found>> {
        Box::pin(async move {
            let path = lookup(Kind::User, "userName", &person.user_name);
            let ask = Ask::new("GET /Users?filter", Method::GET, path, &[200])
                .about(person.user_name.as_str())
                .check(Check::List { start: 1, count: PAGE })
                .check(Check::EachHas("userName", person.user_name.clone()));
            let Some(user) = found(wire, ask).await? else { return Ok(None) };
            let id = user.get("id").and_then(Value::as_str).ok_or(Failed)?.to_owned();
            Ok(Some(Found { id, active: user.get("active") != Some(&Value::Bool(false)) }))
        })
    }

    /// OKTA-6, OKTA-8.
    fn create_user<'a>(&'a self, wire: &'a mut Wire, person: &'a Person) -> Soon<'a, String> {
        Box::pin(async move {
            let body = new_user(person);
            let ask = Ask::new("POST /Users", Method::POST, Kind::User.path(), &[201])
                .about(person.user_name.as_str())
                .json(&body)
                .check(Check::Resource(Kind::User))
                .check(Check::Location(Kind::User))
                .check(Check::Echo(body))
                .check(Check::Active(true));
            id_of(&wire.ask(ask).await?)
        })
    }

    fn update_user<'a>(&'a self, wire: &'a mut Wire, id: &'a str, person: &'a Person) -> Soon<'a, ()> {
        let change = |body: &mut Value| {
            body["userName"] = person.user_name.as_str().into();
            body["name"]["givenName"] = person.given.as_str().into();
            body["name"]["familyName"] = person.family.as_str().into();
            body["displayName"] = person.display_name().into();
            body["emails"] = emails(person);
            body["externalId"] = person.external_id.as_str().into();
        };
        Box::pin(self.put_back(wire, id, &person.user_name, change, Vec::new()))
    }

    /// OKTA-15, OKTA-16; then the user is looked up, because inactive users stay visible (GEN-15).
    fn set_active<'a>(&'a self, wire: &'a mut Wire, user: &'a Member, active: bool) -> Soon<'a, ()> {
        Box::pin(async move {
            match self.style {
                Style::Private => {
                    let checks = vec![Check::Active(active)];
                    self.put_back(wire, &user.id, &user.user_name, |body| body["active"] = active.into(), checks)
                        .await?;
                }
                Style::Catalogue => {
                    // P-1, P-2.
                    let operation = json!({ "op": "replace", "value": { "active": active } });
                    let body = json!({ "schemas": [PATCH], "Operations": [operation] });
                    let ask = Ask::new("PATCH /Users/{id}", Method::PATCH, at(Kind::User, &user.id), &[200, 204])
                        .about(format!("{} {}", user.user_name, if active { "returns" } else { "leaves" }))
                        .json(&body)
                        .check(Check::ResourceOrNothing(Kind::User))
                        .check(Check::Id(user.id.clone()))
                        .check(Check::Active(active));
                    wire.ask(ask).await?;
                }
            }
            let path = lookup(Kind::User, "userName", &user.user_name);
            let ask = Ask::new("GET /Users?filter", Method::GET, path, &[200])
                .about(user.user_name.as_str())
                .check(Check::List { start: 1, count: PAGE })
                .check(Check::Found(vec![user.id.clone()]))
                .check(Check::Active(active));
            wire.ask(ask).await.map(drop)
        })
    }

    /// F-9.
    fn find_group<'a>(&'a self, wire: &'a mut Wire, name: &'a str) -> Soon<'a, Option<Group>> {
        Box::pin(async move {
            let ask = Ask::new("GET /Groups?filter", Method::GET, lookup(Kind::Group, "displayName", name), &[200])
                .about(name)
                .check(Check::List { start: 1, count: PAGE })
                .check(Check::EachHas("displayName", name.to_owned()));
            let Some(group) = found(wire, ask).await? else { return Ok(None) };
            let id = group.get("id").and_then(Value::as_str).ok_or(Failed)?.to_owned();
            Ok(Some(Group { id, name: name.to_owned() }))
        })
    }

    /// OKTA-17.
    fn create_group<'a>(&'a self, wire: &'a mut Wire, name: &'a str) -> Soon<'a, Group> {
        Box::pin(async move {
            let body = json!({ "schemas": [GROUP], "displayName": name, "members": [] });
            let ask = Ask::new("POST /Groups", Method::POST, Kind::Group.path(), &[201])
                .about(name)
                .json(&body)
                .check(Check::Resource(Kind::Group))
                .check(Check::Location(Kind::Group))
                .check(Check::Echo(body));
            Ok(Group { id: id_of(&wire.ask(ask).await?)?, name: name.to_owned() })
        })
    }

    /// OKTA-18, OKTA-19.
    fn move_members<'a>(&'a self, wire: &'a mut Wire, group: &'a Group, movement: Movement<'a>) -> Soon<'a, ()> {
        Box::pin(async move {
            let about = moved(&group.name, movement);
            match self.style {
                Style::Private => self.put_group(wire, group, about, movement.all).await,
                Style::Catalogue => {
                    let body = member_patch(group, movement.joining, movement.leaving);
                    self.patch_group(wire, group, about, &body).await
                }
            }
        })
    }

    /// A forced push (P-29, P-30), with the name before it (P-31).
    fn push_members<'a>(&'a self, wire: &'a mut Wire, group: &'a Group, all: &'a [Member]) -> Soon<'a, ()> {
        Box::pin(async move {
            let about = format!("{}: exactly {}", group.name, all.len());
            if self.style == Style::Private {
                return self.put_group(wire, group, about, all).await;
            }
            let operations = json!([
                { "op": "replace", "value": { "id": group.id, "displayName": group.name } },
                { "op": "replace", "path": "members", "value": members(all) },
            ]);
            self.patch_group(wire, group, about, &json!({ "schemas": [PATCH], "Operations": operations })).await
        })
    }

    fn verify_members<'a>(&'a self, wire: &'a mut Wire, group: &'a Group, all: &'a [Member]) -> Soon<'a, ()> {
        Box::pin(async move {
            let ask = Ask::new("GET /Groups/{id}", Method::GET, at(Kind::Group, &group.id), &[200])
                .about(format!("{}: its members", group.name))
                .check(Check::Resource(Kind::Group))
                .check(Check::Id(group.id.clone()))
                .check(Check::Members(all.iter().map(|member| member.id.clone()).collect()));
            wire.ask(ask).await.map(drop)
        })
    }

    /// OKTA-20.
    fn delete_group<'a>(&'a self, wire: &'a mut Wire, group: &'a Group) -> Soon<'a, ()> {
        Box::pin(async move {
            let ask = Ask::new("DELETE /Groups/{id}", Method::DELETE, at(Kind::Group, &group.id), &[204])
                .about(group.name.as_str())
                .check(Check::Nothing);
            wire.ask(ask).await.map(drop)
        })
    }

    /// OKTA-21.
    fn import_users<'a>(&'a self, wire: &'a mut Wire, pages: u64) -> Soon<'a, (Vec<String>, bool)> {
        Box::pin(async move {
            let mut ids = Vec::new();
            for _ in 0..pages {
                let start = ids.len() as u64 + 1;
                let ask = Ask::new("GET /Users (import)", Method::GET, page(Kind::User, start, PAGE), &[200])
                    .about(format!("from {start}"))
                    .check(Check::List { start, count: PAGE });
                let answer = wire.ask(ask).await?;
                let listed = answer.resources().iter().filter_map(|user| user.get("id")?.as_str());
                ids.extend(listed.map(str::to_owned));
                let more = answer.total().is_some_and(|total| (ids.len() as u64) < total);
                if !more || answer.resources().is_empty() {
                    return Ok((ids, !more));
                }
            }
            Ok((ids, false))
        })
    }
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

/// A look-up by userName, without checks, for load.
pub fn find_user_request(user_name: &str) -> Request {
    Request::new(Method::GET, lookup(Kind::User, "userName", user_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str) -> Member {
        Member { id: id.to_owned(), user_name: format!("{id}@corp.example") }
    }

    #[test]
    fn a_lookup_is_encoded_as_okta_does() {
        let path = lookup(Kind::User, "userName", "ann.moss@corp.example");
        let wanted = "/Users?filter=userName%20eq%20%22ann.moss%40corp.example%22&startIndex=1&count=100";
        assert_eq!(path, wanted);
        assert!(lookup(Kind::Group, "displayName", r#"Crew "A""#).contains("%22Crew%20%5C%22A%5C%22%22"));
    }

    #[test]
    fn a_change_of_members_names_the_group_removes_by_filter_and_adds_in_one_operation() {
        let group = Group { id: "g-02c9".into(), name: "Platform Crew".into() };
        let body = member_patch(&group, &[member("u-55aa")], &[member("u-7f31")]);
        let wanted = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [
                { "op": "replace", "value": { "id": "g-02c9", "displayName": "Platform Crew" } },
                { "op": "remove", "path": "members[value eq \"u-7f31\"]" },
                { "op": "add", "path": "members",
                  "value": [{ "value": "u-55aa", "display": "u-55aa@corp.example" }] },
            ]
        });
        assert_eq!(body, wanted);
    }

    #[test]
    fn a_new_user_has_everything_that_okta_sends() {
        let body = new_user(&Person::new(0, 0));
        for name in
            ["userName", "name", "emails", "displayName", "locale", "externalId", "groups", "password", "active"]
        {
            assert!(body.get(name).is_some(), "{name}");
        }
    }
}
