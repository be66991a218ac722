//! Extension schemas as an administrator declares them: schema documents (RFC 7643 section 7) with a `resource`.
//!
//! Only what this server does is accepted: a characteristic that it would not honour is refused here, so that `/Schemas`
//! never promises it.

use serde::Deserialize;
use serde_json::Value;

use super::{Attribute, Kind, Mutability, Returned, Schema, Uniqueness};
use crate::scim::error::quoted;

/// The most schemas that a tenant declares.
const MOST_SCHEMAS: usize = 16;
/// The most attributes of a schema, sub-attributes counted.
const MOST_ATTRIBUTES: usize = 200;
/// The most bytes of all declarations of a tenant together.
const MOST_BYTES: usize = 256 * 1024;
/// The most bytes of a URN.
const LONGEST_URN: usize = 200;
/// The most bytes of an attribute's name.
const LONGEST_NAME: usize = 100;

/// The resource type that a schema extends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Owner {
    User,
    Group,
}

/// A checked schema that is not built yet.
#[derive(Debug)]
pub(super) struct Draft {
    id: String,
    name: String,
    description: String,
    attributes: Vec<Part>,
}

/// A checked attribute.
#[derive(Debug)]
struct Part {
    said: AttributeDocument,
    parts: Vec<Part>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SchemaDocument {
    resource: Owner,
    id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    description: String,
    attributes: Vec<Value>,
    /// A copied document has them; they say nothing.
    #[serde(default, rename = "schemas")]
    _schemas: serde::de::IgnoredAny,
    #[serde(default, rename = "meta")]
    _meta: serde::de::IgnoredAny,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AttributeDocument {
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default)]
    multi_valued: bool,
    #[serde(default)]
    description: String,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    case_exact: bool,
    #[serde(default)]
    mutability: Mutability,
    #[serde(default)]
    returned: Returned,
    #[serde(default)]
    uniqueness: Uniqueness,
    #[serde(default)]
    canonical_values: Vec<String>,
    #[serde(default)]
    reference_types: Vec<String>,
    #[serde(default)]
    sub_attributes: Vec<Value>,
}

/// Reads the declarations, whose text is that long.
///
/// # Errors
///
/// One sentence for each thing that is wrong, naming its place.
pub(super) fn read(documents: &[Value], length: usize) -> Result<Vec<(Owner, Draft)>, Vec<String>> {
    if documents.len() > MOST_SCHEMAS {
        return Err(vec![format!("policy.scim.schemas: there may be at most {MOST_SCHEMAS} schemas.")]);
    }
    if length > MOST_BYTES {
        return Err(vec![format!("policy.scim.schemas: they may have at most {MOST_BYTES} bytes.")]);
    }
    let mut problems = Vec::new();
    let mut read: Vec<(Owner, Draft)> = Vec::with_capacity(documents.len());
    for (index, document) in documents.iter().enumerate() {
        let place = format!("policy.scim.schemas[{index}]");
        let Some((owner, draft)) = schema(document, &place, &mut problems) else { continue };
        if let Some((_, other)) = read.iter().find(|(_, other)| overlap(&other.id, &draft.id)) {
            problems.push(format!(
                "{place}.id: {} and {} are the same, or one continues the other.",
                quoted(&draft.id),
                quoted(&other.id)
            ));
        }
        read.push((owner, draft));
    }
    if problems.is_empty() { Ok(read) } else { Err(problems) }
}

fn schema(document: &Value, place: &str, problems: &mut Vec<String>) -> Option<(Owner, Draft)> {
    let said: SchemaDocument = match serde_json::from_value(document.clone()) {
        Ok(said) => said,
        Err(error) => {
            problems.push(format!("{place}: {error}."));
            return None;
        }
    };
    if let Err(what) = urn(&said.id) {
        problems.push(format!("{place}.id: {} {what}.", quoted(&said.id)));
    }
    if said.attributes.is_empty() {
        problems.push(format!("{place}.attributes: a schema needs an attribute."));
    }
    let mut left = MOST_ATTRIBUTES;
    let attributes = parts(&said.attributes, &format!("{place}.attributes"), None, &mut left, problems);
    // The last part of a URN that is no version is a name for people.
    let last = said.id.rsplit(':').find(|part| part.chars().any(char::is_alphabetic)).unwrap_or(&said.id).to_owned();
    let name = said.name.filter(|name| !name.trim().is_empty()).unwrap_or(last);
    Some((said.resource, Draft { id: said.id, name, description: said.description, attributes }))
}

/// `urn:` and a namespace (RFC 8141), in the characters that a path and a filter can name; not in the standard's own
/// namespaces, whose schemas are built in.
fn urn(id: &str) -> Result<(), &'static str> {
    const RESERVED: [&str; 2] = ["urn:ietf:params:scim:", "urn:scim:schemas:"];
    let starts = |prefix: &str| id.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '_' | '-');
    if id.len() > LONGEST_URN {
        return Err("is longer than 200 bytes");
    }
    let empty = |part: &str| part.is_empty();
    if !starts("urn:") || !id.chars().all(allowed) || id.split(':').any(empty) || id.split(':').count() < 3 {
        return Err(
            "must be a URN: \"urn:\", a namespace, a colon, and letters, digits, dots, colons, \"_\" and \"-\"",
        );
    }
    if RESERVED.iter().any(|prefix| starts(prefix)) {
        return Err("is in a namespace of the standard, whose schemas are built in");
    }
    Ok(())
}

/// Whether a path could mean either: `urn:a:b:c` would be `c` of `urn:a:b`.
fn overlap(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let head = long.get(..short.len()).is_some_and(|head| head.eq_ignore_ascii_case(short));
    head && (long.len() == short.len() || long[short.len()..].starts_with(':'))
}

/// The attributes of a schema, or the sub-attributes of `of`.
fn parts(
    documents: &[Value],
    place: &str,
    of: Option<&AttributeDocument>,
    left: &mut usize,
    problems: &mut Vec<String>,
) -> Vec<Part> {
    let mut read: Vec<Part> = Vec::with_capacity(documents.len().min(MOST_ATTRIBUTES));
    for (index, document) in documents.iter().enumerate() {
        if *left == 0 {
            problems.push(format!("{place}: a schema may have at most {MOST_ATTRIBUTES} attributes."));
            break;
        }
        *left -= 1;
        let place = format!("{place}[{index}]");
        let said: AttributeDocument = match serde_json::from_value(document.clone()) {
            Ok(said) => said,
            Err(error) => {
                problems.push(format!("{place}: {error}."));
                continue;
            }
        };
        let mut complain =
            |key: &str, what: &str| problems.push(format!("{place}.{key}: {}: {what}.", quoted(&said.name)));
        if read.iter().any(|other| other.said.name.eq_ignore_ascii_case(&said.name)) {
            complain("name", "there is another attribute of that name");
        }
        judge(&said, of, &mut complain);
        let parts = parts(&said.sub_attributes, &format!("{place}.subAttributes"), Some(&said), left, problems);
        read.push(Part { said, parts });
    }
    read
}

/// What may not be said of an attribute.
fn judge(said: &AttributeDocument, of: Option<&AttributeDocument>, complain: &mut dyn FnMut(&str, &str)) {
    if !is_name(&said.name) {
        complain("name", "it must be a letter and then letters, digits, \"_\" or \"-\"; or \"$ref\"");
    }
    if of.is_none() && RESERVED.iter().any(|name| said.name.eq_ignore_ascii_case(name)) {
        complain("name", "this name means something of its own in SCIM; take another");
    }
    let complex = said.kind == Kind::Complex;
    match of {
        Some(_) if complex => complain("type", "a sub-attribute cannot be complex"),
        Some(_) if said.multi_valued => complain("multiValued", "a sub-attribute has one value"),
        Some(of) if of.multi_valued && said.name.eq_ignore_ascii_case("primary") && said.kind != Kind::Boolean => {
            complain("type", "the mark of the preferred entry is boolean");
        }
        _ => {}
    }
    if complex == said.sub_attributes.is_empty() {
        complain("subAttributes", "a complex attribute has them, and no other");
    }
    if said.uniqueness != Uniqueness::None {
        complain("uniqueness", "must be \"none\": this server does not compare the values of declared attributes");
    }
    if said.required && said.mutability == Mutability::ReadOnly {
        complain("required", "nobody could give a value that is \"readOnly\"");
    }
    if said.mutability == Mutability::WriteOnly && said.returned != Returned::Never {
        complain("returned", "must be \"never\" where the mutability is \"writeOnly\"");
    }
    if !said.reference_types.is_empty() && said.kind != Kind::Reference {
        complain("referenceTypes", "only a reference has them");
    }
    if !said.canonical_values.is_empty() && !matches!(said.kind, Kind::String | Kind::Reference) {
        complain("canonicalValues", "only a string or a reference has them");
    }
}

/// Names that requests may write without their URN and that are not data of ours or are rows.
const RESERVED: [&str; 7] = ["members", "groups", "id", "externalId", "meta", "schemas", "password"];

fn is_name(name: &str) -> bool {
    let reserved = ["and", "or", "not"].iter().any(|word| name.eq_ignore_ascii_case(word));
    let mut chars = name.chars();
    let begins = chars.next().is_some_and(|c| c.is_ascii_alphabetic());
    let plain = begins && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    name.len() <= LONGEST_NAME && !reserved && (plain || name == "$ref")
}

impl Draft {
    /// The schema, for as long as the process lives.
    pub(super) fn build(&self) -> &'static Schema {
        Box::leak(Box::new(Schema {
            id: kept(&self.id),
            id_1: None,
            name: kept(&self.name),
            description: kept(&self.description),
            attributes: build_parts(&self.attributes),
        }))
    }
}

fn build_parts(parts: &[Part]) -> &'static [Attribute] {
    let build = |Part { said, parts }: &Part| Attribute {
        name: kept(&said.name),
        name_1: None,
        kind: said.kind,
        multi_valued: said.multi_valued,
        required: said.required,
        case_exact: said.case_exact,
        mutability: said.mutability,
        returned: said.returned,
        uniqueness: said.uniqueness,
        canonical_values: kept_all(&said.canonical_values),
        sub_attributes: build_parts(parts),
        description: kept(&said.description),
        reference_types: match (said.kind, said.reference_types.is_empty()) {
            (Kind::Reference, true) => &["external"],
            _ => kept_all(&said.reference_types),
        },
    };
    parts.iter().map(build).collect::<Vec<_>>().leak()
}

fn kept(text: &str) -> &'static str {
    text.to_owned().leak()
}

fn kept_all(texts: &[String]) -> &'static [&'static str] {
    texts.iter().map(|text| kept(text)).collect::<Vec<_>>().leak()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    const URN: &str = "urn:example:badge:1.0";

    fn problems(documents: &[Value]) -> Vec<String> {
        read(documents, 0).map(|_| Vec::new()).unwrap_or_else(|problems| problems)
    }

    fn with(attributes: Value) -> Value {
        json!({ "id": URN, "resource": "User", "attributes": attributes })
    }

    #[test]
    fn a_copied_schema_document_is_read_and_built_with_its_characteristics() {
        let document = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"], "meta": { "resourceType": "Schema" },
            "id": "urn:example:onprem_app:1.0:user:custom", "resource": "User", "description": "What the site adds.",
            "attributes": [
                { "name": "shift", "type": "string", "multiValued": false, "required": true, "caseExact": true,
                  "mutability": "immutable", "returned": "request", "uniqueness": "none", "canonicalValues": ["late"],
                  "description": "When." },
                { "name": "home", "type": "reference" },
                { "name": "pin", "type": "string", "mutability": "writeOnly", "returned": "never" },
                { "name": "lockers", "type": "complex", "multiValued": true, "subAttributes": [
                    { "name": "value", "type": "integer", "required": true }, { "name": "primary", "type": "boolean" }
                ] }
            ]
        });
        let [(owner, draft)]: [_; 1] = read(&[document], 0).unwrap().try_into().unwrap();
        let schema = draft.build();
        assert_eq!((owner, schema.id, schema.name), (Owner::User, "urn:example:onprem_app:1.0:user:custom", "custom"));
        let shift = schema.attribute("Shift").unwrap();
        assert!(shift.required && shift.case_exact && !shift.multi_valued);
        assert_eq!((shift.mutability, shift.returned), (Mutability::Immutable, Returned::Request));
        assert_eq!((shift.canonical_values, shift.description), (&["late"][..], "When."));
        assert_eq!(schema.attribute("home").unwrap().reference_types, ["external"]);
        let lockers = schema.attribute("lockers").unwrap();
        assert!(lockers.multi_valued && lockers.sub("value").unwrap().required);
    }

    /// Each row: the attributes, the place and what is said of it.
    #[test]
    fn what_this_server_would_not_honour_is_refused_by_its_place() {
        let base = "policy.scim.schemas[0].attributes";
        for (attributes, place, word) in [
            (json!([]), "", "needs an attribute"),
            (json!([{ "name": "a" }]), "[0]", "missing field `type`"),
            (json!([{ "name": "a", "type": "text" }]), "[0]", "unknown variant `text`"),
            (json!([{ "name": "a", "type": "string", "multivalued": true }]), "[0]", "unknown field `multivalued`"),
            (json!([{ "name": "a", "type": "string" }, { "name": "A", "type": "string" }]), "[1].name", "another"),
            (json!([{ "name": "1a", "type": "string" }]), "[0].name", "a letter"),
            (json!([{ "name": "a.b", "type": "string" }]), "[0].name", "a letter"),
            (json!([{ "name": "not", "type": "string" }]), "[0].name", "a letter"),
            (json!([{ "name": "x".repeat(101), "type": "string" }]), "[0].name", "a letter"),
            (json!([{ "name": "a", "type": "complex" }]), "[0].subAttributes", "has them"),
            (
                json!([{ "name": "a", "type": "string", "subAttributes": [{ "name": "b", "type": "string" }] }]),
                "[0].subAttributes",
                "no other",
            ),
            (
                json!([{ "name": "a", "type": "complex", "subAttributes": [
                    { "name": "b", "type": "complex", "subAttributes": [{ "name": "c", "type": "string" }] }] }]),
                "[0].subAttributes[0].type",
                "cannot be complex",
            ),
            (
                json!([{ "name": "a", "type": "complex", "subAttributes": [
                    { "name": "b", "type": "string", "multiValued": true }] }]),
                "[0].subAttributes[0].multiValued",
                "one value",
            ),
            (
                json!([{ "name": "a", "type": "complex", "multiValued": true, "subAttributes": [
                    { "name": "primary", "type": "string" }] }]),
                "[0].subAttributes[0].type",
                "boolean",
            ),
            (json!([{ "name": "a", "type": "string", "uniqueness": "server" }]), "[0].uniqueness", "\"none\""),
            (json!([{ "name": "a", "type": "string", "uniqueness": "global" }]), "[0].uniqueness", "\"none\""),
            (
                json!([{ "name": "a", "type": "string", "required": true, "mutability": "readOnly" }]),
                "[0].required",
                "nobody",
            ),
            (json!([{ "name": "a", "type": "string", "mutability": "writeOnly" }]), "[0].returned", "never"),
            (json!([{ "name": "a", "type": "string", "referenceTypes": ["User"] }]), "[0].referenceTypes", "reference"),
            (json!([{ "name": "a", "type": "boolean", "canonicalValues": ["x"] }]), "[0].canonicalValues", "string"),
        ] {
            let said = problems(&[with(attributes)]);
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].starts_with(&format!("{base}{place}: ")) && said[0].contains(word), "{said:?}");
        }
    }

    #[test]
    fn the_urn_must_be_one_and_nobody_elses() {
        let attributes = json!([{ "name": "a", "type": "string" }]);
        let of = |id: &str| json!({ "id": id, "resource": "Group", "attributes": attributes });
        for id in [
            "badge",
            "urn:",
            "urn:example",
            "urn:example:",
            "urn:example:a b",
            "urn:example:a\"b",
            "urn:example:ä",
            "http://x:y:z",
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "URN:IETF:params:SCIM:schemas:extension:mine",
            "urn:scim:schemas:core:1.0",
        ] {
            assert!(problems(&[of(id)])[0].starts_with("policy.scim.schemas[0].id: "), "{id}");
        }
        assert!(!problems(&[of(&format!("urn:example:{}", "x".repeat(200)))]).is_empty());
        for (first, second) in
            [(URN, "urn:EXAMPLE:badge:1.0"), (URN, "urn:example:badge:1.0:more"), ("urn:a:b:c", "urn:a:b")]
        {
            assert!(problems(&[of(first), of(second)])[0].starts_with("policy.scim.schemas[1].id: "), "{second}");
        }
        assert_eq!(problems(&[of(URN), of("urn:example:badge:1.01")]), Vec::<String>::new());
    }

    #[test]
    fn a_document_is_bounded_and_says_what_it_extends() {
        assert!(problems(&[json!({ "id": URN, "attributes": [] })])[0].contains("`resource`"));
        assert!(problems(&[json!({ "id": URN, "resource": "Device", "attributes": [] })])[0].contains("`Device`"));
        let flood: Vec<Value> = (0..=200).map(|n| json!({ "name": format!("a{n}"), "type": "string" })).collect();
        assert!(problems(&[with(Value::from(flood.clone()))])[0].contains("at most 200"));
        assert_eq!(problems(&[with(Value::from(&flood[1..]))]), Vec::<String>::new());
        assert!(problems(&vec![with(json!([])); 17])[0].contains("at most 16"));
        assert!(read(&[], MOST_BYTES + 1).unwrap_err()[0].contains("bytes"));
    }
}
