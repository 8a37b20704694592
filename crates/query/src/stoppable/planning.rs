//! Planning that can be stopped: every rule of the planner asks whether the statement is still wanted before it looks at a
//! plan, or at the next node of one.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{Analyzer, AnalyzerRule, Optimizer, OptimizerConfig, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;

use crate::stop::Stop;

/// The engine's analyzer rules, each of which asks.
pub(crate) fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    Analyzer::new().rules.into_iter().map(|rule| Arc::new(StoppableRule(rule)) as _).collect()
}

/// The engine's optimizer rules, each of which asks.
pub(crate) fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    Optimizer::new().rules.into_iter().map(|rule| Arc::new(StoppableRule(rule)) as _).collect()
}

/// The engine's rules for operators, each of which asks.
pub(crate) fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    PhysicalOptimizer::new().rules.into_iter().map(|rule| Arc::new(StoppableRule(rule)) as _).collect()
}

/// A rule that fails once the statement is not wanted any more, and else is what it is.
#[derive(Debug)]
struct StoppableRule<R>(R);

impl AnalyzerRule for StoppableRule<Arc<dyn AnalyzerRule + Send + Sync>> {
    fn analyze(&self, plan: LogicalPlan, options: &ConfigOptions) -> Result<LogicalPlan> {
        Stop::check_of(options)?;
        self.0.analyze(plan, options)
    }

    fn name(&self) -> &str {
        self.0.name()
    }
}

impl OptimizerRule for StoppableRule<Arc<dyn OptimizerRule + Send + Sync>> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        Stop::check_of(&config.options())?;
        self.0.rewrite(plan, config)
    }
}

impl PhysicalOptimizerRule for StoppableRule<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        options: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Stop::check_of(options)?;
        self.0.optimize(plan, options)
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::catalog::MemoryCatalogProvider;

    use crate::{Question, SessionSettings, Stop, parse, session};

    #[tokio::test]
    async fn a_plan_that_nobody_wants_any_more_is_not_finished() {
        let context = session(Arc::new(MemoryCatalogProvider::new()), &SessionSettings::default()).unwrap();
        let stop = Stop::default();
        let question = Question::new("SELECT 1 + 1").until(stop.clone());
        let plan = parse(&context, question).unwrap().plan().await.unwrap();
        stop.raise();
        let stopped = plan.execute().await.map(drop).unwrap_err();
        assert!(stopped.message.contains("stopped"), "{stopped}");
    }
}
