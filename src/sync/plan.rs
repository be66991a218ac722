//! What is to be done about an entry: what the source says against what the store has. Pure.

use serde_json::Value;

use crate::scim::{self, Attrs, ResourceType, urn};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Same,
    /// It is to be made.
    Create,
    /// It is to be changed.
    Change {
        /// Which attributes differ, by name.
        fields: Vec<String>,
        /// Somebody active is switched off.
        switches_off: bool,
    },
    /// It is left as it is, and why.
    Skip(String),
}

impl Verdict {
    /// As in the column.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Create => "create",
            Self::Change { .. } => "change",
            Self::Skip(_) => "skip",
        }
    }
}

/// Judges a person by the document that the source makes and the one that is there. The source says everything about the people
/// that it feeds: what it does not say goes, as with a PUT.
pub fn judge_person(ty: &ResourceType, body: &Value, stored: Option<&Attrs>) -> Verdict {
    let Some(stored) = stored else {
        return match scim::check_new(ty, body.clone()) {
            Ok(_) => Verdict::Create,
            Err(error) => Verdict::Skip(error.detail),
        };
    };
    match scim::check_replace(ty, body.clone(), stored) {
        Err(error) => Verdict::Skip(error.detail),
        Ok(mut wanted) => {
            wanted.remove(urn::ORIGIN_USER);
            changed(&wanted, stored)
        }
    }
}

/// Judges a group, without its members, by its name and its stable id.
pub fn judge_group(ty: &ResourceType, body: &Value, stored: Option<&Attrs>) -> Verdict {
    let said = match scim::check_new(ty, body.clone()) {
        Ok(said) => said,
        Err(error) => return Verdict::Skip(error.detail),
    };
    let Some(stored) = stored else { return Verdict::Create };
    let mut wanted = stored.clone();
    wanted.remove(urn::ORIGIN_GROUP);
    wanted.extend(said);
    changed(&wanted, stored)
}

fn changed(wanted: &Attrs, stored: &Attrs) -> Verdict {
    let names = wanted.keys().chain(stored.keys().filter(|name| !wanted.contains_key(*name)));
    let fields: Vec<String> = names.filter(|name| wanted.get(*name) != stored.get(*name)).cloned().collect();
    if fields.is_empty() {
        return Verdict::Same;
    }
    let switches_off = is_active(stored) && !is_active(wanted);
    Verdict::Change { fields, switches_off }
}

fn is_active(attrs: &Attrs) -> bool {
    attrs.get("active") != Some(&Value::Bool(false))
}

/// How much may be taken away at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// This share of what is there,
    pub percent: u32,
    /// but so many in any case.
    pub min: u32,
}

impl Limit {
    /// The most that may be taken away of so many.
    pub fn of(self, present: u64) -> u64 {
        (present.saturating_mul(u64::from(self.percent)) / 100).max(u64::from(self.min))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use serde_json::json;

    use super::*;

    fn attrs(value: Value) -> Attrs {
        value.as_object().unwrap().clone()
    }

    fn person(body: Value, stored: Option<Value>) -> Verdict {
        judge_person(scim::user(), &body, stored.map(attrs).as_ref())
    }

    fn change(fields: &[&str], switches_off: bool) -> Verdict {
        Verdict::Change { fields: fields.iter().map(|field| (*field).to_owned()).collect(), switches_off }
    }

    #[test]
    fn a_person_is_made_changed_or_left_alone() {
        let ann = json!({ "userName": "ann", "externalId": "1", "active": true });
        assert_eq!(person(ann.clone(), None), Verdict::Create);
        assert_eq!(person(ann.clone(), Some(ann.clone())), Verdict::Same);
        let titled = json!({ "userName": "ann", "externalId": "1", "active": true, "title": "Boss" });
        assert_eq!(person(titled.clone(), Some(ann.clone())), change(&["title"], false));
        assert_eq!(person(ann.clone(), Some(titled)), change(&["title"], false), "what is not said goes");
        let off = json!({ "userName": "ann", "externalId": "1", "active": false });
        assert_eq!(person(off.clone(), Some(ann.clone())), change(&["active"], true));
        assert_eq!(person(ann, Some(off)), change(&["active"], false));
    }

    #[test]
    fn an_imported_person_becomes_the_sources_own() {
        let ann = json!({ "userName": "ann", "active": true });
        let imported = json!({ "userName": "ann", "active": true, urn::ORIGIN_USER: { "origin": "imported" } });
        assert_eq!(person(ann, Some(imported)), change(&[urn::ORIGIN_USER], false));
    }

    #[test]
    fn what_no_client_could_write_is_skipped_with_the_sentence_that_a_client_would_hear() {
        let Verdict::Skip(why) = person(json!({ "userName": "ann", "active": "perhaps" }), None) else { panic!() };
        assert!(why.contains("active"), "{why}");
        assert!(matches!(person(json!({ "active": true }), None), Verdict::Skip(_)));
    }

    #[test]
    fn a_group_is_its_name_and_its_id() {
        let crew = json!({ "displayName": "Crew", "externalId": "g" });
        let judge = |stored: Option<Value>| judge_group(scim::group(), &crew, stored.map(attrs).as_ref());
        assert_eq!(judge(None), Verdict::Create);
        assert_eq!(judge(Some(crew.clone())), Verdict::Same);
        assert_eq!(judge(Some(json!({ "displayName": "Old", "externalId": "g" }))), change(&["displayName"], false));
    }

    #[test]
    fn a_few_may_always_go_and_many_only_of_many() {
        let limit = Limit { percent: 10, min: 5 };
        assert_eq!([0, 10, 50, 60, 20_000].map(|present| limit.of(present)), [5, 5, 5, 6, 2000]);
        assert_eq!(Limit { percent: 0, min: 0 }.of(1000), 0);
    }
}
