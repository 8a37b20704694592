//! Memory of lists. DataFusion's pool counts what sorts, joins and aggregates hold, but no array on its way through a
//! plan, and batches are cut by rows, of which one may hold a day of samples.
//!
//! ```text
//! tables with lists ── batches of LIST_ROWS_MAX rows ── waveform function: takes from the pool what its batch holds
//!                                                       and makes, and gives it back with its result
//! ```
//! So a batch is small, and a function that cannot have its memory ends the statement with the sentence of every other
//! statement that asks for too much. Lists that DataFusion's own functions make (`range`, `array_repeat`) are not
//! counted.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::logical_expr::LogicalPlan;

use crate::carried::carried_by_sessions;
use crate::memory::SessionMemory;

/// Rows of a batch where tables with lists are read: about what their scan gives anyway for full segments. A row of
/// `traces` may hold 80 MB, and every step of a plan holds a batch.
pub(crate) const LIST_ROWS_MAX: usize = 16;

/// Whether the plan reads lists from a table; `plan` is optimized, so that columns nobody asks for are gone.
pub(crate) fn reads_lists(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let fields = scan.projected_schema.fields();
            found |= fields.iter().any(|field| matches!(field.data_type(), DataType::List(_)));
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// The session's memory, where functions find it: they are given the options of the session, not its runtime.
#[derive(Clone)]
pub(crate) struct ListMemory {
    pub(crate) pool: Arc<dyn MemoryPool>,
    /// What all its statements hold, in the pool or beside it.
    pub(crate) session: Arc<SessionMemory>,
}

impl fmt::Debug for ListMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ListMemory")
    }
}

carried_by_sessions!(ListMemory, "list_memory");

/// What one call of a function has of the pool; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct HeldLists(Option<MemoryReservation>);

impl HeldLists {
    /// Nothing yet, for `function`. Sessions that this crate did not open count nothing.
    pub(crate) fn new(options: &ConfigOptions, function: &str) -> Self {
        let memory = options.extensions.get::<ListMemory>();
        Self(memory.map(|memory| MemoryConsumer::new(function).register(&memory.pool)))
    }

    /// Holds so many bytes from now on.
    ///
    /// # Errors
    /// The pool has not so much.
    pub(crate) fn resize(&self, bytes: usize) -> Result<()> {
        self.0.as_ref().map_or(Ok(()), |reservation| reservation.try_resize(bytes))
    }
}

#[cfg(test)]
mod tests;
