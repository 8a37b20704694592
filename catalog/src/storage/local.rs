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
        let synced = tokio::task::spawn_blocking(move || {
            todo.iter().try_for_each(|directory| match File::open(directory) {
                Ok(directory) => directory.sync_all(),
                // Taken away meanwhile, with the files in it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            })
        });
        let synced = synced.await.map_err(io::Error::other).and_then(|synced| synced);
        match &synced {
            Ok(()) => {
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                if known.len() > KNOWN_MAX {
                    known.clear();
                }
                known.extend(fresh);
            }
            Err(_) => self.fresh.lock().unwrap_or_else(PoisonError::into_inner).extend(fresh),
        }
        synced
    }

    /// With the directories above those that are new themselves.
    fn with_parents(&self, fresh: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut todo = fresh.clone();
        for directory in fresh.iter().filter(|directory| !known.contains(*directory)) {
            let above = directory.ancestors().skip(1);
            todo.extend(above.take_while(|above| above.starts_with(&self.root)).map(Path::to_path_buf));
        }
        todo
    }
}
