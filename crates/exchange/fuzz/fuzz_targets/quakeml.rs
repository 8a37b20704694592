//! Any bytes as a catalogue: events that are read have finite places.
#![no_main]

mod check;

use libfuzzer_sys::fuzz_target;
use seislake_exchange::catalogue_text;

use self::check::check;

fuzz_target!(|bytes: &[u8]| {
    check(seislake_exchange::quakeml::read(bytes));
    check(catalogue_text::read_catalogue("bulletin.xml", bytes));
});
