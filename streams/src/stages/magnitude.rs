//! Stage `magnitude`: proposals of origins with amplitude traces to proposals of magnitudes, on the same topic: the
//! magnitude of an origin comes behind it.

use seislake_model::Proposal;
use seislake_seismo::magnitude::{Attenuation, MagnitudeSettings, local_magnitude};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::message::{Envelope, Message, PROPOSALS};
use crate::runtime::{Output, Stage};
use crate::stages::agency_id;
use crate::topic::Record;
use crate::topology::{Feed, SettingsSpec, StageSpec, typed};

/// What the stage needs.
#[derive(Clone, Debug)]
pub struct MagnitudeConfig {
    /// The magnitude.
    pub settings: MagnitudeSettings,
    /// Agency that answers for the magnitudes.
    pub agency_id: String,
}

/// What of that a user sets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MagnitudeStageSettings {
    magnitude: MagnitudeSettings,
    agency_id: String,
}

/// Measures events, each for itself: nothing is remembered.
#[derive(Debug)]
pub struct MagnitudeStage {
    config: MagnitudeConfig,
}

pub(super) const SPEC: StageSpec = StageSpec {
    name: MagnitudeStage::NAME,
    log_name: MagnitudeStage::NAME,
    kind: MagnitudeStage::NAME,
    input: PROPOSALS,
    output: PROPOSALS,
    tables: &[],
    group: "proposals",
    settings: SETTINGS,
    feed: Feed::Hidden,
    says: |message| matches!(message, Message::Proposal { proposal: Proposal::Magnitude { .. } }),
    rows: |_| Ok(Vec::new()),
    start: |builder, context, wiring| {
        Box::pin(async move {
            let sections = &context.settings.sections;
            let config =
                MagnitudeConfig { settings: sections.get(wiring.stage)?, agency_id: agency_id(sections)? };
            builder.add_stage::<MagnitudeStage>(config, wiring).await
        })
    },
};

const SETTINGS: SettingsSpec = SettingsSpec {
    defaults: || serde_json::to_value(MagnitudeSettings::default()),
    ranges: &[("distance_km_max", 1.0, 20_000.0)],
    // A name or a table.
    of_several_types: &["attenuation"],
    of_all: &[],
    problems: |section, values| {
        typed(section, values, |settings: &MagnitudeSettings| {
            let Attenuation::Table(pairs) = &settings.attenuation else { return Vec::new() };
            let finite =
                pairs.iter().all(|(distance_km, value)| distance_km.is_finite() && value.is_finite());
            let ascending = pairs.is_sorted_by(|a, b| a.0 < b.0);
            let holds = pairs.len() > 1 && finite && ascending;
            let problem = || {
                format!(
                    "{section}.attenuation must be pairs of ascending distance (km) and value, two at least"
                )
            };
            (!holds).then(problem).into_iter().collect()
        })
    },
};

impl Stage for MagnitudeStage {
    const NAME: &'static str = "magnitude";
    const STATE_VERSION: u32 = 1;
    type Config = MagnitudeConfig;
    type Settings = MagnitudeStageSettings;
    type State = ();

    fn settings(config: &MagnitudeConfig) -> MagnitudeStageSettings {
        MagnitudeStageSettings { magnitude: config.settings.clone(), agency_id: config.agency_id.clone() }
    }

    fn with_settings(_: &MagnitudeConfig, settings: MagnitudeStageSettings) -> MagnitudeConfig {
        let MagnitudeStageSettings { magnitude, agency_id } = settings;
        MagnitudeConfig { settings: magnitude, agency_id }
    }

    fn init(config: &MagnitudeConfig) -> Result<Self, Error> {
        Ok(Self { config: config.clone() })
    }

    fn process(&mut self, record: &Record, out: &mut Output) -> Result<(), Error> {
        let location = match Envelope::of(record).map(|envelope| envelope.message) {
            Ok(Message::Proposal { proposal: Proposal::Origin { location } }) => location,
            // What others say there, this stage among them.
            Ok(Message::Proposal { .. }) => return Ok(()),
            Ok(_) => return out.reject(record, "not a proposal"),
            Err(error) => return out.reject(record, error.chain()),
        };
        let traces = &location.amplitude_traces;
        let mut result = local_magnitude(&self.config.settings, &location, &|source_id, _| {
            traces.iter().find(|trace| trace.source_id == *source_id).and_then(|trace| trace.at)
        });
        if result.magnitude.is_none() && result.amplitudes.is_empty() {
            return Ok(());
        }
        if let Some(magnitude) = &mut result.magnitude {
            magnitude.provenance.agency_id.clone_from(&self.config.agency_id);
        }
        out.emit(Message::Proposal { proposal: Proposal::Magnitude { magnitude: Box::new(result) } })
    }

    fn snapshot(&self) {}

    fn restore(config: &MagnitudeConfig, (): ()) -> Result<Self, Error> {
        Self::init(config)
    }
}
