//! Bodies that somebody watches, or that something lives as long as.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// Hears how the body gets on.
pub(crate) trait Watch: Unpin {
    /// Somebody asked for the next frame, which is there or has to be waited for.
    fn asked(&self, _frame: Next) {}
}

/// What came of asking for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Ready,
    Awaited,
}

/// A body with who watches it, or what ends with it.
pub(crate) struct WatchedBody<W> {
    body: Body,
    watch: W,
}

impl<W: Watch> WatchedBody<W> {
    pub(crate) fn new(body: Body, watch: W) -> Self {
        Self { body, watch }
    }
}

impl<W> fmt::Debug for WatchedBody<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedBody").field("body", &self.body).finish_non_exhaustive()
    }
}

impl<W: Watch> HttpBody for WatchedBody<W> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.watch.asked(if polled.is_pending() { Next::Awaited } else { Next::Ready });
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
