//! The stages of the path, one file each: adapters between topics and the state machines of `seismo`.

mod associate;
mod event;
mod locate;
mod magnitude;
mod pick;
#[cfg(test)]
mod tests;

pub use associate::{AssociateConfig, AssociateStage};
pub use event::{EventConfig, EventStage};
pub use locate::{LocateConfig, LocateStage};
pub use magnitude::{MagnitudeConfig, MagnitudeStage};
pub use pick::{PickConfig, PickStage};

use crate::topology::StageSpec;

/// The stages of the path, in its order. A new one is a file beside this and a line here.
pub static STAGES: [StageSpec; 5] = [pick::SPEC, associate::SPEC, locate::SPEC, magnitude::SPEC, event::SPEC];
