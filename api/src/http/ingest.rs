//! `POST /waveforms/ingest`: miniSEED records as they are, or sample arrays as JSON that are packed first.
//!
//! Records go through the gate, which drops those the stream already holds: sending the same body again changes nothing,
//! with or without an `Idempotency-Key`. Damaged parts come back as dead letters beside what was taken.

use std::fmt;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use seislake_model::{SourceId, Timestamp};
use seislake_mseed::{Encoding, FormatVersion, PackSettings, Quality, pack};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::json;

use super::{Body, Shared};
use crate::error::{ApiError, ErrorCode};
use crate::state::{IngestReport, IngestRequest};

/// Length of the records that arrays are packed into, bytes at most.
const RECORD_LENGTH: usize = 4096;

/// Longest `Idempotency-Key` taken.
const KEY_LENGTH_MAX: usize = 256;

/// Dead letters that one answer lists; the others are counted.
const LETTERS_MAX: usize = 10_000;

/// One sample array.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TraceBody {
    source_id: Option<SourceId>,
    network: Option<String>,
    station: Option<String>,
    #[serde(default)]
    location: String,
    channel: Option<String>,
    start_time: Timestamp,
    sample_rate_hz: f64,
    samples: SampleArray,
}

impl TraceBody {
    fn source_id(&self) -> Result<SourceId, ApiError> {
        let id = match (&self.source_id, &self.network, &self.station, &self.channel) {
            (Some(id), None, None, None) => id.clone(),
            (None, Some(network), Some(station), Some(channel)) => {
                let id = SourceId::from_nslc(network, station, &self.location, channel);
                id.as_str().parse().map_err(|error| ApiError::invalid(format!("{error}")))?
            }
            _ => {
                let message =
                    "a trace needs either \"source_id\" or \"network\", \"station\" and \"channel\"";
                return Err(ApiError::invalid(message));
            }
        };
        id.check_standard().map_err(|error| ApiError::invalid(error.to_string()))?;
        Ok(id)
    }

    /// miniSEED 3 records of the trace: integers as Steim 2, anything else as 64-bit floats.
    fn pack(&self) -> Result<Vec<u8>, ApiError> {
        let id = self.source_id()?;
        if self.samples.is_empty() {
            return Err(ApiError::invalid(format!("the trace of \"{id}\" holds no samples")));
        }
        let mut settings = PackSettings::new(id.as_str(), self.start_time.nanos(), self.sample_rate_hz);
        // miniSEED 3 holds start times to the nanosecond and long station codes.
        settings.format_version = FormatVersion::Three;
        settings.quality = Quality::Version(1);
        settings.record_length = RECORD_LENGTH;
        let packed = match &self.samples {
            SampleArray::Integers(integers) => pack(&settings, integers.as_slice()),
            SampleArray::Floats(floats) => {
                settings.encoding = Encoding::Float64;
                pack(&settings, floats.as_slice())
            }
        };
        packed
            .map(|records| records.concat())
            .map_err(|error| ApiError::invalid(format!("the trace of \"{id}\" cannot be packed: {error}")))
    }
}

/// Numbers as they are read: integers as long as all fit 32 bits, else floats. So ten million take 40 MB, not a gigabyte.
#[derive(Debug)]
enum SampleArray {
    Integers(Vec<i32>),
    Floats(Vec<f64>),
}

impl SampleArray {
    fn is_empty(&self) -> bool {
        match self {
            Self::Integers(samples) => samples.is_empty(),
            Self::Floats(samples) => samples.is_empty(),
        }
    }

    fn push(&mut self, sample: Sample) {
        match (&mut *self, sample) {
            (Self::Integers(samples), Sample::Integer(sample)) => samples.push(sample),
            (Self::Integers(samples), Sample::Float(sample)) => {
                let mut floats: Vec<f64> = samples.iter().copied().map(f64::from).collect();
                floats.push(sample);
                *self = Self::Floats(floats);
            }
            (Self::Floats(samples), Sample::Integer(sample)) => samples.push(f64::from(sample)),
            (Self::Floats(samples), Sample::Float(sample)) => samples.push(sample),
        }
    }
}

/// One number as it is written: `1` is an integer, `1.0` is none.
#[derive(Clone, Copy, Debug)]
enum Sample {
    Integer(i32),
    Float(f64),
}

impl<'de> Deserialize<'de> for Sample {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfNumber;
        impl Visitor<'_> for OfNumber {
            type Value = Sample;

            fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
                text.write_str("a number")
            }

            fn visit_i64<E>(self, number: i64) -> Result<Sample, E> {
                Ok(i32::try_from(number).map_or(Sample::Float(number as f64), Sample::Integer))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Sample, E> {
                Ok(i32::try_from(number).map_or(Sample::Float(number as f64), Sample::Integer))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Sample, E> {
                Ok(Sample::Float(number))
            }
        }
        // Asked for a float, the parser gives integers as integers, and never the text of a number.
        deserializer.deserialize_f64(OfNumber)
    }
}

impl<'de> Deserialize<'de> for SampleArray {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfNumbers;
        impl<'de> Visitor<'de> for OfNumbers {
            type Value = SampleArray;

            fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
                text.write_str("an array of numbers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<SampleArray, A::Error> {
                let mut samples = SampleArray::Integers(Vec::new());
                while let Some(number) = numbers.next_element::<Sample>()? {
                    samples.push(number);
                }
                Ok(samples)
            }
        }
        deserializer.deserialize_seq(OfNumbers)
    }
}

/// The records of a trace, or of each of an array of traces, packed as they are read: one trace is in memory at a time.
#[derive(Debug)]
struct RecordsOfTraces(Vec<u8>);

impl<'de> Visitor<'de> for RecordsOfTraces {
    type Value = Vec<u8>;

    fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str("a sample array, or an array of such objects")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, fields: A) -> Result<Vec<u8>, A::Error> {
        let trace = TraceBody::deserialize(MapAccessDeserializer::new(fields))?;
        self.0.extend(trace.pack().map_err(|error| A::Error::custom(error.message))?);
        Ok(self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut traces: A) -> Result<Vec<u8>, A::Error> {
        while let Some(trace) = traces.next_element::<TraceBody>()? {
            self.0.extend(trace.pack().map_err(|error| A::Error::custom(error.message))?);
        }
        Ok(self.0)
    }
}

fn records_of_arrays(body: &[u8]) -> Result<Bytes, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let records =
        json.deserialize_any(RecordsOfTraces(Vec::new())).and_then(|records| json.end().map(|()| records));
    records.map(Bytes::from).map_err(|error| {
        ApiError::invalid(format!("the body is not a sample array: {error}")).hint(
            "{\"source_id\": \"FDSN:XX_STA__H_H_Z\", \"start_time\": \"2026-01-02T00:00:00Z\", \
             \"sample_rate_hz\": 100, \"samples\": [1, 2, 3]}, or an array of such objects",
        )
    })
}

pub(super) async fn ingest(State(shared): State<Shared>, body: Body) -> Result<Response, ApiError> {
    let arrival_time = shared.state.clock.now();
    let media_type = body.media_type();
    let key = body.header("idempotency-key").map(str::to_owned);
    if key.as_ref().is_some_and(|key| key.len() > KEY_LENGTH_MAX) {
        return Err(ApiError::invalid(format!("Idempotency-Key is longer than {KEY_LENGTH_MAX} characters")));
    }
    let bytes = body.read(shared.limits.body_bytes_max).await?;
    let records = match media_type.as_deref() {
        Some("application/vnd.fdsn.mseed" | "application/vnd.fdsn.mseed3" | "application/octet-stream") => {
            bytes
        }
        // Millions of numbers take a while: not on a thread that others wait for.
        Some("application/json") => shared.reading.read(move || records_of_arrays(&bytes)).await?,
        other => {
            return Err(ApiError::new(
                ErrorCode::UnsupportedMediaType,
                format!("waveforms of media type \"{}\" are not read", other.unwrap_or("")),
            )
            .hint("application/vnd.fdsn.mseed or application/json"));
        }
    };
    if records.is_empty() {
        return Err(ApiError::invalid("the body is empty"));
    }
    let origin = key.map_or_else(|| "http".to_owned(), |key| format!("http {key}"));
    let report = shared.state.ingest.ingest(IngestRequest { body: records, arrival_time, origin }).await?;
    Ok(answer(&report))
}

fn answer(report: &IngestReport) -> Response {
    let letters = &report.dead_letters;
    let mut body = json!({
        "accepted_count": report.accepted_count,
        "duplicate_count": report.duplicate_count,
        "sample_count": report.sample_count,
        "dead_letter_count": letters.len(),
        "dead_letters": letters.get(..LETTERS_MAX).unwrap_or(letters),
    });
    if report.accepted_count + report.duplicate_count > 0 {
        return (StatusCode::OK, Json(body)).into_response();
    }
    let reason = letters.first().map_or("it holds no records", |letter| letter.reason.as_str());
    let message = format!("nothing in the body could be used: {reason}");
    let error =
        ApiError::new(ErrorCode::Unprocessable, message).hint("seislake inspect says what is in a file");
    body["error"] = error.json();
    (error.code.status(), Json(body)).into_response()
}
