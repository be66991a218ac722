//! Distinguished names in one spelling (RFC 4514), so that a member's DN and the member's own are the same text. Decides nothing.

/// Other names of the attributes that DNs are made of (RFC 4519).
const ALIASES: [(&str, &str); 20] = [
    ("2.5.4.3", "cn"),
    ("commonname", "cn"),
    ("2.5.4.4", "sn"),
    ("surname", "sn"),
    ("2.5.4.6", "c"),
    ("countryname", "c"),
    ("2.5.4.7", "l"),
    ("localityname", "l"),
    ("2.5.4.8", "st"),
    ("stateorprovincename", "st"),
    ("2.5.4.9", "street"),
    ("streetaddress", "street"),
    ("2.5.4.10", "o"),
    ("organizationname", "o"),
    ("2.5.4.11", "ou"),
    ("organizationalunitname", "ou"),
    ("0.9.2342.19200300.100.1.1", "uid"),
    ("userid", "uid"),
    ("0.9.2342.19200300.100.1.25", "dc"),
    ("domaincomponent", "dc"),
];

/// A DN in the one spelling: names and values in folded case, the parts of a step in order, blanks around separators gone, escapes
/// as few as can be. `None` where it is no DN.
///
/// Values are folded whatever their attribute says: two entries whose DNs differ in letter case only are not to be expected.
pub(super) fn normalised(dn: &str) -> Option<String> {
    let mut out = String::with_capacity(dn.len());
    let mut rest = dn.trim();
    let mut step: Vec<String> = Vec::new();
    loop {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')) {
            return None;
        }
        let (value, separator, after) = value(after)?;
        let mut part = format!("{}=", known(name.to_lowercase()));
        push_escaped(&mut part, &value);
        step.push(part);
        if separator != Some('+') {
            step.sort_unstable();
            out.push_str(&step.join("+"));
            step.clear();
            match separator {
                None => return Some(out),
                Some(separator) => out.push(separator),
            }
        }
        rest = after;
    }
}

fn known(name: String) -> String {
    ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, usual)| (*usual).to_owned())
}

/// A member in the one spelling. What follows the name of a `uniqueMember` (`#'01'B`, RFC 4517) is not part of it; what is no name at
/// all is nobody's, and is kept as it is.
pub(super) fn member(text: &str) -> String {
    let name = text.strip_suffix("'B").and_then(|text| text.rsplit_once("#'")).map_or(text, |(name, _)| name);
    normalised(name).unwrap_or_else(|| crate::account::fold(text))
}

/// The value up to the next separator: unescaped and folded, with single blanks; the separator, in the one spelling; the rest.
fn value(text: &str) -> Option<(String, Option<char>, &str)> {
    let text = text.trim_start();
    let quoted = text.starts_with('"');
    let mut bytes: Vec<u8> = Vec::new();
    // Blanks at the end are no part of it, unless they are escaped.
    let mut kept = 0;
    let mut chars = text.char_indices().skip(usize::from(quoted)).peekable();
    let mut inside = quoted;
    while let Some((place, c)) = chars.next() {
        match c {
            '"' if quoted => inside = false,
            '\\' => {
                let (at, next) = chars.next()?;
                match next.to_digit(16) {
                    Some(high) => {
                        let low = chars.next()?.1.to_digit(16)?;
                        bytes.push(u8::try_from(high * 16 + low).ok()?);
                    }
                    None => push_char(&mut bytes, text[at..].chars().next()?),
                }
                kept = bytes.len();
            }
            ',' | ';' | '+' if !inside => {
                bytes.truncate(kept);
                let separator = if c == '+' { '+' } else { ',' };
                return Some((folded(bytes)?, Some(separator), &text[place + c.len_utf8()..]));
            }
            c => {
                push_char(&mut bytes, c);
                if inside || !c.is_whitespace() {
                    kept = bytes.len();
                }
            }
        }
    }
    if inside {
        return None;
    }
    bytes.truncate(kept);
    Some((folded(bytes)?, None, ""))
}

fn push_char(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn folded(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    Some(crate::account::fold(&text.split_whitespace().collect::<Vec<_>>().join(" ")))
}

fn push_escaped(out: &mut String, value: &str) {
    for c in value.chars() {
        if matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=') {
            out.push('\\');
        }
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::{member, normalised};

    #[test]
    fn a_name_has_one_spelling() {
        let table = [
            ("uid=ann,ou=People,dc=corp,dc=example", "uid=ann,ou=people,dc=corp,dc=example"),
            (" UID = Ann , OU=People;DC=Corp", "uid=ann,ou=people,dc=corp"),
            ("cn=Moss\\, Ann,dc=corp", "cn=moss\\, ann,dc=corp"),
            ("cn=Moss\\2C Ann,dc=corp", "cn=moss\\, ann,dc=corp"),
            ("cn=\"Moss, Ann\",dc=corp", "cn=moss\\, ann,dc=corp"),
            ("cn=J\\C3\\BCrgen,dc=corp", "cn=j\u{fc}rgen,dc=corp"),
            ("cn=J\u{dc}RGEN,dc=corp", "cn=j\u{fc}rgen,dc=corp"),
            ("cn=a  b,dc=corp", "cn=a b,dc=corp"),
            ("cn=a+uid=b,dc=corp", "cn=a+uid=b,dc=corp"),
            ("uid=b + CN=a,dc=corp", "cn=a+uid=b,dc=corp"),
            ("2.5.4.3=x,organizationalUnitName=y", "cn=x,ou=y"),
            ("my_own=x", "my_own=x"),
        ];
        for (written, expected) in table {
            assert_eq!(normalised(written).as_deref(), Some(expected), "{written}");
            assert_eq!(normalised(expected).as_deref(), Some(expected), "{expected}: once more");
        }
    }

    #[test]
    fn a_member_is_a_name_whatever_follows_it() {
        assert_eq!(member("uid=Ann,dc=corp#'0101'B"), "uid=ann,dc=corp");
        assert_eq!(member("uid=Ann,dc=corp"), "uid=ann,dc=corp");
        assert_eq!(member("Ann"), "ann");
    }

    #[test]
    fn what_is_no_name_is_none() {
        for wrong in ["", "ann", "=x", "cn=x\\", "cn=x\\4", "c n=x", "cn=a,b", "cn=\"a", "cn=\\ff\\fe"] {
            assert_eq!(normalised(wrong), None, "{wrong}");
        }
    }
}
