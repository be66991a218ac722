//! Where one attribute's value is, and how it is compared. Every condition made here is true or false, never NULL.

use serde_json::Value;
use uuid::Uuid;

use super::{Of, Scope, Sql};
use crate::scim::filter::{Literal, Op};
use crate::scim::folded::instant_text;
use crate::scim::schema::LAST_LOGIN;
use crate::scim::urn;

/// Where a value is.
pub(super) enum Leaf<'a> {
    /// A column or expression of text, folded where the attribute is; may be NULL.
    Text(&'static str),
    /// A uuid column, never NULL; the value is its text.
    Id(&'static str),
    /// An expression of a time, never NULL.
    Instant(&'static str),
    /// A column of a time that may be NULL.
    InstantIfKnown(&'static str),
    /// A boolean column, never NULL.
    Flag(&'static str),
    /// A text that is made when a resource is answered, never NULL.
    Made(Made<'a>),
    /// Below this path of a document, or the document itself.
    Json {
        /// The document.
        base: &'a str,
        /// Keys from the schema.
        path: &'a [String],
    },
    /// It is always there and has no value of its own.
    Always,
    /// It is never there.
    Never,
}

/// An expression of text, behind the base URL where it is a URL.
pub(super) struct Made<'a> {
    base: Option<&'a str>,
    expression: &'static str,
}

impl Made<'_> {
    pub(super) fn push(&self, sql: &mut Sql) {
        sql.push("(");
        if let Some(base) = self.base {
            sql.push_bind(base.to_owned()).push(" || ");
        }
        sql.push(self.expression).push(")");
    }
}

/// A URL below the base.
fn url<'a>(base: &'a str, expression: &'static str) -> Leaf<'a> {
    Leaf::Made(Made { base: Some(base), expression })
}

/// A text of which the server knows all.
fn made<'a>(expression: &'static str) -> Leaf<'a> {
    Leaf::Made(Made { base: None, expression })
}

/// The entity tag of a group counts the changes of its members.
const GROUP_VERSION: &str = "'W/\"' || (g.version + (SELECT count(*) FROM group_touch t
    WHERE t.tenant_id = g.tenant_id AND t.group_id = g.id)) || '\"'";

/// The time a group was last changed, changes of its members included.
const GROUP_MODIFIED: &str = "greatest(g.modified, (SELECT max(t.at) FROM group_touch t
    WHERE t.tenant_id = g.tenant_id AND t.group_id = g.id))";

/// Where the attribute of that path is.
pub(super) fn at<'a>(scope: &'a Scope, base: &'a str, path: &'a [String], case_exact: bool) -> Leaf<'a> {
    let [first, rest @ ..] = path else {
        return match scope {
            Scope::Element(element) => Leaf::Json { base: element, path },
            _ => Leaf::Always,
        };
    };
    let first = first.as_str();
    match scope {
        Scope::Document(of) => of_document(*of, base, first, rest, path),
        Scope::Element(element) => Leaf::Json { base: element, path },
        Scope::GroupOfUser => match first {
            "value" => Leaf::Id("x.id"),
            "$ref" => url(base, "'/Groups/' || x.id"),
            "display" if case_exact => Leaf::Text("(x.attrs->>'displayName')"),
            "display" => Leaf::Text("x.display_name_key"),
            _ => Leaf::Never,
        },
        Scope::GroupOfUserHow => match first {
            "value" => Leaf::Id("x.id"),
            "$ref" => url(base, "'/Groups/' || x.id"),
            "display" => Leaf::Text("x.display"),
            "type" => made("CASE WHEN x.direct THEN 'direct' ELSE 'indirect' END"),
            _ => Leaf::Never,
        },
        Scope::MemberOfGroup => match first {
            "value" => Leaf::Id("m.member_id"),
            "$ref" => url(base, "CASE WHEN m.is_group THEN '/Groups/' ELSE '/Users/' END || m.member_id"),
            "display" => Leaf::Text("coalesce(mg.display_name_key, mu.folded->>'displayName', mu.user_name_key)"),
            "type" if case_exact => made("CASE WHEN m.is_group THEN 'Group' ELSE 'User' END"),
            "type" => made("CASE WHEN m.is_group THEN 'group' ELSE 'user' END"),
            _ => Leaf::Never,
        },
    }
}

fn of_document<'a>(of: Of, base: &'a str, first: &str, rest: &[String], path: &'a [String]) -> Leaf<'a> {
    let users = of == Of::Users;
    match (first, rest.first().map(String::as_str)) {
        ("id", None) => Leaf::Id(if users { "u.id" } else { "g.id" }),
        ("externalId", None) => Leaf::Text(if users { "u.external_id" } else { "g.external_id" }),
        ("userName", None) if users => Leaf::Text("u.user_name_key"),
        ("active", None) if users => Leaf::Flag("u.active"),
        ("displayName", None) if !users => Leaf::Text("g.display_name_key"),
        ("meta", Some("created")) => Leaf::Instant(if users { "u.created" } else { "g.created" }),
        ("meta", Some("lastModified")) => Leaf::Instant(if users { "u.modified" } else { GROUP_MODIFIED }),
        ("meta" | urn::ENTERPRISE_USER, Some(LAST_LOGIN)) if users => Leaf::InstantIfKnown("u.last_login"),
        ("meta", Some("resourceType")) => made(if users { "'User'" } else { "'Group'" }),
        ("meta", Some("location")) => url(base, if users { "'/Users/' || u.id" } else { "'/Groups/' || g.id" }),
        ("meta", Some("version")) => made(if users { "'W/\"' || u.version || '\"'" } else { GROUP_VERSION }),
        ("meta", _) => Leaf::Always,
        _ => Leaf::Json { base: if users { "u.folded" } else { "g.folded" }, path },
    }
}

impl Leaf<'_> {
    /// There is a value.
    pub(super) fn present(&self, sql: &mut Sql) {
        match self {
            Leaf::Text(text) | Leaf::InstantIfKnown(text) => {
                sql.push(text).push(" IS NOT NULL");
            }
            Leaf::Json { base, path } => {
                push_value(sql, base, path);
                sql.push(" IS NOT NULL");
            }
            Leaf::Id(_) | Leaf::Instant(_) | Leaf::Flag(_) | Leaf::Made(_) | Leaf::Always => {
                sql.push("TRUE");
            }
            Leaf::Never => {
                sql.push("FALSE");
            }
        }
    }

    /// The value stands in that relation to the literal; `absent` where there is no value.
    pub(super) fn compare(&self, sql: &mut Sql, op: Op, literal: &Literal, absent: bool) {
        match (self, literal) {
            (Leaf::Text(text), Literal::String(literal)) if op == Op::Ne => {
                sql.push("coalesce(");
                push_text(sql, op, literal, &|sql| {
                    sql.push(text);
                });
                sql.push(format_args!(", {absent})"));
            }
            (Leaf::Text(text), Literal::String(literal)) => {
                push_text(sql, op, literal, &|sql| {
                    sql.push(text);
                });
                // Not coalesce: no index looks into that.
                sql.push(" AND ").push(text).push(" IS NOT NULL");
            }
            (Leaf::Id(id), Literal::String(literal)) => push_id(sql, id, op, literal),
            (Leaf::Made(made), Literal::String(literal)) => {
                // A literal that Postgres cannot hold leaves a NULL where text is asked whether it is there.
                sql.push("coalesce(");
                push_text(sql, op, literal, &|sql| made.push(sql));
                sql.push(format_args!(", {absent})"));
            }
            (Leaf::Instant(at), Literal::DateTime(literal)) => {
                sql.push(at).push(symbol(op)).push_bind(*literal);
            }
            (Leaf::InstantIfKnown(at), Literal::DateTime(literal)) if op == Op::Ne => {
                sql.push("coalesce(").push(at).push(symbol(op)).push_bind(*literal).push(format_args!(", {absent})"));
            }
            (Leaf::InstantIfKnown(at), Literal::DateTime(literal)) => {
                // Not coalesce: no index looks into that.
                sql.push(at).push(symbol(op)).push_bind(*literal).push(" AND ").push(at).push(" IS NOT NULL");
            }
            (Leaf::Flag(flag), Literal::Bool(literal)) if matches!(op, Op::Eq | Op::Ne) => {
                sql.push(flag).push(symbol(op)).push_bind(*literal);
            }
            (Leaf::Json { base, path }, _) => {
                sql.push("coalesce(");
                push_json(sql, base, path, op, literal);
                sql.push(format_args!(", {absent})"));
            }
            (Leaf::Never, _) => {
                sql.push(absent);
            }
            // A value of another type satisfies `ne` alone; where there is none, what the caller says.
            (Leaf::Text(text) | Leaf::InstantIfKnown(text), _) => {
                sql.push(format_args!("CASE WHEN {text} IS NULL THEN {absent} ELSE {} END", op == Op::Ne));
            }
            (Leaf::Id(_) | Leaf::Instant(_) | Leaf::Flag(_) | Leaf::Made(_) | Leaf::Always, _) => {
                sql.push(op == Op::Ne);
            }
        }
    }
}

/// The JSON value at a path; NULL where there is none.
fn push_value(sql: &mut Sql, base: &str, path: &[String]) {
    sql.push("(").push(base);
    if !path.is_empty() {
        sql.push(" #> ").push_bind(path.to_vec());
    }
    sql.push(")");
}

/// An id compares as text; where it is looked up, as what the index holds.
pub(super) fn push_id(sql: &mut Sql, id: &str, op: Op, literal: &str) {
    match op {
        Op::Eq | Op::Ne => match Uuid::parse_str(literal).ok().filter(|id| id.to_string() == literal) {
            Some(wanted) => {
                sql.push(id).push(symbol(op)).push_bind(wanted);
            }
            None => {
                sql.push(op == Op::Ne);
            }
        },
        _ => push_text(sql, op, literal, &|sql| {
            sql.push(id).push("::text");
        }),
    }
}

/// A JSON value against a literal; NULL where there is no value.
fn push_json(sql: &mut Sql, base: &str, path: &[String], op: Op, literal: &Literal) {
    let text = match literal {
        Literal::String(text) => text.clone(),
        Literal::DateTime(instant) => instant_text(instant),
        Literal::Number(number) if !matches!(op, Op::Eq | Op::Ne) => {
            push_number(sql, base, path, op, number);
            return;
        }
        Literal::Number(_) | Literal::Bool(_) if !matches!(op, Op::Eq | Op::Ne) => {
            sql.push("FALSE");
            return;
        }
        Literal::Number(number) => {
            push_equal(sql, base, path, op, Value::Number(number.clone()));
            return;
        }
        Literal::Bool(flag) => {
            push_equal(sql, base, path, op, Value::Bool(*flag));
            return;
        }
    };
    match op {
        // Postgres cannot hold NUL, so nothing stored equals such a text; push_text knows.
        Op::Eq | Op::Ne if !text.contains('\0') => push_equal(sql, base, path, op, Value::String(text)),
        Op::Ne => {
            push_value(sql, base, path);
            sql.push(" IS NOT NULL OR NULL");
        }
        _ => {
            sql.push("jsonb_typeof");
            push_value(sql, base, path);
            sql.push(" = 'string' AND ");
            push_text(sql, op, &text, &|sql| {
                push_value(sql, base, path);
                sql.push(" #>> '{}'");
            });
        }
    }
}

/// Equality of JSON values is that of types and values: no text equals a number, and 1 equals 1.0.
fn push_equal(sql: &mut Sql, base: &str, path: &[String], op: Op, literal: Value) {
    push_value(sql, base, path);
    sql.push(symbol(op)).push_bind(literal);
}

fn push_number(sql: &mut Sql, base: &str, path: &[String], op: Op, literal: &serde_json::Number) {
    if matches!(op, Op::Co | Op::Sw | Op::Ew) {
        sql.push("FALSE");
        return;
    }
    // CASE, because AND does not say which side is looked at first.
    sql.push("CASE WHEN jsonb_typeof");
    push_value(sql, base, path);
    sql.push(" = 'number' THEN (");
    push_value(sql, base, path);
    sql.push(" #>> '{}')::numeric").push(symbol(op)).push_bind(literal.to_string()).push("::numeric ELSE FALSE END");
}

/// A text against a literal, by bytes; NULL where the text is.
fn push_text(sql: &mut Sql, op: Op, literal: &str, text: &dyn Fn(&mut Sql)) {
    // Postgres cannot hold NUL, hence neither can a stored text: against a literal with one, what counts is the part
    // before it.
    let (literal, has_nul) = match literal.split_once('\0') {
        Some((before, _)) => (before, true),
        None => (literal, false),
    };
    let op = match op {
        Op::Eq | Op::Co | Op::Sw | Op::Ew if has_nul => {
            sql.push("FALSE");
            return;
        }
        Op::Ne if has_nul => {
            sql.push("(");
            text(sql);
            sql.push(") IS NOT NULL OR NULL");
            return;
        }
        Op::Ge if has_nul => Op::Gt,
        Op::Lt if has_nul => Op::Le,
        op => op,
    };
    let call = match op {
        Op::Co => "strpos(",
        Op::Sw => "starts_with(",
        Op::Ew => "right(",
        Op::Eq | Op::Ne => {
            // The column's own collation, so that its index serves.
            text(sql);
            sql.push(symbol(op)).push_bind(literal.to_owned());
            return;
        }
        Op::Gt | Op::Ge | Op::Lt | Op::Le => {
            sql.push("(");
            text(sql);
            sql.push(") COLLATE \"C\"").push(symbol(op)).push_bind(literal.to_owned());
            return;
        }
    };
    sql.push(call);
    text(sql);
    sql.push(", ");
    match op {
        Op::Co => sql.push_bind(literal.to_owned()).push(") > 0"),
        Op::Sw => sql.push_bind(literal.to_owned()).push(")"),
        _ => sql.push("length(").push_bind(literal.to_owned()).push(")) = ").push_bind(literal.to_owned()),
    };
}

fn symbol(op: Op) -> &'static str {
    match op {
        Op::Ne => " <> ",
        Op::Gt => " > ",
        Op::Ge => " >= ",
        Op::Lt => " < ",
        Op::Le => " <= ",
        // The textual operators never come here.
        Op::Eq | Op::Co | Op::Sw | Op::Ew => " = ",
    }
}
