//! Which files paths stand for: files as they are named, directories with all that lies in them.
//!
//! Links are followed: archives often lie on several disks. Each directory is walked once, whatever links lead to it, so
//! that a walk ends; by its own path where the walk comes to that, too.

use std::collections::{BTreeMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use seislake_model::ErrorKind;

use crate::Error;
use crate::error::Cause;
use crate::source::regular::kind;

const DIRECTORY_DEPTH_MAX: usize = 32;
/// Endings by which a file claims to be miniSEED or SEED.
const ENDINGS: [&str; 8] = ["mseed", "miniseed", "mseed3", "ms", "ms3", "seed", "msd", "m"];

/// Endings behind such a one.
const PACKED_ENDINGS: [&str; 3] = ["gz", "bz2", "zip"];

/// A file that may hold records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The file.
    pub path: PathBuf,
    /// The user named it himself; else it lies in a directory that he named.
    pub named: bool,
}

impl Candidate {
    /// Whether it should hold records, by its ending or by being named. One that need not and does not is passed over;
    /// of one that should it is told.
    pub fn claims_to_hold_records(&self) -> bool {
        let ending = |path: &Path| path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let last = ending(&self.path).unwrap_or_default();
        let is_packed = PACKED_ENDINGS.contains(&last.as_str());
        let before = self.path.file_stem().map(Path::new).filter(|_| is_packed).and_then(ending);
        let claimed = before.unwrap_or(last);
        self.named || ENDINGS.contains(&claimed.as_str())
    }
}

/// The files of `paths`, each once, in the order of their paths.
///
/// # Errors
/// `NotFound` for a path that does not exist, `Unavailable` for a directory that cannot be listed, `Invalid` for one
/// that is too deep, and for what is named and is neither file nor directory.
pub fn walk(paths: &[PathBuf]) -> Result<Vec<Candidate>, Error> {
    let mut found = Walk::default();
    for path in paths {
        found.visit(path, Mention::ByUser, 0)?;
    }
    // Links last: what they lead to may have a path of its own.
    while let Some((path, depth)) = found.links.pop_first() {
        found.list(&path, depth)?;
    }
    Ok(found.files.into_iter().map(|(path, named)| Candidate { path, named }).collect())
}

/// Who names a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mention {
    ByUser,
    /// It lies in a folder.
    ByFolder,
}

#[derive(Default)]
struct Walk {
    /// And whether the user named them.
    files: BTreeMap<PathBuf, bool>,
    /// Device and inode of the directories that were listed.
    listed: HashSet<(u64, u64)>,
    /// Links to directories that are to be followed, with their depth.
    links: BTreeMap<PathBuf, usize>,
}

impl Walk {
    fn visit(&mut self, path: &Path, mention: Mention, depth: usize) -> Result<(), Error> {
        let named = mention == Mention::ByUser;
        let failed = |error| Error::io(format!("cannot read \"{}\"", path.display()), error);
        let is_link = !named && path.symlink_metadata().map_err(failed)?.is_symlink();
        let metadata = match path.metadata() {
            Err(error) if is_link => {
                let (link, error) = (path.display(), error.to_string());
                tracing::warn!(%link, error, "a link leads nowhere, or in a circle: it is passed over");
                return Ok(());
            }
            metadata => metadata.map_err(failed)?,
        };
        if metadata.is_file() {
            *self.files.entry(path.to_owned()).or_default() |= named;
        } else if metadata.is_dir() && is_link {
            self.links.insert(path.to_owned(), depth);
        } else if metadata.is_dir() {
            self.list(path, depth)?;
        } else if named {
            let message =
                format!("\"{}\" is {}, neither a file nor a folder", path.display(), kind(&metadata));
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(())
    }

    fn list(&mut self, path: &Path, depth: usize) -> Result<(), Error> {
        let failed = |error| Error::io(format!("cannot read \"{}\"", path.display()), error);
        if depth > DIRECTORY_DEPTH_MAX {
            let message =
                format!("\"{}\" lies more than {DIRECTORY_DEPTH_MAX} directories deep", path.display());
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let metadata = path.metadata().map_err(failed)?;
        if !self.listed.insert((metadata.dev(), metadata.ino())) {
            return Ok(());
        }
        for entry in path.read_dir().map_err(failed)? {
            self.visit(&entry.map_err(failed)?.path(), Mention::ByFolder, depth + 1)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_walked_in_the_order_of_paths_and_each_file_is_found_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["b/2.mseed", "b/1.mseed", "a/notes.txt", "a/d.mseed.GZ", "a/log.gz", "c.mseed"] {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink(root, root.join("b/loop")).unwrap();
        std::os::unix::fs::symlink(root.join("c.mseed"), root.join("b/link.mseed")).unwrap();
        let found = walk(&[root.join("b"), root.to_owned(), root.join("b/2.mseed")]).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|candidate| {
                let name = candidate.path.strip_prefix(root).unwrap().to_str().unwrap();
                (name, candidate.named, candidate.claims_to_hold_records())
            })
            .collect();
        let expected = [
            ("a/d.mseed.GZ", false, true),
            ("a/log.gz", false, false),
            ("a/notes.txt", false, false),
            ("b/1.mseed", false, true),
            ("b/2.mseed", true, true),
            ("b/link.mseed", false, true),
            ("c.mseed", false, true),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn directories_behind_links_are_walked_once_by_their_own_path_if_they_have_one() {
        let folder = tempfile::tempdir().unwrap();
        let (root, disk) = (folder.path().join("archive"), folder.path().join("disk"));
        for path in [disk.join("SY/a.mseed"), root.join("2026/b.mseed")] {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let link = |to: &Path, at: PathBuf| std::os::unix::fs::symlink(to, at).unwrap();
        link(&disk, root.join("2025"));
        link(&disk, root.join("2025-once-more"));
        link(&root.join("2026"), root.join("0-this-year"));
        link(&root, disk.join("SY/up"));
        link(&folder.path().join("gone"), root.join("gone"));
        link(&root.join("self"), root.join("self"));
        let found = walk(std::slice::from_ref(&root)).unwrap();
        let paths: Vec<_> =
            found.iter().map(|candidate| candidate.path.strip_prefix(&root).unwrap()).collect();
        assert_eq!(paths, [Path::new("2025/SY/a.mseed"), Path::new("2026/b.mseed")]);
    }

    #[test]
    fn links_that_branch_again_and_again_end() {
        let folder = tempfile::tempdir().unwrap();
        for level in 0..20 {
            let directory = folder.path().join(format!("{level}"));
            std::fs::create_dir(&directory).unwrap();
            for link in 0..10 {
                let next = folder.path().join(format!("{}", level + 1));
                std::os::unix::fs::symlink(next, directory.join(format!("{link}"))).unwrap();
            }
        }
        std::fs::write(folder.path().join("20"), "").unwrap();
        let found = walk(&[folder.path().join("0")]).unwrap();
        assert_eq!(found.len(), 10);
    }

    #[test]
    fn a_path_that_does_not_exist_is_an_error() {
        let error = walk(&[PathBuf::from("/does/not/exist.mseed")]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert!(error.to_string().contains("/does/not/exist.mseed"), "{error}");
    }
}
