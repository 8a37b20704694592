//! The embedded home: one directory, one writing process.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use fs4::fs_std::FileExt;

/// A home directory that this process may write.
#[derive(Debug)]
pub(crate) struct Home {
    path: PathBuf,
    /// Held while the process lives; the operating system releases it at any end.
    _lock: File,
}

impl Home {
    /// Creates the directory where absent and takes its lock.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let named = || format!("cannot open the home \"{}\"", path.display());
        fs::create_dir_all(path).with_context(named)?;
        let path = fs::canonicalize(path).with_context(named)?;
        let mut lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join("lock"))
            .with_context(named)?;
        if !lock.try_lock_exclusive().with_context(named)? {
            let mut owner = String::new();
            let _ = lock.read_to_string(&mut owner);
            bail!(
                "the home \"{}\" belongs to a running seislake (process {}); stop it, or give another --home",
                path.display(),
                owner.trim()
            );
        }
        lock.set_len(0).and_then(|()| lock.seek(SeekFrom::Start(0)).map(drop)).with_context(named)?;
        write!(lock, "{}", std::process::id()).with_context(named)?;
        for folder in ["log", "state", "warehouse", "run"] {
            fs::create_dir_all(path.join(folder)).with_context(named)?;
        }
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the bound addresses of a server, whole or not at all.
    pub(crate) fn write_addresses(&self, http: &str, flight: &str) -> anyhow::Result<()> {
        let text = serde_json::json!({ "http": http, "flight": flight, "seedlink": null }).to_string();
        let (new, file) = (self.path.join("run/addresses.json.new"), self.addresses_file());
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, &file))
            .context("cannot write run/addresses.json")
    }

    pub(crate) fn remove_addresses(&self) {
        let _ = fs::remove_file(self.addresses_file());
    }

    fn addresses_file(&self) -> PathBuf {
        self.path.join("run/addresses.json")
    }
}

/// The home for reading: no lock, but it must hold a lake.
pub(crate) fn existing(path: &Path) -> anyhow::Result<PathBuf> {
    if !path.join("catalog.sqlite").is_file() {
        bail!(
            "\"{}\" is not a home of seislake; make one with `seislake import` or `seislake demo`",
            path.display()
        );
    }
    Ok(fs::canonicalize(path)?)
}
