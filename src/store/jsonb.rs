//! What JSON of a client's must be so that the database can keep it and give it back, and how it is read where it was kept all
//! the same. The values are anybody's; nothing is said here about what they mean.

use serde_json::Value;
use sqlx::Postgres;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};

/// A larger number comes back from the database with every digit before its point, and is none that can be read then.
pub const LARGEST_NUMBER: f64 = 1e300;

/// Nothing that is stored can hold a NUL.
pub fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Where there is a number beyond [`LARGEST_NUMBER`] (`name.givenName`, `emails[0].value`; empty: the value itself).
pub fn beyond(value: &Value) -> Option<String> {
    // The names are put together only where there is one: nearly never.
    match value {
        Value::Number(number) => {
            let fits = number.as_f64().is_some_and(|number| number.abs() <= LARGEST_NUMBER);
            (!fits).then(String::new)
        }
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(at, item)| beyond(item).map(|rest| joined(&format!("[{at}]"), &rest)))
        }
        Value::Object(members) => {
            members.iter().find_map(|(name, item)| beyond(item).map(|rest| joined(&shown(name), &rest)))
        }
        Value::Null | Value::Bool(_) | Value::String(_) => None,
    }
}

fn joined(name: &str, rest: &str) -> String {
    match rest {
        "" => name.to_owned(),
        rest if rest.starts_with('[') => format!("{name}{rest}"),
        rest => format!("{name}.{rest}"),
    }
}

/// A name of a client's in a sentence.
fn shown(name: &str) -> String {
    name.chars().take(100).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// JSON of a row for people: what cannot be read is told so, and the rest of the row is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Loose(pub Value);

impl sqlx::Type<Postgres> for Loose {
    fn type_info() -> PgTypeInfo {
        <Value as sqlx::Type<Postgres>>::type_info()
    }

    fn compatible(info: &PgTypeInfo) -> bool {
        <Value as sqlx::Type<Postgres>>::compatible(info)
    }
}

impl<'r> sqlx::Decode<'r, Postgres> for Loose {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let read = <Value as sqlx::Decode<'r, Postgres>>::decode(value);
        Ok(Self(read.unwrap_or_else(|_| serde_json::json!({ "omitted": "what is stored cannot be read" }))))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_that_does_not_come_back_is_named() {
        for (value, place) in [
            (json!(1e301), Some("")),
            (json!({"a": {"b": [1, {"c": -1e305}]}}), Some("a.b[1].c")),
            (json!([[1e308]]), Some("[0][0]")),
            (json!({"a\nb": 1e308}), Some("a b")),
            (json!({"a": [1e300, -1e300, u64::MAX, i64::MIN, 1e-308, 0, "1e308"]}), None),
        ] {
            assert_eq!(beyond(&value).as_deref(), place, "{value}");
        }
    }

    #[test]
    fn a_nul_is_found_wherever_it_stands() {
        for text in [r#"{"a":"x\u0000"}"#, r#"{"\u0000":1}"#, r#"[{"a":["\u0000"]}]"#] {
            assert!(holds_nul(&serde_json::from_str(text).unwrap()), "{text}");
        }
        assert!(!holds_nul(&json!({"a": "\\u0000"})));
    }
}
