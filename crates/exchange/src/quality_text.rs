//! Rows of quality as CSV, one function a table: a header line, times in UTC, empty where nothing is known.

use seislake_model::{ComponentRatios, Continuity, Latency, SignalLevel, Timing};

fn written(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut records: Vec<Vec<String>> = vec![header.iter().map(|name| (*name).to_owned()).collect()];
    records.extend(rows);
    for record in &records {
        // Writing into memory does not fail, and every row has as many fields as the header.
        let _ = writer.write_record(record);
    }
    writer.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

fn optional(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// Rows of `quality.continuity`; lists of gaps and overlaps are left out, their counts and lengths are there.
pub fn continuity_csv(rows: &[Continuity]) -> String {
    let header = [
        "source_id",
        "start_time",
        "sample_rate_hz",
        "sample_count",
        "expected_count",
        "continuity",
        "repeated_count",
        "gap_count",
        "gap_s",
        "overlap_count",
        "overlap_s",
    ];
    let fields = |row: &Continuity| {
        vec![
            row.source_id.to_string(),
            row.start_time.to_string(),
            row.sample_rate_hz.to_string(),
            row.sample_count.to_string(),
            row.expected_count.to_string(),
            row.fraction().to_string(),
            row.repeated_count.to_string(),
            row.gap_count.to_string(),
            row.gap_s.to_string(),
            row.overlap_count.to_string(),
            row.overlap_s.to_string(),
        ]
    };
    written(&header, rows.iter().map(fields))
}

/// Rows of `quality.latency`, without histograms.
pub fn latency_csv(rows: &[Latency]) -> String {
    let header = [
        "source_id",
        "start_time",
        "packet_count",
        "latency_min_s",
        "latency_p50_s",
        "latency_p90_s",
        "latency_p99_s",
        "latency_max_s",
    ];
    let fields = |row: &Latency| {
        let latencies =
            [row.latency_min_s, row.latency_p50_s, row.latency_p90_s, row.latency_p99_s, row.latency_max_s];
        let mut fields =
            vec![row.source_id.to_string(), row.start_time.to_string(), row.packet_count.to_string()];
        fields.extend(latencies.map(|latency_s| latency_s.to_string()));
        fields
    };
    written(&header, rows.iter().map(fields))
}

/// Rows of `quality.component_ratios`.
pub fn component_ratios_csv(rows: &[ComponentRatios]) -> String {
    let header = [
        "instrument_id",
        "start_time",
        "components",
        "sample_rate_hz",
        "low_hz",
        "high_hz",
        "window_count",
        "north_east",
        "vertical_east",
        "vertical_north",
    ];
    let fields = |row: &ComponentRatios| {
        vec![
            row.instrument_id.clone(),
            row.start_time.to_string(),
            row.components.clone(),
            row.sample_rate_hz.to_string(),
            row.low_hz.to_string(),
            row.high_hz.to_string(),
            row.window_count.to_string(),
            optional(row.north_east),
            optional(row.vertical_east),
            optional(row.vertical_north),
        ]
    };
    written(&header, rows.iter().map(fields))
}

/// Rows of `quality.signal_levels`.
pub fn signal_levels_csv(rows: &[SignalLevel]) -> String {
    let header = [
        "source_id",
        "start_time",
        "sample_count",
        "minimum",
        "maximum",
        "mean",
        "rms",
        "constant_s",
        "clipped_count",
        "spike_count",
        "condition",
    ];
    let fields = |row: &SignalLevel| {
        let mut fields =
            vec![row.source_id.to_string(), row.start_time.to_string(), row.sample_count.to_string()];
        let levels = [row.minimum, row.maximum, row.mean, row.rms, row.constant_s];
        fields.extend(levels.map(|level| level.to_string()));
        fields.extend([row.clipped_count, row.spike_count].map(|count| count.to_string()));
        fields.push(row.condition.as_str().to_owned());
        fields
    };
    written(&header, rows.iter().map(fields))
}

/// Rows of `quality.timing`.
pub fn timing_csv(rows: &[Timing]) -> String {
    let header = [
        "source_id",
        "start_time",
        "packet_count",
        "stated_count",
        "timing_quality_min",
        "timing_quality_p50",
        "timing_quality_mean",
    ];
    let fields = |row: &Timing| {
        vec![
            row.source_id.to_string(),
            row.start_time.to_string(),
            row.packet_count.to_string(),
            row.stated_count.to_string(),
            row.timing_quality_min.to_string(),
            row.timing_quality_p50.to_string(),
            row.timing_quality_mean.to_string(),
        ]
    };
    written(&header, rows.iter().map(fields))
}
