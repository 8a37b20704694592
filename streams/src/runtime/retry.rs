//! What a runner does when the disk is full or the lake does not answer: it tries again, says so, and goes on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

/// A runner: its name, and its number, because those of several partitions have one name.
type Runner = (&'static str, usize);

/// Which runners are failing now, and at what.
#[derive(Clone, Debug, Default)]
pub(super) struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    runner_count: usize,
    failing: BTreeMap<Runner, String>,
}

impl Health {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first failing runner and what it says.
    pub(super) fn failing(&self) -> Option<(&'static str, String)> {
        self.lock().failing.first_key_value().map(|((name, _), reason)| (*name, reason.clone()))
    }

    fn runner(&self, name: &'static str) -> Runner {
        let mut state = self.lock();
        state.runner_count += 1;
        (name, state.runner_count)
    }

    fn fails(&self, runner: Runner, reason: String) {
        let mut state = self.lock();
        state.failing.insert(runner, reason);
        state.show(runner);
    }

    fn recovers(&self, runner: Runner) {
        let mut state = self.lock();
        state.failing.remove(&runner);
        state.show(runner);
    }
}

impl State {
    /// How many runners of this name are failing.
    fn show(&self, (name, _): Runner) {
        let count = self.failing.keys().filter(|(other, _)| *other == name).count();
        metrics::gauge!("seislake_runner_failing", "runner" => name).set(count as f64);
    }
}

/// The patience of one runner.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    runner: Runner,
    settings: RetrySettings,
    health: Health,
    stop: CancellationToken,
}

impl Patience {
    pub(super) fn new(
        name: &'static str,
        settings: RetrySettings,
        health: Health,
        stop: CancellationToken,
    ) -> Self {
        Self { runner: health.runner(name), settings, health, stop }
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
        metrics::counter!("seislake_runner_retries_total", "runner" => runner.0).increment(1);
        tracing::warn!(
            runner = runner.0,
            error = error.chain(),
            pause_s = self.pause.as_secs_f64(),
            "a runner failed and tries again"
        );
        health.fails(*runner, error.chain());
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
            tracing::info!(
                runner = runner.0,
                failed_s = since.elapsed().as_secs_f64(),
                "a runner works again"
            );
            health.recovers(*runner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_runner_that_works_again_hides_no_other_of_its_name() {
        let (health, stop) = (Health::default(), CancellationToken::new());
        let settings = RetrySettings { pause_min: Duration::ZERO, ..RetrySettings::default() };
        let trial = || Patience::new("pick", settings, health.clone(), stop.clone()).trial();
        let (mut one, mut other) = (trial(), trial());
        one.failed(Error::new(ErrorKind::Unavailable, "one")).await.unwrap();
        other.failed(Error::new(ErrorKind::Unavailable, "other")).await.unwrap();
        one.succeeded();
        assert_eq!(health.failing(), Some(("pick", "other".to_owned())));
        other.succeeded();
        assert_eq!(health.failing(), None);
    }
}
