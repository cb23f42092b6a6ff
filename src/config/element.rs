//! A small XML tree, bounded and without entities, that remembers where each element stood.

use std::ops::Range;

use quick_xml::NsReader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};

use super::{ConfigError, NAMESPACE_BASE, NAMESPACE_CHORD, NAMESPACE_SIP, limits};

/// One element with what is inside it.
#[derive(Debug)]
pub(super) struct Element {
    /// The name without its prefix.
    name: String,
    /// Whether it is in a namespace of RFC 6940 or RFC 7904, or in none.
    ours: bool,
    /// Attributes without a prefix.
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
    /// From the first `<` to the last `>`, in bytes of the document.
    pub(super) span: Range<usize>,
}

impl Element {
    /// Reads the only top-level element of a document.
    pub(super) fn parse(document: &str) -> Result<Self, ConfigError> {
        let mut builder = Builder { document, open: Vec::new(), root: None };
        let mut reader = NsReader::from_str(document);
        reader.config_mut().check_comments = true;
        loop {
            let start = reader.buffer_position() as usize;
            let (namespace, event) = match reader.read_resolved_event() {
                Ok((ResolveResult::Unknown(prefix), _)) => {
                    return Err(builder.malformed(start, format!("no namespace for {prefix:?}")));
                }
                Ok((namespace, event)) => (is_ours(&namespace), event),
                Err(error) => {
                    let position = reader.error_position() as usize;
                    return Err(builder.malformed(position, error.to_string()));
                }
            };
            if matches!(event, Event::Eof) {
                return builder.finish();
            }
            builder.event(event, namespace, start..reader.buffer_position() as usize)?;
        }
    }

    /// Whether this is the element of that name in one of our namespaces.
    pub(super) fn is(&self, name: &str) -> bool {
        self.ours && self.name == name
    }

    /// The text directly inside, without white space around it.
    pub(super) fn text(&self) -> &str {
        self.text.trim()
    }

    /// The value of an attribute, without white space around it.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.trim())
    }

    /// All elements directly inside, in the document's order.
    pub(super) fn children(&self) -> &[Element] {
        &self.children
    }

    /// The elements of that name directly inside.
    pub(super) fn many<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.is(name))
    }

    /// The element of that name directly inside, of which there must not be two.
    pub(super) fn one(&self, name: &'static str) -> Result<Option<&Element>, ConfigError> {
        let mut found = self.children.iter().filter(|child| child.is(name));
        match (found.next(), found.next()) {
            (first, None) => Ok(first),
            _ => Err(ConfigError::Repeated(name)),
        }
    }
}

fn is_ours(namespace: &ResolveResult<'_>) -> bool {
    match namespace {
        ResolveResult::Bound(Namespace(uri)) => {
            [NAMESPACE_BASE, NAMESPACE_CHORD, NAMESPACE_SIP].contains(uri)
        }
        ResolveResult::Unbound => true,
        ResolveResult::Unknown(_) => false,
    }
}

struct Builder<'d> {
    document: &'d str,
    open: Vec<Element>,
    root: Option<Element>,
}

impl Builder<'_> {
    fn event(
        &mut self,
        event: Event<'_>,
        ours: bool,
        span: Range<usize>,
    ) -> Result<(), ConfigError> {
        match event {
            Event::Start(start) => self.start(&start, ours, span),
            Event::Empty(start) => {
                self.start(&start, ours, span.clone())?;
                self.end(span)
            }
            Event::End(_) => self.end(span),
            Event::Text(text) => self.text(&text.xml10_content(), span),
            Event::CData(text) => self.text(&text.xml10_content(), span),
            Event::GeneralRef(reference) => {
                let character = resolve(&reference).ok_or(ConfigError::Entity)?;
                self.text(character.encode_utf8(&mut [0; 4]), span)
            }
            Event::DocType(_) => Err(ConfigError::Entity),
            Event::Decl(declaration) => check_encoding(&declaration),
            Event::Comment(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn start(
        &mut self,
        start: &BytesStart<'_>,
        ours: bool,
        span: Range<usize>,
    ) -> Result<(), ConfigError> {
        if self.open.len() >= limits::DEPTH_MAX {
            return Err(self.malformed(span.start, "too many elements inside each other"));
        }
        if self.open.is_empty() && self.root.is_some() {
            return Err(self.malformed(span.start, "more than one element at the top"));
        }
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|e| self.malformed(span.start, e.to_string()))?;
            if attributes.len() >= limits::ATTRIBUTES_MAX {
                return Err(self.malformed(span.start, "too many attributes"));
            }
            // An entity that is not predefined fails here, so nothing is ever expanded.
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|e| self.malformed(span.start, e.to_string()))?;
            attributes.push((attribute.key.0.to_owned(), value.into_owned()));
        }
        let name = start.local_name().into_inner().to_owned();
        let (text, children) = (String::new(), Vec::new());
        self.open.push(Element { name, ours, attributes, text, children, span });
        Ok(())
    }

    fn end(&mut self, span: Range<usize>) -> Result<(), ConfigError> {
        let Some(mut element) = self.open.pop() else {
            return Err(self.malformed(span.start, "an element ends that has not begun"));
        };
        element.span.end = span.end;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn text(&mut self, text: &str, span: Range<usize>) -> Result<(), ConfigError> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => {
                let start = span.start + text.len() - text.trim_start().len();
                return Err(self.malformed(start, "text outside the top element"));
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Element, ConfigError> {
        let end = self.document.len();
        if let Some(element) = self.open.last() {
            return Err(self.malformed(end, format!("{} does not end", element.name)));
        }
        match self.root {
            Some(root) => Ok(root),
            None => Err(self.malformed(end, "there is no element")),
        }
    }

    fn malformed(&self, position: usize, reason: impl Into<String>) -> ConfigError {
        let before = &self.document.as_bytes()[..position.min(self.document.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        ConfigError::Malformed { line, reason: reason.into() }
    }
}

fn resolve(reference: &BytesRef<'_>) -> Option<char> {
    if reference.is_char_ref() {
        return reference.resolve_char_ref().ok().flatten();
    }
    match &*reference.xml10_content() {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => None,
    }
}

fn check_encoding(declaration: &BytesDecl<'_>) -> Result<(), ConfigError> {
    match declaration.encoding() {
        Some(Ok(encoding)) if !encoding.eq_ignore_ascii_case("utf-8") => Err(ConfigError::NotUtf8),
        _ => Ok(()),
    }
}
