//! Stations and channels as they come out of a document, whatever its format: each is checked before it is taken, and of
//! several of one epoch the last one stays.
//!
//! ```text
//! row, element ─► check (codes, numbers, epoch) ─► last of equal epochs ─► Inventory
//!                        └─────────────────────────────────┴─► problems with their lines
//! ```

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use seislake_model::{Channel, Inventory, Station};

use crate::stationxml::{joined, keep_stricter};
use crate::{Parsed, Problem, excerpt};

/// Problems that are kept; further ones are counted. A document of millions of bad lines must not become gigabytes of text.
const PROBLEMS_MAX: usize = 10_000;

/// What has been read so far.
#[derive(Debug, Default)]
pub(crate) struct Collection {
    stations: Epochs<Station>,
    channels: Epochs<Channel>,
    problems: Vec<Problem>,
    /// Problems that are not kept, and the line of the last.
    further: (usize, u64),
}

/// Epochs with their lines.
#[derive(Debug)]
struct Epochs<T>(Vec<(u64, T)>);

impl<T> Default for Epochs<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl Collection {
    /// Takes a station, or refuses it by name.
    pub(crate) fn station(&mut self, line: u64, station: Station) {
        match station.check() {
            Ok(()) => self.stations.0.push((line, station)),
            Err(error) => self.problem(line, format!("left out: {error}")),
        }
    }

    /// Takes a channel, or refuses it by name.
    pub(crate) fn channel(&mut self, line: u64, channel: Channel) {
        match channel.check() {
            Ok(()) => self.channels.0.push((line, channel)),
            Err(error) => self.problem(line, format!("left out: {error}")),
        }
    }

    /// Something that was left out or mended.
    pub(crate) fn problem(&mut self, line: u64, reason: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { line, reason });
        } else {
            self.further = (self.further.0 + 1, line);
        }
    }

    /// The channel that was taken `index`th.
    pub(crate) fn channel_at(&self, index: usize) -> Option<&Channel> {
        self.channels.0.get(index).map(|(_, channel)| channel)
    }

    pub(crate) fn station_count(&self) -> usize {
        self.stations.0.len()
    }

    pub(crate) fn channel_count(&self) -> usize {
        self.channels.0.len()
    }

    /// Everything, and what is to be said about it in the order of lines.
    pub(crate) fn finish(mut self) -> Parsed<Inventory> {
        let stations = self.stations.last_of_equal(
            |station| (station.network.clone(), station.station.clone(), station.start_time),
            |station| Station { original: None, network_original: None, ..station.clone() },
            |station| format!("station \"{}.{}\"", station.network, station.station),
            |before, station| {
                let of_network =
                    keep_stricter(before.network_original.as_deref(), &mut station.network_original);
                keep_stricter(before.original.as_deref(), &mut station.original) || of_network
            },
            |station| vec![&mut station.original, &mut station.network_original],
            &mut self.problems,
        );
        let channels = self.channels.last_of_equal(
            |channel| (channel.source_id.clone(), channel.start_time),
            |channel| Channel { original: None, ..channel.clone() },
            |channel| format!("channel \"{}\"", channel.source_id),
            |before, channel| keep_stricter(before.original.as_deref(), &mut channel.original),
            |channel| vec![&mut channel.original],
            &mut self.problems,
        );
        self.problems.sort_by_key(|problem| problem.line);
        let (count, line) = self.further;
        if count > 0 {
            self.problems.push(Problem { line, reason: format!("{count} further problems are not listed") });
        }
        Parsed { value: Inventory { stations, channels }, problems: self.problems }
    }
}

impl<T: PartialEq> Epochs<T> {
    /// One of each key, at the place of its first. Those that say the same (`essence`) are one without a word.
    fn last_of_equal<K: Hash + Eq>(
        self,
        key: impl Fn(&T) -> K,
        essence: impl Fn(&T) -> T,
        name: impl Fn(&T) -> String,
        restrict: impl Fn(&T, &mut T) -> bool,
        originals: impl Fn(&mut T) -> Vec<&mut Option<Arc<str>>>,
        problems: &mut Vec<Problem>,
    ) -> Vec<T> {
        let mut places: HashMap<K, usize> = HashMap::with_capacity(self.0.len());
        let mut kept: Vec<(u64, T)> = Vec::with_capacity(self.0.len());
        // What others of the same key say, by place: joined at the end, so that many of them cost no more than their text.
        let mut said: BTreeMap<usize, Vec<Vec<Arc<str>>>> = BTreeMap::new();
        for (line, mut epoch) in self.0 {
            let place = *places.entry(key(&epoch)).or_insert(kept.len());
            let Some(before) = kept.get_mut(place) else {
                kept.push((line, epoch));
                continue;
            };
            if essence(&before.1) != essence(&epoch) {
                let reason = format!(
                    "{} stands at line {} too, with the same start and other values: this one, the last, counts",
                    name(&epoch),
                    before.0
                );
                problems.push(Problem { line, reason });
            }
            if restrict(&before.1, &mut epoch) {
                let reason = format!(
                    "{} stands at line {} too, where fewer may have its data: that holds",
                    name(&epoch),
                    before.0
                );
                problems.push(Problem { line, reason });
            }
            let of_place = said.entry(place).or_default();
            for (index, original) in originals(&mut before.1).into_iter().enumerate() {
                of_place.resize(of_place.len().max(index + 1), Vec::new());
                if let (Some(said), Some(text)) = (of_place.get_mut(index), original.take())
                    && said.last() != Some(&text)
                {
                    said.push(text);
                }
            }
            *before = (line, epoch);
        }
        // By where the texts lie; what is known holds them there.
        let mut known = HashMap::new();
        for (place, others) in said {
            let Some((line, epoch)) = kept.get_mut(place) else { continue };
            let name = name(epoch);
            for (index, (original, mut others)) in originals(epoch).into_iter().zip(others).enumerate() {
                let Some(own) = original else { continue };
                others.retain(|other| other != own);
                if others.is_empty() {
                    continue;
                }
                // Stations of one document share what it says of their network.
                let of = |text: &Arc<str>| Arc::as_ptr(text).cast::<u8>() as usize;
                let key: Vec<usize> = others.iter().chain([&*own]).map(of).collect();
                let (text, not_taken) = known
                    .entry(key)
                    .or_insert_with(|| (joined(own, &others), others.clone(), Arc::clone(own)))
                    .0
                    .clone();
                *own = text;
                // The first is that of the epoch itself.
                if index == 0 && !not_taken.is_empty() {
                    let names = not_taken.iter().map(|name| format!("<{}>", excerpt(name)));
                    let names = names.collect::<Vec<_>>().join(", ");
                    let reason = format!(
                        "{name} is stated more than once, with other {names}: this one, the last, counts"
                    );
                    problems.push(Problem { line: *line, reason });
                }
            }
        }
        kept.into_iter().map(|(_, epoch)| epoch).collect()
    }
}
