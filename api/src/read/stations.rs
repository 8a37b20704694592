//! Stations, from the inventory in memory.

use seislake_model::{Inventory, Station, in_capitals};

use super::events::Area;

/// Which stations.
#[derive(Clone, Debug, Default)]
pub(crate) struct StationFilter {
    pub(crate) network: Option<String>,
    pub(crate) station: Option<String>,
    pub(crate) areas: Vec<Area>,
}

impl StationFilter {
    /// Sort key of a station epoch: network, station, begin.
    pub(crate) fn key(station: &Station) -> String {
        let start = station.start_time.map(|time| time.to_string()).unwrap_or_default();
        format!("{}\t{}\t{start}", station.network, station.station)
    }

    /// Epochs that pass, by their key.
    pub(crate) fn stations<'a>(&self, inventory: &'a Inventory) -> Vec<&'a Station> {
        let equal = |wanted: &Option<String>, code: &str| {
            let wanted = wanted.as_deref();
            wanted.is_none_or(|wanted| {
                wanted == code || in_capitals(wanted).is_some_and(|wanted| wanted == code)
            })
        };
        let mut matching: Vec<&Station> = inventory
            .stations
            .iter()
            .filter(|epoch| equal(&self.network, &epoch.network) && equal(&self.station, &epoch.station))
            .filter(|epoch| self.areas.iter().all(|area| area.contains(epoch.latitude, epoch.longitude)))
            .collect();
        matching.sort_by_cached_key(|station| Self::key(station));
        matching
    }
}
