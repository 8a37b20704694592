//! `fdsnws-availability` 1.0: `query` (time spans) and `extent`, by GET and POST, `version`, WADL.
//!
//! ```text
//! metadata of waveform.segments ─ runs ─► spans ─ merge, group, order ─► text, GeoCSV, JSON, request lines
//! ```
//! Samples are never read. Every version there is has rows of its own. Quality is that of the records, as `dataselect` writes it, and `D` where the lake does not know
//! it. What StationXML says is not open is left out or, with `includerestricted`, stands in rows of its own. `Updated` is
//! when waveforms were last added to the lake.

mod formats;
mod spans;

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use seislake_model::{SourceId, Timestamp};

use self::formats::{Method, RowFields};
use self::spans::{Merge, Order, Span};
use super::error::Request;
use super::parameters::{self, Kind, Parameter};
use super::service::{Service, ServiceRequest};
use crate::error::ApiError;
use crate::http::{LENGTHS, Parameters, Shared};
use crate::read::{Interval, Piece, Restrictions, SegmentsAt, Selection, pieces, windows_of};
use crate::records::{Choice, Run, runs};
use crate::state::{AsOf, Pinned};

const FORMATS: &[&str] = &["text", "geocsv", "json", "request"];
const QUALITIES: &[&str] = &["*", "B", "D", "M", "Q", "R"];
const ORDERS: &[&str] = &[
    "nslc_time_quality_samplerate",
    "latestupdate",
    "latestupdate_desc",
    "timespancount",
    "timespancount_desc",
];

const OWN: &[Parameter] = &[
    Parameter::new("quality", Kind::Text).default("*"),
    Parameter::new("merge", Kind::Text),
    Parameter::new("mergegaps", Kind::Number).range(&LENGTHS),
    Parameter::new("show", Kind::Text),
    Parameter::new("orderby", Kind::Text).default("nslc_time_quality_samplerate").options(ORDERS),
    Parameter::new("limit", Kind::Count),
    Parameter::new("includerestricted", Kind::Flag).default("false"),
    Parameter::new("format", Kind::Text).default("text").options(FORMATS),
];

pub(super) static SERVICE: Service = Service {
    name: "availability",
    parameters: &[parameters::TIMES, parameters::CODES, OWN, parameters::NO_DATA],
    queries: &["query", "extent"],
};

pub(super) fn routes() -> Router<Shared> {
    SERVICE
        .method("query", |shared, request, asked| Box::pin(find(Method::Query, shared, request, asked)))
        .merge(SERVICE.method("extent", |shared, request, asked| {
            Box::pin(find(Method::Extent, shared, request, asked))
        }))
        .merge(SERVICE.description())
}

/// How rows are made and shown.
#[derive(Clone, Debug)]
struct RowForm {
    /// Quality letters; all where empty.
    qualities: Vec<char>,
    merge: Merge,
    order: Order,
    limit: usize,
    shown: RowFields,
}

impl RowForm {
    fn new(method: Method, parameters: &Parameters) -> Result<Self, ApiError> {
        if let Some(quality) = words(parameters, "quality").find(|word| !QUALITIES.contains(word)) {
            let known = QUALITIES.join(", ");
            return Err(ApiError::invalid(format!("quality: \"{quality}\" is none of {known}")));
        }
        let any = words(parameters, "quality").any(|word| matches!(word, "*" | "B"));
        let letters = words(parameters, "quality").filter_map(|word| word.chars().next());
        let qualities = if any { Vec::new() } else { letters.collect() };
        let mut merge = Merge { gaps_s: parameters.number("mergegaps")?, ..Merge::default() };
        for word in words(parameters, "merge") {
            match word {
                "quality" => merge.quality = true,
                "samplerate" => merge.sample_rate = true,
                "overlap" if method == Method::Query => merge.overlap = true,
                other => {
                    let message =
                        format!("merge: \"{other}\" is none of quality, samplerate, overlap (query only)");
                    return Err(ApiError::invalid(message));
                }
            }
        }
        let mut updated = false;
        for word in words(parameters, "show") {
            match word {
                "latestupdate" if method == Method::Query => updated = true,
                other => {
                    return Err(ApiError::invalid(format!(
                        "show: \"{other}\" is not latestupdate (query only)"
                    )));
                }
            }
        }
        let order = match parameters.text("orderby") {
            Some("latestupdate") => Order::Updated,
            Some("latestupdate_desc") => Order::UpdatedDescending,
            Some("timespancount") => Order::SpanCount,
            Some("timespancount_desc") => Order::SpanCountDescending,
            _ => Order::Channel,
        };
        if method == Method::Query && matches!(order, Order::SpanCount | Order::SpanCountDescending) {
            return Err(ApiError::invalid("orderby: spans are counted by extent only"));
        }
        let limit = parameters.count("limit")?.unwrap_or(usize::MAX);
        if limit == 0 {
            return Err(ApiError::invalid("limit: 0 asks for nothing"));
        }
        let shown = RowFields { method, quality: !merge.quality, sample_rate: !merge.sample_rate, updated };
        Ok(Self { qualities, merge, order, limit, shown })
    }

    fn rows(&self, spans: Vec<Span>) -> Vec<Span> {
        let mut rows = match self.shown.method {
            Method::Query => spans::merged(spans, self.merge),
            Method::Extent => spans::extents(spans, self.merge),
        };
        spans::sort(&mut rows, self.order);
        rows
    }
}

fn words<'a>(parameters: &'a Parameters, name: &str) -> impl Iterator<Item = &'a str> {
    parameters
        .text(name)
        .into_iter()
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .filter(|word| !word.is_empty())
}

async fn find(
    method: Method,
    shared: &Shared,
    request: &Request,
    asked: ServiceRequest,
) -> Result<Response, ApiError> {
    let ServiceRequest { parameters, mut selections } = asked;
    let wanted = RowForm::new(method, &parameters)?;
    let with_restricted = parameters::flag(&parameters, "includerestricted")?;
    let sessions = &shared.state.sessions;
    let Pinned { context, snapshots } = sessions.pin(AsOf::Latest).await?;
    let updated = match snapshots.id("waveform.segments") {
        Some(id) => sessions.committed_at(id).await?,
        None => None,
    };
    let at = SegmentsAt::snapshot(None);
    let asked = selections.clone();
    if method == Method::Extent {
        // A window chooses extents, it does not cut them.
        selections.iter_mut().for_each(|selection| selection.window = Interval::default());
    }
    let mut found = pieces(&context, &at, &selections, shared.limits.fdsn_pieces_max).await?;
    if !wanted.qualities.is_empty() {
        let chosen = |piece: &Piece| wanted.qualities.contains(&piece.quality.letter());
        found.values_mut().for_each(|list| list.retain(chosen));
    }
    let updated = updated.unwrap_or(request.submitted_at);
    let restrictions = Restrictions::of(&shared.state.stations.current(), found.keys());
    let windows = |id: &SourceId| windows_of(&selections, id);
    let open = runs(&found, Choice::All, |id| restrictions.open(id, windows(id)));
    let mut spans: Vec<Span> = open.into_iter().map(|run| span(run, updated)).collect();
    if with_restricted {
        let closed = runs(&found, Choice::All, |id| restrictions.closed(id, &windows(id)));
        spans.extend(closed.into_iter().map(|run| Span { restricted: true, ..span(run, updated) }));
    }
    let mut rows = wanted.rows(spans);
    if method == Method::Extent {
        rows.retain(|row| {
            let chosen = |selection: &Selection| {
                selection.takes(&row.source_id) && selection.covers(Some(row.start), Some(row.end))
            };
            asked.iter().any(chosen)
        });
    }
    rows.truncate(wanted.limit);
    if rows.is_empty() {
        return Ok(request.no_data(parameters::no_data(&parameters)));
    }
    let (media_type, body) = match parameters.text("format") {
        Some("geocsv") => ("text/csv; charset=utf-8", formats::geocsv(&rows, wanted.shown)),
        Some("json") => ("application/json", formats::json(&rows, wanted.shown, request.submitted_at)),
        Some("request") => ("text/plain; charset=utf-8", formats::request(&rows)),
        _ => ("text/plain; charset=utf-8", formats::text(&rows, wanted.shown)),
    };
    Ok(([(header::CONTENT_TYPE, media_type)], body).into_response())
}

fn span(run: Run, updated: Timestamp) -> Span {
    Span {
        start: Timestamp::from_nanos(run.start_ns()),
        end: Timestamp::from_nanos(run.end_ns()),
        rate_hz: run.rate_hz(),
        quality: run.quality().letter(),
        updated,
        span_count: 1,
        restricted: false,
        source_id: run.source_id,
    }
}

#[cfg(test)]
mod tests;
