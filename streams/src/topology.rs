//! The path as data: which stages there are, what each reads and says, and which rows its messages make. Topics, dead
//! letters, sinks, the feed and the lag of a home follow from it.
//!
//! ```text
//! waveforms.raw ─► stage ─► output topic ─┬─► the stages that name it as their input
//!                                         └─► rows of its tables, committed by the sinks of its group
//! ```

mod own;
mod settings;

use std::collections::BTreeSet;

use futures::future::BoxFuture;
use seislake_model::ErrorKind;
use seislake_tables::{TableBatch, TableDef, dead_letters, packets, segments};

pub use self::own::OwnStage;
pub(crate) use self::settings::typed;
pub use self::settings::{Sections, SettingsSpec};
use crate::Error;
use crate::message::{Message, PROPOSALS, WAVEFORMS_RAW, dead_letter_topic};
use crate::runtime::{Builder, StageContext, StageWiring};
use crate::stages::STAGES;

/// A stage of the path.
pub struct StageSpec {
    /// Name in settings.
    pub name: &'static str,
    /// Name that what it says, its checkpoints, dead letters and metrics bear: its own, or that of the stage which it
    /// replaces.
    pub log_name: &'static str,
    /// What it does: the name of the stage of [`STAGES`] that it is, its own there.
    pub kind: &'static str,
    /// Topic that it reads: `waveforms.raw`, or the output of a stage before it.
    pub input: &'static str,
    /// Topic on which it speaks, of one partition. Where several do, none of them has tables: rows are made of a topic.
    pub output: &'static str,
    /// Tables of the rows that its messages make.
    pub tables: &'static [&'static TableDef],
    /// Tables of one group are committed by one runner, at the same places.
    pub group: &'static str,
    /// What a user may set of it.
    pub settings: SettingsSpec,
    /// Whether displays see what it says at once.
    pub feed: Feed,
    /// Whether a message may stand on its output.
    pub(crate) says: fn(&Message) -> bool,
    /// The rows of messages of its output, a batch for each of `tables`: see [`StageSpec::rows_of`].
    pub(crate) rows: fn(Vec<Message>) -> Result<Vec<TableBatch>, Error>,
    /// Starts it on one partition of its input.
    pub(crate) start: StartStage,
}

impl StageSpec {
    /// The rows of messages of its output, a batch for each of its tables.
    pub(crate) fn rows_of(&self, messages: Vec<Message>) -> Result<Vec<TableBatch>, Error> {
        let mut batches = (self.rows)(messages)?;
        for (batch, table) in batches.iter_mut().zip(self.tables) {
            batch.table = table;
        }
        Ok(batches)
    }
}

/// Starts a stage.
pub(crate) type StartStage =
    for<'a> fn(&'a mut Builder, &'a StageContext, StageWiring) -> BoxFuture<'a, Result<(), Error>>;

/// Whether displays see what a stage says at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// They do.
    Shown,
    /// Only what becomes of it.
    Hidden,
}

impl std::fmt::Debug for StageSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, input, output, .. } = self;
        write!(f, "stage \"{name}\" from \"{input}\" to \"{output}\"")
    }
}

/// Topics of the path, in its order; each has a topic of dead letters.
pub(crate) fn topics() -> Vec<&'static str> {
    topics_of(&all_stages())
}

/// Whether a folder of the log is that of a topic of the path, of its dead letters, or of a share of either.
pub fn is_topic_folder(name: &str) -> bool {
    let name = name.split('@').next().unwrap_or(name);
    topics().into_iter().any(|topic| name == topic || name == dead_letter_topic(topic))
}

/// The same of some stages.
pub(crate) fn topics_of(stages: &[&'static StageSpec]) -> Vec<&'static str> {
    let mut topics = vec![WAVEFORMS_RAW];
    for stage in stages {
        if !topics.contains(&stage.output) {
            topics.push(stage.output);
        }
    }
    topics
}

/// Tables of the rows of records themselves.
pub(crate) const RAW_TABLES: [&TableDef; 2] = [&packets::TABLE, &segments::TABLE];
/// Tables of the rows of dead letters.
pub(crate) const LETTER_TABLES: [&TableDef; 1] = [&dead_letters::TABLE];

/// Tables of a pipeline of some stages: it needs a sink for each.
pub fn tables_of(stages: &[&'static StageSpec]) -> Vec<&'static TableDef> {
    let mut tables: Vec<&TableDef> = RAW_TABLES.into();
    for table in stages.iter().flat_map(|stage| stage.tables).chain(&LETTER_TABLES) {
        if !tables.contains(table) {
            tables.push(table);
        }
    }
    tables
}

/// Every stage of ours, in the order of the path.
pub fn all_stages() -> Vec<&'static StageSpec> {
    STAGES.iter().collect()
}

/// The stages of a home: ours, and those of its configuration.
#[derive(Clone, Debug)]
pub struct Topology {
    stages: Vec<&'static StageSpec>,
    all: Vec<&'static StageSpec>,
}

impl Topology {
    /// The stages of these `names`, each behind those that feed it; `own` are those of the configuration.
    ///
    /// # Errors
    /// A name of no stage, a stage whose input nobody fills, and stages that feed each other in a circle.
    pub fn of(names: &[String], own: Vec<&'static StageSpec>) -> Result<Self, Error> {
        let all: Vec<&'static StageSpec> = STAGES.iter().chain(own).collect();
        if let Some(name) = names.iter().find(|name| all.iter().all(|stage| stage.name != name.as_str())) {
            let there: Vec<&str> = all.iter().map(|stage| stage.name).collect();
            let message = format!("there is no stage \"{name}\"; there are {}", there.join(", "));
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        if let Some((_, name)) = names.iter().enumerate().find(|(index, name)| names[..*index].contains(name))
        {
            return Err(Error::new(ErrorKind::Invalid, format!("the stage \"{name}\" stands there twice")));
        }
        let chosen = all.iter().copied().filter(|stage| names.iter().any(|name| name == stage.name));
        let stages = in_order(chosen.collect())?;
        check(&stages)?;
        Ok(Self { stages, all })
    }

    /// Those that run, each behind those that feed it.
    pub fn stages(&self) -> &[&'static StageSpec] {
        &self.stages
    }

    /// Those that may run: a home may hold what they said when they did.
    pub fn all(&self) -> &[&'static StageSpec] {
        &self.all
    }

    /// The stage that makes the rows of a topic.
    pub fn stage_of_output(&self, topic: &str) -> Option<&'static StageSpec> {
        let speaking = || self.all.iter().copied().filter(|stage| stage.output == topic);
        speaking().find(|stage| !stage.tables.is_empty()).or_else(|| speaking().next())
    }

    /// The same, with stages of other configurations that made some of `tables`, so far as they do not stand there already:
    /// what they said and its rows are known again.
    #[must_use]
    pub fn with_stages_of(mut self, tables: &[&'static TableDef]) -> Self {
        for table in tables {
            let of_kind = STAGES.iter().find(|stage| stage.tables.iter().any(|ours| ours.name == table.name));
            let Some(of_kind) = of_kind else { continue };
            let (name, kind) = (table.namespace.to_owned(), of_kind.name.to_owned());
            if self.all.iter().any(|stage| stage.tables.iter().any(|known| known.namespace == name)) {
                continue;
            }
            // One whose name would not be taken now has tables all the same, and no more.
            if let Ok(spec) = (OwnStage { name, kind, input: None, replaces: None }).spec() {
                self.all.push(spec);
            }
        }
        self
    }

    /// Tables that are not ours.
    pub fn own_tables(&self) -> Vec<&'static TableDef> {
        not_ours(tables_of(&self.all))
    }

    /// Those of stages that run.
    pub fn running_own_tables(&self) -> Vec<&'static TableDef> {
        not_ours(tables_of(&self.stages))
    }

    /// Names of stages of the configuration that stand in no list of those that run.
    pub fn idle(&self) -> impl Iterator<Item = &'static str> {
        let runs = |stage: &StageSpec| self.stages.iter().any(|other| other.name == stage.name);
        let ours = |stage: &StageSpec| STAGES.iter().any(|other| other.name == stage.name);
        self.all.iter().filter(move |stage| !runs(stage) && !ours(stage)).map(|stage| stage.name)
    }
}

fn not_ours(tables: Vec<&'static TableDef>) -> Vec<&'static TableDef> {
    let ours = tables_of(&all_stages());
    tables.into_iter().filter(|table| !ours.contains(table)).collect()
}

/// Each stage behind all that speak on its input; else as they stand.
fn in_order(stages: Vec<&'static StageSpec>) -> Result<Vec<&'static StageSpec>, Error> {
    let (mut waiting, mut ordered) = (stages, Vec::new());
    while !waiting.is_empty() {
        // Stages that add to what they read, as magnitudes to origins, do not wait for each other.
        let adds = |stage: &StageSpec| stage.output == stage.input;
        let feeds = |other: &StageSpec, stage: &StageSpec| {
            other.output == stage.input && other.name != stage.name && !(adds(other) && adds(stage))
        };
        let ready = waiting.iter().position(|stage| !waiting.iter().any(|other| feeds(other, stage)));
        let Some(ready) = ready else {
            let names: BTreeSet<&str> = waiting.iter().map(|stage| stage.name).collect();
            let names = names.into_iter().collect::<Vec<_>>().join("\", \"");
            let message = format!("the stages \"{names}\" feed each other in a circle");
            return Err(Error::new(ErrorKind::Invalid, message));
        };
        ordered.push(waiting.remove(ready));
    }
    Ok(ordered)
}

/// Whether stages make a path.
///
/// # Errors
/// The sentence names the stage that does not fit.
pub(crate) fn check(stages: &[&StageSpec]) -> Result<(), Error> {
    let checked = || {
        one_of_each(stages)?;
        reads_what_was_filled(stages)?;
        rows_of_one_stage(stages)?;
        proposals_are_heard(stages)
    };
    checked().map_err(|message| Error::new(ErrorKind::Invalid, message))
}

/// No two stages have one name, or one place in the log.
fn one_of_each(stages: &[&StageSpec]) -> Result<(), String> {
    for (index, stage) in stages.iter().enumerate() {
        let Some(other) = stages[..index].iter().find(|other| other.log_name == stage.log_name) else {
            continue;
        };
        return Err(match other.name == stage.name {
            true => format!("two stages have the name \"{}\"", stage.name),
            false => format!(
                "stages \"{}\" and \"{}\" cannot both be \"{}\": take one of them out of streams.stages",
                other.name, stage.name, stage.log_name
            ),
        });
    }
    Ok(())
}

/// Each stage reads a topic that is filled before it, with what its kind reads.
fn reads_what_was_filled(stages: &[&StageSpec]) -> Result<(), String> {
    // Topics, and the topic of ours that carries the same.
    let mut filled = vec![(WAVEFORMS_RAW, WAVEFORMS_RAW)];
    for stage in stages {
        let of_kind = STAGES.iter().find(|of_kind| of_kind.name == stage.kind).unwrap_or(stage);
        let Some((_, carries)) = filled.iter().find(|(topic, _)| *topic == stage.input) else {
            return Err(format!(
                "stage \"{}\" reads the topic \"{}\", which no stage before it fills",
                stage.name, stage.input
            ));
        };
        if *carries != of_kind.input {
            return Err(format!(
                "stage \"{}\" of kind \"{}\" reads what \"{}\" carries, and \"{}\" carries something else",
                stage.name, stage.kind, of_kind.input, stage.input
            ));
        }
        filled.push((stage.output, of_kind.output));
    }
    Ok(())
}

/// Rows are made of topics on which one stage speaks: their positions are its own.
fn rows_of_one_stage(stages: &[&StageSpec]) -> Result<(), String> {
    for stage in stages.iter().filter(|stage| !stage.tables.is_empty()) {
        if stages.iter().any(|other| other.output == stage.output && other.name != stage.name) {
            return Err(format!(
                "stage \"{}\" makes rows of the topic \"{}\", on which another stage speaks too",
                stage.name, stage.output
            ));
        }
    }
    Ok(())
}

/// Who proposes events is heard by a stage that makes them.
fn proposals_are_heard(stages: &[&StageSpec]) -> Result<(), String> {
    let proposes = |stage: &&&StageSpec| stage.output == PROPOSALS;
    let listens = |other: &&StageSpec| other.input == PROPOSALS && other.output != PROPOSALS;
    match stages.iter().find(proposes) {
        Some(stage) if !stages.iter().any(listens) => Err(format!(
            "stage \"{}\" proposes events, and there is no stage \"event\" to make them: add it, or leave both out",
            stage.name
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_holds_together_and_leaving_a_stage_out_is_told() {
        check(&all_stages()).unwrap();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let named = |list: &[&str]| Topology::of(&names(list), Vec::new());
        let in_order =
            |list| -> Vec<&str> { named(list).unwrap().stages().iter().map(|stage| stage.name).collect() };
        assert_eq!(in_order(&["associate", "pick"]), ["pick", "associate"]);
        assert_eq!(
            in_order(&["event", "magnitude", "locate", "associate", "pick"]),
            ["pick", "associate", "locate", "magnitude", "event"]
        );
        assert!(in_order(&[]).is_empty());
        let error = |list| named(list).unwrap_err().to_string();
        assert_eq!(
            error(&["pick", "loacte"]),
            "there is no stage \"loacte\"; there are pick, associate, locate, magnitude, event"
        );
        assert_eq!(
            error(&["pick", "locate"]),
            "stage \"locate\" reads the topic \"waveforms.associations\", which no stage before it fills"
        );
        assert_eq!(error(&["pick", "pick"]), "the stage \"pick\" stands there twice");
        assert!(check(&[&STAGES[0], &STAGES[0]]).is_err());
    }
}
