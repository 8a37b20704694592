//! A topic read from its files from the first record to the last, by somebody who does not have the log open.
//!
//! Nothing is changed: files that a start would cut or set aside stay as they are, and what is damaged is passed over.

use std::fs;
use std::path::Path;

use super::Record;
use super::batch::BatchPlace;
use super::file::{partition_folders, segment_bases};
use super::segment::{Segment, Verify, Walk, file_name, misplaced};
use crate::Error;
use crate::error::Cause;

/// Bytes of records handed over at once.
const PIECE_BYTES: usize = 8 << 20;

/// Hands the records of `topic` below `home` (or below a share of it) to `each` in pieces, partition by partition, in the
/// order of offsets. Lost records are left out.
///
/// # Errors
/// Files that cannot be read for other reasons than damage, and what `each` fails with.
pub fn scan(
    home: &Path,
    topic: &str,
    mut each: impl FnMut(u32, Vec<Record>) -> Result<(), Error>,
) -> Result<(), Error> {
    let directory = home.join("log").join(topic);
    for partition in partition_folders(&directory)? {
        let place = BatchPlace::of(topic, partition);
        let folder = directory.join(partition.to_string());
        let bases = segment_bases(&folder)?;
        for (index, base) in bases.iter().enumerate() {
            let path = folder.join(file_name(*base));
            if misplaced(&path, place, *base)?.is_some() {
                continue;
            }
            let file = fs::File::open(&path)
                .map_err(|e| Error::io(format!("open log segment \"{}\"", path.display()), e))?;
            let end = Walk::of(&file, &path, place, *base, Verify::Headers)?.next;
            let until = bases.get(index + 1).map_or(end, |next| end.min(*next));
            let segment = Segment::sealed(path, place, *base, until);
            let mut next = *base;
            while next < until {
                let mut records = Vec::new();
                segment.read(next, PIECE_BYTES, &mut records)?;
                let Some(last) = records.last() else { break };
                next = last.offset + 1;
                records.retain(|record| !record.is_lost());
                each(partition, records)?;
            }
        }
    }
    Ok(())
}
