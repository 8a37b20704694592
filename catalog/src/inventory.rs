//! Stations and channels: small tables that are rewritten as a whole when something changed.

use arrow::array::RecordBatch;
use arrow::compute::{SortColumn, SortOptions, concat_batches, lexsort_to_indices, take_record_batch};
use datafusion::prelude::SessionContext;
use seislake_model::{Inventory, Offsets, Rows, SnapshotId};

use crate::error::{Doing, Result};
use crate::lake::{Lake, defined};
use crate::sink::{Change, Replaced, commit, write_files};
use crate::tables::{SortBy, TableDef, decode_channels, decode_stations, encode};

impl Lake {
    /// The inventory as it stands in `network.stations` and `network.channels`. Times are to the microsecond.
    pub async fn inventory(&self) -> Result<Inventory> {
        let stations = self.read_all(defined("network.stations")?).await?;
        let channels = self.read_all(defined("network.channels")?).await?;
        Ok(Inventory { stations: decode_stations(&stations), channels: decode_channels(&channels)? })
    }

    /// Adds stations and channels; epochs of the same station or channel and start are replaced. Nothing is
    /// committed where nothing changes. Returns the inventory as it stands then.
    pub async fn upsert_inventory(&self, additions: Inventory) -> Result<Inventory> {
        let _turn = self.inventory_turn().await;
        let before = self.inventory().await?;
        let mut after = before.clone();
        after.merge(additions);
        self.replace(Rows::Stations(before.stations), Rows::Stations(after.stations)).await?;
        self.replace(Rows::Channels(before.channels), Rows::Channels(after.channels)).await?;
        self.inventory().await
    }

    /// Replaces all rows of a table in one snapshot if they differ from those of before.
    async fn replace(&self, before: Rows, after: Rows) -> Result<Option<SnapshotId>> {
        let table = defined(after.table())?;
        let (before, after) = (in_order(table, encode(&before)?)?, in_order(table, encode(&after)?)?);
        if before == after {
            return Ok(None);
        }
        let files = write_files(self, table, &[after]).await?;
        let none = Offsets::default();
        let change = Change { table, files, replaced: Replaced::Everything, covered: &none, seen: &none };
        Ok(commit(self, change).await?.snapshot())
    }

    async fn read_all(&self, table: &'static TableDef) -> Result<RecordBatch> {
        let what = || format!("read table \"{}\"", table.full_name());
        let context = SessionContext::new();
        let provider = self.table_provider(table.namespace, table.name).await?;
        let batches = context.read_table(provider).doing(what)?.collect().await.doing(what)?;
        // A lake opened for reading may be older than the latest columns.
        let schema = batches.first().map_or_else(|| table.arrow_schema(), |batch| Ok(batch.schema()))?;
        concat_batches(&schema, &batches).doing(what)
    }
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
