//! Which data are not for everybody, by the `restrictedStatus` of networks, stations and channels.
//!
//! ```text
//! network  closed ─────────────────────────────► all of it is closed
//!          partial ─► station closed ──────────► all of it is closed
//!                     partial, or says nothing ─► channel open ─► open; else closed
//! ```
//! What is closed at one level is closed below it, whatever is said there. `partial` leaves it to the level below: a
//! channel that says nothing under it is closed, and so is a channel that says `partial` itself, for nobody could tell
//! which of its samples are meant. Where nobody says anything data are open.

use std::collections::HashMap;
use std::sync::Arc;

use seislake_exchange::stationxml::{RestrictedStatus, restricted_status};
use seislake_model::{Channel, Inventory, SourceId, Station, Timestamp};

/// From and to, both included.
pub(crate) type Window = (Timestamp, Timestamp);

/// Closed epochs of some channels.
#[derive(Debug, Default)]
pub(crate) struct Restrictions(HashMap<SourceId, Vec<Window>>);

fn status(original: &Option<Arc<str>>) -> Option<RestrictedStatus> {
    original.as_deref().and_then(restricted_status)
}

/// Whether everything of a station's epoch is closed.
pub(crate) fn is_station_closed(station: &Station) -> bool {
    [&station.network_original, &station.original]
        .into_iter()
        .any(|original| status(original) == Some(RestrictedStatus::Closed))
}

/// Whether a station's epoch leaves it to its channels to be open.
fn is_left_to_channels(station: &Station) -> bool {
    match status(&station.original) {
        Some(said) => said == RestrictedStatus::Partial,
        None => status(&station.network_original) == Some(RestrictedStatus::Partial),
    }
}

/// The last moment before `end`, as far as windows tell moments apart: they take samples half a microsecond beyond.
const BEFORE_NS: i64 = 501;
/// A window that begins so much later takes nothing earlier.
const AFTER_NS: i64 = 500;

fn epoch(start: Option<Timestamp>, end: Option<Timestamp>) -> Window {
    (start.unwrap_or(Timestamp::MIN), end.unwrap_or(Timestamp::MAX))
}

impl Restrictions {
    /// Those of the channels `source_ids`. Cost: a look at every epoch, and at the text of those of these channels.
    pub(crate) fn of<'a>(inventory: &Inventory, source_ids: impl Iterator<Item = &'a SourceId>) -> Self {
        let mut channels: HashMap<&SourceId, Vec<&Channel>> = source_ids.map(|id| (id, Vec::new())).collect();
        for channel in &inventory.channels {
            if let Some(epochs) = channels.get_mut(&channel.source_id) {
                epochs.push(channel);
            }
        }
        let mut stations: HashMap<(&str, &str), Vec<&Station>> =
            channels.keys().map(|&id| ((id.network(), id.station()), Vec::new())).collect();
        for station in &inventory.stations {
            if let Some(epochs) = stations.get_mut(&(station.network.as_str(), station.station.as_str())) {
                epochs.push(station);
            }
        }
        let closed = channels.into_iter().filter_map(|(id, channels)| {
            let stations = stations.get(&(id.network(), id.station())).map_or(&[][..], Vec::as_slice);
            let closed = closed_epochs(stations, &channels);
            (!closed.is_empty()).then(|| (id.clone(), closed))
        });
        Self(closed.collect())
    }

    /// The parts of `windows`, which come in order, whose data are for everybody.
    pub(crate) fn open(&self, source_id: &SourceId, windows: Vec<Window>) -> Vec<Window> {
        match self.0.get(source_id) {
            Some(closed) => without(windows, closed),
            None => windows,
        }
    }

    /// The other parts of `windows`.
    pub(crate) fn closed(&self, source_id: &SourceId, windows: &[Window]) -> Vec<Window> {
        let Some(closed) = self.0.get(source_id) else { return Vec::new() };
        let mut parts = Vec::new();
        for (from, to) in windows {
            for (start, end) in closed {
                let (from, to) = ((*from).max(after(*start)), (*to).min(before(*end)));
                if from <= to {
                    parts.push((from, to));
                }
            }
        }
        parts
    }

    /// Whether the whole epoch of a channel is closed.
    pub(crate) fn hold(&self, channel: &Channel) -> bool {
        self.open(&channel.source_id, vec![epoch(channel.start_time, channel.end_time)]).is_empty()
    }
}

fn after(start: Timestamp) -> Timestamp {
    if start == Timestamp::MIN { start } else { start.add_nanos(AFTER_NS) }
}

fn before(end: Timestamp) -> Timestamp {
    if end == Timestamp::MAX { end } else { end.add_nanos(-BEFORE_NS) }
}

/// `windows` less `closed`, which end before their ends.
fn without(windows: Vec<Window>, closed: &[Window]) -> Vec<Window> {
    let mut open = Vec::new();
    for (mut from, to) in windows {
        for (start, end) in closed {
            if *start > to || before(*end) < from {
                continue;
            }
            if *start > from {
                open.push((from, before(*start)));
            }
            if *end == Timestamp::MAX {
                from = Timestamp::MAX;
                break;
            }
            from = from.max(after(*end));
        }
        if from <= to && from < Timestamp::MAX {
            open.push((from, to));
        }
    }
    open
}

/// Closed times of one channel, in order and apart.
fn closed_epochs(stations: &[&Station], channels: &[&Channel]) -> Vec<Window> {
    let of_channels = |wanted: fn(RestrictedStatus) -> bool| {
        let said = move |channel: &&&Channel| status(&channel.original).is_some_and(wanted);
        channels.iter().filter(said).map(|channel| epoch(channel.start_time, channel.end_time))
    };
    let open = joined(of_channels(|status| status == RestrictedStatus::Open).collect());
    let of_stations = |wanted: fn(&Station) -> bool| {
        let wanted = stations.iter().filter(move |station| wanted(station));
        wanted.map(|station| epoch(station.start_time, station.end_time))
    };
    let mut closed = less(joined(of_stations(is_left_to_channels).collect()), &open);
    closed.extend(of_stations(is_station_closed));
    closed.extend(of_channels(|status| status != RestrictedStatus::Open));
    joined(closed)
}

/// Epochs in order, those that touch as one.
fn joined(mut epochs: Vec<Window>) -> Vec<Window> {
    epochs.sort_unstable();
    let mut joined: Vec<Window> = Vec::new();
    for (start, end) in epochs {
        match joined.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined
}

/// Epochs less others, both in order and apart.
fn less(epochs: Vec<Window>, others: &[Window]) -> Vec<Window> {
    let mut left = Vec::new();
    for (mut start, end) in epochs {
        for (other_start, other_end) in others {
            if *other_end <= start || *other_start >= end {
                continue;
            }
            if *other_start > start {
                left.push((start, *other_start));
            }
            start = start.max(*other_end);
        }
        if start < end {
            left.push((start, end));
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// A network of one station of one channel in two epochs, each level with the word given, if any.
    fn inventory(network: &str, station: &str, channels: [&str; 2]) -> Inventory {
        let attribute = |word: &str| match word {
            "" => String::new(),
            word => format!("restrictedStatus=\"{word}\""),
        };
        let place = "<Latitude>1</Latitude><Longitude>2</Longitude><Elevation>3</Elevation>";
        let channel = |word: &str, start: &str, end: &str| {
            format!(
                "<Channel code=\"HHZ\" locationCode=\"\" startDate=\"{start}\" endDate=\"{end}\" {}>{place}\
                 <Depth>0</Depth></Channel>",
                attribute(word)
            )
        };
        let document = format!(
            "<FDSNStationXML schemaVersion=\"1.2\"><Network code=\"XX\" {}><Station code=\"A\" \
             startDate=\"2001-01-01\" endDate=\"2007-01-01\" {}>{place}<Site><Name>A</Name></Site>{}{}</Station>\
             </Network></FDSNStationXML>",
            attribute(network),
            attribute(station),
            channel(channels[0], "2002-01-01", "2003-01-01"),
            channel(channels[1], "2003-01-01", "2004-01-01")
        );
        seislake_exchange::stationxml::read(document.as_bytes()).unwrap().value
    }

    #[test]
    fn what_is_closed_above_is_closed_below_and_partial_leaves_it_to_the_channel() {
        let id = SourceId::from_nslc("XX", "A", "", "HHZ");
        for (network, station, channels, expected) in [
            ("", "", ["", ""], vec![]),
            ("open", "open", ["closed", "open"], vec![(2002, 2003)]),
            ("open", "open", ["partial", "closed"], vec![(2002, 2004)]),
            ("closed", "open", ["open", "open"], vec![(2001, 2007)]),
            ("", "closed", ["open", ""], vec![(2001, 2007)]),
            ("partial", "open", ["", "open"], vec![]),
            ("partial", "", ["", "open"], vec![(2001, 2003), (2004, 2007)]),
            ("open", "partial", ["open", "closed"], vec![(2001, 2002), (2003, 2007)]),
            ("secret", "", ["", ""], vec![(2001, 2007)]),
        ] {
            let restrictions = Restrictions::of(&inventory(network, station, channels), [&id].into_iter());
            let year = |time: Timestamp| time.to_string()[..4].parse::<i32>().unwrap();
            let found = restrictions.0.get(&id).map_or(&[][..], Vec::as_slice);
            let found: Vec<(i32, i32)> = found.iter().map(|(from, to)| (year(*from), year(*to))).collect();
            assert_eq!(found, expected, "{network} {station} {channels:?}");
        }
    }

    #[test]
    fn windows_are_parted_where_an_epoch_begins_and_ends() {
        let id = SourceId::from_nslc("XX", "A", "", "HHZ");
        let restrictions = Restrictions::of(&inventory("", "", ["closed", ""]), [&id].into_iter());
        let (start, end) = (time("2002-01-01"), time("2003-01-01"));
        let whole = vec![(Timestamp::MIN, Timestamp::MAX)];
        assert_eq!(
            restrictions.open(&id, whole.clone()),
            [(Timestamp::MIN, start.add_nanos(-501)), (end.add_nanos(500), Timestamp::MAX)]
        );
        assert_eq!(restrictions.closed(&id, &whole), [(start.add_nanos(500), end.add_nanos(-501))]);
        let inside = vec![(time("2002-02-01"), time("2002-03-01"))];
        assert!(restrictions.open(&id, inside.clone()).is_empty());
        assert_eq!(restrictions.closed(&id, &inside), inside);
        let other = SourceId::from_nslc("XX", "B", "", "HHZ");
        assert_eq!(restrictions.open(&other, inside.clone()), inside);
        assert!(restrictions.closed(&other, &inside).is_empty());
    }
}
