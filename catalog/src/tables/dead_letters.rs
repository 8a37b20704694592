//! `stream.dead_letters`: records that could not be used, with the reason.

use arrow::array::ArrayRef;
use seislake_model::DeadLetter;

use super::ColumnType::{Binary, Int, Long, Text};
use super::arrays::{binary, int, long, optional_text, text};
use super::{Column, SortBy, TableDef, optional, required};

pub(super) const TABLE: TableDef = TableDef {
    namespace: "stream",
    name: "dead_letters",
    doc: "A record that could not be used, with the reason.",
    columns: COLUMNS,
    partition: &[],
    sort: SortBy::Columns(&["topic", "partition", "offset", "index"]),
    identity: &["topic", "partition", "offset", "index", "stage"],
    page_rows: 512,
    row_group_rows: 4096,
};

const COLUMNS: &[Column] = &[
    required(1, "topic", Text, "Topic in which it stood (or would have stood)."),
    required(2, "partition", Int, "Partition of the topic."),
    required(3, "offset", Long, "Offset in the partition."),
    required(4, "index", Int, "Index among the letters of that position."),
    required(5, "stage", Text, "Stage that refused it."),
    required(6, "reason", Text, "Why, one sentence."),
    optional(7, "origin", Text, "File or peer it came from, where known."),
    required(8, "record", Binary, "The bytes, at most 64 KiB of them."),
];

pub(super) fn encode(rows: &[DeadLetter]) -> Vec<ArrayRef> {
    vec![
        text(rows.iter().map(|row| &*row.position.topic)),
        int(rows.iter().map(|row| row.position.partition as i32)),
        long(rows.iter().map(|row| row.position.offset as i64)),
        int(rows.iter().map(|row| row.index as i32)),
        text(rows.iter().map(|row| row.stage.as_str())),
        text(rows.iter().map(|row| row.reason.as_str())),
        optional_text(rows.iter().map(|row| row.origin.as_deref())),
        binary(rows.iter().map(|row| row.record.as_slice())),
    ]
}
