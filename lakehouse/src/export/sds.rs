//! The SeisComP data structure: `YEAR/NET/STA/CHAN.D/NET.STA.LOC.CHAN.D.YEAR.DAY`. A record belongs to the day of its start.
//!
//! Files are written under names that end in `.partial` and take their places together at the end; those of an earlier
//! export are replaced then. An export that does not come to its end leaves nothing behind. Codes stand escaped in paths
//! (`path_component`), and links below the root are not followed: nothing is written outside the root.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use chrono::DateTime;
use seislake_model::{SourceId, path_component};
use seislake_mseed::Record;
use seislake_streams::replace::begin_file;

use super::{partial_of, put_in_place};

/// Path of the file of a channel and the day of `start_ns`, below the root.
fn path_of(source_id: &SourceId, start_ns: i64) -> PathBuf {
    let day = DateTime::from_timestamp_nanos(start_ns);
    let (year, day) = (day.format("%Y"), day.format("%j"));
    let channel = source_id.channel();
    let [network, station, channel] =
        [source_id.network(), source_id.station(), &channel].map(|code| path_component(code));
    // No location is nothing between two dots, as everywhere in this structure.
    let location = Some(source_id.location()).filter(|code| !code.is_empty()).map(path_component);
    let location = location.unwrap_or_default();
    [
        year.to_string(),
        network.to_string(),
        station.to_string(),
        format!("{channel}.D"),
        format!("{network}.{station}.{location}.{channel}.D.{year}.{day}"),
    ]
    .iter()
    .collect()
}

/// Links on the way below the root may lead out of it: they are refused. The root itself may be one: its owner named it.
fn refuse_links(root: &Path, path: &Path) -> anyhow::Result<()> {
    let mut place = root.to_owned();
    for component in path.components() {
        place.push(component);
        if place.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
            bail!("\"{}\" is a link; links below --output are not followed", place.display());
        }
    }
    Ok(())
}

/// The files below a root, one of them open: records come by channel and time.
#[derive(Debug)]
pub struct Archive {
    root: PathBuf,
    /// Files under way, and what they become.
    begun: BTreeMap<PathBuf, PathBuf>,
    /// Folders that were not there before, outer ones first.
    made_folders: Vec<PathBuf>,
    open: Option<(PathBuf, BufWriter<File>)>,
}

impl Archive {
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), begun: BTreeMap::new(), made_folders: Vec::new(), open: None }
    }

    /// Writes a record.
    pub fn put(&mut self, source_id: &SourceId, record: &[u8]) -> anyhow::Result<()> {
        let start_ns = Record::parse(record).context("a record that is to be written is damaged")?.start_ns;
        self.append(path_of(source_id, start_ns), record)
    }

    fn append(&mut self, path: PathBuf, record: &[u8]) -> anyhow::Result<()> {
        let named = |path: &Path| format!("cannot write \"{}\"", path.display());
        if self.open.as_ref().is_none_or(|(open, _)| *open != path) {
            self.close()?;
            refuse_links(&self.root, &path)?;
            let full = self.root.join(&path);
            let partial = partial_of(&full);
            if let Some(folder) = full.parent() {
                self.make(folder).with_context(|| named(folder))?;
            }
            let file = match self.begun.contains_key(&partial) {
                true => File::options().append(true).open(&partial),
                false => begin_file(&partial),
            };
            let file = file.with_context(|| named(&full))?;
            self.begun.insert(partial, full);
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
    pub fn finish(mut self) -> anyhow::Result<usize> {
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

    #[test]
    fn codes_of_any_characters_stay_below_the_root() {
        for (id, expected) in [
            ("FDSN:.._..__H_H_Z", "1970/%2E%2E/%2E%2E/HHZ.D/%2E%2E.%2E%2E..HHZ.D.1970.001"),
            ("FDSN:XX_/etc__H_H_Z", "1970/XX/%2Fetc/HHZ.D/XX.%2Fetc..HHZ.D.1970.001"),
            (
                "FDSN:_S_.._H_H_/../../x",
                "1970/_/S/H_H_%2F%2E%2E%2F%2E%2E%2Fx.D/_.S.%2E%2E.H_H_%2F%2E%2E%2F%2E%2E%2Fx.D.1970.001",
            ),
        ] {
            let path = path_of(&id.parse().unwrap(), 0);
            assert_eq!(path.to_str(), Some(expected));
            assert_eq!(path.components().count(), 5);
        }
    }

    #[test]
    fn links_below_the_root_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (root, elsewhere) = (folder.path().join("sds"), folder.path().join("elsewhere"));
        fs::create_dir(&elsewhere).unwrap();
        fs::create_dir_all(root.join("2007/BW")).unwrap();
        std::os::unix::fs::symlink(&elsewhere, root.join("2007/BW/BGLD")).unwrap();
        let mut archive = Archive::new(&root);
        let id = SourceId::from_nslc("BW", "BGLD", "", "EHE");
        let error = archive.append(path_of(&id, 1_199_145_599_915_000_000), b"record").unwrap_err();
        assert!(error.to_string().contains("2007/BW/BGLD\" is a link"), "{error}");
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
        let file = root.join(path_of(&id, 1_199_145_600_000_000_000));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(elsewhere.join("file"), &file).unwrap();
        assert!(archive.append(path_of(&id, 1_199_145_600_000_000_000), b"record").is_err());
        // A link that waits for the file under way is replaced, not followed.
        let path = path_of(&id, 1_199_232_000_000_000_000);
        std::os::unix::fs::symlink(elsewhere.join("partial"), partial_of(&root.join(&path))).unwrap();
        archive.append(path, b"record").unwrap();
        drop(archive);
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    }
}
