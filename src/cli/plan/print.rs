//! How a plan is told: text, JSON, or CSV. The lines are written as they come; only a few of each kind are kept for the text.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::cli::table::table;
use crate::store::tenant::Tenant;
use crate::writer::forecast::{Kind, Line, Summary, Told};

/// The lines of each kind that the text shows.
const FIRST: usize = 10;
/// The groups and reasons that the text shows.
const MANY: usize = 30;
/// How often the progress is told.
const EVERY: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Form {
    Text,
    Json,
    Csv,
}

/// Takes what a forecast tells.
pub(in crate::cli) struct Printer<W: Write> {
    form: Form,
    /// Only these; empty: all.
    kinds: Vec<Kind>,
    /// No lines.
    brief: bool,
    out: BufWriter<W>,
    first: BTreeMap<Kind, Vec<Line>>,
    shown: u64,
    writes: u64,
    told: Instant,
}

/// The one JSON document: lines, then sums.
#[derive(Serialize)]
struct Sums<'a> {
    tenant: &'a str,
    target: &'a str,
    mode: &'a str,
    empty: bool,
    #[serde(flatten)]
    summary: &'a Summary,
}

impl<W: Write> Printer<W> {
    pub(in crate::cli) fn new(form: Form, kinds: Vec<Kind>, brief: bool, out: W) -> Self {
        let first = BTreeMap::new();
        Self { form, kinds, brief, out: BufWriter::new(out), first, shown: 0, writes: 0, told: Instant::now() }
    }

    /// One thing that was told.
    pub(in crate::cli) fn take(&mut self, told: Told<'_>) -> io::Result<()> {
        match told {
            Told::Line(line) if self.kinds.is_empty() || self.kinds.contains(&line.kind) => self.line(line),
            Told::Line(_) => Ok(()),
            Told::Progress(done, of) => {
                if self.told.elapsed() >= EVERY {
                    self.told = Instant::now();
                    eprintln!("{done} of {of} users");
                }
                Ok(())
            }
        }
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        self.shown += 1;
        self.writes += u64::from(line.kind.writes());
        if self.brief {
            return Ok(());
        }
        match self.form {
            Form::Text => {
                let kept = self.first.entry(line.kind).or_default();
                if kept.len() < FIRST {
                    kept.push(line.clone());
                }
                Ok(())
            }
            Form::Json => {
                self.out.write_all(if self.shown == 1 { b"{\"lines\":[\n" } else { b",\n" })?;
                serde_json::to_writer(&mut self.out, line).map_err(io::Error::from)
            }
            Form::Csv => {
                if self.shown == 1 {
                    self.row(["kind", "user", "id", "account", "group", "detail"].map(str::to_owned))?;
                }
                self.row([
                    line.kind.to_string(),
                    line.user.clone(),
                    line.id.map(|id| id.to_string()).unwrap_or_default(),
                    line.account.clone(),
                    line.group.clone().unwrap_or_default(),
                    line.detail.clone(),
                ])
            }
        }
    }

    fn row(&mut self, cells: [String; 6]) -> io::Result<()> {
        let mut row = csv::Writer::from_writer(Vec::new());
        row.write_record(cells.map(inert)).map_err(io::Error::other)?;
        let row = row.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        self.out.write_all(&row)
    }

    /// The end, with the sums. How many of the lines that were asked for write something.
    pub(in crate::cli) fn finish(mut self, tenant: &Tenant, summary: &Summary) -> io::Result<u64> {
        match self.form {
            Form::Text => {
                let text = self.text(tenant, summary);
                writeln!(self.out, "{text}")?;
            }
            Form::Json => {
                let begun = self.shown > 0 && !self.brief;
                self.out.write_all(match (begun, self.brief) {
                    (true, _) => b"\n],\"summary\":".as_slice(),
                    (false, true) => b"{\"summary\":",
                    (false, false) => b"{\"lines\":[],\"summary\":",
                })?;
                let (slug, target, mode) = (tenant.slug.as_str(), tenant.target.as_str(), tenant.mode.as_str());
                let sums = Sums { tenant: slug, target, mode, empty: summary.is_empty(), summary };
                serde_json::to_writer(&mut self.out, &sums)?;
                self.out.write_all(b"}\n")?;
            }
            Form::Csv => eprintln!("{}", sums(tenant, summary)),
        }
        self.out.flush()?;
        Ok(self.writes)
    }

    fn text(&self, tenant: &Tenant, summary: &Summary) -> String {
        let mut parts = vec![sums(tenant, summary)];
        for kind in Kind::ALL {
            let Some(lines) = self.first.get(&kind) else { continue };
            let rows: Vec<Vec<String>> = lines.iter().map(cells).collect();
            let of = summary.count(kind);
            let more =
                if of > lines.len() as u64 { format!(" (first {} of {of})", lines.len()) } else { String::new() };
            parts.push(format!("{kind}{more}\n{}", table(&["user", "account", "group", ""], &rows)));
        }
        parts.join("\n\n")
    }
}

fn cells(line: &Line) -> Vec<String> {
    vec![line.user.clone(), line.account.clone(), line.group.clone().unwrap_or_default(), line.detail.clone()]
}

/// The sums in words.
pub(in crate::cli) fn sums(tenant: &Tenant, summary: &Summary) -> String {
    let mut parts = vec![format!(
        "tenant {}, target {}, mode {}: {} users looked at, something would be written of {}",
        tenant.slug,
        tenant.target,
        tenant.mode.as_str(),
        summary.users,
        summary.concerned
    )];
    if summary.is_empty() {
        parts.push("nothing would be written".to_owned());
    }
    let mut rows: Vec<Vec<String>> = summary
        .lines
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(kind, count)| vec![kind.to_string(), count.to_string()])
        .collect();
    if summary.renames > 0 {
        rows.push(vec!["of the updates: renames".to_owned(), summary.renames.to_string()]);
    }
    parts.extend(shown(&["what", "how many"], rows));
    let tally = |(name, tally): (&String, &crate::writer::forecast::Tally)| {
        vec![name.clone(), format!("+{}", tally.plus), format!("-{}", tally.minus)]
    };
    parts.extend(shown(&["Jira group", "joins", "leaves"], summary.groups.iter().map(tally).collect()));
    parts.extend(shown(&["seats of", "needed", "free"], summary.seats.iter().map(tally).collect()));
    let reasons = summary.refused.iter().map(|(reason, count)| vec![count.to_string(), reason.clone()]).collect();
    parts.extend(shown(&["not done", "because"], reasons));
    if let Some(strays) = summary.unmatched.filter(|strays| strays.found > strays.limit) {
        parts.push(format!(
            "{} accounts are nobody's, more than unmatched_accounts.limit, which is {}: none would be switched off",
            strays.found, strays.limit
        ));
    }
    for says in summary.brake.iter().filter(|says| says.trips) {
        parts.push(format!(
            "the brake would trip: {} {} would be taken away, the limit is {}",
            says.wanted, says.class, says.limit
        ));
    }
    parts.join("\n\n")
}

fn shown(head: &[&str], mut rows: Vec<Vec<String>>) -> Option<String> {
    let more = rows.len().saturating_sub(MANY);
    rows.truncate(MANY);
    if rows.is_empty() {
        return None;
    }
    let more = if more > 0 { format!("\n({more} more)") } else { String::new() };
    Some(format!("{}{more}", table(head, &rows)))
}

/// A cell that no spreadsheet takes for a formula, whatever somebody is called.
fn inert(cell: String) -> String {
    match cell.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{cell}"),
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::inert;

    #[test]
    fn no_name_becomes_a_formula() {
        for (cell, safe) in [("=1+1", "'=1+1"), ("-x", "'-x"), ("ann", "ann"), ("", "")] {
            assert_eq!(inert(cell.to_owned()), safe);
        }
    }
}
