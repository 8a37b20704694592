//! A file that must not be used.

use object_store::path::Path;

/// A file that must not be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "the file \"{path}\" of the warehouse is damaged: {damage}; `seislake home check` tells what else is"
)]
pub(crate) struct FileDamage {
    path: Path,
    damage: String,
}

impl FileDamage {
    /// A file that is sound and of another table.
    pub(crate) fn of_another_table(path: Path, why: &str) -> Self {
        Self::new(path, format!("it is of another table: {why}"))
    }

    /// `damage`: what is wrong with it, a clause.
    pub(crate) const fn new(path: Path, damage: String) -> Self {
        Self { path, damage }
    }

    pub(crate) const fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn damage(&self) -> &str {
        &self.damage
    }
}
