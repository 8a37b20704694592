//! Any bytes as the value of a record of a topic: read or refused, and no stage falls over it.
#![no_main]

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use seislake_model::Inventory;
use seislake_seismo::travel_time::VelocityModel;
use seislake_streams::earth::Earth;
use seislake_streams::message::{Envelope, SourcePosition, WATERMARK_KEY, letter_of, watermark_of};
use seislake_streams::runtime::{Output, Stage};
use seislake_streams::stages::{
    AssociateConfig, AssociateStage, EventConfig, EventStage, LocateConfig, LocateStage, MagnitudeConfig,
    MagnitudeStage, PickConfig, PickStage,
};
use seislake_streams::topic::Record;

static EARTH: LazyLock<Earth> = LazyLock::new(|| {
    let model = VelocityModel::built_in("iasp91").expect("iasp91 is built in");
    Earth::new(model).expect("iasp91 can be used")
});

/// Each stage anew: one that has taken a message of the far future says nothing more.
fn through_stage<S: Stage>(config: &S::Config, record: &Record) {
    let mut stage = S::init(config).expect("a stage begins");
    let mut out = Output::new(S::NAME, "topic", 0);
    out.begin(record.offset);
    if stage.process(record, &mut out).is_ok() {
        for message in out.said().expect("what a stage says is a message") {
            let again = Envelope::new(SourcePosition::default(), message).to_record();
            let again = again.expect("a message can be written");
            let read = Record { offset: 0, key: again.key, value: again.value, arrival_time: None };
            assert!(Envelope::of(&read).is_ok());
        }
    }
    drop(S::restore(config, stage.snapshot()).expect("a snapshot can be restored"));
}

fuzz_target!(|bytes: &[u8]| {
    let agency_id = String::new;
    for key in [Bytes::from_static(WATERMARK_KEY), Bytes::from_static(b"FDSN:XX_TEST__H_H_Z")] {
        let record = Record { offset: 7, key, value: Bytes::copy_from_slice(bytes), arrival_time: None };
        let _ = watermark_of(&record);
        let _ = letter_of(&record);
        let pick = PickConfig {
            settings: Default::default(),
            stations: Arc::new(Inventory::default()),
            partition_count: 1,
            trace_delay_s: 60.0,
            agency_id: agency_id(),
        };
        through_stage::<PickStage>(&pick, &record);
        let Ok(envelope) = Envelope::of(&record) else { continue };
        let written = envelope.to_record().expect("what was read can be written");
        let again = Record { offset: 7, key: written.key, value: written.value, arrival_time: None };
        assert!(Envelope::of(&again).is_ok());
        let (settings, earth) = (Default::default(), EARTH.clone());
        through_stage::<AssociateStage>(&AssociateConfig { settings, earth, partition_count: 1 }, &record);
        let (settings, earth) = (Default::default(), EARTH.clone());
        through_stage::<LocateStage>(&LocateConfig { settings, earth, agency_id: agency_id() }, &record);
        let settings = Default::default();
        through_stage::<MagnitudeStage>(&MagnitudeConfig { settings, agency_id: agency_id() }, &record);
        let (settings, earth) = (Default::default(), EARTH.clone());
        through_stage::<EventStage>(&EventConfig { settings, earth }, &record);
    }
});
