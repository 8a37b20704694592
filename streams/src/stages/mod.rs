//! The stages of the path, one file each: adapters between topics and the state machines of `seismo`.

mod associate;
mod inventory;
mod locate;
mod magnitude;
mod pick;
#[cfg(test)]
mod tests;

pub use associate::{AssociateConfig, AssociateStage};
pub use inventory::InventoryHandle;
pub use locate::{LocateConfig, LocateStage};
pub use magnitude::{MagnitudeConfig, MagnitudeStage};
pub use pick::{PickConfig, PickStage};
