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

/// No configuration or velocity model that somebody wrote is longer.
const TEXT_BYTES_MAX: u64 = 16 << 20;

/// All of a file that is text.
///
/// # Errors
/// As [`open_file`], and where it cannot be read, is longer than 16 MiB or is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    let file = open_file(path)?;
    let byte_count = file.metadata()?.len();
    let bytes = read_at_most(file, byte_count, TEXT_BYTES_MAX)?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

/// All of what is read as a whole, and says that it has so many bytes.
///
/// # Errors
/// Where it has more than it may have, or cannot be read.
pub(super) fn read_at_most(reader: impl Read, byte_count: u64, byte_count_max: u64) -> io::Result<Vec<u8>> {
    let too_large = |message| Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    if byte_count > byte_count_max {
        return too_large(format!("it has {byte_count} bytes, and such a file may have {byte_count_max}"));
    }
    let mut bytes = Vec::new();
    // It may become longer while it is read, or not say its length.
    reader.take(byte_count_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > byte_count_max {
        return too_large(format!("it has more bytes than such a file may have, {byte_count_max}"));
    }
    Ok(bytes)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_refused_before_it_is_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        File::create(&path).unwrap().set_len(60 << 30).unwrap();
        let error = read_text(&path).unwrap_err().to_string();
        assert_eq!(error, "it has 64424509440 bytes, and such a file may have 16777216");
        // One that grows, or does not say how long it is.
        let error = read_at_most(io::repeat(b' '), 0, 1000).unwrap_err().to_string();
        assert_eq!(error, "it has more bytes than such a file may have, 1000");
        assert_eq!(read_at_most(&b"1000"[..], 4, 4).unwrap(), b"1000");
    }
}
