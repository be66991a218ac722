//! Another SCIM server as a source, in version 1.1 or 2.0. Reads only.
//!
//! `client` asks one question over HTTP, `reading` asks page by page, `document` makes what the store is fed with of an answer.

mod client;
mod document;
mod reading;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value;

use self::client::{Client, Heard};
use self::document::{Mapping, group_place, is_like};
use self::reading::{Listing, Search};
use super::source::{Reading, Source, SourceError, Wanted, WantedGroups};
use crate::config::{ScimConfig, ScimPaging, ScimVersion};
use crate::scim::urn;

/// A SCIM server.
pub struct Scim(Arc<Server>);

/// What is known of it.
struct Server {
    config: ScimConfig,
    mapping: Mapping,
    client: Client,
}

/// What it says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Able {
    version: ScimVersion,
    /// Filters are understood.
    filters: bool,
    /// Pages are asked for by cursor.
    cursor: bool,
    /// The most that it gives at once, where it says so.
    most: Option<u64>,
}

impl Scim {
    /// A server of the configuration; nothing is asked yet.
    ///
    /// # Errors
    /// [`SourceError::Unusable`]: an attribute or a file cannot be used.
    pub fn new(config: &ScimConfig) -> Result<Self, SourceError> {
        let mapping = Mapping::new(&config.attributes).map_err(SourceError::Unusable)?;
        Ok(Self(Arc::new(Server { config: config.clone(), mapping, client: Client::new(config)? })))
    }

    async fn begin(&self, search: Search) -> Result<Box<dyn Reading>, SourceError> {
        let able = self.0.able().await?;
        Ok(Box::new(Listing::new(Arc::clone(&self.0), able, search)?))
    }
}

impl Source for Scim {
    fn people<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<Box<dyn Reading>, SourceError>> {
        Box::pin(self.begin(Search::people(wanted)))
    }

    fn groups<'a>(&'a self, wanted: &'a WantedGroups) -> BoxFuture<'a, Result<Box<dyn Reading>, SourceError>> {
        Box::pin(self.begin(Search::groups(wanted)))
    }

    fn place(&self, written: &str) -> Result<String, String> {
        match written.trim() {
            "" => Err("\"\" is no id of a group".to_owned()),
            id => Ok(group_place(id)),
        }
    }

    fn address(&self) -> String {
        self.0.config.url.clone()
    }
}

impl Server {
    /// Asks what it can. A server of a version that is configured may keep silent about that.
    async fn able(&self) -> Result<Able, SourceError> {
        let (wanted, paging) = (self.config.version, self.config.paging);
        let silent = |version| Able { version, filters: true, cursor: paging == ScimPaging::Cursor, most: None };
        let path = match wanted {
            Some(ScimVersion::V1) => "ServiceProviderConfigs",
            Some(ScimVersion::V2) | None => "ServiceProviderConfig",
        };
        let mut heard = self.client.get(wanted, &[path], &[]).await;
        if wanted.is_none() && matches!(heard, Ok(Heard::Missing)) {
            heard = self.client.get(wanted, &["ServiceProviderConfigs"], &[]).await;
        }
        let document = match (wanted, heard) {
            (_, Ok(Heard::Body(bytes))) => serde_json::from_slice::<Value>(&bytes).ok().filter(Value::is_object),
            (_, Err(error @ (SourceError::Unreachable { .. } | SourceError::Denied { .. }))) => return Err(error),
            (_, Ok(Heard::Later(_))) => return Err(self.client.unreachable("it is too busy to answer".to_owned())),
            (Some(_), _) => None,
            (None, Err(error)) => return Err(error),
            (None, Ok(Heard::Missing)) => None,
        };
        match (wanted, document) {
            (Some(version), None) => Ok(silent(version)),
            (None, None) => Err(SourceError::Unusable(format!(
                "{} does not say which version of SCIM it speaks (ServiceProviderConfig): give version, or another url",
                self.config.url
            ))),
            (wanted, Some(document)) => Ok(able(&document, wanted, paging)),
        }
    }
}

fn able(document: &Value, wanted: Option<ScimVersion>, paging: ScimPaging) -> Able {
    let schemas = document["schemas"].as_array().map(Vec::as_slice).unwrap_or_default();
    let old = schemas.iter().filter_map(Value::as_str).any(|schema| is_like(schema, urn::CORE_1));
    let version = wanted.unwrap_or(if old { ScimVersion::V1 } else { ScimVersion::V2 });
    let offered = document["pagination"]["cursor"].as_bool().unwrap_or_default();
    Able {
        version,
        filters: document["filter"]["supported"].as_bool().unwrap_or(true),
        cursor: match paging {
            ScimPaging::Index => false,
            ScimPaging::Cursor => true,
            ScimPaging::Auto => version == ScimVersion::V2 && offered,
        },
        most: document["filter"]["maxResults"].as_u64().filter(|most| *most > 0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_server_says_what_it_can() {
        let new = json!({ "schemas": [urn::SERVICE_PROVIDER_CONFIG], "filter": { "supported": true, "maxResults": 100 },
            "pagination": { "cursor": true } });
        let old = json!({ "schemas": [urn::CORE_1], "filter": { "supported": false, "maxResults": 0 } });
        let of = |document: &Value, paging| able(document, None, paging);
        let v2 = Able { version: ScimVersion::V2, filters: true, cursor: true, most: Some(100) };
        assert_eq!(of(&new, ScimPaging::Auto), v2);
        assert_eq!(of(&new, ScimPaging::Index), Able { cursor: false, ..v2 });
        assert_eq!(
            of(&old, ScimPaging::Auto),
            Able { version: ScimVersion::V1, filters: false, cursor: false, most: None }
        );
        assert_eq!(
            of(&json!({}), ScimPaging::Auto),
            Able { version: ScimVersion::V2, filters: true, cursor: false, most: None }
        );
    }
}
