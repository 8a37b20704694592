//! What lies where the files of a home belong and is none: a pipe, a device, a folder, a link to nothing, a file without an
//! end. Reading one may never end, so each is looked for before anything is opened.
//!
//! ```text
//! home or share ─► entries ─► name tells what it must be ─► another thing lies there ─► Strange
//!                                               made again from log and tables ─► put aside, whoever owns the home goes on
//!                                               anything else ─► refused by name, until a repair
//! ```
//! A link to a thing of the right kind is that thing. Names that no home has are passed over. A file that was only made
//! longer is cut to what it holds: behind that it has no bytes that anybody wrote.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use seislake_catalog::{kept_name, leads_nowhere};

use super::{CATALOG_FILE, HOW_TO_MEND, PLACE_FILE, PURPOSE_FILE, WAREHOUSE_FOLDER, table_states};
use crate::velocity_model;
use seislake_streams::source::regular::kind;
use seislake_streams::topology;

/// Something that is no file of a home, in the place of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrangeEntry {
    pub path: PathBuf,
    /// What it is.
    pub damage: String,
    pub way: Way,
}

/// What can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It is put out of the way, and nothing is lost: what belongs there is made again from the log and the tables, or the
    /// log goes on behind it.
    MadeAgain,
    /// It is put out of the way, by a repair: the home says less without it.
    PutAside,
    /// It is cut to what it holds.
    Cut,
    /// Its owner must give the right to it.
    Right,
}

/// What must lie in a place, if anything does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Folder,
    File,
    /// A file of which the library asks how long it is: it is not cut.
    Index,
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

/// What lies in a home, what it must be, and what is done about another thing in its place. Folders first: what should lie
/// in one that is none cannot be looked at.
const HOME: [(&str, Place, Way); 19] = [
    ("log", Place::Folder, Way::MadeAgain),
    ("state", Place::Folder, Way::PutAside),
    ("run", Place::Folder, Way::MadeAgain),
    ("shards", Place::Folder, Way::PutAside),
    (WAREHOUSE_FOLDER, Place::Folder, Way::PutAside),
    ("lock", Place::File, Way::MadeAgain),
    (CATALOG_FILE, Place::File, Way::PutAside),
    ("catalog.sqlite-wal", Place::File, Way::PutAside),
    ("catalog.sqlite-shm", Place::File, Way::PutAside),
    (PURPOSE_FILE, Place::SmallFile, Way::PutAside),
    ("purpose.json.new", Place::SmallFile, Way::MadeAgain),
    (PLACE_FILE, Place::SmallFile, Way::PutAside),
    ("state/seen.redb", Place::Index, Way::MadeAgain),
    ("state/checkpoints.redb", Place::Index, Way::MadeAgain),
    (velocity_model::FILE, Place::SmallFile, Way::PutAside),
    ("state/velocity-model.json.new", Place::SmallFile, Way::MadeAgain),
    (table_states::FILE, Place::SmallFile, Way::MadeAgain),
    ("run/addresses.json", Place::SmallFile, Way::MadeAgain),
    ("run/addresses.json.new", Place::SmallFile, Way::MadeAgain),
];
/// What is opened to read tables.
const OF_READERS: [&str; 5] =
    [WAREHOUSE_FOLDER, CATALOG_FILE, "catalog.sqlite-wal", "catalog.sqlite-shm", PLACE_FILE];

/// Everything strange in a home and its shares, but for the warehouse.
pub fn strange(home: &Path) -> Vec<StrangeEntry> {
    let mut found = of_entries(home);
    for share in super::shares(home) {
        found.extend(of_place(&share));
    }
    found.extend(of_log(&home.join("log")));
    found
}

/// Mends what is strange in a home or share that this process owns, where nothing is lost by it, and tells of it.
///
/// # Errors
/// Something else that is strange, with what to do.
pub(super) fn mend_strange(place: &Path) -> anyhow::Result<()> {
    // The catalog is written by others too, who may be making it longer: a repair cuts it.
    let is_of_catalog = |found: &StrangeEntry| {
        found.path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(CATALOG_FILE))
    };
    let mut found = of_place(place);
    found.retain(|found| found.way != Way::Cut || !is_of_catalog(found));
    refuse(found.iter().filter(|found| matches!(found.way, Way::PutAside | Way::Right)))?;
    found.iter().try_for_each(mend)
}

/// The same for the lock, before it is taken.
pub(super) fn mend_lock(place: &Path) -> anyhow::Result<()> {
    let found = entry_of(place, |name| name == "lock");
    // Another process may hold one that is only too long, and it says no more than who.
    let mut found = found.filter(|found| found.way != Way::Cut);
    found.try_for_each(|found| match found.way {
        Way::Right => refuse([&found]),
        _ => mend(&found),
    })
}

/// Refuses a home in which something strange lies that those who read tables open, and says what to do. How long a catalog
/// claims to be says nothing: SQLite knows its own length.
pub fn refuse_strange_to_readers(home: &Path) -> anyhow::Result<()> {
    let found: Vec<StrangeEntry> = entry_of(home, |name| OF_READERS.contains(&name)).collect();
    refuse(found.iter().filter(|found| found.way != Way::Cut))
}

fn refuse<'a>(found: impl IntoIterator<Item = &'a StrangeEntry>) -> anyhow::Result<()> {
    let Some(first) = found.into_iter().next() else { return Ok(()) };
    let way = match first.way {
        Way::Right => "give this user the right to read and write it",
        Way::MadeAgain | Way::PutAside | Way::Cut => HOW_TO_MEND,
    };
    bail!("cannot open \"{}\": {}; {way}", first.path.display(), first.damage)
}

fn mend(found: &StrangeEntry) -> anyhow::Result<()> {
    let (file, damage) = (found.path.display(), &found.damage);
    match found.way {
        Way::Cut => tracing::warn!(%file, damage, "a file of the home is cut to what it holds"),
        _ => tracing::warn!(
            %file, damage,
            "what lies in the place of a file of the home is put aside, and made again from the log and the tables"
        ),
    }
    put_aside(found)
}

/// Puts what is strange out of the way, or cuts it.
pub fn put_aside(found: &StrangeEntry) -> anyhow::Result<()> {
    let named = || format!("cannot put \"{}\" aside", found.path.display());
    if found.way == Way::Cut {
        return cut(&found.path).with_context(|| format!("cannot cut \"{}\"", found.path.display()));
    }
    fs::rename(&found.path, kept_name(&found.path)?).with_context(named)
}

/// Cuts a file behind its last byte that was written.
fn cut(path: &Path) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    let mut end = 0;
    loop {
        match seek(&file, SeekFrom::Data(end)).and_then(|begin| seek(&file, SeekFrom::Hole(begin))) {
            Ok(hole) => end = hole,
            Err(Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        }
    }
    file.set_len(end)?;
    file.sync_all()
}

fn of_place(place: &Path) -> Vec<StrangeEntry> {
    let mut found = of_entries(place);
    found.extend(of_log(&place.join("log")));
    found
}

fn of_entries(place: &Path) -> Vec<StrangeEntry> {
    entry_of(place, |_| true).collect()
}

fn entry_of(place: &Path, is_asked: impl Fn(&str) -> bool) -> impl Iterator<Item = StrangeEntry> {
    let asked = HOME.iter().filter(move |(name, ..)| is_asked(name));
    asked.filter_map(move |(name, must, way)| look(&place.join(name), *must, *way))
}

/// Topics, their partitions and segments.
fn of_log(log: &Path) -> Vec<StrangeEntry> {
    let mut found = Vec::new();
    // Those of stages of a configuration are known by what lies in them.
    let is_topic = |(path, name): &(PathBuf, String)| {
        let is_one = topology::is_topic_folder(name) || path.join("topic.json").is_file();
        is_one && !name.contains(".damaged")
    };
    for (topic, _) in entries(log).into_iter().filter(is_topic) {
        found.extend(look(&topic, Place::Folder, Way::MadeAgain));
        for (entry, inside) in entries(&topic) {
            if inside == "topic.json" || inside == "topic.json.new" {
                found.extend(look(&entry, Place::SmallFile, Way::MadeAgain));
            } else if inside.parse::<u32>().is_ok() {
                found.extend(look(&entry, Place::Folder, Way::MadeAgain));
                found.extend(
                    entries(&entry).into_iter().filter_map(|(file, name)| of_partition(&file, &name)),
                );
            }
        }
    }
    found
}

fn of_partition(file: &Path, name: &str) -> Option<StrangeEntry> {
    match name {
        "gaps.json" | "gaps.json.new" => look(file, Place::SmallFile, Way::MadeAgain),
        _ if name.ends_with(".log") || name.ends_with(".log.new") => look(file, Place::File, Way::MadeAgain),
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

/// What is strange in a place; `way` is what is done about another thing than what must lie there.
fn look(path: &Path, must: Place, way: Way) -> Option<StrangeEntry> {
    let strange = |damage: String, way| Some(StrangeEntry { path: path.to_owned(), damage, way });
    match path.symlink_metadata() {
        Ok(_) => {}
        Err(error) if leads_nowhere(&error) => return None,
        Err(error) => return strange(format!("it cannot be looked at: {error}"), Way::Right),
    }
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if leads_nowhere(&error) => {
            return match error.kind() {
                // The disk that a folder lies on may only be missing.
                ErrorKind::NotFound if must == Place::Folder => {
                    strange("it is a link to nothing".to_owned(), Way::PutAside)
                }
                ErrorKind::NotFound => strange("it is a link to nothing".to_owned(), way),
                _ => strange(format!("it is a link to nothing ({error})"), way),
            };
        }
        Err(error) => return strange(format!("it cannot be looked at: {error}"), Way::Right),
    };
    let right = match must {
        Place::Folder => metadata.is_dir(),
        Place::File | Place::Index | Place::SmallFile => metadata.is_file(),
    };
    if !right {
        let wanted = if must == Place::Folder { "folder" } else { "file" };
        return strange(format!("it is {}, not a {wanted}", kind(&metadata)), way);
    }
    if must == Place::Folder {
        let refused = fs::read_dir(path).map(drop).err().filter(is_refused);
        return refused.and_then(|error| strange(format!("it cannot be listed: {error}"), Way::Right));
    }
    if must == Place::SmallFile && metadata.len() > SMALL_BYTES_MAX {
        return strange(format!("it has {} bytes, more than such a file ever has", metadata.len()), way);
    }
    let taken = metadata.blocks().saturating_mul(BLOCK_BYTES).max(1);
    if metadata.len() > HOLLOW_BYTES_MIN && metadata.len() / taken >= HOLLOW_RATIO {
        let way = if must == Place::File { Way::Cut } else { way };
        return strange(format!("it claims {} bytes and holds {taken} of them", metadata.len()), way);
    }
    let refused = File::open(path).map(drop).err().filter(is_refused);
    refused.and_then(|error| strange(format!("it cannot be read: {error}"), Way::Right))
}

/// The owner can give the right to it. Other errors say nothing of the place, and who opens it next tells them.
fn is_refused(error: &io::Error) -> bool {
    error.kind() == ErrorKind::PermissionDenied
}
