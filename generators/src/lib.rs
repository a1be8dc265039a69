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
//! ([`Grammar`]), speech from the programs `flite` ([`Flite`]) and `espeak-ng` ([`EspeakNg`]), and pictures
//! from seeded procedural art ([`Procedural`]).

#![forbid(unsafe_code)]

mod cache;
mod engine;
mod error;
mod guard;
mod image;
mod kept;
mod provider;
mod random;
mod text;
mod voice;

pub use engine::{Engine, Options};
pub use error::GenerateError;
pub use image::Procedural;
pub use kept::Keep;
pub use provider::{Context, ImageProvider, Kind, TextProvider, VoiceProvider};
pub use text::{Grammar, variants};
pub use voice::{EspeakNg, Flite};
