//! `/metrics`: what this process counts, as data.

use std::collections::BTreeMap;

use prometheus::proto::{Metric, MetricFamily, MetricType};
use serde_json::{Value, json};

use crate::admin::answer::{Outcome, page};
use crate::admin::call::{Call, place};

pub(crate) async fn list(call: &Call) -> Outcome {
    let after = call.cursor::<String>()?.unwrap_or_default();
    let limit = usize::try_from(call.limit()?).unwrap_or(1);
    let all = call.state.metrics.gather();
    let behind: Vec<&MetricFamily> = all.iter().filter(|family| family.name() > after.as_str()).collect();
    let next = behind.get(limit).and_then(|_| place(&behind[limit - 1].name()));
    let items: Vec<Value> = behind.into_iter().take(limit).map(described).collect();
    page(&items, next)
}

fn described(family: &MetricFamily) -> Value {
    let kind = match family.get_field_type() {
        MetricType::COUNTER => "counter",
        MetricType::HISTOGRAM | MetricType::SUMMARY => "histogram",
        MetricType::GAUGE | MetricType::UNTYPED => "gauge",
    };
    let samples: Vec<Value> = family.get_metric().iter().map(|metric| sample(kind, metric)).collect();
    json!({ "name": family.name(), "help": family.help(), "kind": kind, "samples": samples })
}

/// Of a histogram the sum, and of how many.
fn sample(kind: &str, metric: &Metric) -> Value {
    let labels: BTreeMap<&str, &str> = metric.get_label().iter().map(|pair| (pair.name(), pair.value())).collect();
    let (value, count) = match kind {
        "counter" => (metric.get_counter().get_value(), None),
        "gauge" => (metric.get_gauge().get_value(), None),
        _ => (metric.get_histogram().get_sample_sum(), Some(metric.get_histogram().get_sample_count())),
    };
    json!({ "labels": labels, "value": value, "count": count })
}
