//! `seislake export`: events, stations or waveforms in an exchange format.
//!
//! Waveforms come from the tables, sample for sample, beside a running server too; the original records (`raw`), and the
//! texts of log channels, from the warehouse where they are kept there, else from the log.

mod originals;
mod sds;

use std::fs::File;
use std::io::{BufWriter, Write};

use anyhow::{Context, bail};
use futures::{Stream, TryStreamExt};
use seislake_api::{ApiError, RecordBlock, RecordFormat};
use seislake_catalog::AsOf;
use seislake_exchange::catalogue_text::{GeoJsonMetadata, write_csv, write_geojson};
use seislake_exchange::quakeml::{self, Bulletin};
use seislake_exchange::stationxml;
use seislake_model::{Clock, SourceId};

use crate::command_line::{ExportArgs, ExportFormat};
use crate::lakehouse::Lakehouse;
use crate::server::SystemClock;
use crate::settings::Settings;

pub(crate) async fn run(args: ExportArgs) -> anyhow::Result<()> {
    let settings = Settings::load(args.home.config.as_deref())?;
    let lakehouse = Lakehouse::open_for_reading(&args.home.home, &settings).await?;
    if args.format == ExportFormat::Sds {
        let folder = args.output.as_deref().context("--format sds needs --output DIRECTORY")?;
        let mut archive = sds::Archive::new(folder);
        archive.take(waveforms(&args, &lakehouse, RecordFormat::MiniSeed2).await?).await?;
        let write = |source_id: &SourceId, record: &[u8]| archive.put(source_id, record);
        originals::texts(&args, &settings, &lakehouse, RecordFormat::MiniSeed2, write).await?;
        return archive.close();
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
            return one_file(&args, &settings, &lakehouse, RecordFormat::MiniSeed2, &mut out).await;
        }
        ExportFormat::Mseed3 => {
            return one_file(&args, &settings, &lakehouse, RecordFormat::MiniSeed3, &mut out).await;
        }
        ExportFormat::Raw => {
            let record_count = originals::records(&args, &settings, &lakehouse, &mut out).await?;
            out.flush().context("cannot write the export")?;
            return refuse_nothing(&args, record_count);
        }
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

/// The samples, then the texts.
async fn one_file(
    args: &ExportArgs,
    settings: &Settings,
    lakehouse: &Lakehouse,
    format: RecordFormat,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<()> {
    let mut blocks = std::pin::pin!(waveforms(args, lakehouse, format).await?);
    let mut record_count = 0;
    while let Some(block) = blocks.try_next().await? {
        record_count += block.records.len();
        for record in &block.records {
            out.write_all(record).context("cannot write the export")?;
        }
    }
    let write = |_: &SourceId, record: &[u8]| out.write_all(record).context("cannot write the export");
    record_count += originals::texts(args, settings, lakehouse, format, write).await?;
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
