//! A home and what is done with it, for commands and server alike: opened by settings, filled through the whole path, kept up.
//!
//! ```text
//! settings ─► home (one directory, one owner) ─► lakehouse (its tables, asked through SQL)
//!                                              └► engine (log, gate, stages, sinks) ─► beside (live time, upkeep)
//! ```

mod archived;
pub mod beside;
pub mod clock;
pub mod damage;
pub mod dead_letters;
pub mod demo;
pub mod engine;
pub mod export;
pub mod home;
pub mod import;
pub mod ingest;
mod lakehouse;
pub mod maintenance;
pub mod originals;
pub mod quality_jobs;
pub mod quality_report;
pub mod readiness;
pub mod reference;
pub mod settings;
pub mod stations;
pub mod synthetic_stream;
pub mod upkeep;
pub mod velocity_model;

pub use crate::engine::Engine;
pub use crate::home::Home;
pub use crate::lakehouse::{HOW_TO_MEND, Lakehouse, PLACE_FILE, WAREHOUSE_FOLDER, lake_settings, sentence};
pub use crate::settings::Settings;
