//! The session: one catalog, limits, reading statements only.

use std::sync::Arc;

use datafusion::catalog::CatalogProvider;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::optimizer::{AnalyzerRule, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::prelude::{SessionConfig, SessionContext};
use seislake_model::Result;

use crate::cases::{KeepCases, KeepJoinCases};
use crate::comparisons::CompareValues;
use crate::error::OfEngine;
use crate::functions::{AGGREGATES, AGGREGATES_INSTEAD, FUNCTIONS, WINDOWS};
use crate::growth::{self, Growth, GuardGrowth};
use crate::integers::CheckIntegers;
use crate::list_memory::ListMemory;
use crate::memory::SessionMemory;
use crate::multisets::CountEqualRows;
use crate::nested_order::NestedOrder;
use crate::nulls_above::{ForgetBelowNulls, KeepTotals};
use crate::one_nan::OneNan;
use crate::projections::MarkProjections;
use crate::recursion::{KeepRecursiveTypes, WidenRecursion};
use crate::same_names::KeepApart;
use crate::shape::NESTING_MAX;
use crate::stoppable::{AskWhetherWanted, planning};
use crate::subqueries::{NameKeys, RefuseWhatIsLeft, Subqueries};
use crate::table_functions::{OverCatalog, TABLE_FUNCTIONS};
use crate::times::{self, WideTimes};

/// Name of the lake in SQL: `seislake.bulletin.events`; it is the default and may be left out.
pub const CATALOG_NAME: &str = "seislake";

/// The schema of names without one: `events` is `bulletin.events`.
const SCHEMA_NAME: &str = "bulletin";

/// Consumers of memory that an "out of memory" report names.
const REPORTED_CONSUMERS: std::num::NonZeroUsize = match std::num::NonZeroUsize::new(3) {
    Some(count) => count,
    None => std::num::NonZeroUsize::MIN,
};

/// Limits of a session.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// Memory that the operators of all running statements hold together, bytes; beyond it they spill, or fail where they
    /// cannot. With everything else, statements hold at most twice as much.
    pub memory_bytes_max: usize,
    /// Parallel partitions of a scan; 0: as many as there are cores.
    pub target_partitions: usize,
    /// Rows in a record batch.
    pub batch_size: usize,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self { memory_bytes_max: 256 << 20, target_partitions: 0, batch_size: 8192 }
    }
}

/// A session over `catalog`, with `information_schema` and the functions of [`FUNCTIONS`] and
/// [`TABLE_FUNCTIONS`].
pub fn session(catalog: Arc<dyn CatalogProvider>, settings: &SessionSettings) -> Result<SessionContext> {
    let mut config = SessionConfig::new()
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOG_NAME, SCHEMA_NAME)
        .with_information_schema(true)
        .with_batch_size(settings.batch_size);
    // The default of 50 refuses calls that people write; the stack of a statement is sized for this one.
    config.options_mut().sql_parser.recursion_limit = NESTING_MAX;
    // It refuses statements whose CASE is never null by one of the engine's two ways to see it.
    config.options_mut().execution.skip_physical_aggregate_schema_check = true;
    // It loses the group of nulls: `SELECT DISTINCT x … ORDER BY x NULLS FIRST LIMIT 1`.
    config.options_mut().optimizer.enable_topk_aggregation = false;
    if settings.target_partitions > 0 {
        config = config.with_target_partitions(settings.target_partitions);
    }
    config = config.with_option_extension(Growth::of_memory(settings.memory_bytes_max));
    let pool = GreedyMemoryPool::new(settings.memory_bytes_max);
    let pool: Arc<dyn MemoryPool> = Arc::new(TrackConsumersPool::new(pool, REPORTED_CONSUMERS));
    let memory = SessionMemory::of_pool(settings.memory_bytes_max);
    config = config.with_option_extension(ListMemory { pool: Arc::clone(&pool), session: memory });
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc().of_engine()?;
    // Before the engine gives types. Each sees what those above it have written: tables have all their columns before
    // subqueries read them, and times their units before they are compared.
    let mut analyzer = planning::analyzer_rules();
    let before: [Arc<dyn AnalyzerRule + Send + Sync>; 5] = [
        Arc::new(WidenRecursion),
        Arc::new(CountEqualRows),
        Arc::new(Subqueries),
        Arc::new(WideTimes),
        Arc::new(CompareValues),
    ];
    analyzer.splice(0..0, before);
    let mut optimizer: Vec<Arc<dyn OptimizerRule + Send + Sync>> =
        planning::optimizer_rules().into_iter().map(|rule| Arc::new(KeepTotals(rule)) as _).collect();
    let joined = optimizer.iter().position(|rule| rule.name() == "scalar_subquery_to_join");
    optimizer.insert(joined.map_or(0, |index| index + 1), Arc::new(RefuseWhatIsLeft));
    let mut physical: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> = vec![Arc::new(ForgetBelowNulls)];
    let rules = planning::physical_rules().into_iter();
    physical.extend(rules.map(|rule| Arc::new(KeepJoinCases(Arc::new(KeepApart(rule)))) as _));
    // Behind the engine's rules that give types, in the order in which they stand: what makes from little much is guarded
    // behind all that put calls in, and projections are marked as they will be.
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_analyzer_rules(analyzer)
        .with_optimizer_rules(optimizer)
        .with_physical_optimizer_rules(physical)
        .with_analyzer_rule(Arc::new(KeepRecursiveTypes))
        .with_analyzer_rule(Arc::new(NameKeys))
        .with_analyzer_rule(Arc::new(CheckIntegers))
        .with_analyzer_rule(Arc::new(NestedOrder))
        .with_analyzer_rule(Arc::new(OneNan))
        .with_analyzer_rule(Arc::new(KeepCases))
        .with_analyzer_rule(Arc::new(GuardGrowth))
        .with_analyzer_rule(Arc::new(MarkProjections))
        .with_physical_optimizer_rule(Arc::new(AskWhetherWanted))
        .build();
    let context = SessionContext::new_with_state(state);
    // Arguments of table functions are calculated before any rule sees them.
    for function in context.state().scalar_functions().values().filter_map(growth::guarded) {
        context.register_udf(function);
    }
    context.register_catalog(CATALOG_NAME, Arc::clone(&catalog));
    for function in FUNCTIONS {
        context.register_udf(function());
    }
    context.register_udf(times::zones::function());
    for function in AGGREGATES.iter().chain(AGGREGATES_INSTEAD) {
        context.register_udaf(function());
    }
    for function in WINDOWS {
        context.register_udwf(function());
    }
    for function in TABLE_FUNCTIONS {
        let over_catalog = OverCatalog { function, catalog: Arc::clone(&catalog) };
        context.register_udtf(function.name, Arc::new(over_catalog));
    }
    Ok(context)
}

#[cfg(test)]
mod tests;
