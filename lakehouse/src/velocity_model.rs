//! The velocity model of a home: given once to `import`, kept beside its state.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use seislake_seismo::travel_time::{LayeredModel, TravelTime, default_table};
use seislake_streams::source::regular::read_text;
use serde::{Deserialize, Serialize};

use crate::HOW_TO_MEND;
use crate::home::Home;
use crate::settings::Settings;

/// What stands in `state/velocity-model.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    name: String,
    /// Text of a layered model; absent for the built-in ones.
    csv: Option<String>,
}

/// Where it stands in a home.
pub const FILE: &str = "state/velocity-model.json";

/// Whether the text of the file holds a model.
pub fn is_sound(text: &str) -> bool {
    serde_json::from_str::<Stored>(text).is_ok_and(|stored| model(&stored).is_ok())
}

/// Travel times of the model that is given, else of the home's own, else of the configured one.
pub fn travel_time(
    home: &Home,
    settings: &Settings,
    given: Option<&str>,
) -> anyhow::Result<Arc<dyn TravelTime>> {
    let file = home.path().join(FILE);
    let stored = match given {
        Some(given) => {
            let stored = read(given)?;
            store(&file, &stored)?;
            stored
        }
        None if file.exists() => {
            let text =
                fs::read_to_string(&file).with_context(|| format!("cannot read \"{}\"", file.display()))?;
            serde_json::from_str(&text)
                .with_context(|| format!("\"{}\" is damaged; {HOW_TO_MEND}", file.display()))?
        }
        None => read(&settings.velocity_model.name)?,
    };
    Ok(Arc::new(default_table(&model(&stored)?)))
}

/// A built-in name or a file.
fn read(name: &str) -> anyhow::Result<Stored> {
    if ["iasp91", "ak135"].contains(&name) {
        return Ok(Stored { name: name.to_owned(), csv: None });
    }
    let text = read_text(Path::new(name))
        .with_context(|| format!("cannot read the velocity model \"{name}\" (a file, iasp91 or ak135)"))?;
    let stem = Path::new(name)
        .file_stem()
        .map_or_else(|| name.to_owned(), |stem| stem.to_string_lossy().into_owned());
    let stored = Stored { name: stem, csv: Some(text) };
    model(&stored).with_context(|| format!("cannot use the velocity model \"{name}\""))?;
    Ok(stored)
}

fn model(stored: &Stored) -> anyhow::Result<LayeredModel> {
    match (&stored.csv, stored.name.as_str()) {
        (Some(csv), name) => Ok(LayeredModel::parse(name, csv)?),
        (None, "ak135") => Ok(LayeredModel::ak135()),
        (None, _) => Ok(LayeredModel::iasp91()),
    }
}

fn store(file: &Path, stored: &Stored) -> anyhow::Result<()> {
    let new = PathBuf::from(format!("{}.new", file.display()));
    fs::write(&new, serde_json::to_string(stored)?)
        .and_then(|()| fs::rename(&new, file))
        .with_context(|| format!("cannot write \"{}\"", file.display()))
}
