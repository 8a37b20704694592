//! Which numbers a setting may have. Those of the stages stand with the stages.

use toml::{Table, Value};

/// Keys whose numbers have closer bounds than "0 or more", both included.
pub(super) const RANGES: [(&str, f64, f64); 23] = [
    ("streams.raw_partition_count", 1.0, 256.0),
    ("streams.idle_after_s", 0.001, f64::MAX),
    ("streams.segment_bytes", 1_048_576.0, f64::MAX),
    ("lake.commit_interval_s", 0.001, f64::MAX),
    ("lake.commit_row_count", 1.0, f64::MAX),
    ("lake.cursor_lease_s", 0.0, 3600.0),
    ("query.memory_bytes", 67_108_864.0, f64::MAX),
    ("query.timeout_s", 0.001, 1e9),
    ("query.concurrency", 1.0, 1000.0),
    ("query.waiting_count", 0.0, 1e6),
    ("query.thread_count", 0.0, 1000.0),
    ("query.row_count", 1.0, f64::MAX),
    ("http.body_bytes", 1.0, f64::MAX),
    ("http.concurrency", 1.0, 1e6),
    ("http.waiting", 0.0, 1e6),
    ("http.waiting_s", 0.001, 3600.0),
    ("http.connections", 16.0, 1e6),
    ("http.connections_per_client", 8.0, 1e6),
    ("http.idle_timeout_s", 1.0, 86_400.0),
    ("http.receive_timeout_s", 1.0, 3600.0),
    ("http.send_timeout_s", 1.0, 86_400.0),
    ("flight.send_timeout_s", 1.0, 86_400.0),
    ("http.dataselect_samples", 1.0, f64::MAX),
];

/// Every number must be one, 0 or more, or within its range. What is not gives way to its default, so that all other
/// problems come to light too.
pub(super) fn mend(settings: &mut Table, defaults: &Table) -> Vec<String> {
    let mut problems = Vec::new();
    for (section, values) in settings {
        let Some(values) = values.as_table_mut() else { continue };
        let range = |key: &str| {
            let name = format!("{section}.{key}");
            let range = RANGES.iter().find(|(known, ..)| *known == name);
            range.map(|(_, least, most)| (*least, *most))
        };
        let default = |key: &str| defaults.get(section)?.get(key).cloned();
        problems.extend(mend_section(section, values, range, default));
    }
    problems
}

/// The same of one section, by ranges and defaults of its keys.
pub(super) fn mend_section(
    section: &str,
    values: &mut Table,
    range: impl Fn(&str) -> Option<(f64, f64)>,
    default: impl Fn(&str) -> Option<Value>,
) -> Vec<String> {
    let mut problems = Vec::new();
    for (key, value) in values {
        let number = value.as_float().or_else(|| value.as_integer().map(|number| number as f64));
        let Some(number) = number else {
            if !all_finite(value) {
                problems.push(format!("{section}.{key} must hold finite numbers"));
                value.clone_from(&default(key).unwrap_or(Value::Boolean(false)));
            }
            continue;
        };
        let (least, most) = range(key).unwrap_or((0.0, f64::MAX));
        if (least..=most).contains(&number) {
            continue;
        }
        let bounds = if most == f64::MAX { format!("{least} or more") } else { format!("{least} to {most}") };
        problems.push(format!("{section}.{key} must be {bounds}, not {number}"));
        if let Some(default) = default(key) {
            *value = default;
        }
    }
    problems
}

/// Lists and tables of a configuration are a few levels deep: its parser sees to that.
fn all_finite(value: &Value) -> bool {
    match value {
        Value::Float(number) => number.is_finite(),
        Value::Array(values) => values.iter().all(all_finite),
        Value::Table(values) => values.values().all(all_finite),
        _ => true,
    }
}
