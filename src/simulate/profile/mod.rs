//! Identity providers. Each is a file with its [`Dialect`]: how one sends what all of them want: people found, created,
//! changed, switched off and on, groups pushed. The steps that all share are in `steps` and `groups`; what one does otherwise it
//! does in its own file. A new one is a file here and a line in [`Profile`].

mod acceptance;
mod authentik;
mod dialect;
mod entra;
mod google;
mod groups;
mod jumpcloud;
mod keycloak;
pub mod okta;
mod okta11;
mod one_identity;
mod onelogin;
mod ping;
mod slack;
mod steps;

use futures_util::future::BoxFuture;

use super::check::Kind;
use super::people::Person;
use super::wire::{Failed, Manner, Patience, Wire};
pub use dialect::Dialect;
use dialect::{Deletes, Members};

/// Who is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// Okta, an app of its catalogue: PATCH for activation and groups, PUT for profiles
    Okta,
    /// Okta, a private app: PUT for everything
    OktaPrivate,
    /// Okta over SCIM 1.1: partial resources as PATCH; the URL ends in /v1
    OktaV1,
    /// Okta's on-premises agent: SCIM 1.1, PUT for everything; the URL ends in /v1
    OktaOpp,
    /// Entra ID with aadOptscim062020 in the tenant URL
    Entra,
    /// Entra ID without it: capital operations, booleans as text
    EntraLegacy,
    /// Google Workspace: users only, plain JSON
    Google,
    /// OneLogin: templates with empty values, one member a PATCH
    Onelogin,
    /// PingOne: no PATCH, groups matched by reading all of them
    Pingone,
    /// PingFederate with its SCIM 2.0 provisioner: users by PUT, groups by PATCH
    Pingfederate,
    /// JumpCloud: makes and deletes test objects at once, sends whole groups again and again
    Jumpcloud,
    /// Keycloak's community extension: never looks, waits 5 seconds
    Keycloak,
    /// authentik: creates, and looks after a conflict
    Authentik,
    /// One Identity Manager: reads everything, writes differences
    OneIdentity,
    /// Clients made for Slack: SCIM 1.1 with filters on email; the URL ends in /v1
    Slack,
}

impl Profile {
    /// The provider.
    pub fn idp(self) -> Box<dyn Idp> {
        match self {
            Self::Okta => Box::new(okta::Okta { style: okta::Style::Catalogue }),
            Self::OktaPrivate => Box::new(okta::Okta { style: okta::Style::Private }),
            Self::OktaV1 => Box::new(okta11::OktaV1),
            Self::OktaOpp => Box::new(okta11::OnPremises),
            Self::Entra => Box::new(entra::Entra { flagged: true }),
            Self::EntraLegacy => Box::new(entra::Entra { flagged: false }),
            Self::Google => Box::new(google::Google),
            Self::Onelogin => Box::new(onelogin::OneLogin),
            Self::Pingone => Box::new(ping::PingOne),
            Self::Pingfederate => Box::new(ping::PingFederate),
            Self::Jumpcloud => Box::new(jumpcloud::JumpCloud),
            Self::Keycloak => Box::new(keycloak::Keycloak),
            Self::Authentik => Box::new(authentik::Authentik::default()),
            Self::OneIdentity => Box::new(one_identity::OneIdentity::default()),
            Self::Slack => Box::new(slack::Slack),
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

/// What an identity provider does: by its dialect, unless it says otherwise.
pub trait Idp: Send + Sync {
    /// How it speaks.
    fn dialect(&self) -> &Dialect;
    /// What happens when the credentials are saved.
    fn test_connection<'a>(&'a self, wire: &'a mut Wire) -> Soon<'a, ()>;

    /// Headers of every request, in lower case.
    fn headers(&self) -> Vec<(&'static str, &'static str)> {
        self.dialect().headers.to_vec()
    }
    /// How the token is sent.
    fn authorization(&self, token: &str) -> String {
        format!("Bearer {token}")
    }
    /// How it speaks, whatever it says.
    fn manner(&self) -> Manner {
        self.dialect().manner
    }
    /// How long it waits.
    fn patience(&self) -> Patience {
        self.dialect().patience
    }
    /// The most members of one change; `None`: the provider sends the whole list.
    fn batch(&self) -> Option<usize> {
        match self.dialect().groups?.members {
            Members::Put(_) => None,
            Members::Patch(patching) => Some(patching.batch),
        }
    }
    /// Whether it pushes groups at all.
    fn pushes_groups(&self) -> bool {
        self.dialect().groups.is_some()
    }
    /// Whether it deletes users, instead of switching them off for good.
    fn deletes_users(&self) -> bool {
        self.dialect().users.deletes != Deletes::Never
    }
    /// What happens when the connection is activated; `stranger` and `group` are for whatever it makes and deletes then.
    fn activate<'a>(&'a self, _: &'a mut Wire, _stranger: &'a Person, _group: &'a str) -> Soon<'a, ()> {
        Box::pin(async { Ok(()) })
    }
    /// What the provider's acceptance test, or ours, asks besides; `known` is a user that exists.
    fn acceptance<'a>(&'a self, wire: &'a mut Wire, known: &'a Person, id: &'a str) -> Soon<'a, ()> {
        Box::pin(acceptance::usual(self.dialect(), wire, known, id))
    }
    /// Looks for the person.
    fn find_user<'a>(&'a self, wire: &'a mut Wire, person: &'a Person) -> Soon<'a, Option<Found>> {
        Box::pin(steps::find_user(self.dialect(), wire, person))
    }
    /// Whether to go on with what was there before: only with what an earlier session made.
    fn takes_over(&self, wire: &Wire, kind: Kind, id: &str, name: &str) -> bool {
        steps::taken_over(wire, kind, id, name)
    }
    /// Creates the person; answers the id.
    fn create_user<'a>(&'a self, wire: &'a mut Wire, person: &'a Person) -> Soon<'a, String> {
        Box::pin(steps::create_user(self.dialect(), wire, person))
    }
    /// Makes the profile that of `person`.
    fn update_user<'a>(&'a self, wire: &'a mut Wire, id: &'a str, person: &'a Person) -> Soon<'a, ()> {
        Box::pin(steps::update_user(self.dialect(), wire, id, person))
    }
    /// Switches the user on or off.
    fn set_active<'a>(&'a self, wire: &'a mut Wire, id: &'a str, person: &'a Person, active: bool) -> Soon<'a, ()> {
        Box::pin(steps::set_active(self.dialect(), wire, id, person, active))
    }
    /// Deletes the user.
    fn delete_user<'a>(&'a self, wire: &'a mut Wire, user: &'a Member) -> Soon<'a, ()> {
        Box::pin(steps::delete_user(self.dialect(), wire, user))
    }
    /// Looks for the group.
    fn find_group<'a>(&'a self, wire: &'a mut Wire, name: &'a str) -> Soon<'a, Option<Group>> {
        Box::pin(groups::find(self.dialect(), wire, name))
    }
    /// Creates the group, empty.
    fn create_group<'a>(&'a self, wire: &'a mut Wire, name: &'a str) -> Soon<'a, Group> {
        Box::pin(groups::create(self.dialect(), wire, name))
    }
    /// Gives the group another name; answers it as it is then.
    fn rename_group<'a>(
        &'a self,
        wire: &'a mut Wire,
        group: &'a Group,
        name: &'a str,
        all: &'a [Member],
    ) -> Soon<'a, Group> {
        Box::pin(groups::rename(self.dialect(), wire, group, name, all))
    }
    /// Changes the members.
    fn move_members<'a>(&'a self, wire: &'a mut Wire, group: &'a Group, movement: Movement<'a>) -> Soon<'a, ()> {
        Box::pin(groups::change(self.dialect(), wire, group, movement))
    }
    /// Makes exactly these the members.
    fn push_members<'a>(&'a self, wire: &'a mut Wire, group: &'a Group, members: &'a [Member]) -> Soon<'a, ()> {
        Box::pin(groups::push(self.dialect(), wire, group, members))
    }
    /// Checks that exactly these are the members.
    fn verify_members<'a>(&'a self, wire: &'a mut Wire, group: &'a Group, members: &'a [Member]) -> Soon<'a, ()> {
        Box::pin(groups::verify(self.dialect(), wire, group, members))
    }
    /// Deletes the group.
    fn delete_group<'a>(&'a self, wire: &'a mut Wire, group: &'a Group) -> Soon<'a, ()> {
        Box::pin(groups::retire(self.dialect(), wire, group))
    }
    /// Reads the users, at most so many pages; answers their ids, and whether these were all.
    fn import_users<'a>(&'a self, wire: &'a mut Wire, pages: u64) -> Soon<'a, (Vec<String>, bool)> {
        Box::pin(async move {
            let users = &self.dialect().users;
            let (all, complete) = steps::read_all(wire, Kind::User, users.import, pages, users.cites.import).await?;
            let id = |user: &serde_json::Value| user.get("id")?.as_str().map(str::to_owned);
            Ok((all.iter().filter_map(id).collect(), complete))
        })
    }
    /// Deletes whatever of the session's may be left, also where the provider itself would not.
    fn sweep<'a>(&'a self, wire: &'a mut Wire, kind: Kind, id: &'a str, name: &'a str) -> Soon<'a, ()> {
        Box::pin(steps::delete(self.dialect(), wire, kind, id, name, ""))
    }
    /// Looks whether a create that was not answered was done after all; answers the id.
    fn doubt<'a>(&'a self, wire: &'a mut Wire, kind: Kind, name: &'a str) -> Soon<'a, Option<String>> {
        Box::pin(steps::doubt(wire, kind, name))
    }
}
