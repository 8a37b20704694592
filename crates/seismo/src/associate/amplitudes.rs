//! The amplitudes of an event: those of its stations from its origin on, up to where the next event begins.
//!
//! An association waits until the events behind it are known, as long as the amplitudes take to come in anyway. At each
//! station its amplitudes end with the second in which the first P of the next event arrives, as picked, else as
//! calculated from the hypocentre: what comes behind that is not its own.

use seislake_model::{AmplitudeTrace, Association, Phase, Timestamp};

use super::{Associator, DeclaredEvent};
use crate::geometry::SurfacePoint;

impl Associator {
    /// Takes the associations out whose amplitudes have come in and behind which all events are known.
    pub(super) fn take_complete(&mut self) -> Vec<Association> {
        let ended = self.watermark == Timestamp::MAX;
        let complete = self.complete_window();
        let (done, waiting): (Vec<Association>, Vec<Association>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|association| {
                let window = self.window_of(association.origin_time);
                ended || (window < complete && self.next_window > self.last_following_window(window))
            });
        self.waiting = waiting;
        done.into_iter().map(|association| self.with_amplitudes(association)).collect()
    }

    /// Drops what no association to come, nor one that waits, can ask for.
    pub(super) fn forget(&mut self) {
        let next = self.window_begin(self.next_window);
        let first_waiting = self.waiting.iter().map(|association| association.origin_time).min();
        let earliest = |horizon: Timestamp| first_waiting.map_or(horizon, |waiting| waiting.min(horizon));
        let traces_from = earliest(next.add_seconds(-self.slack_s()));
        self.amplitude_traces.retain(|_, trace| trace_end(trace) > traces_from);
        let events_from = earliest(next.add_seconds(-2.0 * self.slack_s()));
        self.declared.retain(|event| event.origin_time >= events_from);
    }

    /// The last window whose events can end the amplitudes of an event of `window`: it is searched before they come in.
    fn last_following_window(&self, window: i64) -> i64 {
        let following = (self.settings.amplitude_window_s.max(0.0) * 1e9) as i64 / self.window_nanos();
        window.saturating_add(following)
    }

    fn with_amplitudes(&mut self, association: Association) -> Association {
        let mut stations: Vec<String> =
            association.picks.iter().map(|pick| pick.source_id.station_key()).collect();
        stations.sort_unstable();
        stations.dedup();
        let origin_time = association.origin_time;
        let end = origin_time.add_seconds(self.settings.amplitude_window_s);
        let own: Vec<AmplitudeTrace> = self
            .amplitude_traces
            .values()
            .filter(|trace| trace.start_time < end && trace_end(trace) > origin_time)
            .filter(|trace| stations.binary_search(&trace.source_id.station_key()).is_ok())
            .cloned()
            .collect();
        let amplitude_traces = own
            .into_iter()
            .filter_map(|trace| match self.next_p_time(&association, &trace.source_id.station_key()) {
                Some(next) => ended_before(trace, next),
                None => Some(trace),
            })
            .collect();
        Association { amplitude_traces, ..association }
    }

    /// When the P of the next event arrives at a station; `None` where no event follows in time.
    fn next_p_time(&mut self, association: &Association, station: &str) -> Option<Timestamp> {
        let picked =
            |pick: &&seislake_model::Pick| pick.phase == Phase::P && pick.source_id.station_key() == *station;
        let own_p = association.picks.iter().find(picked).map(|pick| pick.pick_time);
        let source = (association.latitude, association.longitude, association.depth_km);
        let own_p = match own_p {
            Some(time) => time,
            None => association.origin_time.add_seconds(self.p_travel_time_s(source, station)?),
        };
        let window = self.window_of(association.origin_time);
        let after_following = self.window_begin(self.last_following_window(window).saturating_add(1));
        let known_until = after_following.add_seconds(-self.slack_s());
        let others: Vec<DeclaredEvent> = self
            .declared
            .iter()
            .filter(|event| event.event_id != association.event_id && event.origin_time < known_until)
            .cloned()
            .collect();
        others
            .iter()
            .filter_map(|event| {
                let place = event.stations.binary_search_by(|known| known.as_str().cmp(station)).ok();
                match place.and_then(|place| event.p_times.get(place).copied().flatten()) {
                    Some(picked) => Some(picked),
                    None => {
                        let source = (event.latitude, event.longitude, event.depth_km);
                        let time_s = self.p_travel_time_s(source, station)?;
                        let early_s = self.settings.tolerance_s(time_s);
                        Some(event.origin_time.add_seconds(time_s - early_s))
                    }
                }
            })
            .filter(|time| *time > own_p)
            .min()
    }

    /// Travel time of P from a source (degrees north and east, km down) to a station.
    fn p_travel_time_s(&mut self, source: (f64, f64, f64), station: &str) -> Option<f64> {
        let at = self.stations.get(station)?.at;
        let epicentre = SurfacePoint::new(source.0, source.1);
        let distance_km = epicentre.distance_km(&SurfacePoint::new(at.latitude, at.longitude));
        let table = self.tables.at_elevation(&self.settings, at.elevation_m / 1000.0);
        let time_s = table.times_s(distance_km, source.2)[0];
        time_s.is_finite().then_some(time_s)
    }
}

fn trace_end(trace: &AmplitudeTrace) -> Timestamp {
    trace.start_time.add_seconds(trace.peaks_mm.len() as f64)
}

/// The whole seconds of a trace before a moment, if there are any.
fn ended_before(mut trace: AmplitudeTrace, moment: Timestamp) -> Option<AmplitudeTrace> {
    let seconds = moment.seconds_since(trace.start_time).floor().max(0.0) as usize;
    trace.peaks_mm.truncate(seconds);
    trace.high_peaks_mm.truncate(seconds);
    (!trace.peaks_mm.is_empty()).then_some(trace)
}
