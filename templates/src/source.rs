//! YAML or JSON text becomes a tree of nodes that know where they stand.
//!
//! Both readers keep to the same bounds, so that a stranger's file can neither exhaust the memory nor the stack:
//! at most 4 MiB of text, 64 levels and 200,000 nodes, and no anchors, so nothing can multiply itself.

mod json;
mod yaml;

use std::sync::Arc;

use crate::fault::{At, Fault, Faults};

/// The longest text that is read, in bytes.
pub const MAX_BYTES: usize = 4 << 20;
/// The deepest nesting of lists and maps.
pub const MAX_DEPTH: usize = 64;
/// The most values in one file.
pub const MAX_NODES: usize = 200_000;

/// A place in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it starts.
    pub place: Place,
    /// What it is.
    pub kind: Kind,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Nothing: `null`, `~`, or an empty value.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as written, e.g. `29.97`.
    Number(String),
    /// Words.
    String(String),
    /// A list.
    Seq(Vec<Node>),
    /// Fields in the order they are written, each name once.
    Map(Vec<(Key, Node)>),
}

/// The name of a field and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Where it starts.
    pub place: Place,
    /// The name.
    pub name: String,
}

impl Node {
    /// What this is, in words for a message.
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Null => "nothing".into(),
            Kind::Bool(value) => value.to_string(),
            Kind::Number(text) => crate::fault::shortened(text),
            Kind::String(text) => crate::fault::quoted(text),
            Kind::Seq(_) => "a list".into(),
            Kind::Map(_) => "a map of fields".into(),
        }
    }

    /// The scalar as text; `None` for nothing, a list or a map.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Bool(true) => Some("true"),
            Kind::Bool(false) => Some("false"),
            Kind::Number(text) | Kind::String(text) => Some(text),
            Kind::Null | Kind::Seq(_) | Kind::Map(_) => None,
        }
    }

    /// The node as JSON.
    ///
    /// # Errors
    /// The place of a number that JSON cannot hold, such as `.nan`.
    pub fn to_json(&self) -> Result<serde_json::Value, Place> {
        use serde_json::Value;
        // Recursion is safe here: a node is never deeper than `MAX_DEPTH`.
        Ok(match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(text) => Value::Number(json_number(text).ok_or(self.place)?),
            Kind::String(text) => Value::String(text.clone()),
            Kind::Seq(items) => Value::Array(items.iter().map(Node::to_json).collect::<Result<_, _>>()?),
            Kind::Map(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(key, value)| Ok((key.name.clone(), value.to_json()?)))
                    .collect::<Result<_, Place>>()?,
            ),
        })
    }
}

/// Reads `text`; a file whose name ends in `.json` is read as JSON, anything else as YAML 1.2.
///
/// # Errors
/// What does not parse, what is beyond a bound, and every field that is given twice.
pub fn parse(file: &str, text: &[u8]) -> Result<Node, Faults> {
    let file: Arc<str> = file.into();
    if text.len() > MAX_BYTES {
        let at = At::file(&file);
        let fault =
            Fault::new(&at, format!("the file has {} bytes, more than the {MAX_BYTES} allowed", text.len()));
        return Err(fault.hint("keep media and data out of the template").into());
    }
    let text = match std::str::from_utf8(text) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let before = &text[..error.valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let at = At { file, line: line as u32, column: 1, path: "".into() };
            return Err(Fault::new(&at, "the file is not UTF-8 text").hint("save it as UTF-8").into());
        }
    };
    let is_json = file.to_lowercase().ends_with(".json");
    let mut tree = Tree::new(file);
    if is_json {
        json::read(text, &mut tree)
    } else {
        yaml::read(text, &mut tree)
    }
    tree.finish()
}

/// The JSON number that `text` (JSON or YAML 1.2 core schema) is; `None` when JSON has none.
pub(crate) fn json_number(text: &str) -> Option<serde_json::Number> {
    let plain = text.strip_prefix('+').unwrap_or(text);
    if let Some(digits) = plain.strip_prefix("0x") {
        return i64::from_str_radix(digits, 16).ok().map(Into::into);
    }
    if let Some(digits) = plain.strip_prefix("0o") {
        return i64::from_str_radix(digits, 8).ok().map(Into::into);
    }
    if let Ok(whole) = plain.parse::<i64>() {
        return Some(whole.into());
    }
    plain.parse::<f64>().ok().and_then(serde_json::Number::from_f64)
}

/// Builds the tree from what a reader meets, and keeps the bounds. No recursion takes part.
struct Tree {
    file: Arc<str>,
    faults: Faults,
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
}

/// A list or map that is not closed yet.
struct Open {
    place: Place,
    content: Content,
}

enum Content {
    Seq(Vec<Node>),
    Map { fields: Vec<(Key, Node)>, seen: std::collections::HashMap<String, Place>, key: Option<Key> },
}

impl Tree {
    fn new(file: Arc<str>) -> Self {
        Tree { file, faults: Faults::new(), open: Vec::new(), root: None, nodes: 0 }
    }

    /// Adds a fault at `place`; its field is where the reader stands now.
    fn fault(&mut self, place: Place, message: impl Into<String>, hint: Option<&str>) {
        let path = self.path();
        let at = At { file: self.file.clone(), line: place.line, column: place.column, path: path.into() };
        self.faults.push(Fault::new(&at, message).hint_if(hint));
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match &open.content {
                Content::Seq(items) => path.push_str(&format!("[{}]", items.len())),
                Content::Map { key: Some(key), .. } => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(&crate::fault::shortened(&key.name));
                }
                Content::Map { key: None, .. } => {}
            }
        }
        path
    }

    /// Whether the innermost open value is a map that waits for a field's name.
    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { content: Content::Map { key: None, .. }, .. }))
    }

    /// Takes a field's name.
    fn key(&mut self, place: Place, name: String) {
        let Some(Open { content: Content::Map { seen, key, .. }, .. }) = self.open.last_mut() else { return };
        *key = Some(Key { place, name: name.clone() });
        if let Some(first) = seen.get(&name) {
            let (first, shown) = (*first, crate::fault::shortened(&name));
            self.fault(
                place,
                format!("the field `{shown}` is given twice, first on line {}", first.line),
                Some("keep one of the two"),
            );
        } else {
            seen.insert(name, place);
        }
    }

    /// Opens a list (`map` false) or a map; false when it would be too deep.
    fn begin(&mut self, place: Place, map: bool) -> bool {
        if self.open.len() >= MAX_DEPTH {
            self.fault(place, format!("nested deeper than {MAX_DEPTH} levels"), None);
            return false;
        }
        let content = match map {
            true => Content::Map { fields: Vec::new(), seen: Default::default(), key: None },
            false => Content::Seq(Vec::new()),
        };
        self.open.push(Open { place, content });
        true
    }

    /// Closes the innermost list or map; false when there are too many values.
    fn end(&mut self) -> bool {
        let Some(open) = self.open.pop() else { return false };
        let kind = match open.content {
            Content::Seq(items) => Kind::Seq(items),
            Content::Map { fields, .. } => Kind::Map(fields),
        };
        self.add(Node { place: open.place, kind })
    }

    /// Adds a finished value; false when there are too many.
    fn add(&mut self, node: Node) -> bool {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            self.fault(node.place, format!("more than {MAX_NODES} values in one file"), None);
            return false;
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::Seq(items)) => items.push(node),
            Some(Content::Map { fields, key, .. }) => {
                if let Some(key) = key.take() {
                    fields.push((key, node));
                }
            }
        }
        true
    }

    fn finish(mut self) -> Result<Node, Faults> {
        if self.root.is_none() && self.faults.is_empty() {
            self.faults.push(
                Fault::new(&At::file(&self.file), "the file is empty")
                    .hint("`vignette new DIR` writes a template to start from"),
            );
        }
        match self.root {
            Some(root) => self.faults.into_result(root),
            None => Err(self.faults.sorted()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yaml(text: &str) -> serde_json::Value {
        parse("t.yaml", text.as_bytes()).map_err(|faults| faults.to_string()).unwrap().to_json().unwrap()
    }

    #[test]
    fn scalars_follow_the_core_schema() {
        let value = yaml(
            "on: on\nyes: no\nnull: ~\nempty:\nt: true\nT: True\nn: 12\nf: 1.5e3\nhex: 0xff\noct: 0o17\nquoted: '12'\n\
             plus: +3\ndate: 2024-01-01\nver: 1.2.3\ndot: .5\nblock: |\n  a\n  b\n",
        );
        let expected = serde_json::json!({
            "on": "on", "yes": "no", "null": null, "empty": null, "t": true, "T": true, "n": 12, "f": 1500.0,
            "hex": 255, "oct": 15, "quoted": "12", "plus": 3, "date": "2024-01-01", "ver": "1.2.3", "dot": 0.5,
            "block": "a\nb\n"
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn nodes_know_their_places_in_both_notations() {
        let yaml = parse("t.yaml", "a:\n  - x\n  - 'é': 5\n".as_bytes()).unwrap();
        let json = parse("t.json", "{\"a\":\n [\"x\",\n  {\"é\": 5}]}".as_bytes()).unwrap();
        let place = |root: &Node| {
            let Kind::Map(fields) = &root.kind else { panic!() };
            let Kind::Seq(items) = &fields[0].1.kind else { panic!() };
            let Kind::Map(inner) = &items[1].kind else { panic!() };
            let (key, value) = &inner[0];
            ((key.place.line, key.place.column), (value.place.line, value.place.column))
        };
        assert_eq!(place(&yaml), ((3, 5), (3, 10)));
        assert_eq!(place(&json), ((3, 4), (3, 9)));
        assert_eq!(yaml.to_json(), json.to_json());
    }

    #[test]
    fn json_text_is_read_as_json() {
        let text = r#"{"emoji": "\ud83d\ude00", "n": [-1, 2.5e-1, true, null], "s": "a\n\"\\\/"}"#;
        let node = parse("t.JSON", text.as_bytes()).unwrap();
        let expected: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(node.to_json().unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_place() {
        let deep_yaml = "[".repeat(100_000);
        let deep_json = "[".repeat(100_000);
        let deep_block: String = (0..200).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
        let many = format!("[{}0]", "0,".repeat(MAX_NODES));
        let long = " ".repeat(MAX_BYTES + 1);
        let mut wrong = Vec::new();
        let cases: &[(&str, &str, &str, &str)] = &[
            ("empty", "t.yaml", "", "t.yaml: the file is empty"),
            ("comment only", "t.yaml", "# nothing\n", "t.yaml: the file is empty"),
            ("tab", "t.yaml", "a:\n\t- b", "t.yaml:2:"),
            ("unclosed", "t.yaml", "a: [1, 2", "this is not YAML"),
            (
                "twice",
                "t.yaml",
                "a: 1\nb: 2\na: 3\n",
                "t.yaml:3:1: a: the field `a` is given twice, first on line 1",
            ),
            (
                "twice inside",
                "t.yaml",
                "x:\n  - {b: 1, b: 2}",
                "t.yaml:2:12: x[0].b: the field `b` is given twice",
            ),
            (
                "anchor",
                "t.yaml",
                "a: &x 1\nb: 2",
                "t.yaml:1:4: a: anchors and aliases (`&`, `*`) are not supported",
            ),
            ("alias", "t.yaml", "a: &x 1\nb: *x", "t.yaml:1:4: a: anchors and aliases"),
            ("laughs", "t.yaml", "a: &a [x,x]\nb: &b [*a,*a]", "t.yaml:1:4: a: anchors and aliases"),
            ("tag", "t.yaml", "a: !!python/object x", "t.yaml:1:"),
            ("two documents", "t.yaml", "a: 1\n---\nb: 2\n", "t.yaml:2:1: more than one document"),
            ("map as key", "t.yaml", "{a: 1}: 2", "t.yaml:1:"),
            ("deep flow", "t.yaml", &deep_yaml, "recursion limit exceeded"),
            ("deep block", "t.yaml", &deep_block, "nested deeper than 64 levels"),
            ("deep json", "t.json", &deep_json, "nested deeper than 64 levels"),
            ("many", "t.yaml", &many, "more than 200000 values"),
            ("many json", "t.json", &many, "more than 200000 values"),
            ("long", "t.yaml", &long, "the file has 4194305 bytes"),
            ("json comma", "t.json", "{\"a\": 1,}", "t.json:1:9: expected a field's name in quotes"),
            ("json tail", "t.json", "{} {}", "t.json:1:4: expected the end of the file"),
            ("json twice", "t.json", "{\"a\": 1, \"a\": 2}", "t.json:1:10: a: the field `a` is given twice"),
            ("json number", "t.json", "[01]", "t.json:1:2:"),
            ("json surrogate", "t.json", r#"["\ud83d"]"#, "t.json:1:"),
            ("json control", "t.json", "[\"a\nb\"]", "t.json:1:"),
            ("json word", "t.json", "[nan]", "t.json:1:2:"),
        ];
        for (name, file, text, expected) in cases {
            let faults = parse(file, text.as_bytes()).expect_err(name).to_string();
            if !faults.contains(expected) {
                wrong.push(format!("{name}: {faults}\nexpected {expected}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
        let faults = parse("t.yaml", b"a: 1\nb: \xff").unwrap_err().to_string();
        assert!(faults.starts_with("t.yaml:2:1: the file is not UTF-8 text"), "{faults}");
        assert_eq!(parse("t.yaml", b"a: .nan").unwrap().to_json(), Err(Place { line: 1, column: 4 }));
    }

    #[test]
    fn damaged_text_never_panics() {
        let text = "a: [1, {b: 'x', c: \"y\\n\"}]\nd:\n  - |\n    block\n  - e: >-\n      folded\n? f\n: g\n--- %TAG & * ! \n";
        const SIGNS: &[u8] = b"[]{}:,-&*!|>'\"%@`#\n\t ?\\";
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for round in 0..3000 {
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..1 + round % 4 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let place = (state >> 33) as usize % bytes.len();
                match round % 3 {
                    0 => bytes[place] = SIGNS[(state >> 50) as usize % SIGNS.len()],
                    1 => bytes.truncate(place.max(1)),
                    _ => bytes.insert(place, SIGNS[(state >> 50) as usize % SIGNS.len()]),
                }
            }
            let _ = parse("t.yaml", &bytes);
            let _ = parse("t.json", &bytes);
        }
    }
}
