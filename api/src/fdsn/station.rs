//! `fdsnws-station` 1.1: `query` (StationXML 1.2, text) at four levels from the inventory in use, `version`, WADL.

use std::collections::{HashMap, HashSet};

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use datafusion::prelude::SessionContext;
use seislake_exchange::stationxml::{self, Document, Level};
use seislake_exchange::{Begins, station_text};
use seislake_model::{Channel, Inventory, SourceId, Station, Timestamp};

use super::error::Request;
use super::parameters::{self, Kind, Parameter};
use super::service::{Service, ServiceRequest};
use crate::error::ApiError;
use crate::http::{Parameters, Shared};
use crate::read::{Area, Interval, Restrictions, SegmentsAt, Selection, Updates, extents, is_station_closed};
use crate::state::AsOf;

const LEVELS: &[&str] = &["network", "station", "channel", "response"];
const FORMATS: &[&str] = &["xml", "text"];

const EPOCHS: &[Parameter] = &[
    Parameter::new("startbefore", Kind::Time),
    Parameter::new("startafter", Kind::Time),
    Parameter::new("endbefore", Kind::Time),
    Parameter::new("endafter", Kind::Time),
];

const OWN: &[Parameter] = &[
    Parameter::new("includerestricted", Kind::Flag).default("true"),
    Parameter::new("includeavailability", Kind::Flag).default("false"),
    Parameter::new("updatedafter", Kind::Time),
    Parameter::new("matchtimeseries", Kind::Flag).default("false"),
    Parameter::new("level", Kind::Text).default("station").options(LEVELS),
    Parameter::new("format", Kind::Text).default("xml").options(FORMATS),
];

pub(super) static SERVICE: Service = Service {
    name: "station",
    parameters: &[parameters::TIMES, EPOCHS, parameters::CODES, parameters::AREA, OWN, parameters::NO_DATA],
    queries: &["query"],
};

pub(super) fn routes() -> Router<Shared> {
    SERVICE
        .method("query", |shared, request, asked| Box::pin(find(shared, request, asked)))
        .merge(SERVICE.description())
}

async fn find(shared: &Shared, request: &Request, asked: ServiceRequest) -> Result<Response, ApiError> {
    let ServiceRequest { parameters, selections } = asked;
    let level: Level = parameters.text("level").unwrap_or("station").parse().map_err(ApiError::invalid)?;
    let text = parameters.text("format") == Some("text");
    if text && level == Level::Response {
        return Err(ApiError::invalid("level=response can only be had as format=xml"));
    }
    let inventory = shared.state.stations.current();
    // One state of the lake for all that is asked of it.
    let context = tokio::sync::OnceCell::new();
    let lake = || context.get_or_try_init(|| shared.state.sessions.session(AsOf::Latest));
    let begins = Begins::of(&inventory);
    let chosen = EpochFilter {
        begins: &begins,
        times: EpochTimes::from_parameters(&parameters)?,
        areas: parameters::areas(&parameters)?,
        restrictions: match parameters.text("includerestricted") {
            Some(_) if !parameters::flag(&parameters, "includerestricted")? => {
                let ids = inventory.channels.iter().map(|channel| &channel.source_id);
                Some(Restrictions::of(&inventory, ids))
            }
            _ => None,
        },
        updates: match parameters.time("updatedafter")? {
            Some(time) => Some(Updates::after(lake().await?, time).await?),
            None => None,
        },
        with_data: match parameters::flag(&parameters, "matchtimeseries")? {
            true => Some(DataExtents::of(lake().await?, &selections).await?),
            false => None,
        },
        level,
        selections,
    };
    let found = chosen.of(&inventory);
    if found.stations.is_empty() {
        return Ok(request.no_data(parameters::no_data(&parameters)));
    }
    let found = begins.fill(found);
    if text {
        let body = station_text::write(&found, level);
        return Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response());
    }
    let held = match parameters::flag(&parameters, "includeavailability")? {
        true => Some(DataExtents::of(lake().await?, &chosen.at_any_time()).await?),
        false => None,
    };
    let availability = |channel: &Channel| held.as_ref().and_then(|held| held.within(channel));
    let document = Document {
        level,
        created_at: request.submitted_at,
        availability: if held.is_some() { Some(&availability) } else { None },
    };
    let body = stationxml::write_document(&found, &document);
    Ok(([(header::CONTENT_TYPE, "application/xml")], body).into_response())
}

/// First and last sample that the lake holds of each channel.
#[derive(Debug)]
struct DataExtents(HashMap<SourceId, (Timestamp, Timestamp)>);

impl DataExtents {
    async fn of(context: &SessionContext, selections: &[Selection]) -> Result<Self, ApiError> {
        Ok(Self(extents(context, &SegmentsAt::snapshot(None), selections).await?))
    }

    /// What of it lies in the epoch of a channel.
    fn within(&self, channel: &Channel) -> Option<(Timestamp, Timestamp)> {
        let (first, last) = self.0.get(&channel.source_id)?;
        let start = channel.start_time.map_or(*first, |start| start.max(*first));
        let end = channel.end_time.map_or(*last, |end| end.min(*last));
        (start <= end).then_some((start, end))
    }
}

/// Conditions on the ends of epochs.
#[derive(Debug)]
struct EpochTimes {
    start_before: Option<Timestamp>,
    start_after: Option<Timestamp>,
    end_before: Option<Timestamp>,
    end_after: Option<Timestamp>,
}

impl EpochTimes {
    fn from_parameters(parameters: &Parameters) -> Result<Self, ApiError> {
        let start = parameters.times("startafter", "startbefore")?;
        let end = parameters.times("endafter", "endbefore")?;
        Ok(Self { start_before: start.max, start_after: start.min, end_before: end.max, end_after: end.min })
    }

    /// Whether an epoch passes. One that began since ever began before any time, and an open one ends after any.
    fn hold(&self, start: Option<Timestamp>, end: Option<Timestamp>) -> bool {
        self.start_before.is_none_or(|bound| start.is_none_or(|start| start < bound))
            && self.start_after.is_none_or(|bound| start.is_some_and(|start| start > bound))
            && self.end_before.is_none_or(|bound| end.is_some_and(|end| end < bound))
            && self.end_after.is_none_or(|bound| end.is_none_or(|end| end > bound))
    }
}

/// Which epochs pass.
#[derive(Debug)]
struct EpochFilter<'a> {
    /// When epochs begin that do not say it: they are chosen by the dates that they are written with.
    begins: &'a Begins<'a>,
    selections: Vec<Selection>,
    times: EpochTimes,
    areas: Vec<Area>,
    /// Only what is for everybody, by these.
    restrictions: Option<Restrictions>,
    /// Only those that changed.
    updates: Option<Updates>,
    /// Only channels with data.
    with_data: Option<DataExtents>,
    level: Level,
}

impl EpochFilter<'_> {
    fn at_any_time(&self) -> Vec<Selection> {
        let open = |selection: &Selection| Selection { window: Interval::default(), ..selection.clone() };
        self.selections.iter().map(open).collect()
    }

    fn is_within(&self, latitude: f64, longitude: f64) -> bool {
        self.areas.iter().all(|area| area.contains(latitude, longitude))
    }

    fn takes_channel(&self, channel: &Channel) -> bool {
        let begin = self.begins.channel(channel);
        let takes = |selection: &Selection| {
            selection.takes(&channel.source_id) && selection.covers(begin, channel.end_time)
        };
        self.selections.iter().any(takes)
            && self.times.hold(begin, channel.end_time)
            && self.is_within(channel.latitude, channel.longitude)
            && self.restrictions.as_ref().is_none_or(|restrictions| !restrictions.hold(channel))
            && self.updates.as_ref().is_none_or(|updates| updates.hold_channel(channel))
            && self.with_data.as_ref().is_none_or(|held| held.within(channel).is_some())
    }

    /// A station without a network code (a list may not have named one) cannot be asked for, nor written.
    fn takes_station(&self, station: &Station) -> bool {
        let begin = self.begins.station(station);
        let takes = |selection: &Selection| {
            selection.network.take(&station.network)
                && selection.station.take(&station.station)
                && selection.covers(begin, station.end_time)
        };
        !station.network.is_empty()
            && self.selections.iter().any(takes)
            && (self.level >= Level::Channel || self.times.hold(begin, station.end_time))
            && self.is_within(station.latitude, station.longitude)
            && (self.restrictions.is_none() || !is_station_closed(station))
    }

    /// Epochs that pass. Where channels are named, or must have data, a station needs one of them; where something must
    /// have changed, the station itself or one of its channels.
    fn of(&self, inventory: &Inventory) -> Inventory {
        let stations: Vec<&Station> =
            inventory.stations.iter().filter(|station| self.takes_station(station)).collect();
        let known: HashSet<(&str, &str)> =
            stations.iter().map(|station| (station.network.as_str(), station.station.as_str())).collect();
        let code = |channel: &Channel| {
            let id = &channel.source_id;
            known.contains(&(id.network(), id.station()))
        };
        let channels: Vec<&Channel> = inventory
            .channels
            .iter()
            .filter(|channel| code(channel) && self.takes_channel(channel))
            .collect();
        let present: HashSet<(&str, &str)> = channels
            .iter()
            .map(|channel| (channel.source_id.network(), channel.source_id.station()))
            .collect();
        let has_channel =
            |station: &Station| present.contains(&(station.network.as_str(), station.station.as_str()));
        let needs_channel = self.with_data.is_some() || self.selections.iter().all(Selection::names_channels);
        let passes = |station: &Station| {
            let changed = self.updates.as_ref().is_none_or(|updates| updates.hold_station(station));
            if needs_channel { has_channel(station) } else { changed || has_channel(station) }
        };
        Inventory {
            stations: stations.into_iter().filter(|station| passes(station)).cloned().collect(),
            channels: channels.into_iter().cloned().collect(),
        }
    }
}
