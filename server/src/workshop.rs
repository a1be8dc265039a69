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

use crate::output::Output;

/// Opens templates. Shared by all threads of the service.
pub trait Workshop: Send + Sync {
    /// Opens and checks the template package in `folder`.
    ///
    /// # Errors
    /// Every fault of the template, each with its place.
    fn open(&self, folder: &Path) -> Result<Warned<Arc<dyn Opened>>, MakeError>;

    /// Lets go of a generated value that is remembered under `key`, besides the store.
    fn forget(&self, key: &Digest);

    /// Has a stranger's package in `folder` read where a crash of a decoder, or its hunger, harms nobody, before it is opened here.
    ///
    /// # Errors
    /// That reading it did such harm. What is wrong with the template is told by [`Workshop::open`].
    fn inspect(&self, folder: &Path) -> Result<(), MakeError>;

    /// What is found and kept by all renders.
    fn stores(&self) -> &Stores;

    /// Has the calling thread, and all that it starts, step back behind those that answer requests.
    fn step_back(&self) {}
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

    /// Fills the template with one viewer's data, generating what it asks for. May take as long as generators do. Speech that nobody
    /// here can speak is silent, which is told; it is an error when it has to be `aloud`.
    ///
    /// # Errors
    /// Everything that is wrong with the data, or with what came of it.
    fn fill(&self, data: Value, rendition: Option<&str>, aloud: bool) -> Result<Filled, MakeError>;

    /// The video's segments and their names for this size; nothing is rendered.
    fn plan(&self, video: &Video, profile: VideoProfile) -> Plan;

    /// `data` with values put over them that are texts, each read as the type that the template gives it.
    fn assigned(&self, data: Value, texts: &[(String, String)]) -> Value;

    /// Reads an audience row by row until `each` refuses. Of the named columns each row has the cells, in their order.
    ///
    /// # Errors
    /// [`MakeError::Input`] for a file that is no audience of this form, or a column that there is not; what `each` says.
    fn rows(
        &self,
        audience: &Path,
        form: RowForm,
        columns: &[String],
        each: &mut dyn FnMut(AudienceRow) -> Result<(), MakeError>,
    ) -> Result<(), MakeError>;

    /// What a batch of these rows, a JSON object a line, would come to; `None` when it was `cancelled`, which is asked now and then.
    ///
    /// # Errors
    /// An audience that cannot be read.
    fn forecast(
        &self,
        audience: &Path,
        rendition: Option<&str>,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Value>, MakeError>;

    /// The segments of a video for each size that is written for `output`; none where nothing is encoded.
    ///
    /// # Errors
    /// A size that the format does not take.
    fn plans(&self, video: &Video, output: &Output) -> Result<Vec<Plan>, MakeError>;

    /// Renders what is not there yet and writes it to `target`: a file, or a folder for HLS. `cancelled` is asked before each frame.
    ///
    /// # Errors
    /// What kept it from being made; [`MakeError::Input`] for a moment or a size that the video does not have.
    fn write(
        &self,
        video: &Video,
        output: &Output,
        target: &Path,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), MakeError>;

    /// Lays out the texts of a video that this template was filled to.
    ///
    /// # Errors
    /// A font that cannot be used, or a text that cannot be laid out.
    fn prepare<'a>(&'a self, video: &'a Video) -> Result<Prepared<'a>, MakeError>;
}

/// How the rows of an audience are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowForm {
    /// Comma-separated values with a header (RFC 4180).
    Csv,
    /// A JSON object a line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
}

/// One viewer of an audience.
#[derive(Clone, Debug)]
pub struct AudienceRow {
    /// Its place, from 1.
    pub number: u64,
    /// The viewer's data, or what is wrong with the row, in words.
    pub value: Result<Value, String>,
    /// The cells of the columns that were named.
    pub cells: Vec<String>,
}

/// A filled video, and what was generated for it.
pub struct Filled {
    /// The video, with what its maker should know.
    pub video: Warned<Video>,
    /// What was generated, as it is remembered.
    pub generated: Vec<Remembered>,
    /// The store's names for the findings that its files can be decoded.
    pub findings: Vec<Digest>,
}

/// What kind of value was generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GeneratedKind {
    /// Words.
    Text,
    /// Speech.
    Voice,
    /// A picture.
    Image,
}

/// A generated value that the store may have.
#[derive(Clone, Copy, Debug)]
pub struct Remembered {
    /// What it is.
    pub kind: GeneratedKind,
    /// The store's name for it.
    pub key: Digest,
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

impl MakeError {
    /// What kind it is of, in a word that tells nothing else.
    pub fn kind(&self) -> &'static str {
        match self {
            MakeError::Faults(_) => "faults",
            MakeError::Input(_) => "input",
            MakeError::Machine(_) => "machine",
            MakeError::Cancelled => "cancelled",
        }
    }
}

impl From<RenderError> for MakeError {
    fn from(error: RenderError) -> Self {
        match error {
            RenderError::Cancelled => MakeError::Cancelled,
            error if error.is_input_fault() => MakeError::Input(error.to_string()),
            error => {
                // What encoders say holds nothing of a viewer, and nobody else tells the operator.
                if let RenderError::Encode(error) = &error {
                    crate::log::error("encoder", &error.to_string());
                }
                MakeError::Machine(error.to_string())
            }
        }
    }
}
