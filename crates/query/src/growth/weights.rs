//! What an aggregate over a window gathers is counted: `count(DISTINCT x) OVER (ORDER BY t)` gives a number for every row, and
//! keeps all values to do so, in blocks too small to be counted where they are allocated.
//!
//! ```text
//! aggregate over a window that keeps what it reads ──► the same, which takes its size from the memory of the session
//! ```

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion::common::{Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, ReversedUDAF, WindowFunctionDefinition,
};

use crate::by_engine::by_engine;
use crate::frames::{MERGED, is_forgetting};
use crate::list_memory::ListMemory;

/// Aggregates that keep some numbers or one value, however much they read, beside those whose states are [`MERGED`].
const SMALL: [&str; 12] = [
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "count",
    "first_value",
    "last_value",
    "max",
    "min",
    "nth_value",
    "stddev_samp",
    "var_samp",
];

fn is_small(name: &str) -> bool {
    SMALL.contains(&name) || MERGED.contains(&name)
}

/// Values after which an aggregate is asked for its size, and then once it has read this part more: asking looks at all of
/// them.
const VALUES_AT_FIRST: usize = 256;
const PART_MORE: usize = 4;

/// An aggregate over a window that keeps what it reads, counted by the pool of the session.
pub(super) fn weighed(expression: Expr, options: &ConfigOptions) -> Expr {
    let Expr::WindowFunction(mut window) = expression else { return expression };
    let memory = options.extensions.get::<ListMemory>();
    if let (WindowFunctionDefinition::AggregateUDF(function), Some(memory)) = (&window.fun, memory)
        && (window.params.distinct || !is_small(function.name()) || is_forgetting(function))
        && !function.inner().as_any().is::<WeightCall>()
    {
        let weighed = WeightCall { engine: Arc::clone(function), pool: Arc::clone(&memory.pool) };
        window.fun = WindowFunctionDefinition::AggregateUDF(Arc::new(AggregateUDF::new_from_impl(weighed)));
    }
    Expr::WindowFunction(window)
}

struct WeightCall {
    engine: Arc<AggregateUDF>,
    pool: Arc<dyn MemoryPool>,
}

impl fmt::Debug for WeightCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Weighed").field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl PartialEq for WeightCall {
    fn eq(&self, other: &Self) -> bool {
        self.engine == other.engine
    }
}

impl Eq for WeightCall {}

impl Hash for WeightCall {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.engine.hash(state);
    }
}

impl WeightCall {
    fn weighing(&self, gathered: Box<dyn Accumulator>) -> Box<dyn Accumulator> {
        let consumer = MemoryConsumer::new(format!("{} over a window", self.engine.name()));
        let taken = consumer.register(&self.pool);
        Box::new(WindowMemory { gathered, taken, value_count: 0, next_count: VALUES_AT_FIRST })
    }
}

impl AggregateUDFImpl for WeightCall {
    by_engine!(engine: name aliases signature coerce_types return_type return_field is_nullable default_value state_fields documentation set_monotonicity supports_null_handling_clause supports_within_group_clause order_sensitivity);

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(self.weighing(self.engine.accumulator(args)?))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(self.weighing(self.engine.create_sliding_accumulator(args)?))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match self.engine.inner().reverse_expr() {
            ReversedUDAF::Reversed(engine) => {
                let weighed = Self { engine, pool: Arc::clone(&self.pool) };
                ReversedUDAF::Reversed(Arc::new(AggregateUDF::new_from_impl(weighed)))
            }
            other => other,
        }
    }
}

/// What one partition of a window gathers, and the memory that it takes from the pool until it is dropped.
#[derive(Debug)]
struct WindowMemory {
    gathered: Box<dyn Accumulator>,
    taken: MemoryReservation,
    /// Values that it was given and that have not left it.
    value_count: usize,
    /// Values with which it is asked again.
    next_count: usize,
}

impl WindowMemory {
    fn given(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.value_count = self.value_count.saturating_add(values.first().map_or(0, |values| values.len()));
        if self.value_count < self.next_count {
            return Ok(());
        }
        self.next_count = self.value_count + (self.value_count / PART_MORE).max(VALUES_AT_FIRST);
        self.taken.try_resize(self.gathered.size())
    }
}

impl Accumulator for WindowMemory {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.gathered.update_batch(values)?;
        self.given(values)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.gathered.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.value_count = self.value_count.saturating_sub(values.first().map_or(0, |values| values.len()));
        self.gathered.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.gathered.supports_retract_batch()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.gathered.state()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.gathered.evaluate()
    }

    fn size(&self) -> usize {
        self.gathered.size()
    }
}
