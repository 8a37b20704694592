//! `seislake dlq list|show`: what could not be used, and why.

use crate::command_line::{DlqAction, DlqArgs, QueryArgs, QueryFormat};
use crate::commands::query;

pub(crate) async fn run(args: DlqArgs) -> anyhow::Result<()> {
    let (home, json, sql) = match args.action {
        DlqAction::List { home, json } => {
            (home, json, "SELECT stage, reason, count(*) AS letters FROM stream.dead_letters GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2".into())
        }
        DlqAction::Show { home, limit, json } => (
            home,
            json,
            format!(
                "SELECT topic, partition, \"offset\", stage, origin, reason FROM stream.dead_letters \
                 ORDER BY \"offset\" DESC LIMIT {limit}"
            ),
        ),
    };
    let format = if json { QueryFormat::Json } else { QueryFormat::Table };
    query::run(QueryArgs { home, format, vertical: false, timeout_s: None, sql }).await
}
