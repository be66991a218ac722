//! What can be said of the page's files without a browser.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;

fn files() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/ui");
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let read = |entry: std::fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap())
    };
    entries.map(read).collect()
}

fn all(pattern: &str, text: &str) -> BTreeSet<String> {
    Regex::new(pattern).unwrap().captures_iter(text).map(|found| found[1].to_owned()).collect()
}

#[test]
fn nothing_on_the_page_makes_code_or_markup_of_text_and_nothing_comes_from_elsewhere() {
    let forbidden = Regex::new(
        r"(?i)innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc|javascript:",
    );
    let forbidden = forbidden.unwrap();
    let inline = Regex::new(r#"<style|\sstyle=|\son[a-z]+=|<script[^>]*>[^<]"#).unwrap();
    for (name, text) in files() {
        assert!(forbidden.find(&text).is_none(), "{name}: {:?}", forbidden.find(&text));
        for address in all(r#"["'(](https?://[^"')]*)"#, &text) {
            assert_eq!(address, "http://www.w3.org/2000/svg", "{name} names another place");
        }
        if name.ends_with(".html") {
            assert!(inline.find(&text).is_none(), "{name}: {:?}", inline.find(&text));
        }
    }
}

#[test]
fn every_module_of_the_page_is_used_and_is_there() {
    let files = files();
    let there: BTreeSet<String> =
        files.iter().map(|(name, _)| name.clone()).filter(|name| name.ends_with(".js")).collect();
    let mut used: BTreeSet<String> = files.iter().flat_map(|(_, text)| all(r"from '\./([a-z_]+\.js)'", text)).collect();
    used.insert("app.js".to_owned());
    assert_eq!(used, there);
}

#[test]
fn the_page_knows_what_to_type_at_every_provider_that_the_api_knows() {
    let document: serde_json::Value = serde_json::from_str(include_str!("../../../src/admin/openapi.json")).unwrap();
    let kinds = document.pointer("/components/schemas/NewTenant/properties/idp/enum").unwrap().as_array().unwrap();
    let kinds: BTreeSet<String> = kinds.iter().map(|kind| kind.as_str().unwrap().to_owned()).collect();
    let text = files().into_iter().find(|(name, _)| name == "idp.js").unwrap().1;
    assert_eq!(all(r"(?m)^  '?([a-z-]+)'?: \{$", &text), kinds);
}
