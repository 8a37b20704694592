//! Reading one channel-day back: by SQL, and through FDSN dataselect.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use datafusion::arrow::array::AsArray;
use futures::TryStreamExt;
use seislake_catalog::AsOf;
use seislake_lakehouse::{Lakehouse, Settings};
use seislake_tables::{listed, packets, segments};

use super::measure::{Measure, seislake};

const RUNS: usize = 5;
const DATASELECT: &str = "/fdsnws/dataselect/1/query?net=XX&sta=B0001&loc=--&cha=HHZ\
                          &start=2024-01-02T00:00:00&end=2024-01-03T00:00:00";
const START_WAIT: Duration = Duration::from_secs(60);

/// Bytes of the files of `waveform.segments`.
pub(crate) fn stored_bytes(home: &Path) -> anyhow::Result<f64> {
    wait(async {
        let lakehouse = Lakehouse::open_for_reading(home, &Settings::load(None)?).await?;
        let bytes = lakehouse.lake().stored_bytes("waveform.segments").await?;
        Ok(bytes as f64)
    })
}

/// Bytes of the records that `waveform.packets` names.
pub(crate) fn record_bytes(home: &Path) -> anyhow::Result<f64> {
    let sql = format!(
        "SELECT CAST(coalesce(sum({}), 0) AS BIGINT) FROM {}",
        packets::names::byte_count,
        packets::TABLE
    );
    wait(async {
        let lakehouse = Lakehouse::open_for_reading(home, &Settings::load(None)?).await?;
        Ok(lakehouse.count(&sql).await? as f64)
    })
}

pub(crate) fn run(home: &Path, samples: usize) -> anyhow::Result<Vec<Measure>> {
    let by_sql_s = wait(by_sql(home, samples))?;
    let streamed = dataselect(home)?;
    let rate = samples as f64 / streamed.1 / 1e6;
    Ok(vec![
        Measure::new(format!("one channel-day by SQL, warm, best of {RUNS}"), by_sql_s, "s").at_most(0.1),
        Measure::new(
            format!("one channel-day by FDSN dataselect ({:.1} MB)", streamed.0 as f64 / 1e6),
            rate,
            "M samples/s",
        )
        .at_least(50.0),
    ])
}

fn wait<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

/// Best time of several runs.
async fn by_sql(home: &Path, samples: usize) -> anyhow::Result<f64> {
    let lakehouse = Lakehouse::open_for_reading(home, &Settings::load(None)?).await?;
    let session = lakehouse.session_as_of(AsOf::Latest)?;
    let sql = format!(
        "SELECT {} FROM {} WHERE {} = 'FDSN:XX_B0001__H_H_Z' ORDER BY {start}",
        listed(&[segments::names::start_ns, segments::names::samples]),
        segments::TABLE,
        segments::names::source_id,
        start = segments::names::start_ns
    );
    let mut best_s = f64::INFINITY;
    for _ in 0..RUNS {
        let begin = Instant::now();
        let mut batches = seislake_query::query(&session, &sql).await?;
        let mut found = 0;
        while let Some(batch) = batches.try_next().await? {
            found += batch.column(1).as_list::<i32>().iter().flatten().map(|list| list.len()).sum::<usize>();
        }
        best_s = best_s.min(begin.elapsed().as_secs_f64());
        if found != samples {
            bail!("the channel-day has {found} samples, {samples} were written");
        }
    }
    Ok(best_s)
}

/// A server that ends with the benchmark.
struct ServerProcess(Child);

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Bytes, and the best time of several runs.
fn dataselect(home: &Path) -> anyhow::Result<(usize, f64)> {
    let child = seislake()?
        .args(["serve", "--http", "127.0.0.1:0", "--flight", "127.0.0.1:0", "--home"])
        .arg(home)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start a server")?;
    let _served = ServerProcess(child);
    let begin = Instant::now();
    let address = loop {
        let text = std::fs::read(home.join("run/addresses.json")).unwrap_or_default();
        let json: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        if let Some(address) = json["http"].as_str() {
            break address.to_owned();
        }
        if begin.elapsed() > START_WAIT {
            bail!("the server did not start");
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let (mut bytes, mut best_s) = (0, f64::INFINITY);
    for _ in 0..RUNS {
        let begin = Instant::now();
        let mut stream = TcpStream::connect(&address)?;
        write!(stream, "GET {DATASELECT} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        best_s = best_s.min(begin.elapsed().as_secs_f64());
        if !answer.starts_with(b"HTTP/1.0 200") && !answer.starts_with(b"HTTP/1.1 200") {
            let line = answer.split(|byte| *byte == b'\n').next().unwrap_or_default();
            bail!("dataselect answered {}", String::from_utf8_lossy(line).trim());
        }
        bytes = answer.len();
    }
    Ok((bytes, best_s))
}
