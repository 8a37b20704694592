//! `seislake export`: events, stations or waveforms in an exchange format.
//!
//! Waveforms come from the tables, sample for sample, beside a running server too; the original records (`raw`) from the log.

mod sds;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::Arc;

use anyhow::{Context, bail};
use bytes::Bytes;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::Int64Type;
use futures::{Stream, TryStreamExt};
use seislake_api::{ApiError, RecordBlock, RecordFormat};
use seislake_catalog::AsOf;
use seislake_exchange::catalogue_text::{GeoJsonMetadata, write_csv, write_geojson};
use seislake_exchange::quakeml::{self, Bulletin};
use seislake_exchange::stationxml;
use seislake_model::{Clock, Timestamp};
use seislake_streams::message::WAVEFORMS_RAW;
use seislake_streams::topic::{Log, LogSettings, Topic};

use crate::command_line::{ExportArgs, ExportFormat};
use crate::home::Home;
use crate::lakehouse::Lakehouse;
use crate::server::SystemClock;
use crate::settings::Settings;

pub(crate) async fn run(args: ExportArgs) -> anyhow::Result<()> {
    let settings = Settings::load(args.home.config.as_deref())?;
    let lakehouse = Lakehouse::open_for_reading(&args.home.home, &settings).await?;
    if args.format == ExportFormat::Sds {
        let folder = args.output.as_deref().context("--format sds needs --output DIRECTORY")?;
        return sds::write(waveforms(&args, &lakehouse, RecordFormat::MiniSeed2).await?, folder).await;
    }
    let mut out: Box<dyn Write + Send> = match &args.output {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("cannot write \"{}\"", path.display()))?;
            Box::new(BufWriter::new(file))
        }
        None => Box::new(std::io::stdout()),
    };
    let text = match args.format {
        ExportFormat::Mseed | ExportFormat::Sds => {
            return one_file(&args, waveforms(&args, &lakehouse, RecordFormat::MiniSeed2).await?, &mut out)
                .await;
        }
        ExportFormat::Mseed3 => {
            return one_file(&args, waveforms(&args, &lakehouse, RecordFormat::MiniSeed3).await?, &mut out)
                .await;
        }
        ExportFormat::Raw => return raw_records(&args, &settings, &lakehouse, &mut out).await,
        ExportFormat::Stationxml => {
            let inventory = lakehouse.lake().inventory().await?;
            stationxml::write(&inventory, stationxml::Level::Response, SystemClock.now())
        }
        ExportFormat::Quakeml => quakeml::write(&bulletin(&args, &lakehouse).await?),
        ExportFormat::Csv => {
            let bulletin = bulletin(&args, &lakehouse).await?;
            write_csv(&bulletin.events.into_iter().map(|detail| detail.event).collect::<Vec<_>>())
        }
        ExportFormat::Geojson => {
            let bulletin = bulletin(&args, &lakehouse).await?;
            let events: Vec<_> =
                bulletin.events.iter().map(|detail| (&detail.event, detail.origins.first())).collect();
            let metadata = GeoJsonMetadata {
                generated_at: SystemClock.now(),
                url: String::new(),
                title: "Seislake events".to_owned(),
            };
            write_geojson(&events, &metadata)
        }
    };
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write the export")
}

/// `--from` is included, `--to` is not.
async fn bulletin(args: &ExportArgs, lakehouse: &Lakehouse) -> anyhow::Result<Bulletin> {
    let last = args.to.map(|to| to.add_nanos(-1));
    Ok(seislake_api::bulletin(&lakehouse.session()?, args.from, last).await?)
}

/// Records made of the samples of the tables, at one snapshot. `--from` is included, `--to` is not.
async fn waveforms<'a>(
    args: &'a ExportArgs,
    lakehouse: &'a Lakehouse,
    format: RecordFormat,
) -> anyhow::Result<impl Stream<Item = Result<RecordBlock, ApiError>> + Send + use<'a>> {
    let snapshot = lakehouse.lake().snapshot_id("waveform.segments", AsOf::Latest).await?;
    let window = (args.from, args.to);
    Ok(seislake_api::records(lakehouse.session()?, snapshot, args.source.as_deref(), window, format).await?)
}

async fn one_file(
    args: &ExportArgs,
    blocks: impl Stream<Item = Result<RecordBlock, ApiError>> + Send,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<()> {
    let mut blocks = std::pin::pin!(blocks);
    let mut record_count = 0;
    while let Some(block) = blocks.try_next().await? {
        record_count += block.records.len();
        for record in &block.records {
            out.write_all(record).context("cannot write the export")?;
        }
    }
    out.flush().context("cannot write the export")?;
    refuse_nothing(args, record_count)
}

/// The log of the home, opened once a record is needed from it.
struct Logged<'a> {
    args: &'a ExportArgs,
    settings: &'a Settings,
    opened: Option<(Home, Arc<dyn Topic>)>,
}

impl Logged<'_> {
    async fn read(&mut self, partition: i64, offset: i64) -> anyhow::Result<Bytes> {
        const READ_BYTES: usize = 64 << 10;
        let (_, raw) = match &mut self.opened {
            Some(opened) => opened,
            None => {
                let home = Home::open(&self.args.home.home)
                    .context("records are read from the log, which only one process may open")?;
                let log = Log::open(home.path(), LogSettings::default());
                let raw = log.topic(WAVEFORMS_RAW, self.settings.streams.raw_partition_count)?;
                self.opened.insert((home, raw))
            }
        };
        let (partition, offset) = (u32::try_from(partition)?, u64::try_from(offset)?);
        let found = raw.read(partition, offset, READ_BYTES, std::time::Duration::ZERO).await?;
        let record = found.into_iter().next();
        Ok(record.with_context(|| format!("the log no longer holds offset {offset}"))?.value)
    }
}

/// The original records, byte for byte, by source id and time: from the warehouse where they are kept there, else from
/// the log. Records that begin before `--to` and end
/// at or after `--from` are taken.
async fn raw_records(
    args: &ExportArgs,
    settings: &Settings,
    lakehouse: &Lakehouse,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<()> {
    let mut clauses = vec!["true".to_owned()];
    let literal = |time: &Timestamp| format!("TIMESTAMP '{time}'");
    clauses.extend(args.from.as_ref().map(|from| format!("last_sample_time >= {}", literal(from))));
    clauses.extend(args.to.as_ref().map(|to| format!("start_time < {}", literal(to))));
    clauses
        .extend(args.source.as_ref().map(|source| format!("source_id = '{}'", source.replace('\'', "''"))));
    let sql = format!(
        "SELECT CAST(partition AS BIGINT), CAST(\"offset\" AS BIGINT), object_uri FROM waveform.packets WHERE {} \
         ORDER BY source_id, start_ns, sha256",
        clauses.join(" AND ")
    );
    let mut originals = lakehouse.lake().originals();
    let mut logged = Logged { args, settings, opened: None };
    let mut batches = seislake_query::query(&lakehouse.session()?, &sql).await?;
    let mut record_count = 0_usize;
    while let Some(batch) = batches.try_next().await? {
        let partitions = batch.column(0).as_primitive::<Int64Type>();
        let offsets = batch.column(1).as_primitive::<Int64Type>();
        let uris = batch.column(2).as_string::<i32>();
        for row in 0..batch.num_rows() {
            let record = match uris.is_valid(row) {
                true => originals.read(uris.value(row)).await?,
                false => logged.read(partitions.value(row), offsets.value(row)).await?,
            };
            out.write_all(&record).context("cannot write the export")?;
            record_count += 1;
        }
    }
    out.flush().context("cannot write the export")?;
    refuse_nothing(args, record_count)
}

/// An export that found nothing is an error: a misspelt source would go unnoticed.
fn refuse_nothing(args: &ExportArgs, record_count: usize) -> anyhow::Result<()> {
    if record_count > 0 {
        return Ok(());
    }
    let source = args.source.as_ref().map_or_else(String::new, |source| format!(" of \"{source}\""));
    let time = if args.from.or(args.to).is_some() { " in this time" } else { "" };
    bail!("the home holds no records{source}{time}; the export is empty")
}
