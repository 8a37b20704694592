//! Travel times of first P and S arrivals, behind one trait.
//!
//! ```text
//! CSV or built in ─► LayeredModel ─► ray sweep (ray.rs) ─► TravelTimeTable ─► time_s(phase, distance, depth, elevation)
//! ```
//! [`LayeredModel`] says how fast waves run at which depth, [`TravelTimeTable`] is the precomputed answer for every
//! distance, source depth and receiver elevation. There are no phases beyond the first P and the first S: no
//! reflections, no depth phases, no core.

mod layered;
mod ray;
mod reference;
mod table;
#[cfg(test)]
mod tests;
mod velocity_model;

use std::fmt::Debug;

use seislake_model::Phase;

pub use layered::{Between, Curvature, Layer, LayeredModel, ModelError};
pub use table::{TableSettings, TravelTimeTable, default_table};
pub use velocity_model::{BUILT_IN, VelocityModel};

/// First-arrival travel times between a source and a receiver in one earth model.
pub trait TravelTime: Debug + Send + Sync {
    /// Name of the earth model, e.g. `iasp91`.
    fn name(&self) -> &str;

    /// First arrival of `phase`, seconds, from a source `depth_km` below sea level (negative above it) to a receiver
    /// at the epicentral distance `distance_km` and `elevation_km` above sea level.
    /// `None` outside the model's range (a source above the receiver's air, a distance beyond the table).
    fn time_s(&self, phase: Phase, distance_km: f64, depth_km: f64, elevation_km: f64) -> Option<f64>;
}
