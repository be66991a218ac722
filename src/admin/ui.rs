//! The admin page's files and the API's document, compiled in.

use std::sync::OnceLock;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use sha2::{Digest, Sha256};

use super::refusal::Refusal;

/// The OpenAPI document of the API.
pub const DOCUMENT: &str = include_str!("openapi.json");

struct File {
    path: &'static str,
    media: &'static str,
    bytes: &'static [u8],
}

/// A file of `ui/`.
macro_rules! file {
    ($name:literal, $media:literal) => {
        File { path: concat!("/", $name), media: $media, bytes: include_bytes!(concat!("ui/", $name)) }
    };
}

/// All of them; a test holds this to the folder.
const FILES: &[File] = &[
    File { path: "/api/openapi.json", media: "application/json", bytes: DOCUMENT.as_bytes() },
    file!("admin_tokens.js", "text/javascript; charset=utf-8"),
    file!("api.js", "text/javascript; charset=utf-8"),
    file!("app.css", "text/css; charset=utf-8"),
    file!("app.js", "text/javascript; charset=utf-8"),
    file!("audit.js", "text/javascript; charset=utf-8"),
    file!("chart.js", "text/javascript; charset=utf-8"),
    file!("dom.js", "text/javascript; charset=utf-8"),
    file!("drift.js", "text/javascript; charset=utf-8"),
    file!("explain.js", "text/javascript; charset=utf-8"),
    file!("favicon.svg", "image/svg+xml"),
    file!("form.js", "text/javascript; charset=utf-8"),
    file!("idp.js", "text/javascript; charset=utf-8"),
    file!("index.html", "text/html; charset=utf-8"),
    file!("issuers.js", "text/javascript; charset=utf-8"),
    file!("links.js", "text/javascript; charset=utf-8"),
    file!("list.js", "text/javascript; charset=utf-8"),
    file!("log.js", "text/javascript; charset=utf-8"),
    file!("metrics.js", "text/javascript; charset=utf-8"),
    file!("overrides.js", "text/javascript; charset=utf-8"),
    file!("overview.js", "text/javascript; charset=utf-8"),
    file!("people.js", "text/javascript; charset=utf-8"),
    file!("plan.js", "text/javascript; charset=utf-8"),
    file!("policy.js", "text/javascript; charset=utf-8"),
    file!("removal.js", "text/javascript; charset=utf-8"),
    file!("runs.js", "text/javascript; charset=utf-8"),
    file!("signin.js", "text/javascript; charset=utf-8"),
    file!("source_new.js", "text/javascript; charset=utf-8"),
    file!("sources.js", "text/javascript; charset=utf-8"),
    file!("summary.js", "text/javascript; charset=utf-8"),
    file!("targets.js", "text/javascript; charset=utf-8"),
    file!("tenant.js", "text/javascript; charset=utf-8"),
    file!("tenant_new.js", "text/javascript; charset=utf-8"),
    file!("tokens.js", "text/javascript; charset=utf-8"),
    file!("ui.js", "text/javascript; charset=utf-8"),
    file!("waiting.js", "text/javascript; charset=utf-8"),
];

/// What browsers keep a file by.
fn tags() -> &'static [String] {
    static TAGS: OnceLock<Vec<String>> = OnceLock::new();
    let tag = |file: &File| {
        let digest: [u8; 32] = Sha256::digest(file.bytes).into();
        let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("\"{hex}\"")
    };
    TAGS.get_or_init(|| FILES.iter().map(tag).collect())
}

/// A file, or what says that there is none.
pub(super) fn serve(path: &str, method: &Method, headers: &HeaderMap) -> Response {
    let path = if path == "/" { "/index.html" } else { path };
    let Some((file, tag)) = FILES.iter().zip(tags()).find(|(file, _)| file.path == path) else {
        return Refusal::no_such_path().response();
    };
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Refusal::method("GET, HEAD").response();
    }
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known = known.flat_map(|value| value.split(',')).any(|one| one.trim().trim_start_matches("W/") == tag);
    let mut response = Response::new(if is_known { Body::empty() } else { Body::from(file.bytes) });
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(file.media));
    // Asked about each time: a new version of the daemon has new files under the same names.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/ui");
        let there: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| format!("/{}", entry.unwrap().file_name().to_string_lossy()))
            .collect();
        let served: BTreeSet<String> = FILES.iter().skip(1).map(|file| file.path.to_owned()).collect();
        assert_eq!(served, there);
    }

    #[test]
    fn a_file_that_a_browser_has_is_not_sent_again() {
        let first = serve("/", &Method::GET, &HeaderMap::new());
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(serve("/index.html", &Method::GET, &headers).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(serve("/../Cargo.toml", &Method::GET, &HeaderMap::new()).status(), StatusCode::NOT_FOUND);
        assert_eq!(serve("/", &Method::POST, &HeaderMap::new()).status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}
