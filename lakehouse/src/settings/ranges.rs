//! Which numbers a setting may have.

use toml::Table;

/// Keys whose numbers have closer bounds than "0 or more", both included.
pub(super) const RANGES: [(&str, f64, f64); 65] = [
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
    ("pick.filter_window_s", 0.05, 100.0),
    ("pick.long_term_window_s", 0.1, 1000.0),
    ("pick.integral_window_s", 0.01, 100.0),
    ("pick.trigger_threshold", 0.1, 1e6),
    ("pick.integral_threshold", 0.1, 1e6),
    ("pick.warm_up_s", 0.0, 3600.0),
    ("pick.s_window_max_s", 0.0, 600.0),
    ("pick.amplitude_window_s", 0.0, 3600.0),
    ("associate.picks_min", 1.0, 1e6),
    ("associate.stations_min", 1.0, 1e6),
    ("associate.tolerance_s", 0.001, 60.0),
    ("associate.tolerance_fraction", 0.0, 1.0),
    ("associate.station_fraction_min", 0.0, 1.0),
    ("associate.depth_km_min", -10.0, 700.0),
    ("associate.depth_km_max", 0.0, 800.0),
    ("associate.margin_km", 0.0, 20_000.0),
    ("associate.distance_km_max", 1.0, 20_000.0),
    ("associate.cell_km_min", 0.1, 1000.0),
    ("associate.cell_fraction", 0.01, 10.0),
    ("associate.voting_stations", 1.0, 1e6),
    ("associate.window_s", 1.0, 3600.0),
    ("associate.amplitude_window_s", 0.0, 3600.0),
    ("associate.event_interval_s", 0.0, 3600.0),
    ("associate.trials_max", 1.0, 1e6),
    ("associate.held_picks_max", 100.0, 1e8),
    ("locate.p_error_s_min", 0.001, 60.0),
    ("locate.s_error_s_min", 0.001, 60.0),
    ("locate.travel_time_error_fraction", 0.0, 1.0),
    ("locate.depth_km_min", -10.0, 700.0),
    ("locate.depth_km_max", 0.0, 800.0),
    ("locate.search_radius_km_max", 1.0, 20_000.0),
    ("locate.residual_s_max", 0.001, 600.0),
    ("locate.phase_count_min", 1.0, 1e6),
    ("locate.station_count_min", 1.0, 1e6),
    ("locate.search_count", 100.0, 1e7),
    ("locate.sample_count", 10.0, 1e6),
    ("event.shared_picks_min", 0.01, 1.0),
    ("event.same_event_s_max", 0.0, 600.0),
    ("event.same_event_km_max", 0.0, 1000.0),
    ("event.same_event_residual_s_max", 0.0, 60.0),
    ("event.events_max", 100.0, 50_000.0),
    ("magnitude.distance_km_max", 1.0, 20_000.0),
];

/// Every number must be one, 0 or more, or within its range. What is not gives way to its default, so that all other
/// problems come to light too.
pub(super) fn mend(settings: &mut Table, defaults: &Table) -> Vec<String> {
    let mut problems = Vec::new();
    for (section, values) in settings {
        for (key, value) in values.as_table_mut().into_iter().flatten() {
            let number = value.as_float().or_else(|| value.as_integer().map(|number| number as f64));
            let Some(number) = number else { continue };
            let name = format!("{section}.{key}");
            let range = RANGES.iter().find(|(known, ..)| *known == name);
            let (least, most) = range.map_or((0.0, f64::MAX), |(_, least, most)| (*least, *most));
            if (least..=most).contains(&number) {
                continue;
            }
            let bounds =
                if most == f64::MAX { format!("{least} or more") } else { format!("{least} to {most}") };
            problems.push(format!("{name} must be {bounds}, not {number}"));
            if let Some(default) = defaults.get(section).and_then(|section| section.get(&*key)) {
                value.clone_from(default);
            }
        }
    }
    problems
}
