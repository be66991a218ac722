//! Every leniency towards clients in one table: what one sends beside the RFCs, why it is accepted, and which file does
//! so, be it of the protocol library, of the wire or of the directory. A leniency that is not here is a mistake; a test
//! holds the table to the files.
//!
//! The table is documentation that a program can print; no code asks it anything.

/// A deviation from the RFCs for the sake of clients.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// The quirks of the client reference that make it necessary. Empty: no client is known, it costs nothing.
    pub quirks: &'static [&'static str],
    /// What is accepted.
    pub accepts: &'static str,
    /// The file below `src` that accepts it.
    pub lives_in: &'static str,
}

const fn row(quirks: &'static [&'static str], lives_in: &'static str, accepts: &'static str) -> Tolerance {
    Tolerance { quirks, accepts, lives_in }
}

/// The vendor extension of `/ServiceProviderConfigs` under SCIM 1.1 in which one client looks for what it may do (OPP-1). It
/// stands here because no other file names an identity provider.
pub const CAPABILITIES: &str = "urn:okta:schemas:scim:providerconfig:1.0";

/// The table, by the part of a request.
pub const TOLERANCES: &[Tolerance] = &[
    // Requests: their headers, paths and parameters.
    row(
        &["GEN-1"],
        "http/body.rs",
        "A body as application/scim+json or application/json, with a charset or without, or without a type.",
    ),
    row(&["GEN-2"], "http/mod.rs", "Any content type on a GET or DELETE, which is not read."),
    row(&["GEN-3"], "http/wire.rs", "Any Accept, unless it names nothing but XML under SCIM 1.1."),
    row(&["GEN-5"], "http/route.rs", "A slash at the end of a path, and doubled ones."),
    row(&["S11-4"], "http/route.rs", "Under SCIM 1.1 a path that ends in .json."),
    row(&["S11-1"], "http/route.rs", "Under SCIM 1.1 the configuration by its name of 2.0."),
    row(&["OKTA11-11"], "scim/v11/discovery.rs", "Under SCIM 1.1 a question for the resource types."),
    row(&["S11-25", "PING-14"], "http/wire.rs", "Under SCIM 1.1 a POST that means another method."),
    row(
        &["GEN-5", "ENTRA-12", "OL-8"],
        "http/query.rs",
        "Unknown parameters, a flag on the base URL, empty parameters, and a question mark at the end.",
    ),
    row(&["GEN-6"], "http/query.rs", "Names of parameters in any letter case, and a plus sign for a space."),
    row(&["GEN-5"], "http/search.rs", "Under SCIM 1.1 a cursor, which is ignored."),
    row(&["OKTA-3"], "http/credential.rs", "A token without the word Bearer before it."),
    row(&[], "http/etag.rs", "An entity tag without its W/."),
    // Names.
    row(
        &["GEN-7"],
        "scim/schema/mod.rs",
        "Attribute names and URNs in any letter case, as JSON keys, in filters and in paths.",
    ),
    row(&["ENTRA-21", "P-15"], "scim/path.rs", "Sub-attributes in any letter case."),
    row(&["P-19", "F-7"], "scim/path.rs", "An extension's attribute without its URN."),
    row(
        &["GEN-8", "S11-3"],
        "scim/schema/mod.rs",
        "The URNs and names of SCIM 1.1 in 2.0 requests, and the other way round.",
    ),
    row(&["OPP-4"], "scim/schema/mod.rs", "Any text as the type of an entry, whatever is suggested."),
    // Bodies.
    row(&["GEN-8"], "scim/resource.rs", "A body whose schemas are missing, wrong or incomplete."),
    row(&["GEN-9"], "scim/schema/check.rs", "Null for \"no value\"."),
    row(
        &["OL-2", "P-42"],
        "scim/schema/check.rs",
        "An empty string for \"no value\" of an optional attribute, and an entry with a label only.",
    ),
    row(&["GEN-10", "ENTRA-14"], "scim/schema/check.rs", "\"True\" and \"False\" in any letter case for booleans."),
    row(
        &["GEN-11", "ENTRA-8", "ENTRA-9", "OL-4", "OPP-3"],
        "scim/resource.rs",
        "Unknown and misspelt attributes and undeclared extensions, which are dropped.",
    ),
    row(&["GEN-12"], "scim/schema/check.rs", "The server's own attributes, which are dropped."),
    row(&["OKTA-7"], "scim/resource.rs", "A password, which is dropped."),
    row(&["OKTA-13"], "scim/resource.rs", "A PUT without active, which leaves it as it is."),
    row(&["OKTA-13"], "scim/patch/mod.rs", "A PATCH that takes active away, which leaves it as it is."),
    row(&["OL-5"], "scim/schema/check.rs", "One object where a list is expected."),
    row(&["ENTRA-10", "P-18", "P-35"], "scim/schema/check.rs", "A string where an object with a value is expected."),
    row(&["P-19"], "scim/schema/check.rs", "A list of one where an object is expected."),
    row(&["PING-8"], "scim/schema/check.rs", "Several entries marked as primary: the first is."),
    // Filters.
    row(&["F-4", "F-11", "F-23"], "scim/filter/parse.rs", "A value without quotation marks."),
    row(&["F-13", "F-14"], "scim/filter/mod.rs", "Operators in any letter case."),
    row(&["F-16", "S11-8"], "scim/filter/parse.rs", "Single and typographic quotation marks."),
    row(&["F-5"], "scim/filter/parse.rs", "A sub-attribute after a bracket."),
    row(&["F-6"], "scim/filter/parse.rs", "An operator after a bracket."),
    row(&[], "scim/filter/parse.rs", "`not` without parentheses."),
    row(&["F-13"], "scim/filter/resolve.rs", "The attribute email."),
    row(&["F-7", "F-10", "F-15"], "scim/filter/resolve.rs", "A complex attribute compared as if it were its value."),
    row(&["P-16"], "scim/filter/resolve.rs", "A boolean compared with text."),
    // PATCH.
    row(&["P-43"], "scim/patch/parse.rs", "The words of the envelope in any letter case, and op as well."),
    row(&["ENTRA-12"], "scim/patch/parse.rs", "Both dialects of one client from one tenant."),
    row(&["S11-35"], "scim/patch/parse.rs", "Operations under SCIM 1.1, and partial resources under 2.0."),
    row(
        &["S11-15", "S11-19", "GEN-11", "OL-5"],
        "scim/patch/partial.rs",
        "A partial resource, unknown names included.",
    ),
    row(&["S11-32"], "scim/schema/check.rs", "The word delete in an entry in any letter case."),
    row(&["P-8", "P-9"], "scim/patch/parse.rs", "Paths as keys of a value that has no path."),
    row(&["P-11"], "scim/patch/parse.rs", "An extension object as a value, which merges."),
    row(&["P-31", "P-40"], "scim/patch/parse.rs", "Echoes of id, schemas and the like in a value, which are dropped."),
    row(
        &["P-3", "GEN-8", "GEN-11"],
        "scim/patch/target.rs",
        "Paths of password, schemas and foreign extensions, which have no effect.",
    ),
    row(
        &["ENTRA-17"],
        "scim/patch/target.rs",
        "A bracket that selects nothing, for add and replace: the entry is made from it.",
    ),
    row(&["P-12", "P-13", "P-14", "P-16"], "scim/patch/list.rs", "A part of an entry that is not there yet."),
    row(&["P-20", "P-22", "P-42"], "scim/patch/single.rs", "Null, an empty string or an empty object to clear."),
    row(&["P-21"], "scim/patch/single.rs", "A replace of some parts of a complex attribute, which merges."),
    row(&["P-26"], "scim/patch/remove.rs", "A remove with a value list, which removes only those."),
    row(&["GEN-22"], "scim/patch/list.rs", "An add of what is there."),
    // Members.
    row(&["P-34"], "scim/patch/members.rs", "The list nested under members once more."),
    row(&["P-35"], "scim/patch/members.rs", "Bare ids for members."),
    row(&["P-36"], "scim/patch/members.rs", "A replace by null, which empties the group."),
    row(&["KC-7"], "scim/patch/members.rs", "A relative $ref."),
    row(
        &["OKTA-28"],
        "directory/group.rs",
        "Members whom nobody knows, who are left out and recorded, unless the tenant's policy refuses them.",
    ),
    row(&[], "directory/members.rs", "Ids of members in any spelling of a UUID, and the same one several times."),
    // Bulk.
    row(&["GEN-7", "GEN-9"], "scim/bulk.rs", "Keys and methods in any letter case, and null for what is not there."),
    row(&[], "http/bulk.rs", "A whole URL as the path of an operation."),
    // Queries.
    row(&["GEN-11"], "scim/project.rs", "Unknown names in attributes and excludedAttributes."),
    row(
        &["GEN-6", "GEN-8"],
        "scim/search.rs",
        "Members of a search body in any letter case, lists of names as text, no schemas.",
    ),
    row(&["KC-10"], "scim/list.rs", "A list read without count, and counts and starts outside the range."),
    row(&[], "scim/sort.rs", "sortOrder in any letter case."),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn source(file: &str) -> String {
        std::fs::read_to_string(format!("{}/src/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    /// Whether a text names the quirk itself, and not one whose number only begins alike.
    fn names(text: &str, quirk: &str) -> bool {
        text.match_indices(quirk).any(|(at, _)| !text[at + quirk.len()..].starts_with(|c: char| c.is_ascii_digit()))
    }

    #[test]
    fn the_file_of_each_leniency_cites_its_quirks() {
        for tolerance in TOLERANCES {
            let text = source(tolerance.lives_in);
            for quirk in tolerance.quirks {
                assert!(names(&text, quirk), "{quirk} is not cited in {}", tolerance.lives_in);
            }
        }
    }

    #[test]
    fn each_quirk_of_filters_and_operations_has_a_test() {
        let filters = source("scim/filter/tests.rs");
        let operations = source("scim/patch/tests.rs") + &source("scim/patch/tests/members.rs");
        // F-17 is a refusal, F-18 to F-21 are pages without a filter.
        for n in (1..=16).chain(22..=25) {
            assert!(names(&filters, &format!("F-{n}")), "F-{n}");
        }
        for n in 1..=45 {
            assert!(names(&operations, &format!("P-{n}")), "P-{n}");
        }
    }
}
