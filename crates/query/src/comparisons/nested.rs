//! Numbers inside lists, structs and maps: -0.0 is 0, and what is not a number is one value, as outside of them.
//!
//! ```text
//! ARRAY[-0.0] = ARRAY[0.0], GROUP BY list, array_distinct(list), …   ──►  of the list with one zero and one NaN
//! ```
//! The cost: values that hold another zero or NaN are copied where they are compared; others are passed on.

use std::any::Any;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayData, ArrayRef, ArrowPrimitiveType, PrimitiveArray, make_array};
use arrow::datatypes::{ArrowNativeTypeOp, DataType, Field, FieldRef, Float16Type, Float32Type, Float64Type};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use super::zeros;

type Half = <Float16Type as ArrowPrimitiveType>::Native;

static ONE_VALUE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(OneValue { signature }))
});

/// Functions of the engine that compare elements of lists with each other, or with another value.
/// A test asks all functions of the session whether they belong here.
const COMPARING: [&str; 19] = [
    "array_distinct",
    "array_except",
    "array_has",
    "array_has_all",
    "array_has_any",
    "array_intersect",
    "array_max",
    "array_min",
    "array_position",
    "array_positions",
    "array_remove",
    "array_remove_all",
    "array_remove_n",
    "array_replace",
    "array_replace_all",
    "array_replace_n",
    "array_sort",
    "array_union",
    "map_extract",
];

/// What a function compares of its arguments, with one zero and one NaN: whether it changed, `None` if it compares nothing.
pub(super) fn in_function(call: &mut ScalarFunction, schema: &DFSchema) -> Option<bool> {
    let in_all = |values: &mut [Expr]| super::in_groups(values, schema);
    match (call.func.name(), call.args.as_mut_slice()) {
        // The values of a map are not compared.
        ("map", [keys, ..]) => Some(zeros::in_group(keys, schema)),
        // Fields of structs have names; only what looks for a number looks into a map of them.
        ("get_field", [map, keys @ ..]) => {
            let by_number = in_all(keys);
            if by_number {
                in_group(map, schema);
            }
            Some(by_number)
        }
        (name, arguments) if COMPARING.contains(&name) => Some(in_all(arguments)),
        _ => None,
    }
}

/// Lists, structs and maps of floating point numbers, with one zero and one NaN.
pub(super) fn in_group(expression: &mut Expr, schema: &DFSchema) -> bool {
    let is_one =
        matches!(expression, Expr::ScalarFunction(call) if call.func.inner().as_any().is::<OneValue>());
    if is_one || !expression.get_type(schema).is_ok_and(|kind| needs_one_value(&kind)) {
        return false;
    }
    let call = ScalarFunction::new_udf(Arc::clone(&ONE_VALUE), vec![std::mem::take(expression)]);
    *expression = Expr::ScalarFunction(call);
    true
}

/// Holds numbers to which an addition of 0 does not reach.
fn needs_one_value(kind: &DataType) -> bool {
    !matches!(kind, DataType::Float32 | DataType::Float64) && holds_floats(kind)
}

fn holds_floats(kind: &DataType) -> bool {
    match kind {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => true,
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _)
        | DataType::RunEndEncoded(_, field) => holds_floats(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| holds_floats(field.data_type())),
        DataType::Union(fields, _) => fields.iter().any(|(_, field)| holds_floats(field.data_type())),
        DataType::Dictionary(_, kind) => holds_floats(kind),
        _ => false,
    }
}

/// Gives what it is given, with one zero and one NaN at every depth.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OneValue {
    signature: Signature,
}

impl ScalarUDFImpl for OneValue {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &'static str {
        "one value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        match args.arg_fields {
            [field] => Ok(Arc::new(Field::new(self.name(), field.data_type().clone(), field.is_nullable()))),
            _ => exec_err!("a value that is compared is one value"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.into_iter().next() {
            Some(ColumnarValue::Array(array)) => Ok(ColumnarValue::Array(with_one_value(&array)?)),
            Some(ColumnarValue::Scalar(value)) => {
                let array = with_one_value(&value.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?))
            }
            None => exec_err!("a value that is compared is one value"),
        }
    }
}

/// Arrays that hold no other zero or NaN are passed on.
fn with_one_value(array: &ArrayRef) -> Result<ArrayRef> {
    Ok(match settled(&array.to_data())? {
        Some(data) => make_array(data),
        None => Arc::clone(array),
    })
}

/// `None` where nothing is to be changed.
fn settled(data: &ArrayData) -> Result<Option<ArrayData>> {
    match data.data_type() {
        DataType::Float16 => Ok(numbers::<Float16Type>(data, |value| match value {
            value if value.is_nan() => Half::NAN,
            value if value == Half::NEG_ZERO => Half::ZERO,
            value => value,
        })),
        DataType::Float32 => Ok(numbers::<Float32Type>(data, |value| match value {
            value if value.is_nan() => f32::NAN,
            0.0 => 0.0,
            value => value,
        })),
        DataType::Float64 => Ok(numbers::<Float64Type>(data, |value| match value {
            value if value.is_nan() => f64::NAN,
            0.0 => 0.0,
            value => value,
        })),
        _ => {
            let mut changed = false;
            let mut children = vec![];
            for child in data.child_data() {
                let settled = if holds_floats(child.data_type()) { settled(child)? } else { None };
                changed |= settled.is_some();
                children.push(settled.unwrap_or_else(|| child.clone()));
            }
            if !changed {
                return Ok(None);
            }
            Ok(Some(data.clone().into_builder().child_data(children).build()?))
        }
    }
}

fn numbers<T: ArrowPrimitiveType>(data: &ArrayData, one: fn(T::Native) -> T::Native) -> Option<ArrayData> {
    let values = PrimitiveArray::<T>::from(data.clone());
    // Equal by all their bits.
    if values.values().iter().all(|value| one(*value).is_eq(*value)) {
        return None;
    }
    Some(values.unary::<_, T>(one).into_data())
}

#[cfg(test)]
mod tests;
