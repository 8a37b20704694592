#![allow(clippy::disallowed_methods, reason = "tests read recordings")]
//! From waveforms to hypocentres: 15 events in 4.5 minutes of the Bárðarbunga dike intrusion of August 2014, which
//! QuakeMigrate found by migration, with many smaller ones between them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use seislake_model::{Coordinates, Location, SourceId, Timestamp};
use seislake_seismo::associate::{AssociateSettings, Associator};
use seislake_seismo::geometry::distance_azimuth;
use seislake_seismo::locate::{LocateSettings, Locator};
use seislake_seismo::pick::{PickSettings, StationPicker};
use seislake_seismo::travel_time::{LayeredModel, TravelTime, default_table};

use crate::recordings::records;

fn stations(path: &Path) -> BTreeMap<String, Coordinates> {
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().skip(1).map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |index: usize| cells[index].parse::<f64>().unwrap();
        let at = Coordinates { latitude: number(0), longitude: number(1), elevation_m: 1000.0 * number(2) };
        (cells[3].to_owned(), at)
    });
    rows.collect()
}

fn locations(folder: &Path) -> Vec<Location> {
    let stations = stations(&folder.join("iceland_stations.txt"));
    let coordinates = |source_id: &SourceId, _: Timestamp| stations.get(source_id.station()).copied();
    let csv = std::fs::read_to_string(folder.join("iceland_vmodel.txt")).unwrap();
    let travel_time: Arc<dyn TravelTime> =
        Arc::new(default_table(&LayeredModel::parse("iceland", &csv).unwrap()));

    let mut pickers: BTreeMap<String, StationPicker> = BTreeMap::new();
    for record in &records(folder, "m") {
        let picker = pickers.entry(record.source_id.station_key());
        picker.or_insert_with(|| StationPicker::new(&PickSettings::default())).push(record.piece(), None);
    }
    let mut associator = Associator::new(AssociateSettings::default(), Arc::clone(&travel_time));
    for picker in pickers.values_mut() {
        for pick in picker.advance(Timestamp::MAX).picks {
            if let Some(at) = coordinates(&pick.source_id, pick.pick_time) {
                associator.push_pick(pick, at);
            }
        }
    }
    let locator = Locator::new(LocateSettings::default(), travel_time);
    let associations = associator.advance(Timestamp::MAX);
    associations.iter().filter_map(|association| locator.locate(association, &coordinates).ok()).collect()
}

#[test]
fn waveforms_of_a_dike_swarm_become_its_events() {
    let Some(root) = seislake_recordings::folder() else { return };
    let locations = locations(&root.join("cases/iceland-dike-20140824"));
    let truth = std::fs::read_to_string(root.join("cases/TRUTH.tsv")).unwrap();
    let mut hits = 0;
    for line in truth.lines().filter(|line| line.starts_with("iceland-dike-20140824/")) {
        let cells: Vec<&str> = line.split('\t').collect();
        let origin_time: Timestamp = cells[1].parse().unwrap();
        let [latitude, longitude] = [2, 3].map(|column| cells[column].parse::<f64>().unwrap());
        let nearest = locations
            .iter()
            .map(|location| &location.origin)
            .min_by(|a, b| {
                let off = |time: Timestamp| time.seconds_since(origin_time).abs();
                off(a.origin_time).total_cmp(&off(b.origin_time))
            })
            .unwrap();
        let off_s = nearest.origin_time.seconds_since(origin_time);
        let (off_km, _) = distance_azimuth(latitude, longitude, nearest.latitude, nearest.longitude);
        eprintln!("{origin_time}: {off_s:+.2} s, {off_km:.1} km, {} phases", nearest.used_phase_count);
        hits += usize::from(off_s.abs() <= 1.5 && off_km <= 5.0);
    }
    eprintln!("{hits} of 15 events, {} located", locations.len());
    assert!(hits >= 12, "{hits} of 15 events");
}
