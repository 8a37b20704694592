//! What travels on topics: names, versioned JSON messages between stages, and punctuation among the raw records.
//!
//! ```json
//! {"version":1,"source":{"topic":"waveforms.raw","partition":0,"offset":7,"index":0,"stage":"pick"},"kind":"pick","pick":{…}}
//! {"version":1,"watermark":"2014-08-24T00:00:30.000Z"}        on waveforms.raw, key "watermark"; "max": the end
//! ```
//! Every derived message names the record it comes from, so a restarted stage recognises what it has said before.

use bytes::Bytes;
use seislake_model::{
    AmplitudeTrace, Association, Coordinates, DeadLetter, ErrorKind, EventId, Location, MagnitudeResult,
    Offset, Pick, Proposal, Review, Revision, Timestamp,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;
use crate::topic::{NewRecord, Record};

/// miniSEED records as they came, and punctuation; key = source id.
pub const WAVEFORMS_RAW: &str = "waveforms.raw";
/// Picks, amplitude traces and watermarks.
pub const PHASE_PICKS: &str = "waveforms.phase_picks";
/// Picks that belong together.
pub const ASSOCIATIONS: &str = "waveforms.associations";
/// What stages, people and other agencies say about events.
pub const PROPOSALS: &str = "bulletin.proposals";
/// What became of it.
pub const REVISIONS: &str = "bulletin.revisions";

/// Bytes of a refused record that a dead letter keeps.
pub const LETTER_BYTES_MAX: usize = 64 << 10;

/// Key of punctuation records.
pub const WATERMARK_KEY: &[u8] = b"watermark";

const VERSION: u32 = 1;
/// Records tell years up to 2100 and span ten at most: none reaches the year 2200.
const RECORDS_END: Timestamp = Timestamp::from_nanos(7_258_118_400_000_000_000);

const NULL: &str = "null";

/// Dead-letter topic of `topic`: partition 0 holds what was refused before it got a place in `topic`, partition
/// `1 + p` what a stage could not use of partition `p`.
pub fn dead_letter_topic(topic: &str) -> String {
    format!("{topic}.dlq")
}

/// A promise about time: nothing older follows in this partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watermark(pub Timestamp);

impl Watermark {
    /// The end of a bounded stream: everything held back is given out, and a new stream may begin.
    pub const MAX: Self = Self(Timestamp::MAX);

    /// Fails with `Corrupt` where the promise reaches beyond all records and is not the end either: believed, it would
    /// make every record late.
    fn check(self) -> Result<Self, Error> {
        if self != Self::MAX && self.0 > RECORDS_END {
            let text = format!("a watermark of {} lies beyond all records", self.0);
            return Err(Error::new(ErrorKind::Corrupt, text));
        }
        Ok(self)
    }
}

impl Serialize for Watermark {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if *self == Self::MAX { serializer.serialize_str("max") } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Watermark {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        if text == "max" {
            return Ok(Self::MAX);
        }
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// The value of a punctuation record; a message that holds a watermark among other things is none.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Punctuation {
    version: u32,
    watermark: Watermark,
}

/// The punctuation record for `watermark`.
pub fn punctuation(watermark: Watermark) -> Result<NewRecord, Error> {
    let value = to_json(&Punctuation { version: VERSION, watermark })?;
    Ok(NewRecord { key: Bytes::from_static(WATERMARK_KEY), value, arrival_time: None })
}

/// The watermark of a record of `waveforms.raw`; `None` where it is a miniSEED record.
pub fn watermark_of(record: &Record) -> Result<Option<Watermark>, Error> {
    if record.key.as_ref() != WATERMARK_KEY {
        return Ok(None);
    }
    let punctuation: Punctuation = from_json("punctuation", &record.value)?;
    check_version(punctuation.version)?;
    punctuation.watermark.check().map(Some)
}

/// The record that a message was derived from; `index` counts the messages of one record.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourcePosition {
    /// Topic of the record.
    pub topic: String,
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: Offset,
    /// Index among the messages derived from it.
    pub index: u32,
    /// The stage that says it: several may speak on one topic. Empty in messages of older versions.
    #[serde(default)]
    pub stage: String,
}

/// A message between stages.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Envelope {
    /// Version of the form.
    pub version: u32,
    /// Where it comes from.
    pub source: SourcePosition,
    /// What it says.
    #[serde(flatten)]
    pub message: Message,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    /// A phase pick.
    Pick {
        /// The pick.
        pick: Box<Pick>,
        /// Where its channel stood; none where nobody said.
        #[serde(default)]
        at: Option<Coordinates>,
    },
    /// Wood-Anderson amplitudes around picks.
    AmplitudeTrace {
        /// The amplitudes.
        amplitude_trace: Box<AmplitudeTrace>,
    },
    /// No pick older than this follows from one partition of the raw records.
    Watermark {
        /// The promise.
        watermark: Watermark,
        /// Which of the raw partitions gives it.
        partition: u32,
        /// How many raw partitions there are.
        partition_count: u32,
    },
    /// Picks of one event.
    Association {
        /// The association.
        association: Box<Association>,
    },
    /// Something said about an event.
    Proposal {
        /// What.
        proposal: Proposal,
    },
    /// What became of a proposal.
    Revision {
        /// New revisions of events, and what belongs to them.
        revision: Box<Revision>,
    },
    /// What a stage says that has no word of its own here.
    Other {
        /// Key of the record.
        key: String,
        /// What it says, as its own readers know it.
        content: serde_json::Value,
    },
}

impl Message {
    /// Key of the record that carries the message.
    fn key(&self) -> Bytes {
        match self {
            Self::Pick { pick, .. } => Bytes::from(pick.source_id.as_str().to_owned()),
            Self::AmplitudeTrace { amplitude_trace } => {
                Bytes::from(amplitude_trace.source_id.as_str().to_owned())
            }
            Self::Watermark { .. } => Bytes::from_static(WATERMARK_KEY),
            Self::Association { association } => Bytes::from(String::from(association.event_id.clone())),
            Self::Proposal { proposal } => key_of(proposal.event_id()),
            Self::Revision { revision } => {
                let of_origin = || revision.origins.first().map(|origin| &origin.event_id);
                key_of(revision.events.first().map(|event| &event.event_id).or_else(of_origin))
            }
            Self::Other { key, .. } => Bytes::from(key.clone()),
        }
    }
}

/// All words of a message side by side, whatever its kind. Read so in one pass: `flatten` and `tag` gather every number of
/// an amplitude trace in a buffer of its own first, once for each of them.
#[derive(Deserialize)]
struct Words {
    version: u32,
    source: SourcePosition,
    kind: Kind,
    pick: Option<Box<Pick>>,
    at: Option<Coordinates>,
    amplitude_trace: Option<Box<AmplitudeTrace>>,
    watermark: Option<Watermark>,
    partition: Option<u32>,
    partition_count: Option<u32>,
    association: Option<Box<Association>>,
    proposal: Option<ProposalWords>,
    revision: Option<Box<Revision>>,
    key: Option<String>,
    /// `null` is content, too.
    #[serde(default, deserialize_with = "content")]
    content: Option<serde_json::Value>,
}

/// The kinds of [`Message`].
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Pick,
    AmplitudeTrace,
    Watermark,
    Association,
    Proposal,
    Revision,
    Other,
}

fn content<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<serde_json::Value>, D::Error> {
    serde_json::Value::deserialize(deserializer).map(Some)
}

/// As [`Words`], of a proposal.
#[derive(Deserialize)]
struct ProposalWords {
    kind: ProposalKind,
    location: Option<Box<Location>>,
    magnitude: Option<Box<MagnitudeResult>>,
    review: Option<Box<Review>>,
}

/// The kinds of [`Proposal`].
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ProposalKind {
    Origin,
    Magnitude,
    Review,
}

/// A word that messages of its kind have.
fn word<T, E: serde::de::Error>(value: Option<T>, name: &'static str) -> Result<T, E> {
    value.ok_or_else(|| E::missing_field(name))
}

impl Words {
    fn message<E: serde::de::Error>(self) -> Result<Message, E> {
        Ok(match self.kind {
            Kind::Pick => Message::Pick { pick: word(self.pick, "pick")?, at: self.at },
            Kind::AmplitudeTrace => {
                Message::AmplitudeTrace { amplitude_trace: word(self.amplitude_trace, "amplitude_trace")? }
            }
            Kind::Watermark => Message::Watermark {
                watermark: word(self.watermark, "watermark")?,
                partition: word(self.partition, "partition")?,
                partition_count: word(self.partition_count, "partition_count")?,
            },
            Kind::Association => Message::Association { association: word(self.association, "association")? },
            Kind::Proposal => Message::Proposal { proposal: word(self.proposal, "proposal")?.proposal()? },
            Kind::Revision => Message::Revision { revision: word(self.revision, "revision")? },
            Kind::Other => {
                Message::Other { key: word(self.key, "key")?, content: word(self.content, "content")? }
            }
        })
    }
}

impl ProposalWords {
    fn proposal<E: serde::de::Error>(self) -> Result<Proposal, E> {
        Ok(match self.kind {
            ProposalKind::Origin => Proposal::Origin { location: word(self.location, "location")? },
            ProposalKind::Magnitude => Proposal::Magnitude { magnitude: word(self.magnitude, "magnitude")? },
            ProposalKind::Review => Proposal::Review { review: word(self.review, "review")? },
        })
    }
}

impl<'de> Deserialize<'de> for Envelope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut words = Words::deserialize(deserializer)?;
        let (version, source) = (words.version, std::mem::take(&mut words.source));
        Ok(Self { version, source, message: words.message()? })
    }
}

fn key_of(event_id: Option<&EventId>) -> Bytes {
    Bytes::from(event_id.map_or_else(String::new, |id| id.to_string()))
}

impl Envelope {
    /// A message in the current version.
    pub fn new(source: SourcePosition, message: Message) -> Self {
        Self { version: VERSION, source, message }
    }

    /// The record that carries it. Fails with `Internal` where nobody could read it: JSON has no word for a number that
    /// is infinite or none.
    pub fn to_record(&self) -> Result<NewRecord, Error> {
        let value = serde_json::to_string(self).map_err(unwritable)?;
        // Such a number is written as null, which only optional ones may be.
        if value.contains(NULL) {
            let unreadable = "a message holds a number that is infinite or none";
            from_json::<Self>("message", value.as_bytes())
                .map_err(|e| Error::caused(ErrorKind::Internal, unreadable, e))?;
        }
        Ok(NewRecord { key: self.message.key(), value: Bytes::from(value), arrival_time: None })
    }

    /// Reads the message of a record. Fails with `Corrupt` where it is none or of a newer version.
    pub fn of(record: &Record) -> Result<Self, Error> {
        let envelope: Self = from_json("message", &record.value)?;
        check_version(envelope.version)?;
        if let Message::Watermark { watermark, .. } = envelope.message {
            watermark.check()?;
        }
        Ok(envelope)
    }
}

pub(crate) fn check_version(version: u32) -> Result<(), Error> {
    if version > VERSION {
        let text = format!("message version {version} is newer than this program ({VERSION})");
        return Err(Error::new(ErrorKind::Corrupt, text));
    }
    Ok(())
}

/// The record that carries a dead letter.
pub fn letter_record(letter: &DeadLetter) -> Result<NewRecord, Error> {
    let key = Bytes::from(letter.stage.clone());
    Ok(NewRecord { key, value: to_json(letter)?, arrival_time: None })
}

/// The dead letter of a record.
pub fn letter_of(record: &Record) -> Result<DeadLetter, Error> {
    from_json("dead letter", &record.value)
}

pub(crate) fn to_json(value: &impl Serialize) -> Result<Bytes, Error> {
    serde_json::to_vec(value).map(Bytes::from).map_err(unwritable)
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::caused(ErrorKind::Internal, "encode a message as JSON", error)
}

pub(crate) fn from_json<'a, T: Deserialize<'a>>(what: &str, bytes: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|e| Error::caused(ErrorKind::Corrupt, format!("read a {what}"), e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_is_json_with_a_word_for_the_end() {
        let text = |time| String::from_utf8(punctuation(Watermark(time)).unwrap().value.to_vec()).unwrap();
        assert_eq!(text(Timestamp::MAX), r#"{"version":1,"watermark":"max"}"#);
        assert_eq!(text(Timestamp::from_nanos(0)), r#"{"version":1,"watermark":"1970-01-01T00:00:00.000Z"}"#);
        for time in [Timestamp::MAX, Timestamp::from_nanos(1_408_838_468_920_000_001)] {
            let NewRecord { key, value, arrival_time } = punctuation(Watermark(time)).unwrap();
            let record = Record { offset: 0, key, value, arrival_time };
            assert_eq!(watermark_of(&record).unwrap(), Some(Watermark(time)));
        }
    }

    #[test]
    fn a_message_names_its_source_and_kind() {
        let source = SourcePosition {
            topic: WAVEFORMS_RAW.into(),
            partition: 2,
            offset: 7,
            index: 1,
            stage: "pick".into(),
        };
        let message = Message::Watermark { watermark: Watermark::MAX, partition: 2, partition_count: 4 };
        let envelope = Envelope::new(source, message);
        let NewRecord { key, value, arrival_time } = envelope.to_record().unwrap();
        assert_eq!(
            String::from_utf8(value.to_vec()).unwrap(),
            r#"{"version":1,"source":{"topic":"waveforms.raw","partition":2,"offset":7,"index":1,"stage":"pick"},"kind":"watermark","watermark":"max","partition":2,"partition_count":4}"#
        );
        assert_eq!(Envelope::of(&Record { offset: 0, key, value, arrival_time }).unwrap(), envelope);
    }

    const PICK: &str = r#"{"pick_id":"pick/1","source_id":"FDSN:XX_A__H_H_Z","pick_time":"2026-01-01T00:00:01.500Z",
        "time_uncertainty_s":0.05,"phase":"P","polarity":"positive","onset":"impulsive","snr":12.5,"agency_id":"a",
        "author":"b","evaluation_mode":"manual","evaluation_status":"confirmed","method":"m","method_version":"2",
        "creation_time":"2026-01-01T00:00:06.000Z"}"#;
    const TRACE: &str = r#"{"source_id":"FDSN:XX_A__H_H_N","start_time":"2026-01-01T00:00:01.000Z","peaks_mm":[0.5,2.25],
        "noise_mm":0.125,"high_peaks_mm":[],"high_noise_mm":0.0,"at":null}"#;
    const ORIGIN: &str = r#"{"origin_id":"origin/1","event_id":"event/1","origin_time":"2026-01-01T00:00:00.000Z",
        "time_uncertainty_s":0.1,"latitude":30.5,"longitude":103.0,"depth_km":3.5,"covariance_km2":[1,0,0,1,0,4],
        "ellipse_major_km":1,"ellipse_minor_km":1,"ellipse_azimuth":0,"depth_uncertainty_km":2,"rms_s":0.05,
        "azimuthal_gap":90,"nearest_station_km":8,"used_phase_count":6,"used_station_count":4,"agency_id":"a",
        "author":"b","method":"octree-edt","method_version":"1","creation_time":null,"earth_model":"iasp91"}"#;
    const MAGNITUDE: &str = r#"{"magnitude_id":"magnitude/1","event_id":"event/1","origin_id":"origin/1",
        "magnitude_type":"ML","magnitude":1.5,"uncertainty":null,"station_count":1,"method":"m"}"#;

    /// Of every kind one, as JSON.
    fn messages() -> Vec<String> {
        let place = r#""latitude":30.5,"longitude":103.0,"depth_km":3.5"#;
        let location = format!(
            r#"{{"origin":{ORIGIN},"arrivals":[],"sites":{{"FDSN:XX_A__H_H_Z":{{"latitude":1,"longitude":2,"elevation_m":3}}}},
            "amplitude_traces":[{TRACE}]}}"#
        );
        vec![
            format!(r#""kind":"pick","pick":{PICK},"at":{{"latitude":1,"longitude":2,"elevation_m":3}}"#),
            format!(r#""kind":"pick","pick":{PICK}"#),
            format!(r#""kind":"amplitude_trace","amplitude_trace":{TRACE}"#),
            r#""kind":"watermark","watermark":"max","partition":2,"partition_count":4"#.to_owned(),
            format!(
                r#""kind":"association","association":{{"event_id":"event/1","origin_time":"2026-01-01T00:00:00.000Z",{place},
                "picks":[{PICK},{PICK}],"amplitude_traces":[{TRACE}]}}"#
            ),
            format!(r#""kind":"proposal","proposal":{{"kind":"origin","location":{location}}}"#),
            format!(
                r#""kind":"proposal","proposal":{{"kind":"magnitude","magnitude":{{"magnitude":{MAGNITUDE},"amplitudes":[]}}}}"#
            ),
            r#""kind":"proposal","proposal":{"kind":"review","review":{"event_id":"event/1","action":{"action":"merge",
            "into":"event/2"},"provenance":{"author":"b"}}}"#
                .to_owned(),
            format!(
                r#""kind":"revision","revision":{{"events":[],"origins":[{ORIGIN}],"arrivals":[],"magnitudes":[{MAGNITUDE}],
                "amplitudes":[]}}"#
            ),
            r#""kind":"other","key":"k","content":{"a":[1,null]}"#.to_owned(),
            r#""kind":"other","key":"k","content":null"#.to_owned(),
        ]
    }

    fn envelope(words: &str) -> Result<Envelope, Error> {
        let source = r#"{"topic":"t","partition":0,"offset":7,"index":1,"stage":"s"}"#;
        from_json("message", format!(r#"{{"version":1,"source":{source},{words}}}"#).as_bytes())
    }

    #[test]
    fn a_message_is_read_as_it_was_written_in_any_order_of_its_words() {
        for words in messages() {
            let read = envelope(&words).unwrap();
            let by_tag: Message = serde_json::from_str(&format!("{{{words}}}")).unwrap();
            assert_eq!(read.message, by_tag, "{words}");
            let NewRecord { key, value, arrival_time } = read.to_record().unwrap();
            let record = Record { offset: 0, key, value, arrival_time };
            assert_eq!(Envelope::of(&record).unwrap(), read, "{words}");
            // The words of a map are sorted: the kind stands behind what it is the kind of.
            let sorted: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
            let value = to_json(&sorted).unwrap();
            assert_eq!(Envelope::of(&Record { value, ..record }).unwrap(), read, "{words}");
        }
    }

    #[test]
    fn a_message_without_a_word_of_its_kind_is_refused_by_that_name() {
        for words in messages() {
            let (kind, rest) = words.split_once(',').unwrap();
            let name = rest.trim_start_matches('"').split('"').next().unwrap();
            let error = envelope(kind).unwrap_err().chain();
            assert!(error.contains(&format!("missing field `{name}`")), "{words}: {error}");
        }
        let error = envelope(r#""kind":"proposal","proposal":{"kind":"review"}"#).unwrap_err().chain();
        assert!(error.contains("missing field `review`"), "{error}");
        for (kind, words) in [("riddle", "unknown variant `riddle`"), ("Pick", "unknown variant `Pick`")] {
            let error = envelope(&format!(r#""kind":"{kind}""#)).unwrap_err().chain();
            assert!(error.contains(words), "{error}");
        }
    }
}
