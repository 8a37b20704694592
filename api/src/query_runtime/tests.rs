use std::time::Instant;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arrow::datatypes::DataType;
use datafusion::catalog::MemoryCatalogProvider;
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use futures::StreamExt;
use seislake_query::{CountingAllocator, SessionSettings, Stop};

use super::*;

/// As in the binary: memory of statements is counted where it is allocated.
#[global_allocator]
static ALLOCATOR: CountingAllocator<std::alloc::System> = CountingAllocator(std::alloc::System);

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

/// Calls of `hold()` that have begun, and whether they may come back.
#[derive(Default)]
struct Holding {
    begun: AtomicUsize,
    released: AtomicBool,
}

impl Holding {
    /// The session with `hold()`: a call that comes back when it is released, whoever wants it or not.
    fn session(self: &Arc<Self>, session: &SessionContext) -> SessionContext {
        let holding = Arc::clone(self);
        let hold = move |arguments: &[ColumnarValue]| {
            holding.begun.fetch_add(1, Ordering::Relaxed);
            while !holding.released.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(arguments[0].clone())
        };
        let number = DataType::Int64;
        let hold = create_udf("hold", vec![number.clone()], number, Volatility::Volatile, Arc::new(hold));
        let session = SessionContext::new_with_state(session.state());
        session.register_udf(hold);
        session
    }

    /// Begins a statement that holds a thread, and gives it up.
    async fn hold(&self, runtime: &QueryRuntime, session: &SessionContext, asker: &Asker) {
        let before = self.begun.load(Ordering::Relaxed);
        let question = Question::new("SELECT hold(value) FROM range(0, 9)");
        let time = TimeLimit::Whole(Duration::from_secs(60));
        let answer = runtime.run(asker.clone(), session.clone(), question, time).await.unwrap();
        wait_until("the call begins", || self.begun.load(Ordering::Relaxed) > before).await;
        drop(answer);
    }
}

async fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(50), "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

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
    let place = tokio::time::timeout(Duration::from_secs(20), again.0.doors.places.take(&asker())).await;
    drop(place.expect("the statement goes on").unwrap());
    assert_eq!(rows(&again, &session, "SELECT 1").await.unwrap(), 1);
}

#[tokio::test]
async fn a_dropped_answer_ends_its_statement() {
    let (runtime, session) = runtime(QueryLimits { concurrency: 1, ..QueryLimits::default() });
    let time = TimeLimit::Whole(Duration::from_secs(60));
    let stream = runtime.run(asker(), session.clone(), Question::new(ENDLESS), time).await.unwrap();
    drop(stream);
    let place = tokio::time::timeout(Duration::from_secs(20), runtime.0.doors.places.take(&asker())).await;
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

/// A limit that is only looked at when the reader asks for more does not hold for one that never does.
#[tokio::test]
async fn the_time_of_an_answer_ends_although_nobody_reads_it() {
    let (runtime, session) = runtime(QueryLimits::default());
    let pool = Arc::clone(&session.runtime_env().memory_pool);
    let sql = "SELECT a.value FROM range(0, 600000) AS a JOIN range(0, 600000) AS b ON a.value = b.value";
    let time = TimeLimit::Whole(Duration::from_secs(6));
    let answer = runtime.run(asker(), session.clone(), Question::new(sql), time).await.unwrap();
    let mut parts = Box::pin(runtime.answer_in_parts(answer.ending(), answer));
    parts.next().await.unwrap().unwrap();
    assert!(pool.reserved() > 0, "the join holds nothing");
    wait_until("its memory is given back", || pool.reserved() == 0).await;
    let rest: Vec<_> = parts.collect().await;
    assert!(matches!(rest.last(), Some(Err(QueryFailure::TimedOut(_)))), "{} parts", rest.len());
}

#[tokio::test]
async fn answers_that_nobody_reads_leave_memory_to_others() {
    let runtime = QueryRuntime::start(QueryLimits::default()).unwrap();
    // Each is small, so that none is ended for what it holds itself.
    let settings =
        SessionSettings { memory_bytes_max: 8 << 20, batch_size: 256, ..SessionSettings::default() };
    let session = seislake_query::session(Arc::new(MemoryCatalogProvider::new()), &settings).unwrap();
    let sql = "SELECT repeat('x', 500) || value FROM range(0, 1000000)";
    let mut unread = Vec::new();
    for _ in 0..80 {
        let time = TimeLimit::Whole(Duration::from_secs(600));
        let answer = runtime.run(asker(), session.clone(), Question::new(sql), time).await.unwrap();
        unread.push((answer.ending(), Box::pin(runtime.answer_in_parts(answer.ending(), answer))));
    }
    wait_until("memory is left", || unread.iter().all(|(ending, _)| !ending.stop.is_short_of_memory())).await;
    let mut ended = 0;
    for (_, mut parts) in unread {
        for _ in 0..6 {
            match parts.next().await {
                Some(Err(QueryFailure::Stalled)) => ended += 1,
                Some(part) => drop(part.unwrap()),
                None => break,
            }
        }
    }
    assert!(ended > 0, "nobody was ended");
    assert_eq!(rows(&runtime, &session, "SELECT * FROM range(0, 1000)").await.unwrap(), 1000);
}

const SHORT_GRACE: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_thread_that_does_not_come_back_is_replaced_and_told() {
    let limits =
        QueryLimits { thread_count: 1, concurrency: 1, grace: SHORT_GRACE, ..QueryLimits::default() };
    let (runtime, session) = runtime(limits);
    let holding = Arc::new(Holding::default());
    let session = holding.session(&session);
    holding.hold(&runtime, &session, &asker()).await;
    // It comes while the only thread and the only place are held, and is answered by the fresh one.
    let answer = rows(&runtime, &session, "SELECT * FROM range(0, 3)");
    let answer = tokio::time::timeout(Duration::from_secs(50), answer).await;
    assert_eq!(answer.expect("nobody took it over").unwrap(), 3);
    let held = |count, exhausted| HeldThreads { name: "doors", count, exhausted };
    wait_until("one thread is held", || runtime.held_threads()[1] == held(1, false)).await;
    holding.released.store(true, Ordering::Relaxed);
    wait_until("none is", || runtime.held_threads()[1] == held(0, false)).await;
}

#[tokio::test]
async fn when_all_threads_are_held_statements_are_refused_until_one_comes_back() {
    let limits = QueryLimits { thread_count: 1, grace: SHORT_GRACE, ..QueryLimits::default() };
    let (runtime, session) = runtime(limits);
    let holding = Arc::new(Holding::default());
    let session = holding.session(&session);
    for count in 1..=8 {
        assert!(!runtime.held_threads()[1].exhausted, "{:?}", runtime.held_threads());
        holding.hold(&runtime, &session, &asker()).await;
        wait_until("it is seen", || runtime.held_threads()[1].count == count).await;
    }
    assert!(runtime.held_threads()[1].exhausted, "{:?}", runtime.held_threads());
    let refused = rows(&runtime, &session, "SELECT 1").await.unwrap_err();
    assert!(matches!(refused, QueryFailure::NoThreads), "{refused}");
    holding.released.store(true, Ordering::Relaxed);
    wait_until("there are threads again", || !runtime.held_threads()[1].exhausted).await;
    assert_eq!(rows(&runtime, &session, "SELECT 1").await.unwrap(), 1);
}

#[tokio::test]
async fn statements_of_clients_do_not_hold_up_those_of_the_doors() {
    let limits = QueryLimits { thread_count: 1, concurrency: 2, ..QueryLimits::default() };
    let (runtime, session) = runtime(limits);
    let holding = Arc::new(Holding::default());
    let session = holding.session(&session);
    holding.hold(&runtime, &session, &Asker::new("flight", "one")).await;
    let waiting = (0..3).map(|_| {
        let (runtime, session) = (runtime.clone(), session.clone());
        let time = TimeLimit::Whole(runtime.time_max());
        tokio::spawn(async move {
            runtime.run(Asker::new("flight", "other"), session, Question::new("SELECT 1"), time).await
        })
    });
    let waiting: Vec<_> = waiting.collect();
    let answer = tokio::time::timeout(Duration::from_secs(50), rows(&runtime, &session, "SELECT 1")).await;
    assert_eq!(answer.expect("the door waits for them").unwrap(), 1);
    holding.released.store(true, Ordering::Relaxed);
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn an_answer_with_too_many_rows_ends_with_an_error() {
    let (runtime, session) = runtime(QueryLimits { row_count_max: 10_000, ..QueryLimits::default() });
    assert_eq!(rows(&runtime, &session, "SELECT * FROM range(0, 10000)").await.unwrap(), 10_000);
    let refused = rows(&runtime, &session, "SELECT * FROM range(0, 10001)").await.unwrap_err();
    assert!(matches!(refused, QueryFailure::TooManyRows(10_000)), "{refused}");
    assert!(refused.to_string().contains("query.row_count"), "{refused}");
}

#[tokio::test]
async fn answers_are_written_on_threads_of_their_own_and_end_with_who_waits() {
    let (runtime, _) = runtime(QueryLimits::default());
    let name = runtime.answer(async { std::thread::current().name().map(str::to_owned) }).await;
    assert_eq!(name.as_deref(), Some("answers"));
    let ending = Ending { stop: Stop::default(), time: None };
    let parts = futures::stream::iter((0..1000).map(Ok::<_, QueryFailure>));
    assert_eq!(runtime.answer_in_parts(ending, parts).count().await, 1000);
    let (alive, gone) = tokio::sync::oneshot::channel::<()>();
    let endless = runtime.answer(async move {
        let _alive = alive;
        std::future::pending::<()>().await;
    });
    assert!(tokio::time::timeout(Duration::from_millis(20), endless).await.is_err());
    assert!(tokio::time::timeout(Duration::from_secs(20), gone).await.expect("it goes on").is_err());
}
