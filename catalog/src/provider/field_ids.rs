//! Columns of data files are found by field id, not by name.
//!
//! Without this a renamed column would read as null and a name used anew would show the old column's values.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

/// Makes adapters that map the table's columns to those of a file with the same ids.
#[derive(Debug)]
pub(super) struct FieldIds;

fn id(field: &Field) -> Option<&str> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY).map(String::as_str)
}

/// The columns of a file by the names that the table has for their ids.
pub(super) fn with_names_of(table: &Schema, file: &Schema) -> Schema {
    let renamed = file.fields().iter().map(|field| {
        let Some(id_in_file) = id(field) else { return field.as_ref().clone() };
        let column = table.fields().iter().find(|column| id(column) == Some(id_in_file));
        let name = column.map_or_else(|| format!("gone {id_in_file}"), |column| column.name().clone());
        field.as_ref().clone().with_name(name)
    });
    Schema::new(renamed.collect::<Vec<_>>())
}

impl PhysicalExprAdapterFactory for FieldIds {
    fn create(&self, logical: SchemaRef, physical: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        // Give the file's columns the table's names, let the default adapter work, then put the file's names back.
        let renamed = Arc::new(with_names_of(&logical, &physical));
        let inner = DefaultPhysicalExprAdapterFactory.create(logical, renamed)?;
        Ok(Arc::new(Adapter { inner, physical }))
    }
}

#[derive(Debug)]
struct Adapter {
    inner: Arc<dyn PhysicalExprAdapter>,
    physical: SchemaRef,
}

impl PhysicalExprAdapter for Adapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let rewritten = self.inner.rewrite(expr)?;
        let with_file_names = rewritten.transform(|expr| {
            let Some(column) = expr.as_any().downcast_ref::<Column>() else {
                return Ok(Transformed::no(expr));
            };
            let name = self.physical.field(column.index()).name();
            Ok(Transformed::yes(Arc::new(Column::new(name, column.index())) as Arc<dyn PhysicalExpr>))
        })?;
        Ok(with_file_names.data)
    }
}
