//! Accounts, and how they are in a directory.

use std::collections::{BTreeMap, BTreeSet};

use super::{Settles, Trouble, World, fold};

/// What an Atlassian account is in itself (reference, 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountStatus {
    /// It can be used.
    Active,
    /// Deactivated by whoever manages it.
    Inactive,
    /// To be deleted for good after 14 days (CLOUD-47).
    ForDeletion,
    /// Gone for good.
    Closed,
}

/// Whose account it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersonKind {
    /// A person.
    Atlassian,
    /// An app or a service account.
    App,
    /// Somebody who only uses a portal.
    Customer,
}

impl PersonKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Atlassian => "atlassian",
            Self::App => "app",
            Self::Customer => "customer",
        }
    }
}

/// Being in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Which directory.
    pub directory: String,
    /// Access is off; roles and groups are remembered (CLOUD-41).
    pub suspended: bool,
    /// Until when joining is 404 (CLOUD-20).
    pub(crate) unsettled: Option<Settles>,
}

/// Somebody's account.
#[derive(Clone, Debug)]
pub struct Person {
    /// `712020:...`.
    pub id: String,
    /// The address that is the login name, too.
    pub email: String,
    /// The one name (CLOUD-14).
    pub name: String,
    /// Whose account it is.
    pub kind: PersonKind,
    /// What the account is in itself.
    pub status: AccountStatus,
    /// The directory that it is in.
    pub membership: Option<Membership>,
    /// Roles given directly: resource and role.
    pub roles: BTreeSet<(String, String)>,
    /// Ids of its groups.
    pub groups: BTreeSet<String>,
    /// `nickname`, `zoneinfo`, `locale`, and the members of `extended_profile`.
    pub profile: BTreeMap<String, String>,
    /// An identity provider syncs it (CLOUD-50).
    pub synced: bool,
    /// A SAML policy overwrites the name at each login (CLOUD-51).
    pub saml: bool,
    /// The person lets nobody see the address (CLOUD-17).
    pub email_hidden: bool,
    /// Whether the account administers the organisation.
    pub org_admin: bool,
    /// When a page was last looked at (CLOUD-67).
    pub last_active: Option<chrono::DateTime<chrono::Utc>>,
    /// Whether Jira has ever known the account; it lists removed people for ever (CLOUD-16).
    pub on_site: bool,
}

impl Person {
    /// Whether apps can be used at all.
    pub fn uses_apps(&self) -> bool {
        self.status == AccountStatus::Active && self.membership.as_ref().is_some_and(|membership| !membership.suspended)
    }

    /// `active`, `suspended`, `not_invited`, `deactivated` or `for_deletion`.
    pub fn state(&self) -> &'static str {
        match (&self.status, &self.membership) {
            (AccountStatus::ForDeletion | AccountStatus::Closed, _) => "for_deletion",
            (AccountStatus::Inactive, _) => "deactivated",
            (AccountStatus::Active, None) => "not_invited",
            (AccountStatus::Active, Some(membership)) if membership.suspended => "suspended",
            (AccountStatus::Active, Some(_)) => "active",
        }
    }
}

/// Somebody to be put into the world by hand.
#[derive(Clone, Debug)]
pub struct NewPerson {
    /// The address.
    pub email: String,
    /// The name; the address unless given.
    pub name: String,
    /// Whether the person is in the first directory.
    pub invited: bool,
}

impl NewPerson {
    /// A member of the first directory.
    pub fn named(email: &str, name: &str) -> Self {
        Self { email: email.to_owned(), name: name.to_owned(), invited: true }
    }
}

impl World {
    /// Puts an account into the world; answers its id. One that is there keeps what it has.
    pub fn add_person(&mut self, new: &NewPerson) -> String {
        let at = self.account_for(&new.email);
        let directory = self.directories.first().map(|directory| directory.id.clone()).unwrap_or_default();
        let person = &mut self.people[at];
        if !new.name.is_empty() {
            person.name = new.name.clone();
        }
        if new.invited {
            person.membership = Some(Membership { directory, suspended: false, unsettled: None });
            person.on_site = true;
        }
        self.changed();
        self.people[at].id.clone()
    }

    /// The account of that address, made where there is none: one address is one account (CLOUD-10).
    pub(super) fn account_for(&mut self, email: &str) -> usize {
        if let Some(at) = self.by_email.get(&fold(email)) {
            return *at;
        }
        let n = self.fresh();
        let person = Person {
            id: format!("712020:{n:08x}-1111-4222-8333-{n:012x}"),
            email: email.to_owned(),
            // What there is to show until somebody signs up (CLOUD-11).
            name: email.to_owned(),
            kind: PersonKind::Atlassian,
            status: AccountStatus::Active,
            membership: None,
            roles: BTreeSet::new(),
            groups: BTreeSet::new(),
            profile: BTreeMap::new(),
            synced: false,
            saml: false,
            email_hidden: false,
            org_admin: false,
            last_active: None,
            on_site: false,
        };
        let at = self.people.len();
        self.by_id.insert(person.id.clone(), at);
        self.by_email.insert(fold(email), at);
        self.people.push(person);
        self.changed();
        at
    }

    /// All accounts, in the order in which they came.
    pub fn people(&self) -> impl Iterator<Item = &Person> {
        self.people.iter().filter(|person| person.status != AccountStatus::Closed)
    }

    /// The account of that address, compared without regard to case.
    pub fn person(&self, email: &str) -> Option<&Person> {
        self.by_email.get(&fold(email)).map(|at| &self.people[*at])
    }

    /// The account of that id.
    pub fn person_by_id(&self, id: &str) -> Option<&Person> {
        self.by_id.get(id).map(|at| &self.people[*at])
    }

    /// Changes an account by hand.
    ///
    /// # Errors
    /// When there is none of that address.
    pub fn edit_person(&mut self, email: &str, how: impl FnOnce(&mut Person)) -> Result<(), Trouble> {
        let at = *self.by_email.get(&fold(email)).ok_or(Trouble::NoPerson)?;
        how(&mut self.people[at]);
        self.changed();
        Ok(())
    }

    /// Whether the organisation manages the account: its address is in a verified domain (CLOUD-13).
    pub fn manages(&self, person: &Person) -> bool {
        self.has_domain(&person.email)
    }

    pub(crate) fn has_domain(&self, email: &str) -> bool {
        let domain = email.rsplit('@').next().unwrap_or_default();
        self.domains.iter().any(|known| fold(known) == fold(domain))
    }

    pub(crate) fn person_mut(&mut self, id: &str) -> Result<&mut Person, Trouble> {
        let at = *self.by_id.get(id).ok_or(Trouble::NoPerson)?;
        Ok(&mut self.people[at])
    }

    /// Moves the account to another address.
    ///
    /// # Errors
    /// [`Trouble::NameTaken`] where another account has it.
    pub(crate) fn change_email(&mut self, id: &str, email: &str) -> Result<(), Trouble> {
        let at = *self.by_id.get(id).ok_or(Trouble::NoPerson)?;
        if self.by_email.get(&fold(email)).is_some_and(|other| *other != at) {
            return Err(Trouble::NameTaken);
        }
        let old = fold(&self.people[at].email);
        if self.people[at].email != email {
            self.by_email.remove(&old);
            self.by_email.insert(fold(email), at);
            self.people[at].email = email.to_owned();
            self.changed();
        }
        Ok(())
    }

    /// Whether the person is in a directory and the invitation has settled; counts the call (CLOUD-20).
    pub(crate) fn settled(&mut self, id: &str) -> Result<(), Trouble> {
        let clock = self.clock;
        let person = self.person_mut(id)?;
        let Some(membership) = &mut person.membership else { return Err(Trouble::NotInDirectory) };
        match membership.unsettled {
            None | Some(Settles::AtOnce | Settles::AfterCalls(0)) => {
                membership.unsettled = None;
                Ok(())
            }
            Some(Settles::AfterCalls(calls)) => {
                membership.unsettled = Some(Settles::AfterCalls(calls - 1));
                Err(Trouble::NotInDirectory)
            }
            Some(Settles::After(time)) if clock >= time => {
                membership.unsettled = None;
                Ok(())
            }
            Some(Settles::After(_)) => Err(Trouble::NotInDirectory),
        }
    }
}
