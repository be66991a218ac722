//! Sorted lists are in the order that the RFC wants, whichever way they are paged; and a walk by cursors sees everything
//! that is there all the while exactly once.

use std::cmp::Ordering;

use jira_scim::scim::Sort;
use jira_scim::scim::schema::{group, user};
use jira_scim::store::list::{self, Listed, Of, Start, Wanted};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::population::{BASE, Population, id, population};
use crate::postgres::fresh_database;
use crate::rows::{at, bury, insert_user};

const OF_USERS: [&str; 17] = [
    "id",
    "userName",
    "externalId",
    "active",
    "title",
    "name.givenName",
    "emails",
    "emails.type",
    "emails.primary",
    "department",
    "manager",
    "groups",
    "groups.display",
    "groups.type",
    "meta.created",
    "meta.lastModified",
    "meta.location",
];

const OF_GROUPS: [&str; 9] = [
    "id",
    "displayName",
    "externalId",
    "members",
    "members.display",
    "members.type",
    "meta.created",
    "meta.lastModified",
    "meta.version",
];

#[derive(Debug, Clone)]
struct Case {
    population: Population,
    of_users: &'static str,
    of_groups: &'static str,
    descending: bool,
    limit: u64,
}

fn case() -> impl Strategy<Value = Case> {
    (population(false), select(&OF_USERS[..]), select(&OF_GROUPS[..]), any::<bool>(), 1..4_u64).prop_map(
        |(population, of_users, of_groups, descending, limit)| Case {
            population,
            of_users,
            of_groups,
            descending,
            limit,
        },
    )
}

/// The value that counts: of a list the primary entry's, else the first one's.
fn key(document: &Value, path: &[String], multi: Option<usize>) -> Option<String> {
    let follow = |from: &Value, path: &[String]| path.iter().try_fold(from.clone(), |at, key| at.get(key).cloned());
    let found = match multi {
        None => follow(document, path)?,
        Some(multi) => {
            let (list, rest) = path.split_at(multi + 1);
            let list = follow(document, list)?;
            let entries = list.as_array()?;
            follow(entries.iter().find(|entry| entry["primary"] == true).or_else(|| entries.first())?, rest)?
        }
    };
    Some(found.as_str().map_or_else(|| found.to_string(), str::to_owned))
}

fn compare(a: &(Option<String>, Uuid), b: &(Option<String>, Uuid)) -> Ordering {
    match (&a.0, &b.0) {
        (Some(first), Some(second)) => first.cmp(second).then(a.1.cmp(&b.1)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.1.cmp(&b.1),
    }
}

/// The ids in the order that the documents have.
fn in_order(documents: &[(Uuid, Value)], sort: &Sort) -> Vec<Uuid> {
    let attr = sort.attr.as_ref().unwrap();
    let mut keyed: Vec<(Option<String>, Uuid)> =
        documents.iter().map(|(id, document)| (key(document, &attr.path, attr.multi), *id)).collect();
    keyed.sort_by(compare);
    if sort.descending {
        keyed.reverse();
    }
    keyed.into_iter().map(|(_, id)| id).collect()
}

fn order(descending: bool) -> Option<&'static str> {
    Some(if descending { "descending" } else { "ascending" })
}

impl Case {
    async fn check(&self, conn: &mut PgConnection, tenant: Uuid) -> Result<(), TestCaseError> {
        for (of, by, documents) in [
            (Of::Users, self.of_users, self.population.user_documents()),
            (Of::Groups, self.of_groups, self.population.group_documents()),
        ] {
            let ty = if of == Of::Users { user() } else { group() };
            let sort = Sort::parse(Some(by), order(self.descending), ty).unwrap().unwrap();
            let wanted = Wanted { sort: Some(&sort), base: BASE, ..Wanted::all(tenant) };
            let expected = in_order(&documents, &sort);
            prop_assert_eq!(&by_index(conn, of, &wanted, self.limit).await, &expected, "{} by index", by);
            let walked = by_cursor(conn, of, &wanted, self.limit).await;
            prop_assert_eq!(&ids(&walked), &expected, "{} by cursor", by);
        }
        Ok(())
    }
}

fn ids(rows: &[Listed]) -> Vec<Uuid> {
    rows.iter().map(|row| row.id).collect()
}

async fn by_index(conn: &mut PgConnection, of: Of, wanted: &Wanted<'_>, limit: u64) -> Vec<Uuid> {
    let mut found = Vec::new();
    loop {
        let page = list::rows(conn, of, wanted, Start::Offset(found.len() as u64), limit).await.unwrap();
        if page.is_empty() {
            return found;
        }
        found.extend(ids(&page));
    }
}

async fn by_cursor(conn: &mut PgConnection, of: Of, wanted: &Wanted<'_>, limit: u64) -> Vec<Listed> {
    let mut found: Vec<Listed> = Vec::new();
    loop {
        let place = found.last().map(Listed::place);
        let page = list::rows(conn, of, wanted, Start::After(place.as_ref()), limit).await.unwrap();
        if page.is_empty() {
            return found;
        }
        assert!(page.len() as u64 <= limit);
        found.extend(page);
    }
}

#[test]
fn lists_are_in_order_by_index_and_by_cursor() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (db, pool): (_, PgPool) = runtime.block_on(async {
        let db = fresh_database().await;
        let pool = db.pool().await;
        (db, pool)
    });
    let mut runner = TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&case(), |case| {
        runtime.block_on(async {
            let mut tx = pool.begin().await.unwrap();
            let tenant = Uuid::now_v7();
            case.population.store(&mut tx, tenant).await;
            let checked = case.check(&mut tx, tenant).await;
            tx.rollback().await.unwrap();
            checked
        })
    });
    runtime.block_on(pool.close());
    drop(db);
    outcome.unwrap_or_else(|e| panic!("{e}"));
}

#[tokio::test]
async fn a_walk_sees_what_stays_exactly_once_while_others_come_and_go() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let mut conn = pool.acquire().await.unwrap();
    for descending in [false, true] {
        let tenant = Uuid::now_v7();
        // Equal keys and missing ones, with room for others between them.
        let title = |n: usize| ["b", "b", "d", "d"].get(n % 6).copied();
        for n in 0..18 {
            let document = json!({ "userName": format!("stays{n}"), "title": title(n) });
            let document = without_nulls(document);
            insert_user(&mut conn, tenant, id(1, n * 100), &document, at(0)).await;
        }
        let sort = Sort::parse(Some("title"), order(descending), user()).unwrap().unwrap();
        let wanted = Wanted { sort: Some(&sort), ..Wanted::all(tenant) };
        let expected: Vec<Uuid> = ids(&by_cursor(&mut conn, Of::Users, &wanted, 100).await);
        assert_eq!(expected.len(), 18);
        let mut seen: Vec<Listed> = Vec::new();
        for step in 0.. {
            let place = seen.last().map(Listed::place);
            let page = list::rows(&mut conn, Of::Users, &wanted, Start::After(place.as_ref()), 2).await.unwrap();
            if page.is_empty() {
                break;
            }
            // Somebody just behind the last one seen comes, and so do some in front and with another key; later they go.
            let last = page.last().unwrap();
            let arriving =
                [(last.id.as_u128() + 1, last.key.as_deref()), (1000 + 10 * step, Some("a")), (1005 + 10 * step, None)];
            for (at_id, title) in arriving.into_iter().take(if step < 12 { 3 } else { 0 }) {
                let document = json!({ "userName": format!("passes{step}-{at_id}"), "title": title });
                insert_user(&mut conn, tenant, Uuid::from_u128(at_id), &without_nulls(document), at(1)).await;
            }
            if step > 0 && step < 12 {
                bury(&mut conn, "scim_user", Uuid::from_u128(990 + 10 * step), at(2)).await;
            }
            seen.extend(page);
            assert!(seen.len() < 100, "a walk ends");
        }
        let stayed: Vec<Uuid> = ids(&seen).into_iter().filter(|id| expected.contains(id)).collect();
        assert_eq!(stayed, expected, "descending: {descending}");
        assert!(seen.len() > expected.len(), "some who came on the way were seen too");
    }
}

fn without_nulls(mut document: Value) -> Value {
    document.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    document
}

#[tokio::test]
async fn users_and_groups_in_one_list_come_in_one_order() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let mut conn = pool.acquire().await.unwrap();
    let tenant = Uuid::now_v7();
    for (n, name) in ["d", "b", ""].iter().enumerate() {
        let display = (!name.is_empty()).then_some(*name);
        let document = without_nulls(json!({ "userName": format!("u{n}"), "displayName": display }));
        insert_user(&mut conn, tenant, id(1, n), &document, at(0)).await;
    }
    for (n, name) in ["c", "b"].iter().enumerate() {
        crate::rows::insert_group(&mut conn, tenant, id(2, n), &json!({ "displayName": name }), at(0)).await;
    }
    let named = |ids: [(u128, usize); 5]| ids.map(|(of, n)| id(of, n)).to_vec();
    let unsorted = named([(1, 0), (1, 1), (1, 2), (2, 0), (2, 1)]);
    let by_name = named([(1, 1), (2, 1), (2, 0), (1, 0), (1, 2)]);
    let backwards = named([(1, 2), (1, 0), (2, 0), (2, 1), (1, 1)]);
    // A user has no members, and comes last.
    let by_member = named([(2, 0), (2, 1), (1, 0), (1, 1), (1, 2)]);
    crate::rows::insert_member(&mut conn, tenant, id(2, 0), id(1, 0), false, at(0)).await;
    crate::rows::insert_member(&mut conn, tenant, id(2, 1), id(1, 1), false, at(0)).await;
    for (by, descending, expected) in [
        (None, false, &unsorted),
        (Some("displayName"), false, &by_name),
        (Some("displayName"), true, &backwards),
        (Some("id"), false, &unsorted),
        (Some("members"), false, &by_member),
    ] {
        let sorts = Sort::parse_among(by, order(descending), [user(), group()]).unwrap();
        let [users, groups] = match &sorts {
            Some([users, groups]) => [Some(users), Some(groups)],
            None => [None, None],
        };
        let [users, groups] = [users, groups].map(|sort| Wanted { sort, ..Wanted::all(tenant) });
        for limit in 1..=5 {
            let (mut at_index, mut walked): (Vec<Uuid>, Vec<Listed>) = (Vec::new(), Vec::new());
            for _ in 0..6 {
                let start = Start::Offset(at_index.len() as u64);
                at_index.extend(ids(&list::rows_of_both(&mut conn, &users, &groups, start, limit).await.unwrap()));
                let place = walked.last().map(Listed::place);
                let start = Start::After(place.as_ref());
                walked.extend(list::rows_of_both(&mut conn, &users, &groups, start, limit).await.unwrap());
            }
            assert_eq!(&at_index, expected, "{by:?} {descending} {limit}");
            assert_eq!(&ids(&walked), expected, "{by:?} {descending} {limit}");
        }
    }
}
