//! Which event an origin is of.

use std::collections::BTreeSet;

use seislake_model::EvaluationMode;

use super::*;
use crate::geometry::distance_azimuth;

/// Where things are found.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    by_event: HashMap<EventId, u64>,
    by_origin: HashMap<OriginId, u64>,
    /// Events of a pick, by its short id.
    by_pick: HashMap<u64, BTreeSet<u64>>,
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
            self.by_pick.entry(*pick).or_default().insert(number);
        }
    }

    pub(super) fn remove_origin(&mut self, number: u64, origin: &OriginRecord) {
        self.by_origin.remove(&origin.origin_id);
        self.by_time.remove(&(origin.origin_time, number, origin.origin_id.clone()));
        for pick in &origin.picks {
            if let Some(events) = self.by_pick.get_mut(pick) {
                events.remove(&number);
                if events.is_empty() {
                    self.by_pick.remove(pick);
                }
            }
        }
    }
}

impl EventOwner {
    /// The events that an origin is of: the one that stays first, then those that turn out to be the same. None: a new one.
    pub(super) fn events_of(&self, named: &EventId, origin: &OriginRecord) -> Vec<u64> {
        let named = self.number_of(named).ok();
        let mut found = self.sharing_picks(origin);
        if found.is_empty() && named.is_none() {
            found.extend(self.at_the_same_place(origin));
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
        let events = origin.picks.iter().filter_map(|pick| self.index.by_pick.get(pick)).flatten();
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

    /// The event of which an origin lies at the same time and place, as far as both are known, on other stations: one
    /// earthquake gives a station one P.
    fn at_the_same_place(&self, origin: &OriginRecord) -> Option<u64> {
        let apart_s = self.settings.same_event_s_max;
        let first = (origin.origin_time.add_seconds(-apart_s), 0, OriginId::default());
        let last = (origin.origin_time.add_seconds(apart_s), u64::MAX, OriginId::default());
        let near: BTreeSet<u64> =
            self.index.by_time.range(first..=last).map(|(_, number, _)| *number).collect();
        let apart = |other: &OriginRecord| {
            let seconds = other.origin_time.seconds_since(origin.origin_time).abs();
            let (flat_km, _) =
                distance_azimuth(origin.latitude, origin.longitude, other.latitude, other.longitude);
            let sigma_s = origin.time_uncertainty_s.hypot(other.time_uncertainty_s);
            let sigma_km = origin.ellipse_major_km.hypot(other.ellipse_major_km);
            let agree = seconds <= apart_s.min(3.0 * sigma_s + TIME_SLACK_S)
                && flat_km <= self.settings.same_event_km_max.min(3.0 * sigma_km + PLACE_SLACK_KM);
            agree.then_some(seconds)
        };
        let same = |event: &EventRecord| {
            let common = |other: &OriginRecord| {
                other.p_stations.iter().any(|station| origin.p_stations.binary_search(station).is_ok())
            };
            if event.origins.iter().any(common) {
                return None;
            }
            event.origins.iter().filter_map(apart).min_by(f64::total_cmp)
        };
        let candidates =
            self.living(near.into_iter()).filter_map(|(number, event)| Some((same(event)?, number)));
        candidates.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))).map(|(_, number)| number)
    }

    fn living(&self, numbers: impl Iterator<Item = u64>) -> impl Iterator<Item = (u64, &EventRecord)> {
        numbers
            .filter_map(|number| self.state.events.get(&number).map(|event| (number, event)))
            .filter(|(_, event)| event.lives())
    }
}

/// Uncertainties say nothing of errors of the velocity model, which two sets of stations see differently.
const TIME_SLACK_S: f64 = 0.5;
const PLACE_SLACK_KM: f64 = 5.0;
