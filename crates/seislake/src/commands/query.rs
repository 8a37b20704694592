//! `seislake query`: one SELECT over the tables of a home, beside a running server too.

use anyhow::Context;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::csv::WriterBuilder;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::arrow::json::ArrayWriter;
use datafusion::arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;

use crate::command_line::{QueryArgs, QueryFormat};
use crate::lakehouse::Lakehouse;
use crate::settings::Settings;
use crate::terminal::print_result;

pub(crate) async fn run(args: QueryArgs) -> anyhow::Result<()> {
    let settings = Settings::load(args.home.config.as_deref())?;
    let lakehouse = Lakehouse::open_for_reading(&args.home.home, &settings).await?;
    let session = lakehouse.session()?;
    let stream = seislake_query::query(&session, &args.sql).await?;
    let schema = stream.schema();
    let mut batches = stream.into_stream().map_err(seislake_query::QueryError::from);
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
