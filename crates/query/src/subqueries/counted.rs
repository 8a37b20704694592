//! An aggregate of the engine that is zero without rows, as one that is null without rows: where a subquery becomes a join,
//! the engine has rules of its own for `count`, which mix up several subqueries of a statement.

use std::any::Any;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{AggregateUDF, AggregateUDFImpl, ReversedUDAF};

use crate::by_engine::by_engine;

pub(super) fn of(engine: Arc<AggregateUDF>) -> Arc<AggregateUDF> {
    let name = format!("rows of {}", engine.name());
    Arc::new(AggregateUDF::new_from_impl(CountQuery { name, engine }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CountQuery {
    name: String,
    engine: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for CountQuery {
    by_engine!(engine: signature coerce_types return_type state_fields accumulator groups_accumulator_supported create_groups_accumulator set_monotonicity);

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn is_nullable(&self) -> bool {
        true
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        ScalarValue::try_from(data_type)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}
