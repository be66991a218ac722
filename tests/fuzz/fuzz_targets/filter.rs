#![no_main]
//! Filters: printing and parsing are inverse, and nothing that parses can hurt later.

use jira_scim::scim::filter::{Limits, eval, parse, resolve};
use jira_scim::scim::schema;
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|text: &str| {
    let Ok(filter) = parse(text, &Limits::default()) else { return };
    let printed = filter.to_string();
    assert_eq!(parse(&printed, &Limits::default()).as_ref(), Ok(&filter), "{printed}");
    let document = json!({"userName": "ann", "displayName": "crew", "emails": [{"value": "a@b", "type": "work"}],
        "members": [{"value": "7", "type": "user"}], "meta": {"created": "2026-04-07T14:19:34.000000Z"}});
    for kind in [schema::user(), schema::group()] {
        if let Ok(expr) = resolve(&filter, kind) {
            let _either = eval(&expr, &document);
        }
    }
});
