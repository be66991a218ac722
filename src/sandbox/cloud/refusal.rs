//! The six forms in which Atlassian says no (CLOUD-5).

use serde_json::{Value, json};

use crate::sandbox::exchange::{Call, Reply};

/// The text of every 401 of the site, whatever is wrong (CLOUD-2).
pub(crate) const UNAUTHENTICATED: &str = "Client must be authenticated to access this resource.";
/// One text for "unknown" and "not allowed" (CLOUD-8).
pub(crate) const NO_USER: &str = "Specified user does not exist or you do not have required permissions";

/// Jira's error collection.
pub(crate) fn jira(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({"errorMessages": [message], "errors": {}}))
}

/// The organisation API's own; `status` is a string there.
pub(crate) fn organization(status: u16, code: &str, title: &str) -> Reply {
    let error = json!({
        "id": "65e9f0c0-0000-4000-8000-0000000000e1", "code": code, "status": status.to_string(), "title": title,
        "detail": title,
    });
    Reply::json(status, &json!({ "errors": [error] }))
}

/// What the proxy before the organisation API says.
pub(crate) fn proxy(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({"code": status, "message": message}))
}

/// What is answered where the organisation API is not even reached.
pub(crate) fn routing(call: &Call, status: u16, error: &str) -> Reply {
    let path = call.target.split('?').next().unwrap_or_default();
    let body = json!({
        "timestamp": call.at.to_rfc3339(), "path": format!("/api{path}"), "status": status, "error": error,
        "requestId": "4f1d2c3b", "message": "TCS validation failed",
    });
    Reply::json(status, &body)
}

/// The user management API's.
pub(crate) fn manage(status: u16, key: &str, context: Option<Value>) -> Reply {
    let mut body = json!({"key": key, "errorKey": key.replace('.', "-"), "errorDetail": format!("Error: {key}")});
    if let Some(context) = context {
        body["context"] = context;
    }
    Reply::json(status, &body)
}
