//! Which channels, and when: the codes and the window that the FDSN services and `export` share.
//!
//! ```text
//! "IU,II" "A*" "--,00" "BH?" 2014-01-01 2014-01-02 ─► Selection ─► SQL that may take too much (prunes files)
//!                                                              └─► exact test on each source id
//! ```

use std::collections::BTreeSet;

use seislake_model::{SourceId, Timestamp, in_capitals, path_component};
use seislake_tables::segments::names;

use super::page::Interval;
use super::statement::Conditions;
use crate::error::ApiError;

/// Comma-separated codes with `*` and `?`; blank stands for no location code. Characters that no standard code has are
/// written as in paths (`path_component`): `%2A` is the code `*` itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Patterns(Vec<String>);

/// Where a pattern is no longer the code itself.
const WILD: [char; 3] = ['*', '?', '%'];
/// Longest list of patterns, bytes.
const PATTERNS_LENGTH_MAX: usize = 4096;

impl Patterns {
    /// Every code.
    pub(crate) fn any() -> Self {
        Self(vec!["*".to_owned()])
    }

    /// Reads patterns; `name` is that of the parameter. `--` is the blank code; small letters mean capitals too
    /// ([`in_capitals`]).
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, ApiError> {
        let mut patterns = Self::as_written(name, text)?;
        let capitals: Vec<String> = patterns.0.iter().filter_map(|pattern| in_capitals(pattern)).collect();
        patterns.0.extend(capitals);
        Ok(patterns)
    }

    fn as_written(name: &str, text: &str) -> Result<Self, ApiError> {
        if text.len() > PATTERNS_LENGTH_MAX {
            let message = format!("{name}: the list is longer than {PATTERNS_LENGTH_MAX} characters");
            return Err(ApiError::invalid(message));
        }
        let pattern = |word: &str| match word.trim() {
            "--" => Ok(String::new()),
            word if word.chars().all(is_legal) => Ok(word.to_owned()),
            word => {
                Err(ApiError::invalid(format!("{name}: \"{word}\" is not a code such as \"AB*\" or \"BH?\"")))
            }
        };
        let mut patterns: Vec<String> = text.split(',').map(pattern).collect::<Result<_, _>>()?;
        if patterns.iter().any(|pattern| pattern == "*") {
            patterns = vec!["*".to_owned()];
        }
        Ok(Self(patterns))
    }

    /// Whether a code fits one of the patterns.
    pub(crate) fn take(&self, code: &str) -> bool {
        self.0.iter().any(|pattern| match pattern.contains('%') {
            true if !code.is_empty() => fits(pattern.as_bytes(), path_component(code).as_bytes()),
            _ => fits(pattern.as_bytes(), code.as_bytes()),
        })
    }

    /// Every code fits.
    pub(crate) fn takes_all(&self) -> bool {
        self.0.iter().any(|pattern| pattern == "*")
    }

    /// The codes, where none of them is a pattern.
    fn codes(&self) -> Option<&[String]> {
        let plain = |pattern: &String| !pattern.contains(WILD);
        self.0.iter().all(plain).then_some(&self.0)
    }
}

/// Characters of patterns.
fn is_legal(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '*' | '?' | '_' | '-' | '%')
}

/// Matches with `*` (any characters) and `?` (one). Greedy, going back to the last star only: the cost is at most the
/// product of the two lengths.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, from));
                at += 1;
            }
            Some(letter) if *letter == b'?' || Some(letter) == text.get(from) => {
                at += 1;
                from += 1;
            }
            _ => {
                let Some((after, begun)) = star else { return false };
                star = Some((after, begun + 1));
                (at, from) = (after, begun + 1);
            }
        }
    }
    pattern.iter().skip(at).all(|letter| *letter == b'*')
}

/// Channels by codes, in a window of time, both ends included.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Selection {
    pub(crate) network: Patterns,
    pub(crate) station: Patterns,
    pub(crate) location: Patterns,
    pub(crate) channel: Patterns,
    pub(crate) window: Interval<Timestamp>,
}

impl Selection {
    /// All channels in a window.
    pub(crate) fn all(window: Interval<Timestamp>) -> Self {
        let any = Patterns::any;
        Self { network: any(), station: any(), location: any(), channel: any(), window }
    }

    /// The channels that `source` names: a source id, or `NET.STA.LOC.CHA` with patterns; all where `None`.
    pub(crate) fn of_source(source: Option<&str>, window: Interval<Timestamp>) -> Result<Self, ApiError> {
        let Some(source) = source else { return Ok(Self::all(window)) };
        let patterns = match source.parse::<SourceId>() {
            // An identifier is of one channel. Odd characters in it stand for themselves.
            Ok(id) => [id.network(), id.station(), id.location(), &id.channel()].map(|code| {
                let code = if code.chars().all(is_legal) { code.into() } else { path_component(code) };
                Patterns::as_written("source", &code)
            }),
            Err(_) => match source.split('.').collect::<Vec<_>>().as_slice() {
                [network, station, location, channel] => {
                    [network, station, location, channel].map(|codes| Patterns::parse("source", codes))
                }
                _ => {
                    let forms = "\"FDSN:NET_STA_LOC_B_S_SS\" nor \"NET.STA.LOC.CHA\"";
                    return Err(ApiError::invalid(format!("source \"{source}\" is neither {forms}")));
                }
            },
        };
        let [network, station, location, channel] = patterns;
        Ok(Self { network: network?, station: station?, location: location?, channel: channel?, window })
    }

    /// `NET STA LOC CHA START END` as bodies of POST list them; `*` is an open end.
    pub(crate) fn from_line(line: &str) -> Result<Self, ApiError> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [network, station, location, channel, start, end] = words.as_slice() else {
            return Err(ApiError::invalid(format!(
                "\"{line}\" is not of the form NET STA LOC CHA START END"
            )));
        };
        let time = |name: &str, word: &str| match word {
            "*" => Ok(None),
            word => {
                let time = Timestamp::bound(word);
                time.map(Some).map_err(|error| ApiError::invalid(format!("{name}: {error}")))
            }
        };
        let window = Interval { min: time("starttime", start)?, max: time("endtime", end)? };
        if let (Some(min), Some(max)) = (window.min, window.max)
            && min > max
        {
            return Err(ApiError::invalid(format!("endtime {max} comes before starttime {min}")));
        }
        Ok(Self {
            network: Patterns::parse("network", network)?,
            station: Patterns::parse("station", station)?,
            location: Patterns::parse("location", location)?,
            channel: Patterns::parse("channel", channel)?,
            window,
        })
    }

    /// Whether the codes of a channel fit.
    pub(crate) fn takes(&self, source_id: &SourceId) -> bool {
        self.network.take(source_id.network())
            && self.station.take(source_id.station())
            && self.location.take(source_id.location())
            && self.channel.take(&source_id.channel())
    }

    /// Whether only channels of some codes are wanted.
    pub(crate) fn names_channels(&self) -> bool {
        !self.location.takes_all() || !self.channel.takes_all()
    }

    /// Whether an epoch (open where `None`) shares a moment with the window.
    pub(crate) fn covers(&self, start: Option<Timestamp>, end: Option<Timestamp>) -> bool {
        let ends_after = |from: Timestamp| end.is_none_or(|end| end > from);
        let begins_before = |to: Timestamp| start.is_none_or(|start| start <= to);
        self.window.min.is_none_or(ends_after) && self.window.max.is_none_or(begins_before)
    }
}

/// Windows of one channel, joined where they touch, in order.
pub(crate) fn windows_of(selections: &[Selection], source_id: &SourceId) -> Vec<(Timestamp, Timestamp)> {
    joined(selections.iter().filter(|selection| selection.takes(source_id)))
}

fn joined<'a>(selections: impl Iterator<Item = &'a Selection>) -> Vec<(Timestamp, Timestamp)> {
    let bounds = |selection: &Selection| {
        (selection.window.min.unwrap_or(Timestamp::MIN), selection.window.max.unwrap_or(Timestamp::MAX))
    };
    let mut windows: Vec<_> = selections.map(bounds).collect();
    windows.sort_unstable();
    let mut joined: Vec<(Timestamp, Timestamp)> = Vec::new();
    for (from, to) in windows {
        match joined.last_mut() {
            Some((_, end)) if from <= *end => *end = to.max(*end),
            _ => joined.push((from, to)),
        }
    }
    joined
}

/// More values than this are not worth a condition: the exact test comes anyway.
const CONDITION_VALUES_MAX: usize = 1000;
/// More windows than this become one that holds them all.
const CONDITION_WINDOWS_MAX: usize = 32;

/// Conditions on `source_id`, the codes, `start_time` and `end_time` that hold for everything selected. They may let
/// more through: the exact test is [`windows_of`].
pub(crate) fn add_conditions(selections: &[Selection], conditions: &mut Conditions) {
    match source_ids(selections) {
        Some(ids) => conditions.one_of(names::source_id, ids.iter().map(String::as_str)),
        None => {
            prefixes(selections, conditions);
            for (column, patterns) in [
                ("network", selections.iter().map(|selection| &selection.network).collect::<Vec<_>>()),
                ("station", selections.iter().map(|selection| &selection.station).collect()),
                ("location", selections.iter().map(|selection| &selection.location).collect()),
                ("channel", selections.iter().map(|selection| &selection.channel).collect()),
            ] {
                codes(column, &patterns, conditions);
            }
        }
    }
    let mut windows = joined(selections.iter());
    if windows.len() > CONDITION_WINDOWS_MAX {
        let (first, last) = (windows.first().map(|window| window.0), windows.last().map(|window| window.1));
        windows = first.zip(last).into_iter().collect();
    }
    let clauses = windows.iter().map(|(from, to)| window(*from, *to, conditions)).collect();
    conditions.add_any(clauses);
}

fn window(from: Timestamp, to: Timestamp, conditions: &mut Conditions) -> String {
    let mut clauses = Vec::new();
    if from > Timestamp::MIN {
        clauses.push(format!("{} >= {}", names::end_time, conditions.time(from)));
    }
    if to < Timestamp::MAX {
        clauses.push(format!("{} <= {}", names::start_time, conditions.time(to)));
    }
    if clauses.is_empty() { "true".to_owned() } else { format!("({})", clauses.join(" AND ")) }
}

/// The channels by name, where no pattern is used.
fn source_ids(selections: &[Selection]) -> Option<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    for selection in selections {
        let (networks, stations) = (selection.network.codes()?, selection.station.codes()?);
        let (locations, channels) = (selection.location.codes()?, selection.channel.codes()?);
        let count = networks.len() * stations.len() * locations.len() * channels.len();
        if ids.len() + count > CONDITION_VALUES_MAX {
            return None;
        }
        for (network, station) in pairs(networks, stations) {
            for (location, channel) in pairs(locations, channels) {
                ids.insert(SourceId::from_nslc(network, station, location, channel).as_str().to_owned());
            }
        }
    }
    Some(ids)
}

fn pairs<'a>(left: &'a [String], right: &'a [String]) -> impl Iterator<Item = (&'a String, &'a String)> {
    left.iter().flat_map(move |one| right.iter().map(move |other| (one, other)))
}

/// Ranges of source ids by what is known of their begin: rows are sorted by them.
fn prefixes(selections: &[Selection], conditions: &mut Conditions) {
    let mut found = BTreeSet::new();
    for selection in selections {
        for network in &selection.network.0 {
            match network.split_once(WILD) {
                Some((begin, _)) => {
                    found.insert(format!("FDSN:{begin}"));
                }
                None => {
                    for station in &selection.station.0 {
                        found.insert(match station.split_once(WILD) {
                            Some((begin, _)) => format!("FDSN:{network}_{begin}"),
                            None => format!("FDSN:{network}_{station}_"),
                        });
                    }
                }
            }
        }
        if found.len() > CONDITION_VALUES_MAX || found.contains("FDSN:") {
            return;
        }
    }
    // One that begins another holds it, and comes right before it.
    let mut shortest: Vec<String> = Vec::new();
    for prefix in found {
        if shortest.last().is_none_or(|last| !prefix.starts_with(last.as_str())) {
            shortest.push(prefix);
        }
    }
    let range = |prefix: &String| {
        // Source ids are printable ASCII: DEL comes after all of them.
        let (from, to) = (conditions.text(prefix), conditions.text(&format!("{prefix}\u{7f}")));
        format!("({id} >= {from} AND {id} < {to})", id = names::source_id)
    };
    let ranges = shortest.iter().map(range).collect();
    conditions.add_any(ranges);
}

/// Codes as one list, patterns each for itself.
fn codes(column: &str, patterns: &[&Patterns], conditions: &mut Conditions) {
    let is_escaped = |patterns: &&Patterns| patterns.0.iter().any(|pattern| pattern.contains('%'));
    if patterns.iter().any(|patterns| patterns.takes_all() || is_escaped(patterns)) {
        return;
    }
    let distinct: BTreeSet<&str> =
        patterns.iter().flat_map(|patterns| &patterns.0).map(String::as_str).collect();
    if distinct.len() > CONDITION_VALUES_MAX {
        return;
    }
    let (wild, plain): (Vec<&str>, Vec<&str>) =
        distinct.into_iter().partition(|pattern| pattern.contains(['*', '?']));
    let mut clauses = Vec::with_capacity(wild.len() + 1);
    if !plain.is_empty() {
        let list = conditions.texts(plain.into_iter());
        clauses.push(format!("{column} IN ({list})"));
    }
    for pattern in wild {
        let like = pattern.replace('_', "\\_").replace('*', "%").replace('?', "_");
        clauses.push(format!("{column} LIKE {}", conditions.text(&like)));
    }
    conditions.add_any(clauses);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_codes() {
        for (patterns, code, expected) in [
            ("*", "", true),
            ("--", "", true),
            ("--", "00", false),
            ("00,--", "", true),
            ("BH?", "BHZ", true),
            ("BH?", "BH", false),
            ("?H*", "HHZ", true),
            ("A*C*E", "ABCDE", true),
            ("A*C*E", "ABCDEF", false),
            ("*Z", "HHZ", true),
            ("hhz", "HHZ", true),
            ("hhz", "hhz", true),
            ("HHZ", "hhz", false),
            ("b?z,00", "BHZ", true),
            ("", "", true),
            ("A-1", "A-1", true),
            ("%2A", "*", true),
            ("%2A", "A", false),
            ("%2E%2E", "..", true),
            ("X%2F*", "X/Y", true),
        ] {
            assert_eq!(Patterns::parse("x", patterns).unwrap().take(code), expected, "{patterns} {code}");
        }
        assert!(Patterns::parse("x", "A;B").is_err());
    }

    #[test]
    fn a_source_is_one_identifier_or_codes_in_any_spelling() {
        let takes = |source: &str, id: &str| {
            let selection = Selection::of_source(Some(source), Interval::default()).unwrap();
            selection.takes(&id.parse().unwrap())
        };
        assert!(takes("xx.aaa..hhz", "FDSN:XX_AAA__H_H_Z") && takes("xx.aaa..hhz", "FDSN:xx_aaa__h_h_z"));
        assert!(!takes("FDSN:xx_AAA__H_H_Z", "FDSN:XX_AAA__H_H_Z"));
        assert!(takes("FDSN:XX_/etc__H_H_Z", "FDSN:XX_/etc__H_H_Z"));
        assert!(!takes("FDSN:XX_/etc__H_H_Z", "FDSN:XX_etc__H_H_Z"));
    }

    #[test]
    fn many_stars_cost_no_more_than_the_product_of_the_lengths() {
        let (pattern, text) = ("a*".repeat(1000), "a".repeat(4000));
        assert!(!fits(format!("{pattern}b").as_bytes(), text.as_bytes()));
    }

    #[test]
    fn windows_of_a_channel_are_joined_where_they_touch() {
        let line = |text: &str| Selection::from_line(text).unwrap();
        let selections = [
            line("XX A -- HHZ 2020-01-03 2020-01-04"),
            line("XX * * * 2020-01-01 2020-01-02"),
            line("XX A * HH? 2020-01-02 2020-01-02T12:00:00"),
            line("YY A * HH? * *"),
        ];
        let id = SourceId::from_nslc("XX", "A", "", "HHZ");
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let expected =
            vec![(time("2020-01-01"), time("2020-01-02T12:00:00")), (time("2020-01-03"), time("2020-01-04"))];
        assert_eq!(windows_of(&selections, &id), expected);
        assert!(Selection::from_line("XX A -- HHZ 2020-01-03 2020-01-02").is_err());
        assert!(Selection::from_line("XX A -- HHZ 2020-01-03").is_err());
    }
}
