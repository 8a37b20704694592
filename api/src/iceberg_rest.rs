//! Iceberg REST catalog, for reading: what PyIceberg, DuckDB and Spark ask before they read our tables in place.
//!
//! `GET /v1/config` declares exactly the endpoints below; a test asks each of them. Writing goes through the sinks.
//! Where the files lie on S3, its `defaults` tell clients where that is; a client's own settings win over them, since it
//! may reach the same store under another name. Credentials are the client's own.
//! Reference: the Apache Iceberg REST catalog specification. Errors have its shape: `{"error": {message, type, code}}`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{OriginalUri, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use iceberg::spec::TableMetadata;
use iceberg::{Catalog, NamespaceIdent, TableIdent};
use seislake_catalog::kind_of;
use seislake_model::Error;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::codes::IcebergCode;
use crate::error::{ApiError, ErrorCode};

/// What `config` declares, and the router serves.
pub const ENDPOINTS: [&str; 7] = [
    "GET /v1/{prefix}/namespaces",
    "GET /v1/{prefix}/namespaces/{namespace}",
    "HEAD /v1/{prefix}/namespaces/{namespace}",
    "GET /v1/{prefix}/namespaces/{namespace}/tables",
    "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "GET /v1/config",
];

/// The one warehouse of a home.
const WAREHOUSE: &str = "seislake";
/// Levels of a namespace are joined with this in a path.
const LEVEL_SEPARATOR: char = '\u{1f}';

type Shared = Arc<dyn Catalog>;

/// Routes below `/v1`, to be nested where the door stands (`/iceberg`). `client_properties` are what clients need to
/// reach the files.
pub fn router(catalog: Arc<dyn Catalog>, client_properties: BTreeMap<String, String>) -> Router {
    let defaults = json!(client_properties);
    Router::new()
        .route("/v1/config", get(move |query| config(query, defaults)))
        .route("/v1/namespaces", get(namespaces))
        .route("/v1/namespaces/{namespace}", get(namespace))
        .route("/v1/namespaces/{namespace}/tables", get(tables))
        .route("/v1/namespaces/{namespace}/tables/{table}", get(table))
        .route("/", get(about))
        .fallback(not_served)
        .method_not_allowed_fallback(no_such_method)
        .with_state(catalog)
}

/// An error of the specification.
#[derive(Debug)]
struct RestError {
    code: IcebergCode,
    message: String,
}

impl RestError {
    fn bad_request(message: impl Into<String>) -> Self {
        ApiError::invalid(message).into()
    }

    fn no_namespace(name: &str) -> Self {
        Self { code: IcebergCode::NO_NAMESPACE, message: format!("namespace \"{name}\" does not exist") }
    }

    fn no_table(ident: &TableIdent) -> Self {
        Self { code: IcebergCode::NO_TABLE, message: format!("table \"{ident}\" does not exist") }
    }
}

impl From<ApiError> for RestError {
    fn from(error: ApiError) -> Self {
        Self { code: IcebergCode::of(error.code), message: error.sentence() }
    }
}

impl From<iceberg::Error> for RestError {
    fn from(error: iceberg::Error) -> Self {
        let code = IcebergCode::of_library(&error);
        let error = Error::caused(kind_of(&error), error.message().to_owned(), error);
        Self { code, ..ApiError::of_room("read the catalog", &error).into() }
    }
}

/// An answer that has the shape of the specification already.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IsOfTheSpecification;

/// An error of another part of the house in the shape of the specification.
pub(crate) fn error(status: StatusCode, message: &str) -> impl IntoResponse + use<> {
    RestError { code: IcebergCode::of_status(status), message: message.to_owned() }
}

impl IntoResponse for RestError {
    fn into_response(self) -> Response {
        let IcebergCode { status, kind } = self.code;
        let body = json!({ "error": { "message": self.message, "type": kind, "code": status.as_u16() } });
        let mut response = (status, Json(body)).into_response();
        response.extensions_mut().insert(IsOfTheSpecification);
        response
    }
}

async fn not_served(OriginalUri(uri): OriginalUri) -> Response {
    if let Some(redirect) = crate::http::without_slash(&uri) {
        return redirect;
    }
    RestError::from(ApiError::not_found("this endpoint is not served; see the endpoints of /v1/config"))
        .into_response()
}

async fn no_such_method(method: axum::http::Method) -> RestError {
    let message = format!(
        "{method} is not served here: tables are read through this catalog, and written by Seislake alone"
    );
    ApiError::new(ErrorCode::MethodNotAllowed, message).into()
}

/// What stands here, for people who open it in a browser.
async fn about() -> Json<Value> {
    Json(json!({
        "about": "Iceberg REST catalog, for reading: give a client this address",
        "config": "v1/config",
        "endpoints": ENDPOINTS,
    }))
}

#[derive(Deserialize)]
struct ConfigQuery {
    warehouse: Option<String>,
}

async fn config(Query(query): Query<ConfigQuery>, defaults: Value) -> Result<Json<Value>, RestError> {
    match query.warehouse.as_deref() {
        None | Some("" | WAREHOUSE) => {
            Ok(Json(json!({ "defaults": defaults, "overrides": {}, "endpoints": ENDPOINTS })))
        }
        Some(other) => Err(RestError::bad_request(format!(
            "warehouse \"{other}\" does not exist; the warehouse is \"{WAREHOUSE}\""
        ))),
    }
}

fn namespace_ident(name: &str) -> Result<NamespaceIdent, RestError> {
    let levels = name.split(LEVEL_SEPARATOR).map(str::to_owned).collect();
    NamespaceIdent::from_vec(levels).map_err(|_| RestError::bad_request("the namespace is empty"))
}

async fn existing_namespace(catalog: &Shared, name: &str) -> Result<NamespaceIdent, RestError> {
    let ident = namespace_ident(name)?;
    if catalog.namespace_exists(&ident).await? { Ok(ident) } else { Err(RestError::no_namespace(name)) }
}

#[derive(Deserialize)]
struct ParentQuery {
    parent: Option<String>,
}

async fn namespaces(
    State(catalog): State<Shared>,
    Query(query): Query<ParentQuery>,
) -> Result<Json<Value>, RestError> {
    let parent = match query.parent.as_deref().filter(|parent| !parent.is_empty()) {
        Some(parent) => Some(existing_namespace(&catalog, parent).await?),
        None => None,
    };
    let mut names: Vec<Vec<String>> =
        catalog.list_namespaces(parent.as_ref()).await?.into_iter().map(NamespaceIdent::inner).collect();
    names.sort();
    Ok(Json(json!({ "namespaces": names })))
}

async fn namespace(
    State(catalog): State<Shared>,
    Path(name): Path<String>,
) -> Result<Json<Value>, RestError> {
    let ident = existing_namespace(&catalog, &name).await?;
    let namespace = catalog.get_namespace(&ident).await?;
    Ok(Json(json!({ "namespace": ident.inner(), "properties": namespace.properties() })))
}

async fn tables(State(catalog): State<Shared>, Path(name): Path<String>) -> Result<Json<Value>, RestError> {
    let ident = existing_namespace(&catalog, &name).await?;
    let mut tables = catalog.list_tables(&ident).await?;
    tables.sort_by(|one, other| one.name().cmp(other.name()));
    let identifiers: Vec<Value> = tables
        .iter()
        .map(|table| json!({ "namespace": table.namespace().clone().inner(), "name": table.name() }))
        .collect();
    Ok(Json(json!({ "identifiers": identifiers })))
}

/// Which snapshots the metadata of a table tell of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SnapshotMode {
    All,
    /// Those that a branch or tag names.
    Refs,
}

#[derive(Deserialize)]
struct TableQuery {
    snapshots: Option<String>,
}

async fn table(
    State(catalog): State<Shared>,
    Path((namespace, name)): Path<(String, String)>,
    Query(query): Query<TableQuery>,
    headers: HeaderMap,
) -> Result<Response, RestError> {
    let ident = TableIdent::new(existing_namespace(&catalog, &namespace).await?, name);
    if !catalog.table_exists(&ident).await? {
        return Err(RestError::no_table(&ident));
    }
    let snapshots = match query.snapshots.as_deref() {
        None | Some("all") => SnapshotMode::All,
        Some("refs") => SnapshotMode::Refs,
        Some(other) => {
            return Err(RestError::bad_request(format!("snapshots=\"{other}\" is neither all nor refs")));
        }
    };
    let table = catalog.load_table(&ident).await?;
    let location = table.metadata_location_result()?.to_owned();
    let tag = entity_tag(&location, snapshots)?;
    if headers.get(header::IF_NONE_MATCH) == Some(&tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let metadata = metadata_json(table.metadata(), snapshots)?;
    let body = json!({ "metadata-location": location, "metadata": metadata, "config": {} });
    Ok(([(header::ETAG, tag)], Json(body)).into_response())
}

/// Metadata files never change: their name is the version. The two snapshot modes have tags of their own.
fn entity_tag(location: &str, snapshots: SnapshotMode) -> Result<HeaderValue, RestError> {
    let version = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, location.as_bytes());
    let mode = match snapshots {
        SnapshotMode::All => "all",
        SnapshotMode::Refs => "refs",
    };
    HeaderValue::from_str(&format!("\"{version}-{mode}\""))
        .map_err(|_| RestError::bad_request("no entity tag"))
}

fn metadata_json(metadata: &TableMetadata, snapshots: SnapshotMode) -> Result<Value, RestError> {
    let failed = |error: serde_json::Error| ApiError::internal("write the metadata of a table", &error);
    let mut value = serde_json::to_value(metadata).map_err(failed)?;
    if snapshots == SnapshotMode::Refs {
        let named: Vec<Value> = value["refs"]
            .as_object()
            .map(|refs| refs.values().map(|reference| reference["snapshot-id"].clone()).collect())
            .unwrap_or_default();
        if let Some(snapshots) = value["snapshots"].as_array_mut() {
            snapshots.retain(|snapshot| named.contains(&snapshot["snapshot-id"]));
        }
    }
    Ok(value)
}
