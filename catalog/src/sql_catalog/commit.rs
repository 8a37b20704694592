//! One commit: check what it requires, write the next metadata file, swap the pointer.

use iceberg::spec::TableMetadata;
use iceberg::table::Table;
use iceberg::{MetadataLocation, TableIdent, TableRequirement, TableUpdate};
use seislake_model::ErrorKind;

use super::SqlCatalog;
use crate::error::{Doing, Error, Result};

impl SqlCatalog {
    /// Applies `updates` to the current metadata of a table if it meets `requirements` and nobody else commits
    /// meanwhile; [`ErrorKind::Conflict`] tells the caller to read again and try anew.
    pub async fn commit(
        &self,
        ident: &TableIdent,
        requirements: Vec<TableRequirement>,
        updates: Vec<TableUpdate>,
    ) -> Result<Table> {
        let base = self.load(ident).await?;
        self.commit_to(&base, requirements, updates).await
    }

    /// The same on a base that the caller has read.
    pub(crate) async fn commit_to(
        &self,
        base: &Table,
        requirements: Vec<TableRequirement>,
        updates: Vec<TableUpdate>,
    ) -> Result<Table> {
        self.writable()?;
        let ident = base.identifier();
        let what = || format!("commit to table \"{ident}\"");
        for requirement in requirements {
            requirement.check(Some(base.metadata())).doing(what)?;
        }
        let old = base.metadata_location_result().doing(what)?.to_owned();
        let mut builder = base.metadata().clone().into_builder(Some(old.clone()));
        for update in updates {
            builder = update.apply(builder).doing(what)?;
        }
        let built = builder.build().doing(what)?;
        let metadata = built.metadata;
        let new =
            old.parse::<MetadataLocation>().doing(what)?.with_next_version().with_new_metadata(&metadata);
        metadata.write_to(self.io(), &new).await.doing(what)?;
        // The pointer must never outlast the names of the files it leads to.
        self.warehouse.sync_names().await.doing(what)?;
        let new = new.to_string();
        match self.pointers.swap(ident, &old, &new).await {
            Ok(true) => {}
            Ok(false) => {
                self.delete_quietly(vec![new]).await;
                let message = format!("somebody else committed to table \"{ident}\" first");
                return Err(Error::new(ErrorKind::Conflict, message));
            }
            Err(error) => return self.outcome(ident, &new, metadata, error).await,
        }
        let forgotten = built.expired_metadata_logs.into_iter().map(|log| log.metadata_file);
        self.delete_quietly(forgotten.collect()).await;
        self.remember(ident, new, metadata)
    }

    /// The database failed during the swap: only reading the pointer tells whether the commit stands.
    async fn outcome(
        &self,
        ident: &TableIdent,
        new: &str,
        metadata: TableMetadata,
        error: Error,
    ) -> Result<Table> {
        match self.pointers.location(ident).await {
            Ok(Some(current)) if current == new => self.remember(ident, current, metadata),
            _ => Err(error),
        }
    }

    /// Deletes files that nothing refers to; one that stays behind is an orphan, not an error.
    pub(crate) async fn delete_quietly(&self, files: Vec<String>) {
        for file in files {
            if let Err(error) = self.io().delete(&file).await {
                tracing::debug!(%file, %error, "an orphan file stays behind");
            }
        }
    }
}
