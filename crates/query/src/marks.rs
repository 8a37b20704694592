//! Calls that give what they are given: the engine does not see through them, where it would see what is not so.

use std::any::Any;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Why an expression is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mark {
    /// It is calculated again; what bears another number is something else.
    Again(usize),
    /// It stands on the left of `NOT IN`: what is known of it is not known of the rows on the right.
    NotIn,
    /// It may be null, although it seems not so.
    MayBeNull,
    /// It is the same for several values of what it is calculated from: the engine thinks a column constant where such an
    /// expression of it is, and forgets to order by it.
    Rounded,
}

impl Mark {
    /// The expression, marked.
    pub(crate) fn on(self, expression: Expr) -> Expr {
        let volatility = match self {
            Self::Again(_) | Self::NotIn | Self::Rounded => Volatility::Immutable,
            // A constant would be put in its place, which is never null.
            Self::MayBeNull => Volatility::Volatile,
        };
        let function = MarkRule { mark: self, signature: Signature::any(1, volatility) };
        let function = Arc::new(ScalarUDF::new_from_impl(function));
        Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![expression]))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct MarkRule {
    mark: Mark,
    signature: Signature,
}

impl ScalarUDFImpl for MarkRule {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &'static str {
        match self.mark {
            Mark::Again(_) => "calculated again",
            Mark::NotIn => "among others",
            Mark::MayBeNull => "value or null",
            Mark::Rounded => "rounded",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let may_be_null = self.mark == Mark::MayBeNull;
        match args.arg_fields {
            [field] => {
                let nullable = may_be_null || field.is_nullable();
                Ok(Arc::new(Field::new(self.name(), field.data_type().clone(), nullable)))
            }
            _ => exec_err!("a marked column is one column"),
        }
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        Interval::make_unbounded(&inputs.first().map_or(DataType::Null, |interval| interval.data_type()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.into_iter().next() {
            Some(column) => Ok(column),
            None => exec_err!("a marked column is one column"),
        }
    }
}
