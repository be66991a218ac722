//! Accounts: who is known, who becomes a user, who is linked, who is brought up to date.

use std::collections::HashSet;

use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::scim::Attrs;
use crate::store::StoreError;
use crate::store::link::LinkRecord;

/// A user of the tenant, as an import looks at it.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its id.
    pub id: Uuid,
    /// What the client owns.
    pub attrs: Attrs,
    /// Its version.
    pub version: i64,
    /// It lives.
    pub living: bool,
    /// It was imported, and nobody has written to it since.
    pub imported: bool,
    /// It has work to be done, or somebody drives it.
    pub open: bool,
    /// What is on record about its account.
    pub record: Option<LinkRecord>,
}

/// What the store knows of one account of a page.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Who holds the account's key: a user of the tenant, or of another.
    pub by_account: Option<Result<Box<Known>, ()>>,
    /// Whether somebody holds its login name, and whether that is a user of this tenant.
    pub name_held_by: Option<(bool, Uuid)>,
    /// Living users of the tenant whose account it could be: by name first, then by external id, then by address.
    pub candidates: Vec<Known>,
    /// A tombstone without a claim that had that name.
    pub ghost: Option<Known>,
}

/// Looks a page of accounts up; keys, folded login names, external ids that would mean the account, and folded addresses (empty
/// for none) run side by side, and so does the answer.
pub async fn look_up(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    target: &str,
    accounts: &[String],
    names: &[String],
    externals: &[String],
    emails: &[String],
) -> Result<Vec<Found>, StoreError> {
    let claims = sqlx::query!(
        r#"-- import.claims
        SELECT a.place AS "place!", c.what, c.tenant_id, c.user_id
        FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS a (account, name, place)
        JOIN claim c ON c.target = $1
            AND ((c.what = 'account' AND c.key = a.account) OR (c.what = 'name' AND c.key = a.name))"#,
        target,
        accounts,
        names,
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut found = vec![Found::default(); accounts.len()];
    let mut holders = Vec::new();
    for claim in claims {
        let place = usize::try_from(claim.place - 1).unwrap_or_default();
        let mine = claim.tenant_id == tenant_id;
        match (claim.what.as_str(), mine) {
            ("account", true) => holders.push((place, claim.user_id)),
            ("account", false) => found[place].by_account = Some(Err(())),
            _ => found[place].name_held_by = Some((mine, claim.user_id)),
        }
    }
    let ids: Vec<Uuid> = holders.iter().map(|(_, id)| *id).collect();
    for (place, known) in known(conn, tenant_id, &ids).await? {
        if let Some((at, _)) = holders.get(place) {
            found[*at].by_account = Some(Ok(Box::new(known)));
        }
    }
    let strangers: Vec<usize> = (0..found.len()).filter(|place| found[*place].by_account.is_none()).collect();
    let of = |texts: &[String]| strangers.iter().map(|place| texts[*place].clone()).collect::<Vec<_>>();
    let (names, externals, emails) = (of(names), of(externals), of(emails));
    for (place, known) in known_by_name(conn, tenant_id, &names, &externals, &emails).await? {
        let Some(at) = strangers.get(place) else { continue };
        match known.living {
            true => found[*at].candidates.push(known),
            false => found[*at].ghost = Some(known),
        }
    }
    Ok(found)
}

/// A user as its row comes.
struct Row {
    place: i64,
    id: Uuid,
    attrs: Json<Attrs>,
    version: i64,
    living: bool,
    imported: bool,
    open: bool,
    record: Option<Json<LinkRecord>>,
}

impl Row {
    fn placed(self) -> (usize, Known) {
        let known = Known {
            id: self.id,
            attrs: self.attrs.0,
            version: self.version,
            living: self.living,
            imported: self.imported,
            open: self.open,
            record: self.record.map(|json| json.0),
        };
        (usize::try_from(self.place - 1).unwrap_or_default(), known)
    }
}

/// Users by id, with the place of each in the list.
async fn known(conn: &mut PgConnection, tenant_id: Uuid, ids: &[Uuid]) -> Result<Vec<(usize, Known)>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"-- import.known
        SELECT a.place AS "place!", u.id, u.attrs AS "attrs: Json<Attrs>", u.version, u.deleted_at IS NULL AS "living!",
            u.origin IS NOT NULL AS "imported!", l.record AS "record?: Json<LinkRecord>",
            EXISTS (SELECT FROM outbox o WHERE o.tenant_id = $1 AND o.kind = 'user' AND o.subject_id = u.id) AS "open!"
        FROM unnest($2::uuid[]) WITH ORDINALITY AS a (id, place)
        JOIN scim_user u ON u.tenant_id = $1 AND u.id = a.id
        LEFT JOIN link l ON l.tenant_id = $1 AND l.user_id = u.id"#,
        tenant_id,
        ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Row::placed).collect())
}

/// Living users by name, then by address, and of tombstones that hold nothing the latest of that name.
async fn known_by_name(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    names: &[String],
    externals: &[String],
    emails: &[String],
) -> Result<Vec<(usize, Known)>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"-- import.known_by_name
        WITH hit AS (
            SELECT a.place, u.id, 0 AS rank
            FROM unnest($2::text[]) WITH ORDINALITY AS a (name, place)
            JOIN scim_user u ON u.tenant_id = $1 AND u.user_name_key = a.name AND u.deleted_at IS NULL
          UNION ALL
            SELECT a.place, u.id, 1
            FROM unnest($4::text[]) WITH ORDINALITY AS a (external_id, place)
            JOIN scim_user u ON u.tenant_id = $1 AND u.external_id = a.external_id AND u.deleted_at IS NULL
          UNION ALL
            SELECT a.place, u.id, 2
            FROM unnest($3::text[]) WITH ORDINALITY AS a (email, place)
            JOIN scim_user u ON u.email_keys @> ARRAY[a.email] AND u.tenant_id = $1 AND u.deleted_at IS NULL
            WHERE a.email <> ''
          UNION ALL
            SELECT a.place, ghost.id, 3
            FROM unnest($2::text[]) WITH ORDINALITY AS a (name, place)
            CROSS JOIN LATERAL (
                SELECT g.id FROM scim_user g
                WHERE g.tenant_id = $1 AND g.user_name_key = a.name AND g.deleted_at IS NOT NULL
                  AND NOT EXISTS (SELECT FROM claim c WHERE c.tenant_id = $1 AND c.user_id = g.id)
                  AND NOT EXISTS (SELECT FROM outbox o WHERE o.tenant_id = $1 AND o.kind = 'user' AND o.subject_id = g.id)
                ORDER BY g.deleted_at DESC LIMIT 1
            ) ghost
        ), first AS (SELECT place, id, min(rank) AS rank FROM hit GROUP BY place, id)
        SELECT f.place AS "place!", u.id, u.attrs AS "attrs: Json<Attrs>", u.version, u.deleted_at IS NULL AS "living!",
            u.origin IS NOT NULL AS "imported!", l.record AS "record?: Json<LinkRecord>",
            EXISTS (SELECT FROM outbox o WHERE o.tenant_id = $1 AND o.kind = 'user' AND o.subject_id = u.id) AS "open!"
        FROM first f JOIN scim_user u ON u.tenant_id = $1 AND u.id = f.id
        LEFT JOIN link l ON l.tenant_id = $1 AND l.user_id = u.id
        ORDER BY f.place, f.rank, u.id"#,
        tenant_id,
        names,
        emails,
        externals,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Row::placed).collect())
}

/// A user that is made of an account, or brought up to date by it.
#[derive(Clone, Debug)]
pub struct FromAccount {
    /// The user's id.
    pub id: Uuid,
    /// The account's key.
    pub account: String,
    /// The folded login name.
    pub name: String,
    /// The folded userName.
    pub user_name: String,
    /// The folded address, where the target shows it.
    pub email: Option<String>,
    /// Whether the person may log in.
    pub active: bool,
    /// What the client would own.
    pub attrs: Attrs,
    /// The same, folded for comparison.
    pub folded: Attrs,
    /// The record of the account.
    pub record: LinkRecord,
    /// A tombstone comes back.
    pub revives: bool,
    /// The version that was read; 0 for a new user.
    pub version: i64,
    /// The record that was read.
    pub before: Option<LinkRecord>,
}

/// Claims account and login name for each user. Answers who holds both now; who got one alone has to [`give_up`] that.
pub async fn claim_both(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    target: &str,
    users: &[FromAccount],
) -> Result<HashSet<Uuid>, StoreError> {
    let ids: Vec<Uuid> = users.iter().map(|user| user.id).collect();
    let accounts: Vec<String> = users.iter().map(|user| user.account.clone()).collect();
    let names: Vec<String> = users.iter().map(|user| user.name.clone()).collect();
    // The update that changes nothing makes the statement return what is ours already.
    let rows = sqlx::query!(
        r#"-- import.claim_both
        WITH wanted AS (
            SELECT w.id, w.account, w.name FROM unnest($3::uuid[], $4::text[], $5::text[]) AS w (id, account, name)
        ), held AS (
            INSERT INTO claim (target, what, key, tenant_id, user_id)
            SELECT $2, k.what, k.key, $1, k.id
            FROM (SELECT id, 'account' AS what, account AS key FROM wanted UNION ALL SELECT id, 'name', name FROM wanted) k
            ORDER BY k.what, k.key
            ON CONFLICT (target, what, key) DO UPDATE SET key = excluded.key
                WHERE claim.tenant_id = excluded.tenant_id AND claim.user_id = excluded.user_id
            RETURNING user_id
        )
        SELECT user_id AS "user_id!" FROM held GROUP BY user_id HAVING count(*) = 2"#,
        tenant_id,
        target,
        &ids,
        &accounts,
        &names,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.user_id).collect())
}

/// Gives up what was claimed for users who have no account (yet) and did not get this one.
pub async fn give_up(conn: &mut PgConnection, tenant_id: Uuid, users: &[&FromAccount]) -> Result<(), StoreError> {
    if users.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = users.iter().map(|user| user.id).collect();
    let accounts: Vec<String> = users.iter().map(|user| user.account.clone()).collect();
    sqlx::query!(
        "-- import.give_up
        DELETE FROM claim c USING unnest($2::uuid[], $3::text[]) AS w (id, account)
        WHERE c.tenant_id = $1 AND c.user_id = w.id AND ((c.what = 'account' AND c.key = w.account)
            OR NOT EXISTS (SELECT FROM scim_user u WHERE u.tenant_id = $1 AND u.id = w.id AND u.deleted_at IS NULL))",
        tenant_id,
        &ids,
        &accounts,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The columns of users for `unnest`.
struct Columns {
    ids: Vec<Uuid>,
    names: Vec<String>,
    emails: Vec<Option<String>>,
    active: Vec<bool>,
    attrs: Vec<Value>,
    folded: Vec<Value>,
    records: Vec<Json<LinkRecord>>,
    versions: Vec<i64>,
    before: Vec<Option<Json<LinkRecord>>>,
}

impl Columns {
    fn of(users: &[FromAccount]) -> Self {
        Self {
            ids: users.iter().map(|user| user.id).collect(),
            names: users.iter().map(|user| user.user_name.clone()).collect(),
            emails: users.iter().map(|user| user.email.clone()).collect(),
            active: users.iter().map(|user| user.active).collect(),
            attrs: users.iter().map(|user| Value::Object(user.attrs.clone())).collect(),
            folded: users.iter().map(|user| Value::Object(user.folded.clone())).collect(),
            records: users.iter().map(|user| Json(user.record.clone())).collect(),
            versions: users.iter().map(|user| user.version).collect(),
            before: users.iter().map(|user| user.before.clone().map(Json)).collect(),
        }
    }
}

/// Makes users of accounts whose claims they hold, or brings tombstones back, with the link of each. Answers those that came
/// about: whoever took a name meanwhile was first.
///
/// # Errors
/// The constraint `scim_user_user_name_key`, where a name was taken while a tombstone came back.
pub async fn create_users(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    target: &str,
    run: Uuid,
    users: &[FromAccount],
) -> Result<HashSet<Uuid>, StoreError> {
    let columns = Columns::of(users);
    let revives: Vec<bool> = users.iter().map(|user| user.revives).collect();
    let rows = sqlx::query_scalar!(
        r#"-- import.create_users
        WITH new AS (
            SELECT n.id, n.user_name, n.email, n.active, n.attrs, n.folded, n.record, n.revives, kept.external_id
            FROM unnest($3::uuid[], $4::text[], $5::text[], $6::boolean[], $7::jsonb[], $8::jsonb[], $9::jsonb[], $10::boolean[])
                AS n (id, user_name, email, active, attrs, folded, record, revives)
            -- The client's key comes back only where the client has not let go of it: whom it deleted it may make anew under
            -- another name, and it may have given the key to somebody else.
            LEFT JOIN scim_user kept ON n.revives AND kept.tenant_id = $1 AND kept.id = n.id AND kept.forgotten
                AND NOT EXISTS (SELECT FROM scim_user o WHERE o.tenant_id = $1 AND o.external_id = kept.external_id
                    AND o.deleted_at IS NULL)
        ), revived AS (
            UPDATE scim_user u SET user_name_key = n.user_name, email_keys = array_remove(ARRAY[n.email], NULL),
                active = n.active, external_id = n.external_id,
                attrs = n.attrs || jsonb_strip_nulls(jsonb_build_object('externalId', n.external_id)),
                folded = n.folded || jsonb_strip_nulls(jsonb_build_object('externalId', n.external_id)),
                version = u.version + 1, modified = now(), deleted_at = NULL, undone = false, origin = 'imported',
                forgotten = false
            FROM new n WHERE n.revives AND u.tenant_id = $1 AND u.id = n.id AND u.deleted_at IS NOT NULL
            RETURNING u.id, u.version
        ), inserted AS (
            INSERT INTO scim_user (tenant_id, id, user_name_key, email_keys, active, attrs, folded, created, modified, origin)
            SELECT $1, n.id, n.user_name, array_remove(ARRAY[n.email], NULL), n.active, n.attrs, n.folded, now(), now(),
                'imported'
            FROM new n WHERE NOT n.revives ORDER BY n.id
            ON CONFLICT DO NOTHING RETURNING id, version
        ), done AS (SELECT id, version FROM revived UNION ALL SELECT id, version FROM inserted
        ), counted AS (
            INSERT INTO tally_delta (tenant_id, kind, delta) SELECT $1, 'user', 1 FROM done
        )
        INSERT INTO link AS l (tenant_id, user_id, target, record, applied_version, seen_run)
        SELECT $1, done.id, $2, new.record, done.version, $11 FROM done JOIN new ON new.id = done.id
        ON CONFLICT (tenant_id, user_id) DO UPDATE SET target = excluded.target, record = excluded.record, look_at = NULL,
            applied_version = excluded.applied_version, seen_run = excluded.seen_run
        RETURNING l.user_id"#,
        tenant_id,
        target,
        &columns.ids,
        &columns.names,
        &columns.emails as _,
        &columns.active,
        &columns.attrs,
        &columns.folded,
        &columns.records as _,
        &revives,
        run,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().collect())
}

/// Puts accounts on record as those of living users whose claims they hold, or as found for users who hold none: only where the user and the record are as they
/// were read and nobody drives the user. Answers those of whom that is so.
pub async fn link_users(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    target: &str,
    users: &[FromAccount],
) -> Result<HashSet<Uuid>, StoreError> {
    let columns = Columns::of(users);
    let rows = sqlx::query_scalar!(
        r#"-- import.link_users
        WITH wanted AS (
            SELECT n.id, n.record, n.before FROM unnest($3::uuid[], $4::bigint[], $5::jsonb[], $6::jsonb[])
                AS n (id, version, record, before)
            JOIN scim_user u ON u.tenant_id = $1 AND u.id = n.id AND u.version = n.version AND u.deleted_at IS NULL
            WHERE NOT EXISTS (SELECT FROM outbox o WHERE o.tenant_id = $1 AND o.kind = 'user' AND o.subject_id = n.id)
        ), changed AS (
            UPDATE link l SET record = w.record, target = $2 FROM wanted w
            WHERE l.tenant_id = $1 AND l.user_id = w.id AND l.record = w.before
            RETURNING l.user_id
        ), added AS (
            INSERT INTO link (tenant_id, user_id, target, record) SELECT $1, w.id, $2, w.record FROM wanted w
            WHERE w.before IS NULL ON CONFLICT DO NOTHING RETURNING user_id
        )
        SELECT user_id AS "id!" FROM changed UNION ALL SELECT user_id FROM added"#,
        tenant_id,
        target,
        &columns.ids,
        &columns.versions,
        &columns.records as _,
        &columns.before as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().collect())
}

/// Brings imported users up to what their accounts are now, where nobody has written to them since they were read. Answers
/// those of whom that is so.
///
/// # Errors
/// The constraint `scim_user_user_name_key`, where a name was taken meanwhile.
pub async fn refresh_users(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    users: &[FromAccount],
) -> Result<HashSet<Uuid>, StoreError> {
    let columns = Columns::of(users);
    let rows = sqlx::query_scalar!(
        r#"-- import.refresh_users
        WITH new AS (
            SELECT n.id, n.user_name, n.email, n.active, n.attrs, n.folded, n.version, n.record, n.before
            FROM unnest($2::uuid[], $3::text[], $4::text[], $5::boolean[], $6::jsonb[], $7::jsonb[], $8::bigint[],
                $9::jsonb[], $10::jsonb[]) AS n (id, user_name, email, active, attrs, folded, version, record, before)
            WHERE NOT EXISTS (SELECT FROM outbox o WHERE o.tenant_id = $1 AND o.kind = 'user' AND o.subject_id = n.id)
              AND NOT EXISTS (SELECT FROM scim_user o WHERE o.tenant_id = $1 AND o.user_name_key = n.user_name
                AND o.deleted_at IS NULL AND o.id <> n.id)
        ), written AS (
            UPDATE scim_user u SET user_name_key = n.user_name, email_keys = array_remove(ARRAY[n.email], NULL),
                active = n.active, attrs = n.attrs, folded = n.folded, version = u.version + 1, modified = now()
            FROM new n WHERE u.tenant_id = $1 AND u.id = n.id AND u.version = n.version AND u.origin IS NOT NULL
                AND u.deleted_at IS NULL
            RETURNING u.id, u.version
        )
        UPDATE link l SET record = n.record, applied_version = written.version
        FROM new n JOIN written ON written.id = n.id
        WHERE l.tenant_id = $1 AND l.user_id = n.id AND l.record = n.before
        RETURNING l.user_id"#,
        tenant_id,
        &columns.ids,
        &columns.names,
        &columns.emails as _,
        &columns.active,
        &columns.attrs,
        &columns.folded,
        &columns.versions,
        &columns.records as _,
        &columns.before as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().collect())
}
