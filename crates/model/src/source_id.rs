//! FDSN source identifiers: `FDSN:NET_STA_LOC_B_S_SS`.

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
/// Longest network, station and location codes of the standard.
const CODE_LENGTH_MAX: usize = 8;

impl SourceId {
    /// From network, station, location (blank, `--` or two spaces mean none) and SEED channel code (`BHZ`).
    /// Channel codes that do not have three letters become band and source `_`-separated as they are.
    pub fn from_nslc(network: &str, station: &str, location: &str, channel: &str) -> Self {
        let location = location.trim();
        let location = if location == "--" { "" } else { location };
        let channel = channel.trim();
        let mut letters = channel.chars();
        let text = match (letters.next(), letters.next(), letters.next(), letters.next()) {
            (Some(band), Some(source), Some(subsource), None) => {
                format!("FDSN:{}_{}_{location}_{band}_{source}_{subsource}", network.trim(), station.trim())
            }
            _ => format!("FDSN:{}_{}_{location}_{channel}", network.trim(), station.trim()),
        };
        Self(text.into())
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
        let rest: Vec<&str> = self
            .0
            .strip_prefix("FDSN:")
            .unwrap_or(&self.0)
            .splitn(4, '_')
            .nth(3)
            .unwrap_or("")
            .split('_')
            .collect();
        if rest.iter().all(|code| code.chars().count() <= 1) { rest.concat() } else { rest.join("_") }
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
        Err(CodeError { source_id: self.0.to_string(), what, code: code.to_owned(), rule })
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
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
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
