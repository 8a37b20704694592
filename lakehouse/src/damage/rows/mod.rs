//! The rows of the tables against the records of the log: what is there twice, and what the log holds and no table.
//!
//! ```text
//! rows alike in their identity, records alike in their hash ───► doubled: all but one are taken out
//! log up to the offsets of a table ─► rows made again ─┬ a row of that identity is there ─► nothing
//!                                                      └ none is ─────────────────────────► missing: put back
//! rows of waveform.packets, samples neither in segments nor in the log ─► see `lost`
//! ```
//! Packets are told apart by topic, partition and offset. Segments are joined and cut anew by time, so a record counts as
//! held where some segment of its source covers its middle: of two records of one time and source, one is enough.

mod lost;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use anyhow::Context;
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::compute::{max, min};
use datafusion::arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use datafusion::common::JoinType;
use datafusion::prelude::{SessionContext, col, ident};
use futures::TryStreamExt;
use seislake_model::{ErrorKind, Offsets, Timestamp};
use seislake_streams::control::is_control;
use seislake_streams::message::{PHASE_PICKS, WAVEFORMS_RAW, dead_letter_topic};
use seislake_streams::runtime::rows_of;
use seislake_streams::topic::{Record, scan};
use seislake_tables::{
    TableBatch, TableDef, arrivals, dead_letters, listed, packets, picks, segments, table_def,
};
use tokio::runtime::Handle;

use super::{Action, Finding};
use crate::{Lakehouse, home};

pub(super) use lost::LostRecords;

pub(super) const PACKETS: &str = "waveform.packets";
const SEGMENTS: &str = "waveform.segments";
const PICKS: &str = "bulletin.picks";
const ARRIVALS: &str = "bulletin.arrivals";
/// What makes two segments the same, wherever their records stood.
const SEGMENT_CONTENT: [&str; 8] = [
    segments::names::source_id,
    segments::names::start_ns,
    segments::names::end_ns,
    segments::names::sample_rate_hz,
    segments::names::encoding,
    segments::names::quality,
    segments::names::samples,
    segments::names::samples_float,
];
/// Bytes of rows that are put back at once.
const ROW_BYTES_MAX: usize = 256 << 20;

/// Bytes of records of which rows are made at once.
const RECORD_BYTES_MAX: usize = 64 << 20;
/// Bytes of rows that are compared with a table at once.
const COMPARED_BYTES_MAX: usize = 64 << 20;

/// Rows that are there twice.
pub(super) async fn doubled(lakehouse: &Lakehouse, action: Action) -> anyhow::Result<Vec<Finding>> {
    let session = lakehouse.pinned_session().await?;
    let not_made = lakehouse.missing_tables().await?;
    let mut findings = Vec::new();
    let definitions = lakehouse.lake().definitions();
    let mut keys: Vec<(&TableDef, Vec<&str>)> =
        definitions.iter().map(|table| (*table, table.identity.to_vec())).collect();
    keys.extend(table_def(PACKETS).map(|packets| (packets, vec![packets::names::sha256])));
    for (table, key) in keys {
        let name = table.full_name();
        if not_made.contains(&name) {
            continue;
        }
        let quoted: Vec<String> = key.iter().map(|column| format!("\"{column}\"")).collect();
        let sql = format!(
            "SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM \"{}\".\"{}\" GROUP BY {} HAVING count(*) > 1)",
            table.namespace,
            table.name,
            quoted.join(", ")
        );
        let count =
            number(&session, &sql).await.with_context(|| format!("cannot count the rows of \"{name}\""))?;
        if count == 0 {
            continue;
        }
        if action == Action::Repair {
            lakehouse.lake().drop_doubled_rows(&name, &key).await?;
            if name == PACKETS {
                lakehouse.lake().drop_doubled_rows(SEGMENTS, &SEGMENT_CONTENT).await?;
            }
        }
        findings.push(Finding {
            part: "rows",
            object: format!("table \"{name}\""),
            damage: format!("{count} rows are there more than once (alike in {})", key.join(", ")),
            lost: "nothing".into(),
            remedy: "one of each is kept".into(),
        });
    }
    Ok(findings)
}

async fn number(session: &SessionContext, sql: &str) -> anyhow::Result<i64> {
    let batches: Vec<RecordBatch> = seislake_query::query(session, sql).await?.try_collect().await?;
    let column = batches.first().map(|batch| batch.column(0)).context("the statement returned no row")?;
    Ok(column.as_primitive_opt::<Int64Type>().context("the statement returned no number")?.value(0))
}

/// Rows of records that the log of a home or share holds and the tables do not, although they cover them. Records whose
/// samples nothing holds are added to `lost`.
pub(super) async fn missing(
    place: &Path,
    lakehouse: &Lakehouse,
    action: Action,
    lost: &mut LostRecords,
) -> anyhow::Result<Vec<Finding>> {
    let mut missing = MissingRows {
        lakehouse,
        not_made: lakehouse.missing_tables().await?,
        action,
        told: BTreeMap::new(),
        rows: BTreeMap::new(),
        row_bytes: 0,
        lost,
    };
    for topic in topics(place)? {
        let (name, _) = topic.split_once('@').unwrap_or((&topic, ""));
        match name {
            WAVEFORMS_RAW => missing.raw(place, &topic).await?,
            letters if letters.ends_with(&dead_letter_topic("")) => {
                missing.messages(place, &topic, &[&dead_letters::TABLE]).await?;
            }
            output => {
                let stage = lakehouse.topology().stage_of_output(output);
                if let Some(stage) = stage.filter(|stage| !stage.tables.is_empty()) {
                    missing.messages(place, &topic, stage.tables).await?;
                }
            }
        }
    }
    missing.put_back().await?;
    Ok(missing.told.into_iter().map(|(table, told)| told.finding(&table)).collect())
}

/// Arrivals that name picks which are nowhere. Where some picks are still on their way from the log into their table, nothing
/// is told: others may be theirs.
pub(super) async fn without_picks(
    lakehouse: &Lakehouse,
    places: &[PathBuf],
) -> anyhow::Result<Option<Finding>> {
    let not_made = lakehouse.missing_tables().await?;
    if [PICKS, ARRIVALS].iter().any(|table| not_made.iter().any(|name| name == table)) {
        return Ok(None);
    }
    let session = lakehouse.pinned_session().await?;
    // Stages of a configuration may associate picks of others of its own.
    let id = picks::names::pick_id;
    let of_picks = lakehouse.lake().definitions().iter().filter(|table| table.name == picks::TABLE.name);
    let known: Vec<String> = of_picks
        .filter(|table| !not_made.contains(&table.full_name()))
        .map(|table| format!("SELECT {id} FROM \"{}\".\"{}\"", table.namespace, table.name))
        .collect();
    let sql = format!(
        "SELECT count(*) FROM {ARRIVALS} AS a LEFT JOIN ({}) AS p ON a.{} = p.{id} WHERE p.{id} IS NULL",
        known.join(" UNION ALL "),
        arrivals::names::pick_id,
    );
    let count = number(&session, &sql).await.context("cannot compare arrivals with picks")?;
    if count == 0 {
        return Ok(None);
    }
    let covered = lakehouse.lake().covered(PICKS).await?;
    let mut are_on_their_way = false;
    for place in places {
        for topic in topics(place)?.iter().filter(|topic| topic.split('@').next() == Some(PHASE_PICKS)) {
            tokio::task::block_in_place(|| {
                scan(place, topic, &mut |partition: u32, records: Vec<Record>| {
                    let next = covered.get(topic, partition);
                    are_on_their_way |= records.iter().any(|record| record.offset >= next);
                    Ok(())
                })
            })
            .context("cannot read the log")?;
        }
    }
    let finding = || {
        Finding {
        part: "rows",
        object: format!("table \"{ARRIVALS}\""),
        damage: format!("{count} rows name picks that neither \"{PICKS}\" nor the log holds"),
        lost: "those picks: their times, amplitudes and uncertainties".into(),
        remedy: "nothing: no repair makes picks again. Origins and events stay as they are; importing the same records \
                 into a new home picks them again"
            .into(),
    }
    };
    Ok((!are_on_their_way).then(finding))
}

/// What keeps rows from being compared or put back, on the way through the log.
fn of_tables(error: impl Into<anyhow::Error>) -> seislake_streams::Error {
    let error = error.into();
    seislake_streams::Error::new(ErrorKind::Internal, format!("{error:#}"))
}

fn topics(place: &Path) -> anyhow::Result<Vec<String>> {
    let folders = home::folders(&place.join("log"))?;
    let name = |folder: &PathBuf| Some(folder.file_name()?.to_str()?.to_owned());
    let mut names: Vec<String> = folders.iter().filter_map(name).collect();
    names.sort();
    Ok(names)
}

/// What is told of a table.
#[derive(Debug, Default)]
struct TableFindings {
    row_count: usize,
    /// First and last time of the records, where they have one.
    times_ns: Option<(i64, i64)>,
}

impl TableFindings {
    fn note(&mut self, start_ns: i64, end_ns: i64) {
        let (first, last) = self.times_ns.unwrap_or((start_ns, end_ns));
        self.times_ns = Some((first.min(start_ns), last.max(end_ns)));
    }

    fn times(&self) -> String {
        self.times_ns.map_or_else(String::new, |(first, last)| {
            format!(", from {} to {}", Timestamp::from_nanos(first), Timestamp::from_nanos(last))
        })
    }

    fn finding(self, table: &str) -> Finding {
        let times = self.times();
        Finding {
            part: "rows",
            object: format!("table \"{table}\""),
            damage: format!(
                "{} rows of records that the log or raw/ holds are missing{times}",
                self.row_count
            ),
            lost: "nothing: the records are there".into(),
            remedy: "they are made again from the records".into(),
        }
    }
}

struct MissingRows<'a> {
    lakehouse: &'a Lakehouse,
    /// Tables of which no row can be missing: of a home whose making was cut off, or that is older than they are.
    not_made: Vec<String>,
    action: Action,
    told: BTreeMap<String, TableFindings>,
    /// To be put back, by table.
    rows: BTreeMap<String, Vec<RecordBatch>>,
    row_bytes: usize,
    lost: &'a mut LostRecords,
}

impl MissingRows<'_> {
    fn is_not_made(&self, table: &str) -> bool {
        self.not_made.iter().any(|name| name == table)
    }

    async fn covered(&self, tables: &[&str]) -> anyhow::Result<Vec<Offsets>> {
        let mut covered = Vec::new();
        for table in tables {
            covered.push(self.lakehouse.lake().covered(table).await?);
        }
        Ok(covered)
    }

    async fn raw(&mut self, place: &Path, topic: &str) -> anyhow::Result<()> {
        if [PACKETS, SEGMENTS].iter().any(|table| self.is_not_made(table)) {
            return Ok(());
        }
        // Offsets first: what is committed in between is then there.
        let covered = self.covered(&[PACKETS, SEGMENTS]).await?;
        let next =
            |table: usize, partition| covered.get(table).map_or(0, |covered| covered.get(topic, partition));
        let session = self.lakehouse.pinned_session().await?;
        let packets = KnownOffsets::read(&session, topic).await?;
        let spans = Spans::read(&session).await?;
        let (mut of_packets, mut of_segments) = (Pieces::new(), Pieces::new());
        let mut in_log = KnownOffsets::default();
        let mut piece_bytes = 0;
        let now = Handle::current();
        let mut candidates = |partition: u32, records: Vec<Record>| {
            for record in records.into_iter().filter(|record| !is_control(record)) {
                in_log.add(partition, record.offset);
                let Ok(header) = seislake_mseed::Record::parse(&record.value) else { continue };
                let packet = record.offset < next(0, partition) && !packets.holds(partition, record.offset);
                let timed = header.encoding.sample_type().is_some()
                    && header.sample_count > 0
                    && header.rate_hz() > 0.0;
                let segment = timed
                    && record.offset < next(1, partition)
                    && !spans.hold(header.source_id(), header.start_ns, header.last_sample_ns());
                if packet || segment {
                    piece_bytes += record.value.len();
                }
                if packet {
                    of_packets.entry(partition).or_default().push(record.clone());
                }
                if segment {
                    of_segments.entry(partition).or_default().push(record);
                }
            }
            // All of a long log may be missing.
            if piece_bytes > RECORD_BYTES_MAX {
                piece_bytes = 0;
                let pieces = [
                    (std::mem::take(&mut of_packets), PACKETS),
                    (std::mem::take(&mut of_segments), SEGMENTS),
                ];
                for (pieces, table) in pieces {
                    now.block_on(self.make_again(topic, table, pieces)).map_err(of_tables)?;
                }
            }
            Ok(())
        };
        tokio::task::block_in_place(|| scan(place, topic, &mut candidates)).context("cannot read the log")?;
        for (pieces, table) in [(of_packets, PACKETS), (of_segments, SEGMENTS)] {
            self.make_again(topic, table, pieces).await?;
        }
        self.without_samples(place, topic, &session, &spans, &in_log).await
    }

    /// Makes the rows that `table` has of these records.
    async fn make_again(&mut self, topic: &str, table: &str, pieces: Pieces) -> anyhow::Result<()> {
        for (partition, records) in pieces {
            // A few at a time: samples are many times longer than records.
            for piece in records.chunks(PIECE_RECORDS) {
                let rows = rows_of(self.lakehouse.topology(), topic, partition, piece.to_vec())?;
                for rows in rows.into_iter().filter(|rows| rows.table.full_name() == table) {
                    self.take(rows);
                }
                if self.row_bytes > ROW_BYTES_MAX {
                    self.put_back().await?;
                }
            }
        }
        Ok(())
    }

    async fn messages(&mut self, place: &Path, topic: &str, tables: &[&TableDef]) -> anyhow::Result<()> {
        let names: Vec<String> = tables.iter().map(|table| table.full_name()).collect();
        let tables: Vec<&str> =
            names.iter().map(String::as_str).filter(|table| !self.is_not_made(table)).collect();
        let covered = self.covered(&tables).await?;
        let session = self.lakehouse.pinned_session().await?;
        let mut found: BTreeMap<&str, Vec<RecordBatch>> = BTreeMap::new();
        let mut found_bytes = 0;
        let now = Handle::current();
        let mut make = |partition: u32, mut records: Vec<Record>| {
            let next = covered.iter().map(|covered| covered.get(topic, partition)).min().unwrap_or(0);
            records.retain(|record| record.offset < next);
            for made in rows_of(self.lakehouse.topology(), topic, partition, records)? {
                if let Some(table) = tables.iter().find(|table| **table == made.table.full_name()) {
                    found_bytes += made.rows.iter().map(RecordBatch::get_array_memory_size).sum::<usize>();
                    found.entry(table).or_default().extend(made.rows);
                }
            }
            if found_bytes > COMPARED_BYTES_MAX {
                found_bytes = 0;
                now.block_on(self.keep_absent(&session, std::mem::take(&mut found))).map_err(of_tables)?;
            }
            Ok(())
        };
        tokio::task::block_in_place(|| scan(place, topic, &mut make)).context("cannot read the log")?;
        self.keep_absent(&session, found).await
    }

    /// Keeps those rows that the tables do not have.
    async fn keep_absent(
        &mut self,
        session: &SessionContext,
        found: BTreeMap<&str, Vec<RecordBatch>>,
    ) -> anyhow::Result<()> {
        for (table, batches) in found {
            for batch in batches.into_iter().filter(|batch| batch.num_rows() > 0) {
                for batch in absent(session, self.lakehouse.lake().defined(table)?, batch).await? {
                    self.keep(table, batch, None);
                }
            }
        }
        if self.row_bytes > ROW_BYTES_MAX { self.put_back().await } else { Ok(()) }
    }

    fn take(&mut self, made: TableBatch) {
        let table = made.table.full_name();
        for batch in made.rows {
            let times_ns = span_ns(&table, &batch);
            self.keep(&table, batch, times_ns);
        }
    }

    fn keep(&mut self, table: &str, batch: RecordBatch, times_ns: Option<(i64, i64)>) {
        if batch.num_rows() == 0 {
            return;
        }
        let told = self.told.entry(table.to_owned()).or_default();
        told.row_count += batch.num_rows();
        if let Some((start_ns, end_ns)) = times_ns {
            told.note(start_ns, end_ns);
        }
        if self.action == Action::Repair {
            self.row_bytes += batch.get_array_memory_size();
            self.rows.entry(table.to_owned()).or_default().push(batch);
        }
    }

    async fn put_back(&mut self) -> anyhow::Result<()> {
        for (table, rows) in std::mem::take(&mut self.rows) {
            self.lakehouse.lake().add_lost_rows(&table, &rows).await?;
        }
        self.row_bytes = 0;
        Ok(())
    }
}

/// Records by partition.
type Pieces = BTreeMap<u32, Vec<Record>>;
/// Records of which rows are made at once.
const PIECE_RECORDS: usize = 1 << 14;

/// First and last moment of rows of records, nanoseconds since 1970.
fn span_ns(table: &str, batch: &RecordBatch) -> Option<(i64, i64)> {
    let of = |name: &str| Some(batch.column_by_name(name)?.as_primitive_opt::<Int64Type>()?.clone());
    match table {
        PACKETS => {
            let ends = batch.column_by_name(packets::names::last_sample_time)?;
            let last_us = max(ends.as_primitive_opt::<TimestampMicrosecondType>()?)?;
            Some((min(&of(packets::names::start_ns)?)?, last_us.saturating_mul(1000)))
        }
        SEGMENTS => Some((min(&of(segments::names::start_ns)?)?, max(&of(segments::names::end_ns)?)?)),
        _ => None,
    }
}

/// The rows of `batch` whose identity `table` does not have.
async fn absent(
    session: &SessionContext,
    definition: &TableDef,
    batch: RecordBatch,
) -> anyhow::Result<Vec<RecordBatch>> {
    let renamed: Vec<String> = definition.identity.iter().map(|column| format!("known_{column}")).collect();
    let columns =
        definition.identity.iter().zip(&renamed).map(|(column, new)| ident(*column).alias(new.as_str()));
    let known = session.table(definition.full_name()).await?.select(columns.collect::<Vec<_>>())?;
    let on: Vec<_> = definition
        .identity
        .iter()
        .zip(&renamed)
        .map(|(column, new)| ident(*column).eq(col(new.as_str())))
        .collect();
    let found = session.read_batch(batch)?.distinct_on(
        definition.identity.iter().map(|column| ident(*column)).collect(),
        session_columns(definition),
        None,
    )?;
    Ok(found.join_on(known, JoinType::LeftAnti, on)?.collect().await?)
}

fn session_columns(table: &TableDef) -> Vec<datafusion::logical_expr::Expr> {
    table.columns.iter().map(|column| ident(column.name)).collect()
}

/// Offsets of records of a topic, such as of those that have a row in `waveform.packets`: one bit each.
#[derive(Debug, Default)]
struct KnownOffsets(HashMap<u32, Vec<u64>>);

/// Offsets beyond this are damage themselves: no log has so many records.
const OFFSETS_MAX: u64 = 1 << 36;

impl KnownOffsets {
    async fn read(session: &SessionContext, topic: &str) -> anyhow::Result<Self> {
        let topic = topic.replace('\'', "''");
        let sql = format!(
            "SELECT {} FROM {PACKETS} WHERE {} = '{topic}'",
            listed(&[packets::names::partition, packets::names::offset]),
            packets::names::topic
        );
        let mut batches = seislake_query::query(session, &sql).await?;
        let mut known = Self::default();
        while let Some(batch) = batches.try_next().await? {
            let partitions = batch.column(0).as_primitive::<Int32Type>();
            let offsets = batch.column(1).as_primitive::<Int64Type>();
            for (partition, offset) in partitions.values().iter().zip(offsets.values()) {
                let (Ok(partition), Ok(offset)) = (u32::try_from(*partition), u64::try_from(*offset)) else {
                    continue;
                };
                known.add(partition, offset);
            }
        }
        Ok(known)
    }

    fn add(&mut self, partition: u32, offset: u64) {
        if offset >= OFFSETS_MAX {
            return;
        }
        let words = self.0.entry(partition).or_default();
        let index = (offset / 64) as usize;
        if words.len() <= index {
            words.resize(index + 1, 0);
        }
        if let Some(word) = words.get_mut(index) {
            *word |= 1 << (offset % 64);
        }
    }

    fn holds(&self, partition: u32, offset: u64) -> bool {
        let word = self.0.get(&partition).and_then(|words| words.get((offset / 64) as usize));
        word.is_some_and(|word| word & (1 << (offset % 64)) != 0)
    }
}

/// Times of the segments of each source, in order and apart.
#[derive(Default)]
struct Spans(HashMap<String, Vec<(i64, i64)>>);

impl Spans {
    async fn read(session: &SessionContext) -> anyhow::Result<Self> {
        let columns = [segments::names::source_id, segments::names::start_ns, segments::names::end_ns];
        let sql = format!("SELECT {} FROM {SEGMENTS}", listed(&columns));
        let mut batches = seislake_query::query(session, &sql).await?;
        let mut spans: HashMap<String, Vec<(i64, i64)>> = HashMap::new();
        while let Some(batch) = batches.try_next().await? {
            let sources = batch.column(0).as_string::<i32>();
            let starts = batch.column(1).as_primitive::<Int64Type>();
            let ends = batch.column(2).as_primitive::<Int64Type>();
            for row in 0..batch.num_rows() {
                let span = (starts.value(row), ends.value(row));
                match spans.get_mut(sources.value(row)) {
                    Some(of_source) => of_source.push(span),
                    None => drop(spans.insert(sources.value(row).to_owned(), vec![span])),
                }
            }
        }
        for of_source in spans.values_mut() {
            of_source.sort_unstable();
            of_source.dedup_by(|next, before| {
                let joins = next.0 <= before.1;
                before.1 = if joins { before.1.max(next.1) } else { before.1 };
                joins
            });
        }
        Ok(Self(spans))
    }

    /// Whether some segment covers the middle of this time.
    fn hold(&self, source: &str, start_ns: i64, end_ns: i64) -> bool {
        let middle_ns = start_ns.midpoint(end_ns);
        let Some(spans) = self.0.get(source) else { return false };
        let after = spans.partition_point(|(start_ns, _)| *start_ns <= middle_ns);
        after
            .checked_sub(1)
            .and_then(|index| spans.get(index))
            .is_some_and(|(_, end_ns)| middle_ns <= *end_ns)
    }
}
