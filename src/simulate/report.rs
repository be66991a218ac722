//! What a session came to, for people and for programs.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::latency::{Latencies, millis};
use super::ledger::Left;

/// The requests of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `POST /Users`.
    pub name: String,
    /// How many were answered.
    pub count: usize,
    /// Half of them were answered within this time.
    pub p50: Duration,
    /// 95 of 100 were.
    pub p95: Duration,
    /// 99 of 100 were.
    pub p99: Duration,
    /// The slowest.
    pub max: Duration,
}

impl Row {
    /// The row of these durations.
    pub fn new(name: &str, latencies: &Latencies) -> Self {
        Self {
            name: name.to_owned(),
            count: latencies.count(),
            p50: latencies.quantile(0.5),
            p95: latencies.quantile(0.95),
            p99: latencies.quantile(0.99),
            max: latencies.quantile(1.0),
        }
    }
}

/// Something that is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The request it answers, or what several answers are about.
    pub exchange: String,
    /// One sentence.
    pub what: String,
    /// The quirks that make it necessary: `GEN-13, OKTA-21`.
    pub cites: String,
}

/// What a session came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// By kind of request.
    pub rows: Vec<Row>,
    /// How long it took.
    pub took: Duration,
    /// The first complaints.
    pub complaints: Vec<Complaint>,
    /// How many there were in all.
    pub complained: u64,
    /// Answers with status 429 that were obeyed.
    pub throttled: u64,
    /// What of the session's is still there.
    pub left: Left,
}

/// So many complaints are printed.
const PRINTED: usize = 20;

impl Report {
    /// Whether nothing was wrong.
    pub fn is_clean(&self) -> bool {
        self.complained == 0
    }

    /// Answered requests.
    pub fn requests(&self) -> usize {
        self.rows.iter().map(|row| row.count).sum()
    }

    /// The same for programs; times are milliseconds.
    pub fn json(&self) -> Value {
        let millis = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let row = |row: &Row| {
            json!({ "request": row.name, "answers": row.count, "p50": millis(row.p50), "p95": millis(row.p95),
                    "p99": millis(row.p99), "max": millis(row.max) })
        };
        let complaint = |complaint: &Complaint| {
            let cites: Vec<&str> = complaint.cites.split(", ").filter(|cite| !cite.is_empty()).collect();
            json!({ "exchange": complaint.exchange, "what": complaint.what, "cites": cites })
        };
        json!({
            "clean": self.is_clean(),
            "answers": self.requests(),
            "milliseconds": millis(self.took),
            "throttled": self.throttled,
            "requests": self.rows.iter().map(row).collect::<Vec<_>>(),
            "complained": self.complained,
            "complaints": self.complaints.iter().map(complaint).collect::<Vec<_>>(),
            "left": self.left,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_rows(f)?;
        self.write_left(f)?;
        if self.is_clean() {
            return writeln!(f, "nothing was wrong with the answers");
        }
        self.write_complaints(f)
    }
}

impl Report {
    fn write_rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<34} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "request", "answers", "p50 ms", "p95 ms", "p99 ms", "max ms"
        )?;
        for row in &self.rows {
            let [p50, p95, p99, max] = [row.p50, row.p95, row.p99, row.max].map(millis);
            writeln!(f, "{:<34} {:>9} {p50:>9} {p95:>9} {p99:>9} {max:>9}", row.name, row.count)?;
        }
        let seconds = self.took.as_secs_f64();
        let rate = self.requests() as f64 / seconds.max(0.001);
        writeln!(f, "\n{} answers in {seconds:.1} s, {rate:.0} a second", self.requests())?;
        if self.throttled > 0 {
            writeln!(f, "{} answers were 429 and obeyed", self.throttled)?;
        }
        Ok(())
    }

    fn write_left(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = &self.left;
        if left.left_alone > 0 {
            writeln!(f, "{} users and groups were there before and were left alone", left.left_alone)?;
        }
        if left.is_nothing() {
            return writeln!(f, "nothing is left behind, {} users and groups were deleted", left.deleted);
        }
        let (active, inactive, groups) = (left.active_users, left.inactive_users, left.groups);
        write!(f, "left behind: {active} active and {inactive} deactivated users, {groups} groups")?;
        if left.unsure > 0 {
            write!(f, ", perhaps {} whose creation was not answered", left.unsure)?;
        }
        writeln!(f)
    }

    fn write_complaints(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} complaints:", self.complained)?;
        for complaint in self.complaints.iter().take(PRINTED) {
            let Complaint { exchange, what, cites } = complaint;
            let cites = if cites.is_empty() { String::new() } else { format!(" [{cites}]") };
            writeln!(f, "  {exchange}\n    {what}{cites}")?;
        }
        let more = self.complained.saturating_sub(self.complaints.len().min(PRINTED) as u64);
        if more > 0 {
            writeln!(f, "  and {more} more")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_shows_the_first_complaints_and_counts_the_rest() {
        let complaint = Complaint { exchange: "GET /Users".into(), what: "no id".into(), cites: "GEN-19, AK-5".into() };
        let report = Report { complaints: vec![complaint; 100], complained: 120, ..Report::default() };
        let text = report.to_string();
        assert!(!report.is_clean() && text.contains("120 complaints") && text.contains("and 100 more"), "{text}");
        assert!(text.contains("no id [GEN-19, AK-5]"), "{text}");
        assert_eq!(report.json()["complaints"][0]["cites"], json!(["GEN-19", "AK-5"]));
    }

    #[test]
    fn a_report_says_what_is_left_behind() {
        let left = Left { inactive_users: 3, unsure: 1, ..Left::default() };
        let text = Report { left, ..Report::default() }.to_string();
        assert!(text.contains("0 active and 3 deactivated users, 0 groups, perhaps 1"), "{text}");
        assert!(Report::default().to_string().contains("nothing is left behind"));
    }

    #[test]
    fn a_clean_report_says_so() {
        assert!(Report::default().to_string().contains("nothing was wrong"));
    }
}
