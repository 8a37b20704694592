//! Records that came as one body, by HTTP or from memory: cut into offers to the gate.

use std::sync::Arc;

use bytes::Bytes;
use seislake_model::Timestamp;
use seislake_mseed::{ScanItem, Scanner};

use crate::gate::{Offer, ReceivedRecord, Refusal};

/// Where an offer stood in the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub byte_offset: u64,
    pub byte_count: u64,
}

/// Parts of a body that cannot be read and become dead letters each; the rest of them is counted in one more.
const PROBLEMS_MAX: usize = 1000;

/// Cuts a body into records and parts that cannot be read, each with its place: as many places as offers.
///
/// `origin` names the sender, `arrival_time` is when the body was there.
pub fn offers(body: &Bytes, origin: &str, arrival_time: Timestamp) -> (Vec<Offer>, Vec<Place>) {
    let origin: Arc<str> = origin.into();
    let mut offers = Vec::new();
    let mut places = Vec::new();
    let (mut problem_count, mut rest) = (0_usize, None::<Place>);
    for scanned in Scanner::new(body) {
        match scanned {
            ScanItem::Record { offset, record } => {
                places.push(Place { byte_offset: offset, byte_count: record.length() as u64 });
                offers.push(Offer::Record(ReceivedRecord {
                    bytes: body.slice_ref(record.bytes()),
                    arrival_time: Some(arrival_time),
                    origin: Some(Arc::clone(&origin)),
                }));
            }
            ScanItem::Problem { offset, length, .. } if problem_count >= PROBLEMS_MAX => {
                problem_count += 1;
                rest.get_or_insert(Place { byte_offset: offset, byte_count: 0 }).byte_count += length;
            }
            ScanItem::Problem { offset, length, reason } => {
                problem_count += 1;
                let bytes_all = body.len() as u64;
                let (begin, end) = (offset.min(bytes_all), offset.saturating_add(length).min(bytes_all));
                places.push(Place { byte_offset: offset, byte_count: length });
                offers.push(Offer::Refused(Refusal {
                    bytes: body.slice(begin as usize..end as usize),
                    reason: format!("{reason} (at byte {offset} of the body)"),
                    origin: Some(Arc::clone(&origin)),
                }));
            }
            ScanItem::ControlHeaders { .. } => {}
        }
    }
    if let Some(place) = rest {
        let (hidden, first) = (problem_count - PROBLEMS_MAX, place.byte_offset);
        places.push(place);
        offers.push(Offer::Refused(Refusal {
            bytes: Bytes::new(),
            reason: format!("{hidden} more parts of the body, from byte {first} on, cannot be read"),
            origin: Some(origin),
        }));
    }
    (offers, places)
}

#[cfg(test)]
mod tests {
    use seislake_mseed::{PackSettings, pack};

    use super::*;

    fn record() -> Vec<u8> {
        let settings = PackSettings::new("FDSN:XX_TEST__L_H_Z", 1_700_000_000_000_000_000, 1.0);
        pack(&settings, &[1, 2, 3][..]).unwrap().remove(0)
    }

    fn cut(body: Vec<u8>) -> (Vec<Offer>, Vec<Place>) {
        offers(&Bytes::from(body), "a test", Timestamp::from_micros(0))
    }

    #[test]
    fn a_body_is_cut_into_records_and_what_cannot_be_read() {
        let record = record();
        let length = record.len() as u64;
        let (offers, places) = cut([record.clone(), b"foreign bytes".to_vec(), record.clone()].concat());
        assert!(matches!(&offers[..], [Offer::Record(first), Offer::Refused(_), Offer::Record(last)]
            if first.bytes == record && last.bytes == record));
        let at = |byte_offset, byte_count| Place { byte_offset, byte_count };
        assert_eq!(places, [at(0, length), at(length, 13), at(length + 13, length)]);
    }

    #[test]
    fn beyond_a_thousand_bad_parts_one_counts_the_rest() {
        let body: Vec<u8> =
            (0..PROBLEMS_MAX + 5).flat_map(|_| [record(), b"foreign".to_vec()].concat()).collect();
        let (offers, places) = cut(body);
        let reasons: Vec<&str> = offers
            .iter()
            .filter_map(|offer| match offer {
                Offer::Refused(refusal) => Some(refusal.reason.as_str()),
                Offer::Record(_) | Offer::Watermark(_) => None,
            })
            .collect();
        assert_eq!((offers.len(), reasons.len()), (places.len(), PROBLEMS_MAX + 1));
        assert!(reasons[PROBLEMS_MAX].starts_with("5 more parts of the body"), "{}", reasons[PROBLEMS_MAX]);
        assert_eq!(places.last().map(|place| place.byte_count), Some(5 * 7));
    }

    #[test]
    fn an_empty_body_offers_nothing() {
        assert_eq!(cut(Vec::new()).0.len(), 0);
    }
}
