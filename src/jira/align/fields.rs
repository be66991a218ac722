//! The members of a Jira Align user that can be written, how each is sent, and how a record is read. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::TargetError;
use crate::account::{Field, fold};

/// How a member is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A text; never blank.
    Text,
    /// A text of at most so many characters, or null; an empty one makes the record refuse every change (ALIGN-21).
    Nullable(usize),
    /// A whole number; never blank.
    Number,
    /// A whole number, or null.
    NullableNumber,
}

/// All of them by name. Whatever else a site has is not ours to write.
const FORMS: [(&str, Form); 15] = [
    ("cityId", Form::Number),
    ("company", Form::Nullable(100)),
    ("companyId", Form::Nullable(50)),
    ("costCenterId", Form::Number),
    ("divisionId", Form::Number),
    ("email", Form::Text),
    ("externalId", Form::Text),
    ("firstName", Form::Text),
    ("holidayCityId", Form::NullableNumber),
    ("holidayRegionId", Form::NullableNumber),
    ("isExternal", Form::Number),
    ("lastName", Form::Text),
    ("regionId", Form::Number),
    ("roleId", Form::Number),
    ("title", Form::Nullable(255)),
];

/// The ids without which a user cannot be created (ALIGN-13).
pub(super) const MANDATORY: [&str; 5] = ["roleId", "costCenterId", "divisionId", "regionId", "cityId"];

/// Why a field that a policy names cannot be sent; `value` where it is known already.
pub(in crate::jira) fn field_problem(name: &str, value: Option<&str>) -> Option<String> {
    if name == "email" {
        return Some("email has a template of its own: policy.account.email".to_owned());
    }
    let Some(form) = form(name) else {
        let known: Vec<&str> = FORMS.iter().map(|(name, _)| *name).filter(|name| *name != "email").collect();
        return Some(format!(
            "{name} is no field of a Jira Align user that can be written; there are {}",
            known.join(", ")
        ));
    };
    value.and_then(|value| encode(name, form, value).err())
}

fn form(name: &str) -> Option<Form> {
    FORMS.iter().find(|(known, _)| *known == name).map(|(_, form)| *form)
}

fn encode(name: &str, form: Form, value: &str) -> Result<Option<Value>, String> {
    let value = value.trim();
    match form {
        Form::Text if value.is_empty() => Ok(None),
        Form::Number if value.is_empty() => Ok(None),
        Form::Nullable(_) | Form::NullableNumber if value.is_empty() => Ok(Some(Value::Null)),
        Form::Text => Ok(Some(value.into())),
        Form::Nullable(longest) if value.chars().count() > longest => {
            Err(format!("{name} is longer than {longest} characters"))
        }
        Form::Nullable(_) => Ok(Some(value.into())),
        Form::Number | Form::NullableNumber => match value.parse::<i64>() {
            Ok(number) => Ok(Some(number.into())),
            Err(_) => Err(format!("{name} must be a whole number, and \"{value}\" is none")),
        },
    }
}

/// The fields as the API wants them; what is blank and cannot be cleared is left out.
pub(super) fn encoded(fields: &BTreeMap<String, String>) -> Result<Map<String, Value>, TargetError> {
    let mut members = Map::new();
    for (name, value) in fields {
        if let Some(problem) = field_problem(name, None) {
            return Err(refuse(problem));
        }
        let form = form(name).unwrap_or(Form::Text);
        let value = encode(name, form, value);
        let value = value.map_err(|problem| refuse(format!("{problem} (policy.account.fields.{name})")))?;
        if let Some(value) = value {
            members.insert(name.clone(), value);
        }
    }
    Ok(members)
}

/// The fields of a record in the words of the policy: a text each; null is empty, and a member that is not shown is not in
/// it.
pub(super) fn decoded(record: &Map<String, Value>) -> BTreeMap<String, String> {
    let shown = FORMS.iter().filter(|(name, _)| *name != "email").filter_map(|(name, _)| {
        let text = match record.get(*name)? {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => u8::from(*flag).to_string(),
            Value::Array(_) | Value::Object(_) => return None,
        };
        Some(((*name).to_owned(), text))
    });
    shown.collect()
}

/// Whether two values are one to Jira Align: nothing and an empty text are, a number and its digits, a flag and 0 or 1.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    let normal = |value: &Value| match value {
        Value::Null => String::new(),
        Value::Bool(flag) => u8::from(*flag).to_string(),
        Value::String(text) => fold(text.trim()),
        Value::Number(number) => {
            number.as_f64().filter(|n| n.fract() == 0.0).map_or_else(|| number.to_string(), |n| format!("{n:.0}"))
        }
        other => other.to_string(),
    };
    normal(one) == normal(other)
}

/// Of the texts that were asked for, those that the record has: in the policy's spelling (`091`), so that nobody takes the
/// spelling for a difference; with them those that are blank and cannot be sent.
pub(super) fn granted(
    asked: &BTreeMap<String, String>,
    shown: impl Fn(&str) -> Value,
) -> impl Iterator<Item = (String, String)> {
    asked.iter().filter_map(move |(name, text)| {
        let sent = encode(name, form(name)?, text).ok()?;
        let same = sent.is_none_or(|sent| same(&sent, &shown(name)));
        same.then(|| (name.clone(), text.clone()))
    })
}

/// A refusal about the further fields, in our own words.
pub(super) fn refuse(reason: impl Into<String>) -> TargetError {
    TargetError::Refused { reason: reason.into(), field: Some(Field::Extra) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn fields(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
        rows.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn ids_are_sent_as_numbers_and_texts_as_texts() {
        let members = encoded(&fields(&[("roleId", " 91 "), ("title", "Engineer"), ("isExternal", "0")])).unwrap();
        assert_eq!(Value::Object(members), json!({"roleId": 91, "title": "Engineer", "isExternal": 0}));
    }

    #[test]
    fn what_is_blank_is_null_where_it_may_be_and_else_left_out() {
        // ALIGN-21
        let members = encoded(&fields(&[("company", ""), ("divisionId", ""), ("firstName", " ")])).unwrap();
        assert_eq!(Value::Object(members), json!({"company": null}));
    }

    #[test]
    fn a_value_that_is_no_number_names_the_field_and_its_key() {
        let error = encoded(&fields(&[("cityId", "Lund")])).unwrap_err().to_string();
        assert!(
            error.contains("cityId must be a whole number") && error.contains("policy.account.fields.cityId"),
            "{error}"
        );
        assert!(field_problem("cityId", Some("32")).is_none());
        assert!(field_problem("firstname", None).unwrap().contains("firstName"));
        assert!(field_problem("email", None).unwrap().contains("policy.account.email"));
    }

    #[test]
    fn what_is_read_back_in_another_form_is_still_what_was_sent() {
        // ALIGN-24
        for (sent, shown) in [
            (json!(null), json!("")),
            (json!(0), json!(false)),
            (json!("91"), json!(91)),
            (json!(91), json!(91.0)),
            (json!("Mara "), json!("mara")),
        ] {
            assert!(same(&sent, &shown) && same(&shown, &sent), "{sent} {shown}");
        }
        for (sent, shown) in [(json!(0), json!(null)), (json!(91), json!(92)), (json!("a"), json!("b"))] {
            assert!(!same(&sent, &shown), "{sent} {shown}");
        }
    }

    #[test]
    fn a_spelling_of_the_policys_own_is_no_difference() {
        let asked = fields(&[("roleId", "091"), ("title", "engineer"), ("cityId", ""), ("divisionId", "66")]);
        let record = json!({"roleId": 91, "title": "Engineer", "cityId": 32, "divisionId": 65});
        let granted: BTreeMap<_, _> = granted(&asked, |name| record[name].clone()).collect();
        assert_eq!(granted, fields(&[("roleId", "091"), ("title", "engineer"), ("cityId", "")]));
    }

    #[test]
    fn a_record_is_read_with_its_gaps() {
        // ALIGN-20
        let record = json!({"divisionId": null, "cityId": 32, "firstName": "Mara", "teams": [], "isExternal": 0});
        let Value::Object(record) = record else { unreachable!() };
        let expected = fields(&[("cityId", "32"), ("divisionId", ""), ("firstName", "Mara"), ("isExternal", "0")]);
        assert_eq!(decoded(&record), expected);
    }
}
