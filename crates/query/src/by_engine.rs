//! What functions of ours leave to the engine's, which they hold.

/// Methods of an aggregate, or of what gathers its groups, that the engine's in the field answers:
/// `by_engine!(engine: name signature)`.
macro_rules! by_engine {
    ($field:ident: $($method:ident)+) => {
        $($crate::by_engine::by_engine!(@ $field $method);)+
    };
    (@ $field:ident name) => {
        fn name(&self) -> &str {
            self.$field.name()
        }
    };
    (@ $field:ident aliases) => {
        fn aliases(&self) -> &[String] {
            self.$field.aliases()
        }
    };
    (@ $field:ident signature) => {
        fn signature(&self) -> &datafusion::logical_expr::Signature {
            self.$field.signature()
        }
    };
    (@ $field:ident coerce_types) => {
        fn coerce_types(&self, arg_types: &[arrow::datatypes::DataType]) -> datafusion::common::Result<Vec<arrow::datatypes::DataType>> {
            self.$field.coerce_types(arg_types)
        }
    };
    (@ $field:ident return_type) => {
        fn return_type(&self, arg_types: &[arrow::datatypes::DataType]) -> datafusion::common::Result<arrow::datatypes::DataType> {
            self.$field.return_type(arg_types)
        }
    };
    (@ $field:ident return_field) => {
        fn return_field(&self, arg_fields: &[arrow::datatypes::FieldRef]) -> datafusion::common::Result<arrow::datatypes::FieldRef> {
            self.$field.return_field(arg_fields)
        }
    };
    (@ $field:ident is_nullable) => {
        fn is_nullable(&self) -> bool {
            self.$field.is_nullable()
        }
    };
    (@ $field:ident default_value) => {
        fn default_value(&self, data_type: &arrow::datatypes::DataType) -> datafusion::common::Result<datafusion::common::ScalarValue> {
            self.$field.default_value(data_type)
        }
    };
    (@ $field:ident state_fields) => {
        fn state_fields(&self, args: datafusion::logical_expr::function::StateFieldsArgs<'_>) -> datafusion::common::Result<Vec<arrow::datatypes::FieldRef>> {
            self.$field.state_fields(args)
        }
    };
    (@ $field:ident accumulator) => {
        fn accumulator(&self, args: datafusion::logical_expr::function::AccumulatorArgs<'_>) -> datafusion::common::Result<Box<dyn datafusion::logical_expr::Accumulator>> {
            self.$field.accumulator(args)
        }
    };
    (@ $field:ident groups_accumulator_supported) => {
        fn groups_accumulator_supported(&self, args: datafusion::logical_expr::function::AccumulatorArgs<'_>) -> bool {
            self.$field.groups_accumulator_supported(args)
        }
    };
    (@ $field:ident create_groups_accumulator) => {
        fn create_groups_accumulator(&self, args: datafusion::logical_expr::function::AccumulatorArgs<'_>) -> datafusion::common::Result<Box<dyn datafusion::logical_expr::GroupsAccumulator>> {
            self.$field.create_groups_accumulator(args)
        }
    };
    (@ $field:ident documentation) => {
        fn documentation(&self) -> Option<&datafusion::logical_expr::Documentation> {
            self.$field.documentation()
        }
    };
    (@ $field:ident set_monotonicity) => {
        fn set_monotonicity(&self, data_type: &arrow::datatypes::DataType) -> datafusion::logical_expr::SetMonotonicity {
            self.$field.inner().set_monotonicity(data_type)
        }
    };
    (@ $field:ident supports_null_handling_clause) => {
        fn supports_null_handling_clause(&self) -> bool {
            self.$field.supports_null_handling_clause()
        }
    };
    (@ $field:ident supports_within_group_clause) => {
        fn supports_within_group_clause(&self) -> bool {
            self.$field.supports_within_group_clause()
        }
    };
    (@ $field:ident order_sensitivity) => {
        fn order_sensitivity(&self) -> datafusion::logical_expr::utils::AggregateOrderSensitivity {
            self.$field.order_sensitivity()
        }
    };
    (@ $field:ident evaluate_groups) => {
        fn evaluate(&mut self, emit_to: datafusion::logical_expr::EmitTo) -> datafusion::common::Result<arrow::array::ArrayRef> {
            self.$field.evaluate(emit_to)
        }
    };
    (@ $field:ident state_groups) => {
        fn state(&mut self, emit_to: datafusion::logical_expr::EmitTo) -> datafusion::common::Result<Vec<arrow::array::ArrayRef>> {
            self.$field.state(emit_to)
        }
    };
    (@ $field:ident merge_groups) => {
        fn merge_batch(
            &mut self,
            values: &[arrow::array::ArrayRef],
            group_indices: &[usize],
            opt_filter: Option<&arrow::array::BooleanArray>,
            total_num_groups: usize,
        ) -> datafusion::common::Result<()> {
            self.$field.merge_batch(values, group_indices, opt_filter, total_num_groups)
        }
    };
    (@ $field:ident convert_to_state) => {
        fn convert_to_state(
            &self,
            values: &[arrow::array::ArrayRef],
            opt_filter: Option<&arrow::array::BooleanArray>,
        ) -> datafusion::common::Result<Vec<arrow::array::ArrayRef>> {
            self.$field.convert_to_state(values, opt_filter)
        }
    };
    (@ $field:ident supports_convert_to_state) => {
        fn supports_convert_to_state(&self) -> bool {
            self.$field.supports_convert_to_state()
        }
    };
    (@ $field:ident size) => {
        fn size(&self) -> usize {
            self.$field.size()
        }
    };
}

pub(crate) use by_engine;

/// How a function of one argument is called that gives what it is given: as its argument.
macro_rules! named_as_its_argument {
    () => {
        fn as_any(&self) -> &dyn std::any::Any {
            self
        }

        fn display_name(
            &self,
            args: &[datafusion::logical_expr::Expr],
        ) -> datafusion::common::Result<String> {
            Ok(args.iter().map(ToString::to_string).collect())
        }

        fn schema_name(&self, args: &[datafusion::logical_expr::Expr]) -> datafusion::common::Result<String> {
            Ok(args.iter().map(|part| part.schema_name().to_string()).collect())
        }

        fn signature(&self) -> &datafusion::logical_expr::Signature {
            &self.signature
        }
    };
}

pub(crate) use named_as_its_argument;

/// What an accumulator says of itself whose value is all its state, and that can let rows of a frame go.
macro_rules! value_is_state {
    () => {
        fn supports_retract_batch(&self) -> bool {
            true
        }

        fn merge_batch(&mut self, states: &[arrow::array::ArrayRef]) -> datafusion::common::Result<()> {
            self.update_batch(states)
        }

        fn state(&mut self) -> datafusion::common::Result<Vec<datafusion::common::ScalarValue>> {
            Ok(vec![self.evaluate()?])
        }
    };
}

pub(crate) use value_is_state;
