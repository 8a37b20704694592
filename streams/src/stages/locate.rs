//! Stage `locate`: associations to origins with arrivals and the event, revision 1.

use std::sync::Arc;

use seislake_seismo::locate::{LocateSettings, Locator};
use seislake_seismo::travel_time::TravelTime;
use seislake_tables::{TableBatch, arrivals, events, origins};

use super::InventoryHandle;
use crate::Error;
use crate::message::{ASSOCIATIONS, Envelope, LOCATIONS, Message};
use crate::runtime::{Output, Stage, batch};
use crate::topic::Record;
use crate::topology::{Feed, StageSpec};

/// What the stage needs.
#[derive(Clone, Debug)]
pub struct LocateConfig {
    /// The locator.
    pub settings: LocateSettings,
    /// Where stations stand.
    pub inventory: InventoryHandle,
    /// Earth model.
    pub travel_time: Arc<dyn TravelTime>,
}

/// Locates events, each for itself: nothing is remembered.
#[derive(Debug)]
pub struct LocateStage {
    inventory: InventoryHandle,
    locator: Locator,
}

pub(super) const SPEC: StageSpec = StageSpec {
    name: LocateStage::NAME,
    input: ASSOCIATIONS,
    output: LOCATIONS,
    tables: &[&origins::TABLE, &arrivals::TABLE, &events::TABLE],
    group: "bulletin",
    feed: Feed::Shown,
    says: |message| matches!(message, Message::Location { .. }),
    rows,
    start: |builder, context, wiring| {
        let config = LocateConfig {
            settings: context.settings.locate.clone(),
            inventory: context.inventory.clone(),
            travel_time: Arc::clone(&context.travel_time),
        };
        Box::pin(builder.add_stage::<LocateStage>(config, wiring))
    },
};

fn rows(messages: Vec<Message>) -> Result<Vec<TableBatch>, Error> {
    let (mut origins, mut arrivals, mut events) = (Vec::new(), Vec::new(), Vec::new());
    for message in messages {
        if let Message::Location { location } = message {
            origins.push(location.origin);
            arrivals.extend(location.arrivals);
            events.push(location.event);
        }
    }
    Ok(vec![batch(origins)?, batch(arrivals)?, batch(events)?])
}

impl Stage for LocateStage {
    const NAME: &'static str = "locate";
    const STATE_VERSION: u32 = 1;
    type Config = LocateConfig;
    type Settings = LocateSettings;
    type State = ();

    fn settings(config: &LocateConfig) -> LocateSettings {
        config.settings.clone()
    }

    fn with_settings(config: &LocateConfig, settings: LocateSettings) -> LocateConfig {
        LocateConfig { settings, ..config.clone() }
    }

    fn init(config: &LocateConfig) -> Result<Self, Error> {
        let locator = Locator::new(config.settings.clone(), Arc::clone(&config.travel_time));
        Ok(Self { inventory: config.inventory.clone(), locator })
    }

    fn process(&mut self, record: &Record, out: &mut Output) -> Result<(), Error> {
        let association = match Envelope::of(record).map(|envelope| envelope.message) {
            Ok(Message::Association { association }) => association,
            Ok(_) => return out.reject(record, "not an association"),
            Err(error) => return out.reject(record, error.chain()),
        };
        let inventory = self.inventory.current();
        match self.locator.locate(&association, &|source_id, time| inventory.coordinates(source_id, time)) {
            Ok(location) => {
                metrics::counter!("seislake_locations_total").increment(1);
                out.emit(Message::Location { location: Box::new(location) })
            }
            Err(error) => out.reject(record, error.to_string()),
        }
    }

    fn snapshot(&self) {}

    fn restore(config: &LocateConfig, (): ()) -> Result<Self, Error> {
        Self::init(config)
    }
}
