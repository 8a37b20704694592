//! `GET /events`: located events, field names as the original system has them.

use axum::Json;
use axum::extract::{RawQuery, State};
use seislake_model::{Origin, Timestamp};
use serde::Serialize;

use super::{Parameters, Shared};
use crate::error::ApiError;
use crate::read::{EventFilter, EventOrder, EventRow, Page, count_events, events_by_id, quality_flag};
use crate::state::AsOf;

const PARAMETERS: &[&str] = &[
    "start_time",
    "end_time",
    "min_magnitude",
    "max_magnitude",
    "magnitude_type",
    "min_depth_km",
    "max_depth_km",
    "min_latitude",
    "max_latitude",
    "min_longitude",
    "max_longitude",
    "latitude",
    "longitude",
    "max_radius_km",
    "event_id",
    "order_by",
    "limit",
    "offset",
];

/// A page of events.
#[derive(Debug, Serialize)]
pub(super) struct EventPage {
    total_count: i64,
    limit: usize,
    offset: usize,
    events: Vec<EventBody>,
}

/// One event.
#[derive(Debug, Serialize)]
struct EventBody {
    event_id: String,
    revision: u32,
    status: &'static str,
    origin_time: Timestamp,
    time_uncertainty_s: Option<f64>,
    latitude: f64,
    longitude: f64,
    horizontal_uncertainty_km: Option<f64>,
    depth_km: f64,
    depth_uncertainty_km: Option<f64>,
    magnitude: Option<f64>,
    magnitude_type: Option<String>,
    /// The preferred magnitude where it is a local magnitude.
    magnitude_ml: Option<f64>,
    /// Focal mechanism; null where none is known.
    mechanism: Option<String>,
    phase_count: Option<u32>,
    station_count: Option<u32>,
    azimuthal_gap: Option<f64>,
    rms_s: Option<f64>,
    quality_flag: Option<&'static str>,
    method: Option<String>,
    /// Agency that answers for it.
    agency_id: String,
    evaluation_mode: &'static str,
    evaluation_status: &'static str,
}

impl From<EventRow> for EventBody {
    fn from(EventRow { event, origin }: EventRow) -> Self {
        let of = |value: fn(&Origin) -> f64| origin.as_ref().map(value);
        let local = event.magnitude_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("ml"));
        Self {
            revision: event.revision,
            status: event.status.as_str(),
            origin_time: event.origin_time,
            time_uncertainty_s: of(|origin| origin.time_uncertainty_s),
            latitude: event.latitude,
            longitude: event.longitude,
            horizontal_uncertainty_km: of(|origin| origin.ellipse_major_km),
            depth_km: event.depth_km,
            depth_uncertainty_km: of(|origin| origin.depth_uncertainty_km),
            magnitude: event.magnitude,
            magnitude_ml: event.magnitude.filter(|_| local),
            magnitude_type: event.magnitude_type,
            mechanism: None,
            phase_count: origin.as_ref().map(|origin| origin.used_phase_count),
            station_count: origin.as_ref().map(|origin| origin.used_station_count),
            azimuthal_gap: of(|origin| origin.azimuthal_gap),
            rms_s: of(|origin| origin.rms_s),
            quality_flag: origin.as_ref().map(quality_flag),
            method: origin.map(|origin| origin.provenance.method),
            evaluation_mode: event.provenance.evaluation_mode.as_str(),
            evaluation_status: event.provenance.evaluation_status.as_str(),
            agency_id: event.provenance.agency().to_owned(),
            event_id: event.event_id.into(),
        }
    }
}

fn order(word: Option<&str>) -> Result<EventOrder, ApiError> {
    match word {
        None | Some("time") => Ok(EventOrder::TimeDescending),
        Some("time-asc") => Ok(EventOrder::TimeAscending),
        Some("magnitude") => Ok(EventOrder::MagnitudeDescending),
        Some("magnitude-asc") => Ok(EventOrder::MagnitudeAscending),
        Some(other) => Err(ApiError::invalid(format!("order_by: \"{other}\" is not an order"))
            .hint("time, time-asc, magnitude, magnitude-asc")),
    }
}

pub(super) async fn list(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<Json<EventPage>, ApiError> {
    let parameters = Parameters::of(query.as_deref(), PARAMETERS)?;
    let (limit, offset) = parameters.page(&shared.limits)?;
    let filter = EventFilter {
        origin_time: parameters.times("start_time", "end_time")?,
        areas: parameters.areas()?,
        magnitude: parameters.numbers("min_magnitude", "max_magnitude")?,
        magnitude_type: parameters.text("magnitude_type").map(str::to_owned),
        depth_km: parameters.numbers("min_depth_km", "max_depth_km")?,
        event_ids: parameters.text("event_id").map(str::to_owned).into_iter().collect(),
        agencies: Vec::new(),
        known_revisions: Vec::new(),
    };
    let order = order(parameters.text("order_by"))?;
    let context = shared.state.sessions.session(AsOf::Latest).await?;
    let page = Page { after: None, offset, limit };
    let rows = events_by_id(&context, &filter, order, &page).await?;
    // A page that is not full is the last one: the total is known without counting.
    let total_count = if rows.len() < limit && (offset == 0 || !rows.is_empty()) {
        (offset + rows.len()) as i64
    } else {
        count_events(&context, &filter).await?
    };
    let events = rows.into_iter().map(EventBody::from).collect();
    Ok(Json(EventPage { total_count, limit, offset, events }))
}
