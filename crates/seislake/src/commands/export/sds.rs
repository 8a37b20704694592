//! The SeisComP data structure: `YEAR/NET/STA/CHAN.D/NET.STA.LOC.CHAN.D.YEAR.DAY`. A record belongs to the day of its start.
//!
//! Files are written under names that end in `.partial` and take their places together at the end; those of an earlier
//! export are replaced then. An export that does not come to its end leaves nothing behind.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use chrono::DateTime;
use seislake_model::SourceId;
use seislake_mseed::Record;

use super::output::{partial_of, put_in_place};

/// Path of the file of a channel and the day of `start_ns`, below the root.
fn path_of(source_id: &SourceId, start_ns: i64) -> PathBuf {
    let day = DateTime::from_timestamp_nanos(start_ns);
    let (year, day) = (day.format("%Y"), day.format("%j"));
    let (network, station) = (source_id.network(), source_id.station());
    let (location, channel) = (source_id.location(), source_id.channel());
    [
        year.to_string(),
        network.to_owned(),
        station.to_owned(),
        format!("{channel}.D"),
        format!("{network}.{station}.{location}.{channel}.D.{year}.{day}"),
    ]
    .iter()
    .collect()
}

/// The files below a root, one of them open: records come by channel and time.
pub(super) struct Archive {
    root: PathBuf,
    /// Files under way, and what they become.
    begun: BTreeMap<PathBuf, PathBuf>,
    /// Folders that were not there before, outer ones first.
    made_folders: Vec<PathBuf>,
    open: Option<(PathBuf, BufWriter<File>)>,
}

impl Archive {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), begun: BTreeMap::new(), made_folders: Vec::new(), open: None }
    }

    /// Writes a record.
    pub(super) fn put(&mut self, source_id: &SourceId, record: &[u8]) -> anyhow::Result<()> {
        let start_ns = Record::parse(record).context("a record that is to be written is damaged")?.start_ns;
        self.append(path_of(source_id, start_ns), record)
    }

    fn append(&mut self, path: PathBuf, record: &[u8]) -> anyhow::Result<()> {
        let named = |path: &Path| format!("cannot write \"{}\"", path.display());
        if self.open.as_ref().is_none_or(|(open, _)| *open != path) {
            self.close()?;
            let full = self.root.join(&path);
            let partial = partial_of(&full);
            if let Some(folder) = full.parent() {
                self.make(folder).with_context(|| named(folder))?;
            }
            let first = self.begun.insert(partial.clone(), full.clone()).is_none();
            let mut options = OpenOptions::new();
            if first {
                options.write(true).create(true).truncate(true)
            } else {
                options.append(true)
            };
            let file = options.open(&partial).with_context(|| named(&full))?;
            self.open = Some((path, BufWriter::new(file)));
        }
        let Some((path, file)) = &mut self.open else { return Ok(()) };
        file.write_all(record).with_context(|| named(path))
    }

    fn make(&mut self, folder: &Path) -> std::io::Result<()> {
        let mut missing: Vec<PathBuf> = folder
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .map(Path::to_owned)
            .collect();
        missing.reverse();
        self.made_folders.append(&mut missing);
        fs::create_dir_all(folder)
    }

    fn close(&mut self) -> anyhow::Result<()> {
        match self.open.take() {
            Some((path, mut file)) => {
                file.flush().with_context(|| format!("cannot write \"{}\"", path.display()))
            }
            None => Ok(()),
        }
    }

    /// Everything is written: the files take their places. Returns how many there are.
    pub(super) fn finish(mut self) -> anyhow::Result<usize> {
        self.close()?;
        let file_count = self.begun.len();
        while let Some((partial, full)) = self.begun.pop_first() {
            if let Err(error) = put_in_place(&partial, &full) {
                self.begun.insert(partial, full);
                return Err(error);
            }
        }
        self.made_folders.clear();
        Ok(file_count)
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        self.open = None;
        for partial in self.begun.keys() {
            let _ = fs::remove_file(partial);
        }
        // Inner ones first; one that holds something by now stays.
        for folder in self.made_folders.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_belongs_to_the_day_of_its_start() {
        let id = SourceId::from_nslc("BW", "BGLD", "", "EHE");
        let last_ns = 1_199_145_599_915_000_000;
        assert_eq!(path_of(&id, last_ns).to_str(), Some("2007/BW/BGLD/EHE.D/BW.BGLD..EHE.D.2007.365"));
        assert_eq!(
            path_of(&id, last_ns + 85_000_000).to_str(),
            Some("2008/BW/BGLD/EHE.D/BW.BGLD..EHE.D.2008.001")
        );
    }

    #[test]
    fn an_archive_that_is_not_finished_leaves_nothing_behind_and_keeps_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("archive");
        let id = SourceId::from_nslc("BW", "BGLD", "", "EHE");
        let record = |day: i64| {
            let start_ns = 1_199_145_600_000_000_000 + day * 86_400_000_000_000;
            let settings = seislake_mseed::PackSettings::new(id.as_str(), start_ns, 1.0);
            seislake_mseed::pack(&settings, [1_i32, 2, 3].as_slice()).unwrap().remove(0)
        };
        let path = |day: i64| root.join(path_of(&id, Record::parse(&record(day)).unwrap().start_ns));
        let mut dropped = Archive::new(&root);
        [0, 1, 0].iter().for_each(|day| dropped.put(&id, &record(*day)).unwrap());
        drop(dropped);
        assert!(!root.exists(), "the folders it made are gone too");

        let mut whole = Archive::new(&root);
        [0, 1, 0].iter().for_each(|day| whole.put(&id, &record(*day)).unwrap());
        assert!(!path(0).exists());
        assert_eq!(whole.finish().unwrap(), 2);
        assert_eq!(fs::read(path(0)).unwrap(), [record(0), record(0)].concat());

        let mut again = Archive::new(&root);
        [1, 2].iter().for_each(|day| again.put(&id, &record(*day)).unwrap());
        drop(again);
        assert_eq!(fs::read(path(1)).unwrap(), record(1));
        assert!(!path(2).exists());
        let left = fs::read_dir(path(1).parent().unwrap()).unwrap().count();
        assert_eq!(left, 2, "no partial file stays");
    }
}
