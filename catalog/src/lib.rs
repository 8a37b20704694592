//! The shell around tables: Seislake's rows as Apache Iceberg tables that any engine can read.
//!
//! ```text
//! model rows ──► sink ──► Parquet files ──► one snapshot (rows + offsets) ──► sql_catalog (pointer, compare and swap)
//!                                                                                  │
//! SQL, GraphQL, Flight ◄── provider (DataFusion, pruning, time travel) ◄───────────┘
//! ```
//!
//! [`Lake`] is the front door. The crate `tables` declares what the tables hold; schema, partition spec and sort order of
//! Iceberg follow from that. The crate knows no stage and no topic beyond
//! [`seislake_model::Offsets`].
#![warn(missing_docs)]

mod as_of;
mod damaged;
mod error;
mod hidden;
mod inventory;
mod lake;
mod leases;
mod maintain;
mod manifest_cache;
mod open;
mod originals;
mod own;
mod provider;
mod repair;
mod rows;
mod settings;
mod sink;
mod snapshots;
mod sql_catalog;
mod storage;
mod tables;
mod upkeep;

pub use as_of::AsOf;
pub use error::{Error, Result, kind_of};
pub use lake::{Lake, LakeMetrics};
pub use leases::SnapshotSet;
pub use maintain::{
    CompactReport, CompactSettings, ExpireReport, ExpireSettings, OrphanReport, OrphanSettings,
};
pub use originals::OriginalReader;
pub use provider::LakeCatalogProvider;
pub use repair::{LakeFinding, kept_name};
pub use settings::{LakeAccess, LakeSettings, RetentionSettings, WriteSettings};
pub use snapshots::FoundSnapshot;
pub use sql_catalog::SqlCatalog;
pub use storage::leads_nowhere;
pub use upkeep::{Channels, Upkeep};

#[cfg(test)]
mod tests;
