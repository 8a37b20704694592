//! Rows for reading: a table as wide as the terminal, or one line a value.

use std::fmt::Write;

use anyhow::Context;
use comfy_table::{Cell, ContentArrangement, Table};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::arrow::util::pretty::pretty_format_batches;

/// Borders as `pretty_format_batches` draws them.
const BORDERS: &str = "||--+-++|    ++++++";
/// Narrower columns cannot be read.
const COLUMN_WIDTH_MIN: usize = 8;
/// A value that is longer, such as the list of samples of a segment, is cut: a terminal is no place for it.
const VALUE_CHARACTERS_MAX: usize = 600;

/// The rows as a table: as wide as they need where no terminal shows it, else at most `width` columns wide.
pub(super) fn table(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    width: Option<usize>,
) -> anyhow::Result<String> {
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
pub(super) fn fits(schema: &SchemaRef, width: usize) -> bool {
    schema.fields().len() * (COLUMN_WIDTH_MIN + 3) < width
}

/// One line a value, one paragraph a row.
pub(super) fn vertical(schema: &SchemaRef, batches: &[RecordBatch]) -> anyhow::Result<String> {
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
fn each_row(batches: &[RecordBatch], mut take: impl FnMut(&[String])) -> anyhow::Result<()> {
    let options = FormatOptions::default();
    for batch in batches {
        let columns: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<Result<_, _>>()
            .context("a column of this result cannot be shown")?;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};

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
}
