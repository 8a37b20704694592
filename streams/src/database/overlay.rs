//! A database file that is looked at and never changed: what the library writes stays in memory.
//!
//! ```text
//! write ─► pages in memory ◄─ read ─► the file, where no page is in memory
//! ```
//! The library mends what an unclean end left before it shows anything, so it must be able to write.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// Bytes of a page in memory.
const PAGE_BYTES: u64 = 4096;

#[derive(Debug)]
pub(super) struct Overlay {
    file: File,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Bytes of the database.
    size: u64,
    /// Bytes of the file that still count.
    file_bytes: u64,
    /// Pages that were written, by their number.
    pages: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    pub(super) fn over(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { file, state: Mutex::new(State { size, file_bytes: size, pages: BTreeMap::new() }) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of the file from `offset` on; zeros behind its end.
    fn read_file(&self, file_bytes: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = (file_bytes.saturating_sub(offset)).min(out.len() as u64) as usize;
        let (from_file, behind) = out.split_at_mut(there);
        behind.fill(0);
        self.file.read_exact_at(from_file, offset)
    }
}

/// The parts of `offset..offset + length` that lie in one page each: page, first byte in it, bytes.
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let end = offset.saturating_add(length as u64);
    let mut next = offset;
    std::iter::from_fn(move || {
        let (page, first) = (next / PAGE_BYTES, next % PAGE_BYTES);
        let count = (PAGE_BYTES - first).min(end - next);
        next += count;
        (count > 0).then_some((page, first as usize, count as usize))
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().size)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.lock();
        if offset.saturating_add(out.len() as u64) > state.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut rest = out;
        for (page, first, count) in parts(offset, rest.len()) {
            let (part, behind) = rest.split_at_mut(count);
            match state.pages.get(&page).and_then(|page| page.get(first..first + count)) {
                Some(written) => part.copy_from_slice(written),
                None => self.read_file(state.file_bytes, page * PAGE_BYTES + first as u64, part)?,
            }
            rest = behind;
        }
        Ok(())
    }

    fn set_len(&self, size: u64) -> io::Result<()> {
        let mut state = self.lock();
        state.size = size;
        state.file_bytes = state.file_bytes.min(size);
        drop(state.pages.split_off(&size.div_ceil(PAGE_BYTES)));
        if let Some(last) = state.pages.get_mut(&(size / PAGE_BYTES)) {
            last.iter_mut().skip((size % PAGE_BYTES) as usize).for_each(|byte| *byte = 0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        state.size = state.size.max(offset.saturating_add(data.len() as u64));
        let mut rest = data;
        for (number, first, count) in parts(offset, data.len()) {
            let (part, behind) = rest.split_at(count);
            if !state.pages.contains_key(&number) {
                let mut page = vec![0; PAGE_BYTES as usize];
                self.read_file(state.file_bytes, number * PAGE_BYTES, &mut page)?;
                state.pages.insert(number, page);
            }
            let page = state.pages.get_mut(&number).and_then(|page| page.get_mut(first..first + count));
            page.ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(part);
            rest = behind;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_the_file_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("database");
        let kept: Vec<u8> = (0..10_000_u32).map(|at| at as u8 | 1).collect();
        std::fs::write(&path, &kept).unwrap();
        let (overlay, mut expected) = (Overlay::over(&path).unwrap(), kept.clone());
        for (offset, byte_count) in [(4090, 20), (0, 1), (9_990, 10), (12_000, 5000), (8192, 4096)] {
            let data = vec![200; byte_count];
            overlay.write(offset as u64, &data).unwrap();
            expected.resize(expected.len().max(offset + byte_count), 0);
            expected[offset..offset + byte_count].copy_from_slice(&data);
            assert_read(&overlay, &expected);
        }
        // What was cut off does not come back.
        for size in [9000, 9500, 4096, 16_000, 100, 12_000] {
            overlay.set_len(size as u64).unwrap();
            expected.resize(size, 0);
            assert_read(&overlay, &expected);
        }
        assert!(overlay.read(11_999, &mut [0; 2]).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), kept);
    }

    fn assert_read(overlay: &Overlay, expected: &[u8]) {
        let mut read = vec![7; overlay.len().unwrap() as usize];
        overlay.read(0, &mut read).unwrap();
        assert!(read == expected);
        let mut part = vec![7; 50];
        overlay.read(20, &mut part).unwrap();
        assert_eq!(part, expected[20..70]);
    }
}
