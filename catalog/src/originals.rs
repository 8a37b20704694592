//! Original records in the warehouse, beside the tables: `raw/NETWORK/STATION/YYYY/MM/DD/….mseed`.
//!
//! An object holds several records; a row of `waveform.packets` names its own as `object#bytes=FIRST-LAST`. The path in
//! the name is the path in the store: codes come escaped (`path_component`).

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use seislake_model::{ErrorKind, RawStore};

use crate::error::{Doing, Error, Result};
use crate::lake::Lake;
use crate::storage::Warehouse;

/// Where they lie in the warehouse.
pub(crate) const ORIGINALS_FOLDER: &str = "raw";
const RANGE: &str = "#bytes=";

/// The object that an `object_uri` of `waveform.packets` names.
pub(crate) fn object_of(uri: &str) -> Option<&str> {
    uri.rsplit_once(RANGE).map(|(object, _)| object)
}

/// Where the object that a URI names may lie in the warehouse: under its own path, or, where a former build kept it,
/// under one in which odd characters of its codes were escaped by the store alone. Nothing of another warehouse.
pub(crate) fn places_of(warehouse: &Warehouse, object: &str) -> Vec<Path> {
    let relative = object.strip_prefix(warehouse.base()).and_then(|rest| rest.strip_prefix('/'));
    let relative = relative.filter(|relative| relative.starts_with(ORIGINALS_FOLDER));
    let Some(relative) = relative else { return Vec::new() };
    let mut places: Vec<Path> = Path::parse(relative).into_iter().collect();
    let escaped = Path::from(relative);
    if !places.contains(&escaped) {
        places.push(escaped);
    }
    places
}

#[derive(Debug)]
struct Originals(Warehouse);

impl Originals {
    async fn store(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        let what = || format!("store original records at \"{path}\"");
        let at = Path::parse(path)
            .map_err(|error| Error::new(ErrorKind::Internal, format!("cannot {}: {error}", what())))?;
        self.0.store().put(&at, bytes.into()).await.doing(what)?;
        self.0.sync(&at).await.doing(what)
    }
}

#[async_trait]
impl RawStore for Originals {
    fn uri(&self, path: &str) -> String {
        format!("{}/{path}", self.0.base())
    }

    async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        Ok(self.store(path, bytes).await?)
    }
}

/// Reads original records; holds the object of the last one, in which the next one mostly lies too.
#[derive(Debug)]
pub struct OriginalReader {
    lake: Lake,
    object: Option<(String, Bytes)>,
}

impl Lake {
    /// Where original records are kept.
    pub fn raw_store(&self) -> Arc<dyn RawStore> {
        Arc::new(Originals(self.catalog().warehouse().clone()))
    }

    /// A reader of original records.
    pub fn originals(&self) -> OriginalReader {
        OriginalReader { lake: self.clone(), object: None }
    }
}

impl OriginalReader {
    /// The record at an `object_uri` of `waveform.packets`, as it was received.
    ///
    /// # Errors
    /// `Invalid` for a URI that is none of ours, `NotFound` for an object that is gone, `Corrupt` for one too short.
    pub async fn read(&mut self, uri: &str) -> Result<Bytes> {
        let foreign = || Error::new(ErrorKind::Invalid, format!("\"{uri}\" names no original record"));
        let (object, range) = uri.rsplit_once(RANGE).ok_or_else(foreign)?;
        let (first, last) = range.split_once('-').ok_or_else(foreign)?;
        let first: usize = first.parse().map_err(|_| foreign())?;
        let last: usize = last.parse().map_err(|_| foreign())?;
        let bytes = match self.object.take() {
            Some((held, bytes)) if held == object => bytes,
            _ => self.object(object).await?,
        };
        let short =
            || Error::new(ErrorKind::Corrupt, format!("the object \"{object}\" is too short for {range}"));
        let whole = last.checked_sub(first).filter(|_| last < bytes.len()).ok_or_else(short)?;
        let record = bytes.slice(first..=first + whole);
        self.object = Some((object.to_owned(), bytes));
        Ok(record)
    }

    async fn object(&self, uri: &str) -> Result<Bytes> {
        let what = || format!("read the object \"{uri}\"");
        let catalog = self.lake.catalog();
        let warehouse = catalog.warehouse();
        let places = places_of(warehouse, uri);
        let (Some(first), others) = (places.first(), places.iter().skip(1)) else {
            let message = format!("\"{uri}\" names no original record of this warehouse");
            return Err(Error::new(ErrorKind::Invalid, message));
        };
        let mut found = warehouse.store().get(first).await;
        for place in others {
            if matches!(found, Err(object_store::Error::NotFound { .. })) {
                found = warehouse.store().get(place).await;
            }
        }
        found.doing(what)?.bytes().await.doing(what)
    }
}
