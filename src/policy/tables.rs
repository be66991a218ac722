//! Tables that expressions look things up in: from region to city, from group to role, from a person to what the HR system
//! knows of them. Pure; files are read by whoever has them.

use std::collections::BTreeMap;

use crate::account::fold;

/// One table: rows by key, columns by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// By folded key.
    rows: BTreeMap<String, BTreeMap<String, String>>,
}

/// The name of the one column of a table that is written in the policy.
const VALUE: &str = "value";

/// Why a CSV text is no table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It is not CSV, or a line has another number of fields than the first.
    #[error("{0}")]
    Csv(#[from] csv::Error),
    /// The first line does not name the key.
    #[error("the first line has no column \"{0}\"")]
    NoKey(String),
    /// A key stands in two lines.
    #[error("line {line}: the key \"{key}\" stands in an earlier line, too")]
    Twice {
        /// Of the second.
        line: u64,
        /// The key.
        key: String,
    },
}

impl Table {
    /// A table of one column.
    pub fn of(pairs: &BTreeMap<String, String>) -> Self {
        let row = |value: &String| BTreeMap::from([(VALUE.to_owned(), value.clone())]);
        Self { rows: pairs.iter().map(|(key, value)| (fold(key.trim()), row(value))).collect() }
    }

    /// A table from CSV (RFC 4180) whose first line names the columns; `key` is the one that lookups compare with.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn from_csv(text: &[u8], key: &str) -> Result<Self, TableError> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
        let names = reader.headers()?.clone();
        if !names.iter().any(|name| name == key) {
            return Err(TableError::NoKey(key.to_owned()));
        }
        let mut rows = BTreeMap::new();
        for record in reader.records() {
            let record = record?;
            let line = record.position().map_or(0, csv::Position::line);
            let row: BTreeMap<String, String> =
                names.iter().zip(record.iter()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let name = row.get(key).cloned().unwrap_or_default();
            if !name.is_empty() && rows.insert(fold(&name), row).is_some() {
                return Err(TableError::Twice { line, key: name });
            }
        }
        Ok(Self { rows })
    }

    /// What a row says in a column, or in the one column of a table that has no other. A blank is nothing.
    pub fn get(&self, key: &str, column: Option<&str>) -> Option<&str> {
        let row = self.rows.get(&fold(key.trim()))?;
        row.get(column.unwrap_or(VALUE)).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Tables by name.
pub type Tables = BTreeMap<String, Table>;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_csv_file_is_looked_up_by_its_key_without_regard_to_case() {
        let text = "\u{feff}employee,costCenter,\"city, home\"\nE-91, 42 ,Oslo\ne-92,,\"Bergen, N\"\n";
        let table = Table::from_csv(text.as_bytes(), "employee").unwrap();
        assert_eq!(table.len(), 2);
        assert_eq!(table.get("e-91", Some("costCenter")), Some("42"));
        assert_eq!(table.get(" E-92 ", Some("city, home")), Some("Bergen, N"));
        assert_eq!(table.get("e-92", Some("costCenter")), None, "a blank is nothing");
        assert_eq!(table.get("e-92", Some("no such")), None);
        assert_eq!(table.get("e-93", Some("costCenter")), None);
    }

    #[test]
    fn a_csv_file_that_says_two_things_is_none() {
        for (text, why) in
            [("a,b\n1,2\n", "no column"), ("employee,b\n1,2\n1,3\n", "line 3"), ("employee,b\n1,2,3\n", "fields")]
        {
            let error = Table::from_csv(text.as_bytes(), "employee").unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }
}
