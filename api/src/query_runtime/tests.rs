use std::time::Instant;

use datafusion::catalog::MemoryCatalogProvider;
use futures::StreamExt;
use seislake_query::SessionSettings;

use super::*;

fn runtime(limits: QueryLimits) -> (QueryRuntime, SessionContext) {
    let runtime = QueryRuntime::start(limits).unwrap();
    let session =
        seislake_query::session(Arc::new(MemoryCatalogProvider::new()), &SessionSettings::default()).unwrap();
    (runtime, session)
}

fn asker() -> Asker {
    Asker::new("test", "")
}

/// Pairs without end that no operator gives up by itself.
const ENDLESS: &str =
    "SELECT count(*) FROM range(0, 3000000) AS a(x), range(0, 3000000) AS b(y) WHERE x + y = -1";

async fn rows(runtime: &QueryRuntime, session: &SessionContext, sql: &str) -> Result<usize, QueryFailure> {
    let time = TimeLimit::Whole(runtime.time_max());
    let mut stream = runtime.run(asker(), session.clone(), Question::new(sql), time).await?;
    let mut count = 0;
    while let Some(batch) = stream.next().await {
        count += batch?.num_rows();
    }
    Ok(count)
}

#[tokio::test]
async fn answers_and_refusals_come_through() {
    let (runtime, session) = runtime(QueryLimits::default());
    assert_eq!(rows(&runtime, &session, "SELECT * FROM range(0, 100000)").await.unwrap(), 100_000);
    let refused = rows(&runtime, &session, "SELECT nothing").await.unwrap_err();
    assert!(
        matches!(&refused, QueryFailure::Engine(error) if error.message.contains("nothing")),
        "{refused}"
    );
}

#[tokio::test]
async fn endless_pairs_end_with_their_time_and_free_their_place() {
    let limits =
        QueryLimits { concurrency: 1, time_max: Duration::from_millis(300), ..QueryLimits::default() };
    let (runtime, session) = runtime(limits);
    let began = Instant::now();
    let failure = rows(&runtime, &session, ENDLESS).await.unwrap_err();
    assert!(matches!(failure, QueryFailure::TimedOut(_)), "{failure}");
    assert!(began.elapsed() < Duration::from_secs(5));
    // The only place is free again: the statement has really ended.
    let (again, session) = (QueryRuntime(Arc::clone(&runtime.0)), session);
    let place = tokio::time::timeout(Duration::from_secs(20), again.0.places.take(&asker())).await;
    drop(place.expect("the statement goes on").unwrap());
    assert_eq!(rows(&again, &session, "SELECT 1").await.unwrap(), 1);
}

#[tokio::test]
async fn a_dropped_answer_ends_its_statement() {
    let (runtime, session) = runtime(QueryLimits { concurrency: 1, ..QueryLimits::default() });
    let time = TimeLimit::Whole(Duration::from_secs(60));
    let stream = runtime.run(asker(), session.clone(), Question::new(ENDLESS), time).await.unwrap();
    drop(stream);
    let place = tokio::time::timeout(Duration::from_secs(20), runtime.0.places.take(&asker())).await;
    drop(place.expect("the statement goes on").unwrap());
}

#[tokio::test]
async fn a_slow_reader_keeps_no_place() {
    let (runtime, session) = runtime(QueryLimits { concurrency: 1, ..QueryLimits::default() });
    let time = TimeLimit::Waiting(Duration::from_secs(60));
    let question = Question::new("SELECT * FROM range(0, 1000000)");
    let mut slow = runtime.run(asker(), session.clone(), question, time).await.unwrap();
    slow.next().await.unwrap().unwrap();
    assert_eq!(rows(&runtime, &session, "SELECT 1").await.unwrap(), 1);
    let mut count = 0;
    while let Some(batch) = slow.next().await {
        count += batch.unwrap().num_rows();
    }
    assert!(count > 900_000);
}

#[tokio::test]
async fn deep_statements_run_beside_each_other() {
    let (runtime, session) = runtime(QueryLimits { concurrency: 2, ..QueryLimits::default() });
    let sql = format!("SELECT x FROM (VALUES (1)) AS t(x) WHERE {}", vec!["x = 1"; 1500].join(" AND "));
    let both = tokio::join!(rows(&runtime, &session, &sql), rows(&runtime, &session, &sql));
    assert_eq!((both.0.unwrap(), both.1.unwrap()), (1, 1));
}
