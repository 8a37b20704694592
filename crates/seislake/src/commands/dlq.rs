//! `seislake dlq list|show`: what could not be used, and why.

use seislake_tables::dead_letters::{TABLE, names};
use seislake_tables::listed;

use crate::command_line::{DlqAction, DlqArgs, QueryArgs, QueryFormat};
use crate::commands::query;

pub(crate) async fn run(args: DlqArgs) -> anyhow::Result<()> {
    let (home, json, sql) = match args.action {
        DlqAction::List { home, json } => {
            let columns = listed(&[names::stage, names::reason]);
            let sql = format!(
                "SELECT {columns}, count(*) AS letters FROM {TABLE} GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"
            );
            (home, json, sql)
        }
        DlqAction::Show { home, limit, json } => {
            let columns =
                [names::topic, names::partition, names::offset, names::stage, names::origin, names::reason];
            let sql = format!(
                "SELECT {} FROM {TABLE} ORDER BY {} DESC LIMIT {limit}",
                listed(&columns),
                listed(&[names::offset])
            );
            (home, json, sql)
        }
    };
    let format = if json { QueryFormat::Json } else { QueryFormat::Table };
    query::run(QueryArgs { home, format, vertical: false, timeout_s: None, sql }).await
}
