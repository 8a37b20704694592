//! Answers in many parts, each made ahead of its reader, on threads of their own.
//!
//! ```text
//! QueryStream ─ rows ─► what is written of them (Flight messages) ─► a part ─► reader
//!     ends, with all that it holds, when its time is over, or its reader takes nothing while others need the memory
//! ```
//! A limit that is only looked at when the reader asks for more does not hold for a reader that never does.

use std::time::Duration;

use futures::{Stream, StreamExt};
use seislake_query::Stop;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::QueryFailure;

/// How long a reader may take nothing while the session has no memory left for others.
const STALL_MAX: Duration = Duration::from_secs(2);
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// When an answer ends although its reader has not taken all of it.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    /// Its statement's flag and memory.
    pub(super) stop: Stop,
    /// The end of its time, and how long that was.
    pub(super) time: Option<(Instant, Duration)>,
}

impl Ending {
    async fn over(&self) -> QueryFailure {
        match self.time {
            Some((end, limit)) => {
                tokio::time::sleep_until(end).await;
                QueryFailure::TimedOut(limit)
            }
            None => std::future::pending().await,
        }
    }

    async fn memory_wanted(&self) -> QueryFailure {
        tokio::time::sleep(STALL_MAX).await;
        while !self.stop.is_short_of_memory() {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        QueryFailure::Stalled
    }
}

/// Hands `parts` to the reader, one after the other.
pub(super) async fn hand_over<T, E: From<QueryFailure>>(
    parts: impl Stream<Item = Result<T, E>> + Send,
    ending: Ending,
    out: mpsc::Sender<Result<T, E>>,
) {
    let mut parts = Box::pin(parts);
    let failure = loop {
        let next = std::future::poll_fn(|context| ending.stop.on_account(|| parts.poll_next_unpin(context)));
        let Some(part) = next.await else { return };
        tokio::select! {
            room = out.reserve() => match room {
                Ok(room) => room.send(part),
                Err(_) => return,
            },
            failure = ending.over() => break failure,
            failure = ending.memory_wanted() => break failure,
        }
    };
    // Before the reader is waited for.
    ending.stop.on_account(|| drop(parts));
    let _ = out.send(Err(failure.into())).await;
}
