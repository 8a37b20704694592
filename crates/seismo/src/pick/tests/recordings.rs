#![allow(clippy::disallowed_methods, reason = "tests read recordings")]
//! Picks on real recordings against those of analysts (NCEDC) and of a migration (Iceland).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use seislake_model::{Phase, Pick, SourceId, Timestamp};
use seislake_mseed::{Samples, ScanItem, Scanner};

use crate::pick::{PickSettings, Piece, StationPicker};

struct Record {
    source_id: SourceId,
    start: Timestamp,
    rate_hz: f64,
    samples: Vec<f64>,
}

fn records(path: &Path) -> Vec<Record> {
    let bytes = std::fs::read(path).unwrap();
    Scanner::new(&bytes)
        .filter_map(|scanned| match scanned {
            ScanItem::Record { record, .. } => Some(record),
            _ => None,
        })
        .map(|record| Record {
            source_id: record.source_id().parse().unwrap(),
            start: Timestamp::from_nanos(record.start_ns),
            rate_hz: record.rate_hz(),
            samples: match record.decode().unwrap().samples {
                Samples::Int32(samples) => samples.into_iter().map(f64::from).collect(),
                Samples::Float32(samples) => samples.into_iter().map(f64::from).collect(),
                Samples::Float64(samples) => samples,
            },
        })
        .collect()
}

fn pick(records: &[Record]) -> Vec<Pick> {
    let mut stations: BTreeMap<String, StationPicker> = BTreeMap::new();
    for record in records {
        let station = stations.entry(record.source_id.station_key());
        station.or_insert_with(|| StationPicker::new(&PickSettings::default())).push(
            Piece {
                version: 2,
                source_id: &record.source_id,
                start_time: record.start,
                sample_rate_hz: record.rate_hz,
                samples: &record.samples,
            },
            None,
        );
    }
    stations.values_mut().flat_map(|station| station.advance(Timestamp::MAX).picks).collect()
}

/// Residual of the pick of this phase that is nearest to a reference.
fn residual(picks: &[Pick], phase: Phase, reference: Timestamp) -> Option<f64> {
    picks
        .iter()
        .filter(|pick| pick.phase == phase)
        .map(|pick| pick.pick_time.seconds_since(reference))
        .min_by(|a, b| a.abs().total_cmp(&b.abs()))
}

/// Residuals within a window.
#[derive(Debug, Default)]
struct Score {
    references: usize,
    residuals: Vec<f64>,
}

impl Score {
    fn add(&mut self, residual: Option<f64>, window_s: f64) {
        self.references += 1;
        self.residuals.extend(residual.filter(|residual| residual.abs() <= window_s));
    }

    fn recall(&self) -> f64 {
        self.residuals.len() as f64 / self.references.max(1) as f64
    }

    fn median(&self) -> f64 {
        let mut residuals = self.residuals.clone();
        residuals.sort_by(f64::total_cmp);
        residuals[residuals.len() / 2]
    }
}

#[test]
fn analysts_picks_are_found() {
    let Some(root) = seislake_recordings::folder() else { return };
    let folder = root.join("picking/ncedc");
    let table = std::fs::read_to_string(folder.join("picks.csv")).unwrap();
    let (mut p, mut s) = (Score::default(), Score::default());
    for line in table.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let picks = pick(&records(&folder.join(cells[0])));
        p.add(residual(&picks, Phase::P, cells[8].parse().unwrap()), 0.5);
        s.add(residual(&picks, Phase::S, cells[9].parse().unwrap()), 0.5);
    }
    eprintln!(
        "ncedc: P {:.2} ({:+.3} s), S {:.2} ({:+.3} s)",
        p.recall(),
        p.median(),
        s.recall(),
        s.median()
    );
    assert!(p.recall() >= 0.83 && s.recall() >= 0.70);
    assert!(p.median().abs() < 0.03 && s.median().abs() < 0.06);
}

#[test]
fn phases_of_a_dense_swarm_are_found() {
    let Some(root) = seislake_recordings::folder() else { return };
    let folder = root.join("cases/iceland-dike-20140824");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let of = |extension: &str| {
        let extension = extension.to_owned();
        paths.iter().filter(move |path| path.extension().is_some_and(|found| *found == *extension))
    };
    let mut all: Vec<Record> = of("m").flat_map(|path| records(path)).collect();
    all.sort_by_key(|record| record.start);
    let picks = pick(&all);
    let (mut p, mut s) = (Score::default(), Score::default());
    for path in of("picks") {
        for line in std::fs::read_to_string(path).unwrap().lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            let Ok(reference) = cells[3].parse::<Timestamp>() else { continue };
            let own: Vec<Pick> =
                picks.iter().filter(|pick| pick.source_id.station() == cells[0]).cloned().collect();
            match cells[1] {
                "P" => p.add(residual(&own, Phase::P, reference), 0.3),
                _ => s.add(residual(&own, Phase::S, reference), 0.3),
            }
        }
    }
    eprintln!(
        "iceland: P {:.2} ({:+.3} s), S {:.2} ({:+.3} s)",
        p.recall(),
        p.median(),
        s.recall(),
        s.median()
    );
    assert!(p.recall() >= 0.70 && s.recall() >= 0.84);
}
