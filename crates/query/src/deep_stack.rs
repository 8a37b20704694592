//! Stacks that fit the statement. The engine plans, runs and drops a statement by recursion: as deep as the statement is
//! nested, and over kilobytes a level. The depth is known before planning (see [`crate::shape`]), so all work on a
//! statement that needs more than a thread has left happens on a stack made for it and given back afterwards.
//!
//! ```text
//! statement ─ shape ─ bytes ─┬─ planning, every poll of its stream, its drop        [`OnStack`], [`StackStream`]
//!                            └─ tasks that the engine spawns while it is polled     [`Tracer`]
//! ```
//! Pages of a stack that nobody touches cost no memory, so the bytes may be generous.

use std::any::Any;
use std::cell::Cell;
use std::pin::Pin;
use std::sync::Once;
use std::task::{Context, Poll};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::common::runtime::{JoinSetTracer, set_join_set_tracer};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream};
use seislake_model::{is_silent, silently};

use crate::panics::{Calls, Silent};
use crate::stop::Stop;

thread_local! {
    /// Bytes of stack that the work at hand was given.
    static GIVEN: Cell<usize> = const { Cell::new(0) };
}

/// Puts back what stood there before, after a panic too.
struct Restore(usize);

impl Drop for Restore {
    fn drop(&mut self) {
        GIVEN.set(self.0);
    }
}

/// Calls `work` with at least `bytes` of stack.
pub(crate) fn on_stack<R>(bytes: usize, work: impl FnOnce() -> R) -> R {
    if GIVEN.get() >= bytes {
        return work();
    }
    let _restore = Restore(GIVEN.replace(bytes));
    stacker::maybe_grow(bytes, bytes, work)
}

/// A future that is polled and dropped with so many bytes of stack.
pub(crate) struct OnStack<T: Send> {
    future: Option<BoxFuture<'static, T>>,
    bytes: usize,
}

impl<T: Send> OnStack<T> {
    pub(crate) fn new(bytes: usize, future: BoxFuture<'static, T>) -> Self {
        Self { future: Some(future), bytes }
    }
}

impl<T: Send> Future for OnStack<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let bytes = self.bytes;
        let Some(future) = self.future.as_mut() else { return Poll::Pending };
        on_stack(bytes, || future.poll_unpin(context))
    }
}

impl<T: Send> Drop for OnStack<T> {
    fn drop(&mut self) {
        let future = self.future.take();
        on_stack(self.bytes, || drop(future));
    }
}

/// A value that is dropped with so many bytes of stack: syntax trees and plans are as deep as their statement.
#[derive(Debug)]
pub(crate) struct Deep<T> {
    value: Option<T>,
    pub(crate) bytes: usize,
}

impl<T> Deep<T> {
    pub(crate) fn new(value: T, bytes: usize) -> Self {
        Self { value: Some(value), bytes }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// The value; whoever takes it drops it on a stack that fits.
    pub(crate) fn take(mut self) -> Option<T> {
        self.value.take()
    }
}

impl<T> Drop for Deep<T> {
    fn drop(&mut self) {
        let value = self.value.take();
        on_stack(self.bytes, || drop(value));
    }
}

/// A stream of batches that is polled and dropped with so many bytes of stack; where the engine panics, it gives an error.
pub(crate) struct StackStream {
    schema: SchemaRef,
    stream: Deep<SendableRecordBatchStream>,
    calls: Calls,
}

impl StackStream {
    pub(crate) fn new(bytes: usize, stream: SendableRecordBatchStream, calls: Calls) -> Self {
        Self { schema: stream.schema(), stream: Deep::new(stream, bytes), calls }
    }
}

impl Stream for StackStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { stream: Deep { value, bytes }, calls, .. } = &mut *self;
        let Some(stream) = value.as_mut() else { return Poll::Ready(None) };
        match calls.caught(|| on_stack(*bytes, || stream.as_mut().poll_next(context))) {
            Ok(polled) => polled,
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }
}

impl RecordBatchStream for StackStream {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }
}

/// Gives the tasks that the engine spawns the stack of the statement that spawns them, and counts their threads for it.
struct Tracer;

impl JoinSetTracer for Tracer {
    fn trace_future(
        &self,
        future: BoxFuture<'static, Box<dyn Any + Send>>,
    ) -> BoxFuture<'static, Box<dyn Any + Send>> {
        let future = if is_silent() { Silent(future).boxed() } else { future };
        let future = match Stop::at_work() {
            None => future,
            Some(stop) => stop.counted(future).boxed(),
        };
        match GIVEN.get() {
            0 => future,
            bytes => OnStack::new(bytes, future).boxed(),
        }
    }

    fn trace_block(
        &self,
        work: Box<dyn FnOnce() -> Box<dyn Any + Send> + Send>,
    ) -> Box<dyn FnOnce() -> Box<dyn Any + Send> + Send> {
        let (bytes, catching) = (GIVEN.get(), is_silent());
        let stop = Stop::at_work();
        Box::new(move || {
            let _counting = stop.as_ref().map(Stop::counting);
            let work = || on_stack(bytes, work);
            if catching { silently(work) } else { work() }
        })
    }
}

/// Once a process; whoever else traces the engine's tasks was there first and keeps the place.
pub(crate) fn trace_tasks() {
    static TRACED: Once = Once::new();
    TRACED.call_once(|| {
        let _ = set_join_set_tracer(&Tracer);
    });
}
