//! The part of OData that `GET` understands: `$filter` with `eq`, `ne`, `and`, `or`, `contains(..)`, names without regard to
//! case (ALIGN-9). Pure.

use serde_json::Value;

use super::state::{AlignUser, AlignWorld, fold};

/// A condition on a document.
#[derive(Debug, PartialEq)]
pub(super) enum Filter {
    /// `name eq 'text'`, `name eq 3`, `name eq null`; with `ne` the contrary.
    Is {
        name: String,
        value: Value,
        equal: bool,
    },
    /// `contains(name,'text')`.
    Contains {
        name: String,
        text: String,
    },
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
}

impl Filter {
    /// Reads the text of a `$filter`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut words = Words { rest: text };
        let filter = words.either()?;
        if words.rest.trim().is_empty() { Ok(filter) } else { Err(words.complaint()) }
    }

    pub(super) fn fits(&self, document: &Value) -> bool {
        match self {
            Self::Is { name, value, equal } => same(member(document, name), value) == *equal,
            Self::Contains { name, text } => {
                member(document, name).as_str().is_some_and(|value| fold(value).contains(&fold(text)))
            }
            Self::And(one, other) => one.fits(document) && other.fits(document),
            Self::Or(one, other) => one.fits(document) || other.fits(document),
        }
    }

    /// The users that can fit, where an index tells: what every database would do.
    pub(super) fn candidates<'a>(&self, world: &'a AlignWorld) -> Option<Vec<&'a AlignUser>> {
        match self {
            Self::Is { name, value: Value::String(text), equal: true } => {
                let ids: Vec<u64> = match fold(name).as_str() {
                    "externalid" => world.ids_with_external_id(text).collect(),
                    "email" => world.ids_with_email(text).collect(),
                    _ => return None,
                };
                Some(ids.into_iter().filter_map(|id| world.user(id)).collect())
            }
            Self::Is { name, value, equal: true } if fold(name) == "id" => {
                Some(value.as_u64().and_then(|id| world.user(id)).into_iter().collect())
            }
            Self::And(one, other) => one.candidates(world).or_else(|| other.candidates(world)),
            _ => None,
        }
    }
}

fn member<'a>(document: &'a Value, name: &str) -> &'a Value {
    let members = document.as_object();
    let found = members.and_then(|members| members.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)));
    found.map_or(&Value::Null, |(_, value)| value)
}

fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) => fold(one) == fold(other),
        _ => one == other,
    }
}

struct Words<'a> {
    rest: &'a str,
}

impl Words<'_> {
    fn either(&mut self) -> Result<Filter, String> {
        let mut left = self.both()?;
        while self.keyword("or") {
            left = Filter::Or(Box::new(left), Box::new(self.both()?));
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<Filter, String> {
        let mut left = self.one()?;
        while self.keyword("and") {
            left = Filter::And(Box::new(left), Box::new(self.one()?));
        }
        Ok(left)
    }

    fn one(&mut self) -> Result<Filter, String> {
        if self.symbol('(') {
            let filter = self.either()?;
            return if self.symbol(')') { Ok(filter) } else { Err(self.complaint()) };
        }
        let name = self.name()?;
        if fold(&name) == "contains" && self.symbol('(') {
            let name = self.name()?;
            return match (self.symbol(','), self.value()?, self.symbol(')')) {
                (true, Value::String(text), true) => Ok(Filter::Contains { name, text }),
                _ => Err(self.complaint()),
            };
        }
        let equal = self.keyword("eq");
        if !equal && !self.keyword("ne") {
            return Err(self.complaint());
        }
        Ok(Filter::Is { name, value: self.value()?, equal })
    }

    fn name(&mut self) -> Result<String, String> {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() {
            return Err(self.complaint());
        }
        self.rest = rest;
        Ok(name.to_owned())
    }

    /// A quote within a text is doubled (ALIGN-10).
    fn value(&mut self) -> Result<Value, String> {
        self.rest = self.rest.trim_start();
        let Some(mut rest) = self.rest.strip_prefix('\'') else { return self.number() };
        let mut text = String::new();
        loop {
            let (part, after) = rest.split_once('\'').ok_or_else(|| self.complaint())?;
            text.push_str(part);
            match after.strip_prefix('\'') {
                Some(after) => {
                    text.push('\'');
                    rest = after;
                }
                None => {
                    self.rest = after;
                    return Ok(Value::String(text));
                }
            }
        }
    }

    fn number(&mut self) -> Result<Value, String> {
        let end = self.rest.find(|c: char| c != '-' && !c.is_ascii_alphanumeric()).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let value = match word {
            "null" => Value::Null,
            "true" | "false" => Value::Bool(word == "true"),
            _ => Value::from(word.parse::<i64>().map_err(|_| self.complaint())?),
        };
        self.rest = rest;
        Ok(value)
    }

    fn keyword(&mut self, word: &str) -> bool {
        let text = self.rest.trim_start();
        match text.get(..word.len()) {
            Some(start)
                if start.eq_ignore_ascii_case(word) && !text[word.len()..].starts_with(char::is_alphanumeric) =>
            {
                self.rest = &text[word.len()..];
                true
            }
            _ => false,
        }
    }

    fn symbol(&mut self, symbol: char) -> bool {
        match self.rest.trim_start().strip_prefix(symbol) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn complaint(&self) -> String {
        format!("The query specified in the URI is not valid. Syntax error at '{}'.", self.rest.trim())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn a_filter_compares_members_without_regard_to_case() {
        // ALIGN-9
        let document = json!({"id": 4201, "externalId": "mlund", "roleId": 3, "isLocked": 0, "title": null, "lastName": "O'Neill"});
        for (filter, fits) in [
            ("externalId eq 'MLUND'", true),
            ("roleID eq 3 and isLocked eq 0", true),
            ("roleID eq 3 and isLocked eq -1", false),
            ("roleID eq 4 or id eq 4201", true),
            ("isLocked ne -1", true),
            ("title eq null", true),
            ("contains(externalid,'LUN')", true),
            ("contains(externalid,'x') or (id eq 1 or id eq 4201)", true),
            ("lastName eq 'O''Neill'", true),
        ] {
            assert_eq!(Filter::parse(filter).unwrap().fits(&document), fits, "{filter}");
        }
    }

    #[test]
    fn what_is_no_filter_is_a_syntax_error() {
        // ALIGN-10
        for filter in
            ["", "externalId", "externalId eq", "externalId eq 'a", "externalId eq 'O'Neill'", "(id eq 1", "id like 1"]
        {
            assert!(Filter::parse(filter).is_err(), "{filter}");
        }
    }
}
