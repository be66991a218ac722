//! Who the daemon is at a Jira, what may be expected of its version, and whether it is running at all.

use std::collections::BTreeMap;

use reqwest::StatusCode;
use serde::Deserialize;

use super::super::{Calls, Probe, TargetError};
use super::bean::User;
use super::{DataCenter, get, refuse};
use crate::account::fold;

impl DataCenter {
    /// Is it running, who am I, which version, may I administer: in this order, so that the first thing that is wrong
    /// is the one that is told.
    pub(super) async fn look_around(&self, calls: &Calls<'_>) -> Result<Probe, TargetError> {
        self.running(calls).await?;
        let reply = self.ask(calls, "myself.get", "/rest/api/2/myself").await?;
        let header = reply.user.clone();
        let own_account = reply.parse::<User>()?.seen()?;
        if header.is_some_and(|name| fold(&name) != fold(&own_account.username)) {
            let detail = "X-AUSERNAME and the account that Jira calls ours are not the same".to_owned();
            return Err(TargetError::Denied { detail });
        }
        let info: ServerInfo = self.ask(calls, "server.info", "/rest/api/2/serverInfo").await?.parse()?;
        self.known().version = info.numbers();
        let administers = self.administers(calls).await?;
        Ok(Probe {
            own_account,
            version_numbers: info.numbers(),
            version: info.version.unwrap_or_default(),
            administers,
        })
    }

    /// Whether the credential has the global permission to administer Jira (DC-13).
    pub(super) async fn administers(&self, calls: &Calls<'_>) -> Result<bool, TargetError> {
        let reply = self.ask(calls, "permissions.get", "/rest/api/2/mypermissions").await?;
        let Permissions { permissions } = reply.parse()?;
        Ok(["ADMINISTER", "SYSTEM_ADMIN"].iter().any(|key| permissions.get(*key).is_some_and(|p| p.have_permission)))
    }

    /// `/status` answers 200 while Jira starts and stops, too (DC-11). A proxy may not let it through: then it says
    /// nothing, and the next call tells.
    pub(super) async fn running(&self, calls: &Calls<'_>) -> Result<(), TargetError> {
        let raw = self.client.exchange(calls, get("server.status", "/status")).await?;
        match not_running(raw.status, &raw.body) {
            Some(detail) => Err(TargetError::Unreachable { detail, maybe_done: false }),
            None => Ok(()),
        }
    }

    pub(super) async fn ask(
        &self,
        calls: &Calls<'_>,
        operation: &'static str,
        path: &'static str,
    ) -> Result<super::Reply, TargetError> {
        let answer = self.call(calls, get(operation, path)).await;
        answer.map_err(|rejection| match rejection {
            super::Rejection::NotFound(_) => refuse(format!("there is no {path}: is the context path right?")),
            other => other.into_error(|| path.to_owned()),
        })
    }
}

/// What `/status` says against calling, if anything.
fn not_running(status: StatusCode, body: &[u8]) -> Option<String> {
    let state = serde_json::from_slice::<Status>(body).ok().map(|status| status.state);
    match state.as_deref() {
        Some("RUNNING") if status.is_success() => None,
        Some(state @ ("RUNNING" | "STARTING" | "STOPPING" | "FIRST_RUN" | "MAINTENANCE" | "ERROR")) => {
            Some(format!("Jira's state is {state} ({status})"))
        }
        _ if status.is_server_error() => Some(format!("the answer was {status}")),
        _ => None,
    }
}

#[derive(Deserialize)]
struct Status {
    state: String,
}

/// Only what we need, and nothing of it is certain to be there (DC-12).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerInfo {
    version: Option<String>,
    version_numbers: Option<Vec<u32>>,
}

impl ServerInfo {
    fn numbers(&self) -> Vec<u32> {
        match (&self.version_numbers, &self.version) {
            (Some(numbers), _) if !numbers.is_empty() => numbers.clone(),
            (_, Some(version)) => numbers_of(version),
            _ => Vec::new(),
        }
    }
}

/// `10.3.24-m0002` is 10, 3, 24.
fn numbers_of(version: &str) -> Vec<u32> {
    let plain = version.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap_or_default();
    plain.split('.').map_while(|part| part.parse().ok()).collect()
}

#[derive(Deserialize)]
struct Permissions {
    permissions: BTreeMap<String, Permission>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Permission {
    #[serde(default)]
    have_permission: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jiras_own_state_is_believed_rather_than_its_status_code() {
        // DC-11
        for (status, body, runs) in [
            (200, r#"{"state":"RUNNING"}"#, true),
            (200, r#"{"state":"STARTING"}"#, false),
            (200, r#"{"state":"STOPPING"}"#, false),
            (200, r#"{"state":"FIRST_RUN"}"#, false),
            (503, r#"{"state":"MAINTENANCE"}"#, false),
            (500, r#"{"state":"ERROR"}"#, false),
            (503, "<html>", false),
            (404, "<html>blocked</html>", true),
            (302, "", true),
            (200, "<html>", true),
        ] {
            let status = StatusCode::from_u16(status).unwrap_or_default();
            assert_eq!(not_running(status, body.as_bytes()).is_none(), runs, "{status} {body}");
        }
    }

    #[test]
    fn a_version_is_read_from_its_numbers_or_else_from_its_text() {
        // DC-12
        let info = |version: Option<&str>, numbers| {
            ServerInfo { version: version.map(str::to_owned), version_numbers: numbers }.numbers()
        };
        assert_eq!(info(Some("10.3.24"), Some(vec![10, 3, 24])), [10, 3, 24]);
        assert_eq!(info(Some("8.20.3-m0002"), None), [8, 20, 3]);
        assert_eq!(info(Some("9.12.0-SNAPSHOT"), Some(vec![])), [9, 12, 0]);
        assert!(info(Some("snapshot"), None).is_empty());
        assert!(info(None, None).is_empty());
    }
}
