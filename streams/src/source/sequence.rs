//! Planned files one behind the other: by the day they begin, then by channel, each in its own order.
//!
//! Neighbouring records of a channel stay neighbours, so the segments made of them are long and lie together in the
//! tables. The order is a function of what the files hold; only files that begin alike are told apart by their names.

use super::files::{CHUNK_BYTES_MAX, FileSettings, PlannedFile};
use super::reader::Cursor;
use crate::Error;
use crate::error::Cause;
use crate::gate::{Offer, ReceivedRecord, Refusal};

const DAY_NS: i64 = 86_400_000_000_000;

/// See [`super::files::Plan::sequence`]. Reading blocks: call it from a thread that may.
#[derive(Debug)]
pub struct FileSequence {
    refusals: Vec<Refusal>,
    /// The next one last.
    waiting: Vec<PlannedFile>,
    open: Option<(Cursor, PlannedFile)>,
    settings: FileSettings,
    bytes: u64,
}

impl FileSequence {
    pub(super) fn new(refusals: Vec<Refusal>, mut files: Vec<PlannedFile>, settings: FileSettings) -> Self {
        let day = |file: &PlannedFile| file.first_start_ns.div_euclid(DAY_NS);
        files.sort_by(|a, b| {
            let key = |file: &PlannedFile| (day(file), file.first_source.clone(), file.first_start_ns);
            key(b).cmp(&key(a)).then_with(|| b.name.cmp(&a.name))
        });
        let refusals = settings.refusals_of_share(refusals);
        Self { refusals, waiting: files, open: None, settings, bytes: 0 }
    }

    /// Bytes of records read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next offers, about `bytes_max` bytes of records; empty at the end.
    ///
    /// # Errors
    /// A file that was readable when it was scanned and is not any more.
    pub fn next_offers(&mut self, bytes_max: usize) -> Result<Vec<Offer>, Error> {
        let mut offers: Vec<Offer> = self.refusals.drain(..).map(Offer::Refused).collect();
        let mut taken = 0;
        while taken < bytes_max {
            let Some((cursor, file)) = self.current()? else { break };
            let name = std::sync::Arc::clone(&file.name);
            let next = cursor.next().map_err(|error| Error::io(format!("cannot read \"{name}\""), error))?;
            let Some(found) = next else {
                self.open = None;
                continue;
            };
            taken += found.bytes.len();
            self.bytes += found.bytes.len() as u64;
            if self.settings.is_ours(&found.bytes) {
                let origin = Some(name);
                offers.push(Offer::Record(ReceivedRecord { bytes: found.bytes, arrival_time: None, origin }));
            }
        }
        Ok(offers)
    }

    fn current(&mut self) -> Result<Option<&mut (Cursor, PlannedFile)>, Error> {
        if self.open.is_none() {
            let Some(file) = self.waiting.pop() else { return Ok(None) };
            let cursor = Cursor::in_file_order(&file.member, CHUNK_BYTES_MAX)
                .map_err(|error| Error::io(format!("cannot read \"{}\"", file.name), error))?;
            self.open = Some((cursor, file));
        }
        Ok(self.open.as_mut())
    }
}
