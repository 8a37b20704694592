//! Any text as a GraphQL document: read and measured, not executed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seislake_api::check_document;

fuzz_target!(|text: &str| {
    if let Err(error) = check_document(text) {
        assert!(!error.message.is_empty(), "{error:?}");
    }
});
