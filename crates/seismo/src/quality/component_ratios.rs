//! Ratios of the energies of the three components of a sensor, as daily medians.
//!
//! A step in the logarithm of a ratio is a change of gain, orientation or health of one component. Pedersen et al.
//! 2020, SRL 91, 272.

use seislake_model::{ComponentRatios, Timestamp};

use super::band_energy::BandEnergy;
use super::statistics::median;

/// Which codes stand for vertical, north and east. The letters are taken as they are: `1` and `2` need not point
/// north and east, and their ratio is as steady.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Components {
    /// Vertical, north, east.
    pub codes: [char; 3],
}

impl Components {
    const TRIPLES: [[char; 3]; 2] = [['Z', 'N', 'E'], ['Z', '1', '2']];

    /// The triple of which a sensor with these component codes has most (at least two); of equals `ZNE`.
    pub fn of(codes: &[char]) -> Option<Self> {
        let present = |triple: &[char; 3]| triple.iter().filter(|code| codes.contains(code)).count();
        let best = Self::TRIPLES.iter().rev().max_by_key(|triple| present(triple))?;
        (present(best) >= 2).then_some(Self { codes: *best })
    }
}

/// The row of a sensor's day from the energies of its windows (vertical, north, east; empty: no such component).
/// A ratio takes the windows in which both components are complete and the divisor is not dead. `None` where no window
/// has two components.
pub fn component_ratios(
    instrument_id: &str,
    day: Timestamp,
    components: Components,
    energy: &BandEnergy,
    energies: [&[Option<f64>]; 3],
) -> Option<ComponentRatios> {
    let [vertical, north, east] = energies;
    let length = energies.iter().map(|energies| energies.len()).max().unwrap_or(0);
    let known = |energies: &[Option<f64>], index: usize| energies.get(index).copied().flatten();
    let present = |index: &usize| energies.iter().filter(|one| known(one, *index).is_some()).count() >= 2;
    let window_count = (0..length).filter(present).count() as u64;
    if window_count == 0 {
        return None;
    }
    let ratio = |over: &[Option<f64>], under: &[Option<f64>]| {
        let pairs = over.iter().zip(under).filter_map(|(over, under)| Some(((*over)?, (*under)?)));
        let mut ratios: Vec<f64> =
            pairs.filter(|(_, under)| *under > 0.0).map(|(over, under)| over / under).collect();
        median(&mut ratios)
    };
    let settings = energy.settings();
    Some(ComponentRatios {
        instrument_id: instrument_id.to_owned(),
        start_time: day,
        components: components.codes.iter().collect(),
        sample_rate_hz: energy.sample_rate_hz(),
        low_hz: settings.low_hz,
        high_hz: settings.high_hz,
        window_count,
        north_east: ratio(north, east),
        vertical_east: ratio(vertical, east),
        vertical_north: ratio(vertical, north),
    })
}
