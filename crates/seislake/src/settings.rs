//! Configuration: compiled-in defaults < file < environment < flags, every key known, all problems reported at once.
//!
//! `infra/default.toml` is the schema: a key it does not list is unknown, a value of another type is refused.
//! The sections `pick`, `associate`, `locate` and `magnitude` belong to `seismo`, whose own types know their keys.

use std::path::Path;

use seislake_seismo::associate::AssociateSettings;
use seislake_seismo::locate::LocateSettings;
use seislake_seismo::magnitude::MagnitudeSettings;
use seislake_seismo::pick::PickSettings;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

const DEFAULTS: &str = include_str!("../../../infra/default.toml");
const ENVIRONMENT_PREFIX: &str = "SEISLAKE__";
/// Sections whose keys are those of a settings type of `seismo`, not listed in the default file.
const SCIENCE_SECTIONS: [&str; 4] = ["pick", "associate", "locate", "magnitude"];

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) streams: StreamsSettings,
    pub(crate) lake: LakeSection,
    pub(crate) velocity_model: VelocityModelSettings,
    pub(crate) query: QuerySettings,
    pub(crate) http: HttpSettings,
    pub(crate) flight: FlightSettings,
    pub(crate) pick: PickSettings,
    pub(crate) associate: AssociateSettings,
    pub(crate) locate: LocateSettings,
    pub(crate) magnitude: MagnitudeSettings,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamsSettings {
    pub(crate) driver: String,
    pub(crate) raw_partition_count: u32,
    pub(crate) idle_after_s: f64,
    pub(crate) lateness_s: f64,
    pub(crate) segment_bytes: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LakeSection {
    pub(crate) warehouse: String,
    pub(crate) s3_endpoint: String,
    pub(crate) s3_region: String,
    pub(crate) s3_allow_http: bool,
    pub(crate) commit_interval_s: f64,
    pub(crate) commit_row_count: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VelocityModelSettings {
    pub(crate) name: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuerySettings {
    pub(crate) memory_bytes: u64,
    pub(crate) timeout_s: f64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpSettings {
    pub(crate) address: String,
    pub(crate) body_bytes: u64,
    pub(crate) dataselect_samples: u64,
    pub(crate) concurrency: u32,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FlightSettings {
    pub(crate) address: String,
}

/// Everything wrong with a configuration, each problem with its key.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has {} problem(s): {}", .0.len(), .0.join("; "))]
pub(crate) struct SettingsError(Vec<String>);

impl Settings {
    /// Reads the defaults, then `file`, then the environment.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, SettingsError> {
        let file = match file {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    SettingsError(vec![format!("cannot read \"{}\": {error}", path.display())])
                })?;
                Some((format!("\"{}\"", path.display()), text))
            }
            None => None,
        };
        let environment = std::env::vars().filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX));
        Self::merge(file, environment)
    }

    fn merge(
        file: Option<(String, String)>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let mut problems = Vec::new();
        let mut merged: Table =
            DEFAULTS.parse().map_err(|error| SettingsError(vec![format!("default.toml: {error}")]))?;
        if let Some((name, text)) = file {
            match text.parse::<Table>() {
                Ok(table) => overlay(&mut merged, table, &name, &mut problems),
                Err(error) => problems.push(format!("{name} is not TOML: {}", one_line(&error.to_string()))),
            }
        }
        for (name, value) in environment {
            match environment_table(&name, &value) {
                Some(table) => overlay(&mut merged, table, &name, &mut problems),
                None => problems.push(format!("{name}: expected {ENVIRONMENT_PREFIX}SECTION__KEY")),
            }
        }
        let settings = Value::Table(merged).try_into::<Self>();
        match settings {
            Ok(settings) => {
                problems.extend(settings.problems());
                if problems.is_empty() { Ok(settings) } else { Err(SettingsError(problems)) }
            }
            Err(error) => {
                problems.push(one_line(&error.to_string()));
                Err(SettingsError(problems))
            }
        }
    }

    /// What types cannot say.
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut require = |holds: bool, what: &str| {
            if !holds {
                problems.push(what.to_owned());
            }
        };
        require(self.streams.driver == "file", "streams.driver: this build knows \"file\"");
        require(
            (1..=256).contains(&self.streams.raw_partition_count),
            "streams.raw_partition_count must be 1 to 256",
        );
        require(self.streams.idle_after_s > 0.0, "streams.idle_after_s must be positive");
        require(self.streams.lateness_s >= 0.0, "streams.lateness_s must not be negative");
        require(self.streams.segment_bytes >= 1 << 20, "streams.segment_bytes must be at least 1048576");
        require(self.lake.commit_interval_s > 0.0, "lake.commit_interval_s must be positive");
        require(self.lake.commit_row_count > 0, "lake.commit_row_count must be positive");
        require(self.query.memory_bytes >= 64 << 20, "query.memory_bytes must be at least 67108864");
        require(self.query.timeout_s > 0.0, "query.timeout_s must be positive");
        require(self.http.body_bytes > 0, "http.body_bytes must be positive");
        require(self.http.dataselect_samples > 0, "http.dataselect_samples must be positive");
        require(self.http.concurrency > 0, "http.concurrency must be positive");
        for (key, address) in [("http.address", &self.http.address), ("flight.address", &self.flight.address)]
        {
            require(
                address.parse::<std::net::SocketAddr>().is_ok(),
                &format!("{key}: \"{address}\" is not an address such as 127.0.0.1:8080"),
            );
        }
        problems
    }

    /// Addresses given as flags win over everything.
    pub(crate) fn set_addresses(
        &mut self,
        http: Option<String>,
        flight: Option<String>,
    ) -> Result<(), SettingsError> {
        if let Some(address) = http {
            self.http.address = address;
        }
        if let Some(address) = flight {
            self.flight.address = address;
        }
        let problems = self.problems();
        if problems.is_empty() { Ok(()) } else { Err(SettingsError(problems)) }
    }

    /// The effective settings as TOML.
    pub(crate) fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(self)
    }
}

/// Puts `layer` over `base`, noting unknown keys and values of the wrong type.
fn overlay(base: &mut Table, layer: Table, origin: &str, problems: &mut Vec<String>) {
    for (section, values) in layer {
        let Some(Value::Table(known)) = base.get_mut(&section) else {
            problems.push(format!("{origin}: unknown section \"{section}\""));
            continue;
        };
        let Value::Table(values) = values else {
            problems.push(format!("{origin}: \"{section}\" is a section, not a value"));
            continue;
        };
        for (key, value) in values {
            if SCIENCE_SECTIONS.contains(&section.as_str()) {
                known.insert(key, value);
                continue;
            }
            match known.get(&key) {
                None => problems.push(format!("{origin}: unknown key \"{section}.{key}\"")),
                Some(default) => match fit(default, value) {
                    Some(value) => {
                        known.insert(key, value);
                    }
                    None => {
                        problems.push(format!("{origin}: {section}.{key} must be a {}", default.type_str()))
                    }
                },
            }
        }
    }
}

/// `value` in the type of `default`; whole numbers may stand for floats.
fn fit(default: &Value, value: Value) -> Option<Value> {
    match (default, value) {
        (Value::Float(_), Value::Integer(number)) => Some(Value::Float(number as f64)),
        (default, value) if default.same_type(&value) => Some(value),
        _ => None,
    }
}

fn environment_table(name: &str, value: &str) -> Option<Table> {
    let (section, key) = name.strip_prefix(ENVIRONMENT_PREFIX)?.split_once("__")?;
    let value = format!("v = {value}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| Value::String(value.to_owned()));
    let inner = Table::from_iter([(key.to_lowercase(), value)]);
    Some(Table::from_iter([(section.to_lowercase(), Value::Table(inner))]))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(file: &str, environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::merge(Some(("test.toml".into(), file.into())), environment)
    }

    #[test]
    fn environment_wins_over_the_file_and_the_file_over_defaults() {
        let settings = merge(
            "[http]\nbody_bytes = 1000\nconcurrency = 7\n[lake]\ncommit_interval_s = 5",
            &[("SEISLAKE__HTTP__CONCURRENCY", "9"), ("SEISLAKE__VELOCITY_MODEL__NAME", "ak135")],
        )
        .unwrap();
        assert_eq!((settings.http.body_bytes, settings.http.concurrency), (1000, 9));
        assert_eq!(settings.lake.commit_interval_s, 5.0);
        assert_eq!(settings.velocity_model.name, "ak135");
    }

    #[test]
    fn all_problems_are_reported_at_once_each_with_its_key() {
        let error = merge(
            "[http]\nbody_bites = 1\n[lake]\ncommit_interval_s = \"soon\"\n[attic]\nx = 1",
            &[("SEISLAKE__QUERY__MEMORY", "1")],
        )
        .unwrap_err()
        .to_string();
        for part in ["http.body_bites", "lake.commit_interval_s must be a float", "\"attic\"", "query.memory"]
        {
            assert!(error.contains(part), "{part} in {error}");
        }
    }

    #[test]
    fn unknown_keys_of_the_science_sections_are_errors_too() {
        assert!(merge("[locate]\nno_such_key = 1", &[]).is_err());
    }

    #[test]
    fn defaults_are_valid() {
        assert!(merge("", &[]).is_ok());
    }
}
