//! What can be told of an expression before anybody is provisioned by it: whether it is understood, whether its filters exist,
//! also in branches that few people take, and whether it fails whoever it is asked about.

use std::sync::{Arc, LazyLock};

use minijinja::{Error, ErrorKind};
use serde_json::{Value, json};

use super::super::tables::Tables;
use super::{Context, ENGINE, ENTERPRISE, Expression, LONGEST, NO_TABLE, Sight, told};
use crate::scim::Attrs;

/// People as different as can be: with everything, and with nothing but a name.
static PEOPLE: LazyLock<[Attrs; 3]> = LazyLock::new(|| {
    let full = json!({
        "userName": "ann.moss@corp.example", "externalId": "E-91", "displayName": "Ann Moss", "nickName": "Ann",
        "title": "Engineer", "userType": "Employee", "locale": "en", "preferredLanguage": "en", "timezone": "Etc/UTC",
        "profileUrl": "https://corp.example/ann", "active": true,
        "name": {"formatted": "Ann B Moss", "givenName": "Ann", "middleName": "B", "familyName": "Moss",
                 "honorificPrefix": "Dr", "honorificSuffix": "PhD"},
        "emails": [{"value": "ann.moss@corp.example", "type": "work", "primary": true}, {"value": "ann@home.example", "type": "home"}],
        "phoneNumbers": [{"value": "+1 555 0100", "type": "work"}],
        "addresses": [{"locality": "Oslo", "country": "NO", "type": "work"}],
        "roles": [{"value": "dev"}], "entitlements": [{"value": "jira"}], "photos": [{"value": "https://corp.example/p"}],
        "ims": [{"value": "ann"}],
        ENTERPRISE: {"employeeNumber": "E-91", "costCenter": "4711", "organization": "Corp", "division": "North",
                     "department": "Platform", "manager": {"value": "1", "displayName": "Mara Lund"}},
    });
    let named = json!({"userName": "bob", "name": {"givenName": "Bob", "familyName": "Ås"}, "emails": []});
    [full, named, json!({"userName": "c"})].map(|user| match user {
        Value::Object(attrs) => attrs,
        _ => Attrs::new(),
    })
});

impl Expression {
    /// Whether it can be understood at all, and does not fail everybody. `shared` are the installation's tables, where they
    /// are known: else a table that the policy does not hold may be one of them.
    ///
    /// # Errors
    /// A sentence without the key that it belongs to.
    pub fn check(&self, own: &Arc<Tables>, shared: Option<&Arc<Tables>>) -> Result<(), String> {
        if self.templates().is_empty() {
            return Err("has no expression in it".to_owned());
        }
        self.templates().iter().try_for_each(|template| understood(template))?;
        let mut failure = None;
        for attrs in PEOPLE.iter() {
            let context = Context::new(Sight {
                attrs,
                email: "ann.moss@corp.example",
                groups: vec!["Staff", "Engineering"],
                own: Arc::clone(own),
                shared: shared.cloned().unwrap_or_default(),
            });
            match self.evaluate(&context) {
                Err(why) if shared.is_some() || !why.contains(NO_TABLE) => failure = Some(why),
                _ => return Ok(()),
            }
        }
        failure.map_or(Ok(()), |why| Err(format!("fails whoever the user is: it {why}")))
    }
}

fn understood(template: &str) -> Result<(), String> {
    if template.len() > LONGEST {
        return Err(format!("is longer than {LONGEST} bytes"));
    }
    let says = |error: &Error| format!("is not understood: {}", told(error, template));
    ENGINE.template_from_str(template).map_err(|error| says(&error))?;
    for (line, word) in words(template) {
        let (probe, kind, what) = match &word {
            Word::Filter(name) => {
                (format!("{{{{ ''|{name} }}}}"), ErrorKind::UnknownFilter, format!("filter \"{name}\""))
            }
            Word::Test(name) => (format!("{{{{ '' is {name} }}}}"), ErrorKind::UnknownTest, format!("test \"{name}\"")),
        };
        if ENGINE.render_str(&probe, ()).is_err_and(|error| error.kind() == kind) {
            let place = if template.contains('\n') { format!(" (line {line})") } else { String::new() };
            return Err(format!("is not understood: there is no {what}{place}"));
        }
    }
    Ok(())
}

/// A name that has to exist.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    Filter(String),
    Test(String),
}

/// The filters and tests that a template names anywhere, with their lines.
fn words(template: &str) -> Vec<(usize, Word)> {
    let mut found = Vec::new();
    let mut rest = template;
    let line_at = |rest: &str| template[..template.len() - rest.len()].matches('\n').count() + 1;
    while let Some(at) = rest.find("{{").into_iter().chain(rest.find("{%")).chain(rest.find("{#")).min() {
        let (mark, inner) = rest[at..].split_at(2);
        if mark == "{#" {
            rest = inner.split_once("#}").map_or("", |(_, after)| after);
            continue;
        }
        let end = if mark == "{{" { "}}" } else { "%}" };
        let (tokens, after) = tokens(inner, end);
        let texts: Vec<&str> = tokens.iter().map(|(text, _)| *text).collect();
        for (place, (text, tail)) in tokens.iter().enumerate().filter(|(_, (text, _))| is_name(text)) {
            let before = |steps: usize| place.checked_sub(steps).map_or("", |place| texts[place]);
            let name = (*text).to_owned();
            if before(1) == "|" || (place == 1 && before(1) == "filter" && mark == "{%") {
                found.push((line_at(tail), Word::Filter(name)));
            } else if (before(1) == "is" && *text != "not") || (before(1) == "not" && before(2) == "is") {
                found.push((line_at(tail), Word::Test(name)));
            }
        }
        rest = match texts.first() {
            Some(&"raw") if mark == "{%" => after.find("endraw").map_or("", |at| &after[at..]),
            _ => after,
        };
    }
    found
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The tokens up to `end`, each with the text that begins with it, and what comes after `end`. A quoted text is one token.
fn tokens<'a>(code: &'a str, end: &str) -> (Vec<(&'a str, &'a str)>, &'a str) {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix(end) {
            return (found, after);
        }
        let length = match first {
            '"' | '\'' => quoted(rest, first),
            c if is_name(rest) => {
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()).max(c.len_utf8())
            }
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        if !token.trim().is_empty() && token != "-" && token != "+" {
            found.push((token, rest));
        }
        rest = after;
    }
    (found, "")
}

/// How long the quoted text at the beginning is, with its marks.
fn quoted(text: &str, mark: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == mark => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::super::tables::Table;
    use super::*;

    fn check(template: &str, shared: Option<Tables>) -> Result<(), String> {
        let own = Tables::from([("roles".to_owned(), Table::default())]);
        let shared = shared.map(Arc::new);
        Expression::One(template.to_owned()).check(&Arc::new(own), shared.as_ref())
    }

    #[test]
    fn what_no_user_could_come_through_is_told_beforehand() {
        for (template, why) in [
            ("{{ userName", "is not understood"),
            ("{{ userName | nosuch }}", "there is no filter \"nosuch\""),
            ("{{ userName | lower | upr }}", "there is no filter \"upr\""),
            ("{% if nickName %}\n{{ userName | loewr }}\n{% endif %}", "there is no filter \"loewr\" (line 2)"),
            ("{% if userType == 'never' %}{{ userName | before('@')|lwr }}{% endif %}", "\"lwr\""),
            ("{% filter uper %}x{% endfilter %}", "there is no filter \"uper\""),
            ("{% if userName is strng %}x{% endif %}", "there is no test \"strng\""),
            ("{% if userName is not strng %}x{% endif %}", "there is no test \"strng\""),
            ("{{ userName | regex_replace('(', '') }}", "regular expression"),
            ("{{ userName | truncate('x') }}", "fails whoever the user is: it cannot be evaluated"),
            ("{{ nothing() }}", "fails whoever the user is"),
            ("{% include 'x' %}", ""),
        ] {
            let error = check(template, None).err().unwrap_or_default();
            assert!(!error.is_empty() && error.contains(why), "{template}: {error}");
        }
    }

    #[test]
    fn what_somebody_comes_through_is_fine() {
        for template in [
            "{{ userName | before('@') | lower }}",
            "{{ name.familyName }}",
            "{{ user['urn:example:badge'].number }}",
            "{{ 'a | nosuch' }}{# | nosuch #} | nosuch",
            "{% raw %}{{ x | nosuch }}{% endraw %}{{ userName }}",
            "{{ \"it's | \\\" | nosuch\" | lower }}",
            "{% if title is defined and title is not none %}{{ title|replace('|', 'x') }}{% endif %}",
            "{{- userName -}}",
            "{{ (emails | selectattr('type', 'equalto', 'work') | first).value }}",
            "{% for role in roles %}{{ role.value }}{% endfor %}",
            "{{ groups | lookup('roles') | default('x') }}",
            // Only some have it: the others are refused one by one.
            "{% if enterprise %}{{ name.givenName }}{% else %}{{ userName | truncate('x') }}{% endif %}",
        ] {
            assert_eq!(check(template, None), Ok(()), "{template}");
        }
    }

    #[test]
    fn a_table_that_is_nowhere_is_told_where_all_tables_are_known() {
        let template = "{{ userName | lookup('hr') }}";
        assert_eq!(check(template, None), Ok(()), "it may be one of the installation's");
        assert_eq!(check(template, Some(Tables::from([("hr".to_owned(), Table::default())]))), Ok(()));
        let error = check(template, Some(Tables::new())).unwrap_err();
        assert!(error.contains("there is no table \"hr\""), "{error}");
    }
}
