//! The body of a write: read within bounds, and turned into JSON that every later layer can take.
//!
//! Read as it arrives and refused as soon as it is too large. Nothing is said here about what the JSON means.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::Value;

use super::error::Failure;
use super::group_body::{Parser, holds_too_much};
use crate::scim::ScimError;
use crate::store::jsonb;

/// How many bytes of a body that is too large are thrown away so that the client, still sending, reads the answer
/// instead of a reset connection.
const DRAIN: usize = 8 << 20;

/// What a request carries.
pub(super) enum Payload<'a> {
    /// It is still on its way.
    Arriving(&'a HeaderMap, Body),
    /// It came inside another request.
    Read(Value),
}

impl Payload<'_> {
    /// The JSON; a body that is still on its way has at most so many bytes and arrives within `patience`.
    ///
    /// # Errors
    /// 400 `invalidSyntax`, 408, 413 or 415.
    pub(super) async fn read(self, size: Size, patience: Duration) -> Result<Value, Failure> {
        match self {
            Self::Arriving(headers, body) => read(headers, body, size, patience).await,
            Self::Read(value) => Ok(value),
        }
    }
}

/// How large a body may be, in bytes, and hence how it is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Size {
    /// Collected, then parsed.
    Small { limit: usize },
    /// Parsed while it arrives, members cut down to their ids; see [`super::group_body`].
    Large { limit: usize },
}

/// Large bodies up to this size are collected all the same: that is quicker.
const COLLECTED: usize = 64 << 10;

async fn read(headers: &HeaderMap, body: Body, size: Size, patience: Duration) -> Result<Value, Failure> {
    check_content_type(headers)?;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    let (Size::Small { limit } | Size::Large { limit }) = size;
    let sink = match size {
        Size::Large { .. } if announced.is_none_or(|length| length > COLLECTED) => None,
        Size::Small { .. } | Size::Large { .. } => {
            Some(Sink::Collected(Vec::with_capacity(announced.unwrap_or(0).min(limit))))
        }
    };
    let reading = async {
        let mut sink = match sink {
            Some(sink) => sink,
            None => Sink::Parsed(Parser::start().await),
        };
        arriving(headers, announced, body, limit, &mut sink).await?;
        sink.value().await
    };
    tokio::time::timeout(patience, reading).await.unwrap_or_else(|_| Err(Failure::body_timed_out()))
}

/// Where a body goes.
enum Sink {
    Collected(Vec<u8>),
    Parsed(Parser),
}

impl Sink {
    async fn take(&mut self, chunk: Bytes) {
        match self {
            Self::Collected(bytes) => bytes.extend_from_slice(&chunk),
            Self::Parsed(parser) => parser.feed(chunk).await,
        }
    }

    /// What the whole body says.
    async fn value(self) -> Result<Value, Failure> {
        match self {
            Self::Collected(bytes) => Ok(parse(&bytes)?),
            Self::Parsed(parser) => {
                let parsed = parser.finish().await.ok_or_else(Failure::internal)?;
                let value = parsed.map_err(|e| if holds_too_much(&e) { too_many() } else { not_json(&e) })?;
                if jsonb::holds_nul(&value) {
                    return Err(nul().into());
                }
                Ok(within_bounds(value)?)
            }
        }
    }
}

/// Hands over the body as it arrives, of at most `limit` bytes.
async fn arriving(
    headers: &HeaderMap,
    announced: Option<usize>,
    body: Body,
    limit: usize,
    sink: &mut Sink,
) -> Result<(), Failure> {
    let mut stream = body.into_data_stream();
    if announced.is_some_and(|length| length > limit) {
        // A client that waits for `100 Continue` has sent nothing yet and need not.
        if !headers.contains_key(header::EXPECT) {
            drain(&mut stream).await;
        }
        return Err(too_large(limit));
    }
    let mut length = 0;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| ScimError::invalid_syntax("The body ended before it was complete."))?;
        length += chunk.len();
        if length > limit {
            drain(&mut stream).await;
            return Err(too_large(limit));
        }
        sink.take(chunk).await;
    }
    Ok(())
}

async fn drain(stream: &mut BodyDataStream) {
    let mut left = DRAIN;
    while let Some(Ok(chunk)) = stream.next().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

fn too_large(limit: usize) -> Failure {
    ScimError::too_large(format!("The body is larger than {limit} bytes.")).into()
}

/// JSON under either of its names, with or without a charset, or no content type at all (GEN-1).
fn check_content_type(headers: &HeaderMap) -> Result<(), ScimError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let text = value.to_str().unwrap_or("?");
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let known = ["", "application/scim+json", "application/json"].iter().any(|known| media.eq_ignore_ascii_case(known));
    let charset = parts
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    let readable = charset.is_none_or(|(_, charset)| {
        let charset = charset.trim().trim_matches('"');
        ["utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known))
    });
    if known && readable {
        return Ok(());
    }
    Err(ScimError::unsupported_media("The content type must be application/scim+json or application/json, in UTF-8."))
}

/// The JSON of a body. Nesting is bounded by the parser (128 levels); a NUL, which no attribute and no column can
/// hold, is refused wherever it stands.
fn parse(bytes: &[u8]) -> Result<Value, ScimError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ScimError::invalid_syntax("The body is empty."));
    }
    let value = serde_json::from_slice(bytes).map_err(|e| not_json(&e))?;
    // In JSON a NUL can only stand as this escape, so that nearly every body is done after one scan.
    if may_hold_nul(bytes) && jsonb::holds_nul(&value) {
        return Err(nul());
    }
    within_bounds(value)
}

/// A number that is too large comes back from the store as none at all.
fn within_bounds(value: Value) -> Result<Value, ScimError> {
    match jsonb::beyond(&value) {
        None => Ok(value),
        Some(place) if place.is_empty() => Err(ScimError::invalid_value("The number is too large: 1e300 at most.")),
        Some(place) => Err(ScimError::invalid_value(format!("{place}: the number is too large: 1e300 at most."))),
    }
}

fn not_json(e: &serde_json::Error) -> ScimError {
    // Only the place: the parser's own words may repeat what the client sent.
    ScimError::invalid_syntax(format!("The body is not valid JSON: line {}, column {}.", e.line(), e.column()))
}

fn too_many() -> ScimError {
    ScimError::too_large("The body holds more values than a group can need.")
}

fn nul() -> ScimError {
    ScimError::invalid_value("The body contains a NUL character.")
}

fn may_hold_nul(bytes: &[u8]) -> bool {
    bytes.windows(6).any(|window| window[0] == b'\\' && window == b"\\u0000")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::scim::ScimType;

    const PATIENCE: Duration = Duration::from_secs(30);
    const THOUSAND: Size = Size::Large { limit: 1000 };

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn json_is_welcome_under_every_name_that_clients_use() {
        let table = [
            ("application/scim+json", true),
            ("application/json", true),
            ("Application/JSON;charset=UTF-8", true),
            ("application/scim+json; charset=\"utf-8\"", true),
            ("application/json; odata=verbose", true),
            ("", true),
            ("application/json; charset=iso-8859-1", false),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("application/xml", false),
        ];
        for (text, welcome) in table {
            let answer = check_content_type(&headers(&[(header::CONTENT_TYPE, text)]));
            assert_eq!(answer.map_err(|e| e.status), if welcome { Ok(()) } else { Err(415) }, "{text}");
        }
        assert!(check_content_type(&HeaderMap::new()).is_ok());
    }

    #[test]
    fn what_is_not_json_is_invalid_syntax() {
        let deep = "[".repeat(100_000);
        let table: [&[u8]; 9] = [
            b"",
            b" \n",
            b"{",
            b"{\"a\":1,}",
            b"{\"a\":\"\xff\"}",
            b"{\"a\":\"\\ud800\"}",
            b"{\"a\":\"\0\"}",
            b"{\"a\":1e999}",
            deep.as_bytes(),
        ];
        for bytes in table {
            let error = parse(bytes).unwrap_err();
            assert_eq!((error.status, error.scim_type), (400, Some(ScimType::InvalidSyntax)), "{error}");
        }
        assert!(parse(b"{\n \"a\" 1}").unwrap_err().detail.contains("line 2"));
    }

    #[test]
    fn a_nul_is_refused_wherever_it_stands_and_its_spelling_is_not() {
        for text in [r#"{"a":"x\u0000"}"#, r#"{"\u0000":1}"#, r#"[{"a":["\u0000"]}]"#] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().status, 400, "{text}");
        }
        assert!(parse(br#"{"a":"\\u0000"}"#).is_ok());
    }

    #[tokio::test]
    async fn a_number_that_the_store_would_not_give_back_is_refused_by_its_name() {
        let text = r#"{"Operations":[{"op":"add","value":{"weight":-1.7e308}}]}"#;
        for size in [Size::Small { limit: 1 << 20 }, Size::Large { limit: 1 << 20 }] {
            let failure = read(&HeaderMap::new(), Body::from(text), size, PATIENCE).await.unwrap_err();
            let body = failure.body();
            assert_eq!((failure.status(), body["scimType"].as_str()), (400, Some("invalidValue")), "{body}");
            assert!(body["detail"].as_str().unwrap().starts_with("Operations[0].value.weight: "), "{body}");
        }
        assert!(parse(br#"{"a":[1e300,18446744073709551615,1e-308]}"#).is_ok());
    }

    #[tokio::test]
    async fn a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
        let text = r#"{"a":"bcd"}"#;
        for size in [|limit| Size::Small { limit }, |limit| Size::Large { limit }] {
            assert!(read(&HeaderMap::new(), Body::from(text), size(text.len()), PATIENCE).await.is_ok());
            let failure = read(&HeaderMap::new(), Body::from(text), size(text.len() - 1), PATIENCE).await.unwrap_err();
            assert_eq!(failure.status(), 413);
        }
    }

    #[tokio::test]
    async fn an_announced_length_is_refused_before_the_body_comes() {
        let headers = headers(&[(header::CONTENT_LENGTH, "3000000"), (header::EXPECT, "100-continue")]);
        let never = Body::from_stream(futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>());
        assert_eq!(read(&headers, never, THOUSAND, PATIENCE).await.unwrap_err().status(), 413);
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_408() {
        let never = Body::from_stream(futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>());
        assert_eq!(read(&HeaderMap::new(), never, THOUSAND, Duration::ZERO).await.unwrap_err().status(), 408);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_the_clients_fault() {
        let broken = Body::from_stream(futures_util::stream::iter([
            Ok(bytes::Bytes::from_static(b"{")),
            Err(std::io::Error::other("reset")),
        ]));
        assert_eq!(read(&HeaderMap::new(), broken, THOUSAND, PATIENCE).await.unwrap_err().status(), 400);
    }
}
