//! A live feed of what the pipeline finds, for displays and subscriptions. Lossy by nature: tables hold the truth.

use std::sync::Arc;
use std::time::Duration;

use seislake_model::{Offset, Revision};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::retry::Patience;
use crate::Error;
use crate::message::{Envelope, Message};
use crate::topic::Topic;

/// Items a slow receiver may fall behind before it misses some.
pub(super) const FEED_ITEMS_MAX: usize = 1024;

/// Something found.
#[derive(Clone, Debug)]
pub enum FeedItem {
    /// What became of a proposal: new revisions of events.
    Revision(Arc<Revision>),
}

/// Sends what is appended to `topic` from `next` on.
pub(super) async fn run(
    topic: Arc<dyn Topic>,
    mut next: Offset,
    feed: broadcast::Sender<FeedItem>,
    stop: CancellationToken,
    patience: Patience,
) -> Result<(), Error> {
    let mut trial = patience.trial();
    loop {
        let read = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            read = topic.read(0, next, 1 << 20, Duration::from_secs(3600)) => read,
        };
        let records = match read {
            Ok(records) => records,
            Err(error) => {
                trial.failed(error).await?;
                continue;
            }
        };
        std::mem::replace(&mut trial, patience.trial()).succeeded();
        for record in &records {
            next = record.offset + 1;
            let item = match Envelope::of(record).map(|envelope| envelope.message) {
                Ok(Message::Revision { revision }) => FeedItem::Revision(Arc::from(revision)),
                // What cannot be read has a dead letter already.
                Ok(_) | Err(_) => continue,
            };
            // Nobody listening is fine.
            let _ = feed.send(item);
        }
    }
}
