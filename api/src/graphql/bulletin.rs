//! Events and what stands behind them: origins, arrivals, picks, magnitudes, amplitudes.

use std::sync::Arc;

use async_graphql::{ComplexObject, Enum, Object, Result, SimpleObject};
use seislake_model::{
    Amplitude, Arrival, EvaluationMode, EvaluationStatus, EventStatus, Magnitude, Onset, Origin, Pick,
    Polarity, Provenance,
};

use super::cursor::PageInfo;
use super::inputs::PhaseName;
use super::scalars::{DateTime, Snapshot, number};
use super::view::{AmplitudesOf, ArrivalsOf, ArrivalsOfPick, EventOf, MagnitudesOf, OriginsOf, PickOf, View};
use crate::read::{EventFilter, EventRow, Near, PickFilter, count_events, count_picks, quality_flag};

/// How final an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(name = "EventStatus")]
enum Status {
    /// Declared; more picks may come.
    Preliminary,
    /// The watermark has passed it.
    Closed,
    /// Withdrawn.
    Deleted,
}

/// Whether a program or a person found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(name = "EvaluationMode", remote = "EvaluationMode")]
enum ModeName {
    /// A program.
    Automatic,
    /// A person.
    Manual,
}

/// How far it has been looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(name = "EvaluationStatus", remote = "EvaluationStatus")]
enum StatusName {
    /// Found wrong.
    Rejected,
    /// Not looked at by a person.
    Preliminary,
    /// Somebody says that it happened.
    Confirmed,
    /// Looked at in full.
    Reviewed,
    /// Not looked at again.
    Final,
}

/// Who says something, how and when.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name = "Provenance")]
struct ProvenanceNode {
    /// Agency that answers for it.
    agency_id: String,
    /// Program or person.
    author: String,
    /// Program or person, as a word.
    evaluation_mode: ModeName,
    /// How far it has been looked at.
    evaluation_status: StatusName,
    /// Picker, locator or recipe.
    method: String,
    /// Version of the method.
    method_version: String,
    /// Time of the youngest sample that it rests on; null in rows of older versions.
    creation_time: Option<DateTime>,
}

impl From<&Provenance> for ProvenanceNode {
    fn from(provenance: &Provenance) -> Self {
        Self {
            agency_id: provenance.agency().to_owned(),
            author: provenance.author.clone(),
            evaluation_mode: provenance.evaluation_mode.into(),
            evaluation_status: provenance.evaluation_status.into(),
            method: provenance.method.clone(),
            method_version: provenance.method_version.clone(),
            creation_time: provenance.creation_time.map(DateTime),
        }
    }
}

/// An earthquake: its newest revision.
#[derive(Clone, Debug)]
pub(super) struct EventNode {
    pub(super) row: Arc<EventRow>,
    pub(super) view: Arc<View>,
}

impl EventNode {
    fn near(&self) -> Near {
        Near { id: self.row.event.event_id.to_string(), time: self.row.event.origin_time }
    }
}

/// An earthquake: its newest revision.
#[Object(name = "Event")]
impl EventNode {
    /// Stable over revisions.
    async fn event_id(&self) -> &str {
        &self.row.event.event_id
    }
    /// From 1.
    async fn revision(&self) -> u32 {
        self.row.event.revision
    }
    /// How final.
    async fn status(&self) -> Status {
        match self.row.event.status {
            EventStatus::Preliminary => Status::Preliminary,
            EventStatus::Closed => Status::Closed,
            EventStatus::Deleted => Status::Deleted,
        }
    }
    /// Of the preferred origin.
    async fn origin_time(&self) -> DateTime {
        DateTime(self.row.event.origin_time)
    }
    /// Of the preferred origin, degrees north, WGS84.
    async fn latitude(&self) -> Option<f64> {
        number(self.row.event.latitude)
    }
    /// Of the preferred origin, degrees east, WGS84.
    async fn longitude(&self) -> Option<f64> {
        number(self.row.event.longitude)
    }
    /// Of the preferred origin, below sea level.
    async fn depth_km(&self) -> Option<f64> {
        number(self.row.event.depth_km)
    }
    /// Of the preferred magnitude; null where there is none.
    async fn magnitude(&self) -> Option<f64> {
        self.row.event.magnitude.and_then(number)
    }
    /// Of the preferred magnitude.
    async fn magnitude_type(&self) -> Option<&str> {
        self.row.event.magnitude_type.as_deref()
    }
    /// The event that this one turned out to be; null where it stands for itself.
    async fn merged_into(&self) -> Option<&str> {
        self.row.event.merged_into.as_deref()
    }
    /// Who says so, how and when: of the preferred origin, and of whoever looked at the event.
    async fn provenance(&self) -> ProvenanceNode {
        ProvenanceNode::from(&self.row.event.provenance)
    }
    /// Quality of the location by the scheme of HYPO71: A (excellent) to D (poor).
    async fn quality_flag(&self) -> Option<&'static str> {
        self.row.origin.as_ref().map(quality_flag)
    }
    /// The origin that the values above are of.
    async fn preferred_origin(&self) -> Option<OriginNode> {
        let origin = self.row.origin.clone()?;
        Some(OriginNode { origin, view: Arc::clone(&self.view) })
    }
    /// All origins.
    #[graphql(complexity = "1 + 2 * child_complexity")]
    async fn origins(&self) -> Result<Vec<OriginNode>> {
        let origins = self.view.loader.load_one(OriginsOf(self.near())).await?.unwrap_or_default();
        let node = |origin: &Origin| OriginNode { origin: origin.clone(), view: Arc::clone(&self.view) };
        Ok(origins.iter().map(node).collect())
    }
    /// All network magnitudes.
    #[graphql(complexity = "1 + 2 * child_complexity")]
    async fn magnitudes(&self) -> Result<Vec<MagnitudeNode>> {
        let rows = self.view.loader.load_one(MagnitudesOf(self.near())).await?.unwrap_or_default();
        Ok(rows.iter().map(MagnitudeNode::from).collect())
    }
    /// Amplitudes and station magnitudes.
    #[graphql(complexity = "1 + 20 * child_complexity")]
    async fn amplitudes(&self) -> Result<Vec<AmplitudeNode>> {
        let rows = self.view.loader.load_one(AmplitudesOf(self.near())).await?.unwrap_or_default();
        Ok(rows.iter().map(AmplitudeNode::from).collect())
    }
}

/// Where and when, with uncertainty and quality.
#[derive(Clone, Debug)]
pub(super) struct OriginNode {
    pub(super) origin: Origin,
    pub(super) view: Arc<View>,
}

/// Where and when, with uncertainty and quality.
#[Object(name = "Origin")]
impl OriginNode {
    /// Name-based on event, method and picks.
    async fn origin_id(&self) -> &str {
        &self.origin.origin_id
    }
    /// Event.
    async fn event_id(&self) -> &str {
        &self.origin.event_id
    }
    /// Origin time.
    async fn origin_time(&self) -> DateTime {
        DateTime(self.origin.origin_time)
    }
    /// One standard deviation of the origin time.
    async fn time_uncertainty_s(&self) -> Option<f64> {
        number(self.origin.time_uncertainty_s)
    }
    /// Degrees north, WGS84.
    async fn latitude(&self) -> Option<f64> {
        number(self.origin.latitude)
    }
    /// Degrees east, WGS84.
    async fn longitude(&self) -> Option<f64> {
        number(self.origin.longitude)
    }
    /// Depth below sea level.
    async fn depth_km(&self) -> Option<f64> {
        number(self.origin.depth_km)
    }
    /// One standard deviation of the depth.
    async fn depth_uncertainty_km(&self) -> Option<f64> {
        number(self.origin.depth_uncertainty_km)
    }
    /// Covariance of the hypocentre east, north, down: xx, xy, xz, yy, yz, zz.
    async fn covariance_km2(&self) -> Vec<Option<f64>> {
        self.origin.covariance_km2.map(number).to_vec()
    }
    /// Semi-major axis of the horizontal error ellipse (68 %).
    async fn ellipse_major_km(&self) -> Option<f64> {
        number(self.origin.ellipse_major_km)
    }
    /// Semi-minor axis of the horizontal error ellipse (68 %).
    async fn ellipse_minor_km(&self) -> Option<f64> {
        number(self.origin.ellipse_minor_km)
    }
    /// Azimuth of the major axis, degrees clockwise from north.
    async fn ellipse_azimuth(&self) -> Option<f64> {
        number(self.origin.ellipse_azimuth)
    }
    /// Root mean square of the weighted residuals.
    async fn rms_s(&self) -> Option<f64> {
        number(self.origin.rms_s)
    }
    /// Largest gap in azimuth between stations used, degrees.
    async fn azimuthal_gap(&self) -> Option<f64> {
        number(self.origin.azimuthal_gap)
    }
    /// Epicentral distance of the nearest station used.
    async fn nearest_station_km(&self) -> Option<f64> {
        number(self.origin.nearest_station_km)
    }
    /// Phases used.
    async fn used_phase_count(&self) -> u32 {
        self.origin.used_phase_count
    }
    /// Stations used.
    async fn used_station_count(&self) -> u32 {
        self.origin.used_station_count
    }
    /// The locator.
    async fn method(&self) -> &str {
        &self.origin.provenance.method
    }
    /// Who says so, how and when.
    async fn provenance(&self) -> ProvenanceNode {
        ProvenanceNode::from(&self.origin.provenance)
    }
    /// Velocity model.
    async fn earth_model(&self) -> &str {
        &self.origin.earth_model
    }
    /// Picks as seen from this origin, nearest station first.
    #[graphql(complexity = "1 + 20 * child_complexity")]
    async fn arrivals(&self) -> Result<Vec<ArrivalNode>> {
        let near = Near { id: self.origin.origin_id.to_string(), time: self.origin.origin_time };
        let rows = self.view.loader.load_one(ArrivalsOf(near)).await?.unwrap_or_default();
        let node = |arrival: &Arrival| ArrivalNode { arrival: arrival.clone(), view: Arc::clone(&self.view) };
        Ok(rows.iter().map(node).collect())
    }
}

/// A pick as seen from an origin.
#[derive(Clone, Debug)]
pub(super) struct ArrivalNode {
    arrival: Arrival,
    view: Arc<View>,
}

/// A pick as seen from an origin.
#[Object(name = "Arrival")]
impl ArrivalNode {
    /// Name-based on origin and pick.
    async fn arrival_id(&self) -> &str {
        &self.arrival.arrival_id
    }
    /// Origin.
    async fn origin_id(&self) -> &str {
        &self.arrival.origin_id
    }
    /// Event.
    async fn event_id(&self) -> &str {
        &self.arrival.event_id
    }
    /// Pick.
    async fn pick_id(&self) -> &str {
        &self.arrival.pick_id
    }
    /// FDSN source identifier of the channel.
    async fn source_id(&self) -> &str {
        self.arrival.source_id.as_str()
    }
    /// Time of the pick.
    async fn pick_time(&self) -> DateTime {
        DateTime(self.arrival.pick_time)
    }
    /// Phase.
    async fn phase(&self) -> PhaseName {
        self.arrival.phase.into()
    }
    /// Epicentral distance.
    async fn distance_km(&self) -> Option<f64> {
        number(self.arrival.distance_km)
    }
    /// From the epicentre to the station, degrees clockwise from north.
    async fn azimuth(&self) -> Option<f64> {
        number(self.arrival.azimuth)
    }
    /// Observed minus calculated arrival time.
    async fn residual_s(&self) -> Option<f64> {
        number(self.arrival.residual_s)
    }
    /// Weight in the location, 0 to 1.
    async fn weight(&self) -> Option<f64> {
        number(self.arrival.weight)
    }
    /// One standard deviation of the time of the pick.
    async fn time_uncertainty_s(&self) -> Option<f64> {
        self.arrival.time_uncertainty_s.and_then(number)
    }
    /// First motion of the pick.
    async fn polarity(&self) -> Option<PolarityName> {
        self.arrival.polarity.map(PolarityName::from)
    }
    /// Sharpness of the pick.
    async fn onset(&self) -> Option<OnsetName> {
        self.arrival.onset.map(OnsetName::from)
    }
    /// The picker.
    async fn pick_method(&self) -> Option<&str> {
        self.arrival.pick_method.as_deref()
    }
    /// Version of the picker.
    async fn pick_method_version(&self) -> Option<&str> {
        self.arrival.pick_method_version.as_deref()
    }
    /// The pick; null where it is not (yet) in the lake.
    async fn pick(&self) -> Result<Option<PickNode>> {
        let near = Near { id: self.arrival.pick_id.to_string(), time: self.arrival.pick_time };
        let rows = self.view.loader.load_one(PickOf(near)).await?.unwrap_or_default();
        Ok(rows.first().map(|pick| PickNode { pick: pick.clone(), view: Arc::clone(&self.view) }))
    }
    /// The event.
    async fn event(&self) -> Result<Option<EventNode>> {
        let near = Near { id: self.arrival.event_id.to_string(), time: self.arrival.pick_time };
        let row = self.view.loader.load_one(EventOf(near)).await?;
        Ok(row.map(|row| EventNode { row, view: Arc::clone(&self.view) }))
    }
}

/// First motion on the vertical component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(name = "Polarity", remote = "Polarity")]
enum PolarityName {
    /// Up (compression).
    Positive,
    /// Down (dilatation).
    Negative,
    /// Not to be told.
    Undecidable,
}

/// Sharpness of the onset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(name = "Onset", remote = "Onset")]
enum OnsetName {
    /// Sharp.
    Impulsive,
    /// Gradual.
    Emergent,
}

/// The time at which a phase arrived on a channel.
#[derive(Clone, Debug)]
pub(super) struct PickNode {
    pub(super) pick: Pick,
    pub(super) view: Arc<View>,
}

/// The time at which a phase arrived on a channel.
#[Object(name = "Pick")]
impl PickNode {
    /// Name-based on channel, phase, method and time.
    async fn pick_id(&self) -> &str {
        &self.pick.pick_id
    }
    /// FDSN source identifier of the channel.
    async fn source_id(&self) -> &str {
        self.pick.source_id.as_str()
    }
    /// Network code.
    async fn network(&self) -> &str {
        self.pick.source_id.network()
    }
    /// Station code.
    async fn station(&self) -> &str {
        self.pick.source_id.station()
    }
    /// Onset time.
    async fn pick_time(&self) -> DateTime {
        DateTime(self.pick.pick_time)
    }
    /// One standard deviation of the onset time.
    async fn time_uncertainty_s(&self) -> Option<f64> {
        number(self.pick.time_uncertainty_s)
    }
    /// Phase as the picker reads it.
    async fn phase(&self) -> PhaseName {
        self.pick.phase.into()
    }
    /// First motion.
    async fn polarity(&self) -> PolarityName {
        self.pick.polarity.into()
    }
    /// Sharpness.
    async fn onset(&self) -> OnsetName {
        self.pick.onset.into()
    }
    /// Ratio of the amplitudes after and before the onset.
    async fn snr(&self) -> Option<f64> {
        number(self.pick.snr)
    }
    /// The picker.
    async fn method(&self) -> &str {
        &self.pick.provenance.method
    }
    /// Who says so, how and when.
    async fn provenance(&self) -> ProvenanceNode {
        ProvenanceNode::from(&self.pick.provenance)
    }
    /// Arrivals that use this pick.
    #[graphql(complexity = "1 + 2 * child_complexity")]
    async fn arrivals(&self) -> Result<Vec<ArrivalNode>> {
        let near = Near { id: self.pick.pick_id.to_string(), time: self.pick.pick_time };
        let rows = self.view.loader.load_one(ArrivalsOfPick(near)).await?.unwrap_or_default();
        let node = |arrival: &Arrival| ArrivalNode { arrival: arrival.clone(), view: Arc::clone(&self.view) };
        Ok(rows.iter().map(node).collect())
    }
}

/// Network magnitude of an event.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name = "Magnitude")]
pub(super) struct MagnitudeNode {
    /// Name-based on origin and type.
    magnitude_id: String,
    /// Origin.
    origin_id: String,
    /// Type, e.g. `ML`.
    magnitude_type: String,
    /// Value.
    magnitude: Option<f64>,
    /// Standard deviation over the stations; null of a single station.
    uncertainty: Option<f64>,
    /// Stations used.
    station_count: u32,
    /// Recipe.
    method: String,
    /// Who says so, how and when.
    provenance: ProvenanceNode,
}

impl From<&Magnitude> for MagnitudeNode {
    fn from(row: &Magnitude) -> Self {
        Self {
            magnitude_id: row.magnitude_id.to_string(),
            origin_id: row.origin_id.to_string(),
            magnitude_type: row.magnitude_type.clone(),
            magnitude: number(row.magnitude),
            uncertainty: row.uncertainty.and_then(number),
            station_count: row.station_count,
            method: row.provenance.method.clone(),
            provenance: ProvenanceNode::from(&row.provenance),
        }
    }
}

/// Largest Wood-Anderson amplitude of a channel for an event, and the station magnitude made of it.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name = "Amplitude")]
pub(super) struct AmplitudeNode {
    /// Name-based on origin and channel.
    amplitude_id: String,
    /// FDSN source identifier of the channel.
    source_id: String,
    /// Zero-to-peak Wood-Anderson displacement.
    amplitude_mm: Option<f64>,
    /// Second in which the peak lies.
    amplitude_time: DateTime,
    /// Hypocentral distance.
    hypocentral_distance_km: Option<f64>,
    /// Magnitude of this channel alone.
    station_magnitude: Option<f64>,
}

impl From<&Amplitude> for AmplitudeNode {
    fn from(row: &Amplitude) -> Self {
        Self {
            amplitude_id: row.amplitude_id.to_string(),
            source_id: row.source_id.to_string(),
            amplitude_mm: number(row.amplitude_mm),
            amplitude_time: DateTime(row.amplitude_time),
            hypocentral_distance_km: number(row.hypocentral_distance_km),
            station_magnitude: number(row.station_magnitude),
        }
    }
}

/// An event and its cursor.
#[derive(Clone, Debug, SimpleObject)]
pub(super) struct EventEdge {
    pub(super) cursor: String,
    pub(super) node: EventNode,
}

/// A page of events.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(super) struct EventConnection {
    /// Events of this page.
    pub(super) nodes: Vec<EventNode>,
    /// The same with cursors.
    pub(super) edges: Vec<EventEdge>,
    pub(super) page_info: PageInfo,
    /// Snapshot of `bulletin.events` that was read: `asOf` of a repeatable query. Null before the first commit.
    pub(super) snapshot_id: Option<Snapshot>,
    #[graphql(skip)]
    pub(super) filter: EventFilter,
    #[graphql(skip)]
    pub(super) view: Arc<View>,
}

#[ComplexObject]
impl EventConnection {
    /// Events that pass the filter, on all pages. Counted only when asked for.
    async fn total_count(&self) -> Result<i64> {
        Ok(count_events(&self.view.context, &self.filter).await?)
    }
}

/// A pick and its cursor.
#[derive(Clone, Debug, SimpleObject)]
pub(super) struct PickEdge {
    pub(super) cursor: String,
    pub(super) node: PickNode,
}

/// A page of picks.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(super) struct PickConnection {
    /// Picks of this page.
    pub(super) nodes: Vec<PickNode>,
    /// The same with cursors.
    pub(super) edges: Vec<PickEdge>,
    pub(super) page_info: PageInfo,
    /// Snapshot of `bulletin.picks` that was read.
    pub(super) snapshot_id: Option<Snapshot>,
    #[graphql(skip)]
    pub(super) filter: PickFilter,
    #[graphql(skip)]
    pub(super) view: Arc<View>,
}

#[ComplexObject]
impl PickConnection {
    /// Picks that pass the filter, on all pages. Counted only when asked for.
    async fn total_count(&self) -> Result<i64> {
        Ok(count_picks(&self.view.context, &self.filter).await?)
    }
}
