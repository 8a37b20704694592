//! `a || b || c` as one call: measured before it is made, and made once instead of part by part.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{Array, AsArray, LargeStringBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::Growth;
use super::sizes::Arguments;

/// `left || right`; a chain becomes longer instead of deeper.
pub(super) fn joined(left: Expr, right: Expr) -> Expr {
    match left {
        Expr::ScalarFunction(mut call) if call.func.inner().as_any().is::<Concat>() => {
            call.args.push(right);
            Expr::ScalarFunction(call)
        }
        left => {
            let function = Arc::new(ScalarUDF::new_from_impl(Concat {
                signature: Signature::variadic_any(Volatility::Immutable),
            }));
            Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![left, right]))
        }
    }
}

/// The operator: null where one part is null, of the type of its parts, which the planner has made one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Concat {
    signature: Signature,
}

impl ScalarUDFImpl for Concat {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &'static str {
        "||"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names: Vec<String> = args.iter().map(|part| part.schema_name().to_string()).collect();
        Ok(names.join(" || "))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.first().cloned().unwrap_or(DataType::Utf8))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let bytes = Arguments::new(&args.args, args.number_rows).sum_bytes();
        Growth::of(&args.config_options).check_rows(self.name(), bytes, args.number_rows)?;
        let constant = args.args.iter().all(|part| matches!(part, ColumnarValue::Scalar(_)));
        let row_count = if constant { 1 } else { args.number_rows };
        // A constant stays one row, which every row reads.
        let parts = args.args.iter().map(|part| match part {
            ColumnarValue::Scalar(value) => Ok((cast(&value.to_array()?, &DataType::LargeUtf8)?, true)),
            ColumnarValue::Array(array) => Ok((cast(array, &DataType::LargeUtf8)?, false)),
        });
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let parts: Vec<_> = parts.iter().map(|(array, one)| (array.as_string::<i64>(), *one)).collect();
        let mut builder = LargeStringBuilder::new();
        let mut text = String::new();
        for row in 0..row_count {
            let at = |one: bool| if one { 0 } else { row };
            if parts.iter().any(|(array, one)| array.is_null(at(*one))) {
                builder.append_null();
                continue;
            }
            text.clear();
            for (array, one) in &parts {
                text.push_str(array.value(at(*one)));
            }
            builder.append_value(&text);
        }
        let made = cast(&builder.finish(), args.return_field.data_type())?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?));
        }
        Ok(ColumnarValue::Array(made))
    }
}
