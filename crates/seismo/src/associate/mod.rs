//! Which picks belong together: from phase picks to events.
//!
//! ```text
//! picks ─► windows of origin time, aligned to 1970 ─► octree: cells that many picks point to, best first
//!                                                        └─► hypocentre ─► members ─► association
//! ```
//! Windows are closed one after the other, each when all picks that an origin in it (or in the lookahead behind it)
//! can have are there. What is declared is therefore a function of the set of picks: neither the order in which they
//! were pushed nor the moments of `advance` matter. Each pick belongs to one event at most.
//!
//! Deliberately not here: final locations (the `locate` module has them) and guesses about mislabelled phases.

mod amplitudes;
mod hypocentre;
mod octree;
mod pool;
mod search;
mod settings;
#[cfg(test)]
mod tests;
mod travel_table;
mod window;

use std::collections::BTreeMap;
use std::sync::Arc;

use seislake_model::{
    AmplitudeTrace, Association, Coordinates, EventId, Phase, Pick, PickId, SourceId, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::geometry::{LocalFrame, SurfacePoint};
use crate::travel_time::TravelTime;
use hypocentre::WindowEvent;
use octree::{Octree, Site, TravelTables};
use pool::WindowPick;
pub use settings::AssociateSettings;
use window::{Declaration, WindowSearch};

/// A station that moves less than this stays where it was: sensors of one site share its travel times.
const MOVED_KM: f64 = 1.1;
const MOVED_M: f64 = 200.0;

/// Places are taken to a decimetre, so that a snapshot written with a last digit off changes no event.
const DEGREE_PARTS: f64 = 1e6;

/// A pick waiting for its event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldPick {
    /// The pick.
    pub pick: Pick,
    /// Place of its station.
    pub at: Coordinates,
}

/// A station that made picks lately.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeardStation {
    /// Where it stands.
    pub at: Coordinates,
    /// Its latest pick.
    pub last_pick_time: Timestamp,
}

/// An event already declared, remembered while another could be taken for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeclaredEvent {
    /// Origin time.
    pub origin_time: Timestamp,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Keys of its stations, in order.
    pub stations: Vec<String>,
    /// Depth below sea level.
    #[serde(default)]
    pub depth_km: f64,
    /// Event.
    #[serde(default)]
    pub event_id: EventId,
    /// Its P at each of the stations, where picked.
    #[serde(default)]
    pub p_times: Vec<Option<Timestamp>>,
}

/// Everything an [`Associator`] remembers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AssociatorState {
    /// Latest watermark.
    pub watermark: Timestamp,
    /// Index of the next window to close.
    pub next_window: i64,
    /// Picks not yet used, by time.
    pub picks: Vec<HeldPick>,
    /// Amplitudes, by channel and time.
    pub amplitude_traces: Vec<AmplitudeTrace>,
    /// Stations by key.
    pub stations: BTreeMap<String, HeardStation>,
    /// Latest events.
    pub declared: Vec<DeclaredEvent>,
    /// Associations that wait for amplitudes and for the events behind them.
    pub waiting: Vec<Association>,
    /// Length of the windows that `next_window` counts; 0 in states written before it was noted.
    #[serde(default)]
    pub window_ns: i64,
}

type PickKey = (Timestamp, PickId);
type TraceKey = (String, Timestamp);

/// The tree of the stations known, made anew when these change.
#[derive(Debug)]
struct Network {
    keys: BTreeMap<String, u32>,
    sites: Vec<Site>,
    tree: Octree,
}

/// Space-time phase associator: P and S picks of a network in, events out. See the module for its rules.
#[derive(Debug)]
pub struct Associator {
    settings: AssociateSettings,
    /// The settings within reach of the stations known.
    reach: AssociateSettings,
    /// The longest travel time within reach: a function of the stations heard so far.
    longest_travel_time_s: f64,
    tables: TravelTables,
    network: Option<Network>,
    watermark: Timestamp,
    next_window: i64,
    picks: BTreeMap<PickKey, HeldPick>,
    amplitude_traces: BTreeMap<TraceKey, AmplitudeTrace>,
    stations: BTreeMap<String, HeardStation>,
    declared: Vec<DeclaredEvent>,
    waiting: Vec<Association>,
}

impl Associator {
    /// An associator that has seen nothing. Samples `travel_time` (some 20 000 times per elevation of stations).
    pub fn new(settings: AssociateSettings, travel_time: Arc<dyn TravelTime>) -> Self {
        let mut associator = Self {
            reach: settings.clone(),
            longest_travel_time_s: 0.0,
            tables: TravelTables::new(travel_time),
            settings,
            network: None,
            watermark: Timestamp::MIN,
            next_window: i64::MIN,
            picks: BTreeMap::new(),
            amplitude_traces: BTreeMap::new(),
            stations: BTreeMap::new(),
            declared: Vec::new(),
            waiting: Vec::new(),
        };
        associator.measure();
        associator
    }

    /// Adds a pick with the place of its station. Order does not matter. A pick older than the last watermark
    /// reopens its window: it can still make an event with other picks that belong to none.
    pub fn push_pick(&mut self, pick: Pick, at: Coordinates) {
        if !(at.latitude.is_finite() && at.longitude.is_finite() && at.elevation_m.is_finite()) {
            return;
        }
        if pick.pick_time < self.window_begin(self.next_window).add_seconds(-self.slack_s()) {
            self.next_window = self.next_window.min(self.first_window_of(pick.pick_time));
        }
        self.picks.insert((pick.pick_time, pick.pick_id.clone()), HeldPick { pick, at });
        while self.picks.len() > self.settings.held_picks_max.max(1) {
            self.close_next_window();
        }
    }

    /// Adds amplitudes; they go to the events whose stations and time they cover.
    pub fn push_amplitude_trace(&mut self, trace: AmplitudeTrace) {
        self.amplitude_traces.insert((trace.source_id.to_string(), trace.start_time), trace);
        while self.amplitude_traces.len() > self.settings.held_picks_max.max(1) {
            let oldest = self.amplitude_traces.iter().min_by_key(|(key, _)| (key.1, &key.0));
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { break };
            self.amplitude_traces.remove(&key);
        }
    }

    /// Nothing older than `watermark` will follow: returns the associations of all events whose picks and amplitudes
    /// are complete, earliest first. `Timestamp::MAX` closes everything. A watermark older than the last is ignored.
    pub fn advance(&mut self, watermark: Timestamp) -> Vec<Association> {
        self.watermark = self.watermark.max(watermark);
        while self.next_pick_window().is_some_and(|window| window < self.searchable_window()) {
            self.close_next_window();
        }
        self.next_window = self.next_window.max(self.searchable_window());
        let mut associations = self.take_complete();
        self.forget();
        associations.sort_by(|a, b| (a.origin_time, &a.event_id).cmp(&(b.origin_time, &b.event_id)));
        associations
    }

    /// Everything remembered; [`Associator::restore`] goes on from it as if nothing had happened.
    pub fn snapshot(&self) -> AssociatorState {
        AssociatorState {
            watermark: self.watermark,
            next_window: self.next_window,
            picks: self.picks.values().cloned().collect(),
            amplitude_traces: self.amplitude_traces.values().cloned().collect(),
            stations: self.stations.clone(),
            declared: self.declared.clone(),
            waiting: self.waiting.clone(),
            window_ns: self.window_nanos(),
        }
    }

    /// An associator that continues where `state` was taken. Other settings than then hold for all windows that are
    /// still to be closed.
    pub fn restore(
        settings: AssociateSettings,
        travel_time: Arc<dyn TravelTime>,
        state: AssociatorState,
    ) -> Self {
        let mut associator = Self::new(settings, travel_time);
        associator.watermark = state.watermark;
        associator.next_window = match state.window_ns {
            0 => state.next_window,
            window_ns if window_ns == associator.window_nanos() => state.next_window,
            window_ns => {
                associator.window_of(Timestamp::from_nanos(state.next_window.saturating_mul(window_ns)))
            }
        };
        associator.picks = state
            .picks
            .into_iter()
            .map(|held| ((held.pick.pick_time, held.pick.pick_id.clone()), held))
            .collect();
        associator.amplitude_traces = state
            .amplitude_traces
            .into_iter()
            .map(|trace| ((trace.source_id.to_string(), trace.start_time), trace))
            .collect();
        associator.stations = state.stations;
        associator.declared = state.declared;
        associator.waiting = state.waiting;
        associator.measure();
        associator
    }

    fn window_nanos(&self) -> i64 {
        (self.settings.window_s.max(1.0) * 1e9) as i64
    }

    fn window_of(&self, time: Timestamp) -> i64 {
        time.nanos().div_euclid(self.window_nanos())
    }

    fn window_begin(&self, window: i64) -> Timestamp {
        Timestamp::from_nanos(window.saturating_mul(self.window_nanos()))
    }

    /// How much earlier than its window an origin may fall and still be declared in it.
    fn slack_s(&self) -> f64 {
        self.settings.event_interval_s + self.settings.tolerance_s
    }

    /// The first window whose origins can have a pick at `time`.
    fn first_window_of(&self, time: Timestamp) -> i64 {
        self.window_of(time.add_seconds(-self.longest_travel_time_s))
    }

    /// The first window that picks still to come can touch.
    fn searchable_window(&self) -> i64 {
        self.first_open_window(2.0 * self.longest_travel_time_s)
    }

    /// The first window that picks or amplitudes still to come can touch.
    fn complete_window(&self) -> i64 {
        self.first_open_window(2.0 * self.longest_travel_time_s + self.settings.amplitude_window_s.max(0.0))
    }

    fn first_open_window(&self, delay_s: f64) -> i64 {
        if self.watermark == Timestamp::MAX {
            return self.window_of(Timestamp::MAX) + 1;
        }
        self.window_of(self.watermark.add_seconds(-delay_s))
    }

    /// The next window that has picks.
    fn next_pick_window(&self) -> Option<i64> {
        let ((first, _), _) = self.picks.first_key_value()?;
        Some(self.next_window.max(self.first_window_of(*first)))
    }

    /// Closes the next window that has picks; what is found there waits for its amplitudes.
    fn close_next_window(&mut self) {
        let Some(window) = self.next_pick_window() else { return };
        let begin = self.window_begin(window);
        let from = begin.add_seconds(-self.slack_s());
        let until = begin.add_seconds(self.settings.window_s + 2.0 * self.longest_travel_time_s);
        let keys: Vec<PickKey> = self
            .picks
            .range((from, PickId::default())..(until, PickId::default()))
            .map(|(key, _)| key.clone())
            .collect();
        if keys.len() >= self.settings.picks_min {
            let associations = self.search(begin, &keys);
            self.waiting.extend(associations);
        }
        self.next_window = window.saturating_add(1);
        let next = self.window_begin(self.next_window);
        self.picks = match next {
            Timestamp::MAX => BTreeMap::new(),
            next => self.picks.split_off(&(next.add_seconds(-self.slack_s()), PickId::default())),
        };
    }

    /// Searches the window that begins at `begin`; takes the picks of what it finds.
    fn search(&mut self, begin: Timestamp, keys: &[PickKey]) -> Vec<Association> {
        self.hear(begin, keys);
        let network = match self.network.take() {
            Some(network) => network,
            None => self.build_network(),
        };
        let picks = keys.iter().filter_map(|key| {
            let pick = &self.picks.get(key)?.pick;
            Some(WindowPick {
                site: *network.keys.get(&pick.source_id.station_key())?,
                phase: usize::from(pick.phase == Phase::S),
                time_s: pick.pick_time.seconds_since(begin),
            })
        });
        let earlier = self.declared.iter().map(|event| Declaration {
            time_s: event.origin_time.seconds_since(begin),
            latitude: event.latitude,
            longitude: event.longitude,
            sites: event.stations.iter().filter_map(|key| network.keys.get(key).copied()).collect(),
        });
        let search = WindowSearch::new(
            &self.reach,
            &network.tree,
            &network.sites,
            picks.collect(),
            earlier.collect(),
            self.longest_travel_time_s,
        );
        let mut found = search.run();
        found.retain(|event| event.time_s < self.settings.window_s);
        let mut associations: Vec<Association> =
            found.into_iter().map(|event| self.declare(begin, keys, event)).collect();
        associations.sort_by(|a, b| (a.origin_time, &a.event_id).cmp(&(b.origin_time, &b.event_id)));
        self.network = Some(network);
        associations
    }

    /// Notes the stations of a window's picks; a new, moved or forgotten one makes the tree obsolete.
    fn hear(&mut self, begin: Timestamp, keys: &[PickKey]) {
        let mut changed = false;
        for held in keys.iter().filter_map(|key| self.picks.get(key)) {
            let time = held.pick.pick_time;
            let key = held.pick.source_id.station_key();
            match self.stations.get_mut(&key) {
                Some(station) => {
                    station.last_pick_time = station.last_pick_time.max(time);
                    if moved(&station.at, &held.at) {
                        station.at = rounded(held.at);
                        changed = true;
                    }
                }
                None => {
                    self.stations.insert(key, HeardStation { at: rounded(held.at), last_pick_time: time });
                    changed = true;
                }
            }
        }
        let oldest = begin.add_seconds(-self.settings.station_memory_s);
        let known = self.stations.len();
        self.stations.retain(|_, station| station.last_pick_time >= oldest);
        if changed || self.stations.len() != known {
            self.network = None;
            self.measure();
        }
    }

    /// What is within reach of the stations known; of none, all that the settings allow.
    fn measure(&mut self) {
        let points: Vec<SurfacePoint> = self
            .stations
            .values()
            .map(|station| SurfacePoint::new(station.at.latitude, station.at.longitude))
            .collect();
        self.reach = match aperture_km(&points) {
            Some(aperture_km) => self.settings.within(aperture_km),
            None => self.settings.clone(),
        };
        let table = self.tables.at_elevation(&self.settings, 0.0);
        let longest_s = table.longest_s(self.reach.distance_km_max, self.reach.depth_km_max);
        self.longest_travel_time_s = longest_s + self.settings.tolerance_s(longest_s);
    }

    fn build_network(&mut self) -> Network {
        let mut keys = BTreeMap::new();
        let mut sites = Vec::with_capacity(self.stations.len());
        for (key, station) in &self.stations {
            let elevation_km = station.at.elevation_m / 1000.0;
            keys.insert(key.clone(), sites.len() as u32);
            sites.push(Site {
                latitude: station.at.latitude,
                longitude: station.at.longitude,
                point: SurfacePoint::new(station.at.latitude, station.at.longitude),
                elevation_km,
                table: self.tables.at_elevation(&self.settings, elevation_km),
            });
        }
        let tree = Octree::new(&self.reach, &sites);
        Network { keys, sites, tree }
    }

    /// Takes the picks of an event out and makes its association.
    fn declare(&mut self, begin: Timestamp, keys: &[PickKey], event: WindowEvent) -> Association {
        for index in event.echoes {
            self.picks.remove(&keys[index as usize]);
        }
        let members = event.members.iter().filter_map(|index| self.picks.remove(&keys[*index as usize]));
        let (sites, picks): (BTreeMap<SourceId, Coordinates>, Vec<Pick>) =
            members.map(|held| ((held.pick.source_id.clone(), held.at), held.pick)).unzip();
        let origin_time = begin.add_seconds(event.time_s);
        let mut stations: Vec<String> = picks.iter().map(|pick| pick.source_id.station_key()).collect();
        stations.sort_unstable();
        stations.dedup();
        let p_time = |station: &String| {
            let p = |pick: &&Pick| pick.phase == Phase::P && pick.source_id.station_key() == *station;
            picks.iter().find(p).map(|pick| pick.pick_time)
        };
        let p_times = stations.iter().map(p_time).collect();
        let event_id = EventId::of(picks.first().map_or("", |pick| pick.pick_id.as_str()));
        self.declared.push(DeclaredEvent {
            origin_time,
            latitude: event.latitude,
            longitude: event.longitude,
            stations,
            depth_km: event.depth_km,
            event_id: event_id.clone(),
            p_times,
        });
        Association {
            event_id,
            origin_time,
            latitude: event.latitude,
            longitude: event.longitude,
            depth_km: event.depth_km,
            picks,
            sites,
            amplitude_traces: Vec::new(),
        }
    }
}

/// The diagonal of the box around stations, wherever on Earth they stand; `None` of none.
fn aperture_km(stations: &[SurfacePoint]) -> Option<f64> {
    let (latitude, longitude) = SurfacePoint::middle_of(stations)?.to_degrees();
    let frame = LocalFrame::new(latitude, longitude);
    let (mut least, mut most) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    for station in stations {
        let (east_km, north_km) = frame.point_to_km(station);
        for (axis, km) in [east_km, north_km].into_iter().enumerate() {
            least[axis] = least[axis].min(km);
            most[axis] = most[axis].max(km);
        }
    }
    Some((most[0] - least[0]).hypot(most[1] - least[1]))
}

fn rounded(at: Coordinates) -> Coordinates {
    let round = |value: f64, parts: f64| (value * parts).round() / parts;
    Coordinates {
        latitude: round(at.latitude, DEGREE_PARTS),
        longitude: round(at.longitude, DEGREE_PARTS),
        elevation_m: round(at.elevation_m, 10.0),
    }
}

fn moved(from: &Coordinates, to: &Coordinates) -> bool {
    let point = |at: &Coordinates| SurfacePoint::new(at.latitude, at.longitude);
    let same = from.latitude == to.latitude && from.longitude == to.longitude;
    (!same && point(from).distance_km(&point(to)) > MOVED_KM)
        || (from.elevation_m - to.elevation_m).abs() > MOVED_M
}
