//! Time spans of data and what `query` and `extent` make of them: pure functions.
//!
//! ```text
//! spans (gapless runs) ─ merge ─► rows of `query` ┐
//!                      ─ group ─► rows of `extent`├─ order, limit
//! ```

use std::cmp::{Ordering, Reverse};

use seislake_model::{SourceId, Timestamp};

/// One row of an answer: a gapless span, or the extent of many.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) source_id: SourceId,
    /// Data quality letter.
    pub(crate) quality: char,
    pub(crate) rate_hz: f64,
    /// First sample.
    pub(crate) start: Timestamp,
    /// Last sample.
    pub(crate) end: Timestamp,
    /// Nothing of it changed later.
    pub(crate) updated: Timestamp,
    /// Spans that it stands for.
    pub(crate) span_count: usize,
    pub(crate) restricted: bool,
}

/// Which differences do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Merge {
    pub(crate) quality: bool,
    pub(crate) sample_rate: bool,
    /// Spans that overlap become one.
    pub(crate) overlap: bool,
    /// Gaps up to this long do not count, seconds.
    pub(crate) gaps_s: Option<f64>,
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    /// By channel, time, quality, sample rate.
    #[default]
    Channel,
    /// By time of the latest change.
    Updated,
    /// The latest change first.
    UpdatedDescending,
    /// By number of spans.
    SpanCount,
    /// The largest number of spans first.
    SpanCountDescending,
}

fn by_time(a: &Span, b: &Span) -> Ordering {
    let key = |span: &Span| (span.start, span.end, span.quality);
    a.source_id.cmp(&b.source_id).then(key(a).cmp(&key(b))).then(a.rate_hz.total_cmp(&b.rate_hz))
}

fn same_group(a: &Span, b: &Span, merge: Merge) -> bool {
    a.source_id == b.source_id
        && a.restricted == b.restricted
        && (merge.quality || a.quality == b.quality)
        && (merge.sample_rate || a.rate_hz == b.rate_hz)
}

/// Rows that count as one by `merge`, next to each other, by time within. What is restricted never counts as one with
/// what is not.
fn grouped(mut spans: Vec<Span>, merge: Merge) -> Vec<Span> {
    spans.sort_by(|a, b| {
        let quality = if merge.quality { Ordering::Equal } else { a.quality.cmp(&b.quality) };
        let rate = if merge.sample_rate { Ordering::Equal } else { a.rate_hz.total_cmp(&b.rate_hz) };
        let restricted = a.restricted.cmp(&b.restricted);
        a.source_id.cmp(&b.source_id).then(restricted).then(quality).then(rate).then(by_time(a, b))
    });
    spans
}

/// Spans with those joined that `merge` lets count as one.
pub(crate) fn merged(spans: Vec<Span>, merge: Merge) -> Vec<Span> {
    let mut rows: Vec<Span> = Vec::new();
    for span in grouped(spans, merge) {
        match rows.last_mut() {
            Some(last) if same_group(last, &span, merge) && joins(last, &span, merge) => {
                last.end = last.end.max(span.end);
                last.updated = last.updated.max(span.updated);
            }
            _ => rows.push(span),
        }
    }
    rows
}

fn joins(last: &Span, span: &Span, merge: Merge) -> bool {
    let gap_s = span.start.seconds_since(last.end);
    if gap_s <= 0.0 {
        return merge.overlap;
    }
    // The step of one sample is no gap.
    let step_s = if last.rate_hz > 0.0 { 1.5 / last.rate_hz } else { 0.0 };
    gap_s <= step_s || merge.gaps_s.is_some_and(|gaps_s| gap_s - step_s <= gaps_s)
}

/// First and last sample of each group, and how many spans it has; overlapping ones count once.
pub(crate) fn extents(spans: Vec<Span>, merge: Merge) -> Vec<Span> {
    let counted = merged(spans, Merge { overlap: true, ..merge });
    let mut rows: Vec<Span> = Vec::new();
    for span in counted {
        match rows.last_mut() {
            Some(last) if same_group(last, &span, merge) => {
                last.start = last.start.min(span.start);
                last.end = last.end.max(span.end);
                last.updated = last.updated.max(span.updated);
                last.span_count += 1;
            }
            _ => rows.push(Span { span_count: 1, ..span }),
        }
    }
    rows
}

/// Sorts rows; those that are equal in the order asked for go by channel and time.
pub(crate) fn sort(rows: &mut [Span], order: Order) {
    rows.sort_by(by_time);
    match order {
        Order::Channel => {}
        Order::Updated => rows.sort_by_key(|row| row.updated),
        Order::UpdatedDescending => rows.sort_by_key(|row| Reverse(row.updated)),
        Order::SpanCount => rows.sort_by_key(|row| row.span_count),
        Order::SpanCountDescending => rows.sort_by_key(|row| Reverse(row.span_count)),
    }
}
