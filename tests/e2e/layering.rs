//! The table of ARCHITECTURE.md: which room may use which.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const MAY_USE: [(&str, &[&str]); 11] = [
    ("model", &[]),
    ("mseed", &[]),
    ("seismo", &["model"]),
    ("spatial", &[]),
    ("exchange", &["model"]),
    ("query", &["model", "mseed", "seismo", "spatial", "exchange"]),
    ("streams", &["model", "mseed", "seismo", "spatial"]),
    ("catalog", &["model", "spatial", "mseed"]),
    ("api", &["model", "exchange", "query", "catalog", "streams", "mseed", "seismo"]),
    ("recordings", &[]),
    ("binary", &["model", "mseed", "seismo", "spatial", "exchange", "query", "streams", "catalog", "api"]),
];

/// Libraries that only these rooms may see.
const SHELL_ONLY: [(&str, &[&str]); 4] = [
    ("datafusion", &["query", "catalog", "api", "binary"]),
    ("iceberg", &["catalog", "api"]),
    ("tokio", &["streams", "catalog", "api", "binary"]),
    ("axum", &["api", "binary"]),
];

fn room(package: &str) -> &str {
    if package == "seislake" { "binary" } else { package.trim_start_matches("seislake-") }
}

#[test]
fn rooms_use_only_what_the_architecture_allows() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        MAY_USE.iter().map(|(room, uses)| (*room, uses.iter().copied().collect())).collect();
    let mut seen = BTreeSet::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = room(package["name"].as_str().expect("name"));
        let allowed = allowed.get(name).unwrap_or_else(|| panic!("room \"{name}\" is not in the table"));
        seen.insert(name.to_owned());
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            if dependency["kind"].as_str() == Some("dev") {
                continue;
            }
            let dependency = dependency["name"].as_str().expect("name");
            if dependency.starts_with("seislake") {
                assert!(allowed.contains(room(dependency)), "{name} must not use {dependency}");
            }
            for (library, rooms) in SHELL_ONLY {
                assert!(dependency != library || rooms.contains(&name), "{name} must not see {library}");
            }
        }
    }
    assert_eq!(seen.len(), MAY_USE.len(), "the table names a room that does not exist");
}
