//! Filters as SQL give the answer that the evaluator gives, over random resources and random filters; and the lookups
//! that identity providers make reach an index.

use jira_scim::scim::filter::{Expr, Filter, Limits, Op, Word, eval, parse, resolve};
use jira_scim::scim::folded::instant_text;
use jira_scim::scim::schema::{ResourceType, group, user};
use jira_scim::store::filter_sql::{self, Of};
use jira_scim::store::list::{self, Start, Wanted};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::json;
use sqlx::{PgConnection, PgPool, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::population::{BASE, ENTERPRISE, GROUPS, Population, USERS, id, population, word};
use crate::postgres::fresh_database;
use crate::rows::{at, insert_group, insert_member, insert_user};

/// Attribute names by what they may be compared with.
struct Names {
    texts: Vec<&'static str>,
    flags: Vec<&'static str>,
    instants: Vec<&'static str>,
    lists: Vec<(&'static str, Vec<&'static str>)>,
    present: Vec<&'static str>,
}

fn user_names() -> Names {
    Names {
        texts: vec![
            "userName",
            "externalId",
            "id",
            "title",
            "name.givenName",
            "emails",
            "emails.value",
            "emails.type",
            "department",
            "manager",
            "groups",
            "groups.value",
            "groups.display",
            "groups.type",
            "groups.$ref",
            "meta.version",
            "meta.location",
            "meta.resourceType",
            "schemas",
        ],
        flags: vec!["active", "emails.primary"],
        instants: vec!["meta.created", "meta.lastModified"],
        lists: vec![
            ("emails", vec!["value", "type"]),
            ("groups", vec!["value", "display", "type", "$ref"]),
            ("meta", vec!["version", "location", "resourceType"]),
            ("name", vec!["givenName", "familyName"]),
        ],
        present: vec![
            "userName",
            "externalId",
            "active",
            "title",
            "name",
            "name.givenName",
            "emails",
            "emails.type",
            "department",
            "manager",
            "groups",
            "groups.display",
            "meta.created",
            "id",
            "photos.value",
            "meta.version",
            "meta.location",
            "schemas",
        ],
    }
}

fn group_names() -> Names {
    Names {
        texts: vec![
            "displayName",
            "externalId",
            "id",
            "members",
            "members.value",
            "members.display",
            "members.type",
            "members.$ref",
            "meta.version",
            "meta.location",
            "schemas",
        ],
        flags: vec![],
        instants: vec!["meta.created", "meta.lastModified"],
        lists: vec![
            ("members", vec!["value", "display", "type", "$ref"]),
            ("meta", vec!["version", "location", "resourceType"]),
        ],
        present: vec!["displayName", "externalId", "members", "members.display", "meta.lastModified"],
    }
}

fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => word().prop_map(str::to_owned),
        1 => (0..USERS).prop_map(|n| format!("user{n}")),
        1 => (0..USERS).prop_map(|n| id(1, n).to_string()),
        1 => (0..GROUPS).prop_map(|n| id(2, n).to_string()),
        1 => (0..GROUPS).prop_map(|n| format!("group{n}")),
        1 => (0..USERS).prop_map(|n| format!("{BASE}/Users/{}", id(1, n))),
        1 => (0..GROUPS).prop_map(|n| format!("{BASE}/Groups/{}", id(2, n))),
        1 => (1..4).prop_map(|n| format!("W/\"{n}\"")),
        1 => select(vec![ENTERPRISE, "urn:ietf:params:scim:schemas:core:2.0:User", BASE, "User", "Group"])
            .prop_map(str::to_owned),
        2 => select(&["", "work", "home", "direct", "indirect", "user", "group", "a\0b", "\0", "user\0"][..])
            .prop_map(str::to_owned),
    ]
}

fn filter(names: Names) -> impl Strategy<Value = Filter> {
    let all = [Op::Eq, Op::Eq, Op::Ne, Op::Co, Op::Sw, Op::Ew, Op::Gt, Op::Ge, Op::Lt, Op::Le];
    let text = move |names: Vec<&'static str>| {
        (select(names), select(all.to_vec()), literal()).prop_map(|(attr, op, text)| Filter::Compare {
            attr: attr.to_owned(),
            op,
            value: Word::Quoted(text),
        })
    };
    let ordered = [Op::Eq, Op::Ne, Op::Gt, Op::Ge, Op::Lt, Op::Le];
    let instant = (select(names.instants), select(ordered.to_vec()), 0..6_i64).prop_map(|(attr, op, seconds)| {
        Filter::Compare { attr: attr.to_owned(), op, value: Word::Quoted(instant_text(&at(seconds))) }
    });
    let present = select(names.present).prop_map(|attr| Filter::Present(attr.to_owned()));
    let flags = if names.flags.is_empty() { vec![] } else { names.flags };
    let bracket = select(names.lists).prop_flat_map(move |(attr, parts)| {
        let part = text(parts);
        let inner = part.prop_recursive(2, 6, 3, |inner| {
            prop_oneof![
                vec(inner.clone(), 2..4).prop_map(Filter::and),
                vec(inner.clone(), 2..4).prop_map(Filter::or),
                inner.prop_map(|f| Filter::Not(Box::new(f))),
            ]
        });
        inner.prop_map(move |inner| Filter::Any { attr: attr.to_owned(), filter: Box::new(inner) })
    });
    let mut leaf = prop_oneof![6 => text(names.texts), 1 => instant, 1 => present, 2 => bracket].boxed();
    if !flags.is_empty() {
        let flag = (select(flags), select(vec![Op::Eq, Op::Ne]), any::<bool>()).prop_map(|(attr, op, flag)| {
            Filter::Compare { attr: attr.to_owned(), op, value: Word::Bare(flag.to_string()) }
        });
        leaf = prop_oneof![8 => leaf, 1 => flag].boxed();
    }
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(Filter::and),
            vec(inner.clone(), 2..4).prop_map(Filter::or),
            inner.prop_map(|f| Filter::Not(Box::new(f))),
        ]
    })
}

/// One tenant's population and the filters asked of it.
#[derive(Debug, Clone)]
struct Case {
    population: Population,
    of_users: Vec<Filter>,
    of_groups: Vec<Filter>,
}

fn case() -> impl Strategy<Value = Case> {
    (population(true), vec(filter(user_names()), 12), vec(filter(group_names()), 6))
        .prop_map(|(population, of_users, of_groups)| Case { population, of_users, of_groups })
}

impl Case {
    async fn check(&self, conn: &mut PgConnection, tenant: Uuid) -> Result<usize, TestCaseError> {
        let mut matches = 0;
        for (of, ty, filters, documents) in [
            (Of::Users, user(), &self.of_users, self.population.user_documents()),
            (Of::Groups, group(), &self.of_groups, self.population.group_documents()),
        ] {
            for filter in filters {
                let expr = resolved(filter, ty);
                let expected: Vec<Uuid> =
                    documents.iter().filter(|(_, document)| eval(&expr, document)).map(|(id, _)| *id).collect();
                let found = ids(conn, of, tenant, &expr).await;
                prop_assert_eq!(&found, &expected, "{} -> {:?} over {:#?}", filter, expr, documents);
                matches += found.len();
            }
        }
        Ok(matches)
    }
}

async fn ids(conn: &mut PgConnection, of: Of, tenant: Uuid, filter: &Expr) -> Vec<Uuid> {
    let wanted = Wanted { filter: Some(filter), base: BASE, ..Wanted::all(tenant) };
    let rows = list::rows(conn, of, &wanted, Start::Offset(0), 100).await.unwrap_or_else(|e| panic!("{e:?}"));
    rows.iter().map(|row| row.id).collect()
}

fn resolved(filter: &Filter, ty: &'static ResourceType) -> Expr {
    resolve(filter, ty).unwrap_or_else(|e| panic!("{filter}: {e}"))
}

fn expr(text: &str, ty: &'static ResourceType) -> Expr {
    resolved(&parse(text, &Limits::default()).unwrap(), ty)
}

#[test]
fn sql_answers_as_the_evaluator_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (db, pool) = runtime.block_on(async {
        let db = fresh_database().await;
        let pool = db.pool().await;
        (db, pool)
    });
    let mut runner = TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let matches = std::cell::Cell::new(0);
    let outcome = runner.run(&case(), |case| {
        runtime.block_on(async {
            // Rolled back, so that each case has the database to itself.
            let mut tx = pool.begin().await.unwrap();
            let tenant = Uuid::now_v7();
            case.population.store(&mut tx, tenant).await;
            let found = case.check(&mut tx, tenant).await;
            tx.rollback().await.unwrap();
            matches.set(matches.get() + found?);
            Ok(())
        })
    });
    runtime.block_on(pool.close());
    drop(db);
    outcome.unwrap_or_else(|e| panic!("{e}"));
    assert!(matches.get() > 300, "the filters hardly ever matched: {}", matches.get());
}

#[tokio::test]
async fn no_filter_reaches_into_another_tenant() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let mut conn = pool.acquire().await.unwrap();
    let (mine, other) = (Uuid::now_v7(), Uuid::now_v7());
    insert_user(&mut conn, mine, id(1, 0), &json!({ "userName": "mine" }), at(0)).await;
    insert_user(&mut conn, other, id(1, 1), &json!({ "userName": "other" }), at(0)).await;
    insert_group(&mut conn, other, id(2, 1), &json!({ "displayName": "Crew" }), at(0)).await;
    insert_member(&mut conn, other, id(2, 1), id(1, 0), false, at(0)).await;
    for text in ["userName eq \"other\" or userName pr", "not (userName eq \"x\")", "title eq null or title pr"] {
        assert_eq!(ids(&mut conn, Of::Users, mine, &expr(text, user())).await, [id(1, 0)], "{text}");
    }
    for text in ["groups.display eq \"crew\"", "groups[type eq \"direct\"]", "groups pr"] {
        assert_eq!(ids(&mut conn, Of::Users, mine, &expr(text, user())).await, Vec::<Uuid>::new(), "{text}");
    }
}

#[tokio::test]
async fn a_filter_of_a_thousand_terms_is_answered() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let mut conn = pool.acquire().await.unwrap();
    let tenant = Uuid::now_v7();
    insert_user(&mut conn, tenant, id(1, 0), &json!({ "userName": "u999", "title": "t" }), at(0)).await;
    let terms: Vec<String> = (0..1000).map(|n| format!("emails.value co \"e{n}\" or userName eq \"u{n}\"")).collect();
    let limits = Limits { terms: 2000, length: 1 << 20, ..Limits::default() };
    let filter = resolved(&parse(&terms.join(" or "), &limits).unwrap(), user());
    assert_eq!(ids(&mut conn, Of::Users, tenant, &filter).await, [id(1, 0)]);
}

/// The plan of a filtered page.
async fn plan(pool: &PgPool, of: Of, tenant: Uuid, filter: &Expr) -> String {
    let mut sql: QueryBuilder<Postgres> = QueryBuilder::new("EXPLAIN SELECT 1 FROM ");
    sql.push(match of {
        Of::Users => "scim_user u WHERE u.deleted_at IS NULL AND u.tenant_id = ",
        Of::Groups => "scim_group g WHERE g.deleted_at IS NULL AND g.tenant_id = ",
    });
    sql.push_bind(tenant).push(" AND ");
    filter_sql::push(&mut sql, of, tenant, BASE, filter);
    let lines: Vec<String> = sql.build_query_scalar().persistent(false).fetch_all(pool).await.unwrap();
    lines.join("\n")
}

#[tokio::test]
async fn the_lookups_of_identity_providers_reach_an_index() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let tenant = Uuid::now_v7();
    // Enough rows for the planner to care.
    sqlx::query(
        r#"INSERT INTO scim_user (tenant_id, id, user_name_key, external_id, active, email_keys, attrs, folded,
                                  created, modified)
           SELECT $1, gen_random_uuid(), 'u' || n, 'x' || n, true, ARRAY['u' || n || '@corp.example'], '{}',
                  jsonb_build_object('emails', jsonb_build_array(
                      jsonb_build_object('value', 'u' || n || '@corp.example', 'type', 'work'))),
                  now() - n * interval '1 minute', now() - n * interval '1 minute'
           FROM generate_series(1, 20000) n"#,
    )
    .bind(tenant)
    .execute(&pool)
    .await
    .unwrap();
    sqlx::query(
        r#"INSERT INTO scim_group (tenant_id, id, display_name_key, external_id, attrs, folded, alias,
                                   alias_key, created, modified)
           SELECT $1, gen_random_uuid(), 'g' || n, 'x' || n, '{}', '{}', 'g' || n, 'g' || n, now(), now()
           FROM generate_series(1, 5000) n"#,
    )
    .bind(tenant)
    .execute(&pool)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO group_member (tenant_id, group_id, member_id, is_group)
         SELECT $1, g.id, u.id, false FROM (SELECT id FROM scim_group LIMIT 20) g, (SELECT id FROM scim_user LIMIT 1000) u",
    )
    .bind(tenant)
    .execute(&pool)
    .await
    .unwrap();
    sqlx::query("ANALYZE").execute(&pool).await.unwrap();
    let one = Uuid::new_v4();
    for (of, text, index) in [
        (Of::Users, "userName eq \"U77\"".to_owned(), "scim_user_user_name_key"),
        (Of::Users, "externalId eq \"x77\"".to_owned(), "scim_user_external_id"),
        (Of::Users, format!("id eq \"{one}\""), "AND (id = '"),
        (Of::Users, "emails.value eq \"u77@corp.example\"".to_owned(), "scim_user_email"),
        (Of::Users, "emails[type eq \"work\"].value eq \"u77@corp.example\"".to_owned(), "scim_user_email"),
        (Of::Users, format!("id eq \"{one}\" and manager eq \"{one}\""), "AND (id = '"),
        (Of::Users, "active eq true and userName eq \"u77\"".to_owned(), "scim_user_user_name_key"),
        (Of::Groups, "displayName eq \"G77\"".to_owned(), "scim_group_display_name_key"),
        (Of::Groups, "externalId eq \"x77\"".to_owned(), "scim_group_external_id"),
        (Of::Groups, format!("id eq \"{one}\" and members eq \"{one}\""), "scim_group_pkey"),
        (Of::Users, format!("meta.location eq \"{BASE}/Users/{one}\""), "AND (id = '"),
        (Of::Groups, format!("members.value eq \"{one}\""), "group_member_member"),
    ] {
        let filter = expr(&text, if of == Of::Users { user() } else { group() });
        let plan = plan(&pool, of, tenant, &filter).await;
        assert!(filter_sql::is_indexed(of, &filter), "{text}");
        assert!(plan.contains(index), "{text}:\n{plan}");
        assert!(
            !plan.contains("Seq Scan on scim_user") && !plan.contains("Seq Scan on scim_group "),
            "{text}:\n{plan}"
        );
    }
    let since = expr(&format!("meta.lastModified gt \"{}\"", instant_text(&chrono::Utc::now())), user());
    assert!(plan(&pool, Of::Users, tenant, &since).await.contains("scim_user_modified"));
}
