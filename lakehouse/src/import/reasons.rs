//! Why an import found no events, or events without magnitudes: the first thing on the way that is missing. And events that
//! it found a second time, with other stations.
//!
//! ```text
//! packets ─► picks ─► stations known ─► enough stations, enough picks ─► associated ─► located ─► responses ─► magnitude
//! ```
//! Counts of the whole home are looked at, as in the rest of the report.

use std::collections::BTreeSet;

use anyhow::bail;
use datafusion::arrow::array::AsArray;
use futures::TryStreamExt;
use seislake_model::{CatalogueEvent, Inventory, Offset, SourceId, Timestamp};
use seislake_seismo::associate::AssociateSettings;
use seislake_seismo::geometry::SurfacePoint;
use seislake_streams::topology::all_stages;
use seislake_tables::{dead_letters, events, picks, segments};

use crate::Lakehouse;
use crate::settings::Settings;

/// Stations that are named; the others are counted.
const STATIONS_NAMED: usize = 5;
/// Reasons of dead letters that are named.
const REASONS_NAMED: usize = 3;

/// Events of two imports that lie no farther apart, in time and on the map, may be one.
const SAME_EVENT_S: f64 = 10.0;
const SAME_EVENT_KM: f64 = 200.0;

/// Farther apart, a gap would have warmed the picker up again anyway.
const SEAM_S: i64 = 60;
const NANOS_PER_S: i64 = 1_000_000_000;

pub(super) const DEAD_LETTERS: &str = "SELECT count(*) FROM stream.dead_letters";

/// Rows of the tables of a home.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) packets: i64,
    pub(super) picks: i64,
    pub(super) events: i64,
    pub(super) events_with_magnitude: i64,
    pub(super) dead_letters: i64,
}

impl Counts {
    pub(super) async fn of(lakehouse: &Lakehouse) -> anyhow::Result<Self> {
        let events =
            format!("SELECT count(*), count({}) FROM bulletin.events_current", events::names::magnitude);
        let counted = rows(lakehouse, &events).await?;
        let Some([events, events_with_magnitude]) = counted.first().map(Vec::as_slice) else {
            bail!("the statement returned no row");
        };
        Ok(Self {
            packets: lakehouse.count("SELECT count(*) FROM waveform.packets").await?,
            picks: lakehouse.count("SELECT count(*) FROM bulletin.picks").await?,
            events: events.parse()?,
            events_with_magnitude: events_with_magnitude.parse()?,
            dead_letters: lakehouse.count(DEAD_LETTERS).await?,
        })
    }
}

/// What the tables of a home hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Findings {
    packet_count: i64,
    known_station_count: usize,
    /// Whether a channel that a P is picked on was recorded.
    has_vertical: bool,
    pick_count: i64,
    /// Stations with picks, NET.STA.
    picked_stations: BTreeSet<String>,
    /// ... of which no place is known.
    unknown_stations: BTreeSet<String>,
    /// ... of them, those that the station files list, with no epoch at the time of the picks.
    out_of_epoch: BTreeSet<String>,
    /// ... whose picks were made before it was known where they stand: they locate nothing.
    placed_late: BTreeSet<String>,
    event_count: i64,
    events_with_magnitude: i64,
    response_count: usize,
    /// Reasons for which associations were not located, the most frequent first, with their counts.
    location_refusals: Vec<(String, i64)>,
    /// Stages that do not run here.
    stages_left_out: Vec<&'static str>,
}

/// Sentences that say why there is less than was hoped for; none where all is there.
pub(super) async fn reasons(
    lakehouse: &Lakehouse,
    inventory: &Inventory,
    settings: &Settings,
    counts: &Counts,
) -> anyhow::Result<Vec<String>> {
    let running = settings.topology.stages();
    let is_left_out = |name: &&str| running.iter().all(|stage| stage.log_name != *name);
    let stages_left_out = all_stages().iter().map(|stage| stage.log_name).filter(is_left_out).collect();
    let found = Findings { stages_left_out, ..findings(lakehouse, inventory, counts).await? };
    Ok(sentences(&found, &settings.stage("associate")?))
}

/// An earthquake is declared from the records of one import; those of further stations that come later declare it again.
/// Both lists are sorted by origin time.
pub(super) fn declared_twice(before: &[CatalogueEvent], after: &[CatalogueEvent]) -> Option<String> {
    let known: BTreeSet<&str> = before.iter().map(|event| event.id.as_str()).collect();
    let place = |event: &CatalogueEvent| SurfacePoint::new(event.latitude, event.longitude);
    let near = |event: &&CatalogueEvent| {
        let after = |other: &CatalogueEvent| other.origin_time.seconds_since(event.origin_time);
        let first = before.partition_point(|other| after(other) < -SAME_EVENT_S);
        let others = before.iter().skip(first).take_while(|other| after(other) <= SAME_EVENT_S);
        others.into_iter().any(|other| place(other).distance_km(&place(event)) <= SAME_EVENT_KM)
    };
    let new = after.iter().filter(|event| !known.contains(event.id.as_str()));
    match new.filter(near).count() {
        0 => None,
        count => Some(format!(
            "{count} of the new events lie within {SAME_EVENT_S} s and {SAME_EVENT_KM} km of events that the home held before, and may be the same, though \
             their picks do not fit them: import all stations of a time together, into a new home"
        )),
    }
}

/// Channels that go on where an earlier import left them, or end where it begins: its end was the end of the picker's run, which warms up again.
/// `before`: where each partition of the log ended before this import.
pub(super) async fn seams(
    lakehouse: &Lakehouse,
    before: &[Offset],
    warm_up_s: f64,
) -> anyhow::Result<Option<String>> {
    let is_new = is_new(before);
    let (source_id, start_ns, end_ns) =
        (segments::names::source_id, segments::names::start_ns, segments::names::end_ns);
    let sql = format!(
        "SELECT count(DISTINCT new.{source_id}) FROM (SELECT {source_id}, min({start_ns}) AS begins, max({end_ns}) AS ends \
         FROM {table} WHERE {is_new} GROUP BY 1) AS new \
         JOIN (SELECT {source_id}, {start_ns} AS began, {end_ns} AS ended FROM {table} WHERE NOT ({is_new})) AS old \
         ON new.{source_id} = old.{source_id} WHERE (begins > ended AND begins - ended < {near}) \
         OR (began > ends AND began - ends < {near})",
        near = SEAM_S * NANOS_PER_S,
        table = segments::TABLE,
    );
    Ok(match lakehouse.count(&sql).await? {
        0 => None,
        count => Some(format!(
            "{count} channels go on where an earlier import ended, or end where it begins: an import ends the time of the picker, which picks \
             nothing in the first {warm_up_s} s behind (pick.warm_up_s), nor an earthquake across; import what belongs \
             together at once"
        )),
    })
}

/// An import ends the time of associations too: records that others come beside later are associated apart from them.
/// `before`: as for [`seams`].
pub(super) async fn halves(lakehouse: &Lakehouse, before: &[Offset]) -> anyhow::Result<Option<String>> {
    let is_new = is_new(before);
    let (source_id, start_ns, end_ns) =
        (segments::names::source_id, segments::names::start_ns, segments::names::end_ns);
    let table = segments::TABLE;
    let channels = |of: &str, other: &str| {
        format!(
            "SELECT min({start_ns}) AS begins, max({end_ns}) AS ends, count(DISTINCT {source_id}) AS n FROM {table} \
             WHERE ({of}) AND {source_id} NOT IN (SELECT {source_id} FROM {table} WHERE {other})"
        )
    };
    let old = format!("NOT ({is_new})");
    let sql = format!(
        "SELECT coalesce(sum(new.n), 0) FROM ({}) AS new CROSS JOIN ({}) AS old \
         WHERE new.begins < old.ends AND old.begins < new.ends",
        channels(&is_new, &old),
        channels(&old, &is_new),
    );
    Ok(match lakehouse.count(&sql).await? {
        0 => None,
        count => Some(format!(
            "{count} channels were recorded at a time that an earlier import ended with others: picks of the two make no \
             event together; import all stations of a time at once, into a new home"
        )),
    })
}

/// Which rows came behind the ends of the log `before`.
fn is_new(before: &[Offset]) -> String {
    let is_new = before.iter().enumerate().map(|(partition, end)| {
        format!(
            "(\"{}\" = {partition} AND \"{}\" >= {end})",
            segments::names::partition,
            segments::names::offset
        )
    });
    is_new.collect::<Vec<_>>().join(" OR ")
}

/// Channels of which the station files say two things of one time.
pub(super) fn overlaps(inventory: &Inventory) -> Option<String> {
    let found = inventory.overlapping_channels();
    let (source_id, one, next) = found.first()?;
    let begin =
        |time: &Option<Timestamp>| time.map_or("since ever".to_owned(), |time| format!("from {time}"));
    let more = match found.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    Some(format!(
        "epochs of a channel overlap, and the one that begins first is believed: {source_id}, {} and {}{more}",
        begin(one),
        begin(next)
    ))
}

async fn findings(lakehouse: &Lakehouse, inventory: &Inventory, counts: &Counts) -> anyhow::Result<Findings> {
    let mut found = Findings {
        packet_count: counts.packets,
        pick_count: counts.picks,
        event_count: counts.events,
        events_with_magnitude: counts.events_with_magnitude,
        known_station_count: inventory.stations.len(),
        response_count: inventory.channels.iter().filter(|channel| channel.response.is_some()).count(),
        ..Findings::default()
    };
    if found.pick_count == 0 {
        found.has_vertical = has_vertical(lakehouse).await?;
    } else {
        let refused = if counts.dead_letters == 0 { Vec::new() } else { placeless(lakehouse).await? };
        look_at_picks(lakehouse, inventory, &refused, &mut found).await?;
    }
    if found.event_count == 0 && counts.dead_letters > 0 {
        found.location_refusals = location_refusals(lakehouse).await?;
    }
    Ok(found)
}

async fn has_vertical(lakehouse: &Lakehouse) -> anyhow::Result<bool> {
    let recorded = format!("SELECT DISTINCT {} FROM {}", segments::names::source_id, segments::TABLE);
    let is_vertical =
        |id: &String| id.parse().is_ok_and(|id: SourceId| seislake_seismo::pick::is_vertical(&id));
    Ok(rows(lakehouse, &recorded).await?.iter().flatten().any(is_vertical))
}

/// Stations whose picks were refused because nobody said where they stand, NET.STA.
async fn placeless(lakehouse: &Lakehouse) -> anyhow::Result<Vec<String>> {
    let refused = format!(
        "SELECT DISTINCT {reason} FROM {} WHERE {} = 'associate' AND {reason} LIKE '{NO_COORDINATES}%'",
        dead_letters::TABLE,
        dead_letters::names::stage,
        reason = dead_letters::names::reason,
    );
    let station = |reason: &String| Some(reason.split('"').nth(1)?.replacen('_', ".", 1));
    Ok(rows(lakehouse, &refused).await?.iter().flatten().filter_map(station).collect())
}

async fn location_refusals(lakehouse: &Lakehouse) -> anyhow::Result<Vec<(String, i64)>> {
    let refused = format!(
        "SELECT {}, CAST(count(*) AS VARCHAR) FROM {} WHERE {} = 'locate' GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 100",
        dead_letters::names::reason,
        dead_letters::TABLE,
        dead_letters::names::stage
    );
    let mut refusals = Vec::new();
    for row in rows(lakehouse, &refused).await? {
        if let [reason, count] = row.as_slice() {
            refusals.push((reason.clone(), count.parse()?));
        }
    }
    Ok(refusals)
}

/// Which stations have picks, and of which of them it is not known where they stand. `refused` as [`placeless`] tells.
async fn look_at_picks(
    lakehouse: &Lakehouse,
    inventory: &Inventory,
    refused: &[String],
    found: &mut Findings,
) -> anyhow::Result<()> {
    let picked_channels = format!(
        "SELECT {}, CAST(min({}) AS VARCHAR) FROM {} GROUP BY 1",
        picks::names::source_id,
        picks::names::pick_ns,
        picks::TABLE
    );
    let (mut placed, mut out_of_epoch) = (BTreeSet::new(), BTreeSet::new());
    for row in rows(lakehouse, &picked_channels).await? {
        let [source_id, first_ns] = row.as_slice() else { continue };
        // An id that cannot be read has no place.
        let Ok(source_id) = source_id.parse::<SourceId>() else { continue };
        let station = format!("{}.{}", source_id.network(), source_id.station());
        if inventory.coordinates(&source_id, Timestamp::from_nanos(first_ns.parse()?)).is_some() {
            placed.insert(station.clone());
        } else if lists(inventory, &source_id) {
            out_of_epoch.insert(station.clone());
        }
        found.picked_stations.insert(station);
    }
    found.placed_late = refused.iter().filter(|station| placed.contains(*station)).cloned().collect();
    found.out_of_epoch = out_of_epoch.difference(&placed).cloned().collect();
    found.unknown_stations = found.picked_stations.difference(&placed).cloned().collect();
    Ok(())
}

/// Rows of a statement whose columns are texts.
pub(super) async fn rows(lakehouse: &Lakehouse, sql: &str) -> anyhow::Result<Vec<Vec<String>>> {
    use datafusion::arrow::compute::cast;
    use datafusion::arrow::datatypes::DataType;

    let mut batches = lakehouse.ask(sql).await?;
    let mut rows = Vec::new();
    while let Some(batch) = batches.try_next().await? {
        let columns: Vec<_> =
            batch.columns().iter().map(|column| cast(column, &DataType::Utf8)).collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|column| column.as_string::<i32>().value(row).to_owned()).collect());
        }
    }
    Ok(rows)
}

fn sentences(found: &Findings, settings: &AssociateSettings) -> Vec<String> {
    if found.packet_count == 0 {
        return Vec::new();
    }
    if !found.stages_left_out.is_empty() {
        let names = found.stages_left_out.join(", ");
        return vec![format!("the path to bulletin.events ends early: streams.stages leaves out {names}")];
    }
    let mut sentences = Vec::new();
    if found.event_count == 0 {
        sentences.push(format!("no events: {}", no_event(found, settings)));
    } else if found.events_with_magnitude < found.event_count {
        let without = found.event_count - found.events_with_magnitude;
        let why = if found.response_count == 0 {
            "no channel has an instrument response, so amplitudes cannot be measured; import StationXML with responses (--stations) and the records into a new home"
        } else {
            "too few stations have a horizontal channel with a response that recorded them well enough (their S before the recording ends, a sample clips or the next event begins), in the same import as the vertical one; the amplitudes there are stand in bulletin.amplitudes"
        };
        sentences.push(format!("{without} of {} events have no magnitude: {why}", found.event_count));
    }
    if found.event_count > 0 && !found.placed_late.is_empty() {
        sentences.push(format!("picks of {} {PLACED_LATE}", named(&found.placed_late)));
    }
    if found.event_count > 0 && !found.unknown_stations.is_empty() {
        sentences
            .push(format!("picks of {} located nothing: {WHERE_UNKNOWN}", named(&found.unknown_stations)));
    }
    sentences
}

/// How the stage `associate` begins to refuse the picks of a station, whose key follows in quotation marks.
const NO_COORDINATES: &str = "no coordinates for station ";

const PLACED_LATE: &str = "were made before it was known where they stand, and what was picked is not picked again: \
                           import stations and records together into a new home";

/// Whether there is any epoch of the station, whenever it holds.
fn lists(inventory: &Inventory, source_id: &SourceId) -> bool {
    inventory.stations.iter().any(|epoch| {
        epoch.station == source_id.station() && [source_id.network(), ""].contains(&epoch.network.as_str())
    })
}

const WHERE_UNKNOWN: &str = "no station file says where they stand (--stations)";

/// The first thing that was missing.
fn no_event(found: &Findings, settings: &AssociateSettings) -> String {
    if found.pick_count == 0 && !found.has_vertical {
        return "no vertical channel was recorded: the picker looks for P on channels whose code ends in Z"
            .to_owned();
    }
    if found.pick_count == 0 {
        return "the picker found no onset in these recordings; each channel needs some seconds of noise before one \
                (section [pick] of `seislake config show`)"
            .to_owned();
    }
    let placed_count = found.picked_stations.len() - found.unknown_stations.len();
    let picks = format!("{} picks at {} stations", found.pick_count, found.picked_stations.len());
    if found.known_station_count == 0 {
        return format!("{picks}, but no stations are known; give --stations and import into a new home");
    }
    if !found.out_of_epoch.is_empty() && placed_count < settings.stations_min {
        return format!(
            "{picks}, but the epochs that the station files give to {} do not hold at the time of the records",
            named(&found.out_of_epoch)
        );
    }
    if placed_count == 0 {
        return format!(
            "{picks}, and of none of these is it known where it stands: {} in the records, {} stations in the station \
             files; codes of network and station must be equal, letter by letter in the same case",
            named(&found.unknown_stations),
            found.known_station_count
        );
    }
    if !found.placed_late.is_empty() {
        return format!("{picks}, but the picks of {} {PLACED_LATE}", named(&found.placed_late));
    }
    let unknown = if found.unknown_stations.is_empty() {
        String::new()
    } else {
        format!("; of {} {WHERE_UNKNOWN}", named(&found.unknown_stations))
    };
    if placed_count < settings.stations_min {
        return format!(
            "picks at {placed_count} stations whose places are known, an event needs {} (associate.stations_min){unknown}",
            settings.stations_min
        );
    }
    if usize::try_from(found.pick_count).unwrap_or(usize::MAX) < settings.picks_min {
        return format!(
            "{} picks, an event needs {} (associate.picks_min){unknown}",
            found.pick_count, settings.picks_min
        );
    }
    if !found.location_refusals.is_empty() {
        let shown = found.location_refusals.iter().take(REASONS_NAMED);
        let reasons: Vec<String> = shown.map(|(reason, count)| format!("{count}: {reason}")).collect();
        let count: i64 = found.location_refusals.iter().map(|(_, count)| count).sum();
        return format!(
            "{count} groups of picks were found and none could be located ({})",
            reasons.join("; ")
        );
    }
    format!(
        "{picks}, but no group of them fits one source: at least {} picks at {} stations within their travel times, with \
         an evidence of {} (associate.picks_min, stations_min, evidence_min); is the velocity model right?{unknown}",
        settings.picks_min, settings.stations_min, settings.evidence_min
    )
}

fn named(stations: &BTreeSet<String>) -> String {
    let names: Vec<&str> = stations.iter().take(STATIONS_NAMED).map(String::as_str).collect();
    match stations.len().saturating_sub(STATIONS_NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, second: i64) -> CatalogueEvent {
        CatalogueEvent {
            id: id.into(),
            origin_time: Timestamp::from_nanos(second * 1_000_000_000),
            latitude: 1.0,
            longitude: 2.0,
            depth_km: None,
            magnitude: None,
            event_type: None,
        }
    }

    #[test]
    fn events_of_two_imports_at_one_time_are_told() {
        let before = [event("a", 100), event("b", 200), event("c", 300)];
        assert_eq!(declared_twice(&before, &before), None);
        let mut after = before.to_vec();
        after.extend([event("d", 150), event("e", 311)]);
        assert_eq!(declared_twice(&before, &after), None);
        after.push(CatalogueEvent { latitude: 40.0, ..event("h", 200) });
        assert_eq!(declared_twice(&before, &after), None);
        after.extend([event("f", 190), event("g", 310)]);
        let told = declared_twice(&before, &after).unwrap();
        assert!(told.starts_with("2 of the new events lie within 10 s and 200 km"), "{told}");
        assert_eq!(declared_twice(&[], &after), None);
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn found() -> Findings {
        Findings {
            packet_count: 100,
            known_station_count: 8,
            has_vertical: true,
            pick_count: 90,
            picked_stations: set(&["A.1", "A.2", "A.3", "A.4", "A.5", "A.6", "A.7"]),
            response_count: 3,
            ..Findings::default()
        }
    }

    fn says(found: &Findings, words: &[&str]) {
        let all = sentences(found, &AssociateSettings::default()).join("\n");
        for word in words {
            assert!(all.contains(word), "\"{word}\" is missing in: {all}");
        }
    }

    #[test]
    fn the_first_thing_that_is_missing_is_named() {
        says(&Findings { pick_count: 0, ..found() }, &["no events", "no onset"]);
        says(
            &Findings { pick_count: 0, has_vertical: false, ..found() },
            &["no events", "no vertical channel"],
        );
        says(
            &Findings { stages_left_out: vec!["locate", "magnitude"], ..found() },
            &["streams.stages leaves out locate, magnitude"],
        );
        says(
            &Findings { known_station_count: 0, ..found() },
            &["90 picks at 7 stations", "no stations are known"],
        );
        let all = found().picked_stations;
        says(
            &Findings { unknown_stations: all, ..found() },
            &["A.1, A.2, A.3, A.4, A.5 and 2 more", "codes"],
        );
        let few = set(&["A.1", "A.2", "A.3", "A.4"]);
        says(&Findings { unknown_stations: few, ..found() }, &["picks at 3 stations", "stations_min", "A.4"]);
        says(&Findings { pick_count: 5, ..found() }, &["5 picks", "picks_min"]);
        let refusals =
            vec![("the error ellipse reaches 113 km".to_owned(), 2), ("too few phases".to_owned(), 1)];
        says(
            &Findings { location_refusals: refusals, ..found() },
            &["3 groups", "2: the error ellipse reaches 113 km", "1: too few phases"],
        );
        says(&found(), &["no group of them", "evidence_min", "18"]);
        let late = Findings { placed_late: set(&["A.1", "A.2"]), ..found() };
        says(&late, &["the picks of A.1, A.2 were made before", "new home"]);
        says(
            &Findings { event_count: 1, events_with_magnitude: 1, ..late },
            &["picks of A.1, A.2 were made before"],
        );
        let all = found().picked_stations;
        says(
            &Findings { unknown_stations: all.clone(), out_of_epoch: all, ..found() },
            &["epochs", "do not hold at the time of the records"],
        );
    }

    #[test]
    fn events_without_magnitude_say_why_and_whole_results_say_nothing() {
        let events = Findings { event_count: 3, ..found() };
        says(
            &Findings { response_count: 0, ..events.clone() },
            &["3 of 3 events have no magnitude", "response"],
        );
        says(&Findings { events_with_magnitude: 2, ..events.clone() }, &["1 of 3 events have no magnitude"]);
        says(
            &Findings { events_with_magnitude: 3, unknown_stations: set(&["X.Y"]), ..events.clone() },
            &["picks of X.Y located nothing"],
        );
        let whole = Findings { events_with_magnitude: 3, ..events };
        assert!(sentences(&whole, &AssociateSettings::default()).is_empty());
        assert!(
            sentences(&Findings::default(), &AssociateSettings::default()).is_empty(),
            "nothing was imported"
        );
    }
}
