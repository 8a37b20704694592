//! The rules of merging, on the parts of one channel in the order of their start times.

use super::{Agreement, Gap, MergedChannel, MergedPiece, Overlap, Part};
use crate::trace::RATE_TOLERANCE;

/// How a part lies to what is there.
enum Place {
    /// Within half a sample of the expected time.
    Follows,
    /// So many samples late, 1 or more.
    Late(u64),
    /// So many samples early, 1 or more.
    Early(u64),
}

impl Part {
    /// Where the part begins, seen from a last sample at `end_ns`.
    fn place(&self, end_ns: i64) -> Place {
        let offset_ns = self.start_ns.saturating_sub(end_ns).saturating_sub(self.period_ns);
        if offset_ns.saturating_mul(2).saturating_abs() <= self.period_ns {
            return Place::Follows;
        }
        let count = (offset_ns as f64 / self.period_ns as f64).round();
        if count > 0.0 { Place::Late(count as u64) } else { Place::Early((-count).max(1.0) as u64) }
    }

    fn fits(&self, piece: &MergedPiece) -> bool {
        (1.0 - self.rate_hz / piece.rate_hz).abs() < RATE_TOLERANCE && self.samples.same_type(&piece.samples)
    }

    fn piece(&self, missing_before: u64) -> MergedPiece {
        MergedPiece {
            start_ns: self.start_ns,
            end_ns: self.end_ns,
            rate_hz: self.rate_hz,
            missing_before,
            conflicting: false,
            samples: self.samples.clone(),
        }
    }

    fn overlap(&self, early: u64, agreement: Agreement) -> Overlap {
        let sample_count = early.min(self.samples.len() as u64);
        let length_ns = self.period_ns.saturating_mul(i64::try_from(sample_count - 1).unwrap_or(i64::MAX));
        let end_ns = self.start_ns.saturating_add(length_ns);
        Overlap { start_ns: self.start_ns, end_ns, sample_count, agreement }
    }

    /// The samples of the part equal those of the piece from `early` samples before its end on.
    fn repeats(&self, piece: &MergedPiece, early: u64) -> bool {
        let Some(first) =
            usize::try_from(early).ok().and_then(|early| piece.samples.len().checked_sub(early))
        else {
            return false;
        };
        piece.samples.agrees_from(first, &self.samples)
    }
}

/// Equal samples once, different ones both.
pub(super) fn compare(source_id: String, parts: &[Part]) -> MergedChannel {
    let mut channel = MergedChannel::new(source_id);
    // Pieces that a later part can still touch, and the latest sample of all.
    let mut live: Vec<usize> = Vec::new();
    let mut covered_to: Option<i64> = None;
    for part in parts {
        let pieces = &channel.pieces;
        live.retain(|index| {
            pieces.get(*index).is_some_and(|piece| !matches!(part.place(piece.end_ns), Place::Late(_)))
        });
        let joined = repeated(part, &mut channel, &live).or_else(|| followed(part, &mut channel, &live));
        let own = joined.unwrap_or_else(|| {
            let missing = match covered_to.map(|end_ns| (end_ns, part.place(end_ns))) {
                Some((after_ns, Place::Late(sample_count))) => {
                    channel.gaps.push(Gap { after_ns, before_ns: part.start_ns, sample_count });
                    sample_count
                }
                _ => 0,
            };
            channel.pieces.push(part.piece(missing));
            live.push(channel.pieces.len() - 1);
            channel.pieces.len() - 1
        });
        flag_conflicts(part, &mut channel, &live, own);
        covered_to = covered_to.max(Some(part.end_ns));
    }
    channel
}

/// The live piece whose end the part repeats, now with what the part adds.
fn repeated(part: &Part, channel: &mut MergedChannel, live: &[usize]) -> Option<usize> {
    for index in live {
        let Some(piece) = channel.pieces.get_mut(*index) else { continue };
        let Place::Early(early) = part.place(piece.end_ns) else { continue };
        if !part.fits(piece) || !part.repeats(piece, early) {
            continue;
        }
        if early >= part.samples.len() as u64 {
            channel.duplicate_count += 1;
        } else {
            piece.samples.append_from(usize::try_from(early).unwrap_or(usize::MAX), &part.samples);
            piece.end_ns = part.end_ns;
            channel.overlaps.push(part.overlap(early, Agreement::Equal));
        }
        return Some(*index);
    }
    None
}

/// The live piece that the part continues, now with the part.
fn followed(part: &Part, channel: &mut MergedChannel, live: &[usize]) -> Option<usize> {
    for index in live {
        let Some(piece) = channel.pieces.get_mut(*index) else { continue };
        if matches!(part.place(piece.end_ns), Place::Follows) && part.fits(piece) {
            piece.samples.append(&part.samples);
            piece.end_ns = part.end_ns;
            return Some(*index);
        }
    }
    None
}

/// Flags every live piece that has other samples for the time of the part, and the piece the part went to.
fn flag_conflicts(part: &Part, channel: &mut MergedChannel, live: &[usize], own: usize) {
    for index in live.iter().filter(|index| **index != own) {
        let Some(piece) = channel.pieces.get_mut(*index) else { continue };
        let Place::Early(early) = part.place(piece.end_ns) else { continue };
        if part.fits(piece) && part.repeats(piece, early) {
            continue;
        }
        piece.conflicting = true;
        channel.overlaps.push(part.overlap(early, Agreement::Different));
        if let Some(piece) = channel.pieces.get_mut(own) {
            piece.conflicting = true;
        }
    }
}

/// The later record wins; gaps become nulls.
pub(super) fn drop_previous_tail(source_id: String, parts: &[Part]) -> MergedChannel {
    let mut channel = MergedChannel::new(source_id);
    for part in parts {
        let Some(piece) = channel.pieces.last_mut() else {
            channel.pieces.push(part.piece(0));
            continue;
        };
        let fits = part.fits(piece);
        let missing = match part.place(piece.end_ns) {
            Place::Follows => 0,
            Place::Late(sample_count) => {
                let gap = Gap { after_ns: piece.end_ns, before_ns: part.start_ns, sample_count };
                channel.gaps.push(gap);
                sample_count
            }
            Place::Early(early) => {
                let agreement = match fits && part.repeats(piece, early) {
                    true => Agreement::Equal,
                    false => Agreement::Different,
                };
                let length = piece.samples.len();
                let kept = length.saturating_sub(usize::try_from(early).unwrap_or(usize::MAX));
                piece.samples.truncate(kept);
                channel.dropped_sample_count += (length - kept) as u64;
                channel.overlaps.push(part.overlap(early, agreement));
                0
            }
        };
        if missing == 0 && fits {
            if piece.samples.is_empty() {
                piece.start_ns = part.start_ns;
            }
            piece.samples.append(&part.samples);
            piece.end_ns = part.end_ns;
        } else if piece.samples.is_empty() {
            *piece = part.piece(piece.missing_before);
        } else {
            channel.pieces.push(part.piece(missing));
        }
    }
    channel
}
