//! What a request brings with it through every door: who sent it, its number, its span, and whether anybody still waits for
//! the answer.
//!
//! The door puts a [`RequestContext`] into the extensions of each request (of gRPC too). Work that is handed to another
//! thread or runtime watches `cancelled`; work done in place is dropped with the request.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Span;

/// Whom requests are counted for: an address, of IPv6 the network that one subscriber has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Client(IpAddr);

/// Bits of an IPv6 address that name a subscriber's network.
const SUBSCRIBER_PREFIX: u128 = !0 << 64;

impl Client {
    /// The client at an address.
    pub fn at(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & SUBSCRIBER_PREFIX)),
            address => address,
        })
    }

    /// Where no connection is: calls from inside the process.
    pub const fn inside() -> Self {
        Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Of one request.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Who sent it.
    pub client: Client,
    /// Its number since the process began.
    pub request_id: u64,
    /// What is logged while it is answered, on whatever thread, carries `door`, `client` and `request_id`.
    pub span: Span,
    /// Cancelled when the request ends: answered, given up by its client or cut off by a limit.
    pub cancelled: CancellationToken,
}

impl RequestContext {
    /// A request of `client` at `door` that has begun; it ends when the guard is dropped.
    pub fn begin(client: Client, door: &'static str) -> (Self, DropGuard) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let request_id = NEXT.fetch_add(1, Ordering::Relaxed);
        let span = tracing::info_span!("request", door, %client, request_id);
        let cancelled = CancellationToken::new();
        (Self { client, request_id, span, cancelled: cancelled.clone() }, cancelled.drop_guard())
    }
}
