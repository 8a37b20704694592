//! Stages of a configuration: ones of ours under names of their own, with settings or an input of their own, beside ours or
//! in the place of one.
//!
//! What one beside ours says and the rows of it stay apart: stage `quiet` of kind `pick` speaks on `quiet.phase_picks`, and
//! its rows are in `quiet.picks`. One that replaces ours goes on where the other ended: its topics, its tables, its
//! checkpoints and the name in the log are those of the one which it replaces.

use seislake_model::ErrorKind;
use seislake_tables::{TABLES, TableDef, below};

use super::{Feed, StageSpec};
use crate::Error;
use crate::stages::STAGES;

/// Longest name.
const NAME_CHARS_MAX: usize = 32;
/// Longest name of a topic.
const TOPIC_CHARS_MAX: usize = 100;
/// Schemas of the engine, what means something else in the log or the warehouse (`raw` are the originals of records), and
/// words before which statements expect no dot.
const RESERVED: [&str; 8] =
    ["information_schema", "public", "waveforms", "log", "system", "raw", "unnest", "lateral"];

/// A stage of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnStage {
    /// Its name.
    pub name: String,
    /// The stage of ours that it is.
    pub kind: String,
    /// Topic that it reads; `None`: that of its kind.
    pub input: Option<String>,
    /// The stage of ours whose place it takes.
    pub replaces: Option<String>,
}

impl OwnStage {
    /// Its specification. It lives as long as the process: stages are made once, at the start.
    ///
    /// # Errors
    /// Names that cannot be those of a stage, a table or a folder, and a kind that does not exist.
    pub fn spec(&self) -> Result<&'static StageSpec, Error> {
        let invalid = |message: String| Error::new(ErrorKind::Invalid, message);
        let Self { name, kind, input, replaces } = self;
        if !is_word(name) || name.len() > NAME_CHARS_MAX {
            return Err(invalid(format!(
                "\"{}\" is no name of a stage: small letters, digits and _, at most {NAME_CHARS_MAX}, a letter first",
                name.escape_debug()
            )));
        }
        let taken = TABLES.iter().any(|table| table.namespace == name)
            || STAGES.iter().any(|stage| stage.name == name || stage.group == name)
            || RESERVED.contains(&name.as_str());
        if taken {
            return Err(invalid(format!("the name \"{name}\" is taken: its tables would be \"{name}.…\"")));
        }
        let Some(of_kind) = STAGES.iter().find(|stage| stage.name == kind) else {
            let kinds: Vec<&str> = STAGES.iter().map(|stage| stage.name).collect();
            return Err(invalid(format!("there is no kind \"{kind}\"; there are {}", kinds.join(", "))));
        };
        if let Some(replaces) = replaces {
            return self.in_place_of(replaces, of_kind);
        }
        if let Some(topic) = input.iter().find(|topic| !is_topic(topic)) {
            let shown = topic.escape_debug();
            return Err(invalid(format!(
                "its input \"{shown}\" is no topic: two words with a dot between them"
            )));
        }
        let input: &'static str = input.clone().map_or(of_kind.input, |input| String::leak(input));
        // A kind that adds to what it reads does so here.
        let output = match of_kind.output == of_kind.input {
            true => input,
            false => String::leak(format!(
                "{name}.{}",
                of_kind.output.rsplit('.').next().unwrap_or(of_kind.output)
            )),
        };
        if let Some(other) = STAGES.iter().find(|stage| stage.output == output) {
            let other = other.name;
            return Err(invalid(format!(
                "it would add to \"{output}\", on which the stage \"{other}\" speaks: give it the input of a path of \
                 yours, or let it replace ours (replaces = \"{kind}\")"
            )));
        }
        let name: &'static str = String::leak(name.clone());
        Ok(Box::leak(Box::new(StageSpec {
            name,
            log_name: name,
            kind: of_kind.name,
            input,
            output,
            tables: own_tables(name, of_kind),
            group: name,
            settings: of_kind.settings,
            feed: Feed::Hidden,
            says: of_kind.says,
            rows: of_kind.rows,
            start: of_kind.start,
        })))
    }

    /// The specification of one that goes on where `replaces` ended.
    fn in_place_of(&self, replaces: &str, of_kind: &StageSpec) -> Result<&'static StageSpec, Error> {
        let invalid = |message: String| Error::new(ErrorKind::Invalid, message);
        if STAGES.iter().all(|stage| stage.name != replaces) {
            return Err(invalid(format!("it replaces \"{replaces}\", which is no stage of ours")));
        }
        if replaces != of_kind.name {
            let kind = of_kind.name;
            return Err(invalid(format!(
                "a stage of kind \"{kind}\" replaces \"{kind}\", not \"{replaces}\""
            )));
        }
        if self.input.is_some() {
            return Err(invalid(format!(
                "a stage that replaces ours reads what \"{replaces}\" reads: leave its input out"
            )));
        }
        let name = String::leak(self.name.clone());
        Ok(Box::leak(Box::new(StageSpec { name, ..*of_kind })))
    }
}

/// The tables of a kind, below the name of a stage.
fn own_tables(name: &'static str, kind: &StageSpec) -> &'static [&'static TableDef] {
    Vec::leak(kind.tables.iter().map(|table| below(name, table)).collect())
}

fn is_topic(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() == 2 && parts.iter().all(|part| is_word(part)) && text.len() <= TOPIC_CHARS_MAX
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{Topology, all_stages};

    fn own(name: &str, kind: &str, input: Option<&str>, replaces: Option<&str>) -> OwnStage {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        OwnStage { name: name.into(), kind: kind.into(), input: owned(input), replaces: owned(replaces) }
    }

    fn topology(stages: &[OwnStage]) -> Result<Topology, Error> {
        let specs = stages.iter().map(|stage| stage.spec().unwrap()).collect();
        let names: Vec<String> = stages.iter().map(|stage| stage.name.clone()).collect();
        Topology::of(&names, specs)
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
            own("far_event", "event", Some("far_locate.proposals"), None),
            own("far_associate", "associate", Some("far_pick.phase_picks"), None),
            own("far_magnitude", "magnitude", Some("far_locate.proposals"), None),
            own("far_locate", "locate", Some("far_associate.associations"), None),
            own("far_pick", "pick", None, None),
        ];
        let topology_of_path = topology(&path).unwrap();
        let order: Vec<&str> = topology_of_path.stages().iter().map(|stage| stage.name).collect();
        assert_eq!(order, ["far_pick", "far_associate", "far_locate", "far_magnitude", "far_event"]);
        let outputs: Vec<&str> = topology_of_path.stages().iter().map(|stage| stage.output).collect();
        let proposals = "far_locate.proposals";
        let wanted = [
            "far_pick.phase_picks",
            "far_associate.associations",
            proposals,
            proposals,
            "far_event.revisions",
        ];
        assert_eq!(outputs, wanted);
        let circle = [
            own("one", "associate", Some("two.associations"), None),
            own("two", "associate", Some("one.associations"), None),
        ];
        let error = topology(&circle).unwrap_err().to_string();
        assert_eq!(error, "the stages \"one\", \"two\" feed each other in a circle");
    }

    #[test]
    fn what_a_topic_carries_is_what_its_reader_reads() {
        let error = |stages: &[OwnStage]| topology(stages).unwrap_err().to_string();
        assert_eq!(
            error(&[own("near", "associate", Some("waveforms.raw"), None)]),
            "stage \"near\" of kind \"associate\" reads what \"waveforms.phase_picks\" carries, and \"waveforms.raw\" \
             carries something else"
        );
        let path =
            [own("far_pick", "pick", None, None), own("far", "locate", Some("far_pick.phase_picks"), None)];
        assert!(error(&path).contains("of kind \"locate\" reads what \"waveforms.associations\" carries"));
        let said = error(&[own("near", "pick", Some("near.phase_picks"), None)]);
        assert!(said.contains("which no stage before it fills"), "{said}");
    }

    #[test]
    fn one_that_replaces_ours_has_all_that_the_other_had() {
        let loud = own("loud", "pick", None, Some("pick")).spec().unwrap();
        let pick = STAGES.iter().find(|stage| stage.name == "pick").unwrap();
        assert_eq!((loud.name, loud.log_name), ("loud", "pick"));
        assert_eq!((loud.input, loud.output, loud.group), (pick.input, pick.output, pick.group));
        assert_eq!(loud.tables[0].full_name(), "bulletin.picks");
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let ours = ["loud", "associate", "locate", "magnitude", "event"];
        let topology = Topology::of(&names(&ours), vec![loud]).unwrap();
        assert!(topology.own_tables().is_empty());
        let both = Topology::of(&names(&["pick", "loud"]), vec![loud]).unwrap_err().to_string();
        assert_eq!(
            both,
            "stages \"pick\" and \"loud\" cannot both be \"pick\": take one of them out of streams.stages"
        );
        let error = |stage: OwnStage| stage.spec().unwrap_err().to_string();
        assert!(
            error(own("loud", "pick", None, Some("locate"))).contains("replaces \"pick\", not \"locate\"")
        );
        assert!(error(own("loud", "pick", None, Some("quiet"))).contains("which is no stage of ours"));
        assert!(
            error(own("loud", "pick", Some("waveforms.raw"), Some("pick"))).contains("leave its input out")
        );
    }

    #[test]
    fn names_that_nothing_can_have_are_refused() {
        let error = |stage: OwnStage| stage.spec().unwrap_err().to_string();
        for name in ["", "Quiet", "1st", "a.b", "../x", "a b", &"x".repeat(33)] {
            assert!(error(own(name, "pick", None, None)).contains("is no name of a stage"), "{name}");
        }
        for name in
            ["bulletin", "waveform", "stream", "pick", "information_schema", "raw", "unnest", "proposals"]
        {
            assert!(error(own(name, "pick", None, None)).contains("is taken"), "{name}");
        }
        assert!(
            error(own("quiet", "phasenet", None, None))
                .contains("there is no kind \"phasenet\"; there are pick,")
        );
        for topic in ["picks", "a.b.c", "../picks", "a.b@1", "a.", ".b", "quiet.phase_picks.dlq"] {
            assert!(error(own("quiet", "associate", Some(topic), None)).contains("is no topic"), "{topic}");
        }
        assert!(
            error(own("quiet", "magnitude", None, None)).contains("it would add to \"bulletin.proposals\"")
        );
    }

    #[test]
    fn ours_are_of_their_own_kind() {
        assert!(all_stages().iter().all(|stage| stage.kind == stage.name));
    }
}
