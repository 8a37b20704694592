//! Original records: from the warehouse where they are kept there, else from the log that their row names.
//!
//! A record is topic, partition and offset: a home that was filled in shares has a log in each of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use seislake_catalog::OriginalReader;
use seislake_model::{Error, ErrorKind, SourceId};
use seislake_mseed::Record;
use seislake_streams::message::WAVEFORMS_RAW;
use seislake_streams::topic::{Log, LogSettings, Topic};

use crate::{Home, Lakehouse};

/// Bytes asked of a log for one record: the record comes whole.
const READ_BYTES: usize = 1 << 10;

/// Where a record was first written, and where it is kept if the warehouse has it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// `object_uri` of its row.
    pub uri: Option<&'a str>,
    pub topic: &'a str,
    pub partition: u32,
    pub offset: u64,
}

/// A log of a home, or why it cannot be read: asked once.
type Opened = Result<(Home, Arc<dyn Topic>), String>;

/// The logs that may hold a record.
#[derive(Debug)]
enum Logs {
    /// That of a running engine.
    Running(Arc<dyn Topic>),
    /// Those of a home that nobody has open, by topic; each is opened once a record is needed from it.
    AtRest { home: PathBuf, opened: BTreeMap<String, Opened> },
}

/// Both places.
#[derive(Debug)]
pub struct Originals {
    stored: OriginalReader,
    logs: Logs,
}

impl Originals {
    /// Of a running engine, whose topic of raw records is `raw`.
    #[must_use]
    pub fn of_engine(lakehouse: &Lakehouse, raw: Arc<dyn Topic>) -> Self {
        Self { stored: lakehouse.lake().originals(), logs: Logs::Running(raw) }
    }

    /// Of a home; its log can be read where no other process has it open.
    #[must_use]
    pub fn of_home(lakehouse: &Lakehouse, home: &Path) -> Self {
        let logs = Logs::AtRest { home: home.to_owned(), opened: BTreeMap::new() };
        Self { stored: lakehouse.lake().originals(), logs }
    }

    /// A record as it came.
    ///
    /// # Errors
    /// `NotFound` where it is kept no more, `Invalid` or `Corrupt` where what the warehouse keeps is of no use; those of a
    /// log that cannot be opened or read.
    pub async fn read(&mut self, place: Place<'_>) -> Result<Bytes, Error> {
        if let Some(uri) = place.uri {
            return self.stored.read(uri).await;
        }
        let Place { topic, partition, offset, .. } = place;
        let gone = || {
            let message =
                format!("the log \"{topic}\" no longer holds offset {offset} of partition {partition}");
            Error::new(ErrorKind::NotFound, message)
        };
        let log = self.logs.of(topic)?.ok_or_else(gone)?;
        // Rows of other logs of the same tables name offsets that this log does not have.
        if partition >= log.partitions() || offset >= log.end_offset(partition)? {
            return Err(gone());
        }
        let found = log.read(partition, offset, READ_BYTES, Duration::ZERO).await?;
        let record = found.into_iter().next().filter(|record| record.offset == offset);
        Ok(record.ok_or_else(gone)?.value)
    }

    /// The same; `NotFound` too where what a log has there is a record of another channel: a row may name another log.
    ///
    /// # Errors
    /// As [`Originals::read`].
    pub async fn read_of(&mut self, source_id: &SourceId, place: Place<'_>) -> Result<Bytes, Error> {
        let record = self.read(place).await?;
        if place.uri.is_some()
            || Record::parse(&record).is_ok_and(|parsed| parsed.source_id() == source_id.as_str())
        {
            return Ok(record);
        }
        Err(Error::new(ErrorKind::NotFound, format!("what lies there is no record of \"{source_id}\"")))
    }

    /// The same; `None` of a record that will not be there either when it is asked for again: one that is lost or damaged
    /// does not take the others of an answer with it.
    ///
    /// # Errors
    /// What may be otherwise later.
    pub async fn find(&mut self, source_id: &SourceId, place: Place<'_>) -> Result<Option<Bytes>, Error> {
        match (self.read_of(source_id, place).await, place.uri) {
            (Ok(record), _) => Ok(Some(record)),
            (Err(error), Some(uri)) if is_lost(error.kind) => {
                tracing::warn!(uri, %error, "an original record cannot be read");
                Ok(None)
            }
            (Err(error), None) if error.kind == ErrorKind::NotFound => Ok(None),
            (Err(error), _) => Err(error),
        }
    }
}

/// Whether a record will not be there when it is asked for again.
fn is_lost(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::Corrupt | ErrorKind::Invalid)
}

impl Logs {
    /// The log that holds a topic; `None` where this process does not.
    fn of(&mut self, topic: &str) -> Result<Option<Arc<dyn Topic>>, Error> {
        match self {
            Self::Running(raw) => Ok((topic == WAVEFORMS_RAW).then(|| Arc::clone(raw))),
            Self::AtRest { home, opened } => {
                if !opened.contains_key(topic) {
                    let log = open(home, topic).map_err(|error| format!("{error:#}"));
                    opened.insert(topic.to_owned(), log);
                }
                match opened.get(topic) {
                    Some(Ok((_, log))) => Ok(Some(Arc::clone(log))),
                    Some(Err(reason)) => Err(Error::new(ErrorKind::Unavailable, reason)),
                    None => Ok(None),
                }
            }
        }
    }
}

/// The log of a home, or of one of its shares, that holds a topic. Nothing is made where there is none.
fn open(path: &Path, topic: &str) -> anyhow::Result<(Home, Arc<dyn Topic>)> {
    let suffix = topic.strip_prefix(WAVEFORMS_RAW).context("the topic is none of raw records")?;
    let share = Home::share_of_topic(suffix);
    let place = share.map_or_else(|| path.to_owned(), |(share, of)| Home::share_path(path, share, of));
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
    let partitions = partitions.with_context(|| format!("the log \"{topic}\" has lost its description"))?;
    let raw = log.topic(WAVEFORMS_RAW, partitions)?;
    Ok((home, raw))
}
