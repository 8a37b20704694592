//! Stage `pick`: miniSEED records of one raw partition to picks, amplitude traces and watermarks.

use std::collections::{BTreeMap, HashMap};

use seislake_model::{Response, SourceId, Timestamp};
use seislake_mseed::Samples;
use seislake_seismo::pick::{PickOutput, PickSettings, Piece, StationPicker, StationPickerState, Taken};
use seislake_tables::{TableBatch, picks};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::control::{Stations, station_of};
use crate::message::{Message, PHASE_PICKS, WAVEFORMS_RAW, Watermark, watermark_of};
use crate::runtime::{Output, Stage, batch};
use crate::topic::Record;
use crate::topology::{Feed, StageSpec};

/// Amplitude traces are cut at whole seconds: one may come this much later than its window ends.
const TRACE_ROUNDING_S: f64 = 2.0;

/// What the stage needs.
#[derive(Clone, Debug)]
pub struct PickConfig {
    /// The picker.
    pub settings: PickSettings,
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

/// What the stage keeps: pickers and what it was told of stations, by `NETWORK_STATION`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct PickState {
    pickers: BTreeMap<String, StationPickerState>,
    stations: Stations,
}

/// Picks the records of one raw partition, station by station.
#[derive(Debug)]
pub struct PickStage {
    config: PickConfig,
    pickers: BTreeMap<String, StationPicker>,
    /// Responses, for amplitudes, and places: what is found takes them along.
    stations: Stations,
    responses: Responses,
    samples: Samples,
    floats: Vec<f64>,
}

pub(super) const SPEC: StageSpec = StageSpec {
    name: PickStage::NAME,
    input: WAVEFORMS_RAW,
    output: PHASE_PICKS,
    tables: &[&picks::TABLE],
    group: "picks",
    feed: Feed::Hidden,
    says: |message| {
        matches!(message, Message::Pick { .. } | Message::AmplitudeTrace { .. } | Message::Watermark { .. })
    },
    rows,
    start: |builder, context, wiring| {
        let config = PickConfig {
            settings: context.settings.pick.clone(),
            partition_count: context.partition_count,
            trace_delay_s: context.settings.associate.amplitude_window_s,
            agency_id: context.settings.event.agency_id.clone(),
        };
        Box::pin(builder.add_stage::<PickStage>(config, wiring))
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
                self.responses = Responses::default();
                Ok(())
            }
            (Ok(None), Ok(None)) => self.push(record, out),
            (Err(error), _) | (_, Err(error)) => out.reject(record, error.chain()),
        }
    }

    fn snapshot(&self) -> Self::State {
        let pickers = self.pickers.iter().map(|(key, picker)| (key.clone(), picker.snapshot())).collect();
        PickState { pickers, stations: self.stations.clone() }
    }

    fn restore(config: &PickConfig, state: PickState) -> Result<Self, Error> {
        let PickState { pickers, stations } = state;
        let pickers =
            pickers.into_iter().map(|(key, state)| (key, StationPicker::restore(&config.settings, state)));
        Ok(Self {
            config: config.clone(),
            pickers: pickers.collect(),
            stations,
            responses: Responses::default(),
            samples: Samples::default(),
            floats: Vec::new(),
        })
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
        let response = self.responses.at(&self.stations, &source_id, start_time);
        let settings = &self.config.settings;
        let key = source_id.station_key();
        let picker = self.pickers.entry(key).or_insert_with(|| StationPicker::new(settings));
        match picker.push(piece, response) {
            Taken::Picked | Taken::LeftAlone => Ok(()),
            Taken::Refused => {
                let reason = format!(
                    "channel \"{source_id}\" is not picked: its station has too many channels, or it too many versions"
                );
                out.reject(record, reason)
            }
            Taken::RefusedBefore => {
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
                let at = self.stations.coordinates(&pick.source_id, pick.pick_time);
                out.emit(Message::Pick { pick: Box::new(pick), at })?;
            }
            for mut trace in amplitude_traces {
                trace.at = self.stations.coordinates(&trace.source_id, trace.start_time);
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
    fn at(&mut self, stations: &Stations, source_id: &SourceId, time: Timestamp) -> Option<&Response> {
        if !self.0.contains_key(source_id) {
            let channels = stations.of(source_id.network(), source_id.station());
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
