//! Which variables an expression can use, and what is known about them.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::data::follow;
use crate::fault::{did_you_mean, shortened};
use crate::template::document::Document;

/// What is known about a variable.
#[derive(Clone, Copy)]
pub(super) enum Shape<'a> {
    /// Data that fits this schema.
    Data(&'a Value),
    /// Text, a number or a truth value.
    Plain,
    /// Anything.
    Any,
}

/// What is known about the words of a voice.
static WORDS: LazyLock<Value> = LazyLock::new(|| spoken_list("text"));
/// What is known about the shapes of the mouth that speaks.
static VISEMES: LazyLock<Value> = LazyLock::new(|| spoken_list("viseme"));

fn spoken_list(what: &str) -> Value {
    json!({ "type": "array", "items": {
        "type": "object",
        "required": [what, "start", "end", "length"],
        "properties": {
            what: { "type": "string" },
            "start": { "type": "number" },
            "end": { "type": "number" },
            "length": { "type": "number" },
        },
    } })
}

/// Every variable that can be used at one place.
pub(super) struct Scope<'a> {
    document: &'a Document,
    schema: &'a Value,
    /// The variables of the loops around, innermost last.
    pub loops: Vec<Vec<(String, Shape<'a>)>>,
}

type Refusal = (String, Option<String>);

impl<'a> Scope<'a> {
    pub fn new(document: &'a Document, schema: &'a Value) -> Self {
        Scope { document, schema, loops: Vec::new() }
    }

    /// Whether the viewer's data has a field of this name.
    pub fn is_property(&self, name: &str) -> bool {
        self.schema.get("properties").is_some_and(|properties| properties.get(name).is_some())
    }

    /// Whether there is a variable of this name.
    pub fn knows(&self, name: &str) -> bool {
        self.loops.iter().flatten().any(|(known, _)| known == name)
            || matches!(name, "vars" | "t")
            || self.document.generate.names().any(|known| known == name)
            || self.is_property(name)
    }

    /// What the entries of the list at `path` are.
    pub fn entry_of(&self, path: &[String]) -> Option<Shape<'a>> {
        match self.resolve(path).ok()?.0 {
            Shape::Data(schema) => match follow(schema, self.schema).get("items") {
                Some(items) => Some(Shape::Data(items)),
                None => Some(Shape::Any),
            },
            Shape::Plain | Shape::Any => Some(Shape::Any),
        }
    }

    /// Whether `path` may be used; unless `guarded`, it must always be there.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn check(&self, path: &[String], guarded: bool) -> Result<(), Refusal> {
        let (_, optional) = self.resolve(path)?;
        match optional {
            Some(name) if !guarded => Err((
                format!(
                    "the variable `{}` can be missing: `{name}` is neither required nor has a default",
                    shown(path)
                ),
                Some(format!(
                    "write {{{{default {} \"…\"}}}}, or give it a `default` in the data's schema",
                    shown(path)
                )),
            )),
            _ => Ok(()),
        }
    }

    /// What `path` is, and the part of it that can be missing.
    fn resolve(&self, path: &[String]) -> Result<(Shape<'a>, Option<String>), Refusal> {
        let Some((root, rest)) = path.split_first() else { return Ok((Shape::Any, None)) };
        if let Some((_, shape)) = self.loops.iter().rev().flatten().find(|(name, _)| name == root) {
            return self.walk(*shape, None, path, rest);
        }
        let named = |kind: &str, known: Vec<&str>| match rest.first() {
            None => Ok((Shape::Any, None)),
            Some(name) if known.contains(&name.as_str()) => Ok((Shape::Any, None)),
            Some(name) => Err((
                format!("unknown variable `{}`", shown(path)),
                did_you_mean(name, known.iter().copied())
                    .map(|hint| hint.replace(" `", &format!(" `{root}.")))
                    .or_else(|| Some(format!("there is nothing under `{kind}`"))),
            )),
        };
        if root == "vars" {
            return named("vars", self.document.vars.names().collect());
        }
        if root == "t" {
            return named("strings", self.document.strings.names().collect());
        }
        if self.document.generate.faulty.contains(root) {
            return Ok((Shape::Any, None));
        }
        if let Some(generator) = self.document.generate.get(root) {
            return match rest {
                [] if generator.text.is_some() => Ok((Shape::Plain, None)),
                [fact] if generator.voice.is_some() && fact == "duration" => Ok((Shape::Plain, None)),
                [fact, steps @ ..]
                    if generator.voice.is_some() && matches!(fact.as_str(), "words" | "visemes") =>
                {
                    let list = if fact == "words" { &*WORDS } else { &*VISEMES };
                    self.walk(Shape::Data(list), None, path, steps)
                }
                _ if generator.voice.is_some() => Err((
                    format!("the voice `{root}` has no text here"),
                    Some(format!(
                        "`{root}.duration` is its length in seconds, `{root}.words` and `{root}.visemes` are lists"
                    )),
                )),
                _ if generator.image.is_some() => Err((
                    format!("the image `{root}` has no text"),
                    Some(format!("write `image: {root}` in a layer to show it")),
                )),
                _ => {
                    Err((format!("unknown variable `{}`", shown(path)), Some(format!("`{root}` is a text"))))
                }
            };
        }
        if self.is_property(root) {
            return self.walk(Shape::Data(self.schema), None, path, path);
        }
        let properties = self.schema.get("properties").and_then(Value::as_object);
        let mut known: Vec<String> =
            properties.into_iter().flat_map(|fields| fields.keys().cloned()).collect();
        known.extend(self.loops.iter().flatten().map(|(name, _)| name.clone()));
        known.extend(self.document.generate.names().map(str::to_owned));
        known.extend(self.document.vars.names().map(|name| format!("vars.{name}")));
        known.extend(self.document.strings.names().map(|name| format!("t.{name}")));
        let hint = did_you_mean(root, known.iter().map(String::as_str))
            .unwrap_or_else(|| "add it under `data.properties`".to_owned());
        Err((format!("unknown variable `{}`", shown(path)), Some(hint)))
    }

    /// Goes down `steps` from `shape`; `path` is for messages.
    fn walk(
        &self,
        mut shape: Shape<'a>,
        mut optional: Option<String>,
        path: &[String],
        steps: &[String],
    ) -> Result<(Shape<'a>, Option<String>), Refusal> {
        for step in steps {
            let schema = match shape {
                Shape::Data(schema) => follow(schema, self.schema),
                Shape::Any => return Ok((Shape::Any, optional)),
                Shape::Plain => {
                    return Err((
                        format!("unknown variable `{}`", shown(path)),
                        Some("it has no fields".into()),
                    ));
                }
            };
            if let (Some(items), true) = (schema.get("items"), step.bytes().all(|byte| byte.is_ascii_digit()))
            {
                // A list may always be shorter than the index.
                optional.get_or_insert_with(|| shortened(step));
                shape = Shape::Data(items);
                continue;
            }
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
                let closed = schema.get("type").is_some_and(|kind| kind.is_string() && kind != "object");
                if closed && step != "length" {
                    return Err((
                        format!("unknown variable `{}`", shown(path)),
                        Some(format!("what stands before `{}` has no fields", shortened(step))),
                    ));
                }
                // Nothing is said about its fields, so each can be missing.
                optional.get_or_insert_with(|| shortened(step));
                shape = Shape::Any;
                continue;
            };
            let Some(property) = properties.get(step) else {
                let known = properties.keys().map(String::as_str);
                let before: Vec<&str> =
                    path.iter().take_while(|other| *other != step).map(String::as_str).collect();
                let hint = did_you_mean(step, known).map(|hint| match before.is_empty() {
                    true => hint,
                    false => hint.replace(" `", &format!(" `{}.", before.join("."))),
                });
                return Err((format!("unknown variable `{}`", shown(path)), hint));
            };
            let required = schema
                .get("required")
                .and_then(Value::as_array)
                .is_some_and(|names| names.iter().any(|name| name.as_str() == Some(step)));
            let has_default =
                property.get("default").is_some() || follow(property, self.schema).get("default").is_some();
            if !required && !has_default {
                optional.get_or_insert_with(|| shortened(step));
            }
            shape = Shape::Data(property);
        }
        Ok((shape, optional))
    }
}

fn shown(path: &[String]) -> String {
    shortened(&path.join("."))
}
