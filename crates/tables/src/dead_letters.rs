//! `stream.dead_letters`: records that could not be used, with the reason.

use seislake_model::{DeadLetter, RecordPosition};

use crate::columns;
use crate::{SortBy, TableDef};

pub const TABLE: TableDef = TableDef {
    namespace: "stream",
    name: "dead_letters",
    doc: "A record that could not be used, with the reason.",
    columns: COLUMNS,
    partition: &[],
    sort: SortBy::Columns(&[names::topic, names::partition, names::offset, names::index]),
    identity: &[names::topic, names::partition, names::offset, names::index, names::stage],
    page_rows: 512,
    row_group_rows: 4096,
};

columns! {
    rows of DeadLetter as row in rows;
    1 topic: required Text = &row.position.topic, "Topic in which it stood (or would have stood).";
    2 partition: required Int = row.position.partition, "Partition of the topic.";
    3 offset: required Long = row.position.offset, "Offset in the partition.";
    4 index: required Int, "Index among the letters of that position.";
    5 stage: required Text, "Stage that refused it.";
    6 reason: required Text, "Why, one sentence.";
    7 origin: optional Text, "File or peer it came from, where known.";
    8 record: required Binary, "The bytes, at most 64 KiB of them.";
    -> DeadLetter {
        position: RecordPosition { topic, partition, offset },
        index,
        stage,
        reason,
        origin,
        record,
    }
}
