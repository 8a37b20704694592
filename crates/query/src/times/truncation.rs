//! `date_trunc` for any time: the engine's goes by way of nanoseconds, and is wrong or panics where they end.
//!
//! Input: a constant unit and times of any precision. Output: of the same type, the begin of the unit that the time lies
//! in; null for null. Weeks begin on Monday. Cost: a few operations a row. Times of zones with an offset are left to the
//! engine.

use std::any::Any;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::{calendar, constant_text, in_times, is_utc, mapped};

const SECOND_NS: i128 = 1_000_000_000;
/// Nanoseconds of a day of UTC.
pub(super) const DAY_NS: i128 = 86_400 * SECOND_NS;

/// What times are cut to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Unit {
    /// So many nanoseconds.
    Fixed(i128),
    Week,
    /// So many months of a year.
    Months(i128),
}

impl Unit {
    fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "microsecond" => Self::Fixed(1_000),
            "millisecond" => Self::Fixed(1_000_000),
            "second" => Self::Fixed(SECOND_NS),
            "minute" => Self::Fixed(60 * SECOND_NS),
            "hour" => Self::Fixed(3600 * SECOND_NS),
            "day" => Self::Fixed(DAY_NS),
            "week" => Self::Week,
            "month" => Self::Months(1),
            "quarter" => Self::Months(3),
            "year" => Self::Months(12),
            _ => return None,
        })
    }

    /// The begin of the unit that a moment, nanoseconds since 1970, lies in.
    fn begin_ns(self, moment: i128) -> i128 {
        let day = moment.div_euclid(DAY_NS);
        match self {
            Self::Fixed(length) => moment - moment.rem_euclid(length),
            // 1970 began on a Thursday.
            Self::Week => (day - (day + 3).rem_euclid(7)) * DAY_NS,
            Self::Months(count) => {
                let month = calendar::month_index(day);
                calendar::first_of_month(month - month.rem_euclid(count)) * DAY_NS
            }
        }
    }
}

/// Our function in place of the engine's, where it can do the call.
pub(super) fn planned(mut call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let unit = call.args.first().and_then(constant_text).and_then(Unit::named);
    if let (Some(unit), [_, times]) = (unit, &mut call.args[..]) {
        in_times(times, schema)?;
        if matches!(times.get_type(schema)?, DataType::Timestamp(_, zone) if is_utc(zone.as_ref())) {
            let function = DateTrunc { unit, signature: Signature::any(2, Volatility::Immutable) };
            let function = ScalarUDF::new_from_impl(function).into();
            return Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(function, call.args))));
        }
    }
    Ok(Transformed::no(Expr::ScalarFunction(call)))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DateTrunc {
    unit: Unit,
    signature: Signature,
}

impl ScalarUDFImpl for DateTrunc {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &'static str {
        "date_trunc"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.get(1).cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(times) = args.args.get(1) else { return exec_err!("date_trunc takes a unit and a time") };
        mapped("date_trunc", times, |moment| self.unit.begin_ns(moment))
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        Ok(inputs.get(1).map_or(SortProperties::Unordered, |times| times.sort_properties))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment_ns(text: &str) -> i128 {
        let (date, time) = text.split_once('T').unwrap();
        let numbers =
            |text: &str, by: char| text.split(by).map(|part| part.parse().unwrap()).collect::<Vec<i128>>();
        let (date, time) = (numbers(date, '-'), numbers(time, ':'));
        calendar::day_of(date[0], date[1], date[2]) * DAY_NS
            + ((time[0] * 60 + time[1]) * 60 + time[2]) * SECOND_NS
    }

    #[test]
    fn moments_of_any_year_are_cut_to_the_begin_of_their_unit() {
        for (unit, moment, begin) in [
            ("year", "0001-07-04T12:34:56", "0001-01-01T00:00:00"),
            ("year", "9999-12-31T23:59:59", "9999-01-01T00:00:00"),
            ("quarter", "2599-12-31T23:59:59", "2599-10-01T00:00:00"),
            ("month", "1600-02-29T01:02:03", "1600-02-01T00:00:00"),
            ("week", "2024-03-03T12:00:00", "2024-02-26T00:00:00"),
            ("week", "2024-02-26T00:00:00", "2024-02-26T00:00:00"),
            ("week", "1969-12-31T00:00:00", "1969-12-29T00:00:00"),
            ("day", "0001-01-01T23:00:00", "0001-01-01T00:00:00"),
            ("hour", "1969-12-31T23:59:59", "1969-12-31T23:00:00"),
            ("minute", "2599-01-01T00:01:59", "2599-01-01T00:01:00"),
            ("second", "2599-01-01T00:01:59", "2599-01-01T00:01:59"),
        ] {
            let found = Unit::named(unit).unwrap().begin_ns(moment_ns(moment));
            assert_eq!(found, moment_ns(begin), "{unit} of {moment}");
        }
    }
}
