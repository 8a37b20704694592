//! The database of the catalog: which metadata file of which table is current.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use iceberg::{NamespaceIdent, TableIdent};
use seislake_model::ErrorKind;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Row, Sqlite, SqlitePool};
use tokio::runtime::Handle;

use super::level;
use crate::error::{Damage, Doing, Error, Result};
use crate::settings::LakeAccess;

/// Name of our catalog in a database that may hold several.
const CATALOG_NAME: &str = "seislake";
/// How long a statement waits for the lock of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause before a busy database is opened again.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
const CONNECTIONS_MAX: u32 = 4;

/// The layout shared by the SQL catalogs of Iceberg's Java, Python and Rust libraries.
const SCHEMA: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS iceberg_tables (
        catalog_name VARCHAR(255) NOT NULL,
        table_namespace VARCHAR(255) NOT NULL,
        table_name VARCHAR(255) NOT NULL,
        metadata_location VARCHAR(1000),
        previous_metadata_location VARCHAR(1000),
        iceberg_type VARCHAR(5) DEFAULT 'TABLE',
        PRIMARY KEY (catalog_name, table_namespace, table_name))",
    "CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
        catalog_name VARCHAR(255) NOT NULL,
        namespace VARCHAR(255) NOT NULL,
        property_key VARCHAR(255) NOT NULL,
        property_value VARCHAR(1000),
        PRIMARY KEY (catalog_name, namespace, property_key))",
];

/// Every namespace has this property, so that it exists without tables.
const EXISTS: &str = "exists";

async fn connect(options: SqliteConnectOptions, access: LakeAccess) -> sqlx::Result<SqlitePool> {
    let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS_MAX).connect_with(options).await?;
    match access {
        LakeAccess::Write => {
            for statement in SCHEMA {
                sqlx::query(statement).execute(&pool).await?;
            }
        }
        // The first look at the database makes the files beside it: what is wrong with that is told here.
        LakeAccess::Read => {
            sqlx::query("PRAGMA schema_version").fetch_one(&pool).await?;
        }
    }
    Ok(pool)
}

/// Somebody else holds the lock; the low byte of SQLite's codes is the kind of the error.
fn is_busy(error: &sqlx::Error) -> bool {
    const BUSY: u32 = 5;
    code(error) == Some(BUSY)
}

/// SQLite could not open the file, or one that it needs beside it; or could not write that, as on a full disk.
fn needs_copy(error: &sqlx::Error) -> bool {
    const IOERR: u32 = 10;
    const CANTOPEN: u32 = 14;
    matches!(code(error), Some(IOERR | CANTOPEN))
}

fn code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    code.map(|code| code & 0xff)
}

type Statement = Query<'static, Sqlite, SqliteArguments<'static>>;

#[derive(Debug)]
pub(crate) struct Pointers {
    pool: SqlitePool,
    /// Where its reading is done. Statements run on threads that their own calls may hold for long: a connection taken there
    /// would not come back, and all others would wait for it.
    runtime: Handle,
    /// Where the catalog could only be read as a copy.
    _copy: Option<Copy>,
}

/// A copy of a database, taken away at the end.
#[derive(Debug)]
struct Copy(PathBuf);

impl Copy {
    /// SQLite keeps files beside a database even to read it: on a file system for reading only or a full one, where nobody
    /// changes it either, it is read elsewhere.
    fn of(database: &Path) -> std::io::Result<Self> {
        let copy = Self(std::env::temp_dir().join(format!("seislake-{}", uuid::Uuid::new_v4())));
        std::fs::create_dir(&copy.0)?;
        std::fs::copy(database, copy.database())?;
        let log = PathBuf::from(format!("{}-wal", database.display()));
        if log.exists() {
            std::fs::copy(log, copy.0.join("catalog.sqlite-wal"))?;
        }
        Ok(copy)
    }

    fn database(&self) -> PathBuf {
        self.0.join("catalog.sqlite")
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What SQLite finds wrong with a database; `None` where it is sound.
///
/// # Errors
/// What keeps it from being read.
pub(crate) async fn damage_of(database: &Path) -> Result<Option<String>> {
    let there = database.try_exists().doing(|| format!("look for catalog \"{}\"", database.display()))?;
    if !there {
        return Ok(Some("it is not there".to_owned()));
    }
    let what = || format!("check catalog \"{}\"", database.display());
    let checked = async {
        let pointers = Pointers::open(database, LakeAccess::Read).await?;
        let checked = sqlx::query("PRAGMA integrity_check(1)").fetch_one(&pointers.pool).await;
        pointers.close().await;
        checked.and_then(|row| row.try_get::<String, _>(0)).doing(what)
    };
    match checked.await {
        Ok(answer) if answer == "ok" => Ok(None),
        Ok(answer) => Ok(Some(answer)),
        Err(error) => error.damage().map(|damage| Some(in_full(&damage))),
    }
}

fn in_full(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// A column of text.
fn text(row: &SqliteRow, column: usize) -> Result<String> {
    row.try_get(column).doing(|| "read a row of the catalog")
}

fn ident_of(row: &SqliteRow) -> Result<TableIdent> {
    Ok(TableIdent::new(NamespaceIdent::new(text(row, 0)?), text(row, 1)?))
}

/// The catalog knows a table and not where its metadata is.
fn points_nowhere(ident: &TableIdent) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the catalog names no metadata file of table \"{ident}\""))
}

impl Pointers {
    pub(crate) async fn open(database: &Path, access: LakeAccess) -> Result<Self> {
        if access == LakeAccess::Read && !database.exists() {
            let message = format!("there is no lake: catalog \"{}\" does not exist", database.display());
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        let options = SqliteConnectOptions::new()
            .filename(database)
            .busy_timeout(BUSY_TIMEOUT)
            .read_only(access == LakeAccess::Read)
            .create_if_missing(access == LakeAccess::Write);
        let options = match access {
            LakeAccess::Read => options,
            LakeAccess::Write => {
                options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full)
            }
        };
        let what = || format!("open catalog \"{}\"", database.display());
        let begin = Instant::now();
        loop {
            match connect(options.clone(), access).await {
                // Of several processes that make the same database, SQLite turns all but one away without waiting.
                Err(error) if is_busy(&error) && begin.elapsed() < BUSY_TIMEOUT => {
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
                Err(error) if access == LakeAccess::Read && needs_copy(&error) => {
                    let copy = Copy::of(database)
                        .doing(|| format!("read catalog \"{}\" through a copy", database.display()))?;
                    let options = SqliteConnectOptions::new().filename(copy.database());
                    let pool = connect(options, LakeAccess::Read).await.doing(what)?;
                    return Ok(Self { pool, runtime: Handle::current(), _copy: Some(copy) });
                }
                connected => {
                    return Ok(Self {
                        pool: connected.doing(what)?,
                        runtime: Handle::current(),
                        _copy: None,
                    });
                }
            }
        }
    }

    /// Ends all connections: what SQLite keeps beside the database goes into it.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// The rows of a reading statement, whichever threads ask for them.
    async fn read(&self, statement: Statement, what: impl FnOnce() -> String) -> Result<Vec<SqliteRow>> {
        let pool = self.pool.clone();
        let read = self.runtime.spawn(async move { statement.fetch_all(&pool).await });
        match read.await {
            Ok(rows) => rows.doing(what),
            Err(error) => Err(Error::new(ErrorKind::Internal, format!("{}: {error}", what()))),
        }
    }

    pub(crate) async fn namespaces(&self) -> Result<Vec<String>> {
        let statement = sqlx::query(
            "SELECT namespace FROM iceberg_namespace_properties WHERE catalog_name = ?1
             UNION SELECT table_namespace FROM iceberg_tables WHERE catalog_name = ?1 ORDER BY 1",
        );
        let rows = self.read(statement.bind(CATALOG_NAME), || "list namespaces".to_owned()).await?;
        rows.iter().map(|row| text(row, 0)).collect()
    }

    /// Creates a namespace; false where it exists.
    pub(crate) async fn insert_namespace(
        &self,
        name: &str,
        properties: &HashMap<String, String>,
    ) -> Result<bool> {
        if self.namespaces().await?.iter().any(|known| known == name) {
            return Ok(false);
        }
        self.replace_namespace(name, properties).await?;
        Ok(true)
    }

    pub(crate) async fn replace_namespace(
        &self,
        name: &str,
        properties: &HashMap<String, String>,
    ) -> Result<()> {
        let what = || format!("write namespace \"{name}\"");
        let mut transaction = self.pool.begin().await.doing(what)?;
        sqlx::query("DELETE FROM iceberg_namespace_properties WHERE catalog_name = ? AND namespace = ?")
            .bind(CATALOG_NAME)
            .bind(name)
            .execute(&mut *transaction)
            .await
            .doing(what)?;
        let exists = (EXISTS.to_owned(), "true".to_owned());
        for (key, value) in properties.clone().into_iter().chain([exists]) {
            sqlx::query("INSERT OR REPLACE INTO iceberg_namespace_properties VALUES (?, ?, ?, ?)")
                .bind(CATALOG_NAME)
                .bind(name)
                .bind(key)
                .bind(value)
                .execute(&mut *transaction)
                .await
                .doing(what)?;
        }
        transaction.commit().await.doing(what)
    }

    pub(crate) async fn namespace_properties(&self, name: &str) -> Result<HashMap<String, String>> {
        let statement = sqlx::query(
            "SELECT property_key, property_value FROM iceberg_namespace_properties
             WHERE catalog_name = ? AND namespace = ? AND property_key <> ?",
        );
        let statement = statement.bind(CATALOG_NAME).bind(name.to_owned()).bind(EXISTS);
        let rows = self.read(statement, || format!("read namespace \"{name}\"")).await?;
        rows.iter().map(|row| Ok((text(row, 0)?, text(row, 1)?))).collect()
    }

    pub(crate) async fn delete_namespace(&self, name: &str) -> Result<()> {
        sqlx::query("DELETE FROM iceberg_namespace_properties WHERE catalog_name = ? AND namespace = ?")
            .bind(CATALOG_NAME)
            .bind(name)
            .execute(&self.pool)
            .await
            .doing(|| format!("drop namespace \"{name}\""))?;
        Ok(())
    }

    pub(crate) async fn tables(&self, namespace: Option<&str>) -> Result<Vec<TableIdent>> {
        let statement = sqlx::query(
            "SELECT table_namespace, table_name FROM iceberg_tables
             WHERE catalog_name = ?1 AND (?2 IS NULL OR table_namespace = ?2)
             ORDER BY table_namespace, table_name",
        );
        let statement = statement.bind(CATALOG_NAME).bind(namespace.map(str::to_owned));
        let rows = self.read(statement, || "list tables".to_owned()).await?;
        rows.iter().map(ident_of).collect()
    }

    /// Location of the current metadata of a table.
    pub(crate) async fn location(&self, ident: &TableIdent) -> Result<Option<String>> {
        let statement = sqlx::query(
            "SELECT metadata_location FROM iceberg_tables
             WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?",
        );
        let statement =
            statement.bind(CATALOG_NAME).bind(level(ident.namespace())).bind(ident.name().to_owned());
        let rows = self.read(statement, || format!("find table \"{ident}\"")).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let location: Option<String> = row.try_get(0).doing(|| format!("find table \"{ident}\""))?;
        location.map(Some).ok_or_else(|| points_nowhere(ident))
    }

    /// Locations of the current metadata of all tables, as they stand at one moment.
    pub(crate) async fn locations(&self) -> Result<Vec<(TableIdent, String)>> {
        let with_location = |(ident, location): (TableIdent, Option<String>)| match location {
            Some(location) => Ok((ident, location)),
            None => Err(points_nowhere(&ident)),
        };
        self.rows().await?.into_iter().map(with_location).collect()
    }

    /// The same as the rows say it, one of which may name no file.
    pub(crate) async fn rows(&self) -> Result<Vec<(TableIdent, Option<String>)>> {
        let statement = sqlx::query(
            "SELECT table_namespace, table_name, metadata_location FROM iceberg_tables
             WHERE catalog_name = ? ORDER BY table_namespace, table_name",
        );
        let rows = self.read(statement.bind(CATALOG_NAME), || "list tables".to_owned()).await?;
        rows.iter()
            .map(|row| Ok((ident_of(row)?, row.try_get(2).doing(|| "read a row of the catalog")?)))
            .collect()
    }

    pub(crate) async fn insert(&self, ident: &TableIdent, location: &str) -> Result<()> {
        let done = sqlx::query(
            "INSERT OR IGNORE INTO iceberg_tables
             (catalog_name, table_namespace, table_name, metadata_location) VALUES (?, ?, ?, ?)",
        )
        .bind(CATALOG_NAME)
        .bind(level(ident.namespace()))
        .bind(ident.name())
        .bind(location)
        .execute(&self.pool)
        .await
        .doing(|| format!("create table \"{ident}\""))?;
        match done.rows_affected() {
            0 => Err(Error::new(ErrorKind::Conflict, format!("table \"{ident}\" exists already"))),
            _ => Ok(()),
        }
    }

    /// Points the table from `old` to `new`; false where somebody else moved it first.
    pub(crate) async fn swap(&self, ident: &TableIdent, old: &str, new: &str) -> Result<bool> {
        let done = sqlx::query(
            "UPDATE iceberg_tables SET metadata_location = ?1, previous_metadata_location = ?2
             WHERE catalog_name = ?3 AND table_namespace = ?4 AND table_name = ?5 AND metadata_location = ?2",
        )
        .bind(new)
        .bind(old)
        .bind(CATALOG_NAME)
        .bind(level(ident.namespace()))
        .bind(ident.name())
        .execute(&self.pool)
        .await
        .doing(|| format!("commit to table \"{ident}\""))?;
        Ok(done.rows_affected() == 1)
    }

    pub(crate) async fn delete(&self, ident: &TableIdent) -> Result<bool> {
        let done = sqlx::query(
            "DELETE FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?",
        )
        .bind(CATALOG_NAME)
        .bind(level(ident.namespace()))
        .bind(ident.name())
        .execute(&self.pool)
        .await
        .doing(|| format!("drop table \"{ident}\""))?;
        Ok(done.rows_affected() == 1)
    }

    pub(crate) async fn rename(&self, from: &TableIdent, to: &TableIdent) -> Result<bool> {
        if self.location(to).await?.is_some() {
            return Err(Error::new(ErrorKind::Conflict, format!("table \"{to}\" exists already")));
        }
        let done = sqlx::query(
            "UPDATE iceberg_tables SET table_namespace = ?, table_name = ?
             WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?",
        )
        .bind(level(to.namespace()))
        .bind(to.name())
        .bind(CATALOG_NAME)
        .bind(level(from.namespace()))
        .bind(from.name())
        .execute(&self.pool)
        .await
        .doing(|| format!("rename table \"{from}\""))?;
        Ok(done.rows_affected() == 1)
    }
}
