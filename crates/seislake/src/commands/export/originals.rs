//! Original records: from the warehouse where they are kept there, else from the log of the home.

use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use seislake_api::{RecordFormat, TextRecord};
use seislake_catalog::OriginalReader;
use seislake_model::{SourceId, Timestamp};
use seislake_mseed::{FormatVersion, PackError, PackSettings, Record, pack_text};
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
                    for record in in_format(&original, format)? {
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

/// A text record in the generation asked for; one whose codes miniSEED 2 cannot hold stays miniSEED 3.
fn in_format(original: &Bytes, format: RecordFormat) -> anyhow::Result<Vec<Bytes>> {
    let record = Record::parse(original).context("an original record is damaged")?;
    let format_version = match format {
        RecordFormat::MiniSeed2 => FormatVersion::Two,
        RecordFormat::MiniSeed3 => FormatVersion::Three,
    };
    let Some(text) = record.text().filter(|_| record.format_version != format_version) else {
        return Ok(vec![original.clone()]);
    };
    let settings = PackSettings {
        format_version,
        quality: record.quality,
        timing_quality: record.timing_quality,
        sequence_number: record.sequence_number().unwrap_or(1),
        ..PackSettings::new(record.source_id(), record.start_ns, 1.0)
    };
    match pack_text(&settings, text) {
        Ok(records) => Ok(records.into_iter().map(Bytes::from).collect()),
        Err(PackError::SourceId(_)) => Ok(vec![original.clone()]),
        Err(error) => Err(error).context("a text record cannot be packed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_keep_their_header_in_the_other_generation_and_long_codes_stay_miniseed_3() {
        let text = "clock réglée\r\n".repeat(60);
        let packed = |source_id: &str, format_version, record_length| {
            let settings = PackSettings {
                format_version,
                record_length,
                timing_quality: Some(77),
                ..PackSettings::new(source_id, 1_700_000_000_000_000_000, 1.0)
            };
            let mut records = pack_text(&settings, text.as_bytes()).unwrap();
            assert_eq!(records.len(), 1);
            Bytes::from(records.remove(0))
        };
        let id = "FDSN:XX_TEST__L_O_G";
        let two = packed(id, FormatVersion::Two, 4096);
        assert_eq!(in_format(&two, RecordFormat::MiniSeed2).unwrap(), std::slice::from_ref(&two));
        let three = in_format(&two, RecordFormat::MiniSeed3).unwrap();
        let mut found = Vec::new();
        for bytes in &three {
            let record = Record::parse(bytes).unwrap();
            assert_eq!((record.format_version, record.source_id()), (FormatVersion::Three, id));
            assert_eq!(record.start_ns, 1_700_000_000_000_000_000);
            assert_eq!((record.timing_quality, record.quality.publication_version()), (Some(77), 2));
            found.extend_from_slice(record.text().unwrap());
        }
        assert!(three.len() > 1 && found == text.as_bytes());
        let long = packed("FDSN:XX_STATION9__L_O_G", FormatVersion::Three, 4096);
        assert_eq!(in_format(&long, RecordFormat::MiniSeed2).unwrap(), std::slice::from_ref(&long));
    }
}
