//! Tables that expressions look things up in: a CSV file that changes while the daemon runs.

use std::path::PathBuf;

use jira_scim::app::tables::{Files, read};
use jira_scim::config::TableConfig;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_table_that_changes_is_written_to_whom_it_concerns() {
    let world = World::with_policy(json!({
        "account": {"display_name": ["{{ externalId | lookup('hr', 'name') }}", "{{ userName }}"]},
    }))
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hr.csv");
    std::fs::write(&file, "employee,name\nE-1,Ann Moss\n").unwrap();
    let tables = vec![TableConfig { name: "hr".to_owned(), file: file.clone(), key: "employee".to_owned() }];
    world.writer.set_tables(read(&tables).unwrap());
    let mut files = Files::new(tables);
    world.user_like(json!({"userName": "ann", "externalId": "e-1"})).await;
    world.user_like(json!({"userName": "bo", "externalId": "e-2"})).await;
    world.writer.drain().await.unwrap();
    let name = |user: &str| world.jira.account(user).unwrap().display_name;
    assert_eq!((name("ann").as_str(), name("bo").as_str()), ("Ann Moss", "bo"));
    let calls = world.calls();

    assert!(!files.follow_once(&world.store, &world.writer).await.unwrap(), "nothing changed");
    std::fs::write(&file, "employee,name\nE-1,Ann Moss\nE-2,Bo Ek\n").unwrap();
    assert!(files.follow_once(&world.store, &world.writer).await.unwrap());
    world.writer.drain().await.unwrap();
    assert_eq!((name("ann").as_str(), name("bo").as_str()), ("Ann Moss", "Bo Ek"));
    assert_eq!(world.calls() - calls, 1, "whom it does not concern is left alone");

    std::fs::write(&file, "no table\nat,all\n").unwrap();
    let error = files.follow_once(&world.store, &world.writer).await.unwrap_err().to_string();
    assert!(error.contains("no column \"employee\""), "{error}");
    world.user_like(json!({"userName": "cy", "externalId": "e-2"})).await;
    world.writer.drain().await.unwrap();
    assert_eq!(name("cy"), "Bo Ek", "what the table said before stays");
}

#[test]
fn a_file_that_is_no_table_is_told_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("hr.csv");
    let tables = [TableConfig { name: "hr".to_owned(), file: file.clone(), key: "employee".to_owned() }];
    assert!(read(&tables).unwrap_err().to_string().contains("hr.csv"));
    std::fs::write(&file, "employee\nE-1\nE-1\n").unwrap();
    let error = read(&tables).unwrap_err().to_string();
    assert!(error.contains("table hr") && error.contains("line 3"), "{error}");
}
