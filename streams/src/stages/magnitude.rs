//! Stage `magnitude`: locations with amplitude traces to amplitudes, magnitude and the event, revision 2.

use seislake_seismo::magnitude::{MagnitudeSettings, local_magnitude};
use seislake_tables::{TableBatch, amplitudes, events, magnitudes};

use super::InventoryHandle;
use crate::Error;
use crate::message::{Envelope, LOCATIONS, MAGNITUDES, Message};
use crate::runtime::{Output, Stage, batch};
use crate::topic::Record;
use crate::topology::{Feed, StageSpec};

/// What the stage needs.
#[derive(Clone, Debug)]
pub struct MagnitudeConfig {
    /// The magnitude.
    pub settings: MagnitudeSettings,
    /// Where stations stand.
    pub inventory: InventoryHandle,
}

/// Measures events, each for itself: nothing is remembered.
#[derive(Debug)]
pub struct MagnitudeStage {
    config: MagnitudeConfig,
}

pub(super) const SPEC: StageSpec = StageSpec {
    name: MagnitudeStage::NAME,
    input: LOCATIONS,
    output: MAGNITUDES,
    tables: &[&amplitudes::TABLE, &magnitudes::TABLE, &events::TABLE],
    group: "bulletin",
    feed: Feed::Shown,
    says: |message| matches!(message, Message::Magnitude { .. }),
    rows,
    start: |builder, context, wiring| {
        let config = MagnitudeConfig {
            settings: context.settings.magnitude.clone(),
            inventory: context.inventory.clone(),
        };
        Box::pin(builder.add_stage::<MagnitudeStage>(config, wiring))
    },
};

fn rows(messages: Vec<Message>) -> Result<Vec<TableBatch>, Error> {
    let (mut amplitudes, mut magnitudes, mut events) = (Vec::new(), Vec::new(), Vec::new());
    for message in messages {
        if let Message::Magnitude { magnitude } = message {
            amplitudes.extend(magnitude.amplitudes);
            if let Some(of_network) = magnitude.magnitude {
                magnitudes.push(of_network);
                events.push(magnitude.event);
            }
        }
    }
    Ok(vec![batch(amplitudes)?, batch(magnitudes)?, batch(events)?])
}

impl Stage for MagnitudeStage {
    const NAME: &'static str = "magnitude";
    const STATE_VERSION: u32 = 1;
    type Config = MagnitudeConfig;
    type Settings = MagnitudeSettings;
    type State = ();

    fn settings(config: &MagnitudeConfig) -> MagnitudeSettings {
        config.settings.clone()
    }

    fn with_settings(config: &MagnitudeConfig, settings: MagnitudeSettings) -> MagnitudeConfig {
        MagnitudeConfig { settings, ..config.clone() }
    }

    fn init(config: &MagnitudeConfig) -> Result<Self, Error> {
        Ok(Self { config: config.clone() })
    }

    fn process(&mut self, record: &Record, out: &mut Output) -> Result<(), Error> {
        let location = match Envelope::of(record).map(|envelope| envelope.message) {
            Ok(Message::Location { location }) => location,
            Ok(_) => return out.reject(record, "not a location"),
            Err(error) => return out.reject(record, error.chain()),
        };
        let inventory = self.config.inventory.current();
        let result = local_magnitude(&self.config.settings, &location, &|source_id, time| {
            inventory.coordinates(source_id, time)
        });
        if result.magnitude.is_none() && result.amplitudes.is_empty() {
            return Ok(());
        }
        out.emit(Message::Magnitude { magnitude: Box::new(result) })
    }

    fn snapshot(&self) {}

    fn restore(config: &MagnitudeConfig, (): ()) -> Result<Self, Error> {
        Self::init(config)
    }
}
