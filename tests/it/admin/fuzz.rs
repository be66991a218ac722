//! The document as a source of requests: bodies and parameters made of its schemas, whole ones and broken ones. Whatever is sent,
//! the answer is one that the document knows, and none is a mistake of the program.

use std::collections::BTreeMap;
use std::time::SystemTime;

use jira_scim::admin::described;
use serde_json::{Map, Value, json};

use super::office::{Answer, Office, document, followed, new_tenant};

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
                let value = if name == WAIT { soon(dice) } else { value(inner, dice, depth + 1) };
                made.insert(name.clone(), value);
            }
        }
    }
    if dice.one_in(10) {
        made.insert((*dice.pick(TEXTS)).to_owned(), oddity(dice));
    }
    Value::Object(made)
}

/// How long an answer may wait: none that is worth waiting for.
const WAIT: &str = "wait_seconds";

fn soon(dice: &mut Dice) -> Value {
    json!(dice.pick(&[-1_i64, 0, 1, 21, i64::MAX]))
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

/// Requests to each operation.
const EACH: usize = 25;
/// The tokens that the test itself works with stay as they are.
const OURS: [&str; 3] = ["vera", "otto", "anna"];

/// The ids of things that are there, or were, by the part of the address behind which they stand; learnt from the answers.
#[derive(Default)]
struct Ids(BTreeMap<String, Vec<String>>);

impl Ids {
    /// `/tenants/{slug}/tokens/{id}` is about `tokens`; runs begin under other names.
    fn kind(template: &str) -> &str {
        let named = template.split("/{id}").next().unwrap_or_default();
        match named.rsplit('/').next().unwrap_or_default() {
            "import" | "reconcile" | "last-login" | "purge" | "reset" => "runs",
            "deactivate-now" => "overrides",
            kind => kind,
        }
    }

    fn learn(&mut self, template: &str, answer: &Answer) {
        let body = &answer.body;
        let kind = if body["what"].is_string() && body["started"].is_string() { "jobs" } else { Self::kind(template) };
        let listed = body["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ours = |one: &&Value| OURS.iter().any(|ours| one["label"] == *ours || one["token"]["label"] == *ours);
        let mut found: Vec<String> = Vec::new();
        for one in listed.iter().chain([body]).filter(|one| !ours(one)) {
            let ids = [&one["id"], &one["user_id"], &one["token"]["id"], &one["override"]];
            found.extend(ids.into_iter().filter_map(Value::as_str).map(str::to_owned));
        }
        let known = self.0.entry(kind.to_owned()).or_default();
        known.extend(found);
        known.sort();
        known.dedup();
    }

    fn pick(&self, template: &str, dice: &mut Dice) -> Option<String> {
        let known = self.0.get(Self::kind(template)).filter(|known| !known.is_empty())?;
        Some(dice.pick(known).clone())
    }
}

/// What stands for a parameter of the path: mostly something that is there.
fn in_path(name: &str, template: &str, ids: &Ids, dice: &mut Dice) -> String {
    let plain = match name {
        _ if dice.one_in(6) => (*dice.pick(TEXTS)).to_owned(),
        // A tenant of its own to delete, so that there is one for all the others.
        "slug" if template == "/tenants/{slug}" => "spare".to_owned(),
        "slug" => "acme".to_owned(),
        "name" => "jira".to_owned(),
        _ => ids.pick(template, dice).unwrap_or_else(|| uuid::Uuid::from_u128(1).to_string()),
    };
    percent_encoding::utf8_percent_encode(&plain, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// A number that the environment gives.
fn given(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Something of every kind, so that ids are those of something.
async fn furnished(office: &Office, ids: &mut Ids) {
    let (ann, bob) = (office.world.user("ann").await, office.world.user("bob").await);
    office.world.group("crew", &[ann, bob]).await;
    office.world.writer.drain().await.unwrap();
    let pin = json!({ "user": "ann", "what": "active", "until": "2099-01-01T00:00:00Z", "reason": "test" });
    let issuer = json!({ "label": "corp", "issuer": "https://idp.example", "audience": "a",
        "jwks_url": "https://idp.example/keys" });
    for (path, body) in [
        ("/tenants/{slug}/tokens", json!({ "label": "okta" })),
        ("/tenants/{slug}/issuers", issuer),
        ("/tenants/{slug}/overrides", pin),
        ("/tenants/{slug}/import", json!(null)),
        ("/tenants/{slug}/plan/summary", json!(null)),
        ("/admin-tokens", json!({ "label": "guest", "role": "viewer" })),
    ] {
        let body = (!body.is_null()).then_some(body);
        let answer = office.ask(&office.admin, "POST", &path.replace("{slug}", "acme"), body).await;
        assert!(answer.status < 300, "{path}: {}", answer.text);
        ids.learn(path, &answer);
    }
    for path in ["users", "groups", "links"] {
        let path = format!("/tenants/{{slug}}/{path}");
        ids.learn(&path, &office.get(&path.replace("{slug}", "acme")).await.is(200));
    }
}

#[tokio::test]
async fn whatever_is_sent_the_answer_is_one_that_the_document_knows() {
    let office = Office::new().await;
    let mut ids = Ids::default();
    furnished(&office, &mut ids).await;
    office.world.writer.start();
    let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let seed = given("ADMIN_FUZZ_SEED").unwrap_or_else(clock);
    let each = given("ADMIN_FUZZ_EACH").map_or(EACH, |each| usize::try_from(each).unwrap());
    eprintln!("ADMIN_FUZZ_SEED={seed} repeats this");
    let mut dice = Dice(seed);
    let mut statuses = BTreeMap::<u16, usize>::new();
    for one in described() {
        let operation = &document()["paths"][one.path][one.method.to_lowercase()];
        // It may be there already.
        office.post("/tenants", new_tenant("spare")).await;
        for _ in 0..each {
            let answer = request(&office, one.path, one.method, operation, (&ids, &mut dice)).await;
            ids.learn(one.path, &answer);
            *statuses.entry(answer.status).or_default() += 1;
        }
    }
    eprintln!("answers by status: {statuses:?}");
    let fine: usize = statuses.range(200..300).map(|(_, count)| count).sum();
    assert!(fine * 10 > statuses.values().sum(), "hardly anything was let through: {statuses:?}");
    // It is as well as before.
    office.get("/health").await.is(200);
}

async fn request(
    office: &Office,
    template: &str,
    method: &str,
    operation: &'static Value,
    (ids, dice): (&Ids, &mut Dice),
) -> Answer {
    let (mut path, mut query) = (template.to_owned(), Vec::new());
    for parameter in operation["parameters"].as_array().into_iter().flatten().map(followed) {
        let name = parameter["name"].as_str().unwrap();
        match parameter["in"].as_str().unwrap() {
            "path" => path = path.replace(&format!("{{{name}}}"), &in_path(name, template, ids, dice)),
            "query" if dice.one_in(2) => {
                let given = match if name == WAIT { soon(dice) } else { value(&parameter["schema"], dice, 0) } {
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
    let lesser = [&office.viewer, &office.operator];
    let token = if dice.one_in(8) { dice.pick(&lesser) } else { &office.admin };
    let answer = office.ask(token, method, &path, body).await;
    // The database is there, and Jira is: nothing but what was sent can be wrong, and that is nobody's 5xx.
    assert!(answer.status < 500, "{told}: {} {}", answer.status, answer.text);
    answer
}
