//! `jira-scim outbox list`

use chrono::{DateTime, Utc};
use clap::ValueEnum;
use serde_json::json;

use crate::cli::Failure;
use crate::cli::desk::Desk;
use crate::cli::table::table;
use crate::store::outbox_view::{self, Cursor, Entry, State, Total};
use crate::store::tenant::Tenant;

/// Entries that are read at once.
const PAGE: usize = 500;

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Only what is so; may be given several times [default: all]
    #[arg(long, value_delimiter = ',')]
    state: Vec<StateArg>,
    /// How many entries to show at most; the last line counts all
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StateArg {
    /// Can be done now
    Due,
    /// Is tried again at a time, or waits for its Jira group
    Waiting,
    /// Somebody is working on it
    Leased,
    /// Jira or a rule said no
    Refused,
    /// The brake holds it
    Held,
    /// Dropped by hand
    Waived,
    /// Everything
    All,
}

impl StateArg {
    fn states(self) -> Vec<State> {
        match self {
            Self::Due => vec![State::Due],
            Self::Waiting => vec![State::Waiting],
            Self::Leased => vec![State::Leased],
            Self::Refused => vec![State::Refused],
            Self::Held => vec![State::Held],
            Self::Waived => vec![State::Waived],
            Self::All => State::ALL.to_vec(),
        }
    }
}

pub(super) async fn run(args: &Args, desk: &Desk, tenants: &[Tenant], as_json: bool) -> Result<String, Failure> {
    let mut states: Vec<State> = args.state.iter().flat_map(|state| state.states()).collect();
    if states.is_empty() {
        states = State::ALL.to_vec();
    }
    let mut conn = desk.store.pool().acquire().await?;
    let mut total = Total::default();
    let mut shown = Vec::new();
    for tenant in tenants {
        let here = outbox_view::total(&mut conn, tenant.id, &states).await?;
        total.count += here.count;
        total.oldest = [total.oldest, here.oldest].into_iter().flatten().min();
        let mut after = Some(Cursor::default());
        while let Some(cursor) = after
            && shown.len() < args.limit
        {
            let room = PAGE.min(args.limit - shown.len());
            let room = i64::try_from(room).unwrap_or(i64::MAX);
            let (entries, next) = outbox_view::page(&mut conn, tenant.id, &states, &cursor, room).await?;
            shown.extend(entries.into_iter().map(|entry| (tenant.slug.as_str(), entry)));
            after = next;
        }
    }
    Ok(if as_json { in_json(&shown, total) } else { for_people(&shown, total, desk.now) })
}

fn in_json(shown: &[(&str, Entry)], total: Total) -> String {
    let entries: Vec<_> = shown
        .iter()
        .map(|(tenant, entry)| {
            let mut entry = json!(entry);
            entry["tenant"] = json!(tenant);
            entry
        })
        .collect();
    format!("{:#}", json!({ "entries": entries, "total": total }))
}

fn for_people(shown: &[(&str, Entry)], total: Total, now: DateTime<Utc>) -> String {
    if total.count == 0 {
        return "nothing: Jira agrees".to_owned();
    }
    let rows: Vec<Vec<String>> = shown.iter().map(|(tenant, entry)| row(tenant, entry, now)).collect();
    let head = ["tenant", "kind", "name", "step", "state", "since", "next", "tries", "reason", "id"];
    let oldest = total.oldest.map_or(String::new(), |at| format!(", the oldest for {}", age(at, now)));
    let hidden = usize::try_from(total.count).unwrap_or(usize::MAX).saturating_sub(shown.len());
    let more = if hidden > 0 { format!(" ({hidden} not shown: --limit)") } else { String::new() };
    format!("{}\n{} in all{oldest}{more}", table(&head, &rows), total.count)
}

fn row(tenant: &str, entry: &Entry, now: DateTime<Utc>) -> Vec<String> {
    let name = entry.name.clone().unwrap_or_default();
    let next = match (entry.state, entry.due, entry.leased_until) {
        (State::Leased, _, Some(until)) => format!("leased until {}", until.format("%H:%M:%S")),
        (State::Due, ..) | (_, None, _) => String::new(),
        (_, Some(at), _) if at <= now => "now".to_owned(),
        (_, Some(at), _) => format!("in {}", age(now, at)),
    };
    vec![
        tenant.to_owned(),
        entry.kind.clone(),
        if entry.deleted { format!("{name} (deleted)") } else { name },
        entry.step.clone().unwrap_or_default(),
        entry.state.as_str().to_owned(),
        age(entry.since, now),
        next,
        entry.attempts.filter(|n| *n > 0).map(|n| n.to_string()).unwrap_or_default(),
        entry.reason.clone().unwrap_or_default(),
        entry.id.map(|id| id.to_string()).unwrap_or_default(),
    ]
}

/// The time between two instants, in its largest two units.
fn age(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    let seconds = (to - from).num_seconds().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, ..) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_age_has_its_largest_two_units() {
        let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let of = |seconds| age(start, start + chrono::TimeDelta::seconds(seconds));
        assert_eq!([of(-5), of(59), of(61), of(3_700), of(90_000)], ["0s", "59s", "1m 1s", "1h 1m", "1d 1h"]);
    }
}
