//! What a connection and its requests do: bytes moved, and who waits for whom.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::Body;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::DropGuard;

use super::connections::{Connection, RequestPhase};
use crate::body_watch::{Next, Watch, WatchedBody};

/// A stream whose bytes are counted. With it the connection gives its place back.
#[derive(Debug)]
pub(super) struct MeteredStream {
    stream: TcpStream,
    connection: Arc<Connection>,
}

impl MeteredStream {
    pub(super) const fn new(stream: TcpStream, connection: Arc<Connection>) -> Self {
        Self { stream, connection }
    }

    fn counted(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = &written {
            self.connection.moved(*count);
        }
        written
    }
}

impl Drop for MeteredStream {
    fn drop(&mut self) {
        self.connection.leave();
    }
}

impl AsyncRead for MeteredStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.connection.moved(buffer.filled().len() - before);
        read
    }
}

impl AsyncWrite for MeteredStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.counted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.counted(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A request from its head to the last byte of its answer. Its copies stand in both bodies; the last one ends it.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<OfRequest>);

#[derive(Debug)]
struct OfRequest {
    connection: Arc<Connection>,
    doing: Mutex<RequestPhase>,
}

impl Drop for OfRequest {
    fn drop(&mut self) {
        self.connection.end(*self.doing.get_mut().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Activity {
    /// A request begins.
    pub(super) fn begin(connection: &Arc<Connection>) -> Self {
        connection.begin();
        Self(Arc::new(OfRequest {
            connection: Arc::clone(connection),
            doing: Mutex::new(RequestPhase::Working),
        }))
    }

    fn set(&self, doing: RequestPhase) {
        let mut now = self.0.doing.lock().unwrap_or_else(PoisonError::into_inner);
        if *now != doing {
            self.0.connection.change(*now, doing);
            *now = doing;
        }
    }

    /// The body of the request, as it comes.
    pub(super) fn receiving(&self, body: Body) -> WatchedBody<Receiving> {
        WatchedBody::new(body, Receiving(self.clone()))
    }

    /// The body of the answer; with it the request ends.
    pub(super) fn sending(self, body: Body, ends: DropGuard) -> WatchedBody<Sending> {
        WatchedBody::new(body, Sending { activity: self, _ends: ends })
    }
}

/// Watches the body of a request: where it is waited for, the client is.
#[derive(Debug)]
pub(super) struct Receiving(Activity);

impl Watch for Receiving {
    fn asked(&self, frame: Next) {
        self.0.set(match frame {
            Next::Awaited => RequestPhase::Receiving,
            Next::Ready => RequestPhase::Working,
        });
    }
}

/// Watches the body of an answer: between what was given and what is asked for next, the client reads.
#[derive(Debug)]
pub(super) struct Sending {
    activity: Activity,
    _ends: DropGuard,
}

impl Watch for Sending {
    fn asked(&self, frame: Next) {
        self.activity.set(match frame {
            Next::Awaited => RequestPhase::Working,
            Next::Ready => RequestPhase::Sending,
        });
    }
}
