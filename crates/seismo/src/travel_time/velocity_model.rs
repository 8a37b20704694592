//! A velocity model as it is kept: by its name where it is built in, else by its text.

use serde::{Deserialize, Serialize};

use super::{LayeredModel, ModelError};

/// Names of the built-in models.
pub const BUILT_IN: [&str; 2] = ["iasp91", "ak135"];

/// A velocity model as it is kept. Two that are equal give equal travel times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VelocityModel {
    /// `iasp91`, `ak135`, or what the user calls it.
    pub name: String,
    /// Text of a layered model ([`LayeredModel::parse`]); absent for the built-in ones.
    pub csv: Option<String>,
}

impl VelocityModel {
    /// The built-in model of that name.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Self> {
        BUILT_IN.contains(&name).then(|| Self { name: name.to_owned(), csv: None })
    }

    /// Its layers.
    ///
    /// # Errors
    /// A text that is no model, or a name that is none of the built-in ones.
    pub fn layers(&self) -> Result<LayeredModel, ModelError> {
        match (&self.csv, self.name.as_str()) {
            (Some(csv), name) => LayeredModel::parse(name, csv),
            (None, "ak135") => Ok(LayeredModel::ak135()),
            (None, "iasp91") => Ok(LayeredModel::iasp91()),
            (None, name) => Err(ModelError::Unknown(name.to_owned())),
        }
    }
}
