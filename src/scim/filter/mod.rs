//! Filters (RFC 7644 section 3.4.2.2): text becomes a [`Filter`], a filter on a resource type becomes an [`Expr`].
//!
//! [`parse()`] knows the grammar and no schema; [`resolve()`] knows the schema and no text; [`eval()`] answers in memory and a
//! compiler in the store answers in SQL. Both answer over [`folded`](super::folded::folded) documents and must agree, so
//! the meaning of each node is fixed here:
//!
//! * The *values* of an [`AttrRef`] in a document are found by following `path` from the root (inside [`Expr::Any`]: from
//!   the element). At the step `multi` the document has a list, and the rest of the path is followed in each element.
//!   A step that is missing yields no value. Documents have no nulls, no empty strings and no empty lists or objects.
//! * [`Expr::Compare`] with `ne`: true if there is **no value**, or if **any** value differs. On a single-valued
//!   attribute that is the opposite of `eq`; on a list it is not.
//! * [`Expr::Compare`] with another operator: true if **any** value satisfies it; false if there is no value.
//! * A value whose JSON type is not that of the literal satisfies no operator but `ne`.
//! * Strings compare by their bytes (UTF-8, `COLLATE "C"`), which for folded text is the order of code points; literals
//!   of attributes that are not `caseExact` are folded already. An instant in a document is text in the form of
//!   [`instant_text`](super::folded::instant_text), and compares as that text.
//! * [`Expr::Present`]: true if there is a value. For a complex attribute that is any object, for a list any element.
//! * [`Expr::Any`]: true if an element satisfies the inner expression **alone**; false if there is none.
//! * [`Expr::Not`] is plain negation: `not (emails.value eq "x")` is true for a user without e-mail.
//! * `eq null` has become `Not(Present)`, and `ne null` `Present`: an [`Expr`] has no null.

mod eval;
mod parse;
mod resolve;
#[cfg(test)]
mod tests;

use std::fmt;

use chrono::{DateTime, Utc};

pub use eval::eval;
pub use parse::parse;
pub(in crate::scim) use parse::parse_path;
pub use resolve::{resolve, resolve_among};
pub(in crate::scim) use resolve::{resolve_element, resolve_key};

use crate::scim::schema::Kind;

/// What a filter may cost before it is refused.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How deep parentheses, brackets and `not` may nest.
    pub depth: usize,
    /// How many comparisons there may be.
    pub terms: usize,
    /// How long the text may be, in bytes.
    pub length: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 32, terms: 1000, length: 16 * 1024 }
    }
}

/// The comparison operators (RFC 7644, table 3); `pr` is [`Expr::Present`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Contains.
    Co,
    /// Starts with.
    Sw,
    /// Ends with.
    Ew,
    /// Greater than.
    Gt,
    /// Greater than or equal to.
    Ge,
    /// Less than.
    Lt,
    /// Less than or equal to.
    Le,
}

impl Op {
    /// The word in a filter.
    pub fn as_str(self) -> &'static str {
        match self {
            Op::Eq => "eq",
            Op::Ne => "ne",
            Op::Co => "co",
            Op::Sw => "sw",
            Op::Ew => "ew",
            Op::Gt => "gt",
            Op::Ge => "ge",
            Op::Lt => "lt",
            Op::Le => "le",
        }
    }

    /// The operator of that word, in any letter case (F-13, F-14).
    pub fn from_word(word: &str) -> Option<Self> {
        [Op::Eq, Op::Ne, Op::Co, Op::Sw, Op::Ew, Op::Gt, Op::Ge, Op::Lt, Op::Le]
            .into_iter()
            .find(|op| op.as_str().eq_ignore_ascii_case(word))
    }
}

/// A compared value as the client wrote it; its type is decided by the attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Between quotation marks, escapes decoded (F-22).
    Quoted(String),
    /// A bare word: `true`, `null`, `12`, or text that should have been quoted (F-4, F-11, F-23).
    Bare(String),
}

impl Word {
    /// The text, however it was written.
    pub fn text(&self) -> &str {
        match self {
            Word::Quoted(text) | Word::Bare(text) => text,
        }
    }
}

/// A filter as it was written, names not yet looked up. [`fmt::Display`] prints it in canonical form, and parsing that
/// gives the same tree again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All of at least two; none of them is an `And`.
    And(Vec<Filter>),
    /// At least one of at least two; none of them is an `Or`.
    Or(Vec<Filter>),
    /// Negation.
    Not(Box<Filter>),
    /// A comparison.
    Compare {
        /// The attribute's name as written.
        attr: String,
        /// The operator.
        op: Op,
        /// The compared value.
        value: Word,
    },
    /// `pr`.
    Present(String),
    /// `attr[filter]`, with names relative to an element. `attr[filter].sub op value` (F-5) and `attr[filter] op value`
    /// (F-6) are read as `attr[filter and sub op value]`.
    Any {
        /// The attribute's name as written.
        attr: String,
        /// What one element must satisfy.
        filter: Box<Filter>,
    },
}

impl Filter {
    /// The conjunction of filters, flat; a single one stays itself.
    pub fn and(filters: Vec<Filter>) -> Self {
        flat(filters, Filter::And, |filter| match filter {
            Filter::And(inner) => Ok(inner),
            other => Err(other),
        })
    }

    /// The disjunction of filters, flat; a single one stays itself.
    pub fn or(filters: Vec<Filter>) -> Self {
        flat(filters, Filter::Or, |filter| match filter {
            Filter::Or(inner) => Ok(inner),
            other => Err(other),
        })
    }
}

fn flat(
    filters: Vec<Filter>,
    join: fn(Vec<Filter>) -> Filter,
    open: fn(Filter) -> Result<Vec<Filter>, Filter>,
) -> Filter {
    let mut all = Vec::with_capacity(filters.len());
    for filter in filters {
        match open(filter) {
            Ok(inner) => all.extend(inner),
            Err(single) => all.push(single),
        }
    }
    match all.pop() {
        Some(only) if all.is_empty() => only,
        last => {
            all.extend(last);
            join(all)
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Filter::And(filters) => joined(f, filters, " and "),
            Filter::Or(filters) => joined(f, filters, " or "),
            Filter::Not(filter) => write!(f, "not ({filter})"),
            Filter::Compare { attr, op, value } => write!(f, "{attr} {} {value}", op.as_str()),
            Filter::Present(attr) => write!(f, "{attr} pr"),
            Filter::Any { attr, filter } => write!(f, "{attr}[{filter}]"),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, filters: &[Filter], between: &str) -> fmt::Result {
    for (index, filter) in filters.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        // `and` binds tighter than `or`, so only a disjunction needs parentheses inside.
        match filter {
            Filter::Or(_) => write!(f, "({filter})")?,
            _ => write!(f, "{filter}")?,
        }
    }
    Ok(())
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Word::Bare(text) => f.write_str(text),
            Word::Quoted(text) => write!(f, "{}", serde_json::Value::from(text.as_str())),
        }
    }
}

/// A compared value of the attribute's type: folded, coerced (`"True"` for a boolean, P-16) and normalised.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// Text; folded unless the attribute is `caseExact`.
    String(String),
    /// A number.
    Number(serde_json::Number),
    /// True or false; compared by `eq` and `ne` only.
    Bool(bool),
    /// An instant, cut to microseconds.
    DateTime(DateTime<Utc>),
}

/// Where the values of an attribute are in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttrRef {
    /// Canonical JSON keys from the root of the document, extension URN first; inside [`Expr::Any`] from the element.
    pub path: Vec<String>,
    /// The type of the values.
    pub kind: Kind,
    /// Whether letter case counts.
    pub case_exact: bool,
    /// The index in `path` of the step that has a list, if any.
    pub multi: Option<usize>,
}

/// A filter on documents of one resource type; the module's documentation has the meaning of each node.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// All of at least two.
    And(Vec<Expr>),
    /// At least one of at least two.
    Or(Vec<Expr>),
    /// Negation.
    Not(Box<Expr>),
    /// A comparison.
    Compare {
        /// The attribute; never complex.
        attr: AttrRef,
        /// The operator; for a boolean `Eq` or `Ne` only, for numbers and instants none of `Co`, `Sw`, `Ew`.
        op: Op,
        /// The value, of the attribute's kind.
        value: Literal,
    },
    /// The attribute has a value.
    Present(AttrRef),
    /// An element of a list satisfies a filter.
    Any {
        /// The list; its `path` ends with the multi-valued step.
        attr: AttrRef,
        /// The filter, relative to an element.
        filter: Box<Expr>,
    },
    /// Every document (`meta.resourceType eq "User"` on users).
    True,
    /// No document.
    False,
}
