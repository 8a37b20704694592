//! Stages of a configuration: ones of ours under names of their own, with settings, input or output of their own.
//!
//! What they say and the rows of it stay apart: stage `quiet` of kind `pick` speaks on `quiet.phase_picks`, and its rows are
//! in `quiet.picks`. None speaks on a topic of ours: in a home that holds records it would say all of them again.

use seislake_model::ErrorKind;
use seislake_tables::{TABLES, TableDef};

use super::{Feed, StageSpec};
use crate::Error;
use crate::message::{WAVEFORMS_RAW, dead_letter_topic};
use crate::stages::STAGES;

/// Longest name.
const NAME_CHARS_MAX: usize = 32;
/// Longest name of a topic.
const TOPIC_CHARS_MAX: usize = 100;
/// Schemas of the engine, and namespaces that mean something else in the log.
const RESERVED: [&str; 5] = ["information_schema", "public", "waveforms", "log", "system"];

/// A stage of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnStage {
    /// Its name.
    pub name: String,
    /// The stage of ours that it is.
    pub kind: String,
    /// Topic that it reads; `None`: that of its kind.
    pub input: Option<String>,
    /// Topic on which it speaks; `None`: the same as its kind's, below its own name.
    pub output: Option<String>,
}

impl OwnStage {
    /// Its specification. It lives as long as the process: stages are made once, at the start.
    ///
    /// # Errors
    /// Names that cannot be those of a stage, a table or a folder, and a kind that does not exist.
    pub fn spec(&self) -> Result<&'static StageSpec, Error> {
        let invalid = |message: String| Error::new(ErrorKind::Invalid, message);
        let Self { name, kind, input, output } = self;
        if !is_word(name) || name.len() > NAME_CHARS_MAX {
            return Err(invalid(format!(
                "\"{}\" is no name of a stage: small letters, digits and _, at most {NAME_CHARS_MAX}, a letter first",
                name.escape_debug()
            )));
        }
        let taken = TABLES.iter().any(|table| table.namespace == name)
            || STAGES.iter().any(|stage| stage.name == name)
            || RESERVED.contains(&name.as_str());
        if taken {
            return Err(invalid(format!("the name \"{name}\" is taken: its tables would be \"{name}.…\"")));
        }
        let Some(of_kind) = STAGES.iter().find(|stage| stage.name == kind) else {
            let kinds: Vec<&str> = STAGES.iter().map(|stage| stage.name).collect();
            return Err(invalid(format!("there is no kind \"{kind}\"; there are {}", kinds.join(", "))));
        };
        for topic in input.iter().chain(output) {
            let parts: Vec<&str> = topic.split('.').collect();
            if parts.len() != 2
                || !parts.iter().all(|part| is_word(part))
                || topic.len() > TOPIC_CHARS_MAX
                || topic.ends_with(&dead_letter_topic(""))
            {
                let shown = topic.escape_debug();
                return Err(invalid(format!("\"{shown}\" is no topic: two words with a dot between them")));
            }
        }
        let base = of_kind.output.rsplit('.').next().unwrap_or(of_kind.output);
        let output = output.clone().unwrap_or_else(|| format!("{name}.{base}"));
        if let Some(other) = STAGES.iter().find(|stage| stage.output == output) {
            let other = other.name;
            return Err(invalid(format!(
                "its output \"{output}\" is that of the stage \"{other}\": taking the place of a stage of ours is not \
                 possible yet, a home would hold its rows twice"
            )));
        }
        if output == WAVEFORMS_RAW {
            return Err(invalid(format!("no stage speaks on \"{output}\": records come there")));
        }
        let name: &'static str = String::leak(name.clone());
        Ok(Box::leak(Box::new(StageSpec {
            name,
            kind: of_kind.name,
            input: input.clone().map_or(of_kind.input, |input| String::leak(input)),
            output: String::leak(output),
            tables: own_tables(name, of_kind),
            group: name,
            settings: of_kind.settings,
            feed: Feed::Hidden,
            says: of_kind.says,
            rows: of_kind.rows,
            start: of_kind.start,
        })))
    }
}

/// The tables of a kind, below the name of a stage.
fn own_tables(name: &'static str, kind: &StageSpec) -> &'static [&'static TableDef] {
    let table = |of_kind: &&'static TableDef| -> &'static TableDef {
        let doc = String::leak(format!("{} By the stage \"{name}\" of the configuration.", of_kind.doc));
        Box::leak(Box::new(TableDef { namespace: name, doc, ..**of_kind }))
    };
    Vec::leak(kind.tables.iter().map(table).collect())
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{Topology, all_stages};

    fn own(name: &str, kind: &str, input: Option<&str>, output: Option<&str>) -> OwnStage {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        OwnStage { name: name.into(), kind: kind.into(), input: owned(input), output: owned(output) }
    }

    #[test]
    fn a_stage_of_a_users_own_has_topics_and_tables_of_its_own() {
        let quiet = own("quiet", "pick", None, None).spec().unwrap();
        assert_eq!((quiet.name, quiet.kind), ("quiet", "pick"));
        assert_eq!((quiet.input, quiet.output), ("waveforms.raw", "quiet.phase_picks"));
        assert_eq!(quiet.tables[0].full_name(), "quiet.picks");
        let names = ["pick", "quiet"].map(str::to_owned);
        let topology = Topology::of(&names, vec![quiet]).unwrap();
        assert_eq!(topology.own_tables().len(), 1);
        assert_eq!(topology.stage_of_output("quiet.phase_picks").unwrap().name, "quiet");
        assert_eq!(topology.stage_of_output("waveforms.phase_picks").unwrap().name, "pick");
    }

    #[test]
    fn a_path_beside_ours_is_ordered_by_what_feeds_what() {
        let path = [
            own("far_associate", "associate", Some("far_pick.phase_picks"), Some("far.associations")),
            own("far_pick", "pick", None, None),
        ];
        let specs = path.iter().map(|stage| stage.spec().unwrap()).collect();
        let names = ["far_associate", "far_pick"].map(str::to_owned);
        let topology = Topology::of(&names, specs).unwrap();
        let order: Vec<&str> = topology.stages().iter().map(|stage| stage.name).collect();
        assert_eq!(order, ["far_pick", "far_associate"]);
        let circle = [
            own("one", "associate", Some("two.associations"), None),
            own("two", "associate", Some("one.associations"), None),
        ];
        let specs = circle.iter().map(|stage| stage.spec().unwrap()).collect();
        let error = Topology::of(&["one", "two"].map(str::to_owned), specs).unwrap_err().to_string();
        assert_eq!(error, "the stages \"one\", \"two\" feed each other in a circle");
    }

    #[test]
    fn names_that_nothing_can_have_are_refused() {
        let error = |stage: OwnStage| stage.spec().unwrap_err().to_string();
        for name in ["", "Quiet", "1st", "a.b", "../x", "a b", &"x".repeat(33)] {
            assert!(error(own(name, "pick", None, None)).contains("is no name of a stage"), "{name}");
        }
        for name in ["bulletin", "waveform", "stream", "pick", "information_schema"] {
            assert!(error(own(name, "pick", None, None)).contains("is taken"), "{name}");
        }
        assert!(
            error(own("quiet", "phasenet", None, None))
                .contains("there is no kind \"phasenet\"; there are pick,")
        );
        for topic in ["picks", "a.b.c", "../picks", "a.b@1", "a.", ".b", "quiet.phase_picks.dlq"] {
            assert!(error(own("quiet", "pick", None, Some(topic))).contains("is no topic"), "{topic}");
        }
        for topic in ["waveforms.phase_picks", "bulletin.proposals", "bulletin.revisions"] {
            let said = error(own("quiet", "pick", None, Some(topic)));
            assert!(said.contains("taking the place of a stage of ours is not possible yet"), "{said}");
        }
        assert!(error(own("quiet", "pick", None, Some("waveforms.raw"))).contains("records come there"));
    }

    #[test]
    fn ours_are_of_their_own_kind() {
        assert!(all_stages().iter().all(|stage| stage.kind == stage.name));
    }
}
