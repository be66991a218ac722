//! One journalled call against the document that is about it.

use std::collections::BTreeSet;
use std::fmt;

use jira_scim::sandbox::{JournalEntry, Outcome};
use serde_json::Value;

use super::Call;
use super::spec::{Library, Operation};

/// Something that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Misfit {
    pub(super) spec: String,
    /// `GET /api/2/group/member`
    pub(super) call: String,
    /// `query groupname: not declared`
    pub(super) what: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.spec, self.call, self.what)
    }
}

/// What a check came to.
pub(super) struct Checked {
    pub(super) spec: String,
    /// Whether the answer was looked at, too.
    pub(super) answered: bool,
    /// Bodies that were not looked at, because the journal has their size alone.
    pub(super) left_out: usize,
    pub(super) misfits: Vec<Misfit>,
}

/// The path without context path, gateway and query.
pub(super) fn below_context(path: &str) -> &str {
    let path = path.split('?').next().unwrap_or_default();
    // `/jira/rest/...`, `/ex/jira/{cloudId}/rest/...`; the other APIs have no context.
    match path.find("/rest/") {
        Some(at) => &path[at..],
        None => path.strip_prefix("/jira").unwrap_or(path),
    }
}

/// Whether an entry of the journal is this call.
pub(super) fn is_call(call: &Call, entry: &JournalEntry) -> bool {
    let template: Vec<&str> = call.path.split('/').collect();
    let path: Vec<&str> = below_context(&entry.path).split('/').collect();
    let same = |known: &&str, given: &&str| known.starts_with('{') || known == given;
    let fits = call.method == entry.method
        && template.len() == path.len()
        && template.iter().zip(&path).all(|(known, given)| same(known, given));
    if !fits {
        return false;
    }
    let query = entry.path.split_once('?').map_or("", |(_, query)| query);
    let body = entry.body.as_deref().map_or("", |raw| raw.get());
    let has = |part: &String| query.contains(part) || body.contains(part);
    call.with.iter().all(has) && !call.without.iter().any(has)
}

/// Checks request and answer; nothing where no document is about the call.
pub(super) fn check(library: &Library, kind: &str, version: &str, entry: &JournalEntry) -> Option<Checked> {
    let path = below_context(&entry.path);
    let operation = match library.operation(kind, version, &entry.method, path)? {
        Ok(operation) => operation,
        Err(spec) => {
            let misfit = Misfit {
                spec: spec.to_owned(),
                call: format!("{} {path}", entry.method),
                what: "there is no such operation".to_owned(),
            };
            return Some(Checked { spec: spec.to_owned(), answered: false, left_out: 0, misfits: vec![misfit] });
        }
    };
    let mut complaints = query(&operation, &entry.path);
    complaints.extend(request_body(&operation, entry));
    // What a fault answers is what a broken Jira or a proxy answers.
    let answered = entry.fault.is_none() && entry.outcome == Outcome::Answered && entry.status.is_some();
    if answered {
        complaints.extend(answer(&operation, entry));
    }
    let call = format!("{} {}", entry.method, operation.path);
    let spec = operation.spec.name.to_owned();
    let misfits: BTreeSet<Misfit> =
        complaints.into_iter().map(|what| Misfit { spec: spec.clone(), call: call.clone(), what }).collect();
    let parsed = |raw: Option<&serde_json::value::RawValue>| raw.and_then(|raw| serde_json::from_str(raw.get()).ok());
    let bodies: [Option<Value>; 2] = [parsed(entry.body.as_deref()), parsed(entry.answer.as_deref())];
    let left_out = bodies.iter().flatten().filter(|body| left_out(body)).count();
    Some(Checked { spec, answered, left_out, misfits: misfits.into_iter().collect() })
}

fn query(operation: &Operation<'_>, path: &str) -> Vec<String> {
    let declared: Vec<&Value> = [&operation.about["parameters"], operation.shared]
        .into_iter()
        .filter_map(Value::as_array)
        .flatten()
        .map(|parameter| operation.spec.resolved(parameter))
        .filter(|parameter| parameter["in"] == "query")
        .collect();
    let text = path.split_once('?').map_or("", |(_, query)| query);
    let given: Vec<(String, String)> = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
    let mut complaints = Vec::new();
    for (name, value) in &given {
        match declared.iter().find(|parameter| parameter["name"] == **name) {
            None => complaints.push(format!("query {name}: not declared")),
            Some(parameter) => {
                let fits = match parameter["schema"]["type"].as_str() {
                    Some("integer") => value.parse::<i64>().is_ok(),
                    Some("boolean") => value.parse::<bool>().is_ok(),
                    _ => true,
                };
                if !fits {
                    complaints.push(format!("query {name}: not of the declared type"));
                }
            }
        }
    }
    for parameter in declared.iter().filter(|parameter| parameter["required"] == true) {
        if given.iter().all(|(name, _)| parameter["name"] != **name) {
            complaints.push(format!("query {}: missing", parameter["name"].as_str().unwrap_or_default()));
        }
    }
    complaints
}

fn request_body(operation: &Operation<'_>, entry: &JournalEntry) -> Vec<String> {
    let declared = operation.spec.resolved(&operation.about["requestBody"]);
    let body = entry.json();
    if body.is_null() {
        let missing = declared["required"] == true;
        return if missing { vec!["request: no body".to_owned()] } else { Vec::new() };
    }
    if left_out(&body) {
        return Vec::new();
    }
    let Some(schema) = declared["content"].get("application/json").and_then(|content| content.get("schema")) else {
        let empty = body.as_object().is_some_and(serde_json::Map::is_empty);
        return if empty { Vec::new() } else { vec!["request: no body is declared".to_owned()] };
    };
    let mut complaints: Vec<String> =
        operation.spec.complaints(schema, &body).into_iter().map(|what| format!("request {what}")).collect();
    if let (Some(members), Some(body)) = (operation.spec.members(schema), body.as_object()) {
        let unknown = body.keys().filter(|name| !members.contains(name));
        complaints.extend(unknown.map(|name| format!("request /{name}: not declared")));
    }
    complaints
}

fn answer(operation: &Operation<'_>, entry: &JournalEntry) -> Vec<String> {
    let status = entry.status.unwrap_or_default();
    let responses = &operation.about["responses"];
    let Some(declared) = responses.get(status.to_string()).or_else(|| responses.get("default")) else {
        return vec![format!("answer: status {status} is not declared")];
    };
    let declared = operation.spec.resolved(declared);
    let body = entry.answer.as_deref().and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or(Value::Null);
    if left_out(&body) {
        return Vec::new();
    }
    let Some(schema) = declared["content"].get("application/json").and_then(|content| content.get("schema")) else {
        // Where no content is declared, an error has a body all the same; a success has none.
        let silent = body.is_null() || status >= 400;
        return if silent { Vec::new() } else { vec![format!("answer {status}: no body is declared")] };
    };
    // A known defect of Atlassian's generator: a list is declared as one of its items.
    if let (Some(items), true) = (body.as_array(), operation.spec.is_object(schema)) {
        let each = items.iter().flat_map(|item| operation.spec.complaints(schema, item));
        let each = each.map(|what| format!("answer {status} item {what}"));
        return std::iter::once(format!("answer {status}: a list where one item is declared")).chain(each).collect();
    }
    operation.spec.complaints(schema, &body).into_iter().map(|what| format!("answer {status} {what}")).collect()
}

/// The journal keeps the size alone of a body that is long or no JSON.
fn left_out(body: &Value) -> bool {
    body.as_str().is_some_and(|text| text.starts_with('(') && text.contains("bytes"))
}
