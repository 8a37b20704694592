//! Any bytes as a catalogue: events that are read have finite places.
#![no_main]

mod check;

use libfuzzer_sys::fuzz_target;
use seislake_exchange::catalogue_text;

use self::check::check;

fuzz_target!(|bytes: &[u8]| {
    for name in ["events.csv", "events.tsv", "events.txt", "events"] {
        check(catalogue_text::read_catalogue(name, bytes));
        check(catalogue_text::read_table(name, bytes));
    }
    let _ = catalogue_text::looks_like_catalogue(bytes);
});
