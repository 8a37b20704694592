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

use super::view::RequestViews;
use super::{ApiSchema, schema};
use crate::error::{ApiError, ErrorCode};
use crate::http::{Asset, Body, Parameters, asset_routes};
use crate::limits::HttpLimits;
use crate::state::AppState;

/// Largest GraphQL request: a query is text written by people or tools.
const REQUEST_BYTES_MAX: usize = 1 << 20;

const BODY_HINT: &str = "send {\"query\": \"…\", \"variables\": {…}} as application/json";

/// What the GraphQL routes share.
#[derive(Clone)]
pub(crate) struct GraphqlState {
    schema: ApiSchema,
}

impl GraphqlState {
    pub(crate) fn new(state: AppState, limits: HttpLimits) -> Self {
        Self { schema: schema(state, limits) }
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
        Ok(request) => answer(execute(&state, request).await),
        Err(error) => refused(&error),
    }
}

fn request_of_query(query: Option<&str>) -> Result<Request, ApiError> {
    let parameters = Parameters::of(query, PARAMETERS)?;
    let text = parameters.text("query").ok_or_else(|| {
        ApiError::invalid("the parameter \"query\" is missing")
            .hint("GET /graphql?query={events(first:1){nodes{eventId}}}, or open /graphiql")
    })?;
    let mut request = Request::new(text);
    if let Some(name) = parameters.text("operationName") {
        request = request.operation_name(name);
    }
    if let Some(text) = parameters.text("variables") {
        let json = serde_json::from_str(text)
            .map_err(|error| ApiError::invalid(format!("\"variables\" is not JSON: {error}")))?;
        request = request.variables(Variables::from_json(json));
    }
    if changes_something(&mut request) {
        let message = "a mutation cannot be sent by GET; use POST";
        return Err(ApiError::new(ErrorCode::MethodNotAllowed, message));
    }
    Ok(request)
}

fn changes_something(request: &mut Request) -> bool {
    let Ok(document) = request.parsed_query() else { return false };
    document.operations.iter().any(|(_, operation)| operation.node.ty != OperationType::Query)
}

async fn body(State(state): State<Arc<GraphqlState>>, body: Body) -> HttpResponse {
    let bytes = match body.read(REQUEST_BYTES_MAX).await {
        Ok(bytes) => bytes,
        Err(error) => return refused(&error),
    };
    match serde_json::from_slice::<Request>(&bytes) {
        Ok(request) if request.query.trim().is_empty() => refused(
            &ApiError::invalid("the body is not a GraphQL request: \"query\" is missing").hint(BODY_HINT),
        ),
        Ok(request) => answer(execute(&state, request).await),
        Err(error) => {
            refused(&ApiError::invalid(format!("the body is not a GraphQL request: {error}")).hint(BODY_HINT))
        }
    }
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

fn refused(error: &ApiError) -> HttpResponse {
    answer(Response::from_errors(vec![server_error(error)]))
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
    let named = error.extensions.as_ref().and_then(|values| values.get("code")).cloned();
    if let Some(Value::String(name)) = named {
        let codes = [ErrorCode::QueryTooDeep, ErrorCode::MethodNotAllowed, ErrorCode::BodyTooLarge];
        return codes.into_iter().find(|code| code.as_str() == name).unwrap_or(ErrorCode::InvalidArgument);
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

fn answer(mut response: Response) -> HttpResponse {
    let codes: Vec<ErrorCode> = response.errors.iter_mut().map(code_of).collect();
    let status = match codes.first() {
        Some(code) if response.data == Value::Null => code.status(),
        _ => StatusCode::OK,
    };
    match serde_json::to_vec(&response) {
        Ok(json) => (status, [(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(error) => ApiError::internal("write the answer", &error).into_response(),
    }
}
