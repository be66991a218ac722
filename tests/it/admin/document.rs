//! The document and the program say the same.

use std::collections::BTreeSet;

use jira_scim::admin::described;
use serde_json::Value;

use super::office::{document, followed, validator};

#[test]
fn the_operations_of_the_document_are_those_of_the_program() {
    let of_program: BTreeSet<String> = described()
        .iter()
        .map(|one| {
            let mut query: Vec<&str> = one.query.to_vec();
            query.sort_unstable();
            format!("{} {} {} open={} body={} {query:?}", one.method, one.path, one.role, one.is_open, one.body)
        })
        .collect();
    let mut of_document = BTreeSet::new();
    for (path, methods) in document()["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let none = Vec::new();
            let parameters = operation["parameters"].as_array().unwrap_or(&none);
            let mut query: Vec<&str> =
                parameters.iter().filter(|one| one["in"] == "query").map(|one| one["name"].as_str().unwrap()).collect();
            query.sort_unstable();
            let open = operation["security"].as_array().is_some_and(Vec::is_empty);
            let (role, body) = (operation["x-role"].as_str().unwrap(), !operation["requestBody"].is_null());
            of_document.insert(format!("{} {path} {role} open={open} body={body} {query:?}", method.to_uppercase()));
        }
    }
    let missing: Vec<_> = of_document.difference(&of_program).collect();
    let undocumented: Vec<_> = of_program.difference(&of_document).collect();
    assert!(missing.is_empty() && undocumented.is_empty(), "missing: {missing:#?}\nundocumented: {undocumented:#?}");
}

#[test]
fn every_example_of_the_document_fits_its_schema() {
    for methods in document()["paths"].as_object().unwrap().values() {
        for operation in methods.as_object().unwrap().values() {
            let responses = operation["responses"].as_object().unwrap().values().map(followed);
            for holder in responses.chain([&operation["requestBody"]]) {
                let content = &holder["content"]["application/json"];
                if content["example"].is_null() {
                    continue;
                }
                let errors: Vec<String> =
                    validator(&content["schema"]).iter_errors(&content["example"]).map(|e| e.to_string()).collect();
                assert!(errors.is_empty(), "{}: {errors:?}", operation["operationId"]);
            }
        }
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_and_says_what_it_is_for() {
    let mut names = BTreeSet::new();
    for methods in document()["paths"].as_object().unwrap().values() {
        for operation in methods.as_object().unwrap().values() {
            assert!(names.insert(operation["operationId"].as_str().unwrap()), "{}", operation["operationId"]);
            assert!(operation["summary"].as_str().is_some_and(|text| text.len() > 5), "{}", operation["operationId"]);
        }
    }
    let is_code = |value: &Value| value["error"]["code"].as_str().is_some_and(|code| !code.contains(' '));
    assert!(is_code(&document()["components"]["schemas"]["Error"]["example"]));
}

/// The codes of the error page are those of the program.
#[test]
fn every_code_is_explained() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/errors.md")).unwrap();
    let section = page.split("## What an administrator sees").nth(1).unwrap().split("\n## ").next().unwrap();
    let row = regex::Regex::new(r"(?m)^\| \d\d\d \| ([a-z, -]+) \|").unwrap();
    let explained: BTreeSet<String> = row
        .captures_iter(section)
        .flat_map(|row| row[1].split(", ").map(|code| code.trim().to_owned()).collect::<Vec<_>>())
        .collect();
    let mut code = String::new();
    let mut folders = vec![root.join("src/admin")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                code.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let made = regex::Regex::new(
        r#"(?:conflict|missing|unprocessable|unavailable|forbidden)\(\s*"([a-z-]+)"|StatusCode::[A-Z_]+,\s*"([a-z-]+)""#,
    )
    .unwrap();
    let told: BTreeSet<String> = made
        .captures_iter(&code)
        .map(|found| found.get(1).or_else(|| found.get(2)).unwrap().as_str().to_owned())
        .collect();
    assert_eq!(explained, told);
}
