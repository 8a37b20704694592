//! The synthetic network as a feed: packets of a few seconds, with its gap, its dead channel and its duplicate.

use anyhow::Context;
use seislake_model::Timestamp;
use seislake_mseed::{PackSettings, pack};
use seislake_seismo::synthetic::{ChannelGenerator, Defect, SyntheticNetwork};

/// Length of a packet; at 100 Hz a Steim2 record of 512 bytes holds about as much.
const PACKET_S: f64 = 4.0;

/// Packets of all channels in the order of time.
#[derive(Debug)]
pub struct SyntheticStream<'a> {
    network: &'a SyntheticNetwork,
    generators: Vec<ChannelGenerator<'a>>,
    rate_hz: f64,
    next_sample: u64,
}

/// What all channels sent in one packet length.
#[derive(Debug)]
pub struct Tick {
    /// miniSEED records.
    pub records: Vec<Vec<u8>>,
    /// Nothing older follows.
    pub end_time: Timestamp,
}

impl<'a> SyntheticStream<'a> {
    pub fn new(network: &'a SyntheticNetwork, rate_hz: f64) -> Self {
        let generators = (0..network.channel_count()).map(|index| network.generator(index)).collect();
        Self { network, generators, rate_hz, next_sample: 0 }
    }

    /// The next packets; `None` at the end of the stream.
    pub fn next_tick(&mut self) -> anyhow::Result<Option<Tick>> {
        let count = ((PACKET_S * self.rate_hz) as u64).min(self.network.sample_count() - self.next_sample);
        if count == 0 {
            return Ok(None);
        }
        let (first, end) = (self.next_sample, self.next_sample + count);
        let (start_time, end_time) = (self.network.sample_time(first), self.network.sample_time(end));
        let mut samples = vec![0_i32; usize::try_from(count)?];
        let mut records = Vec::with_capacity(self.generators.len() * 2);
        for (index, generator) in self.generators.iter_mut().enumerate() {
            if self.network.is_missing(index, start_time) {
                continue;
            }
            generator.fill(first, &mut samples);
            let source_id = self.network.source_id(index).as_str();
            let settings = PackSettings::new(source_id, start_time.nanos(), self.rate_hz);
            let packed = pack(&settings, samples.as_slice())
                .with_context(|| format!("cannot pack samples of \"{source_id}\""))?;
            if is_sent_twice(self.network, index, start_time, end_time) {
                records.extend(packed.iter().cloned());
            }
            records.extend(packed);
        }
        self.next_sample = end;
        Ok(Some(Tick { records, end_time }))
    }
}

fn is_sent_twice(
    network: &SyntheticNetwork,
    index: usize,
    start_time: Timestamp,
    end_time: Timestamp,
) -> bool {
    network.defects().iter().any(|defect| {
        matches!(defect, Defect::DuplicatePacket { channel_index, time }
            if *channel_index == index && start_time <= *time && *time < end_time)
    })
}
