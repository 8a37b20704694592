//! Dead letters: what could not be used, and why. The statements that tell of them.

use seislake_tables::dead_letters::{TABLE, names};
use seislake_tables::listed;

/// Counts them by stage and reason, the most first.
#[must_use]
pub fn count_by_reason() -> String {
    let columns = listed(&[names::stage, names::reason]);
    format!("SELECT {columns}, count(*) AS letters FROM {TABLE} GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2")
}

/// The newest of them, `limit` at most.
#[must_use]
pub fn newest(limit: u32) -> String {
    let columns = [names::topic, names::partition, names::offset, names::stage, names::origin, names::reason];
    let (columns, offset) = (listed(&columns), listed(&[names::offset]));
    format!("SELECT {columns} FROM {TABLE} ORDER BY {offset} DESC LIMIT {limit}")
}
