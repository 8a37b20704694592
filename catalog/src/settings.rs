//! Settings of a lake: where it is, how it writes, what it keeps.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use iceberg::TableIdent;
use seislake_tables::{TABLES, TableDef, below};

/// What an open lake is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LakeAccess {
    /// To be read: nothing is made or changed.
    Read,
    /// To be written: what is missing is made.
    #[default]
    Write,
}

/// Where a lake is and how it behaves.
#[derive(Clone, Debug)]
pub struct LakeSettings {
    /// Directory, `file://` URL or `s3://bucket/prefix` under which data and metadata files lie.
    pub warehouse: String,
    /// SQLite file with the pointers to the current metadata of each table.
    pub catalog: PathBuf,
    /// What it is opened for.
    pub access: LakeAccess,
    /// Options of the object store, by the keys of the `object_store` crate: `aws_endpoint`, `aws_region`,
    /// `aws_access_key_id`, `aws_secret_access_key`, `aws_allow_http`, …; they come before the environment (`AWS_*`).
    pub object_store: BTreeMap<String, String>,
    /// How files are written.
    pub write: WriteSettings,
    /// What is kept of the past.
    pub retention: RetentionSettings,
    /// Tables that the lake makes where they are missing, and writes.
    pub tables: Vec<&'static TableDef>,
}

impl LakeSettings {
    /// A lake with default settings.
    pub fn new(warehouse: impl Into<String>, catalog: impl Into<PathBuf>) -> Self {
        Self {
            warehouse: warehouse.into(),
            catalog: catalog.into(),
            access: LakeAccess::Write,
            object_store: BTreeMap::new(),
            write: WriteSettings::default(),
            retention: RetentionSettings::default(),
            tables: TABLES.iter().collect(),
        }
    }

    /// The definition of `namespace.table`.
    pub(crate) fn table(&self, full_name: &str) -> Option<&'static TableDef> {
        self.tables.iter().copied().find(|table| table.full_name() == full_name)
    }

    /// Adds tables that stages of a configuration have made, which this one may not name: ours, below other namespaces.
    pub(crate) fn add_own(&mut self, idents: &[TableIdent]) {
        for ident in idents {
            let of = TABLES.iter().find(|table| table.name == ident.name());
            if let (Some(of), None) = (of, self.table(&ident.to_string())) {
                self.tables.push(below(&ident.namespace().to_url_string(), of));
            }
        }
    }

    /// The warehouse is a directory, given as such.
    pub(crate) fn is_local(&self) -> bool {
        !self.warehouse.contains("://")
    }
}

/// How files are written.
#[derive(Clone, Debug)]
pub struct WriteSettings {
    /// Rows that one sink holds in memory before it writes a file, bytes.
    pub sink_bytes_max: usize,
    /// The same for all sinks of the lake together: beyond it the sink that writes spills.
    pub buffer_bytes_max: usize,
    /// Compression level of zstd for files as they are written first.
    pub zstd_level: i32,
    /// The same for files that compaction makes, which stay.
    pub compacted_zstd_level: i32,
    /// Attempts at a commit before giving up to rival writers.
    pub commit_attempts_max: u32,
    /// Manifests of a table before an append merges the small ones.
    pub manifests_max: usize,
}

impl Default for WriteSettings {
    fn default() -> Self {
        Self {
            sink_bytes_max: 40 << 20,
            buffer_bytes_max: 96 << 20,
            zstd_level: 1,
            compacted_zstd_level: 3,
            commit_attempts_max: 20,
            manifests_max: 64,
        }
    }
}

/// What is kept of the past: all of the newest snapshots, then the last one of each hour.
#[derive(Clone, Debug)]
pub struct RetentionSettings {
    /// Newest snapshots that are all kept.
    pub snapshots_kept: usize,
    /// Older ones are thinned to the last of each hour, and dropped after so many days.
    pub history_days: u32,
    /// Previous `metadata.json` files that are kept.
    pub metadata_files_kept: usize,
    /// A snapshot that was current so lately stays: another process, whose leases are not known here, may read it.
    pub spare: Duration,
    /// So long a state of the tables is kept for whoever holds a cursor of it.
    pub cursor_lease: Duration,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self {
            snapshots_kept: 100,
            history_days: 30,
            metadata_files_kept: 20,
            spare: Duration::ZERO,
            cursor_lease: Duration::from_secs(600),
        }
    }
}
