//! Calls that stand around the subqueries of a statement, and in them.

use std::any::Any;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, StructArray};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, FieldRef, Fields, Int64Type, UInt64Type};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

static CALLS: LazyLock<[Arc<ScalarUDF>; 3]> = LazyLock::new(|| {
    [Call::Pack, Call::Only, Call::OrZero].map(|call| {
        let signature = Signature::variadic_any(Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Around { call, signature }))
    })
});

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Call {
    /// A value and the number of rows that it was taken from, as one; null without rows.
    Pack,
    /// The value of a pack of one row; null without rows, an error with several.
    Only,
    /// A number; zero for null.
    OrZero,
}

impl Call {
    pub(super) fn of(self, arguments: Vec<Expr>) -> Expr {
        let [pack, only, or_zero] = &*CALLS;
        let function = match self {
            Self::Pack => pack,
            Self::Only => only,
            Self::OrZero => or_zero,
        };
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), arguments))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Around {
    call: Call,
    signature: Signature,
}

fn packed(value: &DataType) -> Fields {
    Fields::from(vec![
        Field::new("value", value.clone(), true),
        Field::new("row_count", DataType::Int64, true),
    ])
}

impl ScalarUDFImpl for Around {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &'static str {
        match self.call {
            Call::Pack => "value of rows",
            Call::Only => "value of the only row",
            Call::OrZero => "count of rows",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(match (self.call, arg_types) {
            (Call::Pack, [value, ..]) => DataType::Struct(packed(value)),
            (Call::Only, [DataType::Struct(fields)]) => match fields.iter().as_slice() {
                [value, _] => value.data_type().clone(),
                _ => DataType::Null,
            },
            (Call::OrZero, [DataType::UInt64]) => DataType::UInt64,
            (Call::OrZero, _) => DataType::Int64,
            _ => DataType::Null,
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let kinds: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let kind = self.return_type(&kinds)?;
        Ok(Arc::new(Field::new(self.name(), kind, self.call != Call::OrZero)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let row_count = if constant { 1 } else { args.number_rows };
        let arrays =
            args.args.iter().map(|argument| argument.to_array(row_count)).collect::<Result<Vec<_>>>()?;
        let given = match (self.call, arrays.as_slice()) {
            (Call::Pack, [values, row_counts]) => pack(values, row_counts, args.return_field.data_type())?,
            (Call::Only, [rows]) => only(rows)?,
            (Call::OrZero, [counts]) => or_zero(counts)?,
            _ => return exec_err!("\"{}\" takes other arguments", self.name()),
        };
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&given, 0)?));
        }
        Ok(ColumnarValue::Array(given))
    }
}

fn pack(values: &ArrayRef, row_counts: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    let DataType::Struct(fields) = kind else { return exec_err!("a value of rows is a pair") };
    let row_counts = arrow::compute::cast(row_counts, &DataType::Int64)?;
    let nulls = row_counts.nulls().cloned();
    Ok(Arc::new(StructArray::try_new(fields.clone(), vec![Arc::clone(values), row_counts], nulls)?))
}

fn only(rows: &ArrayRef) -> Result<ArrayRef> {
    let Some(rows) = rows.as_struct_opt() else { return Ok(Arc::clone(rows)) };
    let [values, row_counts] = rows.columns() else { return exec_err!("a value of rows is a pair") };
    let row_counts = row_counts.as_primitive::<Int64Type>();
    let several = |row: usize| rows.is_valid(row) && row_counts.is_valid(row) && row_counts.value(row) > 1;
    if (0..rows.len()).any(several) {
        return exec_err!("more than one row returned by a subquery used as an expression");
    }
    // Where there are no rows, the pair is null, whatever its value is.
    let absent = arrow::compute::is_null(&rows)?;
    Ok(arrow::compute::nullif(values.as_ref(), &absent)?)
}

fn or_zero(counts: &ArrayRef) -> Result<ArrayRef> {
    Ok(match counts.data_type() {
        DataType::Int64 => filled::<Int64Type>(counts),
        DataType::UInt64 => filled::<UInt64Type>(counts),
        DataType::Null => Arc::new(PrimitiveArray::<Int64Type>::from_value(0, counts.len())),
        other => return exec_err!("a count of rows is a whole number, not {other}"),
    })
}

fn filled<T: ArrowPrimitiveType>(counts: &ArrayRef) -> ArrayRef {
    let counts = counts.as_primitive::<T>().iter().map(Option::unwrap_or_default);
    Arc::new(PrimitiveArray::<T>::from_iter_values(counts))
}
