//! Does a document satisfy an [`Expr`]? In memory: for the brackets of PATCH paths, and as the measure for the store.
//!
//! The meaning of each node is in the documentation of [`filter`](super); this module only follows it.

use std::cmp::Ordering;

use serde_json::Value;

use super::resolve::text_matches;
use super::{AttrRef, Expr, Literal, Op};
use crate::scim::folded::instant_text;

/// Whether a folded document satisfies the expression. A document that is not folded gives wrong answers, but no panic.
pub fn eval(expr: &Expr, folded_doc: &Value) -> bool {
    match expr {
        Expr::And(all) => all.iter().all(|expr| eval(expr, folded_doc)),
        Expr::Or(any) => any.iter().any(|expr| eval(expr, folded_doc)),
        Expr::Not(inner) => !eval(inner, folded_doc),
        Expr::Present(attr) => any_value(attr, folded_doc, &mut |_| true),
        Expr::Any { attr, filter } => any_value(attr, folded_doc, &mut |element| eval(filter, element)),
        Expr::Compare { attr, op: Op::Ne, value } => {
            let mut none = true;
            let differs = any_value(attr, folded_doc, &mut |found| {
                none = false;
                !matches(Op::Eq, found, value)
            });
            none || differs
        }
        Expr::Compare { attr, op, value } => any_value(attr, folded_doc, &mut |found| matches(*op, found, value)),
        Expr::True => true,
        Expr::False => false,
    }
}

/// Whether any value of the attribute satisfies the test.
fn any_value(attr: &AttrRef, doc: &Value, test: &mut dyn FnMut(&Value) -> bool) -> bool {
    let Some(multi) = attr.multi.filter(|multi| *multi < attr.path.len()) else {
        return follow(doc, &attr.path).is_some_and(test);
    };
    let (to_list, in_element) = attr.path.split_at(multi + 1);
    match follow(doc, to_list) {
        Some(Value::Array(elements)) => {
            elements.iter().any(|element| follow(element, in_element).is_some_and(&mut *test))
        }
        _ => false,
    }
}

fn follow<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, step| value.get(step))
}

fn matches(op: Op, found: &Value, literal: &Literal) -> bool {
    match (found, literal) {
        (Value::String(text), Literal::String(literal)) => text_matches(op, text, literal),
        (Value::String(text), Literal::DateTime(literal)) => text_matches(op, text, &instant_text(literal)),
        (Value::Bool(flag), Literal::Bool(literal)) => op == Op::Eq && flag == literal,
        (Value::Number(number), Literal::Number(literal)) => {
            compare_numbers(number, literal).is_some_and(|order| match op {
                Op::Eq => order.is_eq(),
                Op::Gt => order.is_gt(),
                Op::Ge => order.is_ge(),
                Op::Lt => order.is_lt(),
                Op::Le => order.is_le(),
                Op::Ne | Op::Co | Op::Sw | Op::Ew => false,
            })
        }
        _ => false,
    }
}

fn compare_numbers(a: &serde_json::Number, b: &serde_json::Number) -> Option<Ordering> {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}
