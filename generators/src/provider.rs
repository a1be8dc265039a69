//! The three traits behind which everything that generates stands.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;
use vignette_templates::blob::Blob;
use vignette_templates::generate::{Cost, ImageRequest, TextRequest, Voice, VoiceRequest};

use crate::error::GenerateError;
use crate::gate::{Gate, Usage};

/// What is generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Copy.
    Text,
    /// Speech.
    Voice,
    /// Pictures.
    Image,
    /// Photos of the viewer's own, prepared to be shown.
    Photo,
}

impl Kind {
    /// What a person can do who has no provider of this kind.
    pub(crate) fn remedy(self) -> &'static str {
        match self {
            Kind::Text => "give the request a `fallback`, or a `grammar` for the offline provider",
            Kind::Voice => {
                "install a voice, on Debian with `apt install flite espeak-ng`, \
                 and switch the voice provider on"
            }
            Kind::Image => {
                "switch the `procedural` provider on (it is built in and needs nothing installed), \
                 or declare a fallback picture"
            }
            Kind::Photo => "give the request or its asset a `fallback`",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Text => "text",
            Kind::Voice => "voice",
            Kind::Image => "image",
            Kind::Photo => "photo",
        })
    }
}

/// What a provider is told besides the request.
#[derive(Clone, Debug)]
pub struct Context {
    /// The request's name in the template, for messages.
    pub name: String,
    /// BCP 47 tag of the language to write or speak in.
    pub locale: String,
    /// Decides every random choice.
    pub seed: u64,
    /// When the answer is no longer wanted.
    pub deadline: Instant,
}

impl Context {
    /// The time that is left, zero when there is none.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Nothing while there is time left.
    ///
    /// # Errors
    /// [`GenerateError::Deadline`] when there is none; providers that compute call this now and then.
    pub fn check(&self, provider: &str, started: Instant) -> Result<(), GenerateError> {
        if Instant::now() < self.deadline {
            return Ok(());
        }
        let after = self.deadline.saturating_duration_since(started);
        Err(GenerateError::Deadline { provider: provider.to_owned(), after })
    }
}

/// A file that a provider computes with: a model, or the program that it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFile {
    /// Its name, which tells nothing of where this machine keeps it, e.g. `hibari/0.2.1/hibari.onnx`.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// What a provider made, and what that took.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<T> {
    /// What it made.
    pub value: T,
    /// The model's version as the answer names it; empty when it names none.
    pub version: String,
    /// What it took of the provider's budget.
    pub cost: Cost,
    /// When a provider outside this machine answered, in seconds since 1970-01-01T00:00Z.
    pub made_at: Option<u64>,
}

impl<T> Answer<T> {
    /// An answer that cost nothing.
    pub fn free(value: T) -> Self {
        Answer { value, version: String::new(), cost: Cost::default(), made_at: None }
    }
}

/// Writes copy.
pub trait TextProvider: Send + Sync {
    /// A short stable name, e.g. `grammar`; part of the cache key.
    fn name(&self) -> &str;
    /// The model and its version; part of the cache key.
    fn model(&self) -> String;
    /// Whether a machine writes the words. A grammar only picks among a person's.
    fn synthetic(&self) -> bool {
        true
    }
    /// A line of copy of at most `max_chars` characters.
    ///
    /// # Errors
    /// When none can be written; the engine then tries the next provider.
    fn generate(&self, request: &TextRequest, context: &Context) -> Result<String, GenerateError>;
    /// Lines to choose the best from. Default: the one of [`TextProvider::generate`].
    ///
    /// # Errors
    /// As [`TextProvider::generate`].
    fn answer(&self, request: &TextRequest, context: &Context) -> Result<Answer<Vec<String>>, GenerateError> {
        self.generate(request, context).map(|line| Answer::free(vec![line]))
    }
    /// Whether what it is asked leaves the house, so that personal data need the template's leave. Default: false.
    fn remote(&self) -> bool {
        false
    }
    /// What it was asked so far, when it keeps count. Default: it does not.
    fn usage(&self) -> Option<Usage> {
        None
    }
    /// What bounds and counts what it is asked, when it is paid for. Default: nothing does.
    #[doc(hidden)]
    fn gate(&self) -> Option<&Gate> {
        None
    }
    /// The files that it computes with, as far as they are here. Default: none.
    fn files(&self) -> Vec<ModelFile> {
        Vec::new()
    }
}

/// Speaks.
pub trait VoiceProvider: Send + Sync {
    /// A short stable name, e.g. `flite`; part of the cache key.
    fn name(&self) -> &str;
    /// The voice that speaks this request and its version; part of the cache key.
    fn model(&self, request: &VoiceRequest, locale: &str) -> String;
    /// Whether the seed changes what is heard. When not, all viewers share the same words' sound.
    fn uses_seed(&self) -> bool {
        false
    }
    /// The spoken words.
    ///
    /// # Errors
    /// When they cannot be spoken; the engine then tries the next provider.
    fn generate(&self, request: &VoiceRequest, context: &Context) -> Result<Voice, GenerateError>;
    /// [`VoiceProvider::generate`] with what it took. Default: nothing.
    ///
    /// # Errors
    /// As [`VoiceProvider::generate`].
    fn answer(&self, request: &VoiceRequest, context: &Context) -> Result<Answer<Voice>, GenerateError> {
        self.generate(request, context).map(Answer::free)
    }
    /// Whether what it is asked leaves the house, so that personal data need the template's leave. Default: false.
    fn remote(&self) -> bool {
        false
    }
    /// What it was asked so far, when it keeps count. Default: it does not.
    fn usage(&self) -> Option<Usage> {
        None
    }
    /// What bounds and counts what it is asked, when it is paid for. Default: nothing does.
    #[doc(hidden)]
    fn gate(&self) -> Option<&Gate> {
        None
    }
    /// The files that it computes with, as far as they are here. Default: none.
    fn files(&self) -> Vec<ModelFile> {
        Vec::new()
    }
}

/// Draws pictures.
pub trait ImageProvider: Send + Sync {
    /// A short stable name, e.g. `procedural`; part of the cache key.
    fn name(&self) -> &str;
    /// The model and its version; part of the cache key.
    fn model(&self) -> String;
    /// Whether it changes pictures ([`ImageRequest::edit`]); then it draws none. Default: it draws.
    fn edits(&self) -> bool {
        false
    }
    /// Whether what it draws is judged for unsafe content before it is shown. Default: it is.
    fn is_judged(&self) -> bool {
        true
    }
    /// A PNG file of exactly the size that was asked for.
    ///
    /// # Errors
    /// When it cannot be drawn; the engine then tries the next provider.
    fn generate(&self, request: &ImageRequest, context: &Context) -> Result<Blob, GenerateError>;
    /// [`ImageProvider::generate`] with what it took. Default: nothing.
    ///
    /// # Errors
    /// As [`ImageProvider::generate`].
    fn answer(&self, request: &ImageRequest, context: &Context) -> Result<Answer<Blob>, GenerateError> {
        self.generate(request, context).map(Answer::free)
    }
    /// Whether what it is asked leaves the house, so that personal data need the template's leave. Default: false.
    fn remote(&self) -> bool {
        false
    }
    /// What it was asked so far, when it keeps count. Default: it does not.
    fn usage(&self) -> Option<Usage> {
        None
    }
    /// What bounds and counts what it is asked, when it is paid for. Default: nothing does.
    #[doc(hidden)]
    fn gate(&self) -> Option<&Gate> {
        None
    }
    /// The files that it computes with, as far as they are here. Default: none.
    fn files(&self) -> Vec<ModelFile> {
        Vec::new()
    }
}
