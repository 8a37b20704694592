//! The server's data base (SQLite, SeisComP's schema) as rows of ours and as StationXML.

use std::fmt::Write;
use std::path::Path;

use seislake_model::{
    Arrival, Event, EventStatus, Inventory, Magnitude, MagnitudeId, Onset, Origin, OriginId, Phase, Pick,
    Polarity, Provenance, Samples, Segment, SourceId, Timestamp,
};
use seislake_tables::TableBatch;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{Row, SqlitePool};

use super::super::table_rows;
use crate::tests::position;

/// Kilometres of a degree, as our QuakeML has it.
const KM_PER_DEGREE: f64 = 111.194_926_644_558_74;

/// Which of the epochs that the data base calls restricted are closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Those.
    AsStored,
    /// Those of stations of which no epoch is open: so the availability service of SeisComP judges.
    OpenWhereAnyEpochIs,
}

#[derive(Debug)]
pub(super) struct Database(SqlitePool);

/// A moment of two columns, as text.
fn moment(column: &str) -> String {
    format!("replace({column}, ' ', 'T') || '.' || printf('%06d', {column}_ms)")
}

fn text(row: &SqliteRow, name: &str) -> String {
    row.get::<Option<String>, _>(name).unwrap_or_default()
}

fn time(row: &SqliteRow, name: &str) -> Timestamp {
    text(row, name).parse().unwrap()
}

fn number(row: &SqliteRow, name: &str) -> f64 {
    row.get(name)
}

/// `COLUMN` as a float, zero where unknown, under its own name.
fn real(column: &str) -> String {
    format!("CAST(coalesce({column}, 0) AS REAL) AS {column}")
}

/// The channel of a row of codes; components without a code are vertical ones, as SeisComP picks on them.
fn channel(row: &SqliteRow, prefix: &str) -> SourceId {
    let code = |name: &str| text(row, &format!("{prefix}{name}Code"));
    SourceId::from_nslc(&code("network"), &code("station"), &code("location"), &code("channel"))
}

const CODES: &str =
    "waveformID_networkCode, waveformID_stationCode, waveformID_locationCode, waveformID_channelCode";

impl Database {
    pub(super) async fn open(root: &Path) -> Self {
        let options = SqliteConnectOptions::new().filename(root.join("seiscomp.sqlite3"));
        Self(SqlitePool::connect_with(options.read_only(true).immutable(true)).await.unwrap())
    }

    async fn rows(&self, sql: String) -> Vec<SqliteRow> {
        sqlx::query(&sql).fetch_all(&self.0).await.unwrap()
    }

    /// Its stations and channels by way of StationXML, as the server's own answers have them: a station that is not
    /// `shared` is none that the server tells of.
    pub(super) async fn inventory(&self, status: Status) -> Inventory {
        let document = self.stationxml(status).await;
        let read = seislake_exchange::stationxml::read(document.as_bytes()).unwrap();
        assert!(read.problems.is_empty(), "{:?}", read.problems);
        read.value
    }

    /// `code`, `startDate`, `endDate` and `restrictedStatus` of an epoch.
    fn epoch(row: &SqliteRow, restricted: bool) -> String {
        let mut out = format!("code=\"{}\" startDate=\"{}Z\"", text(row, "code"), text(row, "start"));
        if let Some(end) = row.get::<Option<String>, _>("end") {
            let _ = write!(out, " endDate=\"{end}Z\"");
        }
        let _ = write!(out, " restrictedStatus=\"{}\"", if restricted { "closed" } else { "open" });
        out
    }

    async fn stationxml(&self, status: Status) -> String {
        let epoch = format!(
            "code, {} AS start, {} AS end, restricted, _oid, _parent_oid",
            moment("start"),
            moment("end")
        );
        let place = format!("{}, {}, {}", real("latitude"), real("longitude"), real("elevation"));
        let networks = format!("SELECT {epoch}, description FROM Network ORDER BY code, start");
        let stations = format!(
            "SELECT {epoch}, description, country, {place} FROM Station WHERE shared ORDER BY code, start"
        );
        let channels = format!(
            "SELECT {epoch}, station, location, {place}, depth, azimuth, dip, rate, gain, gainFrequency, gainUnit, \
             description, model, manufacturer, type FROM (SELECT stream.*, location._parent_oid AS station, \
             location.code AS location, location.latitude, location.longitude, location.elevation, \
             CAST(sampleRateNumerator AS REAL) / sampleRateDenominator AS rate, sensor.description, sensor.model, \
             sensor.manufacturer, sensor.type FROM Stream stream JOIN SensorLocation location ON \
             location._oid = stream._parent_oid LEFT JOIN PublicObject named ON named.publicID = stream.sensor \
             LEFT JOIN Sensor sensor ON sensor._oid = named._oid)"
        );
        let (stations, channels) = (self.rows(stations).await, self.rows(channels).await);
        let mut xml = String::from("<FDSNStationXML schemaVersion=\"1.2\">");
        let restricted = |row: &SqliteRow| row.get::<i64, _>("restricted") != 0;
        for network in self.rows(networks).await {
            let head = Self::epoch(&network, restricted(&network));
            let _ =
                write!(xml, "<Network {head}><Description>{}</Description>", text(&network, "description"));
            let oid: i64 = network.get("_oid");
            let of_network = || stations.iter().filter(|row| row.get::<i64, _>("_parent_oid") == oid);
            for station in of_network() {
                let same = |other: &&SqliteRow| text(other, "code") == text(station, "code");
                let closed = match status {
                    Status::AsStored => restricted(station),
                    Status::OpenWhereAnyEpochIs => of_network().filter(same).all(restricted),
                };
                let oid: i64 = station.get("_oid");
                let country = match text(station, "country") {
                    none if none.is_empty() => none,
                    country => format!("<Country>{country}</Country>"),
                };
                let _ = write!(
                    xml,
                    "<Station {}>{}<Site><Name>{}</Name>{country}</Site>",
                    Self::epoch(station, closed),
                    place_of(station),
                    text(station, "description")
                );
                for row in channels.iter().filter(|row| row.get::<i64, _>("station") == oid) {
                    write_channel(&mut xml, &Self::epoch(row, restricted(row)), row);
                }
                xml.push_str("</Station>");
            }
            xml.push_str("</Network>");
        }
        xml + "</FDSNStationXML>"
    }

    /// Its time spans as segments. The spans are all that the data base has: each row holds one sample, for the
    /// availability service never looks at samples.
    pub(super) async fn spans(&self) -> TableBatch {
        let sql = format!(
            "SELECT {CODES}, {} AS start, {} AS end, CAST(sampleRate AS REAL) AS rate, quality, segment._oid AS oid \
             FROM DataSegment segment JOIN DataExtent extent ON extent._oid = segment._parent_oid",
            moment("segment.start"),
            moment("segment.end")
        );
        let row = |row: &SqliteRow| Segment {
            source_id: channel(row, "waveformID_"),
            start_time: time(row, "start"),
            end_time: time(row, "end"),
            sample_rate_hz: number(row, "rate"),
            encoding: "steim2".to_owned(),
            quality: text(row, "quality"),
            samples: Samples::Int32(vec![0]),
            position: position(row.get::<i64, _>("oid") as u64),
        };
        table_rows(self.rows(sql).await.iter().map(row).collect())
    }

    /// Its events with the origins they refer to, those of their moment tensors among them, and what hangs on these.
    pub(super) async fn bulletin(&self) -> Vec<TableBatch> {
        // Origins of each event.
        let of_event = "WITH belongs AS (SELECT event._oid AS event_oid, named.publicID AS event, reference.originID AS \
             origin FROM Event event JOIN PublicObject named ON named._oid = event._oid JOIN OriginReference reference \
             ON reference._parent_oid = event._oid UNION SELECT event._oid, named.publicID, tensor.derivedOriginID FROM \
             Event event JOIN PublicObject named ON named._oid = event._oid JOIN FocalMechanismReference reference ON \
             reference._parent_oid = event._oid JOIN PublicObject mechanism ON mechanism.publicID = \
             reference.focalMechanismID JOIN MomentTensor tensor ON tensor._parent_oid = mechanism._oid)";
        let origins = self.rows(format!(
            "{of_event} SELECT belongs.event, belongs.origin, {} AS time, CAST(latitude_value AS REAL) AS latitude, \
             CAST(longitude_value AS REAL) AS longitude, CAST(depth_value AS REAL) AS depth, \
             CAST(coalesce(quality_usedPhaseCount, 0) AS INTEGER) AS phases FROM belongs JOIN PublicObject named ON \
             named.publicID = belongs.origin JOIN Origin origin ON origin._oid = named._oid",
            moment("time_value")
        ));
        let origins: Vec<Origin> = origins.await.iter().map(origin).collect();
        let magnitudes = self.rows(format!(
            "{of_event} SELECT belongs.event, belongs.origin, named.publicID AS id, magnitude.type, \
             CAST(magnitude_value AS REAL) AS value, CAST(coalesce(stationCount, 0) AS INTEGER) AS stations FROM belongs \
             JOIN PublicObject parent ON parent.publicID = belongs.origin JOIN Magnitude magnitude ON \
             magnitude._parent_oid = parent._oid JOIN PublicObject named ON named._oid = magnitude._oid"
        ));
        let magnitudes: Vec<Magnitude> = magnitudes.await.iter().map(magnitude).collect();
        let arrivals = self.rows(format!(
            "{of_event} SELECT belongs.event, belongs.origin, pickID AS pick, phase_code AS phase, {CODES}, {} AS time, \
             {}, {}, {}, {} FROM belongs JOIN PublicObject parent ON parent.publicID = belongs.origin JOIN Arrival \
             arrival ON arrival._parent_oid = parent._oid JOIN PublicObject named ON named.publicID = pickID JOIN Pick \
             pick ON pick._oid = named._oid",
            moment("time_value"),
            real("azimuth"),
            real("distance"),
            real("timeResidual"),
            real("weight"),
        ));
        let (arrivals, mut picks): (Vec<Arrival>, Vec<Pick>) =
            arrivals.await.iter().map(arrival_and_pick).unzip();
        picks.sort_by(|a, b| a.pick_id.cmp(&b.pick_id));
        picks.dedup_by(|a, b| a.pick_id == b.pick_id);
        let events = self.rows(
            "SELECT named.publicID AS id, preferredOriginID AS origin, preferredMagnitudeID AS magnitude FROM Event \
             event JOIN PublicObject named ON named._oid = event._oid"
                .to_owned(),
        );
        let events = events.await;
        let events = events.iter().map(|row| event(row, &origins, &magnitudes)).collect();
        vec![
            table_rows(picks),
            table_rows(arrivals),
            table_rows(origins),
            table_rows(magnitudes),
            table_rows(events),
        ]
    }
}

fn place_of(row: &SqliteRow) -> String {
    format!(
        "<Latitude>{}</Latitude><Longitude>{}</Longitude><Elevation>{}</Elevation>",
        number(row, "latitude"),
        number(row, "longitude"),
        number(row, "elevation")
    )
}

fn write_channel(xml: &mut String, epoch: &str, row: &SqliteRow) {
    let _ = write!(xml, "<Channel {epoch} locationCode=\"{}\">{}", text(row, "location"), place_of(row));
    for (name, column) in [("Depth", "depth"), ("Azimuth", "azimuth"), ("Dip", "dip"), ("SampleRate", "rate")]
    {
        let _ = write!(xml, "<{name}>{}</{name}>", number(row, column));
    }
    xml.push_str("<Sensor>");
    for (name, column) in [
        ("Type", "type"),
        ("Description", "description"),
        ("Manufacturer", "manufacturer"),
        ("Model", "model"),
    ] {
        let value = text(row, column);
        if !value.is_empty() {
            let _ = write!(xml, "<{name}>{value}</{name}>");
        }
    }
    let _ = write!(
        xml,
        "</Sensor><Response><InstrumentSensitivity><Value>{}</Value><Frequency>{}</Frequency><InputUnits><Name>{}\
         </Name></InputUnits><OutputUnits><Name/></OutputUnits></InstrumentSensitivity></Response></Channel>",
        number(row, "gain"),
        number(row, "gainFrequency"),
        text(row, "gainUnit")
    );
}

/// Our id of an event.
fn event_id(row: &SqliteRow, name: &str) -> String {
    format!("event/{}", text(row, name))
}

fn origin(row: &SqliteRow) -> Origin {
    Origin {
        origin_id: text(row, "origin").into(),
        event_id: event_id(row, "event").into(),
        origin_time: time(row, "time"),
        time_uncertainty_s: 0.0,
        latitude: number(row, "latitude"),
        longitude: number(row, "longitude"),
        depth_km: number(row, "depth"),
        covariance_km2: [0.0; 6],
        ellipse_major_km: 0.0,
        ellipse_minor_km: 0.0,
        ellipse_azimuth: 0.0,
        depth_uncertainty_km: 0.0,
        rms_s: 0.0,
        azimuthal_gap: 0.0,
        nearest_station_km: 0.0,
        used_phase_count: row.get::<i64, _>("phases") as u32,
        used_station_count: 0,
        provenance: Provenance::default(),
        earth_model: String::new(),
    }
}

fn magnitude(row: &SqliteRow) -> Magnitude {
    Magnitude {
        magnitude_id: text(row, "id").into(),
        event_id: event_id(row, "event").into(),
        origin_id: text(row, "origin").into(),
        magnitude_type: text(row, "type"),
        magnitude: number(row, "value"),
        uncertainty: None,
        station_count: row.get::<i64, _>("stations") as u32,
        provenance: Provenance::default(),
    }
}

fn arrival_and_pick(row: &SqliteRow) -> (Arrival, Pick) {
    let (origin_id, pick_id) = (text(row, "origin"), text(row, "pick"));
    let phase = if text(row, "phase").starts_with('S') { Phase::S } else { Phase::P };
    let arrival = Arrival {
        arrival_id: format!("arrival/{origin_id}/{pick_id}").into(),
        origin_id: origin_id.into(),
        event_id: event_id(row, "event").into(),
        pick_id: pick_id.clone().into(),
        source_id: channel(row, "waveformID_"),
        pick_time: time(row, "time"),
        phase,
        distance_km: number(row, "distance") * KM_PER_DEGREE,
        azimuth: number(row, "azimuth"),
        residual_s: number(row, "timeResidual"),
        weight: number(row, "weight"),
        time_uncertainty_s: None,
        polarity: None,
        onset: None,
        pick_method: None,
        pick_method_version: None,
    };
    let pick = Pick {
        pick_id: pick_id.into(),
        source_id: arrival.source_id.clone(),
        pick_time: arrival.pick_time,
        time_uncertainty_s: 0.0,
        phase,
        polarity: Polarity::Undecidable,
        onset: Onset::Emergent,
        snr: f64::NAN,
        provenance: Provenance::default(),
    };
    (arrival, pick)
}

fn event(row: &SqliteRow, origins: &[Origin], magnitudes: &[Magnitude]) -> Event {
    let origin_id = OriginId::from(text(row, "origin"));
    let magnitude_id = MagnitudeId::from(text(row, "magnitude"));
    let origin = origins.iter().find(|origin| origin.origin_id == origin_id).unwrap();
    let magnitude = magnitudes.iter().find(|magnitude| magnitude.magnitude_id == magnitude_id).unwrap();
    Event {
        event_id: event_id(row, "id").into(),
        revision: 1,
        status: EventStatus::Closed,
        preferred_origin_id: origin_id,
        preferred_magnitude_id: Some(magnitude_id),
        origin_time: origin.origin_time,
        latitude: origin.latitude,
        longitude: origin.longitude,
        depth_km: origin.depth_km,
        magnitude: Some(magnitude.magnitude),
        magnitude_type: Some(magnitude.magnitude_type.clone()),
        merged_into: None,
        provenance: Provenance::default(),
    }
}
