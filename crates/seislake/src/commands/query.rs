//! `seislake query`: one SELECT over the tables of a home, beside a running server too.

use std::io::{BufWriter, IsTerminal, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::arrow::json;
use datafusion::arrow::json::writer::JsonArray;
use futures::TryStreamExt;
use seislake_api::{Asker, QueryFailure, QueryLimits, QueryRuntime, QueryStream, TimeLimit};
use seislake_query::{Question, layout};

use crate::arguments::HomeArgs;
use crate::server::query_limits;
use crate::terminal::{StandardOutput, print_result, result_columns, tell};
use seislake_lakehouse::Lakehouse;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum QueryFormat {
    /// For reading, on a terminal no wider than that.
    Table,
    /// With a header line.
    Csv,
    /// One array of objects; nulls are written.
    Json,
    /// Arrow IPC stream.
    Arrow,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples: seislake query \"SELECT origin_time, latitude, longitude, depth_km FROM bulletin.events_current ORDER BY 1\"
          seislake query --vertical \"SELECT * FROM bulletin.events_current LIMIT 3\"
          seislake query --format csv - < statement.sql > rows.csv"
)]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    pub(crate) home: HomeArgs,
    /// Output format.
    #[arg(long, value_enum, default_value_t = QueryFormat::Table)]
    pub(crate) format: QueryFormat,
    /// The same as --format json.
    #[arg(long, conflicts_with_all = ["format", "vertical"])]
    pub(crate) json: bool,
    /// Cut the statement off after so many seconds. Without it, it runs until it ends or Ctrl-C, within query.memory_bytes.
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    pub(crate) timeout_s: Option<f64>,
    /// One line a value, one paragraph a row: for rows of many columns.
    #[arg(long, conflicts_with = "format")]
    pub(crate) vertical: bool,
    /// One SELECT statement; - reads it from standard input.
    #[arg(value_name = "SQL")]
    pub(crate) sql: String,
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 1e9 => Ok(seconds),
        _ => Err("expected seconds above 0".into()),
    }
}

/// Where no --timeout-s is given: a year, which is never.
const NO_LIMIT: Duration = Duration::from_secs(365 * 86_400);

const CANNOT_BE_SHOWN: &str = "a column of this result cannot be shown";

/// A statement on standard input may be so long.
const STATEMENT_BYTES_MAX: u64 = 16 << 20;

pub(crate) async fn run(mut args: QueryArgs) -> anyhow::Result<()> {
    if args.sql == "-" {
        args.sql = statement_of_input()?;
    }
    let settings = args.home.settings()?;
    let lakehouse = Lakehouse::open_for_reading(&args.home.home, &settings).await?;
    let limit = args.timeout_s.map_or(NO_LIMIT, Duration::from_secs_f64);
    let runtime = QueryRuntime::start(QueryLimits { time_max: limit, ..query_limits(&settings)? })?;
    let question = Question::new(&args.sql);
    let asker = Asker::new("command line", "");
    let answer = runtime.run(asker, lakehouse.session()?, question, TimeLimit::Whole(limit)).await;
    match answer {
        Ok(answer) => print(answer, &args).await,
        Err(failure) => Err(sentence(&failure, args.timeout_s.unwrap_or_default())),
    }
}

async fn print(stream: QueryStream, args: &QueryArgs) -> anyhow::Result<()> {
    let schema = stream.schema();
    let limit_s = args.timeout_s.unwrap_or_default();
    let mut batches = stream.map_err(|failure| sentence(&failure, limit_s));
    let format = if args.json { QueryFormat::Json } else { args.format };
    match format {
        QueryFormat::Table => {
            let all: Vec<RecordBatch> = batches.try_collect().await?;
            let all = if all.is_empty() { vec![RecordBatch::new_empty(Arc::clone(&schema))] } else { all };
            print_for_reading(args, &schema, &all)
        }
        QueryFormat::Csv => {
            print_result(&layout::csv_header(&schema))?;
            while let Some(batch) = batches.try_next().await? {
                let rows = layout::csv_rows(&batch).context(
                    "a column of this result cannot be written as CSV; use --format json or arrow",
                )?;
                print_result(std::str::from_utf8(&rows)?)?;
            }
            Ok(())
        }
        QueryFormat::Json => {
            let out = BufWriter::new(StandardOutput::new());
            let nulls = json::WriterBuilder::new().with_explicit_nulls(true);
            let mut writer = nulls.build::<_, JsonArray>(out);
            while let Some(batch) = batches.try_next().await? {
                writer.write(&batch)?;
            }
            writer.finish()?;
            let mut out = writer.into_inner();
            Ok(out.write_all(b"\n").and_then(|()| out.flush())?)
        }
        QueryFormat::Arrow => {
            ensure!(
                !std::io::stdout().is_terminal(),
                "an Arrow stream is not for a terminal: write it to a file (> rows.arrow) or into a program"
            );
            let mut writer = StreamWriter::try_new(StandardOutput::new(), &schema)?;
            while let Some(batch) = batches.try_next().await? {
                writer.write(&batch)?;
            }
            Ok(writer.finish()?)
        }
    }
}

/// The statement `-` stands for.
fn statement_of_input() -> anyhow::Result<String> {
    let mut sql = String::new();
    std::io::stdin()
        .take(STATEMENT_BYTES_MAX)
        .read_to_string(&mut sql)
        .context("cannot read the statement from standard input")?;
    ensure!(!sql.trim().is_empty(), "standard input holds no statement");
    ensure!(
        sql.len() as u64 != STATEMENT_BYTES_MAX,
        "the statement is longer than {STATEMENT_BYTES_MAX} bytes"
    );
    Ok(sql)
}

fn print_for_reading(args: &QueryArgs, schema: &SchemaRef, batches: &[RecordBatch]) -> anyhow::Result<()> {
    if args.vertical {
        return print_result(&layout::vertical(schema, batches).context(CANNOT_BE_SHOWN)?);
    }
    let width = result_columns();
    print_result(&layout::table(schema, batches, width).context(CANNOT_BE_SHOWN)?)?;
    if width.is_some_and(|width| !layout::fits(schema, width)) {
        tell("too many columns for this terminal: --vertical shows one value a line");
    }
    Ok(())
}

/// The message is the whole sentence; the engine's causes would repeat it in other words.
fn sentence(failure: &QueryFailure, limit_s: f64) -> anyhow::Error {
    match failure {
        QueryFailure::TimedOut(_) => {
            anyhow::anyhow!("the statement took longer than {limit_s} s (--timeout-s)")
        }
        other => anyhow::anyhow!("{other}"),
    }
}
