//! The stations and channels known now, shared between stages; replaced as a whole.

use std::sync::{Arc, PoisonError, RwLock};

use seislake_model::{Coordinates, Inventory, SourceId, Timestamp};

/// The stations and channels known now. Cheap to clone; all clones see a replacement.
#[derive(Clone, Debug, Default)]
pub struct InventoryHandle {
    inventory: Arc<RwLock<Arc<Inventory>>>,
}

impl InventoryHandle {
    /// Begins with `inventory`.
    pub fn new(inventory: Inventory) -> Self {
        Self { inventory: Arc::new(RwLock::new(Arc::new(inventory))) }
    }

    /// The inventory as it is now.
    pub fn current(&self) -> Arc<Inventory> {
        Arc::clone(&self.inventory.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the inventory.
    pub fn replace(&self, inventory: Inventory) {
        *self.inventory.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(inventory);
    }

    /// Where a channel stood at a time.
    pub fn coordinates(&self, source_id: &SourceId, time: Timestamp) -> Option<Coordinates> {
        self.current().coordinates(source_id, time)
    }
}
