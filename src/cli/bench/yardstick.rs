//! What the same PostgreSQL does without us: single rows, inserted by its own `pgbench`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::Line;
use crate::cli::Failure;
use crate::embedded::Embedded;
use crate::simulate::latency::Latencies;
use crate::simulate::load::Drive;
use crate::simulate::report::Row;
use crate::store::scratch;

const DATABASE: &str = "yardstick";
/// The line that accepted POSTs are compared with.
pub(super) const PAIR: &str = "pgbench: a document and a history row";
const DOCUMENT: &str = r#"{"name": {"givenName": "Ann", "familyName": "Moss"}, "active": true, "emails": [{"type": "work", "value": "ann.moss@corp.example", "primary": true}], "locale": "en-US", "userName": "ann.moss@corp.example", "externalId": "00uZ7C9vsLW4MNYSnTUN", "displayName": "Ann Moss"}"#;

/// Inserts for as long as everything else was measured, with as many connections.
pub(super) async fn run(
    program: &Path,
    folder: &Path,
    embedded: &Embedded,
    drive: Drive,
) -> Result<Vec<Line>, Failure> {
    scratch::recreate(&embedded.url(), DATABASE).await?;
    let url = embedded.url_of(DATABASE);
    scratch::yardstick(&url).await?;
    let alone = format!("INSERT INTO history (doc) VALUES ('{DOCUMENT}');");
    let pair = format!(
        "WITH made AS (INSERT INTO resource (name, doc) VALUES (gen_random_uuid()::text, '{DOCUMENT}') RETURNING doc)
         INSERT INTO history (doc) SELECT doc FROM made;"
    );
    let mut lines = Vec::new();
    for (name, script) in [("pgbench: a history row", alone), (PAIR, pair)] {
        eprintln!("{name} ...");
        let file = folder.join("script.sql");
        std::fs::write(&file, script.replace('\n', " "))?;
        insert(program, folder, &url, drive.connections, drive.warm_up).await?;
        let latencies = insert(program, folder, &url, drive.connections, drive.measure).await?;
        let rate = latencies.count() as f64 / seconds(drive.measure) as f64;
        lines.push(Line { row: Row::new(name, &latencies), rate, failures: 0, cpu: None });
    }
    Ok(lines)
}

/// `pgbench` lies beside the server's program.
///
/// # Errors
/// It is not installed.
pub(super) fn pgbench(embedded: &Embedded) -> Result<PathBuf, Failure> {
    let id = embedded.pid().ok_or("the private PostgreSQL does not run")?;
    let server = std::fs::read_link(format!("/proc/{id}/exe"))?;
    let program = server.with_file_name("pgbench");
    if program.is_file() { Ok(program) } else { Err(format!("there is no {}", program.display()).into()) }
}

fn seconds(time: Duration) -> u64 {
    time.as_secs().max(1)
}

async fn insert(
    program: &Path,
    folder: &Path,
    url: &str,
    connections: usize,
    time: Duration,
) -> Result<Latencies, Failure> {
    let logs = folder.join("pgbench");
    let _ = std::fs::remove_dir_all(&logs);
    std::fs::create_dir(&logs)?;
    let output = Command::new(program)
        .args(["--no-vacuum", "--protocol=prepared", "--jobs=2", "--log", "--log-prefix=log", "--file=../script.sql"])
        .arg(format!("--client={connections}"))
        .arg(format!("--time={}", seconds(time)))
        .arg(url)
        .current_dir(&logs)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    if !output.status.success() {
        return Err(format!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
    }
    let mut latencies = Latencies::default();
    for file in std::fs::read_dir(&logs)? {
        for line in std::fs::read_to_string(file?.path())?.lines() {
            // client, transaction, microseconds, ...
            if let Some(micros) = line.split(' ').nth(2).and_then(|field| field.parse().ok()) {
                latencies.push(Duration::from_micros(micros));
            }
        }
    }
    Ok(latencies)
}
