//! Copy that a person has seen and let pass: the approval file.
//!
//! ```text
//! requests of an audience -> every line that could be shown -> a file -> a person -> only what she approved is shown
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vignette_templates::blob::Digest;
use vignette_templates::generate::{
    Generated, GeneratedValue, Provenance, Request, RequestKind, TextRequest,
};

use crate::engine::Engine;
use crate::error::GenerateError;
use crate::guard;
use crate::random::{SplitMix64, mix};
use crate::text::variants;

/// The longest approval file that is read, in bytes.
pub const MAX_COPY_FILE: usize = 256 << 20;

/// The version of the file's form.
const VERSION: u32 = 1;

/// Lines for people to approve, request by request. It holds what viewers would read, their names included: keep it as their data
/// are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyFile {
    /// The version of this form: 1.
    pub vignette_copy: u32,
    /// One for each different request, in the order in which they were met.
    pub copy: Vec<CopyEntry>,
}

/// What may be shown in answer to one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyEntry {
    /// The request's digest: viewers of whom the same is asked share an entry.
    pub request: String,
    /// Its name under `generate:` in the template.
    pub name: String,
    /// BCP 47 tag of its language.
    pub locale: String,
    /// The longest line that fits, in characters.
    pub max_chars: usize,
    /// The lines.
    pub lines: Vec<CopyLine>,
}

/// A line, and what a person thinks of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyLine {
    /// As it was generated.
    pub text: String,
    /// The provider that wrote it.
    pub from: String,
    /// Whether a machine wrote it.
    #[serde(default)]
    pub synthetic: bool,
    /// Whether it may be shown. Default: false.
    #[serde(default)]
    pub approved: bool,
    /// What is shown in its place, if a person has bettered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<String>,
}

/// What is wrong with an approval file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct CopyError(String);

impl Default for CopyFile {
    fn default() -> Self {
        CopyFile::new()
    }
}

impl CopyFile {
    /// A file without lines.
    pub fn new() -> Self {
        CopyFile { vignette_copy: VERSION, copy: Vec::new() }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it: its form, or an approved line that must not be shown (too long, a value that was never filled in).
    pub fn parse(text: &[u8]) -> Result<Self, CopyError> {
        if text.len() > MAX_COPY_FILE {
            return Err(CopyError(format!("it is longer than the {MAX_COPY_FILE} bytes that are read")));
        }
        let file: CopyFile = serde_json::from_slice(text).map_err(|error| {
            // The error's words may repeat a viewer's; its place does not.
            CopyError(format!("it is no approval file (line {}, column {})", error.line(), error.column()))
        })?;
        if file.vignette_copy != VERSION {
            return Err(CopyError(format!(
                "its `vignette_copy` is {}, and {VERSION} is known",
                file.vignette_copy
            )));
        }
        for (index, entry) in file.copy.iter().enumerate() {
            for (line, shown) in entry.lines.iter().enumerate().filter(|(_, line)| line.approved) {
                guard::check_text(shown.shown(), entry.max_chars).map_err(|reason| {
                    CopyError(format!(
                        "copy[{index}].lines[{line}] (`{}`) is approved, but {reason}",
                        entry.name
                    ))
                })?;
            }
        }
        Ok(file)
    }

    /// The file's text.
    ///
    /// # Errors
    /// It cannot be written, for want of memory.
    pub fn to_json(&self) -> Result<String, CopyError> {
        serde_json::to_string_pretty(self).map_err(|error| CopyError(error.to_string()))
    }

    /// Adds `entry`, unless its request is there already; then the lines that it lacks. What a person decided stays.
    pub fn add(&mut self, index: &mut BTreeMap<String, usize>, entry: CopyEntry) {
        if index.is_empty() {
            *index = self.copy.iter().enumerate().map(|(at, entry)| (entry.request.clone(), at)).collect();
        }
        match index.get(&entry.request).and_then(|at| self.copy.get_mut(*at)) {
            Some(known) => {
                known.max_chars = entry.max_chars;
                let new = entry.lines.into_iter();
                let new: Vec<CopyLine> =
                    new.filter(|line| known.lines.iter().all(|k| k.text != line.text)).collect();
                known.lines.extend(new);
            }
            None => {
                index.insert(entry.request.clone(), self.copy.len());
                self.copy.push(entry);
            }
        }
    }

    /// Lines in all, and how many of them are approved.
    pub fn counts(&self) -> (usize, usize) {
        let lines = || self.copy.iter().flat_map(|entry| &entry.lines);
        (lines().count(), lines().filter(|line| line.approved).count())
    }
}

impl CopyLine {
    fn shown(&self) -> &str {
        self.edited.as_deref().unwrap_or(&self.text)
    }
}

/// The name of a request for copy: what is asked, whoever is asked.
fn name_of(request: &Request, text: &TextRequest) -> String {
    // Plain structs with string keys always serialise.
    let asked = serde_json::to_vec(&(&request.name, &request.locale, text)).unwrap_or_default();
    Digest::of(&asked).to_string()
}

/// Approved lines by request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Approved(BTreeMap<String, Vec<CopyLine>>);

impl Approved {
    pub(crate) fn new(file: CopyFile) -> Self {
        let mut lines = BTreeMap::new();
        for entry in file.copy {
            let approved: Vec<CopyLine> = entry.lines.into_iter().filter(|line| line.approved).collect();
            lines.insert(entry.request, approved);
        }
        Approved(lines)
    }

    /// Names the approved lines by what stands in them.
    pub(crate) fn digest(&self) -> Digest {
        // Structs and sorted maps of text always serialise.
        Digest::of(&serde_json::to_vec(&self.0).unwrap_or_default())
    }

    /// The line that this viewer gets: always the same one.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn answer(&self, request: &Request, text: &TextRequest) -> Result<Generated, GenerateError> {
        let withheld = |reason: &str| GenerateError::Withheld {
            provider: "approved".to_owned(),
            reason: reason.to_owned(),
        };
        let Some(lines) = self.0.get(&name_of(request, text)) else {
            return Err(withheld("the approval file has no entry for this request; list the copy anew"));
        };
        let chosen = SplitMix64::new(mix(request.seed)).below(lines.len());
        let line = lines.get(chosen).ok_or_else(|| withheld("no line for this request is approved"))?;
        let words = guard::check_text(line.shown(), text.max_chars)
            .map_err(|reason| GenerateError::Rejected { provider: "approved".to_owned(), reason })?;
        let provenance = Provenance {
            provider: "approved".to_owned(),
            model: line.from.clone(),
            synthetic: line.synthetic && line.edited.is_none(),
            seed: Some(request.seed),
            ..Provenance::default()
        };
        Ok(Generated { value: GeneratedValue::Text(words), provenance })
    }
}

impl Engine {
    /// Every line that could be shown in answer to `request`, at most `limit`: those of its grammar where a grammar comes first,
    /// otherwise the one that the providers give. `None` for what is no copy.
    ///
    /// # Errors
    /// No provider gave a usable line, and the request declares no fallback.
    pub fn copy(&self, request: &Request, limit: usize) -> Option<Result<CopyEntry, GenerateError>> {
        let RequestKind::Text(text) = &request.kind else { return None };
        let first_is_grammar = self.text_providers().first().is_some_and(|provider| !provider.synthetic());
        let lines = match first_is_grammar && !text.grammar.is_empty() {
            true => variants(text, limit).map(|lines| {
                let line = |text| CopyLine {
                    text,
                    from: "grammar".to_owned(),
                    synthetic: false,
                    approved: false,
                    edited: None,
                };
                lines.into_iter().map(line).collect()
            }),
            false => self.generate_one(request).map(|made| {
                let text = match made.value {
                    GeneratedValue::Text(text) => text,
                    // Who is asked for copy gives copy.
                    GeneratedValue::Voice(_) | GeneratedValue::Image(_) => String::new(),
                };
                let (from, synthetic) = (made.provenance.provider, made.provenance.synthetic);
                vec![CopyLine { text, from, synthetic, approved: false, edited: None }]
            }),
        };
        Some(lines.map(|lines| CopyEntry {
            request: name_of(request, text),
            name: request.name.clone(),
            locale: request.locale.clone(),
            max_chars: text.max_chars,
            lines,
        }))
    }
}

#[cfg(test)]
mod tests {
    use vignette_templates::generate::{Phrase, Viewer};

    use super::*;

    fn request(seed: u64) -> Request {
        let phrases = ["Hello, Maria!", "Welcome, Maria!", "Hi Maria"];
        let phrases = phrases.map(|say| Phrase { say: say.to_owned(), weight: 1.0 }).to_vec();
        let text = TextRequest {
            grammar: [("start".to_owned(), phrases)].into(),
            max_chars: 40,
            fallback: Some("Hello".into()),
            ..TextRequest::default()
        };
        Request {
            name: "hook".into(),
            locale: "en".into(),
            seed,
            kind: RequestKind::Text(text),
            viewer: Viewer::default(),
        }
    }

    fn shown(engine: &Engine, seed: u64) -> (String, Provenance) {
        let made = engine.generate_one(&request(seed)).unwrap();
        let GeneratedValue::Text(text) = made.value else { panic!("no text") };
        (text, made.provenance)
    }

    #[test]
    fn only_what_is_approved_is_shown() {
        let engine = Engine::offline();
        let mut file = CopyFile::new();
        let mut index = BTreeMap::new();
        for seed in 0..5 {
            file.add(&mut index, engine.copy(&request(seed), 100).unwrap().unwrap());
        }
        assert_eq!((file.copy.len(), file.counts()), (1, (3, 0)), "seeds ask for the same");
        file.copy[0].lines[1].approved = true;
        file.copy[0].lines[2].approved = true;
        file.copy[0].lines[2].edited = Some("Good morning, Maria!".to_owned());
        let file = CopyFile::parse(file.to_json().unwrap().as_bytes()).unwrap();
        let approving = Engine::offline().with_approved(file.clone());
        let mut seen: Vec<String> = (0..50).map(|seed| shown(&approving, seed).0).collect();
        assert_eq!(shown(&approving, 3).0, seen[3], "a viewer always gets the same line");
        assert_eq!(shown(&approving, 3).1.provider, "approved");
        seen.sort();
        seen.dedup();
        assert_eq!(seen, ["Good morning, Maria!", "Welcome, Maria!"]);
        // Listing again keeps what was decided.
        let mut again = file.clone();
        again.add(&mut BTreeMap::new(), engine.copy(&request(1), 100).unwrap().unwrap());
        assert_eq!(again, file);
    }

    #[test]
    fn what_is_not_approved_falls_back_and_says_why() {
        let engine = Engine::offline();
        let mut file = CopyFile::new();
        for (file, reason) in [(CopyFile::new(), "no entry for this request"), {
            file.add(&mut BTreeMap::new(), engine.copy(&request(0), 100).unwrap().unwrap());
            (file, "no line for this request is approved")
        }] {
            let (text, made) = shown(&Engine::offline().with_approved(file), 0);
            assert_eq!(text, "Hello");
            assert!(made.fallback.as_deref().unwrap().contains(reason), "{made:?}");
        }
    }

    #[test]
    fn files_at_fault_are_refused() {
        let entry = |line: &str| {
            format!(
                "{{\"vignette_copy\":1,\"copy\":[{{\"request\":\"a\",\"name\":\"hook\",\"locale\":\"en\",\"max_chars\":10,\
                 \"lines\":[{line}]}}]}}"
            )
        };
        let table = [
            ("no JSON", "{".to_owned(), "no approval file (line 1"),
            ("another version", "{\"vignette_copy\":2,\"copy\":[]}".to_owned(), "is 2"),
            ("unknown field", entry("{\"text\":\"a\",\"from\":\"g\",\"aproved\":true}"), "no approval file"),
            (
                "too long",
                entry("{\"text\":\"a\",\"from\":\"g\",\"approved\":true,\"edited\":\"far too long for it\"}"),
                "copy[0].lines[0] (`hook`) is approved, but it has 19 characters",
            ),
            (
                "unfilled",
                entry("{\"text\":\"Hi [NAME]\",\"from\":\"g\",\"approved\":true}"),
                "never filled in",
            ),
        ];
        for (name, text, expected) in table {
            let message = CopyFile::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(message.contains(expected), "{name}: {message}");
        }
    }
}
