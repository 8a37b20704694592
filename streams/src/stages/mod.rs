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

use seislake_seismo::event::EventSettings;

use crate::Error;
use crate::runtime::Stage;
use crate::topology::{Sections, StageSpec};

/// The stages of the path, in its order. A new one is a file beside this and a line here.
pub static STAGES: [StageSpec; 5] = [pick::SPEC, associate::SPEC, locate::SPEC, magnitude::SPEC, event::SPEC];

/// The agency that answers for what stages say: one for all, whatever stages of a configuration are named.
fn agency_id(sections: &Sections) -> Result<String, Error> {
    Ok(sections.get::<EventSettings>(EventStage::NAME)?.agency_id)
}

/// The problem of depths that leave nothing between them.
fn depths(section: &str, min_km: f64, max_km: f64) -> Vec<String> {
    let problem = || format!("{section}.depth_km_min must be below {section}.depth_km_max");
    (min_km >= max_km).then(problem).into_iter().collect()
}
