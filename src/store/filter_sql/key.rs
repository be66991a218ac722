//! What resources are sorted by, as SQL: the value of one attribute, NULL where a resource has none.

use super::leaf::{self, Leaf};
use super::related::{GROUPS_OF_USER, MEMBERS_OF_GROUP};
use super::{Of, Scope, Sql, path, split};
use crate::scim::filter::AttrRef;
use crate::scim::schema::Kind;

/// How many characters of a text count, where the text is not bounded anyway. What is alike so far is ordered by id, and
/// a cursor stays short.
const COUNTED: i32 = 200;

/// The SQL type of sort values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// `text COLLATE "C"`.
    Text,
    /// `timestamptz`.
    Instant,
    /// `boolean`.
    Flag,
    /// `numeric`.
    Number,
}

impl KeyType {
    /// The name of the type in SQL.
    pub fn as_sql(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Instant => "timestamptz",
            Self::Flag => "boolean",
            Self::Number => "numeric",
        }
    }
}

/// What is known of the sort values of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Their type.
    pub ty: KeyType,
    /// Whether a resource may have none.
    pub nullable: bool,
}

impl Key {
    /// Of that attribute; `None` where it is the id, which orders everything anyway.
    pub fn of(of: Of, attr: &AttrRef) -> Option<Self> {
        let scope = Scope::Document(of);
        if path(attr) == ["id"] {
            return None;
        }
        if split(attr).is_some() {
            return Some(Self { ty: in_documents(attr.kind), nullable: true });
        }
        Some(match leaf::at(&scope, "", &attr.path, attr.case_exact) {
            Leaf::Text(column) => Self { ty: KeyType::Text, nullable: column.ends_with(".external_id") },
            Leaf::Made(_) | Leaf::Id(_) => Self { ty: KeyType::Text, nullable: false },
            Leaf::Instant(_) => Self { ty: KeyType::Instant, nullable: false },
            Leaf::InstantIfKnown(_) => Self { ty: KeyType::Instant, nullable: true },
            Leaf::Flag(_) => Self { ty: KeyType::Flag, nullable: false },
            Leaf::Json { .. } => Self { ty: in_documents(attr.kind), nullable: true },
            Leaf::Always | Leaf::Never => Self { ty: KeyType::Text, nullable: true },
        })
    }
}

/// Texts, instants and truth values are in order as the text that a folded document has.
fn in_documents(kind: Kind) -> KeyType {
    match kind {
        Kind::Integer | Kind::Decimal => KeyType::Number,
        _ => KeyType::Text,
    }
}

/// Appends the sort value of that attribute. As for conditions, the query has the table under its alias.
pub fn push_key(sql: &mut Sql, of: Of, base: &str, attr: &AttrRef) {
    let Some((list, rest)) = split(attr) else {
        push_value(sql, &Scope::Document(of), base, &attr.path, attr);
        return;
    };
    sql.push("(SELECT ");
    match (of, path(attr).first()) {
        (Of::Users, Some(&"groups")) => {
            push_value(sql, &Scope::GroupOfUserHow, base, rest, attr);
            sql.push(" FROM ").push(GROUPS_OF_USER).push(" ORDER BY x.id LIMIT 1)");
        }
        (Of::Groups, Some(&"members")) => {
            push_value(sql, &Scope::MemberOfGroup, base, rest, attr);
            sql.push(" FROM ")
                .push(MEMBERS_OF_GROUP)
                .push(" AND m.tenant_id = g.tenant_id ORDER BY m.member_id LIMIT 1)");
        }
        _ => {
            let document = if of == Of::Users { "u.folded" } else { "g.folded" };
            push_value(sql, &Scope::Element("s.v".to_owned()), base, rest, attr);
            sql.push(" FROM jsonb_array_elements(CASE jsonb_typeof(").push(document).push(" #> ");
            sql.push_bind(list.to_vec()).push(") WHEN 'array' THEN ").push(document).push(" #> ");
            sql.push_bind(list.to_vec()).push(" ELSE '[]' END) WITH ORDINALITY AS s(v, n)");
            sql.push(" ORDER BY coalesce(s.v -> 'primary' = 'true', FALSE) DESC, s.n LIMIT 1)");
        }
    }
}

fn push_value(sql: &mut Sql, scope: &Scope, base: &str, path: &[String], attr: &AttrRef) {
    match leaf::at(scope, base, path, attr.case_exact) {
        Leaf::Text(text) => {
            // Said also of columns that have it: some of these texts are put together from columns that do not.
            sql.push("(").push(text).push(") COLLATE \"C\"");
        }
        Leaf::Made(made) => {
            made.push(sql);
            sql.push(" COLLATE \"C\"");
        }
        Leaf::Id(id) => {
            sql.push(id).push("::text COLLATE \"C\"");
        }
        Leaf::Instant(at) | Leaf::InstantIfKnown(at) | Leaf::Flag(at) => {
            sql.push(at);
        }
        Leaf::Json { base: document, path } if in_documents(attr.kind) == KeyType::Number => {
            sql.push("CASE jsonb_typeof(").push(document).push(" #> ").push_bind(path.to_vec());
            sql.push(") WHEN 'number' THEN (").push(document).push(" #>> ").push_bind(path.to_vec());
            sql.push(")::numeric END");
        }
        Leaf::Json { base: document, path } => {
            sql.push("left(").push(document).push(" #>> ").push_bind(path.to_vec());
            sql.push(format_args!(", {COUNTED}) COLLATE \"C\""));
        }
        Leaf::Always | Leaf::Never => {
            sql.push("NULL::text COLLATE \"C\"");
        }
    }
}
