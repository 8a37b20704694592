//! Scalars of the schema.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use seislake_model::{SnapshotId, Timestamp};

/// A moment in UTC, RFC 3339, to the nanosecond: `2014-08-24T00:01:08.92Z`.
#[derive(Clone, Copy, Debug)]
pub(super) struct DateTime(pub(super) Timestamp);

#[Scalar(specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            // All times that come in bound a search.
            Value::String(text) => Ok(Self(Timestamp::bound(&text).map_err(InputValueError::custom)?)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// Id of a table snapshot: a 64-bit integer as text, since JSON numbers do not hold it exactly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Snapshot(pub(super) SnapshotId);

#[Scalar(name = "SnapshotId")]
impl ScalarType for Snapshot {
    fn parse(value: Value) -> InputValueResult<Self> {
        let id = match &value {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_i64(),
            _ => None,
        };
        id.map(Self).ok_or_else(|| InputValueError::custom(format!("{value} is not a snapshot id")))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// A number as JSON can say it: null where it is none or infinite.
pub(super) fn number(value: f64) -> Option<f64> {
    Some(value).filter(|value| value.is_finite())
}
