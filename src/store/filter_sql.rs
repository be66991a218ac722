//! Filters as SQL: an [`Expr`] becomes a condition on `scim_user u` or `scim_group g`.
//!
//! The answer is that of [`scim::filter::eval`](crate::scim::filter::eval) over the same resource, which a property test
//! holds it to. Three rules keep it safe:
//!
//! * nothing of the client's is ever SQL text: values and attribute paths are bound, the rest are constants of this file;
//! * every node is in brackets, so that no `OR` escapes the tenant's condition in front of it;
//! * every leaf is true or false, never NULL, so that `NOT` means what it says.
//!
//! What a resource does not carry in `folded` comes from elsewhere: `id`, `meta`, and the columns behind the indexes;
//! `members` of groups from the edges; `groups` of users from the edges upwards, nested groups included. Only living
//! users and groups count as members and groups. A condition that an index answers is said in the index's words, beside
//! the exact one.

mod key;
mod leaf;
mod related;

use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

pub use self::key::{Key, KeyType, push_key};
use self::leaf::Leaf;
use crate::scim::filter::{AttrRef, Expr, Literal, Op};

/// What the condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// `scim_user u`.
    Users,
    /// `scim_group g`.
    Groups,
}

type Sql = QueryBuilder<Postgres>;

/// Appends the condition, in brackets. The query must have the table under its alias and must itself say which tenant,
/// and that tombstones do not count. `base` is the URL that `meta.location` and `$ref` begin with.
pub fn push(sql: &mut Sql, of: Of, tenant_id: Uuid, base: &str, filter: &Expr) {
    let mut compiler = Compiler { sql, tenant_id, base, lists: 0 };
    compiler.expr(&Scope::Document(of), filter);
}

/// Whether an index finds the matches, so that they are few and nothing else need be read.
pub fn is_indexed(of: Of, filter: &Expr) -> bool {
    match filter {
        Expr::And(all) => all.iter().any(|expr| is_indexed(of, expr)),
        Expr::Or(any) => !any.is_empty() && any.iter().all(|expr| is_indexed(of, expr)),
        Expr::False => true,
        Expr::Compare { attr, op: Op::Eq, value: Literal::String(_) } => matches!(
            (of, path(attr).as_slice()),
            (_, ["id"] | ["externalId"] | ["meta", "location"])
                | (Of::Users, ["userName"] | ["emails", "value"])
                | (Of::Groups, ["displayName"] | ["members", "value"])
        ),
        Expr::Any { attr, filter } => match (of, path(attr).as_slice()) {
            (Of::Users, ["emails"]) | (Of::Groups, ["members"]) => wanted_value(filter).is_some(),
            _ => false,
        },
        _ => false,
    }
}

fn path(attr: &AttrRef) -> Vec<&str> {
    attr.path.iter().map(String::as_str).collect()
}

/// The value that an element must have to satisfy the filter, where the filter says so: `value eq "x"`, alone or with
/// further conditions.
fn wanted_value(filter: &Expr) -> Option<&str> {
    match filter {
        Expr::Compare { attr, op: Op::Eq, value: Literal::String(text) } if path(attr) == ["value"] => Some(text),
        Expr::And(all) => all.iter().find_map(wanted_value),
        _ => None,
    }
}

/// What the attributes of an expression are relative to.
enum Scope {
    /// A user or a group.
    Document(Of),
    /// An element of a list in `folded`, by its alias.
    Element(String),
    /// One of a user's groups: `x` is the group.
    GroupOfUser,
    /// One of a user's groups where it matters how: `x` has `id`, `display` and `direct`.
    GroupOfUserHow,
    /// One of a group's members: `m` is the edge, `mu` the user, `mg` the group.
    MemberOfGroup,
}

/// What an element of a list must satisfy.
enum Test<'a> {
    /// To have a value at the rest of the path.
    Present(&'a [String]),
    /// To have one that stands in this relation.
    Compare(&'a AttrRef, &'a [String], Op, &'a Literal),
    /// The filter in the brackets.
    Filter(&'a Expr),
}

struct Compiler<'q> {
    sql: &'q mut Sql,
    tenant_id: Uuid,
    base: &'q str,
    /// Lists opened so far, for their aliases.
    lists: usize,
}

impl Compiler<'_> {
    fn expr(&mut self, scope: &Scope, expr: &Expr) {
        self.sql.push("(");
        match expr {
            Expr::And(all) => self.joined(scope, all, " AND ", "TRUE"),
            Expr::Or(any) => self.joined(scope, any, " OR ", "FALSE"),
            Expr::Not(inner) => {
                self.sql.push("NOT ");
                self.expr(scope, inner);
            }
            Expr::Present(attr) => self.present(scope, attr),
            Expr::Compare { attr, op, value } => self.compare(scope, attr, *op, value),
            Expr::Any { attr, filter } => {
                if let (Scope::Document(Of::Users), ["emails"], Some(text)) =
                    (scope, path(attr).as_slice(), wanted_value(filter))
                {
                    self.email_index(text);
                }
                self.element(scope, &attr.path, &Test::Filter(filter));
            }
            Expr::True => {
                self.sql.push("TRUE");
            }
            Expr::False => {
                self.sql.push("FALSE");
            }
        }
        self.sql.push(")");
    }

    fn joined(&mut self, scope: &Scope, all: &[Expr], between: &str, none: &str) {
        if all.is_empty() {
            self.sql.push(none);
        }
        for (index, expr) in all.iter().enumerate() {
            if index > 0 {
                self.sql.push(between);
            }
            self.expr(scope, expr);
        }
    }

    fn present(&mut self, scope: &Scope, attr: &AttrRef) {
        match split(attr) {
            Some((list, rest)) => self.element(scope, list, &Test::Present(rest)),
            None => leaf::at(scope, self.base, &attr.path, attr.case_exact).present(self.sql),
        }
    }

    fn compare(&mut self, scope: &Scope, attr: &AttrRef, op: Op, value: &Literal) {
        if let (Scope::Document(of), Op::Eq, ["meta", "location"], Literal::String(url)) =
            (scope, op, path(attr).as_slice(), value)
        {
            self.is_at(*of, url);
            return;
        }
        let Some((list, rest)) = split(attr) else {
            leaf::at(scope, self.base, &attr.path, attr.case_exact).compare(self.sql, op, value, op == Op::Ne);
            return;
        };
        if op == Op::Ne {
            // No value at all, or one that differs.
            self.sql.push("NOT ");
            self.element(scope, list, &Test::Present(rest));
            self.sql.push(" OR ");
        } else if let (Scope::Document(Of::Users), Op::Eq, ["emails", "value"], Literal::String(text)) =
            (scope, op, path(attr).as_slice(), value)
        {
            self.email_index(text);
        }
        self.element(scope, list, &Test::Compare(attr, rest, op, value));
    }

    /// The resource has that URL: what an index can look up.
    fn is_at(&mut self, of: Of, url: &str) {
        let (endpoint, column) = match of {
            Of::Users => ("/Users/", "u.id"),
            Of::Groups => ("/Groups/", "g.id"),
        };
        match url.strip_prefix(self.base).and_then(|path| path.strip_prefix(endpoint)) {
            Some(id) => leaf::push_id(self.sql, column, Op::Eq, id),
            None => {
                self.sql.push("FALSE");
            }
        }
    }

    /// What the index on e-mail addresses understands; the exact condition follows.
    fn email_index(&mut self, text: &str) {
        if !text.contains('\0') {
            self.sql.push("u.email_keys @> ").push_bind(vec![text.to_owned()]).push(" AND ");
        }
    }

    /// Some element of the list passes the test.
    fn element(&mut self, scope: &Scope, list: &[String], test: &Test<'_>) {
        let name: Vec<&str> = list.iter().map(String::as_str).collect();
        match (scope, name.as_slice()) {
            (Scope::Document(Of::Users), ["groups"]) => self.group_of_user(test),
            (Scope::Document(Of::Groups), ["members"]) => self.member_of_group(test),
            _ => {
                let Leaf::Json { base, .. } = leaf::at(scope, self.base, list, false) else {
                    self.sql.push("FALSE");
                    return;
                };
                self.lists += 1;
                let alias = format!("e{}", self.lists);
                self.sql.push("EXISTS (SELECT FROM jsonb_array_elements(CASE jsonb_typeof(").push(base).push(" #> ");
                self.sql.push_bind(list.to_vec()).push(") WHEN 'array' THEN ").push(base).push(" #> ");
                self.sql.push_bind(list.to_vec()).push(" ELSE '[]' END) AS ").push(&alias).push("(v) WHERE ");
                self.test(&Scope::Element(format!("{alias}.v")), test);
                self.sql.push(")");
            }
        }
    }

    fn test(&mut self, element: &Scope, test: &Test<'_>) {
        match test {
            Test::Present(rest) => leaf::at(element, self.base, rest, false).present(self.sql),
            // Here an absent value is none, also for `ne`.
            Test::Compare(attr, rest, op, value) => {
                leaf::at(element, self.base, rest, attr.case_exact).compare(self.sql, *op, value, false);
            }
            Test::Filter(filter) => self.expr(element, filter),
        }
    }
}

/// The path to the list, and the rest of the path in an element.
fn split(attr: &AttrRef) -> Option<(&[String], &[String])> {
    let multi = attr.multi.filter(|multi| *multi < attr.path.len())?;
    Some(attr.path.split_at(multi + 1))
}
