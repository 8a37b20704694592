//! `POST /waveforms/ingest`: miniSEED records as they are, or sample arrays as JSON that are packed first.
//!
//! Records go through the gate, which drops those the stream already holds: sending the same body again changes nothing,
//! with or without an `Idempotency-Key`. Damaged parts come back as dead letters beside what was taken.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use seislake_model::{SourceId, Timestamp};
use seislake_mseed::{Encoding, FormatVersion, PackSettings, Quality, pack};
use serde::Deserialize;
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
    samples: Vec<serde_json::Number>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Traces {
    Many(Vec<serde_json::Value>),
    One(serde_json::Value),
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
        let integers: Option<Vec<i32>> = self
            .samples
            .iter()
            .map(|number| number.as_i64().and_then(|value| i32::try_from(value).ok()))
            .collect();
        let packed = match &integers {
            Some(integers) => pack(&settings, integers.as_slice()),
            None => {
                let floats: Vec<f64> = self.samples.iter().filter_map(serde_json::Number::as_f64).collect();
                settings.encoding = Encoding::Float64;
                pack(&settings, floats.as_slice())
            }
        };
        packed
            .map(|records| records.concat())
            .map_err(|error| ApiError::invalid(format!("the trace of \"{id}\" cannot be packed: {error}")))
    }
}

fn traces(body: &[u8]) -> Result<Vec<TraceBody>, ApiError> {
    let refuse = |error: serde_json::Error| {
        ApiError::invalid(format!("the body is not a sample array: {error}")).hint(
            "{\"source_id\": \"FDSN:XX_STA__H_H_Z\", \"start_time\": \"2026-01-02T00:00:00Z\", \
             \"sample_rate_hz\": 100, \"samples\": [1, 2, 3]}, or an array of such objects",
        )
    };
    let bodies = match serde_json::from_slice::<Traces>(body).map_err(refuse)? {
        Traces::Many(bodies) => bodies,
        Traces::One(body) => vec![body],
    };
    bodies.into_iter().map(|body| serde_json::from_value(body).map_err(refuse)).collect()
}

fn records_of_arrays(body: &[u8]) -> Result<Bytes, ApiError> {
    let mut records = Vec::new();
    for trace in traces(body)? {
        records.extend(trace.pack()?);
    }
    Ok(records.into())
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
        Some("application/json") => records_of_arrays(&bytes)?,
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
    body["error"] = json!({
        "code": ErrorCode::Unprocessable.as_str(),
        "message": format!("nothing in the body could be used: {reason}"),
        "hint": "seislake inspect says what is in a file",
    });
    (ErrorCode::Unprocessable.status(), Json(body)).into_response()
}
