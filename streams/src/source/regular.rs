//! Opens files that a user named, and nothing else: a pipe waits for its writer in a call that no signal ends, and a device
//! may never end.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a file for reading, without waiting.
///
/// # Errors
/// Where it cannot be opened, or is no file.
pub fn open_file(path: &Path) -> io::Result<File> {
    // Looked at first: to open a device may do something to it.
    refuse_others(&path.metadata()?)?;
    let without_waiting = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(without_waiting).open(path)?;
    refuse_others(&file.metadata()?)?;
    Ok(file)
}

/// All of a file that is text.
///
/// # Errors
/// As [`open_file`], and where it cannot be read or is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open_file(path)?.read_to_string(&mut text)?;
    Ok(text)
}

fn refuse_others(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let message = format!("it is {}, not a file", kind(metadata));
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// What lies there, in words.
pub fn kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_dir() {
        "a folder"
    } else if kind.is_file() {
        "a file"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else {
        "something else"
    }
}
