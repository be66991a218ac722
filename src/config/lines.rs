//! Where in a TOML text a key stands, for the sentences about it.

use toml::de::{DeTable, DeValue};

/// The line of a key, `tenant.0.policy.account.username`, or of the nearest one around it that is there; `None` where not even
/// its first part is, or the text is no TOML.
pub fn line_of(text: &str, path: &str) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let mut found = None;
    let mut here = Here::Table(table.get_ref());
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let (place, value) = match here {
            Here::Table(table) => {
                let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref().as_ref() == part) else { break };
                (key.span().start, value.get_ref())
            }
            Here::Items(items) => {
                let Some(item) = part.parse::<usize>().ok().and_then(|index| items.get(index)) else { break };
                (item.span().start, item.get_ref())
            }
        };
        found = Some(place);
        here = match value {
            DeValue::Table(table) => Here::Table(table),
            DeValue::Array(items) => Here::Items(items),
            _ => break,
        };
    }
    found.map(|at| text[..at.min(text.len())].matches('\n').count() + 1)
}

enum Here<'a, 'i> {
    Table(&'a DeTable<'i>),
    Items(&'a toml::de::DeArray<'i>),
}

#[cfg(test)]
mod tests {
    use super::line_of;

    #[test]
    fn a_key_is_found_where_it_stands_or_else_what_is_around_it() {
        let text = "[[tenant]]\nslug = 'a'\n\n[[tenant]]\nslug = 'b'\n[tenant.policy.account]\nusername = '''\n{{ x }}'''\n\
                    [tenant.policy.groups]\nrename = [\n  { pattern = 'a', with = 'b' },\n  { pattern = 'c', with = 'd' },\n]\n";
        for (path, line) in [
            ("tenant.1.slug", Some(5)),
            ("tenant.1.policy.account.username", Some(7)),
            ("tenant.1.policy.account.email", Some(6)),
            ("tenant.1.policy.groups.rename.1.pattern", Some(12)),
            ("tenant.7.slug", Some(1)),
            ("nothing.there", None),
        ] {
            assert_eq!(line_of(text, path), line, "{path}");
        }
        assert_eq!(line_of("= x", "a"), None);
    }
}
