//! XML as a tree, for tests that look into documents of both servers.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// An element without its namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// The root of a document.
    pub(super) fn root(document: &str) -> Self {
        let mut reader = Reader::from_str(document);
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().unwrap() {
                Event::Start(start) => open.push(Self::new(&start)),
                Event::Empty(start) => open.last_mut().unwrap().children.push(Self::new(&start)),
                Event::Text(text) => open.last_mut().unwrap().text.push_str(text.decode().unwrap().trim()),
                Event::End(_) => {
                    let element = open.pop().unwrap();
                    open.last_mut().unwrap().children.push(element);
                }
                Event::Eof => return open.pop().unwrap().children.pop().unwrap(),
                _ => {}
            }
        }
    }

    fn new(start: &BytesStart<'_>) -> Self {
        let attributes = start.attributes().map(|attribute| {
            let attribute = attribute.unwrap();
            let key = String::from_utf8(attribute.key.as_ref().to_vec()).unwrap();
            (key, attribute.unescape_value().unwrap().into_owned())
        });
        let name = String::from_utf8(start.local_name().as_ref().to_vec()).unwrap();
        Self { name, attributes: attributes.collect(), ..Self::default() }
    }

    pub(super) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    /// Children of a name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first element at a path below this one.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        match path {
            [] => Some(self),
            [first, rest @ ..] => {
                let mut found = self.children.iter().filter(|child| child.name == *first);
                found.find_map(|child| child.at(rest))
            }
        }
    }

    /// Text at a path; empty where there is none.
    pub(super) fn text_at(&self, path: &[&str]) -> &str {
        self.at(path).map_or("", |element| element.text.as_str())
    }

    /// Number at a path.
    pub(super) fn number_at(&self, path: &[&str]) -> f64 {
        let text = self.text_at(path);
        text.parse().unwrap_or_else(|_| panic!("\"{text}\" at {path:?} of <{}>", self.name))
    }

    /// Every element of a name, however deep.
    pub(super) fn deep<'a>(&'a self, name: &str, found: &mut Vec<&'a Self>) {
        for child in &self.children {
            if child.name == name {
                found.push(child);
            }
            child.deep(name, found);
        }
    }
}
