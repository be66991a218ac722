//! The CSV files of `[[table]]`: read at the start, and again when they change. Decides nothing.

use std::sync::Arc;
use std::time::Duration;

use super::AppError;
use crate::config::TableConfig;
use crate::config::files::{Marks, marks};
use crate::lifecycle::Lifecycle;
use crate::policy::tables::{Table, Tables};
use crate::store::outbox::{self, NudgeAs};
use crate::store::{Store, StoreError, tenant};
use crate::telemetry::Chain;
use crate::writer::Writer;

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(10);
/// The largest file that is read, in bytes.
const LARGEST: u64 = 256 << 20;

/// Reads all tables.
///
/// # Errors
/// The first file that cannot be read or is no table.
pub fn read(tables: &[TableConfig]) -> Result<Tables, AppError> {
    tables.iter().map(|table| Ok((table.name.clone(), read_one(table)?))).collect()
}

fn read_one(table: &TableConfig) -> Result<Table, AppError> {
    let path = || table.file.display().to_string();
    let unreadable = |source| AppError::File { path: path(), source };
    if std::fs::metadata(&table.file).map_err(unreadable)?.len() > LARGEST {
        return Err(unreadable(std::io::Error::other(format!("it is larger than {LARGEST} bytes"))));
    }
    let text = std::fs::read(&table.file).map_err(unreadable)?;
    Table::from_csv(&text, &table.key)
        .map_err(|error| AppError::Tenant(format!("table {}: {}: {error}", table.name, path())))
}

/// The files of all tables, and how they were when they were last read.
pub struct Files {
    tables: Arc<Vec<TableConfig>>,
    known: Marks,
}

/// Follows the files until the lifecycle ends.
pub(super) async fn follow(tables: Vec<TableConfig>, store: Store, writer: Writer, life: Lifecycle) {
    let mut files = Files::new(tables);
    while !life.is_ending() {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = life.soft().cancelled() => return,
        }
        if let Err(error) = files.follow_once(&store, &writer).await {
            tracing::warn!(error = %Chain(&error), "a table cannot be read anew; what it said before stays");
        }
    }
}

impl Files {
    /// As they are now; they have just been read.
    pub fn new(tables: Vec<TableConfig>) -> Self {
        Self { known: marks(tables.iter().map(|table| table.file.as_path())), tables: Arc::new(tables) }
    }

    /// Takes over what changed since, and has every user looked at whom it may concern; false where nothing did.
    ///
    /// # Errors
    /// A file cannot be read or is no table: then all tables stay as they were; or the store's.
    pub async fn follow_once(&mut self, store: &Store, writer: &Writer) -> Result<bool, AppError> {
        let now = marks(self.tables.iter().map(|table| table.file.as_path()));
        if now == self.known {
            return Ok(false);
        }
        let tables = Arc::clone(&self.tables);
        let read = tokio::task::spawn_blocking(move || read(&tables)).await;
        writer.set_tables(read.map_err(|error| AppError::Tenant(error.to_string()))??);
        let mut conn = store.pool().acquire().await.map_err(StoreError::from)?;
        for tenant in tenant::list(&mut *conn).await? {
            let fan_out = NudgeAs { fan_out: true, ..NudgeAs::BULK };
            outbox::nudge(&mut conn, tenant.id, "tenant", &[tenant.id], fan_out).await?;
            writer.wake(&tenant.target);
        }
        self.known = now;
        tracing::info!("tables were read anew; users whose account they change are written");
        Ok(true)
    }
}
