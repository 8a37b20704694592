//! Which channels a table function reads: one, or all that match a pattern.

use std::borrow::Cow;

use seislake_model::{SourceId, in_capitals, path_component};

/// Channels asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sources {
    One(SourceId),
    /// One whose codes were given in small letters: the first of these that is there.
    Spelled(Vec<SourceId>),
    Matching(Pattern),
}

/// Channels by `*` (any text) and `?` (one character); in `NET.STA.LOC.CHA` odd characters may stand as in paths: `%2A` is
/// the code `*` itself.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pattern {
    text: String,
    /// The pattern is of `NET.STA.LOC.CHA`, not of the source identifier.
    by_codes: bool,
}

impl Sources {
    /// `FDSN:IU_ANMO_00_B_H_Z`, `IU.ANMO.00.BHZ` or a pattern of either form; `None` where it is none.
    pub(super) fn read(text: &str) -> Option<Self> {
        // A source identifier may write the blank location as `--` too.
        let blank_location = text.starts_with("FDSN:").then(|| text.replacen("_--_", "__", 1));
        let text = blank_location.as_deref().unwrap_or(text);
        let codes: Vec<&str> = text.split('.').collect();
        let by_codes =
            matches!(codes[..], [_, station, _, channel] if !station.is_empty() && !channel.is_empty());
        if text.contains(['*', '?']) || by_codes && text.contains('%') {
            let text = if by_codes { text.replace(".--.", "..") } else { text.to_owned() };
            return (by_codes || text.starts_with("FDSN:"))
                .then_some(Self::Matching(Pattern { text, by_codes }));
        }
        match codes[..] {
            [network, station, location, channel] if by_codes => {
                let mut ids = Vec::new();
                for (network, station) in pairs(network, station) {
                    for (location, channel) in pairs(location, channel) {
                        ids.push(SourceId::from_nslc(&network, &station, &location, &channel));
                    }
                }
                Some(if ids.len() == 1 { Self::One(ids.remove(0)) } else { Self::Spelled(ids) })
            }
            // An identifier is of one channel.
            _ => text.parse().ok().map(Self::One),
        }
    }
}

/// A code as it was given, and in capitals where that is another.
fn spellings(code: &str) -> impl Iterator<Item = String> {
    std::iter::once(code.to_owned()).chain(in_capitals(code))
}

fn pairs(one: &str, other: &str) -> Vec<(String, String)> {
    spellings(one).flat_map(|one| spellings(other).map(move |other| (one.clone(), other))).collect()
}

impl Pattern {
    /// Whether a channel matches.
    pub(super) fn holds(&self, source_id: &SourceId) -> bool {
        if !self.by_codes {
            return matches(self.text.as_bytes(), source_id.as_str().as_bytes());
        }
        let channel = source_id.channel();
        let codes = [source_id.network(), source_id.station(), source_id.location(), &channel];
        let fits = |pattern: &str, code: &str| {
            let code = if pattern.contains('%') { path_or_blank(code) } else { Cow::Borrowed(code) };
            spellings(pattern).any(|pattern| matches(pattern.as_bytes(), code.as_bytes()))
        };
        self.text.split('.').zip(codes).all(|(pattern, code)| fits(pattern, code))
    }

    /// What the source identifiers that match begin with: one of these.
    pub(super) fn prefixes(&self) -> Vec<String> {
        let literal = |text: &str| text.split(['*', '?', '%']).next().unwrap_or_default().to_owned();
        if !self.by_codes {
            return vec![literal(&self.text)];
        }
        let network = self.text.split('.').next().unwrap_or_default();
        let prefix = |network: String| {
            let end = if literal(&network) == network { "_" } else { "" };
            format!("FDSN:{}{end}", literal(&network))
        };
        spellings(network).map(prefix).collect()
    }
}

/// A code as paths have it; a blank one stays blank.
fn path_or_blank(code: &str) -> Cow<'_, str> {
    if code.is_empty() { Cow::Borrowed("") } else { path_component(code) }
}

/// Glob matching in one pass: after a mismatch the last star takes one more byte.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((after, taken)) = star else { return false };
                star = Some((after, taken + 1));
                (p, t) = (after, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_in_both_forms() {
        let id = |text: &str| Some(Sources::One(text.parse().unwrap()));
        assert_eq!(Sources::read("FDSN:IU_ANMO_00_B_H_Z"), id("FDSN:IU_ANMO_00_B_H_Z"));
        assert_eq!(Sources::read("IU.ANMO.00.BHZ"), id("FDSN:IU_ANMO_00_B_H_Z"));
        assert_eq!(Sources::read("IU.ANMO.--.BHZ"), id("FDSN:IU_ANMO__B_H_Z"));
        assert_eq!(Sources::read("FDSN:IU_ANMO_--_B_H_Z"), id("FDSN:IU_ANMO__B_H_Z"));
        let ids = |texts: [&str; 2]| Some(Sources::Spelled(texts.map(|text| text.parse().unwrap()).to_vec()));
        assert_eq!(Sources::read("IU.anmo.00.BHZ"), ids(["FDSN:IU_anmo_00_B_H_Z", "FDSN:IU_ANMO_00_B_H_Z"]));
        assert_eq!(Sources::read("FDSN:IU_anmo_00_B_H_Z"), id("FDSN:IU_anmo_00_B_H_Z"));
        for text in ["", "ANMO", "IU.ANMO.BHZ", "IU...BHZ", "*"] {
            assert_eq!(Sources::read(text), None, "{text}");
        }
    }

    #[test]
    fn patterns_match_as_on_a_command_line() {
        let check = |pattern: &str, expected: &[bool; 4]| {
            let Some(Sources::Matching(pattern)) = Sources::read(pattern) else { panic!("{pattern}") };
            let ids = [
                "FDSN:IU_ANMO_00_B_H_Z",
                "FDSN:IU_ANMO__B_H_Z",
                "FDSN:IU_COLA_00_B_H_N",
                "FDSN:II_ANMO_00_B_H_Z",
            ];
            let found = ids.map(|id| pattern.holds(&id.parse().unwrap()));
            assert_eq!(&found, expected, "{pattern:?}");
            for (id, found) in ids.iter().zip(found) {
                let begins = pattern.prefixes().iter().any(|prefix| id.starts_with(prefix));
                assert!(!found || begins, "{id} {pattern:?}");
            }
        };
        check("IU.*.*.BH?", &[true, true, true, false]);
        check("IU.*.--.BHZ", &[false, true, false, false]);
        check("I?.ANMO.00.*Z", &[true, false, false, true]);
        check("FDSN:IU_*_Z", &[true, true, false, false]);
        check("FDSN:*A*", &[true, true, true, true]);
        check("*.*.*.*N", &[false, false, true, false]);
        check("iu.*.*.bh?", &[true, true, true, false]);
        check("IU.a*.*.bHZ", &[true, true, false, false]);
    }
}
