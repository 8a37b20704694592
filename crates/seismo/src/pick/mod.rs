//! Phase picks of one station from the samples of its channels, as a state machine.
//!
//! ```text
//! piece ─► channel ─► lane: FilterPicker ─► trigger ─┐
//!            │              energy a tenth second ─► rise ─┤ AIC ─► candidates ─┐
//!            │              Wood-Anderson ─► peaks a second │                    ├─ advance(watermark) ─► P, S,
//!            └─ coverage: duplicates trimmed, gaps reset ───┘   energies, peaks ─┘     amplitude traces
//! ```
//! A *lane* is a gapless run of one channel with its filters; a backfilled piece gets a lane of its own. Decisions
//! that need more than one channel are made only when the watermark has passed everything they look at. The outcome
//! therefore depends neither on how the samples were cut, nor on how channels interleave, nor on when `advance` is
//! called, nor on a snapshot ([`StationPickerState`]) and restore in between.
//!
//! It does not know stations' places, travel times or other stations: the associator sorts out false picks.
//! References: Lomax, Satriano & Vassallo 2012 (triggers), Maeda 1985 (onsets).

mod aic;
mod amplitude;
mod channel;
mod decision;
mod filter_picker;
mod lane;
mod narrowness;
mod onset;
mod settings;
mod station;
mod versions;

pub use aic::{Split, aic, split};
pub use filter_picker::{FilterPicker, FilterPickerSettings, Trigger};
pub use settings::PickSettings;
pub use station::{
    PickOutput, Piece, PieceOutcome, StationPicker, StationPickerState, horizontal as is_horizontal,
    picked_for_p as is_vertical,
};

#[cfg(test)]
mod tests;
