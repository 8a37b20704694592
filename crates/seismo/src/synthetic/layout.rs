//! Where the stations stand, when and where the earthquakes are, and what goes wrong: everything drawn once.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use seislake_model::{Channel, InputUnit, Inventory, PolesZeros, Response, SourceId, Station};

use super::noise::StationNoise;
use super::{COMPONENT_COUNT, COMPONENTS, Defect, DefectKind, SyntheticEvent, SyntheticSettings};
use crate::geometry::LocalFrame;

const NETWORK: &str = "SY";
/// Shares of unity that spread points evenly over a square (Roberts' R2 sequence: powers of the plastic number).
const R2: (f64, f64) = (0.754_877_666_246_693, 0.569_840_290_998_053);
/// Time before the first event, in which detectors learn the noise.
const QUIET_S: f64 = 45.0;
/// Time kept free after the last origin, so that its waves arrive within the duration.
const TAIL_S: f64 = 60.0;
/// Shortest time between two events; each magnitude above the smallest adds [`MAGNITUDE_INTERVAL_S`].
const INTERVAL_MIN_S: f64 = 45.0;
const MAGNITUDE_INTERVAL_S: f64 = 12.0;
/// Epicentres lie within this share of the side of the network.
const EPICENTRE_SHARE: f64 = 0.8;
const DEPTH_KM: std::ops::Range<f64> = 3.0..20.0;
const GAP_S_MAX: f64 = 120.0;
const DEAD_VALUE: i32 = 117;

/// What a random stream is for: streams of different purposes never share numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    Stations = 1,
    Events,
    Defects,
    StationNoise,
    Noise,
    Path,
    Wavelet,
}

/// The random stream of a purpose and a key.
pub(super) fn stream(seed: u64, purpose: Purpose, key: (u64, u64)) -> ChaCha8Rng {
    let mut bytes = [0_u8; 32];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip([seed, purpose as u64, key.0, key.1]) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(bytes)
}

/// Stations spread evenly, each moved a little at random, with three broadband velocity channels.
pub(super) fn inventory(settings: &SyntheticSettings) -> Inventory {
    let mut random = stream(settings.seed, Purpose::Stations, (0, 0));
    let frame = LocalFrame::new(settings.latitude, settings.longitude);
    let jitter = 0.25 / (settings.station_count as f64).sqrt();
    let mut inventory = Inventory::default();
    for index in 0..settings.station_count {
        let mut place = |share: f64| {
            let even = (0.5 + share * index as f64).fract();
            (even - 0.5 + random.random_range(-jitter..jitter)) * settings.extent_km
        };
        let (east_km, north_km) = (place(R2.0), place(R2.1));
        let (latitude, longitude) = frame.to_degrees(east_km, north_km);
        let station = Station {
            network: NETWORK.into(),
            station: format!("D{:03}", index + 1),
            latitude: round(latitude, 1e5),
            longitude: round(longitude, 1e5),
            elevation_m: round(random.random_range(100.0..900.0), 1.0),
            site_name: Some(format!("Synthetic station {}", index + 1)),
            start_time: None,
            end_time: None,
            original: None,
            network_original: None,
        };
        inventory.channels.extend(COMPONENTS.iter().map(|code| channel(settings, &station, code)));
        inventory.stations.push(station);
    }
    inventory
}

fn round(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

fn channel(settings: &SyntheticSettings, station: &Station, code: &str) -> Channel {
    let (azimuth, dip) = match code {
        "HHZ" => (0.0, -90.0),
        "HHN" => (0.0, 0.0),
        _ => (90.0, 0.0),
    };
    Channel {
        source_id: SourceId::from_nslc(&station.network, &station.station, "", code),
        latitude: station.latitude,
        longitude: station.longitude,
        elevation_m: station.elevation_m,
        depth_m: 0.0,
        azimuth: Some(azimuth),
        dip: Some(dip),
        sample_rate_hz: Some(settings.sample_rate_hz),
        sensor: Some("Synthetic broadband, 120 s".into()),
        start_time: None,
        end_time: None,
        response: Some(Response {
            sensitivity: settings.sensitivity,
            sensitivity_frequency_hz: 1.0,
            input_unit: InputUnit::Velocity,
            poles_zeros: Some(PolesZeros {
                poles: vec![(-0.037_024, 0.037_024), (-0.037_024, -0.037_024)],
                zeros: vec![(0.0, 0.0), (0.0, 0.0)],
                normalization_factor: 1.0,
            }),
        }),
        original: None,
        response_original: None,
    }
}

/// Earthquakes: Gutenberg-Richter magnitudes (b = 1, truncated), even in space, a minute or two apart.
/// At least one, in the first third where the duration is too short for the usual quiet times.
pub(super) fn events(settings: &SyntheticSettings) -> Vec<SyntheticEvent> {
    let mut random = stream(settings.seed, Purpose::Events, (0, 0));
    let frame = LocalFrame::new(settings.latitude, settings.longitude);
    let half_km = 0.5 * EPICENTRE_SHARE * settings.extent_km;
    let mut events = Vec::new();
    let mut time_s = QUIET_S.min(settings.duration_s / 3.0) + random.random_range(0.0..5.0);
    while events.is_empty() || time_s < settings.duration_s - TAIL_S {
        let (latitude, longitude) =
            frame.to_degrees(random.random_range(-half_km..half_km), random.random_range(-half_km..half_km));
        let magnitude = gutenberg_richter(settings, random.random());
        events.push(SyntheticEvent {
            origin_time: settings.start_time.add_seconds(round(time_s, 1e4)),
            latitude: round(latitude, 1e5),
            longitude: round(longitude, 1e5),
            depth_km: round(random.random_range(DEPTH_KM), 100.0),
            magnitude: round(magnitude, 100.0),
            strike: random.random_range(0.0..360.0),
            dip: random.random_range(20.0..90.0),
            rake: random.random_range(-180.0..180.0),
        });
        let least_s = INTERVAL_MIN_S + MAGNITUDE_INTERVAL_S * (magnitude - settings.magnitude_min);
        let spread_s = 2.0 * (settings.event_interval_s - INTERVAL_MIN_S).max(5.0);
        time_s += least_s + random.random_range(0.0..spread_s);
    }
    events
}

fn gutenberg_richter(settings: &SyntheticSettings, share: f64) -> f64 {
    let range = settings.magnitude_max - settings.magnitude_min;
    settings.magnitude_min - (1.0 - share * (1.0 - 10_f64.powf(-range))).log10()
}

/// Draws the victims of the defects; each defect hits another station.
pub(super) fn defects(settings: &SyntheticSettings) -> Vec<Defect> {
    let mut random = stream(settings.seed, Purpose::Defects, (0, 0));
    let first_station = random.random_range(0..settings.station_count);
    let mut defects = Vec::new();
    for (number, kind) in settings.defects.iter().enumerate() {
        let channel_index = (first_station + number) % settings.station_count * COMPONENT_COUNT;
        let start_s = settings.duration_s * random.random_range(0.3..0.6);
        let time = settings.start_time.add_seconds(round(start_s, 1.0));
        defects.push(match kind {
            DefectKind::Gap => Defect::Gap {
                channel_indices: (channel_index..channel_index + COMPONENT_COUNT).collect(),
                start_time: time,
                end_time: time.add_seconds(round((settings.duration_s / 5.0).min(GAP_S_MAX), 1.0).max(1.0)),
            },
            DefectKind::DeadChannel => Defect::DeadChannel { channel_index, value: DEAD_VALUE },
            DefectKind::DuplicatePacket => Defect::DuplicatePacket { channel_index, time },
        });
    }
    defects
}

/// How loud each station is: microseism is much the same everywhere, local noise is not.
pub(super) fn station_noise(settings: &SyntheticSettings) -> Vec<StationNoise> {
    (0..settings.station_count as u64)
        .map(|index| {
            let mut random = stream(settings.seed, Purpose::StationNoise, (index, 0));
            let local_m_per_s = 15e-9 * 5_f64.powf(random.random());
            StationNoise {
                microseism_counts: (settings.sensitivity * 200e-9 * random.random_range(0.8..1.25)) as f32,
                local_counts: (settings.sensitivity * local_m_per_s) as f32,
            }
        })
        .collect()
}
