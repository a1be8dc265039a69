//! From nodes to records: one trait reads a field, walks it, and describes it as JSON Schema.

use std::sync::Arc;

use schemars::{Schema, SchemaGenerator, json_schema};

use super::layer::Repeat;
use super::scalar::NameKind;
use crate::expr::Expression;
use crate::fault::{At, Fault, Faults, did_you_mean};
use crate::source::{Key, Kind, Node, Place};

/// The most entries of one map of names. Names are looked up one by one, so this bounds the cost of a check.
pub const MAX_NAMES: usize = 1000;

/// Anything that can stand in a template.
pub trait Read: Sized {
    /// Whether a record without this field is at fault.
    const REQUIRED: bool = true;

    /// Whether a node has the shape of this: a scalar, a list, or a map.
    fn fits(node: &Node) -> bool;

    /// What is expected, with its article, e.g. `a length`.
    fn expected() -> String;

    /// Reads it; `None` when it is at fault, which the reader then knows.
    fn read(node: &Node, reader: &mut Reader) -> Option<Self>;

    /// What it is when the field is not written; `None` when it has to be.
    fn absent() -> Option<Self> {
        None
    }

    /// What takes its place when it is at fault but has to be there, so that the rest is checked too: such a
    /// template is never opened.
    fn stand_in(_: &At) -> Option<Self> {
        None
    }

    /// Shows every expression and every name in it to `visitor`.
    fn visit(&self, visitor: &mut dyn Visit);

    /// Its JSON Schema (draft 2020-12).
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

/// Sees every expression and every literal name of a template, in the order they are written.
pub trait Visit {
    /// An expression that is filled later, and what it names, if it is a name.
    fn expression(&mut self, at: &At, source: &str, expression: &Expression, kind: Option<NameKind>);
    /// A name of something else in the template.
    fn name(&mut self, at: &At, kind: NameKind, name: &str);
    /// What follows, until [`Visit::leave`], is repeated when `repeat` is given.
    fn enter(&mut self, repeat: Option<&Repeat>);
    /// Ends what [`Visit::enter`] began.
    fn leave(&mut self);
}

/// Where reading stands, and the faults met so far.
pub struct Reader {
    file: Arc<str>,
    path: Vec<Step>,
    /// The faults met so far.
    pub faults: Faults,
}

enum Step {
    Field(String),
    Index(usize),
}

impl Reader {
    /// A reader at the root of `file`.
    pub fn new(file: &str) -> Self {
        Reader { file: file.into(), path: Vec::new(), faults: Faults::new() }
    }

    /// `place` in the field that is being read.
    pub fn at(&self, place: Place) -> At {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Field(name) if path.is_empty() => path.push_str(name),
                Step::Field(name) => path.extend([".", name]),
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        At { file: self.file.clone(), line: place.line, column: place.column, path: path.into() }
    }

    /// Notes that `expected` should stand where `node` does.
    pub fn mismatch(&mut self, node: &Node, expected: &str, hint: Option<String>) {
        let fault = Fault::new(&self.at(node.place), format!("expected {expected}"));
        self.faults.push(fault.found_as(node.describe()).hint_if(hint));
    }

    /// Reads `node` as the field `name`.
    pub fn within<T: Read>(&mut self, name: &str, node: &Node) -> Option<T> {
        self.path.push(Step::Field(crate::fault::shortened(name)));
        let value = self.value(node);
        self.path.pop();
        value
    }

    fn value<T: Read>(&mut self, node: &Node) -> Option<T> {
        if node.kind == Kind::Null {
            let hint = "give it one, or remove the field".to_owned();
            self.mismatch(node, &T::expected(), Some(hint));
            return None;
        }
        T::read(node, self)
    }

    /// The fields of the record at `node`, after faults for unknown ones and for a broken choice among `one_of`.
    pub(super) fn fields<'n>(
        &mut self,
        node: &'n Node,
        expected: &str,
        known: &[&str],
        one_of: &[&str],
    ) -> Option<&'n [(Key, Node)]> {
        let Kind::Map(fields) = &node.kind else {
            self.mismatch(node, expected, Some(list("it has the fields", known)));
            return None;
        };
        for (key, _) in fields {
            if !known.contains(&key.name.as_str()) {
                let at = self.at(key.place).within(&crate::fault::shortened(&key.name));
                let message = format!("unknown field `{}`", crate::fault::shortened(&key.name));
                let hint = match crate::fault::closest(&key.name, known) {
                    Some(close) => format!("did you mean `{close}`?"),
                    None => list("the fields here are", known),
                };
                self.faults.push(Fault::new(&at, message).hint(hint));
            }
        }
        if !one_of.is_empty() {
            let given: Vec<&Key> =
                fields.iter().map(|(key, _)| key).filter(|key| one_of.contains(&key.name.as_str())).collect();
            let fault = match given.as_slice() {
                [] => {
                    Fault::new(&self.at(node.place), format!("{expected} needs {}", list("one of", one_of)))
                }
                [_] => return Some(fields),
                [first, second, ..] => Fault::new(
                    &self.at(second.place),
                    format!("`{}` and `{}` cannot stand together", first.name, second.name),
                )
                .hint(list("keep one of", one_of)),
            };
            self.faults.push(fault);
        }
        Some(fields)
    }

    /// Reads the field `name` of a record that starts at `node`.
    pub(super) fn field<T: Read>(&mut self, node: &Node, fields: &[(Key, Node)], name: &str) -> Option<T> {
        // Of a field given twice the first counts; the second is a fault already.
        let stand_in = |at: At| T::stand_in(&at.within(name));
        match fields.iter().find(|(key, _)| key.name == name) {
            // What can be left out is left out when it is at fault, so that the rest is checked too.
            Some((_, value)) => {
                let read = self.within(name, value).or_else(T::absent);
                read.or_else(|| stand_in(self.at(value.place)))
            }
            None => {
                let absent = T::absent();
                if absent.is_none() {
                    let at = self.at(node.place);
                    let fault = Fault::new(&at, format!("the field `{name}` is missing"));
                    self.faults.push(fault.hint(format!("`{name}` is {}", T::expected())));
                }
                absent.or_else(|| stand_in(self.at(node.place)))
            }
        }
    }
}

fn list(words: &str, names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("{words} {}", names.join(", "))
}

impl<T: Read> Read for Option<T> {
    const REQUIRED: bool = false;
    fn fits(node: &Node) -> bool {
        T::fits(node)
    }
    fn expected() -> String {
        T::expected()
    }
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        T::read(node, reader).map(Some)
    }
    fn absent() -> Option<Self> {
        Some(None)
    }
    fn visit(&self, visitor: &mut dyn Visit) {
        if let Some(value) = self {
            value.visit(visitor);
        }
    }
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}

impl<T: Read> Read for Box<T> {
    const REQUIRED: bool = T::REQUIRED;
    fn fits(node: &Node) -> bool {
        T::fits(node)
    }
    fn expected() -> String {
        T::expected()
    }
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        T::read(node, reader).map(Box::new)
    }
    fn absent() -> Option<Self> {
        T::absent().map(Box::new)
    }
    fn visit(&self, visitor: &mut dyn Visit) {
        (**self).visit(visitor);
    }
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}

impl<T: Read> Read for Vec<T> {
    fn fits(node: &Node) -> bool {
        matches!(node.kind, Kind::Seq(_))
    }
    fn expected() -> String {
        "a list".into()
    }
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Kind::Seq(items) = &node.kind else {
            reader.mismatch(node, &Self::expected(), Some(format!("each entry is {}", T::expected())));
            return None;
        };
        let mut list = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            reader.path.push(Step::Index(index));
            list.extend(reader.value(item));
            reader.path.pop();
        }
        Some(list)
    }
    fn visit(&self, visitor: &mut dyn Visit) {
        self.iter().for_each(|item| item.visit(visitor));
    }
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let items = T::schema(generator);
        json_schema!({ "type": "array", "items": items })
    }
}

impl<T: Read, const N: usize> Read for [T; N] {
    fn fits(node: &Node) -> bool {
        Vec::<T>::fits(node)
    }
    fn expected() -> String {
        format!("a list of {N}")
    }
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        match &node.kind {
            Kind::Seq(items) if items.len() == N => Vec::read(node, reader)?.try_into().ok(),
            Kind::Seq(items) => {
                let fault = Fault::new(&reader.at(node.place), format!("expected {}", Self::expected()));
                reader.faults.push(fault.found_as(format!("a list of {}", items.len())));
                None
            }
            _ => {
                reader.mismatch(node, &Self::expected(), Some(format!("each entry is {}", T::expected())));
                None
            }
        }
    }
    fn visit(&self, visitor: &mut dyn Visit) {
        self.iter().for_each(|item| item.visit(visitor));
    }
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let items = T::schema(generator);
        json_schema!({ "type": "array", "items": items, "minItems": N, "maxItems": N })
    }
}

/// Something with a short form and a full one.
#[derive(Clone, Debug)]
pub enum Either<S, F> {
    /// The short form.
    Short(S),
    /// The full form.
    Full(F),
}

impl<S: Read, F: Read> Read for Either<S, F> {
    fn fits(node: &Node) -> bool {
        S::fits(node) || F::fits(node)
    }
    fn expected() -> String {
        format!("{} or {}", S::expected(), F::expected())
    }
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        if S::fits(node) {
            S::read(node, reader).map(Either::Short)
        } else if F::fits(node) {
            F::read(node, reader).map(Either::Full)
        } else {
            reader.mismatch(node, &Self::expected(), None);
            None
        }
    }
    fn stand_in(at: &At) -> Option<Self> {
        S::stand_in(at).map(Either::Short).or_else(|| F::stand_in(at).map(Either::Full))
    }
    fn visit(&self, visitor: &mut dyn Visit) {
        match self {
            Either::Short(short) => short.visit(visitor),
            Either::Full(full) => full.visit(visitor),
        }
    }
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let short = S::schema(generator);
        let full = F::schema(generator);
        json_schema!({ "anyOf": [short, full] })
    }
}

/// Named things, in the order they are written.
#[derive(Clone, Debug)]
pub struct Named<T> {
    /// Name, place and thing.
    pub entries: Vec<(String, At, T)>,
    /// The names of things that are at fault themselves.
    pub faulty: Vec<String>,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Named { entries: Vec::new(), faulty: Vec::new() }
    }
}

impl<T> Named<T> {
    /// The thing that is called `name`.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.entries.iter().find(|(known, ..)| known == name).map(|(.., thing)| thing)
    }

    /// The names in the order they are written; last those of things that are at fault themselves.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, ..)| name.as_str()).chain(self.faulty.iter().map(String::as_str))
    }
}

impl<T: Read> Read for Named<T> {
    const REQUIRED: bool = false;
    fn fits(node: &Node) -> bool {
        matches!(node.kind, Kind::Map(_))
    }
    fn expected() -> String {
        "a map of names".into()
    }
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Kind::Map(fields) = &node.kind else {
            reader.mismatch(node, &Self::expected(), Some(format!("each entry is {}", T::expected())));
            return None;
        };
        let mut named = Named::default();
        if fields.len() > MAX_NAMES {
            let fault = Fault::new(&reader.at(node.place), format!("more than {MAX_NAMES} names in one map"));
            reader.faults.push(fault.found_as(fields.len().to_string()));
            return Some(named);
        }
        for (key, value) in fields {
            let at = reader.at(key.place).within(&crate::fault::shortened(&key.name));
            if !is_name(&key.name) {
                let fault =
                    Fault::new(&at, format!("`{}` is not a name", crate::fault::shortened(&key.name)));
                reader.faults.push(
                    fault.hint("a name has up to 64 letters, digits, `_` or `-`, and starts with a letter"),
                );
            }
            let thing: Option<T> = reader.within(&key.name, value);
            match thing {
                Some(thing) => named.entries.push((key.name.clone(), at, thing)),
                None => named.faulty.push(key.name.clone()),
            }
        }
        Some(named)
    }
    fn absent() -> Option<Self> {
        Some(Named::default())
    }
    fn visit(&self, visitor: &mut dyn Visit) {
        self.entries.iter().for_each(|(.., thing)| thing.visit(visitor));
    }
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let values = T::schema(generator);
        json_schema!({
            "type": "object",
            "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_-]{0,63}$" },
            "additionalProperties": values
        })
    }
}

/// Whether `name` may name something in a template.
pub fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// A hint for a name that is not among `known`.
pub fn unknown_name_hint<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    none: &str,
) -> Option<String> {
    did_you_mean(name, known).or_else(|| Some(none.to_owned()))
}
