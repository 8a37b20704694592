//! The session: one catalog, limits, reading statements only.

use std::sync::Arc;

use datafusion::catalog::CatalogProvider;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};

use seislake_model::ErrorKind;

use crate::error::{QueryError, Result};
use crate::functions::{AGGREGATES, FUNCTIONS};
use crate::list_memory::{LIST_ROWS_MAX, ListMemory, reads_lists};
use crate::table_functions::{OverCatalog, TABLE_FUNCTIONS};
use crate::time_literals;

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
    /// Memory of all running statements together, bytes; beyond it they spill, or fail where they cannot.
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
    if settings.target_partitions > 0 {
        config = config.with_target_partitions(settings.target_partitions);
    }
    let pool = GreedyMemoryPool::new(settings.memory_bytes_max);
    let pool: Arc<dyn MemoryPool> = Arc::new(TrackConsumersPool::new(pool, REPORTED_CONSUMERS));
    config = config.with_option_extension(ListMemory(Arc::clone(&pool)));
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc()?;
    let context = SessionContext::new_with_config_rt(config, runtime);
    context.register_catalog(CATALOG_NAME, Arc::clone(&catalog));
    for function in FUNCTIONS {
        context.register_udf(function());
    }
    for function in AGGREGATES {
        context.register_udaf(function());
    }
    for function in TABLE_FUNCTIONS {
        let over_catalog = OverCatalog { function, catalog: Arc::clone(&catalog) };
        context.register_udtf(function.name, Arc::new(over_catalog));
    }
    Ok(context)
}

/// Plans one reading statement; statements that would change or set something are refused.
pub async fn plan(context: &SessionContext, sql: &str) -> Result<LogicalPlan> {
    let state = context.state();
    let dialect = state.config().options().sql_parser.dialect;
    let mut statement = state.sql_to_statement(sql, &dialect)?;
    time_literals::widen(&mut statement);
    let plan = state.statement_to_plan(statement).await?;
    let reading = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    reading.verify_plan(&plan).map_err(|error| {
        let said = QueryError::from(error).message;
        let statement = said.rsplit_once("not supported: ").map_or(said.as_str(), |(_, name)| name);
        let message =
            format!("only reading statements (SELECT, EXPLAIN, SHOW) are allowed, not \"{statement}\"");
        QueryError { kind: ErrorKind::Invalid, message, source: None }
    })?;
    Ok(plan)
}

/// Runs one reading statement.
pub async fn query(context: &SessionContext, sql: &str) -> Result<SendableRecordBatchStream> {
    execute(context, plan(context, sql).await?).await
}

/// Runs a plan of [`plan`]; where it reads lists, in batches of few rows.
pub async fn execute(context: &SessionContext, plan: LogicalPlan) -> Result<SendableRecordBatchStream> {
    let mut state = context.state();
    if reads_lists(&state.optimize(&plan)?)? {
        let execution = &mut state.config_mut().options_mut().execution;
        execution.batch_size = execution.batch_size.min(LIST_ROWS_MAX);
    }
    Ok(DataFrame::new(state, plan).execute_stream().await?)
}

#[cfg(test)]
mod tests;
