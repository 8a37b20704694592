//! Request bodies, read up to a limit, not slower than allowed, and unpacked where they are packed by gzip.

use std::io::Read;
use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use futures::StreamExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::guard::{BODY_UNIT, Passage};
use crate::error::{ApiError, ErrorCode};

/// How much of a body over the limit is read and dropped, in multiples of the limit, so that a client that sends first
/// and reads later sees the answer instead of a closed connection.
const DRAIN_FACTOR: u64 = 4;
/// Fewer bytes than this, over the time that a body may keep us waiting, are too few.
const BYTES_PER_S_MIN: f64 = 1024.0;

/// A body that has not been read yet.
#[derive(Debug)]
pub(crate) struct Body {
    headers: HeaderMap,
    body: axum::body::Body,
    passage: Option<Passage>,
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = std::convert::Infallible;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        let (mut parts, body) = request.into_parts();
        let passage = parts.extensions.remove::<Passage>();
        Ok(Self { headers: parts.headers, body, passage })
    }
}

impl Body {
    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Media type without parameters, lower case.
    pub(crate) fn media_type(&self) -> Option<String> {
        let value = self.header(header::CONTENT_TYPE.as_str())?;
        Some(value.split(';').next().unwrap_or("").trim().to_ascii_lowercase())
    }

    /// The whole body, unpacked, if it is not larger than `bytes_max`. When it is there the request waits for its place.
    pub(crate) async fn read(mut self, bytes_max: usize) -> Result<Bytes, ApiError> {
        let packing = self.packing()?;
        let passage = self.passage.take();
        let (bytes, held) = self.receive(bytes_max, passage.as_ref()).await?;
        if let Some(passage) = &passage {
            passage.begin().await?;
        }
        let bytes = match packing {
            Packing::None => bytes,
            Packing::Gzip => unpack(bytes, bytes_max).await?,
        };
        drop(held);
        Ok(bytes)
    }

    fn packing(&self) -> Result<Packing, ApiError> {
        let named: Vec<String> = self
            .headers
            .get_all(header::CONTENT_ENCODING)
            .iter()
            .flat_map(|value| value.to_str().unwrap_or("?").split(','))
            .map(|name| name.trim().to_ascii_lowercase())
            .filter(|name| !name.is_empty() && name != "identity")
            .collect();
        match named.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [] => Ok(Packing::None),
            ["gzip" | "x-gzip"] => Ok(Packing::Gzip),
            _ => Err(ApiError::new(
                ErrorCode::UnsupportedMediaType,
                format!("bodies of content encoding \"{}\" are not read", named.join(", ")),
            )
            .hint("gzip, or none")),
        }
    }

    /// What comes, with the memory it was given.
    async fn receive(
        self,
        bytes_max: usize,
        passage: Option<&Passage>,
    ) -> Result<(Bytes, Vec<OwnedSemaphorePermit>), ApiError> {
        let announced: Option<u64> =
            self.header(header::CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok());
        let drain_max = (bytes_max as u64).saturating_mul(DRAIN_FACTOR);
        let mut pace = passage.map(|passage| Pace::new(passage.receive_time_max()));
        let mut received: u64 = 0;
        let mut held: Vec<OwnedSemaphorePermit> = Vec::new();
        let mut room = 0_u64;
        let mut kept = BytesMut::with_capacity(announced.unwrap_or(0).min(1 << 16) as usize);
        let mut stream = self.body.into_data_stream();
        loop {
            let next = match &mut pace {
                Some(pace) => pace.next(&mut stream).await?,
                None => stream.next().await,
            };
            let Some(chunk) = next else { break };
            let chunk = chunk.map_err(|error| ApiError::invalid(format!("the body ended early: {error}")))?;
            received += chunk.len() as u64;
            if received > drain_max {
                break;
            }
            if received > bytes_max as u64 {
                (kept, held) = (BytesMut::new(), Vec::new());
                continue;
            }
            if let Some(passage) = passage
                && received > room
            {
                // Doubled, so that a large body asks few times.
                let more = (received - room).max(room).max(BODY_UNIT as u64);
                held.push(memory(passage, more)?);
                room += more;
            }
            kept.extend_from_slice(&chunk);
        }
        if received > bytes_max as u64 {
            let size = announced.unwrap_or(received).max(received);
            return Err(too_large(&size.to_string(), bytes_max));
        }
        Ok((kept.freeze(), held))
    }
}

fn memory(passage: &Passage, bytes: u64) -> Result<OwnedSemaphorePermit, ApiError> {
    let units = u32::try_from(bytes.div_ceil(BODY_UNIT as u64)).unwrap_or(u32::MAX);
    std::sync::Arc::clone(passage.body_bytes()).try_acquire_many_owned(units).map_err(|_| {
        ApiError::new(ErrorCode::Unavailable, "the bodies that are coming in fill the memory they may have")
            .hint("try again in a second, or send less at once")
    })
}

fn too_large(size: &str, bytes_max: usize) -> ApiError {
    ApiError::new(
        ErrorCode::BodyTooLarge,
        format!("the body has {size} bytes or more; at most {bytes_max} are taken"),
    )
    .hint("send it in several requests")
}

/// How the bytes of a body are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
}

/// Unpacks no more than allowed, however much there would be.
async fn unpack(packed: Bytes, bytes_max: usize) -> Result<Bytes, ApiError> {
    let unpacking = move || {
        let mut bytes = Vec::new();
        let mut decoder = MultiGzDecoder::new(&packed[..]).take(bytes_max as u64 + 1);
        decoder
            .read_to_end(&mut bytes)
            .map_err(|error| ApiError::invalid(format!("the body is not gzip: {error}")))?;
        if bytes.len() > bytes_max {
            return Err(too_large(&bytes.len().to_string(), bytes_max));
        }
        Ok(bytes.into())
    };
    let unpacked = tokio::task::spawn_blocking(unpacking).await;
    unpacked.map_err(|error| ApiError::internal("unpack the body", &error))?
}

/// Whether a body comes fast enough.
#[derive(Debug)]
struct Pace {
    time_max: Duration,
    began: Instant,
    received: usize,
}

impl Pace {
    fn new(time_max: Duration) -> Self {
        Self { time_max, began: Instant::now(), received: 0 }
    }

    async fn next(
        &mut self,
        stream: &mut axum::body::BodyDataStream,
    ) -> Result<Option<Result<Bytes, axum::Error>>, ApiError> {
        loop {
            if let Ok(next) = timeout_at(self.began + self.time_max, stream.next()).await {
                if let Some(Ok(chunk)) = &next {
                    self.received += chunk.len();
                }
                if self.began.elapsed() < self.time_max {
                    return Ok(next);
                }
                self.check()?;
                return Ok(next);
            }
            self.check()?;
        }
    }

    /// At the end of a span of time: begins the next one.
    fn check(&mut self) -> Result<(), ApiError> {
        if (self.received as f64) < BYTES_PER_S_MIN * self.time_max.as_secs_f64() {
            let message = format!(
                "the body came too slowly: {} bytes in {} s",
                self.received,
                self.time_max.as_secs_f64()
            );
            return Err(
                ApiError::new(ErrorCode::BodyTooSlow, message).hint("send it again, or in smaller parts")
            );
        }
        (self.began, self.received) = (Instant::now(), 0);
        Ok(())
    }
}
