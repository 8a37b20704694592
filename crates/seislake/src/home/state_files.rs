//! What lies where the files of a home belong and is none: a pipe, a device, a folder, a link to nothing, a file without an
//! end. Reading one may never end, so each is looked for before anything is opened.
//!
//! ```text
//! home or share ─► entries ─► name tells what it must be ─► another thing lies there ─► Strange
//! ```
//! A link to a thing of the right kind is that thing. Names that no home has are passed over.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use seislake_catalog::kept_name;

use super::{CATALOG_FILE, HOW_TO_MEND, PLACE_FILE, PURPOSE_FILE, table_states};
use crate::velocity_model;

/// Something that is no file of a home, in the place of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Strange {
    pub(crate) path: PathBuf,
    /// What it is.
    pub(crate) damage: String,
    /// It can be put out of the way; else its owner must do something.
    pub(crate) removable: bool,
}

/// What must lie in a place, if anything does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Folder,
    File,
    /// A file of at most [`SMALL_BYTES_MAX`].
    SmallFile,
}

/// No description of a home, topic or model is longer.
const SMALL_BYTES_MAX: u64 = 16 << 20;
/// A file that claims so many times the room that it takes on the disk, beyond so many bytes, holds nothing: databases
/// reserve room ahead, but not that much.
const HOLLOW_RATIO: u64 = 64;
const HOLLOW_BYTES_MIN: u64 = 1 << 30;
/// Bytes of the blocks that a file system counts.
const BLOCK_BYTES: u64 = 512;

const HOME_FILES: [&str; 4] = ["lock", CATALOG_FILE, "catalog.sqlite-wal", "catalog.sqlite-shm"];
const HOME_SMALL_FILES: [&str; 3] = [PURPOSE_FILE, PLACE_FILE, "purpose.json.new"];
const HOME_FOLDERS: [&str; 5] = ["log", "state", "run", "shards", "warehouse"];
const STATE_FILES: [&str; 2] = ["state/seen.redb", "state/checkpoints.redb"];
const SMALL_FILES: [&str; 5] = [
    velocity_model::FILE,
    "state/velocity-model.json.new",
    table_states::FILE,
    "run/addresses.json",
    "run/addresses.json.new",
];

/// Everything strange in a home and its shares, but for the warehouse.
pub(crate) fn strange(home: &Path) -> Vec<Strange> {
    let mut found = of_entries(home);
    for share in super::shares(home) {
        found.extend(of_entries(&share));
        found.extend(of_log(&share.join("log")));
    }
    found.extend(of_log(&home.join("log")));
    found
}

/// Refuses a home in which something strange lies, and says what to do.
pub(crate) fn refuse_strange(home: &Path) -> anyhow::Result<()> {
    refuse(strange(home))
}

/// The same for those who read tables only: they open nothing of the log and the state.
pub(crate) fn refuse_strange_to_readers(home: &Path) -> anyhow::Result<()> {
    refuse(of_entries(home))
}

fn refuse(found: Vec<Strange>) -> anyhow::Result<()> {
    let Some(first) = found.first() else { return Ok(()) };
    let way = if first.removable { HOW_TO_MEND } else { "give this user the right to read and write it" };
    bail!("cannot open \"{}\": {}; {way}", first.path.display(), first.damage)
}

/// Puts what is strange out of the way.
pub(crate) fn put_aside(found: &Strange) -> anyhow::Result<()> {
    let kept = kept_name(&found.path)?;
    fs::rename(&found.path, &kept).with_context(|| format!("cannot put \"{}\" aside", found.path.display()))
}

fn of_entries(place: &Path) -> Vec<Strange> {
    let files = HOME_FILES.iter().chain(&STATE_FILES).map(|name| (*name, Place::File));
    let small = HOME_SMALL_FILES.iter().chain(&SMALL_FILES).map(|name| (*name, Place::SmallFile));
    let folders = HOME_FOLDERS.iter().map(|name| (*name, Place::Folder));
    // Folders first: what should lie in one that is none cannot be looked at.
    folders.chain(files).chain(small).filter_map(|(name, must)| look(&place.join(name), must)).collect()
}

/// Topics, their partitions and segments.
fn of_log(log: &Path) -> Vec<Strange> {
    let mut found = Vec::new();
    let is_topic = |name: &str| name.starts_with("waveforms.") && !name.contains(".damaged");
    for (topic, _) in entries(log).into_iter().filter(|(_, name)| is_topic(name)) {
        found.extend(look(&topic, Place::Folder));
        for (entry, inside) in entries(&topic) {
            if inside == "topic.json" || inside == "topic.json.new" {
                found.extend(look(&entry, Place::SmallFile));
            } else if inside.parse::<u32>().is_ok() {
                found.extend(look(&entry, Place::Folder));
                found.extend(
                    entries(&entry).into_iter().filter_map(|(file, name)| of_partition(&file, &name)),
                );
            }
        }
    }
    found
}

fn of_partition(file: &Path, name: &str) -> Option<Strange> {
    match name {
        "gaps.json" | "gaps.json.new" => look(file, Place::SmallFile),
        _ if name.ends_with(".log") || name.ends_with(".log.new") => look(file, Place::File),
        _ => None,
    }
}

/// Paths and names of what lies in a folder; nothing where it cannot be listed, which others tell.
fn entries(folder: &Path) -> Vec<(PathBuf, String)> {
    let listed =
        fs::metadata(folder).is_ok_and(|metadata| metadata.is_dir()).then(|| fs::read_dir(folder).ok());
    let mut found: Vec<_> = listed
        .flatten()
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| (entry.path(), entry.file_name().to_string_lossy().into_owned()))
        .collect();
    found.sort();
    found
}

fn look(path: &Path, must: Place) -> Option<Strange> {
    let strange = |damage: String, removable| Some(Strange { path: path.to_owned(), damage, removable });
    if path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return None;
    }
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return strange("it is a link to nothing".to_owned(), true);
        }
        // The folder above is told of.
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return None,
        Err(error) => return strange(format!("it cannot be looked at: {error}"), false),
    };
    let right = match must {
        Place::Folder => metadata.is_dir(),
        Place::File | Place::SmallFile => metadata.is_file(),
    };
    if !right {
        let wanted = if must == Place::Folder { "folder" } else { "file" };
        return strange(format!("it is {}, not a {wanted}", kind(&metadata)), true);
    }
    if must == Place::Folder {
        let refused = fs::read_dir(path).map(drop).err().filter(is_refused);
        return refused.and_then(|error| strange(format!("it cannot be listed: {error}"), false));
    }
    if must == Place::SmallFile && metadata.len() > SMALL_BYTES_MAX {
        return strange(format!("it has {} bytes, more than such a file ever has", metadata.len()), true);
    }
    let taken = metadata.blocks().saturating_mul(BLOCK_BYTES).max(1);
    if metadata.len() > HOLLOW_BYTES_MIN && metadata.len() / taken >= HOLLOW_RATIO {
        return strange(format!("it claims {} bytes and holds {taken} of them", metadata.len()), true);
    }
    let refused = fs::File::open(path).map(drop).err().filter(is_refused);
    refused.and_then(|error| strange(format!("it cannot be read: {error}"), false))
}

/// The owner can give the right to it. Other errors say nothing of the place, and who opens it next tells them.
fn is_refused(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::PermissionDenied
}

fn kind(metadata: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
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
