//! `seislake-bench quality`: continuity of a national day from the metadata of segments and from the table kept up,
//! and component ratios beside ObsPy.
//!
//! The lake is synthetic: 18 870 channels with ten-minute segments of six samples (0.01 Hz: metadata as of a real day,
//! samples next to nothing), one in a hundred missing, some overlapping, some late in files of their own.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use datafusion::prelude::SessionContext;
use seislake_catalog::{Lake, LakeSettings};
use seislake_lakehouse::quality_jobs;
use seislake_model::{Continuity, Offsets, RecordPosition, Samples, Segment, SourceId, Timestamp};
use seislake_query::SessionSettings;
use seislake_query::quality::{continuity, stored};
use seislake_seismo::quality::{
    BandEnergy, Components, DayGrid, Piece, RatioSettings, Window, component_ratios,
};
use seislake_tables::{TableBatch, continuity};

use super::measure::{self, BenchFolder, Measure};
use crate::{BenchArgs, tell};

const CHANNEL_COUNT: usize = 18_870;
const SEGMENTS_A_DAY: i64 = 144;
const SEGMENT_SAMPLES: i64 = 6;
const RATE_HZ: f64 = 0.01;
const PERIOD_NS: i64 = 100_000_000_000;
/// Channels in one commit.
const COMMIT_CHANNELS: usize = 2_000;
const RUNS: u32 = 5;
const COMPUTED_S_TARGET: f64 = 1.0;
const STORED_S_TARGET: f64 = 0.1;
const RATIO_TARGET: f64 = 20.0;
const RATIO_RATE_HZ: f64 = 100.0;
const MONTH_DAYS: u32 = 30;
const TOPIC: &str = "bench";

const OBSPY: &str = include_str!("peers/component_ratios_obspy.py");

const NUMPY: &str = include_str!("peers/component_ratios_numpy.py");

pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<Vec<Measure>> {
    let folder = BenchFolder::new()?;
    let mut measures = continuity_measures(folder.path())?;
    measures.extend(component_ratio_measures(folder.path(), &args.python)?);
    Ok(measures)
}

/// Continuity of a day of 18 870 channels, in a lake of 2.7 million segments made in `folder`: computed from the
/// metadata, and read from `quality.continuity`; both must be equal.
pub(crate) fn continuity_measures(folder: &Path) -> anyhow::Result<Vec<Measure>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure_continuity(folder))
}

async fn measure_continuity(folder: &Path) -> anyhow::Result<Vec<Measure>> {
    let warehouse = folder.join("quality-warehouse").display().to_string();
    let lake = Lake::open(LakeSettings::new(warehouse, folder.join("quality.sqlite"))).await?;
    let row_count = make_segments(&lake).await?;
    tell(&format!("{row_count} segments made"));
    let session = seislake_query::session(lake.provider(), &SessionSettings::default())?;
    let day = day();
    let mut computed = Vec::new();
    let computed_s = best_of(RUNS, async || {
        computed = continuity(&session, day, None).await?;
        Ok(())
    })
    .await?;
    let begin = Instant::now();
    quality_jobs::run_continuity(&lake, &session).await?;
    tell(&format!("quality.continuity made in {:.2} s", begin.elapsed().as_secs_f64()));
    let stored_s = best_of(RUNS, async || read(&session, day).await).await?;
    let next = day.add_nanos(86_400_000_000_000);
    let table = stored(&session, day, next, &[]).await?.continuity;
    ensure!(computed.len() == CHANNEL_COUNT, "{} channels were found", computed.len());
    ensure!(table == computed, "quality.continuity differs from what the segments say");
    ensure_plausible(&computed)?;
    let measure =
        |name: &str, value_s: f64, target_s: f64| Measure::new(name, value_s, "s").at_most(target_s);
    Ok(vec![
        measure("continuity of 18870 channels for a day, from segments", computed_s, COMPUTED_S_TARGET),
        measure("the same from quality.continuity", stored_s, STORED_S_TARGET),
    ])
}

async fn best_of(runs: u32, mut work: impl AsyncFnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let mut best_s = f64::INFINITY;
    for _ in 0..runs {
        let begin = Instant::now();
        work().await?;
        best_s = best_s.min(begin.elapsed().as_secs_f64());
    }
    Ok(best_s)
}

async fn read(session: &SessionContext, day: Timestamp) -> anyhow::Result<()> {
    let (table, start) = (&continuity::TABLE, continuity::names::start_time);
    let sql = format!("SELECT * FROM {table} WHERE {start} = TIMESTAMP '{day}'");
    let batches = session.sql(&sql).await?.collect().await?;
    let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
    ensure!(rows == CHANNEL_COUNT, "quality.continuity has {rows} rows for the day");
    Ok(())
}

fn ensure_plausible(rows: &[Continuity]) -> anyhow::Result<()> {
    let sum = |count: fn(&Continuity) -> u64| rows.iter().map(count).sum::<u64>();
    let (gaps, overlaps) = (sum(|row| row.gap_count), sum(|row| row.overlap_count));
    let (received, expected) = (sum(|row| row.sample_count), sum(|row| row.expected_count));
    tell(&format!("{gaps} gaps, {overlaps} overlaps, {received} of {expected} samples"));
    ensure!(gaps > 0 && overlaps > 0 && received < expected, "the synthetic day has no defects");
    Ok(())
}

fn day() -> Timestamp {
    Timestamp::from_nanos(Window::day_of(Timestamp::from_micros(1_706_788_800_000_000)).start_ns)
}

/// What happens to a segment of the synthetic day: a fixed pattern over channels and times.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Whole,
    Missing,
    Overlapping,
    Late,
}

fn fate(channel: usize, index: i64) -> Fate {
    match (channel as u64).wrapping_mul(7_919).wrapping_add(index as u64 * 104_729) % 100 {
        0 => Fate::Missing,
        1..=3 => Fate::Overlapping,
        4..=8 => Fate::Late,
        _ => Fate::Whole,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Delivery {
    InTime,
    Late,
}

/// Segments of a channel-day that come with the others, or those that come late.
fn segments(channel: usize, delivery: Delivery) -> Vec<Segment> {
    let code = ["HHZ", "HHN", "HHE"][channel % 3];
    let source_id = SourceId::from_nslc("XX", &format!("S{:04}", channel / 3), "00", code);
    let made = (0..SEGMENTS_A_DAY + 2).filter_map(|index| {
        let fate = fate(channel, index);
        if fate == Fate::Missing || (fate == Fate::Late) != (delivery == Delivery::Late) {
            return None;
        }
        // The first begins before midnight: segments cross the boundaries of the day.
        let early = if fate == Fate::Overlapping { 2 * PERIOD_NS } else { 0 };
        let start_time = day().add_nanos(index * SEGMENT_SAMPLES * PERIOD_NS - early - 3 * PERIOD_NS);
        Some(Segment {
            source_id: source_id.clone(),
            start_time,
            end_time: start_time.add_nanos((SEGMENT_SAMPLES - 1) * PERIOD_NS),
            sample_rate_hz: RATE_HZ,
            encoding: "steim2".into(),
            quality: "D".into(),
            samples: Samples::Int32((0..SEGMENT_SAMPLES as i32).collect()),
            position: RecordPosition { topic: TOPIC.into(), partition: 0, offset: index as u64 },
        })
    });
    made.collect()
}

async fn make_segments(lake: &Lake) -> anyhow::Result<usize> {
    let mut sink = lake.sink("waveform.segments").await?;
    let (mut row_count, mut commits) = (0, 0);
    for delivery in [Delivery::InTime, Delivery::Late] {
        for start in (0..CHANNEL_COUNT).step_by(COMMIT_CHANNELS) {
            let channels = start..(start + COMMIT_CHANNELS).min(CHANNEL_COUNT);
            let rows: Vec<Segment> = channels.flat_map(|channel| segments(channel, delivery)).collect();
            row_count += rows.len();
            sink.write(TableBatch::of(rows)?).await?;
            commits += 1;
            let mut covered = Offsets::default();
            covered.set(TOPIC, 0, commits);
            sink.commit(&covered).await?;
        }
    }
    Ok(row_count)
}

/// Component ratios of a station-month at 100 Hz (one synthetic day, thirty times), samples in memory on both sides.
pub(crate) fn component_ratio_measures(folder: &Path, python: &str) -> anyhow::Result<Vec<Measure>> {
    let components = ['Z', 'N', 'E'].map(component);
    for (code, samples) in ['Z', 'N', 'E'].iter().zip(&components) {
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        std::fs::write(folder.join(format!("{code}.i32")), bytes)?;
    }
    let month_samples = 3.0 * 86_400.0 * RATIO_RATE_HZ * f64::from(MONTH_DAYS);
    let (mut times_s, mut days) = (Vec::new(), Vec::new());
    for _ in 0..measure::RUNS {
        let begin = Instant::now();
        days = month(&components)?;
        times_s.push(begin.elapsed().as_secs_f64());
    }
    let elapsed_s = measure::median(times_s);
    let ours = days.pop().context("no day was made")?;
    tell(&format!("component ratios of a station-month in {elapsed_s:.2} s"));
    let name = "component ratios of a station-month, 3 × 100 Hz, median of 3";
    let measure = || Measure::new(name, month_samples / elapsed_s / 1e6, "M samples/s");
    let mut measures = Vec::new();
    for (peer, script, target) in
        [("ObsPy", OBSPY, Some(RATIO_TARGET)), ("NumPy and SciPy, all windows at once", NUMPY, None)]
    {
        let Some([day_s, theirs @ ..]) = run_python(python, script, folder) else {
            tell(&format!(
                "\"{python}\" has no ObsPy: no peer for component ratios (--python names another)"
            ));
            measures.push(measure());
            break;
        };
        for (ours, theirs) in ours.iter().zip(theirs) {
            ensure!((ours / theirs - 1.0).abs() < 1e-9, "the ratio {ours} is {theirs} for {peer}");
        }
        let beside = measure().beside(peer, month_samples / f64::from(MONTH_DAYS) / day_s / 1e6);
        measures.push(match target {
            Some(target) => beside.at_least(target),
            None => beside,
        });
    }
    Ok(measures)
}

/// Noise with a slow swell, different for each component.
fn component(code: char) -> Vec<i32> {
    let mut state = code as u32;
    let count = (86_400.0 * RATIO_RATE_HZ) as usize;
    let sample = |index: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let swell = (index as f64 * 0.02 + f64::from(code as u32)).sin() * 2_000.0;
        (state >> 20) as i32 - 2_048 + swell as i32
    };
    (0..count).map(sample).collect()
}

/// The medians of each day of the month, days spread over the cores.
fn month(components: &[Vec<i32>; 3]) -> anyhow::Result<Vec<[f64; 3]>> {
    use rayon::prelude::*;
    (0..MONTH_DAYS).into_par_iter().map(|_| one_day(components)).collect()
}

fn one_day(components: &[Vec<i32>; 3]) -> anyhow::Result<[f64; 3]> {
    let window = Window::day_of(day());
    let energy = BandEnergy::new(RatioSettings::default(), RATIO_RATE_HZ)?;
    let mut grid = DayGrid::new(window, RATIO_RATE_HZ).context("no grid")?;
    let mut energies = Vec::new();
    for samples in components {
        grid = grid.reused(window, RATIO_RATE_HZ).context("no grid")?;
        let last_ns = window.end_ns - (1e9 / RATIO_RATE_HZ) as i64;
        let piece = Piece::new(window.start_ns, last_ns, RATIO_RATE_HZ, samples.len() as u64);
        grid.place(piece.context("no piece")?, samples);
        energies.push(energy.energies(&grid));
    }
    let codes = Components { codes: ['Z', 'N', 'E'] };
    let [z, n, e] = [&energies[0][..], &energies[1][..], &energies[2][..]];
    let row = component_ratios("bench", day(), codes, &energy, [z, n, e]).context("no ratios")?;
    let known = |ratio: Option<f64>| ratio.context("a ratio is missing");
    Ok([known(row.north_east)?, known(row.vertical_east)?, known(row.vertical_north)?])
}

/// Four numbers that a script prints.
fn run_python(python: &str, script: &str, folder: &Path) -> Option<[f64; 4]> {
    let rate = RATIO_RATE_HZ.to_string();
    let mut command = Command::new(python);
    let output = command.args(["-c", script]).arg(folder).arg(rate).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().ok()
}
