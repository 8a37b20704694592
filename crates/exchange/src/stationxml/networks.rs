//! Networks of an inventory, each once: documents repeat a network, and several documents describe the same one.
//!
//! A code may be used again by another network once the first has ended (temporary networks do), but never by two at a
//! time: what is said of one code for overlapping times is said of one network.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use seislake_model::{Station, Timestamp};

use super::original::{
    RestrictedStatus, STATUS, element_of, restricted_status, summary_of, take_in, text_of,
};
use crate::xml::{Attribute, Element};

/// A network and the places of its stations in the list they came from.
#[derive(Debug)]
pub(crate) struct NetworkGroup {
    pub(crate) code: String,
    /// What is said of it, with `code`, `startDate` and `endDate` of all that was said.
    pub(crate) element: Option<Element>,
    pub(crate) stations: Vec<usize>,
    /// What was said of the data of each station's network, where it was not the same of all: the network says `partial`
    /// then, and the stations must say it themselves.
    pub(crate) statuses: HashMap<usize, RestrictedStatus>,
}

/// One thing said of a network.
struct Statement {
    /// `None`: nothing was said, or not when it begins.
    start: Option<Timestamp>,
    /// `None`: open.
    end: Option<Timestamp>,
    element: Option<Element>,
    /// Length of the text: of several, the one that says most is kept, and takes in what the others say.
    length: usize,
    others: Vec<Element>,
    stations: Vec<usize>,
    /// Who may have the data, by station; where nothing is said, everybody.
    statuses: HashMap<usize, RestrictedStatus>,
}

/// The networks of `stations`, by code and begin.
pub(crate) fn group_networks<'a>(stations: impl Iterator<Item = &'a Station>) -> Vec<NetworkGroup> {
    let mut codes: BTreeMap<&str, BTreeMap<Option<Arc<str>>, Vec<usize>>> = BTreeMap::new();
    for (index, station) in stations.enumerate() {
        let originals = codes.entry(&station.network).or_default();
        originals.entry(station.network_original.clone()).or_default().push(index);
    }
    let mut groups = Vec::new();
    for (code, originals) in codes {
        let mut said: Vec<Statement> =
            originals.into_iter().map(|(text, stations)| Statement::of(text, stations)).collect();
        said.sort_by_key(|said| said.start);
        let known_from = said.partition_point(|said| said.start.is_none());
        let known = said.split_off(known_from);
        let mut epochs: Vec<Statement> = Vec::new();
        for next in known {
            match epochs.last_mut() {
                Some(last) if last.end.is_none_or(|end| next.start.is_some_and(|start| start < end)) => {
                    last.join(next);
                }
                _ => epochs.push(next),
            }
        }
        // What does not say when belongs to the network of today.
        for next in said {
            match epochs.last_mut() {
                Some(last) => last.join(next),
                None => epochs.push(next),
            }
        }
        groups.extend(epochs.into_iter().map(|said| said.group(code)));
    }
    groups
}

impl Statement {
    fn of(text: Option<Arc<str>>, stations: Vec<usize>) -> Self {
        let element = text.as_deref().and_then(element_of);
        let summary = element.as_ref().map(summary_of).unwrap_or_default();
        let (start, end) = (summary.start_time, summary.end_time);
        let status = text.as_deref().and_then(restricted_status).unwrap_or(RestrictedStatus::Open);
        let statuses = stations.iter().map(|station| (*station, status)).collect();
        Self {
            start,
            end,
            element,
            length: text.map_or(0, |text| text.len()),
            others: Vec::new(),
            stations,
            statuses,
        }
    }

    /// Takes in what was said of the same network.
    fn join(&mut self, mut other: Self) {
        self.stations.extend(other.stations);
        self.statuses.extend(other.statuses);
        if other.start.is_some() {
            self.end = self.end.zip(other.end).map(|(one, another)| one.max(another));
        }
        if other.length > self.length {
            std::mem::swap(&mut self.element, &mut other.element);
            self.length = other.length;
        }
        self.others.extend(other.element);
        self.others.extend(other.others);
    }

    fn group(mut self, code: &str) -> NetworkGroup {
        self.stations.sort_unstable();
        let first = self.statuses.values().next().copied();
        if self.statuses.values().all(|status| Some(*status) == first) {
            self.statuses.clear();
        }
        if let Some(element) = &mut self.element {
            take_in(element, &self.others);
            for attribute in self.others.iter().flat_map(|other| &other.attributes) {
                let is_free = attribute.foreign.is_none() && element.attribute(&attribute.name).is_none();
                if is_free && !["code", "startDate", "endDate", STATUS].contains(&attribute.name.as_str()) {
                    element.attributes.push(attribute.clone());
                }
            }
            if !self.statuses.is_empty() {
                set_attribute(element, STATUS, Some(RestrictedStatus::Partial.as_str()));
            }
            set_attribute(element, "code", Some(code));
            // Dates that agree stay as they were written.
            let own = summary_of(element);
            if own.start_time != self.start {
                set_attribute(element, "startDate", self.start.map(|time| time.to_string()).as_deref());
            }
            if own.end_time != self.end {
                set_attribute(element, "endDate", self.end.map(|time| time.to_string()).as_deref());
            }
        }
        NetworkGroup {
            code: code.to_owned(),
            element: self.element,
            stations: self.stations,
            statuses: self.statuses,
        }
    }
}

/// Gives a station what was said of its network alone.
pub(super) fn with_status(element: &mut Element, of_network: RestrictedStatus) {
    match of_network {
        // What is closed is closed below, whatever is said there.
        RestrictedStatus::Closed => set_attribute(element, STATUS, Some(of_network.as_str())),
        RestrictedStatus::Open if element.attribute(STATUS).is_none() => {
            set_attribute(element, STATUS, Some(of_network.as_str()));
        }
        RestrictedStatus::Open | RestrictedStatus::Partial => {}
    }
}

/// What is said of a network, with a begin; where nothing was said, its code and that.
pub(crate) fn with_begin(original: Option<&str>, code: &str, begin: Timestamp) -> Arc<str> {
    let bare = || {
        let mut element = Element { name: "Network".to_owned(), ..Element::default() };
        set_attribute(&mut element, "code", Some(code));
        element
    };
    let mut element = original.and_then(element_of).unwrap_or_else(bare);
    set_attribute(&mut element, "startDate", Some(&begin.to_string()));
    text_of(&element)
}

/// Gives an element an attribute of its own namespace, another value of it, or takes it away.
pub(super) fn set_attribute(element: &mut Element, name: &str, value: Option<&str>) {
    let is_it = |attribute: &Attribute| attribute.foreign.is_none() && attribute.name == name;
    let Some(value) = value else {
        element.attributes.retain(|attribute| !is_it(attribute));
        return;
    };
    match element.attributes.iter_mut().find(|attribute| is_it(attribute)) {
        Some(attribute) => value.clone_into(&mut attribute.value),
        None => element.attributes.push(Attribute {
            name: name.to_owned(),
            foreign: None,
            value: value.to_owned(),
        }),
    }
}
