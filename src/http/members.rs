//! Members of groups in answers: a page of them at a time, so that a group of a hundred thousand is never in memory.
//!
//! Small groups are answered in one piece. Where a group has more members than were read with it, the answer is sent
//! piece by piece, and each page of members is its own read: who is a member all the while is listed exactly once.

use std::collections::VecDeque;
use std::io;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Exchange;
use crate::directory::{Directory, MemberRef};
use crate::scim::{self, Projection};
use crate::telemetry::Chain;

/// The members of a group that the answer does not hold yet.
pub(super) struct Rest {
    group: Uuid,
    after: Uuid,
}

/// A part of a body.
enum Piece {
    Text(Vec<u8>),
    Members(Rest),
}

/// A JSON document on its way out, some of whose groups are longer than what was read of them.
#[derive(Default)]
pub(super) struct Pieces(VecDeque<Piece>);

impl Pieces {
    pub(super) fn text(&mut self, text: impl Into<Vec<u8>>) {
        match self.0.back_mut() {
            Some(Piece::Text(before)) => before.extend(text.into()),
            _ => self.0.push_back(Piece::Text(text.into())),
        }
    }

    /// A group's document whose `members` go on behind the last of them.
    pub(super) fn group(&mut self, mut document: Value, group: Uuid, after: Uuid) {
        let members = document.as_object_mut().and_then(|document| document.remove("members"));
        let mut text = printed(&document);
        // The document has `schemas` and `id`, so there is something before the comma.
        text.pop();
        text.extend(b",\"members\":");
        text.extend(printed(&members.unwrap_or_else(|| Value::Array(Vec::new()))));
        text.pop();
        self.text(text);
        self.0.push_back(Piece::Members(Rest { group, after }));
        self.text("]}");
    }

    /// A document as it is.
    pub(super) fn document(&mut self, document: &Value) {
        self.text(printed(document));
    }

    /// A list answer, its envelope without any resources.
    pub(super) fn list(resources: Vec<(Option<(Uuid, Uuid)>, Value)>, mut envelope: Value) -> Self {
        let mut pieces = Self::default();
        if let Some(envelope) = envelope.as_object_mut() {
            envelope.remove("Resources");
            envelope.insert("itemsPerPage".to_owned(), resources.len().into());
        }
        let mut envelope = printed(&envelope);
        envelope.pop();
        envelope.extend(b",\"Resources\":[");
        pieces.text(envelope);
        for (at, (rest, document)) in resources.into_iter().enumerate() {
            if at > 0 {
                pieces.text(",");
            }
            match rest {
                Some((group, after)) => pieces.group(document, group, after),
                None => pieces.document(&document),
            }
        }
        pieces.text("]}");
        pieces
    }

    /// The body. A failing store ends it early, which the client sees as a broken connection and not as a short list.
    pub(super) fn body(self, exchange: &Exchange<'_>, projection: &Projection) -> Body {
        let source = Source {
            directory: exchange.state.directory.clone(),
            tenant_id: exchange.caller.tenant.id,
            base: exchange.base.to_string(),
            projection: projection.clone(),
        };
        Body::from_stream(stream::try_unfold((self.0, source), |(mut pieces, source)| async move {
            let text = match pieces.pop_front() {
                None => return Ok(None),
                Some(Piece::Text(text)) => text,
                Some(Piece::Members(rest)) => {
                    let page = source.page(&rest).await?;
                    if let Some(last) = page.last() {
                        pieces.push_front(Piece::Members(Rest { group: rest.group, after: last.id }));
                    }
                    source.printed(&page)
                }
            };
            Ok::<_, io::Error>(Some((Bytes::from(text), (pieces, source))))
        }))
    }
}

/// Where the rest of the members comes from, and how it is shown.
struct Source {
    directory: Directory,
    tenant_id: Uuid,
    base: String,
    projection: Projection,
}

impl Source {
    async fn page(&self, rest: &Rest) -> io::Result<Vec<MemberRef>> {
        self.directory.members_after(self.tenant_id, rest.group, rest.after).await.map_err(|error| {
            tracing::error!(error = %Chain(&error), "an answer is broken off: the members of a group cannot be read");
            io::Error::other("the store failed")
        })
    }

    /// `,{...},{...}`
    fn printed(&self, page: &[MemberRef]) -> Vec<u8> {
        let mut document = Map::new();
        document.insert("members".to_owned(), page.iter().map(|member| shown(member, &self.base)).collect());
        self.projection.apply(scim::group(), &mut document);
        let mut text = Vec::new();
        for member in document.get("members").and_then(Value::as_array).into_iter().flatten() {
            text.push(b',');
            text.extend(printed(member));
        }
        text
    }
}

/// A member with what we know about it; clients send its `value` alone.
pub(super) fn shown(member: &MemberRef, base: &str) -> Value {
    let (kind, endpoint) = if member.is_group { ("Group", "Groups") } else { ("User", "Users") };
    let mut object = Map::new();
    object.insert("value".into(), member.id.to_string().into());
    object.insert("$ref".into(), format!("{base}/{endpoint}/{}", member.id).into());
    object.insert("type".into(), kind.into());
    if let Some(display) = &member.display {
        object.insert("display".into(), display.clone().into());
    }
    Value::Object(object)
}

/// Printing a `Value` into memory cannot fail.
fn printed(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BASE: &str = "https://scim.example/scim/acme/v2";

    #[test]
    fn a_member_is_shown_with_its_kind_and_address() {
        let member = MemberRef { id: Uuid::from_u128(9), display: None, is_group: true };
        let id = "00000000-0000-0000-0000-000000000009";
        assert_eq!(shown(&member, BASE), json!({"value": id, "$ref": format!("{BASE}/Groups/{id}"), "type": "Group"}));
    }
}
