//! What is wrong with the log files of a home, and what can be done about it. Nobody else may have the log open.
//!
//! A home opens and goes on with a damaged log, too: lost records are read as lost ones. A repair makes that lasting:
//! damaged segment files are cut into files of whole batches, the originals are kept beside them as `….damaged`, and
//! holes are noted in `gaps.json`, so that they are told of once. Segments that lie in the wrong folder are looked for
//! first, and put back: what they left behind there is then no hole.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use seislake_model::{ErrorKind, Offset, Offsets};
use seislake_tables::TABLES;

use super::batch::BatchPlace;
use super::file::{
    MISPLACED, partition_folders, segment_bases, small_file, store_partitions, stored_partitions,
    sync_directory, told_partitions,
};
use super::rewrite::rewrite;
use super::segment::{Verify, Walk, file_name, misplaced};
use crate::Error;
use crate::database::free_name;
use crate::error::Cause;
use crate::message::dead_letter_topic;
use crate::replace::{begin_file, replace};
use crate::topology;

const GAPS_FILE: &str = "gaps.json";

/// What can be wrong with the files of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogDamage {
    /// The last append is not whole: a crash, or a file that was cut. A repair, and every start, cuts it off.
    TornTail,
    /// Bytes in the middle of a segment are no whole batch.
    DamagedBatches,
    /// A segment is missing, or its end is.
    Hole,
    /// A segment holds the records of another topic or partition, or of other offsets.
    Misplaced,
    /// The file that says how many partitions a topic has is lost or cannot be read.
    TopicFile,
    /// The folder of a topic is lost. The next start makes it, and goes on behind what is known of it.
    TopicMissing,
    /// Tables, stages or the index of records seen know of records that the log does not have any more.
    BehindTables,
}

impl fmt::Display for LogDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TornTail => "the last append is not whole",
            Self::DamagedBatches => "records are damaged",
            Self::Hole => "records are missing",
            Self::Misplaced => "the records of this segment belong elsewhere",
            Self::TopicFile => "topic.json is lost, damaged, or says what cannot be",
            Self::TopicMissing => "the folder of this topic is not there",
            Self::BehindTables => "the log ends before records that the tables or the state know of",
        })
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFinding {
    /// Topic.
    pub topic: String,
    /// Its partition; 0 where the finding is about the whole topic.
    pub partition: u32,
    /// The file, or the folder where a file is missing.
    pub file: PathBuf,
    /// What is wrong.
    pub damage: LogDamage,
    /// Offsets of the records that are lost from the log; empty where none is.
    pub lost: Range<Offset>,
}

impl fmt::Display for LogFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition, file, damage, lost } = self;
        write!(f, "log of \"{topic}\" partition {partition}: {damage}")?;
        if !lost.is_empty() {
            write!(f, ", offsets {} to {} are lost", lost.start, lost.end - 1)?;
        }
        write!(f, " (\"{}\")", file.display())
    }
}

/// What is wrong with the log below `home` (or below a share of it). `covered` is what the tables hold, and what the state
/// knows ([`crate::state_of`]); it names the topics of a configuration's own stages, at 0 where nothing else is known of
/// them. All checksums are verified; nothing is changed. Holes that a repair has noted are not told of again.
///
/// # Errors
/// Files that cannot be read for other reasons than damage.
pub fn check(home: &Path, covered: &Offsets) -> Result<Vec<LogFinding>, Error> {
    let mut findings = Vec::new();
    visit(home, covered, |_, finding| {
        findings.push(finding);
        Ok(())
    })?;
    Ok(findings)
}

/// Mends what [`check`] finds, and tells each thing before it is changed: what `tell` fails at is not mended.
///
/// # Errors
/// Files that cannot be read or written; those of `tell`.
pub fn repair(
    home: &Path,
    covered: &Offsets,
    mut tell: impl FnMut(LogFinding) -> Result<(), Error>,
) -> Result<(), Error> {
    visit(home, covered, |directory, finding| {
        tell(finding.clone())?;
        mend(directory, &finding)
    })
}

fn visit(
    home: &Path,
    covered: &Offsets,
    mut each: impl FnMut(&Path, LogFinding) -> Result<(), Error>,
) -> Result<(), Error> {
    let log = home.join("log");
    // Those that lie in the wrong folder are put back before holes are looked for.
    for finding in strays(&log)? {
        let directory = log.join(&finding.topic).join(finding.partition.to_string());
        each(&directory, finding)?;
    }
    for finding in missing_topics(&log, covered)? {
        each(&log.join(&finding.topic), finding)?;
    }
    for topic in folders(&log)? {
        let directory = log.join(&topic);
        let topic_file = directory.join("topic.json");
        if told_partitions(&directory)?.is_none() {
            let damage = LogDamage::TopicFile;
            let finding =
                LogFinding { topic: topic.clone(), partition: 0, file: topic_file, damage, lost: 0..0 };
            each(&directory, finding)?;
        }
        let mut partitions: BTreeSet<u32> = partition_folders(&directory)?.into_iter().collect();
        partitions.extend(0..stored_partitions(&directory)?.unwrap_or(0));
        for partition in partitions {
            let place = Place { topic: &topic, partition, directory: directory.join(partition.to_string()) };
            for finding in place.findings(covered.get(&topic, partition))? {
                each(&place.directory, finding)?;
            }
        }
    }
    Ok(())
}

/// Topics that a start makes, and that are not there although tables hold records of them or the log those of others: all
/// are made before the first record comes. Those of a configuration's own stages are the ones that `covered` names. Where the
/// log is gone as a whole, its owner tells.
fn missing_topics(log: &Path, covered: &Offsets) -> Result<Vec<LogFinding>, Error> {
    let there = folders(log)?;
    let names = topic_names(covered);
    let mut wanted = BTreeSet::new();
    for topic in &there {
        let (name, suffix) = name_and_suffix(topic);
        if names.contains(name) && holds_records(&log.join(topic))? {
            wanted.extend(names.iter().map(|name| format!("{name}{suffix}")));
        }
    }
    let records = |topic: &str| covered.0.get(topic).map_or(0, |partitions| partitions.values().sum());
    if !there.is_empty() {
        let known = covered.0.keys().filter(|topic| names.contains(name_and_suffix(topic).0));
        wanted.extend(known.filter(|topic| records(topic) > 0).cloned());
    }
    // A home of a version that did not know a topic has neither it nor its dead letters.
    let companion = |topic: &str| match topic.split_once('@').unwrap_or((topic, "")) {
        (name, "") => dead_letter_topic(name),
        (name, shard) => format!("{}@{shard}", dead_letter_topic(name)),
    };
    let was_there = |topic: &String| {
        records(topic) > 0
            || there.iter().any(|other| companion(other) == *topic || companion(topic) == **other)
    };
    wanted.retain(|topic| !there.contains(topic) && was_there(topic));
    let finding = |topic: String| LogFinding {
        partition: 0,
        file: log.join(&topic),
        damage: LogDamage::TopicMissing,
        lost: 0..records(&topic),
        topic,
    };
    Ok(wanted.into_iter().map(finding).collect())
}

/// Names of the topics of our stages, each with that of its dead letters, and of those that `covered` knows.
fn topic_names(covered: &Offsets) -> BTreeSet<String> {
    let ours = topology::topics().into_iter();
    let mut names: BTreeSet<String> =
        ours.flat_map(|topic| [topic.to_owned(), dead_letter_topic(topic)]).collect();
    // A table that is kept up from another names that as the topic which it follows.
    let is_table = |name: &str| TABLES.iter().any(|table| table.full_name() == name);
    let known = covered.0.keys().map(|topic| name_and_suffix(topic).0);
    names.extend(known.filter(|name| !is_table(name)).map(str::to_owned));
    names
}

/// The name of a topic as its stage says it, and what a share of a home puts behind it.
fn name_and_suffix(topic: &str) -> (&str, &str) {
    topic.split_at(topic.find('@').unwrap_or(topic.len()))
}

/// Whether a log holds records of any topic: those of a home that was just begun have none.
pub(crate) fn log_holds_records(log: &Path) -> Result<bool, Error> {
    for topic in folders(log)? {
        if holds_records(&log.join(topic))? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn holds_records(topic: &Path) -> Result<bool, Error> {
    for partition in partition_folders(topic)? {
        let folder = topic.join(partition.to_string());
        for base in segment_bases(&folder)? {
            let path = folder.join(file_name(base));
            let metadata = fs::metadata(&path);
            if metadata.map_err(|e| Error::io(format!("look at \"{}\"", path.display()), e))?.len() > 0 {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Segments that lie in the wrong place, and those that were set aside for it.
fn strays(log: &Path) -> Result<Vec<LogFinding>, Error> {
    let mut found = Vec::new();
    for topic in folders(log)? {
        for partition in partition_folders(&log.join(&topic))? {
            let directory = log.join(&topic).join(partition.to_string());
            let place = BatchPlace::of(&topic, partition);
            let mut files = Vec::new();
            for base in segment_bases(&directory)? {
                let path = directory.join(file_name(base));
                files.extend(misplaced(&path, place, base)?.is_some().then_some(path));
            }
            files.extend(set_aside(&directory)?);
            found.extend(files.into_iter().map(|file| LogFinding {
                topic: topic.clone(),
                partition,
                file,
                damage: LogDamage::Misplaced,
                lost: 0..0,
            }));
        }
    }
    Ok(found)
}

/// Segments that an earlier start has set aside and whose place is free.
fn set_aside(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let context = |e| Error::io(format!("list \"{}\"", directory.display()), e);
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(context)? {
        let path = entry.map_err(context)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if !name.contains(&format!(".{MISPLACED}")) {
            continue;
        }
        if let Some(to) = destination(&path)?
            && !exists(&to)?
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Where the records of a stray segment belong, below the same log; `None` where no topic of the log is theirs.
fn destination(file: &Path) -> Result<Option<PathBuf>, Error> {
    let name = |above: usize| file.ancestors().nth(above).and_then(Path::file_name)?.to_str();
    let (Some(topic), Some(partition), Some(log)) = (name(2), name(1), file.ancestors().nth(3)) else {
        return Ok(None);
    };
    let own = BatchPlace::of(topic, partition.parse().unwrap_or_default());
    // No file begins at the last offset: what this one says of itself differs from that.
    let Some((told, base)) = misplaced(file, own, Offset::MAX)? else { return Ok(None) };
    for topic in folders(log)? {
        let count = stored_partitions(&log.join(&topic))?.unwrap_or(0);
        let partition = (0..count).find(|partition| BatchPlace::of(&topic, *partition) == told);
        if let Some(partition) = partition {
            return Ok(Some(log.join(&topic).join(partition.to_string()).join(file_name(base))));
        }
    }
    Ok(None)
}

/// Puts all stray segments of the log out of the way, and those back whose places are free then.
fn put_back(finding: &LogFinding) -> Result<(), Error> {
    let file = &finding.file;
    let Some(log) = file.ancestors().nth(3) else { return Ok(()) };
    // Each may lie in the place of the next: all are taken out before the first is put in.
    for stray in strays(log)? {
        if stray.file.extension().is_some_and(|ending| ending == "log") {
            let aside = free_name(&stray.file.with_extension(MISPLACED))?;
            rename(&stray.file, &aside)?;
        }
    }
    for stray in strays(log)? {
        if let Some(to) = destination(&stray.file)?
            && !exists(&to)?
        {
            rename(&stray.file, &to)?;
        }
    }
    Ok(())
}

/// Whether something lies there; an error where that cannot be known, which is no damage.
fn exists(path: &Path) -> Result<bool, Error> {
    path.try_exists().map_err(|e| Error::io(format!("look for \"{}\"", path.display()), e))
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|e| Error::io(format!("create \"{}\"", folder.display()), e))?;
    }
    let failed = |e| Error::io(format!("move \"{}\" to \"{}\"", from.display(), to.display()), e);
    fs::rename(from, to).map_err(failed)?;
    [from, to].into_iter().filter_map(Path::parent).try_for_each(sync_directory)
}

/// Names of the topics.
fn folders(log: &Path) -> Result<Vec<String>, Error> {
    let context = |e| Error::io(format!("list \"{}\"", log.display()), e);
    let entries = match fs::read_dir(log) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(context(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(context)?;
        if entry.path().is_dir() {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort();
    Ok(names)
}

/// A partition and its folder.
struct Place<'a> {
    topic: &'a str,
    partition: u32,
    directory: PathBuf,
}

impl Place<'_> {
    fn findings(&self, covered: Offset) -> Result<Vec<LogFinding>, Error> {
        let noted = noted_gaps(&self.directory)?;
        let bases = if exists(&self.directory)? { segment_bases(&self.directory)? } else { Vec::new() };
        let mut findings = Vec::new();
        let mut end = 0;
        for (index, base) in bases.iter().enumerate() {
            let path = self.directory.join(file_name(*base));
            if *base > end && !is_noted(&noted, end..*base) {
                findings.push(self.finding(&self.directory, LogDamage::Hole, end..*base));
            }
            let file = fs::File::open(&path)
                .map_err(|e| Error::io(format!("open log segment \"{}\"", path.display()), e))?;
            let own = BatchPlace::of(self.topic, self.partition);
            if misplaced(&path, own, *base)?.is_some() {
                // It is told of: what should lie here is missing.
                continue;
            }
            let walk = Walk::of(&file, &path, own, *base, Verify::Bodies)?;
            for gap in &walk.gaps {
                findings.push(self.finding(&path, LogDamage::DamagedBatches, gap.from..gap.to));
            }
            end = walk.next;
            let last = index + 1 == bases.len();
            if walk.torn_bytes > 0 {
                let (damage, known) = match last {
                    // What was known of an append that is not whole was whole once.
                    true => (LogDamage::TornTail, covered.max(end)),
                    false => (LogDamage::DamagedBatches, end),
                };
                findings.push(self.finding(&path, damage, end..known));
            }
        }
        if covered > end {
            findings.push(self.finding(&self.directory, LogDamage::BehindTables, end..covered));
        }
        Ok(findings)
    }

    fn finding(&self, file: &Path, damage: LogDamage, lost: Range<Offset>) -> LogFinding {
        let (topic, partition) = (self.topic.to_owned(), self.partition);
        LogFinding { topic, partition, file: file.to_owned(), damage, lost }
    }
}

/// Holes that were told of before.
fn noted_gaps(directory: &Path) -> Result<Vec<(Offset, Offset)>, Error> {
    let text = small_file(&directory.join(GAPS_FILE))?.unwrap_or_default();
    // A file that says nothing notes nothing: the holes are told of once more.
    Ok(serde_json::from_slice(&text).unwrap_or_default())
}

/// Whether all of `hole` was told of.
fn is_noted(noted: &[(Offset, Offset)], hole: Range<Offset>) -> bool {
    let mut noted = noted.to_vec();
    noted.sort_unstable();
    let mut told = hole.start;
    for (from, to) in noted {
        if from <= told {
            told = told.max(to);
        }
    }
    told >= hole.end
}

pub(super) fn note_gap(directory: &Path, gap: &Range<Offset>) -> Result<(), Error> {
    let mut gaps = noted_gaps(directory)?;
    gaps.push((gap.start, gap.end));
    let text =
        serde_json::to_vec(&gaps).map_err(|e| Error::caused(ErrorKind::Internal, "encode gaps.json", e))?;
    let (new, path) = (directory.join("gaps.json.new"), directory.join(GAPS_FILE));
    replace(&path, &new, &text).map_err(|e| Error::io(format!("write \"{}\"", path.display()), e))
}

fn mend(directory: &Path, finding: &LogFinding) -> Result<(), Error> {
    match finding.damage {
        LogDamage::TopicFile => match stored_partitions(directory)? {
            Some(partitions) => store_partitions(directory, partitions),
            None => Ok(()),
        },
        LogDamage::TopicMissing => Ok(()),
        LogDamage::Hole => note_gap(directory, &finding.lost),
        LogDamage::Misplaced => put_back(finding),
        LogDamage::BehindTables => {
            fs::create_dir_all(directory)
                .map_err(|e| Error::io(format!("create \"{}\"", directory.display()), e))?;
            let path = directory.join(file_name(finding.lost.end));
            let context = |e| Error::io(format!("create log segment \"{}\"", path.display()), e);
            begin_file(&path).and_then(|file| file.sync_all()).map_err(context)?;
            note_gap(directory, &finding.lost)
        }
        // One repair of a file mends all that is wrong with it.
        LogDamage::TornTail | LogDamage::DamagedBatches => rewrite(directory, finding),
    }
}
