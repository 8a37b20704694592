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

type Half = <Float16Type as ArrowPrimitiveType>::Native;

static ONE_VALUE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(OneValue { signature }))
});

/// Functions of the engine that compare elements of lists with each other, or with another value.
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

/// Whether a function compares elements of what it is given.
pub(super) fn compares_elements(name: &str) -> bool {
    COMPARING.contains(&name)
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
mod tests {
    use crate::asking::answer;

    const ROWS: &str = "(VALUES (-0.0, 1), (0.0, 2), (1.5, 3), (NULL, 4), (CAST('NaN' AS DOUBLE), 5), (CAST('NaN' AS DOUBLE), 6)) AS v(y, n)";

    /// Five of the six values are distinct as bits, four as numbers.
    async fn holds(value: &str, shown: impl Fn(&str) -> String) {
        let of = |number: &str| value.replace('$', number);
        let t = format!("(SELECT {} AS x, n FROM {ROWS}) AS t", of("y"));
        let zero = of("0.0");
        let other = of("-0.0");
        let cases = [
            (
                format!("SELECT {zero} = {other}, {zero} <> {other}, {zero} IS DISTINCT FROM {other}"),
                "true,false,false".to_owned(),
            ),
            (
                format!("SELECT {other} < {zero}, {other} >= {zero}, {zero} BETWEEN {other} AND {other}"),
                "false,true,true".to_owned(),
            ),
            (format!("SELECT n FROM {t} WHERE x = {zero} ORDER BY n"), "1;2".to_owned()),
            (format!("SELECT n FROM {t} WHERE x IN ({zero}, {}) ORDER BY n", of("1.5")), "1;2;3".to_owned()),
            (format!("SELECT n FROM {t} WHERE x IN (SELECT {zero}) ORDER BY n"), "1;2".to_owned()),
            (
                format!("SELECT n FROM {t} JOIN (SELECT {zero} AS z) AS u ON x = z ORDER BY n"),
                "1;2".to_owned(),
            ),
            (
                format!("SELECT n FROM {t} JOIN (SELECT {zero} AS x) AS u USING (x) ORDER BY n"),
                "1;2".to_owned(),
            ),
            (format!("SELECT count(*) FROM (SELECT DISTINCT x FROM {t})"), "4".to_owned()),
            (format!("SELECT count(*) FROM (SELECT x FROM {t} UNION SELECT x FROM {t})"), "4".to_owned()),
            (format!("SELECT x FROM {t} INTERSECT SELECT {other}"), shown("0.0")),
            (format!("SELECT count(*) FROM (SELECT x FROM {t} EXCEPT SELECT {other})"), "3".to_owned()),
            (format!("SELECT count(*) FROM (SELECT x FROM {t} EXCEPT ALL SELECT {other})"), "5".to_owned()),
            (format!("SELECT count(DISTINCT x) FROM {t} WHERE n <> 4"), "3".to_owned()),
            (format!("SELECT min(n), count(*) FROM {t} GROUP BY x ORDER BY 1"), "1,2;3,1;4,1;5,2".to_owned()),
            (format!("SELECT x, count(*) FROM {t} WHERE n < 3 GROUP BY x"), format!("{},2", shown("0.0"))),
            (format!("SELECT count(*) FROM {t} WHERE n < 3 GROUP BY ROLLUP (x)"), "2;2".to_owned()),
            (
                format!("SELECT n, count(*) OVER (PARTITION BY x) FROM {t} ORDER BY n"),
                "1,2;2,2;3,1;4,1;5,2;6,2".to_owned(),
            ),
            (
                format!("SELECT n, rank() OVER (ORDER BY x) FROM {t} WHERE n < 4 ORDER BY n"),
                "1,1;2,1;3,3".to_owned(),
            ),
            (
                format!("SELECT n, count(*) OVER (ORDER BY x) FROM {t} WHERE n < 4 ORDER BY n"),
                "1,2;2,2;3,3".to_owned(),
            ),
            (format!("SELECT n FROM {t} WHERE n < 4 ORDER BY x, n DESC"), "2;1;3".to_owned()),
            (format!("SELECT DISTINCT ON (x) n FROM {t} WHERE n < 4 ORDER BY x, n DESC"), "2;3".to_owned()),
            (
                format!("SELECT nullif({zero}, {other}) IS NULL, CASE {zero} WHEN {other} THEN 1 ELSE 2 END"),
                "true,1".to_owned(),
            ),
        ];
        let mut wrong = vec![];
        for (sql, expected) in cases {
            let said = answer(&sql).await;
            if said.as_deref() != Ok(expected.as_str()) {
                wrong.push(format!("{sql}: {said:?}, not {expected}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[tokio::test]
    async fn both_zeros_are_one_inside_lists() {
        holds("make_array($)", |number| format!("[{number}]")).await;
    }

    #[tokio::test]
    async fn both_zeros_are_one_inside_structs() {
        holds("named_struct('a', $)", |number| format!("{{a: {number}}}")).await;
    }

    #[tokio::test]
    async fn both_zeros_are_one_inside_lists_of_structs_of_lists() {
        holds("make_array(named_struct('a', make_array($, 1.0), 'b', 's'))", |number| {
            format!("[{{a: [{number}, 1.0], b: s}}]")
        })
        .await;
    }

    #[tokio::test]
    async fn functions_of_lists_know_one_zero_and_one_nan() {
        const T: &str = "FROM (VALUES (make_array(-0.0, 0.0, 1.0, CAST('NaN' AS DOUBLE), CAST('-nan' AS DOUBLE)), 0.0)) AS t(l, z)";
        let mut wrong = vec![];
        for (value, expected) in [
            (
                "array_has(l, 0.0), array_has(l, z), array_has([-0.0], 0.0), array_has([-0.0], 0)",
                "true,true,true,true",
            ),
            ("0.0 = ANY(make_array(-0.0))", "true"),
            (
                "array_has_any([-0.0], [0.0]), array_has_all([-0.0], [0.0]), [-0.0] @> [0.0, 0.0]",
                "true,true,true",
            ),
            ("array_position([1.0, -0.0], 0.0), array_position([1.0, -0.0], z)", "2,2"),
            ("array_positions(l, 0.0), array_positions(l, -z)", "[1, 2],[1, 2]"),
            ("array_positions(l, CAST('-nan' AS DOUBLE))", "[4, 5]"),
            ("array_distinct(l)", "[0.0, 1.0, NaN]"),
            ("array_except(l, [0.0])", "[1.0, NaN]"),
            ("array_union([-0.0], [0.0])", "[0.0]"),
            ("array_intersect([-0.0, 1.0], [0.0])", "[0.0]"),
            ("array_remove(l, 0.0)", "[0.0, 1.0, NaN, NaN]"),
            ("array_remove_n(l, 0.0, 1)", "[0.0, 1.0, NaN, NaN]"),
            ("array_remove_all(l, 0.0)", "[1.0, NaN, NaN]"),
            ("array_replace([-0.0, 1.0], 0.0, 7.0)", "[7.0, 1.0]"),
            ("array_replace_n([-0.0, 0.0, -0.0], 0.0, 7.0, 2)", "[7.0, 7.0, 0.0]"),
            ("array_replace_all([-0.0, 0.0], 0.0, 7.0)", "[7.0, 7.0]"),
            ("array_sort([CAST('-nan' AS DOUBLE), 1.0])", "[1.0, NaN]"),
            ("array_max(l), array_min([CAST('-nan' AS DOUBLE), 1.0])", "NaN,1.0"),
            ("array_has([make_array(-0.0)], make_array(0.0))", "true"),
            ("array_distinct([make_array(-0.0), make_array(0.0)])", "[[0.0]]"),
            ("map_extract(map([-0.0], ['a']), 0.0)", "[a]"),
            ("make_array(-0.0), array_reverse(make_array(-0.0, 1.0))", "[-0.0],[1.0, -0.0]"),
        ] {
            let said = answer(&format!("SELECT {value} {T}")).await;
            if said.as_deref() != Ok(expected) {
                wrong.push(format!("{value}: {said:?}, not {expected}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[tokio::test]
    async fn numbers_of_sixteen_bits_have_one_zero() {
        for (value, expected) in [
            ("arrow_cast(-0.0, 'Float16') = arrow_cast(0.0, 'Float16')", "true"),
            ("count(DISTINCT arrow_cast(x, 'Float16')) FROM (VALUES (0.0), (-0.0)) AS t(x)", "1"),
        ] {
            assert_eq!(answer(&format!("SELECT {value}")).await.as_deref(), Ok(expected), "{value}");
        }
    }
}
