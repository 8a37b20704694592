//! Which epochs of stations and channels changed after a moment: what stands in the lake now and did not stand there then.

use std::collections::HashSet;

use datafusion::prelude::SessionContext;
use seislake_model::{Channel, Station, Timestamp};
use seislake_tables::{TableDef, channels, listed, stations};

use super::columns::{FromRow, Row, read};
use super::statement::Conditions;
use crate::error::{ApiError, ErrorCode};

/// Epochs by key and begin (microseconds).
#[derive(Debug, Default)]
pub(crate) struct Updates {
    stations: Option<HashSet<(String, Option<i64>)>>,
    channels: Option<HashSet<(String, Option<i64>)>>,
}

/// Columns that do not count: documents as they were read.
const DOCUMENTS: [&str; 3] =
    [stations::names::stationxml, stations::names::network_stationxml, channels::names::response_stationxml];

impl Updates {
    /// What changed after `time`. Where the lake no longer knows that time, everything counts as changed.
    pub(crate) async fn after(context: &SessionContext, time: Timestamp) -> Result<Self, ApiError> {
        let (network, station) = (stations::names::network, stations::names::station);
        let station_key = format!("concat({network}, '_', {station})");
        Ok(Self {
            stations: changed(context, &stations::TABLE, &station_key, time).await?,
            channels: changed(context, &channels::TABLE, channels::names::source_id, time).await?,
        })
    }

    pub(crate) fn hold_station(&self, station: &Station) -> bool {
        let key = format!("{}_{}", station.network, station.station);
        holds(&self.stations, key, station.start_time)
    }

    pub(crate) fn hold_channel(&self, channel: &Channel) -> bool {
        holds(&self.channels, channel.source_id.as_str().to_owned(), channel.start_time)
    }
}

fn holds(changed: &Option<HashSet<(String, Option<i64>)>>, key: String, start: Option<Timestamp>) -> bool {
    changed.as_ref().is_none_or(|changed| changed.contains(&(key, start.map(Timestamp::micros))))
}

struct Epoch(String, Option<i64>);

impl FromRow for Epoch {
    fn from_row(row: Row<'_>) -> Result<Self, ApiError> {
        Ok(Self(row.text("key")?.to_owned(), row.optional_integer("start_us")?))
    }
}

async fn changed(
    context: &SessionContext,
    table: &TableDef,
    key: &str,
    time: Timestamp,
) -> Result<Option<HashSet<(String, Option<i64>)>>, ApiError> {
    let columns: Vec<&str> =
        table.columns.iter().map(|column| column.name).filter(|name| !DOCUMENTS.contains(name)).collect();
    let columns = listed(&columns);
    let sql = format!(
        "SELECT {key} AS key, CAST({} AS BIGINT) AS start_us FROM (SELECT {columns} FROM {table} \
         EXCEPT SELECT {columns} FROM {}.\"{}@{time}\") AS changed",
        stations::names::start_time,
        table.namespace,
        table.name
    );
    match Conditions::default().run(context, "what changed", &sql).await {
        Ok(batches) => {
            let rows: Vec<Epoch> = read(&batches)?;
            Ok(Some(rows.into_iter().map(|row| (row.0, row.1)).collect()))
        }
        Err(error) if error.code == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
