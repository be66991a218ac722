//! Text to [`Filter`]: the grammar of RFC 7644 section 3.4.2.2 (figure 1), and the shapes that clients send beside it.
//!
//! The parser descends once per nesting level and counts the levels, so hostile text is refused long before the stack is
//! in danger. It looks up no name. Decoding of `%20` and `+` has happened before.

use super::{Filter, Limits, Op, Word};
use crate::scim::error::{ScimError, quoted};

/// Reads a filter.
///
/// Accepted beyond the grammar: bare words as values (F-4, F-11, F-23), operators in any letter case (F-13, F-14),
/// single (S11-8) and typographic quotation marks (F-16), a sub-attribute (F-5) or an operator (F-6) after a bracket,
/// and `not` without parentheses.
///
/// # Errors
///
/// 400 `invalidFilter`, saying what was expected where.
pub fn parse(text: &str, limits: &Limits) -> Result<Filter, ScimError> {
    let mut parser = Parser::new(text, limits).map_err(ScimError::invalid_filter)?;
    let whole = parser.or(0).and_then(|filter| parser.end().map(|()| filter));
    whole.map_err(ScimError::invalid_filter)
}

/// A PATCH path taken apart: `attr`, `attr[filter]` or `attr[filter].sub`. A dotted name without a bracket is all in
/// `attr`.
pub(in crate::scim) struct PathText<'a> {
    /// The text before the bracket.
    pub(in crate::scim) attr: &'a str,
    /// What the bracket contains.
    pub(in crate::scim) filter: Option<Filter>,
    /// The sub-attribute after the bracket.
    pub(in crate::scim) sub: Option<&'a str>,
}

/// Takes a PATCH path apart (RFC 7644 section 3.5.2, figure 7).
///
/// # Errors
///
/// 400 `invalidPath`; 400 `invalidFilter` for what the bracket contains (RFC 7644 table 9).
pub(in crate::scim) fn parse_path<'a>(text: &'a str, limits: &Limits) -> Result<PathText<'a>, ScimError> {
    let text = text.trim();
    let bad = |why: &str| ScimError::invalid_path(format!("The path {} cannot be read: {why}.", quoted(text)));
    let Some(open) = text.find('[') else {
        let named = !text.is_empty() && text.chars().all(in_name);
        return if named { Ok(PathText { attr: text, filter: None, sub: None }) } else { Err(bad("it is not a name")) };
    };
    let attr = text[..open].trim_end();
    if attr.is_empty() || !attr.chars().all(in_name) {
        return Err(bad("an attribute name must stand before the bracket"));
    }
    let mut parser = Parser::new(text, limits).map_err(ScimError::invalid_filter)?;
    parser.at = open + 1;
    let filter = parser.or(1).map_err(ScimError::invalid_filter)?;
    if !parser.eat(']') {
        return Err(bad("a closing bracket is missing"));
    }
    let rest = parser.rest().trim_end();
    let sub = match rest.strip_prefix('.') {
        Some(sub) if !sub.is_empty() && sub.chars().all(in_name) => Some(sub),
        None if rest.is_empty() => None,
        _ => return Err(bad("only a sub-attribute may follow the bracket")),
    };
    Ok(PathText { attr, filter: Some(filter), sub })
}

/// Whether a character may be part of an attribute name, URN and dots included.
fn in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '$' | '_' | '-' | '/' | '#')
}

/// A sentence for the client.
type Fault = String;

struct Parser<'a> {
    text: &'a str,
    at: usize,
    terms: usize,
    limits: Limits,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, limits: &Limits) -> Result<Self, Fault> {
        if text.len() > limits.length {
            return Err(format!("The filter is longer than {} bytes.", limits.length));
        }
        if text.contains('\0') {
            return Err("The filter contains the character U+0000.".to_owned());
        }
        Ok(Self { text, at: 0, terms: 0, limits: *limits })
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes the character, after spaces, if it comes next.
    fn eat(&mut self, wanted: char) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    /// Takes the keyword, in any letter case, if it comes next and ends there.
    fn eat_keyword(&mut self, wanted: &str) -> bool {
        self.skip_space();
        let rest = self.rest();
        let Some(head) = rest.get(..wanted.len()) else { return false };
        let ends =
            rest[wanted.len()..].chars().next().is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')' | ']'));
        let found = ends && head.eq_ignore_ascii_case(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    fn fault(&self, expected: &str) -> Fault {
        match self.rest().split_whitespace().next() {
            Some(word) => format!("The filter must have {expected} at {} (byte {}).", quoted(word), self.at),
            None => format!("The filter ends where it must have {expected}."),
        }
    }

    fn end(&mut self) -> Result<(), Fault> {
        self.skip_space();
        if self.rest().is_empty() { Ok(()) } else { Err(self.fault("\"and\", \"or\" or its end")) }
    }

    fn or(&mut self, depth: usize) -> Result<Filter, Fault> {
        let mut any = vec![self.and(depth)?];
        while self.eat_keyword("or") {
            any.push(self.and(depth)?);
        }
        Ok(Filter::or(any))
    }

    fn and(&mut self, depth: usize) -> Result<Filter, Fault> {
        let mut all = vec![self.factor(depth)?];
        while self.eat_keyword("and") {
            all.push(self.factor(depth)?);
        }
        Ok(Filter::and(all))
    }

    fn factor(&mut self, depth: usize) -> Result<Filter, Fault> {
        if depth > self.limits.depth {
            return Err(format!("The filter is nested deeper than {} levels.", self.limits.depth));
        }
        if self.eat_keyword("not") {
            // `not (...)` is one level, so that printing and parsing count alike.
            let inner = if self.eat('(') { self.group(depth)? } else { self.factor(depth + 1)? };
            return Ok(Filter::Not(Box::new(inner)));
        }
        if self.eat('(') { self.group(depth) } else { self.term(depth) }
    }

    /// After an opening parenthesis.
    fn group(&mut self, depth: usize) -> Result<Filter, Fault> {
        let inner = self.or(depth + 1)?;
        if self.eat(')') { Ok(inner) } else { Err(self.fault("a closing parenthesis")) }
    }

    fn term(&mut self, depth: usize) -> Result<Filter, Fault> {
        self.terms += 1;
        if self.terms > self.limits.terms {
            return Err(format!("The filter has more than {} comparisons.", self.limits.terms));
        }
        let Some(attr) = self.name() else { return Err(self.fault("an attribute name")) };
        if !self.eat('[') {
            return self.condition(attr);
        }
        let inner = self.or(depth + 1)?;
        if !self.eat(']') {
            return Err(self.fault("a closing bracket"));
        }
        let filter = match self.after_bracket()? {
            Some(more) => Filter::and(vec![inner, more]),
            None => inner,
        };
        Ok(Filter::Any { attr: attr.to_owned(), filter: Box::new(filter) })
    }

    /// `.sub op value` (F-5) or `op value` (F-6) after a bracket: a condition on the same element.
    fn after_bracket(&mut self) -> Result<Option<Filter>, Fault> {
        if self.rest().starts_with('.') {
            self.at += 1;
            let Some(sub) = self.name() else { return Err(self.fault("a sub-attribute")) };
            return self.condition(sub).map(Some);
        }
        self.skip_space();
        let start = self.at;
        let is_operator = self.word().is_some_and(|word| Op::from_word(word).is_some());
        self.at = start;
        if is_operator { self.condition("value").map(Some) } else { Ok(None) }
    }

    /// `pr`, or an operator and its value.
    fn condition(&mut self, attr: &str) -> Result<Filter, Fault> {
        self.skip_space();
        let start = self.at;
        let word = self.word().unwrap_or_default();
        if word.eq_ignore_ascii_case("pr") {
            return Ok(Filter::Present(attr.to_owned()));
        }
        let Some(op) = Op::from_word(word) else {
            self.at = start;
            return Err(self.fault(&format!("an operator after {}", quoted(attr))));
        };
        let value = self.value()?;
        Ok(Filter::Compare { attr: attr.to_owned(), op, value })
    }

    fn name(&mut self) -> Option<&'a str> {
        self.skip_space();
        self.take_while(in_name)
    }

    fn word(&mut self) -> Option<&'a str> {
        self.take_while(|c| c.is_ascii_alphabetic())
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> Option<&'a str> {
        let rest = self.rest();
        let length = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += length;
        (length > 0).then(|| &rest[..length])
    }

    fn value(&mut self) -> Result<Word, Fault> {
        self.skip_space();
        let closing: &[char] = match self.rest().chars().next() {
            Some('"') => &['"'],
            Some('\'') => &['\''],
            // A page or a chat program made them curly (F-16).
            Some('\u{201c}' | '\u{201d}' | '\u{201e}') => &['\u{201c}', '\u{201d}', '"'],
            Some('\u{2018}' | '\u{2019}' | '\u{201a}') => &['\u{2018}', '\u{2019}', '\''],
            _ => return self.bare().ok_or_else(|| self.fault("a value")),
        };
        self.quoted(closing)
    }

    /// A bare word ends at the next space or closing parenthesis or bracket.
    fn bare(&mut self) -> Option<Word> {
        self.take_while(|c| !c.is_whitespace() && c != ')' && c != ']').map(|word| Word::Bare(word.to_owned()))
    }

    fn quoted(&mut self, closing: &[char]) -> Result<Word, Fault> {
        let rest = self.rest();
        let mut chars = rest.char_indices().skip(1);
        let mut text = String::new();
        while let Some((index, c)) = chars.next() {
            if closing.contains(&c) {
                self.at += index + c.len_utf8();
                return Ok(Word::Quoted(text));
            }
            if c == '\\' {
                let mut next = || chars.next().map(|(_, c)| c);
                text.push(escape(&mut next).ok_or_else(|| self.fault("only the escapes of JSON in a value"))?);
            } else {
                text.push(c);
            }
        }
        Err(self.fault("a closing quotation mark for the value"))
    }
}

/// What follows a backslash (RFC 8259 section 7), and the single quotation mark (S11-8). No escape may make U+0000.
fn escape(next: &mut dyn FnMut() -> Option<char>) -> Option<char> {
    match next()? {
        c @ ('"' | '\\' | '/' | '\'') => Some(c),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'u' => match code_unit(next)? {
            0 => None,
            high @ 0xd800..=0xdbff => {
                let pair = next()? == '\\' && next()? == 'u';
                let low = code_unit(next)?;
                let code = 0x10000 + ((high - 0xd800) << 10) + low.checked_sub(0xdc00)?;
                if pair && low <= 0xdfff { char::from_u32(code) } else { None }
            }
            code => char::from_u32(code),
        },
        _ => None,
    }
}

fn code_unit(next: &mut dyn FnMut() -> Option<char>) -> Option<u32> {
    let mut unit = 0;
    for _ in 0..4 {
        unit = unit * 16 + next()?.to_digit(16)?;
    }
    Some(unit)
}
