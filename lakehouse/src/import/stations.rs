//! Stations of an import: read from their files, and named by the waveforms where these files do not name their network.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, bail};
use datafusion::arrow::array::AsArray;
use futures::TryStreamExt;
use seislake_exchange::{ElevationUnit, read_stations};
use seislake_model::Inventory;
use seislake_streams::source::packed::documents;
use seislake_tables::{listed, segments};

use crate::Lakehouse;

/// Stations that are named in a message; the others are counted.
const STATIONS_NAMED: usize = 10;
/// Problems of a station file that are told; the others are counted.
const PROBLEMS_TOLD: usize = 20;

/// All station files, merged. `unit` is that of elevations where a file does not say, `network` the code of stations
/// listed without one. `tell` hears one sentence for each part that cannot be used.
///
/// # Errors
/// A file that cannot be read.
pub fn read_inventory(
    paths: &[PathBuf],
    unit: Option<ElevationUnit>,
    network: Option<&str>,
    mut tell: impl FnMut(&str),
) -> anyhow::Result<Inventory> {
    let mut inventory = Inventory::default();
    for path in paths {
        let named = || format!("cannot read \"{}\"", path.display());
        for (name, bytes) in documents(path).with_context(named)? {
            let read = read_stations(&bytes, unit)
                .with_context(|| format!("cannot read stations from \"{name}\""))?;
            for problem in read.problems.iter().take(PROBLEMS_TOLD) {
                tell(&format!("{name}, {problem}"));
            }
            let hidden = read.problems.len().saturating_sub(PROBLEMS_TOLD);
            if hidden > 0 {
                tell(&format!("{name}: {hidden} more problems"));
            }
            inventory.merge(read.value);
        }
    }
    if !paths.is_empty() && inventory.stations.is_empty() && inventory.channels.is_empty() {
        let names: Vec<String> = paths.iter().map(|path| format!("\"{}\"", path.display())).collect();
        bail!("{} holds no station", names.join(", "));
    }
    if let Some(network) = network {
        inventory.name_networks(|_| vec![network.to_owned()]);
    }
    Ok(inventory)
}

/// Gives stations that are listed without a network those of the waveforms at hand: of the files to be imported, and of
/// the home. Those that neither know are left out, and `tell` hears which.
///
/// `networks` are those of the files, by station code.
///
/// # Errors
/// A lake that cannot be read, and where no station is left.
pub async fn named_after_waveforms(
    mut stations: Inventory,
    mut networks: BTreeMap<String, BTreeSet<String>>,
    lakehouse: &Lakehouse,
    tell: impl FnOnce(&str) + Send,
) -> anyhow::Result<Inventory> {
    let columns = listed(&[segments::names::station, segments::names::network]);
    let sql = format!("SELECT DISTINCT {columns} FROM {}", segments::TABLE);
    let mut batches = lakehouse.ask(&sql).await?;
    while let Some(batch) = batches.try_next().await? {
        let (codes, names) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
        for (code, network) in codes.iter().flatten().zip(names.iter().flatten()) {
            networks.entry(code.to_owned()).or_default().insert(network.to_owned());
        }
    }
    let unknown = stations
        .name_networks(|code| networks.get(code).into_iter().flatten().cloned().collect::<Vec<String>>());
    let listed: Vec<String> = unknown.iter().take(STATIONS_NAMED).cloned().collect();
    let more = if unknown.len() > listed.len() { ", …" } else { "" };
    let words = "listed without a network code, and no waveform at hand names it: say --network CODE";
    if stations.stations.is_empty() && stations.channels.is_empty() {
        bail!("none of the stations can be used: {}{more} are {words}", listed.join(", "));
    }
    if !unknown.is_empty() {
        let (count, codes) = (unknown.len(), listed.join(", "));
        tell(&format!("{count} stations are left out ({codes}{more}): {words}"));
    }
    Ok(stations)
}
