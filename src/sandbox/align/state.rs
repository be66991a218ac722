//! The world behind the sandbox's Jira Align: users, the lists that they point to, and who may call.
//!
//! Pure: no HTTP, no clock, no chance. Every method is a rule that we believe Jira Align has; the numbers (`ALIGN-21`) are
//! those of `docs/targets/align.md`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::record;

/// The role whose members may manage users (which toggle of a role says so is not known: ALIGN-4).
pub const ADMINISTRATOR_ROLE: i64 = 1;
/// A role that may look only.
pub const VIEWER_ROLE: i64 = 91;
/// A role of ordinary people.
pub const MEMBER_ROLE: i64 = 95;
/// The role of the users that the Jira connector makes (ALIGN-20).
pub const CONNECTOR_ROLE: i64 = 99;

/// Folds a text for comparison, as the database behind Jira Align does.
pub(super) fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// A user as Jira Align keeps it: the members of its JSON that can be written, under their own names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AlignUser {
    /// Never changes and is never given out again.
    pub id: u64,
    /// The key of the single sign-on, or whatever the site uses it for; missing on accounts made by others (ALIGN-14).
    pub external_id: Option<String>,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// E-mail address.
    pub email: String,
    /// Job title.
    pub title: Option<String>,
    /// The system role.
    pub role_id: i64,
    /// 0 is active, -1 is locked (ALIGN-16).
    pub is_locked: i64,
    /// When the user began.
    pub user_start_date: Option<DateTime<Utc>>,
    /// Set by a lock (ALIGN-18).
    pub user_end_date: Option<DateTime<Utc>>,
    /// 0 is an internal user.
    pub is_external: i64,
    /// Cost centre.
    pub cost_center_id: Option<i64>,
    /// "Organization Structure" in the browser.
    pub division_id: Option<i64>,
    /// Region.
    pub region_id: Option<i64>,
    /// City; belongs to a region.
    pub city_id: Option<i64>,
    /// The region whose holidays count.
    pub holiday_region_id: Option<i64>,
    /// The city whose holidays count.
    pub holiday_city_id: Option<i64>,
    /// Company; never empty (ALIGN-21).
    pub company: Option<String>,
    /// The company's id; never empty (ALIGN-21).
    pub company_id: Option<String>,
}

impl AlignUser {
    /// A person who is active and whose record is whole: Lund in Europe, engineering.
    pub fn named(external_id: &str, first_name: &str, last_name: &str) -> Self {
        Self {
            external_id: Some(external_id.to_owned()),
            first_name: first_name.to_owned(),
            last_name: last_name.to_owned(),
            email: format!("{external_id}@example.test"),
            title: Some("Engineer".to_owned()),
            role_id: MEMBER_ROLE,
            cost_center_id: Some(1),
            division_id: Some(65),
            region_id: Some(17),
            city_id: Some(32),
            ..Self::default()
        }
    }

    /// Whether the user may log in.
    pub fn is_active(&self) -> bool {
        self.is_locked == 0
    }

    /// As `GET` shows it: with what is derived from the rest.
    pub(super) fn document(&self) -> Value {
        let mut document = serde_json::to_value(self).unwrap_or_default();
        document["uid"] = self.id.to_string().into();
        document["fullName"] = format!("{} {}", self.first_name, self.last_name).trim().into();
        document["status"] = if self.is_active() { "Active" } else { "Inactive" }.into();
        document["enterpriseHierarchy"] = Value::Null;
        document["teams"] = json!([]);
        document
    }
}

/// A city, and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct City {
    /// Its name.
    pub name: String,
    /// The region's id.
    pub region: i64,
}

/// How this Jira Align is set up.
#[derive(Clone, Debug)]
pub struct AlignRules {
    /// Roles whose members may manage users (ALIGN-4).
    pub managing_roles: BTreeSet<i64>,
    /// Whether an external id or an e-mail address may be used twice (ALIGN-15).
    pub duplicates: bool,
    /// Whether a POST answers the bare id instead of the user (ALIGN-12).
    pub answers_ids: bool,
    /// Whether `$orderby` is honoured (ALIGN-8).
    pub honours_order: bool,
    /// Whether a lock is believed but leaves `status` as it was (ALIGN-17), as old versions did.
    pub forgets_status: bool,
    /// Regions by id.
    pub regions: BTreeMap<i64, String>,
    /// Cities by id.
    pub cities: BTreeMap<i64, City>,
    /// Divisions by id.
    pub divisions: BTreeMap<i64, String>,
    /// Cost centres by id.
    pub cost_centers: BTreeMap<i64, String>,
}

impl Default for AlignRules {
    fn default() -> Self {
        let named = |rows: &[(i64, &str)]| rows.iter().map(|(id, name)| (*id, (*name).to_owned())).collect();
        let city = |id, name: &str, region| (id, City { name: name.to_owned(), region });
        Self {
            managing_roles: BTreeSet::from([ADMINISTRATOR_ROLE]),
            duplicates: false,
            answers_ids: false,
            honours_order: true,
            forgets_status: false,
            regions: named(&[(17, "Europe"), (18, "Americas")]),
            cities: BTreeMap::from([city(32, "Lund", 17), city(33, "Hamburg", 17), city(41, "Denver", 18)]),
            divisions: named(&[(65, "Engineering"), (66, "Sales")]),
            cost_centers: named(&[(1, "General"), (2, "Research")]),
        }
    }
}

/// Why the world did not do what it was asked: the text of a 400 (ALIGN-11).
pub type AlignRefusal = String;

/// Everything this Jira Align knows.
pub struct AlignWorld {
    /// How it is set up; a test may change it.
    pub rules: AlignRules,
    users: BTreeMap<u64, AlignUser>,
    by_external_id: HashMap<String, BTreeSet<u64>>,
    by_email: HashMap<String, BTreeSet<u64>>,
    /// Secrets by the id of their owner (ALIGN-3).
    secrets: HashMap<u64, String>,
    next_id: u64,
    changes: u64,
}

impl AlignWorld {
    /// A Jira Align without users.
    pub fn new(rules: AlignRules) -> Self {
        Self {
            rules,
            users: BTreeMap::new(),
            by_external_id: HashMap::new(),
            by_email: HashMap::new(),
            secrets: HashMap::new(),
            next_id: 4200,
            changes: 0,
        }
    }

    /// How often anything changed.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// All users, by id.
    pub fn users(&self) -> impl Iterator<Item = &AlignUser> {
        self.users.values()
    }

    /// How many users there are.
    pub fn user_count(&self) -> usize {
        self.users.len()
    }

    /// The user of that id.
    pub fn user(&self, id: u64) -> Option<&AlignUser> {
        self.users.get(&id)
    }

    /// The first user with that external id, compared without regard to case.
    pub fn user_by_external_id(&self, external_id: &str) -> Option<&AlignUser> {
        self.ids_with_external_id(external_id).find_map(|id| self.users.get(&id))
    }

    /// The first user with that e-mail address, compared without regard to case.
    pub fn user_by_email(&self, email: &str) -> Option<&AlignUser> {
        self.ids_with_email(email).find_map(|id| self.users.get(&id))
    }

    pub(super) fn ids_with_external_id(&self, external_id: &str) -> impl Iterator<Item = u64> {
        self.by_external_id.get(&fold(external_id)).into_iter().flatten().copied()
    }

    pub(super) fn ids_with_email(&self, email: &str) -> impl Iterator<Item = u64> {
        self.by_email.get(&fold(email)).into_iter().flatten().copied()
    }

    /// Puts a user in whatever is wrong with it, as a connector or an import of long ago did; answers the id.
    pub fn add(&mut self, mut user: AlignUser) -> u64 {
        self.next_id += 1;
        user.id = self.next_id;
        self.put(user);
        self.next_id
    }

    /// Changes a user whatever that makes of the record; false where there is none.
    pub fn change(&mut self, id: u64, how: impl FnOnce(&mut AlignUser)) -> bool {
        let Some(mut user) = self.users.get(&id).cloned() else { return false };
        how(&mut user);
        user.id = id;
        self.put(user);
        true
    }

    /// The token of a user, as the profile page shows it: `user:<id>|<secret>` (ALIGN-3). The one before dies.
    pub fn issue_token(&mut self, owner: u64, secret: &str) -> String {
        self.secrets.insert(owner, secret.to_owned());
        format!("user:{owner}|{secret}")
    }

    /// Takes a user's token back.
    pub fn revoke_token(&mut self, owner: u64) {
        self.secrets.remove(&owner);
    }

    /// Whose token this is. It dies when its owner is locked (ALIGN-3).
    pub(super) fn owner(&self, token: &str) -> Option<&AlignUser> {
        let (id, secret) = token.strip_prefix("user:")?.split_once('|')?;
        let owner = self.users.get(&id.parse().ok()?)?;
        let known = self.secrets.get(&owner.id).is_some_and(|kept| kept == secret);
        (known && owner.is_active()).then_some(owner)
    }

    /// Whose secret goes with that address (ALIGN-32).
    pub(super) fn owner_with_email(&self, email: &str, secret: &str) -> Option<&AlignUser> {
        let knows = |id: &u64| self.secrets.get(id).is_some_and(|kept| kept == secret);
        let owner = self.ids_with_email(email).find(knows).and_then(|id| self.users.get(&id));
        owner.filter(|owner| owner.is_active())
    }

    /// Creates a user from the body of a POST; answers the id.
    pub(super) fn create(&mut self, body: &Value, now: DateTime<Utc>) -> Result<u64, AlignRefusal> {
        let user = record::created(body, now)?;
        let complaints = record::complaints_of_creation(&user, &self.rules);
        if !complaints.is_empty() {
            return Err(format!("Cannot create user. {}", complaints.join(" ")));
        }
        self.refuse_duplicate(&user).map_err(|text| format!("Cannot create user. {text}"))?;
        Ok(self.add(user))
    }

    /// Applies a JSON Patch, validates the **whole** record (ALIGN-19 to ALIGN-22), and keeps it.
    pub(super) fn patch(&mut self, id: u64, operations: &Value, now: DateTime<Utc>) -> Result<(), AlignRefusal> {
        let Some(before) = self.users.get(&id) else { return Err("The user does not exist.".to_owned()) };
        let refuse = |text: String| format!("Cannot update user with id {id}. {text}");
        let mut after = record::patched(before, operations).map_err(refuse)?;
        let complaints = record::complaints_of_update(&after, &self.rules, now);
        if !complaints.is_empty() {
            return Err(refuse(complaints.join(" ")));
        }
        self.refuse_duplicate(&after).map_err(refuse)?;
        if before.is_active() && !after.is_active() {
            after.user_end_date = Some(now);
        }
        if after != *before {
            self.put(after);
        }
        Ok(())
    }

    fn refuse_duplicate(&self, user: &AlignUser) -> Result<(), AlignRefusal> {
        if self.rules.duplicates {
            return Ok(());
        }
        let other = |mut ids: Box<dyn Iterator<Item = u64> + '_>| ids.any(|id| id != user.id);
        if user.external_id.as_deref().is_some_and(|key| other(Box::new(self.ids_with_external_id(key)))) {
            return Err("A user with this externalId already exists.".to_owned());
        }
        if other(Box::new(self.ids_with_email(&user.email))) {
            return Err("A user with this email already exists.".to_owned());
        }
        Ok(())
    }

    fn put(&mut self, user: AlignUser) {
        if let Some(before) = self.users.get(&user.id) {
            unindex(&mut self.by_email, &before.email, user.id);
            unindex(&mut self.by_external_id, before.external_id.as_deref().unwrap_or_default(), user.id);
        }
        self.by_email.entry(fold(&user.email)).or_default().insert(user.id);
        if let Some(key) = &user.external_id {
            self.by_external_id.entry(fold(key)).or_default().insert(user.id);
        }
        self.users.insert(user.id, user);
        self.changes += 1;
    }
}

fn unindex(index: &mut HashMap<String, BTreeSet<u64>>, key: &str, id: u64) {
    let key = fold(key);
    if let Some(ids) = index.get_mut(&key) {
        ids.remove(&id);
        if ids.is_empty() {
            index.remove(&key);
        }
    }
}
