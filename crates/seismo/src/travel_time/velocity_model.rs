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

    /// The model of a text, without the comments and empty lines: it is kept with every checkpoint.
    ///
    /// # Errors
    /// A text that is no model.
    pub fn of_text(name: &str, text: &str) -> Result<Self, ModelError> {
        LayeredModel::parse(name, text)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let csv = lines.map(|line| format!("{line}\n")).collect();
        Ok(Self { name: name.to_owned(), csv: Some(csv) })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_kept_without_its_comments() {
        let text = "# from somewhere\n\nDepth,Vp,Vs\n0,5.8,3.36\n  # below\n20,6.5,3.75\n";
        let model = VelocityModel::of_text("own", text).unwrap();
        assert_eq!(model.csv.as_deref(), Some("Depth,Vp,Vs\n0,5.8,3.36\n20,6.5,3.75\n"));
        assert_eq!(model.layers(), LayeredModel::parse("own", text));
        assert!(VelocityModel::of_text("own", "nothing").is_err());
        assert!(VelocityModel { name: "none".to_owned(), csv: None }.layers().is_err());
    }
}
