//! Stage `event`: proposals to revisions of events. It alone writes events, and what belongs to them.

use std::sync::Arc;

use seislake_seismo::event::{EventOwner, EventOwnerState, EventSettings};
use seislake_tables::{TableBatch, amplitudes, arrivals, events, magnitudes, origins};

use crate::Error;
use crate::earth::{Earth, InEarth};
use crate::message::{Envelope, Message, PROPOSALS, REVISIONS};
use crate::runtime::{Output, Stage, batch};
use crate::topic::Record;
use crate::topology::{Feed, SettingsSpec, StageSpec, typed};

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
    log_name: EventStage::NAME,
    kind: EventStage::NAME,
    input: PROPOSALS,
    output: REVISIONS,
    tables: &[&origins::TABLE, &arrivals::TABLE, &amplitudes::TABLE, &magnitudes::TABLE, &events::TABLE],
    group: "bulletin",
    settings: SETTINGS,
    feed: Feed::Shown,
    says: |message| matches!(message, Message::Revision { .. }),
    rows,
    start: |builder, context, wiring| {
        Box::pin(async move {
            let settings = context.settings.sections.get(wiring.stage)?;
            let config = EventConfig { settings, earth: context.earth.clone() };
            builder.add_stage::<EventStage>(config, wiring).await
        })
    },
};

/// QuakeML says no limit; columns of text formats do.
const NAME_CHARS_MAX: usize = 64;

const SETTINGS: SettingsSpec = SettingsSpec {
    defaults: || serde_json::to_value(EventSettings::default()),
    ranges: &[
        ("shared_picks_min", 0.01, 1.0),
        ("same_event_s_max", 0.0, 600.0),
        ("same_event_km_max", 0.0, 1000.0),
        ("same_event_residual_s_max", 0.0, 60.0),
        ("events_max", 100.0, 50_000.0),
    ],
    of_several_types: &[],
    of_all: &["agency_id"],
    problems: |section, values| typed(section, values, |settings| problems(section, settings)),
};

fn problems(section: &str, settings: &EventSettings) -> Vec<String> {
    let mut problems = Vec::new();
    // The doors take lists of agencies, with commas in between; FDSN's text has bars between its columns.
    if !is_name(&settings.agency_id) || settings.agency_id.contains([',', '|']) {
        problems.push(format!(
            "{section}.agency_id must be a word or two for the agency that answers for what is found, at most \
             {NAME_CHARS_MAX} characters, without commas and bars, and without space around it"
        ));
    }
    for (key, names) in [
        ("preferred_agencies", &settings.preferred_agencies),
        ("preferred_magnitudes", &settings.preferred_magnitudes),
    ] {
        for (place, name) in names.iter().enumerate() {
            let shown = name.escape_debug();
            if !is_name(name) {
                problems.push(format!("{section}.{key}: \"{shown}\" is no name that anything bears"));
            }
            if names.iter().take(place).any(|other| other.eq_ignore_ascii_case(name)) {
                problems.push(format!("{section}.{key}: \"{shown}\" stands there twice"));
            }
        }
    }
    problems
}

/// Whether an agency or a type of magnitude may be called so.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.trim() == text
        && text.chars().count() <= NAME_CHARS_MAX
        && !text.contains(char::is_control)
}

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
