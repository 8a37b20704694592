//! The path as data: which stages there are, what each reads and says, and which rows its messages make. Topics, dead
//! letters, sinks, the feed and the lag of a home follow from it.
//!
//! ```text
//! waveforms.raw ─► stage ─► output topic ─┬─► the stages that name it as their input
//!                                         └─► rows of its tables, committed by the sinks of its group
//! ```

use futures::future::BoxFuture;
use seislake_model::ErrorKind;
use seislake_tables::{TableBatch, TableDef, dead_letters, packets, segments};

use crate::Error;
use crate::message::{Message, PROPOSALS, WAVEFORMS_RAW, dead_letter_topic};
use crate::runtime::{Builder, StageContext, StageWiring};
use crate::stages::STAGES;

/// A stage of the path.
pub struct StageSpec {
    /// Name in checkpoints, metrics, dead letters and settings.
    pub name: &'static str,
    /// Topic that it reads: `waveforms.raw`, or the output of a stage before it.
    pub input: &'static str,
    /// Topic on which it speaks, of one partition. Where several do, none of them has tables: rows are made of a topic.
    pub output: &'static str,
    /// Tables of the rows that its messages make.
    pub tables: &'static [&'static TableDef],
    /// Tables of one group are committed by one runner, at the same places.
    pub group: &'static str,
    /// Whether displays see what it says at once.
    pub feed: Feed,
    /// Whether a message may stand on its output.
    pub(crate) says: fn(&Message) -> bool,
    /// The rows of messages of its output, a batch for each of `tables`.
    pub(crate) rows: fn(Vec<Message>) -> Result<Vec<TableBatch>, Error>,
    /// Starts it on one partition of its input.
    pub(crate) start: StartStage,
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

/// Tables that a pipeline feeds: it needs a sink for each.
pub fn tables() -> Vec<&'static TableDef> {
    tables_of(&all_stages())
}

/// The same of a pipeline of some stages.
pub fn tables_of(stages: &[&'static StageSpec]) -> Vec<&'static TableDef> {
    let mut tables: Vec<&TableDef> = RAW_TABLES.into();
    for table in stages.iter().flat_map(|stage| stage.tables).chain(&LETTER_TABLES) {
        if !tables.contains(table) {
            tables.push(table);
        }
    }
    tables
}

/// Every stage there is, in the order of the path.
pub fn all_stages() -> Vec<&'static StageSpec> {
    STAGES.iter().collect()
}

/// The stages of these names, in the order of the path.
///
/// # Errors
/// A name of no stage, and a stage whose input nobody fills.
pub fn stages_named(names: &[String]) -> Result<Vec<&'static StageSpec>, Error> {
    let known = || STAGES.iter().map(|stage| stage.name).collect::<Vec<_>>().join(", ");
    if let Some(name) = names.iter().find(|name| STAGES.iter().all(|stage| stage.name != name.as_str())) {
        let message = format!("there is no stage \"{name}\"; there are {}", known());
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    if let Some((_, name)) = names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
        return Err(Error::new(ErrorKind::Invalid, format!("the stage \"{name}\" stands there twice")));
    }
    let stages: Vec<&StageSpec> =
        STAGES.iter().filter(|stage| names.iter().any(|name| name == stage.name)).collect();
    check(&stages).map(|()| stages)
}

/// Whether each stage reads what is there before it, no two have one name, and rows are made of topics of one stage.
pub(crate) fn check(stages: &[&StageSpec]) -> Result<(), Error> {
    let mut filled = vec![WAVEFORMS_RAW];
    for stage in stages {
        if !filled.contains(&stage.input) {
            let message = format!(
                "stage \"{}\" reads the topic \"{}\", which no stage before it fills",
                stage.name, stage.input
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        if stages.iter().filter(|other| other.name == stage.name).count() > 1 {
            let message = format!("two stages have the name \"{}\"", stage.name);
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let speak_there = |other: &&&StageSpec| other.output == stage.output && other.name != stage.name;
        if !stage.tables.is_empty() && stages.iter().any(|other| speak_there(&other)) {
            let message = format!(
                "stage \"{}\" makes rows of the topic \"{}\", on which another stage speaks too",
                stage.name, stage.output
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        filled.push(stage.output);
        let listens = |other: &&StageSpec| other.input == PROPOSALS && other.output != PROPOSALS;
        if stage.output == PROPOSALS && !stages.iter().any(listens) {
            let message = format!(
                "stage \"{}\" proposes events, and there is no stage \"event\" to make them: add it, or leave both out",
                stage.name
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
    }
    Ok(())
}

/// The stage that speaks on a topic.
pub fn stage_of_output(topic: &str) -> Option<&'static StageSpec> {
    STAGES.iter().find(|stage| stage.output == topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_holds_together_and_leaving_a_stage_out_is_told() {
        check(&all_stages()).unwrap();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let named = |list: &[&str]| stages_named(&names(list));
        assert_eq!(
            named(&["associate", "pick"]).unwrap().iter().map(|stage| stage.name).collect::<Vec<_>>(),
            ["pick", "associate"]
        );
        assert!(named(&[]).unwrap().is_empty());
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
