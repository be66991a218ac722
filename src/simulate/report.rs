//! What a session came to, for people.

use std::fmt;
use std::time::Duration;

use super::latency::{Latencies, millis};

/// The requests of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `POST /Users`.
    pub name: String,
    /// How many were answered.
    pub count: usize,
    /// Half of them were answered within this time.
    pub p50: Duration,
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
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<34} {:>9} {:>9} {:>9} {:>9}", "request", "answers", "p50 ms", "p99 ms", "max ms")?;
        for row in &self.rows {
            let (p50, p99, max) = (millis(row.p50), millis(row.p99), millis(row.max));
            writeln!(f, "{:<34} {:>9} {p50:>9} {p99:>9} {max:>9}", row.name, row.count)?;
        }
        let seconds = self.took.as_secs_f64();
        let rate = self.requests() as f64 / seconds.max(0.001);
        writeln!(f, "\n{} answers in {seconds:.1} s, {rate:.0} a second", self.requests())?;
        if self.throttled > 0 {
            writeln!(f, "{} answers were 429 and obeyed", self.throttled)?;
        }
        if self.is_clean() {
            return writeln!(f, "nothing was wrong with the answers");
        }
        writeln!(f, "{} complaints:", self.complained)?;
        for complaint in self.complaints.iter().take(PRINTED) {
            writeln!(f, "  {}\n    {}", complaint.exchange, complaint.what)?;
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
        let complaint = Complaint { exchange: "GET /Users".into(), what: "no id".into() };
        let report = Report { complaints: vec![complaint; 100], complained: 120, ..Report::default() };
        let text = report.to_string();
        assert!(!report.is_clean() && text.contains("120 complaints") && text.contains("and 100 more"), "{text}");
    }

    #[test]
    fn a_clean_report_says_so() {
        assert!(Report::default().to_string().contains("nothing was wrong"));
    }
}
