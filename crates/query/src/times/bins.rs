//! `date_bin` for any time: the engine's goes by way of nanoseconds, and is wrong or panics where they end.
//!
//! Input: a constant stride (an interval of months, or of days and less), times of any precision, a constant origin
//! (1970 where none is said). Output: of the same type, the begin of the bin that the time lies in, bins being laid from
//! the origin in both directions; null for null. A bin of months begins on the day of the month of the origin, or on the
//! last one that the month has. Cost: a few operations a row.

use std::any::Any;

use arrow::datatypes::{DataType, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::truncation::DAY_NS;
use super::{calendar, cast, in_times, is_text, mapped, moment_ns};

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// Our function in place of the engine's, where it can do the call.
pub(super) fn planned(mut call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    if let [stride, times, origin @ ..] = &mut call.args[..]
        && origin.len() <= 1
    {
        let mut ours = true;
        for times in std::iter::once(times).chain(origin) {
            in_times(times, schema)?;
            ours &= matches!(times.get_type(schema)?, DataType::Timestamp(..));
        }
        let kind = stride.get_type(schema)?;
        if ours && (is_text(&kind) || matches!(kind, DataType::Interval(_) | DataType::Null)) {
            *stride = cast(std::mem::take(stride), &INTERVAL);
            let function = DateBin { signature: Signature::variadic_any(Volatility::Immutable) };
            let function = ScalarUDF::new_from_impl(function).into();
            return Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(function, call.args))));
        }
    }
    Ok(Transformed::no(Expr::ScalarFunction(call)))
}

/// Length of a bin.
#[derive(Clone, Copy, Debug)]
enum Stride {
    Months(i128),
    Nanoseconds(i128),
}

impl Stride {
    fn of(value: &ScalarValue) -> Result<Option<Self>> {
        let ScalarValue::IntervalMonthDayNano(Some(interval)) = value else { return Ok(None) };
        let (months, days, nanoseconds) = IntervalMonthDayNanoType::to_parts(*interval);
        let rest = i128::from(days) * DAY_NS + i128::from(nanoseconds);
        match (i128::from(months), rest) {
            (1.., 0) => Ok(Some(Self::Months(months.into()))),
            (0, 1..) => Ok(Some(Self::Nanoseconds(rest))),
            (0, _) | (..0, 0) => exec_err!("date_bin: the stride must be longer than nothing"),
            _ => exec_err!("date_bin: the stride must be one of months, or of days and less, not of both"),
        }
    }

    fn begin_ns(self, moment: i128, origin: i128) -> i128 {
        match self {
            Self::Nanoseconds(length) => moment - (moment - origin).rem_euclid(length),
            Self::Months(count) => {
                let months = |moment: i128| calendar::month_index(moment.div_euclid(DAY_NS));
                let from = months(origin);
                let bin = from + (months(moment) - from).div_euclid(count) * count;
                let begin = in_month(origin, bin);
                if begin > moment { in_month(origin, bin - count) } else { begin }
            }
        }
    }
}

/// `origin`, moved to another month.
fn in_month(origin: i128, month: i128) -> i128 {
    let (day, of_day) = (origin.div_euclid(DAY_NS), origin.rem_euclid(DAY_NS));
    let (_, _, date) = calendar::date_of(day);
    let length = calendar::first_of_month(month + 1) - calendar::first_of_month(month);
    (calendar::first_of_month(month) + date.min(length) - 1) * DAY_NS + of_day
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DateBin {
    signature: Signature,
}

impl ScalarUDFImpl for DateBin {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &'static str {
        "date_bin"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.get(1).cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (stride, times, origin) = match &args.args[..] {
            [ColumnarValue::Scalar(stride), times] => (stride, times, Some(0)),
            [ColumnarValue::Scalar(stride), times, ColumnarValue::Scalar(origin)] => {
                (stride, times, moment_ns(origin))
            }
            _ => return exec_err!("date_bin: stride and origin must be constants"),
        };
        let (Some(stride), Some(origin)) = (Stride::of(stride)?, origin) else {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from(args.return_field.data_type())?));
        };
        mapped("date_bin", times, |moment| stride.begin_ns(moment, origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_laid_from_the_origin_in_both_directions() {
        let day = |year, month, date| calendar::day_of(year, month, date) * DAY_NS;
        for (stride, moment, origin, begin) in [
            (Stride::Nanoseconds(10), 25, 0, 20),
            (Stride::Nanoseconds(10), -25, 0, -30),
            (Stride::Nanoseconds(10), -30, 0, -30),
            (Stride::Nanoseconds(7 * DAY_NS), day(1, 1, 3), day(1, 1, 1), day(1, 1, 1)),
            (Stride::Months(1), day(1, 5, 17), day(2000, 1, 1), day(1, 5, 1)),
            (Stride::Months(12), day(9999, 12, 31), day(1970, 1, 1), day(9999, 1, 1)),
            (Stride::Months(3), day(2599, 5, 1), day(1970, 1, 1), day(2599, 4, 1)),
            (Stride::Months(1), day(2024, 2, 29), day(2024, 1, 31), day(2024, 2, 29)),
            (Stride::Months(1), day(2024, 2, 28), day(2024, 1, 31), day(2024, 1, 31)),
            (Stride::Months(1), day(1969, 12, 15), day(1970, 1, 1), day(1969, 12, 1)),
        ] {
            assert_eq!(stride.begin_ns(moment, origin), begin, "{stride:?} of {moment} from {origin}");
        }
    }
}
