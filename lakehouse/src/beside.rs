//! What goes on beside the doors of a server, each in a task of its own: live watermarks, and upkeep of the tables.

use std::sync::Arc;
use std::time::Duration;

use seislake_model::Clock;
use seislake_streams::gate::{Gate, LiveSettings};
use tokio::task::JoinHandle;

use crate::clock::SystemClock;
use crate::engine::Engine;
use crate::settings::Settings;
use crate::upkeep;

/// How often live records are punctuated.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

/// The tasks; they end when they are stopped.
#[derive(Debug)]
pub struct Beside(Vec<JoinHandle<()>>);

impl Beside {
    #[must_use]
    pub fn start(engine: &Engine, settings: &Settings) -> Self {
        let follow = follow(Arc::clone(&engine.gate), Engine::live_settings(settings));
        let mut tasks = vec![tokio::spawn(follow)];
        if settings.upkeep.any() {
            let (lakehouse, upkeep) = (engine.lakehouse.clone(), settings.upkeep.clone());
            tasks.push(tokio::spawn(async move { Box::pin(upkeep::run(&lakehouse, &upkeep)).await }));
        }
        Self(tasks)
    }

    pub async fn stop(self) {
        for task in self.0 {
            task.abort();
            // Either it was aborted or it ended: both are an end.
            let _ = task.await;
        }
    }
}

/// Punctuates live records. A log that cannot be written makes it wait, and is told of once.
async fn follow(gate: Arc<Gate>, settings: LiveSettings) {
    let mut tick = tokio::time::interval(FOLLOW_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        tick.tick().await;
        match gate.follow(SystemClock.now(), &settings).await {
            Ok(()) if failing => {
                tracing::info!("live records are punctuated again");
                failing = false;
            }
            Err(error) if !failing => {
                tracing::warn!(error = error.chain(), "live records cannot be punctuated");
                failing = true;
            }
            Ok(()) | Err(_) => {}
        }
    }
}
