#![allow(clippy::disallowed_methods, reason = "tests read recordings")]
//! A small earthquake twelve seconds before a great one (Ridgecrest, 6 July 2019) on strong-motion sensors, whose noise
//! hides it below 2 Hz.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use seislake_model::{Inventory, MagnitudeResult, Origin, SourceId, Timestamp};
use seislake_seismo::associate::{AssociateSettings, Associator};
use seislake_seismo::locate::{LocateSettings, Locator};
use seislake_seismo::magnitude::{MagnitudeSettings, local_magnitude};
use seislake_seismo::pick::{PickSettings, StationPicker};
use seislake_seismo::travel_time::{LayeredModel, TravelTime, default_table};

use crate::recordings::records;

fn inventory(folder: &Path) -> Inventory {
    let mut inventory = Inventory::default();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "xml") {
            let bytes = std::fs::read(path).unwrap();
            inventory.merge(seislake_exchange::stationxml::read(&bytes).unwrap().value);
        }
    }
    inventory
}

/// The earliest event and what its magnitude is made of.
fn first_event(folder: &Path) -> (Origin, MagnitudeResult) {
    let inventory = inventory(folder);
    let travel_time: Arc<dyn TravelTime> = Arc::new(default_table(&LayeredModel::iasp91()));
    let coordinates = |source_id: &SourceId, time: Timestamp| inventory.coordinates(source_id, time);
    let mut pickers: BTreeMap<String, StationPicker> = BTreeMap::new();
    for record in &records(folder, "mseed") {
        let channel = inventory.channel(&record.source_id, record.start);
        let picker = pickers.entry(record.source_id.station_key());
        let picker = picker.or_insert_with(|| StationPicker::new(&PickSettings::default()));
        picker.push(record.piece(), channel.and_then(|channel| channel.response.as_ref()));
    }
    let mut associator = Associator::new(AssociateSettings::default(), Arc::clone(&travel_time));
    for picker in pickers.values_mut() {
        let output = picker.advance(Timestamp::MAX);
        for pick in output.picks {
            if let Some(at) = coordinates(&pick.source_id, pick.pick_time) {
                associator.push_pick(pick, at);
            }
        }
        output.amplitude_traces.into_iter().for_each(|trace| associator.push_amplitude_trace(trace));
    }
    let locator = Locator::new(LocateSettings::default(), travel_time);
    let associations = associator.advance(Timestamp::MAX);
    let location =
        associations.iter().find_map(|association| locator.locate(association, &coordinates).ok()).unwrap();
    let result = local_magnitude(&MagnitudeSettings::default(), &location, &coordinates);
    (location.origin, result)
}

#[test]
fn a_foreshock_hidden_in_the_noise_of_accelerometers_has_its_own_magnitude() {
    let Some(root) = seislake_recordings::folder() else { return };
    let (origin, result) = first_event(&root.join("cases/ridgecrest-m71-20190706"));
    let expected: Timestamp = "2019-07-06T03:19:40.8Z".parse().unwrap();
    assert!(origin.origin_time.seconds_since(expected).abs() < 0.5, "{origin:?}");
    let magnitude = result.magnitude.unwrap();
    eprintln!("ML {:.2} of {} stations", magnitude.magnitude, magnitude.station_count);
    // ObsPy, response removed, Wood-Anderson, up to the P of the main shock: 2.02 whole, noise and all; 1.8 above 2 Hz.
    assert!((magnitude.magnitude - 2.02).abs() < 0.5, "{magnitude:?}");
    assert!(magnitude.station_count >= 3);
}
