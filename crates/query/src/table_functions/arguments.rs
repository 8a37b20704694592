//! Arguments of table functions: which channel, from when to when.

use std::ops::Range;

use arrow::datatypes::TimeUnit;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::Expr;
use seislake_model::Timestamp;

use super::sources::Sources;

/// Channels and a time window: the first three arguments of every table function over waveforms.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) sources: Sources,
    /// Nanoseconds since 1970; the end does not belong to it.
    pub(super) time_ns: Range<i64>,
}

/// Reads `(source, from, to)` from the begin of the arguments.
pub(super) fn window(function: &str, arguments: &[Expr]) -> Result<Window> {
    let [source, from, to, ..] = arguments else {
        return plan_err!("{function} takes a source, from and to, not {} arguments", arguments.len());
    };
    let Some(source) = text(source) else {
        return plan_err!("{function}: source must be text such as 'FDSN:IU_ANMO_00_B_H_Z', not {source}");
    };
    let Some(sources) = Sources::read(source) else {
        return plan_err!(
            "{function}: source '{source}' is neither a source identifier ('FDSN:IU_ANMO_00_B_H_Z') nor 'IU.ANMO.00.BHZ'"
        );
    };
    let (from_ns, to_ns) = (time_ns(function, "from", from)?, time_ns(function, "to", to)?);
    if from_ns >= to_ns {
        return plan_err!("{function}: from is not before to");
    }
    Ok(Window { sources, time_ns: from_ns..to_ns })
}

fn time_ns(function: &str, name: &str, argument: &Expr) -> Result<i64> {
    const DAY_NS: i64 = 86_400_000_000_000;
    let literal = match argument {
        Expr::Literal(value, _) => value,
        _ => &ScalarValue::Null,
    };
    let nanos = match literal {
        // Times beyond what nanoseconds hold bound nothing.
        ScalarValue::TimestampSecond(Some(value), _) => Some(value.saturating_mul(unit_ns(TimeUnit::Second))),
        ScalarValue::TimestampMillisecond(Some(value), _) => {
            Some(value.saturating_mul(unit_ns(TimeUnit::Millisecond)))
        }
        ScalarValue::TimestampMicrosecond(Some(value), _) => {
            Some(value.saturating_mul(unit_ns(TimeUnit::Microsecond)))
        }
        ScalarValue::TimestampNanosecond(Some(value), _) => Some(*value),
        ScalarValue::Date32(Some(days)) => Some(i64::from(*days).saturating_mul(DAY_NS)),
        _ => text(argument).and_then(|text| Timestamp::bound(text).ok()).map(Timestamp::nanos),
    };
    match nanos {
        Some(nanos) => Ok(nanos),
        None => plan_err!("{function}: {name} must be a time such as '2024-02-29T00:00:00', not {argument}"),
    }
}

fn unit_ns(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

fn text(argument: &Expr) -> Option<&str> {
    match argument {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}

/// The number at `index`; `default` where it is left out.
pub(super) fn number(
    function: &str,
    name: &str,
    argument: Option<&Expr>,
    default: Option<f64>,
) -> Result<f64> {
    let Some(argument) = argument else {
        return match default {
            Some(value) => Ok(value),
            None => plan_err!("{function}: {name} is missing"),
        };
    };
    let value = match argument {
        Expr::Literal(value, _) => value.cast_to(&arrow::datatypes::DataType::Float64).ok(),
        _ => None,
    };
    match value {
        Some(ScalarValue::Float64(Some(value))) if value.is_finite() => Ok(value),
        _ => plan_err!("{function}: {name} must be a number, not {argument}"),
    }
}
