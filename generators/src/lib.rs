//! Text, voice and images made for one viewer.
//!
//! ```text
//! Request -> Engine -> cache -> provider 1 -> provider 2 -> … -> declared fallback -> Generated
//! ```
//!
//! A template asks with [`Request`](vignette_templates::generate::Request)s, which are plain data. An
//! [`Engine`] answers each with a [`Generated`](vignette_templates::generate::Generated), trying its
//! providers in order, each under a deadline, and never asking twice for the same thing.
//! [`Engine::offline`] needs no account and no network: copy comes from weighted phrase grammars
//! ([`Grammar`]), speech from the neural voice `hibari` where it is installed ([`Hibari`], [`Models`]) and else from the
//! programs `flite` ([`Flite`]) and `espeak-ng` ([`EspeakNg`]), and pictures from seeded procedural art ([`Procedural`]). A viewer's
//! own photo is prepared on this machine alone ([`Photos`]).
//! [`Settings`] choose other providers, hosted or local, by a file.
//!
//! What providers outside this machine are told and may cost is bounded before they are asked, what they answer is judged before
//! it is shown, and none of it can hold up or break a video: see [`Engine::explain`], [`Usage`] and
//! [`Provenance`](vignette_templates::generate::Provenance).

#![forbid(unsafe_code)]

mod cache;
mod config;
mod copy;
mod engine;
mod error;
mod gate;
mod graph;
mod guard;
mod image;
mod kept;
pub mod models;
mod photo;
mod provider;
mod random;
mod remote;
mod runtime;
mod text;
mod voice;

pub use config::{Settings, SettingsError};
pub use copy::{CopyEntry, CopyError, CopyFile, CopyLine, MAX_COPY_FILE};
pub use engine::{Engine, Options, Setup, Told};
pub use error::GenerateError;
pub use gate::{Bounds, Ledger, Usage};
pub use guard::WordLists;
pub use image::Procedural;
pub use kept::Keep;
pub use models::Models;
pub use photo::{Photos, Prepared};
pub use provider::{Answer, Context, ImageProvider, Kind, ModelFile, TextProvider, VoiceProvider};
pub use text::{Grammar, variants};
pub use voice::{Coverage, EspeakNg, Flite, Hibari, Kokoro};
