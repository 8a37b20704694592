//! A stage runner alone: what it has said before it does not say again, however lives and checkpoints fall.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use seislake_model::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::message::{Envelope, Message, Watermark, letter_of};
use crate::runtime::{CheckpointStore, Output, Stage, StageRunner, StageSettings, StageWiring};
use crate::topic::{MemoryTopic, NewRecord, Record, Topic};

/// Says the running sum of its input, times a factor, twice; refuses odd input. One that is `BRITTLE` fails at some numbers
/// after it has changed its state and said something.
#[derive(Debug)]
struct Sum<const BRITTLE: bool> {
    sum: i64,
    factor: i64,
}

impl<const BRITTLE: bool> Stage for Sum<BRITTLE> {
    const NAME: &'static str = "sum";
    const STATE_VERSION: u32 = 1;
    type Config = i64;
    type Settings = i64;
    type State = i64;

    fn settings(factor: &i64) -> i64 {
        *factor
    }

    fn with_settings(_: &i64, factor: i64) -> i64 {
        factor
    }

    fn init(factor: &i64) -> Result<Self, Error> {
        Self::restore(factor, 0)
    }

    fn process(&mut self, record: &Record, out: &mut Output) -> Result<(), Error> {
        let number = i64::from(record.value[0]);
        if number % 2 == 1 {
            out.reject(record, format!("{number} is odd"))?;
        }
        self.sum += number * self.factor;
        for _ in 0..2 {
            let watermark = Watermark(Timestamp::from_nanos(self.sum));
            out.emit(Message::Watermark { watermark, partition: 0, partition_count: 1 })?;
        }
        match number {
            20 | 21 if BRITTLE => panic!("twenty is too much"),
            40 if BRITTLE => Err(Error::new(seislake_model::ErrorKind::Internal, "forty is too much")),
            _ => Ok(()),
        }
    }

    fn snapshot(&self) -> i64 {
        self.sum
    }

    fn restore(factor: &i64, sum: i64) -> Result<Self, Error> {
        Ok(Self { sum, factor: *factor })
    }
}

/// The first `count` records of the input.
async fn input(count: u8) -> Arc<dyn Topic> {
    let topic = MemoryTopic::new("numbers", 1);
    for number in 0..count {
        let value = Bytes::from(vec![number]);
        topic.append(0, vec![NewRecord { key: Bytes::new(), value, arrival_time: None }]).await.unwrap();
    }
    Arc::new(topic)
}

struct Ground {
    output: Arc<dyn Topic>,
    letters: Arc<dyn Topic>,
    checkpoints: CheckpointStore,
}

impl Ground {
    fn new() -> Self {
        Self {
            output: Arc::new(MemoryTopic::new("sums", 1)),
            letters: Arc::new(MemoryTopic::new("numbers.dlq", 2)),
            checkpoints: CheckpointStore::memory().unwrap(),
        }
    }

    async fn open<S: Stage<Config = i64>>(
        &self,
        factor: i64,
        count: u8,
        checkpoint_records: u64,
    ) -> StageRunner<S> {
        let settings = StageSettings {
            read_bytes: 3,
            checkpoint_records,
            checkpoint_interval: Duration::from_secs(3600),
        };
        let wiring = StageWiring {
            stage: S::NAME,
            kind: S::NAME,
            input: input(count).await,
            partition: 0,
            output: Arc::clone(&self.output),
            letters: Arc::clone(&self.letters),
        };
        StageRunner::<S>::open(&factor, wiring, settings, self.checkpoints.clone()).await.unwrap()
    }

    /// A life over `count` records; `checkpoint_records` says how often it remembers.
    async fn live(&self, count: u8, checkpoint_records: u64, ending: Ending) {
        self.live_until(count, count, checkpoint_records, ending).await;
    }

    /// The same, ending when the first `passed` of them have passed.
    async fn live_until(&self, count: u8, passed: u8, checkpoint_records: u64, ending: Ending) {
        self.live_with(1, (count, passed), checkpoint_records, ending).await;
    }

    /// The same with a factor.
    async fn live_with(
        &self,
        factor: i64,
        (count, passed): (u8, u8),
        checkpoint_records: u64,
        ending: Ending,
    ) {
        let runner = self.open::<Sum<false>>(factor, count, checkpoint_records).await;
        let mut progress = runner.progress();
        let stop = CancellationToken::new();
        let task = tokio::spawn(runner.run(stop.clone()));
        progress.wait_for(|next| *next >= u64::from(passed)).await.unwrap();
        match ending {
            Ending::Crash => task.abort(),
            Ending::Order => stop.cancel(),
        }
        let _ = task.await;
    }

    async fn check(&self, count: u8) {
        self.check_with(count, |_| 1).await;
    }

    /// Everything was said once, each sum with the factor of its number.
    async fn check_with(&self, count: u8, factor_of: impl Fn(u64) -> i64) {
        let records = self.output.read(0, 0, usize::MAX, Duration::ZERO).await.unwrap();
        let said: Vec<(u64, u32, i64)> = records
            .iter()
            .map(|record| {
                let envelope = Envelope::of(record).unwrap();
                let Message::Watermark { watermark, .. } = envelope.message else { unreachable!() };
                (envelope.source.offset, envelope.source.index, watermark.0.nanos())
            })
            .collect();
        let mut sum = 0;
        let expected: Vec<_> = (0..u64::from(count))
            .flat_map(|n| {
                sum += n as i64 * factor_of(n);
                [(n, 0, sum), (n, 1, sum)]
            })
            .collect();
        assert_eq!(said, expected);
        let letters = self.letters.read(1, 0, usize::MAX, Duration::ZERO).await.unwrap();
        let refused: Vec<_> =
            letters.iter().map(|record| letter_of(record).unwrap().position.offset).collect();
        assert_eq!(refused, (0..u64::from(count)).filter(|n| n % 2 == 1).collect::<Vec<_>>());
    }
}

#[derive(Clone, Copy)]
enum Ending {
    Crash,
    Order,
}

#[tokio::test]
async fn a_crash_without_any_checkpoint_repeats_nothing() {
    let ground = Ground::new();
    ground.live(60, u64::MAX, Ending::Crash).await;
    ground.live(100, u64::MAX, Ending::Crash).await;
    ground.check(100).await;
}

#[tokio::test]
async fn a_checkpoint_taken_while_replaying_does_not_forget_what_was_said_before() {
    let ground = Ground::new();
    ground.live(100, u64::MAX, Ending::Crash).await;
    // These lives end earlier than the first: their checkpoints fall into the replay.
    ground.live_until(100, 10, 1, Ending::Order).await;
    ground.live_until(100, 30, 1, Ending::Order).await;
    ground.live(100, 7, Ending::Order).await;
    ground.live(120, 7, Ending::Order).await;
    ground.check(120).await;
}

#[tokio::test]
async fn a_record_at_which_a_stage_fails_is_passed_over_and_told_of_once() {
    for checkpoint_records in [1, 7, u64::MAX] {
        let ground = Ground::new();
        for count in [30, 60] {
            let runner = ground.open::<Sum<true>>(1, count, checkpoint_records).await;
            let mut progress = runner.progress();
            let stop = CancellationToken::new();
            let task = tokio::spawn(runner.run(stop.clone()));
            progress.wait_for(|next| *next == u64::from(count)).await.unwrap();
            // A crash: the next life fails at the same records again.
            task.abort();
            let _ = task.await;
        }
        let records = ground.output.read(0, 0, usize::MAX, Duration::ZERO).await.unwrap();
        let said: Vec<(u64, i64)> = records
            .iter()
            .map(|record| {
                let envelope = Envelope::of(record).unwrap();
                let Message::Watermark { watermark, .. } = envelope.message else { unreachable!() };
                (envelope.source.offset, watermark.0.nanos())
            })
            .collect();
        let mut sum = 0;
        let mut expected = Vec::new();
        for number in (0..60).filter(|number| ![20, 21, 40].contains(number)) {
            sum += number;
            expected.extend([(number as u64, sum); 2]);
        }
        assert_eq!(said, expected, "a checkpoint after {checkpoint_records} records");
        let letters = ground.letters.read(1, 0, usize::MAX, Duration::ZERO).await.unwrap();
        let failed: Vec<u64> = letters
            .iter()
            .map(|record| letter_of(record).unwrap())
            .filter(|letter| letter.reason.contains("is too much"))
            .map(|letter| letter.position.offset)
            .collect();
        assert_eq!(failed, [20, 21, 40]);
    }
}

#[tokio::test]
async fn other_settings_hold_from_the_first_record_of_which_nothing_was_said() {
    for checkpoint_records in [u64::MAX, 7, 1] {
        for ending in [Ending::Crash, Ending::Order] {
            let ground = Ground::new();
            ground.live_with(1, (60, 60), checkpoint_records, ending).await;
            // A life that ends in the midst of the replay changes nothing.
            ground.live_with(10, (100, 40), 3, Ending::Order).await;
            ground.live_with(10, (100, 100), checkpoint_records, ending).await;
            ground.live_with(1, (120, 120), checkpoint_records, Ending::Order).await;
            let factor = |n: u64| if (60..100).contains(&n) { 10 } else { 1 };
            ground.check_with(120, factor).await;
        }
    }
}
