//! Filters as SQL give the answer that the evaluator gives, over random resources and random filters; and the lookups
//! that identity providers make reach an index.

use std::collections::{BTreeMap, BTreeSet};

use jira_scim::account::fold;
use jira_scim::scim::filter::{Expr, Filter, Limits, Op, Word, eval, parse, resolve};
use jira_scim::scim::folded::{folded, instant_text};
use jira_scim::scim::schema::{ResourceType, group, user};
use jira_scim::store::filter_sql::{self, Of};
use jira_scim::store::list;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Map, Value, json};
use sqlx::{PgConnection, PgPool, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::postgres::fresh_database;
use crate::rows::{at, bury, insert_group, insert_member, insert_user};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// Few and awkward, so that they meet often: wildcards, quotes, letters whose folding changes their length or order.
const WORDS: [&str; 12] = ["a", "A", "ab", "aB c", "Ä", "ä", "İ", "ß", "%", "_", "\\\"'", "zz"];
const USERS: usize = 7;
const GROUPS: usize = 5;

fn word() -> impl Strategy<Value = &'static str> {
    select(&WORDS[..])
}

fn id(of: u128, index: usize) -> Uuid {
    Uuid::from_u128(of << 64 | index as u128)
}

/// One user's document, seldom of a shape that checking would not let in.
fn user_document() -> impl Strategy<Value = Map<String, Value>> {
    let email = (option::of(word()), option::of(select(&["work", "Home"][..])), option::of(any::<bool>()));
    let entry = email.prop_map(|(value, kind, primary)| {
        let mut entry = Map::new();
        entry.extend(value.map(|v| ("value".to_owned(), json!(v))));
        entry.extend(kind.map(|v| ("type".to_owned(), json!(v))));
        entry.extend(primary.map(|v| ("primary".to_owned(), json!(v))));
        Value::Object(entry)
    });
    let odd = select(vec![Value::Null, json!(1), json!({ "value": "a" }), json!("a"), json!([["a"], 7]), json!(true)]);
    (
        option::of(word()),
        option::of(word()),
        vec(entry, 0..4),
        option::of(word()),
        option::of(word()),
        any::<bool>(),
        option::weighted(0.15, (select(&["emails", "name", "title", ENTERPRISE][..]), odd)),
    )
        .prop_map(|(title, given, emails, department, external, active, odd)| {
            let mut document = Map::new();
            document.extend(title.map(|v| ("title".to_owned(), json!(v))));
            document.extend(given.map(|v| ("name".to_owned(), json!({ "givenName": v }))));
            if !emails.is_empty() {
                document.insert("emails".into(), Value::Array(emails));
            }
            document.extend(
                department.map(|v| (ENTERPRISE.to_owned(), json!({ "department": v, "manager": { "value": v } }))),
            );
            document.extend(external.map(|v| ("externalId".to_owned(), json!(v))));
            document.insert("active".into(), json!(active));
            document.extend(odd.filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.to_owned(), v)));
            document
        })
}

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
        ],
        flags: vec!["active", "emails.primary"],
        instants: vec!["meta.created", "meta.lastModified"],
        lists: vec![("emails", vec!["value", "type"]), ("groups", vec!["value", "display", "type"])],
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
        ],
    }
}

fn group_names() -> Names {
    Names {
        texts: vec!["displayName", "externalId", "id", "members", "members.value", "members.display", "members.type"],
        flags: vec![],
        instants: vec!["meta.lastModified"],
        lists: vec![("members", vec!["value", "display", "type"])],
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
    users: Vec<Map<String, Value>>,
    /// Which name a group has.
    groups: Vec<&'static str>,
    /// (group, user or group, is it a group).
    edges: BTreeSet<(usize, usize, bool)>,
    dead_user: Option<usize>,
    dead_group: Option<usize>,
    of_users: Vec<Filter>,
    of_groups: Vec<Filter>,
}

fn case() -> impl Strategy<Value = Case> {
    let edge = (0..GROUPS, any::<bool>())
        .prop_flat_map(|(g, nested)| (Just(g), 0..if nested { GROUPS } else { USERS }, Just(nested)));
    (
        vec(user_document(), USERS),
        vec(word(), GROUPS),
        vec(edge, 0..14),
        option::of(0..USERS),
        option::of(0..GROUPS),
        vec(filter(user_names()), 12),
        vec(filter(group_names()), 6),
    )
        .prop_map(|(users, groups, edges, dead_user, dead_group, of_users, of_groups)| Case {
            users,
            groups,
            edges: edges.into_iter().filter(|(g, m, nested)| !(*nested && g == m)).collect(),
            dead_user,
            dead_group,
            of_users,
            of_groups,
        })
}

impl Case {
    fn user(&self, n: usize) -> Value {
        let mut document = self.users[n].clone();
        document.insert("userName".into(), json!(format!("User{n}")));
        Value::Object(document)
    }

    fn group(&self, n: usize) -> Value {
        json!({ "displayName": format!("Group{n} {}", self.groups[n]), "externalId": self.groups[n] })
    }

    async fn store(&self, conn: &mut PgConnection, tenant: Uuid) {
        for n in 0..USERS {
            insert_user(conn, tenant, id(1, n), &self.user(n), at(n as i64 % 4)).await;
        }
        for n in 0..GROUPS {
            insert_group(conn, tenant, id(2, n), &self.group(n), at(n as i64 % 3)).await;
        }
        for (n, &(group, member, nested)) in self.edges.iter().enumerate() {
            let member = id(if nested { 2 } else { 1 }, member);
            insert_member(conn, tenant, id(2, group), member, nested, at(n as i64 % 5)).await;
        }
        if let Some(n) = self.dead_user {
            bury(conn, "scim_user", id(1, n), at(9)).await;
        }
        if let Some(n) = self.dead_group {
            bury(conn, "scim_group", id(2, n), at(9)).await;
        }
    }

    /// The groups of a user, and whether directly.
    fn groups_of(&self, member: usize) -> BTreeMap<usize, bool> {
        let living = |g: &usize| Some(*g) != self.dead_group;
        let mut found: BTreeMap<usize, bool> = self
            .edges
            .iter()
            .filter(|(g, m, nested)| !nested && *m == member && living(g))
            .map(|e| (e.0, true))
            .collect();
        loop {
            let further: Vec<usize> = self
                .edges
                .iter()
                .filter(|(g, m, nested)| *nested && found.contains_key(m) && !found.contains_key(g) && living(g))
                .map(|e| e.0)
                .collect();
            if further.is_empty() {
                return found;
            }
            found.extend(further.into_iter().map(|g| (g, false)));
        }
    }

    /// What the evaluator sees of the living users.
    fn user_documents(&self) -> Vec<(Uuid, Value)> {
        let document = |n: usize| {
            let mut document = self.user(n).as_object().unwrap().clone();
            let when = instant_text(&at(n as i64 % 4));
            document.insert("id".into(), json!(id(1, n)));
            document.insert("meta".into(), json!({ "created": when, "lastModified": when }));
            let groups: Vec<Value> = self
                .groups_of(n)
                .into_iter()
                .map(|(g, direct)| {
                    json!({ "value": id(2, g), "display": self.group(g)["displayName"],
                            "type": if direct { "direct" } else { "indirect" } })
                })
                .collect();
            if !groups.is_empty() {
                document.insert("groups".into(), Value::Array(groups));
            }
            (id(1, n), Value::Object(folded(user(), &document)))
        };
        (0..USERS).filter(|n| Some(*n) != self.dead_user).map(document).collect()
    }

    fn group_documents(&self) -> Vec<(Uuid, Value)> {
        let document = |n: usize| {
            let mut document = self.group(n).as_object().unwrap().clone();
            let touched = self.edges.iter().enumerate().filter(|(_, e)| e.0 == n).map(|(at, _)| at as i64 % 5).max();
            let when = instant_text(&at((n as i64 % 3).max(touched.unwrap_or(0))));
            document.insert("id".into(), json!(id(2, n)));
            document.insert("meta".into(), json!({ "lastModified": when }));
            let members: Vec<Value> = self
                .edges
                .iter()
                .filter(|(g, m, nested)| *g == n && Some(*m) != if *nested { self.dead_group } else { self.dead_user })
                .map(|&(_, m, nested)| {
                    if nested {
                        json!({ "value": id(2, m), "type": "Group", "display": self.group(m)["displayName"] })
                    } else {
                        json!({ "value": id(1, m), "type": "User", "display": fold(&format!("User{m}")) })
                    }
                })
                .collect();
            if !members.is_empty() {
                document.insert("members".into(), Value::Array(members));
            }
            (id(2, n), Value::Object(folded(group(), &document)))
        };
        (0..GROUPS).filter(|n| Some(*n) != self.dead_group).map(document).collect()
    }

    async fn check(&self, conn: &mut PgConnection, tenant: Uuid) -> Result<usize, TestCaseError> {
        let mut matches = 0;
        for (of, ty, filters, documents) in [
            (Of::Users, user(), &self.of_users, self.user_documents()),
            (Of::Groups, group(), &self.of_groups, self.group_documents()),
        ] {
            for filter in filters {
                let expr = resolved(filter, ty);
                let expected: Vec<Uuid> =
                    documents.iter().filter(|(_, document)| eval(&expr, document)).map(|(id, _)| *id).collect();
                let found: Vec<Uuid> = match of {
                    Of::Users => ids(list::users(conn, tenant, Some(&expr), 0, 100).await, |row| row.id),
                    Of::Groups => ids(list::groups(conn, tenant, Some(&expr), 0, 100).await, |row| row.id),
                };
                prop_assert_eq!(&found, &expected, "{} -> {:?} over {:#?}", filter, expr, documents);
                matches += found.len();
            }
        }
        Ok(matches)
    }
}

fn ids<T>(rows: Result<Vec<T>, jira_scim::store::StoreError>, id: impl Fn(&T) -> Uuid) -> Vec<Uuid> {
    rows.unwrap_or_else(|e| panic!("{e:?}")).iter().map(id).collect()
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
            case.store(&mut tx, tenant).await;
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
        let found = list::users(&mut conn, mine, Some(&expr(text, user())), 0, 10).await.unwrap();
        assert_eq!(found.iter().map(|row| row.id).collect::<Vec<_>>(), [id(1, 0)], "{text}");
    }
    for text in ["groups.display eq \"crew\"", "groups[type eq \"direct\"]", "groups pr"] {
        let found = list::users(&mut conn, mine, Some(&expr(text, user())), 0, 10).await.unwrap();
        assert_eq!(found, [], "{text}");
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
    assert_eq!(list::user_page(&mut conn, tenant, Some(&filter), 0, 10).await.unwrap().total, 1);
}

/// The plan of a filtered page.
async fn plan(pool: &PgPool, of: Of, tenant: Uuid, filter: &Expr) -> String {
    let mut sql: QueryBuilder<Postgres> = QueryBuilder::new("EXPLAIN SELECT 1 FROM ");
    sql.push(match of {
        Of::Users => "scim_user u WHERE u.deleted_at IS NULL AND u.tenant_id = ",
        Of::Groups => "scim_group g WHERE g.deleted_at IS NULL AND g.tenant_id = ",
    });
    sql.push_bind(tenant).push(" AND ");
    filter_sql::push(&mut sql, of, tenant, filter);
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
        r#"INSERT INTO scim_group (tenant_id, id, display_name_key, external_id, attrs, folded, jira_name,
                                   jira_name_key, created, modified)
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
        (Of::Users, format!("id eq \"{one}\""), "scim_user_pkey"),
        (Of::Users, "emails.value eq \"u77@corp.example\"".to_owned(), "scim_user_email"),
        (Of::Users, "emails[type eq \"work\"].value eq \"u77@corp.example\"".to_owned(), "scim_user_email"),
        (Of::Users, format!("id eq \"{one}\" and manager eq \"{one}\""), "scim_user_pkey"),
        (Of::Users, "active eq true and userName eq \"u77\"".to_owned(), "scim_user_user_name_key"),
        (Of::Groups, "displayName eq \"G77\"".to_owned(), "scim_group_display_name_key"),
        (Of::Groups, "externalId eq \"x77\"".to_owned(), "scim_group_external_id"),
        (Of::Groups, format!("id eq \"{one}\" and members eq \"{one}\""), "scim_group_pkey"),
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
