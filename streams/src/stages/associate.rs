//! Stage `associate`: picks and amplitude traces of all raw partitions to associations.
//!
//! Its watermark is the smallest that the raw partitions promise. The end of a session (`max`) counts when all
//! partitions have reached it; what one of them says after its end waits until then, so that sessions do not mix.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use seislake_model::SourceId;
use seislake_seismo::associate::{AssociateSettings, Associator, AssociatorState};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::earth::{Earth, InEarth};
use crate::message::{ASSOCIATIONS, Envelope, Message, PHASE_PICKS, Watermark};
use crate::runtime::{Output, Stage};
use crate::stages::depths;
use crate::topic::Record;
use crate::topology::{Feed, SettingsSpec, StageSpec, typed};

/// What the stage needs.
#[derive(Clone, Debug)]
pub struct AssociateConfig {
    /// The associator.
    pub settings: AssociateSettings,
    /// Earth model.
    pub earth: Earth,
    /// Partitions of `waveforms.raw`, all of which promise how far they are.
    pub partition_count: u32,
}

/// What the stage remembers beside the associator.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Memory {
    /// What each raw partition promised in this session.
    watermarks: Vec<Option<Watermark>>,
    /// What partitions said after they ended the session that others are still in.
    waiting: VecDeque<(u32, Message)>,
    /// Stations rejected once already.
    unplaced: BTreeSet<String>,
}

/// What the stage remembers.
#[derive(Debug, Serialize, Deserialize)]
pub struct AssociateState {
    memory: Memory,
    associator: AssociatorState,
}

/// Associates the picks of a network.
#[derive(Debug)]
pub struct AssociateStage {
    config: AssociateConfig,
    memory: Memory,
    associator: Associator,
}

pub(super) const SPEC: StageSpec = StageSpec {
    name: AssociateStage::NAME,
    log_name: AssociateStage::NAME,
    kind: AssociateStage::NAME,
    input: PHASE_PICKS,
    output: ASSOCIATIONS,
    tables: &[],
    group: "associations",
    settings: SETTINGS,
    feed: Feed::Hidden,
    says: |message| matches!(message, Message::Association { .. }),
    rows: |_| Ok(Vec::new()),
    start: |builder, context, wiring| {
        Box::pin(async move {
            let config = AssociateConfig {
                settings: context.settings.sections.get(wiring.stage)?,
                earth: context.earth.clone(),
                partition_count: context.partition_count,
            };
            builder.add_stage::<AssociateStage>(config, wiring).await
        })
    },
};

const SETTINGS: SettingsSpec = SettingsSpec {
    defaults: || serde_json::to_value(AssociateSettings::default()),
    ranges: &[
        ("picks_min", 1.0, 1e6),
        ("stations_min", 1.0, 1e6),
        ("tolerance_s", 0.001, 60.0),
        ("tolerance_fraction", 0.0, 1.0),
        ("station_fraction_min", 0.0, 1.0),
        ("depth_km_min", -10.0, 700.0),
        ("depth_km_max", 0.0, 800.0),
        ("margin_km", 0.0, 20_000.0),
        ("distance_km_max", 1.0, 20_000.0),
        ("cell_km_min", 0.1, 1000.0),
        ("cell_fraction", 0.01, 10.0),
        ("voting_stations", 1.0, 1e6),
        ("window_s", 1.0, 3600.0),
        ("amplitude_window_s", 0.0, 3600.0),
        ("event_interval_s", 0.0, 3600.0),
        ("trials_max", 1.0, 1e6),
        ("held_picks_max", 100.0, 1e8),
    ],
    of_several_types: &[],
    of_all: &[],
    problems: |section, values| {
        typed(section, values, |settings: &AssociateSettings| {
            depths(section, settings.depth_km_min, settings.depth_km_max)
        })
    },
};

impl Stage for AssociateStage {
    const NAME: &'static str = "associate";
    const STATE_VERSION: u32 = 2;
    type Config = AssociateConfig;
    type Settings = InEarth<AssociateSettings>;
    type State = AssociateState;

    fn settings(config: &AssociateConfig) -> Self::Settings {
        InEarth::new(config.settings.clone(), &config.earth)
    }

    fn with_settings(config: &AssociateConfig, settings: Self::Settings) -> AssociateConfig {
        let (settings, earth) = settings.apart(&config.earth);
        AssociateConfig { settings, earth, ..config.clone() }
    }

    fn init(config: &AssociateConfig) -> Result<Self, Error> {
        Ok(Self {
            config: config.clone(),
            memory: Memory::default(),
            associator: Associator::new(config.settings.clone(), Arc::clone(&config.earth.travel_time)),
        })
    }

    fn process(&mut self, record: &Record, out: &mut Output) -> Result<(), Error> {
        let envelope = match Envelope::of(record) {
            Ok(envelope) => envelope,
            Err(error) => return out.reject(record, error.chain()),
        };
        self.take(record, envelope.source.partition, envelope.message, out)
    }

    fn snapshot(&self) -> AssociateState {
        AssociateState { memory: self.memory.clone(), associator: self.associator.snapshot() }
    }

    fn restore(config: &AssociateConfig, state: AssociateState) -> Result<Self, Error> {
        let travel_time = Arc::clone(&config.earth.travel_time);
        Ok(Self {
            config: config.clone(),
            memory: state.memory,
            associator: Associator::restore(config.settings.clone(), travel_time, state.associator),
        })
    }
}

impl AssociateStage {
    fn take(
        &mut self,
        record: &Record,
        partition: u32,
        message: Message,
        out: &mut Output,
    ) -> Result<(), Error> {
        let ended = self.memory.watermarks.get(partition as usize) == Some(&Some(Watermark::MAX));
        if ended {
            self.memory.waiting.push_back((partition, message));
            return Ok(());
        }
        match message {
            Message::Pick { pick, at } => match at {
                Some(at) => self.associator.push_pick(*pick, at),
                None => self.reject_once(record, &pick.source_id, out)?,
            },
            Message::AmplitudeTrace { amplitude_trace } => {
                self.associator.push_amplitude_trace(*amplitude_trace);
            }
            Message::Watermark { watermark, partition, partition_count } => {
                if partition_count != self.config.partition_count || partition >= partition_count {
                    let reason = format!("a watermark of partition {partition} of {partition_count}");
                    return out.reject(record, reason);
                }
                self.memory.watermarks.resize(partition_count as usize, None);
                if let Some(promised) = self.memory.watermarks.get_mut(partition as usize) {
                    *promised = Some(watermark);
                }
                self.advance(record, out)?;
            }
            _ => out.reject(record, "not a pick")?,
        }
        Ok(())
    }

    fn advance(&mut self, record: &Record, out: &mut Output) -> Result<(), Error> {
        // `None` sorts before every watermark: a partition that has promised nothing yet holds all back.
        let Some(Some(watermark)) = self.memory.watermarks.iter().min().copied() else { return Ok(()) };
        for association in self.associator.advance(watermark.0) {
            metrics::counter!("seislake_associations_total").increment(1);
            out.emit(Message::Association { association: Box::new(association) })?;
        }
        if watermark == Watermark::MAX {
            self.begin_session(record, out)?;
        }
        Ok(())
    }

    /// All partitions have ended the session: the next begins with what they said since.
    fn begin_session(&mut self, record: &Record, out: &mut Output) -> Result<(), Error> {
        let travel_time = Arc::clone(&self.config.earth.travel_time);
        self.associator = Associator::new(self.config.settings.clone(), travel_time);
        self.memory.watermarks.fill(None);
        for (partition, message) in std::mem::take(&mut self.memory.waiting) {
            self.take(record, partition, message, out)?;
        }
        Ok(())
    }

    fn reject_once(&mut self, record: &Record, source_id: &SourceId, out: &mut Output) -> Result<(), Error> {
        let station = source_id.station_key();
        if self.memory.unplaced.contains(&station) {
            return Ok(());
        }
        out.reject(record, format!("no coordinates for station \"{station}\": its picks locate nothing"))?;
        self.memory.unplaced.insert(station);
        Ok(())
    }
}
