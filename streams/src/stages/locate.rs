//! Stage `locate`: associations to proposals of origins with arrivals.

use std::sync::Arc;

use seislake_model::Proposal;
use seislake_seismo::locate::{LocateSettings, Locator};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::earth::{Earth, InEarth};
use crate::message::{ASSOCIATIONS, Envelope, Message, PROPOSALS};
use crate::runtime::{Output, Stage};
use crate::stages::{agency_id, depths};
use crate::topic::Record;
use crate::topology::{Feed, SettingsSpec, StageSpec, typed};

/// What the stage needs.
#[derive(Clone, Debug)]
pub struct LocateConfig {
    /// The locator.
    pub settings: LocateSettings,
    /// Earth model.
    pub earth: Earth,
    /// Agency that answers for the origins.
    pub agency_id: String,
}

/// What of that a user sets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LocateStageSettings {
    locate: LocateSettings,
    agency_id: String,
}

/// Locates events, each for itself: nothing is remembered.
#[derive(Debug)]
pub struct LocateStage {
    locator: Locator,
    agency_id: String,
}

pub(super) const SPEC: StageSpec = StageSpec {
    name: LocateStage::NAME,
    log_name: LocateStage::NAME,
    kind: LocateStage::NAME,
    input: ASSOCIATIONS,
    output: PROPOSALS,
    tables: &[],
    group: "proposals",
    settings: SETTINGS,
    feed: Feed::Hidden,
    says: |message| matches!(message, Message::Proposal { proposal: Proposal::Origin { .. } }),
    rows: |_| Ok(Vec::new()),
    start: |builder, context, wiring| {
        Box::pin(async move {
            let sections = &context.settings.sections;
            let config = LocateConfig {
                settings: sections.get(wiring.stage)?,
                earth: context.earth.clone(),
                agency_id: agency_id(sections)?,
            };
            builder.add_stage::<LocateStage>(config, wiring).await
        })
    },
};

const SETTINGS: SettingsSpec = SettingsSpec {
    defaults: || serde_json::to_value(LocateSettings::default()),
    ranges: &[
        ("p_error_s_min", 0.001, 60.0),
        ("s_error_s_min", 0.001, 60.0),
        ("travel_time_error_fraction", 0.0, 1.0),
        ("depth_km_min", -10.0, 700.0),
        ("depth_km_max", 0.0, 800.0),
        ("search_radius_km_max", 1.0, 20_000.0),
        ("residual_s_max", 0.001, 600.0),
        ("phase_count_min", 1.0, 1e6),
        ("station_count_min", 1.0, 1e6),
        ("search_count", 100.0, 1e7),
        ("sample_count", 10.0, 1e6),
    ],
    of_several_types: &[],
    of_all: &[],
    problems: |section, values| {
        typed(section, values, |settings: &LocateSettings| {
            depths(section, settings.depth_km_min, settings.depth_km_max)
        })
    },
};

impl Stage for LocateStage {
    const NAME: &'static str = "locate";
    const STATE_VERSION: u32 = 1;
    type Config = LocateConfig;
    type Settings = InEarth<LocateStageSettings>;
    type State = ();

    fn settings(config: &LocateConfig) -> Self::Settings {
        let (locate, agency_id) = (config.settings.clone(), config.agency_id.clone());
        InEarth::new(LocateStageSettings { locate, agency_id }, &config.earth)
    }

    fn with_settings(config: &LocateConfig, settings: Self::Settings) -> LocateConfig {
        let (LocateStageSettings { locate, agency_id }, earth) = settings.apart(&config.earth);
        LocateConfig { settings: locate, agency_id, earth }
    }

    fn init(config: &LocateConfig) -> Result<Self, Error> {
        let locator = Locator::new(config.settings.clone(), Arc::clone(&config.earth.travel_time));
        Ok(Self { locator, agency_id: config.agency_id.clone() })
    }

    fn process(&mut self, record: &Record, out: &mut Output) -> Result<(), Error> {
        let association = match Envelope::of(record).map(|envelope| envelope.message) {
            Ok(Message::Association { association }) => association,
            Ok(_) => return out.reject(record, "not an association"),
            Err(error) => return out.reject(record, error.chain()),
        };
        match self.locator.locate(&association, &|source_id, _| association.sites.get(source_id).copied()) {
            Ok(mut location) => {
                location.origin.provenance.agency_id.clone_from(&self.agency_id);
                metrics::counter!("seislake_locations_total").increment(1);
                let proposal = Proposal::Origin { location: Box::new(location) };
                out.emit(Message::Proposal { proposal })
            }
            Err(error) => {
                tracing::debug!(error = %error, "an association is not located");
                out.reject(record, error.reason())
            }
        }
    }

    fn snapshot(&self) {}

    fn restore(config: &LocateConfig, (): ()) -> Result<Self, Error> {
        Self::init(config)
    }
}
