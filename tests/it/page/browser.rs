//! A headless Chromium behind its driver, spoken to in the WebDriver protocol: the few commands that the tests need.

use std::path::Path;
use std::process::Stdio;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::process::daemon::{PATIENCE, eventually};

/// What a test asks the page, and what it may find wrong with it.
const SEEN: &str = include_str!("seen.js");
/// How WebDriver marks an element in its JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// As WebDriver writes keys that are no characters.
/// The arrow down, then Enter.
pub(super) const DOWN_AND_ENTER: &str = "\u{E015}\u{E007}";

/// One browser with one page.
pub(super) struct Browser {
    http: Client,
    /// `http://127.0.0.1:PORT/session/ID`.
    session: String,
    /// Killed with this; the browser, which works in the home's folder, goes with the home.
    _driver: tokio::process::Child,
}

impl Browser {
    /// Starts the driver on a port of its own choice, and the browser. Whatever they write is written into the folder, and
    /// they have it as their working directory: so the home's reaper ends them with all else.
    pub(super) async fn start(folder: &Path) -> Self {
        let (driver, port) = driver(folder).await;
        let http = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let arguments =
            ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"];
        let profile = format!("--user-data-dir={}", folder.join("profile").display());
        let arguments: Vec<&str> = arguments.into_iter().chain([profile.as_str()]).collect();
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": arguments },
        } } });
        let base = format!("http://127.0.0.1:{port}/session");
        let made = answer(http.post(&base).json(&wanted)).await.expect("a browser");
        let session = format!("{base}/{}", made["sessionId"].as_str().unwrap());
        Self { http, session, _driver: driver }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let request = self.http.request(method, format!("{}{path}", self.session));
        answer(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.ask(Method::POST, path, Some(body)).await.unwrap_or_else(|error| panic!("{path} {body}: {error}"))
    }

    /// A command of the browser's own protocol.
    pub(super) async fn cdp(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters })).await
    }

    /// Opens an address, from nothing: the page begins afresh.
    pub(super) async fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": "about:blank" })).await;
        self.post("/url", &json!({ "url": url })).await;
        self.settled().await;
    }

    /// Waits until nothing on the page is being fetched.
    pub(super) async fn settled(&self) {
        self.until("the page to be there", "return settled();").await;
    }

    /// Runs a script in the page, which may use what `seen.js` has.
    pub(super) async fn run(&self, script: &str) -> Value {
        self.try_run(script).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    async fn try_run(&self, script: &str) -> Result<Value, String> {
        let body = json!({ "script": format!("{SEEN}\n{script}"), "args": [] });
        self.ask(Method::POST, "/execute/sync", Some(&body)).await
    }

    /// Waits until a script answers something that is not false, and gives that.
    pub(super) async fn until(&self, what: &str, script: &str) -> Value {
        // The page may go away under a script; then it is asked again.
        let truth = |value: &Value| !matches!(value, Value::Null | Value::Bool(false));
        let look = eventually(what, async || self.try_run(script).await.ok().filter(truth));
        match tokio::time::timeout(PATIENCE / 2, look).await {
            Ok(found) => found,
            Err(_) => panic!(
                "waited for {what} in vain; the page says: {}",
                self.run("return document.body.innerText;").await
            ),
        }
    }

    /// Waits until the page (or the dialog in front of it) says so.
    pub(super) async fn says(&self, text: &str) {
        self.until(&format!("the page to say {text:?}"), &format!("return says({});", json!(text))).await;
    }

    /// Waits for a thing by its name, and gives it.
    async fn element(&self, kind: &str, name: &str) -> String {
        let script = format!("return find({}, {});", json!(kind), json!(name));
        let found = self.until(&format!("a {kind} {name:?}"), &script).await;
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    /// Clicks a `button` or `link` as a person would: it must be in view and not covered. What is drawn anew at that moment
    /// is looked for once more.
    pub(super) async fn click(&self, kind: &str, name: &str) {
        eventually(&format!("a click on {name:?}"), async || {
            let element = self.element(kind, name).await;
            self.ask(Method::POST, &format!("/element/{element}/click"), Some(&json!({}))).await.ok()
        })
        .await;
    }

    /// Clicks a button in the row of a table that says something.
    pub(super) async fn click_in_row(&self, row: &str, button: &str) {
        let script = format!("return inRow({}, {});", json!(row), json!(button));
        eventually(&format!("a click on {button:?} of {row:?}"), async || {
            let found = self.until(&format!("{button:?} of {row:?}"), &script).await;
            let element = found[ELEMENT].as_str().unwrap().to_owned();
            self.ask(Method::POST, &format!("/element/{element}/click"), Some(&json!({}))).await.ok()
        })
        .await;
    }

    /// Waits until no dialog is in front of the page, and nothing is being fetched.
    pub(super) async fn closed(&self) {
        self.until("the dialog to be gone", "return document.querySelector('dialog') === null && settled();").await;
    }

    /// Goes to another section of the tenant.
    pub(super) async fn section(&self, name: &str) {
        self.click("section", name).await;
        let there =
            format!("return words(document.querySelector('h1')?.textContent) === {} && settled();", json!(name));
        self.until(&format!("the section {name:?}"), &there).await;
    }

    /// Types into a field after what is there.
    pub(super) async fn type_into(&self, field: &str, text: &str) {
        let element = self.element("field", field).await;
        self.post(&format!("/element/{element}/value"), &json!({ "text": text })).await;
    }

    /// Replaces what is in a field.
    pub(super) async fn fill(&self, field: &str, text: &str) {
        let element = self.element("field", field).await;
        self.post(&format!("/element/{element}/clear"), &json!({})).await;
        self.post(&format!("/element/{element}/value"), &json!({ "text": text })).await;
    }

    /// Chooses an entry of a list by its value.
    pub(super) async fn choose(&self, field: &str, value: &str) {
        self.element("field", field).await;
        let (field, value) = (json!(field), json!(value));
        let script = format!(
            "const list = find('field', {field}); list.value = {value};
             list.dispatchEvent(new Event('change', {{ bubbles: true }})); return list.value === {value};"
        );
        assert_eq!(self.run(&script).await, true, "{field} has no {value}");
    }

    /// The window's width in CSS pixels, and whether the system likes it dark.
    pub(super) async fn look(&self, width: u32, dark: bool) {
        let size = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        self.cdp("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.cdp("Emulation.setEmulatedMedia", features).await;
    }

    /// A picture of the whole page, as PNG.
    pub(super) async fn picture(&self, width: u32) -> Vec<u8> {
        let height = self.run("return Math.min(document.documentElement.scrollHeight, 3000);").await;
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        let taken = self.cdp("Page.captureScreenshot", json!({ "captureBeyondViewport": true, "clip": clip })).await;
        base64::Engine::decode(&base64::prelude::BASE64_STANDARD, taken["data"].as_str().unwrap()).unwrap()
    }

    /// What the browser complained about since it was asked last: errors of scripts, and what the security policy stopped.
    pub(super) async fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", &json!({ "type": "browser" })).await;
        let grave =
            log.as_array().unwrap().iter().filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        grave.map(|entry| format!("{}: {}", entry["level"], entry["message"])).collect()
    }
}

/// The driver, once it says on which port it listens.
async fn driver(folder: &Path) -> (tokio::process::Child, u16) {
    let mut command = tokio::process::Command::new("chromedriver");
    // A socket's path has 107 bytes at most: from the working directory it is short, wherever the folder is.
    command.arg("--port=0").current_dir(folder).env("TMPDIR", ".").env("HOME", folder).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().expect("chromedriver: apt-get install chromium chromium-driver");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = async {
        while let Ok(Some(line)) = lines.next_line().await {
            let said =
                line.split_once("started successfully on port ").map(|(_, port)| port.trim_end_matches('.').parse());
            if let Some(Ok(port)) = said {
                return port;
            }
        }
        panic!("chromedriver does not say on which port it listens");
    };
    let port = tokio::time::timeout(PATIENCE, port).await.expect("chromedriver does not start");
    // What it says later is read, or it would wait for a reader.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, port)
}

/// The value of an answer, or what went wrong.
async fn answer(request: reqwest::RequestBuilder) -> Result<Value, String> {
    let response = request.send().await.map_err(|error| error.to_string())?;
    let fine = response.status().is_success();
    let mut body: Value = response.json().await.map_err(|error| error.to_string())?;
    if fine { Ok(body["value"].take()) } else { Err(body["value"]["message"].to_string()) }
}
