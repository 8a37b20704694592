//! Configuration: compiled-in defaults < file < environment < flags, every key known, all problems reported at once.
//!
//! `infra/default.toml` is the schema: a key it does not list is unknown, a value of another type is refused.
//! The sections of the stages belong to these, whose own types are their schema (`stages`).

mod ranges;
mod stages;

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::path::Path;

use datafusion::common::utils::datafusion_strsim::levenshtein;
use seislake_streams::source::regular::read_text;
use seislake_streams::topology::{Sections, Topology};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use self::stages::Stages;

const DEFAULTS: &str = include_str!("../../infra/default.toml");
const ENVIRONMENT_PREFIX: &str = "SEISLAKE__";

#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    #[serde(flatten)]
    general: General,
    /// The sections of the stages, as a configuration says them.
    #[serde(flatten)]
    of_stages: BTreeMap<String, Value>,
    /// What stages are set to.
    #[serde(skip)]
    pub sections: Sections,
    /// The stages of the home.
    #[serde(skip)]
    pub topology: Topology,
}

/// What is no stage's.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct General {
    pub streams: StreamsSettings,
    pub lake: LakeSection,
    pub archive: ArchiveSection,
    pub upkeep: UpkeepSection,
    pub velocity_model: VelocityModelSettings,
    pub query: QuerySettings,
    pub http: HttpSettings,
    pub flight: FlightSettings,
}

impl Deref for Settings {
    type Target = General;

    fn deref(&self) -> &General {
        &self.general
    }
}

impl DerefMut for Settings {
    fn deref_mut(&mut self) -> &mut General {
        &mut self.general
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StreamsSettings {
    pub driver: String,
    pub raw_partition_count: u32,
    pub idle_after_s: f64,
    pub lateness_s: f64,
    pub segment_bytes: u64,
    pub stages: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LakeSection {
    pub warehouse: String,
    pub s3_endpoint: String,
    pub s3_region: String,
    pub s3_allow_http: bool,
    pub commit_interval_s: f64,
    pub commit_row_count: u64,
    pub cursor_lease_s: f64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveSection {
    pub keep_raw: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct UpkeepSection {
    pub quality_interval_s: f64,
    pub compact_interval_s: f64,
    pub clean_interval_s: f64,
}

impl UpkeepSection {
    /// There is something to keep up.
    pub fn any(&self) -> bool {
        [self.quality_interval_s, self.compact_interval_s, self.clean_interval_s]
            .iter()
            .any(|interval| *interval > 0.0)
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct VelocityModelSettings {
    pub name: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct QuerySettings {
    pub memory_bytes: u64,
    pub timeout_s: f64,
    pub concurrency: u32,
    pub waiting_count: u32,
    pub thread_count: u32,
    pub row_count: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    pub address: String,
    pub body_bytes: u64,
    pub dataselect_samples: u64,
    pub serve_restricted: bool,
    pub concurrency: u32,
    pub waiting: u32,
    pub waiting_s: f64,
    pub connections: u32,
    pub connections_per_client: u32,
    pub idle_timeout_s: f64,
    pub receive_timeout_s: f64,
    pub send_timeout_s: f64,
    pub cors_origins: Vec<String>,
}

impl HttpSettings {
    /// Origins that no page has.
    fn wrong_origins(&self) -> impl Iterator<Item = &str> {
        let is_origin = |text: &str| {
            let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
            text == "*" || authority.is_some_and(|name| !name.is_empty() && name.chars().all(plain))
        };
        self.cors_origins.iter().map(String::as_str).filter(move |text| !is_origin(text))
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FlightSettings {
    pub address: String,
    pub send_timeout_s: f64,
}

/// Everything wrong with a configuration, each problem with its key.
#[derive(Debug, thiserror::Error)]
#[error("the configuration cannot be used: {}", .0.join("; "))]
pub struct SettingsError(Vec<String>);

impl SettingsError {
    /// Each problem, with its key; one at least.
    pub fn problems(&self) -> &[String] {
        &self.0
    }
}

impl Settings {
    /// Reads the defaults, then `file`, then the environment.
    pub fn load(file: Option<&Path>) -> Result<Self, SettingsError> {
        let file = match file {
            Some(path) => {
                let text = read_text(path).map_err(|error| {
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
        let defaults = defaults().map_err(|error| SettingsError(vec![format!("default.toml: {error}")]))?;
        let mut merged = defaults.clone();
        if let Some((name, text)) = file {
            match text.parse::<Table>() {
                Ok(table) => overlay(&mut merged, table, &name, &mut problems),
                Err(error) => problems.push(format!("{name} is not TOML: {}", one_line(&error.to_string()))),
            }
        }
        for (name, value) in environment {
            match environment_table(&name, &value) {
                Some(table) => overlay(&mut merged, table, &name, &mut problems),
                None => problems.push(format!(
                    "{name}: expected {ENVIRONMENT_PREFIX}SECTION__KEY, or {ENVIRONMENT_PREFIX}STAGE__NAME__KEY"
                )),
            }
        }
        let Stages { mut sections, specs, shown, refused } =
            stages::take(&mut merged, &defaults, &mut problems);
        problems.extend(ranges::mend(&mut merged, &defaults));
        let general = match Value::Table(merged).try_into::<General>() {
            Ok(general) => general,
            Err(error) => {
                problems.push(one_line(&error.to_string()));
                return Err(SettingsError(problems));
            }
        };
        problems.extend(general.problems());
        // One that could not be made is told already.
        let names = general.streams.stages.iter().filter(|name| !refused.contains(name)).cloned();
        match Topology::of(&names.collect::<Vec<_>>(), specs) {
            Ok(topology) if problems.is_empty() => {
                for stage in topology.stages() {
                    sections.replace(stage.log_name, stage.name);
                }
                Ok(Self { general, of_stages: shown, sections, topology })
            }
            Ok(_) => Err(SettingsError(problems)),
            Err(_) if !refused.is_empty() => Err(SettingsError(problems)),
            Err(error) => {
                problems.push(format!("streams.stages: {error}"));
                Err(SettingsError(problems))
            }
        }
    }

    /// Addresses given as flags win over everything.
    pub fn set_addresses(
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

    /// The settings of a stage.
    ///
    /// # Errors
    /// Settings of another stage's type.
    pub fn stage<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, seislake_model::Error> {
        self.sections.get(name)
    }

    /// The effective settings as TOML.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(self)
    }
}

impl General {
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
            self.lake.s3_allow_http || !self.lake.s3_endpoint.starts_with("http://"),
            "lake.s3_endpoint begins with http://, which lake.s3_allow_http = true must allow",
        );
        for (key, address) in [("http.address", &self.http.address), ("flight.address", &self.flight.address)]
        {
            require(
                address.parse::<std::net::SocketAddr>().is_ok(),
                &format!("{key}: \"{address}\" is not an address such as 127.0.0.1:8080"),
            );
        }
        for origin in self.http.wrong_origins() {
            require(
                false,
                &format!("http.cors_origins: \"{origin}\" is neither https://host[:port] nor \"*\""),
            );
        }
        problems
    }
}

/// All keys with their defaults: those of the science sections from their types, the file's over them.
fn defaults() -> anyhow::Result<Table> {
    let mut merged: Table = DEFAULTS.parse()?;
    for (section, values) in stages::defaults()? {
        let overriding = match merged.insert(section.to_owned(), Value::Table(values)) {
            Some(overriding) => Table::from_iter([(section.to_owned(), overriding)]),
            None => continue,
        };
        let mut problems = Vec::new();
        overlay(&mut merged, overriding, "default.toml", &mut problems);
        anyhow::ensure!(problems.is_empty(), "{}", problems.join("; "));
    }
    Ok(merged)
}

/// Puts `layer` over `base`, noting unknown keys and values of the wrong type.
fn overlay(base: &mut Table, layer: Table, origin: &str, problems: &mut Vec<String>) {
    for (section, values) in layer {
        let Some(Value::Table(known)) = base.get_mut(&section) else {
            let near = proposal(&section, base.keys().map(String::as_str));
            problems.push(format!("{origin}: unknown section \"{section}\"{near}"));
            continue;
        };
        let Value::Table(values) = values else {
            problems.push(format!("{origin}: \"{section}\" is a section, not a value"));
            continue;
        };
        for (key, value) in values {
            if section == stages::OWN {
                put_own(known, key, value, origin, problems);
                continue;
            }
            if stages::of_several_types(&section, &key) {
                known.insert(key, value);
                continue;
            }
            match known.get(&key) {
                None => {
                    let near = proposal(&key, known.keys().map(String::as_str));
                    problems.push(format!("{origin}: unknown key \"{section}.{key}\"{near}"));
                }
                Some(default) => match fit(default, value) {
                    Some(value) => {
                        known.insert(key, value);
                    }
                    None => problems.push(format!("{origin}: {section}.{key} must be {}", a_type(default))),
                },
            }
        }
    }
}

/// Puts what a layer says of a stage of its own over what layers below said of it.
fn put_own(known: &mut Table, name: String, value: Value, origin: &str, problems: &mut Vec<String>) {
    match (known.get_mut(&name), value) {
        (Some(Value::Table(below)), Value::Table(keys)) => below.extend(keys),
        (_, Value::Table(keys)) => drop(known.insert(name, Value::Table(keys))),
        _ => problems.push(format!("{origin}: \"{}.{name}\" is a section, not a value", stages::OWN)),
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
    let mut path: Vec<String> =
        name.strip_prefix(ENVIRONMENT_PREFIX)?.split("__").map(str::to_lowercase).collect();
    let depth_max = if path.first().is_some_and(|section| section == stages::OWN) { 3 } else { 2 };
    if !(2..=depth_max).contains(&path.len()) {
        return None;
    }
    let value = format!("v = {value}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| Value::String(value.to_owned()));
    let key = path.pop()?;
    let inner = Table::from_iter([(key, value)]);
    Some(path.into_iter().rfold(inner, |inner, name| Table::from_iter([(name, Value::Table(inner))])))
}

/// What a sentence about an unknown name ends with: the known one that a slip of the hand would make it, if there is one.
fn proposal<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let name = name.to_lowercase();
    let slips_max = name.chars().count() / 3;
    let slips = known.map(|other| (levenshtein(&name, other), other));
    let near = slips.filter(|(slips, _)| *slips <= slips_max).min();
    near.map_or_else(String::new, |(_, other)| format!("; did you mean \"{other}\"?"))
}

/// The type of a value, as a sentence has it.
fn a_type(value: &Value) -> String {
    let name = value.type_str();
    let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {name}")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
