//! Request bodies, read up to a limit.

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;

use crate::error::{ApiError, ErrorCode};

/// How much of a body over the limit is read and dropped, in multiples of the limit, so that a client that sends first
/// and reads later sees the answer instead of a closed connection.
const DRAIN_FACTOR: u64 = 4;

/// A body that has not been read yet.
#[derive(Debug)]
pub(crate) struct Body {
    headers: HeaderMap,
    body: axum::body::Body,
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = std::convert::Infallible;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        let (parts, body) = request.into_parts();
        Ok(Self { headers: parts.headers, body })
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

    /// The whole body, if it is not larger than `bytes_max`.
    pub(crate) async fn read(self, bytes_max: usize) -> Result<Bytes, ApiError> {
        let announced: Option<u64> =
            self.header(header::CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok());
        let drain_max = (bytes_max as u64).saturating_mul(DRAIN_FACTOR);
        let mut received: u64 = 0;
        let mut kept = BytesMut::with_capacity(announced.unwrap_or(0).min(1 << 20) as usize);
        let mut stream = self.body.into_data_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| ApiError::invalid(format!("the body ended early: {error}")))?;
            received += chunk.len() as u64;
            if received > drain_max {
                break;
            }
            if received <= bytes_max as u64 {
                kept.extend_from_slice(&chunk);
            } else {
                kept = BytesMut::new();
            }
        }
        if received > bytes_max as u64 {
            let size = announced.unwrap_or(received).max(received);
            return Err(ApiError::new(
                ErrorCode::BodyTooLarge,
                format!("the body has {size} bytes or more; at most {bytes_max} are taken"),
            )
            .hint("send it in several requests"));
        }
        Ok(kept.freeze())
    }
}
