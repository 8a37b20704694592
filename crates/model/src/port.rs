//! The ports through which the shells meet without knowing each other: `streams` calls [`Sink`] and [`RawStore`],
//! `catalog` implements them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    Amplitude, Arrival, Channel, ComponentRatios, Continuity, DeadLetter, Event, Latency, Magnitude, Origin,
    Packet, Pick, Segment, SignalLevel, Station, Timestamp, Timing,
};

/// Position in one partition of a topic; a covered offset is the *next* one to read.
pub type Offset = u64;

/// Id of a table snapshot.
pub type SnapshotId = i64;

/// Next offsets by topic and partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offsets(pub BTreeMap<String, BTreeMap<u32, Offset>>);

impl Offsets {
    /// Next offset of a partition; 0 where nothing is known.
    pub fn get(&self, topic: &str, partition: u32) -> Offset {
        self.0.get(topic).and_then(|partitions| partitions.get(&partition)).copied().unwrap_or(0)
    }

    /// Sets the next offset of a partition.
    pub fn set(&mut self, topic: &str, partition: u32, next: Offset) {
        self.0.entry(topic.to_owned()).or_default().insert(partition, next);
    }

    /// Takes the later of its own and `more`'s offset of each partition.
    pub fn extend(&mut self, more: &Self) {
        for (topic, partitions) in &more.0 {
            for (partition, next) in partitions {
                self.set(topic, *partition, self.get(topic, *partition).max(*next));
            }
        }
    }
}

/// Rows of one table.
#[derive(Clone, Debug)]
pub enum Rows {
    /// `network.stations`
    Stations(Vec<Station>),
    /// `network.channels`
    Channels(Vec<Channel>),
    /// `waveform.packets`
    Packets(Vec<Packet>),
    /// `waveform.segments`
    Segments(Vec<Segment>),
    /// `bulletin.picks`
    Picks(Vec<Pick>),
    /// `bulletin.arrivals`
    Arrivals(Vec<Arrival>),
    /// `bulletin.origins`
    Origins(Vec<Origin>),
    /// `bulletin.amplitudes`
    Amplitudes(Vec<Amplitude>),
    /// `bulletin.magnitudes`
    Magnitudes(Vec<Magnitude>),
    /// `bulletin.events`
    Events(Vec<Event>),
    /// `quality.continuity`
    Continuity(Vec<Continuity>),
    /// `quality.latency`
    Latency(Vec<Latency>),
    /// `quality.component_ratios`
    ComponentRatios(Vec<ComponentRatios>),
    /// `quality.signal_levels`
    SignalLevels(Vec<SignalLevel>),
    /// `quality.timing`
    Timing(Vec<Timing>),
    /// `stream.dead_letters`
    DeadLetters(Vec<DeadLetter>),
}

impl Rows {
    /// `namespace.table` of these rows.
    pub const fn table(&self) -> &'static str {
        match self {
            Self::Stations(_) => "network.stations",
            Self::Channels(_) => "network.channels",
            Self::Packets(_) => "waveform.packets",
            Self::Segments(_) => "waveform.segments",
            Self::Picks(_) => "bulletin.picks",
            Self::Arrivals(_) => "bulletin.arrivals",
            Self::Origins(_) => "bulletin.origins",
            Self::Amplitudes(_) => "bulletin.amplitudes",
            Self::Magnitudes(_) => "bulletin.magnitudes",
            Self::Events(_) => "bulletin.events",
            Self::Continuity(_) => "quality.continuity",
            Self::Latency(_) => "quality.latency",
            Self::ComponentRatios(_) => "quality.component_ratios",
            Self::SignalLevels(_) => "quality.signal_levels",
            Self::Timing(_) => "quality.timing",
            Self::DeadLetters(_) => "stream.dead_letters",
        }
    }
}

/// What a caller should do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request or input is wrong: change it.
    Invalid,
    /// The named object does not exist.
    NotFound,
    /// Somebody else changed it first: read again.
    Conflict,
    /// Try again later.
    Unavailable,
    /// Stored data are damaged.
    Corrupt,
    /// A bug of ours.
    Internal,
}

/// A sink could not write or commit.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    /// What to do.
    pub kind: ErrorKind,
    /// What was attempted on which table.
    pub message: String,
    /// Why it failed.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Moves rows of one table into the lake; rows and covered offsets become visible in one commit.
///
/// A sink belongs to one table and to one or more topics. Rows whose offsets [`Sink::committed`] already covers must
/// not be written again: the caller starts reading there.
#[async_trait]
pub trait Sink: Send {
    /// Next offsets that the table's current snapshot covers.
    async fn committed(&self) -> Result<Offsets, SinkError>;
    /// Takes rows (of this sink's table only); they may be spilled to files but are not visible yet.
    async fn write(&mut self, rows: Rows) -> Result<(), SinkError>;
    /// Makes everything written since the last commit visible together with `covered` (merged into the table's
    /// offsets; a commit of offsets already covered is a no-op that drops the pending rows).
    /// Returns the snapshot that covers them; `None` where the table has none yet. Rows of a commit that failed stay with
    /// the sink: the same commit may be tried again, whether the first one came through or not.
    async fn commit(&mut self, covered: &Offsets) -> Result<Option<SnapshotId>, SinkError>;
}

/// Keeps original records beside the tables.
#[async_trait]
pub trait RawStore: std::fmt::Debug + Send + Sync {
    /// URI of the object at `path`, whether it is there or not.
    fn uri(&self, path: &str) -> String;
    /// Stores an object, durable when it returns. One that is there already is replaced.
    async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<(), SinkError>;
}

/// The time of day, as a port so that tests can set it.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}
