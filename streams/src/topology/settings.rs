//! What a user may set of stages: one section each, whose keys are the fields of the stage's own type.

use std::collections::BTreeMap;

use seislake_model::ErrorKind;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Error;

/// What a user may set of a stage.
#[derive(Clone, Copy, Debug)]
pub struct SettingsSpec {
    /// Every key with its default, as an object.
    pub defaults: fn() -> serde_json::Result<Value>,
    /// Keys whose numbers have closer bounds than "0 or more", both included.
    pub ranges: &'static [(&'static str, f64, f64)],
    /// Keys whose values may be of other types than the default.
    pub of_several_types: &'static [&'static str],
    /// Keys that hold for the whole path: only the section of ours, or of what replaces it, has them.
    pub of_all: &'static [&'static str],
    /// What types and bounds cannot say: each problem begins with its key, behind the name of the section.
    pub problems: fn(section: &str, &Value) -> Vec<String>,
}

impl SettingsSpec {
    /// There is nothing to set.
    pub const NONE: Self = Self {
        defaults: || Ok(Value::Object(serde_json::Map::new())),
        ranges: &[],
        of_several_types: &[],
        of_all: &[],
        problems: |_, _| Vec::new(),
    };
}

/// Problems of values in their own type, whose absent fields have defaults.
pub(crate) fn typed<T: DeserializeOwned>(
    section: &str,
    values: &Value,
    problems: impl Fn(&T) -> Vec<String>,
) -> Vec<String> {
    let error = match T::deserialize(values) {
        Ok(settings) => return problems(&settings),
        Err(error) => error,
    };
    // The error does not say of which key it speaks: each alone does.
    let alone = |(key, value): (&String, &Value)| {
        let alone = Value::Object([(key.clone(), value.clone())].into_iter().collect());
        T::deserialize(&alone).err().map(|error| format!("{section}.{key}: {error}"))
    };
    let found: Vec<String> = values.as_object().into_iter().flatten().filter_map(alone).collect();
    if found.is_empty() { vec![format!("{section}: {error}")] } else { found }
}

/// The settings of stages, by section. A section that is not there has its defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sections(BTreeMap<String, Value>);

impl Sections {
    /// The settings of a section.
    ///
    /// # Errors
    /// Values that do not fit.
    pub fn get<T: DeserializeOwned + Default>(&self, section: &str) -> Result<T, Error> {
        let Some(values) = self.0.get(section) else { return Ok(T::default()) };
        T::deserialize(values)
            .map_err(|e| Error::caused(ErrorKind::Invalid, format!("read the settings [{section}]"), e))
    }

    /// Gives a section the settings of another.
    pub fn replace(&mut self, section: &str, by: &str) {
        if let Some(values) = self.0.get(by).cloned() {
            self.0.insert(section.to_owned(), values);
        }
    }

    /// Sets those of a section.
    ///
    /// # Errors
    /// Settings that cannot be written down.
    pub fn set<T: Serialize>(&mut self, section: &str, settings: &T) -> Result<(), Error> {
        let values = serde_json::to_value(settings)
            .map_err(|e| Error::caused(ErrorKind::Internal, format!("write the settings [{section}]"), e))?;
        self.0.insert(section.to_owned(), values);
        Ok(())
    }
}
