//! Stage `pick`: miniSEED records of one raw partition to picks, amplitude traces and watermarks.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use seislake_model::{Inventory, Response, SourceId, Timestamp};
use seislake_mseed::Samples;
use seislake_seismo::pick::{PickOutput, PickSettings, Piece, StationPicker, StationPickerState, Taken};
use seislake_tables::{TableBatch, picks};
use serde::{Deserialize, Serialize};

use super::InventoryHandle;
use crate::Error;
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
    /// Responses, for amplitudes, and places: what is found takes them along.
    pub inventory: InventoryHandle,
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

/// Picks the records of one raw partition, station by station.
#[derive(Debug)]
pub struct PickStage {
    config: PickConfig,
    stations: BTreeMap<String, StationPicker>,
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
            inventory: context.inventory.clone(),
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
    const STATE_VERSION: u32 = 3;
    type Config = PickConfig;
    type Settings = PickStageSettings;
    type State = BTreeMap<String, StationPickerState>;

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
        Self::restore(config, BTreeMap::new())
    }

    fn process(&mut self, record: &Record, out: &mut Output) -> Result<(), Error> {
        match watermark_of(record) {
            Ok(Some(watermark)) => self.advance(watermark, out),
            Ok(None) => self.push(record, out),
            Err(error) => out.reject(record, error.chain()),
        }
    }

    fn snapshot(&self) -> Self::State {
        self.stations.iter().map(|(key, picker)| (key.clone(), picker.snapshot())).collect()
    }

    fn restore(config: &PickConfig, stations: Self::State) -> Result<Self, Error> {
        let pickers =
            stations.into_iter().map(|(key, state)| (key, StationPicker::restore(&config.settings, state)));
        Ok(Self {
            config: config.clone(),
            stations: pickers.collect(),
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
        let response = self.responses.at(&self.config.inventory, &source_id, start_time);
        let settings = &self.config.settings;
        let key = source_id.station_key();
        let picker = self.stations.entry(key).or_insert_with(|| StationPicker::new(settings));
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
        for (station, picker) in &mut self.stations {
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
                let at = self.config.inventory.coordinates(&pick.source_id, pick.pick_time);
                out.emit(Message::Pick { pick: Box::new(pick), at })?;
            }
            for mut trace in amplitude_traces {
                trace.at = self.config.inventory.coordinates(&trace.source_id, trace.start_time);
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

/// Responses by channel, looked up once for each inventory.
#[derive(Debug, Default)]
struct Responses {
    inventory: Arc<Inventory>,
    epochs: HashMap<SourceId, Vec<ResponseEpoch>>,
}

impl Responses {
    fn at(
        &mut self,
        inventory: &InventoryHandle,
        source_id: &SourceId,
        time: Timestamp,
    ) -> Option<&Response> {
        let current = inventory.current();
        if !Arc::ptr_eq(&current, &self.inventory) {
            (self.inventory, self.epochs) = (current, HashMap::new());
        }
        if !self.epochs.contains_key(source_id) {
            let channels = self.inventory.channels.iter().filter(|channel| channel.source_id == *source_id);
            let epochs = channels.map(|channel| ResponseEpoch {
                start_time: channel.start_time,
                end_time: channel.end_time,
                response: channel.response.clone(),
            });
            self.epochs.insert(source_id.clone(), epochs.collect());
        }
        self.epochs
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
