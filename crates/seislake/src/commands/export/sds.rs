//! The SeisComP data structure: `YEAR/NET/STA/CHAN.D/NET.STA.LOC.CHAN.D.YEAR.DAY`. A record belongs to the day of its start.
//!
//! Files of an earlier export are replaced, file by file, as records for them come.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use chrono::DateTime;
use futures::{Stream, TryStreamExt};
use seislake_api::{ApiError, RecordBlock};
use seislake_model::SourceId;
use seislake_mseed::Record;

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
    begun: HashSet<PathBuf>,
    open: Option<(PathBuf, BufWriter<File>)>,
}

impl Archive {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), begun: HashSet::new(), open: None }
    }

    /// Writes all records.
    pub(super) async fn take(
        &mut self,
        blocks: impl Stream<Item = Result<RecordBlock, ApiError>> + Send,
    ) -> anyhow::Result<()> {
        let mut blocks = std::pin::pin!(blocks);
        while let Some(block) = blocks.try_next().await? {
            for record in &block.records {
                self.put(&block.source_id, record)?;
            }
        }
        Ok(())
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
            if let Some(folder) = full.parent() {
                std::fs::create_dir_all(folder).with_context(|| named(folder))?;
            }
            let first = self.begun.insert(path.clone());
            let mut options = OpenOptions::new();
            if first {
                options.write(true).create(true).truncate(true)
            } else {
                options.append(true)
            };
            let file = options.open(&full).with_context(|| named(&full))?;
            self.open = Some((path, BufWriter::new(file)));
        }
        let Some((path, file)) = &mut self.open else { return Ok(()) };
        file.write_all(record).with_context(|| named(path))
    }

    pub(super) fn close(&mut self) -> anyhow::Result<()> {
        match self.open.take() {
            Some((path, mut file)) => {
                file.flush().with_context(|| format!("cannot write \"{}\"", path.display()))
            }
            None => Ok(()),
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
}
