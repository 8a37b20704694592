//! `seislake export`: events, stations or waveforms in an exchange format.
//!
//! Waveforms come from the tables, sample for sample, beside a running server too; the original records (`raw`), and the
//! texts of log channels, from the warehouse where they are kept there, else from the log.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use futures::TryStreamExt;
use indicatif::{HumanBytes, ProgressBar};
use seislake_api::{RecordFormat, channels_of, records, text_in_format, text_records};
use seislake_exchange::catalogue_text::{GeoJsonMetadata, write_csv, write_geojson};
use seislake_exchange::{quakeml, stationxml};
use seislake_lakehouse::Lakehouse;
use seislake_lakehouse::clock::SystemClock;
use seislake_lakehouse::export::{LostOriginals, Output, Selection, is_begun_beside, sds, write_records};
use seislake_lakehouse::originals::Originals;
use seislake_model::{Clock, SourceId, Timestamp};

use crate::arguments::HomeArgs;
use crate::doors::place_of;
use crate::interruption::{DROPPED_WITHIN, aside_or_interrupted};
use crate::terminal::{StandardOutput, tell, written_progress};

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
    /// Only what lies at or after this time (events and waveforms).
    #[arg(long, value_name = "TIME", value_parser = Timestamp::bound)]
    pub(crate) from: Option<Timestamp>,
    /// Only what lies before this time (events and waveforms).
    #[arg(long, value_name = "TIME", value_parser = Timestamp::bound)]
    pub(crate) to: Option<Timestamp>,
    /// Only this channel: a source id, or NET.STA.LOC.CHA with * and ? (mseed, mseed3, sds; raw takes a source id).
    #[arg(long, value_name = "ID")]
    pub(crate) source: Option<String>,
    /// File to write; standard output where absent or `-`. For sds a directory, which must be given.
    #[arg(long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
}

impl ExportArgs {
    /// Refuses options that the format does not know: who gives one takes the export for the part that was asked for.
    fn check(&self) -> anyhow::Result<()> {
        use ExportFormat::{Csv, Geojson, Mseed, Mseed3, Quakeml, Raw, Sds, Stationxml};
        let is_of_waveforms = match self.format {
            Mseed | Mseed3 | Sds | Raw => true,
            Quakeml | Geojson | Csv | Stationxml => false,
        };
        if self.source.is_some() && !is_of_waveforms {
            bail!("--source chooses waveforms: it is for --format mseed, mseed3, sds and raw");
        }
        if self.from.or(self.to).is_some() && self.format == Stationxml {
            bail!(
                "--from and --to choose events and waveforms: they are for --format quakeml, geojson, csv, mseed, \
                 mseed3, sds and raw"
            );
        }
        Ok(())
    }

    /// Where it goes, unless that is standard output.
    fn file(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| *path != Path::new("-"))
    }
}

pub(crate) async fn run(args: ExportArgs) -> anyhow::Result<()> {
    args.check()?;
    let (left, patience) = match args.file() {
        Some(path) if is_begun_beside(path) => {
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
struct OutputSize {
    record_count: usize,
    byte_count: u64,
    progress: ProgressBar,
}

impl OutputSize {
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
    let lakehouse = args.home.open_for_reading().await?;
    match args.format {
        ExportFormat::Sds => {
            let folder = args.output.as_deref().context("--format sds needs --output DIRECTORY")?;
            let mut archive = sds::Archive::new(folder);
            let put = |source_id: &SourceId, record: &[u8]| archive.put(source_id, record);
            let written = waveforms(args, &lakehouse, RecordFormat::MiniSeed2, put).await?;
            let file_count = archive.finish()?;
            written.tell(args, &format!("{file_count} files with {} records", written.record_count));
            Ok(())
        }
        ExportFormat::Mseed => one_file(args, &lakehouse, Some(RecordFormat::MiniSeed2)).await,
        ExportFormat::Mseed3 => one_file(args, &lakehouse, Some(RecordFormat::MiniSeed3)).await,
        ExportFormat::Raw => one_file(args, &lakehouse, None).await,
        ExportFormat::Stationxml | ExportFormat::Quakeml | ExportFormat::Csv | ExportFormat::Geojson => {
            let mut out = args.file().map_or_else(|| Ok(Output::to(StandardOutput::new())), Output::open)?;
            let text = document(args, &lakehouse).await?;
            out.write_all(text.as_bytes()).context("cannot write the export")?;
            out.finish()
        }
    }
}

/// Records in a format, or as they came; one after the other.
async fn one_file(
    args: &ExportArgs,
    lakehouse: &Lakehouse,
    format: Option<RecordFormat>,
) -> anyhow::Result<()> {
    let mut out = match args.file() {
        Some(path) => Output::open(path)?,
        None if io::stdout().is_terminal() => {
            bail!("records are not for a terminal: give --output FILE, or write them into a file or program")
        }
        None => Output::to(StandardOutput::new()),
    };
    let mut put = |record: &[u8]| out.write_all(record).context("cannot write the export");
    let written = match format {
        Some(format) => waveforms(args, lakehouse, format, |_, record| put(record)).await?,
        None => originals(args, lakehouse, put).await?,
    };
    // An export that found nothing is an error: a misspelt source would go unnoticed.
    if written.record_count == 0 {
        let source = args.source.as_ref().map_or_else(String::new, |source| format!(" of \"{source}\""));
        let time = if args.from.or(args.to).is_some() { " in this time" } else { "" };
        bail!("the home holds no records{source}{time}; the export is empty")
    }
    out.finish()?;
    written.tell(args, &format!("{} records", written.record_count));
    Ok(())
}

async fn originals(
    args: &ExportArgs,
    lakehouse: &Lakehouse,
    mut put: impl FnMut(&[u8]) -> anyhow::Result<()> + Send,
) -> anyhow::Result<OutputSize> {
    let mut written = OutputSize::new();
    let write = |record: &[u8]| {
        written.add(record);
        put(record)
    };
    let takes = channels_of(args.source.as_deref())?;
    let selection = Selection { from: args.from, to: args.to, source: args.source.as_deref() };
    let originals = Originals::of_home(lakehouse, &args.home.home);
    let LostOriginals { count, first } = write_records(lakehouse, originals, selection, takes, write).await?;
    if let Some(error) = first {
        tell(&format!("{count} original records are not in this export, the first: {error:#}"));
    }
    Ok(written)
}

/// Records made of the samples of the tables, at one snapshot; then the text records of log channels, as they came where
/// they are of the generation asked for, else packed anew. Texts that cannot be reached, because a running server holds
/// the log or they are damaged, are left out, and the operator is told. `--from` is included, `--to` is not.
async fn waveforms(
    args: &ExportArgs,
    lakehouse: &Lakehouse,
    format: RecordFormat,
    mut put: impl FnMut(&SourceId, &[u8]) -> anyhow::Result<()> + Send,
) -> anyhow::Result<OutputSize> {
    let mut written = OutputSize::new();
    let mut write = |source_id: &SourceId, record: &[u8]| {
        written.add(record);
        put(source_id, record)
    };
    let (source, window) = (args.source.as_deref(), (args.from, args.to));
    let session = lakehouse.pinned_session().await?;
    let mut blocks = pin!(records(session, None, source, window, format).await?);
    while let Some(block) = blocks.try_next().await? {
        block.records.iter().try_for_each(|record| write(&block.source_id, record))?;
    }
    let session = lakehouse.session()?;
    let mut texts = pin!(text_records(&session, source, window).await?);
    let (mut originals, mut lost) =
        (Originals::of_home(lakehouse, &args.home.home), LostOriginals::default());
    while let Some(found) = texts.try_next().await? {
        for text in found {
            let read = originals.read_of(&text.source_id, place_of(&text)).await;
            match read.map_err(Into::into).and_then(|original| Ok(text_in_format(&original, format)?)) {
                Ok(records) => records.iter().try_for_each(|record| write(&text.source_id, record))?,
                Err(error) => lost.add(error),
            }
        }
    }
    if let Some(error) = lost.first {
        tell(&format!("{} text records of log channels are not in this export: {error:#}", lost.count));
    }
    Ok(written)
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
    // `--from` is included, `--to` is not.
    let last = args.to.map(|to| to.add_nanos(-1));
    let bulletin = seislake_api::bulletin(&lakehouse.pinned_session().await?, args.from, last).await?;
    Ok(match args.format {
        ExportFormat::Csv => {
            write_csv(&bulletin.events.into_iter().map(|detail| detail.event).collect::<Vec<_>>())
        }
        ExportFormat::Geojson => {
            let events = bulletin.events.iter().map(|detail| (&detail.event, detail.preferred_origin()));
            let metadata = GeoJsonMetadata {
                generated_at: SystemClock.now(),
                url: String::new(),
                title: "Seislake events".to_owned(),
            };
            write_geojson(&events.collect::<Vec<_>>(), &metadata)
        }
        _ => quakeml::write(&bulletin),
    })
}
