//! One processing step: a deterministic state machine over the records of one topic partition.

use bytes::Bytes;
use seislake_model::{DeadLetter, ErrorKind, Offset, RecordPosition};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::message::{Envelope, LETTER_BYTES_MAX, Message, SourcePosition, letter_record};
use crate::topic::{NewRecord, Record};

/// One processing step: a deterministic state machine over the records of one topic partition.
///
/// Its output is a function of its configuration and of the records alone: no clock, no randomness. Time passes by
/// punctuation among the records.
pub trait Stage: Sized + Send + 'static {
    /// Name in checkpoints, metrics and dead letters.
    const NAME: &'static str;
    /// Checkpoints of another version are not restored; the stage then replays its input.
    const STATE_VERSION: u32;
    /// The oldest form of the state that [`Stage::restore`] still takes.
    const STATE_VERSION_MIN: u32 = Self::STATE_VERSION;
    /// What it needs to work.
    type Config: Clone + Send + Sync + 'static;
    /// What of that a user sets: kept beside the state, so that a restart with other settings is known.
    type Settings: Serialize + DeserializeOwned;
    /// What it remembers between records.
    type State: Serialize + DeserializeOwned;

    /// The settings in a configuration.
    fn settings(config: &Self::Config) -> Self::Settings;
    /// The configuration with other settings.
    fn with_settings(config: &Self::Config, settings: Self::Settings) -> Self::Config;
    /// The stage before its first record.
    fn init(config: &Self::Config) -> Result<Self, Error>;
    /// Takes one record. Unusable input goes to [`Output::reject`]; `Err` means the stage itself cannot go on.
    fn process(&mut self, record: &Record, out: &mut Output) -> Result<(), Error>;
    /// What it remembers.
    fn snapshot(&self) -> Self::State;
    /// The stage as it was when it gave this snapshot. Where the settings are others than then, they hold from the next
    /// record on; the state is kept as far as it suits them.
    fn restore(config: &Self::Config, state: Self::State) -> Result<Self, Error>;

    /// Counts the changes of what is large and seldom changes, the *base*: it is kept beside the state, and written only
    /// where this number is another. The state says it, too. 0: there is none.
    fn base_revision(&self) -> u64 {
        0
    }
    /// The base.
    fn base(&self) -> Result<Vec<u8>, Error> {
        Ok(Vec::new())
    }
    /// Takes the base that belongs to the restored state.
    fn take_base(&mut self, _base: &[u8]) -> Result<(), Error> {
        Ok(())
    }
}

/// A record to append with the place it was derived from.
#[derive(Debug)]
pub(super) struct Derivation {
    pub(super) offset: Offset,
    pub(super) index: u32,
    pub(super) record: NewRecord,
}

/// Collects what a stage says about its input.
#[derive(Debug)]
pub struct Output {
    stage: &'static str,
    topic: String,
    partition: u32,
    offset: Offset,
    message_index: u32,
    letter_index: u32,
    pub(super) messages: Vec<Derivation>,
    pub(super) letters: Vec<Derivation>,
}

impl Output {
    /// For the stage named `stage` that reads `partition` of `topic`.
    pub fn new(stage: &'static str, topic: &str, partition: u32) -> Self {
        Self {
            stage,
            topic: topic.to_owned(),
            partition,
            offset: 0,
            message_index: 0,
            letter_index: 0,
            messages: Vec::new(),
            letters: Vec::new(),
        }
    }

    /// What follows is derived from the record at `offset`.
    pub fn begin(&mut self, offset: Offset) {
        (self.offset, self.message_index, self.letter_index) = (offset, 0, 0);
    }

    /// The partition being read.
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// Says something on the stage's output topic. What nobody could read becomes a dead letter instead.
    pub fn emit(&mut self, message: Message) -> Result<(), Error> {
        let source = SourcePosition {
            topic: self.topic.clone(),
            partition: self.partition,
            offset: self.offset,
            index: self.message_index,
            stage: self.stage.to_owned(),
        };
        let envelope = Envelope::new(source, message);
        let record = match envelope.to_record() {
            Ok(record) => record,
            Err(error) => {
                let said = format!("{:?}", envelope.message);
                return self.refuse(Bytes::from(said), format!("cannot be said: {}", error.chain()));
            }
        };
        self.messages.push(Derivation { offset: self.offset, index: self.message_index, record });
        self.message_index += 1;
        Ok(())
    }

    /// Puts a record, or something made from it, on the dead-letter topic.
    pub fn reject(&mut self, record: &Record, reason: impl Into<String>) -> Result<(), Error> {
        self.refuse(record.value.clone(), reason)
    }

    fn refuse(&mut self, bytes: Bytes, reason: impl Into<String>) -> Result<(), Error> {
        let letter = DeadLetter {
            position: RecordPosition {
                topic: self.topic.as_str().into(),
                partition: self.partition,
                offset: self.offset,
            },
            index: self.letter_index,
            stage: self.stage.to_owned(),
            reason: reason.into(),
            origin: None,
            record: bytes.slice(..bytes.len().min(LETTER_BYTES_MAX)).to_vec(),
        };
        let record = letter_record(&letter)?;
        self.letters.push(Derivation { offset: self.offset, index: self.letter_index, record });
        self.letter_index += 1;
        metrics::counter!("seislake_dead_letters_total", "stage" => self.stage).increment(1);
        Ok(())
    }

    /// What was said so far, read back: for tests of stages.
    pub fn said(&self) -> Result<Vec<Message>, Error> {
        self.messages
            .iter()
            .map(|derived| {
                serde_json::from_slice::<Envelope>(&derived.record.value)
                    .map(|envelope| envelope.message)
                    .map_err(|e| Error::caused(ErrorKind::Corrupt, "read a message", e))
            })
            .collect()
    }

    /// Reasons of the dead letters so far: for tests of stages.
    pub fn reasons(&self) -> Result<Vec<String>, Error> {
        self.letters
            .iter()
            .map(|derived| {
                serde_json::from_slice::<DeadLetter>(&derived.record.value)
                    .map(|letter| letter.reason)
                    .map_err(|e| Error::caused(ErrorKind::Corrupt, "read a dead letter", e))
            })
            .collect()
    }
}
