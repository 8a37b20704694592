//! Elements as they were read: kept as text, and asked for what the model has no place for.

use std::sync::Arc;

use seislake_model::Timestamp;

use crate::epochs::Side;
use crate::xml::{Element, Token, XmlReader, XmlWriter};
use crate::{epoch_end, epoch_start};

/// Elements of version 1.0 that version 1.2 has no place for.
const GONE: [&str; 1] = ["StorageFormat"];
/// Counts of what a former request selected.
const OF_A_REQUEST: [&str; 2] = ["SelectedNumberStations", "SelectedNumberChannels"];

/// The element with everything inside, as text.
pub(super) fn text_of(element: &Element) -> Arc<str> {
    let mut writer = XmlWriter::fragment();
    writer.tree(element);
    writer.finish().into()
}

/// The element that [`text_of`] wrote, without what must not be written again; `None` where the text is none.
pub(super) fn element_of(text: &str) -> Option<Element> {
    let mut reader = XmlReader::new("StationXML", text);
    let Ok(Token::Start(start)) = reader.next() else { return None };
    let mut element = reader.subtree(start).ok()?;
    let kept = |child: &Element| {
        child.foreign.is_some()
            || !GONE.contains(&child.name.as_str()) && !OF_A_REQUEST.contains(&child.name.as_str())
    };
    element.children.retain(kept);
    Some(element)
}

/// Begin of an element, without what is inside.
fn start_of(text: &str) -> Option<Element> {
    match XmlReader::new("StationXML", text).next() {
        Ok(Token::Start(start)) => Some(start),
        _ => None,
    }
}

/// A date that an original states, in the way that all times are written; `None` where it states none, or no time.
pub(crate) fn stated_date(original: &str, side: Side) -> Option<String> {
    date_of(&start_of(original)?, side)
}

/// The same of an element.
pub(crate) fn date_of(element: &Element, side: Side) -> Option<String> {
    Timestamp::rewritten(element.attribute(side.attribute())?).ok()
}

/// Who may have the data of an epoch (`restrictedStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestrictedStatus {
    /// Everybody.
    Open,
    /// Not everybody; words that the standard does not know count as this.
    Closed,
    /// Everybody some of them: what lies below says which.
    Partial,
}

/// What an original says about who may have its data; `None` where it says nothing.
pub fn restricted_status(original: &str) -> Option<RestrictedStatus> {
    let start = start_of(original)?;
    Some(match start.attribute("restrictedStatus")? {
        "open" => RestrictedStatus::Open,
        "partial" => RestrictedStatus::Partial,
        _ => RestrictedStatus::Closed,
    })
}

/// What a network's original says in FDSN text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkSummary {
    /// Description.
    pub description: Option<String>,
    /// Begin of the epoch.
    pub start_time: Option<Timestamp>,
    /// End of the epoch; `None`: open.
    pub end_time: Option<Timestamp>,
    /// Begin and end as text says them: with dates that are too far away to be held, empty where nothing is said.
    pub dates: [String; 2],
}

/// Reads the summary; what is absent or unreadable stays empty.
pub fn network_summary(original: &str) -> NetworkSummary {
    element_of(original).as_ref().map(summary_of).unwrap_or_default()
}

/// Reads the summary of the element itself.
pub(crate) fn summary_of(element: &Element) -> NetworkSummary {
    let time = |side: Side| element.attribute(side.attribute()).unwrap_or_default();
    let date = |side| date_of(element, side).unwrap_or_default().trim_end_matches('Z').to_owned();
    NetworkSummary {
        description: element.text_of(&["Description"]).map(str::to_owned),
        start_time: epoch_start(time(Side::Start)).ok().flatten(),
        end_time: epoch_end(time(Side::End)).ok().flatten(),
        dates: [date(Side::Start), date(Side::End)],
    }
}

/// Overall sensitivity of a response in the units of its document.
#[derive(Clone, Debug, PartialEq)]
pub struct Sensitivity {
    /// Counts per input unit.
    pub value: f64,
    /// Frequency at which it holds.
    pub frequency_hz: f64,
    /// Name of the input unit.
    pub input_unit: String,
}

/// Reads the `InstrumentSensitivity` of a response's original, ground motion or not.
pub fn sensitivity(response_original: &str) -> Option<Sensitivity> {
    let element = element_of(response_original)?;
    let total = element.child("InstrumentSensitivity")?;
    Some(Sensitivity {
        value: total.number(&["Value"])?,
        frequency_hz: total.number(&["Frequency"])?,
        input_unit: total.text_of(&["InputUnits", "Name"])?.to_owned(),
    })
}
