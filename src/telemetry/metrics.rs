//! Every metric of the program, with its help and its unit, in one place.
//!
//! Labels come from the configuration, the store or a fixed set of words: never from a request that nobody has
//! authenticated, so that a stranger cannot grow the memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{
    Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// Seconds; from a cached answer to a settled write at a slow Jira.
const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The metrics; clones share them.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<All>);

#[derive(Debug)]
struct All {
    registry: Registry,
    http_requests: IntCounterVec,
    http_seconds: HistogramVec,
    http_in_flight: IntGauge,
    rate_limited: IntCounterVec,
    unrecorded: IntCounterVec,
    outbox_depth: IntGaugeVec,
    outbox_oldest: GaugeVec,
    steps: IntGaugeVec,
    deliveries: IntCounterVec,
    refused_late: IntCounterVec,
    settles: IntCounterVec,
    target_calls: IntCounterVec,
    target_seconds: HistogramVec,
    target_throttled: IntCounterVec,
    target_pauses: IntCounterVec,
    target_up: IntGaugeVec,
    credential_expires: IntGaugeVec,
    token_expires: IntGaugeVec,
    /// Which of them are told, so that those that are no more can be taken back.
    tokens: Mutex<BTreeSet<(String, String)>>,
    unmatched: IntGaugeVec,
    drift: IntGaugeVec,
    runs: IntCounterVec,
    run_succeeded: IntGaugeVec,
    brake_tripped: IntGaugeVec,
    brake_held: IntCounterVec,
    database_up: IntGauge,
    started: Gauge,
}

/// Makes metrics and registers them as it goes.
struct Maker(Registry);

impl Maker {
    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn histograms(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<HistogramVec> {
        let metric = HistogramVec::new(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()), labels)?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn whole_gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn whole_gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        let metric = IntGauge::new(name, help)?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

impl Metrics {
    /// All metrics, at zero, with those of the process (memory, CPU, files) where the system tells them.
    ///
    /// # Errors
    /// A metric is defined wrongly: a mistake in this file, found by its test.
    pub fn new() -> prometheus::Result<Self> {
        let maker = Maker(Registry::new());
        let started = Gauge::new("jira_scim_start_time_seconds", "When the daemon started, in seconds since 1970.")?;
        started.set(chrono::Utc::now().timestamp_millis() as f64 / 1000.0);
        maker.0.register(Box::new(started.clone()))?;
        build_info(&maker)?;
        #[cfg(target_os = "linux")]
        maker.0.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Self(Arc::new(All {
            http_requests: maker.counters(
                "jira_scim_http_requests_total",
                "Requests answered, by tenant (empty when not authenticated), operation and HTTP status.",
                &["tenant", "operation", "status"],
            )?,
            http_seconds: maker.histograms(
                "jira_scim_http_request_duration_seconds",
                "Time from a request's head to its answer.",
                &["tenant", "operation"],
            )?,
            http_in_flight: maker.whole_gauge("jira_scim_http_requests_in_flight", "Requests being answered.")?,
            rate_limited: maker.counters(
                "jira_scim_http_rate_limited_total",
                "Requests answered 429 because the tenant sent too many.",
                &["tenant"],
            )?,
            unrecorded: maker.counters(
                "jira_scim_requests_unrecorded_total",
                "Requests that are not on record, by why: stranger (too many without a credential), database, refused.",
                &["reason"],
            )?,
            outbox_depth: maker.whole_gauges(
                "jira_scim_outbox_depth",
                "Subjects whose Jira side is out of date.",
                &["tenant"],
            )?,
            outbox_oldest: {
                let opts = Opts::new(
                    "jira_scim_outbox_oldest_age_seconds",
                    "How long the oldest of these subjects has waited.",
                );
                let metric = GaugeVec::new(opts, &["tenant"])?;
                maker.0.register(Box::new(metric.clone()))?;
                metric
            },
            steps: maker.whole_gauges(
                "jira_scim_steps_not_applied",
                "Steps that are refused, held or waived at present.",
                &["tenant", "state"],
            )?,
            deliveries: maker.counters(
                "jira_scim_deliveries_total",
                "Attempts to bring a subject up to date, by outcome.",
                &["tenant", "outcome"],
            )?,
            refused_late: maker.counters(
                "jira_scim_late_refusals_total",
                "Steps that Jira refused after the identity provider had been answered.",
                &["tenant"],
            )?,
            settles: maker.counters(
                "jira_scim_settles_total",
                "How waiting for Jira before an answer ended.",
                &["tenant", "outcome"],
            )?,
            target_calls: maker.counters(
                "jira_scim_target_calls_total",
                "Calls to a Jira, by method with path template and HTTP status (none when there was no answer).",
                &["target", "operation", "status"],
            )?,
            target_seconds: maker.histograms(
                "jira_scim_target_call_duration_seconds",
                "How long calls to a Jira took.",
                &["target", "operation"],
            )?,
            target_throttled: maker.counters(
                "jira_scim_target_throttled_total",
                "Calls that a Jira answered with 429.",
                &["target"],
            )?,
            target_pauses: maker.counters(
                "jira_scim_target_pauses_total",
                "How often a target was paused as a whole, by reason.",
                &["target", "reason"],
            )?,
            target_up: maker.whole_gauges(
                "jira_scim_target_up",
                "1 while a target is worked, 0 while it is paused.",
                &["target"],
            )?,
            credential_expires: maker.whole_gauges(
                "jira_scim_credential_expires_timestamp_seconds",
                "When a target's credential ends, in seconds since 1970, where that is configured.",
                &["target", "credential"],
            )?,
            token_expires: maker.whole_gauges(
                "jira_scim_token_expires_timestamp_seconds",
                "When an identity provider's credential ends, in seconds since 1970, where it does.",
                &["tenant", "token"],
            )?,
            tokens: Mutex::default(),
            unmatched: maker.whole_gauges(
                "jira_scim_unmatched_accounts",
                "Active accounts at the target that nobody claims, when last compared.",
                &["tenant"],
            )?,
            drift: maker.whole_gauges(
                "jira_scim_drift",
                "What the target has that is not what was written there, when last compared.",
                &["tenant"],
            )?,
            runs: maker.counters(
                "jira_scim_runs_total",
                "Imports and other long runs that ended, by outcome.",
                &["tenant", "kind", "outcome"],
            )?,
            run_succeeded: maker.whole_gauges(
                "jira_scim_run_last_success_timestamp_seconds",
                "When a run of that kind was last through, in seconds since 1970.",
                &["tenant", "kind"],
            )?,
            brake_tripped: maker.whole_gauges(
                "jira_scim_brake_tripped",
                "1 while a tenant's brake holds everything that takes away.",
                &["tenant"],
            )?,
            brake_held: maker.counters(
                "jira_scim_brake_held_total",
                "Steps that the brake held, by the limit that they are under.",
                &["tenant", "class"],
            )?,
            database_up: maker.whole_gauge("jira_scim_database_up", "1 when the last look found the database.")?,
            started,
            registry: maker.0,
        })))
    }

    /// A request was answered. `tenant` is empty for one that nobody was authenticated for; `operation` is one of a
    /// fixed set (`users.create`).
    pub fn http_request(&self, tenant: &str, operation: &str, status: u16, took: Duration) {
        let status = status.to_string();
        self.0.http_requests.with_label_values(&[tenant, operation, &status]).inc();
        self.0.http_seconds.with_label_values(&[tenant, operation]).observe(took.as_secs_f64());
        if status == "429" {
            self.0.rate_limited.with_label_values(&[tenant]).inc();
        }
    }

    /// Counts a request as being answered until the result is dropped.
    pub fn http_in_flight(&self) -> InFlight {
        self.0.http_in_flight.inc();
        InFlight(self.0.http_in_flight.clone())
    }

    /// Counts a request that is not on record (`stranger`, `database`, `refused`).
    pub fn unrecorded(&self, reason: &str) {
        self.0.unrecorded.with_label_values(&[reason]).inc();
    }

    /// How many subjects of a tenant are out of date, and for how long the oldest.
    pub fn outbox(&self, tenant: &str, depth: i64, oldest: Duration) {
        self.0.outbox_depth.with_label_values(&[tenant]).set(depth);
        self.0.outbox_oldest.with_label_values(&[tenant]).set(oldest.as_secs_f64());
    }

    /// How many steps of a tenant are in a state (`refused`, `held`, `waived`) at present.
    pub fn steps(&self, tenant: &str, state: &str, count: i64) {
        self.0.steps.with_label_values(&[tenant, state]).set(count);
    }

    /// Forgets a tenant that is no more.
    pub fn forget_tenant(&self, tenant: &str) {
        // A label that was never used is no error worth a word.
        let _ = self.0.outbox_depth.remove_label_values(&[tenant]);
        let _ = self.0.outbox_oldest.remove_label_values(&[tenant]);
        let _ = self.0.brake_tripped.remove_label_values(&[tenant]);
        for state in ["refused", "held", "waived"] {
            let _ = self.0.steps.remove_label_values(&[tenant, state]);
        }
    }

    /// A delivery ended with `outcome`, one of a fixed set.
    pub fn delivery(&self, tenant: &str, outcome: &str) {
        self.0.deliveries.with_label_values(&[tenant, outcome]).inc();
    }

    /// A step was refused after its request had been answered.
    pub fn refused_late(&self, tenant: &str) {
        self.0.refused_late.with_label_values(&[tenant]).inc();
    }

    /// Waiting for Jira before an answer ended with `outcome`, one of a fixed set.
    pub fn settled(&self, tenant: &str, outcome: &str) {
        self.0.settles.with_label_values(&[tenant, outcome]).inc();
    }

    /// A call to a target is over; `path` is a template, never a path with names in it.
    pub fn target_call(&self, target: &str, method: &str, path: &str, status: Option<u16>, took: Duration) {
        let operation = format!("{method} {path}");
        let text = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        self.0.target_calls.with_label_values(&[target, &operation, &text]).inc();
        self.0.target_seconds.with_label_values(&[target, &operation]).observe(took.as_secs_f64());
        if status == Some(429) {
            self.0.target_throttled.with_label_values(&[target]).inc();
        }
    }

    /// A target was paused, for one of a fixed set of reasons.
    pub fn target_paused(&self, target: &str, reason: &str) {
        self.0.target_pauses.with_label_values(&[target, reason]).inc();
    }

    /// Whether a target is worked.
    pub fn target_up(&self, target: &str, up: bool) {
        self.0.target_up.with_label_values(&[target]).set(i64::from(up));
    }

    /// When a target's credential ends.
    pub fn credential_expires(&self, target: &str, credential: &str, at: chrono::DateTime<chrono::Utc>) {
        self.0.credential_expires.with_label_values(&[target, credential]).set(at.timestamp());
    }

    /// When the credentials of identity providers end, by tenant and label: of all that do.
    pub fn tokens_expire(&self, endings: Vec<(String, String, chrono::DateTime<chrono::Utc>)>) {
        let mut known = self.0.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = BTreeSet::new();
        for (tenant, label, at) in endings {
            self.0.token_expires.with_label_values(&[&tenant, &label]).set(at.timestamp());
            now.insert((tenant, label));
        }
        for (tenant, label) in known.difference(&now) {
            // It was there.
            let _ = self.0.token_expires.remove_label_values(&[tenant, label]);
        }
        *known = now;
    }

    /// How many active accounts nobody claims.
    pub fn unmatched(&self, tenant: &str, accounts: usize) {
        self.0.unmatched.with_label_values(&[tenant]).set(i64::try_from(accounts).unwrap_or(i64::MAX));
    }

    /// A run ended with `outcome`: `done`, `failed`.
    pub fn run_ended(&self, tenant: &str, kind: &str, outcome: &str, at: chrono::DateTime<chrono::Utc>) {
        self.0.runs.with_label_values(&[tenant, kind, outcome]).inc();
        if outcome == "done" {
            self.0.run_succeeded.with_label_values(&[tenant, kind]).set(at.timestamp());
        }
    }

    /// Whether a tenant's brake is tripped.
    pub fn brake_tripped(&self, tenant: &str, tripped: bool) {
        self.0.brake_tripped.with_label_values(&[tenant]).set(i64::from(tripped));
    }

    /// The brake held a step that is under one of its limits.
    pub fn brake_held(&self, tenant: &str, class: &str) {
        self.0.brake_held.with_label_values(&[tenant, class]).inc();
    }

    /// How much is not as it was written.
    pub fn drift(&self, tenant: &str, differences: u64) {
        self.0.drift.with_label_values(&[tenant]).set(i64::try_from(differences).unwrap_or(i64::MAX));
    }

    /// Whether the database was there when last looked at.
    pub fn database_up(&self, up: bool) {
        self.0.database_up.set(i64::from(up));
    }

    /// When the daemon started, in seconds since 1970.
    pub fn started(&self) -> f64 {
        self.0.started.get()
    }

    /// What was counted since the start, for charts.
    pub fn activity(&self) -> Activity {
        let ill = |status: &str| status == "429" || status.starts_with('5');
        let bad = |status: &str| !status.starts_with('2') && status != "404";
        Activity {
            requests: added_up(&self.0.http_requests.collect(), "tenant", ill),
            calls: added_up(&self.0.target_calls.collect(), "target", bad),
        }
    }

    /// Every metric as it is now.
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.0.registry.gather()
    }

    /// Everything, in Prometheus' text format 0.0.4.
    ///
    /// # Errors
    /// The format cannot hold a metric: a mistake in this file.
    pub fn render(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.0.registry.gather())
    }
}

/// How many requests were answered and calls made since the start: all, and of these what did not go well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// By tenant; the empty name is nobody's.
    pub requests: BTreeMap<String, (u64, u64)>,
    /// By target.
    pub calls: BTreeMap<String, (u64, u64)>,
}

/// Adds a family of counters up by one label; `failed` judges by the status.
fn added_up(family: &[MetricFamily], by: &str, failed: fn(&str) -> bool) -> BTreeMap<String, (u64, u64)> {
    let mut sums: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for metric in family.iter().flat_map(MetricFamily::get_metric) {
        let label = |name: &str| {
            metric.get_label().iter().find(|pair| pair.name() == name).map(|pair| pair.value()).unwrap_or_default()
        };
        let (count, sum) = (metric.get_counter().get_value() as u64, sums.entry(label(by).to_owned()).or_default());
        sum.0 += count;
        sum.1 += if failed(label("status")) { count } else { 0 };
    }
    sums
}

/// The `Content-Type` of [`Metrics::render`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// See [`Metrics::http_in_flight`].
#[derive(Debug)]
pub struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn build_info(maker: &Maker) -> prometheus::Result<()> {
    let metric =
        maker.whole_gauges("jira_scim_build_info", "1, with what this program is.", &["version", "revision"])?;
    metric.with_label_values(&[env!("CARGO_PKG_VERSION"), option_env!("JIRA_SCIM_REVISION").unwrap_or("")]).set(1);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_metric_can_be_made_and_rendered_with_help() {
        let metrics = Metrics::new().unwrap();
        metrics.http_request("okta", "users.create", 201, Duration::from_millis(3));
        metrics.http_request("okta", "users.create", 429, Duration::ZERO);
        metrics.outbox("okta", 2, Duration::from_secs(90));
        metrics.steps("okta", "refused", 1);
        metrics.delivery("okta", "applied");
        metrics.refused_late("okta");
        metrics.settled("okta", "applied");
        metrics.target_call("jira", "GET", "/rest/api/2/user?key={key}", Some(429), Duration::ZERO);
        metrics.target_call("jira", "GET", "/rest/api/2/user?key={key}", None, Duration::ZERO);
        metrics.target_paused("jira", "unreachable");
        metrics.target_up("jira", true);
        let ends = |label: &str| ("okta".to_owned(), label.to_owned(), chrono::DateTime::UNIX_EPOCH);
        metrics.tokens_expire(vec![ends("gone"), ends("main")]);
        metrics.tokens_expire(vec![ends("main")]);
        let text = metrics.render().unwrap();
        for line in [
            "jira_scim_http_requests_total{operation=\"users.create\",status=\"201\",tenant=\"okta\"} 1",
            "jira_scim_http_rate_limited_total{tenant=\"okta\"} 1",
            "jira_scim_outbox_oldest_age_seconds{tenant=\"okta\"} 90",
            "jira_scim_target_throttled_total{target=\"jira\"} 1",
            "jira_scim_target_up{target=\"jira\"} 1",
            "jira_scim_token_expires_timestamp_seconds{tenant=\"okta\",token=\"main\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
        assert!(text.contains("# HELP jira_scim_build_info"));
        #[cfg(target_os = "linux")]
        assert!(text.contains("process_resident_memory_bytes"));
    }

    #[test]
    fn a_request_in_flight_is_counted_until_it_is_dropped() {
        let metrics = Metrics::new().unwrap();
        let guard = metrics.http_in_flight();
        assert!(metrics.render().unwrap().contains("jira_scim_http_requests_in_flight 1"));
        drop(guard);
        assert!(metrics.render().unwrap().contains("jira_scim_http_requests_in_flight 0"));
    }
}
