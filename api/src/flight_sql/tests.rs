use datafusion::error::DataFusionError;
use seislake_model::{Error, ErrorKind};
use seislake_query::of_engine;
use tonic::Code;

use super::*;

#[test]
fn clients_learn_what_they_can_mend_and_the_log_the_rest() {
    let engine = |error: DataFusionError| Status::from(QueryFailure::Engine(of_engine(error)));
    let of_a_table = |kind: ErrorKind| {
        let cause = std::io::Error::other("/srv/home/warehouse/secret.parquet");
        let error = Error::caused(kind, "cannot read \"secret.parquet\"", cause);
        engine(DataFusionError::External(Box::new(error)))
    };
    for (status, code) in [
        (of_a_table(ErrorKind::Corrupt), Code::Internal),
        (of_a_table(ErrorKind::Unavailable), Code::Unavailable),
        (engine(DataFusionError::Internal("at secret.rs:17".into())), Code::Internal),
        (engine(DataFusionError::IoError(std::io::Error::other("/tmp/secret"))), Code::Unavailable),
        (failed(&"/srv/secret"), Code::Internal),
        (of_encoder(FlightError::DecodeError("secret".into())), Code::Internal),
    ] {
        assert_eq!(status.code(), code, "{status}");
        let told = status.message();
        assert!(told.contains("log of the server") && !told.contains("secret"), "{told}");
    }
    for (status, code, told) in [
        (engine(DataFusionError::Plan("no such column".into())), Code::InvalidArgument, "no such column"),
        (
            engine(DataFusionError::ResourcesExhausted("x".into())),
            Code::ResourceExhausted,
            "query.memory_bytes",
        ),
        (QueryFailure::Stalled.into(), Code::ResourceExhausted, "read faster"),
        (QueryFailure::Busy.into(), Code::Unavailable, "query.waiting_count"),
        (QueryFailure::TooManyRows(5).into(), Code::OutOfRange, "5 rows"),
        (not_done(READS_ONLY), Code::Unimplemented, READS_ONLY),
        (of_encoder(FlightError::Tonic(Box::new(not_done("told")))), Code::Unimplemented, "told"),
    ] {
        assert!(status.code() == code && status.message().contains(told), "{status}");
    }
}
