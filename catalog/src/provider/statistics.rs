//! What manifests say about the values in files, in DataFusion's words.
//!
//! Two readings: *pruning* takes any bound that encloses all values; the *plan* (counts, minima and maxima answered
//! without reading) may only take bounds that are values themselves, so strings (cut bounds) are inexact there.

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use iceberg::spec::{
    DataFile, Datum, FieldSummary, ManifestFile, PartitionSpec, PrimitiveLiteral, PrimitiveType, Transform,
};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

const DAY_US: i64 = 86_400_000_000;

/// Bounds of a file for leaving it out.
pub(super) fn for_pruning(file: &DataFile, schema: &Schema) -> Statistics {
    let columns = schema.fields().iter().map(|field| {
        let (min, max) = bounds(file, field);
        // A missing bound is a null of the column's type: unknown to the pruning predicate.
        let bound = |value: Option<ScalarValue>| {
            let value = value.or_else(|| ScalarValue::try_from(field.data_type()).ok());
            value.map_or(Precision::Absent, Precision::Exact)
        };
        ColumnStatistics {
            null_count: null_count(file, field),
            min_value: bound(min),
            max_value: bound(max),
            ..ColumnStatistics::new_unknown()
        }
    });
    Statistics {
        num_rows: Precision::Exact(file.record_count() as usize),
        total_byte_size: Precision::Absent,
        column_statistics: columns.collect(),
    }
}

/// What the optimizer may believe of a file.
pub(super) fn for_plan(file: &DataFile, schema: &Schema) -> Statistics {
    let columns = schema.fields().iter().map(|field| {
        let exact = !matches!(field.data_type(), DataType::Utf8 | DataType::LargeBinary);
        let precision = |value: Option<ScalarValue>| match (value, exact) {
            (None, _) => Precision::Absent,
            (Some(value), true) => Precision::Exact(value),
            (Some(value), false) => Precision::Inexact(value),
        };
        let (min, max) = bounds(file, field);
        ColumnStatistics {
            null_count: null_count(file, field),
            min_value: precision(min),
            max_value: precision(max),
            ..ColumnStatistics::new_unknown()
        }
    });
    Statistics {
        num_rows: Precision::Exact(file.record_count() as usize),
        total_byte_size: Precision::Inexact(file.file_size_in_bytes() as usize),
        column_statistics: columns.collect(),
    }
}

fn field_id(field: &Field) -> Option<i32> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY)?.parse().ok()
}

fn null_count(file: &DataFile, field: &Field) -> Precision<usize> {
    let count = field_id(field).and_then(|id| file.null_value_counts().get(&id));
    count.map_or(Precision::Absent, |count| Precision::Exact(*count as usize))
}

fn bounds(file: &DataFile, field: &Field) -> (Option<ScalarValue>, Option<ScalarValue>) {
    let Some(id) = field_id(field) else { return (None, None) };
    // Bounds leave NaN out, but NaN is greater than everything in SQL.
    let floating = matches!(field.data_type(), DataType::Float32 | DataType::Float64);
    if floating && file.nan_value_counts().get(&id) != Some(&0) {
        return (None, None);
    }
    let bound = |datum: Option<&Datum>| {
        let value = scalar(datum?)?;
        if value.data_type() == *field.data_type() {
            Some(value)
        } else {
            value.cast_to(field.data_type()).ok()
        }
    };
    (bound(file.lower_bounds().get(&id)), bound(file.upper_bounds().get(&id)))
}

fn scalar(datum: &Datum) -> Option<ScalarValue> {
    let utc = || Some("+00:00".into());
    Some(match (datum.data_type(), datum.literal()) {
        (PrimitiveType::Int, PrimitiveLiteral::Int(value)) => ScalarValue::Int32(Some(*value)),
        (PrimitiveType::Date, PrimitiveLiteral::Int(value)) => ScalarValue::Date32(Some(*value)),
        (PrimitiveType::Long, PrimitiveLiteral::Long(value)) => ScalarValue::Int64(Some(*value)),
        (PrimitiveType::Float, PrimitiveLiteral::Float(value)) => ScalarValue::Float32(Some(value.0)),
        (PrimitiveType::Double, PrimitiveLiteral::Double(value)) => ScalarValue::Float64(Some(value.0)),
        (PrimitiveType::String, PrimitiveLiteral::String(value)) => ScalarValue::Utf8(Some(value.clone())),
        (PrimitiveType::Timestamptz, PrimitiveLiteral::Long(value)) => {
            ScalarValue::TimestampMicrosecond(Some(*value), utc())
        }
        (PrimitiveType::Timestamp, PrimitiveLiteral::Long(value)) => {
            ScalarValue::TimestampMicrosecond(Some(*value), None)
        }
        _ => return None,
    })
}

/// Bounds of all files of a manifest, as its partition summaries imply them, for leaving the manifest out unread.
pub(super) fn of_manifest(manifest: &ManifestFile, spec: &PartitionSpec, schema: &Schema) -> Statistics {
    let mut columns: Vec<ColumnStatistics> = schema
        .fields()
        .iter()
        .map(|field| {
            let unknown =
                ScalarValue::try_from(field.data_type()).map_or(Precision::Absent, Precision::Exact);
            ColumnStatistics {
                min_value: unknown.clone(),
                max_value: unknown,
                ..ColumnStatistics::new_unknown()
            }
        })
        .collect();
    let summaries = manifest.partitions.iter().flatten();
    for (field, summary) in spec.fields().iter().zip(summaries) {
        let column = schema.fields().iter().position(|column| field_id(column) == Some(field.source_id));
        let (Some(column), false) = (column, summary.contains_null) else { continue };
        let Some((first, last)) = source_range(field.transform, summary) else { continue };
        if let Some(statistics) = columns.get_mut(column) {
            statistics.min_value = Precision::Exact(micros(first));
            statistics.max_value = Precision::Exact(micros(last));
        }
    }
    Statistics { num_rows: Precision::Absent, total_byte_size: Precision::Absent, column_statistics: columns }
}

fn micros(value: i64) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(value), Some("+00:00".into()))
}

/// First and last microsecond of the days or months of a summary.
fn source_range(transform: Transform, summary: &FieldSummary) -> Option<(i64, i64)> {
    let ordinal = |bytes: &[u8]| Some(i64::from(i32::from_le_bytes(bytes.try_into().ok()?)));
    let lower = ordinal(summary.lower_bound.as_ref()?)?;
    let upper = ordinal(summary.upper_bound.as_ref()?)?;
    match transform {
        // Writers of before filed the last second of a day before 1970 under the next one.
        Transform::Day if lower <= 0 => Some((lower * DAY_US - SECOND_US, (upper + 1) * DAY_US - 1)),
        Transform::Day => Some((lower * DAY_US, (upper + 1) * DAY_US - 1)),
        Transform::Month => Some((month_start(lower)?, month_start(upper + 1)? - 1)),
        _ => None,
    }
}

const SECOND_US: i64 = 1_000_000;

/// First microsecond of the month so many months after January 1970 (days from civil, H. Hinnant).
fn month_start(months: i64) -> Option<i64> {
    let (year, month) = (1970 + months.div_euclid(12), months.rem_euclid(12) + 1);
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era - 719_468).checked_mul(DAY_US)
}

#[cfg(test)]
mod tests {
    use super::month_start;

    #[test]
    fn months_begin_where_the_calendar_says() {
        for (months, text) in [(0, "1970-01-01"), (1, "1970-02-01"), (-1, "1969-12-01"), (362, "2000-03-01")]
        {
            let expected: seislake_model::Timestamp = text.parse().unwrap();
            assert_eq!(month_start(months), Some(expected.micros()), "{text}");
        }
    }
}
