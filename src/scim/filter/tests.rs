#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::scim::error::ScimType;
use crate::scim::folded::folded;
use crate::scim::resource::tests::any_json;
use crate::scim::schema::{ResourceType, group, user};
use crate::scim::urn;

fn read(text: &str) -> Filter {
    parse(text, &Limits::default()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn resolved(ty: &ResourceType, text: &str) -> Expr {
    resolve(&read(text), ty).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(ty: &ResourceType, text: &str) -> String {
    let error = parse(text, &Limits::default()).and_then(|filter| resolve(&filter, ty)).unwrap_err();
    assert_eq!((error.status, error.scim_type), (400, Some(ScimType::InvalidFilter)), "{text}");
    error.detail
}

fn ann() -> Value {
    let document = json!({
        "id": "u-7f31",
        "externalId": "amoss",
        "userName": "Ann.Moss@corp.example",
        "displayName": "Crew \"A\" \\ B",
        "name": { "givenName": "Ann", "familyName": "Moss" },
        "active": true,
        "title": "Straße",
        "emails": [
            { "value": "Ann.Moss@corp.example", "type": "work", "primary": true },
            { "value": "ann@home.example", "type": "home" }
        ],
        "groups": [{ "value": "g-02c9", "display": "Crew" }],
        "meta": { "created": "2026-04-01T00:00:00Z", "lastModified": "2026-04-08T00:00:00.5+00:00" },
        urn::ENTERPRISE_USER: { "employeeNumber": "8841", "manager": { "value": "u-1190" } }
    });
    Value::Object(folded(user(), document.as_object().unwrap()))
}

/// Each row: the quirk, the filter, its canonical print, whether Ann satisfies it.
#[test]
fn every_shape_of_a_live_client_is_understood() {
    let guid = "userName eq \"3f0c1c7a-0000-4000-8000-000000000001\"";
    let employee = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber eq \"8841\"";
    for (quirk, text, printed, found) in [
        ("F-1, F-2", r#"userName eq "ann.moss@corp.example""#, "", true),
        ("F-3", guid, "", false),
        ("F-4", "externalId eq amoss", "", true),
        (
            "F-5",
            r#"emails[type eq "work"].value eq "ann.moss@corp.example""#,
            r#"emails[type eq "work" and value eq "ann.moss@corp.example"]"#,
            true,
        ),
        (
            "F-5",
            r#"emails[type eq "home"].value eq "ann.moss@corp.example""#,
            "emails[type eq \"home\" and value eq \"ann.moss@corp.example\"]",
            false,
        ),
        ("F-5", r#"emails[type eq "work"].value pr"#, r#"emails[type eq "work" and value pr]"#, true),
        (
            "F-6",
            r#"emails[type eq "work"] eq "ann.moss@corp.example""#,
            r#"emails[type eq "work" and value eq "ann.moss@corp.example"]"#,
            true,
        ),
        ("F-7", r#"id eq "u-7f31" and manager eq "u-1190""#, "", true),
        ("F-7", r#"manager eq "u-1190" and id eq "u-0000""#, "", false),
        ("F-11", "userName eq ann.moss@corp.example", "", true),
        ("F-13", r#"email Eq "ann.moss@corp.example""#, r#"email eq "ann.moss@corp.example""#, true),
        ("F-14", r#"username Eq "ann.moss@CORP.example""#, r#"username eq "ann.moss@CORP.example""#, true),
        ("F-14", r#"email Co "corp.example""#, r#"email co "corp.example""#, true),
        ("F-15, S11-9", r#"emails eq "ann@home.example""#, "", true),
        ("F-16", r#"meta.lastModified gt "2026-04-07T14:19:34Z""#, "", true),
        ("F-16", "meta.lastModified gt “2026-04-07T14:19:34Z”", r#"meta.lastModified gt "2026-04-07T14:19:34Z""#, true),
        (
            "F-16",
            "meta.lastModified gt ‘2026-04-08T02:19:34+02:00’",
            r#"meta.lastModified gt "2026-04-08T02:19:34+02:00""#,
            false,
        ),
        ("F-22", r#"displayName eq "Crew \"A\" \\ B""#, "", true),
        ("F-22", r#"title eq "Stra\u00DFe""#, r#"title eq "Straße""#, true),
        (
            "F-23",
            "name.familyName eq Moss and (emails.value co corp.example or emails.value co acme.example)",
            "",
            true,
        ),
        ("F-24", employee, "", true),
        ("F-25", r#"userName sw "A""#, "", true),
        ("S11-8", "userName eq 'ann.moss@corp.example'", r#"userName eq "ann.moss@corp.example""#, true),
        (
            "S11-7",
            "urn:scim:schemas:core:1.0:userName Eq 'ann.moss@corp.example'",
            r#"urn:scim:schemas:core:1.0:userName eq "ann.moss@corp.example""#,
            true,
        ),
        ("P-16", r#"emails[primary eq "True"]"#, "", true),
        ("ENTRA-34", r#"userName eq "ann_corp.example#EXT#@acme.example""#, "", false),
        ("RFC", "not (active eq false)", "", true),
        ("RFC", "not active eq false", "not (active eq false)", true),
        ("RFC", "title pr and not (nickName pr) or userType eq \"x\"", "", true),
        ("RFC", "(title pr or nickName pr) and (active eq true)", "(title pr or nickName pr) and active eq true", true),
        ("RFC", "emails[type eq \"work\" and value co \"@corp.example\"]", "", true),
        ("RFC", r#"emails[type eq "home" and primary eq true]"#, "", false),
        ("RFC", r#"meta.resourceType eq "User""#, "", true),
        ("RFC", r#"meta.resourceType eq "Group""#, "", false),
        ("RFC", r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "ann""#, "", true),
        ("RFC", "department eq null", "", true),
        ("RFC", "employeeNumber ne null", "", true),
        ("RFC", "employeeNumber eq 8841", "", true),
        ("RFC", "groups eq \"g-02c9\"", "", true),
        ("RFC", "name[familyName eq \"moss\" and givenName pr]", "", true),
        ("GEN-17", r#"externalId eq "AMOSS""#, "", false),
        ("GEN-17", r#"id eq "U-7F31""#, "", false),
        ("GEN-7", r#"USERNAME PR AND Not (ACTIVE EQ FALSE)"#, "USERNAME pr and not (ACTIVE eq FALSE)", true),
    ] {
        let filter = read(text);
        let canonical = if printed.is_empty() { text } else { printed };
        assert_eq!(filter.to_string(), canonical, "{quirk}");
        assert_eq!(read(canonical), filter, "{quirk}");
        assert_eq!(eval(&resolve(&filter, user()).unwrap(), &ann()), found, "{quirk} {text}");
    }
}

#[test]
fn the_shapes_on_groups_are_understood() {
    let document = json!({ "id": "g-02c9", "displayName": "Platform Crew", "members": [{ "value": "u-7f31" }] });
    let crew = Value::Object(folded(group(), document.as_object().unwrap()));
    for (quirk, text, found) in [
        ("F-8, F-9, F-12", r#"displayName eq "Platform Crew""#, true),
        ("VAL-3", r#"displayName eq "PLATFORM crew""#, true),
        ("F-10", r#"id eq "g-02c9" and members eq "u-7f31""#, true),
        ("F-10", r#"members.value eq "u-0000" and id eq "g-02c9""#, false),
        ("F-10", r#"members[value eq "u-7f31"]"#, true),
    ] {
        assert_eq!(eval(&resolved(group(), text), &crew), found, "{quirk}");
    }
}

#[test]
fn an_expression_names_canonical_places_and_folded_values() {
    let attr = |path: &[&str], kind, case_exact, multi| AttrRef {
        path: path.iter().map(|step| (*step).to_owned()).collect(),
        kind,
        case_exact,
        multi,
    };
    let compare = |attr, value: &str| Expr::Compare { attr, op: Op::Eq, value: Literal::String(value.to_owned()) };
    assert_eq!(
        resolved(user(), r#"EMAIL eq "Ann@Corp.example""#),
        compare(attr(&["emails", "value"], Kind::String, false, Some(0)), "ann@corp.example")
    );
    assert_eq!(
        resolved(user(), r#"manager eq "U-1""#),
        compare(attr(&[urn::ENTERPRISE_USER, "manager", "value"], Kind::String, true, None), "U-1")
    );
    assert_eq!(
        resolved(user(), r#"emails[Type eq "WORK"]"#),
        Expr::Any {
            attr: attr(&["emails"], Kind::Complex, false, Some(0)),
            filter: Box::new(compare(attr(&["type"], Kind::String, false, None), "work")),
        }
    );
    assert_eq!(
        resolved(user(), "active eq \"True\""),
        Expr::Compare { attr: attr(&["active"], Kind::Boolean, false, None), op: Op::Eq, value: Literal::Bool(true) }
    );
    assert_eq!(
        resolved(user(), "emails pr"),
        Expr::Present(attr(&["emails"], Kind::Complex, false, Some(0))),
        "presence of a list is not that of its values"
    );
}

#[test]
fn ne_is_true_where_there_is_no_value_or_another_one() {
    for (text, found) in [
        (r#"nickName ne "x""#, true),
        (r#"userName ne "ann.moss@corp.example""#, false),
        (r#"emails.value ne "ann@home.example""#, true),
        (r#"not (emails.value eq "ann@home.example")"#, false),
        (r#"phoneNumbers.value ne "1""#, true),
        (r#"phoneNumbers[type ne "work"]"#, false),
        (r#"emails[primary ne true]"#, true),
        ("active ne true", false),
        (r#"title gt "straße" or title lt "straße""#, false),
        (r#"title ge "straße" and title le "straße""#, true),
        (r#"title gt "strasse""#, true),
        (r#"meta.created lt "2026-04-01T02:00:00.000001+02:00""#, true),
        (r#"nickName lt "x" or nickName gt "x""#, false),
    ] {
        assert_eq!(eval(&resolved(user(), text), &ann()), found, "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_refused() {
    for text in [
        "AMOSS",
        "",
        " ",
        "userName",
        "userName eq",
        "userName is \"a\"",
        "eq \"a\"",
        "userName eq \"a",
        "userName eq \"a\" and",
        "userName eq \"a\" \"b\"",
        "(userName pr",
        "userName pr)",
        "emails[type eq \"work\"",
        "emails[]",
        "emails[type pr].",
        "emails[type pr].value",
        "not",
        "not ()",
        "()",
        "userName eq \"\\x\"",
        "userName eq \"\\ud800\"",
        "userName eq \"\\ud800\\u0041\"",
        "userName eq \"\\u0000\"",
        "userName eq \u{0}",
        "é pr",
        "userName eq \"a\" or or title pr",
        "and",
        "pr pr pr",
    ] {
        refusal(user(), text);
    }
}

#[test]
fn what_documents_do_not_have_is_refused_by_name() {
    for (text, name) in [
        ("shoeSize eq 44", "shoeSize"),
        ("name.shoeSize pr", "name.shoeSize"),
        ("password eq \"x\"", "password"),
        ("schemas[value eq \"x\"]", "schemas"),
        ("schemas gt null", "schemas"),
        ("emails[shoeSize eq 1]", "shoeSize"),
        ("urn:example:2.0:User:badge eq \"7\"", "urn:example:2.0:User:badge"),
        ("manager.$ref eq \"x\"", "manager.$ref"),
        ("manager.displayName eq \"x\"", "manager.displayName"),
        ("members eq \"x\"", "members"),
        (urn::ENTERPRISE_USER, "must have an operator"),
        ("name eq \"Ann\"", "name has parts"),
        ("meta pr and meta eq 1", "meta has parts"),
        ("userName[value eq 1]", "userName has no parts"),
        ("active gt true", "active gt"),
        ("active co \"t\"", "active co"),
        ("active eq maybe", "active eq"),
        ("meta.created co \"2026\"", "meta.created co"),
        ("meta.created eq \"yesterday\"", "meta.created eq"),
        ("x509Certificates.value gt \"A\"", "x509Certificates.value gt"),
        ("title gt null", "gt null"),
    ] {
        let detail = refusal(user(), text);
        assert!(detail.contains(name), "{text}: {detail}");
    }
}

#[test]
fn schemas_follow_from_what_the_document_contains() {
    let with = ann();
    let mut without = with.clone();
    without.as_object_mut().unwrap().remove(urn::ENTERPRISE_USER);
    let enterprise = urn::ENTERPRISE_USER;
    for (filter, expected) in [
        (format!("schemas eq \"{}\"", urn::USER), (true, true)),
        (format!("SCHEMAS eq \"{}\"", urn::USER.to_uppercase()), (true, true)),
        ("schemas eq \"urn:scim:schemas:core:1.0\"".to_owned(), (true, true)),
        (format!("schemas eq \"{enterprise}\""), (true, false)),
        ("schemas eq \"urn:scim:schemas:extension:enterprise:1.0\"".to_owned(), (true, false)),
        (format!("schemas ne \"{}\"", urn::USER), (true, false)),
        ("schemas ne \"urn:scim:schemas:core:1.0\"".to_owned(), (true, false)),
        ("schemas co \"enterprise\"".to_owned(), (true, false)),
        ("schemas sw \"urn:\"".to_owned(), (true, true)),
        ("schemas eq \"urn:example:none\"".to_owned(), (false, false)),
        ("schemas pr".to_owned(), (true, true)),
        ("schemas eq null".to_owned(), (false, false)),
        ("not (schemas ne null)".to_owned(), (false, false)),
    ] {
        let expr = resolve(&parse(&filter, &Limits::default()).unwrap(), user()).unwrap();
        assert_eq!((eval(&expr, &with), eval(&expr, &without)), expected, "{filter}");
    }
}

#[test]
fn among_two_types_an_attribute_of_the_other_has_no_value() {
    let among = |text: &str, ty, other| resolve_among(&parse(text, &Limits::default()).unwrap(), ty, other);
    for (text, on_groups) in [
        ("userName eq \"a\"", false),
        ("userName ne \"a\"", true),
        ("userName pr", false),
        ("userName eq null", true),
        ("userName ne null", false),
        ("emails[type eq \"work\"]", false),
        ("not (userName eq \"a\")", true),
        ("userName eq \"a\" or meta.resourceType eq \"Group\"", true),
    ] {
        assert_eq!(eval(&among(text, group(), user()).unwrap(), &Value::Null), on_groups, "{text}");
        assert!(among(text, user(), group()).is_ok(), "{text}");
    }
    for text in ["shoeSize eq 44", "active eq maybe", "userName pr and members.shoeSize pr"] {
        assert!(among(text, group(), user()).is_err() && among(text, user(), group()).is_err(), "{text}");
    }
}

#[test]
fn depth_and_length_bombs_are_refused_without_work() {
    let many = |count: usize| vec!["title pr"; count].join(" or ");
    for text in [
        "(".repeat(100_000),
        "(".repeat(10_000),
        "(".repeat(40) + "title pr" + &")".repeat(40),
        "not ".repeat(2_000) + "title pr",
        "not (".repeat(2_000),
        "emails[".repeat(2_000),
        many(10_000),
        many(1_001),
        format!("userName eq \"{}\"", "x".repeat(20_000)),
    ] {
        let error = parse(&text, &Limits::default()).unwrap_err();
        assert_eq!(error.scim_type, Some(ScimType::InvalidFilter));
        assert!(error.detail.len() < 300, "{}", error.detail);
    }
    let wide = Limits { length: 1 << 20, ..Limits::default() };
    assert!(parse(&many(1_000), &wide).is_ok());
    assert!(parse(&many(10_000), &wide).is_err());
    let deep = "(".repeat(32) + "title pr" + &")".repeat(32);
    assert!(parse(&deep, &Limits::default()).is_ok());
}

fn any_word() -> impl Strategy<Value = Word> {
    prop_oneof![
        any::<String>().prop_map(|text| Word::Quoted(text.replace('\0', ""))),
        "[A-Za-z0-9@.+-]{1,12}".prop_map(Word::Bare),
    ]
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "userName",
            "EMAILS.value",
            "name.familyName",
            "active",
            "meta.created",
            "meta.version",
            "schemas",
            "type",
            "value",
            "primary",
            "$ref",
            "department",
            "manager",
            "groups",
            "id",
            "urn:ietf:params:scim:schemas:core:2.0:User:title",
        ])
        .prop_map(str::to_owned),
        "x[a-zA-Z]{0,6}",
    ]
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let op = prop::sample::select(vec![Op::Eq, Op::Ne, Op::Co, Op::Sw, Op::Ew, Op::Gt, Op::Ge, Op::Lt, Op::Le]);
    let leaf = prop_oneof![
        (any_name(), op, any_word()).prop_map(|(attr, op, value)| Filter::Compare { attr, op, value }),
        any_name().prop_map(Filter::Present),
    ];
    leaf.prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::and),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::or),
            inner.clone().prop_map(|filter| Filter::Not(Box::new(filter))),
            (prop::sample::select(vec!["emails", "roles", "name"]), inner)
                .prop_map(|(attr, filter)| Filter::Any { attr: attr.to_owned(), filter: Box::new(filter) }),
        ]
    })
}

proptest! {
    #[test]
    fn parsing_a_print_gives_the_filter_again(filter in any_filter()) {
        let limits = Limits { length: 1 << 20, ..Limits::default() };
        prop_assert_eq!(parse(&filter.to_string(), &limits), Ok(filter));
    }

    #[test]
    fn any_text_is_a_filter_or_an_error(text in any::<String>(), tail in "[a-z \"\\[\\]().\\\\]{0,40}") {
        let _ = parse(&text, &Limits::default());
        let _ = parse(&tail, &Limits::default());
        let _ = parse_path(&text, &Limits::default());
        let _ = parse_path(&format!("emails[{tail}"), &Limits::default());
    }

    #[test]
    fn any_filter_can_be_asked_of_any_document(filter in any_filter(), document in any_json()) {
        for ty in [user(), group()] {
            if let Ok(expr) = resolve(&filter, ty) {
                let answer = eval(&expr, &document);
                prop_assert_eq!(eval(&Expr::Not(Box::new(expr)), &document), !answer);
                if let Value::Object(object) = &document {
                    folded(ty, object);
                }
            }
        }
    }
}
