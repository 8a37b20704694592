//! `fdsnws-dataselect` 1.1: `query` (miniSEED 2 or 3) by GET and POST, `version`, WADL.
//!
//! The answer is planned from metadata, so that 204 and 413 are known before the first byte; then records are packed
//! and sent as the client takes them, and behind them the text records of log channels as they came. Windows are cut at sample precision, both ends included. What the records say
//! (window, order, text channels) stands in [`mod@crate::records`].
//!
//! `quality=D`, `R` and `Q` choose data of that letter; `B` (best) and `M` take the best version there is at each moment,
//! never two of the same time, and the records keep the letter they came with. Data that StationXML says are not open
//! count as not there, unless the setting `http.serve_restricted` says that who comes through this door may have them.

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;

use super::error::Request;
use super::parameters::{self, Kind, Parameter};
use super::service::{Service, ServiceRequest};
use crate::error::{ApiError, ErrorCode};
use crate::http::{LENGTHS, Shared};
use crate::read::SegmentsAt;
use crate::records::{
    RecordBlock, RecordFormat, RecordLimits, RunFilter, plan, selected_texts, text_in_format,
};
use crate::state::AsOf;

const FORMATS: &[&str] = &["miniseed", "mseed", "miniseed2", "mseed2", "miniseed3", "mseed3"];
const QUALITIES: &[&str] = &["B", "D", "M", "Q", "R"];

const OWN: &[Parameter] = &[
    Parameter::new("quality", Kind::Text).default("B").options(QUALITIES),
    Parameter::new("minimumlength", Kind::Number).range(&LENGTHS).default("0.0"),
    Parameter::new("longestonly", Kind::Flag).default("false"),
    Parameter::new("format", Kind::Text).default("miniseed").options(FORMATS),
];

pub(super) static SERVICE: Service = Service {
    name: "dataselect",
    parameters: &[parameters::TIMES, parameters::CODES, OWN, parameters::NO_DATA],
    queries: &["query"],
};

pub(super) fn routes() -> Router<Shared> {
    SERVICE
        .method("query", |shared, request, asked| Box::pin(find(shared, request, asked)))
        .merge(SERVICE.description())
}

async fn find(shared: &Shared, request: &Request, asked: ServiceRequest) -> Result<Response, ApiError> {
    let ServiceRequest { parameters, selections } = asked;
    let no_data = parameters::no_data(&parameters);
    let minimum_length_s = parameters.number("minimumlength")?.unwrap_or(0.0);
    let filter = RunFilter {
        quality: match parameters.text("quality") {
            Some("D") => Some('D'),
            Some("Q") => Some('Q'),
            Some("R") => Some('R'),
            _ => None,
        },
        minimum_length_s,
        longest_only: parameters::flag(&parameters, "longestonly")?,
    };
    let format = match parameters.text("format") {
        Some("miniseed3" | "mseed3") => RecordFormat::MiniSeed3,
        _ => RecordFormat::MiniSeed2,
    };
    let limits = RecordLimits {
        samples_max: shared.limits.fdsn_samples_max,
        pieces_max: shared.limits.fdsn_pieces_max,
    };
    let sessions = &shared.state.sessions;
    // The context holds one state of the table until the last record is sent.
    let (at, context) = (SegmentsAt::snapshot(None), sessions.session(AsOf::Latest).await?);
    let inventory = shared.state.stations.current();
    let withholding = (!shared.limits.serve_restricted).then_some(&*inventory);
    let plan = plan(&context, at, &selections, filter, withholding, limits).await?;
    // Texts have no length.
    let texts = match minimum_length_s > 0.0 || filter.longest_only {
        true => Vec::new(),
        false => selected_texts(&context, &selections, filter.quality, withholding).await?,
    };
    if plan.is_empty() && texts.is_empty() {
        return Ok(request.no_data(no_data));
    }
    let blocks = plan.stream(context, format).map(|block| block.map(bytes_of));
    let originals = std::sync::Arc::clone(&shared.state.originals);
    let texts = futures::stream::iter(texts).then(move |text| {
        let originals = std::sync::Arc::clone(&originals);
        async move {
            // What is kept no more is no data.
            let Some(original) = originals.original(&text).await? else { return Ok(Bytes::new()) };
            match text_in_format(&original, format) {
                Ok(records) => Ok(records.concat().into()),
                // A damaged one does not take the others of the answer with it.
                Err(error) if error.code == ErrorCode::Corrupt => {
                    tracing::warn!(source_id = %text.source_id, error = %error.message, "a text record is left out");
                    Ok(Bytes::new())
                }
                Err(error) => Err(error),
            }
        }
    });
    let mut parts = Box::pin(blocks.chain(texts));
    // What fails at once is told as an error, not as a body that ends early; and no data are told as such.
    let first = loop {
        match parts.next().await.transpose()? {
            None => return Ok(request.no_data(no_data)),
            Some(part) if part.is_empty() => {}
            Some(part) => break part,
        }
    };
    let body = futures::stream::iter([Ok(first)]).chain(parts);
    let (media_type, extension) = match format {
        RecordFormat::MiniSeed2 => ("application/vnd.fdsn.mseed", "mseed"),
        RecordFormat::MiniSeed3 => ("application/vnd.fdsn.mseed3", "mseed3"),
    };
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (header::CONTENT_DISPOSITION, request.attachment(extension)),
    ];
    Ok((headers, axum::body::Body::from_stream(body)).into_response())
}

fn bytes_of(block: RecordBlock) -> Bytes {
    block.records.concat().into()
}
