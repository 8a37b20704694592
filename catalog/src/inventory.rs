//! Stations and channels: small tables that are rewritten as a whole when something changed.
//!
//! Read, merge, write are one step: a commit stands only on the snapshot that was read, else all three are done again.
//! Several processes may add stations at once (shares of an archive, each with its own list).

use std::time::Duration;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{SortColumn, SortOptions, concat_batches, lexsort_to_indices, take_record_batch};
use datafusion::prelude::SessionContext;
use seislake_model::{Channel, ErrorKind, Inventory, Offsets, SnapshotId, Station};
use seislake_tables::{SortBy, TableDef, TableRow, channels, decode_checked, encode, stations};

use crate::error::{Doing, Error, Result};
use crate::lake::Lake;
use crate::rows::fitted;
use crate::sink::{Change, Replacement, commit, write_files};

/// Attempts against other processes that add stations at the same time, and the pause after a lost one, times its number.
const ATTEMPTS_MAX: u32 = 20;
const RETRY_PAUSE: Duration = Duration::from_millis(10);

impl Lake {
    /// The inventory as it stands in `network.stations` and `network.channels`. Times are to the microsecond. Rows that
    /// cannot be read are passed over: they stop no home.
    pub async fn inventory(&self) -> Result<Inventory> {
        let (stations, _) = self.read_all(&stations::TABLE).await?;
        let (channels, _) = self.read_all(&channels::TABLE).await?;
        Ok(Inventory {
            stations: readable(&stations, station_problem)?.0,
            channels: readable(&channels, channel_problem)?.0,
        })
    }

    /// Adds stations and channels; epochs of the same station or channel and start are replaced. Nothing is
    /// committed where nothing changes. Returns the inventory as it stands then.
    ///
    /// # Errors
    /// `Invalid` for an addition that could not be read back; nothing is written then.
    pub async fn upsert_inventory(&self, additions: Inventory) -> Result<Inventory> {
        check(&additions)?;
        let _turn = self.inventory_turn().await;
        for attempt in 1..=ATTEMPTS_MAX {
            match self.merge_inventory(additions.clone()).await {
                Err(error) if error.kind == ErrorKind::Conflict => {
                    tokio::time::sleep(RETRY_PAUSE * attempt).await;
                }
                merged => {
                    merged?;
                    return self.inventory().await;
                }
            }
        }
        let message = "the tables of stations are too busy: others changed them at every attempt";
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    /// One attempt; `Conflict` where somebody else changed a table meanwhile.
    async fn merge_inventory(&self, additions: Inventory) -> Result<()> {
        let (stations, of_stations) = self.read_all(&stations::TABLE).await?;
        let (channels, of_channels) = self.read_all(&channels::TABLE).await?;
        let (read_stations, other_stations) = readable(&stations, station_problem)?;
        let (read_channels, other_channels) = readable(&channels, channel_problem)?;
        let before = Inventory { stations: read_stations, channels: read_channels };
        let mut after = before.clone();
        after.merge(additions);
        // Nothing can be made of some rows, but they are somebody's: they stay as they are.
        let kept = rows_at(&stations, other_stations)?;
        self.replace(of_stations, &before.stations, &after.stations, &kept).await?;
        let kept = rows_at(&channels, other_channels)?;
        self.replace(of_channels, &before.channels, &after.channels, &kept).await
    }

    /// Replaces all rows of a table but those that are kept, in one snapshot, if they differ from those of before, which are
    /// of snapshot `of`.
    async fn replace<R: TableRow>(
        &self,
        of: Option<SnapshotId>,
        before: &[R],
        after: &[R],
        kept: &RecordBatch,
    ) -> Result<()> {
        let table = R::TABLE;
        let encoded = |rows| encode(rows).doing(|| format!("encode rows of \"{table}\""));
        let (before, after) = (in_order(table, encoded(before)?)?, in_order(table, encoded(after)?)?);
        if before == after {
            return Ok(());
        }
        let after = [after, fitted(table, kept)?];
        let what = || format!("join rows of \"{}\"", table.full_name());
        let after = in_order(table, concat_batches(&table.arrow_schema(), &after).doing(what)?)?;
        let files = write_files(self, table, &[after]).await?;
        let none = Offsets::default();
        let change =
            Change { table, files, replaced: Replacement::Everything(of), covered: &none, seen: &none };
        commit(self, change).await.map(drop)
    }

    /// All rows of a table, and the snapshot they are of.
    async fn read_all(&self, table: &'static TableDef) -> Result<(RecordBatch, Option<SnapshotId>)> {
        let what = || format!("read table \"{}\"", table.full_name());
        let context = SessionContext::new();
        let (provider, snapshot) = self.current_table(table).await?;
        let batches = context.read_table(provider).doing(what)?.collect().await.doing(what)?;
        // A lake opened for reading may be older than the latest columns.
        let schema = batches.first().map_or_else(|| table.arrow_schema(), RecordBatch::schema);
        Ok((concat_batches(&schema, &batches).doing(what)?, snapshot))
    }
}

/// Doors name what they refuse and hand on the rest; what comes here all the same is a mistake of theirs.
fn check(additions: &Inventory) -> Result<()> {
    let stations = additions.stations.iter().map(Station::check);
    let channels = additions.channels.iter().map(Channel::check);
    stations
        .chain(channels)
        .find_map(std::result::Result::err)
        .map_or(Ok(()), |error| Err(Error::new(ErrorKind::Invalid, format!("cannot store {error}"))))
}

fn station_problem(station: &Station) -> std::result::Result<(), String> {
    if station.station.is_empty() {
        return Err("a station without a code".to_owned());
    }
    station.check_numbers().map_err(|error| error.to_string())
}

fn channel_problem(channel: &Channel) -> std::result::Result<(), String> {
    channel.check_numbers().map_err(|error| error.to_string())
}

/// The rows of a table that hold up, and the places of the others: whoever wrote them, they are passed over, told once and
/// counted.
fn readable<R: TableRow>(
    batch: &RecordBatch,
    check: impl Fn(&R) -> std::result::Result<(), String>,
) -> Result<(Vec<R>, Vec<u32>)> {
    let (table, decoded) = (R::TABLE.full_name(), decode_checked(batch, check));
    let decoded = decoded.doing(|| format!("read rows of \"{table}\""))?;
    if let Some(first) = decoded.unreadable.first() {
        let count = decoded.unreadable.len() as u64;
        tracing::warn!(table, count, reason = first.reason, "rows that cannot be read are passed over");
        metrics::counter!("seislake_unreadable_rows_total", "table" => table).increment(count);
    }
    let places = decoded.unreadable.iter().map(|row| row.index as u32);
    Ok((decoded.rows, places.collect()))
}

fn rows_at(batch: &RecordBatch, rows: Vec<u32>) -> Result<RecordBatch> {
    take_record_batch(batch, &UInt32Array::from(rows)).doing(|| "choose rows")
}

fn in_order(table: &TableDef, batch: RecordBatch) -> Result<RecordBatch> {
    let SortBy::Columns(names) = table.sort else { return Ok(batch) };
    let options = Some(SortOptions { descending: false, nulls_first: true });
    let keys: Vec<SortColumn> = names
        .iter()
        .filter_map(|name| batch.column_by_name(name))
        .map(|values| SortColumn { values: std::sync::Arc::clone(values), options })
        .collect();
    let what = || format!("sort rows of \"{}\"", table.full_name());
    let order = lexsort_to_indices(&keys, None).doing(what)?;
    take_record_batch(&batch, &order).doing(what)
}
