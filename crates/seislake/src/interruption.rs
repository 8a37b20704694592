//! The operator's wish to end, Ctrl-C or SIGTERM: work stops in order, one sentence says what is left of it, and the
//! exit status is the one that shells know. A second signal ends the process at once.

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::exit::Exit;

/// How the operator asked the process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndRequest {
    /// Ctrl-C, SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// Work that the operator ended before it was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub(crate) struct Interruption {
    pub(crate) asked: EndRequest,
    sentence: String,
}

impl Interruption {
    /// `sentence` says what was interrupted, what is left of it, and how to go on.
    pub(crate) fn new(asked: EndRequest, sentence: impl Into<String>) -> Self {
        Self { asked, sentence: sentence.into() }
    }
}

static ASKED: OnceLock<watch::Receiver<Option<EndRequest>>> = OnceLock::new();

/// From now on signals are heard and remembered, until somebody asks with [`asked_to_stop`]; before, they end the process.
pub(crate) fn listen() -> watch::Receiver<Option<EndRequest>> {
    let listener = || {
        let (sender, receiver) = watch::channel(None);
        let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
        tokio::spawn(async move {
            let (Ok(mut interrupt), Ok(mut terminate)) = signals else { return };
            let mut next = async || {
                tokio::select! {
                    _ = interrupt.recv() => EndRequest::Interrupt,
                    _ = terminate.recv() => EndRequest::Terminate,
                }
            };
            let first = next().await;
            sender.send_replace(Some(first));
            let again = next().await;
            std::process::exit(Exit::Interruption(again).status().into());
        });
        receiver
    };
    ASKED.get_or_init(listener).clone()
}

/// Resolves when the operator asks the process to end.
pub(crate) async fn asked_to_stop() -> EndRequest {
    let mut asked = listen();
    let heard = asked.wait_for(Option::is_some).await.map(|asked| *asked);
    match heard {
        Ok(Some(asked)) => asked,
        // Signals cannot be heard here: they end the process by themselves.
        _ => std::future::pending().await,
    }
}

/// Work that was asked to end and does not come to an await within this time is in a call that no signal ends.
pub(crate) const DROPPED_WITHIN: Duration = Duration::from_millis(400);

/// Does `work` as [`or_interrupted`] does, on a thread of its own, for it may stay in a call that no signal ends: a read of
/// much, or a write that nobody takes. It is dropped at its next await; where it comes to none within `patience`, it ends
/// with the process.
pub(crate) async fn aside_or_interrupted<T: Send + 'static>(
    work: impl Future<Output = anyhow::Result<T>> + Send + 'static,
    patience: Duration,
    sentence: String,
) -> anyhow::Result<T> {
    listen();
    let (handle, told) = (Handle::current(), sentence.clone());
    let mut aside = tokio::task::spawn_blocking(move || handle.block_on(or_interrupted(work, || told)));
    let asked = tokio::select! {
        biased;
        done = &mut aside => return done.context("the work was lost")?,
        asked = asked_to_stop() => asked,
    };
    match tokio::time::timeout(patience, aside).await {
        Ok(done) => done.context("the work was lost")?,
        Err(_) => Err(Interruption::new(asked, sentence).into()),
    }
}

/// Does `work` unless the operator ends it first: then it is dropped where it stands, and `sentence` says what that means.
pub(crate) async fn or_interrupted<T>(
    work: impl Future<Output = anyhow::Result<T>>,
    sentence: impl FnOnce() -> String,
) -> anyhow::Result<T> {
    tokio::select! {
        biased;
        done = work => done,
        asked = asked_to_stop() => Err(Interruption::new(asked, sentence()).into()),
    }
}
