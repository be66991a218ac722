//! Puts requests on record, many in one statement.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::words::words_of;
use super::{NOBODY, NewRequest, Side, Whose};
use crate::store::StoreError;
use crate::store::jsonb::Loose;

/// A batch as columns, which is how the database takes it.
#[derive(Default)]
struct Columns {
    tenants: Vec<Option<Uuid>>,
    slugs: Vec<Option<String>>,
    at: Vec<DateTime<Utc>>,
    ids: Vec<Uuid>,
    request_ids: Vec<Uuid>,
    given: Vec<Option<String>>,
    sides: Vec<String>,
    actors: Vec<String>,
    remotes: Vec<Option<String>>,
    methods: Vec<String>,
    paths: Vec<String>,
    statuses: Vec<Option<i16>>,
    durations: Vec<i32>,
    changed: Vec<bool>,
    bodies: Vec<Option<Value>>,
    errors: Vec<Option<String>>,
    words: Vec<String>,
}

impl Columns {
    fn add(&mut self, request: &NewRequest) {
        let (tenant, slug) = match &request.whose {
            Whose::Tenant(id) => (Some(*id), None),
            Whose::Named(slug) => (None, Some(slug.clone())),
            Whose::Nobody => (None, None),
        };
        self.tenants.push(tenant);
        self.slugs.push(slug);
        self.at.push(request.at);
        self.ids.push(Uuid::now_v7());
        self.request_ids.push(request.request_id);
        self.given.push(request.given.clone());
        self.sides.push(request.side.as_str().to_owned());
        self.actors.push(request.actor.clone());
        self.remotes.push(request.remote.clone());
        self.methods.push(request.method.clone());
        self.paths.push(request.path.clone());
        self.statuses.push(request.status.and_then(|status| i16::try_from(status).ok()));
        self.durations.push(i32::try_from(request.duration.as_micros()).unwrap_or(i32::MAX));
        self.changed.push(request.changed);
        let kept = request.body.as_deref().filter(|_| request.keeps_body);
        self.bodies.push(kept.cloned());
        self.errors.push(request.error.as_ref().map(|error| error.replace('\0', "")));
        self.words.push(words_of(request).into_iter().collect::<Vec<_>>().join("\n"));
    }
}

/// Writes requests down.
///
/// # Errors
/// The database's; then none of them is on record.
pub async fn write(conn: &mut PgConnection, requests: &[NewRequest]) -> Result<(), StoreError> {
    let mut columns = Columns::default();
    requests.iter().for_each(|request| columns.add(request));
    sqlx::query!(
        r#"-- audit.write
        INSERT INTO request (tenant_id, at, id, request_id, given, side, actor, remote, method, path, status, duration_us,
            changed, body, error, words)
        SELECT coalesce(i.tenant_id, t.id, $18), i.at, i.id, i.request_id, i.given, i.side, i.actor, i.remote, i.method,
            i.path, i.status, i.duration_us, i.changed, i.body, i.error,
            array_to_tsvector(string_to_array(i.words, E'\n'))
        FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[],
                $9::text[], $10::text[], $11::text[], $12::smallint[], $13::integer[], $14::boolean[], $15::jsonb[],
                $16::text[], $17::text[])
            AS i (tenant_id, slug, at, id, request_id, given, side, actor, remote, method, path, status, duration_us, changed,
                body, error, words)
        LEFT JOIN tenant t ON t.slug = i.slug"#,
        &columns.tenants as _,
        &columns.slugs as _,
        &columns.at,
        &columns.ids,
        &columns.request_ids,
        &columns.given as _,
        &columns.sides,
        &columns.actors,
        &columns.remotes as _,
        &columns.methods,
        &columns.paths,
        &columns.statuses as _,
        &columns.durations,
        &columns.changed,
        &columns.bodies as _,
        &columns.errors as _,
        &columns.words,
        NOBODY,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// When a request was put on record last, before that time: who died since has left nothing else behind.
///
/// # Errors
/// The database's.
pub async fn last_record(conn: &mut PgConnection, before: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, StoreError> {
    Ok(sqlx::query_scalar!(
        "-- audit.last_record
        SELECT max(newest.at) FROM tenant t CROSS JOIN LATERAL (
            SELECT r.at FROM request r WHERE r.tenant_id = t.id AND r.at < $1 ORDER BY r.at DESC, r.id DESC LIMIT 1
        ) newest",
        before,
    )
    .fetch_one(conn)
    .await?)
}

/// Puts on record the requests between two times whose process died before it wrote them down: their changes are in `audit`.
/// How many. Changes of administrators have no address, and stand in the list without a request (see [`super::search()`]).
///
/// # Errors
/// The database's.
pub async fn adopt_lost(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let mut tx = conn.begin().await?;
    let mine = sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_xact_lock(hashtextextended('requests left behind', 0)) AS "mine!""#
    )
    .fetch_one(&mut *tx)
    .await?;
    if !mine {
        // Another replica that started with us does it.
        return Ok(0);
    }
    let lost = sqlx::query!(
        r#"-- audit.lost
        SELECT DISTINCT ON (a.tenant_id, a.request_id) a.tenant_id, a.at, a.request_id, a.actor, a.remote, a.action, a.subject_id, a.status,
            a.body AS "body: Loose"
        FROM audit a JOIN tenant t ON t.id = a.tenant_id
        WHERE a.at >= $1 AND a.at < $2 AND a.remote IS NOT NULL
          AND NOT EXISTS (SELECT FROM request r WHERE r.tenant_id = a.tenant_id AND r.request_id = a.request_id
                          AND r.at >= a.at - interval '1 hour' AND r.at <= a.at + interval '1 hour')
        ORDER BY a.tenant_id, a.request_id, a.at LIMIT 10000"#,
        since,
        until,
    )
    .fetch_all(&mut *tx)
    .await?;
    let requests: Vec<NewRequest> = lost
        .into_iter()
        .map(|row| NewRequest {
            whose: Whose::Tenant(row.tenant_id),
            at: row.at,
            request_id: row.request_id,
            given: None,
            side: Side::Scim,
            actor: row.actor,
            remote: row.remote,
            method: method_of(&row.action).to_owned(),
            path: String::new(),
            status: u16::try_from(row.status).ok(),
            duration: Duration::ZERO,
            subjects: vec![row.subject_id],
            changed: true,
            body: row.body.map(|Loose(body)| Arc::new(body)),
            keeps_body: false,
            error: Some(
                "The process ended before this request was written down; how it was answered is not known.".into(),
            ),
        })
        .collect();
    for page in requests.chunks(500) {
        write(&mut tx, page).await?;
    }
    tx.commit().await?;
    Ok(requests.len() as u64)
}

/// How a change is asked for.
fn method_of(action: &str) -> &'static str {
    match action.rsplit_once('.').map(|(_, verb)| verb) {
        Some("create") => "POST",
        Some("replace") => "PUT",
        Some("delete") => "DELETE",
        _ => "PATCH",
    }
}
