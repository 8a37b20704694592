//! Stage `event`: proposals to revisions of events. It alone writes events, and what belongs to them.

use std::sync::Arc;

use seislake_seismo::event::{EventOwner, EventOwnerState, EventSettings};
use seislake_tables::{TableBatch, amplitudes, arrivals, events, magnitudes, origins};

use crate::Error;
use crate::earth::{Earth, InEarth};
use crate::message::{Envelope, Message, PROPOSALS, REVISIONS};
use crate::runtime::{Output, Stage, batch};
use crate::topic::Record;
use crate::topology::{Feed, StageSpec};

/// What the stage needs.
#[derive(Clone, Debug)]
pub struct EventConfig {
    /// The rules.
    pub settings: EventSettings,
    /// Earth model.
    pub earth: Earth,
}

/// Owns events.
#[derive(Debug)]
pub struct EventStage {
    owner: EventOwner,
}

pub(super) const SPEC: StageSpec = StageSpec {
    name: EventStage::NAME,
    input: PROPOSALS,
    output: REVISIONS,
    tables: &[&origins::TABLE, &arrivals::TABLE, &amplitudes::TABLE, &magnitudes::TABLE, &events::TABLE],
    group: "bulletin",
    feed: Feed::Shown,
    says: |message| matches!(message, Message::Revision { .. }),
    rows,
    start: |builder, context, wiring| {
        let config = EventConfig { settings: context.settings.event.clone(), earth: context.earth.clone() };
        Box::pin(builder.add_stage::<EventStage>(config, wiring))
    },
};

fn rows(messages: Vec<Message>) -> Result<Vec<TableBatch>, Error> {
    let (mut events, mut origins, mut arrivals) = (Vec::new(), Vec::new(), Vec::new());
    let (mut magnitudes, mut amplitudes) = (Vec::new(), Vec::new());
    for message in messages {
        if let Message::Revision { revision } = message {
            events.extend(revision.events);
            origins.extend(revision.origins);
            arrivals.extend(revision.arrivals);
            magnitudes.extend(revision.magnitudes);
            amplitudes.extend(revision.amplitudes);
        }
    }
    Ok(vec![batch(origins)?, batch(arrivals)?, batch(amplitudes)?, batch(magnitudes)?, batch(events)?])
}

impl Stage for EventStage {
    const NAME: &'static str = "event";
    const STATE_VERSION: u32 = 1;
    type Config = EventConfig;
    type Settings = InEarth<EventSettings>;
    type State = EventOwnerState;

    fn settings(config: &EventConfig) -> Self::Settings {
        InEarth::new(config.settings.clone(), &config.earth)
    }

    fn with_settings(config: &EventConfig, settings: Self::Settings) -> EventConfig {
        let (settings, earth) = settings.apart(&config.earth);
        EventConfig { settings, earth }
    }

    fn init(config: &EventConfig) -> Result<Self, Error> {
        let travel_time = Arc::clone(&config.earth.travel_time);
        Ok(Self { owner: EventOwner::new(config.settings.clone(), travel_time) })
    }

    fn process(&mut self, record: &Record, out: &mut Output) -> Result<(), Error> {
        let proposal = match Envelope::of(record).map(|envelope| envelope.message) {
            Ok(Message::Proposal { proposal }) => proposal,
            Ok(_) => return out.reject(record, "not a proposal"),
            Err(error) => return out.reject(record, error.chain()),
        };
        match self.owner.propose(proposal) {
            Ok(Some(revision)) => {
                metrics::counter!("seislake_event_revisions_total").increment(revision.events.len() as u64);
                out.emit(Message::Revision { revision: Box::new(revision) })
            }
            Ok(None) => Ok(()),
            Err(refusal) => out.reject(record, refusal.to_string()),
        }
    }

    fn snapshot(&self) -> EventOwnerState {
        self.owner.snapshot()
    }

    fn restore(config: &EventConfig, state: EventOwnerState) -> Result<Self, Error> {
        let travel_time = Arc::clone(&config.earth.travel_time);
        Ok(Self { owner: EventOwner::restore(config.settings.clone(), travel_time, state) })
    }
}
