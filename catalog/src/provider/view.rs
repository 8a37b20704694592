//! Views that come with the lake: of tables of ours, and of those like them that stages of a configuration make.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::datasource::ViewTable;
use datafusion::prelude::SessionContext;
use seislake_model::EventStatus;
use seislake_tables::TableDef;
use seislake_tables::events::{self, names};

use crate::error::{Doing, Result};

/// A named statement over one table of the same namespace.
#[derive(Debug)]
pub(super) struct View {
    pub(super) name: &'static str,
    /// The table it reads; its name in the statement.
    pub(super) table: &'static str,
    sql: fn() -> String,
}

pub(super) const VIEWS: &[View] =
    &[View { name: "events_current", table: events::TABLE.name, sql: events_current }];

/// The latest revision of each event that was not deleted.
fn events_current() -> String {
    format!(
        "SELECT * EXCEPT (place) FROM (SELECT *, row_number() OVER (PARTITION BY {} ORDER BY {} DESC) AS place FROM {}) \
         WHERE place = 1 AND {} <> '{}'",
        names::event_id,
        names::revision,
        events::TABLE.name,
        names::status,
        EventStatus::Deleted.as_str()
    )
}

/// Views of a namespace: those whose table is one of its `tables`.
pub(super) fn of<'a>(
    tables: &'a [&'static TableDef],
    namespace: &'a str,
) -> impl Iterator<Item = &'static View> + 'a {
    let has = move |name| tables.iter().any(|table| table.namespace == namespace && table.name == name);
    VIEWS.iter().filter(move |view| has(view.table))
}

pub(super) fn find(tables: &[&'static TableDef], namespace: &str, name: &str) -> Option<&'static View> {
    of(tables, namespace).find(|view| view.name == name)
}

impl View {
    /// The view over a given state of its table.
    pub(super) async fn provider(&self, table: Arc<dyn TableProvider>) -> Result<Arc<dyn TableProvider>> {
        let what = || format!("plan view \"{}\"", self.name);
        let context = SessionContext::new();
        context.register_table(self.table, table).doing(what)?;
        let sql = (self.sql)();
        let plan = context.sql(&sql).await.doing(what)?.into_unoptimized_plan();
        Ok(Arc::new(ViewTable::new(plan, Some(sql))))
    }
}
