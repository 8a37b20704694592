//! The demonstration: a synthetic network streamed into an engine, and what is found of it beside the truth.
//!
//! The stream takes the path of real records: packets → gate → log → stages → tables. Only the stations, the ground and
//! the clock are made up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use seislake_model::{CatalogueEvent, Event, Timestamp};
use seislake_seismo::compare::{CompareSettings, Comparison, compare, line};
use seislake_seismo::synthetic::{SyntheticNetwork, SyntheticSettings};
use seislake_streams::earth::Earth;
use seislake_streams::gate::{Offer, ReceivedRecord};
use seislake_streams::message::Watermark;
use seislake_streams::runtime::FeedItem;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use crate::Engine;
use crate::synthetic_stream::{SyntheticStream, Tick};

/// The bar of a demonstration.
const RECALL_MIN: f64 = 0.95;
const PRECISION_MIN: f64 = 0.95;
const EPICENTRE_KM_MAX: f64 = 2.0;
/// What counts as the same event.
const SAME_EVENT: CompareSettings = CompareSettings { time_tolerance_s: 3.0, distance_tolerance_km: 15.0 };
/// Waves of an event later than this before the end of a stream that was cut short had no time to reach the stations.
const UNSEEN_S: f64 = 60.0;

/// The network of a seed with so many minutes of its ground, through `earth`; and its sample rate, Hz.
#[must_use]
pub fn network(seed: u64, minutes: u32, earth: &Earth) -> (SyntheticNetwork, f64) {
    let duration_s = f64::from(minutes) * 60.0;
    let settings = SyntheticSettings { seed, duration_s, ..SyntheticSettings::default() };
    let rate_hz = settings.sample_rate_hz;
    (SyntheticNetwork::new(settings, earth.travel_time.as_ref()), rate_hz)
}

/// Streams a network, sampled at `rate_hz`, to its end: `speed` times faster than real time, or without one as fast as it
/// goes. `streamed_to` hears of the time that the stream has come to.
///
/// # Errors
/// A log that cannot be written.
pub async fn stream(
    engine: &Engine,
    network: &SyntheticNetwork,
    rate_hz: f64,
    speed: Option<f64>,
    mut streamed_to: impl FnMut(Timestamp) + Send,
) -> anyhow::Result<()> {
    let (begin, first) = (Instant::now(), network.sample_time(0));
    let mut stream = SyntheticStream::new(network, rate_hz);
    while let Some(Tick { records, end_time }) = stream.next_tick()? {
        if let Some(speed) = speed {
            let due = Duration::from_secs_f64(end_time.seconds_since(first) / speed);
            tokio::time::sleep_until((begin + due).into()).await;
        }
        offer(engine, records, end_time, speed.map(|_| end_time)).await?;
        streamed_to(end_time);
    }
    Ok(())
}

async fn offer(
    engine: &Engine,
    records: Vec<Vec<u8>>,
    watermark: Timestamp,
    arrival_time: Option<Timestamp>,
) -> anyhow::Result<()> {
    let origin: Arc<str> = "synthetic network".into();
    let record = |bytes: Vec<u8>| {
        let origin = Some(Arc::clone(&origin));
        Offer::Record(ReceivedRecord { bytes: Bytes::from(bytes), arrival_time, origin })
    };
    let mut offers: Vec<Offer> = records.into_iter().map(record).collect();
    offers.push(Offer::Watermark(Watermark(watermark)));
    engine.gate.ingest(offers).await.context("cannot append to the log")?;
    Ok(())
}

/// The catalogue beside the truth, events before `end`.
///
/// # Errors
/// A lake that cannot be read.
pub async fn comparison(
    engine: &Engine,
    network: &SyntheticNetwork,
    end: Timestamp,
) -> anyhow::Result<Comparison> {
    let before = |events: Vec<CatalogueEvent>| -> Vec<CatalogueEvent> {
        events.into_iter().filter(|event| event.origin_time < end).collect()
    };
    let catalogue = before(engine.lakehouse.catalogue().await?);
    Ok(compare(&before(network.catalogue()), &catalogue, SAME_EVENT))
}

/// Before which time the events of a stream that was cut short at `streamed_to` can be known; `None`: of none.
#[must_use]
pub fn seen_before(network: &SyntheticNetwork, streamed_to: Timestamp) -> Option<Timestamp> {
    let end = streamed_to.add_seconds(-UNSEEN_S);
    (end > network.sample_time(0)).then_some(end)
}

/// Whether what was found is good enough.
///
/// # Errors
/// Where it is not: all figures, with what they should be.
pub fn check_bar(comparison: &Comparison) -> anyhow::Result<()> {
    let (recall, precision) = (comparison.recall.unwrap_or(0.0), comparison.precision.unwrap_or(0.0));
    let epicentre_km = comparison.epicentre_km.median.unwrap_or(f64::INFINITY);
    if recall < RECALL_MIN || precision < PRECISION_MIN || epicentre_km > EPICENTRE_KM_MAX {
        bail!(
            "the bar is not met: recall {recall:.3} (at least {RECALL_MIN}), precision {precision:.3} (at least \
             {PRECISION_MIN}), median epicentre error {epicentre_km:.2} km (at most {EPICENTRE_KM_MAX})"
        );
    }
    Ok(())
}

/// Events as they are found, each a line with the truth beside it.
#[derive(Debug)]
pub struct Findings {
    feed: Receiver<FeedItem>,
    truth: Vec<CatalogueEvent>,
}

impl Findings {
    /// From now on.
    #[must_use]
    pub fn of(engine: &Engine, network: &SyntheticNetwork) -> Self {
        Self { feed: engine.pipeline.feed(), truth: network.catalogue() }
    }

    fn line(&self, what: &str, event: &Event) -> String {
        let event = CatalogueEvent::from(event);
        let comparison = compare(&self.truth, std::slice::from_ref(&event), SAME_EVENT);
        let beside = match comparison.pairs.first() {
            Some(pair) => format!("truth {pair}"),
            None => "not in the truth".to_owned(),
        };
        format!("{what:<8} {}   {beside}", line(&event))
    }
}

impl Iterator for Findings {
    type Item = String;

    /// What came since the last look; `None` where there is nothing more yet.
    fn next(&mut self) -> Option<String> {
        loop {
            match self.feed.try_recv() {
                Ok(FeedItem::Revision(revision)) => match revision.events.first() {
                    Some(event) if event.magnitude.is_some() => return Some(self.line("ML", event)),
                    Some(event) => return Some(self.line("located", event)),
                    None => {}
                },
                Err(TryRecvError::Lagged(missed)) => return Some(format!("({missed} not shown)")),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }
}

/// Where a demonstration lives, and whether it leaves something behind.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    is_temporary: bool,
}

impl Folder {
    /// The folder that is named, which stays; else one of its own, deleted when this is dropped.
    #[must_use]
    pub fn choose(named: Option<&Path>) -> Self {
        match named {
            Some(path) => Self { path: path.to_owned(), is_temporary: false },
            None => {
                let name = format!("seislake-demo-{}", std::process::id());
                Self { path: std::env::temp_dir().join(name), is_temporary: true }
            }
        }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.is_temporary
    }

    /// What becomes of it, in a sentence.
    #[must_use]
    pub fn fate(&self) -> String {
        let path = self.path.display();
        if self.is_temporary {
            format!("the temporary home \"{path}\" is deleted; --home DIR keeps one")
        } else {
            format!("the home \"{path}\" stays: seislake serve --home {path}")
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_temporary {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_told_with_all_figures_where_it_is_not_met() {
        let event = |origin_s: f64, longitude: f64| CatalogueEvent {
            id: format!("{origin_s}"),
            origin_time: Timestamp::from_nanos(0).add_seconds(origin_s),
            latitude: 0.0,
            longitude,
            depth_km: None,
            magnitude: None,
            event_type: None,
        };
        let truth = [event(0.0, 0.0), event(100.0, 0.0)];
        assert!(check_bar(&compare(&truth, &truth, SAME_EVENT)).is_ok());
        let off = [event(0.0, 0.05), event(100.0, 0.05)];
        for found in [&truth[..1], &off, &[]] {
            let told = check_bar(&compare(&truth, found, SAME_EVENT)).unwrap_err().to_string();
            assert!(told.contains("recall") && told.contains("precision") && told.contains("km"), "{told}");
        }
    }

    #[test]
    fn a_folder_that_was_named_stays_and_another_goes() {
        let named = tempfile::tempdir().unwrap();
        drop(Folder::choose(Some(named.path())));
        assert!(named.path().is_dir());
        let temporary = Folder::choose(None);
        let path = temporary.path().to_owned();
        std::fs::create_dir_all(&path).unwrap();
        drop(temporary);
        assert!(!path.exists());
    }
}
