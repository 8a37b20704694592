//! The stations of a home: in its tables, and told to the stages that need them through the log.

use std::sync::{Arc, PoisonError, RwLock};

use seislake_catalog::Lake;
use seislake_model::{ErrorKind, Inventory};
use seislake_streams::control::check_sizes;
use seislake_streams::gate::Gate;
use tokio::sync::Mutex;

/// The one writer of a home's stations.
#[derive(Debug)]
pub struct HomeStations {
    lake: Lake,
    /// Tells the log; `None` where no stage listens.
    gate: Option<Arc<Gate>>,
    current: RwLock<Arc<Inventory>>,
    /// One change at a time: the log hears of them in the order in which the tables took them.
    turn: Mutex<()>,
}

impl HomeStations {
    pub(crate) fn new(lake: Lake, gate: Option<Arc<Gate>>) -> Self {
        Self { lake, gate, current: RwLock::default(), turn: Mutex::new(()) }
    }

    /// All epochs known.
    #[must_use]
    pub fn current(&self) -> Arc<Inventory> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds epochs; those of the same code and start are replaced. Records that come afterwards are picked with them.
    ///
    /// # Errors
    /// Those of [`Lake::upsert_inventory`] and [`check_sizes`]. A log that cannot be written now hears of it before it takes its next records.
    pub async fn add(&self, stations: Inventory) -> Result<(), seislake_model::Error> {
        let _turn = self.turn.lock().await;
        let current = self.current();
        let checked = tokio::task::spawn_blocking(move || {
            let mut after = Inventory::clone(&current);
            after.merge(stations.clone());
            check_sizes(&after, &stations).map(|()| stations)
        });
        let stations = checked
            .await
            .map_err(|e| seislake_model::Error::caused(ErrorKind::Internal, "look at the stations", e))??;
        let after = Arc::new(self.lake.upsert_inventory(stations).await?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&after);
        let Some(gate) = &self.gate else { return Ok(()) };
        match gate.announce(after).await {
            Err(error) if error.kind == ErrorKind::Unavailable => {
                let error = error.chain();
                tracing::warn!(error, "the log hears of changed stations when it can be written again");
                Ok(())
            }
            announced => announced,
        }
    }
}
