//! The versions of one channel: the same time as published more than once (qualities R, D, Q, M; publication versions).
//!
//! Versions are never mixed: their clocks or samples differ, and where one takes over from another a jump would look
//! like an arrival. Each has lanes and onsets of its own; which of them counts at a moment is said here, once the
//! watermark has passed it: the best that covers the time, the filters' warm-up before it included.

use seislake_model::Timestamp;
use serde::{Deserialize, Serialize};

use super::channel::{Channel, PastSessions};

/// Versions of one channel at a time; further ones are left alone.
const VERSION_COUNT_MAX: usize = 4;

/// The versions of a channel, the best first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Versions {
    channels: Vec<(u8, Channel)>,
    /// Of all versions: one that comes when a session has decided a moment says nothing about it any more.
    #[serde(default)]
    decided: PastSessions,
}

impl Versions {
    /// The channel of a version, made where it is new, and what earlier sessions decided; `None` where there are too many.
    pub(super) fn channel_mut(&mut self, version: u8) -> Option<(&mut Channel, &PastSessions)> {
        let place = self.channels.partition_point(|(known, _)| *known > version);
        if self.channels.get(place).is_none_or(|(known, _)| *known != version) {
            if self.channels.len() >= VERSION_COUNT_MAX {
                return None;
            }
            self.channels.insert(place, (version, Channel::default()));
        }
        let Self { channels, decided } = self;
        channels.get_mut(place).map(|(_, channel)| (channel, &*decided))
    }

    /// What stays when a session has ended: which times were decided.
    pub(super) fn ended(mut self) -> Self {
        for (_, channel) in &self.channels {
            self.decided.add(channel);
        }
        Self { channels: Vec::new(), decided: self.decided }
    }

    /// All of them with their versions.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u8, &mut Channel)> {
        self.channels.iter_mut().map(|(version, channel)| (*version, channel))
    }

    /// A version, where it is there.
    pub(super) fn get(&self, version: u8) -> Option<&Channel> {
        self.channels.iter().find(|(known, _)| *known == version).map(|(_, channel)| channel)
    }

    /// Does this version count at a time?
    pub(super) fn counts(&self, version: u8, time: Timestamp, warm_up_s: f64) -> bool {
        self.at(time, warm_up_s).is_some_and(|(counts, _)| counts == version)
    }

    /// Does a version other than this cover a time?
    pub(super) fn others_cover(&self, version: u8, time: Timestamp) -> bool {
        self.channels.iter().any(|(known, channel)| *known != version && channel.covers(time, time))
    }

    /// The version that counts at a time: the best that covers it and the warm-up before it, else the best that covers
    /// it, else the best.
    pub(super) fn at(&self, time: Timestamp, warm_up_s: f64) -> Option<(u8, &Channel)> {
        let first = self.channels.first()?;
        let chosen = if self.channels.len() == 1 {
            first
        } else {
            let warm = time.add_seconds(-warm_up_s);
            let covers = |from: Timestamp| self.channels.iter().find(|(_, one)| one.covers(from, time));
            covers(warm).or_else(|| covers(time)).unwrap_or(first)
        };
        Some((chosen.0, &chosen.1))
    }
}
