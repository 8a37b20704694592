//! Runs `tests/slt/*.slt` against a session over a small synthetic lake (`fixture`).
//!
//! The files are of the sqllogictest dialect: records separated by blank lines,
//! ```text
//! query                       statement error <part of the sentence>
//! SELECT …                    SELECT …
//! ----
//! one row a line, cells separated by two spaces, nulls as NULL
//! ```
//! `BLESS=1` writes the results found into the files: read the diff.
#![allow(clippy::disallowed_methods, reason = "tests read and bless files")]

mod fixture;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use seislake_model::Error;

use crate::error::OfEngine;

/// One record of a file, as text.
struct Record {
    comments: String,
    head: String,
    sql: String,
    expected: String,
}

fn records(text: &str) -> Vec<Record> {
    let mut records = vec![];
    let mut comments = String::new();
    for block in text.split("\n\n").map(str::trim).filter(|block| !block.is_empty()) {
        let (notes, body): (Vec<&str>, Vec<&str>) = block.lines().partition(|line| line.starts_with('#'));
        notes.iter().for_each(|line| comments = format!("{comments}{line}\n"));
        let Some((head, body)) = body.split_first() else {
            comments.push('\n');
            continue;
        };
        let cut = body.iter().position(|line| *line == "----").unwrap_or(body.len());
        records.push(Record {
            comments: std::mem::take(&mut comments),
            head: (*head).to_owned(),
            sql: body[..cut].join("\n"),
            expected: body[cut..].iter().skip(1).map(|line| format!("{line}\n")).collect(),
        });
    }
    records
}

async fn rows(context: &SessionContext, sql: &str) -> Result<String, Error> {
    let batches: Vec<RecordBatch> = crate::query(context, sql).await?.try_collect().await.of_engine()?;
    let options = FormatOptions::default().with_null("NULL");
    let mut text = String::new();
    for batch in &batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            let _ = writeln!(text, "{}", cells.join("  "));
        }
    }
    Ok(text)
}

/// What is wrong with a record, if anything, and what it should say.
async fn run(context: &SessionContext, record: &Record) -> (Option<String>, String) {
    let found = rows(context, &record.sql).await;
    match record.head.strip_prefix("statement error ") {
        Some(part) => match found {
            Ok(rows) => (Some(format!("no error but\n{rows}")), record.head.clone()),
            Err(error) => {
                let fits = error.message.contains(part) && !error.message.contains('\n');
                ((!fits).then(|| error.message.clone()), format!("statement error {}", error.message))
            }
        },
        None if record.head == "query" => match found {
            Ok(rows) => ((rows != record.expected).then(|| rows.clone()), rows),
            Err(error) => (Some(error.message), record.expected.clone()),
        },
        None => (Some("a record begins with query or statement error".to_owned()), String::new()),
    }
}

fn blessed(record: &Record, found: &str) -> String {
    let Record { comments, head, sql, .. } = record;
    if head == "query" {
        format!("{comments}{head}\n{sql}\n----\n{found}")
    } else {
        format!("{comments}{found}\n{sql}\n")
    }
}

async fn run_file(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let (context, mut wrong, mut page) = (fixture::session(), vec![], vec![]);
    for record in records(&text) {
        let (problem, found) = run(&context, &record).await;
        page.push(blessed(&record, &found));
        wrong.extend(problem.map(|problem| format!("{}:\n{}\n{problem}", path.display(), record.sql)));
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, page.join("\n")).unwrap();
        wrong.clear();
    }
    wrong
}

#[tokio::test]
async fn statements_give_the_rows_that_the_slt_files_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/slt");
    let entries = std::fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "slt")).collect();
    files.sort();
    assert!(!files.is_empty(), "no files in {}", folder.display());
    let mut wrong = vec![];
    for file in &files {
        wrong.extend(run_file(file).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The examples of the page are of the demo's home; this lake has other stations and another day.
fn on_the_fixture(example: &str) -> String {
    [("SY_D001", "XX_S001"), ("SY.D001", "XX.S001"), ("SY.*", "XX.*"), ("2026-01-0", "2024-03-0")]
        .iter()
        .fold(example.to_owned(), |sql, (demo, here)| sql.replace(demo, here))
}

#[tokio::test]
async fn examples_of_the_page_run() {
    let context = fixture::session();
    let run = "traces('FDSN:XX_S001__H_H_Z', '2024-03-01', '2024-03-01T00:00:10')";
    let functions = crate::FUNCTIONS.iter().map(|constructor| {
        let example = constructor().documentation().and_then(|page| page.sql_example.clone());
        let example = example.unwrap_or_else(|| panic!("{} has no example", constructor().name()));
        if example.starts_with("SELECT") { example } else { format!("SELECT {example} FROM {run}") }
    });
    let tables = crate::TABLE_FUNCTIONS.iter().map(|table| table.example.to_owned());
    for sql in functions.chain(tables).map(|example| on_the_fixture(&example)).collect::<Vec<_>>() {
        let found = rows(&context, &sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert!(!found.is_empty() && !found.starts_with("NULL"), "{sql} gives nothing");
    }
}
