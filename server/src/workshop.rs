//! What the service needs of the engine. The program hands it in, so that this crate stands on the renderer alone and the engine,
//! which is the root package's, need not be known here.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use vignette_renderer::encode::VideoProfile;
use vignette_renderer::error::RenderError;
use vignette_renderer::plan::Plan;
use vignette_renderer::render::{Prepared, Stores};
use vignette_templates::blob::Digest;
use vignette_templates::fault::{Faults, Warned};
use vignette_templates::video::Video;

/// Opens templates. Shared by all threads of the service.
pub trait Workshop: Send + Sync {
    /// Opens and checks the template package in `folder`.
    ///
    /// # Errors
    /// Every fault of the template, each with its place.
    fn open(&self, folder: &Path) -> Result<Warned<Arc<dyn Opened>>, MakeError>;

    /// Has a stranger's package in `folder` read where a crash of a decoder, or its hunger, harms nobody, before it is opened here.
    ///
    /// # Errors
    /// That reading it did such harm. What is wrong with the template is told by [`Workshop::open`].
    fn inspect(&self, folder: &Path) -> Result<(), MakeError>;

    /// What is found and kept by all renders.
    fn stores(&self) -> &Stores;
}

/// A template that was opened and found right.
pub trait Opened: Send + Sync {
    /// Names the template by its text and all files that it names itself.
    ///
    /// # Errors
    /// The template can no longer be read.
    fn version(&self) -> Result<Digest, MakeError>;

    /// The JSON Schema (draft 2020-12) of one viewer's data.
    fn data_schema(&self) -> &Value;

    /// The renditions with their width and height in pixels.
    fn renditions(&self) -> Vec<(String, u32, u32)>;

    /// Fills the template with one viewer's data, generating what it asks for. May take as long as generators do.
    ///
    /// # Errors
    /// Everything that is wrong with the data, or with what came of it.
    fn fill(&self, data: Value, rendition: Option<&str>) -> Result<Warned<Video>, MakeError>;

    /// The video's segments and their names for this size; nothing is rendered.
    fn plan(&self, video: &Video, profile: VideoProfile) -> Plan;

    /// Lays out the texts of a video that this template was filled to.
    ///
    /// # Errors
    /// A font that cannot be used, or a text that cannot be laid out.
    fn prepare<'a>(&'a self, video: &'a Video) -> Result<Prepared<'a>, MakeError>;
}

/// Why something could not be made, and whose fault it is.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MakeError {
    /// The template or the data are at fault, at these places.
    #[error(transparent)]
    Faults(#[from] Faults),
    /// The input is at fault, in words.
    #[error("{0}")]
    Input(String),
    /// This machine is at fault, in words that are for its operator alone.
    #[error("{0}")]
    Machine(String),
    /// Nobody waits for it any more.
    #[error("cancelled")]
    Cancelled,
}

impl From<RenderError> for MakeError {
    fn from(error: RenderError) -> Self {
        match error {
            RenderError::Cancelled => MakeError::Cancelled,
            error if error.is_input_fault() => MakeError::Input(error.to_string()),
            error => MakeError::Machine(error.to_string()),
        }
    }
}
