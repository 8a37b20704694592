//! Whether the process lives, whether it can do its work, how it does, and what it is.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::Shared;
use crate::error::{ApiError, ErrorCode};

pub(super) async fn live() -> Json<Value> {
    Json(json!({"status": "alive"}))
}

pub(super) async fn ready(State(shared): State<Shared>) -> Response {
    let mut parts = Map::new();
    let mut all_ready = true;
    for (part, state) in shared.state.readiness.check().await {
        all_ready &= state.is_ok();
        let word = state.err().map_or_else(|| "ready".to_owned(), |reason| without_paths(&reason));
        parts.insert(part, Value::String(word));
    }
    for (part, note) in shared.state.readiness.notes() {
        if parts.get(&part).is_some_and(|state| state == "ready") {
            parts.insert(part, Value::String(format!("ready; {note}")));
        }
    }
    let (status, word) =
        if all_ready { (StatusCode::OK, "ready") } else { (ErrorCode::Unavailable.status(), "not ready") };
    (status, Json(json!({"status": word, "parts": parts}))).into_response()
}

/// What stands for a path of the machine.
const SOME_FILE: &str = "…";

/// A reason as everybody may read it: where the files of this machine lie is for its log. Quoted texts and words that hold a
/// slash are left out.
fn without_paths(reason: &str) -> String {
    let mut text = String::new();
    // Every second part stands between quotes.
    for (index, part) in reason.split('"').enumerate() {
        match index % 2 {
            0 => {
                let words = part.split(' ').map(|word| if is_path(word) { SOME_FILE } else { word });
                text.push_str(&words.collect::<Vec<_>>().join(" "));
            }
            _ if is_path(part) => text.push_str(&format!("\"{SOME_FILE}\"")),
            _ => text.push_str(&format!("\"{part}\"")),
        }
    }
    text
}

fn is_path(word: &str) -> bool {
    word.contains(['/', '\\'])
}

pub(super) async fn metrics(State(shared): State<Shared>) -> Result<Response, ApiError> {
    let metrics =
        shared.state.metrics.as_ref().ok_or_else(|| ApiError::not_found("this process keeps no metrics"))?;
    let headers = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((headers, metrics.render()).into_response())
}

pub(super) async fn version() -> Json<Value> {
    Json(json!({"name": "seislake", "version": env!("CARGO_PKG_VERSION")}))
}

#[cfg(test)]
mod tests {
    use super::without_paths;

    #[test]
    fn reasons_for_everybody_name_no_file_of_the_machine() {
        for (reason, told) in [
            ("it stands still", "it stands still"),
            (
                "the runner \"waveforms\" waits: cannot write table \"waveform.packets\": open \"/srv/my home/x.parquet\": no",
                "the runner \"waveforms\" waits: cannot write table \"waveform.packets\": open \"…\": no",
            ),
            ("Not a directory /srv/home/data (os error 20)", "Not a directory … (os error 20)"),
            ("at file:///srv/home/x.avro: gone", "at … gone"),
            ("an odd \"quote", "an odd \"quote\""),
        ] {
            assert_eq!(without_paths(reason), told);
        }
    }
}
