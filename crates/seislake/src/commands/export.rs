//! `seislake export`: events, stations or waveforms in an exchange format.
//!
//! Waveforms come from the tables, sample for sample, beside a running server too; the original records (`raw`), and the
//! texts of log channels, from the warehouse where they are kept there, else from the log.

mod originals;
mod output;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use seislake_model::Timestamp;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use futures::{Stream, TryStreamExt};
use indicatif::{HumanBytes, ProgressBar};
use output::{Content, Output, is_begun_beside};
use seislake_api::{ApiError, RecordBlock, RecordFormat};
use seislake_exchange::catalogue_text::{GeoJsonMetadata, write_csv, write_geojson};
use seislake_exchange::quakeml::{self, Bulletin};
use seislake_exchange::stationxml;
use seislake_model::{Clock, SourceId};

use crate::arguments::HomeArgs;
use crate::interruption::{DROPPED_WITHIN, aside_or_interrupted};
use crate::server::SystemClock;
use crate::terminal::{tell, written_progress};
use seislake_lakehouse::Lakehouse;
use seislake_lakehouse::export::sds;
use seislake_lakehouse::settings::Settings;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Events as QuakeML 1.2.
    Quakeml,
    /// Events as GeoJSON.
    Geojson,
    /// Events as CSV.
    Csv,
    /// Stations as StationXML 1.2.
    Stationxml,
    /// Waveforms as miniSEED 2, in one file.
    Mseed,
    /// Waveforms as miniSEED 3, in one file.
    Mseed3,
    /// Waveforms as miniSEED 2 in the SeisComP data structure: a directory, a file for each channel and day.
    Sds,
    /// The original records byte for byte, in one file; no server may be running unless archive.keep_raw kept them.
    Raw,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples: seislake export --format quakeml --output bulletin.xml
          seislake export --format sds --source 'SY.D001..HH?' --output archive/

What is under way is written beside its place, under names that end in .partial; all of it comes to its place at the end, or nothing does.")]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) home: HomeArgs,
    /// Format.
    #[arg(long, value_enum)]
    pub(crate) format: ExportFormat,
    /// Only what lies at or after this time.
    #[arg(long, value_name = "TIME", value_parser = Timestamp::bound)]
    pub(crate) from: Option<Timestamp>,
    /// Only what lies before this time.
    #[arg(long, value_name = "TIME", value_parser = Timestamp::bound)]
    pub(crate) to: Option<Timestamp>,
    /// Only this channel: a source id, or NET.STA.LOC.CHA with * and ? (mseed, mseed3, sds; raw takes a source id).
    #[arg(long, value_name = "ID")]
    pub(crate) source: Option<String>,
    /// File to write; standard output where absent or `-`. For sds a directory, which must be given.
    #[arg(long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
}

pub(crate) async fn run(args: ExportArgs) -> anyhow::Result<()> {
    let is_begun_beside = is_begun_beside(args.output.as_deref());
    let (left, patience) = match &args.output {
        Some(path) if is_begun_beside => {
            // A file takes what is written to it: the one under way is removed then.
            (format!("what was begun was removed, \"{}\" is as it was before", path.display()), Duration::MAX)
        }
        Some(path) => (format!("what it wrote to \"{}\" is not whole", path.display()), DROPPED_WITHIN),
        None => ("what it wrote to standard output is not whole".to_owned(), DROPPED_WITHIN),
    };
    let sentence = format!("the export was interrupted; {left}");
    aside_or_interrupted(async move { export(&args).await }, patience, sentence).await
}

/// How much was written.
struct Written {
    record_count: usize,
    byte_count: u64,
    progress: ProgressBar,
}

impl Written {
    fn new() -> Self {
        let progress = written_progress();
        progress.set_message("writing");
        Self { record_count: 0, byte_count: 0, progress }
    }

    fn add(&mut self, record: &[u8]) {
        self.record_count += 1;
        self.byte_count += record.len() as u64;
        self.progress.set_position(self.byte_count);
    }

    /// Says where it went; nothing where that is standard output.
    fn tell(&self, args: &ExportArgs, what: &str) {
        self.progress.finish_and_clear();
        if let Some(path) = &args.output {
            tell(&format!("wrote {what}, {} to \"{}\"", HumanBytes(self.byte_count), path.display()));
        }
    }
}

async fn export(args: &ExportArgs) -> anyhow::Result<()> {
    let settings = Settings::load(args.home.config.as_deref())?;
    let lakehouse = Lakehouse::open_for_reading(&args.home.home, &settings).await?;
    match args.format {
        ExportFormat::Sds => archive(args, &lakehouse).await,
        ExportFormat::Mseed => one_file(args, &lakehouse, RecordFormat::MiniSeed2).await,
        ExportFormat::Mseed3 => one_file(args, &lakehouse, RecordFormat::MiniSeed3).await,
        ExportFormat::Raw => raw(args, &lakehouse).await,
        ExportFormat::Stationxml | ExportFormat::Quakeml | ExportFormat::Csv | ExportFormat::Geojson => {
            let mut out = Output::open(args.output.as_deref(), Content::Text)?;
            let text = document(args, &lakehouse).await?;
            out.write_all(text.as_bytes()).context("cannot write the export")?;
            out.finish()
        }
    }
}

/// Stations or events.
async fn document(args: &ExportArgs, lakehouse: &Lakehouse) -> anyhow::Result<String> {
    if args.format == ExportFormat::Stationxml {
        let mut inventory = lakehouse.lake().inventory().await?;
        let nameless = inventory.name_networks(|_| Vec::new());
        if !nameless.is_empty() {
            tell(&format!(
                "stations without a network code are not in this export: {}; import them with --network CODE",
                nameless.join(", ")
            ));
        }
        return Ok(stationxml::write(&inventory, stationxml::Level::Response, SystemClock.now()));
    }
    let bulletin = bulletin(args, lakehouse).await?;
    Ok(match args.format {
        ExportFormat::Csv => {
            write_csv(&bulletin.events.into_iter().map(|detail| detail.event).collect::<Vec<_>>())
        }
        ExportFormat::Geojson => {
            let events: Vec<_> = bulletin
                .events
                .iter()
                .map(|detail| {
                    let preferred = &detail.event.preferred_origin_id;
                    (&detail.event, detail.origins.iter().find(|origin| origin.origin_id == *preferred))
                })
                .collect();
            let metadata = GeoJsonMetadata {
                generated_at: SystemClock.now(),
                url: String::new(),
                title: "Seislake events".to_owned(),
            };
            write_geojson(&events, &metadata)
        }
        _ => quakeml::write(&bulletin),
    })
}

async fn archive(args: &ExportArgs, lakehouse: &Lakehouse) -> anyhow::Result<()> {
    let folder = args.output.as_deref().context("--format sds needs --output DIRECTORY")?;
    let (mut archive, mut written) = (sds::Archive::new(folder), Written::new());
    let mut blocks = std::pin::pin!(waveforms(args, lakehouse, RecordFormat::MiniSeed2).await?);
    while let Some(block) = blocks.try_next().await? {
        for record in &block.records {
            archive.put(&block.source_id, record)?;
            written.add(record);
        }
    }
    let write = |source_id: &SourceId, record: &[u8]| {
        written.add(record);
        archive.put(source_id, record)
    };
    originals::texts(args, lakehouse, RecordFormat::MiniSeed2, write).await?;
    let file_count = archive.finish()?;
    written.tell(args, &format!("{file_count} files with {} records", written.record_count));
    Ok(())
}

async fn raw(args: &ExportArgs, lakehouse: &Lakehouse) -> anyhow::Result<()> {
    let (mut out, mut written) = (Output::open(args.output.as_deref(), Content::Binary)?, Written::new());
    let write = |record: &[u8]| {
        written.add(record);
        out.write_all(record).context("cannot write the export")
    };
    originals::records(args, lakehouse, write).await?;
    refuse_nothing(args, written.record_count)?;
    out.finish()?;
    written.tell(args, &format!("{} records", written.record_count));
    Ok(())
}

/// `--from` is included, `--to` is not.
async fn bulletin(args: &ExportArgs, lakehouse: &Lakehouse) -> anyhow::Result<Bulletin> {
    let last = args.to.map(|to| to.add_nanos(-1));
    Ok(seislake_api::bulletin(&lakehouse.pinned_session().await?, args.from, last).await?)
}

/// Records made of the samples of the tables, at one snapshot. `--from` is included, `--to` is not.
async fn waveforms<'a>(
    args: &'a ExportArgs,
    lakehouse: &'a Lakehouse,
    format: RecordFormat,
) -> anyhow::Result<impl Stream<Item = Result<RecordBlock, ApiError>> + Send + use<'a>> {
    let session = lakehouse.pinned_session().await?;
    let window = (args.from, args.to);
    Ok(seislake_api::records(session, None, args.source.as_deref(), window, format).await?)
}

/// The samples, then the texts.
async fn one_file(args: &ExportArgs, lakehouse: &Lakehouse, format: RecordFormat) -> anyhow::Result<()> {
    let (mut out, mut written) = (Output::open(args.output.as_deref(), Content::Binary)?, Written::new());
    let mut blocks = std::pin::pin!(waveforms(args, lakehouse, format).await?);
    while let Some(block) = blocks.try_next().await? {
        for record in &block.records {
            written.add(record);
            out.write_all(record).context("cannot write the export")?;
        }
    }
    let write = |_: &SourceId, record: &[u8]| {
        written.add(record);
        out.write_all(record).context("cannot write the export")
    };
    originals::texts(args, lakehouse, format, write).await?;
    refuse_nothing(args, written.record_count)?;
    out.finish()?;
    written.tell(args, &format!("{} records", written.record_count));
    Ok(())
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
