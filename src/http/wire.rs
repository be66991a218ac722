//! Which version of the protocol a request speaks, told by the path that it came to (S11-36), and all that this changes.
//!
//! There is one engine underneath: requests of either version are understood in either spelling, and answers are made in
//! the form of 2.0 and written anew for 1.1 as the last step.

use std::fmt;
use std::ops::Deref;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::response::Response;
use serde_json::Value;

use crate::scim::bulk::{self, Outcome};
use crate::scim::{ResourceType, ScimError, list_response, v11};

/// A request by POST may mean another method (S11-25, PING-14).
const X_HTTP_METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");

const SCIM_JSON: HeaderValue = HeaderValue::from_static("application/scim+json; charset=utf-8");
/// One client fails where the charset is missing (GEN-4, SLACK-6).
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// SCIM 1.1.
    V1,
    /// SCIM 2.0.
    V2,
}

impl Version {
    /// From a segment of the path.
    pub(super) fn read(segment: &str) -> Option<Self> {
        [Self::V1, Self::V2].into_iter().find(|version| version.as_str() == segment)
    }

    /// From a whole path, whatever a proxy has left before ours; 2.0 where it is none of a tenant's.
    pub(super) fn of_path(path: &str) -> Self {
        let mut segments =
            path.split('/').filter(|segment| !segment.is_empty()).skip_while(|segment| *segment != "scim");
        segments.nth(2).and_then(Self::read).unwrap_or(Self::V2)
    }

    /// The segment of the path.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }

    /// The media type of answers, with a charset (GEN-4).
    pub(super) fn media(self) -> HeaderValue {
        match self {
            Self::V1 => JSON,
            Self::V2 => SCIM_JSON,
        }
    }

    /// What a request by POST really means: under 1.1 a client behind a proxy that knows no PATCH says so in a header.
    /// `None`: what it says.
    ///
    /// # Errors
    /// 400 for a method that cannot be meant.
    pub(super) fn meant(self, method: &Method, headers: &HeaderMap) -> Result<Option<Method>, ScimError> {
        let Some(word) = headers.get(X_HTTP_METHOD_OVERRIDE).filter(|_| self == Self::V1 && *method == Method::POST)
        else {
            return Ok(None);
        };
        let meant = [Method::PATCH, Method::PUT, Method::DELETE, Method::POST]
            .into_iter()
            .find(|method| word.to_str().is_ok_and(|word| word.trim().eq_ignore_ascii_case(method.as_str())));
        let detail = "X-HTTP-Method-Override must be PATCH, PUT, DELETE or POST.";
        meant.map(Some).ok_or_else(|| ScimError::invalid_value(detail))
    }

    /// Refuses a client that reads nothing but XML, which 1.1 makes optional (S11-4, S11-5). Any other `Accept` is content
    /// with JSON (GEN-3).
    ///
    /// # Errors
    /// 406.
    pub(super) fn check_accept(self, headers: &HeaderMap) -> Result<(), ScimError> {
        let mut listed = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
        let mut media = listed
            .by_ref()
            .flat_map(|line| line.split(','))
            .map(|range| range.split(';').next().unwrap_or_default().trim())
            .filter(|media| !media.is_empty())
            .peekable();
        let only_xml = media.peek().is_some() && media.all(is_xml);
        if self == Self::V1 && only_xml { Err(json_only()) } else { Ok(()) }
    }

    /// The body of a request as the engine takes it.
    ///
    /// # Errors
    /// 400 `invalidValue` for an `operation` that is none.
    pub(super) fn body(self, method: &Method, body: Value) -> Result<Value, ScimError> {
        match self {
            // What entries say of their operation is what a PATCH is about.
            Self::V1 if *method != Method::PATCH => v11::read(body),
            Self::V1 | Self::V2 => Ok(body),
        }
    }

    /// A resource.
    pub(super) fn resource(self, kind: &ResourceType, document: Value) -> Value {
        match self {
            Self::V1 => v11::resource(kind, document),
            Self::V2 => document,
        }
    }

    /// A page of resources.
    pub(super) fn list(self, resources: Vec<Value>, total: u64, start_index: u64) -> Value {
        match self {
            Self::V1 => v11::list(resources, total, start_index),
            Self::V2 => list_response(resources, total, start_index),
        }
    }

    /// What became of the operations of a Bulk.
    pub(super) fn bulk(self, outcomes: Vec<Outcome>) -> Value {
        match self {
            Self::V1 => v11::bulk_response(outcomes),
            Self::V2 => bulk::response(outcomes),
        }
    }

    /// The error envelope.
    pub(super) fn error(self, error: &ScimError) -> Value {
        match self {
            Self::V1 => v11::error(error),
            Self::V2 => error.body(),
        }
    }

    /// Gives an answer, made as one of 2.0, its own media type.
    pub(super) fn label(self, response: &mut Response) {
        if self == Self::V1
            && let Some(media) = response.headers_mut().get_mut(header::CONTENT_TYPE)
        {
            *media = self.media();
        }
    }
}

/// 406: the client wants XML.
pub(super) fn json_only() -> ScimError {
    let detail = "This server answers in JSON only (xmlDataFormat is not supported).".to_owned();
    ScimError { status: 406, scim_type: None, detail }
}

fn is_xml(media: &str) -> bool {
    let subtype = media.split_once('/').map_or(media, |(_, subtype)| subtype);
    subtype.eq_ignore_ascii_case("xml") || subtype.to_ascii_lowercase().ends_with("+xml")
}

/// The base URL that a client uses: `{public_url}/scim/{tenant}/{version}`.
#[derive(Clone, Debug)]
pub(super) struct Base {
    url: String,
    version: Version,
}

impl Base {
    /// The base of a tenant below a public URL without a slash at its end.
    pub(super) fn new(public: &str, slug: &str, version: Version) -> Self {
        Self { url: format!("{public}/scim/{slug}/{}", version.as_str()), version }
    }

    /// The version that the client speaks.
    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// The URL, without a slash at its end.
    pub(super) fn as_str(&self) -> &str {
        &self.url
    }
}

impl Deref for Base {
    type Target = str;

    fn deref(&self) -> &str {
        &self.url
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn headers(name: HeaderName, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name.clone(), line.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_path_tells_the_version() {
        for (path, version) in [
            ("/scim/acme/v1/Users", Version::V1),
            ("/prefix//scim/acme/v1", Version::V1),
            ("/scim/v1/v2/Users", Version::V2),
            ("/scim/acme/v3/Users", Version::V2),
            ("/livez", Version::V2),
            ("", Version::V2),
        ] {
            assert_eq!(Version::of_path(path), version, "{path}");
        }
    }

    #[test]
    fn another_method_can_be_meant_by_a_post_of_1_1_only() {
        let with = |word: &str| headers(X_HTTP_METHOD_OVERRIDE, &[word]);
        let meant = |version: Version, method: Method, word: &str| version.meant(&method, &with(word));
        assert_eq!(meant(Version::V1, Method::POST, "PATCH"), Ok(Some(Method::PATCH)));
        assert_eq!(meant(Version::V1, Method::POST, " delete"), Ok(Some(Method::DELETE)));
        assert_eq!(meant(Version::V1, Method::POST, "Put"), Ok(Some(Method::PUT)));
        assert_eq!(meant(Version::V1, Method::POST, "GET").unwrap_err().status, 400);
        assert_eq!(meant(Version::V1, Method::POST, "\u{e9}").unwrap_err().status, 400);
        assert_eq!(meant(Version::V1, Method::GET, "DELETE"), Ok(None));
        assert_eq!(meant(Version::V2, Method::POST, "DELETE"), Ok(None));
        assert_eq!(Version::V1.meant(&Method::POST, &HeaderMap::new()), Ok(None));
    }

    #[test]
    fn only_who_reads_nothing_but_xml_is_refused() {
        let table: [(&[&str], bool); 10] = [
            (&[], true),
            (&[""], true),
            (&["*/*"], true),
            (&["application/json"], true),
            (&["text/plain"], true),
            (&["application/xml, application/json;q=0.5"], true),
            (&["application/xml", "*/*;q=0.1"], true),
            (&["application/xml"], false),
            (&["Text/XML; q=0.9, application/scim+xml"], false),
            (&["application/xml", "text/xml"], false),
        ];
        for (lines, content) in table {
            let headers = headers(header::ACCEPT, lines);
            let answer = Version::V1.check_accept(&headers).map_err(|error| error.status);
            assert_eq!(answer, if content { Ok(()) } else { Err(406) }, "{lines:?}");
            assert_eq!(Version::V2.check_accept(&headers), Ok(()), "{lines:?}");
        }
    }
}
