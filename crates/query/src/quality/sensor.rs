//! One sensor and day: the samples of its components, read once, make signal levels and component ratios.
//!
//! Components are taken one after the other over one grid: memory is that of one channel's day (8 bytes a sample) and
//! its rows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use datafusion::prelude::SessionContext;
use seislake_model::{ComponentRatios, Result, SignalLevel, SourceId, Timestamp};
use seislake_seismo::quality::{
    BandEnergy, Components, DayGrid, Piece, RatioSettings, Window, component_ratios, signal_level,
};
use seislake_tables::listed;
use seislake_tables::segments::{TABLE, names};

use super::{Selection, collected, literal, overlaps, version};
use crate::error::OfEngine;

/// What the samples of a sensor's day tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SensorDay {
    /// One row a channel.
    pub levels: Vec<SignalLevel>,
    /// Where at least two components have complete windows in a band that fits their rate.
    pub ratios: Option<ComponentRatios>,
}

/// Sensors with samples on the day, each with its channels, by id (`FDSN:NET_STA_LOC_B_S`). A sensor is taken where one
/// of its channels is wanted, then with all channels.
pub async fn instruments(
    context: &SessionContext,
    day: Timestamp,
    wanted: Selection<'_>,
) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let sql =
        format!("SELECT DISTINCT {} FROM {TABLE} WHERE {}", names::source_id, overlaps(Window::day_of(day)));
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for batch in collected(context, &sql).await? {
        let names = batch.column(0).as_string::<i32>();
        for name in names.iter().flatten() {
            if let Ok(source_id) = name.parse::<SourceId>() {
                found.entry(source_id.instrument_key().to_owned()).or_default().insert(name.to_owned());
            }
        }
    }
    if let Some(wanted) = wanted {
        found.retain(|_, channels| !channels.is_disjoint(wanted));
    }
    Ok(found)
}

/// Rows of the sensor `instrument_id` with these channels on the day in which `day` lies.
pub async fn sensor(
    context: &SessionContext,
    day: Timestamp,
    instrument_id: &str,
    channels: &BTreeSet<String>,
    settings: RatioSettings,
) -> Result<SensorDay> {
    let window = Window::day_of(day);
    let begin = Timestamp::from_nanos(window.start_ns);
    let mut made = SensorDay::default();
    let mut energies: BTreeMap<char, (BandEnergy, Vec<Option<f64>>)> = BTreeMap::new();
    let mut spare = None;
    let quality = version::column(context).await?;
    for channel in channels {
        let sql = format!(
            "SELECT {}, {quality} FROM {TABLE} WHERE {} = {} AND {}",
            listed(&[
                names::start_ns,
                names::end_ns,
                names::sample_rate_hz,
                names::sample_count,
                names::samples,
                names::samples_float
            ]),
            names::source_id,
            literal(channel),
            overlaps(window)
        );
        let batches = collected(context, &sql).await?;
        let (Some(grid), Ok(source_id)) =
            (grid(&batches, window, spare.take())?, channel.parse::<SourceId>())
        else {
            continue;
        };
        drop(batches);
        made.levels.extend(signal_level(source_id.clone(), begin, &grid));
        if let (Some(code), Ok(energy)) =
            (source_id.orientation(), BandEnergy::new(settings, grid.sample_rate_hz()))
        {
            let of_windows = energy.energies(&grid);
            energies.insert(code, (energy, of_windows));
        }
        spare = Some(grid);
    }
    made.ratios = ratios(instrument_id, begin, &energies);
    Ok(made)
}

/// Components of the rate of the first; others cannot be set against it.
fn ratios(
    instrument_id: &str,
    day: Timestamp,
    energies: &BTreeMap<char, (BandEnergy, Vec<Option<f64>>)>,
) -> Option<ComponentRatios> {
    let codes: Vec<char> = energies.keys().copied().collect();
    let components = Components::of(&codes)?;
    let (energy, _) = components.codes.iter().find_map(|code| energies.get(code))?;
    let rate_hz = energy.sample_rate_hz();
    let of = |code: &char| match energies.get(code) {
        Some((energy, windows)) if (energy.sample_rate_hz() / rate_hz - 1.0).abs() < 1e-4 => {
            windows.as_slice()
        }
        _ => &[],
    };
    component_ratios(instrument_id, day, components, energy, components.codes.each_ref().map(of))
}

/// The samples of all rows on the grid of the day, at the rate of most samples; the best version of each moment.
fn grid(batches: &[RecordBatch], window: Window, spare: Option<DayGrid>) -> Result<Option<DayGrid>> {
    let mut pieces: Vec<(Reverse<u8>, Piece, usize, usize)> = Vec::new();
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    for (index, batch) in batches.iter().enumerate() {
        let long = |column: usize| batch.column(column).as_primitive::<Int64Type>().values();
        let (starts, ends, numbers) = (long(0), long(1), long(3));
        let rates = batch.column(2).as_primitive::<Float64Type>().values();
        for (row, rank) in version::ranks(batch).of_engine()?.into_iter().enumerate() {
            let Some(rank) = rank else { continue };
            let number = u64::try_from(numbers[row]).unwrap_or(0);
            let Some(piece) = Piece::new(starts[row], ends[row], rates[row], number) else { continue };
            *counts.entry(rates[row].to_bits()).or_default() += piece.sample_count();
            pieces.push((Reverse(rank), piece, index, row));
        }
    }
    let Some((rate_bits, _)) = counts.into_iter().max_by_key(|(bits, count)| (*count, *bits)) else {
        return Ok(None);
    };
    let rate_hz = f64::from_bits(rate_bits);
    pieces.sort_unstable_by_key(|(version, piece, batch, row)| {
        (*version, piece.start_ns(), piece.end_ns(), *batch, *row)
    });
    let made = match spare {
        Some(spare) => spare.reused(window, rate_hz),
        None => DayGrid::new(window, rate_hz),
    };
    let Some(mut grid) = made else { return Ok(None) };
    for of_version in pieces.chunk_by(|one, next| one.0 == next.0) {
        for (_, piece, batch, row) in of_version {
            let Some(batch) = batches.get(*batch) else { continue };
            let (integers, floats) = (batch.column(4).as_list::<i32>(), batch.column(5).as_list::<i32>());
            if integers.is_valid(*row) {
                grid.place(*piece, integers.value(*row).as_primitive::<Int32Type>().values());
            } else if floats.is_valid(*row) {
                grid.place(*piece, floats.value(*row).as_primitive::<Float64Type>().values());
            }
        }
        grid.next_version();
    }
    Ok(Some(grid))
}
