//! Request bodies, read up to a limit, not slower than allowed, and unpacked where they are packed by gzip.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use futures::StreamExt;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::guard::Passage;
use super::memory::Room;
use crate::error::{ApiError, ErrorCode};

/// How much of a body over the limit is read and dropped, in multiples of the limit, so that a client that sends first
/// and reads later sees the answer instead of a closed connection.
const DRAIN_FACTOR: u64 = 4;
/// Fewer bytes than this, over the time that a body may keep us waiting, are too few.
const BYTES_PER_S_MIN: f64 = 1024.0;
/// Longest time in which a body comes as a whole: the largest by default at a megabit a second. A larger one that comes
/// fast enough to be there by then is there earlier.
const BODY_TIME_MAX: Duration = Duration::from_secs(600);

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

    /// Encoding of the text that the media type names.
    pub(crate) fn charset(&self) -> Option<String> {
        let value = self.header(header::CONTENT_TYPE.as_str())?;
        value.split(';').skip(1).find_map(|parameter| {
            let (name, charset) = parameter.split_once('=')?;
            let is_it = name.trim().eq_ignore_ascii_case("charset");
            is_it.then(|| charset.trim().trim_matches('"').to_owned())
        })
    }

    /// The whole body, unpacked, if it is not larger than `bytes_max`. When it is there the request waits for its place.
    pub(crate) async fn read(mut self, bytes_max: usize) -> Result<Bytes, ApiError> {
        let packing = self.packing()?;
        let passage = self.passage.take();
        let (bytes, room) = self.receive(bytes_max, passage.as_ref()).await?;
        if let Some(passage) = &passage {
            passage.begin().await?;
        }
        match packing {
            ContentCoding::None => Ok(in_room(bytes, room)),
            ContentCoding::Gzip => unpack(bytes, bytes_max, room).await,
        }
    }

    fn packing(&self) -> Result<ContentCoding, ApiError> {
        let named: Vec<String> = self
            .headers
            .get_all(header::CONTENT_ENCODING)
            .iter()
            .flat_map(|value| value.to_str().unwrap_or("?").split(','))
            .map(|name| name.trim().to_ascii_lowercase())
            .filter(|name| !name.is_empty() && name != "identity")
            .collect();
        match named.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [] => Ok(ContentCoding::None),
            ["gzip" | "x-gzip"] => Ok(ContentCoding::Gzip),
            _ => Err(ApiError::new(
                ErrorCode::UnsupportedMediaType,
                format!("bodies of content encoding \"{}\" are not read", named.join(", ")),
            )
            .hint("gzip, or none")),
        }
    }

    /// What comes, and the room that it has.
    async fn receive(
        self,
        bytes_max: usize,
        passage: Option<&Passage>,
    ) -> Result<(Vec<u8>, Option<Room>), ApiError> {
        let announced: Option<u64> =
            self.header(header::CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok());
        let drain_max = (bytes_max as u64).saturating_mul(DRAIN_FACTOR);
        let mut pace = passage.map(|passage| Pace::new(passage.receive_time_max()));
        let mut received: u64 = 0;
        let mut room = passage.map(Passage::room);
        let mut kept = Vec::with_capacity(announced.unwrap_or(0).min(1 << 16) as usize);
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
                (kept, room) = (Vec::new(), None);
                continue;
            }
            if let Some(room) = &mut room {
                room.grow(chunk.len() as u64)?;
            }
            kept.extend_from_slice(&chunk);
        }
        if received > bytes_max as u64 {
            let size = announced.unwrap_or(received).max(received);
            return Err(too_large(&size.to_string(), bytes_max));
        }
        Ok((kept, room))
    }
}

/// Reads what becomes much larger than its bytes, JSON and XML: on threads of its own, and few at a time.
#[derive(Clone, Debug)]
pub(crate) struct DocumentReaders(Arc<Semaphore>);

/// Documents that are read at the same time.
const READING_MAX: usize = 2;

impl Default for DocumentReaders {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(READING_MAX)))
    }
}

impl DocumentReaders {
    /// What `reader` gives, when its turn comes. It goes on to its end, and keeps its place until then.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        reader: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let turn = Arc::clone(&self.0).acquire_owned().await;
        let reading = move || {
            let _turn = turn;
            reader()
        };
        let read = tokio::task::spawn_blocking(reading).await;
        read.map_err(|error| ApiError::internal("read the body", &error))?
    }
}

fn in_room(bytes: Vec<u8>, room: Option<Room>) -> Bytes {
    match room {
        Some(room) => room.around(bytes),
        None => bytes.into(),
    }
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
enum ContentCoding {
    None,
    Gzip,
}

/// Unpacks no more than allowed, however much there would be: measured first, so that what is too large takes no memory
/// and what is not takes no more than it needs. What was packed is given back at the end.
async fn unpack(packed: Vec<u8>, bytes_max: usize, mut room: Option<Room>) -> Result<Bytes, ApiError> {
    let unpacking = move || {
        let not_gzip = |error: std::io::Error| ApiError::invalid(format!("the body is not gzip: {error}"));
        let unpacked = || MultiGzDecoder::new(packed.as_slice());
        let size = std::io::copy(&mut unpacked().take(bytes_max as u64 + 1), &mut std::io::sink());
        let size = size.map_err(not_gzip)?;
        if size > bytes_max as u64 {
            return Err(too_large(&size.to_string(), bytes_max));
        }
        if let Some(room) = &mut room {
            room.grow(size)?;
        }
        let mut bytes = Vec::with_capacity(size as usize);
        unpacked().take(size).read_to_end(&mut bytes).map_err(not_gzip)?;
        Ok(in_room(bytes, room))
    };
    let unpacked = tokio::task::spawn_blocking(unpacking).await;
    unpacked.map_err(|error| ApiError::internal("unpack the body", &error))?
}

/// Whether a body comes fast enough.
#[derive(Debug)]
struct Pace {
    time_max: Duration,
    /// When it must be there as a whole.
    end: Instant,
    began: Instant,
    received: usize,
}

impl Pace {
    fn new(time_max: Duration) -> Self {
        let began = Instant::now();
        Self { time_max, end: began + BODY_TIME_MAX.max(time_max), began, received: 0 }
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
            return Err(too_slow(message));
        }
        if Instant::now() >= self.end {
            return Err(too_slow(format!(
                "the body is not there as a whole after {} s",
                BODY_TIME_MAX.max(self.time_max).as_secs_f64()
            )));
        }
        (self.began, self.received) = (Instant::now(), 0);
        Ok(())
    }
}

fn too_slow(message: String) -> ApiError {
    ApiError::new(ErrorCode::BodyTooSlow, message).hint("send it again, or in smaller parts")
}
