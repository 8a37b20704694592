//! A time of another unit in microseconds: the microsecond that it lies in, before 1970 too.

use std::any::Any;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::in_unit;

/// `times`, of any unit, in microseconds.
pub(super) fn of(times: Expr) -> Expr {
    let function = Microseconds { signature: Signature::any(1, Volatility::Immutable) };
    Expr::ScalarFunction(ScalarFunction::new_udf(ScalarUDF::new_from_impl(function).into(), vec![times]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Microseconds {
    signature: Signature,
}

impl ScalarUDFImpl for Microseconds {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &'static str {
        "in microseconds"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types {
            [DataType::Timestamp(_, zone)] => Ok(DataType::Timestamp(TimeUnit::Microsecond, zone.clone())),
            _ => exec_err!("only times have a unit"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [times] = &args.args[..] else { return exec_err!("only times have a unit") };
        in_unit(times, args.return_field.data_type())
    }
}
