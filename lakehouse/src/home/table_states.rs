//! How far the tables of a home had come when it was last used: `state/tables.json`.
//!
//! A warehouse that is put back together with its catalog agrees with itself. Only what is kept beside them tells that both
//! are older than what the home once held: each commit of a table has a number, and no table goes back by itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::Context;
use seislake_streams::replace::replace;
use serde::{Deserialize, Serialize};

/// Where it lies in a home.
pub const FILE: &str = "state/tables.json";

/// More than the numbers of all tables take.
const BYTES_MAX: u64 = 1 << 20;

/// The number of the last commit of each table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableStates(BTreeMap<String, i64>);

/// A table that has fewer commits than it had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Older {
    pub table: String,
    pub commits: i64,
    pub commits_before: i64,
}

impl TableStates {
    pub fn new(commits: BTreeMap<String, i64>) -> Self {
        Self(commits)
    }

    /// What a home says; nothing where it says nothing that can be read.
    ///
    /// # Errors
    /// What keeps the file from being read.
    pub fn read(home: &Path) -> anyhow::Result<Self> {
        Self::stored(home).map(Option::unwrap_or_default)
    }

    /// Whether a file says how far the tables have come.
    pub fn is_sound(text: &str) -> bool {
        serde_json::from_str::<Self>(text).is_ok()
    }

    /// What a home says; `None` where that cannot be read.
    fn stored(home: &Path) -> anyhow::Result<Option<Self>> {
        let file = home.join(FILE);
        let text = || {
            let mut text = Vec::new();
            File::open(&file)?.take(BYTES_MAX).read_to_end(&mut text)?;
            Ok(text)
        };
        match text() {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(error) if std::io::Error::kind(&error) == std::io::ErrorKind::NotFound => {
                Ok(Some(Self::default()))
            }
            Err(error) => Err(error).with_context(|| format!("cannot read \"{}\"", file.display())),
        }
    }

    /// Keeps these states in the place of those of before.
    pub fn write(&self, home: &Path) -> anyhow::Result<()> {
        let (file, new) = (home.join(FILE), home.join(format!("{FILE}.new-{}", std::process::id())));
        let named = || format!("cannot write \"{}\"", file.display());
        std::fs::create_dir_all(home.join("state")).with_context(named)?;
        replace(&file, &new, &serde_json::to_vec(self)?).with_context(named)
    }

    /// Keeps the later of these and those of before: what is older is told of until a repair has told it.
    pub fn remember(mut self, home: &Path) -> anyhow::Result<()> {
        let before = Self::stored(home)?.unwrap_or_else(|| {
            let file = home.join(FILE);
            tracing::warn!(
                file = %file.display(),
                "how far the tables had come cannot be read: it is kept anew, and a table that was put back is not told of"
            );
            Self::default()
        });
        for (table, commits) in &before.0 {
            let now = self.0.entry(table.clone()).or_default();
            *now = (*now).max(*commits);
        }
        if self == before { Ok(()) } else { self.write(home) }
    }

    /// Whether no table is known to have been made.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tables that have fewer commits `now`.
    pub fn older(&self, now: &Self) -> Vec<Older> {
        let of = |(table, commits_before): (&String, &i64)| {
            let commits = now.0.get(table).copied().unwrap_or(0);
            (commits < *commits_before).then(|| Older {
                table: table.clone(),
                commits,
                commits_before: *commits_before,
            })
        };
        self.0.iter().filter_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(of: &[(&str, i64)]) -> TableStates {
        TableStates(of.iter().map(|(table, commits)| ((*table).to_owned(), *commits)).collect())
    }

    #[test]
    fn a_table_with_fewer_commits_is_told_until_that_is_settled() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(TableStates::read(home.path()).unwrap(), TableStates::default());
        states(&[("a", 5), ("b", 2)]).remember(home.path()).unwrap();
        let now = states(&[("a", 3), ("b", 4), ("c", 0)]);
        now.clone().remember(home.path()).unwrap();
        let told = TableStates::read(home.path()).unwrap();
        assert_eq!(told, states(&[("a", 5), ("b", 4), ("c", 0)]));
        assert_eq!(told.older(&now), [Older { table: "a".into(), commits: 3, commits_before: 5 }]);
        now.write(home.path()).unwrap();
        assert_eq!(TableStates::read(home.path()).unwrap().older(&now), []);
        std::fs::write(home.path().join(FILE), "{").unwrap();
        assert_eq!(TableStates::read(home.path()).unwrap(), TableStates::default());
    }
}
