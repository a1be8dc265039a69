//! A scalar as written: a value, or an expression that becomes one.

use std::sync::Arc;

use schemars::{Schema, SchemaGenerator, json_schema};

use super::read::{Read, Reader, Visit};
use super::scalar::{Mismatch, Scalar};
use crate::expr::Expression;
use crate::fault::{At, Fault};
use crate::source::{Kind, Node};

/// A scalar that may hold Handlebars.
#[derive(Clone, Debug)]
pub struct Written<T> {
    /// Where it stands.
    pub at: At,
    /// What is written there.
    pub form: Form<T>,
}

/// The two forms of a written scalar.
#[derive(Clone, Debug)]
pub enum Form<T> {
    /// A value, known when the template is opened.
    Plain(T),
    /// An expression, filled from the viewer's data and then read as a value.
    Expression {
        /// As written.
        source: Arc<str>,
        /// Parsed.
        expression: Arc<Expression>,
    },
}

impl<T> Written<T> {
    /// The value, when no expression is needed for it.
    pub fn plain(&self) -> Option<&T> {
        match &self.form {
            Form::Plain(value) => Some(value),
            Form::Expression { .. } => None,
        }
    }
}

impl<T: Scalar> Read for Written<T> {
    fn fits(node: &Node) -> bool {
        node.text().is_some()
    }
    fn expected() -> String {
        T::expected()
    }
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let at = reader.at(node.place);
        let form = match &node.kind {
            Kind::String(source) if source.contains("{{") => match Expression::parse(source) {
                Ok(expression) => {
                    Form::Expression { source: source.as_str().into(), expression: Arc::new(expression) }
                }
                Err(error) => {
                    let fault = Fault::new(&at, error.message).found(source).hint_if(error.hint);
                    reader.faults.push(fault);
                    return None;
                }
            },
            _ => Form::Plain(plain(node, reader)?),
        };
        Some(Written { at, form })
    }
    fn stand_in(at: &At) -> Option<Self> {
        Some(Written { at: at.clone(), form: Form::Plain(any_value()?) })
    }
    fn visit(&self, visitor: &mut dyn Visit) {
        match &self.form {
            Form::Plain(value) => {
                for (kind, name) in value.names() {
                    visitor.name(&self.at, kind, name);
                }
            }
            Form::Expression { source, expression } => {
                visitor.expression(&self.at, source, expression, T::KIND)
            }
        }
    }
    fn schema(_: &mut SchemaGenerator) -> Schema {
        let value = T::schema();
        // A schema that takes any string takes expressions too.
        if value.get("type").is_some_and(|kind| kind == "string" || kind.to_string().contains("\"string\""))
            && value.get("pattern").is_none()
            && value.get("enum").is_none()
        {
            return value;
        }
        json_schema!({ "anyOf": [value, { "type": "string", "pattern": "\\{\\{" }] })
    }
}

/// A scalar that must be known before there is a viewer, so that it holds no expression.
#[derive(Clone, Debug)]
pub struct Fixed<T> {
    /// Where it stands.
    pub at: At,
    /// The value.
    pub value: T,
}

impl<T: Scalar> Read for Fixed<T> {
    fn fits(node: &Node) -> bool {
        node.text().is_some()
    }
    fn expected() -> String {
        T::expected()
    }
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let at = reader.at(node.place);
        if let Kind::String(source) = &node.kind
            && source.contains("{{")
        {
            let fault =
                Fault::new(&at, format!("expected {} that is the same for every viewer", T::expected()));
            reader.faults.push(fault.found(source).hint("expressions are not possible in this field"));
            return None;
        }
        Some(Fixed { value: plain(node, reader)?, at })
    }
    fn stand_in(at: &At) -> Option<Self> {
        Some(Fixed { value: any_value()?, at: at.clone() })
    }
    fn visit(&self, visitor: &mut dyn Visit) {
        for (kind, name) in self.value.names() {
            visitor.name(&self.at, kind, name);
        }
    }
    fn schema(_: &mut SchemaGenerator) -> Schema {
        T::schema()
    }
}

fn plain<T: Scalar>(node: &Node, reader: &mut Reader) -> Option<T> {
    if node.text().is_none() {
        reader.mismatch(node, &T::expected(), None);
        return None;
    }
    match T::from_node(node) {
        Ok(value) => Some(value),
        Err(Mismatch { expected, hint }) => {
            reader.mismatch(node, &expected, hint);
            None
        }
    }
}

/// A value of the type, no matter which, that names nothing.
fn any_value<T: Scalar>() -> Option<T> {
    let candidates = ["1", "16", "1s", "a", "a.png", "#000", "linear"];
    let mut values = candidates.iter().filter_map(|text| T::parse(text).ok());
    values.find(|value| T::KIND.is_none() && value.names().is_empty())
}
