//! `AT TIME ZONE`, as in PostgreSQL: a moment becomes what the clocks of a zone show then, and what they show a moment.
//!
//! ```text
//! timezone('Asia/Tokyo', TIMESTAMPTZ '2024-07-01T12:00:00Z')  ──►  2024-07-01T21:00:00      without a zone
//! timezone('Asia/Tokyo', TIMESTAMP '2024-07-01T12:00:00')     ──►  2024-07-01T03:00:00Z
//! ```
//! A date or a text is a moment (UTC). Where clocks are put back, what they show twice is the later of both; what they
//! leave out is read by the offset before it.

use std::any::Any;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast as cast_array;
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampSecondType};
use arrow::temporal_conversions::as_datetime_with_timezone;
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::{is_date, is_text, step_ns};

const DAY_S: i64 = 86_400;

/// `timezone(zone, time)`, which `AT TIME ZONE` is.
pub(crate) fn function() -> ScalarUDF {
    ScalarUDF::new_from_impl(TimeZone { signature: Signature::any(2, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TimeZone {
    signature: Signature,
}

impl ScalarUDFImpl for TimeZone {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &'static str {
        "timezone"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types {
            [zone, _] if !is_text(zone) && !zone.is_null() => {
                plan_err!("AT TIME ZONE: a zone is a text like 'Asia/Tokyo', not {zone}")
            }
            [_, DataType::Timestamp(unit, Some(_))] => Ok(DataType::Timestamp(*unit, None)),
            [_, DataType::Timestamp(unit, None)] => Ok(DataType::Timestamp(*unit, Some("+00:00".into()))),
            [_, kind] if is_text(kind) || is_date(kind) || kind.is_null() => {
                Ok(DataType::Timestamp(TimeUnit::Microsecond, None))
            }
            [_, kind] => plan_err!("AT TIME ZONE: needs a time, not {kind}"),
            _ => plan_err!("timezone takes a zone and a time"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [zones, times] = args.args.as_slice() else {
            return exec_err!("timezone takes a zone and a time");
        };
        let target = args.return_field.data_type();
        let constant = matches!((zones, times), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let row_count = if constant { 1 } else { args.number_rows };
        let moments = match times.data_type() {
            DataType::Timestamp(..) => times.clone(),
            _ => times.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())), None)?,
        };
        let moments = moments.to_array(row_count)?;
        let moved = match zones {
            ColumnarValue::Scalar(zone) => {
                let zone = zone.try_as_str().flatten().map(named).transpose()?;
                moved(&moments, target, |_| Ok(zone))?
            }
            ColumnarValue::Array(zones) => {
                let zones = cast_array(zones, &DataType::Utf8)?;
                let zones = zones.as_string::<i32>();
                let named_at =
                    |row| if zones.is_null(row) { Ok(None) } else { named(zones.value(row)).map(Some) };
                moved(&moments, target, named_at)?
            }
        };
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&moved, 0)?));
        }
        Ok(ColumnarValue::Array(moved))
    }
}

fn named(zone: &str) -> Result<Tz> {
    zone.parse().map_err(|_| {
        exec_datafusion_err!("AT TIME ZONE: \"{zone}\" is no zone: they are like 'Asia/Tokyo' or '+09:00'")
    })
}

/// Every time as the other kind of time: without a zone of `target`, or with one.
fn moved(
    times: &ArrayRef,
    target: &DataType,
    zone: impl Fn(usize) -> Result<Option<Tz>>,
) -> Result<ArrayRef> {
    let DataType::Timestamp(unit, kind) = target else { return exec_err!("timezone gives a time") };
    let second = i64::try_from(1_000_000_000 / step_ns(*unit)).unwrap_or(1);
    let beyond = || exec_datafusion_err!("AT TIME ZONE: the result is beyond the times there are");
    let steps = cast_array(times, &DataType::Int64)?;
    let steps = steps.as_primitive::<Int64Type>();
    let row = |row: usize| -> Result<Option<i64>, DataFusionError> {
        let (false, Some(zone)) = (steps.is_null(row), zone(row)?) else { return Ok(None) };
        let time = steps.value(row);
        let time_s = time.div_euclid(second);
        let offset_s = match kind {
            None => offset_s(time_s, zone),
            Some(_) => offset_of_clock_s(time_s, zone).map(|offset_s| -offset_s),
        };
        let moved = offset_s.and_then(|offset_s| time.checked_add(offset_s.checked_mul(second)?));
        moved.map(Some).ok_or_else(beyond)
    };
    let moved: Int64Array = (0..steps.len()).map(row).collect::<Result<_>>()?;
    let moved: ArrayRef = Arc::new(moved);
    Ok(cast_array(&moved, target)?)
}

/// What the clocks of a zone are ahead of UTC at a moment.
fn offset_s(moment_s: i64, zone: Tz) -> Option<i64> {
    let moment = as_datetime_with_timezone::<TimestampSecondType>(moment_s, zone)?;
    Some(moment.naive_local().and_utc().timestamp() - moment_s)
}

/// What the clocks of a zone are ahead of UTC when they show a time.
fn offset_of_clock_s(clock_s: i64, zone: Tz) -> Option<i64> {
    let after = offset_s(clock_s.checked_add(DAY_S)?, zone)?;
    if offset_s(clock_s - after, zone)? == after {
        return Some(after);
    }
    offset_s(clock_s.checked_sub(DAY_S)?, zone)
}

#[cfg(test)]
mod tests {
    use crate::asking::answer;

    #[tokio::test]
    async fn moments_become_what_clocks_show_and_back() {
        let mut wrong = vec![];
        for (expression, expected) in [
            ("(TIMESTAMPTZ '2024-07-01T12:00:00Z' AT TIME ZONE 'Asia/Tokyo')", "2024-07-01T21:00:00"),
            ("(TIMESTAMP '2024-07-01T12:00:00' AT TIME ZONE 'Asia/Tokyo')", "2024-07-01T03:00:00Z"),
            ("(TIMESTAMP '2024-07-01T12:00:00' AT TIME ZONE '+09:00')", "2024-07-01T03:00:00Z"),
            ("(at AT TIME ZONE 'Asia/Tokyo')::TIMESTAMP", "2024-07-01T21:00:00.500"),
            ("(at AT TIME ZONE 'Asia/Tokyo')::DATE", "2024-07-01"),
            ("((at + INTERVAL '3 hours') AT TIME ZONE 'Asia/Tokyo')::DATE", "2024-07-02"),
            ("date_trunc('day', at AT TIME ZONE 'Asia/Tokyo')", "2024-07-01T00:00:00"),
            (
                "date_trunc('day', at AT TIME ZONE 'Asia/Tokyo') AT TIME ZONE 'Asia/Tokyo'",
                "2024-06-30T15:00:00Z",
            ),
            ("at AT TIME ZONE 'Asia/Tokyo' AT TIME ZONE 'Asia/Tokyo' = at", "true"),
            (
                "TIMESTAMP '2024-07-01T12:00:00' AT TIME ZONE 'Asia/Tokyo' = TIMESTAMPTZ '2024-07-01T03:00:00Z'",
                "true",
            ),
            ("extract(hour FROM at AT TIME ZONE 'Asia/Tokyo')", "21"),
            ("(at AT TIME ZONE zone)", "2024-07-01T14:00:00.500"),
            ("TIMESTAMPTZ '2599-07-01T12:00:00+09:00' AT TIME ZONE 'Asia/Tokyo'", "2599-07-01T12:00:00"),
            (
                "CAST('2024-07-01T12:00:00Z' AS TIMESTAMP WITH TIME ZONE) AT TIME ZONE '-02:00'",
                "2024-07-01T10:00:00",
            ),
            ("at::TIMESTAMPTZ = at AND at < TIMESTAMPTZ '2024-07-01T12:00:01Z'", "true"),
            ("TIMESTAMPTZ '2016-12-31T23:59:60Z' AT TIME ZONE '+01:00'", "2017-01-01T01:00:00"),
            // Clocks are put back, and forward.
            ("(TIMESTAMP '2024-10-27T02:30:00' AT TIME ZONE 'Europe/Paris')", "2024-10-27T01:30:00Z"),
            ("(TIMESTAMP '2024-10-27T01:30:00' AT TIME ZONE 'Europe/Paris')", "2024-10-26T23:30:00Z"),
            ("(TIMESTAMP '2024-03-31T02:30:00' AT TIME ZONE 'Europe/Paris')", "2024-03-31T01:30:00Z"),
            ("(TIMESTAMP '2024-03-31T03:30:00' AT TIME ZONE 'Europe/Paris')", "2024-03-31T01:30:00Z"),
            ("(NULL AT TIME ZONE 'Asia/Tokyo') IS NULL", "true"),
        ] {
            let sql = format!(
                "WITH t AS (SELECT arrow_cast('2024-07-01T12:00:00.5', 'Timestamp(Microsecond, Some(\"+00:00\"))') AS at, \
                 'Europe/Paris' AS zone) SELECT {expression} FROM t"
            );
            let said = answer(&sql).await;
            if said.as_deref() != Ok(expected) {
                wrong.push(format!("{expression}: {said:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let unknown = answer("SELECT now() AT TIME ZONE 'Tokio'").await;
        assert!(unknown.as_ref().is_err_and(|error| error.contains("\"Tokio\" is no zone")), "{unknown:?}");
    }
}
