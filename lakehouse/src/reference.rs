//! The catalogue of a home beside a reference catalogue.

use std::path::Path;

use anyhow::{Context, bail};
use seislake_exchange::{Parsed, read_catalogue};
use seislake_model::{CatalogueEvent, Timestamp};
use seislake_seismo::compare::{Common, CompareSettings, Comparison, compare, keep_common};
use seislake_streams::source::packed::documents;
use serde::Serialize;

use crate::Lakehouse;

/// The events of a catalogue file, and what of it cannot be used.
///
/// # Errors
/// A file that cannot be read, or is no one catalogue.
pub fn read_reference(path: &Path) -> anyhow::Result<Parsed<Vec<CatalogueEvent>>> {
    let name = path.display().to_string();
    let mut found = documents(path).with_context(|| format!("cannot read \"{name}\""))?;
    let bytes = match (found.pop(), found.pop()) {
        (Some((_, bytes)), None) => bytes,
        _ => bail!("\"{name}\" is an archive of no or several files; give one catalogue"),
    };
    read_catalogue(&name, &bytes).with_context(|| format!("cannot read a catalogue from \"{name}\""))
}

/// What came out, and of which time. Its JSON form is a promise to scripts.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// Which time was compared.
    pub common: Common,
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// Sets the events of a home against a reference, both from `from` on and before `to`, where the home has recordings.
///
/// # Errors
/// A lake that cannot be read.
pub async fn compare_with(
    lakehouse: &Lakehouse,
    mut reference: Vec<CatalogueEvent>,
    (from, to): (Option<Timestamp>, Option<Timestamp>),
    tolerances: CompareSettings,
) -> anyhow::Result<Answer> {
    let within = |event: &CatalogueEvent| {
        from.is_none_or(|from| event.origin_time >= from) && to.is_none_or(|to| event.origin_time < to)
    };
    let mut catalogue = lakehouse.catalogue().await?;
    catalogue.retain(within);
    reference.retain(within);
    let recorded = lakehouse.recorded_time().await?;
    let common = keep_common(&mut reference, &mut catalogue, recorded, (from, to), tolerances);
    Ok(Answer { common, comparison: compare(&reference, &catalogue, tolerances) })
}
