//! A damaged segment file becomes files of its whole batches; the damaged one is kept beside them.
//!
//! ```text
//! base.log = run 0 · gap · run 1 · gap · run 2
//!   keep   base.log.damaged, the same file by a second name; never in the place of one kept before
//!   copy   run 0, run 1, run 2 ─► ….log.new, which nobody reads
//!   place  run 2, then run 1: base.log still holds what they hold, and readers go on in the file that begins later
//!   place  run 0 in the place of base.log, or take base.log away where it begins with a gap
//!   note   the gaps
//! ```
//! Whoever is killed between two steps leaves a log in which every record that was readable is readable. What was appended
//! to a placed run meanwhile stays: only runs that begin before the next segment are made again.

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use seislake_model::{ErrorKind, Offset};

use super::batch::BatchPlace;
use super::file::{segment_bases, sync_directory};
use super::repair::{LogDamage, LogFinding, note_gap};
use super::segment::{Verify, Walk, file_name};
use crate::Error;
use crate::database::free_name;
use crate::error::Cause;
use crate::replace::begin_file;

/// Bytes copied at once.
const COPY_BYTES: u64 = 1 << 20;

/// One change of the folder, durable before the next begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// What lies behind the last whole batch of the last segment is cut off, as every start does.
    Cut { file: PathBuf, byte_count: u64 },
    /// The file gets a second name.
    Keep { file: PathBuf, kept: PathBuf },
    /// A part of the file becomes a file of its own.
    Copy { file: PathBuf, position: u64, byte_count: u64, new: PathBuf },
    /// A new file gets the name of a segment.
    Place { new: PathBuf, to: PathBuf },
    /// The damaged file goes: nothing of it begins where it does.
    Remove(PathBuf),
    /// A hole is told of once.
    Note(Range<Offset>),
}

/// Mends the segment file of a finding.
pub(super) fn rewrite(directory: &Path, finding: &LogFinding) -> Result<(), Error> {
    steps(directory, finding)?.iter().try_for_each(|step| step.take(directory))
}

/// What is to be done about the segment file of a finding: nothing, where it was done before.
pub(super) fn steps(directory: &Path, finding: &LogFinding) -> Result<Vec<Step>, Error> {
    let file = finding.file.as_path();
    let context = |e| Error::io(format!("repair log segment \"{}\"", file.display()), e);
    let name = file.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
    let base: Offset =
        name.ok_or_else(|| Error::new(ErrorKind::Internal, format!("\"{}\" is no segment", file.display())))?;
    let opened = match fs::File::open(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.map_err(context)?,
    };
    let place = BatchPlace::of(&finding.topic, finding.partition);
    let walk = Walk::of(&opened, file, place, base, Verify::Bodies)?;
    if walk.gaps.is_empty() && walk.torn_bytes == 0 {
        return Ok(Vec::new());
    }
    if walk.gaps.is_empty() && finding.damage == LogDamage::TornTail {
        return Ok(vec![Step::Cut { file: file.to_owned(), byte_count: walk.byte_count }]);
    }
    let until = segment_bases(directory)?.into_iter().find(|next| *next > base).unwrap_or(Offset::MAX);
    let mut runs = walk.runs(base);
    runs.retain(|(_, _, first)| *first < until);
    if walk.gaps.is_empty() && runs.is_empty() {
        // Readers find the records that are lost behind an empty file, too.
        runs.push((0, 0, base));
    }
    let mut steps = Vec::new();
    let kept = kept_name(file)?;
    steps.extend(kept.map(|kept| Step::Keep { file: file.to_owned(), kept }));
    let names = |first: Offset| {
        let to = directory.join(file_name(first));
        (to.with_extension("log.new"), to)
    };
    for (position, byte_count, first) in runs.iter().copied() {
        let (new, _) = names(first);
        steps.push(Step::Copy { file: file.to_owned(), position, byte_count, new });
    }
    for (_, _, first) in runs.iter().rev() {
        let (new, to) = names(*first);
        steps.push(Step::Place { new, to });
    }
    if runs.first().is_none_or(|(_, _, first)| *first != base) {
        steps.push(Step::Remove(file.to_owned()));
    }
    let gaps = walk.gaps.iter().map(|gap| gap.from..gap.to.min(until)).filter(|gap| !gap.is_empty());
    steps.extend(gaps.map(Step::Note));
    Ok(steps)
}

/// A free name for the damaged file; `None` where it has one already.
fn kept_name(file: &Path) -> Result<Option<PathBuf>, Error> {
    let context = |e| Error::io(format!("look at \"{}\"", file.display()), e);
    let own = fs::metadata(file).map_err(context)?;
    let kept = file.with_extension("log.damaged");
    let prefix = kept.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    for entry in fs::read_dir(file.parent().unwrap_or(file)).map_err(context)? {
        let entry = entry.map_err(context)?;
        if !entry.file_name().to_string_lossy().starts_with(&prefix) {
            continue;
        }
        let other = entry.metadata().map_err(context)?;
        if (other.dev(), other.ino()) == (own.dev(), own.ino()) {
            return Ok(None);
        }
    }
    free_name(&kept).map(Some)
}

impl Step {
    pub(super) fn take(&self, directory: &Path) -> Result<(), Error> {
        let done = match self {
            Self::Cut { file, byte_count } => cut(file, *byte_count),
            Self::Keep { file, kept } => fs::hard_link(file, kept),
            Self::Copy { file, position, byte_count, new } => copy(file, *position, *byte_count, new),
            Self::Place { new, to } => fs::rename(new, to),
            Self::Remove(file) => fs::remove_file(file),
            Self::Note(gap) => return note_gap(directory, gap),
        };
        done.map_err(|e| Error::io(format!("repair the log in \"{}\"", directory.display()), e))?;
        sync_directory(directory)
    }
}

fn cut(file: &Path, byte_count: u64) -> std::io::Result<()> {
    let file = fs::File::options().write(true).open(file)?;
    file.set_len(byte_count)?;
    file.sync_all()
}

fn copy(file: &Path, position: u64, byte_count: u64, to: &Path) -> std::io::Result<()> {
    let mut file = fs::File::open(file)?;
    file.seek(SeekFrom::Start(position))?;
    let mut out = begin_file(to)?;
    let mut left = byte_count;
    while left > 0 {
        let mut bytes = vec![0; left.min(COPY_BYTES) as usize];
        file.read_exact(&mut bytes)?;
        out.write_all(&bytes)?;
        left -= bytes.len() as u64;
    }
    out.sync_all()
}
