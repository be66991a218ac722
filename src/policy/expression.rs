//! Expressions of a policy: what is written into an account, made of a SCIM user. Templates in the manner of Jinja
//! (`{{ userName | before("@") | lower }}`), evaluated without any way out: no files, no environment, bounded work.

mod proof;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use minijinja::value::{Object, ObjectRepr, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, Value};
use regex::RegexBuilder;
use serde::{Deserialize, Serialize};

use super::tables::Tables;
use crate::scim::Attrs;

/// How much work one expression may be: its loops end here.
const FUEL: u64 = 50_000;
/// The longest text of an expression, in bytes.
const LONGEST: usize = 4096;
/// The largest program that a regular expression of a policy may become, in bytes.
const LARGEST_REGEX: usize = 1 << 20;
/// What expressions do not see by this name, and `lookup` does.
const TABLES: &str = "tables of jira-scim";
/// How the error of a lookup in a table that is not there begins.
const NO_TABLE: &str = "there is no table";
/// The enterprise extension of RFC 7643 section 4.3, which expressions call `enterprise`.
pub(super) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// One template, or several of which the first that comes out with something counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Expression {
    /// One.
    One(String),
    /// A chain.
    Chain(Vec<String>),
}

/// What expressions see.
pub struct Sight<'a> {
    /// The user, as the store has it.
    pub attrs: &'a Attrs,
    /// The e-mail address that was chosen.
    pub email: &'a str,
    /// Names of the groups that the user is in, directly or not.
    pub groups: Vec<&'a str>,
    /// The policy's own tables.
    pub own: Arc<Tables>,
    /// The installation's tables.
    pub shared: Arc<Tables>,
}

impl Expression {
    fn templates(&self) -> &[String] {
        match self {
            Self::One(template) => std::slice::from_ref(template),
            Self::Chain(templates) => templates,
        }
    }

    /// What it comes out with, without the blanks around it; empty where nothing has anything.
    ///
    /// # Errors
    /// A sentence without the key that it belongs to: a filter that cannot do what it is asked.
    pub fn evaluate(&self, context: &Context) -> Result<String, String> {
        for template in self.templates() {
            let text = ENGINE
                .render_str(template, &context.0)
                .map_err(|error| format!("cannot be evaluated: {}", told(&error, template)))?;
            let text = text.trim();
            if !text.is_empty() {
                return Ok(text.to_owned());
            }
        }
        Ok(String::new())
    }
}

/// What expressions see, made once for all expressions of a user.
pub struct Context(Value);

impl Context {
    /// Of a user.
    pub fn new(sight: Sight<'_>) -> Self {
        let mut seen: BTreeMap<String, Value> =
            sight.attrs.iter().map(|(name, value)| (name.clone(), Value::from_serialize(value))).collect();
        seen.insert("user".to_owned(), Value::from_serialize(sight.attrs));
        seen.insert(
            "enterprise".to_owned(),
            sight.attrs.get(ENTERPRISE).map(Value::from_serialize).unwrap_or_default(),
        );
        seen.insert("email".to_owned(), Value::from(sight.email));
        seen.insert("groups".to_owned(), sight.groups.into_iter().map(Value::from).collect());
        seen.insert(TABLES.to_owned(), Value::from_object(Library { own: sight.own, shared: sight.shared }));
        Self(Value::from(seen))
    }
}

/// The tables, on their way to `lookup`.
#[derive(Debug)]
struct Library {
    own: Arc<Tables>,
    shared: Arc<Tables>,
}

impl Object for Library {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Chainable);
    engine.set_auto_escape_callback(|_| AutoEscape::None);
    engine.set_fuel(Some(FUEL));
    engine.add_filter("before", |text: String, mark: String| match text.split_once(&mark) {
        Some((head, _)) => head.to_owned(),
        None => text,
    });
    engine.add_filter("after", |text: String, mark: String| match text.split_once(&mark) {
        Some((_, tail)) => tail.to_owned(),
        None => String::new(),
    });
    engine.add_filter("truncate", |text: String, length: usize| text.chars().take(length).collect::<String>());
    engine.add_filter("ascii", |text: String| deunicode::deunicode(&text));
    engine.add_filter("default", |value: Value, other: Value| if says_nothing(&value) { other } else { value });
    engine.add_filter("regex_replace", regex_replace);
    engine.add_filter("lookup", lookup);
    engine
});

fn says_nothing(value: &Value) -> bool {
    value.is_undefined() || value.is_none() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// `{{ userName | regex_replace("^ext-(.*)$", "$1") }}`
fn regex_replace(text: String, pattern: String, with: String) -> Result<String, Error> {
    let pattern = RegexBuilder::new(&pattern).size_limit(LARGEST_REGEX).build();
    let pattern = pattern.map_err(|error| invalid(format!("the regular expression is not understood: {error}")))?;
    Ok(pattern.replace_all(&text, with.as_str()).into_owned())
}

/// `{{ groups | lookup("roles") }}`: the first of the names that the table knows; `lookup("hr", "costCenter")`: its column.
fn lookup(state: &State<'_, '_>, key: Value, table: String, column: Option<String>) -> Result<Value, Error> {
    let library = state.lookup(TABLES).unwrap_or_default();
    let library = library.downcast_object_ref::<Library>().ok_or_else(|| invalid("there are no tables".to_owned()))?;
    let known = library.own.get(&table).or_else(|| library.shared.get(&table));
    let known = known.ok_or_else(|| invalid(format!("{NO_TABLE} \"{table}\"")))?;
    let keys: Vec<Value> = match key.kind() {
        ValueKind::Seq | ValueKind::Iterable => key.try_iter()?.collect(),
        _ => vec![key],
    };
    let found =
        keys.iter().filter(|key| !says_nothing(key)).find_map(|key| known.get(&key.to_string(), column.as_deref()));
    Ok(found.map_or(Value::UNDEFINED, Value::from))
}

fn invalid(sentence: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, sentence)
}

/// The library's words, with the line where a template has several.
fn told(error: &Error, template: &str) -> String {
    let words = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.line().filter(|_| template.contains('\n')) {
        Some(line) => format!("{words} (line {line})"),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::super::tables::Table;
    use super::*;

    fn of(template: &str) -> Result<String, String> {
        let user = json!({
            "userName": "Mara.Lund@example.test", "title": "", "active": true,
            "name": {"givenName": "Mara", "familyName": "Bjørnsdóttir"},
            "emails": [{"value": "m@home.test", "type": "home"}, {"value": "m@work.test", "type": "work"}],
            ENTERPRISE: {"employeeNumber": "E-91", "costCenter": "4711"},
        });
        let roles = BTreeMap::from([("crew".to_owned(), "12".to_owned())]);
        let hr = Table::from_csv(b"employee,region\nE-91,17\n", "employee").unwrap();
        let context = Context::new(Sight {
            attrs: user.as_object().unwrap(),
            email: "m@work.test",
            groups: vec!["Staff", "Crew"],
            own: Arc::new(Tables::from([("roles".to_owned(), Table::of(&roles))])),
            shared: Arc::new(Tables::from([("hr".to_owned(), hr)])),
        });
        Expression::One(template.to_owned()).evaluate(&context)
    }

    #[test]
    fn filters_do_what_an_administrator_needs() {
        for (template, text) in [
            ("{{ userName | before('@') | lower }}", "mara.lund"),
            ("{{ userName | after('@') }}", "example.test"),
            ("{{ userName | after('#') }}", ""),
            ("{{ name.familyName | ascii }}", "Bjornsdottir"),
            ("{{ userName | replace('.', '_') | truncate(6) }}", "Mara_L"),
            ("{{ userName | regex_replace('^(\\w+)\\.(\\w+)@.*$', '$2 $1') }}", "Lund Mara"),
            ("{{ title | default('none') }}", "none"),
            ("{{ nickName | default(name.givenName) }}", "Mara"),
            ("{{ manager.displayName.first }}", ""),
            ("{{ enterprise.costCenter }}", "4711"),
            ("{{ email }}", "m@work.test"),
            ("{{ (emails | selectattr('type', 'equalto', 'home') | first).value }}", "m@home.test"),
            ("{{ groups | lookup('roles') }}", "12"),
            ("{{ 'nobody' | lookup('roles') | default('91') }}", "91"),
            ("{{ enterprise.employeeNumber | lookup('hr', 'region') }}", "17"),
            ("{% if active %}0{% else %}1{% endif %}", "0"),
            ("<&>", "<&>"),
        ] {
            assert_eq!(of(template).as_deref(), Ok(text), "{template}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_said_in_words() {
        for (template, why) in [
            ("{{ userName | lookup('rolls') }}", "there is no table \"rolls\""),
            ("{{ userName | regex_replace('(', '') }}", "regular expression"),
            ("{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}", "cannot be evaluated"),
            ("{% include 'secret' %}", "cannot be evaluated"),
        ] {
            let error = of(template).unwrap_err();
            assert!(error.contains(why), "{template}: {error}");
        }
    }

    #[test]
    fn a_chain_ends_with_the_first_that_says_something() {
        let attrs = Attrs::new();
        let sight = Sight { attrs: &attrs, email: "", groups: Vec::new(), own: Arc::default(), shared: Arc::default() };
        let chain = Expression::Chain(vec!["{{ title }}".to_owned(), " ".to_owned(), "x".to_owned(), "y".to_owned()]);
        assert_eq!(chain.evaluate(&Context::new(sight)).as_deref(), Ok("x"));
    }
}
