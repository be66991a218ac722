#![no_main]
//! Bodies of SCIM 1.1.

use jira_scim::scim::{check_new, check_replace, patch, schema, v11};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|bytes: &[u8]| {
    let Ok(body) = serde_json::from_slice::<Value>(bytes) else { return };
    for kind in [schema::user(), schema::group()] {
        let usual = json!({"userName": "ann", "displayName": "Ann", "emails": [{"value": "a@b"}], "title": "Boss"});
        let Ok(stored) = check_new(kind, usual) else { return };
        if let Ok(read) = v11::read(body.clone())
            && let Ok(attrs) = check_new(kind, read.clone())
        {
            assert_eq!(check_new(kind, Value::Object(attrs.clone())).as_ref(), Ok(&attrs));
            let written = v11::resource(kind, Value::Object(attrs.clone()));
            assert!(written.get("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User").is_none(), "{written}");
            let _replaced = check_replace(kind, read, &stored);
        }
        if let Ok(parsed) = patch::parse(kind, &body).and_then(patch::split_members)
            && let Ok(once) = patch::apply(&parsed.attrs, kind, &stored)
        {
            assert_eq!(check_new(kind, Value::Object(once.clone())).as_ref(), Ok(&once));
        }
    }
});
