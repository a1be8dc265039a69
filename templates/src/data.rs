//! One viewer's data: read, bounded, completed by the schema's defaults, and validated.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value, json};

use crate::fault::{At, Fault, Faults, did_you_mean, shortened};
use crate::template::document::RawSchema;

/// The longest text of one viewer's data, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// The longest text in one field, in bytes.
pub const MAX_FIELD_BYTES: usize = 64 << 10;
/// The deepest nesting.
pub const MAX_DEPTH: usize = 32;
/// The most parts of a schema that are looked at for personal fields; in a larger one, every field is personal.
const MAX_SCHEMAS: usize = 20_000;

/// One viewer's data.
///
/// # Guarantees
/// An object within the bounds, complete by the schema's defaults, valid by the schema.
#[derive(Clone, Debug)]
pub struct Data {
    value: Map<String, Value>,
}

impl Data {
    /// The fields.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.value
    }
}

/// What a template demands of a viewer's data.
#[derive(Clone, Debug)]
pub struct Contract {
    schema: Value,
    validator: Arc<Validator>,
    personal: BTreeSet<String>,
}

impl Contract {
    /// Reads the `data` section of a template; without one any object is valid.
    ///
    /// # Errors
    /// What is wrong with the schema itself, each fault at its place.
    pub(crate) fn read(raw: Option<&RawSchema>, file: &str) -> Result<Self, Faults> {
        let mut schema =
            json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object" });
        let mut faults = Faults::new();
        if let (Some(raw), Some(fields)) = (raw, schema.as_object_mut()) {
            let given = raw.value.as_object().cloned().unwrap_or_default();
            if given.get("type").is_some_and(|kind| kind != "object") {
                let fault = Fault::new(&raw.place_of("/type"), "expected `object`");
                faults.push(fault.hint("a viewer's data is always an object of fields"));
            }
            fields.extend(given.into_iter().filter(|(name, _)| name != "$schema" && name != "type"));
            check_references(&raw.value, String::new(), raw, &mut faults);
            check_properties(raw, &mut faults);
            check_circles(&raw.value, raw, &mut faults);
            if let Err(error) = jsonschema::draft202012::meta::validate(&raw.value) {
                let place = raw.place_of(error.instance_path().as_str());
                faults.push(Fault::new(
                    &place,
                    format!("this is not JSON Schema: {}", shortened(&error.to_string())),
                ));
            }
        }
        if !faults.is_empty() {
            return Err(faults.sorted());
        }
        // Plain regular expressions run in linear time; a stranger's pattern must not be able to stall a render.
        let built = jsonschema::draft202012::options()
            .offline()
            .should_validate_formats(true)
            .with_pattern_options(PatternOptions::regex())
            .build(&schema);
        let validator = built.map_err(|error| {
            let at = raw.map_or_else(|| At::file(file), |raw| raw.place_of(error.instance_path().as_str()));
            Fault::new(&at, format!("this is not JSON Schema: {}", shortened(&error.to_string())))
        })?;
        let personal = Personal::of(&schema);
        Ok(Contract { schema, validator: Arc::new(validator), personal })
    }

    /// The JSON Schema of one viewer's data.
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// JSON pointers to the fields that are personal (`x-pii: true`); list entries are written `*`.
    pub fn personal(&self) -> &BTreeSet<String> {
        &self.personal
    }

    /// The personal fields that reading `path` can show, as in [`Contract::personal`]: itself, what it holds, what holds it.
    pub fn personal_at(&self, path: &[String]) -> impl Iterator<Item = &str> {
        self.personal.iter().map(String::as_str).filter(move |pointer| {
            let mut steps = pointer.split('/').skip(1);
            path.iter().all(|name| match steps.next() {
                Some("*") | None => true,
                Some(step) => step.replace("~1", "/").replace("~0", "~") == *name,
            })
        })
    }

    /// The texts that stand in personal fields of `fields`, at most 64 of at most 200 characters.
    pub(crate) fn personal_values(&self, fields: &Value) -> Vec<String> {
        let mut values = Vec::new();
        for pointer in &self.personal {
            let steps: Vec<&str> = pointer.split('/').skip(1).collect();
            texts_at(fields, &steps, &mut values);
        }
        values
    }

    /// Completes `value` by the schema's defaults and validates it. `name` is how messages call the data.
    ///
    /// # Errors
    /// Everything that is wrong with it: no object, beyond a bound, not valid.
    pub fn admit(&self, name: &str, value: Value) -> Result<Data, Faults> {
        let mut faults = Faults::new();
        let root = At::file(name);
        bound(&value, &root, 0, &mut faults);
        let Value::Object(mut fields) = value else {
            let fault = Fault::new(&root, "expected an object of fields").found_as(describe(&value));
            return Err(fault.hint("write {\"first_name\": \"Maria\", …}").into());
        };
        if !faults.is_empty() {
            return Err(faults.sorted());
        }
        complete(&mut fields, &self.schema, &self.schema, 0);
        let value = Value::Object(fields);
        for error in self.validator.iter_errors(&value).take(100) {
            faults.push(explain(&error, &root));
        }
        match (faults.is_empty(), value) {
            (true, Value::Object(value)) => Ok(Data { value }),
            _ => Err(faults.sorted()),
        }
    }

    /// Parses `text` as JSON, then as [`Contract::admit`].
    ///
    /// # Errors
    /// As [`Contract::admit`], and text that is not JSON.
    pub fn parse(&self, name: &str, text: &[u8]) -> Result<Data, Faults> {
        let at = At::file(name);
        if text.len() > MAX_BYTES {
            let message = format!("the data has {} bytes, more than the {MAX_BYTES} allowed", text.len());
            return Err(Fault::new(&at, message).into());
        }
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        match serde_json::from_slice(text) {
            Ok(value) => self.admit(name, value),
            Err(error) => {
                let at = At { line: error.line() as u32, column: error.column() as u32, ..at };
                let reason = error.to_string();
                // The place stands in front already.
                let reason = reason.split(" at line ").next().unwrap_or(&reason);
                Err(Fault::new(&at, format!("this is not JSON: {reason}")).into())
            }
        }
    }
}

/// Refuses what the engine would have to fetch.
fn check_references(schema: &Value, pointer: String, raw: &RawSchema, faults: &mut Faults) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields {
                let below = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                let outside = matches!(name.as_str(), "$ref" | "$dynamicRef")
                    && value.as_str().is_some_and(|target| !target.starts_with('#'));
                if outside || (name == "$id" && value.is_string()) {
                    let fault = Fault::new(
                        &raw.place_of(&below),
                        format!("`{name}` cannot lead outside the template"),
                    );
                    faults.push(fault.hint("write \"#/$defs/name\" and put the schema there"));
                }
                check_references(value, below, raw, faults);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check_references(item, format!("{pointer}/{index}"), raw, faults);
            }
        }
        _ => {}
    }
}

/// Refuses references that lead back to themselves without going down into the data: validation would never end.
fn check_circles(root: &Value, raw: &RawSchema, faults: &mut Faults) {
    // Every schema with the schemas that apply to the same value, by their pointers.
    let mut edges: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut open = vec![(root, String::new())];
    while let Some((schema, pointer)) = open.pop() {
        let mut same = Vec::new();
        match schema {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let below = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                    match (name.as_str(), value) {
                        ("$ref" | "$dynamicRef", Value::String(target)) => {
                            same.extend(target.strip_prefix('#').map(str::to_owned));
                        }
                        ("allOf" | "anyOf" | "oneOf", Value::Array(all)) => {
                            same.extend((0..all.len()).map(|index| format!("{below}/{index}")));
                        }
                        ("not" | "if" | "then" | "else", Value::Object(_)) => same.push(below.clone()),
                        ("dependentSchemas", Value::Object(all)) => {
                            same.extend(all.keys().map(|name| {
                                format!("{below}/{}", name.replace('~', "~0").replace('/', "~1"))
                            }));
                        }
                        _ => {}
                    }
                    open.push((value, below));
                }
            }
            Value::Array(items) => {
                open.extend(
                    items.iter().enumerate().map(|(index, item)| (item, format!("{pointer}/{index}"))),
                );
            }
            _ => {}
        }
        if !same.is_empty() {
            edges.insert(pointer, same);
        }
    }
    // Takes away whatever leads nowhere any more, each reference looked at once; what is left goes round.
    let mut leads: BTreeMap<&str, usize> = BTreeMap::new();
    let mut led_by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (pointer, targets) in &edges {
        let within = targets.iter().filter(|target| edges.contains_key(*target));
        let mut count = 0;
        for target in within {
            led_by.entry(target).or_default().push(pointer);
            count += 1;
        }
        leads.insert(pointer, count);
    }
    let mut ends: Vec<&str> =
        leads.iter().filter(|(_, count)| **count == 0).map(|(pointer, _)| *pointer).collect();
    while let Some(end) = ends.pop() {
        leads.remove(end);
        for pointer in led_by.get(end).into_iter().flatten() {
            if let Some(count) = leads.get_mut(pointer) {
                *count -= 1;
                if *count == 0 {
                    ends.push(pointer);
                }
            }
        }
    }
    if let Some(pointer) = leads.keys().next() {
        let fault = Fault::new(&raw.place_of(pointer), "the schema refers to itself in a circle");
        faults.push(fault.hint("let a reference lead to a field or an entry of what it describes"));
    }
}

/// Checks what JSON Schema leaves open but a template means: required fields that have a schema, defaults that hold.
fn check_properties(raw: &RawSchema, faults: &mut Faults) {
    let Some(properties) = raw.value.get("properties").and_then(Value::as_object) else { return };
    for (index, name) in raw.value.get("required").and_then(Value::as_array).into_iter().flatten().enumerate()
    {
        let Some(name) = name.as_str().filter(|name| !properties.contains_key(*name)) else { continue };
        let at = raw.place_of(&format!("/required/{index}"));
        let fault = Fault::new(&at, format!("`{}` is required but not among `properties`", shortened(name)));
        faults.push(fault.hint_if(did_you_mean(name, properties.keys().map(String::as_str))));
    }
    for (name, property) in properties {
        let Some(default) = property.get("default") else { continue };
        let mut alone = property.clone();
        if let (Some(fields), Some(shared)) = (alone.as_object_mut(), raw.value.get("$defs")) {
            fields.insert("$defs".into(), shared.clone());
        }
        let Ok(validator) = jsonschema::draft202012::options().offline().build(&alone) else { continue };
        if let Some(error) = validator.iter_errors(default).next() {
            let pointer = format!("/properties/{}/default", name.replace('~', "~0").replace('/', "~1"));
            let fault = explain(&error, &raw.place_of(&pointer));
            faults.push(Fault { message: format!("the default is not valid: {}", fault.message), ..fault });
        }
    }
}

/// Collects the fields of a schema that are marked as personal.
struct Personal<'a> {
    root: &'a Value,
    fields: BTreeSet<String>,
    /// Schemas that may still be looked at: one that leads back to itself in two places would have no end in practice.
    left: usize,
}

impl Personal<'_> {
    fn of(root: &Value) -> BTreeSet<String> {
        let mut personal = Personal { root, fields: BTreeSet::new(), left: MAX_SCHEMAS };
        personal.collect(root, String::new(), 0);
        if personal.left == 0 {
            // What cannot be told apart is all personal.
            personal.fields.insert(String::new());
        }
        personal.fields
    }

    fn collect(&mut self, schema: &Value, pointer: String, depth: usize) {
        let followed = follow(schema, self.root);
        self.collect_one(schema, &pointer, depth);
        if !std::ptr::eq(followed, schema) {
            self.collect_one(followed, &pointer, depth);
        }
    }

    fn collect_one(&mut self, schema: &Value, pointer: &str, depth: usize) {
        // Data that are nested deeper are refused.
        if depth > MAX_DEPTH || self.left == 0 {
            return;
        }
        self.left -= 1;
        if schema.get("x-pii").and_then(Value::as_bool) == Some(true) {
            self.fields.insert(pointer.to_owned());
            return;
        }
        let entries = |name: &str| schema.get(name).and_then(Value::as_object).into_iter().flatten();
        for (name, property) in entries("properties") {
            let step = name.replace('~', "~0").replace('/', "~1");
            self.collect(property, format!("{pointer}/{step}"), depth + 1);
        }
        // Names that are not written out, and entries: each stands for any.
        for (_, property) in entries("patternProperties") {
            self.collect(property, format!("{pointer}/*"), depth + 1);
        }
        for name in ["items", "additionalProperties", "unevaluatedProperties", "contains"] {
            if let Some(part) = schema.get(name) {
                self.collect(part, format!("{pointer}/*"), depth + 1);
            }
        }
        let lists = |name: &str| schema.get(name).and_then(Value::as_array).into_iter().flatten();
        for part in lists("prefixItems") {
            self.collect(part, format!("{pointer}/*"), depth + 1);
        }
        let branches = ["if", "then", "else"].into_iter().filter_map(|name| schema.get(name));
        for part in lists("allOf").chain(lists("anyOf")).chain(lists("oneOf")).chain(branches) {
            self.collect(part, pointer.to_owned(), depth + 1);
        }
    }
}

/// The texts in `value` at `steps` and below.
fn texts_at(value: &Value, steps: &[&str], texts: &mut Vec<String>) {
    if texts.len() >= 64 {
        return;
    }
    match (value, steps) {
        (Value::String(text), _) if text.len() <= 800 && !text.trim().is_empty() => {
            texts.push(text.trim().chars().take(200).collect());
        }
        (Value::Array(items), ["*", rest @ ..]) => items.iter().for_each(|item| texts_at(item, rest, texts)),
        (Value::Array(items), []) => items.iter().for_each(|item| texts_at(item, &[], texts)),
        (Value::Object(fields), ["*", rest @ ..]) => {
            fields.values().for_each(|field| texts_at(field, rest, texts));
        }
        (Value::Object(fields), [step, rest @ ..]) => {
            if let Some(field) = fields.get(&step.replace("~1", "/").replace("~0", "~")) {
                texts_at(field, rest, texts);
            }
        }
        (Value::Object(fields), []) => fields.values().for_each(|field| texts_at(field, &[], texts)),
        _ => {}
    }
}

/// What `schema` stands for once a reference inside `root` is followed.
pub(crate) fn follow<'a>(mut schema: &'a Value, root: &'a Value) -> &'a Value {
    for _ in 0..MAX_DEPTH {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        match target.and_then(|pointer| root.pointer(pointer)) {
            Some(next) => schema = next,
            None => break,
        }
    }
    schema
}

/// Puts in the defaults of what is missing, at any depth.
fn complete(fields: &mut Map<String, Value>, schema: &Value, root: &Value, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    let schema = follow(schema, root);
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if !fields.contains_key(name)
            && let Some(default) = property.get("default").or_else(|| follow(property, root).get("default"))
        {
            fields.insert(name.clone(), default.clone());
        }
        if let Some(value) = fields.get_mut(name) {
            complete_below(value, property, root, depth + 1);
        }
    }
}

fn complete_below(value: &mut Value, schema: &Value, root: &Value, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    match value {
        Value::Object(fields) => complete(fields, schema, root, depth),
        Value::Array(items) => {
            if let Some(schema) = follow(schema, root).get("items") {
                items.iter_mut().for_each(|item| complete_below(item, schema, root, depth + 1));
            }
        }
        _ => {}
    }
}

fn bound(value: &Value, at: &At, depth: usize, faults: &mut Faults) {
    if depth > MAX_DEPTH {
        faults.push(Fault::new(at, format!("nested deeper than {MAX_DEPTH} levels")));
        return;
    }
    match value {
        Value::String(text) if text.len() > MAX_FIELD_BYTES => {
            let message = format!(
                "the text has {} bytes, more than the {MAX_FIELD_BYTES} allowed in one field",
                text.len()
            );
            faults.push(Fault::new(at, message).found(text));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                // Only a value that can be at fault needs a place of its own.
                if matches!(item, Value::String(_) | Value::Array(_) | Value::Object(_)) {
                    let at = At { path: format!("{}[{index}]", at.path).into(), ..at.clone() };
                    bound(item, &at, depth + 1, faults);
                }
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                bound(field, &at.within(&shortened(name)), depth + 1, faults);
            }
        }
        _ => {}
    }
}

/// What a value is, for a message.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => crate::fault::quoted(text),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(_) => "an object of fields".into(),
    }
}

/// A validation error in words: where, what was found, what would be right.
fn explain(error: &jsonschema::ValidationError<'_>, root: &At) -> Fault {
    let mut at = root.clone();
    for step in error.instance_path().as_str().split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        let is_index = !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit());
        at = match is_index {
            true => At { path: format!("{}[{step}]", at.path).into(), ..at },
            false => at.within(&shortened(&step)),
        };
    }
    let found = describe(error.instance());
    use ValidationErrorKind as K;
    let message = match error.kind() {
        K::Required { property } => {
            let name = property.as_str().map_or_else(|| property.to_string(), shortened);
            return Fault::new(&at, format!("the field `{name}` is missing"));
        }
        K::AdditionalProperties { unexpected } | K::UnevaluatedProperties { unexpected } => {
            let names: Vec<String> =
                unexpected.iter().take(8).map(|name| format!("`{}`", shortened(name))).collect();
            return Fault::new(&at, format!("unknown field {}", names.join(", ")));
        }
        K::Type { kind } => match kind {
            TypeKind::Single(kind) => format!("expected {}", article(&kind.to_string())),
            TypeKind::Multiple(kinds) => {
                let kinds: Vec<String> = kinds.iter().map(|kind| article(&kind.to_string())).collect();
                format!("expected {}", kinds.join(" or "))
            }
        },
        K::Enum { options } => {
            let known: Vec<&str> =
                options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let shown = shortened(&options.to_string());
            let hint = error.instance().as_str().and_then(|found| crate::fault::closest(found, &known));
            return Fault::new(&at, format!("expected one of {shown}"))
                .found_as(found)
                .hint_if(hint.map(|close| format!("did you mean `{close}`?")));
        }
        K::Constant { expected_value } => format!("expected {}", shortened(&expected_value.to_string())),
        K::MaxLength { limit } => format!("expected at most {limit} characters"),
        K::MinLength { limit } => format!("expected at least {limit} characters"),
        K::Maximum { limit } => format!("expected at most {limit}"),
        K::Minimum { limit } => format!("expected at least {limit}"),
        K::ExclusiveMaximum { limit } => format!("expected less than {limit}"),
        K::ExclusiveMinimum { limit } => format!("expected more than {limit}"),
        K::MaxItems { limit } => format!("expected at most {limit} entries"),
        K::MinItems { limit } => format!("expected at least {limit} entries"),
        K::MultipleOf { multiple_of } => format!("expected a multiple of {multiple_of}"),
        K::Pattern { pattern } => format!("expected a text that matches {}", shortened(pattern)),
        K::Format { format } => format!("expected a text in the format `{}`", shortened(format)),
        K::UniqueItems => "expected entries that differ".into(),
        _ => format!("not valid: {}", shortened(&error.masked().to_string())),
    };
    Fault::new(&at, message).found_as(found)
}

fn article(kind: &str) -> String {
    match kind {
        "array" => "a list".into(),
        "object" => "an object of fields".into(),
        "string" => "a text".into(),
        "integer" => "a whole number".into(),
        "boolean" => "true or false".into(),
        "null" => "nothing".into(),
        other => format!("a {other}"),
    }
}
