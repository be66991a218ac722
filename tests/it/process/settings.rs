//! The configuration of a daemon under test: everything that bounds a recovery is short.

use jira_scim::sandbox::Sandbox;

use super::idp::TOKEN;

/// What differs from test to test.
pub(crate) struct Settings<'a> {
    /// The lines of `[database]`; `{data}` stands for the home's data directory.
    pub(crate) database: String,
    pub(crate) settle: &'a str,
    pub(crate) concurrency: usize,
    /// Base URL and token of the Jira.
    pub(crate) jira: (String, String),
}

impl Settings<'_> {
    /// On a private PostgreSQL.
    pub(crate) fn new(jira: &Sandbox) -> Self {
        Self {
            database: "data_dir = \"{data}\"".to_owned(),
            settle: "300ms",
            concurrency: 8,
            jira: (jira.base_url().to_owned(), jira.token().to_owned()),
        }
    }

    pub(crate) fn concurrency(mut self, calls: usize) -> Self {
        self.concurrency = calls;
        self
    }

    /// The file.
    pub(crate) fn text(&self) -> String {
        let Self { database, settle, concurrency, jira: (url, token) } = self;
        format!(
            r#"
[server]
listen = "127.0.0.1:0"
[admin]
listen = ""
[limits]
requests_per_second = 0
[database]
acquire_timeout = "1s"
{database}
[writer]
settle = "{settle}"
lease = "5s"
max_backoff = "1s"
poll = "50ms"
[[target]]
name = "jira"
url = "{url}"
token = "{token}"
timeout = "2s"
late = "2s"
[target.pace]
concurrency = {concurrency}
[[tenant]]
slug = "acme"
target = "jira"
policy = {{ brake = {{ enabled = false }} }}
[[tenant.token]]
label = "idp"
value = "{TOKEN}"
"#
        )
    }
}
