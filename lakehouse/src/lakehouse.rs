//! The lake of a home as the commands use it: opened by settings, asked through DataFusion.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use seislake_catalog::{AsOf, Lake, LakeAccess, LakeSettings, SnapshotSet};
use seislake_model::{CatalogueEvent, ErrorKind, EventStatus, Timestamp};
use seislake_query::SessionSettings;
use seislake_streams::replace::replace;
use seislake_streams::topology::Topology;
use seislake_tables::events::names;
use seislake_tables::{listed, segments};
use serde::{Deserialize, Serialize};

use crate::home::{self, CATALOG_FILE, Home, TableStates};
use crate::settings::Settings;
use crate::upkeep;

pub const WAREHOUSE_FOLDER: &str = "warehouse";
/// Names a warehouse outside the home.
pub const PLACE_FILE: &str = "warehouse.toml";
/// The way back from damage.
pub const HOW_TO_MEND: &str = "`seislake home check` tells what is damaged, `seislake home repair` mends it";

/// As what a command opens a lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// It has the home for itself.
    Owner,
    /// It writes beside the owner.
    Beside,
    /// It only reads.
    Reader,
}

/// The session of the questions that commands ask, one after the other: making one takes longer than most of them.
#[derive(Default)]
struct OwnSession(OnceLock<SessionContext>);

impl fmt::Debug for OwnSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnSession").finish_non_exhaustive()
    }
}

/// An open lake and the settings of its sessions.
#[derive(Clone, Debug)]
pub struct Lakehouse {
    lake: Lake,
    session: SessionSettings,
    topology: Topology,
    own_session: Arc<OwnSession>,
}

impl Lakehouse {
    /// Opens the lake of a home that this process owns; tables that are missing are made.
    pub async fn open(home: &Home, settings: &Settings) -> anyhow::Result<Self> {
        let opened = Self::open_at(home.lake(), settings, Access::Owner).await?;
        Place::of(home.lake(), settings)?.remember(home.lake())?;
        Ok(opened)
    }

    /// Opens the lake of a home for reading, beside a running server too.
    pub async fn open_for_reading(path: &Path, settings: &Settings) -> anyhow::Result<Self> {
        Self::open_at(&home::existing(path)?, settings, Access::Reader).await
    }

    /// Opens the lake of a home for maintenance, beside its owner: commits are compare and swap.
    pub async fn open_beside(path: &Path, settings: &Settings) -> anyhow::Result<Self> {
        Self::open_at(&home::existing(path)?, settings, Access::Beside).await
    }

    async fn open_at(home: &Path, settings: &Settings, access: Access) -> anyhow::Result<Self> {
        let mut lake_settings = lake_settings(home, settings)?;
        match access {
            Access::Owner => {}
            Access::Beside => lake_settings.retention.spare = upkeep::spare(home),
            Access::Reader => lake_settings.access = LakeAccess::Read,
        }
        let lake = Lake::open(lake_settings).await.map_err(|error| {
            let damaged = error.kind == ErrorKind::Corrupt;
            let error =
                anyhow::Error::new(error).context(format!("cannot open the lake of \"{}\"", home.display()));
            match damaged {
                true => anyhow::anyhow!("{}; {HOW_TO_MEND}", sentence(&error)),
                false => error,
            }
        })?;
        // An import that was refused leaves a catalog that names nothing.
        let is_reader = access == Access::Reader;
        if is_reader && lake.tables().await?.is_empty() && !TableStates::read(home)?.is_empty() {
            return Err(home::lost_catalog(home));
        }
        let session = SessionSettings {
            memory_bytes_max: usize::try_from(settings.query.memory_bytes)?,
            ..SessionSettings::default()
        };
        let topology = settings.topology.clone().with_stages_of(lake.definitions());
        Ok(Self { lake, session, topology, own_session: Arc::default() })
    }

    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The stages of the home.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// How far the tables have come.
    pub async fn table_states(&self) -> anyhow::Result<TableStates> {
        Ok(TableStates::new(self.lake.commit_numbers().await?))
    }

    /// Keeps that beside them. A disk that is full stops nobody for it.
    pub async fn remember_states(&self, home: &Path) {
        let remembered = async { self.table_states().await?.remember(home) };
        if let Err(error) = remembered.await {
            tracing::warn!(error = format!("{error:#}"), "how far the tables have come cannot be kept");
        }
    }

    /// Tables that this build knows and the home has not.
    pub async fn missing_tables(&self) -> anyhow::Result<Vec<String>> {
        let there: Vec<String> = self.lake.tables().await?.iter().map(ToString::to_string).collect();
        Ok(self.lake.table_names().into_iter().filter(|table| !there.contains(table)).collect())
    }

    /// A session over the newest state of the tables, the same for all its statements however long they take.
    pub async fn pinned_session(&self) -> anyhow::Result<SessionContext> {
        self.session_at(self.lake.pin(AsOf::Latest).await?)
    }

    /// A session over the newest snapshots; each statement sees the newest ones when it is planned.
    pub fn session(&self) -> anyhow::Result<SessionContext> {
        Ok(seislake_query::session(self.lake.provider(), &self.session)?)
    }

    /// A session over the tables as they were.
    pub fn session_as_of(&self, as_of: AsOf) -> anyhow::Result<SessionContext> {
        Ok(seislake_query::session(self.lake.provider_as_of(as_of), &self.session)?)
    }

    /// A session over one state of the tables, for all its statements.
    pub fn session_at(&self, set: SnapshotSet) -> anyhow::Result<SessionContext> {
        Ok(seislake_query::session(self.lake.provider_at(set), &self.session)?)
    }

    /// The current catalogue, oldest event first.
    pub async fn catalogue(&self) -> anyhow::Result<Vec<CatalogueEvent>> {
        let columns = [
            names::event_id,
            names::origin_time,
            names::latitude,
            names::longitude,
            names::depth_km,
            names::magnitude,
        ];
        let sql = format!(
            "SELECT {} FROM bulletin.events_current WHERE {} <> '{}' ORDER BY {}",
            listed(&columns),
            names::status,
            EventStatus::Deleted.as_str(),
            listed(&[names::origin_time, names::event_id])
        );
        let mut batches = self.ask(&sql).await?;
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
    pub async fn recorded_time(&self) -> anyhow::Result<Option<(Timestamp, Timestamp)>> {
        let sql = format!(
            "SELECT min({}), max({}) FROM {}",
            segments::names::start_ns,
            segments::names::end_ns,
            segments::TABLE
        );
        let batches: Vec<_> = self.ask(&sql).await?.try_collect().await?;
        let Some(batch) = batches.first() else { return Ok(None) };
        let moment = |column: usize| {
            let column = batch.column(column).as_primitive_opt::<Int64Type>()?;
            column.is_valid(0).then(|| Timestamp::from_nanos(column.value(0)))
        };
        Ok(moment(0).zip(moment(1)))
    }

    /// Runs a statement of ours.
    pub(crate) async fn ask(&self, sql: &str) -> anyhow::Result<SendableRecordBatchStream> {
        let session = match self.own_session.0.get() {
            Some(session) => session,
            None => {
                let made = self.session()?;
                self.own_session.0.get_or_init(|| made)
            }
        };
        Ok(seislake_query::query(session, sql).await?)
    }

    /// The one number a statement returns.
    pub async fn count(&self, sql: &str) -> anyhow::Result<i64> {
        let batches: Vec<_> = self.ask(sql).await?.try_collect().await?;
        let column = batches.first().map(|batch| Arc::clone(batch.column(0)));
        let column = column.context("the statement returned no row")?;
        Ok(column.as_primitive::<Int64Type>().value(0))
    }
}

/// Where the lake of a home is, and how it behaves.
pub fn lake_settings(home: &Path, settings: &Settings) -> anyhow::Result<LakeSettings> {
    let place = Place::of(home, settings)?;
    let mut lake_settings = LakeSettings::new(place.location(home), home.join(CATALOG_FILE));
    lake_settings.object_store = place.object_store_options();
    lake_settings.retention.cursor_lease = Duration::from_secs_f64(settings.lake.cursor_lease_s);
    lake_settings.tables.extend(settings.topology.own_tables());
    Ok(lake_settings)
}

/// An error and its causes in one line; causes that repeat what is said already are left out.
#[must_use]
pub fn sentence(error: &anyhow::Error) -> String {
    let (mut sentence, mut last) = (String::new(), String::new());
    for cause in error.chain() {
        let text = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        if sentence.contains(&text) || (!last.is_empty() && text.contains(&last)) {
            continue;
        }
        sentence = if sentence.is_empty() { text.clone() } else { format!("{sentence}: {text}") };
        last = text;
    }
    sentence
}

/// Where the warehouse of a home is. One outside the home stays with it (`warehouse.toml`), so that later commands find
/// it without the configuration that named it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    warehouse: String,
    s3_endpoint: String,
    s3_region: String,
    s3_allow_http: bool,
}

impl Place {
    fn of(home: &Path, settings: &Settings) -> anyhow::Result<Self> {
        let section = &settings.lake;
        let configured = Self {
            warehouse: section.warehouse.clone(),
            s3_endpoint: section.s3_endpoint.clone(),
            s3_region: section.s3_region.clone(),
            s3_allow_http: section.s3_allow_http,
        };
        let file = home.join(PLACE_FILE);
        if !configured.warehouse.is_empty() || !file.exists() {
            return Ok(configured);
        }
        let hint =
            || format!("cannot read \"{}\": name the warehouse by lake.warehouse (--config)", file.display());
        let text = std::fs::read_to_string(&file).with_context(hint)?;
        toml::from_str(&text).with_context(hint)
    }

    fn location(&self, home: &Path) -> String {
        match self.warehouse.as_str() {
            "" => home.join(WAREHOUSE_FOLDER).display().to_string(),
            named => named.to_owned(),
        }
    }

    /// Writes the file where it says something else, or nothing yet.
    fn remember(&self, home: &Path) -> anyhow::Result<()> {
        if self.warehouse.is_empty() {
            return Ok(());
        }
        let (file, new) =
            (home.join(PLACE_FILE), home.join(format!("{PLACE_FILE}.new-{}", std::process::id())));
        let absolute = match self.warehouse.as_str() {
            url if url.contains("://") => self.clone(),
            path => Self { warehouse: std::path::absolute(path)?.display().to_string(), ..self.clone() },
        };
        let text = toml::to_string(&absolute)?;
        let known = std::fs::read_to_string(&file);
        if known.is_ok_and(|known| known == text) {
            return Ok(());
        }
        replace(&file, &new, text.as_bytes()).with_context(|| format!("cannot write \"{}\"", file.display()))
    }

    fn object_store_options(&self) -> BTreeMap<String, String> {
        if !self.warehouse.starts_with("s3://") {
            return BTreeMap::new();
        }
        let mut options = BTreeMap::from([
            ("aws_region".to_owned(), self.s3_region.clone()),
            ("aws_allow_http".to_owned(), self.s3_allow_http.to_string()),
        ]);
        if !self.s3_endpoint.is_empty() {
            options.insert("aws_endpoint".to_owned(), self.s3_endpoint.clone());
        }
        options
    }
}
