//! The embedded home: one directory, one writing process.
//!
//! An archive home may be filled by several processes at once, each in a *share* `shards/I-of-N` with its own lock, log
//! and state, over the one lake of the home. What a home is for is settled by its first import (`purpose.json`).

mod state_files;
pub mod table_states;

use std::fmt;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use fs4::fs_std::FileExt;
use rustix::fs::OFlags;
use rustix::io::Errno;
use seislake_streams::message::WAVEFORMS_RAW;
use seislake_streams::replace::replace;
use serde::{Deserialize, Serialize};

use crate::{HOW_TO_MEND, PLACE_FILE, WAREHOUSE_FOLDER};
pub use state_files::{StrangeEntry, Way, put_aside, refuse_strange_to_readers, strange};
use state_files::{mend_lock, mend_strange};
pub use table_states::{Older, TableStates};

/// The catalog of the home's tables.
pub const CATALOG_FILE: &str = "catalog.sqlite";
pub const PURPOSE_FILE: &str = "purpose.json";
const SHARES_FOLDER: &str = "shards";
const FOLDERS: [&str; 3] = ["log", "state", "run"];
/// What a home may hold before it has a catalog or a purpose, because it was just begun or is the root of a file system.
const BEGINNINGS: [&str; 4] = ["lock", "purpose.json.new", SHARES_FOLDER, "lost+found"];

/// Digits of a process id and more.
const OWNER_BYTES_MAX: u64 = 32;

/// What a home is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The whole path, from records to events.
    Whole,
    /// Records only, imported in so many shares.
    Archive {
        /// 1: not shared.
        shards: u32,
    },
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => write!(f, "takes records through the whole path"),
            Self::Archive { shards: 1 } => write!(f, "is an archive (--archive-only)"),
            Self::Archive { shards } => write!(f, "is an archive in {shards} shares (--shard I/{shards})"),
        }
    }
}

impl Purpose {
    /// Puts this into the place of what `file` says: at any moment, also after a crash, it says the one or the other.
    /// `beginnings` is the folder, of the same file system, where it is written first.
    pub fn write(self, file: &Path, beginnings: &Path) -> anyhow::Result<()> {
        let new = beginnings.join("purpose.json.new");
        replace(file, &new, &serde_json::to_vec(&self)?).context("cannot write purpose.json")
    }
}

/// A home directory that this process may write.
#[derive(Debug)]
pub struct Home {
    path: PathBuf,
    /// Where catalog and warehouse lie: the home itself, also for a share.
    lake: PathBuf,
    share: Option<(u32, u32)>,
    /// Held while the process lives; the operating system releases it at any end.
    _lock: File,
}

impl Home {
    /// Creates the directory where absent and takes its lock.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let named = || format!("cannot open the home \"{}\"", path.display());
        refuse_foreign(path)?;
        fs::create_dir_all(path).with_context(named)?;
        let path = fs::canonicalize(path).with_context(named)?;
        mend_lock(&path)?;
        let mut lock = open_lock(&path.join("lock")).with_context(named)?;
        if !lock.try_lock_exclusive().with_context(named)? {
            let mut owner = String::new();
            let _ = (&mut lock).take(OWNER_BYTES_MAX).read_to_string(&mut owner);
            bail!(
                "the home \"{}\" belongs to a running seislake (process {}); stop it, or give another --home",
                path.display(),
                owner.trim()
            );
        }
        lock.set_len(0).and_then(|()| lock.seek(SeekFrom::Start(0)).map(drop)).with_context(named)?;
        write!(lock, "{}", std::process::id()).with_context(named)?;
        mend_strange(&path)?;
        for folder in FOLDERS {
            fs::create_dir_all(path.join(folder)).with_context(named)?;
        }
        Ok(Self { lake: path.clone(), path, share: None, _lock: lock })
    }

    /// Share `I` of `N` of an archive home: other shares may be open in other processes.
    pub fn open_share(path: &Path, share: u32, of: u32) -> anyhow::Result<Self> {
        let named = || format!("cannot open the home \"{}\"", path.display());
        refuse_foreign(path)?;
        fs::create_dir_all(path.join(SHARES_FOLDER)).with_context(named)?;
        refuse_strange_to_readers(path)?;
        let home = Self::open(&Self::share_path(path, share, of))?;
        let lake = fs::canonicalize(path).with_context(named)?;
        Ok(Self { lake, share: Some((share, of)), ..home })
    }

    /// Where a share lies.
    pub fn share_path(path: &Path, share: u32, of: u32) -> PathBuf {
        path.join(SHARES_FOLDER).join(format!("{share}-of-{of}"))
    }

    /// The share whose topics end with `suffix`, as [`Home::topic_suffix`] writes it.
    pub fn share_of_topic(suffix: &str) -> Option<(u32, u32)> {
        let (share, of) = suffix.strip_prefix('@')?.split_once("-of-")?;
        Some((share.parse().ok()?, of.parse().ok()?))
    }

    /// Settles what the home is for, or finds out that it is for something else.
    pub fn settle(&self, purpose: Purpose) -> anyhow::Result<()> {
        let file = self.lake.join(PURPOSE_FILE);
        let settled = match self.purpose()? {
            Some(settled) => settled,
            // Homes with a log and without the file are older than it.
            None if self.lake.join("log").join(WAVEFORMS_RAW).exists() && purpose != Purpose::Whole => {
                Purpose::Whole
            }
            None => {
                purpose.write(&file, &self.path)?;
                purpose
            }
        };
        if settled != purpose {
            bail!(
                "the home \"{}\" {settled}, not one that {purpose}; use another --home",
                self.lake.display()
            );
        }
        Ok(())
    }

    /// What the home is for, where that is settled.
    pub fn purpose(&self) -> anyhow::Result<Option<Purpose>> {
        match fs::read(self.lake.join(PURPOSE_FILE)) {
            Ok(text) => match serde_json::from_slice(&text) {
                Ok(purpose) => Ok(Some(purpose)),
                Err(error) => {
                    Err(anyhow::anyhow!("purpose.json of the home is damaged ({error}); {HOW_TO_MEND}"))
                }
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("cannot read purpose.json"),
        }
    }

    /// Where catalog and warehouse lie.
    pub fn lake(&self) -> &Path {
        &self.lake
    }

    /// What ends the names of this home's topics, so that the offsets of several shares do not collide in the tables.
    pub fn topic_suffix(&self) -> String {
        self.share.map_or_else(String::new, |(share, of)| format!("@{share}-of-{of}"))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the bound addresses of a server, whole or not at all.
    pub fn write_addresses(&self, http: &str, flight: &str) -> anyhow::Result<()> {
        let text = serde_json::json!({ "http": http, "flight": flight, "seedlink": null }).to_string();
        let (new, file) = (self.path.join("run/addresses.json.new"), self.addresses_file());
        replace(&file, &new, text.as_bytes()).context("cannot write run/addresses.json")
    }

    pub fn remove_addresses(&self) {
        let _ = fs::remove_file(self.addresses_file());
    }

    fn addresses_file(&self) -> PathBuf {
        self.path.join("run/addresses.json")
    }
}

/// Opens the lock, made where absent. It is written to: what a link in its place leads to is not ours to write.
fn open_lock(path: &Path) -> anyhow::Result<File> {
    let no_link = OFlags::NOFOLLOW.bits().cast_signed();
    let opened =
        File::options().read(true).write(true).create(true).truncate(false).custom_flags(no_link).open(path);
    match opened {
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            bail!("\"{}\" is a link, and a lock is never one: remove it", path.display())
        }
        opened => Ok(opened?),
    }
}

/// A directory in which somebody keeps other things is not made a home.
fn refuse_foreign(path: &Path) -> anyhow::Result<()> {
    if !path.is_dir() {
        return Ok(());
    }
    let named = || format!("cannot open the home \"{}\"", path.display());
    let mut foreign = None;
    for entry in fs::read_dir(path).with_context(named)? {
        let name = entry.with_context(named)?.file_name();
        if !FOLDERS.iter().chain(&BEGINNINGS).any(|ours| name == **ours) {
            foreign = Some(name);
        }
    }
    // Asked last: another share may be making the home meanwhile.
    match foreign {
        Some(name) if !path.join(CATALOG_FILE).is_file() && !is_begun(path) => bail!(
            "\"{}\" is not a home of seislake and not empty (it holds \"{}\"); give an empty or a new directory as \
             --home",
            path.display(),
            name.to_string_lossy()
        ),
        _ => Ok(()),
    }
}

/// A home whose catalog may be lost: it says what it is for, or has tables and a state.
pub fn is_begun(path: &Path) -> bool {
    let tables_and_state = path.join(WAREHOUSE_FOLDER).is_dir() && path.join("state").is_dir();
    path.join(PURPOSE_FILE).is_file() || path.join(PLACE_FILE).is_file() || tables_and_state
}

/// What is said where the tables of a home are named nowhere.
pub fn lost_catalog(path: &Path) -> anyhow::Error {
    anyhow::anyhow!("the catalog of the home \"{}\" is lost; {HOW_TO_MEND}", path.display())
}

/// Whether a home was begun and holds no table yet, nor ever did: its catalog is not made, nor is there anything of what is
/// written when it is.
pub fn holds_nothing(path: &Path) -> bool {
    let beside = [PLACE_FILE, table_states::FILE];
    let places = shares(path).into_iter().chain([path.to_owned()]);
    let written = beside.iter().map(|name| path.join(name)).chain(places.map(|place| place.join("log")));
    is_unmade(&path.join(CATALOG_FILE))
        && !written.chain([path.join(WAREHOUSE_FOLDER)]).any(|path| has_bytes(&path))
}

/// Whether a database is not there, or was begun and has no table: it has no page but the first.
fn is_unmade(database: &Path) -> bool {
    const FIRST_PAGE_BYTES: u64 = 4096;
    const BEGIN: &[u8] = b"SQLite format 3\0";
    let mut begin = Vec::new();
    match File::open(database).and_then(|file| {
        (&file).take(BEGIN.len() as u64).read_to_end(&mut begin)?;
        file.metadata()
    }) {
        Ok(metadata) => metadata.len() <= FIRST_PAGE_BYTES && BEGIN.starts_with(&begin),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Whether a file with something in it lies there or below, or something that cannot be looked at. Descriptions of topics
/// do not count: they are there before the first record.
fn has_bytes(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        Ok(metadata) if metadata.is_dir() => match fs::read_dir(path) {
            Ok(mut entries) => entries.any(|entry| entry.is_ok_and(|entry| has_bytes(&entry.path()))),
            Err(_) => true,
        },
        Ok(metadata) => metadata.len() > 0 && path.file_name().is_none_or(|name| name != "topic.json"),
    }
}

/// The home for reading: no lock, but it must hold a lake.
pub fn existing(path: &Path) -> anyhow::Result<PathBuf> {
    refuse_strange_to_readers(path)?;
    if (path.join(CATALOG_FILE).exists() || is_begun(path)) && holds_nothing(path) {
        bail!(
            "the home \"{}\" holds nothing yet: its first import has not come to its tables; let it go on, or run \
             `seislake import` again",
            path.display()
        );
    }
    if !path.join(CATALOG_FILE).is_file() && is_begun(path) {
        return Err(lost_catalog(path));
    }
    if !path.join(CATALOG_FILE).is_file() {
        bail!(
            "\"{}\" is not a home of seislake; make one with `seislake import` or `seislake demo`",
            path.display()
        );
    }
    Ok(fs::canonicalize(path)?)
}

/// Whether a process owns the home, or a share of it.
pub fn in_use(path: &Path) -> bool {
    let places = shares(path).into_iter().chain([path.to_owned()]);
    let held = |place: PathBuf| {
        if !place.join("lock").is_file() {
            return false;
        }
        let lock = File::options().read(true).open(place.join("lock"));
        lock.is_ok_and(|lock| !FileExt::try_lock_shared(&lock).unwrap_or(false))
    };
    places.into_iter().any(held)
}

/// Shares of an archive home, as far as they can be listed.
pub fn shares(path: &Path) -> Vec<PathBuf> {
    listed_shares(path).unwrap_or_default()
}

/// Shares of an archive home.
///
/// # Errors
/// What keeps them from being listed: to a check or a repair that is not the same as none.
pub fn listed_shares(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut shares = folders(&path.join(SHARES_FOLDER))?;
    shares.sort();
    Ok(shares)
}

/// Folders in a folder; none where it is not there.
///
/// # Errors
/// What keeps it from being listed.
pub fn folders(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let named = || format!("cannot list \"{}\"", path.display());
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(named)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.with_context(named)?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    Ok(found)
}
