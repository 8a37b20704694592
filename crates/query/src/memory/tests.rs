#![allow(clippy::disallowed_methods, reason = "memory is watched by a thread, and for so long")]

use std::alloc::System;
use std::hint::black_box;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use seislake_model::Result;

use super::*;
use crate::asking::small_session;
use crate::error::OfEngine;
use crate::stop::Stop;
use crate::{Question, parse};

#[global_allocator]
static ALLOCATOR: CountingAllocator<System> = CountingAllocator(System);

const BYTES: usize = 1 << 20;
const TIME_MAX: Duration = Duration::from_millis(1500);

fn block(bytes: usize) -> Vec<u8> {
    black_box(vec![7; bytes])
}

#[test]
fn large_blocks_count_until_they_are_freed_by_any_thread() {
    let account = Arc::new(Account::default());
    let outside = block(BYTES);
    let counting = AccountScope::begin(Arc::clone(&account));
    let (first, second, small) = (block(BYTES), block(BYTES), block(100));
    drop(counting);
    let after = block(BYTES);
    assert_eq!(account.bytes(), 2 * BYTES);
    std::thread::spawn(move || drop(first)).join().unwrap();
    assert_eq!(account.bytes(), BYTES);
    drop((second, small, outside, after));
    assert_eq!(account.bytes(), 0);
    assert_eq!(Arc::strong_count(&account), 1);
}

#[test]
fn a_block_that_grows_or_shrinks_stays_with_its_owner() {
    let account = Arc::new(Account::default());
    let counting = AccountScope::begin(Arc::clone(&account));
    let mut bytes = block(BYTES);
    drop(counting);
    bytes.reserve_exact(2 * BYTES);
    assert_eq!(account.bytes(), 3 * BYTES);
    bytes.truncate(100);
    bytes.shrink_to_fit();
    assert_eq!(account.bytes(), 0);
    let other = Arc::new(Account::default());
    let _counting = AccountScope::begin(Arc::clone(&other));
    bytes.reserve_exact(BYTES);
    assert_eq!((account.bytes(), other.bytes()), (0, BYTES + 100));
}

#[test]
fn of_several_statements_those_end_that_hold_much() {
    let session = SessionMemory::of_pool(BYTES);
    let accounts: Vec<_> = (0..3).map(|_| Arc::new(Account::default())).collect();
    for (account, bytes) in accounts.iter().zip([BYTES, BYTES / 2, BYTES / 16]) {
        account.open(&session);
        account.add(bytes);
    }
    let ended = || accounts.iter().map(|account| account.check().is_err()).collect::<Vec<_>>();
    assert_eq!(ended(), [false, false, false]);
    accounts[0].add(BYTES);
    assert_eq!(ended(), [true, true, false]);
    accounts[0].take(2 * BYTES);
    assert_eq!(ended(), [false, false, false]);
    // What a statement leaves behind in caches counts for nobody.
    accounts[1].close();
    assert_eq!(session.bytes.load(Ordering::Relaxed), BYTES / 16);
    accounts[1].take(BYTES / 2);
    assert_eq!(session.bytes.load(Ordering::Relaxed), BYTES / 16);
}

/// A text and a list of hundreds of kilobytes, made once.
const TEXT: &str = "WITH t AS (SELECT 1 AS k, repeat(CAST(value AS VARCHAR), 500000) AS s FROM range(7, 8)) ";
const LIST: &str = "WITH t AS (SELECT 1 AS k, array_agg(value) AS a FROM range(0, 30000)) ";

/// What may come of a statement.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Rows,
    Refusal,
    /// Within its memory it works for long: it is broken off.
    Any,
}
use Outcome::{Any, Refusal, Rows};

/// What operators keep, and what they would make of it.
const WIDE: [(Outcome, &str, &str); 24] = [
    // A window keeps all rows, and gives a value for each.
    (Refusal, TEXT, "SELECT max(n) FROM (SELECT sum(length(s)) OVER () AS n FROM t, range(0, 1000))"),
    (
        Any,
        TEXT,
        "SELECT max(n) FROM (SELECT sum(length(s)) OVER (ORDER BY value ROWS BETWEEN 900 PRECEDING AND CURRENT ROW) AS n FROM t, range(0, 1000))",
    ),
    (
        Refusal,
        TEXT,
        "SELECT max(length(f)) FROM (SELECT first_value(s) OVER () AS f FROM (SELECT s FROM t UNION ALL SELECT 'y' FROM range(0, 2000)))",
    ),
    (
        Any,
        TEXT,
        "SELECT max(length(f)) FROM (SELECT nth_value(s, 1) OVER (ORDER BY k) AS f FROM (SELECT s, 0 AS k FROM t UNION ALL SELECT 'y', value FROM range(0, 2000)))",
    ),
    (
        Refusal,
        TEXT,
        "SELECT max(length(f)) FROM (SELECT max(s) OVER () AS f FROM (SELECT s FROM t UNION ALL SELECT 'a' FROM range(0, 2000)))",
    ),
    (
        Refusal,
        "",
        "SELECT max(length(f)) FROM (SELECT first_value(repeat('x', 10000)) OVER () AS f FROM range(0, 100000))",
    ),
    (
        Refusal,
        "",
        "SELECT max(length(f)) FROM (SELECT nth_value(arrow_cast(repeat('x', 10000), 'LargeUtf8'), 2) OVER () AS f FROM range(0, 100000))",
    ),
    (
        Any,
        "",
        "SELECT max(length(f)) FROM (SELECT lag('y', 1, repeat('x', 10000)) OVER (ORDER BY value) AS f FROM range(0, 100000))",
    ),
    (
        Any,
        "",
        "SELECT max(length(t)) FROM (SELECT string_agg(CAST(value AS VARCHAR), ',') OVER (ORDER BY value) AS t FROM range(0, 20000))",
    ),
    (
        Refusal,
        "",
        "SELECT max(length(t)) FROM (SELECT string_agg(CAST(value AS VARCHAR), ',') OVER () AS t FROM range(0, 20000))",
    ),
    (
        Refusal,
        "",
        "SELECT max(length(t)) FROM (SELECT string_agg(CAST(value AS VARCHAR), ',') FILTER (WHERE value > 0) OVER (ORDER BY value ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS t FROM range(0, 20000))",
    ),
    (
        Any,
        "",
        "SELECT max(cardinality(t)) FROM (SELECT array_agg(value) OVER (ORDER BY value) AS t FROM range(0, 20000))",
    ),
    (
        Rows,
        "",
        "SELECT max(length(t)) FROM (SELECT string_agg(CAST(value AS VARCHAR), ',') OVER (PARTITION BY value / 4 ORDER BY value) AS t FROM range(0, 20000))",
    ),
    // A join repeats wide rows.
    (Rows, LIST, "SELECT max(cardinality(a) + value) FROM t, range(0, 3000)"),
    (Rows, LIST, "SELECT max(cardinality(a) + value) FROM t JOIN range(0, 3000) ON cardinality(a) > value"),
    (
        Rows,
        LIST,
        "SELECT max(cardinality(a) + value) FROM t JOIN range(0, 3000) ON k = (value + 1) / (value + 1)",
    ),
    (
        Rows,
        LIST,
        "SELECT max(cardinality(a) + value) FROM range(0, 3000) LEFT JOIN t ON k = (value + 1) / (value + 1)",
    ),
    (
        Rows,
        TEXT,
        "SELECT max(length(s) + value) FROM t, (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS v(value), range(0, 100) AS r(n)",
    ),
    (Rows, TEXT, "SELECT s || value FROM t, range(0, 500)"),
    (
        Rows,
        TEXT,
        ", u AS (SELECT k, s FROM t UNION ALL SELECT value, 'short' FROM range(0, 20000)) SELECT max(length(s) + value) FROM u JOIN range(0, 20000) ON k = value",
    ),
    // Several wide values are calculated of each row.
    (
        Rows,
        "",
        "SELECT max(length(a)), max(length(b)), max(length(c)), max(length(d)), max(length(e)), max(length(f)) FROM (SELECT upper(substr(s, 1)) AS a, upper(substr(s, 2)) AS b, upper(substr(s, 3)) AS c, upper(substr(s, 4)) AS d, upper(substr(s, 5)) AS e, upper(substr(s, 6)) AS f FROM (SELECT repeat(CAST(value AS VARCHAR), 1500) AS s FROM range(1000, 5000)))",
    ),
    // Nests are measured with all that is in them.
    (
        Refusal,
        "",
        "SELECT count(u), max(length(a)) FROM (SELECT unnest(unnest(make_array(range(1, 60000)))) AS u, repeat(CAST(value AS VARCHAR), 30000) AS a FROM range(1, 2))",
    ),
    (
        Refusal,
        "",
        "SELECT count(u), max(length(n['a'])) FROM (SELECT unnest(range(1, 60000)) AS u, named_struct('a', repeat(CAST(value AS VARCHAR), 30000)) AS n FROM range(1, 2))",
    ),
    (
        Refusal,
        "",
        "SELECT count(u), max(length(a)) FROM (SELECT unnest(arrow_cast(range(0, 60000), 'FixedSizeList(60000, Int64)')) AS u, repeat(CAST(value AS VARCHAR), 30000) AS a FROM range(1, 2))",
    ),
];

/// Whatever comes of it, an answer or a refusal: at no time does a statement hold more than a few times the limit (64 MB).
#[test]
fn no_statement_holds_much_more_than_its_session_may() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for (outcome, begin, sql) in WIDE {
        let sql = &format!("{begin}{sql}");
        let context = small_session();
        let stop = Stop::default();
        let done = Arc::new(AtomicBool::new(false));
        let (watched, ended) = (stop.clone(), Arc::clone(&done));
        let watch = std::thread::spawn(move || {
            let (mut most, begin) = (0, Instant::now());
            while !ended.load(Ordering::Relaxed) {
                most = most.max(watched.account().bytes());
                std::thread::sleep(Duration::from_millis(1));
                // Within its memory it may work for as long as it likes; here it is broken off.
                if outcome == Any && begin.elapsed() > TIME_MAX {
                    watched.raise();
                }
            }
            most
        });
        let question = Question::new(sql.clone()).until(stop.clone());
        let answer = runtime.block_on(runtime.spawn(stop.counted(async move {
            let batches = parse(&context, question)?.plan().await?.execute().await?;
            // Read one after the other, as a door does.
            batches.try_fold(0, |rows, batch| async move { Ok(rows + batch.num_rows()) }).await.of_engine()
        })));
        let answer: Result<usize> = answer.unwrap();
        done.store(true, Ordering::Relaxed);
        let most = watch.join().unwrap();
        assert!(most < 256 << 20, "{} MB: {sql}: {answer:?}", most >> 20);
        let told = ["memory", "ask for less"];
        match &answer {
            Ok(_) => assert_ne!(outcome, Refusal, "{sql}"),
            Err(error) if outcome == Any && error.message.contains("was stopped") => {}
            Err(error) => {
                let refused = told.iter().any(|words| error.message.contains(words));
                assert!(refused && outcome != Rows, "{sql}: {error}");
            }
        }
        // Tasks of the engine are dropped a little later; what threads keep for their next task is not much.
        let end = Instant::now() + Duration::from_secs(10);
        while stop.account().bytes() >= BYTES && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(stop.account().bytes() < BYTES, "{} bytes: {sql}", stop.account().bytes());
    }
}
