//! Original records: from the warehouse where they are kept there, else from the log of the home.

use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use seislake_api::{RecordFormat, TextRecord, text_in_format};
use seislake_catalog::OriginalReader;
use seislake_model::{SourceId, Timestamp};
use seislake_streams::message::WAVEFORMS_RAW;
use seislake_streams::topic::{Log, LogSettings, Topic};

use crate::command_line::ExportArgs;
use crate::home::Home;
use crate::lakehouse::Lakehouse;
use crate::settings::Settings;
use crate::terminal::tell;

/// Both places; the log is opened once a record is needed from it.
struct Originals<'a> {
    args: &'a ExportArgs,
    settings: &'a Settings,
    stored: OriginalReader,
    log: Option<(Home, Arc<dyn Topic>)>,
}

impl<'a> Originals<'a> {
    fn new(args: &'a ExportArgs, settings: &'a Settings, lakehouse: &Lakehouse) -> Self {
        Self { args, settings, stored: lakehouse.lake().originals(), log: None }
    }

    async fn read(&mut self, uri: Option<&str>, partition: u32, offset: u64) -> anyhow::Result<Bytes> {
        const READ_BYTES: usize = 64 << 10;
        if let Some(uri) = uri {
            return Ok(self.stored.read(uri).await?);
        }
        let (_, raw) = match &mut self.log {
            Some(opened) => opened,
            None => {
                let home = Home::open(&self.args.home.home)
                    .context("records are read from the log, which only one process may open")?;
                let log = Log::open(home.path(), LogSettings::default());
                let raw = log.topic(WAVEFORMS_RAW, self.settings.streams.raw_partition_count)?;
                self.log.insert((home, raw))
            }
        };
        let found = raw.read(partition, offset, READ_BYTES, std::time::Duration::ZERO).await?;
        let record = found.into_iter().next();
        Ok(record.with_context(|| format!("the log no longer holds offset {offset}"))?.value)
    }
}

/// The original records, byte for byte, by source id and time. Records that begin before `--to` and end at or after
/// `--from` are taken.
pub(super) async fn records(
    args: &ExportArgs,
    settings: &Settings,
    lakehouse: &Lakehouse,
    mut write: impl FnMut(&[u8]) -> anyhow::Result<()> + Send,
) -> anyhow::Result<()> {
    let mut clauses = vec!["true".to_owned()];
    let literal = |time: &Timestamp| format!("to_timestamp_micros({})", time.micros());
    clauses.extend(args.from.as_ref().map(|from| format!("last_sample_time >= {}", literal(from))));
    clauses.extend(args.to.as_ref().map(|to| format!("start_time < {}", literal(to))));
    clauses
        .extend(args.source.as_ref().map(|source| format!("source_id = '{}'", source.replace('\'', "''"))));
    let sql = format!(
        "SELECT CAST(partition AS BIGINT), CAST(\"offset\" AS BIGINT), object_uri FROM waveform.packets WHERE {} \
         ORDER BY source_id, start_ns, sha256",
        clauses.join(" AND ")
    );
    let mut originals = Originals::new(args, settings, lakehouse);
    let mut batches = seislake_query::query(&lakehouse.session()?, &sql).await?;
    while let Some(batch) = batches.try_next().await? {
        let partitions = batch.column(0).as_primitive::<Int64Type>();
        let offsets = batch.column(1).as_primitive::<Int64Type>();
        let uris = batch.column(2).as_string::<i32>();
        for row in 0..batch.num_rows() {
            let uri = uris.is_valid(row).then(|| uris.value(row));
            let (partition, offset) =
                (u32::try_from(partitions.value(row))?, u64::try_from(offsets.value(row))?);
            let record = originals.read(uri, partition, offset).await?;
            write(&record)?;
        }
    }
    Ok(())
}

/// The text records of log channels, as they came where they are of the generation asked for, else packed anew.
/// Those that cannot be reached, because a running server holds the log, are left out, and the operator is told.
pub(super) async fn texts(
    args: &ExportArgs,
    settings: &Settings,
    lakehouse: &Lakehouse,
    format: RecordFormat,
    mut write: impl FnMut(&SourceId, &[u8]) -> anyhow::Result<()> + Send,
) -> anyhow::Result<()> {
    let window = (args.from, args.to);
    let session = lakehouse.session()?;
    let found = seislake_api::text_records(&session, args.source.as_deref(), window).await?;
    let mut found = std::pin::pin!(found);
    let mut originals = Originals::new(args, settings, lakehouse);
    let mut unreached = None;
    while let Some(texts) = found.try_next().await? {
        for TextRecord { source_id, partition, offset, object_uri } in texts {
            if let (Some((count, _)), None) = (&mut unreached, &object_uri) {
                *count += 1;
                continue;
            }
            match originals.read(object_uri.as_deref(), partition, offset).await {
                Ok(original) => {
                    for record in text_in_format(&original, format)? {
                        write(&source_id, &record)?;
                    }
                }
                Err(error) if object_uri.is_none() => unreached = Some((1, error)),
                Err(error) => return Err(error),
            }
        }
    }
    if let Some((count, error)) = unreached {
        tell(&format!("{count} text records of log channels are not in this export: {error:#}"));
    }
    Ok(())
}
