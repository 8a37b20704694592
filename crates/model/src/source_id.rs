//! FDSN source identifiers: `FDSN:NET_STA_LOC_B_S_SS`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The identity of one channel: `FDSN:NET_STA_LOC_BAND_SOURCE_SUBSOURCE`; a blank location is empty.
/// Cheap to clone. Reference: FDSN Source Identifiers 1.0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(Arc<str>);

/// Text that is not a source identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a source identifier such as \"FDSN:IU_ANMO_00_B_H_Z\"")]
pub struct SourceIdError(pub String);

/// A code of a source identifier that the standard does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{source_id}\": the {what} code is \"{code}\"; it must be {rule}")]
pub struct CodeError {
    /// The whole identifier.
    pub source_id: String,
    /// Which code: "network", "station", "location", "channel", "band", "source" or "subsource".
    pub what: &'static str,
    /// The code.
    pub code: String,
    /// What the standard asks for.
    pub rule: &'static str,
}

const LENGTH_MAX: usize = 64;
/// How some write that there is no location code.
const BLANK_LOCATION: &str = "--";
/// Longest network, station and location codes of the standard.
const CODE_LENGTH_MAX: usize = 8;

impl SourceId {
    /// From network, station, location (blank, `--` or two spaces mean none) and SEED channel code (`BHZ`).
    /// Codes of fewer than three letters lack their last ones, as in a record; longer ones, and those that hold `_`
    /// already, stay as they are. Nothing is checked: [`SourceId::from_codes`] does that.
    pub fn from_nslc(network: &str, station: &str, location: &str, channel: &str) -> Self {
        let location = location.trim();
        let location = if location == BLANK_LOCATION { "" } else { location };
        let channel = channel.trim();
        let mut letters = channel.chars();
        let (band, source, subsource) = (letters.next(), letters.next(), letters.next());
        let head = format!("FDSN:{}_{}_{location}_", network.trim(), station.trim());
        let text = if letters.next().is_some() || channel.contains('_') {
            head + channel
        } else {
            let letter = |letter: Option<char>| letter.map_or(String::new(), String::from);
            format!("{head}{}_{}_{}", letter(band), letter(source), letter(subsource))
        };
        Self(text.into())
    }

    /// From codes as a station list has them: each letters, digits and dashes only, and of a length that a record may
    /// have. A blank network is taken: not every list names one.
    ///
    /// # Errors
    /// The first code that breaks its rule.
    pub fn from_codes(
        network: &str,
        station: &str,
        location: &str,
        channel: &str,
    ) -> Result<Self, CodeError> {
        let id = Self::from_nslc(network, station, location, channel);
        let name = || format!("{}.{}.{}.{}", network.trim(), station.trim(), location.trim(), channel.trim());
        check_station_codes(network, station, &name)?;
        check_code("location", location, 0, &name)?;
        id.check_listed().map(|()| id).map_err(|error| CodeError { source_id: shortened(&name()), ..error })
    }

    /// The whole identifier.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn part(&self, index: usize) -> &str {
        self.0.strip_prefix("FDSN:").unwrap_or(&self.0).split('_').nth(index).unwrap_or("")
    }

    /// Network code.
    pub fn network(&self) -> &str {
        self.part(0)
    }

    /// Station code.
    pub fn station(&self) -> &str {
        self.part(1)
    }

    /// Location code; empty where blank.
    pub fn location(&self) -> &str {
        self.part(2)
    }

    /// SEED channel code: `BHZ`; longer codes keep their underscores.
    pub fn channel(&self) -> String {
        let body = self.0.strip_prefix("FDSN:").unwrap_or(&self.0);
        let rest: Vec<&str> = body.splitn(4, '_').nth(3).unwrap_or("").split('_').collect();
        // Without its underscores a code with a hole (`_H_Z`) would be that of another channel.
        let has_hole = rest.iter().skip_while(|code| !code.is_empty()).any(|code| !code.is_empty());
        let is_seed = rest.iter().all(|code| code.chars().count() <= 1) && !has_hole;
        if is_seed { rest.concat() } else { rest.join("_") }
    }

    /// What every record must keep: a station code, and no code longer than 8 characters before the channel's. Recordings
    /// with a blank network code or odd characters exist and pass; they do not pass [`SourceId::check_standard`].
    ///
    /// # Errors
    /// The first code that breaks the rule.
    pub fn check_recorded(&self) -> Result<(), CodeError> {
        let length = |code: &str, least: usize| (least..=CODE_LENGTH_MAX).contains(&code.chars().count());
        self.require("network", self.network(), length(self.network(), 0), "0 to 8 characters")?;
        self.require("station", self.station(), length(self.station(), 1), "1 to 8 characters")?;
        self.require("location", self.location(), length(self.location(), 0), "0 to 8 characters")
    }

    /// What the codes of a channel in a station list must keep: letters, digits and dashes, at lengths that a record may
    /// have. Stricter than [`SourceId::check_recorded`], because nobody loses a recording by it; less strict than the
    /// standard, because lower case codes are in use.
    ///
    /// # Errors
    /// The first code that breaks its rule.
    pub fn check_listed(&self) -> Result<(), CodeError> {
        let name = || self.0.to_string();
        check_station_codes(self.network(), self.station(), &name)?;
        check_code("location", self.location(), 0, &name)?;
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let channel = self.channel();
        let holds = channel.chars().all(legal) && channel.chars().any(|c| c != '_');
        self.require("channel", &channel, holds, "letters and digits, such as HHZ")?;
        self.require(
            "channel",
            &channel,
            self.0.len() <= LENGTH_MAX,
            "shorter: an id has 64 characters at most",
        )
    }

    /// Lengths and characters of all codes as FDSN Source Identifiers 1.0 has them: for names that are given to new data.
    ///
    /// # Errors
    /// The first code that breaks the rule.
    pub fn check_standard(&self) -> Result<(), CodeError> {
        self.check_recorded()?;
        let letters = |code: &str| code.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        let dashed = |code: &str| letters(&code.replace('-', ""));
        let (network, station, location) = (self.network(), self.station(), self.location());
        let rule = "1 to 8 upper case letters or digits";
        self.require("network", network, !network.is_empty() && letters(network), rule)?;
        self.require("station", station, dashed(station), "1 to 8 upper case letters, digits or dashes")?;
        let rule = "0 to 8 upper case letters, digits or dashes, not \"--\"";
        self.require("location", location, dashed(location) && location != "--", rule)?;
        let channel: Vec<&str> = self.0.split('_').skip(3).collect();
        let [band, source, subsource] = channel[..] else {
            let rule = "band, source and subsource, such as HHZ or H_H_Z";
            return self.require("channel", &self.channel(), false, rule);
        };
        self.require(
            "band",
            band,
            band.len() <= 1 && letters(band),
            "one upper case letter or digit, or empty",
        )?;
        let rule = "upper case letters or digits";
        self.require("source", source, !source.is_empty() && letters(source), rule)?;
        self.require("subsource", subsource, letters(subsource), rule)
    }

    fn require(
        &self,
        what: &'static str,
        code: &str,
        holds: bool,
        rule: &'static str,
    ) -> Result<(), CodeError> {
        if holds {
            return Ok(());
        }
        Err(CodeError { source_id: shortened(&self.0), what, code: shortened(code), rule })
    }

    /// Last letter of the channel code: orientation (`Z`, `N`, `1`, …), if there is one.
    pub fn orientation(&self) -> Option<char> {
        self.0.chars().next_back().filter(|c| *c != '_')
    }

    /// `NET_STA`: the key of the station.
    pub fn station_key(&self) -> String {
        format!("{}_{}", self.network(), self.station())
    }

    /// Everything but the orientation: what the three components of one sensor share.
    pub fn instrument_key(&self) -> &str {
        self.0.rsplit_once('_').map_or(&self.0, |(head, _)| head)
    }
}

/// Checks the codes of a station as lists name it: letters, digits and dashes. A blank network is taken.
///
/// # Errors
/// The first code that breaks its rule, with the `NET.STA` that it stands in.
pub fn check_station(network: &str, station: &str) -> Result<(), CodeError> {
    check_station_codes(network, station, &|| format!("{}.{}", network.trim(), station.trim()))
}

fn check_station_codes(network: &str, station: &str, name: &dyn Fn() -> String) -> Result<(), CodeError> {
    check_code("network", network, 0, name)?;
    check_code("station", station, 1, name)
}

fn check_code(
    what: &'static str,
    code: &str,
    length_min: usize,
    name: &dyn Fn() -> String,
) -> Result<(), CodeError> {
    let code = code.trim();
    let legal = code.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if legal && (length_min..=CODE_LENGTH_MAX).contains(&code.len()) {
        return Ok(());
    }
    let rule =
        if length_min == 0 { "0 to 8 letters, digits or dashes" } else { "1 to 8 letters, digits or dashes" };
    Err(CodeError { source_id: shortened(&name()), what, code: shortened(code), rule })
}

/// Text of others as it may stand in a sentence: of bounded length, on one line.
fn shortened(text: &str) -> String {
    const CHARACTERS_MAX: usize = 80;
    let mut short: String = text.chars().take(CHARACTERS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(CHARACTERS_MAX).is_some() {
        short.push('…');
    }
    short
}

/// The code in capitals, where a code asked for (or a pattern, or codes with dots between them) has small letters. Codes
/// are kept as they came, and some stations have small letters; the standard has capitals only. So who asks in small
/// letters means both, and who asks in capitals means what is written.
pub fn in_capitals(code: &str) -> Option<String> {
    code.contains(|c: char| c.is_ascii_lowercase()).then(|| code.to_ascii_uppercase())
}

/// A code as one component of a path: every byte but ASCII letters, digits, `-` and `_` becomes `%` and two hexadecimal
/// digits, so that no code is `..`, hides a separator, or looks like another one; an empty code is `_`, which no code is.
/// Records may hold any printable characters in their codes, and every place that names files after codes does it so.
pub fn path_component(code: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if code.is_empty() {
        return Cow::Borrowed("_");
    }
    if code.bytes().all(plain) {
        return Cow::Borrowed(code);
    }
    let mut out = String::with_capacity(3 * code.len());
    for byte in code.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(out)
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SourceId {
    type Err = SourceIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let body = text.strip_prefix("FDSN:").ok_or_else(|| SourceIdError(text.to_owned()))?;
        let legal = body.chars().all(|c| c.is_ascii_graphic());
        if !legal || text.len() > LENGTH_MAX || body.split('_').count() < 4 {
            return Err(SourceIdError(text.to_owned()));
        }
        Ok(Self(text.into()))
    }
}

impl Serialize for SourceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SourceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_itself_apart() {
        let id = SourceId::from_nslc("IU", "ANMO ", "--", "BHZ");
        assert_eq!(id.as_str(), "FDSN:IU_ANMO__B_H_Z");
        assert_eq!((id.network(), id.station(), id.location()), ("IU", "ANMO", ""));
        assert_eq!((id.channel().as_str(), id.orientation()), ("BHZ", Some('Z')));
        assert_eq!((id.station_key().as_str(), id.instrument_key()), ("IU_ANMO", "FDSN:IU_ANMO__B_H"));
        assert_eq!(id.as_str().parse(), Ok(id));
    }

    #[test]
    fn channel_codes_of_any_length_come_back() {
        for (channel, id) in [
            ("BHZ", "FDSN:XX_S__B_H_Z"),
            ("HH", "FDSN:XX_S__H_H_"),
            ("H", "FDSN:XX_S__H__"),
            ("", "FDSN:XX_S____"),
            ("_H_Z", "FDSN:XX_S___H_Z"),
            ("H__Z", "FDSN:XX_S__H__Z"),
            ("H_GPS_", "FDSN:XX_S__H_GPS_"),
            ("_T_", "FDSN:XX_S___T_"),
        ] {
            let made = SourceId::from_nslc("XX", "S", "--", channel);
            assert_eq!((made.as_str(), made.channel().as_str()), (id, channel));
        }
    }

    #[test]
    fn lists_name_channels_in_letters_digits_and_dashes() {
        for (station, channel) in [("god", "HHZ"), ("A-1", "LOG"), ("GRTLG123", "H_GPS_"), ("1", "hhz")] {
            SourceId::from_codes("VI", station, " -- ", channel).unwrap();
        }
        let long = "H".repeat(60);
        for (network, station, location, channel, what) in [
            ("XX", "S A", "00", "HHZ", "station"),
            ("XX", "STÄ", "", "HHZ", "station"),
            ("XX", "A_B", "", "HHZ", "station"),
            ("XX", "..", "", "HHZ", "station"),
            ("XX", "", "", "HHZ", "station"),
            ("XX", "A\u{7}", "", "HHZ", "station"),
            ("XX", "ABCDEFGHI", "", "HHZ", "station"),
            ("X/", "S", "", "HHZ", "network"),
            ("XX", "S", "0_", "HHZ", "location"),
            ("XX", "S", "", "", "channel"),
            ("XX", "S", "", "__", "channel"),
            ("XX", "S", "", "H/Z", "channel"),
            ("XX", "S", "", "H Z", "channel"),
            ("XX", "S", "", &long, "channel"),
        ] {
            let error = SourceId::from_codes(network, station, location, channel).unwrap_err();
            assert_eq!(error.what, what, "{error}");
            assert!(error.to_string().chars().all(|c| !c.is_control()), "{error}");
        }
    }

    #[test]
    fn no_code_leaves_its_place_in_a_path() {
        for (code, expected) in [
            ("ANMO", "ANMO"),
            ("a-1_b", "a-1_b"),
            ("", "_"),
            ("..", "%2E%2E"),
            (".", "%2E"),
            ("../..", "%2E%2E%2F%2E%2E"),
            ("*", "%2A"),
            ("%2A", "%252A"),
            ("o'k", "o%27k"),
            ("Ä", "%C3%84"),
        ] {
            assert_eq!(path_component(code), expected);
        }
    }

    #[test]
    fn codes_follow_the_standard() {
        for text in ["FDSN:IU_ANMO_00_B_H_Z", "FDSN:XX2026_A-1__H_H_Z", "FDSN:XX_S__H_GPS_", "FDSN:XX_S___T_"]
        {
            assert_eq!(text.parse::<SourceId>().unwrap().check_standard(), Ok(()), "{text}");
        }
        for (text, what) in [
            ("FDSN:TOOLONGNETWORK_S__H_H_Z", "network"),
            ("FDSN:_S__H_H_Z", "network"),
            ("FDSN:xx_S__H_H_Z", "network"),
            ("FDSN:XX___H_H_Z", "station"),
            ("FDSN:XX_S?__H_H_Z", "station"),
            ("FDSN:XX_S_--_H_H_Z", "location"),
            ("FDSN:XX_S_123456789_H_H_Z", "location"),
            ("FDSN:XX_S__HHZZZ", "channel"),
            ("FDSN:XX_S__H_H_Z_Z", "channel"),
            ("FDSN:XX_S__HH_H_Z", "band"),
            ("FDSN:XX_S__H__Z", "source"),
            ("FDSN:XX_S__H_H_z", "subsource"),
        ] {
            assert_eq!(text.parse::<SourceId>().unwrap().check_standard().unwrap_err().what, what, "{text}");
        }
    }

    #[test]
    fn recordings_may_lack_a_network_but_not_a_station() {
        assert_eq!("FDSN:_S.1__H_H_Z".parse::<SourceId>().unwrap().check_recorded(), Ok(()));
        let error = "FDSN:XX___H_H_Z".parse::<SourceId>().unwrap().check_recorded().unwrap_err();
        let said = "\"FDSN:XX___H_H_Z\": the station code is \"\"; it must be 1 to 8 characters";
        assert_eq!(error.to_string(), said);
    }

    #[test]
    fn refuses_what_is_none() {
        for text in ["", "IU_ANMO_00_B_H_Z", "FDSN:IU_ANMO", "FDSN:I U_A__B_H_Z"] {
            assert_eq!(text.parse::<SourceId>(), Err(SourceIdError(text.to_owned())));
        }
    }
}
