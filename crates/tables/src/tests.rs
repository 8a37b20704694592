//! What holds for every table: rows come back as they were written, whatever types an engine made of the columns.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, new_null_array};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Schema};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use seislake_model::{
    Amplitude, Arrival, Channel, ComponentRatios, Condition, Continuity, DeadLetter, EvaluationMode,
    EvaluationStatus, Event, EventStatus, InputUnit, Latency, Magnitude, Onset, Origin, Packet, Phase, Pick,
    Polarity, PolesZeros, Provenance, RecordPosition, Response, Samples, Segment, SignalLevel, SourceId,
    Span, Station, Timestamp, Timing,
};

use crate::{TABLES, TableBatch, TableRow, decode, encode};

/// Values without a pattern, the same in every run.
struct Values(ChaCha8Rng);

impl Values {
    fn count(&mut self, end: u32) -> u32 {
        self.0.random_range(0..end)
    }

    fn number(&mut self) -> f64 {
        match self.count(6) {
            0 => -0.0,
            1 => f64::MAX,
            2 => f64::MIN_POSITIVE / 4.0,
            _ => self.0.random_range(-1e6..1e6),
        }
    }

    fn provenance(&mut self) -> Provenance {
        use EvaluationStatus::{Confirmed, Final, Preliminary, Rejected, Reviewed};
        Provenance {
            agency_id: self.text(),
            author: self.text(),
            evaluation_mode: self.one_of(&[EvaluationMode::Automatic, EvaluationMode::Manual]),
            evaluation_status: self.one_of(&[Preliminary, Confirmed, Reviewed, Final, Rejected]),
            method: self.text(),
            method_version: self.text(),
            creation_time: self.option(Self::micros),
        }
    }

    fn text(&mut self) -> String {
        [
            "",
            "a",
            "é\u{0301} \"quoted\"\n",
            "FDSN:XX_A__H_H_Z",
            "\u{0}",
            "longer than a view holds inline, twice",
        ][self.count(6) as usize]
            .to_owned()
    }

    fn option<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.count(3) > 0).then(|| value(self))
    }

    /// A moment of the years that nanoseconds reach.
    fn nanos(&mut self) -> Timestamp {
        Timestamp::from_nanos(self.0.random_range(i64::MIN + 1_000_000..i64::MAX - 1_000_000))
    }

    /// A moment to the microsecond.
    fn micros(&mut self) -> Timestamp {
        Timestamp::from_micros(self.nanos().micros())
    }

    fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.count(values.len() as u32) as usize]
    }

    fn source_id(&mut self) -> SourceId {
        let texts = ["FDSN:XX_ABC_00_H_H_Z", "FDSN:_A__B_H_1", "FDSN:LONGNETW_STATION8_LOC_ABC_DEF_GHI"];
        self.one_of(&texts).parse().unwrap()
    }

    fn position(&mut self) -> RecordPosition {
        RecordPosition {
            topic: self.text().into(),
            partition: self.count(99),
            offset: self.count(u32::MAX).into(),
        }
    }

    fn list<T>(&mut self, mut value: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.count(5)).map(|_| value(self)).collect()
    }

    fn spans(&mut self) -> Vec<Span> {
        self.list(|values| Span { start_time: values.nanos(), end_time: values.nanos() })
    }

    fn response(&mut self) -> Response {
        let roots = |values: &mut Self| values.list(|values| (values.number(), values.number()));
        Response {
            sensitivity: self.number(),
            sensitivity_frequency_hz: self.number(),
            input_unit: self.one_of(&[InputUnit::Displacement, InputUnit::Velocity, InputUnit::Acceleration]),
            poles_zeros: self.option(|values| PolesZeros {
                normalization_factor: values.number(),
                zeros: roots(values),
                poles: roots(values),
            }),
        }
    }
}

/// Rows come back from the batches that are made of them, from one batch, from the types of an engine, and from columns in
/// another order; a null where a value is required is told.
fn come_back<R: TableRow + Clone + Debug + PartialEq>(make: impl Fn(&mut Values) -> R) {
    let mut values = Values(ChaCha8Rng::seed_from_u64(7));
    for count in [0, 1, 2, 40] {
        let rows: Vec<R> = (0..count).map(|_| make(&mut values)).collect();
        let made = TableBatch::of(rows.clone()).unwrap();
        assert_eq!((made.table.full_name(), made.row_count()), (R::TABLE.full_name(), count));
        let mut from_batches: Vec<R> = Vec::new();
        for batch in &made.rows {
            from_batches.extend(decode(batch).unwrap().rows);
        }
        assert!(rows.iter().all(|row| from_batches.contains(row)), "{}", R::TABLE);
        let batch = encode(&rows).unwrap();
        assert_eq!(concat_batches(&batch.schema(), &made.rows).unwrap().num_rows(), count);
        for batch in [batch.clone(), as_an_engine_has_it(&batch), reversed(&batch)] {
            let decoded = decode::<R>(&batch).unwrap();
            assert_eq!(decoded.rows, rows, "{}", R::TABLE);
            assert_eq!(decoded.unreadable, []);
        }
        nulls_are_told::<R>(&batch, &rows);
    }
}

/// Texts as views and dictionaries, moments in nanoseconds where they fit, small integers.
fn as_an_engine_has_it(batch: &RecordBatch) -> RecordBatch {
    let columns = batch.columns().iter().map(|column| match column.data_type() {
        DataType::Utf8 => cast(column, &DataType::Utf8View).unwrap(),
        DataType::LargeBinary => cast(column, &DataType::BinaryView).unwrap(),
        _ => Arc::clone(column),
    });
    let columns: Vec<ArrayRef> = columns.collect();
    let schema = batch.schema();
    let fields = schema.fields().iter().zip(&columns);
    let fields = fields.map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true));
    RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns).unwrap()
}

fn reversed(batch: &RecordBatch) -> RecordBatch {
    let order: Vec<usize> = (0..batch.num_columns()).rev().collect();
    batch.project(&order).unwrap()
}

/// Each column null in turn, and not there in turn.
fn nulls_are_told<R: TableRow>(batch: &RecordBatch, rows: &[R]) {
    for (index, column) in R::TABLE.columns.iter().enumerate() {
        let mut columns = batch.columns().to_vec();
        columns[index] = new_null_array(columns[index].data_type(), rows.len());
        let fields = columns.iter().zip(R::TABLE.columns);
        let fields = fields.map(|(array, column)| Field::new(column.name, array.data_type().clone(), true));
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns).unwrap();
        let decoded = decode::<R>(&batch).unwrap();
        let is_read =
            decoded.unreadable.iter().all(|row| row.reason == format!("column \"{}\" is null", column.name));
        assert!(is_read, "{:?}", decoded.unreadable);
        assert_eq!(decoded.rows.len() + decoded.unreadable.len(), rows.len());
        let mut others: Vec<usize> = (0..batch.num_columns()).collect();
        others.remove(index);
        let without = decode::<R>(&batch.project(&others).unwrap());
        assert_eq!(without.is_ok(), column.need == crate::Need::Optional, "{} of {}", column.name, R::TABLE);
    }
}

#[test]
fn rows_of_the_network_come_back() {
    come_back(|values| Station {
        network: values.text(),
        station: values.text(),
        latitude: values.number(),
        longitude: values.number(),
        elevation_m: values.number(),
        site_name: values.option(Values::text),
        start_time: values.option(Values::micros),
        end_time: values.option(Values::micros),
        original: values.option(|values| values.text().into()),
        network_original: values.option(|values| values.text().into()),
    });
    come_back(|values| Channel {
        source_id: values.source_id(),
        latitude: values.number(),
        longitude: values.number(),
        elevation_m: values.number(),
        depth_m: values.number(),
        azimuth: values.option(Values::number),
        dip: values.option(Values::number),
        sample_rate_hz: values.option(Values::number),
        sensor: values.option(Values::text),
        start_time: values.option(Values::micros),
        end_time: values.option(Values::micros),
        response: values.option(Values::response),
        original: values.option(|values| values.text().into()),
        response_original: values.option(|values| values.text().into()),
    });
}

#[test]
fn rows_of_waveforms_come_back() {
    come_back(|values| Packet {
        source_id: values.source_id(),
        start_time: values.nanos(),
        last_sample_time: values.micros(),
        arrival_time: values.option(Values::micros),
        sample_count: values.count(u32::MAX),
        expected_count: values.count(9),
        sample_rate_hz: values.number(),
        encoding: values.text().into(),
        quality: values.text().into(),
        timing_quality: values.option(|values| values.count(101) as u8),
        byte_count: values.count(u32::MAX),
        sha256: std::array::from_fn(|_| values.count(256) as u8),
        object_uri: values.option(Values::text),
        position: values.position(),
    });
    come_back(|values| {
        let (encoding, samples) = match values.count(4) {
            0 => ("float32", Samples::Float32(values.list(|values| values.number() as f32))),
            1 => ("float64", Samples::Float64(values.list(Values::number))),
            2 => ("steim2", Samples::Int32((0..40_000).map(|_| values.0.random()).collect())),
            _ => ("int16", Samples::Int32(values.list(|values| values.0.random()))),
        };
        Segment {
            source_id: values.source_id(),
            start_time: values.nanos(),
            end_time: values.nanos(),
            sample_rate_hz: values.number(),
            encoding: encoding.to_owned(),
            quality: values.text(),
            samples,
            position: values.position(),
        }
    });
    come_back(|values| DeadLetter {
        position: values.position(),
        index: values.count(9),
        stage: values.text(),
        reason: values.text(),
        origin: values.option(Values::text),
        record: values.list(|values| values.count(256) as u8),
    });
}

#[test]
fn rows_of_the_bulletin_come_back() {
    let phases = [Phase::P, Phase::S];
    come_back(|values| Pick {
        pick_id: values.text().into(),
        source_id: values.source_id(),
        pick_time: values.nanos(),
        time_uncertainty_s: values.number(),
        phase: values.one_of(&phases),
        polarity: values.one_of(&[Polarity::Positive, Polarity::Negative, Polarity::Undecidable]),
        onset: values.one_of(&[Onset::Impulsive, Onset::Emergent]),
        snr: values.number(),
        provenance: values.provenance(),
    });
    come_back(|values| Arrival {
        arrival_id: values.text().into(),
        origin_id: values.text().into(),
        event_id: values.text().into(),
        pick_id: values.text().into(),
        source_id: values.source_id(),
        pick_time: values.micros(),
        phase: values.one_of(&phases),
        distance_km: values.number(),
        azimuth: values.number(),
        residual_s: values.number(),
        weight: values.number(),
        time_uncertainty_s: values.option(Values::number),
        polarity: values.option(|values| values.one_of(&[Polarity::Positive, Polarity::Negative])),
        onset: values.option(|values| values.one_of(&[Onset::Impulsive, Onset::Emergent])),
        pick_method: values.option(Values::text),
        pick_method_version: values.option(Values::text),
    });
    come_back(|values| Origin {
        origin_id: values.text().into(),
        event_id: values.text().into(),
        origin_time: values.nanos(),
        time_uncertainty_s: values.number(),
        latitude: values.number(),
        longitude: values.number(),
        depth_km: values.number(),
        covariance_km2: std::array::from_fn(|_| values.number()),
        ellipse_major_km: values.number(),
        ellipse_minor_km: values.number(),
        ellipse_azimuth: values.number(),
        depth_uncertainty_km: values.number(),
        rms_s: values.number(),
        azimuthal_gap: values.number(),
        nearest_station_km: values.number(),
        used_phase_count: values.count(u32::MAX),
        used_station_count: values.count(9),
        provenance: values.provenance(),
        earth_model: values.text(),
    });
    come_back(|values| Amplitude {
        amplitude_id: values.text().into(),
        event_id: values.text().into(),
        origin_id: values.text().into(),
        source_id: values.source_id(),
        amplitude_mm: values.number(),
        amplitude_time: values.micros(),
        hypocentral_distance_km: values.number(),
        station_magnitude: values.number(),
    });
    come_back(|values| Magnitude {
        magnitude_id: values.text().into(),
        event_id: values.text().into(),
        origin_id: values.text().into(),
        magnitude_type: values.text(),
        magnitude: values.number(),
        uncertainty: values.option(Values::number),
        station_count: values.count(9),
        provenance: values.provenance(),
    });
    come_back(|values| Event {
        event_id: values.text().into(),
        revision: values.count(9),
        status: values.one_of(&[EventStatus::Preliminary, EventStatus::Closed, EventStatus::Deleted]),
        preferred_origin_id: values.text().into(),
        preferred_magnitude_id: values.option(Values::text).map(Into::into),
        origin_time: values.nanos(),
        latitude: values.number(),
        longitude: values.number(),
        depth_km: values.number(),
        magnitude: values.option(Values::number),
        magnitude_type: values.option(Values::text),
        merged_into: values.option(Values::text).map(Into::into),
        provenance: values.provenance(),
    });
}

#[test]
fn rows_of_quality_come_back() {
    come_back(|values| Continuity {
        source_id: values.source_id(),
        start_time: values.micros(),
        sample_rate_hz: values.number(),
        sample_count: values.count(u32::MAX).into(),
        expected_count: values.count(9).into(),
        repeated_count: values.count(9).into(),
        gap_count: values.count(9).into(),
        gap_s: values.number(),
        overlap_count: values.count(9).into(),
        overlap_s: values.number(),
        gaps: values.spans(),
        overlaps: values.spans(),
    });
    come_back(|values| Latency {
        source_id: values.source_id(),
        start_time: values.micros(),
        packet_count: values.count(9).into(),
        latency_min_s: values.number(),
        latency_p50_s: values.number(),
        latency_p90_s: values.number(),
        latency_p99_s: values.number(),
        latency_max_s: values.number(),
        bin_counts: values.list(|values| values.0.random()),
    });
    come_back(|values| ComponentRatios {
        instrument_id: values.text(),
        start_time: values.micros(),
        components: values.text(),
        sample_rate_hz: values.number(),
        low_hz: values.number(),
        high_hz: values.number(),
        window_count: values.count(9).into(),
        north_east: values.option(Values::number),
        vertical_east: values.option(Values::number),
        vertical_north: values.option(Values::number),
    });
    come_back(|values| SignalLevel {
        source_id: values.source_id(),
        start_time: values.micros(),
        sample_count: values.count(9).into(),
        minimum: values.number(),
        maximum: values.number(),
        mean: values.number(),
        rms: values.number(),
        constant_s: values.number(),
        clipped_count: values.count(9).into(),
        spike_count: values.count(9).into(),
        condition: values.one_of(&[Condition::Good, Condition::Dead, Condition::Clipped, Condition::Spiky]),
    });
    come_back(|values| Timing {
        source_id: values.source_id(),
        start_time: values.micros(),
        packet_count: values.count(9).into(),
        stated_count: values.count(9).into(),
        timing_quality_min: values.0.random(),
        timing_quality_p50: values.number(),
        timing_quality_mean: values.number(),
    });
}

#[test]
fn names_and_ids_are_used_once_and_say_the_unit_last() {
    for table in TABLES {
        let ids: HashSet<i32> = table.columns.iter().map(|column| column.id).collect();
        let names: HashSet<&str> = table.columns.iter().map(|column| column.name).collect();
        assert_eq!((ids.len(), names.len()), (table.columns.len(), table.columns.len()), "{table}");
        assert!(table.columns.is_sorted_by_key(|column| column.id), "{table}");
        assert!(table.identity.iter().all(|name| names.contains(name)), "{table}");
    }
    let full_names: HashSet<String> = TABLES.iter().map(|table| table.full_name()).collect();
    assert_eq!(full_names.len(), TABLES.len());
}

#[test]
fn a_value_that_no_row_can_have_is_told_with_its_column() {
    let mut values = Values(ChaCha8Rng::seed_from_u64(1));
    let row = |values: &mut Values, source_id: SourceId| Pick {
        pick_id: String::new().into(),
        source_id,
        pick_time: values.nanos(),
        time_uncertainty_s: 0.1,
        phase: Phase::P,
        polarity: Polarity::Positive,
        onset: Onset::Emergent,
        snr: 3.0,
        provenance: Provenance::default(),
    };
    let id = values.source_id();
    let batch = encode(&[row(&mut values, id.clone()), row(&mut values, id)]).unwrap();
    for (name, value, reason) in [
        ("source_id", "FDSN:XX_A B", "column \"source_id\" holds \"FDSN:XX_A B\", no source identifier"),
        ("phase", "Q\n", "column \"phase\" holds the unknown word \"Q\\n\""),
    ] {
        let index = batch.schema().index_of(name).unwrap();
        let mut columns = batch.columns().to_vec();
        let kept = columns[index].as_string::<i32>().value(1).to_owned();
        columns[index] = Arc::new(arrow::array::StringArray::from_iter_values([value, &kept]));
        let batch = RecordBatch::try_new(batch.schema(), columns).unwrap();
        let decoded = decode::<Pick>(&batch).unwrap();
        assert_eq!(decoded.rows.len(), 1);
        assert_eq!(decoded.unreadable, [crate::Unreadable { index: 0, reason: reason.to_owned() }]);
    }
}
