//! Faults that point: where, what, and what would be right.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// The longest value that a message shows, in characters.
const SHOWN: usize = 60;

/// One thing that is wrong with a template or with a viewer's data.
///
/// Its text reads `file:line:column: path: message, found …`, with the hint on a line of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fault {
    /// The file, as it was named when it was opened.
    pub file: Arc<str>,
    /// The line, from 1; 0 when the value has no place in a text.
    pub line: u32,
    /// The column in characters, from 1; 0 when the value has no place in a text.
    pub column: u32,
    /// The field, e.g. `scenes[2].layers[0].text`; empty for the whole file.
    pub path: Arc<str>,
    /// What is wrong.
    pub message: String,
    /// What stands there, shortened.
    pub found: Option<String>,
    /// What would be right.
    pub hint: Option<String>,
}

impl Fault {
    /// A fault at `at`, with nothing found and no hint yet.
    pub fn new(at: &At, message: impl Into<String>) -> Self {
        Fault {
            file: at.file.clone(),
            line: at.line,
            column: at.column,
            path: at.path.clone(),
            message: message.into(),
            found: None,
            hint: None,
        }
    }

    /// Says what stands there instead, shortened and in quotes.
    pub fn found(mut self, value: impl AsRef<str>) -> Self {
        self.found = Some(quoted(value.as_ref()));
        self
    }

    /// Says what stands there instead, in words of its own.
    pub fn found_as(mut self, words: impl Into<String>) -> Self {
        self.found = Some(words.into());
        self
    }

    /// Says what would be right.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says what would be right, where something is known about it.
    pub fn hint_if(mut self, hint: Option<impl Into<String>>) -> Self {
        self.hint = hint.map(Into::into);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(found) = &self.found {
            write!(f, ", found {found}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

/// Where something stands: file, line, column and field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The file, as it was named when it was opened.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The field, e.g. `scenes[2].layers[0].text`.
    pub path: Arc<str>,
}

impl At {
    /// The file as a whole.
    pub fn file(name: &str) -> Self {
        At { file: name.into(), line: 0, column: 0, path: "".into() }
    }

    /// The same place, said of a field below it.
    pub fn within(&self, field: &str) -> Self {
        let path = if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) };
        At { path: path.into(), ..self.clone() }
    }
}

/// Faults, in order of their places, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Faults {
    list: Vec<Fault>,
}

impl Faults {
    /// No fault yet.
    pub fn new() -> Self {
        Faults::default()
    }

    /// Adds one.
    pub fn push(&mut self, fault: Fault) {
        self.list.push(fault);
    }

    /// Adds all of `others`.
    pub fn extend(&mut self, others: impl IntoIterator<Item = Fault>) {
        self.list.extend(others);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The faults, in order of their places once [`Faults::into_result`] has given them out.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.list.iter()
    }

    /// `value` when there is no fault, otherwise the faults in order of their places.
    pub fn into_result<T>(self, value: T) -> Result<T, Faults> {
        if self.list.is_empty() { Ok(value) } else { Err(self.sorted()) }
    }

    /// The faults in order of their places, each once.
    pub fn sorted(mut self) -> Self {
        self.list.sort();
        self.list.dedup();
        self
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Faults { list: vec![fault] }
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        Faults { list: faults.into_iter().collect() }.sorted()
    }
}

impl IntoIterator for Faults {
    type Item = Fault;
    type IntoIter = std::vec::IntoIter<Fault>;
    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;
    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// A value, and what its maker should know about it although it stands.
#[derive(Clone, Debug)]
pub struct Warned<T> {
    /// The value.
    pub value: T,
    /// The warnings, in order of their places.
    pub warnings: Vec<Fault>,
}

impl<T> Warned<T> {
    /// Another value of this one, with the same warnings.
    pub fn map<U>(self, value: impl FnOnce(T) -> U) -> Warned<U> {
        Warned { value: value(self.value), warnings: self.warnings }
    }
}

/// `value` in quotes, on one line, and not longer than a message can bear.
pub fn quoted(value: &str) -> String {
    format!("\"{}\"", shortened(value))
}

/// `value` on one line, and not longer than a message can bear.
pub fn shortened(value: &str) -> String {
    let mut characters = value.chars();
    let mut text = String::new();
    for character in characters.by_ref().take(SHOWN) {
        match character {
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            // Control and bidirectional formatting characters could forge what a terminal shows.
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                text.push('\u{fffd}');
            }
            c => text.push(c),
        }
    }
    if characters.next().is_some() {
        text.push('…');
    }
    text
}

/// `did you mean …?` when one of `known` is close to `name`, else the list of what there is.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    // A hint is worth looking at a thousand names, not at a hundred thousand.
    let mut known: Vec<&str> = known.into_iter().take(1000).collect();
    let mut seen = std::collections::HashSet::new();
    known.retain(|name| seen.insert(*name));
    if let Some(close) = closest(name, &known) {
        return Some(format!("did you mean `{close}`?"));
    }
    match known.as_slice() {
        [] => None,
        [only] => Some(format!("there is only `{only}`")),
        _ if known.len() <= 12 => {
            let list: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            Some(format!("one of {}", list.join(", ")))
        }
        _ => None,
    }
}

/// The one of `known` that `name` was probably meant to be.
pub fn closest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    // The distance is quadratic in the lengths, and nobody misspells a name this long.
    if name.chars().count() > 128 {
        return None;
    }
    let lower = name.to_lowercase();
    known
        .iter()
        .filter(|candidate| candidate.len() <= 512)
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), *candidate))
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, column: u32, path: &str) -> At {
        At { file: "spring.yaml".into(), line, column, path: path.into() }
    }

    #[test]
    fn a_fault_says_where_what_and_the_remedy() {
        let fault = Fault::new(&at(41, 19, "scenes[2].layers[0].text"), "unknown variable `custmer.name`")
            .hint_if(did_you_mean("custmer.name", ["plan", "customer.name"]));
        assert_eq!(
            fault.to_string(),
            "spring.yaml:41:19: scenes[2].layers[0].text: unknown variable `custmer.name`\n  \
             hint: did you mean `customer.name`?"
        );
        let fault = Fault::new(&At::file("spring.yaml"), "expected a length").found("Maria");
        assert_eq!(fault.to_string(), "spring.yaml: expected a length, found \"Maria\"");
    }

    #[test]
    fn faults_come_in_order_of_their_places_each_once() {
        let faults: Faults = [
            Fault::new(&at(9, 1, "b"), "two"),
            Fault::new(&at(2, 1, "a"), "one"),
            Fault::new(&at(9, 1, "b"), "two"),
        ]
        .into_iter()
        .collect();
        assert_eq!(faults.to_string(), "spring.yaml:2:1: a: one\nspring.yaml:9:1: b: two");
        assert!(faults.into_result(()).is_err());
        assert_eq!(Faults::new().into_result(5), Ok(5));
    }

    #[test]
    fn found_values_are_short_and_cannot_forge_a_line() {
        assert_eq!(quoted("a\nb\u{1b}[31m"), "\"a\\nb\u{fffd}[31m\"");
        assert_eq!(shortened(&"x".repeat(1_000_000)).chars().count(), 61);
        assert_eq!(did_you_mean("colour", ["color", "size"]).as_deref(), Some("did you mean `color`?"));
        assert_eq!(did_you_mean("zzz", ["color", "size"]).as_deref(), Some("one of `color`, `size`"));
        assert_eq!(did_you_mean("zzz", []), None);
    }
}
