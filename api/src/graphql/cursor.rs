//! Opaque cursors: the snapshot that a page was read from and the sort key of a row in it.

use async_graphql::SimpleObject;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use seislake_model::SnapshotId;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::read::SortKey;
use crate::state::AsOf;

/// What a cursor holds. Field names are short because cursors travel in URLs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cursor {
    /// Kind of list, so that a cursor of picks is not used on events.
    #[serde(rename = "l")]
    pub(super) list: String,
    /// Snapshot of the table; `None` where it had none.
    #[serde(rename = "s")]
    pub(super) snapshot: Option<SnapshotId>,
    #[serde(rename = "v")]
    value: f64,
    #[serde(rename = "t")]
    micros: i64,
    #[serde(rename = "i")]
    id: String,
}

impl Cursor {
    pub(super) fn new(list: &str, snapshot: Option<SnapshotId>, key: SortKey) -> Self {
        Self { list: list.to_owned(), snapshot, value: key.value, micros: key.micros, id: key.id }
    }

    pub(super) fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads a cursor of `list`.
    pub(super) fn decode(text: &str, list: &str) -> Result<Self, ApiError> {
        let refuse = || {
            ApiError::invalid(format!("\"after\" is not a cursor of this list: \"{text}\""))
                .hint("use pageInfo.endCursor of the page before, with the same filter and order")
        };
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refuse())?;
        let cursor: Self = serde_json::from_slice(&bytes).map_err(|_| refuse())?;
        if cursor.list == list { Ok(cursor) } else { Err(refuse()) }
    }

    /// The state of the lake in which the page continues.
    pub(super) fn as_of(&self) -> AsOf {
        self.snapshot.map_or(AsOf::Latest, AsOf::Snapshot)
    }

    pub(super) fn key(self) -> SortKey {
        SortKey { value: self.value, micros: self.micros, id: self.id }
    }
}

/// Where a page stands in its list (Relay).
#[derive(Clone, Debug, SimpleObject)]
pub(super) struct PageInfo {
    /// Whether rows follow after this page.
    pub(super) has_next_page: bool,
    /// Whether this page follows another one.
    pub(super) has_previous_page: bool,
    /// Cursor of the first row.
    pub(super) start_cursor: Option<String>,
    /// Cursor of the last row: `after` of the next page.
    pub(super) end_cursor: Option<String>,
}

/// Cuts the row that was read to learn whether more follow, and describes the page.
pub(super) fn page_info<T>(
    rows: &mut Vec<T>,
    limit: usize,
    continued: PageStart,
    cursor: impl Fn(&T) -> String,
) -> PageInfo {
    let has_next_page = rows.len() > limit;
    rows.truncate(limit);
    PageInfo {
        has_next_page,
        has_previous_page: continued == PageStart::Yes,
        start_cursor: rows.first().map(&cursor),
        end_cursor: rows.last().map(&cursor),
    }
}

/// Whether a page was asked for with `after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageStart {
    /// First page.
    No,
    /// A later one.
    Yes,
}
