//! How long a search takes among many requests on record, and how much memory an export needs.

use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use super::DATABASE;
use super::children::peak_memory;
use crate::cli::Failure;
use crate::embedded::Embedded;
use crate::record::export::{Export, Form};
use crate::store::audit::{self, NewRequest, Pages, Query, Side, Whose};
use crate::store::tenant::{self, Mode, NewTenant, Origin};
use crate::store::{Store, StoreOptions, janitor, scratch, seed};

/// Requests of one statement.
const BATCH: u64 = 500;
/// Over how many days they are spread.
const DAYS: u64 = 7;
/// The longest that a search may take.
const LIMIT: Duration = Duration::from_millis(500);
/// The memory of an export may grow so much while it runs, in KiB.
const MOST: u64 = 64 * 1024;

/// Measures, and fails where a search takes too long.
pub(super) async fn run(count: u64, embedded: &Embedded) -> Result<(), Failure> {
    scratch::recreate(&embedded.url(), DATABASE).await?;
    let store = Store::lazy(&StoreOptions {
        url: embedded.url_of(DATABASE),
        max_connections: 4,
        acquire_timeout: Duration::from_secs(10),
        statement_timeout: Duration::from_secs(60),
    })?;
    store.migrate().await?;
    let tenant_id = filled(&store, count).await?;
    println!("\n{count} requests on record over {DAYS} days\n");
    let text = |text: &str| Query { text: Some(text.to_owned()), ..Query::default() };
    let old = Utc::now() - TimeDelta::days(i64::try_from(DAYS)? - 1);
    let middle = count / 2;
    let searches = [
        ("the newest", Query::default()),
        ("from a day on, backwards", Query { until: Some(old), ..Query::default() }),
        ("a family name that one request has", text(&format!("Family{middle}x"))),
        ("the beginning of a name that many have", text("fam")),
        ("a word that nobody said", text("nowhere")),
        ("a word that every request has, and one that one has", text(&format!("example Family{middle}x"))),
        ("a word of one in a thousand", text("crew7")),
        ("a word of one in a hundred", text("desk7")),
        ("refused with 409", Query { status: Some("409".into()), ..Query::default() }),
        ("all that was refused", Query { status: Some("4xx".into()), ..Query::default() }),
        ("DELETE", Query { method: Some("DELETE".into()), ..Query::default() }),
        ("one user's", Query { user: Some(vec![user(middle)]), ..Query::default() }),
        ("one request", Query { request_id: Some(Uuid::from_u128(u128::from(middle))), ..Query::default() }),
    ];
    let mut slowest = Duration::ZERO;
    println!("{:<54} {:>6} {:>10} {:>10}", "", "rows", "first ms", "again ms");
    for (name, query) in searches {
        let mut took = Vec::new();
        let mut rows = 0;
        for _ in 0..3 {
            let mut conn = store.pool().acquire().await?;
            let begun = Instant::now();
            rows = audit::search(&mut conn, &[tenant_id], &query, 100).await?.rows.len();
            took.push(begun.elapsed());
        }
        slowest = slowest.max(took[0]);
        let best = took.iter().min().copied().unwrap_or_default();
        println!("{name:<54} {rows:>6} {:>10.1} {:>10.1}", took[0].as_secs_f64() * 1e3, best.as_secs_f64() * 1e3);
    }
    let begun = Instant::now();
    let mut conn = store.pool().acquire().await?;
    let named = audit::users_named(&mut conn, tenant_id, &format!("user{middle}@corp.example")).await?.len();
    drop(conn);
    println!("{:<54} {named:>6} {:>10.1}", "who had a name", begun.elapsed().as_secs_f64() * 1e3);
    exported(&store, tenant_id).await?;
    if slowest > LIMIT { Err("a search took longer than half a second".into()) } else { Ok(()) }
}

fn user(number: u64) -> Uuid {
    Uuid::from_u128((1 << 100) | u128::from(number))
}

/// A tenant with so many requests: creates, reads, changes of groups, and some that were refused.
async fn filled(store: &Store, count: u64) -> Result<Uuid, Failure> {
    let mut conn = store.pool().acquire().await?;
    let origin = Origin { actor: "bench", request_id: Uuid::now_v7(), at: Utc::now() };
    let new = NewTenant { slug: "okta".into(), target: "jira".into(), mode: Mode::Observe, policy: json!({}) };
    let made = tenant::create(&mut conn, Uuid::now_v7(), &new, origin).await?;
    let first = Utc::now() - TimeDelta::days(i64::try_from(DAYS)?);
    janitor::ensure_partitions(&mut conn, first.date_naive()).await?;
    janitor::ensure_partitions(&mut conn, Utc::now().date_naive()).await?;
    let apart = Duration::from_secs(DAYS * 86_400).div_f64(count as f64);
    eprintln!("{count} requests ...");
    let begun = Instant::now();
    for batch in 0..count.div_ceil(BATCH) {
        let numbers = batch * BATCH..count.min((batch + 1) * BATCH);
        let requests: Vec<NewRequest> = numbers
            .map(|number| request(made.id, number, first + apart * u32::try_from(number).unwrap_or(u32::MAX)))
            .collect();
        audit::write(&mut conn, &requests).await?;
    }
    eprintln!("  in {:.0} s", begun.elapsed().as_secs_f64());
    seed::settle(&mut conn).await?;
    Ok(made.id)
}

fn request(tenant_id: Uuid, number: u64, at: chrono::DateTime<Utc>) -> NewRequest {
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": format!("user{number}@corp.example"),
        "name": {"givenName": format!("Given{}", number % 5000), "familyName": format!("Family{number}x")},
        "emails": [{"value": format!("user{number}@corp.example"), "primary": true}],
        "title": format!("Desk{}", number % 100),
        "department": format!("Crew{}", number % 1000),
        "active": true,
    });
    let (method, path, status, body) = match number % 10 {
        0 => ("POST", "/scim/okta/v2/Users".to_owned(), if number.is_multiple_of(50) { 409 } else { 201 }, Some(body)),
        1 | 2 => ("PATCH", format!("/scim/okta/v2/Users/{}", user(number)), 200, Some(body)),
        3 if number % 100 == 3 => ("DELETE", format!("/scim/okta/v2/Users/{}", user(number)), 204, None),
        4 | 5 => ("PUT", format!("/scim/okta/v2/Users/{}", user(number)), 200, Some(body)),
        6 => ("GET", format!("/scim/okta/v2/Users?filter=userName+eq+%22user{number}@corp.example%22"), 200, None),
        _ => ("GET", format!("/scim/okta/v2/Users/{}", user(number)), 200, None),
    };
    NewRequest {
        whose: Whose::Tenant(tenant_id),
        at,
        request_id: Uuid::from_u128(u128::from(number)),
        given: None,
        side: Side::Scim,
        actor: "okta".to_owned(),
        remote: Some(format!("192.0.2.{}", number % 250)),
        method: method.to_owned(),
        path,
        status: Some(status),
        duration: Duration::from_millis(3),
        subjects: vec![user(number)],
        changed: false,
        keeps_body: true,
        body: body.map(std::sync::Arc::new),
        error: (status == 409).then(|| "userName: it is taken.".to_owned()),
    }
}

/// Exports everything to nowhere.
async fn exported(store: &Store, tenant_id: Uuid) -> Result<(), Failure> {
    let own = std::process::id();
    // The peak so far is forgotten, so that the export's own is read.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = peak_memory(own)?;
    let (mut pages, mut export) = (Pages::new(vec![tenant_id], Query::default()), Export::new(Form::Csv));
    let (begun, mut rows, mut bytes) = (Instant::now(), 0, 0);
    while let Some(page) = pages.next(store).await? {
        rows += page.len();
        bytes += export.rows(&page).len();
    }
    let grown = peak_memory(own)?.saturating_sub(before);
    println!(
        "\nexport of all {rows} rows as CSV: {:.0} s, {} MiB, and the process grew by {:.1} MiB",
        begun.elapsed().as_secs_f64(),
        bytes >> 20,
        grown as f64 / 1024.0
    );
    if grown > MOST { Err("the memory of an export grows with the number of rows".into()) } else { Ok(()) }
}
