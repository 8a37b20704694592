//! Any bytes as a catalogue: events that are read have finite places.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seislake_exchange::catalogue_text;
use seislake_exchange::{Parsed, ReadError};
use seislake_model::CatalogueEvent;

fn check(read: Result<Parsed<Vec<CatalogueEvent>>, ReadError>) {
    let Ok(read) = read else { return };
    for event in &read.value {
        assert!(event.latitude.is_finite() && event.longitude.is_finite(), "{event:?}");
        assert!((-90.0..=90.0).contains(&event.latitude), "{event:?}");
        assert!(event.depth_km.is_none_or(f64::is_finite) && event.magnitude.is_none_or(f64::is_finite), "{event:?}");
    }
}

fuzz_target!(|bytes: &[u8]| {
    check(seislake_exchange::quakeml::read(bytes));
    check(catalogue_text::read_catalogue("bulletin.xml", bytes));
});
