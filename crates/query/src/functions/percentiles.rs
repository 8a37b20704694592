//! `median` and `percentile_cont` as the standard says: between two values, of whole numbers too. The engine cuts the median of
//! whole numbers, and knows a place between two values to a millionth only.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, ListArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, ScalarValue, exec_err, not_impl_err, plan_err};
use datafusion::functions_aggregate::median::median_udaf;
use datafusion::functions_aggregate::percentile_cont::percentile_cont_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};
use datafusion::physical_expr::expressions::Literal;

use crate::by_engine::by_engine;

pub(super) fn median() -> AggregateUDF {
    AggregateUDF::new_from_impl(Median {
        engine: median_udaf(),
        signature: Signature::user_defined(Volatility::Immutable),
    })
}

pub(super) fn percentile_cont() -> AggregateUDF {
    AggregateUDF::new_from_impl(PercentileCont { engine: percentile_cont_udaf() })
}

/// The engine's, whole numbers being given to it as numbers with a fraction.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Median {
    engine: Arc<AggregateUDF>,
    signature: Signature,
}

impl AggregateUDFImpl for Median {
    by_engine!(engine: name return_type state_fields accumulator groups_accumulator_supported create_groups_accumulator documentation);

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        OfFrame::boxed("median", &args, Some(0.5))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(match arg_types {
            [kind] if kind.is_integer() || kind.is_null() => vec![DataType::Float64],
            [kind] if kind.is_floating() || kind.is_decimal() => vec![kind.clone()],
            [kind] => return plan_err!("median is of numbers, not of {kind}"),
            _ => return plan_err!("median takes one column"),
        })
    }
}

/// The engine's, which gathers the values; their percentile is calculated here.
#[derive(Debug, PartialEq, Eq, Hash)]
struct PercentileCont {
    engine: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for PercentileCont {
    by_engine!(engine: name aliases signature return_type state_fields groups_accumulator_supported documentation);

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let place = place(&args);
        let kind = args.return_field.data_type().clone();
        let gathered = self.engine.accumulator(args)?;
        Ok(match place {
            Some(place) => Box::new(One { gathered, place, kind }),
            None => gathered,
        })
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        OfFrame::boxed("percentile_cont", &args, place(&args))
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        let place = place(&args);
        let kind = args.return_field.data_type().clone();
        let gathered = self.engine.create_groups_accumulator(args)?;
        Ok(match place {
            Some(place) => Box::new(Groups { gathered, place, kind }),
            None => gathered,
        })
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        self.engine.simplify()
    }

    fn supports_within_group_clause(&self) -> bool {
        true
    }
}

/// Where between the least (0) and the greatest (1) value it lies; `None` for what the engine refuses or has no values for.
fn place(args: &AccumulatorArgs<'_>) -> Option<f64> {
    if args.expr_fields.first()?.data_type().is_null() {
        return None;
    }
    let place = args.exprs.get(1)?.as_any().downcast_ref::<Literal>()?.value();
    let ScalarValue::Float64(Some(place)) = place.cast_to(&DataType::Float64).ok()? else { return None };
    let is_descending = args.order_bys.first().is_some_and(|order| order.options.descending);
    Some(if is_descending { 1.0 - place } else { place })
}

/// The percentile of values; NaN counts as the greatest.
fn percentile(values: &ArrayRef, place: f64) -> Result<Option<f64>> {
    let values = cast(values, &DataType::Float64)?;
    let mut values: Vec<f64> = values.as_primitive::<Float64Type>().iter().flatten().collect();
    let index = place * values.len().saturating_sub(1) as f64;
    let (below, part) = (index.floor() as usize, index.fract());
    if below >= values.len() {
        return Ok(None);
    }
    let (_, lower, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let upper = above.iter().copied().min_by(f64::total_cmp).filter(|_| part > 0.0);
    Ok(Some(upper.map_or(*lower, |upper| between(*lower, upper, part))))
}

/// The value at a part of the way from one to the other.
fn between(lower: f64, upper: f64, part: f64) -> f64 {
    let way = upper - lower;
    if way.is_finite() {
        return (lower + way * part).min(upper);
    }
    if lower == upper { lower } else { lower * (1.0 - part) + upper * part }
}

fn percentiles(lists: &ListArray, place: f64, kind: &DataType) -> Result<ArrayRef> {
    let values = lists.iter().map(|values| values.map_or(Ok(None), |values| percentile(&values, place)));
    let values: Float64Array = values.collect::<Result<_>>()?;
    Ok(cast(&values, kind)?)
}

struct One {
    gathered: Box<dyn Accumulator>,
    place: f64,
    kind: DataType,
}

impl fmt::Debug for One {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("One").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Accumulator for One {
    /// Of distinct values, the engine refuses to be given the place beside them.
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.gathered.update_batch(values.get(..1).unwrap_or_default())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.gathered.merge_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.gathered.state()
    }

    /// The engine gives its values away; a window goes on with them.
    fn evaluate(&mut self) -> Result<ScalarValue> {
        let state = self.gathered.state()?;
        let states = state.iter().map(ScalarValue::to_array).collect::<Result<Vec<_>>>()?;
        let [lists] = states.as_slice() else { return exec_err!("the values of a percentile are one list") };
        let value = percentiles(lists.as_list::<i32>(), self.place, &self.kind)?;
        self.gathered.merge_batch(&states)?;
        ScalarValue::try_from_array(&value, 0)
    }

    fn size(&self) -> usize {
        self.gathered.size()
    }
}

/// The values of a frame that moves on, in order. The engine takes away another value than the one that leaves where some are
/// equal.
#[derive(Debug)]
struct OfFrame {
    sorted: Vec<f64>,
    place: f64,
    kind: DataType,
}

impl OfFrame {
    fn boxed(name: &str, args: &AccumulatorArgs<'_>, place: Option<f64>) -> Result<Box<dyn Accumulator>> {
        let kind = args.return_field.data_type().clone();
        match place {
            Some(place) if kind.is_floating() && !args.is_distinct => {
                Ok(Box::new(Self { sorted: vec![], place, kind }))
            }
            _ => not_impl_err!("{name} of such values is not answered over a frame whose begin moves"),
        }
    }

    /// Where a value stands, or would.
    fn index(&self, value: f64) -> usize {
        self.sorted.partition_point(|other| other.total_cmp(&value).is_lt())
    }
}

fn numbers(values: &[ArrayRef]) -> Result<Vec<f64>> {
    let Some(column) = values.first() else { return Ok(vec![]) };
    let column = cast(column, &DataType::Float64)?;
    Ok(column.as_primitive::<Float64Type>().iter().flatten().collect())
}

impl Accumulator for OfFrame {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in numbers(values)? {
            self.sorted.insert(self.index(value), value);
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in numbers(values)? {
            let index = self.index(value);
            if index < self.sorted.len() {
                self.sorted.remove(index);
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> Result<()> {
        not_impl_err!("frames are not merged")
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        not_impl_err!("frames are not merged")
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let index = self.place * self.sorted.len().saturating_sub(1) as f64;
        let (below, part) = (index.floor() as usize, index.fract());
        let upper = self.sorted.get(below + 1).filter(|_| part > 0.0);
        let value =
            self.sorted.get(below).map(|lower| upper.map_or(*lower, |upper| between(*lower, *upper, part)));
        ScalarValue::Float64(value).cast_to(&self.kind)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.sorted.capacity() * size_of::<f64>()
    }
}

struct Groups {
    gathered: Box<dyn GroupsAccumulator>,
    place: f64,
    kind: DataType,
}

impl GroupsAccumulator for Groups {
    by_engine!(gathered: state_groups merge_groups convert_to_state supports_convert_to_state size);

    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.gathered.update_batch(values, group_indices, opt_filter, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let states = self.gathered.state(emit_to)?;
        let [lists] = states.as_slice() else { return exec_err!("the values of a percentile are one list") };
        percentiles(lists.as_list::<i32>(), self.place, &self.kind)
    }
}

#[cfg(test)]
mod tests {
    use crate::asking::answer;

    #[tokio::test]
    async fn percentiles_lie_between_values() {
        const T: &str = "(VALUES (4, 1), (5, 1), (7, 1), (9, 1), (1, 2), (2, 2), (NULL, 3)) AS t(x, k)";
        for (sql, expected) in [
            (format!("SELECT median(x) FROM {T} WHERE k = 2"), "1.5"),
            (format!("SELECT median(DISTINCT x) FROM {T}"), "4.5"),
            (format!("SELECT k, median(x) FROM {T} GROUP BY k ORDER BY k"), "1,6.0;2,1.5;3,"),
            (format!("SELECT median(x) FROM {T} WHERE k > 9"), ""),
            ("SELECT median(x) FROM (VALUES (1.5), (2.0)) AS t(x)".to_owned(), "1.75"),
            (format!("SELECT quantile_cont(x, 0.3) FROM {T} WHERE k = 1"), "4.9"),
            (
                format!("SELECT percentile_cont(0.7) WITHIN GROUP (ORDER BY x DESC) FROM {T} WHERE k = 1"),
                "4.9",
            ),
            (format!("SELECT k, percentile_cont(x, 0.3) FROM {T} GROUP BY k ORDER BY k"), "1,4.9;2,1.3;3,"),
            (format!("SELECT percentile_cont(DISTINCT x, 0.5) FROM {T} WHERE k = 1"), "6.0"),
            (format!("SELECT percentile_cont(x, 0), percentile_cont(x, 1) FROM {T}"), "1.0,9.0"),
            (format!("SELECT percentile_cont(x, 0.5) FROM {T} WHERE k = 3"), ""),
            (
                format!(
                    "SELECT percentile_cont(x, 0.3) OVER (ORDER BY x ROWS 1 PRECEDING) FROM {T} WHERE k = 1 ORDER BY x"
                ),
                "4.0;4.3;5.6;7.6",
            ),
            (
                "SELECT median(x) OVER (ORDER BY x RANGE 1 PRECEDING) FROM (VALUES (1), (1), (2), (5), (NULL)) AS t(x) ORDER BY x".to_owned(),
                "1.0;1.0;1.0;5.0;",
            ),
        ] {
            assert_eq!(answer(&sql).await.as_deref(), Ok(expected), "{sql}");
        }
        assert!(answer("SELECT median('a')").await.is_err());
    }
}
