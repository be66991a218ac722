//! The list as a file: rows are turned into text as they come, so that nothing grows with their number. Pure.

use serde_json::Value;

use crate::store::audit::Row;

/// Which kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One array.
    Json,
    /// A line a row, with a heading.
    Csv,
}

/// Turns rows into text, page after page.
#[derive(Debug)]
pub struct Export {
    form: Form,
    begun: bool,
}

const HEAD: [&str; 15] = [
    "at",
    "request",
    "side",
    "actor",
    "remote",
    "method",
    "path",
    "status",
    "duration_ms",
    "error",
    "changes",
    "subjects",
    "body",
    "deliveries",
    "left_out",
];

impl Export {
    /// A file of that form.
    pub fn new(form: Form) -> Self {
        Self { form, begun: false }
    }

    /// The text of the next rows.
    pub fn rows(&mut self, rows: &[Row]) -> Vec<u8> {
        let mut text = Vec::new();
        match self.form {
            Form::Json => {
                for row in rows {
                    text.extend_from_slice(if self.begun { b",\n" } else { b"[\n" });
                    self.begun = true;
                    text.extend(serde_json::to_vec(row).unwrap_or_default());
                }
            }
            Form::Csv => {
                let mut writer = csv::Writer::from_writer(&mut text);
                // Into memory: nothing can fail.
                if !std::mem::replace(&mut self.begun, true) {
                    let _ = writer.write_record(HEAD);
                }
                for row in rows {
                    let _ = writer.write_record(cells(row).map(|cell| tame(&cell)));
                }
                let _ = writer.flush();
                drop(writer);
            }
        }
        text
    }

    /// The end of the file.
    pub fn end(&mut self) -> Vec<u8> {
        match (self.form, self.begun) {
            (Form::Json, true) => b"\n]\n".to_vec(),
            (Form::Json, false) => b"[]\n".to_vec(),
            (Form::Csv, true) => Vec::new(),
            (Form::Csv, false) => self.rows(&[]),
        }
    }
}

fn cells(row: &Row) -> [String; 15] {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let joined = |all: Vec<String>| all.join(" ");
    let bodies: Vec<&Value> = row.body.iter().chain(row.changes.iter().filter_map(|c| c.body.as_ref())).collect();
    let delivered = row.deliveries.iter().map(|delivery| {
        let name = delivery.name.clone().unwrap_or_else(|| delivery.id.to_string());
        format!("{name}:{}", delivery.outcome.as_deref().unwrap_or("running"))
    });
    [
        row.at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        row.request_id.to_string(),
        row.side.clone(),
        row.actor.clone(),
        text(&row.remote),
        text(&row.method),
        text(&row.path),
        row.status.map(|status| status.to_string()).unwrap_or_default(),
        row.duration_ms.map(|ms| format!("{ms:.3}")).unwrap_or_default(),
        text(&row.error),
        joined(row.changes.iter().map(|change| change.action.clone()).collect()),
        joined(row.changes.iter().map(|change| change.name.clone().unwrap_or_else(|| change.id.to_string())).collect()),
        bodies.iter().map(|body| body.to_string()).collect::<Vec<_>>().join(" "),
        joined(delivered.collect()),
        (row.more_changes + row.more_deliveries).to_string(),
    ]
}

/// A spreadsheet takes what begins like this for a formula, and what is in here came from outside.
fn tame(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn row(actor: &str) -> Row {
        Row {
            tenant: None,
            at: chrono::DateTime::UNIX_EPOCH,
            id: Uuid::nil(),
            request_id: Uuid::nil(),
            given: None,
            side: "scim".into(),
            actor: actor.into(),
            remote: None,
            method: Some("POST".into()),
            path: Some("/a,\"b\"".into()),
            status: Some(409),
            duration_ms: Some(1.5),
            error: Some("no\nnot now".into()),
            body: Some(json!({"a": 1})),
            changes: Vec::new(),
            more_changes: 0,
            deliveries: Vec::new(),
            more_deliveries: 0,
        }
    }

    #[test]
    fn pages_of_json_are_one_array() {
        for pages in [vec![], vec![vec![row("a")]], vec![vec![row("a"), row("b")], vec![], vec![row("c")]]] {
            let mut export = Export::new(Form::Json);
            let mut text: Vec<u8> = pages.iter().flat_map(|page| export.rows(page)).collect();
            text.extend(export.end());
            let read: Vec<Value> = serde_json::from_slice(&text).unwrap();
            assert_eq!(read.len(), pages.iter().map(Vec::len).sum::<usize>());
        }
    }

    #[test]
    fn pages_of_csv_are_one_table_without_formulas() {
        let mut export = Export::new(Form::Csv);
        let mut text = export.rows(&[row("=cmd()")]);
        text.extend(export.rows(&[row("okta")]));
        text.extend(export.end());
        let mut reader = csv::Reader::from_reader(text.as_slice());
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!((records.len(), &records[0][3], &records[1][6]), (2, "'=cmd()", "/a,\"b\""));
        assert!(String::from_utf8(Export::new(Form::Csv).end()).unwrap().starts_with("at,request"));
    }
}
