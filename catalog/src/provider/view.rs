//! Views that come with the lake.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::datasource::ViewTable;
use datafusion::prelude::SessionContext;

use crate::error::{Doing, Result};

/// A named statement over one table of the same namespace.
#[derive(Debug)]
pub(super) struct View {
    pub(super) namespace: &'static str,
    pub(super) name: &'static str,
    /// The table it reads; its name in `sql`.
    pub(super) table: &'static str,
    sql: &'static str,
}

pub(super) const VIEWS: &[View] = &[View {
    namespace: "bulletin",
    name: "events_current",
    table: "events",
    sql: "SELECT event_id, revision, status, preferred_origin_id, preferred_magnitude_id, origin_time, origin_ns, \
          latitude, longitude, depth_km, magnitude, magnitude_type \
          FROM (SELECT *, row_number() OVER (PARTITION BY event_id ORDER BY revision DESC) AS place FROM events) \
          WHERE place = 1 AND status <> 'deleted'",
}];

pub(super) fn find(namespace: &str, name: &str) -> Option<&'static View> {
    VIEWS.iter().find(|view| view.namespace == namespace && view.name == name)
}

impl View {
    /// The view over a given state of its table.
    pub(super) async fn provider(&self, table: Arc<dyn TableProvider>) -> Result<Arc<dyn TableProvider>> {
        let what = || format!("plan view \"{}.{}\"", self.namespace, self.name);
        let context = SessionContext::new();
        context.register_table(self.table, table).doing(what)?;
        let plan = context.sql(self.sql).await.doing(what)?.into_unoptimized_plan();
        Ok(Arc::new(ViewTable::new(plan, Some(self.sql.to_owned()))))
    }
}
