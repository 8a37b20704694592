//! Which epochs of stations and channels changed after a moment: what stands in the lake now and did not stand there then.

use std::collections::HashSet;

use datafusion::prelude::SessionContext;
use seislake_model::{Channel, Station, Timestamp};

use super::columns::{FromRow, Row, read};
use super::statement::Conditions;
use crate::error::{ApiError, ErrorCode};

/// Epochs by key and begin (microseconds).
#[derive(Debug, Default)]
pub(crate) struct Updates {
    stations: Option<HashSet<(String, Option<i64>)>>,
    channels: Option<HashSet<(String, Option<i64>)>>,
}

const STATION_COLUMNS: &str =
    "network, station, latitude, longitude, elevation_m, site_name, start_time, end_time";
const CHANNEL_COLUMNS: &str = "source_id, latitude, longitude, elevation_m, depth_m, azimuth, dip, \
                               sample_rate_hz, sensor, start_time, end_time, response";

impl Updates {
    /// What changed after `time`. Where the lake no longer knows that time, everything counts as changed.
    pub(crate) async fn after(context: &SessionContext, time: Timestamp) -> Result<Self, ApiError> {
        let station_key = "concat(network, '_', station)";
        Ok(Self {
            stations: changed(context, "stations", station_key, STATION_COLUMNS, time).await?,
            channels: changed(context, "channels", "source_id", CHANNEL_COLUMNS, time).await?,
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
    table: &str,
    key: &str,
    columns: &str,
    time: Timestamp,
) -> Result<Option<HashSet<(String, Option<i64>)>>, ApiError> {
    let sql = format!(
        "SELECT {key} AS key, CAST(start_time AS BIGINT) AS start_us FROM (SELECT {columns} FROM network.{table} \
         EXCEPT SELECT {columns} FROM network.\"{table}@{time}\") AS changed"
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
