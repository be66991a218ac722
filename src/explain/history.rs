//! What happened to a user, in the order of time.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Event;
use super::words::{asked, delivered, done, time};
use crate::store::audit::{Delivery, Query, search};
use crate::store::explain::{Deed, deeds, deliveries};
use crate::store::{StoreError, audit};

/// Of each kind of event, the newest so many.
const MOST: u32 = 40;

/// What is on record about a user's past.
pub(super) struct History {
    /// Changes of the user, the newest first.
    pub(super) deeds: Vec<Deed>,
    /// What was done to Jira, the newest first.
    pub(super) deliveries: Vec<Delivery>,
    /// The delivery that made the account.
    pub(super) creation: Option<Delivery>,
    /// All of it and the requests that named the user, the oldest first.
    pub(super) timeline: Vec<Event>,
}

/// Reads it.
pub(super) async fn history(conn: &mut PgConnection, tenant_id: Uuid, user_id: Uuid) -> Result<History, StoreError> {
    let deeds = deeds(conn, tenant_id, user_id, MOST.into()).await?;
    let deliveries_of = deliveries(conn, tenant_id, user_id, false, MOST.into()).await?;
    let creation = deliveries(conn, tenant_id, user_id, true, 1).await?.pop();
    let query = Query { user: Some(vec![user_id]), ..Query::default() };
    let named = search(conn, &[tenant_id], &query, MOST).await?.rows;
    let mut timeline: Vec<Event> = Vec::new();
    timeline.extend(deeds.iter().map(|deed| Event {
        at: deed.at,
        kind: "change",
        sentence: done(deed),
        request_id: Some(deed.request_id),
    }));
    timeline.extend(deliveries_of.iter().map(|delivery| Event {
        at: delivery.at,
        kind: "delivery",
        sentence: delivered(delivery),
        request_id: delivery.request_id,
    }));
    // What changed the user is there already; who merely read him is no part of his story.
    let tells = |row: &&audit::Row| {
        let reads = matches!(row.method.as_deref(), Some("GET" | "HEAD"));
        !reads && !row.changes.iter().any(|change| change.id == user_id)
    };
    timeline.extend(named.iter().filter(tells).map(|row| Event {
        at: row.at,
        kind: "request",
        sentence: asked(row),
        request_id: Some(row.request_id),
    }));
    timeline.sort_by_key(|event| event.at);
    // Where one kind of them broke off, the others are no whole story before that.
    let broke_off = |full: bool, first: Option<DateTime<Utc>>| first.filter(|_| full);
    let most = MOST as usize;
    let begins = [
        broke_off(deeds.len() == most, deeds.last().map(|deed| deed.at)),
        broke_off(deliveries_of.len() == most, deliveries_of.last().map(|delivery| delivery.at)),
        broke_off(named.len() == most, named.last().map(|row| row.at)),
    ];
    if let Some(at) = begins.into_iter().flatten().max() {
        let sentence = format!("What was before {} is shortened here; the audit has all of it.", time(at));
        let place = timeline.iter().position(|event| event.at >= at).unwrap_or(timeline.len());
        timeline.insert(place, Event { at, kind: "request", sentence, request_id: None });
    }
    Ok(History { deeds, deliveries: deliveries_of, creation, timeline })
}
