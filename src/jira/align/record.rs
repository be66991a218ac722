//! A user as Jira Align shows it, and what is wrong with a record that refuses every change. Pure.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::super::TargetError;
use super::MatchOn;
use super::fields::decoded;
use crate::account::{AccountId, Field, SeenAccount, fold};

/// One user. Kept as it came: what a repair needs to know is in members that nobody else reads.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct User {
    pub(super) id: u64,
    record: Map<String, Value>,
}

impl User {
    /// An object with an id; anything else is no user.
    pub(super) fn read(document: Value) -> Option<Self> {
        let Value::Object(record) = document else { return None };
        let id = match record.get("id")? {
            Value::Number(number) => number.as_u64()?,
            Value::String(text) => text.parse().ok()?,
            _ => return None,
        };
        Some(Self { id, record })
    }

    pub(super) fn get(&self, name: &str) -> &Value {
        self.record.get(name).unwrap_or(&Value::Null)
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.get(name).as_str().unwrap_or_default().trim()
    }

    pub(super) fn role(&self) -> Option<i64> {
        self.get("roleId").as_i64()
    }

    /// 0 is active, -1 is locked, and whatever else there may be is not active either (ALIGN-16). `None` where the answer
    /// does not say.
    pub(super) fn active(&self) -> Option<bool> {
        match self.get("isLocked") {
            Value::Number(number) => Some(number.as_i64() == Some(0)),
            Value::Bool(locked) => Some(!locked),
            _ => None,
        }
    }

    /// Whether `status` says something else than `isLocked` (ALIGN-17).
    pub(super) fn contradicts_itself(&self) -> bool {
        match (self.active(), fold(self.text("status")).as_str()) {
            (Some(active), "active") => !active,
            (Some(active), "inactive") => active,
            _ => false,
        }
    }

    /// What decides who this is, in the spelling of Jira Align.
    pub(super) fn key(&self, match_on: MatchOn) -> &str {
        self.text(match_on.member())
    }

    /// In our own words.
    pub(super) fn seen(&self, match_on: MatchOn, ignore_roles: &BTreeSet<i64>) -> Result<SeenAccount, TargetError> {
        let active = self.active().ok_or_else(|| TargetError::Unreachable {
            detail: "the answer does not say whether the user is locked".to_owned(),
            maybe_done: true,
        })?;
        let ignored = self.role().filter(|role| ignore_roles.contains(role));
        Ok(SeenAccount {
            id: AccountId(self.id.to_string()),
            username: self.key(match_on).to_owned(),
            email: Some(self.text("email").to_owned()).filter(|email| email.contains('@')),
            display_name: self.full_name(),
            active,
            groups: Some(Vec::new()),
            extra: decoded(&self.record),
            // It is made of the first and the last name (ALIGN-29).
            read_only: BTreeSet::from([Field::DisplayName]),
            hands_off: ignored.map(|role| format!("its role is {role}, which is one of ignore_roles")),
            ..SeenAccount::default()
        })
    }

    fn full_name(&self) -> String {
        match self.text("fullName") {
            "" => format!("{} {}", self.text("firstName"), self.text("lastName")).trim().to_owned(),
            name => name.to_owned(),
        }
    }

    /// What keeps this record from being changed at all, apart from members that the change sets anyway; `ids` has values
    /// for what is missing.
    pub(super) fn defects(
        &self,
        changed: &Map<String, Value>,
        ids: &BTreeMap<String, i64>,
        now: DateTime<Utc>,
    ) -> Vec<Defect> {
        let mut defects = Vec::new();
        let untouched = |name: &str| !changed.contains_key(name);
        // ALIGN-20
        for name in ["divisionId", "cityId"] {
            if untouched(name) && self.get(name).is_null() {
                let id = ids.get(name).copied();
                defects.push(Defect { member: name, what: "was missing", remedy: id.map(|id| json!(id)) });
            }
        }
        // ALIGN-21
        for name in ["company", "companyId"] {
            if untouched(name) && self.get(name).as_str().is_some_and(|text| text.trim().is_empty()) {
                defects.push(Defect { member: name, what: "was empty", remedy: Some(Value::Null) });
            }
        }
        // ALIGN-22
        if untouched("userEndDate") && date(self.text("userEndDate")).is_some_and(|end| end < now) {
            defects.push(Defect { member: "userEndDate", what: "was in the past", remedy: Some(Value::Null) });
        }
        defects
    }
}

/// One thing that makes a record refuse every change, and what cures it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Defect {
    pub(super) member: &'static str,
    pub(super) what: &'static str,
    /// `None` where nobody said which id to take.
    pub(super) remedy: Option<Value>,
}

impl Defect {
    /// `divisionId was missing`.
    pub(super) fn told(&self) -> String {
        format!("{} {}", self.member, self.what)
    }
}

/// Dates come with an offset or without one.
fn date(text: &str) -> Option<DateTime<Utc>> {
    let with_offset = DateTime::parse_from_rfc3339(text).map(|date| date.to_utc());
    let without = || chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|date| date.and_utc());
    with_offset.or_else(|_| without()).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn mara() -> Value {
        json!({"id": 4201, "externalId": "mlund", "firstName": "Mara", "lastName": "Lund", "fullName": "Mara Lund",
               "email": "mara.lund@example.test", "roleId": 91, "isLocked": 0, "status": "Active",
               "divisionId": 65, "cityId": 32, "company": null, "userEndDate": null})
    }

    fn with(member: &str, value: Value) -> User {
        let mut document = mara();
        document[member] = value;
        User::read(document).unwrap()
    }

    #[test]
    fn only_a_zero_is_active() {
        // ALIGN-16
        for (locked, active) in
            [(json!(0), Some(true)), (json!(-1), Some(false)), (json!(1), Some(false)), (Value::Null, None)]
        {
            assert_eq!(with("isLocked", locked).active(), active);
        }
    }

    #[test]
    fn a_status_that_says_otherwise_is_noticed() {
        // ALIGN-17
        assert!(!with("isLocked", json!(0)).contradicts_itself());
        assert!(with("isLocked", json!(-1)).contradicts_itself());
        assert!(!with("status", Value::Null).contradicts_itself());
    }

    #[test]
    fn the_key_of_the_site_is_the_login_name() {
        let user = User::read(mara()).unwrap();
        let seen = user.seen(MatchOn::ExternalId, &BTreeSet::from([91])).unwrap();
        assert_eq!(
            (seen.id.0.as_str(), seen.username.as_str(), seen.display_name.as_str()),
            ("4201", "mlund", "Mara Lund")
        );
        assert!(seen.hands_off.unwrap().contains("91") && seen.read_only.contains(&Field::DisplayName));
        let seen = user.seen(MatchOn::Email, &BTreeSet::new()).unwrap();
        assert_eq!((seen.username.as_str(), seen.hands_off), ("mara.lund@example.test", None));
    }

    #[test]
    fn what_makes_a_record_refuse_every_change_is_found_with_its_cure() {
        // ALIGN-20, ALIGN-21, ALIGN-22
        let now = DateTime::UNIX_EPOCH + chrono::Duration::days(20_000);
        let ids = BTreeMap::from([("cityId".to_owned(), 32)]);
        let told = |user: User| -> Vec<(String, Option<Value>)> {
            user.defects(&Map::new(), &ids, now).iter().map(|defect| (defect.told(), defect.remedy.clone())).collect()
        };
        assert_eq!(told(with("id", json!(1))), []);
        assert_eq!(told(with("divisionId", Value::Null)), [("divisionId was missing".to_owned(), None)]);
        assert_eq!(told(with("cityId", Value::Null)), [("cityId was missing".to_owned(), Some(json!(32)))]);
        assert_eq!(told(with("company", json!(""))), [("company was empty".to_owned(), Some(Value::Null))]);
        for date in ["2019-04-14T00:00:00Z", "2019-04-14T00:00:00"] {
            let expected = [("userEndDate was in the past".to_owned(), Some(Value::Null))];
            assert_eq!(told(with("userEndDate", json!(date))), expected);
        }
        assert_eq!(told(with("userEndDate", json!("2099-04-14T00:00:00Z"))), []);
        let changed = Map::from_iter([("divisionId".to_owned(), json!(65))]);
        assert_eq!(with("divisionId", Value::Null).defects(&changed, &ids, now), []);
    }
}
