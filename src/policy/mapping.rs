//! From a SCIM user to the account it is to have.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Policy;
use crate::account::{Account, Capabilities, Kind, Naming};
use crate::scim::Attrs;

/// What an account depends on besides the user and the policy.
#[derive(Clone, Debug)]
pub struct Ground {
    /// What the tenant's target can do.
    pub capabilities: Capabilities,
    /// The domain of addresses for people without one.
    pub email_fallback: String,
}

/// The grounds of several targets, by their names.
#[derive(Clone, Debug, Default)]
pub struct Grounds(pub BTreeMap<String, Ground>);

impl Grounds {
    /// Those of a target; of a Data Center where the configuration does not name it (any more).
    pub fn of(&self, target: &str) -> Ground {
        self.0.get(target).cloned().unwrap_or_default()
    }
}

impl Default for Ground {
    fn default() -> Self {
        let capabilities = Capabilities { kind: Kind::DataCenter, groups: true, naming: Naming::UserName };
        Self { capabilities, email_fallback: "users.invalid".to_owned() }
    }
}

/// The account that a user is to have. A user with nothing but a userName works.
///
/// E-mail: the primary one, else the first of type `work`, else the first, else the userName if it is an address, else
/// `userName@email_fallback`. Display name: `displayName`, else `name.formatted`, else given and family name, else the
/// userName. The login name is the userName, or the e-mail address where a target knows no other ([`Naming::Email`]).
pub fn account(attrs: &Attrs, active: bool, policy: &Policy, ground: &Ground) -> Account {
    let user_name = text(attrs.get("userName")).unwrap_or_default().to_owned();
    let email = email(attrs).map_or_else(|| fallback_email(&user_name, &ground.email_fallback), str::to_owned);
    let username = match ground.capabilities.naming {
        Naming::UserName => user_name.clone(),
        Naming::Email => email.clone(),
    };
    Account {
        username,
        email,
        display_name: display_name(attrs).unwrap_or(user_name),
        active,
        extra: BTreeMap::new(),
        access: policy.access(),
    }
}

fn email(attrs: &Attrs) -> Option<&str> {
    let emails = attrs.get("emails")?.as_array()?;
    let value = |e: &&Value| text(e.get("value")).is_some();
    let primary = |e: &&Value| e.get("primary") == Some(&Value::Bool(true));
    let work = |e: &&Value| text(e.get("type")).is_some_and(|t| t.eq_ignore_ascii_case("work"));
    let usable = || emails.iter().filter(value);
    usable()
        .find(primary)
        .or_else(|| usable().find(work))
        .or_else(|| usable().next())
        .and_then(|e| text(e.get("value")))
}

fn fallback_email(username: &str, domain: &str) -> String {
    let is_address = username.split_once('@').is_some_and(|(local, host)| {
        !local.is_empty() && host.contains('.') && !host.contains('@') && !username.contains(char::is_whitespace)
    });
    if is_address { username.to_owned() } else { format!("{}@{domain}", username.replace([' ', '@'], ".")) }
}

fn display_name(attrs: &Attrs) -> Option<String> {
    if let Some(name) = text(attrs.get("displayName")) {
        return Some(name.to_owned());
    }
    let name = attrs.get("name")?;
    if let Some(formatted) = text(name.get("formatted")) {
        return Some(formatted.to_owned());
    }
    let parts: Vec<&str> = [name.get("givenName"), name.get("familyName")].into_iter().filter_map(text).collect();
    if parts.is_empty() { None } else { Some(parts.join(" ")) }
}

/// A string with something in it, without the blanks around it.
fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str).map(str::trim).filter(|s| !s.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn ground(naming: Naming) -> Ground {
        let capabilities = Capabilities { naming, ..Ground::default().capabilities };
        Ground { capabilities, ..Ground::default() }
    }

    fn of(body: Value) -> (String, String, String) {
        let account = account(body.as_object().unwrap(), true, &Policy::default(), &ground(Naming::UserName));
        (account.username, account.email, account.display_name)
    }

    fn all(a: &str, b: &str, c: &str) -> (String, String, String) {
        (a.to_owned(), b.to_owned(), c.to_owned())
    }

    #[test]
    fn a_user_with_nothing_but_a_user_name_works() {
        assert_eq!(of(json!({"userName": "amoss"})), all("amoss", "amoss@users.invalid", "amoss"));
        assert_eq!(of(json!({"userName": "a@b.example"})), all("a@b.example", "a@b.example", "a@b.example"));
        assert_eq!(of(json!({"userName": "a@localhost"})).1, "a.localhost@users.invalid");
    }

    #[test]
    fn where_a_target_knows_no_other_login_names_the_address_is_it() {
        let body = json!({"userName": "amoss", "emails": [{"value": "ann@b.example"}]});
        let account = account(body.as_object().unwrap(), true, &Policy::default(), &ground(Naming::Email));
        assert_eq!((account.username.as_str(), account.email.as_str()), ("ann@b.example", "ann@b.example"));
    }

    #[test]
    fn the_primary_address_wins_then_work_then_the_first() {
        let emails = |e: Value| of(json!({"userName": "u", "emails": e})).1;
        assert_eq!(
            emails(json!([{"value": "h@x"}, {"value": "w@x", "type": "work"}, {"value": "p@x", "primary": true}])),
            "p@x"
        );
        assert_eq!(emails(json!([{"value": "h@x", "type": "home"}, {"value": "w@x", "type": "Work"}])), "w@x");
        assert_eq!(emails(json!([{"value": "h@x", "type": "home"}, {"value": "o@x"}])), "h@x");
        assert_eq!(emails(json!([{"value": " ", "primary": true}, {"value": "o@x"}])), "o@x");
        assert_eq!(emails(json!([])), "u@users.invalid");
    }

    #[test]
    fn the_display_name_falls_back_through_the_name() {
        let name = |n: Value| of(json!({"userName": "u", "name": n})).2;
        assert_eq!(of(json!({"userName": "u", "displayName": "D", "name": {"formatted": "F"}})).2, "D");
        assert_eq!(name(json!({"formatted": "F", "givenName": "G"})), "F");
        assert_eq!(name(json!({"givenName": "G", "familyName": "N"})), "G N");
        assert_eq!(name(json!({"familyName": "N"})), "N");
        assert_eq!(name(json!({})), "u");
    }
}
