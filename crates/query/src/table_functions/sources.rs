//! Which channels a table function reads: one, or all that match a pattern.

use std::borrow::Cow;

use seislake_model::{SourceId, path_component};

/// Channels asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sources {
    One(SourceId),
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
                Some(Self::One(SourceId::from_nslc(network, station, location, channel)))
            }
            _ => text.parse().ok().map(Self::One),
        }
    }
}

impl Pattern {
    /// Whether a channel matches.
    pub(super) fn holds(&self, source_id: &SourceId) -> bool {
        if !self.by_codes {
            return matches(self.text.as_bytes(), source_id.as_str().as_bytes());
        }
        let channel = source_id.channel();
        let codes = [source_id.network(), source_id.station(), source_id.location(), &channel];
        if self.text.contains('%') {
            let codes = codes.map(path_or_blank);
            let mut parts = self.text.split('.').zip(&codes);
            return parts.all(|(pattern, code)| matches(pattern.as_bytes(), code.as_bytes()));
        }
        let mut parts = self.text.split('.').zip(codes);
        parts.all(|(pattern, code)| matches(pattern.as_bytes(), code.as_bytes()))
    }

    /// What every source identifier that matches begins with.
    pub(super) fn prefix(&self) -> String {
        let literal = |text: &str| text.split(['*', '?', '%']).next().unwrap_or_default().to_owned();
        if !self.by_codes {
            return literal(&self.text);
        }
        let network = self.text.split('.').next().unwrap_or_default();
        let end = if literal(network) == network { "_" } else { "" };
        format!("FDSN:{}{end}", literal(network))
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
                assert!(!found || id.starts_with(&pattern.prefix()), "{id} {pattern:?}");
            }
        };
        check("IU.*.*.BH?", &[true, true, true, false]);
        check("IU.*.--.BHZ", &[false, true, false, false]);
        check("I?.ANMO.00.*Z", &[true, false, false, true]);
        check("FDSN:IU_*_Z", &[true, true, false, false]);
        check("FDSN:*A*", &[true, true, true, true]);
        check("*.*.*.*N", &[false, false, true, false]);
    }
}
