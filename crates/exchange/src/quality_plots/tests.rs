use seislake_model::{ComponentRatios, Continuity, Latency, SourceId, Span, Timestamp};

use super::{STRIPS_MAX, continuity_bars, latency_violins, ratio_curves};
use crate::quality_text;

fn day(index: i64) -> Timestamp {
    let first: Timestamp = "2024-02-28T00:00:00Z".parse().unwrap();
    first.add_nanos(index * super::DAY_NS)
}

fn continuity(station: &str, gap_s: f64) -> Continuity {
    let expected_count = 8_640_000;
    let gap = Span { start_time: day(0).add_seconds(3600.0), end_time: day(0).add_seconds(3600.0 + gap_s) };
    Continuity {
        source_id: SourceId::from_nslc("XX", station, "", "HHZ"),
        start_time: day(0),
        sample_rate_hz: 100.0,
        sample_count: expected_count - (gap_s * 100.0) as u64,
        expected_count,
        repeated_count: 0,
        gap_count: 1,
        gap_s,
        overlap_count: 0,
        overlap_s: 0.0,
        gaps: vec![gap],
        overlaps: vec![],
    }
}

fn latency(station: &str, bin: usize) -> Latency {
    let mut bin_counts = vec![0; Latency::BIN_COUNT];
    bin_counts[bin] = 100;
    let typical = Latency::bin_start_s(bin);
    Latency {
        source_id: SourceId::from_nslc("XX", station, "", "HHZ"),
        start_time: day(0),
        packet_count: 100,
        latency_min_s: typical,
        latency_p50_s: typical,
        latency_p90_s: typical,
        latency_p99_s: typical,
        latency_max_s: typical,
        bin_counts,
    }
}

fn ratios(index: i64, north_east: Option<f64>) -> ComponentRatios {
    ComponentRatios {
        instrument_id: "FDSN:XX_<A&B>__H_H".into(),
        start_time: day(index),
        components: "ZNE".into(),
        sample_rate_hz: 100.0,
        low_hz: 0.1,
        high_hz: 1.0,
        window_count: 288,
        north_east,
        vertical_east: Some(0.5),
        vertical_north: None,
    }
}

fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

/// Every element is closed and no text breaks out: the document is well-formed.
fn assert_well_formed(svg: &str) {
    let mut reader = quick_xml::Reader::from_str(svg);
    loop {
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Eof => break,
            event => assert!(!format!("{event:?}").contains("NaN"), "{event:?}"),
        }
    }
}

#[test]
fn a_gap_is_drawn_where_it_is_and_a_day_without_data_is_not_counted_as_data() {
    let svg = continuity_bars(&[continuity("A", 43_200.0)], day(0), day(2));
    assert_well_formed(&svg);
    // 790 pixels for two days: an hour is 16.46, the gap of half a day 197.5.
    assert!(
        svg.contains(r##"<rect x="226.46" y="77.0" width="197.50" height="12.0" fill="#d1495b"/>"##),
        "{svg}"
    );
    assert!(svg.contains("25.000 %"), "half of one day of two: {svg}");
    assert!(svg.contains(">XX.A..HHZ<") && svg.contains("1 channels"));
}

#[test]
fn of_many_channels_the_worst_are_shown() {
    let rows: Vec<Continuity> =
        (0..150).map(|index| continuity(&format!("S{index:03}"), f64::from(index))).collect();
    let svg = continuity_bars(&rows, day(0), day(1));
    assert!(svg.contains("100 of 150 channels, those with the lowest continuity"));
    assert_eq!(count(&svg, " %<"), STRIPS_MAX);
    assert!(svg.contains("XX.S149..HHZ") && !svg.contains("XX.S049..HHZ"));
}

#[test]
fn violins_name_percentiles_to_half_an_octave() {
    // Bin 14 begins at 1.28 s and ends at 1.81 s; its middle on the logarithm is 1.52 s.
    let svg = latency_violins(&[latency("A", 14), latency("A", 14), latency("B", 30)]);
    assert_well_formed(&svg);
    assert_eq!(count(&svg, "<polygon"), 2);
    assert!(svg.contains(">1.5 s / 1.7 s / 1.8 s<"), "{svg}");
}

#[test]
fn curves_break_where_days_are_missing_and_names_are_escaped() {
    let rows: Vec<ComponentRatios> =
        [0, 1, 2, 5, 6].map(|index| ratios(index, (index != 1).then_some(2.0))).to_vec();
    let svg = ratio_curves(&rows, day(0), day(7));
    assert_well_formed(&svg);
    assert!(svg.contains("FDSN:XX_&lt;A&amp;B&gt;__H_H"));
    // Vertical over east: days 0 to 2 and 5 to 6; north over east: 0, 2 alone and 5 to 6.
    assert_eq!((count(&svg, "<polyline"), count(&svg, "<circle")), (3, 9));
}

#[test]
fn nothing_to_show_is_a_picture_too() {
    for svg in [continuity_bars(&[], day(0), day(0)), latency_violins(&[]), ratio_curves(&[], day(0), day(1))]
    {
        assert_well_formed(&svg);
    }
}

#[test]
fn numbers_are_written_with_a_header() {
    assert_eq!(
        quality_text::component_ratios_csv(&[ratios(0, None)]),
        "instrument_id,start_time,components,sample_rate_hz,low_hz,high_hz,window_count,north_east,vertical_east,\
         vertical_north\nFDSN:XX_<A&B>__H_H,2024-02-28T00:00:00.000Z,ZNE,100,0.1,1,288,,0.5,\n"
    );
    let csv = quality_text::continuity_csv(&[continuity("A", 43_200.0)]);
    assert!(csv.ends_with(",100,4320000,8640000,0.5,0,1,43200,0,0\n"), "{csv}");
    assert_eq!(quality_text::timing_csv(&[]).lines().count(), 1);
}
