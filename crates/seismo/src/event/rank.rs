//! Which origin and which magnitude of an event are the preferred ones.

use seislake_model::{EvaluationMode, EvaluationStatus, OriginId, Provenance, Timestamp};

use super::{EventRecord, EventSettings, MagnitudeRecord, OriginRecord};

/// What a person found before what a program found, and what was looked at before what was not; then the agencies in
/// their order. Larger is better.
type Trust = (EvaluationMode, EvaluationStatus, std::cmp::Reverse<usize>);

fn trust(settings: &EventSettings, provenance: &Provenance) -> Trust {
    let agencies = &settings.preferred_agencies;
    let is_of = |agency: &String| agency.eq_ignore_ascii_case(provenance.agency());
    let place = agencies.iter().position(is_of).unwrap_or(agencies.len());
    (provenance.evaluation_mode, provenance.evaluation_status, std::cmp::Reverse(place))
}

/// The chosen origin; else the one of greatest [`Trust`], of most phases, the youngest. Rejected ones only where there is
/// no other.
pub(super) fn preferred_origin<'a>(
    settings: &EventSettings,
    event: &'a EventRecord,
) -> Option<&'a OriginRecord> {
    let chosen = |origin: &&OriginRecord| event.chosen_origin.as_ref() == Some(&origin.origin_id);
    let key = |origin: &OriginRecord| {
        let holds = origin.provenance.evaluation_status != EvaluationStatus::Rejected;
        let created: Option<Timestamp> = origin.provenance.creation_time;
        (
            holds,
            trust(settings, &origin.provenance),
            origin.used_phase_count,
            created,
            origin.origin_id.clone(),
        )
    };
    event.origins.iter().find(chosen).or_else(|| event.origins.iter().max_by_key(|origin| key(origin)))
}

/// The chosen magnitude; else the one of greatest [`Trust`], of the preferred origin before others, of the type that is
/// preferred, of most stations, the youngest. Rejected ones never.
pub(super) fn preferred_magnitude<'a>(
    settings: &EventSettings,
    event: &'a EventRecord,
    origin_id: &OriginId,
) -> Option<&'a MagnitudeRecord> {
    let chosen = |one: &&MagnitudeRecord| event.chosen_magnitude.as_ref() == Some(&one.magnitude_id);
    let types = &settings.preferred_magnitudes;
    let place = |kind: &str| {
        let found = types.iter().position(|known| known.eq_ignore_ascii_case(kind));
        std::cmp::Reverse(found.unwrap_or(types.len()))
    };
    let key = |one: &MagnitudeRecord| {
        (
            trust(settings, &one.provenance),
            one.origin_id == *origin_id,
            place(&one.magnitude_type),
            one.station_count,
            one.provenance.creation_time,
            one.magnitude_id.clone(),
        )
    };
    let holds = |one: &&MagnitudeRecord| one.provenance.evaluation_status != EvaluationStatus::Rejected;
    event
        .magnitudes
        .iter()
        .find(chosen)
        .or_else(|| event.magnitudes.iter().filter(holds).max_by_key(|one| key(one)))
}
