//! What a stage has said already: found in the logs it writes to, by the input that each output names.

use std::time::Duration;

use seislake_model::{ErrorKind, Offset};

use super::checkpoint::{Checkpoint, CheckpointStore};
use super::wiring::StageWiring;
use crate::Error;
use crate::message::{Envelope, letter_of};
use crate::topic::{Record, Topic};

/// Last output already in a log: (input offset, index).
pub(super) type LastOutput = Option<(Offset, u32)>;

/// What an earlier life of the stage said after the checkpoint, and from where the logs were searched for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastOutputs {
    pub(super) output: LastOutput,
    pub(super) output_scan: Offset,
    pub(super) letter: LastOutput,
    pub(super) letter_scan: Offset,
}

impl LastOutputs {
    /// The first input from which nothing was said yet.
    pub(super) fn replayed_until(&self, input_next: Offset) -> Offset {
        let behind = |held: LastOutput| held.map_or(0, |(offset, _)| offset + 1);
        input_next.max(behind(self.output)).max(behind(self.letter))
    }
}

/// What was said after a checkpoint.
pub(super) async fn held_outputs(
    wiring: &StageWiring,
    checkpoint: &Checkpoint,
    end: Offset,
) -> Result<LastOutputs, Error> {
    Ok(LastOutputs {
        output: last_output(wiring.stage, wiring, checkpoint.output_next, end).await?,
        output_scan: checkpoint.output_next,
        letter: last_letter(wiring.stage, wiring, checkpoint.letters_next, end).await?,
        letter_scan: checkpoint.letters_next,
    })
}

/// Refuses a stage whose name stood for something else in this home: of another input, or another kind, it would say other
/// things beside what was said, and its rows would stand beside those of the other. Nothing is changed.
pub(super) async fn check_identity(wiring: &StageWiring, checkpoints: &CheckpointStore) -> Result<(), Error> {
    let (stage, kind, input) = (wiring.stage, wiring.kind, wiring.input.name());
    let refusal = |was: String| {
        let advice = "give it another name, or what it had";
        Err(Error::new(ErrorKind::Invalid, format!("the stage \"{stage}\" {was} in this home: {advice}")))
    };
    for (read, was_kind) in checkpoints.identities_of(stage)? {
        if read != input {
            return refusal(format!("has read the topic \"{read}\" and is to read \"{input}\" now"));
        }
        if let Some(was) = was_kind.filter(|was| was != kind) {
            return refusal(format!("was of the kind \"{was}\" and is to be of \"{kind}\" now"));
        }
    }
    // Checkpoints can be lost; what was said names its source too.
    let mut from = wiring.output.watermarks(0)?.start;
    let end = wiring.output.end_offset(0)?;
    while from < end {
        let records = wiring.output.read(0, from, 1 << 20, Duration::ZERO).await?;
        let Some(last) = records.last() else { break };
        from = last.offset + 1;
        let sources = records.iter().filter_map(|record| Some(Envelope::of(record).ok()?.source));
        if let Some(source) = sources.into_iter().find(|source| source.stage == stage) {
            return match source.topic == input {
                true => Ok(()),
                false => {
                    refusal(format!("has read the topic \"{}\" and is to read \"{input}\" now", source.topic))
                }
            };
        }
    }
    Ok(())
}

/// Last output of the stage in its output topic. What claims to come from behind the `end` of the input does not.
async fn last_output(
    stage: &str,
    wiring: &StageWiring,
    from: Offset,
    end: Offset,
) -> Result<LastOutput, Error> {
    let (topic, partition) = (wiring.input.name(), wiring.partition);
    last_of(&*wiring.output, 0, from, |record| {
        let source = Envelope::of(record).ok()?.source;
        let says = source.stage == stage || source.stage.is_empty();
        let ours = says && source.topic == topic && source.partition == partition && source.offset < end;
        ours.then_some((source.offset, source.index))
    })
    .await
}

/// The same for the dead letters of `stage`.
pub(super) async fn last_letter_in(
    letters: &dyn Topic,
    letters_partition: u32,
    stage: &str,
    from: Offset,
    end: Offset,
) -> Result<LastOutput, Error> {
    last_of(letters, letters_partition, from, |record| {
        let letter = letter_of(record).ok()?;
        let ours = letter.stage == stage && letter.position.offset < end;
        ours.then_some((letter.position.offset, letter.index))
    })
    .await
}

async fn last_letter(
    stage: &str,
    wiring: &StageWiring,
    from: Offset,
    end: Offset,
) -> Result<LastOutput, Error> {
    last_letter_in(&*wiring.letters, 1 + wiring.partition, stage, from, end).await
}

async fn last_of(
    topic: &dyn Topic,
    partition: u32,
    from: Offset,
    place: impl Fn(&Record) -> LastOutput + Send,
) -> Result<LastOutput, Error> {
    let watermarks = topic.watermarks(partition)?;
    let mut from = from.max(watermarks.start);
    let mut held = None;
    while from < watermarks.end {
        let records = topic.read(partition, from, 1 << 20, Duration::ZERO).await?;
        let Some(last) = records.last() else { break };
        from = last.offset + 1;
        held = records.iter().map(&place).fold(held, Option::max);
    }
    Ok(held)
}
