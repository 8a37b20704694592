//! Lists and structs in the order that ORDER BY has: element by element, a null inside above all values. The engine's
//! operators, `least` and `greatest` put it below.
//!
//! ```text
//! plan ─ NestedOrder (after the engine has given types) ─► a < b   of lists, structs:  compare(a, b) < 0
//!                                                          greatest(a, b, …)           our own
//! ```

use std::any::Any;
use std::cmp::Ordering;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, DynComparator, Int8Array, make_comparator};
use arrow::compute::{SortOptions, interleave};
use arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::{Between, Case, ScalarFunction};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion::optimizer::AnalyzerRule;

use crate::rewrite;

/// Compares a row of one column with a row of the other.
pub(crate) fn comparator(left: &ArrayRef, right: &ArrayRef) -> Result<DynComparator> {
    Ok(make_comparator(left, right, SortOptions { descending: false, nulls_first: false })?)
}

static CALLS: LazyLock<[Arc<ScalarUDF>; 3]> = LazyLock::new(|| {
    [Answer::Order, Answer::Least, Answer::Greatest].map(|answer| {
        let signature = Signature::variadic_any(Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(InOrder { answer, signature }))
    })
});

/// Puts comparisons of ours in the place of those that order nulls otherwise.
#[derive(Debug)]
pub(crate) struct NestedOrder;

impl AnalyzerRule for NestedOrder {
    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite::every_part(plan, ordered)
    }

    fn name(&self) -> &'static str {
        "nested_order"
    }
}

fn ordered(part: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let of_one_kind = |parts: &[&Expr]| {
        let mut kinds = parts.iter().map(|part| part.get_type(schema).ok());
        let first = kinds.next().flatten();
        first.as_ref().is_some_and(DataType::is_nested) && kinds.all(|kind| kind == first)
    };
    let [order, least, greatest] = &*CALLS;
    let compared = |left: &Expr, op: Operator, right: &Expr| {
        let call = ScalarFunction::new_udf(Arc::clone(order), vec![left.clone(), right.clone()]);
        Expr::BinaryExpr(BinaryExpr {
            left: Box::new(Expr::ScalarFunction(call)),
            op,
            right: Box::new(lit(0_i8)),
        })
    };
    Ok(match part {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if matches!(op, Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq)
                && of_one_kind(&[&left, &right]) =>
        {
            Transformed::yes(compared(&left, op, &right))
        }
        Expr::Between(Between { expr, negated, low, high }) if of_one_kind(&[&expr, &low, &high]) => {
            let (from, to) = match negated {
                false => (Operator::GtEq, Operator::LtEq),
                true => (Operator::Lt, Operator::Gt),
            };
            let (low, high) = (compared(&expr, from, &low), compared(&expr, to, &high));
            Transformed::yes(if negated { low.or(high) } else { low.and(high) })
        }
        Expr::ScalarFunction(mut call) if call.name() == "nullif" => {
            let is_nested = of_one_kind(&call.args.iter().collect::<Vec<_>>());
            match call.args.as_mut_slice() {
                [value, other] if is_nested => {
                    let (value, other) = (std::mem::take(value), std::mem::take(other));
                    let null = ScalarValue::try_new_null(&value.get_type(schema)?)?;
                    let equal = Box::new(value.clone().eq(other));
                    let branches = vec![(equal, Box::new(lit(null)))];
                    Transformed::yes(Expr::Case(Case::new(None, branches, Some(Box::new(value)))))
                }
                _ => Transformed::no(Expr::ScalarFunction(call)),
            }
        }
        Expr::ScalarFunction(call) if matches!(call.name(), "array_sort" | "list_sort") => {
            let kind = call.args.first().and_then(|list| list.get_type(schema).ok());
            if let Some(DataType::List(element) | DataType::LargeList(element)) = kind
                && element.data_type().is_nested()
            {
                return plan_err!(
                    "array_sort is not answered for lists of lists or structs: unnest them, and ORDER BY the rows"
                );
            }
            if call.args.iter().skip(1).any(|word| !matches!(word, Expr::Literal(..))) {
                return plan_err!("the words behind the list of array_sort must be constants");
            }
            Transformed::no(Expr::ScalarFunction(call))
        }
        Expr::ScalarFunction(mut call) => {
            let ours = match call.name() {
                "least" => least,
                "greatest" => greatest,
                _ => return Ok(Transformed::no(Expr::ScalarFunction(call))),
            };
            let is_nested = of_one_kind(&call.args.iter().collect::<Vec<_>>());
            if is_nested {
                call.func = Arc::clone(ours);
            }
            let call = Expr::ScalarFunction(call);
            if is_nested { Transformed::yes(call) } else { Transformed::no(call) }
        }
        other => Transformed::no(other),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    /// -1, 0 or 1 of two values; null where one is.
    Order,
    /// The least of all that are not null.
    Least,
    Greatest,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct InOrder {
    answer: Answer,
    signature: Signature,
}

impl ScalarUDFImpl for InOrder {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &'static str {
        match self.answer {
            Answer::Order => "compare",
            Answer::Least => "least",
            Answer::Greatest => "greatest",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(match self.answer {
            Answer::Order => DataType::Int8,
            Answer::Least | Answer::Greatest => arg_types.first().cloned().unwrap_or(DataType::Null),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let value: ArrayRef = match (self.answer, arrays.as_slice()) {
            (Answer::Order, [left, right]) => {
                let order = comparator(left, right)?;
                let of_row = |row| (left.is_valid(row) && right.is_valid(row)).then(|| order(row, row) as i8);
                Arc::new(Int8Array::from_iter((0..rows).map(of_row)))
            }
            (Answer::Order, _) => return exec_err!("a comparison has two sides"),
            (Answer::Least, _) => extremes(&arrays, rows, Ordering::Less)?,
            (Answer::Greatest, _) => extremes(&arrays, rows, Ordering::Greater)?,
        };
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&value, 0)?));
        }
        Ok(ColumnarValue::Array(value))
    }
}

/// Of each row the value that stands so to all others.
fn extremes(arrays: &[ArrayRef], rows: usize, replacing: Ordering) -> Result<ArrayRef> {
    let mut chosen = vec![0; rows];
    for (index, array) in arrays.iter().enumerate().skip(1) {
        let orders =
            arrays[..index].iter().map(|other| comparator(array, other)).collect::<Result<Vec<_>>>()?;
        for (row, best) in chosen.iter_mut().enumerate() {
            let better =
                array.is_valid(row) && (arrays[*best].is_null(row) || orders[*best](row, row) == replacing);
            if better {
                *best = index;
            }
        }
    }
    let places: Vec<(usize, usize)> =
        chosen.into_iter().enumerate().map(|(row, index)| (index, row)).collect();
    let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
    Ok(interleave(&arrays, &places)?)
}

#[cfg(test)]
mod tests {
    use crate::asking::check_all;

    #[tokio::test]
    async fn operators_and_extremes_have_the_order_of_order_by() {
        const WITH: &str =
            "WITH t AS (SELECT * FROM (VALUES (1, [1, NULL]), (2, [1, 2]), (3, [1]), (4, NULL)) AS v(k, l)),
            s AS (SELECT * FROM (VALUES (1, {'a': NULL::int}), (2, {'a': 2})) AS v(k, x)) ";
        check_all(
            WITH,
            &[
                ("SELECT k FROM t ORDER BY l", "3;2;1;4"),
                ("SELECT [1, NULL] < [1, 2], [1, NULL] > [1, 2], [1] < [1, NULL]", "false,true,true"),
                ("SELECT k FROM t WHERE l > [1, 2] ORDER BY k", "1"),
                ("SELECT a.k, b.k FROM t AS a JOIN t AS b ON a.l < b.l ORDER BY 1, 2", "2,1;3,1;3,2"),
                ("SELECT k FROM t WHERE l BETWEEN [1] AND [1, 2] ORDER BY k", "2;3"),
                ("SELECT k FROM t WHERE l NOT BETWEEN [1] AND [1, 2] ORDER BY k", "1"),
                (
                    "SELECT {'a': NULL::int} > {'a': 2}, k FROM s WHERE x >= {'a': 2} ORDER BY k",
                    "true,1;true,2",
                ),
                (
                    "SELECT least([1, NULL], [1, 2]), greatest([1, NULL], [1, 2]), greatest([1], NULL)",
                    "[1, 2],[1, ],[1]",
                ),
                (
                    "SELECT k, greatest(l, [1, 2]), least(l, [1, 2], [1]) FROM t ORDER BY k",
                    "1,[1, ],[1];2,[1, 2],[1];3,[1, 2],[1];4,[1, 2],[1]",
                ),
                ("SELECT [-0.0] < [0.0], [1.0, 'NaN'::double] > [1.0, 2.0]", "false,true"),
            ],
        )
        .await;
    }
}
