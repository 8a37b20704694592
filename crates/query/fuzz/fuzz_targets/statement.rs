//! Any text as a statement: read, measured and planned, not run.
#![no_main]

use std::sync::{Arc, LazyLock};

use datafusion::catalog::MemoryCatalogProvider;
use datafusion::prelude::SessionContext;
use libfuzzer_sys::fuzz_target;
use seislake_query::{SessionSettings, plan, session};

static SESSION: LazyLock<SessionContext> = LazyLock::new(|| {
    let settings = SessionSettings { memory_bytes_max: 64 << 20, ..SessionSettings::default() };
    session(Arc::new(MemoryCatalogProvider::new()), &settings).expect("a session over no tables")
});

fuzz_target!(|sql: &str| {
    match futures::executor::block_on(plan(&SESSION, sql)).and_then(|plan| plan.schema()) {
        Ok(schema) => assert!(schema.fields().len() < 1_000_000),
        Err(error) => assert!(!error.message.is_empty() && !error.message.contains('\n'), "{error}"),
    }
});
