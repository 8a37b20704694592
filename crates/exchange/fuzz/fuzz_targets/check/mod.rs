//! What holds of a catalogue that was read from any bytes: its events have finite places.

use seislake_exchange::{Parsed, ReadError};
use seislake_model::CatalogueEvent;

pub fn check(read: Result<Parsed<Vec<CatalogueEvent>>, ReadError>) {
    let Ok(read) = read else { return };
    for event in &read.value {
        assert!(event.latitude.is_finite() && event.longitude.is_finite(), "{event:?}");
        assert!((-90.0..=90.0).contains(&event.latitude), "{event:?}");
        assert!(event.depth_km.is_none_or(f64::is_finite) && event.magnitude.is_none_or(f64::is_finite), "{event:?}");
    }
}
