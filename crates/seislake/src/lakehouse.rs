//! The lake of a home as the commands use it: opened by settings, asked through DataFusion.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use seislake_catalog::{AsOf, Lake, LakeSettings};
use seislake_model::{CatalogueEvent, Timestamp};
use seislake_query::SessionSettings;

use crate::home::{self, CATALOG_FILE, Home};
use crate::settings::Settings;

const WAREHOUSE_FOLDER: &str = "warehouse";

/// An open lake and the settings of its sessions.
#[derive(Clone, Debug)]
pub(crate) struct Lakehouse {
    lake: Lake,
    session: SessionSettings,
}

impl Lakehouse {
    /// Opens the lake of a home that this process owns; tables that are missing are made.
    pub(crate) async fn open(home: &Home, settings: &Settings) -> anyhow::Result<Self> {
        Self::open_at(home.lake(), settings, false).await
    }

    /// Opens the lake of a home for reading, beside a running server too.
    pub(crate) async fn open_for_reading(path: &Path, settings: &Settings) -> anyhow::Result<Self> {
        Self::open_at(&home::existing(path)?, settings, true).await
    }

    /// Opens the lake of a home for maintenance, beside its owner: commits are compare and swap.
    pub(crate) async fn open_beside(path: &Path, settings: &Settings) -> anyhow::Result<Self> {
        Self::open_at(&home::existing(path)?, settings, false).await
    }

    async fn open_at(home: &Path, settings: &Settings, read_only: bool) -> anyhow::Result<Self> {
        let warehouse = match settings.lake.warehouse.as_str() {
            "" => home.join(WAREHOUSE_FOLDER).display().to_string(),
            named => named.to_owned(),
        };
        let mut lake_settings = LakeSettings::new(warehouse, home.join(CATALOG_FILE));
        lake_settings.read_only = read_only;
        lake_settings.object_store = object_store_options(settings);
        let lake = Lake::open(lake_settings)
            .await
            .with_context(|| format!("cannot open the lake of \"{}\"", home.display()))?;
        let session = SessionSettings {
            memory_bytes_max: usize::try_from(settings.query.memory_bytes)?,
            ..SessionSettings::default()
        };
        Ok(Self { lake, session })
    }

    pub(crate) fn lake(&self) -> &Lake {
        &self.lake
    }

    /// Tables that this build knows and the home has not.
    pub(crate) async fn missing_tables(&self) -> anyhow::Result<Vec<String>> {
        let there: Vec<String> = self.lake.tables().await?.iter().map(ToString::to_string).collect();
        Ok(Lake::table_names().into_iter().filter(|table| !there.contains(table)).collect())
    }

    /// A session over the newest snapshots; each statement sees the newest ones when it is planned.
    pub(crate) fn session(&self) -> anyhow::Result<SessionContext> {
        Ok(seislake_query::session(self.lake.provider(), &self.session)?)
    }

    /// A session over the tables as they were.
    pub(crate) fn session_as_of(&self, as_of: AsOf) -> anyhow::Result<SessionContext> {
        Ok(seislake_query::session(self.lake.provider_as_of(as_of), &self.session)?)
    }

    /// The current catalogue, oldest event first.
    pub(crate) async fn catalogue(&self) -> anyhow::Result<Vec<CatalogueEvent>> {
        const SQL: &str = "SELECT event_id, origin_time, latitude, longitude, depth_km, magnitude \
                           FROM bulletin.events_current ORDER BY origin_time, event_id";
        let mut batches = seislake_query::query(&self.session()?, SQL).await?;
        let mut events = Vec::new();
        while let Some(batch) = batches.try_next().await? {
            let ids = batch.column(0).as_string::<i32>();
            let times = batch.column(1).as_primitive::<TimestampMicrosecondType>();
            let number = |column: usize| batch.column(column).as_primitive::<Float64Type>();
            let (latitudes, longitudes, depths, magnitudes) = (number(2), number(3), number(4), number(5));
            for row in 0..batch.num_rows() {
                events.push(CatalogueEvent {
                    id: ids.value(row).to_owned(),
                    origin_time: Timestamp::from_micros(times.value(row)),
                    latitude: latitudes.value(row),
                    longitude: longitudes.value(row),
                    depth_km: Some(depths.value(row)),
                    magnitude: (!magnitudes.is_null(row)).then(|| magnitudes.value(row)),
                    event_type: None,
                });
            }
        }
        Ok(events)
    }

    /// From the first sample of all recordings to the last; `None` of a lake without any.
    pub(crate) async fn recorded_time(&self) -> anyhow::Result<Option<(Timestamp, Timestamp)>> {
        const SQL: &str = "SELECT min(start_ns), max(end_ns) FROM waveform.segments";
        let batches: Vec<_> = seislake_query::query(&self.session()?, SQL).await?.try_collect().await?;
        let Some(batch) = batches.first() else { return Ok(None) };
        let moment = |column: usize| {
            let column = batch.column(column).as_primitive_opt::<Int64Type>()?;
            column.is_valid(0).then(|| Timestamp::from_nanos(column.value(0)))
        };
        Ok(moment(0).zip(moment(1)))
    }

    /// The one number a statement returns.
    pub(crate) async fn count(&self, sql: &str) -> anyhow::Result<i64> {
        let batches: Vec<_> = seislake_query::query(&self.session()?, sql).await?.try_collect().await?;
        let column = batches.first().map(|batch| Arc::clone(batch.column(0)));
        let column = column.context("the statement returned no row")?;
        Ok(column.as_primitive::<Int64Type>().value(0))
    }
}

fn object_store_options(settings: &Settings) -> BTreeMap<String, String> {
    if !settings.lake.warehouse.starts_with("s3://") {
        return BTreeMap::new();
    }
    let mut options = BTreeMap::from([
        ("aws_region".to_owned(), settings.lake.s3_region.clone()),
        ("aws_allow_http".to_owned(), settings.lake.s3_allow_http.to_string()),
    ]);
    if !settings.lake.s3_endpoint.is_empty() {
        options.insert("aws_endpoint".to_owned(), settings.lake.s3_endpoint.clone());
    }
    options
}
