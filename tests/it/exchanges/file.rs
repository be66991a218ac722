//! The form of an exchange file, and of `client.json` beside it. Unknown keys are refused: a misspelt expectation would
//! expect nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// The headers that a client sends by habit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    #[serde(rename = "about")]
    _about: String,
    #[serde(default)]
    pub cites: Vec<String>,
    /// `v2` or `v1`, of the base URL.
    #[serde(default = "v2")]
    pub version: String,
    #[serde(default = "bearer")]
    pub authorization: String,
    /// On each request.
    #[serde(default)]
    pub always: BTreeMap<String, String>,
    /// On requests with a body.
    #[serde(default)]
    pub with_a_body: BTreeMap<String, String>,
}

fn v2() -> String {
    "v2".to_owned()
}

fn one() -> u64 {
    1
}

fn bearer() -> String {
    "Bearer {{token}}".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Play {
    #[serde(rename = "about")]
    _about: String,
    #[serde(default)]
    pub cites: Vec<String>,
    /// The tenant's.
    #[serde(default)]
    pub policy: Value,
    #[serde(default)]
    pub settings: Settings,
    /// Other tenants; `{{token of NAME}}` is the token of one.
    #[serde(default)]
    pub neighbours: Vec<String>,
    /// Resources that are there before, by the name that stands for their id.
    #[serde(default)]
    pub given: Vec<Given>,
    pub steps: Vec<OneOrMore>,
    /// Every living user by userName, with what must be on record.
    pub users: BTreeMap<String, Value>,
    /// Every living group by displayName, with its members by name.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Texts that no row of the store contains at the end.
    #[serde(default)]
    pub nowhere: Vec<String>,
}

/// What is not as usual in this daemon.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `observe`; Jira is compared with the store only if a step ends that.
    pub mode: Option<String>,
    /// How long a request waits for Jira.
    pub settle_ms: Option<u64>,
    /// Of one call to Jira.
    pub timeout_ms: Option<u64>,
    /// The largest body in bytes.
    pub body: Option<usize>,
    pub page_max: Option<u64>,
    pub requests_per_second: Option<u32>,
    pub burst: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    pub path: String,
    pub id: String,
    pub body: Value,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub enum OneOrMore {
    One(Box<Step>),
    AtOnce(Vec<Step>),
}

impl OneOrMore {
    pub fn steps(&self) -> &[Step] {
        match self {
            Self::One(step) => std::slice::from_ref(step),
            Self::AtOnce(steps) => steps,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// `PATCH /Users/{{ann}}`, below the base URL of the tenant, byte for byte.
    pub request: String,
    #[serde(default)]
    pub cites: Vec<String>,
    /// How many of it are sent at once; `{{n}}` counts from 1.
    #[serde(default = "one")]
    pub copies: u64,
    /// The tenant in the URL, where it is a neighbour.
    #[serde(default)]
    pub tenant: Option<String>,
    /// The version in the URL, where it is not the client's.
    #[serde(default)]
    pub version: Option<String>,
    /// Beside the client's usual ones, or instead of them; `null` takes one away.
    #[serde(default)]
    pub headers: BTreeMap<String, Option<String>>,
    #[serde(default)]
    pub body: Option<Value>,
    /// A body that is no JSON, or whose spelling matters.
    #[serde(default)]
    pub raw: Option<String>,
    /// Whether the tenant, which observed, is told to write before this is asked.
    #[serde(default)]
    pub enforce: bool,
    /// What Jira does wrong while this is asked, as the sandbox's faults are written.
    #[serde(default)]
    pub jira_does: Option<String>,
    /// The seconds that pass afterwards.
    #[serde(default)]
    pub later: Option<i64>,
    pub status: u16,
    /// What the answer holds.
    #[serde(default)]
    pub answer: Value,
    /// Whether its lists have this order.
    #[serde(default)]
    pub in_order: bool,
    /// JSON pointers to what it does not hold.
    #[serde(default)]
    pub lacks: Vec<String>,
    /// Its headers; `null` for one that is not there.
    #[serde(default)]
    pub expects: BTreeMap<String, Option<String>>,
    /// The longest time until the answer.
    #[serde(default)]
    pub within_ms: Option<u64>,
    /// The name for the id of the answer.
    #[serde(default)]
    pub id: Option<String>,
    /// Names for texts of the answer, by their JSON pointers.
    #[serde(default)]
    pub remember: BTreeMap<String, String>,
    /// The calls that Jira saw, in any order.
    #[serde(default)]
    pub jira: Vec<String>,
}

/// Every exchange, sorted by name.
pub fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exchanges");
    let mut files: Vec<PathBuf> = listed(&root).iter().flat_map(|client| listed(client)).collect();
    files.retain(|file| file.file_name().is_some_and(|name| name != "client.json"));
    files.sort();
    files
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

pub fn client_of(file: &Path) -> Client {
    read(&file.with_file_name("client.json"))
}

pub fn read<T: serde::de::DeserializeOwned>(file: &Path) -> T {
    let text = std::fs::read_to_string(file).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", name_of(file)))
}

/// `okta/import.json`.
pub fn name_of(file: &Path) -> String {
    let client = file.parent().and_then(Path::file_name).unwrap().to_string_lossy();
    format!("{client}/{}", file.file_name().unwrap().to_string_lossy())
}
