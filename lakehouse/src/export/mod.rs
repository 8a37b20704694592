//! Files that are written for others: under a name of their own until they are whole.

mod output;
mod raw;
pub mod sds;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

pub use self::output::{Output, is_begun_beside};
pub use self::raw::{LostOriginals, Selection, write_records};

/// The name of a file while it is written: its own in this process, for another may write the same.
fn partial_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    path.with_file_name(name)
}

/// Everything is written: the file takes its place, in that of one that is there.
///
/// # Errors
/// A file system that does not let it.
fn put_in_place(partial: &Path, target: &Path) -> anyhow::Result<()> {
    fs::rename(partial, target).with_context(|| format!("cannot write \"{}\"", target.display()))
}
