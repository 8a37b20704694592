//! Original records: from the warehouse where they are kept there, else from the log that their row names.
//!
//! A record is topic, partition and offset: a home that was filled in shares has a log in each of them. One that cannot be
//! read any more is left out and counted; the others are written.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use seislake_api::{RecordFormat, TextRecord, text_in_format};
use seislake_catalog::OriginalReader;
use seislake_model::{SourceId, Timestamp};
use seislake_streams::message::WAVEFORMS_RAW;
use seislake_streams::topic::{Log, LogSettings, Topic};
use seislake_tables::listed;
use seislake_tables::packets::{TABLE, names};
use sha2::{Digest, Sha256};

use super::ExportArgs;
use crate::terminal::tell;
use seislake_lakehouse::Lakehouse;
use seislake_lakehouse::home::Home;

/// Where a record was first written.
#[derive(Clone, Copy)]
struct Position<'a> {
    topic: &'a str,
    partition: u32,
    offset: u64,
}

/// A log of the home, or why it cannot be read: asked once.
type Opened = Result<(Home, Arc<dyn Topic>), String>;

/// Both places; logs are opened once a record is needed from them.
struct Originals<'a> {
    args: &'a ExportArgs,
    stored: OriginalReader,
    logs: BTreeMap<String, Opened>,
}

impl<'a> Originals<'a> {
    fn new(args: &'a ExportArgs, lakehouse: &Lakehouse) -> Self {
        Self { args, stored: lakehouse.lake().originals(), logs: BTreeMap::new() }
    }

    async fn read(&mut self, uri: Option<&str>, position: Position<'_>) -> anyhow::Result<Bytes> {
        const READ_BYTES: usize = 64 << 10;
        if let Some(uri) = uri {
            return Ok(self.stored.read(uri).await?);
        }
        let Position { topic, partition, offset } = position;
        let opened = match self.logs.get(topic) {
            Some(opened) => opened,
            None => {
                let opened = self.open(topic).map_err(|error| format!("{error:#}"));
                self.logs.entry(topic.to_owned()).or_insert(opened)
            }
        };
        let (_, log) = opened.as_ref().map_err(|reason| anyhow!("{reason}"))?;
        let found = log.read(partition, offset, READ_BYTES, std::time::Duration::ZERO).await?;
        let record = found.into_iter().next().filter(|record| record.offset == offset);
        let gone = || format!("the log \"{topic}\" no longer holds offset {offset} of partition {partition}");
        Ok(record.with_context(gone)?.value)
    }

    /// The log that holds a topic: that of the home, or of one of its shares. Nothing is made where there is none.
    fn open(&self, topic: &str) -> anyhow::Result<(Home, Arc<dyn Topic>)> {
        let path = &self.args.home.home;
        let suffix = topic.strip_prefix(WAVEFORMS_RAW).context("the topic is none of raw records")?;
        let share = Home::share_of_topic(suffix);
        let place = share.map_or_else(|| path.clone(), |(share, of)| Home::share_path(path, share, of));
        if !place.join("log").join(topic).is_dir() {
            bail!("there is no log \"{topic}\" in \"{}\" any more", place.display());
        }
        let home = match share {
            Some((share, of)) => Home::open_share(path, share, of),
            None => Home::open(path),
        };
        let home = home.context("records are read from the log, which only one process may open")?;
        let log = Log::open(home.path(), LogSettings::default()).with_suffix(suffix);
        let partitions = log.existing_partitions(WAVEFORMS_RAW)?;
        let partitions =
            partitions.with_context(|| format!("the log \"{topic}\" has lost its description"))?;
        let raw = log.topic(WAVEFORMS_RAW, partitions)?;
        Ok((home, raw))
    }
}

/// Records that could not be read, and why the first of them could not.
#[derive(Default)]
struct Lost {
    count: usize,
    first: Option<anyhow::Error>,
}

impl Lost {
    fn add(&mut self, error: anyhow::Error) {
        self.count += 1;
        self.first.get_or_insert(error);
    }
}

/// The original records, byte for byte, by source id and time. Records that begin before `--to` and end at or after
/// `--from` are taken. Those that cannot be read are left out, and the operator is told. An error where there are records,
/// and none of them can be read.
pub(super) async fn records(
    args: &ExportArgs,
    lakehouse: &Lakehouse,
    mut write: impl FnMut(&[u8]) -> anyhow::Result<()> + Send,
) -> anyhow::Result<()> {
    let mut clauses = vec!["true".to_owned()];
    let literal = |time: &Timestamp| format!("to_timestamp_micros({})", time.micros());
    clauses
        .extend(args.from.as_ref().map(|from| format!("{} >= {}", names::last_sample_time, literal(from))));
    clauses.extend(args.to.as_ref().map(|to| format!("{} < {}", names::start_time, literal(to))));
    let takes = seislake_api::channels_of(args.source.as_deref())?;
    // An identifier names one channel: files of others need not be looked at.
    let identifier = args.source.as_deref().and_then(|source| source.parse::<SourceId>().ok());
    if let Some(id) = identifier.filter(|id| !id.as_str().contains(['*', '?', '%', '\''])) {
        let id = SourceId::from_nslc(id.network(), id.station(), id.location(), &id.channel());
        clauses.push(format!("{} = '{id}'", names::source_id));
    }
    let sql = format!(
        "SELECT {}, CAST({} AS BIGINT), {} FROM {TABLE} WHERE {} ORDER BY {}",
        names::topic,
        names::partition,
        listed(&[names::offset, names::object_uri, names::sha256, names::source_id]),
        clauses.join(" AND "),
        listed(&[names::source_id, names::start_ns, names::sha256])
    );
    let mut originals = Originals::new(args, lakehouse);
    let mut batches = seislake_query::query(&lakehouse.session()?, &sql).await?;
    let (mut record_count, mut lost) = (0_usize, Lost::default());
    while let Some(batch) = batches.try_next().await? {
        let text = |column: usize| batch.column(column).as_string::<i32>();
        let integer = |column: usize| batch.column(column).as_primitive::<Int64Type>();
        let (topics, partitions, offsets, uris, hashes) = (text(0), integer(1), integer(2), text(3), text(4));
        let ids = text(5);
        for row in 0..batch.num_rows() {
            if !ids.value(row).parse().is_ok_and(|source_id| takes(&source_id)) {
                continue;
            }
            let uri = uris.is_valid(row).then(|| uris.value(row));
            let place = (u32::try_from(partitions.value(row)), u64::try_from(offsets.value(row)));
            let (Ok(partition), Ok(offset)) = place else {
                lost.add(anyhow!("a row of waveform.packets names no place of the log"));
                continue;
            };
            let position = Position { topic: topics.value(row), partition, offset };
            let read = originals.read(uri, position).await;
            match read.and_then(|record| as_it_came(record, hashes.value(row))) {
                Ok(record) => {
                    write(&record)?;
                    record_count += 1;
                }
                Err(error) => lost.add(error),
            }
        }
    }
    match lost.first {
        Some(error) if record_count == 0 => Err(error),
        Some(error) => {
            tell(&format!("{} original records are not in this export, the first: {error:#}", lost.count));
            Ok(())
        }
        None => Ok(()),
    }
}

/// The record, if it is the one that its row was made of.
fn as_it_came(record: Bytes, sha256: &str) -> anyhow::Result<Bytes> {
    if hex::encode(Sha256::digest(&record)) == sha256 {
        Ok(record)
    } else {
        bail!("an original record is not the one of its row: its SHA-256 is not {sha256}")
    }
}

/// The text records of log channels, as they came where they are of the generation asked for, else packed anew.
/// Those that cannot be reached, because a running server holds the log or they are damaged, are left out, and the operator
/// is told.
pub(super) async fn texts(
    args: &ExportArgs,
    lakehouse: &Lakehouse,
    format: RecordFormat,
    mut write: impl FnMut(&SourceId, &[u8]) -> anyhow::Result<()> + Send,
) -> anyhow::Result<()> {
    let window = (args.from, args.to);
    let session = lakehouse.session()?;
    let found = seislake_api::text_records(&session, args.source.as_deref(), window).await?;
    let mut found = std::pin::pin!(found);
    let mut originals = Originals::new(args, lakehouse);
    let mut lost = Lost::default();
    while let Some(texts) = found.try_next().await? {
        for TextRecord { source_id, topic, partition, offset, object_uri } in texts {
            let position = Position { topic: &topic, partition, offset };
            let read = originals.read(object_uri.as_deref(), position).await;
            match read.and_then(|original| Ok(text_in_format(&original, format)?)) {
                Ok(records) => {
                    for record in records {
                        write(&source_id, &record)?;
                    }
                }
                Err(error) => lost.add(error),
            }
        }
    }
    if let Some(error) = lost.first {
        tell(&format!("{} text records of log channels are not in this export: {error:#}", lost.count));
    }
    Ok(())
}
