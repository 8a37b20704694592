//! What of a home is damaged, what is lost by it, and mending it.
//!
//! ```text
//! what is no file ─► purpose.json, warehouse.toml ─► lake (catalog, tables, files) ─► log of the home and of each share
//!                                                                       ─► state ─► rows against the log
//! ```
//! A repair needs the home for itself. What it replaces stays beside it (`….damaged…`).

mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use seislake_catalog::{Lake, LakeFinding, kept_name};
use seislake_model::Offsets;
use seislake_streams::message::{WAVEFORMS_RAW, dead_letter_topic};
use seislake_streams::topic::{self, LogDamage, LogFinding};
use seislake_streams::topology;
use seislake_streams::{StateFound, put_state_aside, state_of};
use serde::Serialize;

use crate::home::{self, Home, Older, PURPOSE_FILE, Purpose, StrangeEntry, TableStates, Way, table_states};
use crate::settings::Settings;
use crate::{Lakehouse, PLACE_FILE, engine, lake_settings, velocity_model};

/// The part of the tables and their files.
const LAKE: &str = "lake";

/// What is done about damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is found.
    Check,
    /// It is found and mended.
    Repair,
}

/// One thing that is wrong, as all parts of a home tell it. The names are those of the JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `home`, `lake`, `log`, `state` or `rows`.
    pub part: &'static str,
    /// File, table or topic.
    pub object: String,
    /// What is wrong with it.
    pub damage: String,
    /// What cannot be had any more.
    pub lost: String,
    /// What a repair does or did about it.
    pub remedy: String,
}

/// The findings for reading; `remedy` is the word before what a repair does or did.
#[must_use]
pub fn describe(findings: &[Finding], remedy: &str) -> String {
    if findings.is_empty() {
        return "nothing is damaged\n".to_owned();
    }
    let lines = findings.iter().map(|found| {
        let Finding { part, object, damage, lost, remedy: done } = found;
        format!("{part}: {object}\n  damage: {damage}\n  lost: {lost}\n  {remedy}: {done}\n")
    });
    lines.collect()
}

/// What is damaged in a home; nothing is changed.
///
/// # Errors
/// A folder that is no home, settings that do not suit it, and what cannot be read at all.
pub async fn check(path: &Path, settings: &Settings) -> anyhow::Result<Vec<Finding>> {
    let examined = async || {
        let mut keep = |_: &Finding| Ok(());
        let mut told = FindingList::new(&mut keep);
        examine(path, settings, Action::Check, &mut told).await?;
        anyhow::Ok(told.findings)
    };
    let found = examined().await?;
    if found.is_empty() || !home::in_use(path) {
        return Ok(found);
    }
    // Beside a running server files come and go: what is damaged is so the second time, too.
    let again = examined().await?;
    Ok(again.into_iter().filter(|finding| found.contains(finding)).collect())
}

/// Mends a home, but for forgetting lost records. `tell` hears of each thing before it is changed: nobody could find it
/// afterwards.
///
/// # Errors
/// What cannot be mended, and what kept `tell` from telling.
pub async fn repair(path: &Path, settings: &Settings, tell: &mut Tell<'_>) -> anyhow::Result<RepairedHome> {
    let mut told = FindingList::new(tell);
    let repaired = mend(path, settings, &mut told).await;
    let failure = told.failure.take();
    let repaired = repaired?;
    failure.map_or(Ok(repaired), Err)
}

/// Hears of what is found.
pub type Tell<'a> = dyn FnMut(&Finding) -> anyhow::Result<()> + Send + Sync + 'a;

/// What is found, and told at once.
struct FindingList<'a> {
    tell: &'a mut Tell<'a>,
    findings: Vec<Finding>,
    /// Tables of the lake of which something was told.
    tables: BTreeSet<String>,
    failure: Option<anyhow::Error>,
}

impl<'a> FindingList<'a> {
    fn new(tell: &'a mut Tell<'a>) -> Self {
        Self { tell, findings: Vec::new(), tables: BTreeSet::new(), failure: None }
    }

    fn tell(&mut self, finding: Finding) {
        if self.failure.is_none() {
            self.failure = (self.tell)(&finding).err();
        }
        self.findings.push(finding);
    }

    fn tell_of_lake(&mut self, found: LakeFinding) {
        let LakeFinding { object, table, damage, lost, remedy } = found;
        self.tables.extend(table.map(|table| table.to_string()));
        self.tell(Finding { part: LAKE, object, damage, lost, remedy });
    }

    fn tell_all(&mut self, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|finding| self.tell(finding));
    }
}

/// A home that is mended but for the records that are lost, and was not given out of hand yet.
#[derive(Debug)]
pub struct RepairedHome {
    lost: rows::LostRecords,
    whole: Home,
    shares: Vec<Home>,
}

impl RepairedHome {
    /// Forgets the records that are lost, so that they can come in again. Only what was told may be forgotten.
    ///
    /// # Errors
    /// What keeps them from being forgotten: the next repair tells of them again.
    pub async fn forget(&self, settings: &Settings) -> anyhow::Result<()> {
        if self.lost.is_empty() {
            return Ok(());
        }
        let lakehouse = Lakehouse::open(&self.whole, settings).await?;
        self.lost.forget(&lakehouse).await?;
        mend_logs(&self.whole, &self.shares, settings).await
    }
}

async fn mend(path: &Path, settings: &Settings, told: &mut FindingList<'_>) -> anyhow::Result<RepairedHome> {
    let strange = if home::in_use(path) { Vec::new() } else { home::strange(path) };
    for found in &strange {
        told.tell(of_strange(found));
        if found.way != Way::Right {
            home::put_aside(found)?;
        }
    }
    // All locks are held until the end, also of forgetting.
    let whole = Home::open(path)?;
    let mut shares = Vec::new();
    for share in home::listed_shares(path)? {
        let name = share.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let numbers =
            name.split_once("-of-").and_then(|(share, of)| Some((share.parse().ok()?, of.parse().ok()?)));
        let (share, of) = numbers.with_context(|| format!("\"{}\" is no share", share.display()))?;
        shares.push(Home::open_share(path, share, of)?);
    }
    examine(path, settings, Action::Repair, told).await?;
    mend_logs(&whole, &shares, settings).await?;
    let mut lost = rows::LostRecords::default();
    if path.join(home::CATALOG_FILE).exists() {
        let lakehouse = Lakehouse::open(&whole, settings).await?;
        of_states(&TableStates::read(path)?, &lakehouse, told).await?;
        let of_rows = of_rows(path, &lakehouse, Action::Repair).await?;
        told.tell_all(of_rows.0);
        lost = of_rows.1;
        lakehouse.table_states().await?.write(path)?;
    }
    Ok(RepairedHome { lost, whole, shares })
}

/// Makes again what is lost of the logs and the state of a home and its shares.
async fn mend_logs(whole: &Home, shares: &[Home], settings: &Settings) -> anyhow::Result<()> {
    for home in shares.iter().chain([whole]) {
        let to_mend = has_log(home.path())? || shares.is_empty();
        if !to_mend || !whole.path().join(home::CATALOG_FILE).exists() {
            continue;
        }
        engine::mend_log(home, settings).await?;
        // Where the log goes on behind what it lost, the hole is told of once.
        topic::repair(home.path(), &Offsets::default(), |_| Ok(()))?;
    }
    Ok(())
}

/// Tables that are older than they were when the home was last used. One that went back for a damage is so, too: that was
/// told.
async fn of_states(
    before: &TableStates,
    lakehouse: &Lakehouse,
    told: &mut FindingList<'_>,
) -> anyhow::Result<()> {
    let older = before.older(&lakehouse.table_states().await?);
    for found in older {
        if told.tables.insert(found.table.clone()) {
            told.tell(of_older(found));
        }
    }
    Ok(())
}

fn of_older(Older { table, commits, commits_before }: Older) -> Finding {
    Finding {
        part: LAKE,
        object: format!("table \"{table}\""),
        damage: format!(
            "it is older than it was: {commits} commits of {commits_before} (an older warehouse was put back together \
             with its catalog)"
        ),
        lost: "what came to it since, but for what the log holds".into(),
        remedy: "it is told of once; what the log holds comes in again at the next start".into(),
    }
}

/// What is there twice, what the log holds and no table, and what is lost.
async fn of_rows(
    path: &Path,
    lakehouse: &Lakehouse,
    action: Action,
) -> anyhow::Result<(Vec<Finding>, rows::LostRecords)> {
    let mut findings = rows::doubled(lakehouse, action).await?;
    let mut lost = rows::LostRecords::default();
    let places: Vec<PathBuf> = home::listed_shares(path)?.into_iter().chain([path.to_owned()]).collect();
    for place in &places {
        findings.extend(rows::missing(place, lakehouse, action, &mut lost).await?);
    }
    findings.extend(rows::without_picks(lakehouse, &places).await?);
    findings.extend(lost.findings());
    Ok((findings, lost))
}

fn of_strange(found: &StrangeEntry) -> Finding {
    let name = found.path.file_name().unwrap_or_default().to_string_lossy();
    let lost = match &*name {
        _ if found.way == Way::Cut => "nothing",
        name if name.starts_with("catalog.sqlite") => "nothing, where the metadata files are whole",
        name if name == PURPOSE_FILE => "what the home is for",
        name if name == PLACE_FILE => "where the warehouse is",
        "warehouse" => "all rows, but for what the log holds",
        name if name == "log" || topology::is_topic_folder(name) || name.ends_with(".log") => {
            "records of the log, but for those that the tables hold"
        }
        name if name.parse::<u32>().is_ok() => "records of the log, but for those that the tables hold",
        _ => "nothing",
    };
    let remedy = match found.way {
        Way::MadeAgain | Way::PutAside => "it is put aside, and what should lie there is made anew",
        Way::Cut => "it is cut to what it holds",
        Way::Right => "give the user of seislake the right to read and write it: no repair can",
    };
    Finding {
        part: "home",
        object: found.path.display().to_string(),
        damage: found.damage.clone(),
        lost: lost.into(),
        remedy: remedy.into(),
    }
}

fn has_log(place: &Path) -> anyhow::Result<bool> {
    Ok(!home::folders(&place.join("log"))?.is_empty())
}

async fn examine(
    path: &Path,
    settings: &Settings,
    action: Action,
    told: &mut FindingList<'_>,
) -> anyhow::Result<()> {
    let strange = home::strange(path);
    // Reading on might never end.
    if !strange.is_empty() {
        told.tell_all(strange.iter().map(of_strange));
        return Ok(());
    }
    small_files(path, action, told)?;
    let mut places = Vec::new();
    for place in home::listed_shares(path)?.into_iter().chain([path.to_owned()]) {
        let place = Place::of(place, path);
        // Before a repair puts indexes aside, which are then not lost.
        let state = place.state(action)?;
        places.push((place, state));
    }
    let lake = lake_settings(path, settings)?;
    let begun =
        (path.join(home::CATALOG_FILE).exists() || home::is_begun(path)) && !home::holds_nothing(path);
    // Before anything goes back: what is older now was put back.
    if begun {
        put_back_by_hand(path, settings, told).await?;
    }
    let covered = match action {
        _ if !begun => Offsets::default(),
        Action::Check => {
            let (found, covered) = Lake::check(&lake).await?;
            found.into_iter().for_each(|found| told.tell_of_lake(found));
            covered
        }
        Action::Repair => {
            let mut not_forgotten = None;
            let tell = &mut |found: LakeFinding| {
                // Rows of records that nothing else holds may be lost: the index would keep them from coming in again.
                if found.table.as_ref().is_none_or(|table| table.to_string() == rows::PACKETS) {
                    let failed = places.iter().find_map(|(place, _)| place.forget_seen().err());
                    not_forgotten = not_forgotten.take().or(failed);
                }
                told.tell_of_lake(found);
            };
            let covered = Lake::repair(&lake, tell).await?;
            not_forgotten.map_or(Ok(()), Err)?;
            covered
        }
    };
    for (place, state) in places {
        place.log(state, &covered, settings, action, told)?;
    }
    // Where files are damaged, rows are missing: a repair tells which it puts back.
    if action == Action::Check && told.findings.is_empty() && begun {
        let lakehouse = Lakehouse::open_for_reading(path, settings).await?;
        told.tell_all(of_rows(path, &lakehouse, action).await?.0);
    }
    Ok(())
}

/// Tables that are older than they were, as far as a lake with damages can be read.
async fn put_back_by_hand(
    path: &Path,
    settings: &Settings,
    told: &mut FindingList<'_>,
) -> anyhow::Result<()> {
    // Read before the tables, which a server moves on meanwhile.
    let before = TableStates::read(path)?;
    if let Ok(lakehouse) = Lakehouse::open_for_reading(path, settings).await
        && let Err(error) = of_states(&before, &lakehouse, told).await
    {
        tracing::debug!(error = format!("{error:#}"), "how far the tables have come cannot be told");
    }
    Ok(())
}

/// Files that say what the home is: each is small and can be made anew.
fn small_files(path: &Path, action: Action, told: &mut FindingList<'_>) -> anyhow::Result<()> {
    let sound = |text: &str| serde_json::from_str::<Purpose>(text).is_ok();
    let remedy = match home::listed_shares(path)?.len() {
        0 => "it is taken away: the next import settles anew what the home is for".to_owned(),
        shares => format!("it is made anew: an archive in {shares} shares"),
    };
    if let Some(file) = damaged(&path.join(PURPOSE_FILE), sound)? {
        told.tell(small(&file, "what the home is for", &remedy));
        match (action, home::listed_shares(path)?.len()) {
            (Action::Check, _) => {}
            (Action::Repair, 0) => set_aside(&file)?,
            (Action::Repair, shares) => {
                // The damaged one stays in its place until the new one takes it: a home without any is not found damaged.
                std::fs::copy(&file, kept_name(&file)?)
                    .with_context(|| format!("cannot keep \"{}\" aside", file.display()))?;
                Purpose::Archive { shards: u32::try_from(shares)? }.write(&file, path)?;
            }
        }
    }
    let sound = |text: &str| text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("warehouse"));
    if let Some(file) = damaged(&path.join(PLACE_FILE), sound)? {
        told.tell(small(
            &file,
            "where the warehouse is",
            "it is taken away: name the warehouse once more by lake.warehouse (--config)",
        ));
        if action == Action::Repair {
            set_aside(&file)?;
        }
    }
    if let Some(file) = damaged(&path.join(velocity_model::FILE), velocity_model::is_sound)? {
        told.tell(small(
            &file,
            "the velocity model of the home",
            "it is taken away: the configured model is used until one is imported again",
        ));
        if action == Action::Repair {
            set_aside(&file)?;
        }
    }
    if let Some(file) = damaged(&path.join(table_states::FILE), TableStates::is_sound)? {
        told.tell(small(
            &file,
            "how far the tables had come: one that was put back before now is not told of",
            "it is taken away, and written again as the tables are now",
        ));
        if action == Action::Repair {
            set_aside(&file)?;
        }
    }
    Ok(())
}

fn small(file: &Path, lost: &str, remedy: &str) -> Finding {
    Finding {
        part: "home",
        object: file.display().to_string(),
        damage: "it cannot be read".into(),
        lost: lost.into(),
        remedy: remedy.into(),
    }
}

/// The file, where it is there and not sound.
fn damaged(file: &Path, sound: impl Fn(&str) -> bool) -> anyhow::Result<Option<PathBuf>> {
    let bytes = match std::fs::read(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.with_context(|| format!("cannot read \"{}\"", file.display()))?,
    };
    let whole = std::str::from_utf8(&bytes).is_ok_and(sound);
    Ok((!whole).then(|| file.to_owned()))
}

/// Keeps a damaged file out of the way.
fn set_aside(file: &Path) -> anyhow::Result<()> {
    std::fs::rename(file, kept_name(file)?)
        .with_context(|| format!("cannot set \"{}\" aside", file.display()))
}

/// A home, or one of its shares: what has a log and a state of its own.
struct Place {
    path: PathBuf,
    /// What its topics end with.
    suffix: String,
}

impl Place {
    fn of(path: PathBuf, home: &Path) -> Self {
        let share = path.file_name().filter(|_| path != home);
        let suffix = share.map_or_else(String::new, |share| format!("@{}", share.to_string_lossy()));
        Self { path, suffix }
    }

    /// What the databases say; nothing beside a running server, which has them open.
    fn state(&self, action: Action) -> anyhow::Result<StateFound> {
        match action == Action::Check && home::in_use(&self.path) {
            true => Ok(StateFound::default()),
            false => Ok(state_of(&self.path, &self.suffix)?),
        }
    }

    /// Puts the index of records seen aside. It is made again from log and tables: what neither holds is new to it.
    fn forget_seen(&self) -> Result<(), seislake_streams::Error> {
        put_state_aside(&self.path.join("state").join("seen.redb"))
    }

    fn log(
        &self,
        state: StateFound,
        covered: &Offsets,
        settings: &Settings,
        action: Action,
        told: &mut FindingList<'_>,
    ) -> anyhow::Result<()> {
        let (path, raw) = (&self.path, format!("{WAVEFORMS_RAW}{}", self.suffix));
        let letters = format!("{}{}", dead_letter_topic(WAVEFORMS_RAW), self.suffix);
        // Other shares have logs of their own.
        let own = |topic: &str| topic.split_at(topic.find('@').unwrap_or(topic.len())).1 == self.suffix;
        let mut known = Offsets(covered.0.clone().into_iter().filter(|(topic, _)| own(topic)).collect());
        let records: u64 = known.0.get(&raw).into_iter().flatten().map(|(_, next)| next).sum();
        known.extend(&state.known);
        // Neither tables nor checkpoints may know the topic of a stage of the configuration yet.
        for stage in settings.topology.all() {
            let topic = format!("{}{}", stage.output, self.suffix);
            known.set(&topic, 0, known.get(&topic, 0));
        }
        if !has_log(path)? && records > 0 {
            told.tell(Finding {
                part: "log",
                object: path.join("log").display().to_string(),
                damage: "the log is not there".into(),
                lost: format!("up to {records} records, but for those that the tables hold"),
                remedy: "it goes on behind them; records that the tables hold are not taken a second time"
                    .into(),
            });
            if action == Action::Repair {
                self.forget_seen()?;
            }
        }
        match action {
            Action::Check => told.tell_all(topic::check(path, &known)?.into_iter().map(of_log)),
            Action::Repair => topic::repair(path, &known, |found| {
                // Before it is mended: afterwards nobody could tell that records are lost which the index knows.
                if [&raw, &letters].contains(&&found.topic) {
                    self.forget_seen()?;
                }
                told.tell(of_log(found));
                Ok(())
            })?,
        }
        for (file, damage) in state.damages {
            told.tell(Finding {
                part: "state",
                object: file.display().to_string(),
                damage,
                lost: "nothing".into(),
                remedy: "it is made again from the log and the tables".into(),
            });
            if action == Action::Repair {
                put_state_aside(&file)?;
            }
        }
        Ok(())
    }
}

fn of_log(found: LogFinding) -> Finding {
    let lost = match found.lost.end.saturating_sub(found.lost.start) {
        0 if found.damage == LogDamage::TopicMissing => "records that no stage has read yet".to_owned(),
        0 => "nothing that the tables or the state know of".to_owned(),
        count => format!("up to {count} records, but for those that the tables hold"),
    };
    Finding {
        part: "log",
        object: found.file.display().to_string(),
        damage: format!("{} (\"{}\" partition {})", found.damage, found.topic, found.partition),
        lost,
        remedy: match found.damage {
            LogDamage::TopicMissing if !topology::is_topic_folder(&found.topic) => {
                "a repair or a start whose configuration has its stage makes it again, and it goes on behind what tables \
                 and stages have had"
            }
            LogDamage::TopicMissing => "it is made again, and goes on behind what tables and stages have had",
            LogDamage::Misplaced | LogDamage::TopicFile => "the log is read past it and goes on behind it",
            _ if found.topic.split('@').next() == Some(WAVEFORMS_RAW) => {
                "the log is read past it and goes on behind it; what nothing holds any more is taken when it comes \
                 again: import its files (stations among them come again by themselves at the next start)"
            }
            _ => {
                "the log is read past it and goes on behind it; what nothing holds any more is taken when it comes \
                 again: import its files"
            }
        }
        .into(),
    }
}
