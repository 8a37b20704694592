//! Rows as text: a table as wide as the terminal, one line a value, or CSV.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use comfy_table::{Cell, ContentArrangement, Table};
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::csv::WriterBuilder;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::arrow::util::pretty::pretty_format_batches;

/// Borders as `pretty_format_batches` draws them.
const BORDERS: &str = "||--+-++|    ++++++";
/// Narrower columns cannot be read.
const COLUMN_WIDTH_MIN: usize = 8;
/// A value that is longer, such as the list of samples of a segment, is cut: a terminal is no place for it.
const VALUE_CHARACTERS_MAX: usize = 600;

/// The rows as a table: as wide as they need where no terminal shows it, else at most `width` columns wide.
///
/// # Errors
/// A column that has no text.
pub fn table(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    width: Option<usize>,
) -> Result<String, ArrowError> {
    let Some(width) = width else { return Ok(format!("{}\n", pretty_format_batches(batches)?)) };
    let mut table = Table::new();
    table
        .load_preset(BORDERS)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX))
        .set_header(schema.fields().iter().map(|field| Cell::new(field.name())));
    each_row(batches, |values| {
        table.add_row(values.iter().map(|value| Cell::new(shortened(value))));
    })?;
    Ok(format!("{table}\n"))
}

/// Whether so many columns can be read side by side.
pub fn fits(schema: &SchemaRef, width: usize) -> bool {
    schema.fields().len() * (COLUMN_WIDTH_MIN + 3) < width
}

/// One line a value, one paragraph a row.
///
/// # Errors
/// A column that has no text.
pub fn vertical(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<String, ArrowError> {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let name_width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let (mut text, mut row) = (String::new(), 0_u64);
    each_row(batches, |values| {
        row += 1;
        let _ = writeln!(text, "--- row {row}");
        for (name, value) in names.iter().zip(values) {
            let _ = writeln!(text, "{name:name_width$}  {value}");
        }
    })?;
    let _ = writeln!(text, "{row} {}", if row == 1 { "row" } else { "rows" });
    Ok(text)
}

/// Hands over the values of each row as text.
fn each_row(batches: &[RecordBatch], mut take: impl FnMut(&[String])) -> Result<(), ArrowError> {
    let options = FormatOptions::default();
    for batch in batches {
        let columns: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            let values: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            take(&values);
        }
    }
    Ok(())
}

fn shortened(value: &str) -> String {
    match value.char_indices().nth(VALUE_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}… ({} characters)", &value[..end], value.chars().count()),
        None => value.to_owned(),
    }
}

/// The header line of a CSV file.
#[must_use]
pub fn csv_header(schema: &SchemaRef) -> String {
    let names: Vec<_> = schema.fields().iter().map(|field| csv_cell(field.name())).collect();
    format!("{}\n", names.join(","))
}

/// The rows as lines of a CSV file; lists, which CSV has not, as their JSON-like text.
///
/// # Errors
/// A column that has no text.
pub fn csv_rows(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut bytes = Vec::new();
    WriterBuilder::new().with_header(false).build(&mut bytes).write(&flatten_lists(batch)?)?;
    Ok(bytes)
}

/// Names of computed columns, such as `max(a, b)`, may hold commas and quotes.
fn csv_cell(text: &str) -> Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\"")).into();
    }
    text.into()
}

/// List columns as text.
fn flatten_lists(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
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
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int64Array, ListArray};
    use datafusion::arrow::datatypes::Int64Type;

    use super::*;

    fn batch() -> RecordBatch {
        let columns: [(&str, ArrayRef); 3] = [
            ("id", Arc::new(Int64Array::from(vec![Some(1), None]))),
            ("words", Arc::new(StringArray::from(vec!["a sentence of several words that is long", "short"]))),
            ("endless", Arc::new(StringArray::from(vec!["x".repeat(5000), "é".repeat(601)]))),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, values)| (name, values, true))).unwrap()
    }

    #[test]
    fn a_table_is_no_wider_than_its_terminal() {
        let batch = batch();
        for width in [24, 40, 80, 200] {
            let text = table(&batch.schema(), std::slice::from_ref(&batch), Some(width)).unwrap();
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= width, "{widest} of {width}:\n{text}");
            let letters: String = text.chars().filter(char::is_ascii_alphabetic).collect();
            assert!(letters.contains("short") && letters.len() < 1000, "{text}");
        }
        let whole = table(&batch.schema(), std::slice::from_ref(&batch), None).unwrap();
        assert!(whole.contains(&"x".repeat(5000)), "without a terminal nothing is cut");
        assert!(fits(&batch.schema(), 80) && !fits(&batch.schema(), 30));
    }

    #[test]
    fn values_one_below_the_other_are_whole() {
        let batch = batch();
        let text = vertical(&batch.schema(), std::slice::from_ref(&batch)).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..3],
            ["--- row 1", "id       1", "words    a sentence of several words that is long"]
        );
        assert_eq!(lines[3], format!("endless  {}", "x".repeat(5000)));
        assert_eq!((lines[4], lines[5], lines[8]), ("--- row 2", "id       ", "2 rows"));
        assert_eq!(vertical(&batch.schema(), &[]).unwrap(), "0 rows\n");
    }
    #[test]
    fn lists_and_odd_names_have_their_place_in_csv() {
        let lists =
            ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None, Some(3)]), None]);
        let columns: [(&str, ArrayRef); 2] = [
            ("max(a, \"b\")", Arc::new(Int64Array::from(vec![Some(1), None]))),
            ("samples", Arc::new(lists)),
        ];
        let columns = columns.map(|(name, values)| (name, values, true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        assert_eq!(csv_header(&batch.schema()), "\"max(a, \"\"b\"\")\",samples\n");
        let rows = String::from_utf8(csv_rows(&batch).unwrap()).unwrap();
        assert_eq!(rows, "1,\"[1, , 3]\"\n,\n");
    }
}
