//! `seislake query`: one SELECT over the tables of a home, beside a running server too.

use std::time::Duration;

use anyhow::{Context, bail};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::csv::WriterBuilder;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::arrow::json::ArrayWriter;
use datafusion::arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use seislake_query::QueryError;

use crate::command_line::{QueryArgs, QueryFormat};
use crate::lakehouse::Lakehouse;
use crate::settings::Settings;
use crate::terminal::print_result;

pub(crate) async fn run(args: QueryArgs) -> anyhow::Result<()> {
    let settings = Settings::load(args.home.config.as_deref())?;
    let lakehouse = Lakehouse::open_for_reading(&args.home.home, &settings).await?;
    let Some(timeout_s) = args.timeout_s else { return answer(&lakehouse, &args).await };
    match tokio::time::timeout(Duration::from_secs_f64(timeout_s), answer(&lakehouse, &args)).await {
        Ok(answered) => answered,
        Err(_) => bail!("the statement took longer than {timeout_s} s (--timeout-s)"),
    }
}

async fn answer(lakehouse: &Lakehouse, args: &QueryArgs) -> anyhow::Result<()> {
    let session = lakehouse.session()?;
    let stream = match seislake_query::query(&session, &args.sql).await {
        Ok(stream) => stream,
        Err(error) => return Err(with_hint(error, lakehouse, args).await),
    };
    let schema = stream.schema();
    let mut batches = stream.into_stream().map_err(QueryError::from).map_err(sentence);
    match args.format {
        QueryFormat::Table => {
            let all: Vec<RecordBatch> = batches.try_collect().await?;
            let all = if all.is_empty() { vec![RecordBatch::new_empty(schema)] } else { all };
            print_result(&format!("{}\n", pretty_format_batches(&all)?))
        }
        QueryFormat::Csv => {
            let header: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            print_result(&format!("{}\n", header.join(",")))?;
            while let Some(batch) = batches.try_next().await? {
                let mut bytes = Vec::new();
                WriterBuilder::new()
                    .with_header(false)
                    .build(&mut bytes)
                    .write(&flatten_lists(&batch)?)
                    .context(
                        "a column of this result cannot be written as CSV; use --format json or arrow",
                    )?;
                print_result(std::str::from_utf8(&bytes)?)?;
            }
            Ok(())
        }
        QueryFormat::Json => {
            let mut writer = ArrayWriter::new(Vec::new());
            while let Some(batch) = batches.try_next().await? {
                writer.write(&batch)?;
            }
            writer.finish()?;
            let text = String::from_utf8(writer.into_inner())?;
            print_result(if text.is_empty() { "[]\n" } else { &text })
        }
        QueryFormat::Arrow => {
            let mut writer = StreamWriter::try_new(std::io::stdout(), &schema)?;
            while let Some(batch) = batches.try_next().await? {
                writer.write(&batch)?;
            }
            Ok(writer.finish()?)
        }
    }
}

/// The message is the whole sentence; the engine's causes would repeat it in other words.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn sentence(error: QueryError) -> anyhow::Error {
    anyhow::anyhow!("{error}")
}

/// Says why a table may be missing.
async fn with_hint(error: QueryError, lakehouse: &Lakehouse, args: &QueryArgs) -> anyhow::Error {
    let missing = lakehouse.missing_tables().await.unwrap_or_default();
    let Some(table) = missing.iter().find(|table| error.message.contains(table.as_str())) else {
        return sentence(error);
    };
    anyhow::anyhow!(
        "the home \"{}\" has no table \"{table}\" yet: its first import was interrupted, or it is older than the table; \
         run `seislake import` again",
        args.home.home.display()
    )
}

/// CSV has no lists: list columns become their JSON-like text.
fn flatten_lists(batch: &RecordBatch) -> anyhow::Result<RecordBatch> {
    use datafusion::arrow::array::{ArrayRef, StringArray};
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
    use std::sync::Arc;

    let options = FormatOptions::default();
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if !field.data_type().is_nested() {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
            continue;
        }
        let formatter = ArrayFormatter::try_new(column.as_ref(), &options)?;
        let text =
            (0..column.len()).map(|row| (!column.is_null(row)).then(|| formatter.value(row).to_string()));
        columns.push(Arc::new(text.collect::<StringArray>()));
        fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, true)));
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
