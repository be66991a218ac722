//! Identity providers. Each is a file that says how one sends what all of them want: people found, created, changed,
//! switched off and on, groups pushed. A new one is a file here and a line in [`Profile`].

pub mod okta;

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::people::Person;
use super::wire::{Failed, Patience, Wire};

/// Who is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// Okta, an app of its catalogue: PATCH for activation and groups, PUT for profiles
    Okta,
    /// Okta, a private app: PUT for everything
    OktaPrivate,
}

impl Profile {
    /// The provider.
    pub fn idp(self) -> Box<dyn Idp> {
        match self {
            Self::Okta => Box::new(okta::Okta { style: okta::Style::Catalogue }),
            Self::OktaPrivate => Box::new(okta::Okta { style: okta::Style::Private }),
        }
    }
}

/// Somebody whom the server knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The id that the server gave.
    pub id: String,
    /// The userName.
    pub user_name: String,
}

/// A group that the server knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The id that the server gave.
    pub id: String,
    /// The name.
    pub name: String,
}

/// A change of a group's members.
#[derive(Clone, Copy, Debug, Default)]
pub struct Movement<'a> {
    /// Who is in it afterwards, for providers that send the whole list.
    pub all: &'a [Member],
    /// Who joins.
    pub joining: &'a [Member],
    /// Who leaves.
    pub leaving: &'a [Member],
}

/// A user that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The id that the server gave.
    pub id: String,
    /// Whether the user is active.
    pub active: bool,
}

/// An answer that is still to come; [`Failed`] when there is nothing to go on with, which is on record then.
pub type Soon<'a, T> = BoxFuture<'a, Result<T, Failed>>;

/// What an identity provider does.
pub trait Idp: Send + Sync {
    /// Headers of every request, in lower case.
    fn headers(&self) -> Vec<(&'static str, &'static str)>;
    /// How the token is sent.
    fn authorization(&self, token: &str) -> String;
    /// How long it waits.
    fn patience(&self) -> Patience {
        Patience { answer: Duration::from_secs(60), attempts: 10 }
    }
    /// The most members of one change; `None`: the provider sends the whole list.
    fn batch(&self) -> Option<usize>;
    /// What happens when the credentials are saved.
    fn test_connection<'a>(&'a self, wire: &'a mut Wire) -> Soon<'a, ()>;
    /// What the provider's acceptance test asks besides; `known` is a user that exists.
    fn acceptance<'a>(&'a self, wire: &'a mut Wire, known: &'a Person, id: &'a str) -> Soon<'a, ()>;
    /// Looks for the person.
    fn find_user<'a>(&'a self, wire: &'a mut Wire, person: &'a Person) -> Soon<'a, Option<Found>>;
    /// Creates the person; answers the id.
    fn create_user<'a>(&'a self, wire: &'a mut Wire, person: &'a Person) -> Soon<'a, String>;
    /// Makes the profile that of `person`.
    fn update_user<'a>(&'a self, wire: &'a mut Wire, id: &'a str, person: &'a Person) -> Soon<'a, ()>;
    /// Switches the user on or off.
    fn set_active<'a>(&'a self, wire: &'a mut Wire, user: &'a Member, active: bool) -> Soon<'a, ()>;
    /// Looks for the group.
    fn find_group<'a>(&'a self, wire: &'a mut Wire, name: &'a str) -> Soon<'a, Option<Group>>;
    /// Creates the group, empty.
    fn create_group<'a>(&'a self, wire: &'a mut Wire, name: &'a str) -> Soon<'a, Group>;
    /// Changes the members.
    fn move_members<'a>(&'a self, wire: &'a mut Wire, group: &'a Group, movement: Movement<'a>) -> Soon<'a, ()>;
    /// Makes exactly these the members.
    fn push_members<'a>(&'a self, wire: &'a mut Wire, group: &'a Group, members: &'a [Member]) -> Soon<'a, ()>;
    /// Checks that exactly these are the members.
    fn verify_members<'a>(&'a self, wire: &'a mut Wire, group: &'a Group, members: &'a [Member]) -> Soon<'a, ()>;
    /// Deletes the group.
    fn delete_group<'a>(&'a self, wire: &'a mut Wire, group: &'a Group) -> Soon<'a, ()>;
    /// Reads the users, at most so many pages; answers their ids, and whether these were all.
    fn import_users<'a>(&'a self, wire: &'a mut Wire, pages: u64) -> Soon<'a, (Vec<String>, bool)>;
}
