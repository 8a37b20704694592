//! `min` and `max` in the one order that all else has: what is not a number is above all numbers, and a null inside of a list
//! or struct above all values. Of groups of floating point numbers the engine's forget or invent a NaN, by the order of rows,
//! and of lists and structs they have an order of their own.

use std::any::Any;
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float16Type, Float32Type, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, StatisticsArgs,
};
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::prim_op::PrimitiveGroupsAccumulator;

use crate::by_engine::{by_engine, value_is_state};
use crate::frames::OfValues;
use crate::nested_order::comparator;

pub(crate) fn min() -> AggregateUDF {
    AggregateUDF::new_from_impl(Extreme { engine: min_udaf(), end: End::Least })
}

pub(crate) fn max() -> AggregateUDF {
    AggregateUDF::new_from_impl(Extreme { engine: max_udaf(), end: End::Greatest })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum End {
    Least,
    Greatest,
}

impl End {
    /// How a value stands to the one so far, where it takes its place.
    fn replacing(self) -> Ordering {
        match self {
            Self::Least => Ordering::Less,
            Self::Greatest => Ordering::Greater,
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Extreme {
    engine: Arc<AggregateUDF>,
    end: End,
}

impl AggregateUDFImpl for Extreme {
    by_engine!(engine: name aliases signature coerce_types return_type state_fields documentation set_monotonicity);

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let kind = args.return_field.data_type();
        if !kind.is_nested() {
            return self.engine.accumulator(args);
        }
        Ok(Box::new(NestedExtreme { end: self.end, kind: kind.clone(), best: None }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let kind = args.return_field.data_type();
        if !kind.is_nested() {
            let kind = kind.clone();
            return Ok(Box::new(OfValues::new(self.engine.create_sliding_accumulator(args)?, kind)));
        }
        Ok(Box::new(SlidingExtreme::new(self.end, kind.clone())))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.return_field.data_type().is_nested() && self.engine.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        type Half = <Float16Type as ArrowPrimitiveType>::Native;
        let least = self.end == End::Least;
        let kind = args.return_field.data_type();
        // The first value takes the place of the greatest, or of the least: a NaN, or minus infinity.
        Ok(match kind {
            DataType::Float64 => {
                let first = if least { f64::NAN } else { f64::NEG_INFINITY };
                self.of_groups::<Float64Type>(kind, first, f64::total_cmp)
            }
            DataType::Float32 => {
                let first = if least { f32::NAN } else { f32::NEG_INFINITY };
                self.of_groups::<Float32Type>(kind, first, f32::total_cmp)
            }
            DataType::Float16 => {
                let first = if least { Half::NAN } else { Half::NEG_INFINITY };
                self.of_groups::<Float16Type>(kind, first, Half::total_cmp)
            }
            _ => return self.engine.create_groups_accumulator(args),
        })
    }

    fn is_descending(&self) -> Option<bool> {
        self.engine.inner().is_descending()
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn value_from_stats(&self, statistics: &StatisticsArgs<'_>) -> Option<ScalarValue> {
        self.engine.value_from_stats(statistics)
    }
}

impl Extreme {
    fn of_groups<T: ArrowPrimitiveType + Send>(
        &self,
        kind: &DataType,
        first: T::Native,
        order: fn(&T::Native, &T::Native) -> Ordering,
    ) -> Box<dyn GroupsAccumulator> {
        let replacing = self.end.replacing();
        let extreme = move |so_far: &mut T::Native, value: T::Native| {
            if order(&value, so_far) == replacing {
                *so_far = value;
            }
        };
        Box::new(PrimitiveGroupsAccumulator::<T, _>::new(kind, extreme).with_starting_value(first))
    }
}

/// The extreme of lists, structs or maps.
#[derive(Debug)]
struct NestedExtreme {
    end: End,
    kind: DataType,
    /// One row.
    best: Option<ArrayRef>,
}

impl Accumulator for NestedExtreme {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for column in values {
            let order = comparator(column, column)?;
            let replacing = self.end.replacing();
            let rows = (0..column.len()).filter(|row| column.is_valid(*row));
            let found = rows.reduce(|best, row| if order(row, best) == replacing { row } else { best });
            let Some(found) = found else { continue };
            if let Some(best) = &self.best
                && comparator(column, best)?(found, 0) != replacing
            {
                continue;
            }
            // A copy: a part of a batch would keep all of it.
            self.best = Some(take(column, &UInt64Array::from(vec![found as u64]), None)?);
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        match &self.best {
            Some(best) => ScalarValue::try_from_array(best, 0),
            None => ScalarValue::try_new_null(&self.kind),
        }
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.best.as_ref().map_or(0, |best| best.get_array_memory_size())
    }
}

/// The extreme of those lists, structs or maps that a frame holds while it moves on.
#[derive(Debug)]
struct SlidingExtreme {
    end: End,
    kind: DataType,
    /// Values of one row each that may be the extreme yet, each behind one that goes before it is: by the number of the value.
    candidates: VecDeque<(u64, ArrayRef)>,
    bytes: usize,
    /// Values that came, and values that went: nulls are none.
    came: u64,
    went: u64,
}

impl SlidingExtreme {
    fn new(end: End, kind: DataType) -> Self {
        Self { end, kind, candidates: VecDeque::new(), bytes: 0, came: 0, went: 0 }
    }

    fn push(&mut self, column: &ArrayRef, row: usize) -> Result<()> {
        while let Some((_, last)) = self.candidates.back() {
            let order = comparator(column, last)?(row, 0);
            if order != self.end.replacing() && order != Ordering::Equal {
                break;
            }
            self.bytes -= last.get_array_memory_size();
            self.candidates.pop_back();
        }
        let value = take(column, &UInt64Array::from(vec![row as u64]), None)?;
        self.bytes += value.get_array_memory_size();
        self.candidates.push_back((self.came, value));
        self.came += 1;
        Ok(())
    }
}

impl Accumulator for SlidingExtreme {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for column in values {
            let mut rows = (0..column.len()).filter(|row| column.is_valid(*row));
            rows.try_for_each(|row| self.push(column, row))?;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for column in values {
            self.went += (column.len() - column.null_count()) as u64;
        }
        while let Some((_, first)) = self.candidates.pop_front_if(|(number, _)| *number < self.went) {
            self.bytes -= first.get_array_memory_size();
        }
        Ok(())
    }

    value_is_state!();

    fn evaluate(&mut self) -> Result<ScalarValue> {
        match self.candidates.front() {
            Some((_, best)) => ScalarValue::try_from_array(best, 0),
            None => ScalarValue::try_new_null(&self.kind),
        }
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.bytes + self.candidates.capacity() * size_of::<(u64, ArrayRef)>()
    }
}

#[cfg(test)]
mod tests {
    use crate::asking::check_all;

    #[tokio::test]
    async fn frames_that_move_on_have_the_same_order() {
        const WITH: &str = "WITH a AS (SELECT * FROM (VALUES (1, [3]), (2, [1, NULL]), (3, [1, 2]), (4, NULL), (5, [2]), (6, [1]))
            AS v(n, x)) ";
        check_all(WITH, &[
            ("SELECT n, min(x) OVER w, max(x) OVER w FROM a WINDOW w AS (ORDER BY n ROWS 1 PRECEDING) ORDER BY n",
             "1,[3],[3];2,[1, ],[3];3,[1, 2],[1, ];4,[1, 2],[1, 2];5,[2],[2];6,[1],[2]"),
            ("SELECT n, max(x) OVER (ORDER BY n ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING) FROM a ORDER BY n",
             "1,;2,[3];3,[3];4,[1, ];5,[1, 2];6,[2]"),
            ("SELECT n, min(x) OVER (ORDER BY n ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING) FROM a ORDER BY n",
             "1,[1, 2];2,[1, 2];3,[2];4,[1];5,[1];6,"),
            ("SELECT max({'a': x}) OVER (ORDER BY n ROWS 1 PRECEDING) FROM (VALUES (1, NULL::int), (2, 5), (3, 4)) AS v(n, x)",
             "{a: };{a: };{a: 5}"),
        ]).await;
    }

    #[tokio::test]
    async fn a_nan_is_above_all_numbers_of_its_group_whatever_comes_first() {
        const WITH: &str = "WITH a AS (SELECT * FROM (VALUES ('b','NaN'::double),('b',1.5),('c',2.5),('c','NaN'::double),('c',-0.0),
            ('d','NaN'::double),('e','-Infinity'::double),('f',NULL),('g','Infinity'::double)) AS v(s, x)) ";
        check_all(WITH, &[
            ("SELECT s, max(x), min(x) FROM a GROUP BY s ORDER BY s", "b,NaN,1.5;c,NaN,0.0;d,NaN,NaN;e,-inf,-inf;f,,;g,inf,inf"),
            ("SELECT s, max(x), min(x) FROM (SELECT s, x FROM a ORDER BY x DESC) AS a GROUP BY s ORDER BY s",
             "b,NaN,1.5;c,NaN,0.0;d,NaN,NaN;e,-inf,-inf;f,,;g,inf,inf"),
            ("SELECT s, max(DISTINCT x), min(x) FILTER (WHERE s <> 'b') FROM a GROUP BY ROLLUP (s) ORDER BY s LIMIT 2", "b,NaN,;c,NaN,0.0"),
            ("SELECT s, max(x::real), min(x::real) FROM a GROUP BY s ORDER BY s LIMIT 2", "b,NaN,1.5;c,NaN,0.0"),
            ("SELECT max(x), min(x) FROM a", "NaN,-inf"),
        ]).await;
    }

    #[tokio::test]
    async fn a_null_inside_is_above_all_values() {
        check_all("", &[
            ("SELECT min(x), max(x) FROM (VALUES ({'a': NULL::int}), ({'a': 2}), ({'a': 5})) AS v(x)", "{a: 2},{a: }"),
            ("SELECT min(x), max(x) FROM (VALUES ({'a': 2}), ({'a': NULL::int}), ({'a': 5})) AS v(x)", "{a: 2},{a: }"),
            ("SELECT k, min(x), max(x) FROM (VALUES (1, {'a': 2}), (1, {'a': NULL::int}), (2, NULL)) AS v(k, x) GROUP BY k ORDER BY k", "1,{a: 2},{a: };2,,"),
            ("SELECT min(x), max(x) FROM (VALUES ([[1, 2]]), ([[1, 3]])) AS v(x)", "[[1, 2]],[[1, 3]]"),
            ("SELECT min(x), max(x) FROM (VALUES ([1, NULL]), ([1, 2]), ([1])) AS v(x)", "[1],[1, ]"),
            ("SELECT max(x) FROM (VALUES ([1])) AS v(x) WHERE x > [2]", ""),
            ("SELECT i FROM (VALUES (0, [NULL, 2]), (1, [1, 2]), (2, [2]), (3, NULL)) AS v(i, l) ORDER BY l DESC NULLS LAST", "0;2;1;3"),
            ("SELECT i FROM (VALUES (0, [NULL, 2]), (1, [1, 2]), (2, [2]), (3, NULL)) AS v(i, l) ORDER BY l NULLS FIRST", "3;1;2;0"),
            ("SELECT i FROM (VALUES (0, [NULL, 2]), (1, [1, 2]), (2, [2]), (3, NULL)) AS v(i, l) ORDER BY l", "1;2;0;3"),
            ("SELECT i, rank() OVER (ORDER BY l NULLS FIRST) FROM (VALUES (0, [NULL, 2]), (1, [1, 2]), (2, NULL)) AS v(i, l) ORDER BY i", "0,3;1,2;2,1"),
            ("SELECT array_agg(i ORDER BY l DESC NULLS LAST) FROM (VALUES (0, [NULL, 2]), (1, [1, 2]), (2, [2])) AS v(i, l)", "[0, 2, 1]"),
            ("SELECT nullif([1, NULL], [1, NULL]), nullif([1], [2]), nullif({'a': 1}, {'a': 1})", ",[1],"),
            ("SELECT event, max(x) OVER w, rank() OVER w FROM (VALUES ('a', 1.5::double, 1), ('b', 2.5, 2)) AS t(event, x, k) WINDOW w AS (PARTITION BY k + 1 ORDER BY k) ORDER BY event", "a,1.5,1;b,2.5,1"),
        ]).await;
    }
}
