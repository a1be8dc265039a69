//! What can go wrong, said so that the reader knows what to do.

use std::sync::Arc;
use std::time::Duration;

use crate::provider::Kind;

/// Why something could not be generated. Holds no viewer's data. Cheap to clone, because all who wait for
/// one result share its error.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GenerateError {
    /// The engine was set up without providers for this kind.
    #[error("generate.{name}: {kind} generation is switched off; {}", kind.remedy())]
    Off {
        /// The request's name in the template.
        name: String,
        /// What was asked for.
        kind: Kind,
    },
    /// A program that a provider runs is not there.
    #[error(
        "{provider}: cannot find the program {program}; install it, on Debian with `apt install {package}`"
    )]
    NotInstalled {
        /// The provider that needs it.
        provider: String,
        /// The program's name.
        program: String,
        /// The Debian package that holds it.
        package: String,
    },
    /// A model that a provider runs is not there.
    #[error("{provider}: the model is not installed; install it with `vignette models install {model}`")]
    ModelMissing {
        /// The provider that needs it.
        provider: String,
        /// The model's name.
        model: String,
    },
    /// The provider does not speak or write this language, and does not guess.
    #[error("{provider}: no voice for language {locale:?}; {remedy}")]
    Language {
        /// The provider.
        provider: String,
        /// The BCP 47 tag that was asked for.
        locale: String,
        /// What would help.
        remedy: String,
    },
    /// The request itself cannot be served: asking again or elsewhere would not help.
    #[error("{0}")]
    Invalid(String),
    /// The provider took longer than it may.
    #[error("{provider}: no answer within {} ms", after.as_millis())]
    Deadline {
        /// The provider.
        provider: String,
        /// How long it was given.
        after: Duration,
    },
    /// The provider answered with something that must not be shown.
    #[error("{provider}: unusable answer: {reason}")]
    Rejected {
        /// The provider.
        provider: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The provider may not be asked this.
    #[error("{provider}: not asked: {reason}")]
    Withheld {
        /// The provider.
        provider: String,
        /// Why not.
        reason: String,
    },
    /// The provider is not asked now: its budget, its rate limit or its rest after faults forbid it.
    #[error("{provider}: {reason}")]
    Limit {
        /// The provider.
        provider: String,
        /// Which bound it is.
        reason: String,
    },
    /// The provider failed.
    #[error("{provider}: {reason}")]
    Provider {
        /// The provider.
        provider: String,
        /// What happened.
        reason: String,
    },
    /// The operating system refused something that the provider needs.
    #[error("{provider}: cannot {operation}")]
    Io {
        /// The provider.
        provider: String,
        /// What was tried, e.g. `start espeak-ng`.
        operation: String,
        /// Why it failed.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// No provider gave a usable result, and the request declares no fallback.
    #[error("generate.{name}: no {kind} provider gave a usable result: {}; {}", list(reasons), kind.remedy())]
    AllFailed {
        /// The request's name in the template.
        name: String,
        /// What was asked for.
        kind: Kind,
        /// One error for each provider that was tried, in order.
        reasons: Vec<GenerateError>,
    },
}

impl GenerateError {
    /// Whether the template or data could be changed to avoid it; otherwise this machine or a provider is at fault.
    pub fn is_input_fault(&self) -> bool {
        match self {
            GenerateError::Invalid(_) | GenerateError::Language { .. } | GenerateError::Rejected { .. } => {
                true
            }
            // A provider that is not installed says nothing about a request that another one found invalid.
            GenerateError::AllFailed { reasons, .. } => reasons.iter().any(GenerateError::is_input_fault),
            GenerateError::Off { .. }
            | GenerateError::NotInstalled { .. }
            | GenerateError::ModelMissing { .. }
            | GenerateError::Deadline { .. }
            | GenerateError::Withheld { .. }
            | GenerateError::Limit { .. }
            | GenerateError::Provider { .. }
            | GenerateError::Io { .. } => false,
        }
    }

    /// Whether the request itself asks for what nobody could make; otherwise others might have made it.
    pub fn is_invalid(&self) -> bool {
        match self {
            GenerateError::Invalid(_) => true,
            GenerateError::AllFailed { reasons, .. } => {
                !reasons.is_empty() && reasons.iter().all(GenerateError::is_invalid)
            }
            _ => false,
        }
    }

    /// Whether asking the same again later may succeed.
    pub fn is_passing(&self) -> bool {
        match self {
            GenerateError::Deadline { .. }
            | GenerateError::Limit { .. }
            | GenerateError::Provider { .. }
            | GenerateError::Io { .. } => true,
            GenerateError::AllFailed { reasons, .. } => reasons.iter().any(GenerateError::is_passing),
            GenerateError::Off { .. }
            | GenerateError::NotInstalled { .. }
            | GenerateError::ModelMissing { .. }
            | GenerateError::Language { .. }
            | GenerateError::Invalid(_)
            | GenerateError::Rejected { .. }
            | GenerateError::Withheld { .. } => false,
        }
    }
}

fn list(reasons: &[GenerateError]) -> String {
    reasons.iter().map(GenerateError::to_string).collect::<Vec<_>>().join("; ")
}

/// ` (did you mean …?)` when one of `known` is close to `word`, or nothing.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count() / 4)
        .min()
        .map_or_else(String::new, |(_, candidate)| format!("; did you mean `{candidate}`?"))
}
