//! One request of an administrator, taken apart: who asks, what for, with which parameters and body.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use uuid::Uuid;

use super::AdminState;
use super::door::Identity;
use super::recording::Notes;
use super::refusal::Refusal;
use crate::account::fold;
use crate::listen::Client;
use crate::store::by_hand;
use crate::store::jsonb::holds_nul;
use crate::store::tenant::{self, Origin, Tenant};

/// The items of a page where nobody says, and at most.
const LIMIT: (i64, i64) = (100, 500);
/// The longest name that is looked for.
const NAME: usize = 1000;

/// See the module.
pub(super) struct Call {
    pub(super) state: Arc<AdminState>,
    /// `None` for signing in.
    pub(super) who: Option<Identity>,
    pub(super) client: Client,
    pub(super) request_id: Uuid,
    pub(super) now: DateTime<Utc>,
    /// `admin:LABEL`.
    pub(super) actor: String,
    pub(super) params: Vec<(&'static str, String)>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Option<Value>,
    /// What goes on record of it.
    pub(super) notes: Notes,
}

impl Call {
    /// Who asks, for the audit.
    pub(super) fn origin(&self) -> Origin<'_> {
        Origin { actor: &self.actor, request_id: self.request_id, at: self.now }
    }

    /// A connection to the store.
    pub(super) async fn conn(&self) -> Result<PoolConnection<Postgres>, Refusal> {
        Ok(self.state.store.pool().acquire().await?)
    }

    /// A part of the path.
    pub(super) fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// The id in the path.
    pub(super) fn id(&self) -> Result<Uuid, Refusal> {
        Uuid::parse_str(self.param("id")).map_err(|_| Refusal::parameter("id", "The id is no UUID."))
    }

    /// The tenant in the path.
    pub(super) async fn tenant(&self) -> Result<Tenant, Refusal> {
        let slug = self.param("slug");
        let missing = || Refusal::missing("no-such-tenant", format!("There is no tenant {}.", shown(slug)));
        if !crate::config::is_slug(slug) {
            return Err(missing());
        }
        let tenant = tenant::get(self.state.store.pool(), slug).await?.ok_or_else(missing)?;
        self.notes.tenant(&tenant);
        Ok(tenant)
    }

    /// A parameter of the query.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut all = self.query.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        match (all.next(), all.next()) {
            (_, Some(_)) => Err(Refusal::parameter(name, format!("{name} is given twice."))),
            (Some(text), None) if text.chars().count() > 2 * NAME || text.contains('\0') => {
                Err(Refusal::parameter(name, format!("{name} is too long, or holds what no text may.")))
            }
            (found, None) => Ok(found),
        }
    }

    /// A parameter that is a word of a set, or several.
    pub(super) fn words<T: Copy>(&self, name: &str, known: &[(&str, T)]) -> Result<Vec<T>, Refusal> {
        let given = self.query.iter().filter(|(key, _)| key == name).flat_map(|(_, value)| value.split(','));
        given
            .map(|word| {
                known.iter().find(|(known, _)| *known == word).map(|(_, value)| *value).ok_or_else(|| {
                    let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
                    Refusal::parameter(name, format!("{name} must be one of {}.", words.join(", ")))
                })
            })
            .collect()
    }

    /// A parameter that is one word of a set.
    pub(super) fn word<T: Copy>(&self, name: &str, known: &[(&str, T)]) -> Result<Option<T>, Refusal> {
        self.text(name)?;
        let mut found = self.words(name, known)?;
        match found.len() {
            0 | 1 => Ok(found.pop()),
            _ => Err(Refusal::parameter(name, format!("{name} is one word."))),
        }
    }

    /// A parameter that is `true` or `false`.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        Ok(self.word(name, &[("true", true), ("false", false)])?.unwrap_or_default())
    }

    /// A parameter that is a whole number.
    pub(super) fn number(&self, name: &str, from: i64, to: i64) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let number = text.parse().ok().filter(|number| (from..=to).contains(number));
        number
            .map(Some)
            .ok_or_else(|| Refusal::parameter(name, format!("{name} must be a whole number between {from} and {to}.")))
    }

    /// A parameter that is a time.
    pub(super) fn time(&self, name: &str) -> Result<Option<DateTime<Utc>>, Refusal> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let at = DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc()).filter(|at| is_storable(*at));
        at.map(Some).ok_or_else(|| Refusal::parameter(name, format!("{name} must be a time (2026-03-31T18:00:00Z).")))
    }

    /// How many items a page is to have.
    pub(super) fn limit(&self) -> Result<i64, Refusal> {
        Ok(self.number("limit", 1, LIMIT.1)?.unwrap_or(LIMIT.0))
    }

    /// Where the page before ended.
    pub(super) fn cursor<T: DeserializeOwned>(&self) -> Result<Option<T>, Refusal> {
        let Some(text) = self.text("cursor")? else { return Ok(None) };
        let value = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        let read = value.filter(|value| !holds_nul(value)).and_then(|value| serde_json::from_value(value).ok());
        read.map(Some).ok_or_else(|| Refusal::parameter("cursor", "cursor must be what next was before."))
    }

    /// The body.
    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let body = self.body.as_ref().ok_or_else(|| Refusal::json("The body is empty."))?;
        serde_path_to_error::deserialize(body).map_err(|error| {
            let path = error.path().to_string();
            // What serde says of a value may repeat it, which may be a secret: only of an object's keys it is told.
            let inner = error.inner().to_string();
            let known =
                ["unknown field", "missing field", "unknown variant"].iter().any(|begin| inner.starts_with(begin));
            let what = if known { inner } else { "this is not what the document says".to_owned() };
            // What is missing is named only in the words.
            let missing = what.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
            if let Some(name) = missing {
                let place = if path == "." { name.to_owned() } else { format!("{path}.{name}") };
                return Refusal::value(&place, format!("{place} is missing."));
            }
            match path.as_str() {
                "." => Refusal::unprocessable("invalid-value", format!("The body: {what}.")),
                path => Refusal::value(path, format!("{path}: {what}.")),
            }
        })
    }

    /// The one user of the tenant whom a name or an id means.
    pub(super) async fn user(&self, tenant: &Tenant, field: &str, name: &str) -> Result<Uuid, Refusal> {
        let mut found = self.users(tenant, field, name).await?;
        match (found.pop(), found.is_empty()) {
            (Some(id), true) => Ok(id),
            (Some(_), false) => {
                let message = format!("{} may be one of several people; give the id.", shown(name));
                Err(Refusal::conflict("several-users", message).at(field))
            }
            (None, _) => Err(Refusal::missing("no-such-user", format!("There is no user {}.", shown(name))).at(field)),
        }
    }

    /// Everybody of the tenant whom a name or an id means.
    async fn users(&self, tenant: &Tenant, field: &str, name: &str) -> Result<Vec<Uuid>, Refusal> {
        checked_name(field, name)?;
        let mut conn = self.conn().await?;
        let found = by_hand::users_named(&mut conn, tenant.id, Uuid::parse_str(name).ok(), &fold(name)).await?;
        found.iter().for_each(|id| self.notes.subject(*id));
        Ok(found)
    }

    /// The user that the query names, if it names one.
    pub(super) async fn user_in_query(&self, tenant: &Tenant) -> Result<Option<Uuid>, Refusal> {
        match self.text("user")? {
            Some(name) => Ok(Some(self.user(tenant, "user", name).await?)),
            None => Ok(None),
        }
    }
}

/// A name that may be looked for.
pub(super) fn checked_name<'a>(field: &str, name: &'a str) -> Result<&'a str, Refusal> {
    match name.trim().is_empty() || name.chars().count() > NAME || name.contains('\0') {
        true => Err(Refusal::value(field, format!("{field} must be a name or an id."))),
        false => Ok(name),
    }
}

/// Whether PostgreSQL can keep a time; chrono knows more years than it.
pub(super) fn is_storable(at: DateTime<Utc>) -> bool {
    (-62_135_596_800..=253_402_300_799).contains(&at.timestamp())
}

/// Where a page ends, as clients carry it.
pub(super) fn place<T: Serialize>(place: &T) -> Option<String> {
    serde_json::to_vec(place).ok().map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
}

/// Text of a client's in a sentence: short, and without what steers a terminal.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(100).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
