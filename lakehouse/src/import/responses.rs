//! Which channels give no amplitudes for magnitudes, and why: what the station files say of their response cannot be used.
//!
//! Horizontal channels with records are looked at, each at its first record: others are not measured anyway.

use std::collections::BTreeMap;
use std::fmt::Write;

use seislake_exchange::stationxml::response_problem;
use seislake_model::{Inventory, SourceId, Timestamp};
use seislake_seismo::pick::is_horizontal;
use seislake_seismo::signal::WoodAnderson;
use seislake_tables::packets::{TABLE, names};
use serde::Serialize;

use super::reasons::rows;
use crate::Lakehouse;

/// Channels of one reason that are named in the text; `--json` names all of them.
const CHANNELS_NAMED: usize = 5;

/// A channel that gives no amplitudes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnusedResponse {
    source_id: String,
    reason: String,
}

/// Channels without a response that can be used; none where no stations are known at all, for that is said elsewhere.
pub(super) async fn unused_responses(
    lakehouse: &Lakehouse,
    inventory: &Inventory,
) -> anyhow::Result<Vec<UnusedResponse>> {
    let recorded = format!(
        "SELECT {}, CAST(min({}) AS VARCHAR), CAST(max({}) AS VARCHAR) FROM {TABLE} WHERE {} > 0 AND {} <> 'text' \
         GROUP BY 1 ORDER BY 1",
        names::source_id,
        names::start_ns,
        names::sample_rate_hz,
        names::sample_count,
        names::encoding
    );
    if inventory.stations.is_empty() {
        return Ok(Vec::new());
    }
    let mut unused = Vec::new();
    for row in rows(lakehouse, &recorded).await? {
        let [id, first_ns, rate_hz] = row.as_slice() else { continue };
        let Ok(source_id) = id.parse::<SourceId>() else { continue };
        let (time, rate_hz) = (Timestamp::from_nanos(first_ns.parse()?), rate_hz.parse()?);
        if let Some(reason) = problem(inventory, &source_id, time, rate_hz) {
            unused.push(UnusedResponse { source_id: source_id.to_string(), reason });
        }
    }
    Ok(unused)
}

fn problem(inventory: &Inventory, source_id: &SourceId, time: Timestamp, rate_hz: f64) -> Option<String> {
    if !is_horizontal(source_id) {
        return None;
    }
    let Some(channel) = inventory.channel(source_id, time) else {
        let is_listed = inventory.channels.iter().any(|channel| channel.source_id == *source_id);
        return Some(match is_listed {
            true => "none of its epochs in the station files holds the time of its records".to_owned(),
            false => "the station files do not list the channel".to_owned(),
        });
    };
    match &channel.response {
        None => response_problem(channel.response_original.as_deref())
            .or_else(|| Some("its response is not known".to_owned())),
        Some(response) if WoodAnderson::new(response, rate_hz).is_none() => Some(
            "its response cannot be inverted: sensitivity, poles or zeros are out of all bounds".to_owned(),
        ),
        Some(_) => None,
    }
}

/// One line for each reason.
pub(super) fn describe(unused: &[UnusedResponse]) -> String {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for UnusedResponse { source_id, reason } in unused {
        by_reason.entry(reason).or_default().push(source_id);
    }
    let mut text = String::new();
    for (reason, channels) in by_reason {
        let shown = channels.iter().take(CHANNELS_NAMED).copied().collect::<Vec<_>>().join(", ");
        let more = match channels.len().saturating_sub(CHANNELS_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let _ = writeln!(text, "not used for magnitudes: {shown}{more}: {reason}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory() -> Inventory {
        let document = |code: &str, response: &str| {
            format!(
                "<Channel code=\"{code}\" locationCode=\"\" startDate=\"2020-01-01\"><Depth>0</Depth>\
                 <SampleRate>100</SampleRate>{response}</Channel>"
            )
        };
        let response = |unit: &str, stage: &str| {
            format!(
                "<Response><InstrumentSensitivity><Value>1e9</Value><Frequency>1</Frequency><InputUnits><Name>{unit}</Name>\
                 </InputUnits></InstrumentSensitivity>{stage}</Response>"
            )
        };
        let channels = [
            document("HHN", &response("M/S", "")),
            document("HHE", &response("PA", "")),
            document("HH1", &response("M/S", "<Stage number=\"1\"><ResponseList/></Stage>")),
            document("HH2", ""),
            document("HHZ", ""),
            document("HHR", "<Response><Stage number=\"1\"/></Response>"),
        ];
        let text = format!(
            "<FDSNStationXML><Network code=\"XX\"><Station code=\"A\"><Latitude>1</Latitude><Longitude>2</Longitude>\
             {}</Station></Network></FDSNStationXML>",
            channels.concat()
        );
        seislake_exchange::read_stations(text.as_bytes(), None).unwrap().value
    }

    #[test]
    fn every_channel_has_its_own_reason() {
        let (inventory, time) = (inventory(), "2024-01-01".parse().unwrap());
        for (channel, words) in [
            ("HHE", "\"PA\", is no ground motion"),
            ("HH1", "stage 1 of its response is a list of values"),
            ("HH2", "have no response of it"),
            ("HHR", "does not say the unit"),
            ("HHT", "do not list the channel"),
        ] {
            let id = SourceId::from_nslc("XX", "A", "", channel);
            let reason = problem(&inventory, &id, time, 100.0).unwrap();
            assert!(reason.contains(words), "{channel}: {reason}");
        }
        for channel in ["HHN", "HHZ"] {
            let id = SourceId::from_nslc("XX", "A", "", channel);
            assert_eq!(problem(&inventory, &id, time, 100.0), None, "{channel}");
        }
        let id = SourceId::from_nslc("XX", "A", "", "HHN");
        let early = problem(&inventory, &id, "2019-01-01".parse().unwrap(), 100.0).unwrap();
        assert!(early.contains("none of its epochs"), "{early}");
    }

    #[test]
    fn channels_of_one_reason_share_a_line() {
        let unused = |number: usize, reason: &str| UnusedResponse {
            source_id: format!("FDSN:XX_{number}__H_H_N"),
            reason: reason.to_owned(),
        };
        let all: Vec<UnusedResponse> =
            (0..7).map(|number| unused(number, "a")).chain([unused(9, "b")]).collect();
        let text = describe(&all);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("and 2 more: a") && text.contains("FDSN:XX_9__H_H_N: b"), "{text}");
        assert_eq!(describe(&[]), "");
    }
}
