//! GraphQL over HTTP: `POST` and `GET /graphql`, and the page `/graphiql`.
//!
//! A request that is refused as a whole has the status of its error; a request that was executed has 200.

use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use async_graphql::{ErrorExtensionValues, Request, Response, ServerError, Value, Variables};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response as HttpResponse};
use axum::routing::get;
use seislake_query::shortened;

use super::guard::StandIns;
use super::variables::remove_stand_ins;
use super::view::RequestViews;
use super::{ApiSchema, guard, schema};
use crate::error::{ApiError, ErrorCode, retry_after};
use crate::http::{Asset, Body, Parameters, asset_routes, decode_query};
use crate::limits::HttpLimits;
use crate::state::AppState;

/// Largest GraphQL request: a query is text written by people or tools.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// Errors in one answer: a document may hold a mistake in every word.
const ERRORS_MAX: usize = 16;

const BODY_HINT: &str = "send {\"query\": \"…\", \"variables\": {…}} as application/json";

/// The method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestMethod {
    ByGet,
    ByPost,
}

/// Reading is all that GET may do: pages of other origins can send it.
fn check_method(request: &mut Request, sent: RequestMethod) -> Result<(), ApiError> {
    let Ok(document) = request.parsed_query() else { return Ok(()) };
    let reads = document.operations.iter().all(|(_, operation)| operation.node.ty == OperationType::Query);
    if reads || sent == RequestMethod::ByPost {
        return Ok(());
    }
    Err(ApiError::new(ErrorCode::MethodNotAllowed, "a mutation cannot be sent by GET; use POST"))
}

/// What the GraphQL routes share.
#[derive(Clone)]
pub(crate) struct GraphqlState {
    schema: ApiSchema,
    depth_max: usize,
}

impl GraphqlState {
    pub(crate) fn new(state: AppState, limits: HttpLimits) -> Self {
        let depth_max = limits.query_depth_max;
        Self { schema: schema(state, limits), depth_max }
    }

    /// Executes a request whose document is within bounds.
    async fn execute(&self, mut request: Request, sent: RequestMethod) -> HttpResponse {
        let checked = guard::check(&mut request, self.depth_max);
        let checked = checked.and_then(|stand_ins| check_method(&mut request, sent).map(|()| stand_ins));
        match checked {
            Ok(stand_ins) => {
                let mut response = execute(self, request).await;
                if stand_ins == StandIns::Some {
                    remove_stand_ins(&mut response.data);
                }
                answer(response)
            }
            Err(error) => refused(&error),
        }
    }
}

const ASSETS: &[Asset] = &[
    Asset::html("/graphiql", include_str!("../../assets/graphiql.html")),
    Asset::script(
        "/assets/graphiql/react.production.min.js",
        include_str!("../../assets/graphiql/react.production.min.js"),
    ),
    Asset::script(
        "/assets/graphiql/react-dom.production.min.js",
        include_str!("../../assets/graphiql/react-dom.production.min.js"),
    ),
    Asset::script("/assets/graphiql/graphiql.min.js", include_str!("../../assets/graphiql/graphiql.min.js")),
    Asset::style("/assets/graphiql/graphiql.min.css", include_str!("../../assets/graphiql/graphiql.min.css")),
];

/// Routes of this door.
pub(crate) fn routes(state: AppState, limits: HttpLimits) -> Router {
    let graphql = Router::new()
        .route("/graphql", get(query).post(body))
        .with_state(Arc::new(GraphqlState::new(state, limits)));
    graphql.merge(asset_routes(ASSETS))
}

const PARAMETERS: &[&str] = &["query", "operationName", "variables", "extensions"];

async fn query(State(state): State<Arc<GraphqlState>>, RawQuery(query): RawQuery) -> HttpResponse {
    match request_of_query(query.as_deref()) {
        Ok(request) => state.execute(request, RequestMethod::ByGet).await,
        Err(error) => refused(&error),
    }
}

fn request_of_query(query: Option<&str>) -> Result<Request, ApiError> {
    // Clients send a name, variables and extensions that are empty where there are none.
    let mut pairs = decode_query(query.unwrap_or(""));
    pairs.retain(|(_, value)| !value.trim().is_empty());
    let find = |name: &str| PARAMETERS.iter().copied().find(|known| *known == name);
    let parameters = Parameters::new(pairs, find, &format!("known are {}", PARAMETERS.join(", ")))?;
    let text = parameters.text("query").ok_or_else(|| {
        ApiError::invalid("the parameter \"query\" is missing")
            .hint("GET /graphql?query={events(first:1){nodes{eventId}}}, or open /graphiql")
    })?;
    let mut request = Request::new(text);
    request.operation_name = parameters.text("operationName").map(str::to_owned);
    if let Some(text) = parameters.text("variables") {
        let json = serde_json::from_str(text)
            .map_err(|error| ApiError::invalid(format!("\"variables\" is not JSON: {error}")))?;
        request = request.variables(Variables::from_json(json));
    }
    Ok(request)
}

async fn body(State(state): State<Arc<GraphqlState>>, body: Body) -> HttpResponse {
    match request_of_body(body).await {
        Ok(request) => state.execute(request, RequestMethod::ByPost).await,
        Err(error) => refused(&error),
    }
}

/// Only media types that a page of another origin cannot send without asking first.
async fn request_of_body(body: Body) -> Result<Request, ApiError> {
    let media_type = body.media_type().unwrap_or_default();
    if !matches!(media_type.as_str(), "application/json" | "application/graphql-response+json") {
        let message = format!("GraphQL requests of media type \"{media_type}\" are not read");
        return Err(ApiError::new(ErrorCode::UnsupportedMediaType, message).hint(BODY_HINT));
    }
    let bytes = body.read(REQUEST_BYTES_MAX).await?;
    let wrong =
        |why: &str| ApiError::invalid(format!("the body is not a GraphQL request: {why}")).hint(BODY_HINT);
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(wrong("several requests in one body are not answered, send one by one"));
    }
    let mut request: Request = serde_json::from_slice(&bytes).map_err(|error| wrong(&error.to_string()))?;
    if request.query.trim().is_empty() {
        return Err(wrong("\"query\" is missing"));
    }
    // What clients send that do not name their operation.
    request.operation_name = request.operation_name.filter(|name| !name.is_empty());
    Ok(request)
}

/// Executes a request over one state of the lake.
async fn execute(state: &GraphqlState, request: Request) -> Response {
    let views = Arc::new(RequestViews::default());
    let response = state.schema.execute(request.data(Arc::clone(&views))).await;
    match views.notices() {
        notices if notices.is_empty() => response,
        notices => {
            let notices = notices.into_iter().map(Value::from).collect();
            response.extension("notices", Value::List(notices))
        }
    }
}

/// The answer to a request that is not executed.
pub(crate) fn refused(error: &ApiError) -> HttpResponse {
    let response = Response::from_errors(vec![server_error(error)]);
    let mut answer = written(error.code.status(), &response);
    retry_after(error.code, answer.headers_mut());
    answer
}

/// The GraphQL form of an error.
pub(super) fn server_error(error: &ApiError) -> ServerError {
    let mut server_error = ServerError::new(error.message.clone(), None);
    server_error.extensions = Some(extensions(error));
    server_error
}

fn extensions(error: &ApiError) -> ErrorExtensionValues {
    let mut values = ErrorExtensionValues::default();
    values.set("code", error.code.as_str());
    values.set("retryable", error.code.retryable());
    if let Some(hint) = &error.hint {
        values.set("hint", hint.as_str());
    }
    values
}

/// Gives every error its code; errors of the parser and the validator have none yet.
fn code_of(error: &mut ServerError) -> ErrorCode {
    if let Some(known) = error.source::<ApiError>().cloned() {
        error.extensions = Some(extensions(&known));
        return known.code;
    }
    let classified = if error.message.contains("too complex") {
        error.message = "the query would cost more than is allowed".to_owned();
        ApiError::new(ErrorCode::QueryTooComplex, "").hint("ask for fewer fields or smaller pages")
    } else {
        ApiError::new(ErrorCode::InvalidQuery, "")
    };
    error.extensions = Some(extensions(&classified));
    classified.code
}

/// The answer to a request that was executed, or refused by validation.
fn answer(mut response: Response) -> HttpResponse {
    response.errors.truncate(ERRORS_MAX);
    // The library says some of them once as a rule of the schema and once more.
    let mut said = Vec::new();
    response.errors.retain(|error| {
        let new = !said.contains(&(error.message.clone(), error.path.clone()));
        said.push((error.message.clone(), error.path.clone()));
        new
    });
    for error in &mut response.errors {
        error.message = shortened(&error.message);
    }
    let codes: Vec<ErrorCode> = response.errors.iter_mut().map(code_of).collect();
    let status = match codes.first() {
        Some(code) if response.data == Value::Null => code.status(),
        _ => StatusCode::OK,
    };
    written(status, &response)
}

fn written(status: StatusCode, response: &Response) -> HttpResponse {
    match serde_json::to_vec(response) {
        Ok(json) => (status, [(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(error) => ApiError::internal("write the answer", &error).into_response(),
    }
}
