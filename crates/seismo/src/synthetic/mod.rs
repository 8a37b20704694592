//! A synthetic network whose truth is known: the demonstration and the end-to-end tests stream it.
//!
//! ```text
//! settings + seed ─► stations, events, defects ─► SyntheticNetwork
//!                                                    │ generator(channel)
//!     noise (block of 4096 samples) + wavelets ─► ChannelGenerator::fill(first sample, out)
//! ```
//! Samples are a function of seed, channel and sample index alone: they are made in blocks keyed by their number,
//! so the result does not depend on how the stream is cut or where it begins. Amplitudes follow Hutton & Boore
//! (1987), so that an ML made from Wood-Anderson amplitudes recovers the magnitude; onsets come from the
//! [`TravelTime`] given, so that a locator using the same earth model recovers the hypocentre.
//!
//! It does not model wave propagation: no reflections, no surface waves, no finite ruptures.

mod layout;
mod noise;
mod wavelet;

use seislake_model::{CatalogueEvent, Inventory, SourceId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::travel_time::TravelTime;
use noise::{NoiseSource, StationNoise};
use wavelet::{EventPath, Wavelet};

/// Channels of a station: vertical, north, east.
pub const COMPONENT_COUNT: usize = 3;
const COMPONENTS: [&str; COMPONENT_COUNT] = ["HHZ", "HHN", "HHE"];
const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// Range of a 24-bit digitiser.
const COUNT_MAX: f32 = 8_388_607.0;
/// Stations beyond this number would need other codes.
const STATION_COUNT_MAX: usize = 999;

/// What the network is like. The same settings give the same network, events and samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SyntheticSettings {
    /// Seed of everything random.
    pub seed: u64,
    /// Stations, 4 to 999, three channels each.
    pub station_count: usize,
    /// Sample rate.
    pub sample_rate_hz: f64,
    /// Time of the first sample.
    pub start_time: Timestamp,
    /// Length of the time in which there are events and defects; noise goes on for ever.
    pub duration_s: f64,
    /// Mean time between events. Events are at least 45 s apart, more after large ones.
    pub event_interval_s: f64,
    /// Centre of the network, degrees north.
    pub latitude: f64,
    /// Centre of the network, degrees east.
    pub longitude: f64,
    /// Side of the square in which the stations stand.
    pub extent_km: f64,
    /// Smallest magnitude; smaller events are not made.
    pub magnitude_min: f64,
    /// Largest magnitude.
    pub magnitude_max: f64,
    /// Counts per m/s.
    pub sensitivity: f64,
    /// What goes wrong.
    pub defects: Vec<DefectKind>,
}

impl Default for SyntheticSettings {
    fn default() -> Self {
        Self {
            seed: 1,
            station_count: 32,
            sample_rate_hz: 100.0,
            start_time: Timestamp::from_nanos(1_767_225_600 * 1_000_000_000),
            duration_s: 600.0,
            event_interval_s: 75.0,
            latitude: 31.0,
            longitude: 103.4,
            extent_km: 120.0,
            magnitude_min: 1.8,
            magnitude_max: 4.0,
            sensitivity: 6.0e8,
            defects: vec![DefectKind::Gap, DefectKind::DeadChannel, DefectKind::DuplicatePacket],
        }
    }
}

/// Kinds of things that go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DefectKind {
    /// One station sends nothing for a fifth of the duration, at most two minutes.
    Gap,
    /// One channel sends the same value all the time.
    DeadChannel,
    /// One packet is sent twice.
    DuplicatePacket,
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Defect {
    /// The channels send nothing from `start_time` (inclusive) to `end_time` (exclusive).
    Gap {
        /// Channels of one station.
        channel_indices: Vec<usize>,
        /// First missing moment.
        start_time: Timestamp,
        /// First moment after the gap.
        end_time: Timestamp,
    },
    /// The channel sends the same value all the time.
    DeadChannel {
        /// The channel.
        channel_index: usize,
        /// The value, counts.
        value: i32,
    },
    /// Whoever makes packets sends the one that holds `time` twice.
    DuplicatePacket {
        /// The channel.
        channel_index: usize,
        /// A moment inside the packet.
        time: Timestamp,
    },
}

/// Truth about one earthquake.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SyntheticEvent {
    /// Origin time.
    pub origin_time: Timestamp,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Depth below sea level.
    pub depth_km: f64,
    /// Local magnitude.
    pub magnitude: f64,
    /// Strike of the double couple, degrees clockwise from north: decides first motions.
    pub strike: f64,
    /// Dip of the double couple, degrees.
    pub dip: f64,
    /// Rake of the double couple, degrees.
    pub rake: f64,
}

/// A network, its earthquakes and its defects.
#[derive(Clone, Debug)]
pub struct SyntheticNetwork {
    settings: SyntheticSettings,
    inventory: Inventory,
    events: Vec<SyntheticEvent>,
    defects: Vec<Defect>,
    station_noise: Vec<StationNoise>,
    /// By event, then by station; `None` where the earth model knows no arrival.
    paths: Vec<Vec<Option<EventPath>>>,
    noise: NoiseSource,
}

impl SyntheticNetwork {
    /// Places stations, draws events and computes their arrivals in the earth model of `travel_time`.
    /// Cost: stations × events travel times.
    ///
    /// # Panics
    /// Where a setting is out of its range: fewer than 4 or more than 999 stations, a rate or duration that is not
    /// positive, magnitudes in the wrong order.
    pub fn new(settings: SyntheticSettings, travel_time: &dyn TravelTime) -> Self {
        assert!((4..=STATION_COUNT_MAX).contains(&settings.station_count), "4 to 999 stations");
        assert!(settings.sample_rate_hz > 0.0 && settings.duration_s > 0.0, "rate and duration are positive");
        assert!(settings.magnitude_min <= settings.magnitude_max, "magnitudes are in order");
        assert!(settings.event_interval_s > 0.0 && settings.sensitivity > 0.0, "interval and sensitivity");
        let inventory = layout::inventory(&settings);
        let events = layout::events(&settings);
        let defects = layout::defects(&settings);
        let station_noise = layout::station_noise(&settings);
        let paths = events
            .iter()
            .enumerate()
            .map(|(event_index, event)| {
                let stations = inventory.stations.iter().enumerate();
                stations
                    .map(|(station_index, station)| {
                        let key = (event_index, station_index);
                        EventPath::new(&settings, key, event, station, travel_time)
                    })
                    .collect()
            })
            .collect();
        let noise = NoiseSource::new(settings.seed, settings.sample_rate_hz);
        Self { settings, inventory, events, defects, station_noise, paths, noise }
    }

    /// The settings it was made from.
    pub const fn settings(&self) -> &SyntheticSettings {
        &self.settings
    }

    /// Stations and channels; `channels[channel_index]` is the channel of that index.
    pub const fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// The earthquakes, by origin time.
    pub fn events(&self) -> &[SyntheticEvent] {
        &self.events
    }

    /// The earthquakes as a catalogue, for [`crate::compare::compare`]; ids are `truth-1`, `truth-2`, ….
    pub fn catalogue(&self) -> Vec<CatalogueEvent> {
        let events = self.events.iter().enumerate();
        events
            .map(|(index, event)| CatalogueEvent {
                event_type: None,
                id: format!("truth-{}", index + 1),
                origin_time: event.origin_time,
                latitude: event.latitude,
                longitude: event.longitude,
                depth_km: Some(event.depth_km),
                magnitude: Some(event.magnitude),
            })
            .collect()
    }

    /// What goes wrong.
    pub fn defects(&self) -> &[Defect] {
        &self.defects
    }

    /// Three times the stations.
    pub fn channel_count(&self) -> usize {
        self.inventory.channels.len()
    }

    /// Identity of a channel.
    ///
    /// # Panics
    /// Where there is no such channel; so do the other functions that take a channel index.
    pub fn source_id(&self, channel_index: usize) -> &SourceId {
        &self.inventory.channels[channel_index].source_id
    }

    /// Samples of a channel within the duration of the settings.
    pub fn sample_count(&self) -> u64 {
        (self.settings.duration_s * self.settings.sample_rate_hz).round() as u64
    }

    /// Time of a sample.
    pub fn sample_time(&self, sample_index: u64) -> Timestamp {
        let rate_hz = self.settings.sample_rate_hz;
        let nanos = if rate_hz.fract() == 0.0 {
            u128::from(sample_index) * u128::from(NANOS_PER_SECOND) / (rate_hz as u128)
        } else {
            (sample_index as f64 * NANOS_PER_SECOND as f64 / rate_hz).round() as u128
        };
        self.settings.start_time.add_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
    }

    /// Whether the channel sends nothing at `time`.
    pub fn is_missing(&self, channel_index: usize, time: Timestamp) -> bool {
        self.defects.iter().any(|defect| match defect {
            Defect::Gap { channel_indices, start_time, end_time } => {
                channel_indices.contains(&channel_index) && *start_time <= time && time < *end_time
            }
            _ => false,
        })
    }

    /// Arrival times of P and S of an event at the station of a channel: the truth behind picks.
    pub fn arrivals(&self, event_index: usize, channel_index: usize) -> Option<(Timestamp, Timestamp)> {
        let path = self.paths[event_index][channel_index / COMPONENT_COUNT].as_ref()?;
        let origin_time = self.events[event_index].origin_time;
        Some((origin_time.add_seconds(path.p_s), origin_time.add_seconds(path.s_s)))
    }

    /// A generator of the samples of a channel. Keep it for the whole stream: it remembers the block it is in.
    pub fn generator(&self, channel_index: usize) -> ChannelGenerator<'_> {
        let amplitudes = self.noise.amplitudes(&self.station_noise[channel_index / COMPONENT_COUNT]);
        ChannelGenerator {
            network: self,
            channel_index,
            dead: self.defects.iter().find_map(|defect| match defect {
                Defect::DeadChannel { channel_index: dead, value } if *dead == channel_index => Some(*value),
                _ => None,
            }),
            amplitudes,
            spectra: noise::PairCache::default(),
            wavelets: Vec::new(),
            block: None,
        }
    }

    /// Samples of a channel from `first_sample_index` on, counts. Convenient for a single look; streams use
    /// [`Self::generator`], which does not make a block anew for each packet.
    pub fn fill(&self, channel_index: usize, first_sample_index: u64, out: &mut [i32]) {
        self.generator(channel_index).fill(first_sample_index, out);
    }
}

/// Makes the samples of one channel; see [`SyntheticNetwork::generator`].
#[derive(Debug)]
pub struct ChannelGenerator<'a> {
    network: &'a SyntheticNetwork,
    channel_index: usize,
    dead: Option<i32>,
    amplitudes: Vec<f32>,
    spectra: noise::PairCache,
    /// Wavelets that reach into the current block, by event.
    wavelets: Vec<(usize, Wavelet)>,
    block: Option<(u64, Vec<i32>)>,
}

impl ChannelGenerator<'_> {
    /// Writes the samples `first_sample_index..first_sample_index + out.len()`, counts. They are the same however
    /// the stream is cut and in whatever order it is asked for; asking in order is fast.
    pub fn fill(&mut self, first_sample_index: u64, out: &mut [i32]) {
        if let Some(value) = self.dead {
            out.fill(value);
            return;
        }
        let hop = noise::HOP as u64;
        let mut next = first_sample_index;
        let mut rest = out;
        while !rest.is_empty() {
            let offset = (next % hop) as usize;
            let count = rest.len().min(noise::HOP - offset);
            let (head, tail) = rest.split_at_mut(count);
            head.copy_from_slice(&self.block(next / hop)[offset..offset + count]);
            next += count as u64;
            rest = tail;
        }
    }

    fn block(&mut self, block_index: u64) -> &[i32] {
        if self.block.as_ref().is_none_or(|(index, _)| *index != block_index) {
            let samples = self.make_block(block_index);
            self.block = Some((block_index, samples));
        }
        self.block.as_ref().map_or(&[], |(_, samples)| samples)
    }

    fn make_block(&mut self, block_index: u64) -> Vec<i32> {
        let network = self.network;
        let mut sum = vec![0.0_f32; noise::HOP];
        network.noise.fill(self.channel_index, block_index, &self.amplitudes, &mut self.spectra, &mut sum);
        let first = block_index * noise::HOP as u64;
        let end = first + noise::HOP as u64;
        self.wavelets.retain(|(_, wavelet)| wavelet.end() > first);
        let (station_index, component) =
            (self.channel_index / COMPONENT_COUNT, self.channel_index % COMPONENT_COUNT);
        for (event_index, paths) in network.paths.iter().enumerate() {
            let Some(path) = paths[station_index].as_ref() else { continue };
            if path.end <= first || path.first >= end {
                continue;
            }
            let position = match self.wavelets.iter().position(|(index, _)| *index == event_index) {
                Some(position) => position,
                None => {
                    self.wavelets.push((event_index, path.wavelet(&network.settings, component)));
                    self.wavelets.len() - 1
                }
            };
            self.wavelets[position].1.add_to(first, &mut sum);
        }
        sum.iter().map(|value| value.round().clamp(-COUNT_MAX, COUNT_MAX) as i32).collect()
    }
}

#[cfg(test)]
mod tests;
