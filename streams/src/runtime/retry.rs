//! What a runner does when the disk is full or the lake does not answer: it tries again, says so, and goes on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use seislake_model::ErrorKind;
use tokio_util::sync::CancellationToken;

use crate::Error;

/// How often and how long a runner tries again what failed.
#[derive(Clone, Copy, Debug)]
pub struct RetrySettings {
    /// Pause after the first failure; it doubles with each.
    pub pause_min: Duration,
    /// Longest pause.
    pub pause_max: Duration,
    /// A failure that lasts longer than this ends the runner; `None`: it tries for ever.
    pub give_up_after: Option<Duration>,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            pause_min: Duration::from_millis(100),
            pause_max: Duration::from_secs(5),
            give_up_after: Some(Duration::from_secs(10)),
        }
    }
}

/// Which runners are failing now, and at what.
#[derive(Clone, Debug, Default)]
pub(super) struct Health(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Health {
    /// The first failing runner and what it says.
    pub(super) fn failing(&self) -> Option<(&'static str, String)> {
        let failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failing.first_key_value().map(|(runner, reason)| (*runner, reason.clone()))
    }

    fn fails(&self, runner: &'static str, reason: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(runner, reason);
        metrics::gauge!("seislake_runner_failing", "runner" => runner).set(1.0);
    }

    fn recovers(&self, runner: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(runner);
        metrics::gauge!("seislake_runner_failing", "runner" => runner).set(0.0);
    }
}

/// The patience of one runner.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    runner: &'static str,
    settings: RetrySettings,
    health: Health,
    stop: CancellationToken,
}

impl Patience {
    pub(super) fn new(
        runner: &'static str,
        settings: RetrySettings,
        health: Health,
        stop: CancellationToken,
    ) -> Self {
        Self { runner, settings, health, stop }
    }

    /// For something that may fail several times.
    pub(super) fn trial(&self) -> Trial {
        Trial { patience: self.clone(), failing_since: None, pause: self.settings.pause_min }
    }
}

/// One thing that is tried until it succeeds.
#[derive(Debug)]
pub(super) struct Trial {
    patience: Patience,
    failing_since: Option<Instant>,
    pause: Duration,
}

impl Trial {
    /// It failed: returns when it should be tried again.
    ///
    /// # Errors
    /// The same error, where trying again is of no use, took too long, or the runner is asked to stop.
    pub(super) async fn failed(&mut self, error: Error) -> Result<(), Error> {
        let Patience { runner, settings, health, stop } = &self.patience;
        let began = *self.failing_since.get_or_insert_with(Instant::now);
        let hopeless = matches!(error.kind, ErrorKind::Conflict | ErrorKind::Invalid);
        let too_long = settings.give_up_after.is_some_and(|limit| began.elapsed() >= limit);
        if hopeless || too_long || stop.is_cancelled() {
            return Err(error);
        }
        metrics::counter!("seislake_runner_retries_total", "runner" => *runner).increment(1);
        tracing::warn!(
            runner,
            error = error.chain(),
            pause_s = self.pause.as_secs_f64(),
            "a runner failed and tries again"
        );
        health.fails(runner, error.chain());
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(self.pause) => {}
        }
        self.pause = (2 * self.pause).min(settings.pause_max);
        Ok(())
    }

    /// It succeeded.
    pub(super) fn succeeded(self) {
        if let Some(since) = self.failing_since {
            let Patience { runner, health, .. } = &self.patience;
            tracing::info!(runner, failed_s = since.elapsed().as_secs_f64(), "a runner works again");
            health.recovers(runner);
        }
    }
}
