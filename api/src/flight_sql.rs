//! Flight SQL: the door for ADBC, JDBC and BI tools.
//!
//! ```text
//! Handshake → bearer        (no accounts in this version: any name is welcome on a loopback address)
//! GetFlightInfo(statement) → plan, schema, ticket = the SQL itself → DoGet → stream of batches
//! CreatePreparedStatement → handle = the SQL itself: the server keeps no state that could leak
//! ```
//! Reads only: updates, ingest, transactions and statement parameters are answered as not supported.
//! Reference: Arrow Flight SQL, format 1.3. Metadata schemas are those of `arrow-flight`, which the Go driver checks exactly.

mod description;

use std::pin::Pin;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::writer::IpcWriteOptions;
use arrow::record_batch::RecordBatch;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::sql::server::{FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionBeginSavepointRequest, ActionBeginSavepointResult, ActionBeginTransactionRequest,
    ActionBeginTransactionResult, ActionCancelQueryRequest, ActionCancelQueryResult,
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, ActionCreatePreparedSubstraitPlanRequest, ActionEndSavepointRequest,
    ActionEndTransactionRequest, CommandGetCatalogs, CommandGetCrossReference, CommandGetDbSchemas,
    CommandGetExportedKeys, CommandGetImportedKeys, CommandGetPrimaryKeys, CommandGetSqlInfo,
    CommandGetTableTypes, CommandGetTables, CommandGetXdbcTypeInfo, CommandPreparedStatementQuery,
    CommandPreparedStatementUpdate, CommandStatementIngest, CommandStatementQuery,
    CommandStatementSubstraitPlan, CommandStatementUpdate, DoPutPreparedStatementResult, ProstMessageExt,
    SqlInfo, TicketStatementQuery,
};
use arrow_flight::{
    Action, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest, HandshakeResponse, IpcMessage,
    SchemaAsIpc, Ticket,
};
use axum::Router;
use datafusion::catalog::SchemaProvider;
use datafusion::datasource::TableType;
use datafusion::prelude::SessionContext;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use prost::Message;
use seislake_query::{CATALOG_NAME, Question, STATEMENT_BYTES_MAX};
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};

use description::{foreign_key_schema, primary_key_schema, sql_info, xdbc_types};

use crate::error::{ApiError, ErrorCode};
use crate::http::counted_bodies;
use crate::query_runtime::{Asker, QueryFailure, QueryRuntime, TimeLimit};
use crate::request::RequestContext;

/// A message longer than this is refused: a statement, its command and its descriptor.
const MESSAGE_BYTES_MAX: usize = 3 * STATEMENT_BYTES_MAX;

/// What this door does not do, in words of ours: those of the generated service name its methods.
const READS_ONLY: &str =
    "this door reads only: stations and waveforms come in over HTTP or by `seislake import`";
const NO_PARAMETERS: &str =
    "parameters of statements are not taken at this door: write the values into the statement";
const NO_PLANS: &str = "Substrait plans are not taken at this door: send SQL";

type Answer<T> = Result<Response<T>, Status>;
type DoGet = <FlightSql as FlightService>::DoGetStream;

/// The Flight SQL service over one DataFusion session; [`FlightSql::router`] makes its routes.
#[derive(Clone)]
pub struct FlightSql {
    session: SessionContext,
    runtime: QueryRuntime,
}

impl std::fmt::Debug for FlightSql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FlightSql")
    }
}

impl FlightSql {
    /// Routes of the service over `session`, whose statements run on `runtime`; the memory of its messages is counted.
    pub fn router(session: SessionContext, runtime: QueryRuntime) -> Router {
        let service =
            FlightServiceServer::new(Self { session, runtime }).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let router = tonic::service::Routes::new(service).prepare().into_axum_router();
        counted_bodies(router, MESSAGE_BYTES_MAX)
    }

    /// Columns of the answer to `sql`.
    async fn plan(&self, sql: &str, asker: Asker) -> Result<SchemaRef, Status> {
        let planned = self.runtime.plan(asker, self.session.clone(), Question::new(sql)).await;
        planned.map(|schema| nullable(&schema)).map_err(Status::from)
    }

    /// Flight info for `sql` with the ticket of `command`.
    async fn info(
        &self,
        sql: &str,
        command: impl ProstMessageExt,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        let schema = self.plan(sql, asker(&request)).await?;
        flight_info(&schema, command, request.into_inner())
    }

    async fn execute(&self, sql: &str, asker: Asker) -> Answer<DoGet> {
        let time = TimeLimit::Whole(self.runtime.time_max());
        let answer = self.runtime.run(asker, self.session.clone(), Question::new(sql), time).await;
        let batches = answer.map_err(Status::from)?;
        let (schema, ending) = (nullable(&batches.schema()), batches.ending());
        let batches = batches.map_err(|failure| FlightError::Tonic(Box::new(failure.into())));
        Ok(encode(schema, batches).map(|data| self.runtime.answer_in_parts(ending, data).boxed()))
    }

    async fn schemas(&self) -> Result<Vec<(String, Arc<dyn SchemaProvider>)>, Status> {
        let catalog = self.session.catalog(CATALOG_NAME).ok_or_else(|| failed(&"the catalog is gone"))?;
        let names = catalog.schema_names();
        Ok(names.into_iter().filter_map(|name| catalog.schema(&name).map(|schema| (name, schema))).collect())
    }

    async fn tables(&self, command: CommandGetTables) -> Result<RecordBatch, Status> {
        let mut builder = command.into_builder();
        for (schema_name, schema) in self.schemas().await? {
            for table_name in schema.table_names() {
                let Some(table) = schema.table(&table_name).await.map_err(QueryFailure::from)? else {
                    continue;
                };
                let kind = if table.table_type() == TableType::View { "VIEW" } else { "TABLE" };
                builder
                    .append(CATALOG_NAME, &schema_name, &table_name, kind, &table.schema())
                    .map_err(|error| failed(&error))?;
            }
        }
        builder.build().map_err(|error| failed(&error))
    }
}

/// Why a client's statement has no (more) answer: in the words of the engine where the client can write it otherwise.
impl From<QueryFailure> for Status {
    fn from(failure: QueryFailure) -> Self {
        let code = ErrorCode::from(&failure);
        let error = match &failure {
            QueryFailure::Engine(error) if code.hides_its_cause() => {
                ApiError::of_room("answer the statement", error)
            }
            _ => ApiError::new(code, failure.to_string()),
        };
        error.into()
    }
}

/// What this door does not do.
fn not_done(message: &str) -> Status {
    ApiError::new(ErrorCode::MethodNotAllowed, message).into()
}

/// A fault of ours.
fn failed(error: &dyn std::fmt::Display) -> Status {
    ApiError::internal("write the answer", error).into()
}

/// Who sends a request: its address.
fn asker<T>(request: &Request<T>) -> Asker {
    let context = request.extensions().get::<RequestContext>();
    let client = context.map(|context| context.client.to_string());
    Asker::new("flight", client.unwrap_or_default())
}

/// Columns as this door tells them: whether one may be null is known better once a statement is optimized, and clients want
/// the same said before and after.
fn nullable(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

fn flight_info(
    schema: &SchemaRef,
    ticket: impl ProstMessageExt,
    descriptor: FlightDescriptor,
) -> Answer<FlightInfo> {
    let ticket = Ticket::new(ticket.as_any().encode_to_vec());
    let info = FlightInfo::new()
        .try_with_schema(schema)
        .map_err(|error| failed(&error))?
        .with_endpoint(FlightEndpoint::new().with_ticket(ticket))
        .with_descriptor(descriptor);
    Ok(Response::new(info))
}

fn encode(
    schema: SchemaRef,
    batches: impl Stream<Item = Result<RecordBatch, FlightError>> + Send + 'static,
) -> Response<DoGet> {
    let data = FlightDataEncoderBuilder::new().with_schema(schema).build(batches).map_err(of_encoder);
    Response::new(data.boxed())
}

/// What the encoder hands on is told already.
fn of_encoder(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => failed(&other),
    }
}

fn one_batch(batch: arrow_flight::error::Result<RecordBatch>) -> Answer<DoGet> {
    let batch = batch.map_err(|error| failed(&error))?;
    Ok(encode(batch.schema(), stream::once(async { Ok(batch) })))
}

fn empty(schema: SchemaRef) -> Answer<DoGet> {
    one_batch(Ok(RecordBatch::new_empty(schema)))
}

fn statement_text(handle: &[u8]) -> Result<&str, Status> {
    std::str::from_utf8(handle)
        .map_err(|_| ApiError::invalid("the statement handle is not of this server").into())
}

#[tonic::async_trait]
impl FlightSqlService for FlightSql {
    type FlightService = Self;

    async fn do_handshake(
        &self,
        _request: Request<Streaming<HandshakeRequest>>,
    ) -> Answer<Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send>>> {
        let answer = HandshakeResponse { protocol_version: 0, payload: "anonymous".into() };
        let mut response: Response<Pin<Box<dyn Stream<Item = _> + Send>>> =
            Response::new(Box::pin(stream::once(async { Ok(answer) })));
        response.metadata_mut().insert("authorization", MetadataValue::from_static("Bearer anonymous"));
        Ok(response)
    }

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        let ticket = TicketStatementQuery { statement_handle: query.query.clone().into() };
        self.info(&query.query, ticket, request).await
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        let handle = query.prepared_statement_handle.clone();
        self.info(statement_text(&handle)?, query, request).await
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        request: Request<Ticket>,
    ) -> Answer<DoGet> {
        self.execute(statement_text(&ticket.statement_handle)?, asker(&request)).await
    }

    async fn do_get_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<Ticket>,
    ) -> Answer<DoGet> {
        self.execute(statement_text(&query.prepared_statement_handle)?, asker(&request)).await
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let schema = self.plan(&query.query, asker(&request)).await?;
        let IpcMessage(dataset_schema) = SchemaAsIpc::new(&schema, &IpcWriteOptions::default())
            .try_into()
            .map_err(|error: arrow::error::ArrowError| failed(&error))?;
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: query.query.into(),
            dataset_schema,
            parameter_schema: bytes::Bytes::new(),
        })
    }

    async fn do_action_close_prepared_statement(
        &self,
        _query: ActionClosePreparedStatementRequest,
        _request: Request<Action>,
    ) -> Result<(), Status> {
        Ok(())
    }

    async fn do_action_create_prepared_substrait_plan(
        &self,
        _query: ActionCreatePreparedSubstraitPlanRequest,
        _request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        Err(not_done(NO_PLANS))
    }

    async fn do_action_begin_transaction(
        &self,
        _query: ActionBeginTransactionRequest,
        _request: Request<Action>,
    ) -> Result<ActionBeginTransactionResult, Status> {
        Err(not_done(READS_ONLY))
    }

    async fn do_action_end_transaction(
        &self,
        _query: ActionEndTransactionRequest,
        _request: Request<Action>,
    ) -> Result<(), Status> {
        Err(not_done(READS_ONLY))
    }

    async fn do_action_begin_savepoint(
        &self,
        _query: ActionBeginSavepointRequest,
        _request: Request<Action>,
    ) -> Result<ActionBeginSavepointResult, Status> {
        Err(not_done(READS_ONLY))
    }

    async fn do_action_end_savepoint(
        &self,
        _query: ActionEndSavepointRequest,
        _request: Request<Action>,
    ) -> Result<(), Status> {
        Err(not_done(READS_ONLY))
    }

    async fn do_action_cancel_query(
        &self,
        _query: ActionCancelQueryRequest,
        _request: Request<Action>,
    ) -> Result<ActionCancelQueryResult, Status> {
        Err(not_done("a statement ends when its client closes the stream; nothing else cancels it"))
    }

    async fn do_put_statement_update(
        &self,
        _ticket: CommandStatementUpdate,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(not_done(READS_ONLY))
    }

    async fn do_put_statement_ingest(
        &self,
        _ticket: CommandStatementIngest,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(not_done(READS_ONLY))
    }

    async fn do_put_prepared_statement_query(
        &self,
        _query: CommandPreparedStatementQuery,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        Err(not_done(NO_PARAMETERS))
    }

    async fn do_put_prepared_statement_update(
        &self,
        _query: CommandPreparedStatementUpdate,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(not_done(READS_ONLY))
    }

    async fn do_put_substrait_plan(
        &self,
        _query: CommandStatementSubstraitPlan,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(not_done(NO_PLANS))
    }

    async fn do_action_fallback(
        &self,
        request: Request<Action>,
    ) -> Answer<<Self as FlightService>::DoActionStream> {
        match request.get_ref().r#type.as_str() {
            "CloseSession" => Ok(Response::new(stream::empty().boxed())),
            other => Err(not_done(&format!("the action \"{other}\" is not served"))),
        }
    }

    async fn get_flight_info_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        flight_info(&query.into_builder().schema(), query, request.into_inner())
    }

    async fn do_get_catalogs(&self, query: CommandGetCatalogs, _request: Request<Ticket>) -> Answer<DoGet> {
        let mut builder = query.into_builder();
        builder.append(CATALOG_NAME);
        one_batch(builder.build())
    }

    async fn get_flight_info_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        flight_info(&query.clone().into_builder().schema(), query, request.into_inner())
    }

    async fn do_get_schemas(&self, query: CommandGetDbSchemas, _request: Request<Ticket>) -> Answer<DoGet> {
        let mut builder = query.into_builder();
        for (name, _) in self.schemas().await? {
            builder.append(CATALOG_NAME, name);
        }
        one_batch(builder.build())
    }

    async fn get_flight_info_tables(
        &self,
        query: CommandGetTables,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        flight_info(&query.clone().into_builder().schema(), query, request.into_inner())
    }

    async fn do_get_tables(&self, query: CommandGetTables, _request: Request<Ticket>) -> Answer<DoGet> {
        let batch = self.tables(query).await?;
        one_batch(Ok(batch))
    }

    async fn get_flight_info_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        flight_info(&query.into_builder().schema(), query, request.into_inner())
    }

    async fn do_get_table_types(
        &self,
        query: CommandGetTableTypes,
        _request: Request<Ticket>,
    ) -> Answer<DoGet> {
        let mut builder = query.into_builder();
        builder.append("TABLE");
        builder.append("VIEW");
        one_batch(builder.build())
    }

    async fn get_flight_info_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        flight_info(&query.clone().into_builder(sql_info()?).schema(), query, request.into_inner())
    }

    async fn do_get_sql_info(&self, query: CommandGetSqlInfo, _request: Request<Ticket>) -> Answer<DoGet> {
        one_batch(query.into_builder(sql_info()?).build())
    }

    async fn get_flight_info_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        flight_info(&query.into_builder(xdbc_types()?).schema(), query, request.into_inner())
    }

    async fn do_get_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        _request: Request<Ticket>,
    ) -> Answer<DoGet> {
        one_batch(query.into_builder(xdbc_types()?).build())
    }

    async fn get_flight_info_primary_keys(
        &self,
        query: CommandGetPrimaryKeys,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        flight_info(&primary_key_schema(), query, request.into_inner())
    }

    async fn do_get_primary_keys(
        &self,
        _query: CommandGetPrimaryKeys,
        _request: Request<Ticket>,
    ) -> Answer<DoGet> {
        empty(primary_key_schema())
    }

    async fn get_flight_info_exported_keys(
        &self,
        query: CommandGetExportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        flight_info(&foreign_key_schema(), query, request.into_inner())
    }

    async fn do_get_exported_keys(
        &self,
        _query: CommandGetExportedKeys,
        _request: Request<Ticket>,
    ) -> Answer<DoGet> {
        empty(foreign_key_schema())
    }

    async fn get_flight_info_imported_keys(
        &self,
        query: CommandGetImportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        flight_info(&foreign_key_schema(), query, request.into_inner())
    }

    async fn do_get_imported_keys(
        &self,
        _query: CommandGetImportedKeys,
        _request: Request<Ticket>,
    ) -> Answer<DoGet> {
        empty(foreign_key_schema())
    }

    async fn get_flight_info_cross_reference(
        &self,
        query: CommandGetCrossReference,
        request: Request<FlightDescriptor>,
    ) -> Answer<FlightInfo> {
        flight_info(&foreign_key_schema(), query, request.into_inner())
    }

    async fn do_get_cross_reference(
        &self,
        _query: CommandGetCrossReference,
        _request: Request<Ticket>,
    ) -> Answer<DoGet> {
        empty(foreign_key_schema())
    }

    async fn register_sql_info(&self, _id: i32, _result: &SqlInfo) {}
}

#[cfg(test)]
mod tests;
