//! Atlassian's OpenAPI documents: which operation a path is, and the JSON schemas of its bodies.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

/// Which document is about which calls: the file, the kind of Jira, what its paths are put behind, the versions it is about.
const ABOUT: [(&str, &str, &str, &str); 5] = [
    ("jira-dc-10.0", "data-center", "/rest", "10.0"),
    ("jira-dc-10.3", "data-center", "/rest", "10.3"),
    ("jira-cloud-v3", "cloud", "", ""),
    ("atlassian-admin-organizations", "cloud", "/admin", ""),
    ("atlassian-admin-user-management", "cloud", "", ""),
];

pub(super) struct Library(Vec<Spec>);

pub(super) struct Spec {
    pub(super) name: &'static str,
    kind: &'static str,
    versions: &'static str,
    /// Path templates, split, with their operations by method.
    paths: Vec<(Vec<String>, String, Value)>,
    components: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// An operation of a document.
pub(super) struct Operation<'a> {
    pub(super) spec: &'a Spec,
    /// The template as the document has it.
    pub(super) path: &'a str,
    pub(super) about: &'a Value,
    /// Declared beside the operations of the path.
    pub(super) shared: &'a Value,
}

impl Library {
    pub(super) fn read(folder: &Path) -> Self {
        Self(ABOUT.iter().map(|about| Spec::read(folder, *about)).collect())
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|spec| spec.name).collect()
    }

    /// The operation that a call is; `Err` where a document is about such calls and does not know this one, and nothing where
    /// no document is about them.
    pub(super) fn operation(
        &self,
        kind: &str,
        version: &str,
        method: &str,
        path: &str,
    ) -> Option<Result<Operation<'_>, &'static str>> {
        let about = |spec: &&Spec| spec.kind == kind && version.starts_with(spec.versions) && spec.is_about(path);
        let specs: Vec<&Spec> = self.0.iter().filter(about).collect();
        let first = specs.first()?.name;
        Some(specs.into_iter().find_map(|spec| spec.operation(method, path)).ok_or(first))
    }
}

impl Spec {
    fn read(folder: &Path, (name, kind, prefix, versions): (&'static str, &'static str, &str, &'static str)) -> Self {
        let file = folder.join(format!("{name}.openapi.json"));
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut document: Value = serde_json::from_str(&text).unwrap();
        let paths = document["paths"].as_object().unwrap().clone();
        let mut components = document["components"].take();
        to_json_schema(&mut components);
        let mut paths: Vec<_> = paths
            .into_iter()
            .map(|(path, mut operations)| {
                to_json_schema(&mut operations);
                (split(&format!("{prefix}{path}")), path, operations)
            })
            .collect();
        // A literal segment goes before one that is anything.
        paths.sort_by_key(|(segments, ..)| segments.iter().filter(|segment| segment.starts_with('{')).count());
        Self { name, kind, versions, paths, components, validators: Mutex::default() }
    }

    /// Whether the document is about the API that the path belongs to.
    fn is_about(&self, path: &str) -> bool {
        let roots: &[&str] = match self.name {
            "jira-dc-10.0" | "jira-dc-10.3" => &["/rest/api/2"],
            "jira-cloud-v3" => &["/rest/api/3"],
            "atlassian-admin-organizations" => &["/admin"],
            _ => &["/users"],
        };
        roots.iter().any(|root| path.starts_with(root))
    }

    fn operation(&self, method: &str, path: &str) -> Option<Operation<'_>> {
        let segments = split(path);
        let fits = |template: &[String]| {
            template.len() == segments.len()
                && template.iter().zip(&segments).all(|(known, given)| known.starts_with('{') || known == given)
        };
        self.paths.iter().filter(|(template, ..)| fits(template)).find_map(|(_, path, operations)| {
            let about = operations.get(method.to_lowercase())?;
            Some(Operation { spec: self, path, about, shared: &operations["parameters"] })
        })
    }

    /// What a value has against a schema.
    pub(super) fn complaints(&self, schema: &Value, value: &Value) -> Vec<String> {
        let key = schema.to_string();
        let known = self.validators.lock().unwrap().get(&key).cloned();
        let validator = known.unwrap_or_else(|| {
            let mut whole = Map::new();
            whole.insert("components".to_owned(), self.components.clone());
            whole.insert("allOf".to_owned(), json!([schema]));
            let made = jsonschema::options().with_draft(Draft::Draft4).build(&Value::Object(whole));
            let made = Arc::new(made.unwrap_or_else(|error| panic!("{}: {key}: {error}", self.name)));
            self.validators.lock().unwrap().insert(key, Arc::clone(&made));
            made
        });
        validator
            .iter_errors(value)
            .map(|error| {
                let place: String = error.instance_path.to_string();
                // Where in a list is of no interest.
                let place: Vec<&str> =
                    place.split('/').map(|part| if part.parse::<usize>().is_ok() { "*" } else { part }).collect();
                format!("{}: {}", place.join("/"), error.kind_in_words())
            })
            .collect()
    }

    /// The members that the schema of an object declares; `None` where it takes any.
    pub(super) fn members(&self, schema: &Value) -> Option<Vec<String>> {
        let schema = self.resolved(schema);
        let properties = schema.get("properties")?.as_object()?;
        let open = schema.get("additionalProperties").is_some_and(|more| more != &Value::Bool(false));
        (!open).then(|| properties.keys().cloned().collect())
    }

    /// Whether a schema is that of an object.
    pub(super) fn is_object(&self, schema: &Value) -> bool {
        self.resolved(schema)["type"] == "object"
    }

    pub(super) fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema.get("$ref").and_then(Value::as_str) {
            Some(place) => {
                let place = place.trim_start_matches("#/components");
                self.components.pointer(place).map_or(schema, |found| self.resolved(found))
            }
            None => schema,
        }
    }
}

trait InWords {
    fn kind_in_words(&self) -> String;
}

impl InWords for jsonschema::ValidationError<'_> {
    /// Without the value, so that equal complaints are equal.
    fn kind_in_words(&self) -> String {
        self.masked().to_string()
    }
}

fn split(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// OpenAPI 3.0 says `nullable` where JSON Schema has a type of its own, and has examples that are no schemas.
fn to_json_schema(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.remove("example");
            members.remove("examples");
            members.remove("format");
            if members.remove("nullable") == Some(Value::Bool(true)) {
                if let Some(Value::String(kind)) = members.get("type").cloned() {
                    members.insert("type".to_owned(), json!([kind, "null"]));
                } else if let Some(place) = members.remove("$ref") {
                    members.insert("anyOf".to_owned(), json!([{ "$ref": place }, { "type": "null" }]));
                }
            }
            members.values_mut().for_each(to_json_schema);
        }
        Value::Array(items) => items.iter_mut().for_each(to_json_schema),
        _ => {}
    }
}
