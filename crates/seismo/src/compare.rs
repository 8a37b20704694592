//! A catalogue against a reference: which events are in both, which are missed, which are extra, and how far
//! apart the common ones are.
//!
//! Pairs are found greedily: of all pairs within both tolerances, the closest is taken, both its events leave, and so on.
//! Close is what lies close in time and place, each measured by its tolerance: origin times trade off with places, and a
//! tenth of a second does not outweigh ten kilometres. Every pair is therefore the mutual best of what is left, and no event is
//! in two pairs. Cost: `O(n log n)` plus the pairs within the time tolerance.

mod text;

use std::collections::{BTreeMap, BTreeSet};

use seislake_model::{CatalogueEvent, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::text::line;
use crate::geometry::distance_azimuth;

/// How far apart two descriptions of the same earthquake may be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompareSettings {
    /// Largest difference of origin times.
    pub time_tolerance_s: f64,
    /// Largest distance of epicentres.
    pub distance_tolerance_km: f64,
}

impl Default for CompareSettings {
    fn default() -> Self {
        Self { time_tolerance_s: 2.0, distance_tolerance_km: 10.0 }
    }
}

/// Median and 90th percentile of absolute differences; both `null` where there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Median.
    pub median: Option<f64>,
    /// 90th percentile (linear interpolation between order statistics).
    pub p90: Option<f64>,
}

/// One event in both catalogues. Differences are catalogue minus reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatchedPair {
    /// Id in the reference.
    pub reference_id: String,
    /// Id in the catalogue.
    pub catalogue_id: String,
    /// Difference of origin times.
    pub origin_time_s: f64,
    /// Distance of the epicentres.
    pub epicentre_km: f64,
    /// Difference of depths, where both are known.
    pub depth_km: Option<f64>,
    /// Difference of magnitudes, where both are known.
    pub magnitude: Option<f64>,
}

/// Outcome of [`compare`]. Its JSON form is a promise to scripts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Events of the reference.
    pub reference_count: usize,
    /// Events of the catalogue.
    pub catalogue_count: usize,
    /// Events in both.
    pub matched: usize,
    /// Events of the reference that the catalogue lacks, by origin time.
    pub missed: Vec<CatalogueEvent>,
    /// Events of the catalogue that the reference lacks, by origin time.
    pub extra: Vec<CatalogueEvent>,
    /// Absolute differences of origin times.
    pub origin_time_s: Distribution,
    /// Distances of epicentres.
    pub epicentre_km: Distribution,
    /// Absolute differences of depths.
    pub depth_km: Distribution,
    /// Absolute differences of magnitudes.
    pub magnitude: Distribution,
    /// Matched share of the reference; `null` where the reference is empty.
    pub recall: Option<f64>,
    /// Matched share of the catalogue; `null` where the catalogue is empty.
    pub precision: Option<f64>,
    /// The common events, by origin time.
    pub pairs: Vec<MatchedPair>,
}

/// Sets `catalogue` against `reference`. The order of either input does not matter (ties go to the smaller id).
pub fn compare(
    reference: &[CatalogueEvent],
    catalogue: &[CatalogueEvent],
    settings: CompareSettings,
) -> Comparison {
    let reference = by_time(reference);
    let catalogue = by_time(catalogue);
    let mut chosen = mutual_best(&reference, &catalogue, settings);
    chosen.sort_by_key(|candidate| candidate.reference_index);
    let reference_taken: BTreeSet<usize> = chosen.iter().map(|found| found.reference_index).collect();
    let catalogue_taken: BTreeSet<usize> = chosen.iter().map(|found| found.catalogue_index).collect();
    let pairs: Vec<MatchedPair> = chosen
        .iter()
        .map(|c| pair(reference[c.reference_index], catalogue[c.catalogue_index], c.epicentre_km))
        .collect();
    let left = |events: &[&CatalogueEvent], taken: &BTreeSet<usize>| {
        let not_taken = events.iter().enumerate().filter(|(index, _)| !taken.contains(index));
        not_taken.map(|(_, event)| (*event).clone()).collect()
    };
    let share = |count: usize| (count > 0).then(|| pairs.len() as f64 / count as f64);
    Comparison {
        reference_count: reference.len(),
        catalogue_count: catalogue.len(),
        matched: pairs.len(),
        missed: left(&reference, &reference_taken),
        extra: left(&catalogue, &catalogue_taken),
        origin_time_s: distribution(pairs.iter().map(|pair| pair.origin_time_s)),
        epicentre_km: distribution(pairs.iter().map(|pair| pair.epicentre_km)),
        depth_km: distribution(pairs.iter().filter_map(|pair| pair.depth_km)),
        magnitude: distribution(pairs.iter().filter_map(|pair| pair.magnitude)),
        recall: share(reference.len()),
        precision: share(catalogue.len()),
        pairs,
    }
}

/// The time that two catalogues cover both, and what of them lies outside it or is no earthquake.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Common {
    /// From this time; `null`: there is no time that both cover.
    pub from: Option<Timestamp>,
    /// Up to and with this time.
    pub to: Option<Timestamp>,
    /// Events of the reference outside that time.
    pub reference_outside: usize,
    /// Events of the catalogue outside that time.
    pub catalogue_outside: usize,
    /// Events of the reference that are said to be no earthquakes.
    pub reference_other: usize,
    /// Events of the catalogue that pair with those: they are there, and are no earthquakes that were
    /// found.
    #[serde(default)]
    pub catalogue_other: usize,
}

/// Leaves the earthquakes in the time that both catalogues cover: `recorded` is that of the catalogue's data, where
/// known, `told` that of the reference; where nobody tells, it reaches from its first event to its last, and tolerance
/// further. An event that pairs with one of the reference lies where that lies, so that no border falls between the two.
pub fn keep_common(
    reference: &mut Vec<CatalogueEvent>,
    catalogue: &mut Vec<CatalogueEvent>,
    recorded: Option<(Timestamp, Timestamp)>,
    told: (Option<Timestamp>, Option<Timestamp>),
    tolerances: CompareSettings,
) -> Common {
    let tolerance_s = tolerances.time_tolerance_s;
    let reference_count = reference.len();
    let all_times = || reference.iter().map(|event| event.origin_time);
    let (first, last) = (all_times().min(), all_times().max());
    let begin = told.0.or(first.map(|first| first.add_seconds(-tolerance_s)));
    let end = told.1.or(last.map(|last| last.add_seconds(tolerance_s)));
    let (from, to) = match recorded {
        Some((recorded_from, recorded_to)) => {
            (begin.map(|begin| begin.max(recorded_from)), end.map(|end| end.min(recorded_to)))
        }
        None => (begin, end),
    };
    let common = from.zip(to).filter(|(from, to)| from <= to);
    let inside = |event: &CatalogueEvent| {
        common.is_some_and(|(from, to)| from <= event.origin_time && event.origin_time <= to)
    };
    let pairs = pairs_with_others(reference, catalogue, tolerances);
    let (mut catalogue_outside, mut catalogue_other) = (0, 0);
    catalogue.retain(|event| {
        let pair = pairs.get(&event.id);
        let is_inside = inside(pair.unwrap_or(event));
        let is_other = pair.is_some_and(|reference| !reference.may_be_earthquake());
        catalogue_outside += usize::from(!is_inside);
        catalogue_other += usize::from(is_inside && is_other);
        is_inside && !is_other
    });
    reference.retain(inside);
    let reference_inside = reference.len();
    reference.retain(CatalogueEvent::may_be_earthquake);
    Common {
        from: common.map(|(from, _)| from),
        to: common.map(|(_, to)| to),
        reference_outside: reference_count - reference_inside,
        catalogue_outside,
        catalogue_other,
        reference_other: reference_inside - reference.len(),
    }
}

/// What each event of a catalogue pairs with in a reference, by its id: earthquakes, and blasts and the like that happened.
fn pairs_with_others(
    reference: &[CatalogueEvent],
    catalogue: &[CatalogueEvent],
    tolerances: CompareSettings,
) -> BTreeMap<String, CatalogueEvent> {
    let mut happened = by_time(reference);
    happened.retain(|event| event.may_be_earthquake() || event.did_happen());
    let sorted = by_time(catalogue);
    let pairs = mutual_best(&happened, &sorted, tolerances).into_iter();
    pairs
        .map(|pair| (sorted[pair.catalogue_index].id.clone(), happened[pair.reference_index].clone()))
        .collect()
}

struct Candidate {
    reference_index: usize,
    catalogue_index: usize,
    epicentre_km: f64,
    /// Sum of the squares of its differences in time and place, each as a share of its tolerance.
    difference: f64,
}

fn by_time(events: &[CatalogueEvent]) -> Vec<&CatalogueEvent> {
    let mut sorted: Vec<&CatalogueEvent> = events.iter().collect();
    sorted.sort_by(|a, b| (a.origin_time, &a.id).cmp(&(b.origin_time, &b.id)));
    sorted
}

/// The pairs of two catalogues, both by time, closest first: each the mutual best of what is left.
fn mutual_best(
    reference: &[&CatalogueEvent],
    catalogue: &[&CatalogueEvent],
    settings: CompareSettings,
) -> Vec<Candidate> {
    let mut reference_taken = vec![false; reference.len()];
    let mut catalogue_taken = vec![false; catalogue.len()];
    let mut chosen = Vec::new();
    for candidate in candidates(reference, catalogue, settings) {
        if reference_taken[candidate.reference_index] || catalogue_taken[candidate.catalogue_index] {
            continue;
        }
        reference_taken[candidate.reference_index] = true;
        catalogue_taken[candidate.catalogue_index] = true;
        chosen.push(candidate);
    }
    chosen
}

/// All pairs within both tolerances, closest first. Unknown (NaN) places never match.
fn candidates(
    reference: &[&CatalogueEvent],
    catalogue: &[&CatalogueEvent],
    settings: CompareSettings,
) -> Vec<Candidate> {
    let mut found = Vec::new();
    for (reference_index, wanted) in reference.iter().enumerate() {
        let earliest = wanted.origin_time.add_seconds(-settings.time_tolerance_s);
        let latest = wanted.origin_time.add_seconds(settings.time_tolerance_s);
        let first = catalogue.partition_point(|event| event.origin_time < earliest);
        for (catalogue_index, event) in catalogue.iter().enumerate().skip(first) {
            if event.origin_time > latest {
                break;
            }
            let (epicentre_km, _) =
                distance_azimuth(wanted.latitude, wanted.longitude, event.latitude, event.longitude);
            if epicentre_km <= settings.distance_tolerance_km {
                let time_s = event.origin_time.seconds_since(wanted.origin_time);
                let difference = share(time_s, settings.time_tolerance_s).powi(2)
                    + share(epicentre_km, settings.distance_tolerance_km).powi(2);
                found.push(Candidate { reference_index, catalogue_index, epicentre_km, difference });
            }
        }
    }
    found.sort_by(|a, b| a.difference.total_cmp(&b.difference));
    found
}

/// A difference as a share of its tolerance. A tolerance of 0 leaves no difference.
fn share(difference: f64, tolerance: f64) -> f64 {
    if tolerance > 0.0 { difference / tolerance } else { 0.0 }
}

fn pair(reference: &CatalogueEvent, catalogue: &CatalogueEvent, epicentre_km: f64) -> MatchedPair {
    let difference = |ours: Option<f64>, theirs: Option<f64>| Some(ours? - theirs?);
    MatchedPair {
        reference_id: reference.id.clone(),
        catalogue_id: catalogue.id.clone(),
        origin_time_s: catalogue.origin_time.seconds_since(reference.origin_time),
        epicentre_km,
        depth_km: difference(catalogue.depth_km, reference.depth_km),
        magnitude: difference(catalogue.magnitude, reference.magnitude),
    }
}

fn distribution(differences: impl Iterator<Item = f64>) -> Distribution {
    let mut sorted: Vec<f64> = differences.map(f64::abs).filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    Distribution { median: quantile(&sorted, 0.5), p90: quantile(&sorted, 0.9) }
}

fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = share * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, seconds: f64, longitude: f64) -> CatalogueEvent {
        CatalogueEvent {
            id: id.into(),
            origin_time: Timestamp::from_nanos(0).add_seconds(seconds),
            latitude: 0.0,
            longitude,
            depth_km: Some(10.0),
            magnitude: None,
            event_type: None,
        }
    }

    fn ids(events: &[CatalogueEvent]) -> Vec<&str> {
        events.iter().map(|event| event.id.as_str()).collect()
    }

    #[test]
    fn closest_in_time_are_paired_and_the_rest_is_missed_or_extra() {
        let reference = [event("a", 0.0, 0.0), event("b", 1.0, 0.0), event("far", 50.0, 0.0)];
        let catalogue = [event("y", 0.9, 0.01), event("x", 0.2, 0.0), event("z", 50.0, 1.0)];
        let comparison = compare(&reference, &catalogue, CompareSettings::default());
        let pairs: Vec<_> =
            comparison.pairs.iter().map(|p| (p.reference_id.as_str(), p.catalogue_id.as_str())).collect();
        assert_eq!(pairs, [("a", "x"), ("b", "y")]);
        assert_eq!((ids(&comparison.missed), ids(&comparison.extra)), (vec!["far"], vec!["z"]));
        let median_s = comparison.origin_time_s.median.unwrap();
        assert!((median_s - 0.15).abs() < 1e-9, "{median_s}");
        assert_eq!(comparison.depth_km, Distribution { median: Some(0.0), p90: Some(0.0) });
        assert_eq!(comparison.magnitude, Distribution::default());
        assert_eq!(comparison.recall, Some(2.0 / 3.0));
    }

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_nanos(0).add_seconds(seconds)
    }

    #[test]
    fn only_the_time_that_both_cover_and_earthquakes_are_compared() {
        let blast = CatalogueEvent { event_type: Some("quarry blast".into()), ..event("blast", 120.0, 0.0) };
        let none = CatalogueEvent { event_type: Some("not existing".into()), ..event("none", 130.0, 0.0) };
        let quake = CatalogueEvent { event_type: Some("Earthquake".into()), ..event("quake", 140.0, 0.0) };
        let mut reference = vec![event("years ago", -1e8, 0.0), event("a", 100.5, 0.0), blast, none, quake];
        reference.push(event("later", 1e8, 0.0));
        let mut catalogue = vec![event("x", 100.0, 0.0), event("y", 140.0, 0.0)];
        let recorded = Some((at(90.0), at(200.0)));
        let common =
            keep_common(&mut reference, &mut catalogue, recorded, (None, None), CompareSettings::default());
        assert_eq!((common.from, common.to), (Some(at(90.0)), Some(at(200.0))));
        let counts = (common.reference_outside, common.catalogue_outside, common.reference_other);
        assert_eq!(counts, (2, 0, 2));
        assert_eq!((ids(&reference), ids(&catalogue)), (vec!["a", "quake"], vec!["x", "y"]));

        // What was found of a blast is no earthquake that was invented; what is said not to exist was.
        let of_kind = |id: &str, seconds, kind: &str| CatalogueEvent {
            event_type: Some(kind.into()),
            ..event(id, seconds, 0.0)
        };
        let mut reference = vec![
            of_kind("blast", 100.0, "quarry blast"),
            of_kind("none", 120.0, "not existing"),
            event("a", 140.0, 0.0),
        ];
        let mut catalogue = vec![event("x", 100.5, 0.0), event("y", 120.0, 0.0), event("z", 140.0, 0.0)];
        let common =
            keep_common(&mut reference, &mut catalogue, recorded, (None, None), CompareSettings::default());
        assert_eq!((common.reference_other, common.catalogue_other, common.catalogue_outside), (2, 1, 0));
        assert_eq!((ids(&reference), ids(&catalogue)), (vec!["a"], vec!["y", "z"]));

        // A short reference: events of a long catalogue outside it are not extra.
        let mut reference = vec![event("a", 100.0, 0.0), event("b", 150.0, 0.0)];
        let mut catalogue = vec![event("x", 98.5, 0.0), event("y", 152.5, 0.0), event("z", 1e6, 0.0)];
        let common =
            keep_common(&mut reference, &mut catalogue, None, (None, None), CompareSettings::default());
        assert_eq!((ids(&catalogue), common.catalogue_outside), (vec!["x"], 2));

        let mut reference = vec![event("a", 100.0, 0.0)];
        let told = (Some(at(0.0)), Some(at(400.0)));
        let mut catalogue = vec![event("x", 1.0, 0.0), event("y", 399.0, 0.0), event("z", 401.0, 0.0)];
        keep_common(
            &mut reference,
            &mut catalogue,
            Some((at(-9e9), at(9e9))),
            told,
            CompareSettings::default(),
        );
        assert_eq!(ids(&catalogue), ["x", "y"]);
        let common = keep_common(
            &mut reference,
            &mut catalogue,
            Some((at(500.0), at(600.0))),
            (None, None),
            CompareSettings::default(),
        );
        assert_eq!((common.from, reference.len(), catalogue.len()), (None, 0, 0));
    }

    #[test]
    fn an_event_beside_a_blast_and_an_earthquake_is_the_closer_of_them() {
        let blast = CatalogueEvent { event_type: Some("quarry blast".into()), ..event("blast", 100.0, 0.0) };
        let settings = CompareSettings { time_tolerance_s: 5.0, ..CompareSettings::default() };
        let against = |quake: CatalogueEvent, mut catalogue: Vec<CatalogueEvent>| {
            let mut reference = vec![blast.clone(), quake];
            let recorded = Some((at(0.0), at(200.0)));
            let common = keep_common(&mut reference, &mut catalogue, recorded, (None, None), settings);
            (common.catalogue_other, compare(&reference, &catalogue, settings))
        };
        // The earthquake is another's, 2 s beside it, though the blast's event lies within the tolerance too.
        let found = vec![event("of blast", 100.0, 0.0), event("of quake", 106.0, 0.0)];
        let (other_count, comparison) = against(event("quake", 104.0, 0.0), found);
        assert_eq!((other_count, comparison.matched, ids(&comparison.extra)), (1, 1, vec![]));
        assert_eq!(comparison.pairs[0].catalogue_id, "of quake");
        // Nobody found the earthquake 3.25 s behind the blast.
        let (other_count, comparison) =
            against(event("quake", 103.25, 0.0), vec![event("of blast", 100.0, 0.0)]);
        assert_eq!((other_count, comparison.matched, ids(&comparison.missed)), (1, 0, vec!["quake"]));
        assert_eq!((comparison.recall, ids(&comparison.extra)), (Some(0.0), vec![]));
        // An earthquake that was found, with a blast beside it that was not.
        let (other_count, comparison) =
            against(event("quake", 103.25, 0.0), vec![event("of quake", 103.0, 0.0)]);
        assert_eq!((other_count, comparison.matched), (0, 1));
    }

    #[test]
    fn close_is_what_is_close_in_time_and_place() {
        let settings = CompareSettings { time_tolerance_s: 5.0, distance_tolerance_km: 30.0 };
        // 18 km away and 0.54 s before; at the same place and 0.86 s behind.
        let reference = [event("away", 99.46, 0.162), event("here", 100.86, 0.0)];
        let comparison = compare(&reference, &[event("x", 100.0, 0.0)], settings);
        assert_eq!((comparison.matched, ids(&comparison.missed)), (1, vec!["away"]));
        let none = CompareSettings { time_tolerance_s: 0.0, distance_tolerance_km: 0.0 };
        assert_eq!(compare(&reference, &reference, none).matched, 2);
    }

    #[test]
    fn no_border_falls_between_two_that_are_a_pair() {
        let settings = CompareSettings::default();
        let blast = CatalogueEvent { event_type: Some("quarry blast".into()), ..event("blast", 99.0, 0.0) };
        for (earlier, later) in [(99.5, 100.5), (100.5, 99.5)] {
            // The reference's event inside and the catalogue's outside, and the other way round; at begin and end.
            for told in [(Some(at(100.0)), Some(at(200.0))), (Some(at(0.0)), Some(at(100.0)))] {
                for recorded in [None, Some((told.0.unwrap(), told.1.unwrap()))] {
                    let mut reference = vec![event("a", earlier, 0.0)];
                    let mut catalogue = vec![event("x", later, 0.0)];
                    keep_common(&mut reference, &mut catalogue, recorded, told, settings);
                    assert_eq!(reference.len(), catalogue.len(), "{earlier} {told:?}");
                    let mut reference = vec![blast.clone()];
                    let mut catalogue = vec![event("x", 100.2, 0.0)];
                    let common = keep_common(&mut reference, &mut catalogue, recorded, told, settings);
                    let counts = common.catalogue_other + common.catalogue_outside;
                    assert_eq!((catalogue.len(), counts), (0, 1), "{told:?}");
                }
            }
        }
    }

    #[test]
    fn a_comparison_is_read_line_by_line() {
        let reference = [event("a", 0.0, 0.0), event("b", 60.0, 0.0)];
        let found = CatalogueEvent { magnitude: Some(1.25), ..event("x", 0.5, 0.0) };
        let comparison = compare(&reference, &[found], CompareSettings::default());
        let text = comparison.to_string();
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "matched 1 of 2 reference events (recall 50.0 %), 1 in the catalogue (precision 100.0 %)",
                "  origin time  median 0.500 s, 90 % within 0.500 s",
                "  epicentre    median 0.000 km, 90 % within 0.000 km",
                "  depth        median 0.000 km, 90 % within 0.000 km",
                "  missed  1970-01-01T00:01:00.000Z    0.0000    0.0000    10.0 km  M -",
            ]
        );
        assert_eq!(comparison.pairs[0].to_string(), "+0.50 s, 0.00 km");
    }

    #[test]
    fn one_event_is_never_in_two_pairs() {
        let reference = [event("a", 0.0, 0.0), event("b", 0.5, 0.0)];
        let comparison = compare(&reference, &[event("x", 0.4, 0.0)], CompareSettings::default());
        assert_eq!((comparison.matched, ids(&comparison.missed)), (1, vec!["a"]));
    }

    #[test]
    fn tolerances_are_inclusive_and_the_date_line_is_no_border() {
        let settings = CompareSettings { time_tolerance_s: 1.0, distance_tolerance_km: 12.0 };
        let comparison = compare(&[event("a", 0.0, 179.95)], &[event("x", 1.0, -179.95)], settings);
        assert_eq!(comparison.matched, 1);
        let late = compare(&[event("a", 0.0, 0.0)], &[event("x", 1.000_001, 0.0)], settings);
        assert_eq!(late.matched, 0);
    }

    #[test]
    fn nothing_against_nothing_is_null_not_zero() {
        let comparison = compare(&[], &[], CompareSettings::default());
        assert_eq!((comparison.recall, comparison.precision), (None, None));
        assert_eq!(comparison.origin_time_s, Distribution { median: None, p90: None });
    }
}
