//! Whether the parts of a running home can do their work.

use seislake_streams::gate::Gate;
use seislake_streams::runtime::Pipeline;

use crate::Lakehouse;

/// Where the operator finds what a probe does not tell everybody.
const SEE_CHECK: &str = "`seislake home check` and the log of the server name the files";

/// A stage further behind than this is not ready.
const LAG_RECORDS_MAX: u64 = 1_000_000;

/// Each part, with `Ok` or why it is not ready.
pub async fn check(
    lakehouse: &Lakehouse,
    gate: &Gate,
    pipeline: &Pipeline,
) -> [(&'static str, Result<(), String>); 4] {
    [
        ("catalog", catalog(lakehouse).await),
        ("log", log(gate)),
        ("pipeline", stages(pipeline)),
        ("warehouse", warehouse(lakehouse).await),
    ]
}

async fn catalog(lakehouse: &Lakehouse) -> Result<(), String> {
    let lake = lakehouse.lake();
    let hidden = lake.hidden().await.map_err(|error| error.to_string())?;
    match hidden.first_key_value() {
        None => lake.tables().await.map(drop).map_err(|error| error.to_string()),
        Some((table, what)) => Err(format!(
            "it is older than the files of {} tables, \"{table}\" for one, and hides {what} ({SEE_CHECK})",
            hidden.len()
        )),
    }
}

fn log(gate: &Gate) -> Result<(), String> {
    match gate.is_failing() {
        false => Ok(()),
        true => Err("it could not take the last records; the log of the server says why".to_owned()),
    }
}

fn stages(pipeline: &Pipeline) -> Result<(), String> {
    if let Some(reason) = pipeline.failing() {
        return Err(reason);
    }
    let lags = pipeline.lags().map_err(|error| error.to_string())?;
    match lags.iter().find(|lag| lag.end.saturating_sub(lag.next) > LAG_RECORDS_MAX) {
        Some(lag) => Err(format!("stage \"{}\" is {} records behind", lag.stage, lag.end - lag.next)),
        None => Ok(()),
    }
}

async fn warehouse(lakehouse: &Lakehouse) -> Result<(), String> {
    let damages = lakehouse.lake().damages().await;
    match damages.first_key_value() {
        None => Ok(()),
        Some((file, what)) => {
            let table = file.split('/').take(2).collect::<Vec<_>>().join(".");
            Err(format!(
                "{} files cannot be used, one of \"{table}\" first: {what} ({SEE_CHECK})",
                damages.len()
            ))
        }
    }
}
