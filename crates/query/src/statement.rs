//! One statement on its way: read, planned, run. Each step works on a stack that fits the statement.
//!
//! ```text
//! Question (text, values, stop) ─ parse ─► Asked ─ plan ─► Plan ─ execute ─► batches
//! ```

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};

use seislake_model::{Error, ErrorKind, Result};

use crate::deep_stack::{Deep, OnStack, StackStream, on_stack, trace_tasks};
use crate::error::{OfEngine, of_engine};
use crate::growth::{Growth, PlannerScope};
use crate::list_memory::{LIST_ROWS_MAX, ListMemory, reads_lists};
use crate::panics::{Calls, Caught};
use crate::shape::{Syntax, not_reading};
use crate::stop::Stop;
use crate::subqueries::refuse_what_is_left;
use crate::{clauses, names, order_names, proposals, standard, time_literals};

/// A statement that needs more stack than this is called deep: few of them should run at a time.
const DEEP_BYTES: usize = 64 << 20;

/// Rows of the batches of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BatchRows {
    /// As many as the session says; few where lists are read, of which one may hold a day of samples.
    #[default]
    FewOfLists,
    /// As many as the session says: who asks has seen to it that they fit.
    OfSession,
}

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct Question {
    sql: String,
    values: Vec<ScalarValue>,
    stop: Stop,
    batch_rows: BatchRows,
}

impl Question {
    /// One reading statement.
    pub fn new(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), ..Self::default() }
    }

    /// Values of its parameters `$1`, `$2`, …
    #[must_use]
    pub fn with_values(mut self, values: Vec<ScalarValue>) -> Self {
        self.values = values;
        self
    }

    /// How its answer is cut.
    #[must_use]
    pub fn in_batches(mut self, batch_rows: BatchRows) -> Self {
        self.batch_rows = batch_rows;
        self
    }

    /// Ends when `stop` is raised.
    #[must_use]
    pub fn until(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// What ends it.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }
}

/// A statement that was read.
pub struct StatementText {
    state: SessionState,
    parsed: Syntax,
    values: Vec<ScalarValue>,
    batch_rows: BatchRows,
}

impl fmt::Debug for StatementText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").field("stack_bytes", &self.stack_bytes()).finish_non_exhaustive()
    }
}

/// Reads one statement; what is too long or nested too deeply is refused here.
///
/// # Errors
/// The sentence says what is wrong with it.
pub fn parse(context: &SessionContext, question: Question) -> Result<StatementText> {
    trace_tasks();
    let mut state = context.state();
    let extensions = &mut state.config_mut().options_mut().extensions;
    if let Some(memory) = extensions.get::<ListMemory>() {
        question.stop.account().open(&memory.session);
    }
    extensions.insert(question.stop);
    let parsed = Syntax::read(&state, &question.sql)?;
    Ok(StatementText { state, parsed, values: question.values, batch_rows: question.batch_rows })
}

impl StatementText {
    /// Stack that planning and running it may take.
    pub(crate) const fn stack_bytes(&self) -> usize {
        self.parsed.statement.bytes
    }

    /// Takes so much stack that few such statements should run at a time.
    pub fn is_deep(&self) -> bool {
        self.stack_bytes() > DEEP_BYTES
    }

    /// Plans it; statements that would change or set something are refused.
    ///
    /// # Errors
    /// The sentence says what is wrong with it.
    pub async fn plan(self) -> Result<Plan> {
        let calls = self.parsed.calls.clone();
        Caught(calls, OnStack::new(self.stack_bytes(), planned(self).boxed()).boxed()).await.of_engine()?
    }
}

async fn planned(asked: StatementText) -> Result<Plan> {
    let StatementText { state, parsed, values, batch_rows } = asked;
    let Syntax { statement, calls } = parsed;
    let bytes = statement.bytes;
    let gone = || Error::new(ErrorKind::Internal, "the statement is gone");
    let mut statement = statement.take().ok_or_else(gone)?;
    clauses::check(&statement, &state)?;
    let asked = statement.clone();
    let mut plan = match of_statement(statement, &state).await {
        Err(error) if names::lacks_names(&error) => {
            statement = asked;
            names::name_calculated(&mut statement);
            of_statement(statement, &state).await?
        }
        plan => plan?,
    };
    if !values.is_empty() {
        plan = plan.with_param_values(values).of_engine()?;
    }
    let reading = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    reading.verify_plan(&plan).map_err(|error| {
        let said = of_engine(error).message;
        let statement = said.rsplit_once("not supported: ").map_or(said.as_str(), |(_, name)| name);
        not_reading(statement)
    })?;
    let plan = names::numbered(plan).of_engine()?;
    Ok(Plan { state, plan: Deep::new(plan, bytes), batch_rows, calls })
}

async fn of_statement(mut statement: Statement, state: &SessionState) -> Result<LogicalPlan> {
    order_names::settle(&mut statement)?;
    let doubt = order_names::check(&statement, state).await?;
    standard::settle(&mut statement)?;
    time_literals::widen(&mut statement);
    let plan = state.statement_to_plan(statement).await.of_engine();
    let plan = plan.map_err(|error| proposals::of_tables(error, state))?;
    doubt.settled()?;
    Ok(plan)
}

/// A planned statement.
pub struct Plan {
    state: SessionState,
    plan: Deep<LogicalPlan>,
    batch_rows: BatchRows,
    calls: Calls,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("stack_bytes", &self.plan.bytes).finish_non_exhaustive()
    }
}

impl Plan {
    /// Columns of its answer. Types are settled by the whole of the planner: before, a branch without decimals would speak for
    /// those that have some, and `round(x, 1 + 1)` for any number of digits.
    ///
    /// # Errors
    /// Its types do not fit together.
    pub fn schema(&self) -> Result<SchemaRef> {
        let bytes = self.plan.bytes;
        self.calls.caught(|| on_stack(bytes, || self.settled_schema())).of_engine()?
    }

    fn settled_schema(&self) -> Result<SchemaRef> {
        let _planning = PlannerScope::begin();
        let optimized = self.state.optimize(self.plan.get().ok_or_else(gone)?).of_engine()?;
        refuse_what_is_left(&optimized).of_engine()?;
        Ok(SchemaRef::clone(optimized.schema().inner()))
    }

    /// Runs it; where it reads lists, in batches of few rows.
    ///
    /// # Errors
    /// It cannot be optimized or started.
    pub async fn execute(self) -> Result<SendableRecordBatchStream> {
        let bytes = self.plan.bytes;
        let calls = self.calls.clone();
        let started = OnStack::new(bytes, started(self).boxed()).boxed();
        let stream = Caught(calls.clone(), started).await.of_engine()??;
        Ok(Box::pin(StackStream::new(bytes, stream, calls)))
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Internal, "the plan is gone")
}

async fn started(plan: Plan) -> Result<SendableRecordBatchStream> {
    let Plan { mut state, plan, batch_rows, .. } = plan;
    let planning = PlannerScope::begin();
    let optimized = state.optimize(plan.get().ok_or_else(gone)?).of_engine()?;
    drop(planning);
    refuse_what_is_left(&optimized).of_engine()?;
    if batch_rows == BatchRows::FewOfLists && reads_lists(&optimized).of_engine()? {
        let execution = &mut state.config_mut().options_mut().execution;
        execution.batch_size = execution.batch_size.min(LIST_ROWS_MAX);
    }
    let growth = state.config_options().extensions.get::<Growth>().cloned();
    let growth = match growth {
        None => None,
        Some(growth) => {
            let options = state.config_mut().options_mut();
            let growth = growth.for_plan(&optimized, options.execution.batch_size).of_engine()?;
            options.execution.batch_size = growth.batch_rows();
            options.extensions.insert(growth.clone());
            Some(growth)
        }
    };
    let batches = attempt(&mut state, &optimized).await.of_engine()?;
    let schema = batches.schema();
    let batches = settled(state, optimized, growth, batches);
    let batches = futures::stream::once(batches).try_flatten();
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
}

/// Begins to run a plan in batches of the size that `state` says.
async fn attempt(
    state: &mut SessionState,
    plan: &LogicalPlan,
) -> Result<SendableRecordBatchStream, DataFusionError> {
    // Functions are given the options that were seen when the state was made, unless they are told those of now.
    state.execution_props_mut().config_options = Some(Arc::clone(state.config().options()));
    let physical = state.query_planner().create_physical_plan(plan, state).await?;
    execute_stream(physical, state.task_ctx())
}

/// The batches of the first attempt whose rows fit into them. Nothing that was read is given away before that is known.
async fn settled(
    mut state: SessionState,
    plan: LogicalPlan,
    growth: Option<Growth>,
    mut batches: SendableRecordBatchStream,
) -> Result<impl Stream<Item = Result<RecordBatch, DataFusionError>>, DataFusionError> {
    loop {
        let first = batches.next().await;
        let batch_size = state.config_options().execution.batch_size;
        let narrower = growth.as_ref().and_then(|growth| growth.narrower(batch_size));
        let (Some(Err(_)), Some(narrower)) = (&first, narrower) else {
            return Ok(futures::stream::iter(first).chain(batches));
        };
        drop(batches);
        state.config_mut().options_mut().execution.batch_size = narrower;
        if let Some(growth) = &growth {
            growth.begin_again();
        }
        batches = attempt(&mut state, &plan).await?;
    }
}

/// Plans one reading statement.
///
/// # Errors
/// The sentence says what is wrong with it.
pub async fn plan(context: &SessionContext, sql: &str) -> Result<Plan> {
    parse(context, Question::new(sql))?.plan().await
}

/// Runs one reading statement.
///
/// # Errors
/// The sentence says what is wrong with it.
pub async fn query(context: &SessionContext, sql: &str) -> Result<SendableRecordBatchStream> {
    plan(context, sql).await?.execute().await
}
