//! The velocity model of a home: given once to `import`, kept beside its state.

use std::fs;
use std::path::Path;

use anyhow::Context;
use seislake_seismo::travel_time::VelocityModel;
use seislake_streams::earth::Earth;
use seislake_streams::replace::replace;
use seislake_streams::source::regular::read_text;

use crate::HOW_TO_MEND;
use crate::home::Home;
use crate::settings::Settings;

/// Where it stands in a home.
pub const FILE: &str = "state/velocity-model.json";

/// Whether the text of the file holds a model.
pub fn is_sound(text: &str) -> bool {
    serde_json::from_str::<VelocityModel>(text).is_ok_and(|model| model.layers().is_ok())
}

/// The earth of the model that is given, else of the home's own, else of the configured one. Nothing is written.
///
/// # Errors
/// A model that cannot be read or used.
pub fn earth(home: &Home, settings: &Settings, given: Option<VelocityModel>) -> anyhow::Result<Earth> {
    let file = home.path().join(FILE);
    let model = match given {
        Some(given) => given,
        None if file.exists() => {
            let text =
                fs::read_to_string(&file).with_context(|| format!("cannot read \"{}\"", file.display()))?;
            serde_json::from_str(&text)
                .with_context(|| format!("\"{}\" is damaged; {HOW_TO_MEND}", file.display()))?
        }
        None => read(&settings.velocity_model.name)?,
    };
    Ok(Earth::new(model)?)
}

/// The model of a built-in name or a file.
///
/// # Errors
/// One that cannot be read or used.
pub fn read(name: &str) -> anyhow::Result<VelocityModel> {
    if let Some(model) = VelocityModel::built_in(name) {
        return Ok(model);
    }
    let text = read_text(Path::new(name))
        .with_context(|| format!("cannot read the velocity model \"{name}\" (a file, iasp91 or ak135)"))?;
    let stem = Path::new(name)
        .file_stem()
        .map_or_else(|| name.to_owned(), |stem| stem.to_string_lossy().into_owned());
    VelocityModel::of_text(&stem, &text).with_context(|| format!("cannot use the velocity model \"{name}\""))
}

/// Makes a model the home's own.
///
/// # Errors
/// A file system that does not let it.
pub fn store(home: &Home, model: &VelocityModel) -> anyhow::Result<()> {
    let (file, new) = (home.path().join(FILE), home.path().join(format!("{FILE}.new")));
    replace(&file, &new, &serde_json::to_vec(model)?)
        .with_context(|| format!("cannot write \"{}\"", file.display()))
}
