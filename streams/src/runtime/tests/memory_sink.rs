//! Tables in memory that behave like the lake: rows are seen when they are committed, a crash loses the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use seislake_model::{Error, ErrorKind, Offsets, SnapshotId};
use seislake_tables::{Sink, TableBatch, TableDef};
use tokio_util::sync::CancellationToken;

use crate::topology::{all_stages, tables_of};

/// Steps that may be taken before the world stops.
#[derive(Clone, Debug)]
pub(super) struct Fuel {
    left: Arc<AtomicI64>,
    pub(super) spent: CancellationToken,
}

impl Fuel {
    pub(super) fn new(steps: i64) -> Self {
        Self { left: Arc::new(AtomicI64::new(steps)), spent: CancellationToken::new() }
    }

    pub(super) fn endless() -> Self {
        Self::new(i64::MAX)
    }

    /// Takes a step; never returns once the fuel is spent.
    pub(super) async fn step(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            self.spent.cancel();
            std::future::pending::<()>().await;
        }
    }
}

#[derive(Debug, Default)]
struct Table {
    rows: Vec<String>,
    offsets: Offsets,
    commits: SnapshotId,
}

/// All tables; they outlive the sinks.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    tables: Arc<Mutex<BTreeMap<String, Table>>>,
    refused: Arc<Mutex<BTreeSet<String>>>,
    /// Commits of a table that are still to fail.
    failures: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Tables {
    /// The next commits to this table fail; every other one of them after it came through.
    pub(super) fn fail(&self, table: &str, count: usize) {
        self.failures.lock().unwrap().insert(table.to_owned(), count);
    }

    fn fails(&self, table: &str) -> Option<usize> {
        let mut failures = self.failures.lock().unwrap();
        let left = failures.get_mut(table).filter(|left| **left > 0)?;
        *left -= 1;
        Some(*left)
    }

    /// Commits to this table fail from now on.
    pub(super) fn refuse(&self, table: &str) {
        self.refused.lock().unwrap().insert(table.to_owned());
    }

    /// ... and succeed again.
    pub(super) fn allow(&self, table: &str) {
        self.refused.lock().unwrap().remove(table);
    }

    pub(super) fn sinks(&self, fuel: &Fuel) -> BTreeMap<String, Box<dyn Sink>> {
        self.sinks_of(&tables_of(&all_stages()), fuel)
    }

    pub(super) fn sinks_of(
        &self,
        tables: &[&'static TableDef],
        fuel: &Fuel,
    ) -> BTreeMap<String, Box<dyn Sink>> {
        tables
            .iter()
            .map(|table| {
                let sink = MemorySink {
                    table: table.full_name(),
                    tables: self.clone(),
                    fuel: fuel.clone(),
                    pending: Vec::new(),
                };
                (table.full_name(), Box::new(sink) as Box<dyn Sink>)
            })
            .collect()
    }

    /// Committed rows of a table, sorted.
    pub(super) fn rows_of(&self, table: &TableDef) -> Vec<String> {
        let tables = self.tables.lock().unwrap();
        let mut rows = tables.get(&table.full_name()).map(|table| table.rows.clone()).unwrap_or_default();
        rows.sort();
        rows
    }

    /// Committed rows of all tables, sorted.
    pub(super) fn rows(&self) -> BTreeMap<String, Vec<String>> {
        let tables = self.tables.lock().unwrap();
        let sorted = |table: &str| {
            let mut rows = tables.get(table).map(|table| table.rows.clone()).unwrap_or_default();
            rows.sort();
            rows
        };
        tables_of(&all_stages())
            .into_iter()
            .map(|table| (table.full_name(), sorted(&table.full_name())))
            .collect()
    }
}

#[derive(Debug)]
struct MemorySink {
    table: String,
    tables: Tables,
    fuel: Fuel,
    pending: Vec<String>,
}

#[async_trait]
impl Sink for MemorySink {
    async fn committed(&self) -> Result<Offsets, Error> {
        let tables = self.tables.tables.lock().unwrap();
        Ok(tables.get(&self.table).map(|table| table.offsets.clone()).unwrap_or_default())
    }

    async fn write(&mut self, rows: TableBatch) -> Result<(), Error> {
        self.fuel.step().await;
        assert_eq!(rows.table.full_name(), self.table);
        self.pending.extend(texts(&rows));
        Ok(())
    }

    async fn commit(&mut self, covered: &Offsets) -> Result<Option<SnapshotId>, Error> {
        self.fuel.step().await;
        if self.tables.refused.lock().unwrap().contains(&self.table) {
            let message = format!("{} is refused", self.table);
            return Err(Error { kind: ErrorKind::Unavailable, message, source: None });
        }
        let failure = self.tables.fails(&self.table);
        let failed = || Error { kind: ErrorKind::Unavailable, message: "failed".into(), source: None };
        if failure.is_some_and(|left| left.is_multiple_of(2)) {
            return Err(failed());
        }
        let snapshot = {
            let mut tables = self.tables.tables.lock().unwrap();
            let table = tables.entry(self.table.clone()).or_default();
            let mut offsets = table.offsets.clone();
            for (topic, partitions) in &covered.0 {
                for (partition, next) in partitions {
                    let next = offsets.get(topic, *partition).max(*next);
                    offsets.set(topic, *partition, next);
                }
            }
            if offsets != table.offsets {
                table.rows.append(&mut self.pending);
                table.offsets = offsets;
                table.commits += 1;
            }
            self.pending.clear();
            table.commits
        };
        if failure.is_some() {
            return Err(failed());
        }
        // A crash may also come between the commit and the news of it.
        self.fuel.step().await;
        Ok(Some(snapshot))
    }
}

fn texts(rows: &TableBatch) -> Vec<String> {
    let mut texts = Vec::new();
    for batch in &rows.rows {
        let format = FormatOptions::new();
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &format).unwrap()).collect();
        let row =
            |row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|");
        texts.extend((0..batch.num_rows()).map(row));
    }
    texts
}
