//! Durability of a local warehouse: a file outlasts a power cut once its contents and its name are on the disk.
//!
//! The name stands in the directory, the directory's in the one above. Contents are synced file by file, names once for
//! all files of a commit, before its pointer moves: a data file costs one sync, not two.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

#[derive(Debug)]
pub(super) struct Directories {
    root: PathBuf,
    /// Those with new names.
    fresh: Mutex<BTreeSet<PathBuf>>,
    /// Those whose own name is durable.
    known: Mutex<BTreeSet<PathBuf>>,
    /// One at a time: whoever comes second must not go on before the names it shares with the first are durable.
    turn: tokio::sync::Mutex<()>,
}

/// Directories remembered as durable: partitions of a decade of days.
const KNOWN_MAX: usize = 10_000;
/// Directories synced at once.
const SYNCS_AT_ONCE: usize = 8;

impl Directories {
    pub(super) fn below(root: PathBuf) -> Self {
        Self { root, fresh: Mutex::default(), known: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    /// Makes the contents of a file durable.
    pub(super) async fn sync(&self, path: &object_store::path::Path) -> io::Result<()> {
        let file = self.root.join(path.as_ref());
        tokio::fs::File::open(&file).await?.sync_all().await?;
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        fresh.extend(file.parent().map(Path::to_path_buf));
        Ok(())
    }

    /// Makes the names of the files synced so far durable.
    pub(super) async fn sync_names(&self) -> io::Result<()> {
        let _turn = self.turn.lock().await;
        let fresh = std::mem::take(&mut *self.fresh.lock().unwrap_or_else(PoisonError::into_inner));
        if fresh.is_empty() {
            return Ok(());
        }
        let todo = self.with_parents(&fresh);
        let synced = sync_all(&todo).await;
        match &synced {
            Ok(()) => {
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                if known.len() > KNOWN_MAX {
                    known.clear();
                }
                // Each was synced with the one above it, in which its name stands.
                known.extend(todo);
            }
            Err(_) => self.fresh.lock().unwrap_or_else(PoisonError::into_inner).extend(fresh),
        }
        synced
    }

    /// With the directories above those that are new themselves.
    fn with_parents(&self, fresh: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut todo = BTreeSet::new();
        for directory in fresh {
            for directory in directory.ancestors().take_while(|above| above.starts_with(&self.root)) {
                todo.insert(directory.to_path_buf());
                if known.contains(directory) {
                    break;
                }
            }
        }
        todo
    }
}

/// Several at once: the disk then writes its own cache through once for all of them. On threads that end: those of a pool
/// would stay, and the more of them work in turn, the less memory that one has freed is used again.
async fn sync_all(directories: &BTreeSet<PathBuf>) -> io::Result<()> {
    let directories: Vec<PathBuf> = directories.iter().cloned().collect();
    let work = move || {
        std::thread::scope(|scope| {
            let parts = directories.chunks(directories.len().div_ceil(SYNCS_AT_ONCE).max(1));
            let threads: Vec<_> = parts
                .map(|part| scope.spawn(|| part.iter().try_for_each(|directory| sync(directory))))
                .collect();
            let broken = |_| Err(io::Error::other("a thread that syncs directories broke off"));
            threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(broken))
        })
    };
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn sync(directory: &Path) -> io::Result<()> {
    match File::open(directory) {
        Ok(directory) => directory.sync_all(),
        // Taken away meanwhile, with the files in it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_directory_is_synced_for_new_names_in_it_and_for_no_others() {
        let directories = Directories::below("/nowhere".into());
        let set = |below: &[&str]| {
            below.iter().map(|path| Path::new("/nowhere").join(path)).collect::<BTreeSet<_>>()
        };
        let one = set(&["room/one/metadata"]);
        assert_eq!(
            directories.with_parents(&one),
            set(&["", "room", "room/one", "room/one/metadata"]),
            "all are new"
        );
        directories.fresh.lock().unwrap().extend(one.clone());
        directories.sync_names().await.unwrap();
        assert_eq!(directories.with_parents(&one), one);
        let day = set(&["room/one/data/day=1"]);
        let new = set(&["room/one", "room/one/data", "room/one/data/day=1"]);
        assert_eq!(directories.with_parents(&day), new, "a folder in one that is known");
    }
}
