//! Merges the records of a channel into one line of samples by a rule that the caller chooses.
//!
//! ```text
//! records (any order) ─► by start time ─► rule ─► pieces without gaps, gaps, overlaps, counts of what was dropped
//! ```
//!
//! [`MergeRule::Compare`] looks at the samples before it drops anything: what is there twice and equal is kept once,
//! what is there twice and different is kept twice and flagged. [`MergeRule::DropPreviousTail`] is the rule of
//! Hebei's parallel decompression of SEED volumes (PDSWD, 2015): where a record begins before the previous one has
//! ended, the tail of the previous one goes, whatever it holds; gaps are nulls. It always gives a single line.
//! [`crate::TraceList`] is the third way: it joins like libmseed and drops nothing.
//!
//! Tolerances are those of `trace.rs`: half a sample from the end of the previous record (not counted from the
//! first one: clocks drift), rates equal to one part in ten thousand. All samples of a channel are in memory;
//! gaps are counts, so that a wrong clock costs nothing.

mod rules;

use std::collections::BTreeMap;

use crate::{Record, Samples};

/// What happens where records overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeRule {
    /// Equal samples once, different ones both, flagged.
    Compare,
    /// The later record wins; what it covers of the earlier one is dropped unseen.
    DropPreviousTail,
}

/// Collects records of any number of channels and merges them.
#[derive(Clone, Debug)]
pub struct Merger {
    rule: MergeRule,
    channels: BTreeMap<String, Vec<Part>>,
}

/// The records of one channel, merged.
#[derive(Clone, Debug, PartialEq)]
pub struct MergedChannel {
    /// FDSN source identifier.
    pub source_id: String,
    /// Pieces without gaps, by start time. Only pieces in conflict overlap.
    pub pieces: Vec<MergedPiece>,
    /// Times without samples between the first and the last piece.
    pub gaps: Vec<Gap>,
    /// Times with samples of two records, beyond exact duplicates.
    pub overlaps: Vec<Overlap>,
    /// Records that held nothing new: all their samples were there, equal.
    pub duplicate_count: u64,
    /// Different or unseen samples that the rule dropped; always 0 for [`MergeRule::Compare`].
    pub dropped_sample_count: u64,
}

/// Samples without a gap.
#[derive(Clone, Debug, PartialEq)]
pub struct MergedPiece {
    /// Time of the first sample, nanoseconds since 1970.
    pub start_ns: i64,
    /// Time of the last sample as the last record tells it, nanoseconds since 1970.
    pub end_ns: i64,
    /// Nominal rate of its first record, Hz.
    pub rate_hz: f64,
    /// Samples missing between the end of what came before and this piece.
    pub missing_before: u64,
    /// Another piece has different samples for a part of this time.
    pub conflicting: bool,
    /// The samples.
    pub samples: Samples,
}

/// A time without samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Time of the last sample before it, nanoseconds since 1970.
    pub after_ns: i64,
    /// Time of the first sample behind it, nanoseconds since 1970.
    pub before_ns: i64,
    /// Samples missing, rounded.
    pub sample_count: u64,
}

/// A time with samples of two records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// Start of the later record, nanoseconds since 1970.
    pub start_ns: i64,
    /// Time of the last sample that is there twice, nanoseconds since 1970.
    pub end_ns: i64,
    /// Samples that are there twice.
    pub sample_count: u64,
    /// What the samples say.
    pub agreement: Agreement,
}

/// Whether samples of the same time are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// All equal: kept once.
    Equal,
    /// Different, or of another rate or number type.
    Different,
}

/// A record's samples on their way.
#[derive(Clone, Debug)]
struct Part {
    start_ns: i64,
    end_ns: i64,
    period_ns: i64,
    rate_hz: f64,
    samples: Samples,
}

impl Merger {
    /// An empty one.
    pub fn new(rule: MergeRule) -> Self {
        Self { rule, channels: BTreeMap::new() }
    }

    /// Adds a record and its decoded samples (see [`Record::decode_into`]). Records without samples or without a
    /// rate (logs) are not time series and are left out.
    pub fn add(&mut self, record: &Record<'_>, samples: &Samples) {
        let part = Part {
            start_ns: record.start_ns,
            end_ns: record.last_sample_ns(),
            period_ns: record.period_ns(),
            rate_hz: record.rate_hz(),
            samples: samples.clone(),
        };
        if part.samples.is_empty() || part.period_ns <= 0 {
            return;
        }
        match self.channels.get_mut(record.source_id()) {
            Some(parts) => parts.push(part),
            None => {
                self.channels.insert(record.source_id().to_owned(), vec![part]);
            }
        }
    }

    /// The channels by source identifier.
    ///
    /// Cost: sorting by start time, then one pass that looks at each sample once and at doubled ones twice.
    pub fn into_channels(self) -> Vec<MergedChannel> {
        let rule = self.rule;
        let channels = self.channels.into_iter();
        channels
            .map(|(source_id, mut parts)| {
                parts.sort_by_key(|part| part.start_ns);
                match rule {
                    MergeRule::Compare => rules::compare(source_id, &parts),
                    MergeRule::DropPreviousTail => rules::drop_previous_tail(source_id, &parts),
                }
            })
            .collect()
    }
}

impl MergedChannel {
    fn new(source_id: String) -> Self {
        Self {
            source_id,
            pieces: Vec::new(),
            gaps: Vec::new(),
            overlaps: Vec::new(),
            duplicate_count: 0,
            dropped_sample_count: 0,
        }
    }

    /// All values in a row with `None` for each missing sample; counts are exact. One line needs
    /// [`MergeRule::DropPreviousTail`]; pieces in conflict follow each other here.
    pub fn values(&self) -> impl Iterator<Item = Option<f64>> {
        self.pieces.iter().flat_map(|piece| {
            let nulls = (0..piece.missing_before).map(|_| None);
            nulls.chain((0..piece.samples.len()).map(|index| piece.samples.value(index)))
        })
    }
}
