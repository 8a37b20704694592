//! Operators of ours that pass the batches of their input on, and look at each: all that the engine asks of them is said here
//! once.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use datafusion::common::{Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, PlanProperties};

/// How an operator looks at the batches that it passes on.
pub(crate) trait Watch: fmt::Debug + Clone + Send + Sync + 'static {
    /// Name of the operator in plans.
    const NAME: &'static str;

    /// What is known of the rows.
    fn properties(&self, input: &Arc<dyn ExecutionPlan>) -> Arc<PlanProperties> {
        Arc::clone(input.properties())
    }

    /// How the rows of `input` must be spread over its partitions.
    fn required_distribution(&self) -> Distribution {
        Distribution::UnspecifiedDistribution
    }

    /// Whether operators above may rely on the order of the rows.
    fn keeps_order(&self) -> bool {
        true
    }

    /// The batches of a partition of `input`, in their order, with the same columns; as they come where nothing else is said.
    ///
    /// # Errors
    /// The input cannot be started.
    fn execute(&self, of: InputPartition<'_>) -> Result<SendableRecordBatchStream> {
        of.execute()
    }
}

/// A partition of what an operator reads.
pub(crate) struct InputPartition<'a> {
    pub(crate) input: &'a Arc<dyn ExecutionPlan>,
    pub(crate) partition: usize,
    pub(crate) context: Arc<TaskContext>,
}

impl InputPartition<'_> {
    /// Its batches.
    pub(crate) fn execute(self) -> Result<SendableRecordBatchStream> {
        self.input.execute(self.partition, self.context)
    }
}

/// `input`, watched.
pub(crate) fn watched<W: Watch>(input: Arc<dyn ExecutionPlan>, watch: W) -> Arc<dyn ExecutionPlan> {
    let properties = watch.properties(&input);
    Arc::new(PassThrough { input, watch, properties })
}

/// What a `W` watches, if `node` is one.
pub(crate) fn unwatched<W: Watch>(node: &dyn ExecutionPlan) -> Option<&Arc<dyn ExecutionPlan>> {
    node.as_any().downcast_ref::<PassThrough<W>>().map(|watched| &watched.input)
}

#[derive(Debug)]
struct PassThrough<W> {
    input: Arc<dyn ExecutionPlan>,
    watch: W,
    properties: Arc<PlanProperties>,
}

impl<W: Watch> DisplayAs for PassThrough<W> {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(W::NAME)
    }
}

impl<W: Watch> ExecutionPlan for PassThrough<W> {
    fn name(&self) -> &'static str {
        W::NAME
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![self.watch.keeps_order()]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![self.watch.required_distribution()]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.input));
        Ok(watched(input, self.watch.clone()))
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Statistics> {
        self.input.partition_statistics(partition)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.watch.execute(InputPartition { input: &self.input, partition, context })
    }
}
