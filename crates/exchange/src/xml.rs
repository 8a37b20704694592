//! XML as small trees: one channel or one event at a time, so that memory does not grow with the document. Depth,
//! attributes and elements of a tree have limits: no document costs more than in proportion to its length.
//!
//! Names are local names (`bed:event` is `event`): documents in the wild use any prefix, or none. Names of another
//! namespace than the root element's keep prefix and URI beside it, so that what we do not understand can be written
//! again as it was. Only the five predefined entities and character references are resolved.

use std::borrow::Cow;

use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::ReadError;
use crate::encoding::glance;
use crate::known_formats::HEAD_BYTES;

/// Elements nested deeper than this are an attack, not metadata.
const DEPTH_MAX: usize = 64;
/// Attributes of one element: real ones have a dozen, and each is compared with all others.
const ATTRIBUTES_MAX: usize = 256;
/// Elements of one tree: the largest bulletins have some hundred thousand in an event.
const ELEMENTS_MAX: usize = 2_000_000;

/// A namespace that is not the document's own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Namespace {
    pub(crate) prefix: String,
    pub(crate) uri: String,
}

/// An attribute; declarations of namespaces are none.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Attribute {
    /// Local name.
    pub(crate) name: String,
    pub(crate) foreign: Option<Namespace>,
    pub(crate) value: String,
}

/// What the prefix `xml` always stands for.
const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";
/// How the names of QuakeML's own namespaces begin.
const QUAKEML_NAMESPACES: &str = "http://quakeml.org/xmlns/";
/// Prefix of foreign elements that had none.
const DEFAULT_PREFIX: &str = "other";

/// An element with everything inside.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Element {
    /// Local name.
    pub(crate) name: String,
    /// Where the name is of another namespace than the document.
    pub(crate) foreign: Option<Namespace>,
    pub(crate) attributes: Vec<Attribute>,
    /// Text directly inside, trimmed.
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
    /// Line of the start tag.
    pub(crate) line: u64,
}

impl Element {
    /// Value of an attribute of the document's own.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let is_it = |attribute: &&Attribute| attribute.foreign.is_none() && attribute.name == name;
        self.attributes.iter().find(is_it).map(|found| found.value.as_str())
    }

    /// Whether it is the document's own element of that name.
    pub(crate) fn is_ours(&self, name: &str) -> bool {
        self.foreign.is_none() && self.name == name
    }

    /// First child of that name, of the document's own.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.is_ours(name))
    }

    /// All children of that name.
    pub(crate) fn children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.is_ours(name))
    }

    /// Descendant along a path of names.
    pub(crate) fn find(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |element, name| element.child(name))
    }

    /// Text of a descendant; `None` where it is absent or empty.
    pub(crate) fn text_of(&self, path: &[&str]) -> Option<&str> {
        self.find(path).map(|element| element.text.as_str()).filter(|text| !text.is_empty())
    }

    /// Number in a descendant; `None` where there is none.
    ///
    /// # Errors
    /// One sentence where there is something else, infinite or no number at all.
    pub(crate) fn stated_number(&self, path: &[&str]) -> Result<Option<f64>, String> {
        let Some(text) = self.text_of(path) else { return Ok(None) };
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        number.map(Some).ok_or_else(|| {
            let (name, text) = (path.last().copied().unwrap_or_default(), crate::excerpt(text));
            format!("<{name}> is \"{text}\", which is no finite number")
        })
    }

    /// Finite number in a descendant.
    pub(crate) fn number(&self, path: &[&str]) -> Option<f64> {
        self.text_of(path)?.parse().ok().filter(|number: &f64| number.is_finite())
    }
}

/// What comes next in a document.
#[derive(Debug)]
pub(crate) enum Token {
    /// Begin of an element, without what is inside.
    Start(Element),
    /// End of an element.
    End,
    /// End of the document, all elements closed.
    Eof,
}

/// Whether the document begins like XML.
pub(crate) fn looks_like_xml(bytes: &[u8]) -> bool {
    let head = bytes.get(..HEAD_BYTES).unwrap_or(bytes);
    glance(head).trim_start().starts_with('<')
}

/// Pulls tokens and subtrees out of a document.
pub(crate) struct XmlReader<'a> {
    format: &'static str,
    text: &'a str,
    reader: quick_xml::Reader<&'a [u8]>,
    depth: usize,
    /// Position up to which lines were counted, and the count.
    counted: (usize, u64),
    /// An empty element (`<a/>`) was started; its end is due.
    is_end_due: bool,
    /// Namespaces in scope: depth of the declaration, prefix, URI.
    namespaces: Vec<(usize, String, String)>,
    /// Namespace of the root element.
    own_uri: Option<String>,
}

impl<'a> XmlReader<'a> {
    /// Reader of `text`; `format` is named in errors.
    pub(crate) fn new(format: &'static str, text: &'a str) -> Self {
        let reader = quick_xml::Reader::from_str(text);
        Self {
            format,
            text,
            reader,
            depth: 0,
            counted: (0, 1),
            is_end_due: false,
            namespaces: Vec::new(),
            own_uri: None,
        }
    }

    /// Next start or end of an element; text between is skipped.
    pub(crate) fn next(&mut self) -> Result<Token, ReadError> {
        loop {
            if let Some(token) = self.step(&mut None)? {
                return Ok(token);
            }
        }
    }

    /// Everything inside `start`, which was just returned by [`Self::next`].
    pub(crate) fn subtree(&mut self, start: Element) -> Result<Element, ReadError> {
        let mut open = vec![start];
        let mut text = vec![String::new()];
        let mut element_count = 1;
        loop {
            let Some(token) = self.step(&mut text.last_mut())? else { continue };
            match token {
                Token::Start(element) => {
                    element_count += 1;
                    if element_count > ELEMENTS_MAX {
                        return Err(self.broken("an element holds more others than any real one"));
                    }
                    open.push(element);
                    text.push(String::new());
                }
                Token::End => {
                    let (Some(mut element), Some(inside)) = (open.pop(), text.pop()) else { continue };
                    element.text = inside.trim().to_owned();
                    match open.last_mut() {
                        Some(parent) => parent.children.push(element),
                        None => return Ok(element),
                    }
                }
                Token::Eof => return Err(self.broken("the document ends too early")),
            }
        }
    }

    fn step(&mut self, text: &mut Option<&mut String>) -> Result<Option<Token>, ReadError> {
        if std::mem::take(&mut self.is_end_due) {
            self.leave();
            return Ok(Some(Token::End));
        }
        let event = match self.reader.read_event() {
            Ok(event) => event,
            Err(error) => {
                let position = self.reader.error_position() as usize;
                return Err(self.broken_at(position, error.to_string()));
            }
        };
        match event {
            Event::Start(tag) => return self.start(&tag).map(|element| Some(Token::Start(element))),
            Event::Empty(tag) => {
                let element = self.start(&tag)?;
                self.is_end_due = true;
                return Ok(Some(Token::Start(element)));
            }
            Event::End(_) => {
                self.leave();
                return Ok(Some(Token::End));
            }
            Event::Eof if self.depth > 0 => return Err(self.broken("the document ends too early")),
            Event::Eof => return Ok(Some(Token::Eof)),
            Event::Text(part) => {
                let part = String::from_utf8_lossy(&part);
                // Documents that were joined bring their marks of byte order along.
                let blank = |c: char| c.is_whitespace() || c == '\u{FEFF}';
                if self.depth == 0 && !part.chars().all(blank) {
                    return Err(self.outside_of_the_root());
                }
                push(text, &part);
            }
            Event::CData(_) | Event::GeneralRef(_) if self.depth == 0 => {
                return Err(self.outside_of_the_root());
            }
            Event::CData(part) => push(text, &String::from_utf8_lossy(&part)),
            Event::GeneralRef(reference) => {
                let resolved = resolve(&reference);
                let resolved = resolved.ok_or_else(|| {
                    let is_number = reference.starts_with(b"#");
                    self.broken(if is_number { FORBIDDEN_REFERENCE } else { UNKNOWN_ENTITY })
                })?;
                push(text, &resolved);
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
        Ok(None)
    }

    fn start(&mut self, tag: &BytesStart<'_>) -> Result<Element, ReadError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.broken("elements are nested too deeply"));
        }
        let mut attributes = Vec::new();
        for (index, attribute) in tag.attributes().enumerate() {
            if index == ATTRIBUTES_MAX {
                return Err(self.broken("an element has more attributes than any real one"));
            }
            let attribute = attribute.map_err(|error| self.broken(&error.to_string()))?;
            let value = attribute.unescape_value().map_err(|error| self.broken(&error.to_string()))?;
            if refers_to_forbidden(&attribute.value, &value) {
                return Err(self.broken(FORBIDDEN_REFERENCE));
            }
            let value = value.trim().to_owned();
            let prefix = attribute.key.prefix().map(|prefix| local(prefix.as_ref()));
            let name = local(attribute.key.local_name().as_ref());
            match prefix.as_deref() {
                None if name == "xmlns" => self.namespaces.push((self.depth, String::new(), value)),
                Some("xmlns") => self.namespaces.push((self.depth, name, value)),
                _ => attributes.push((prefix, name, value)),
            }
        }
        let prefix = tag.name().prefix().map_or(String::new(), |prefix| local(prefix.as_ref()));
        if self.depth == 1 {
            self.own_uri = self.uri(&prefix).map(str::to_owned);
        }
        // An attribute without a prefix is of no namespace at all.
        let attribute = |(prefix, name, value): (Option<String>, String, String)| {
            let foreign = prefix.and_then(|prefix| self.foreign(&prefix));
            Attribute { name, foreign, value }
        };
        let attributes = attributes.into_iter().map(attribute).collect();
        let (foreign, name) = (self.foreign(&prefix), local(tag.local_name().as_ref()));
        Ok(Element { name, foreign, attributes, line: self.line(), ..Element::default() })
    }

    /// Namespace that a prefix stands for here.
    fn uri(&self, prefix: &str) -> Option<&str> {
        if prefix == "xml" {
            return Some(XML_NAMESPACE);
        }
        let found = self.namespaces.iter().rev().find(|(_, declared, _)| declared == prefix);
        found.map(|(_, _, uri)| uri.as_str()).filter(|uri| !uri.is_empty())
    }

    fn foreign(&self, prefix: &str) -> Option<Namespace> {
        // The namespaces of QuakeML are one format: the root is of another than what is inside.
        let is_own = |uri: &str| {
            let of_quakeml = |uri: &str| uri.starts_with(QUAKEML_NAMESPACES);
            self.own_uri.as_deref().is_some_and(|own| own == uri || of_quakeml(own) && of_quakeml(uri))
        };
        let uri = self.uri(prefix).filter(|uri| !is_own(uri))?;
        let prefix = if prefix.is_empty() { DEFAULT_PREFIX } else { prefix };
        Some(Namespace { prefix: prefix.to_owned(), uri: uri.to_owned() })
    }

    fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        while self.namespaces.last().is_some_and(|(depth, ..)| *depth > self.depth) {
            self.namespaces.pop();
        }
    }

    fn outside_of_the_root(&self) -> ReadError {
        self.broken("text that stands in no element")
    }

    /// Whether all elements are closed.
    pub(crate) fn is_outside(&self) -> bool {
        self.depth == 0
    }

    /// Line of the current position.
    pub(crate) fn line(&mut self) -> u64 {
        let position = (self.reader.buffer_position() as usize).min(self.text.len());
        let (from, count) = self.counted;
        let bytes = self.text.as_bytes().get(from..position).unwrap_or_default();
        let count = count + bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.counted = (position.max(from), count);
        count
    }

    /// An error at the current position.
    pub(crate) fn broken(&self, reason: &str) -> ReadError {
        self.broken_at(self.reader.buffer_position() as usize, reason.to_owned())
    }

    fn broken_at(&self, position: usize, reason: String) -> ReadError {
        // A reason may quote the document, line breaks and all.
        let reason: String =
            reason.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
        let before = self.text.as_bytes().get(..position).unwrap_or(self.text.as_bytes());
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count() as u64;
        let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count() as u64;
        ReadError::Broken { format: self.format, line, column, reason }
    }
}

fn local(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

fn push(text: &mut Option<&mut String>, part: &str) {
    if let Some(text) = text {
        text.push_str(part);
    }
}

fn resolve(reference: &BytesRef<'_>) -> Option<String> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return (!is_forbidden(character)).then(|| character.to_string());
    }
    let name = std::str::from_utf8(reference).ok()?;
    resolve_predefined_entity(name).map(str::to_owned)
}

/// Whether an attribute's value holds characters by reference that XML does not allow.
fn refers_to_forbidden(written: &[u8], value: &str) -> bool {
    let count = |text: &str| text.chars().filter(|c| is_forbidden(*c)).count();
    written.contains(&b'&') && count(value) > count(&String::from_utf8_lossy(written))
}

/// Writes indented XML.
#[derive(Debug)]
pub(crate) struct XmlWriter {
    out: String,
    open: Vec<String>,
}

impl XmlWriter {
    /// A document.
    pub(crate) fn new() -> Self {
        Self { out: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(), open: Vec::new() }
    }

    /// A part of a document, without its declaration.
    pub(crate) fn fragment() -> Self {
        Self { out: String::new(), open: Vec::new() }
    }

    fn indent(&mut self) {
        self.out.extend(std::iter::repeat_n("  ", self.open.len()));
    }

    fn tag(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.indent();
        self.out.push('<');
        self.out.push_str(name);
        for (key, value) in attributes {
            self.out.push_str(&format!(" {key}=\"{}\"", escape(clean(value).as_ref())));
        }
    }

    /// Opens an element.
    pub(crate) fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.tag(name, attributes);
        self.out.push_str(">\n");
        self.open.push(name.to_owned());
    }

    /// Opens an element that was read, with its attributes; foreign namespaces are declared where they are used.
    pub(crate) fn open_read(&mut self, element: &Element) {
        let name = self.start_read(element);
        self.out.push_str(">\n");
        self.open.push(name);
    }

    fn start_read(&mut self, element: &Element) -> String {
        let name = qualified(element.foreign.as_ref(), &element.name);
        self.tag(&name, &[]);
        let mut declared: Vec<&str> = Vec::new();
        let namespaces = element.attributes.iter().map(|attribute| &attribute.foreign);
        for namespace in std::iter::once(&element.foreign).chain(namespaces).flatten() {
            if namespace.uri != XML_NAMESPACE && !declared.contains(&namespace.prefix.as_str()) {
                declared.push(&namespace.prefix);
                let uri = escape(namespace.uri.as_str());
                self.out.push_str(&format!(" xmlns:{}=\"{uri}\"", namespace.prefix));
            }
        }
        for attribute in &element.attributes {
            let key = qualified(attribute.foreign.as_ref(), &attribute.name);
            self.out.push_str(&format!(" {key}=\"{}\"", escape(clean(&attribute.value).as_ref())));
        }
        name
    }

    /// An element that was read, with everything inside.
    pub(crate) fn tree(&mut self, element: &Element) {
        if element.children.is_empty() {
            let name = self.start_read(element);
            let text = escape(clean(&element.text).into_owned()).into_owned();
            self.out.push_str(&format!(">{text}</{name}>\n"));
            return;
        }
        self.open_read(element);
        if !element.text.is_empty() {
            self.indent();
            self.out.push_str(&escape(clean(&element.text).as_ref()));
            self.out.push('\n');
        }
        for child in &element.children {
            self.tree(child);
        }
        self.close();
    }

    /// Closes the element opened last.
    pub(crate) fn close(&mut self) {
        if let Some(name) = self.open.pop() {
            self.indent();
            self.out.push_str(&format!("</{name}>\n"));
        }
    }

    /// An element with text only.
    pub(crate) fn leaf(&mut self, name: &str, text: &str) {
        self.tag(name, &[]);
        self.out.push_str(&format!(">{}</{name}>\n", escape(clean(text).as_ref())));
    }

    /// An element with a number only; nothing where the number is not finite.
    pub(crate) fn number(&mut self, name: &str, value: f64) {
        if value.is_finite() {
            self.leaf(name, &number(value));
        }
    }

    /// An element with attributes only.
    pub(crate) fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.tag(name, attributes);
        self.out.push_str("/>\n");
    }

    /// The document; closes what is open.
    pub(crate) fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.out
    }
}

fn qualified(namespace: Option<&Namespace>, name: &str) -> String {
    namespace.map_or_else(|| name.to_owned(), |namespace| format!("{}:{name}", namespace.prefix))
}

/// Shortest decimal form that reads back as the same number; large and small ones with an exponent.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-5..1e15).contains(&size) { format!("{value:e}") } else { format!("{value}") }
}

/// Why a reference by name is refused.
const UNKNOWN_ENTITY: &str = "an entity that XML does not predefine";
/// Why a reference by number is refused.
const FORBIDDEN_REFERENCE: &str = "a reference to a character that XML does not allow";

/// Control characters, and two that are none, are not allowed in XML 1.0.
fn is_forbidden(c: char) -> bool {
    let is_control = c < ' ' && !matches!(c, '\t' | '\n' | '\r');
    is_control || matches!(c, '\u{FFFE}' | '\u{FFFF}')
}

/// Text as it is written: without what is not allowed, and without the delete character.
fn clean(text: &str) -> Cow<'_, str> {
    let unwanted = |c: char| is_forbidden(c) || c == '\u{7F}';
    if text.contains(unwanted) { Cow::Owned(text.replace(unwanted, " ")) } else { Cow::Borrowed(text) }
}
