//! What is asked besides what happens every day: the listing tests of providers, and what they rely on.

use hyper::Method;
use hyper::header::{AUTHORIZATION, HeaderValue};

use super::dialect::{Dialect, Match, at, encoded, filter};
use super::steps::{self, lookup};
use crate::simulate::check::{Check, Kind};
use crate::simulate::people::Person;
use crate::simulate::wire::{Ask, Failed, Wire};

/// What every provider relies on: letter case, conflicts, unknown ids.
pub(super) async fn usual(dialect: &Dialect, wire: &mut Wire, known: &Person, id: &str) -> Result<(), Failed> {
    match dialect.users.find {
        Match::Before(path) => {
            let mut shouted = known.clone();
            shouted.user_name = known.user_name.to_uppercase();
            let ask = lookup(Kind::User, path(&shouted), &known.user_name, "GEN-17, OKTA-24, VAL-3");
            wire.ask(ask.check(Check::Found(vec![id.to_owned()]))).await?;
            conflict(dialect, wire, known).await?;
        }
        // The conflict, and that the one who is there is found by it.
        Match::AfterConflict(_) => steps::create_user(dialect, wire, known).await.map(drop)?,
        Match::ReadAll | Match::Never => conflict(dialect, wire, known).await?,
    }
    unknown(wire).await
}

/// GEN-16.
async fn conflict(dialect: &Dialect, wire: &mut Wire, known: &Person) -> Result<(), Failed> {
    let again = Ask::new("POST /Users (again)", Method::POST, Kind::User.path(), &[409])
        .about(known.user_name.as_str())
        .cites("GEN-16, OKTA-9, KC-9")
        .json(&(dialect.users.body)(known, None, true))
        .check(Check::Error);
    wire.ask(again).await.map(drop)
}

/// GEN-20.
async fn unknown(wire: &mut Wire) -> Result<(), Failed> {
    let path = at(Kind::User, "010101001010101011001010101011");
    let ask = Ask::new("GET /Users/{id} (unknown)", Method::GET, path, &[404])
        .cites("OKTA-24, OKTA11-12, GEN-20")
        .check(Check::Error);
    wire.ask(ask).await.map(drop)
}

/// OKTA-25.
pub(super) async fn stranger(wire: &mut Wire) -> Result<(), Failed> {
    let mut ask = Ask::new("GET /Users (no token)", Method::GET, "/Users?startIndex=1&count=2", &[401])
        .about("a wrong credential")
        .cites("OKTA-25")
        .check(Check::Error)
        .check(Check::Challenge);
    ask.request.headers.push((AUTHORIZATION, HeaderValue::from_static("non-token")));
    wire.ask(ask).await.map(drop)
}

/// A look-up of a name that nobody has: an empty list, never 404 (ENTRA-2, OL-10, GEN-14).
pub(super) async fn nobody(wire: &mut Wire, kind: Kind, path: String, cites: &'static str) -> Result<(), Failed> {
    let called = match kind {
        Kind::User => "GET /Users?filter (test)",
        Kind::Group => "GET /Groups?filter (test)",
    };
    let list = steps::list_of(&path);
    let ask = Ask::new(called, Method::GET, path, &[200])
        .about("connection test")
        .cites(cites)
        .check(list)
        .check(Check::Found(Vec::new()));
    wire.ask(ask).await.map(drop)
}

/// A page of users or groups, as a connection test.
pub(super) async fn first_page(wire: &mut Wire, kind: Kind, query: &str, cites: &'static str) -> Result<(), Failed> {
    let called = match kind {
        Kind::User => "GET /Users (test)",
        Kind::Group => "GET /Groups (test)",
    };
    let path = format!("{}?{query}", kind.path());
    let list = steps::list_of(&path);
    let ask = Ask::new(called, Method::GET, path, &[200]).about("connection test").cites(cites).check(list);
    wire.ask(ask).await.map(drop)
}

/// What the server says of itself.
pub(super) async fn described(
    wire: &mut Wire,
    name: &'static str,
    cites: &'static str,
    check: Check,
) -> Result<crate::simulate::check::Answer, Failed> {
    let path = name.trim_start_matches("GET ");
    let ask = Ask::new(name, Method::GET, path, &[200]).about("what is supported").cites(cites);
    wire.ask(ask.check(check)).await
}

/// A filter that is none: 400 (F-17, OKTA11-13).
pub(super) async fn nonsense(wire: &mut Wire) -> Result<(), Failed> {
    let ask = Ask::new("GET /Users?filter (nonsense)", Method::GET, "/Users?filter=AMOSS", &[400])
        .about("a bare word")
        .cites("F-17, OKTA11-13")
        .check(Check::Error);
    wire.ask(ask).await.map(drop)
}

/// A question with two conditions (F-7): whether the list holds exactly these.
pub(super) async fn manages(wire: &mut Wire, id: &str, manager: &str, found: Vec<String>) -> Result<(), Failed> {
    let question = format!("id eq \"{id}\" and manager eq \"{manager}\"");
    let path = format!("/Users?filter={}&attributes=id", encoded(&question));
    let ask = Ask::new("GET /Users?filter (manager)", Method::GET, path, &[200])
        .about("who is managed by whom")
        .cites("F-7, ENTRA-20")
        .check(Check::Unpaged)
        .check(Check::Found(found));
    wire.ask(ask).await.map(drop)
}

/// The path of a look-up by `userName` (F-2).
pub(super) fn by_user_name(person: &Person) -> String {
    filter(Kind::User, "userName", &person.user_name)
}

/// The path of a look-up by `displayName` (F-12).
pub(super) fn by_display_name(name: &str) -> String {
    filter(Kind::Group, "displayName", name)
}
