//! The tables of one comparison's own connection, in which a long listing is held against what is on record, so that nobody's
//! memory has to. They go with the connection, and are no part of the schema: hence statements that are not checked beforehand.

use sqlx::types::Json;
use sqlx::{Executor, PgConnection, Row};
use uuid::Uuid;

use crate::account::{AccountId, SeenAccount, SeenGroup, fold};
use crate::store::StoreError;

/// Makes the tables of this connection, empty. They go with the connection.
///
/// # Errors
/// The database's.
pub async fn open_tables(conn: &mut PgConnection) -> Result<(), StoreError> {
    let tables = "CREATE TEMP TABLE drift_account (id text COLLATE \"C\" PRIMARY KEY, seen jsonb NOT NULL);
        CREATE TEMP TABLE drift_member (id text COLLATE \"C\" PRIMARY KEY);
        CREATE TEMP TABLE drift_group (key text COLLATE \"C\" PRIMARY KEY, name text NOT NULL, id text)";
    conn.execute(tables).await?;
    Ok(())
}

/// Empties the tables of this connection.
///
/// # Errors
/// The database's.
pub async fn empty_tables(conn: &mut PgConnection) -> Result<(), StoreError> {
    conn.execute("TRUNCATE pg_temp.drift_account, pg_temp.drift_member, pg_temp.drift_group").await?;
    Ok(())
}

/// Empties the members.
///
/// # Errors
/// The database's.
pub async fn empty_members(conn: &mut PgConnection) -> Result<(), StoreError> {
    conn.execute("TRUNCATE pg_temp.drift_member").await?;
    Ok(())
}

/// Stages a page of the target's accounts.
///
/// # Errors
/// The database's.
pub async fn stage_accounts(conn: &mut PgConnection, accounts: &[SeenAccount]) -> Result<(), StoreError> {
    let ids: Vec<&str> = accounts.iter().map(|account| account.id.0.as_str()).collect();
    let seen: Vec<Json<&SeenAccount>> = accounts.iter().map(Json).collect();
    sqlx::query(
        "-- drift.stage_accounts
        INSERT INTO pg_temp.drift_account (id, seen) SELECT * FROM unnest($1::text[], $2::jsonb[])
        ON CONFLICT (id) DO UPDATE SET seen = excluded.seen",
    )
    .bind(ids)
    .bind(seen)
    .execute(conn)
    .await?;
    Ok(())
}

/// Stages a page of a group's members.
///
/// # Errors
/// The database's.
pub async fn stage_members(conn: &mut PgConnection, members: &[AccountId]) -> Result<(), StoreError> {
    let ids: Vec<&str> = members.iter().map(|member| member.0.as_str()).collect();
    sqlx::query("INSERT INTO pg_temp.drift_member (id) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING")
        .bind(ids)
        .execute(conn)
        .await?;
    Ok(())
}

/// Stages a page of the target's groups.
///
/// # Errors
/// The database's.
pub async fn stage_groups(conn: &mut PgConnection, groups: &[SeenGroup]) -> Result<(), StoreError> {
    let keys: Vec<String> = groups.iter().map(|group| fold(&group.name)).collect();
    let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    let ids: Vec<Option<&str>> = groups.iter().map(|group| group.id.as_deref()).collect();
    sqlx::query(
        "INSERT INTO pg_temp.drift_group (key, name, id) SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
        ON CONFLICT DO NOTHING",
    )
    .bind(keys)
    .bind(names)
    .bind(ids)
    .execute(conn)
    .await?;
    Ok(())
}

/// A page of the users with an account, each with what the staged list shows of it; nothing where it does not show it.
///
/// # Errors
/// The database's.
pub async fn linked(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    after: Uuid,
    limit: i64,
) -> Result<Vec<(Uuid, Option<SeenAccount>)>, StoreError> {
    let rows = sqlx::query(
        "-- drift.linked
        SELECT l.user_id, a.seen FROM link l
        LEFT JOIN pg_temp.drift_account a ON a.id = l.record #>> '{known,linked,seen,id}'
        WHERE l.tenant_id = $1 AND l.user_id > $2 AND l.record -> 'known' ? 'linked' ORDER BY l.user_id LIMIT $3",
    )
    .bind(tenant_id)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let read = rows.into_iter().map(|row| {
        let seen: Option<Json<SeenAccount>> = row.try_get(1)?;
        Ok((row.try_get(0)?, seen.map(|seen| seen.0)))
    });
    read.collect::<Result<_, sqlx::Error>>().map_err(Into::into)
}

/// A page of the users who are on record as members of a group and are not staged as such.
///
/// # Errors
/// The database's.
pub async fn missing_members(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    key: &str,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar(
        "-- drift.missing_members
        SELECT m.user_id FROM jira_membership m JOIN link l ON l.tenant_id = m.tenant_id AND l.user_id = m.user_id
        WHERE m.tenant_id = $1 AND m.group_key = $2 AND m.user_id > $3 AND m.written AND NOT m.maybe AND NOT m.theirs
          AND l.record #>> '{known,linked,seen,id}' IS NOT NULL
          AND NOT EXISTS (SELECT FROM pg_temp.drift_member s WHERE s.id = l.record #>> '{known,linked,seen,id}')
        ORDER BY m.user_id LIMIT $4",
    )
    .bind(tenant_id)
    .bind(key)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?)
}

/// A page of the users who are staged as members of a group and are not on record as such.
///
/// # Errors
/// The database's.
pub async fn unknown_members(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    target: &str,
    key: &str,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar(
        "-- drift.unknown_members
        SELECT DISTINCT c.user_id FROM pg_temp.drift_member s
        JOIN claim c ON c.target = $2 AND c.what = 'account' AND c.key = s.id AND c.tenant_id = $1
        WHERE c.user_id > $4 AND NOT EXISTS (SELECT FROM jira_membership m
            WHERE m.tenant_id = $1 AND m.user_id = c.user_id AND m.group_key = $3 AND (m.written OR m.maybe))
        ORDER BY c.user_id LIMIT $5",
    )
    .bind(tenant_id)
    .bind(target)
    .bind(key)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?)
}
