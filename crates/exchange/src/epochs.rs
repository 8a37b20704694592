//! Begins and ends of epochs: what a date of a document means, and what documents say where it means none.
//!
//! ```text
//! begin:  nothing said, before 1677, 1900-01-01T00:00:00 ─► since ever (`None`)      2016-… ─► the date
//! end:    nothing said, 2200 and on ─► open (`None`)            2016-… ─► the date
//! ```
//! Tables, REST and GraphQL have null for both. Documents say what was said: a date too far away to be held stands in the
//! original of its epoch (text and JSON make one for it, [`keep_far_dates`]) and comes back in every format.
//! FDSN services must name a begin, for their text has no epochs without one; [`Begins`] finds it: a station begins with
//! its first channel, a channel with its station, a network with its first station.

use std::collections::HashMap;
use std::sync::Arc;

use seislake_model::{Channel, Inventory, Station, Timestamp, TimestampError};

use crate::excerpt;
use crate::stationxml::{self, stated_date, with_begin};

/// A moment of the years 1 to 9999, of which a [`Timestamp`] holds those from 1677 to 2262.
pub(crate) enum Moment {
    Held(Timestamp),
    Before,
    After,
}

pub(crate) fn moment(text: &str) -> Result<Moment, TimestampError> {
    let time = Timestamp::bound(text).map_err(|_| TimestampError(excerpt(text)))?;
    Ok(match time {
        Timestamp::MIN => Moment::Before,
        Timestamp::MAX => Moment::After,
        time => Moment::Held(time),
    })
}

/// End of an epoch: dates beyond what a [`Timestamp`] holds (2599-12-31 is common) mean that it is open.
///
/// # Errors
/// Text that is no moment of the years 1 to 9999.
pub fn epoch_end(text: &str) -> Result<Option<Timestamp>, TimestampError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let is_open = |time: &Timestamp| time.to_string().get(..4).is_some_and(|year| year >= OPEN_FROM_YEAR);
    Ok(match moment(text)? {
        Moment::Held(time) => Some(time).filter(|time| !is_open(time)),
        Moment::Before => Some(Timestamp::MIN),
        Moment::After => None,
    })
}

/// Ends of this year and later stand for "not yet".
const OPEN_FROM_YEAR: &str = "2200";

/// Begin of an epoch: nothing, a date before what a [`Timestamp`] holds, or the one that services write where they know of no
/// begin, means since ever.
///
/// # Errors
/// Text that is no moment of the years 1 to 9999.
pub fn epoch_start(text: &str) -> Result<Option<Timestamp>, TimestampError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    Ok(match moment(text)? {
        // What we say ourselves where no begin is known: it means the same when it comes back.
        Moment::Held(time) => Some(time).filter(|time| *time != SINCE_EVER),
        Moment::Before => None,
        Moment::After => Some(Timestamp::MAX),
    })
}

/// The dates of an epoch as a document gave them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SaidDates<'a> {
    /// Begin; empty where nothing was said.
    pub start: &'a str,
    /// End.
    pub end: &'a str,
}

impl SaidDates<'_> {
    /// The dates that are not held, as documents write them.
    fn far(self, start: Option<Timestamp>, end: Option<Timestamp>) -> [Option<String>; 2] {
        let far = |said: &str, held: Option<Timestamp>| {
            let is_held = held.is_some_and(is_exact) || said.trim().is_empty();
            Timestamp::rewritten(said).ok().filter(|_| !is_held)
        };
        [far(self.start, start), far(self.end, end)]
    }
}

/// The first and the last moment of all stand for those beyond them.
fn is_exact(time: Timestamp) -> bool {
    time != Timestamp::MIN && time != Timestamp::MAX
}

/// Keeps dates of a station that are too far away to be held in an original of its own, so that they are written again.
pub fn keep_far_dates(station: &mut Station, said: SaidDates<'_>) {
    let far = said.far(station.start_time, station.end_time);
    if far.iter().any(Option::is_some) {
        station.original = Some(stationxml::original_of_station(station, far));
    }
}

/// The same for a channel.
pub fn keep_far_dates_of_channel(channel: &mut Channel, said: SaidDates<'_>) {
    let far = said.far(channel.start_time, channel.end_time);
    if far.iter().any(Option::is_some) {
        channel.original = Some(stationxml::original_of_channel(channel, far));
    }
}

/// Which of the two dates of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Start,
    End,
}

impl Side {
    pub(crate) const fn attribute(self) -> &'static str {
        match self {
            Self::Start => "startDate",
            Self::End => "endDate",
        }
    }
}

/// What text says of a date: what is held of it, else what its original says.
pub(crate) fn date_text(held: Option<Timestamp>, original: Option<&str>, side: Side) -> String {
    let said = || original.and_then(|original| stated_date(original, side));
    let text = match held.filter(|time| is_exact(*time)) {
        Some(time) => Some(time.to_string()),
        None => said().or_else(|| held.map(|time| time.to_string())),
    };
    text.unwrap_or_default().trim_end_matches('Z').to_owned()
}

/// What the FDSN services say where nobody knows when an epoch began: their clients read no epoch without a begin.
const SINCE_EVER: Timestamp = Timestamp::from_nanos(-2_208_988_800_000_000_000);

/// Begins of epochs that do not state one, by what is known around them. Cost: linear in the inventory.
#[derive(Debug)]
pub struct Begins<'a> {
    /// Begins of the channels of stations that state none.
    channels: HashMap<(&'a str, &'a str), Vec<Timestamp>>,
    /// Epochs of stations.
    stations: HashMap<(&'a str, &'a str), Vec<&'a Station>>,
    networks: HashMap<&'a str, BeginStatement>,
}

/// What is said of the begin of a network.
#[derive(Clone, Copy, Debug, Default)]
struct BeginStatement {
    /// Some document states one.
    is_stated: bool,
    /// The one that is held.
    held: Option<Timestamp>,
}

impl<'a> Begins<'a> {
    /// Those of a whole inventory: what is asked of it must not decide when something began.
    pub fn of(inventory: &'a Inventory) -> Self {
        let (mut channels, mut stations) = (HashMap::new(), HashMap::<_, Vec<&Station>>::new());
        let mut networks = HashMap::<&str, BeginStatement>::new();
        let mut last: Option<&Arc<str>> = None;
        for station in &inventory.stations {
            let key = (station.network.as_str(), station.station.as_str());
            stations.entry(key).or_default().push(station);
            if station.start_time.is_none() {
                channels.entry(key).or_insert_with(Vec::new);
            }
            let said = networks.entry(&station.network).or_default();
            // Stations of one document share what it says of their network.
            let Some(original) = &station.network_original else { continue };
            if !last.is_some_and(|last| Arc::ptr_eq(last, original))
                && let Some(date) = stated_date(original, Side::Start)
            {
                said.is_stated = true;
                said.held = said.held.or_else(|| epoch_start(&date).ok().flatten());
            }
            last = Some(original);
        }
        for channel in &inventory.channels {
            let key = (channel.source_id.network(), channel.source_id.station());
            if let (Some(starts), Some(start)) = (channels.get_mut(&key), channel.start_time) {
                starts.push(start);
            }
        }
        Self { channels, stations, networks }
    }

    /// When a station's epoch begins, as far as anybody says.
    pub fn station(&self, station: &Station) -> Option<Timestamp> {
        if station.start_time.is_some() || states_begin(station.original.as_deref()) {
            return station.start_time;
        }
        let key = (station.network.as_str(), station.station.as_str());
        let starts = self.channels.get(&key).into_iter().flatten().copied();
        let within = starts.filter(|start| station.end_time.is_none_or(|end| *start < end));
        within.min().or_else(|| self.network(&station.network).held)
    }

    /// When a channel's epoch begins, as far as anybody says.
    pub fn channel(&self, channel: &Channel) -> Option<Timestamp> {
        if channel.start_time.is_some() || states_begin(channel.original.as_deref()) {
            return channel.start_time;
        }
        let id = &channel.source_id;
        let epochs = self.stations.get(&(id.network(), id.station())).into_iter().flatten();
        let starts = epochs.filter_map(|station| self.station(station));
        let within = starts.filter(|start| channel.end_time.is_none_or(|end| *start < end));
        within.min().or_else(|| self.network(id.network()).held)
    }

    fn network(&self, code: &str) -> BeginStatement {
        self.networks.get(code).copied().unwrap_or_default()
    }

    /// An inventory in which every epoch has a begin: part of the one that these are of.
    pub fn fill(&self, mut inventory: Inventory) -> Inventory {
        let known = |begin: Option<Timestamp>, original: &Option<Arc<str>>| {
            begin.or_else(|| (!states_begin(original.as_deref())).then_some(SINCE_EVER))
        };
        for channel in &mut inventory.channels {
            channel.start_time = known(self.channel(channel), &channel.original);
        }
        let firsts = self.first_stations();
        let mut originals: HashMap<(String, Option<Arc<str>>), Arc<str>> = HashMap::new();
        for station in &mut inventory.stations {
            station.start_time = known(self.station(station), &station.original);
            if self.network(&station.network).is_stated {
                continue;
            }
            let key = (station.network.clone(), station.network_original.clone());
            let original = originals.entry(key).or_insert_with_key(|(code, original)| {
                let first = firsts.get(code.as_str()).copied().unwrap_or(SINCE_EVER);
                with_begin(original.as_deref(), code, first)
            });
            station.network_original = Some(Arc::clone(original));
        }
        inventory
    }

    /// The first begin of a station, of networks of which no document says when they began.
    fn first_stations(&self) -> HashMap<&'a str, Timestamp> {
        let mut firsts = HashMap::new();
        for ((network, _), epochs) in &self.stations {
            if self.network(network).is_stated {
                continue;
            }
            for begin in epochs.iter().filter_map(|station| self.station(station)) {
                let first = firsts.entry(*network).or_insert(begin);
                *first = begin.min(*first);
            }
        }
        firsts
    }
}

fn states_begin(original: Option<&str>) -> bool {
    original.is_some_and(|original| stated_date(original, Side::Start).is_some())
}

#[cfg(test)]
mod tests;
