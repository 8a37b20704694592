//! `sum` of whole numbers that do not wrap around; of everything else it is the engine's.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, ArrayRef, ArrowNativeTypeOp, AsArray, BooleanArray};
use arrow::compute::sum_checked;
use arrow::datatypes::{
    ArrowNumericType, DataType, Decimal128Type, DecimalType, Int64Type, UInt64Type, i256,
};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF,
};
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::prim_op::PrimitiveGroupsAccumulator;

use crate::by_engine::{by_engine, value_is_state};

/// The function, by the name of the engine's.
pub(crate) fn function() -> AggregateUDF {
    AggregateUDF::new_from_impl(Sum { engine: sum_udaf() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Sum {
    engine: Arc<AggregateUDF>,
}

fn overflow() -> datafusion::common::DataFusionError {
    exec_datafusion_err!(
        "Overflow: a sum does not fit its type; sum(CAST(… AS DOUBLE)) or AS DECIMAL(38, 0) has more room"
    )
}

impl AggregateUDFImpl for Sum {
    by_engine!(engine: name signature return_type state_fields groups_accumulator_supported documentation set_monotonicity);

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        match args.return_field.data_type() {
            kind if is_checked(kind) && !args.is_distinct => Ok(Total::boxed(kind)),
            _ => self.engine.accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        match args.return_field.data_type() {
            kind if is_checked(kind) && !args.is_distinct => Ok(Total::boxed(kind)),
            _ => self.engine.create_sliding_accumulator(args),
        }
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        match args.return_field.data_type() {
            DataType::Int64 => Ok(totals::<Int64Type>(&DataType::Int64)),
            DataType::UInt64 => Ok(totals::<UInt64Type>(&DataType::UInt64)),
            kind @ DataType::Decimal128(precision, _) => Ok(decimal_totals(kind, *precision)),
            _ => self.engine.create_groups_accumulator(args),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

fn is_checked(kind: &DataType) -> bool {
    matches!(kind, DataType::Int64 | DataType::UInt64 | DataType::Decimal128(..))
}

/// The sum of one group, or of the rows of a window, which come before others leave: wide enough for both.
#[derive(Debug)]
struct Total {
    kind: DataType,
    total: i256,
    value_count: usize,
}

impl Total {
    fn boxed(kind: &DataType) -> Box<dyn Accumulator> {
        Box::new(Self { kind: kind.clone(), total: i256::ZERO, value_count: 0 })
    }

    /// Sum and number of the values of columns.
    fn sum(&self, columns: &[ArrayRef]) -> (i256, usize) {
        let columns = columns.iter().map(|column| {
            let sum = match self.kind {
                DataType::Int64 => sum_of::<Int64Type>(column),
                DataType::UInt64 => sum_of::<UInt64Type>(column),
                _ => sum_of::<Decimal128Type>(column),
            };
            (sum, column.len() - column.null_count())
        });
        columns.fold((i256::ZERO, 0), |(total, all), (sum, count)| (total.wrapping_add(sum), all + count))
    }
}

fn sum_of<T: ArrowNumericType<Native: Into<i128>>>(column: &ArrayRef) -> i256 {
    let column = column.as_primitive::<T>();
    match sum_checked(column) {
        Ok(sum) => i256::from_i128(sum.map_or(0, Into::into)),
        Err(_) => {
            let values = column.iter().flatten().map(|value| i256::from_i128(value.into()));
            values.fold(i256::ZERO, i256::wrapping_add)
        }
    }
}

/// What fits a decimal of so many digits.
fn in_digits(total: i256, precision: u8) -> Result<i128> {
    let digits = |value: &i128| Decimal128Type::validate_decimal_precision(*value, precision, 0).is_ok();
    total.to_i128().filter(digits).ok_or_else(overflow)
}

impl Accumulator for Total {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (sum, count) = self.sum(values);
        self.total = self.total.wrapping_add(sum);
        self.value_count += count;
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (sum, count) = self.sum(values);
        self.total = self.total.wrapping_sub(sum);
        self.value_count -= count;
        Ok(())
    }

    // A sum of sums is null where all are.
    value_is_state!();

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.value_count == 0 {
            return ScalarValue::try_new_null(&self.kind);
        }
        let whole = || self.total.to_i128().ok_or_else(overflow);
        Ok(match self.kind {
            DataType::Int64 => ScalarValue::from(i64::try_from(whole()?).map_err(|_| overflow())?),
            DataType::UInt64 => ScalarValue::from(u64::try_from(whole()?).map_err(|_| overflow())?),
            DataType::Decimal128(precision, scale) => {
                ScalarValue::Decimal128(Some(in_digits(self.total, precision)?), precision, scale)
            }
            _ => return Err(overflow()),
        })
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

fn decimal_totals(kind: &DataType, precision: u8) -> Box<dyn GroupsAccumulator> {
    let overflowed = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&overflowed);
    let add = move |total: &mut i128, value: i128| {
        let sum = i256::from_i128(*total).wrapping_add(i256::from_i128(value));
        match in_digits(sum, precision) {
            Ok(sum) => *total = sum,
            Err(_) => told.store(true, Ordering::Relaxed),
        }
    };
    let engine = PrimitiveGroupsAccumulator::<Decimal128Type, _>::new(kind, add);
    Box::new(Totals { engine, overflowed })
}

/// The sums of many groups: the engine's, with an addition of ours.
struct Totals<A> {
    engine: A,
    overflowed: Arc<AtomicBool>,
}

fn totals<T: ArrowNumericType + Send>(kind: &DataType) -> Box<dyn GroupsAccumulator> {
    let overflowed = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&overflowed);
    let engine =
        PrimitiveGroupsAccumulator::<T, _>::new(kind, move |total, value| match total.add_checked(value) {
            Ok(sum) => *total = sum,
            Err(_) => told.store(true, Ordering::Relaxed),
        });
    Box::new(Totals { engine, overflowed })
}

impl<A> Totals<A> {
    fn check(&self) -> Result<()> {
        if self.overflowed.load(Ordering::Relaxed) { Err(overflow()) } else { Ok(()) }
    }
}

impl<A: GroupsAccumulator> GroupsAccumulator for Totals<A> {
    by_engine!(engine: evaluate_groups state_groups convert_to_state supports_convert_to_state size);

    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.engine.update_batch(values, group_indices, opt_filter, total_num_groups)?;
        self.check()
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.engine.merge_batch(values, group_indices, opt_filter, total_num_groups)?;
        self.check()
    }
}
