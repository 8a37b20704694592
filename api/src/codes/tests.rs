use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use datafusion::error::DataFusionError;
use seislake_model::Error;
use seislake_query::of_engine;

use super::*;

const PAGE: &str = "# Errors

Generated from `api/src/codes.rs` by `make bless`.
An error over HTTP is `{\"error\": {\"code\", \"message\", \"hint\"}}`; GraphQL has the code in `extensions.code`, FDSN web services tell status and sentence as text, Flight SQL is gRPC, the Iceberg catalog has `{\"error\": {\"message\", \"type\", \"code\"}}`.
Where a request may succeed later, `Retry-After` says when, and GraphQL `extensions.retryable`.
Of what is wrong with the server, clients learn what was attempted; the causes stand in its log.
To clients of Iceberg a table or namespace that is not there is `NoSuchTableException` or `NoSuchNamespaceException`. A request line of more than 64 KiB is answered by 414 without a body, before any door sees it.

| code | HTTP | FDSN | gRPC | Iceberg | later | meaning |
|---|---|---|---|---|---|---|
";

#[test]
fn docs_errors_md_says_what_the_codes_are() {
    let mut page = PAGE.to_owned();
    for code in ErrorCode::ALL {
        let (word, iceberg) = (code.as_str(), code.names().iceberg);
        let (http, fdsn, grpc) = (code.status().as_u16(), code.fdsn_status().as_u16(), code.grpc());
        let (later, meaning) = (if code.retryable() { "yes" } else { "" }, code.meaning().trim());
        let _ = writeln!(page, "| `{word}` | {http} | {fdsn} | {grpc:?} | {iceberg} | {later} | {meaning} |");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let promised = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(promised == page, "the codes differ from docs/errors.md: run the tests with BLESS=1");
}

#[test]
fn a_status_alone_is_called_as_the_codes_that_have_it() {
    for code in ErrorCode::ALL.iter().copied() {
        assert_eq!(IcebergCode::of_status(code.status()), IcebergCode::of(code), "{code:?}");
    }
    let told = |status: u16| IcebergCode::of_status(StatusCode::from_u16(status).unwrap());
    assert_eq!((told(418).status.as_u16(), told(418).kind), (418, "BadRequestException"));
    assert_eq!((told(599).status.as_u16(), told(599).kind), (599, "ServiceFailureException"));
    assert_eq!(told(504).kind, "ServiceUnavailableException");
}

#[test]
fn statements_fail_with_the_code_of_what_stopped_them() {
    let engine = |error: DataFusionError| QueryFailure::Engine(of_engine(error));
    let of_a_table = |kind: ErrorKind| {
        engine(DataFusionError::External(Box::new(Error::new(kind, "cannot read table \"t\""))))
    };
    for (failure, code) in [
        (engine(DataFusionError::Plan("no such column".into())), ErrorCode::InvalidArgument),
        (engine(DataFusionError::ResourcesExhausted("no more".into())), ErrorCode::MemoryTaken),
        (engine(DataFusionError::Internal("a fault".into())), ErrorCode::Internal),
        (of_a_table(ErrorKind::Unavailable), ErrorCode::Unavailable),
        (of_a_table(ErrorKind::Corrupt), ErrorCode::Corrupt),
        (QueryFailure::TimedOut(Duration::from_secs(1)), ErrorCode::TimedOut),
        (QueryFailure::TooManyRows(1), ErrorCode::PageTooLarge),
        (QueryFailure::Stalled, ErrorCode::MemoryTaken),
        (QueryFailure::NoThreads, ErrorCode::Unavailable),
        (QueryFailure::Busy, ErrorCode::Unavailable),
        (QueryFailure::BrokenOff, ErrorCode::Internal),
    ] {
        assert_eq!(ErrorCode::from(&failure), code, "{failure:?}");
    }
}

#[test]
fn errors_of_the_catalog_keep_their_kind_on_the_way_through_the_library() {
    use iceberg::ErrorKind as Kind;
    let of = |kind: Kind| IcebergCode::of_library(&iceberg::Error::new(kind, "no"));
    assert_eq!(of(Kind::TableNotFound), IcebergCode::NO_TABLE);
    assert_eq!(of(Kind::NamespaceNotFound), IcebergCode::NO_NAMESPACE);
    assert_eq!(of(Kind::DataInvalid), IcebergCode::of(ErrorCode::Corrupt));
    assert_eq!(of(Kind::Unexpected), IcebergCode::of(ErrorCode::Internal));
    assert_eq!(of(Kind::FeatureUnsupported).kind, "UnsupportedOperationException");
    let away = Error::new(ErrorKind::Unavailable, "the store does not answer");
    let told = iceberg::Error::new(Kind::Unexpected, "no").with_source(away);
    assert_eq!(IcebergCode::of_library(&told), IcebergCode::of(ErrorCode::Unavailable));
}

/// Answers that are no errors.
const NO_ERRORS: [&str; 4] = ["OK", "NO_CONTENT", "NOT_MODIFIED", "PERMANENT_REDIRECT"];

/// What a line of code chooses that the table should: a kind that is looked at, a status, a code of gRPC, a type of Iceberg.
fn chosen(line: &str) -> Option<&str> {
    let code = line.split("//").next().unwrap_or_default();
    // What stands behind each `name`, where that is a whole word and not one of `std::io`.
    let behind = |name: &'static str| {
        code.match_indices(name).filter_map(move |(at, _)| {
            let before = code.get(..at)?;
            let of_another =
                before.ends_with(|c: char| c.is_alphanumeric() || c == '_') || before.ends_with("io::");
            let end = |c: char| !c.is_alphanumeric() && c != '_';
            let word = code.get(at + name.len()..)?.split(end).next()?;
            (!of_another && !word.is_empty()).then_some(word)
        })
    };
    let is_constructor = |word: &&str| word.starts_with(char::is_lowercase) && !word.starts_with("from");
    behind("ErrorKind::")
        .next()
        .or_else(|| {
            behind("StatusCode::").find(|word| !NO_ERRORS.contains(word) && !word.starts_with("from"))
        })
        .or_else(|| behind("Code::").next())
        .or_else(|| behind("Status::").find(is_constructor))
        .or_else(|| code.contains("Exception\"").then_some(code))
}

/// The files of this room and their code, without tests.
fn files(folder: PathBuf, found: &mut BTreeMap<PathBuf, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true if path.ends_with("src/tests") => {}
            true => files(path, found),
            false if path.ends_with("tests.rs") => {}
            false => {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
                found.insert(path, code);
            }
        }
    }
}

#[test]
fn no_other_file_chooses_a_code() {
    for line in [
        "ErrorKind::Invalid => Status::invalid_argument(&error.message),",
        "if error.kind != ErrorKind::Internal {",
        "    StatusCode::BAD_REQUEST",
        "Err(Status::internal(text))",
        "tonic::Code::Aborted",
        "kind: \"NotFoundException\",",
    ] {
        assert!(chosen(line).is_some(), "{line}");
    }
    for line in [
        "(StatusCode::OK, Json(body)).into_response()",
        "io::ErrorKind::ConnectionRefused",
        "ErrorCode::Internal.status()",
        "EventStatus::Closed => Status::Closed,",
        "data.map_err(Status::from)",
        "// StatusCode::BAD_REQUEST",
    ] {
        assert_eq!(chosen(line), None, "{line}");
    }
    let mut room = BTreeMap::new();
    files(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut room);
    assert!(room.len() > 60, "{} files were read", room.len());
    let mut choosing: Vec<String> = vec![];
    for (path, code) in room {
        let lines = code.lines().filter_map(chosen);
        match path.ends_with("src/codes.rs") {
            true => assert!(lines.count() > 5, "the table is read"),
            false => choosing.extend(lines.map(|line| format!("{}: {}", path.display(), line.trim()))),
        }
    }
    assert!(choosing.is_empty(), "codes are chosen in codes.rs:\n{}", choosing.join("\n"));
}
