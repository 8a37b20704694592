#![allow(clippy::disallowed_methods, reason = "tests read recordings")]
//! The picks of 15 events in 4.5 minutes of the Bárðarbunga dike intrusion, pooled, among false ones.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::travel_time::{LayeredModel, default_table};

fn rows(path: &Path) -> Vec<Vec<String>> {
    let separator = if path.extension().is_some_and(|extension| extension == "tsv") { '\t' } else { ',' };
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().skip(1).map(|line| line.split(separator).map(str::to_owned).collect()).collect()
}

#[test]
fn a_dike_swarm_comes_apart_into_its_events() {
    let Some(root) = seislake_recordings::folder() else { return };
    let case = root.join("cases/iceland-dike-20140824");
    let number = |text: &str| text.parse::<f64>().unwrap();
    let stations: BTreeMap<String, Coordinates> = rows(&case.join("iceland_stations.txt"))
        .into_iter()
        .map(|row| {
            let [latitude, longitude, elevation_km] = [0, 1, 2].map(|column| number(&row[column]));
            (row[3].clone(), Coordinates { latitude, longitude, elevation_m: 1000.0 * elevation_km })
        })
        .collect();
    let (mut picks, mut truth) = (Vec::new(), Vec::new());
    for row in rows(&root.join("cases/TRUTH.tsv")) {
        let Some(name) = row[0].strip_prefix("iceland-dike-20140824/") else { continue };
        truth.push((row[1].parse::<Timestamp>().unwrap(), number(&row[2]), number(&row[3])));
        for row in rows(&case.join(format!("{name}.picks"))) {
            if let Ok(pick_time) = row[3].parse::<Timestamp>() {
                let phase = if row[1] == "P" { Phase::P } else { Phase::S };
                picks.push((pick(&row[0], phase, pick_time), stations[&row[0]]));
            }
        }
    }
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let stations: Stations = stations.into_iter().collect();
    let first = truth[0].0.seconds_since(time(0.0)) - 10.0;
    let count = picks.len() * 2 / 5;
    picks.extend(noise(&mut random, &stations, count, first..first + 270.0));

    let csv = std::fs::read_to_string(case.join("iceland_vmodel.txt")).unwrap();
    let table = default_table(&LayeredModel::parse("iceland", &csv).unwrap());
    let mut associator = Associator::new(AssociateSettings::default(), Arc::new(table));
    for (pick, at) in picks {
        associator.push_pick(pick, at);
    }
    let associations = associator.advance(Timestamp::MAX);
    let hits = matched(&truth, &associations, (1.5, 5.0));
    assert!(hits >= 14 && associations.len() <= 16, "{hits} of 15, {} events", associations.len());
}
