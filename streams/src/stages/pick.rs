//! Stage `pick`: miniSEED records of one raw partition to picks, amplitude traces and watermarks.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use seislake_model::{Coordinates, ErrorKind, Inventory, Response, SourceId, Timestamp};
use seislake_mseed::Samples;
use seislake_seismo::associate::AssociateSettings;
use seislake_seismo::pick::{
    PickOutput, PickSettings, Piece, PieceOutcome, StationPicker, StationPickerState,
};
use seislake_tables::{TableBatch, picks};
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::Error;
use crate::control::{Stations, station_of};
use crate::message::{Message, PHASE_PICKS, WAVEFORMS_RAW, Watermark, watermark_of};
use crate::runtime::{Output, Stage, batch};
use crate::stages::{AssociateStage, agency_id};
use crate::topic::Record;
use crate::topology::{Feed, SettingsSpec, StageSpec, typed};

/// Amplitude traces are cut at whole seconds: one may come this much later than its window ends.
const TRACE_ROUNDING_S: f64 = 2.0;

/// What the stage needs.
#[derive(Clone, Debug)]
pub struct PickConfig {
    /// The picker.
    pub settings: PickSettings,
    /// Stations at the start of the process: they hold for those that the log has not told of, as that of an older version,
    /// or tells no more, as a damaged one.
    pub stations: Arc<Inventory>,
    /// Partitions of `waveforms.raw`.
    pub partition_count: u32,
    /// How much later than picks the reader of the watermarks awaits amplitude traces.
    pub trace_delay_s: f64,
    /// Agency that answers for the picks.
    pub agency_id: String,
}

/// What of its configuration decides what the stage says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PickStageSettings {
    pick: PickSettings,
    trace_delay_s: f64,
    #[serde(default)]
    agency_id: String,
}

/// What the stage keeps: pickers by `NETWORK_STATION`, and how often it was told of a station. What it was told is its base.
#[derive(Debug, Default, Serialize)]
pub struct PickState {
    pickers: BTreeMap<String, StationPickerState>,
    stations_revision: u64,
}

/// Of this version a sequence, of the one before, whose stations came from elsewhere, the map of the pickers alone.
impl<'de> Deserialize<'de> for PickState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PickStateVisitor;

        impl<'de> Visitor<'de> for PickStateVisitor {
            type Value = PickState;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "the state of the stage \"pick\"")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut stored: A) -> Result<PickState, A::Error> {
                let short = |index| A::Error::invalid_length(index, &"pickers and a number");
                let pickers = stored.next_element()?.ok_or_else(|| short(0))?;
                let stations_revision = stored.next_element()?.ok_or_else(|| short(1))?;
                Ok(PickState { pickers, stations_revision })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut stored: A) -> Result<PickState, A::Error> {
                let mut pickers = BTreeMap::new();
                while let Some((station, picker)) = stored.next_entry()? {
                    pickers.insert(station, picker);
                }
                Ok(PickState { pickers, stations_revision: 0 })
            }
        }

        deserializer.deserialize_any(PickStateVisitor)
    }
}

/// Picks the records of one raw partition, station by station.
#[derive(Debug)]
pub struct PickStage {
    config: PickConfig,
    pickers: BTreeMap<String, StationPicker>,
    /// Responses, for amplitudes, and places: what is found takes them along.
    stations: Stations,
    stations_revision: u64,
    /// Those of the start, used where the log told nothing.
    untold: Stations,
    responses: Responses,
    samples: Samples,
    floats: Vec<f64>,
}

pub(super) const SPEC: StageSpec = StageSpec {
    name: PickStage::NAME,
    log_name: PickStage::NAME,
    kind: PickStage::NAME,
    input: WAVEFORMS_RAW,
    output: PHASE_PICKS,
    tables: &[&picks::TABLE],
    group: "picks",
    settings: SETTINGS,
    feed: Feed::Hidden,
    says: |message| {
        matches!(message, Message::Pick { .. } | Message::AmplitudeTrace { .. } | Message::Watermark { .. })
    },
    rows,
    start: |builder, context, wiring| {
        Box::pin(async move {
            let sections = &context.settings.sections;
            let config = PickConfig {
                settings: sections.get(wiring.stage)?,
                stations: Arc::clone(&context.stations),
                partition_count: context.partition_count,
                trace_delay_s: sections.get::<AssociateSettings>(AssociateStage::NAME)?.amplitude_window_s,
                agency_id: agency_id(sections)?,
            };
            builder.add_stage::<PickStage>(config, wiring).await
        })
    },
};

const SETTINGS: SettingsSpec = SettingsSpec {
    defaults: || serde_json::to_value(PickSettings::default()),
    ranges: &[
        ("filter_window_s", 0.05, 100.0),
        ("long_term_window_s", 0.1, 1000.0),
        ("integral_window_s", 0.01, 100.0),
        ("trigger_threshold", 0.1, 1e6),
        ("integral_threshold", 0.1, 1e6),
        ("warm_up_s", 0.0, 3600.0),
        ("s_window_max_s", 0.0, 600.0),
        ("amplitude_window_s", 0.0, 3600.0),
    ],
    of_several_types: &[],
    of_all: &[],
    problems: |section, values| {
        typed(section, values, |settings: &PickSettings| {
            let holds = settings.s_window_min_s < settings.s_window_max_s;
            let problem = || format!("{section}.s_window_min_s must be below {section}.s_window_max_s");
            (!holds).then(problem).into_iter().collect()
        })
    },
};

fn rows(messages: Vec<Message>) -> Result<Vec<TableBatch>, Error> {
    let picks = messages.into_iter().filter_map(|message| match message {
        Message::Pick { pick, .. } => Some(*pick),
        _ => None,
    });
    Ok(vec![batch(picks.collect())?])
}

impl Stage for PickStage {
    const NAME: &'static str = "pick";
    const STATE_VERSION: u32 = 4;
    const STATE_VERSION_MIN: u32 = 3;
    type Config = PickConfig;
    type Settings = PickStageSettings;
    type State = PickState;

    fn settings(config: &PickConfig) -> PickStageSettings {
        PickStageSettings {
            pick: config.settings.clone(),
            trace_delay_s: config.trace_delay_s,
            agency_id: config.agency_id.clone(),
        }
    }

    fn with_settings(config: &PickConfig, settings: PickStageSettings) -> PickConfig {
        let PickStageSettings { pick, trace_delay_s, agency_id } = settings;
        PickConfig { settings: pick, trace_delay_s, agency_id, ..config.clone() }
    }

    fn init(config: &PickConfig) -> Result<Self, Error> {
        Self::restore(config, PickState::default())
    }

    fn process(&mut self, record: &Record, out: &mut Output) -> Result<(), Error> {
        match (watermark_of(record), station_of(record)) {
            (Ok(Some(watermark)), _) => self.advance(watermark, out),
            (_, Ok(Some(station))) => {
                self.stations.take(station);
                self.stations_revision += 1;
                self.responses = Responses::default();
                Ok(())
            }
            (Ok(None), Ok(None)) => self.push(record, out),
            (Err(error), _) | (_, Err(error)) => out.reject(record, error.chain()),
        }
    }

    fn snapshot(&self) -> Self::State {
        let pickers = self.pickers.iter().map(|(key, picker)| (key.clone(), picker.snapshot())).collect();
        PickState { pickers, stations_revision: self.stations_revision }
    }

    fn restore(config: &PickConfig, state: PickState) -> Result<Self, Error> {
        let PickState { pickers, stations_revision } = state;
        let pickers =
            pickers.into_iter().map(|(key, state)| (key, StationPicker::restore(&config.settings, state)));
        Ok(Self {
            config: config.clone(),
            pickers: pickers.collect(),
            stations: Stations::default(),
            stations_revision,
            untold: Stations::of_inventory(&config.stations),
            responses: Responses::default(),
            samples: Samples::default(),
            floats: Vec::new(),
        })
    }

    fn base_revision(&self) -> u64 {
        self.stations_revision
    }

    fn base(&self) -> Result<Vec<u8>, Error> {
        rmp_serde::to_vec(&self.stations)
            .map_err(|e| Error::caused(ErrorKind::Internal, "encode the stations of a checkpoint", e))
    }

    fn take_base(&mut self, base: &[u8]) -> Result<(), Error> {
        if self.stations_revision > 0 {
            self.stations = rmp_serde::from_slice(base)
                .map_err(|e| Error::caused(ErrorKind::Corrupt, "read the stations of a checkpoint", e))?;
        }
        Ok(())
    }
}

impl PickStage {
    fn push(&mut self, record: &Record, out: &mut Output) -> Result<(), Error> {
        let header = match seislake_mseed::Record::parse(&record.value) {
            Ok(header) => header,
            Err(error) => return out.reject(record, format!("not a miniSEED record: {error}")),
        };
        let source_id: SourceId = match header.source_id().parse() {
            Ok(source_id) => source_id,
            Err(error) => return out.reject(record, format!("unusable source identifier: {error}")),
        };
        if let Err(error) = header.decode_into(&mut self.samples) {
            return out.reject(record, format!("samples cannot be decoded: {error}"));
        }
        self.floats.clear();
        match &self.samples {
            Samples::Int32(samples) => self.floats.extend(samples.iter().map(|sample| f64::from(*sample))),
            Samples::Float32(samples) => self.floats.extend(samples.iter().map(|sample| f64::from(*sample))),
            Samples::Float64(samples) => self.floats.extend(samples),
        }
        let start_time = Timestamp::from_nanos(header.start_ns);
        let piece = Piece {
            source_id: &source_id,
            version: header.quality.publication_version(),
            start_time,
            sample_rate_hz: header.rate_hz(),
            samples: &self.floats,
        };
        let response = self.responses.at([&self.stations, &self.untold], &source_id, start_time);
        let settings = &self.config.settings;
        let key = source_id.station_key();
        let picker = self.pickers.entry(key).or_insert_with(|| StationPicker::new(settings));
        match picker.push(piece, response) {
            PieceOutcome::Picked | PieceOutcome::LeftAlone => Ok(()),
            PieceOutcome::Refused => {
                let reason = format!(
                    "channel \"{source_id}\" is not picked: its station has too many channels, or it too many versions"
                );
                out.reject(record, reason)
            }
            PieceOutcome::RefusedBefore => {
                metrics::counter!("seislake_records_not_picked_total").increment(1);
                Ok(())
            }
        }
    }

    fn advance(&mut self, watermark: Watermark, out: &mut Output) -> Result<(), Error> {
        for (station, picker) in &mut self.pickers {
            let PickOutput { picks, amplitude_traces, dropped_onset_count } = picker.advance(watermark.0);
            if dropped_onset_count > 0 {
                metrics::counter!("seislake_onsets_dropped_total").increment(dropped_onset_count);
                tracing::warn!(
                    station,
                    dropped_onset_count,
                    "onsets were dropped undecided: too many waited"
                );
            }
            for mut pick in picks {
                pick.provenance.agency_id.clone_from(&self.config.agency_id);
                metrics::counter!("seislake_picks_total", "phase" => pick.phase.as_str()).increment(1);
                let at = place([&self.stations, &self.untold], &pick.source_id, pick.pick_time);
                out.emit(Message::Pick { pick: Box::new(pick), at })?;
            }
            for mut trace in amplitude_traces {
                trace.at = place([&self.stations, &self.untold], &trace.source_id, trace.start_time);
                out.emit(Message::AmplitudeTrace { amplitude_trace: Box::new(trace) })?;
            }
        }
        let promised = self.promise(watermark);
        let (partition, partition_count) = (out.partition(), self.config.partition_count);
        out.emit(Message::Watermark { watermark: promised, partition, partition_count })
    }

    /// What still comes out of the pickers is not older than this.
    fn promise(&self, watermark: Watermark) -> Watermark {
        if watermark == Watermark::MAX {
            return watermark;
        }
        let settings = &self.config.settings;
        let picks_s = settings.latency_s();
        let traces_s = settings.amplitude_window_s + TRACE_ROUNDING_S - self.config.trace_delay_s;
        Watermark(watermark.0.add_seconds(-picks_s.max(traces_s)))
    }
}

/// Where a channel stood at a time: as the first says that knows its station.
fn place(of: [&Stations; 2], source_id: &SourceId, time: Timestamp) -> Option<Coordinates> {
    of.into_iter().find(|stations| stations.know(source_id))?.coordinates(source_id, time)
}

/// A stretch of time in which a response holds.
#[derive(Debug)]
struct ResponseEpoch {
    start_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
    response: Option<Response>,
}

/// Responses by channel, looked up once for what was told of stations.
#[derive(Debug, Default)]
struct Responses(HashMap<SourceId, Vec<ResponseEpoch>>);

impl Responses {
    fn at(&mut self, of: [&Stations; 2], source_id: &SourceId, time: Timestamp) -> Option<&Response> {
        if !self.0.contains_key(source_id) {
            let known = of.into_iter().find(|stations| stations.know(source_id));
            let channels =
                known.into_iter().flat_map(|known| known.of(source_id.network(), source_id.station()));
            let channels = channels
                .flat_map(|inventory| &inventory.channels)
                .filter(|channel| channel.source_id == *source_id);
            let epochs = channels.map(|channel| ResponseEpoch {
                start_time: channel.start_time,
                end_time: channel.end_time,
                response: channel.response.clone(),
            });
            self.0.insert(source_id.clone(), epochs.collect());
        }
        self.0
            .get(source_id)?
            .iter()
            .find(|epoch| {
                epoch.start_time.is_none_or(|start| start <= time)
                    && epoch.end_time.is_none_or(|end| time < end)
            })?
            .response
            .as_ref()
    }
}

#[cfg(test)]
impl PickConfig {
    /// The defaults, and no station known.
    pub(super) fn without_stations(partition_count: u32) -> Self {
        Self {
            settings: PickSettings::default(),
            stations: Arc::default(),
            partition_count,
            trace_delay_s: 60.0,
            agency_id: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use seislake_mseed::{PackSettings, pack};

    use super::*;

    #[test]
    fn the_state_of_the_version_before_is_taken_over() {
        let config = PickConfig::without_stations(1);
        let mut stage = PickStage::init(&config).unwrap();
        let settings = PackSettings::new("FDSN:XX_A__H_H_Z", 0, 100.0);
        let value = pack(&settings, [1, 2, 3].as_slice()).unwrap().remove(0).into();
        let record = Record { offset: 0, key: "FDSN:XX_A__H_H_Z".into(), value, arrival_time: None };
        stage.process(&record, &mut Output::new("pick", WAVEFORMS_RAW, 0)).unwrap();
        let state = stage.snapshot();
        let now = rmp_serde::to_vec(&state).unwrap();
        let before = rmp_serde::to_vec(&state.pickers).unwrap();
        for (bytes, revision) in [(now, state.stations_revision), (before, 0)] {
            let read: PickState = rmp_serde::from_slice(&bytes).unwrap();
            assert_eq!(read.stations_revision, revision);
            assert_eq!(rmp_serde::to_vec(&read.pickers).unwrap(), rmp_serde::to_vec(&state.pickers).unwrap());
        }
        const { assert!(PickStage::STATE_VERSION_MIN < PickStage::STATE_VERSION) };
    }
}
