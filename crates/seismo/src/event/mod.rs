//! The owner of events: folds what is said about them into revisions.
//!
//! ```text
//! proposal ─► which event? ─────────► its origins and magnitudes ─► preferred ones ─► a revision, where anything changed
//! (origin,    named, shared picks,                                 (rank.rs)
//!  magnitude, same place and time
//!  review)    (matching.rs)
//! ```
//! The rules stand in `docs/events.md`. What comes out is a function of the proposals in their order: no clock, and cut
//! invariant. An event keeps its id while it lives, whichever pick is its first; one that turns out to be another points to
//! it. Events are forgotten in the order in which they were declared, when there are more than
//! [`EventSettings::events_max`]; their rows stay.

mod matching;
mod possible;
mod rank;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use seislake_model::{
    Arrival, EvaluationMode, EvaluationStatus, Event, EventId, EventStatus, Location, Magnitude, MagnitudeId,
    MagnitudeResult, OriginId, Proposal, Provenance, Review, ReviewAction, Revision, Timestamp, short_id,
};
use serde::{Deserialize, Serialize};

use matching::Index;

use crate::travel_time::TravelTime;

/// Origins, and magnitudes, that one event may have: more is no science.
const SOLUTIONS_MAX: usize = 200;

/// How events are made of proposals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventSettings {
    /// Agency that answers for what the stages find.
    pub agency_id: String,
    /// Agencies whose solutions are preferred to those of others, the most believed first; in any case.
    pub preferred_agencies: Vec<String>,
    /// Types of magnitude in the order in which they are preferred; others come behind them; in any case.
    pub preferred_magnitudes: Vec<String>,
    /// Share of the picks of the smaller of two origins that makes them origins of one event.
    pub shared_picks_min: f64,
    /// Origins with too few common picks can be of one event up to this long apart, if no station has a phase twice ...
    pub same_event_s_max: f64,
    /// ... up to this far apart ...
    pub same_event_km_max: f64,
    /// ... and if half of the picks of the one come this close to where the other has them.
    pub same_event_residual_s_max: f64,
    /// Events that proposals can still change: the latest declared.
    pub events_max: usize,
}

impl Default for EventSettings {
    fn default() -> Self {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Self {
            agency_id: "seislake".to_owned(),
            preferred_agencies: Vec::new(),
            preferred_magnitudes: texts(&["Mww", "Mwc", "Mwb", "Mwr", "Mw", "ML", "Ms", "mb", "Md"]),
            shared_picks_min: 0.5,
            same_event_s_max: 5.0,
            same_event_km_max: 50.0,
            same_event_residual_s_max: 0.5,
            events_max: 5000,
        }
    }
}

/// Why a proposal changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A magnitude of an origin, or a review of an event, that is not known (any more).
    #[error("{what} is not among the {events_max} latest events")]
    NotFound {
        /// What is not there.
        what: String,
        /// How many are remembered.
        events_max: usize,
    },
    /// The event has as many origins or magnitudes as it may have.
    #[error("event \"{event_id}\" has {SOLUTIONS_MAX} {what} already")]
    TooMany {
        /// The event.
        event_id: EventId,
        /// Origins or magnitudes.
        what: &'static str,
    },
    /// The review asks for something that cannot be.
    #[error("{0}")]
    Senseless(String),
}

/// An origin as far as the rules look at it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct OriginRecord {
    origin_id: OriginId,
    origin_time: Timestamp,
    latitude: f64,
    longitude: f64,
    depth_km: f64,
    time_uncertainty_s: f64,
    ellipse_major_km: f64,
    used_phase_count: u32,
    provenance: Provenance,
    /// Short ids of its picks, ascending.
    picks: Vec<u64>,
    /// Times of its picks by the short id of station and phase, ascending.
    phase_times: Vec<(u64, Timestamp)>,
    /// Short ids of the results that measured its magnitude.
    measured: Vec<u64>,
}

impl OriginRecord {
    fn new(location: &Location) -> Self {
        let origin = &location.origin;
        let arrivals = || location.arrivals.iter();
        let mut picks: Vec<u64> = arrivals().map(|arrival| short_id(&arrival.pick_id)).collect();
        picks.sort_unstable();
        picks.dedup();
        let of_phase = |arrival: &Arrival| {
            let phase = format!("{}/{}", arrival.source_id.station_key(), arrival.phase.as_str());
            (short_id(&phase), arrival.pick_time)
        };
        let mut phase_times: Vec<(u64, Timestamp)> = arrivals().map(of_phase).collect();
        phase_times.sort_unstable();
        Self {
            origin_id: origin.origin_id.clone(),
            origin_time: origin.origin_time,
            latitude: origin.latitude,
            longitude: origin.longitude,
            depth_km: origin.depth_km,
            time_uncertainty_s: origin.time_uncertainty_s,
            ellipse_major_km: origin.ellipse_major_km,
            used_phase_count: origin.used_phase_count,
            provenance: origin.provenance.clone(),
            picks,
            phase_times,
            measured: Vec::new(),
        }
    }
}

/// A magnitude as far as the rules look at it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct MagnitudeRecord {
    magnitude_id: MagnitudeId,
    origin_id: OriginId,
    magnitude: f64,
    magnitude_type: String,
    station_count: u32,
    provenance: Provenance,
}

impl MagnitudeRecord {
    fn new(magnitude: &Magnitude) -> Self {
        Self {
            magnitude_id: magnitude.magnitude_id.clone(),
            origin_id: magnitude.origin_id.clone(),
            magnitude: magnitude.magnitude,
            magnitude_type: magnitude.magnitude_type.clone(),
            station_count: magnitude.station_count,
            provenance: magnitude.provenance.clone(),
        }
    }
}

/// Everything remembered of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct EventRecord {
    /// The last revision; `None` before the first.
    last: Option<Event>,
    event_id: EventId,
    origins: Vec<OriginRecord>,
    magnitudes: Vec<MagnitudeRecord>,
    /// Origin and magnitude that somebody chose.
    chosen_origin: Option<OriginId>,
    chosen_magnitude: Option<MagnitudeId>,
    /// How far somebody has looked at it.
    evaluation: Option<Provenance>,
    merged_into: Option<EventId>,
    is_withdrawn: bool,
    /// Somebody made it of another, or another of it.
    is_split: bool,
}

impl EventRecord {
    fn new(event_id: EventId) -> Self {
        Self {
            last: None,
            event_id,
            origins: Vec::new(),
            magnitudes: Vec::new(),
            chosen_origin: None,
            chosen_magnitude: None,
            evaluation: None,
            merged_into: None,
            is_withdrawn: false,
            is_split: false,
        }
    }

    fn lives(&self) -> bool {
        !self.is_withdrawn && self.merged_into.is_none()
    }

    /// Whether a person has looked at it: programs do not merge it away.
    fn is_reviewed(&self) -> bool {
        let manual = |origin: &OriginRecord| origin.provenance.evaluation_mode == EvaluationMode::Manual;
        let chosen = self.chosen_origin.is_some() || self.chosen_magnitude.is_some();
        chosen || self.is_split || self.evaluation.is_some() || self.origins.iter().any(manual)
    }
}

/// Everything that an [`EventOwner`] remembers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EventOwnerState {
    /// Events by the number under which they were declared.
    events: BTreeMap<u64, EventRecord>,
    /// The next number.
    next: u64,
}

/// Folds proposals into revisions of events.
#[derive(Clone, Debug)]
pub struct EventOwner {
    settings: EventSettings,
    travel_time: Arc<dyn TravelTime>,
    state: EventOwnerState,
    index: Index,
}

impl EventOwner {
    /// Before the first proposal.
    pub fn new(settings: EventSettings, travel_time: Arc<dyn TravelTime>) -> Self {
        Self::restore(settings, travel_time, EventOwnerState::default())
    }

    /// Everything remembered; [`EventOwner::restore`] goes on from it as if nothing had happened.
    pub fn snapshot(&self) -> EventOwnerState {
        self.state.clone()
    }

    /// Goes on where `state` was taken; other settings hold for what is proposed from now on.
    pub fn restore(
        settings: EventSettings,
        travel_time: Arc<dyn TravelTime>,
        state: EventOwnerState,
    ) -> Self {
        let mut index = Index::default();
        for (number, record) in &state.events {
            index.add_event(*number, record);
        }
        Self { settings, travel_time, state, index }
    }

    /// What becomes of a proposal. `None`: nothing, it was known.
    ///
    /// # Errors
    /// Why it is refused; everything is then as before.
    pub fn propose(&mut self, proposal: Proposal) -> Result<Option<Revision>, Refusal> {
        match proposal {
            Proposal::Origin { location } => self.propose_origin(*location),
            Proposal::Magnitude { magnitude } => self.propose_magnitude(*magnitude),
            Proposal::Review { review } => self.review(*review).map(Some),
        }
    }

    fn propose_origin(&mut self, location: Location) -> Result<Option<Revision>, Refusal> {
        possible::origin(&location)?;
        if self.index.of_origin(&location.origin.origin_id).is_some() {
            return Ok(None);
        }
        let record = OriginRecord::new(&location);
        let found = self.events_of(&location, &record);
        let Location { mut origin, mut arrivals, .. } = location;
        let together = found.iter().filter_map(|number| self.state.events.get(number));
        let counts = together.map(|event| (event.origins.len(), event.magnitudes.len()));
        let (origins, magnitudes) = counts.fold((1, 0), |all, one| (all.0 + one.0, all.1 + one.1));
        if origins > SOLUTIONS_MAX || magnitudes > SOLUTIONS_MAX {
            return Err(Refusal::TooMany { event_id: origin.event_id, what: "origins or magnitudes" });
        }
        let number = match found.first() {
            Some(number) => *number,
            None => self.declare(origin.event_id.clone()),
        };
        let mut changed = vec![number];
        for other in found.into_iter().skip(1) {
            self.merge(other, number);
            changed.push(other);
        }
        let Some(event) = self.state.events.get_mut(&number) else { return Ok(None) };
        origin.event_id = event.event_id.clone();
        arrivals.iter_mut().for_each(|arrival| arrival.event_id = event.event_id.clone());
        self.index.add_origin(number, &record);
        event.origins.push(record);
        let events = self.revise(&changed);
        self.forget();
        Ok(Some(Revision { events, origins: vec![origin], arrivals, ..Revision::default() }))
    }

    fn propose_magnitude(&mut self, result: MagnitudeResult) -> Result<Option<Revision>, Refusal> {
        possible::magnitude(&result)?;
        let MagnitudeResult { mut magnitude, mut amplitudes } = result;
        let of_magnitude = magnitude.as_ref().map(|magnitude| &magnitude.origin_id);
        let origin_id = of_magnitude.or_else(|| amplitudes.first().map(|amplitude| &amplitude.origin_id));
        let Some(origin_id) = origin_id else { return Ok(None) };
        let number = self.index.of_origin(origin_id).ok_or_else(|| self.not_found("origin", origin_id))?;
        let ids = amplitudes.iter().map(|amplitude| amplitude.amplitude_id.as_str());
        let ids = ids.chain(magnitude.iter().map(|magnitude| magnitude.magnitude_id.as_str()));
        let result = short_id(&ids.collect::<Vec<_>>().join(" "));
        let Some(event) = self.state.events.get_mut(&number) else { return Ok(None) };
        let is_full = event.magnitudes.len() >= SOLUTIONS_MAX;
        let Some(origin) = event.origins.iter_mut().find(|origin| origin.origin_id == *origin_id) else {
            return Ok(None);
        };
        if origin.measured.contains(&result) {
            return Ok(None);
        }
        if is_full || origin.measured.len() >= SOLUTIONS_MAX {
            return Err(Refusal::TooMany { event_id: event.event_id.clone(), what: "magnitudes" });
        }
        origin.measured.push(result);
        amplitudes.iter_mut().for_each(|amplitude| amplitude.event_id = event.event_id.clone());
        if let Some(magnitude) = &mut magnitude {
            magnitude.event_id = event.event_id.clone();
            event.magnitudes.push(MagnitudeRecord::new(magnitude));
        }
        let events = self.revise(&[number]);
        let magnitudes = magnitude.into_iter().collect();
        Ok(Some(Revision { events, magnitudes, amplitudes, ..Revision::default() }))
    }

    fn review(&mut self, review: Review) -> Result<Revision, Refusal> {
        let Review { event_id, action, provenance } = review;
        let number = self.number_of(&event_id)?;
        let mut changed = vec![number];
        match action {
            ReviewAction::Merge { into } => {
                let survivor = self.number_of(&into)?;
                if survivor == number {
                    return Err(Refusal::Senseless(format!(
                        "event \"{event_id}\" cannot be merged into itself"
                    )));
                }
                let solutions = |number: u64| {
                    let event = self.state.events.get(&number);
                    event.map_or(0, |event| event.origins.len().max(event.magnitudes.len()))
                };
                if solutions(number) + solutions(survivor) > SOLUTIONS_MAX {
                    return Err(Refusal::TooMany { event_id: into, what: "origins or magnitudes" });
                }
                self.merge(number, survivor);
                changed.push(survivor);
            }
            ReviewAction::Split { origin_ids } => changed.push(self.split(number, &origin_ids)?),
            ReviewAction::Withdraw | ReviewAction::Evaluate { status: EvaluationStatus::Rejected } => {
                let status = EvaluationStatus::Rejected;
                self.change(number, |event| {
                    event.is_withdrawn = true;
                    event.evaluation = Some(Provenance { evaluation_status: status, ..provenance });
                });
            }
            ReviewAction::Evaluate { status } => self.change(number, |event| {
                event.is_withdrawn = false;
                event.evaluation = Some(Provenance { evaluation_status: status, ..provenance });
            }),
            ReviewAction::PreferOrigin { origin_id } => {
                self.check(number, "origin", &origin_id, |event| {
                    event.origins.iter().any(|origin| origin.origin_id == origin_id)
                })?;
                self.change(number, |event| event.chosen_origin = Some(origin_id));
            }
            ReviewAction::PreferMagnitude { magnitude_id } => {
                self.check(number, "magnitude", &magnitude_id, |event| {
                    event.magnitudes.iter().any(|magnitude| magnitude.magnitude_id == magnitude_id)
                })?;
                self.change(number, |event| event.chosen_magnitude = Some(magnitude_id));
            }
        }
        Ok(Revision { events: self.revise(&changed), ..Revision::default() })
    }

    /// The event of an id, or the one that it was merged into.
    fn number_of(&self, event_id: &EventId) -> Result<u64, Refusal> {
        let mut event_id = event_id;
        // An event is merged into one that lives then: chains have an end.
        loop {
            let number = self.index.of_event(event_id).ok_or_else(|| self.not_found("event", event_id))?;
            match self.state.events.get(&number).and_then(|event| event.merged_into.as_ref()) {
                Some(survivor) => event_id = survivor,
                None => return Ok(number),
            }
        }
    }

    fn not_found(&self, kind: &str, id: &str) -> Refusal {
        Refusal::NotFound { what: format!("{kind} \"{id}\""), events_max: self.settings.events_max }
    }

    fn check(
        &self,
        number: u64,
        kind: &str,
        id: &str,
        holds: impl Fn(&EventRecord) -> bool,
    ) -> Result<(), Refusal> {
        match self.state.events.get(&number) {
            Some(event) if holds(event) => Ok(()),
            Some(event) => {
                Err(Refusal::Senseless(format!("event \"{}\" has no {kind} \"{id}\"", event.event_id)))
            }
            None => Err(self.not_found(kind, id)),
        }
    }

    fn change(&mut self, number: u64, change: impl FnOnce(&mut EventRecord)) {
        if let Some(event) = self.state.events.get_mut(&number) {
            change(event);
        }
    }

    fn declare(&mut self, event_id: EventId) -> u64 {
        let number = self.state.next;
        self.state.next += 1;
        let record = EventRecord::new(event_id);
        self.index.add_event(number, &record);
        self.state.events.insert(number, record);
        number
    }

    /// What one event has becomes another's; it points there.
    fn merge(&mut self, number: u64, survivor: u64) {
        let Some(survivor_id) = self.state.events.get(&survivor).map(|event| event.event_id.clone()) else {
            return;
        };
        let Some(event) = self.state.events.get_mut(&number) else { return };
        event.merged_into = Some(survivor_id);
        let (origins, magnitudes) =
            (std::mem::take(&mut event.origins), std::mem::take(&mut event.magnitudes));
        for origin in &origins {
            self.index.remove_origin(number, origin);
            self.index.add_origin(survivor, origin);
        }
        self.change(survivor, |event| {
            event.origins.extend(origins);
            event.magnitudes.extend(magnitudes);
        });
    }

    /// Some origins of an event, with their magnitudes, become another event.
    fn split(&mut self, number: u64, origin_ids: &[OriginId]) -> Result<u64, Refusal> {
        let senseless = |event_id: &EventId, reason: &str| {
            Err(Refusal::Senseless(format!("event \"{event_id}\" cannot be split: {reason}")))
        };
        let Some(event) = self.state.events.get_mut(&number) else {
            return Err(Refusal::Senseless("the event is gone".to_owned()));
        };
        let leaves = |origin: &OriginRecord| origin_ids.contains(&origin.origin_id);
        let count = event.origins.iter().filter(|origin| leaves(origin)).count();
        let Some(first) = origin_ids.first().filter(|_| count == origin_ids.len()) else {
            return senseless(&event.event_id, "not all of these origins are its own");
        };
        if count == event.origins.len() {
            return senseless(&event.event_id, "no origin would be left");
        }
        let event_id = EventId::of(&format!("split/{first}"));
        if self.index.of_event(&event_id).is_some() {
            return senseless(&event.event_id, "that was done before");
        }
        let (leaving, staying) = std::mem::take(&mut event.origins).into_iter().partition(leaves);
        let (measured, kept) = std::mem::take(&mut event.magnitudes)
            .into_iter()
            .partition(|magnitude: &MagnitudeRecord| origin_ids.contains(&magnitude.origin_id));
        (event.origins, event.magnitudes) = (staying, kept);
        event.chosen_origin.take_if(|chosen| origin_ids.contains(chosen));
        let (leaving, measured): (Vec<OriginRecord>, Vec<MagnitudeRecord>) = (leaving, measured);
        let gone = |chosen: &mut MagnitudeId| measured.iter().any(|one| one.magnitude_id == *chosen);
        event.chosen_magnitude.take_if(gone);
        for origin in &leaving {
            self.index.remove_origin(number, origin);
        }
        let new = self.declare(event_id);
        for origin in &leaving {
            self.index.add_origin(new, origin);
        }
        self.change(number, |event| event.is_split = true);
        self.change(new, |event| {
            (event.origins, event.magnitudes) = (leaving, measured);
            event.is_split = true;
        });
        Ok(new)
    }

    /// The revisions of those events that are not what they were.
    fn revise(&mut self, numbers: &[u64]) -> Vec<Event> {
        let mut revised = Vec::new();
        for number in numbers {
            let Some(event) = self.state.events.get_mut(number) else { continue };
            if let Some(next) = revision(&self.settings, event) {
                event.last = Some(next.clone());
                revised.push(next);
            }
        }
        revised
    }

    fn forget(&mut self) {
        while self.state.events.len() > self.settings.events_max.max(1) {
            let Some((number, record)) = self.state.events.pop_first() else { break };
            self.index.remove_event(number, &record);
            // Nobody can follow a pointer to it any more: what points there goes with it.
            let mut gone = vec![record.event_id];
            while let Some(survivor) = gone.pop() {
                let points = |event: &EventRecord| event.merged_into.as_ref() == Some(&survivor);
                let pointing = self.state.events.iter().filter(|(_, event)| points(event));
                for number in pointing.map(|(number, _)| *number).collect::<Vec<_>>() {
                    if let Some(record) = self.state.events.remove(&number) {
                        self.index.remove_event(number, &record);
                        gone.push(record.event_id);
                    }
                }
            }
        }
    }
}

/// The next revision of an event; `None` where nothing that it says has changed.
fn revision(settings: &EventSettings, record: &EventRecord) -> Option<Event> {
    let status = if record.lives() { EventStatus::Closed } else { EventStatus::Deleted };
    let number = record.last.as_ref().map_or(1, |last| last.revision + 1);
    let Some(origin) = rank::preferred_origin(settings, record) else {
        // All that it had became another event's.
        let last = record.last.clone()?;
        let next =
            Event { revision: number, status, merged_into: record.merged_into.clone(), ..last.clone() };
        return (next.status != last.status || next.merged_into != last.merged_into).then_some(next);
    };
    let magnitude = rank::preferred_magnitude(settings, record, &origin.origin_id);
    let times = record.origins.iter().map(|origin| origin.provenance.creation_time);
    let times = times.chain(record.magnitudes.iter().map(|magnitude| magnitude.provenance.creation_time));
    let times = times.chain(record.evaluation.iter().map(|review| review.creation_time));
    let reviewed = record.evaluation.as_ref();
    let provenance = Provenance {
        evaluation_mode: reviewed.map_or(origin.provenance.evaluation_mode, |review| review.evaluation_mode),
        evaluation_status: reviewed
            .map_or(origin.provenance.evaluation_status, |review| review.evaluation_status),
        creation_time: times.max().flatten(),
        ..origin.provenance.clone()
    };
    let next = Event {
        event_id: record.event_id.clone(),
        revision: number,
        status,
        preferred_origin_id: origin.origin_id.clone(),
        preferred_magnitude_id: magnitude.map(|magnitude| magnitude.magnitude_id.clone()),
        origin_time: origin.origin_time,
        latitude: origin.latitude,
        longitude: origin.longitude,
        depth_km: origin.depth_km,
        magnitude: magnitude.map(|magnitude| magnitude.magnitude),
        magnitude_type: magnitude.map(|magnitude| magnitude.magnitude_type.clone()),
        merged_into: record.merged_into.clone(),
        provenance,
    };
    let same = |last: &Event| {
        let creation_time = last.provenance.creation_time;
        let provenance = Provenance { creation_time, ..next.provenance.clone() };
        *last == Event { revision: last.revision, provenance, ..next.clone() }
    };
    (!record.last.as_ref().is_some_and(same)).then_some(next)
}
