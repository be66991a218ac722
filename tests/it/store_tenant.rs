//! Tenants and their tokens.

use chrono::{DateTime, Duration, Utc};
use jira_scim::store::outbox::Subject;
use jira_scim::store::tenant::{self, Mode, NewTenant, TenantChange, TenantError};
use jira_scim::store::token::{self, NewToken, Scope, Token, TokenError};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::postgres::fresh_database;
use crate::rows::{at, insert_group, insert_member, insert_user, origin, tenant as make};

fn new(slug: &str) -> NewTenant {
    NewTenant { slug: slug.into(), target: "jira".into(), mode: Mode::Observe, policy: json!({ "adopt": "link" }) }
}

/// Subject, seq and fan-out of each outbox row.
async fn outbox(pool: &PgPool) -> Vec<(Subject, i64, bool)> {
    let rows: Vec<(String, Uuid, i64, bool)> =
        sqlx::query_as("SELECT kind, subject_id, seq, fan_out FROM outbox ORDER BY kind, subject_id")
            .fetch_all(pool)
            .await
            .unwrap();
    rows.into_iter().map(|(kind, id, seq, fan_out)| (Subject::from_columns(&kind, id), seq, fan_out)).collect()
}

/// A bearer token of a tenant.
async fn give(
    pool: &PgPool,
    tenant_id: Uuid,
    label: &str,
    new: &NewToken,
    expires: Option<DateTime<Utc>>,
) -> Result<Token, TokenError> {
    let credential = token::NewCredential::bearer(label, new.hash(), expires);
    token::create(pool, tenant_id, Uuid::now_v7(), credential, origin(0)).await
}

fn bearer<'a>(label: &'a str, new: &'a NewToken) -> token::NewCredential<'a> {
    token::NewCredential::bearer(label, new.hash(), None)
}

/// The actions of the audit, in order.
async fn actions(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar("SELECT action FROM audit ORDER BY at, action").fetch_all(pool).await.unwrap()
}

#[tokio::test]
async fn a_tenant_is_made_once_and_found_by_name_and_id() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let mut conn = pool.acquire().await.unwrap();
    let made = tenant::create(&mut conn, Uuid::now_v7(), &new("acme"), origin(1)).await.unwrap();
    assert_eq!((made.policy_version, made.mode, made.declared), (1, Mode::Observe, false));
    let again = tenant::create(&mut conn, Uuid::now_v7(), &new("acme"), origin(2)).await;
    assert!(matches!(again, Err(TenantError::SlugTaken(slug)) if slug == "acme"));
    assert_eq!(tenant::get(&pool, "acme").await.unwrap().as_ref(), Some(&made));
    assert_eq!(tenant::by_id(&pool, made.id).await.unwrap().as_ref(), Some(&made));
    assert_eq!(tenant::get(&pool, "other").await.unwrap(), None);
    make(&pool, "abc").await;
    let all = tenant::list(&pool).await.unwrap();
    assert_eq!(all.iter().map(|t| t.slug.as_str()).collect::<Vec<_>>(), ["abc", "acme"]);
}

#[tokio::test]
async fn a_change_of_rules_is_a_new_version_and_a_fan_out() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let mut conn = pool.acquire().await.unwrap();
    let made = make(&pool, "acme").await;
    let change = TenantChange { mode: Some(Mode::Observe), ..TenantChange::default() };
    let after = tenant::update(&mut conn, "acme", &change, origin(5)).await.unwrap();
    assert_eq!((after.mode, after.policy_version, after.modified), (Mode::Observe, 2, at(5)));
    assert_eq!(outbox(&pool).await, [(Subject::Tenant(made.id), 1, true)]);
    sqlx::query("UPDATE outbox SET page_after = subject_id, fan_out = false").execute(&pool).await.unwrap();
    let change = TenantChange { policy: Some(json!({ "adopt": "off" })), ..TenantChange::default() };
    let after = tenant::update(&mut conn, "acme", &change, origin(6)).await.unwrap();
    assert_eq!(after.policy_version, 3);
    assert_eq!(outbox(&pool).await, [(Subject::Tenant(made.id), 2, true)], "the same row, from the beginning");
    let page_after: Option<Uuid> = sqlx::query_scalar("SELECT page_after FROM outbox").fetch_one(&pool).await.unwrap();
    assert_eq!(page_after, None);
    assert_eq!(tenant::get(&pool, "acme").await.unwrap(), Some(after));
}

#[tokio::test]
async fn a_change_that_changes_nothing_writes_nothing() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let mut conn = pool.acquire().await.unwrap();
    let made = make(&pool, "acme").await;
    let change = TenantChange {
        target: Some("jira".into()),
        mode: Some(Mode::Enforce),
        policy: Some(json!({})),
        if_version: None,
    };
    assert_eq!(tenant::update(&mut conn, "acme", &change, origin(5)).await.unwrap(), made);
    assert_eq!(outbox(&pool).await, []);
    assert_eq!(actions(&pool).await, ["tenant.create"]);
    let gone = tenant::update(&mut conn, "nobody", &change, origin(5)).await;
    assert!(matches!(gone, Err(TenantError::NotFound(slug)) if slug == "nobody"));
}

#[tokio::test]
async fn what_the_configuration_declares_only_it_may_change() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let mut conn = pool.acquire().await.unwrap();
    let first = tenant::upsert_declared(&mut conn, Uuid::now_v7(), &new("acme"), origin(1)).await.unwrap();
    let second = tenant::upsert_declared(&mut conn, Uuid::now_v7(), &new("acme"), origin(2)).await.unwrap();
    assert_eq!(first, second, "a second start changes nothing");
    assert_eq!(outbox(&pool).await, []);
    let enforce = NewTenant { mode: Mode::Enforce, ..new("acme") };
    let third = tenant::upsert_declared(&mut conn, Uuid::now_v7(), &enforce, origin(3)).await.unwrap();
    assert_eq!((third.id, third.policy_version), (first.id, 2));
    assert_eq!(outbox(&pool).await.len(), 1);

    let change = TenantChange { mode: Some(Mode::Observe), ..TenantChange::default() };
    let refused = tenant::update(&mut conn, "acme", &change, origin(4)).await;
    assert!(matches!(refused, Err(TenantError::Declared(_))));
    assert!(matches!(tenant::delete(&mut conn, "acme", false, origin(4)).await, Err(TenantError::Declared(_))));
    assert_eq!(tenant::release_undeclared(&pool, &["acme".into()]).await.unwrap(), Vec::<String>::new());
    assert_eq!(tenant::release_undeclared(&pool, &[]).await.unwrap(), ["acme"]);
    tenant::update(&mut conn, "acme", &change, origin(5)).await.unwrap();
}

#[tokio::test]
async fn declaring_a_tenant_that_was_made_by_hand_is_no_change_of_its_rules() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let mut conn = pool.acquire().await.unwrap();
    let made = tenant::create(&mut conn, Uuid::now_v7(), &new("acme"), origin(1)).await.unwrap();
    let declared = tenant::upsert_declared(&mut conn, Uuid::now_v7(), &new("acme"), origin(2)).await.unwrap();
    assert_eq!((declared.id, declared.policy_version, declared.declared), (made.id, 1, true));
    assert_eq!(outbox(&pool).await, []);
}

#[tokio::test]
async fn replicas_that_start_together_declare_one_tenant() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let one = || async {
        let mut conn = pool.acquire().await.unwrap();
        let tenant = tenant::upsert_declared(&mut conn, Uuid::now_v7(), &new("acme"), origin(1)).await.unwrap();
        let hash = token::hash("jst_declared");
        token::upsert_declared(
            &mut conn,
            tenant.id,
            Uuid::now_v7(),
            token::NewCredential::bearer("boot", &hash, None),
            origin(1),
        )
        .await
        .unwrap();
        tenant.id
    };
    let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
    assert!(a == b && b == c && c == d);
    assert_eq!(token::list(&pool, a).await.unwrap().len(), 1);
}

#[tokio::test]
async fn deleting_a_tenant_takes_its_rows_and_leaves_the_others() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let mut conn = pool.acquire().await.unwrap();
    let mut ids = Vec::new();
    for slug in ["acme", "other"] {
        let tenant = make(&pool, slug).await;
        let (user, group) = (Uuid::now_v7(), Uuid::now_v7());
        insert_user(&mut conn, tenant.id, user, &json!({ "userName": "ann" }), at(0)).await;
        insert_group(&mut conn, tenant.id, group, &json!({ "displayName": "Crew" }), at(0)).await;
        insert_member(&mut conn, tenant.id, group, user, false, at(1)).await;
        for insert in [
            "INSERT INTO outbox (tenant_id, kind, subject_id, priority, due_at, since) VALUES ($1, 'user', $2, 0, now(), now())",
            "INSERT INTO link (tenant_id, user_id, target) VALUES ($1, $2, 'jira')",
            "INSERT INTO claim (target, what, key, tenant_id, user_id) VALUES ('jira', 'account', $2::text, $1, $2)",
            "INSERT INTO jira_group (tenant_id, name_key, name) VALUES ($1, $2::text, 'Crew')",
            "INSERT INTO jira_membership (tenant_id, user_id, group_key) VALUES ($1, $2, 'crew')",
            "INSERT INTO tally (tenant_id, kind, n) VALUES ($1, $2::text, 1)",
            "INSERT INTO unmatched_account (tenant_id, account_id) VALUES ($1, $2::text)",
            "INSERT INTO drift (tenant_id, kind, subject, field, name, action, run_id)
                VALUES ($1, 'user', $2::text, 'active', 'ann', 'report', $2)",
            "INSERT INTO override (tenant_id, id, user_id, what, reason, actor) VALUES ($1, $2, $2, 'inactive', 'why', 'test')",
            "INSERT INTO run (tenant_id, id, kind, actor, request_id) VALUES ($1, $2, 'import', 'test', $2)",
            "INSERT INTO brake (tenant_id, accounts) SELECT $1, 1 WHERE $2 IS NOT NULL",
            "INSERT INTO brake_grant (tenant_id, kind, subject, place, class, verdict, at, until)
             VALUES ($1, 'user', $2::text, 'account', 'accounts', 'pass', now(), now())",
            "INSERT INTO alert_state (tenant_id, kind, subject, stage) VALUES ($1, 'token_expires', $2::text, '30')",
            "INSERT INTO jwt_issuer (tenant_id, id, label, issuer, jwks, audience, algorithms, skew_seconds)
             VALUES ($1, $2, 'entra', 'https://issuer.example', '{}', 'scim', '{RS256}', 60)",
            "INSERT INTO source (tenant_id, name) SELECT $1, 'corp' WHERE $2 IS NOT NULL",
            "INSERT INTO source_made (tenant_id, name, settings, created, modified) VALUES ($1, $2::text, '{}', now(), now())",
            "INSERT INTO source_entry (tenant_id, run_id, kind, key, place, name_key) VALUES ($1, $2, 'user', 'k', 'p', 'n')",
            "INSERT INTO source_known (tenant_id, kind, key, place, in_scope) VALUES ($1, 'user', 'k', 'p', $2 IS NOT NULL)",
            "INSERT INTO source_member (tenant_id, run_id, group_key, member) VALUES ($1, $2, 'g', 'm')",
            "INSERT INTO alert (id, tenant_id, kind, at, body) VALUES ($2, $1, 'brake', now(), '{}')",
        ] {
            sqlx::query(insert).bind(tenant.id).bind(user).execute(&pool).await.unwrap();
        }
        let token = NewToken::generate();
        give(&pool, tenant.id, "okta", &token, None).await.unwrap();
        ids.push(tenant.id);
    }
    tenant::delete(&mut conn, "acme", false, origin(9)).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::text FROM information_schema.columns
         WHERE column_name = 'tenant_id' AND table_schema = 'public'
           AND table_name NOT LIKE 'audit%' AND table_name NOT LIKE 'delivery%' AND table_name NOT LIKE 'request%' ORDER BY 1",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert!(tables.len() >= 12, "{tables:?}");
    for table in tables {
        let count = |id: Uuid| {
            let sql = format!("SELECT count(*) FROM {table} WHERE tenant_id = $1");
            sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(sql)).bind(id).fetch_one(&pool)
        };
        assert_eq!(count(ids[0]).await.unwrap(), 0, "{table}");
        assert!(count(ids[1]).await.unwrap() > 0, "{table}: this test should put a row there");
    }
    assert_eq!(tenant::get(&pool, "acme").await.unwrap(), None);
    assert!(actions(&pool).await.contains(&"tenant.delete".to_owned()), "who deleted it stays on record");
    assert!(matches!(tenant::delete(&mut conn, "acme", true, origin(9)).await, Err(TenantError::NotFound(_))));
}

#[tokio::test]
async fn a_token_opens_its_own_tenant_only() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let (acme, other) = (make(&pool, "acme").await, make(&pool, "other").await);
    let token = NewToken::generate();
    let made = give(&pool, acme.id, "okta", &token, None).await.unwrap();
    let (tenant, credential) = token::authenticate(&pool, "acme", token.hash()).await.unwrap().unwrap();
    assert_eq!((tenant, credential.id, credential.label.as_str()), (acme.clone(), made.id, "okta"));
    assert_eq!(token::authenticate(&pool, "other", token.hash()).await.unwrap(), None);
    assert_eq!(token::authenticate(&pool, "nobody", token.hash()).await.unwrap(), None);
    assert_eq!(token::authenticate(&pool, "acme", &token::hash("jst_guess")).await.unwrap(), None);
    let stolen = give(&pool, other.id, "x", &token, None).await;
    assert!(matches!(stolen, Err(TokenError::InUse)));
}

#[tokio::test]
async fn an_expired_or_revoked_token_opens_nothing_and_others_stay() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let acme = make(&pool, "acme").await;
    let tokens = [NewToken::generate(), NewToken::generate(), NewToken::generate()];
    let now = Utc::now();
    let expiries = [Some(now - Duration::minutes(1)), Some(now + Duration::hours(1)), None];
    for ((token, expires), label) in tokens.iter().zip(expiries).zip(["old", "next", "last"]) {
        give(&pool, acme.id, label, token, expires).await.unwrap();
    }
    let open = |n: usize| token::authenticate(&pool, "acme", tokens[n].hash());
    assert!(open(0).await.unwrap().is_none());
    assert!(open(1).await.unwrap().is_some());
    let revoked = token::revoke(&pool, acme.id, "next", origin(7)).await.unwrap();
    assert_eq!(revoked.revoked, Some(at(7)));
    assert!(open(1).await.unwrap().is_none());
    assert!(open(2).await.unwrap().is_some());
    let last = token::list(&pool, acme.id).await.unwrap().into_iter().find(|t| t.label == "last").unwrap();
    token::revoke(&pool, acme.id, &last.id.to_string().to_uppercase(), origin(8)).await.unwrap();
    assert!(open(2).await.unwrap().is_none());
    assert!(matches!(token::revoke(&pool, acme.id, "last", origin(9)).await, Err(TokenError::NotFound(_))));
}

#[tokio::test]
async fn a_label_names_one_live_token_and_is_free_again_after_revocation() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let acme = make(&pool, "acme").await;
    let create = |token: NewToken| {
        let pool = pool.clone();
        async move { give(&pool, acme.id, "okta", &token, None).await.map(|t| t.label) }
    };
    create(NewToken::generate()).await.unwrap();
    assert!(matches!(create(NewToken::generate()).await, Err(TokenError::LabelTaken(label)) if label == "okta"));
    token::revoke(&pool, acme.id, "okta", origin(1)).await.unwrap();
    create(NewToken::generate()).await.unwrap();
}

#[tokio::test]
async fn a_declared_token_follows_the_configuration() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let mut conn = pool.acquire().await.unwrap();
    let acme = make(&pool, "acme").await;
    for (text, seconds) in [("jst_a", 1), ("jst_a", 2), ("jst_b", 3), ("jst_a", 4)] {
        let (hash, id) = (token::hash(text), Uuid::now_v7());
        token::upsert_declared(
            &mut conn,
            acme.id,
            id,
            token::NewCredential::bearer("boot", &hash, None),
            origin(seconds),
        )
        .await
        .unwrap();
        for other in ["jst_a", "jst_b"] {
            let open = token::authenticate(&pool, "acme", &token::hash(other)).await.unwrap().is_some();
            assert_eq!(open, other == text, "{other} after {text}");
        }
    }
}

fn successor(new: &NewToken, until: DateTime<Utc>) -> token::Successor<'_> {
    token::Successor { id: Uuid::now_v7(), proof: token::Proof::Secret(new.hash()), expires: None, until }
}

#[tokio::test]
async fn a_rotated_token_is_accepted_until_its_time_and_the_new_one_takes_its_label() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let mut conn = pool.acquire().await.unwrap();
    let acme = make(&pool, "acme").await;
    let (old, new, last) = (NewToken::generate(), NewToken::generate(), NewToken::generate());
    let narrow = token::NewCredential { scope: Scope::Read, users_only: true, ..bearer("okta", &old) };
    token::create(&pool, acme.id, Uuid::now_v7(), narrow, origin(0)).await.unwrap();
    let until = Utc::now() + Duration::hours(1);
    let made = token::rotate(&mut conn, acme.id, "okta", successor(&new, until), origin(5)).await.unwrap();
    assert_eq!((made.label.as_str(), made.scope, made.users_only, made.expires), ("okta", Scope::Read, true, None));
    for token in [&old, &new] {
        assert!(token::authenticate(&pool, "acme", token.hash()).await.unwrap().is_some(), "both are good meanwhile");
    }
    let all = token::list(&pool, acme.id).await.unwrap();
    assert_eq!((all[0].rotated, all[0].expires.map(|at| at.timestamp())), (Some(at(5)), Some(until.timestamp())));
    assert!(all[0].label.starts_with("okta (until "), "{}", all[0].label);
    let past = Utc::now() - Duration::seconds(1);
    token::rotate(&mut conn, acme.id, "okta", successor(&last, past), origin(6)).await.unwrap();
    assert!(token::authenticate(&pool, "acme", new.hash()).await.unwrap().is_none(), "no overlap, no old token");
    assert!(token::authenticate(&pool, "acme", last.hash()).await.unwrap().is_some());
    let client = token::Successor { proof: token::Proof::Client(old.hash()), ..successor(&last, past) };
    let other = token::rotate(&mut conn, acme.id, "okta", client, origin(7)).await;
    assert!(matches!(other, Err(TokenError::OtherKind(_))), "{other:?}");
    let nobody = token::rotate(&mut conn, acme.id, "nobody", successor(&last, past), origin(8)).await;
    assert!(matches!(nobody, Err(TokenError::NotFound(_))), "{nobody:?}");
}

#[tokio::test]
async fn a_declared_token_is_revoked_in_the_configuration_alone_as_long_as_that_declares_its_tenant() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let mut conn = pool.acquire().await.unwrap();
    let acme = tenant::upsert_declared(&mut conn, Uuid::now_v7(), &new("acme"), origin(0)).await.unwrap();
    let secret = NewToken::generate();
    token::upsert_declared(&mut conn, acme.id, Uuid::now_v7(), bearer("boot", &secret), origin(1)).await.unwrap();
    let refused = token::revoke(&pool, acme.id, "boot", origin(2)).await;
    assert!(matches!(&refused, Err(TokenError::Declared(label)) if label == "boot"), "{refused:?}");
    assert!(token::authenticate(&pool, "acme", secret.hash()).await.unwrap().is_some());
    tenant::release_undeclared(&pool, &[]).await.unwrap();
    assert_eq!(token::revoke(&pool, acme.id, "boot", origin(3)).await.unwrap().revoked, Some(at(3)));
    assert!(token::authenticate(&pool, "acme", secret.hash()).await.unwrap().is_none());
}

#[tokio::test]
async fn last_use_is_written_at_most_once_a_minute() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let acme = make(&pool, "acme").await;
    let token = NewToken::generate();
    let id = Uuid::now_v7();
    token::create(&pool, acme.id, id, token::NewCredential::bearer("okta", token.hash(), None), origin(0))
        .await
        .unwrap();
    for (now, expected) in [(10, 10), (69, 10), (71, 71)] {
        token::touch_last_used(&pool, acme.id, id, at(now)).await.unwrap();
        assert_eq!(token::list(&pool, acme.id).await.unwrap()[0].last_used, Some(at(expected)), "at {now}");
    }
}
