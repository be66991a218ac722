//! The document as a source of requests: bodies and parameters made of its schemas, whole ones and broken ones. Whatever is sent,
//! the answer is one that the document knows, and none is a mistake of the program.

use jira_scim::admin::described;
use serde_json::{Map, Value, json};

use super::office::{Office, document, followed};

/// A source of chance that a seed repeats (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap()
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Texts that programs stumble over.
const TEXTS: &[&str] = &[
    "",
    " ",
    "a",
    "acme",
    "ann",
    "jira",
    "Ä\u{301}ß\u{1f600}",
    "%00",
    "../..",
    "'; DROP TABLE tenant; --",
    "null",
    "-1",
    "{{ userName }}",
    "2026-12-01T00:00:00Z",
    "+262142-12-31T23:59:59Z",
    "0",
    "99999999999999999999",
    "\u{7f}\u{1}",
    "\u{202e}abc",
    "\u{d7ff}",
    "a\nb",
];

/// A value of a schema, more or less.
fn value(schema: &'static Value, dice: &mut Dice, depth: usize) -> Value {
    let schema = followed(schema);
    if dice.one_in(12) {
        return oddity(dice);
    }
    if let Some(words) = schema["enum"].as_array() {
        return dice.pick(words).clone();
    }
    if let Some(any) = schema["anyOf"].as_array() {
        return value(dice.pick(any), dice, depth);
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => dice.pick(kinds).as_str().unwrap_or("null"),
        kind => kind.as_str().unwrap_or("object"),
    };
    match kind {
        "string" => text(schema, dice),
        "integer" => json!(dice.pick(&[-1_i64, 0, 1, 2, 19, 20, 21, 500, i64::MAX])),
        "number" => json!(dice.pick(&[-1.5, 0.0, 1e300])),
        "boolean" => json!(dice.one_in(2)),
        "array" => (0..dice.below(3)).map(|_| value(&schema["items"], dice, depth + 1)).collect(),
        "object" => object(schema, dice, depth),
        _ => Value::Null,
    }
}

fn text(schema: &Value, dice: &mut Dice) -> Value {
    match schema["format"].as_str() {
        Some("uuid") if !dice.one_in(4) => json!(uuid::Uuid::from_u128(dice.below(3) as u128)),
        Some("date-time") if !dice.one_in(4) => {
            json!(dice.pick(&[
                "2026-12-01T00:00:00Z",
                "1970-01-01T00:00:00Z",
                "9999-12-31T23:59:59+23:59",
                "0001-01-01T00:00:00Z"
            ]))
        }
        _ if dice.one_in(10) => json!("x".repeat(dice.below(5000))),
        _ => json!(dice.pick(TEXTS)),
    }
}

fn object(schema: &'static Value, dice: &mut Dice, depth: usize) -> Value {
    let mut made = Map::new();
    let required: Vec<&str> =
        schema["required"].as_array().map(|all| all.iter().filter_map(Value::as_str).collect()).unwrap_or_default();
    if let Some(properties) = schema["properties"].as_object().filter(|_| depth < 6) {
        for (name, inner) in properties {
            let left_out = if required.contains(&name.as_str()) { dice.one_in(15) } else { dice.one_in(2) };
            if !left_out {
                made.insert(name.clone(), value(inner, dice, depth + 1));
            }
        }
    }
    if dice.one_in(10) {
        made.insert((*dice.pick(TEXTS)).to_owned(), oddity(dice));
    }
    Value::Object(made)
}

fn oddity(dice: &mut Dice) -> Value {
    let odd = [
        json!(null),
        json!([]),
        json!({}),
        json!([[[[]]]]),
        json!(1e308),
        json!(-0.0),
        json!(true),
        json!("\u{0}"),
        json!({ "": {} }),
        json!(dice.pick(TEXTS)),
    ];
    dice.pick(&odd).clone()
}

fn in_path(dice: &mut Dice) -> String {
    let known = ["acme", "jira", "00000000-0000-0000-0000-000000000001"];
    let plain = if dice.one_in(3) { (*dice.pick(TEXTS)).to_owned() } else { (*dice.pick(&known)).to_owned() };
    percent_encoding::utf8_percent_encode(&plain, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Requests to each operation.
const EACH: usize = 12;

#[tokio::test]
async fn whatever_is_sent_the_answer_is_one_that_the_document_knows() {
    let office = Office::new().await;
    office.world.user("ann").await;
    let seed: u64 = std::env::var("ADMIN_FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let each = std::env::var("ADMIN_FUZZ_EACH").ok().and_then(|text| text.parse().ok()).unwrap_or(EACH);
    let mut dice = Dice(seed);
    for one in described() {
        let operation = &document()["paths"][one.path][one.method.to_lowercase()];
        for _ in 0..each {
            request(&office, one.path, one.method, operation, &mut dice).await;
        }
    }
    // It is as well as before.
    office.get("/health").await.is(200);
}

async fn request(office: &Office, template: &str, method: &str, operation: &'static Value, dice: &mut Dice) {
    let (mut path, mut query) = (template.to_owned(), Vec::new());
    for parameter in operation["parameters"].as_array().into_iter().flatten().map(followed) {
        let name = parameter["name"].as_str().unwrap();
        match parameter["in"].as_str().unwrap() {
            "path" => path = path.replace(&format!("{{{name}}}"), &in_path(dice)),
            "query" if dice.one_in(2) => {
                let given = match value(&parameter["schema"], dice, 0) {
                    Value::String(text) => text,
                    Value::Array(items) => items.first().and_then(Value::as_str).unwrap_or_default().to_owned(),
                    other => other.to_string(),
                };
                query.push((name.to_owned(), given));
            }
            _ => {}
        }
    }
    if !query.is_empty() {
        let pairs = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&query).finish();
        path = format!("{path}?{pairs}");
    }
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    let body = (!schema.is_null()).then(|| if dice.one_in(20) { oddity(dice) } else { value(schema, dice, 0) });
    let told = format!("{method} {path} {body:?}");
    let answer = office.ask(&office.admin, method, &path, body).await;
    assert!(answer.status < 500 || answer.status == 503, "{told}: {} {}", answer.status, answer.text);
    assert_ne!(answer.body["error"]["code"], "internal", "{told}");
}
