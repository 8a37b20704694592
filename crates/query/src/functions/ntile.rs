//! `ntile(n)`: the rows of a partition in `n` runs whose lengths differ by one at most, the longer first, as the standard
//! says. The engine's puts the longer ones anywhere.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, UInt64Array};
use arrow::datatypes::{DataType, FieldRef, UInt64Type};
use datafusion::common::Result;
use datafusion::functions_window::ntile::ntile_udwf;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{
    Documentation, LimitEffect, PartitionEvaluator, Signature, WindowUDF, WindowUDFImpl,
};
use datafusion::physical_plan::PhysicalExpr;

pub(super) fn function() -> WindowUDF {
    WindowUDF::new_from_impl(Ntile { engine: ntile_udwf() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Ntile {
    engine: Arc<WindowUDF>,
}

impl WindowUDFImpl for Ntile {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        self.engine.name()
    }

    fn signature(&self) -> &Signature {
        self.engine.signature()
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.engine.coerce_types(arg_types)
    }

    fn field(&self, field_args: WindowUDFFieldArgs<'_>) -> Result<FieldRef> {
        self.engine.field(field_args)
    }

    fn partition_evaluator(&self, args: PartitionEvaluatorArgs<'_>) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Runs { engine: self.engine.partition_evaluator_factory(args)? }))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.engine.documentation()
    }

    fn limit_effect(&self, args: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        self.engine.inner().limit_effect(args)
    }
}

#[derive(Debug)]
struct Runs {
    engine: Box<dyn PartitionEvaluator>,
}

impl PartitionEvaluator for Runs {
    fn evaluate_all(&mut self, values: &[ArrayRef], row_count: usize) -> Result<ArrayRef> {
        // The engine knows how many runs there are: its last row is in the last.
        let numbers = self.engine.evaluate_all(values, row_count)?;
        let Some(run_count) = numbers.as_primitive::<UInt64Type>().values().last().copied() else {
            return Ok(numbers);
        };
        let row_count = row_count as u64;
        let (length, longer_count) = (row_count / run_count.max(1), row_count % run_count.max(1));
        let longer_rows = longer_count * (length + 1);
        let number = |row: u64| match row {
            row if row < longer_rows => row / (length + 1) + 1,
            row => longer_count + (row - longer_rows) / length.max(1) + 1,
        };
        Ok(Arc::new(UInt64Array::from_iter_values((0..row_count).map(number))))
    }
}

#[cfg(test)]
mod tests {
    use crate::asking::answer;

    #[tokio::test]
    async fn the_longer_runs_come_first() {
        for (row_count, run_count) in [(10, 3), (10, 4), (7, 7), (3, 5), (1, 1), (23, 6), (100, 9)] {
            let sql = format!(
                "SELECT ntile({run_count}) OVER (ORDER BY value) FROM range(0, {row_count}) ORDER BY value"
            );
            let mut expected = Vec::new();
            for run in 0..run_count {
                let length = row_count / run_count + i32::from(run < row_count % run_count);
                expected.extend((0..length).map(|_| (run + 1).to_string()));
            }
            assert_eq!(answer(&sql).await, Ok(expected.join(";")), "{sql}");
        }
        assert!(answer("SELECT ntile(0) OVER (ORDER BY value) FROM range(0, 4)").await.is_err());
    }
}
