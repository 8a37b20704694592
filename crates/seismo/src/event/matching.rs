//! Which event an origin is of.

use std::collections::BTreeSet;

use super::*;
use crate::geometry::distance_azimuth;

/// Where things are found.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    by_event: HashMap<EventId, u64>,
    by_origin: HashMap<OriginId, u64>,
    /// Events of a pick, by its short id, with the number of their origins that use it.
    by_pick: HashMap<u64, BTreeMap<u64, u32>>,
    /// Events by the times of their origins.
    by_time: BTreeSet<(Timestamp, u64, OriginId)>,
}

impl Index {
    pub(super) fn of_event(&self, event_id: &EventId) -> Option<u64> {
        self.by_event.get(event_id).copied()
    }

    pub(super) fn of_origin(&self, origin_id: &OriginId) -> Option<u64> {
        self.by_origin.get(origin_id).copied()
    }

    pub(super) fn add_event(&mut self, number: u64, record: &EventRecord) {
        self.by_event.insert(record.event_id.clone(), number);
        record.origins.iter().for_each(|origin| self.add_origin(number, origin));
    }

    pub(super) fn remove_event(&mut self, number: u64, record: &EventRecord) {
        self.by_event.remove(&record.event_id);
        record.origins.iter().for_each(|origin| self.remove_origin(number, origin));
    }

    pub(super) fn add_origin(&mut self, number: u64, origin: &OriginRecord) {
        self.by_origin.insert(origin.origin_id.clone(), number);
        self.by_time.insert((origin.origin_time, number, origin.origin_id.clone()));
        for pick in &origin.picks {
            *self.by_pick.entry(*pick).or_default().entry(number).or_default() += 1;
        }
    }

    pub(super) fn remove_origin(&mut self, number: u64, origin: &OriginRecord) {
        self.by_origin.remove(&origin.origin_id);
        self.by_time.remove(&(origin.origin_time, number, origin.origin_id.clone()));
        for pick in &origin.picks {
            if let Some(events) = self.by_pick.get_mut(pick) {
                if let Some(count) = events.get_mut(&number) {
                    *count -= 1;
                    if *count == 0 {
                        events.remove(&number);
                    }
                }
                if events.is_empty() {
                    self.by_pick.remove(pick);
                }
            }
        }
    }
}

impl EventOwner {
    /// The events that an origin is of: the one that stays first, then those that turn out to be the same. None: a new one.
    pub(super) fn events_of(&self, location: &Location, origin: &OriginRecord) -> Vec<u64> {
        let named = self.number_of(&location.origin.event_id).ok();
        let mut found = self.sharing_picks(origin);
        // Stages name an event by its first pick: one that was withdrawn must not take in another that lives.
        let lives = |number: &u64| self.state.events.get(number).is_some_and(EventRecord::lives);
        let named = named.filter(|number| lives(number) || found.is_empty());
        if found.is_empty() && named.is_none() {
            found.extend(self.at_the_same_place(location, origin));
        }
        if let Some(named) = named {
            found.retain(|number| *number != named);
        } else {
            found.sort_by_key(|number| {
                std::cmp::Reverse((self.phase_count(*number), std::cmp::Reverse(*number)))
            });
        }
        let mut events: Vec<u64> = named.into_iter().chain(found).collect();
        // What a person looked at stays an event of its own, whatever a program says.
        if origin.provenance.evaluation_mode == EvaluationMode::Automatic && events.len() > 1 {
            let reviewed = |number: &u64| self.state.events.get(number).is_some_and(EventRecord::is_reviewed);
            let stays = events.iter().position(reviewed).unwrap_or(0);
            let survivor = events.remove(stays);
            events.retain(|number| !reviewed(number));
            events.insert(0, survivor);
        }
        events
    }

    fn phase_count(&self, number: u64) -> u32 {
        let origins = self.state.events.get(&number).map(|event| event.origins.iter());
        origins.into_iter().flatten().map(|origin| origin.used_phase_count).max().unwrap_or(0)
    }

    /// Events of which an origin has enough picks in common with this one.
    fn sharing_picks(&self, origin: &OriginRecord) -> Vec<u64> {
        let events =
            origin.picks.iter().filter_map(|pick| self.index.by_pick.get(pick)).flat_map(BTreeMap::keys);
        let events: BTreeSet<u64> = events.copied().collect();
        let shares = |other: &OriginRecord| {
            let common = other.picks.iter().filter(|pick| origin.picks.binary_search(pick).is_ok()).count();
            let smaller = origin.picks.len().min(other.picks.len());
            common > 0 && common as f64 >= self.settings.shared_picks_min * smaller as f64
        };
        self.living(events.into_iter())
            .filter(|(_, event)| event.origins.iter().any(shares))
            .map(|(n, _)| n)
            .collect()
    }

    /// The event whose hypocentre explains the picks of this origin, and of which no station has a phase at another time:
    /// one earthquake gives a station one P and one S.
    fn at_the_same_place(&self, location: &Location, origin: &OriginRecord) -> Option<u64> {
        let apart_s = self.settings.same_event_s_max;
        let first = (origin.origin_time.add_seconds(-apart_s), 0, OriginId::default());
        let last = (origin.origin_time.add_seconds(apart_s), u64::MAX, OriginId::default());
        let near: BTreeSet<u64> =
            self.index.by_time.range(first..=last).map(|(_, number, _)| *number).collect();
        let near_km = |other: &OriginRecord| {
            distance_azimuth(origin.latitude, origin.longitude, other.latitude, other.longitude).0
        };
        let fits = |other: &OriginRecord| {
            if near_km(other) > self.settings.same_event_km_max {
                return None;
            }
            self.residual_s(location, other)
                .filter(|residual| *residual <= self.settings.same_event_residual_s_max)
        };
        let same = |event: &EventRecord| {
            let twice =
                |other: &OriginRecord| other.phase_times.iter().any(|phase| is_another(origin, phase));
            if event.origins.iter().any(twice) {
                return None;
            }
            event.origins.iter().filter_map(fits).min_by(f64::total_cmp)
        };
        let candidates =
            self.living(near.into_iter()).filter_map(|(number, event)| Some((same(event)?, number)));
        candidates.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))).map(|(_, number)| number)
    }

    /// How far half of the picks of a location come from where they belong if the hypocentre was that of `other`, seconds.
    fn residual_s(&self, location: &Location, other: &OriginRecord) -> Option<f64> {
        let residual = |arrival: &Arrival| {
            let at = location.sites.get(&arrival.source_id)?;
            let (km, _) = distance_azimuth(other.latitude, other.longitude, at.latitude, at.longitude);
            let travel_s =
                self.travel_time.time_s(arrival.phase, km, other.depth_km, at.elevation_m / 1000.0)?;
            let residual = arrival.pick_time.seconds_since(other.origin_time) - travel_s;
            residual.is_finite().then_some(residual.abs())
        };
        let mut residuals: Vec<f64> = location.arrivals.iter().filter_map(residual).collect();
        residuals.sort_unstable_by(f64::total_cmp);
        residuals.get(residuals.len() / 2).copied()
    }

    fn living(&self, numbers: impl Iterator<Item = u64>) -> impl Iterator<Item = (u64, &EventRecord)> {
        numbers
            .filter_map(|number| self.state.events.get(&number).map(|event| (number, event)))
            .filter(|(_, event)| event.lives())
    }
}

/// Whether an origin has the same phase at the same station at another time.
fn is_another(origin: &OriginRecord, (phase, time): &(u64, Timestamp)) -> bool {
    let first = origin.phase_times.partition_point(|(known, _)| known < phase);
    let own = origin.phase_times[first..].iter().take_while(|(known, _)| known == phase);
    own.into_iter().any(|(_, own)| own.seconds_since(*time).abs() > SAME_PHASE_S)
}

/// Picks of one phase at one station, of other sensors or pickers, are of one arrival up to this long apart.
const SAME_PHASE_S: f64 = 0.3;
