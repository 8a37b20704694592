//! What stands behind events: origins, magnitudes, amplitudes, arrivals and picks, read for many parents at once.
//!
//! Each parent comes with a time near which its children lie, so that a batch of parents reads few files.

use datafusion::prelude::SessionContext;
use seislake_model::{
    Amplitude, Arrival, Magnitude, Onset, Origin, Phase, Pick, Polarity, SourceId, Timestamp,
};

use super::columns::{FromRow, Row, read};
use super::events::{Interval, Page, Total};
use super::statement::Conditions;
use crate::error::{ApiError, ErrorCode};

/// Parents in one statement at most.
const PARENTS_MAX: usize = 2000;

/// Children lie within this time of their parent: the slowest phase that is picked travels less than an hour.
const CHILD_SPREAD_S: f64 = 3600.0;

/// A parent: its id and a time near which its children lie.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Near {
    pub(crate) id: String,
    pub(crate) time: Timestamp,
}

async fn children<T: FromRow>(
    context: &SessionContext,
    what: Children,
    parents: &[Near],
) -> Result<Vec<T>, ApiError> {
    let mut rows = Vec::new();
    for parents in parents.chunks(PARENTS_MAX) {
        let mut conditions = Conditions::default();
        conditions.one_of(what.parent, parents.iter().map(|parent| parent.id.as_str()));
        let times = || parents.iter().map(|parent| parent.time);
        if let (Some(column), Some(first), Some(last)) = (what.time, times().min(), times().max()) {
            let first = conditions.time(first.add_seconds(-CHILD_SPREAD_S));
            let last = conditions.time(last.add_seconds(CHILD_SPREAD_S));
            conditions.add(format!("{column} BETWEEN {first} AND {last}"));
        }
        let sql =
            format!("SELECT * FROM {} WHERE {} ORDER BY {}", what.table, conditions.joined(), what.order);
        rows.extend(read::<T>(&conditions.run(context, what.table, &sql).await?)?);
    }
    Ok(rows)
}

/// Which table, by which parent, pruned by which time, in which order.
#[derive(Clone, Copy, Debug)]
struct Children {
    table: &'static str,
    parent: &'static str,
    time: Option<&'static str>,
    order: &'static str,
}

/// Origins of events.
pub(crate) async fn origins_of_events(
    context: &SessionContext,
    events: &[Near],
) -> Result<Vec<Origin>, ApiError> {
    let what = Children {
        table: "bulletin.origins",
        parent: "event_id",
        time: Some("origin_time"),
        order: "origin_time, origin_id",
    };
    children(context, what, events).await
}

/// The preferred origins of events, by their own ids and times: an event's time is that of its preferred origin.
pub(crate) async fn preferred_origins(
    context: &SessionContext,
    origins: &[Near],
) -> Result<Vec<Origin>, ApiError> {
    let what = Children {
        table: "bulletin.origins",
        parent: "origin_id",
        time: Some("origin_time"),
        order: "origin_id",
    };
    children(context, what, origins).await
}

/// Magnitudes of events.
pub(crate) async fn magnitudes_of_events(
    context: &SessionContext,
    events: &[Near],
) -> Result<Vec<Magnitude>, ApiError> {
    let what = Children {
        table: "bulletin.magnitudes",
        parent: "event_id",
        time: None,
        order: "magnitude_type, magnitude_id",
    };
    children(context, what, events).await
}

/// Amplitudes of events.
pub(crate) async fn amplitudes_of_events(
    context: &SessionContext,
    events: &[Near],
) -> Result<Vec<Amplitude>, ApiError> {
    let what = Children {
        table: "bulletin.amplitudes",
        parent: "event_id",
        time: Some("amplitude_time"),
        order: "source_id, amplitude_id",
    };
    children(context, what, events).await
}

const fn arrivals_of(parent: &'static str) -> Children {
    Children {
        table: "bulletin.arrivals",
        parent,
        time: Some("pick_time"),
        order: "distance_km, pick_time, arrival_id",
    }
}

/// Arrivals of all origins of events.
pub(crate) async fn arrivals_of_events(
    context: &SessionContext,
    events: &[Near],
) -> Result<Vec<Arrival>, ApiError> {
    children(context, arrivals_of("event_id"), events).await
}

/// Arrivals of origins.
pub(crate) async fn arrivals_of_origins(
    context: &SessionContext,
    origins: &[Near],
) -> Result<Vec<Arrival>, ApiError> {
    children(context, arrivals_of("origin_id"), origins).await
}

/// Arrivals that use picks.
pub(crate) async fn arrivals_of_picks(
    context: &SessionContext,
    picks: &[Near],
) -> Result<Vec<Arrival>, ApiError> {
    children(context, arrivals_of("pick_id"), picks).await
}

/// Picks by their ids.
pub(crate) async fn picks_by_id(context: &SessionContext, picks: &[Near]) -> Result<Vec<Pick>, ApiError> {
    let what = Children {
        table: "bulletin.picks",
        parent: "pick_id",
        time: Some("pick_time"),
        order: "pick_time, pick_id",
    };
    children(context, what, picks).await
}

/// Which picks.
#[derive(Clone, Debug, Default)]
pub(crate) struct PickFilter {
    pub(crate) pick_time: Interval<Timestamp>,
    pub(crate) source_id: Option<SourceId>,
    pub(crate) network: Option<String>,
    pub(crate) station: Option<String>,
    pub(crate) phase: Option<Phase>,
}

impl PickFilter {
    fn conditions(&self) -> Conditions {
        let mut conditions = Conditions::default();
        let texts = [
            ("source_id", self.source_id.as_ref().map(SourceId::as_str)),
            ("network", self.network.as_deref()),
            ("station", self.station.as_deref()),
            ("phase", self.phase.map(Phase::as_str)),
        ];
        for (column, text) in texts {
            conditions.one_of(column, text.into_iter());
        }
        if let Some(from) = self.pick_time.min {
            let from = conditions.time(from);
            conditions.add(format!("pick_time >= {from}"));
        }
        if let Some(to) = self.pick_time.max {
            let to = conditions.time(to);
            conditions.add(format!("pick_time <= {to}"));
        }
        conditions
    }
}

/// A page of picks, oldest first.
pub(crate) async fn picks(
    context: &SessionContext,
    filter: &PickFilter,
    page: &Page,
) -> Result<Vec<Pick>, ApiError> {
    let mut conditions = filter.conditions();
    if let Some(after) = &page.after {
        let (time, id) = (conditions.time(Timestamp::from_micros(after.micros)), conditions.text(&after.id));
        conditions.add(format!("(pick_time > {time} OR (pick_time = {time} AND pick_id > {id}))"));
    }
    let sql = format!(
        "SELECT * FROM bulletin.picks WHERE {} ORDER BY pick_time, pick_id LIMIT {} OFFSET {}",
        conditions.joined(),
        page.limit,
        page.offset
    );
    read(&conditions.run(context, "picks", &sql).await?)
}

/// How many picks pass the filter.
pub(crate) async fn count_picks(context: &SessionContext, filter: &PickFilter) -> Result<i64, ApiError> {
    let conditions = filter.conditions();
    let sql = format!("SELECT count(*) AS total FROM bulletin.picks WHERE {}", conditions.joined());
    let totals: Vec<Total> = read(&conditions.run(context, "picks", &sql).await?)?;
    Ok(totals.first().map_or(0, |total| total.0))
}

fn unknown_word(column: &str, word: &str) -> ApiError {
    ApiError::new(ErrorCode::Corrupt, format!("column \"{column}\" holds the unknown word \"{word}\""))
}

fn phase(row: Row<'_>) -> Result<Phase, ApiError> {
    match row.text("phase")? {
        "P" => Ok(Phase::P),
        "S" => Ok(Phase::S),
        word => Err(unknown_word("phase", word)),
    }
}

impl FromRow for Origin {
    fn from_row(row: Row<'_>) -> Result<Self, ApiError> {
        let number = |column: &str| row.number(column);
        let text = |column: &str| row.text(column).map(str::to_owned);
        Ok(Self {
            origin_id: text("origin_id")?,
            event_id: text("event_id")?,
            origin_time: row.nanos("origin_ns")?,
            time_uncertainty_s: number("time_uncertainty_s")?,
            latitude: number("latitude")?,
            longitude: number("longitude")?,
            depth_km: number("depth_km")?,
            covariance_km2: [
                number("covariance_east_east_km2")?,
                number("covariance_east_north_km2")?,
                number("covariance_east_down_km2")?,
                number("covariance_north_north_km2")?,
                number("covariance_north_down_km2")?,
                number("covariance_down_down_km2")?,
            ],
            ellipse_major_km: number("ellipse_major_km")?,
            ellipse_minor_km: number("ellipse_minor_km")?,
            ellipse_azimuth: number("ellipse_azimuth")?,
            depth_uncertainty_km: number("depth_uncertainty_km")?,
            rms_s: number("rms_s")?,
            azimuthal_gap: number("azimuthal_gap")?,
            nearest_station_km: number("nearest_station_km")?,
            used_phase_count: row.count("used_phase_count")?,
            used_station_count: row.count("used_station_count")?,
            method: text("method")?,
            earth_model: text("earth_model")?,
        })
    }
}

impl FromRow for Arrival {
    fn from_row(row: Row<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            arrival_id: row.text("arrival_id")?.to_owned(),
            origin_id: row.text("origin_id")?.to_owned(),
            event_id: row.text("event_id")?.to_owned(),
            pick_id: row.text("pick_id")?.to_owned(),
            source_id: row.source_id("source_id")?,
            pick_time: row.time("pick_time")?,
            phase: phase(row)?,
            distance_km: row.number("distance_km")?,
            azimuth: row.number("azimuth")?,
            residual_s: row.number("residual_s")?,
            weight: row.number("weight")?,
        })
    }
}

impl FromRow for Pick {
    fn from_row(row: Row<'_>) -> Result<Self, ApiError> {
        let polarity = match row.text("polarity")? {
            "positive" => Polarity::Positive,
            "negative" => Polarity::Negative,
            "undecidable" => Polarity::Undecidable,
            word => return Err(unknown_word("polarity", word)),
        };
        let onset = match row.text("onset")? {
            "impulsive" => Onset::Impulsive,
            "emergent" => Onset::Emergent,
            word => return Err(unknown_word("onset", word)),
        };
        Ok(Self {
            pick_id: row.text("pick_id")?.to_owned(),
            source_id: row.source_id("source_id")?,
            pick_time: row.nanos("pick_ns")?,
            time_uncertainty_s: row.number("time_uncertainty_s")?,
            phase: phase(row)?,
            polarity,
            onset,
            snr: row.number("snr")?,
            method: row.text("method")?.to_owned(),
        })
    }
}

impl FromRow for Magnitude {
    fn from_row(row: Row<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            magnitude_id: row.text("magnitude_id")?.to_owned(),
            event_id: row.text("event_id")?.to_owned(),
            origin_id: row.text("origin_id")?.to_owned(),
            magnitude_type: row.text("magnitude_type")?.to_owned(),
            magnitude: row.number("magnitude")?,
            uncertainty: row.optional_number("uncertainty")?,
            station_count: row.count("station_count")?,
            method: row.text("method")?.to_owned(),
        })
    }
}

impl FromRow for Amplitude {
    fn from_row(row: Row<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            amplitude_id: row.text("amplitude_id")?.to_owned(),
            event_id: row.text("event_id")?.to_owned(),
            origin_id: row.text("origin_id")?.to_owned(),
            source_id: row.source_id("source_id")?,
            amplitude_mm: row.number("amplitude_mm")?,
            amplitude_time: row.time("amplitude_time")?,
            hypocentral_distance_km: row.number("hypocentral_distance_km")?,
            station_magnitude: row.number("station_magnitude")?,
        })
    }
}
