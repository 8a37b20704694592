//! Where an export goes: under a name that ends in `.partial` until it is whole, so that no half file looks like one.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use seislake_streams::replace::begin_file;

use super::{partial_of, put_in_place};

/// Whether an export is begun beside this place, and removed if it does not come to its end. A pipe and a device get what
/// there is at once, and may never take it.
#[must_use]
pub fn is_begun_beside(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |there| there.is_file() || there.is_dir())
}

/// One file, a pipe or device, or what the caller gives.
pub struct Output {
    writer: BufWriter<Box<dyn Write + Send>>,
    /// The file under way and the one that it becomes.
    places: Option<(PathBuf, PathBuf)>,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("places", &self.places).finish_non_exhaustive()
    }
}

impl Output {
    /// To a writer, as it comes.
    pub fn to(writer: impl Write + Send + 'static) -> Self {
        Self { writer: BufWriter::new(Box::new(writer)), places: None }
    }

    /// To a place: a file is begun beside it, a pipe or device is written to as it is.
    ///
    /// # Errors
    /// A directory, and a file system that does not let it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let named = || format!("cannot write \"{}\"", path.display());
        // A link stays a link to the file that is replaced; pipes and devices are written to as they are.
        let (target, replaceable) = match fs::metadata(path) {
            Ok(there) if there.is_dir() => bail!("cannot write \"{}\": it is a directory", path.display()),
            Ok(there) => (fs::canonicalize(path).with_context(named)?, there.is_file()),
            Err(_) => (path.to_owned(), true),
        };
        if !replaceable {
            let file = File::options().write(true).open(&target).with_context(named)?;
            return Ok(Self::to(file));
        }
        let partial = partial_of(&target);
        let file = begin_file(&partial).with_context(named)?;
        Ok(Self { writer: BufWriter::new(Box::new(file)), places: Some((partial, target)) })
    }

    /// Everything is written: the file comes to its place.
    ///
    /// # Errors
    /// A file system that does not let it.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.writer.flush().context("cannot write the export")?;
        if let Some((partial, target)) = &self.places {
            put_in_place(partial, target)?;
        }
        self.places = None;
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some((partial, _)) = &self.places {
            let _ = fs::remove_file(partial);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_takes_its_place_only_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.mseed");
        fs::write(&path, "before").unwrap();
        let mut dropped = Output::open(&path).unwrap();
        dropped.write_all(b"half").unwrap();
        dropped.flush().unwrap();
        assert_eq!((names(folder.path()).len(), fs::read(&path).unwrap()), (2, b"before".to_vec()));
        drop(dropped);
        assert_eq!(
            (names(folder.path()), fs::read(&path).unwrap()),
            (vec!["all.mseed".to_owned()], b"before".to_vec())
        );
        let mut whole = Output::open(&path).unwrap();
        whole.write_all(b"whole").unwrap();
        whole.finish().unwrap();
        assert_eq!(
            (names(folder.path()), fs::read(&path).unwrap()),
            (vec!["all.mseed".to_owned()], b"whole".to_vec())
        );
    }

    #[test]
    fn links_stay_devices_are_written_to_and_directories_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "before").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let mut output = Output::open(&link).unwrap();
        output.write_all(b"after").unwrap();
        output.finish().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"after");
        let mut null = Output::open(Path::new("/dev/null")).unwrap();
        null.write_all(b"gone").unwrap();
        null.finish().unwrap();
        let refused = Output::open(folder.path()).err().unwrap();
        assert!(refused.to_string().contains("it is a directory"), "{refused}");
    }
}
