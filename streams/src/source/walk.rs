//! Which files paths stand for: files as they are named, directories with all that lies in them.
//!
//! Links to files are followed, links to directories only where they are named: a walk ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use seislake_model::ErrorKind;

use crate::Error;

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
/// that is too deep.
pub fn walk(paths: &[PathBuf]) -> Result<Vec<Candidate>, Error> {
    let mut found = BTreeMap::new();
    for path in paths {
        visit(path, true, 0, &mut found)?;
    }
    Ok(found.into_iter().map(|(path, named)| Candidate { path, named }).collect())
}

fn visit(path: &Path, named: bool, depth: usize, found: &mut BTreeMap<PathBuf, bool>) -> Result<(), Error> {
    let failed = |error| Error::io(format!("cannot read \"{}\"", path.display()), error);
    let metadata = if named { path.metadata() } else { path.symlink_metadata() }.map_err(failed)?;
    if metadata.is_dir() {
        if depth > DIRECTORY_DEPTH_MAX {
            let message =
                format!("\"{}\" lies more than {DIRECTORY_DEPTH_MAX} directories deep", path.display());
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        for entry in path.read_dir().map_err(failed)? {
            visit(&entry.map_err(failed)?.path(), false, depth + 1, found)?;
        }
    } else if metadata.is_file() || (metadata.is_symlink() && path.is_file()) {
        *found.entry(path.to_owned()).or_default() |= named;
    }
    Ok(())
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
    fn a_path_that_does_not_exist_is_an_error() {
        let error = walk(&[PathBuf::from("/does/not/exist.mseed")]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert!(error.to_string().contains("/does/not/exist.mseed"), "{error}");
    }
}
