//! From a SCIM user to the account it is to have.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::expression::{Context, ENTERPRISE, Expression, Sight};
use super::tables::Tables;
use super::{AccountRules, Match, Policy};
use crate::account::{Account, AccountId, By, Capabilities, Kind, Naming};
use crate::scim::Attrs;

/// What an account depends on besides the user and the policy.
#[derive(Clone, Debug)]
pub struct Ground {
    /// What the tenant's target can do.
    pub capabilities: Capabilities,
    /// The domain of addresses for people without one.
    pub email_fallback: String,
    /// The installation's tables.
    pub tables: Arc<Tables>,
}

/// What a user is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// The account.
    pub account: Account,
    /// Why it cannot be written: an expression of the policy that fails, or comes out empty where something is needed.
    pub problem: Option<String>,
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
        Self { capabilities, email_fallback: "users.invalid".to_owned(), tables: Arc::default() }
    }
}

/// What the account of a user is found by, in the policy's order; nothing that depends on an expression that failed.
pub fn finders(attrs: &Attrs, mapped: &Mapped, policy: &Policy, ground: &Ground) -> Vec<By> {
    let Mapped { account, problem } = mapped;
    let finder = |by: &Match| match by {
        Match::ExternalId => {
            let id = attrs.get("externalId")?.as_str()?.to_owned();
            let cloud = ground.capabilities.kind == Kind::Cloud;
            Some(if cloud { By::Id(AccountId(id)) } else { By::Username(id) })
        }
        _ if problem.is_some() => None,
        Match::UserName => Some(By::Username(account.username.clone())),
        Match::Email => Some(By::Email(account.email.clone())),
    };
    policy.matching.iter().filter_map(finder).collect()
}

/// The account that a user is to have; `groups` are the names of the user's SCIM groups. A user with nothing but a userName
/// works.
///
/// E-mail: the primary one, else the first of type `work`, else the first, else the userName if it is an address, else
/// `userName@email_fallback`. Display name: `displayName`, else `name.formatted`, else given and family name, else the
/// userName. The login name is the userName, or the e-mail address where a target knows no other ([`Naming::Email`]).
/// Expressions of the policy go before all of these.
pub fn account<'a>(
    attrs: &Attrs,
    active: bool,
    groups: impl IntoIterator<Item = &'a String>,
    policy: &Policy,
    ground: &Ground,
) -> Mapped {
    let user_name = text(attrs.get("userName")).unwrap_or_default().to_owned();
    let email = email(attrs).map_or_else(|| fallback_email(&user_name, &ground.email_fallback), str::to_owned);
    let account = Account {
        username: user_name.clone(),
        email,
        display_name: display_name(attrs).unwrap_or(user_name),
        active,
        extra: default_fields(attrs, ground.capabilities.kind),
        access: policy.access(),
    };
    if policy.account == AccountRules::default() {
        return Mapped { account: named(account, ground), problem: None };
    }
    let sight = Sight {
        attrs,
        email: &account.email,
        groups: groups.into_iter().map(String::as_str).collect(),
        own: Arc::new(policy.own_tables()),
        shared: Arc::clone(&ground.tables),
    };
    let context = Context::new(sight);
    express(account, &policy.account, &context, ground)
}

/// Where a target knows no other login names, the address is it, whatever a rule says.
fn named(account: Account, ground: &Ground) -> Account {
    match ground.capabilities.naming {
        Naming::Email => Account { username: account.email.clone(), ..account },
        Naming::UserName => account,
    }
}

fn express(mut account: Account, rules: &AccountRules, context: &Context, ground: &Ground) -> Mapped {
    let mut problem = None;
    let mut say = |key: &str, expression: &Expression, needed: bool| -> Option<String> {
        let text = expression.evaluate(context).unwrap_or_else(|why| {
            problem.get_or_insert_with(|| format!("policy.account.{key} {why}."));
            String::new()
        });
        if text.is_empty() && needed {
            problem.get_or_insert_with(|| format!("policy.account.{key} comes out empty for this user."));
        }
        Some(text).filter(|text| !text.is_empty())
    };
    let mut set = |key: &str, rule: &Option<Expression>, field: &mut String| {
        if let Some(text) = rule.as_ref().and_then(|rule| say(key, rule, true)) {
            *field = text;
        }
    };
    set("email", &rules.email, &mut account.email);
    set("display_name", &rules.display_name, &mut account.display_name);
    set("username", &rules.username, &mut account.username);
    let mut account = named(account, ground);
    for (name, rule) in &rules.fields {
        match say(&format!("fields.{name}"), rule, false) {
            Some(text) => drop(account.extra.insert(name.clone(), text)),
            None => drop(account.extra.remove(name)),
        }
    }
    Mapped { account, problem }
}

/// The further fields that a target of this kind gets unless the policy says otherwise.
fn default_fields(attrs: &Attrs, kind: Kind) -> BTreeMap<String, String> {
    let name = |part: &str| attrs.get("name").and_then(|name| text(name.get(part)));
    let enterprise = |part: &str| attrs.get(ENTERPRISE).and_then(|extension| text(extension.get(part)));
    let title = text(attrs.get("title"));
    let fields: Vec<(&str, Option<&str>)> = match kind {
        Kind::DataCenter => Vec::new(),
        Kind::Cloud => vec![
            ("job_title", title),
            ("department", enterprise("department")),
            ("organization", enterprise("organization")),
        ],
        Kind::Align => {
            let shown =
                display_name(attrs).or_else(|| text(attrs.get("userName")).map(str::to_owned)).unwrap_or_default();
            let (first, last) = shown.rsplit_once(' ').unwrap_or((&shown, &shown));
            return [
                ("firstName", Some(name("givenName").unwrap_or(first))),
                ("lastName", Some(name("familyName").unwrap_or(last))),
                ("title", title),
            ]
            .into_iter()
            .filter_map(|(field, value)| Some((field.to_owned(), value.filter(|value| !value.is_empty())?.to_owned())))
            .collect();
        }
    };
    fields.into_iter().filter_map(|(field, value)| Some((field.to_owned(), value?.to_owned()))).collect()
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
        let ground = ground(Naming::UserName);
        let account = account(body.as_object().unwrap(), true, [], &Policy::default(), &ground).account;
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
    fn rules_go_before_defaults_and_what_they_lack_is_said() {
        let policy = |account: Value| Policy::from_value(&json!({ "account": account })).unwrap();
        let mara = json!({"userName": "m.lund@x.example", "name": {"givenName": "Mara", "familyName": "Lund Berg"}});
        let groups = ["Crew".to_owned()];
        let mapped =
            |policy: &Policy, ground: &Ground| account(mara.as_object().unwrap(), true, &groups, policy, ground);
        let rules =
            policy(json!({"username": "{{ userName | before('@') }}", "fields": {"roleId": "{{ groups | first }}"}}));
        let with = mapped(&rules, &Ground::default());
        assert_eq!((with.account.username.as_str(), with.problem), ("m.lund", None));
        assert_eq!(with.account.extra["roleId"], "Crew");
        let by_address = ground(Naming::Email);
        assert_eq!(mapped(&rules, &by_address).account.username, "m.lund@x.example", "the address is the login name");
        let rules = policy(json!({"email": "{{ nickName }}@y.example"}));
        assert_eq!(mapped(&rules, &by_address).account.username, "@y.example", "also one that a rule made");
        for (rules, key) in [
            (json!({"display_name": "{{ nickName }}"}), "policy.account.display_name comes out empty"),
            (json!({"fields": {"roleId": "{{ userName | lookup('roles') }}"}}), "policy.account.fields.roleId cannot"),
        ] {
            let problem = mapped(&policy(rules), &Ground::default()).problem.unwrap();
            assert!(problem.starts_with(key), "{problem}");
        }
    }

    #[test]
    fn further_fields_have_defaults_where_a_target_has_fields() {
        let fields = |kind: Kind, body: Value| {
            let capabilities = Capabilities { kind, ..Ground::default().capabilities };
            let ground = Ground { capabilities, ..Ground::default() };
            account(body.as_object().unwrap(), true, [], &Policy::default(), &ground).account.extra
        };
        let mara = json!({"userName": "m", "displayName": "Mara Lund Berg", "title": "Engineer",
                          ENTERPRISE: {"department": "Platform"}});
        assert!(fields(Kind::DataCenter, mara.clone()).is_empty());
        let cloud = fields(Kind::Cloud, mara.clone());
        assert_eq!(
            (cloud["job_title"].as_str(), cloud["department"].as_str(), cloud.len()),
            ("Engineer", "Platform", 2)
        );
        let align = fields(Kind::Align, mara);
        assert_eq!((align["firstName"].as_str(), align["lastName"].as_str()), ("Mara Lund", "Berg"));
        let align = fields(Kind::Align, json!({"userName": "mlund"}));
        assert_eq!((align["firstName"].as_str(), align["lastName"].as_str()), ("mlund", "mlund"));
    }

    #[test]
    fn where_a_target_knows_no_other_login_names_the_address_is_it() {
        let body = json!({"userName": "amoss", "emails": [{"value": "ann@b.example"}]});
        let ground = ground(Naming::Email);
        let account = account(body.as_object().unwrap(), true, [], &Policy::default(), &ground).account;
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
