//! Files of a home's own that are always whole: written under a name beside, made durable, and put in place.
//!
//! Whatever lies under the name beside goes first. It may be a link that somebody laid there, and what that leads to is
//! not ours to write.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// Begins a file: what lies there is removed, and no link is followed.
///
/// # Errors
/// Where it cannot be removed, as a folder, or the file cannot be made.
pub fn begin_file(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // A new one (O_EXCL) is never made through a link.
    File::options().write(true).create_new(true).open(path)
}

/// Puts `bytes` into the place of what `file` says, by way of `new`, of the same file system: at any moment, also after a
/// crash, it says the one or the other.
///
/// # Errors
/// A file system that does not let it.
pub fn replace(file: &Path, new: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut begun = begin_file(new)?;
    begun.write_all(bytes)?;
    begun.sync_all()?;
    fs::rename(new, file)?;
    file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_link_leads_to_stays_and_the_link_goes() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("precious"), "precious").unwrap();
        for target in ["precious", "nothing"] {
            std::os::unix::fs::symlink(at(target), at("file.new")).unwrap();
            replace(&at("file"), &at("file.new"), b"ours").unwrap();
            assert!(fs::symlink_metadata(at("file")).unwrap().is_file(), "{target}");
            assert_eq!(fs::read(at("file")).unwrap(), b"ours");
        }
        assert_eq!(fs::read(at("precious")).unwrap(), b"precious");
        assert!(!at("nothing").exists() && !at("file.new").exists());
        fs::hard_link(at("precious"), at("file.new")).unwrap();
        replace(&at("file"), &at("file.new"), b"ours").unwrap();
        assert_eq!(fs::read(at("precious")).unwrap(), b"precious");
        fs::create_dir(at("file.new")).unwrap();
        assert!(replace(&at("file"), &at("file.new"), b"other").is_err());
        assert_eq!(fs::read(at("file")).unwrap(), b"ours");
    }
}
