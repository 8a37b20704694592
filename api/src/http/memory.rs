//! Memory of request bodies: counted over all requests and for each client, from the first byte until nobody has the
//! bytes any more.
//!
//! ```text
//! body comes ─► Room grows ─► unpacked: grows again ─► Bytes that own the Room ─► dropped: given back
//! ```
//! Where others read the bodies (Flight SQL), a layer counts what they are given ([`counted_bodies`]).
//!
//! Nobody has more than half of it, so that one client with many large or slow bodies stops its own requests alone.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::Status;

use crate::error::{ApiError, ErrorCode};
use crate::request::{Client, RequestContext};

/// Bodies of the largest size that may be in memory at once.
const LARGEST_BODIES: u64 = 8;
/// Room for small bodies, however small the largest may be.
const BYTES_MIN: u64 = 16 << 20;
/// What every body has for itself, whatever others take: the places for connections bound how many there are.
const BYTES_FREE: u64 = 16 << 10;

/// What the bodies of all requests may take.
#[derive(Debug)]
pub(super) struct BodyMemory {
    bytes_max: u64,
    taken: Mutex<Occupancy>,
}

#[derive(Debug, Default)]
struct Occupancy {
    bytes: u64,
    of_client: HashMap<Client, u64>,
}

impl BodyMemory {
    /// Memory for a few bodies of the largest size.
    pub(super) fn new(body_bytes_max: usize) -> Arc<Self> {
        let bytes_max = (body_bytes_max as u64).saturating_mul(LARGEST_BODIES).max(BYTES_MIN);
        Arc::new(Self { bytes_max, taken: Mutex::default() })
    }

    /// Room for a body of `client`, of nothing yet.
    pub(super) fn room(self: &Arc<Self>, client: Client) -> Room {
        Room { memory: Arc::clone(self), client, bytes: 0 }
    }

    fn taken(&self) -> MutexGuard<'_, Occupancy> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The memory that one body has, until it is dropped.
#[derive(Debug)]
pub(super) struct Room {
    memory: Arc<BodyMemory>,
    client: Client,
    bytes: u64,
}

impl Room {
    /// Room for `bytes` more.
    pub(super) fn grow(&mut self, bytes: u64) -> Result<(), ApiError> {
        let counted = |bytes: u64| bytes.saturating_sub(BYTES_FREE);
        let grown = self.bytes.saturating_add(bytes);
        let more = counted(grown) - counted(self.bytes);
        if more > 0 {
            let mut taken = self.memory.taken();
            let of_client = taken.of_client.get(&self.client).copied().unwrap_or(0) + more;
            if of_client > self.memory.bytes_max / 2 {
                return Err(full("the bodies of this client take half of the memory that bodies may have"));
            }
            if taken.bytes + more > self.memory.bytes_max {
                return Err(full("the bodies that are coming in fill the memory they may have"));
            }
            taken.bytes += more;
            taken.of_client.insert(self.client, of_client);
        }
        self.bytes = grown;
        Ok(())
    }

    /// The bytes, which give the room back when the last of them is dropped.
    pub(super) fn around(self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(InRoom { bytes, _room: self })
    }
}

fn full(message: &str) -> ApiError {
    ApiError::new(ErrorCode::MemoryTaken, message).hint("try again in a second, or send less at once")
}

impl Drop for Room {
    fn drop(&mut self) {
        let given_back = self.bytes.saturating_sub(BYTES_FREE);
        if given_back == 0 {
            return;
        }
        let mut taken = self.memory.taken();
        taken.bytes -= given_back;
        if let Some(of_client) = taken.of_client.get_mut(&self.client) {
            *of_client -= given_back;
            if *of_client == 0 {
                taken.of_client.remove(&self.client);
            }
        }
    }
}

struct InRoom {
    bytes: Vec<u8>,
    _room: Room,
}

impl AsRef<[u8]> for InRoom {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// `router`, a door of gRPC, with the messages that come to it counted while they come: at most a few of the largest size
/// in all, and for each client.
pub(crate) fn counted_bodies(router: Router, message_bytes_max: usize) -> Router {
    router.layer(from_fn_with_state(BodyMemory::new(message_bytes_max), counted))
}

async fn counted(State(memory): State<Arc<BodyMemory>>, request: Request, next: Next) -> Response {
    let client =
        request.extensions().get::<RequestContext>().map_or(Client::inside(), |context| context.client);
    let room = memory.room(client);
    next.run(request.map(|body| Body::new(BodyAndRoom { body, room }))).await
}

/// A body, with the room for all that was read of it.
#[derive(Debug)]
struct BodyAndRoom {
    body: Body,
    room: Room,
}

impl HttpBody for BodyAndRoom {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(context).map(|frame| {
            let frame = frame?.map_err(|error| Status::from_error(Box::new(error)));
            let bytes = frame.as_ref().map_or(0, |frame| frame.data_ref().map_or(0, Bytes::len));
            Some(match self.room.grow(bytes as u64) {
                Ok(()) => frame,
                Err(error) => Err(error.into()),
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn client(number: u8) -> Client {
        Client::at(IpAddr::V4(Ipv4Addr::new(192, 0, 2, number)))
    }

    #[test]
    fn nobody_has_more_than_half() {
        let memory = BodyMemory::new(16 << 20);
        let mut greedy: Vec<Room> = (0..5).map(|_| memory.room(client(1))).collect();
        for room in &mut greedy[..4] {
            room.grow(16 << 20).unwrap();
        }
        assert_eq!(greedy[4].grow(16 << 20).unwrap_err().code, ErrorCode::MemoryTaken);
        // A small body goes through, and others have what they need.
        greedy[4].grow(BYTES_FREE).unwrap();
        let mut others: Vec<Room> = (2..4).map(|number| memory.room(client(number))).collect();
        for room in &mut others {
            room.grow(32 << 20).unwrap();
        }
        let mut last = memory.room(client(4));
        assert!(last.grow(16 << 20).unwrap_err().message.contains("fill the memory"));
        last.grow(BYTES_FREE).unwrap();
    }

    #[tokio::test]
    async fn bodies_that_others_read_are_counted_while_they_are_read() {
        use axum::routing::post;
        use futures::StreamExt;
        use tower::ServiceExt;

        let read = |body: Body| async move {
            let mut parts = body.into_data_stream();
            let mut count = 0;
            while let Some(part) = parts.next().await {
                match part {
                    Ok(part) => count += part.len(),
                    Err(error) => return error.to_string(),
                }
            }
            count.to_string()
        };
        let router = counted_bodies(Router::new().route("/", post(read)), 1);
        for (parts, expected) in [(4, "4194304"), (9, "half of the memory"), (4, "4194304")] {
            let body =
                futures::stream::iter((0..parts).map(|_| Ok::<_, std::io::Error>(vec![0_u8; 1 << 20])));
            let request = Request::post("/").body(Body::from_stream(body)).unwrap();
            let answer = router.clone().oneshot(request).await.unwrap().into_body();
            let answer = axum::body::to_bytes(answer, 1000).await.unwrap();
            assert!(String::from_utf8_lossy(&answer).contains(expected), "{answer:?}");
        }
    }

    #[test]
    fn what_was_taken_is_given_back_with_the_last_of_the_bytes() {
        let memory = BodyMemory::new(1);
        let mut room = memory.room(client(1));
        room.grow(100).unwrap();
        room.grow(1 << 20).unwrap();
        assert_eq!(memory.taken().bytes, (1 << 20) + 100 - BYTES_FREE);
        let bytes = room.around(vec![7; 10]);
        let part = bytes.slice(2..3);
        drop(bytes);
        assert_eq!(memory.taken().bytes, (1 << 20) + 100 - BYTES_FREE);
        drop(part);
        assert_eq!(memory.taken().bytes, 0);
        assert!(memory.taken().of_client.is_empty());
        // What was refused takes nothing.
        assert!(memory.room(client(1)).grow(BYTES_MIN).is_err());
        assert_eq!(memory.taken().bytes, 0);
    }
}
