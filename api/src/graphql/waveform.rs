//! Waveform segments.

use std::sync::Arc;

use async_graphql::{ComplexObject, Result, SimpleObject};

use super::cursor::PageInfo;
use super::scalars::{DateTime, Snapshot, number};
use super::view::View;
use crate::read::{SegmentFilter, SegmentRow, count_segments};

/// One gapless piece of a channel.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name = "WaveformSegment")]
pub(super) struct SegmentNode {
    /// FDSN source identifier.
    source_id: String,
    /// Time of the first sample.
    start_time: DateTime,
    /// Time of the last sample.
    end_time: DateTime,
    /// Sample rate.
    sample_rate_hz: Option<f64>,
    /// Number of samples.
    sample_count: u32,
    /// Encoding of the records it was made from.
    encoding: String,
    /// All samples of the segment, counts; read only when asked for. Null where a sample is no number or infinite.
    samples: Option<Vec<Option<f64>>>,
}

impl From<SegmentRow> for SegmentNode {
    fn from(row: SegmentRow) -> Self {
        Self {
            source_id: row.source_id.to_string(),
            start_time: DateTime(row.start_time),
            end_time: DateTime(row.end_time),
            sample_rate_hz: number(row.sample_rate_hz),
            sample_count: row.sample_count,
            encoding: row.encoding,
            samples: row.samples.map(|samples| samples.into_iter().map(number).collect()),
        }
    }
}

/// A segment and its cursor.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name = "WaveformSegmentEdge")]
pub(super) struct SegmentEdge {
    pub(super) cursor: String,
    pub(super) node: SegmentNode,
}

/// A page of segments.
#[derive(Debug, SimpleObject)]
#[graphql(name = "WaveformSegmentConnection", complex)]
pub(super) struct SegmentConnection {
    /// Segments of this page, oldest first.
    pub(super) nodes: Vec<SegmentNode>,
    /// The same with cursors.
    pub(super) edges: Vec<SegmentEdge>,
    pub(super) page_info: PageInfo,
    /// Snapshot of `waveform.segments` that was read.
    pub(super) snapshot_id: Option<Snapshot>,
    #[graphql(skip)]
    pub(super) filter: SegmentFilter,
    #[graphql(skip)]
    pub(super) view: Arc<View>,
}

#[ComplexObject]
impl SegmentConnection {
    /// Segments that share a moment with the window, on all pages. Counted only when asked for.
    async fn total_count(&self) -> Result<i64> {
        Ok(count_segments(&self.view.context, &self.filter).await?)
    }
}
