//! Vignette renders a video made for one viewer, while that viewer waits.
//!
//! ```text
//! template + data ── open, check ──► Template ── personalise ──► Video ── prepare ──► frames, segments ──► file
//! ```
//!
//! [`Engine`] is the front door: it holds what is costly to set up (fonts, generators) and may serve many
//! threads. Behind it stand [`templates`] (the language), [`generators`] (text, voice, pictures) and
//! [`renderer`] (frames and files).
//!
//! ```no_run
//! # fn main() -> Result<(), vignette::Error> {
//! let engine = vignette::Engine::new()?;
//! let template = engine.open("templates/gallery/offer".as_ref(), &[])?.value;
//! let data = template.data("the request", serde_json::json!({ "first_name": "Maria" }))?;
//! let filled = engine.personalise(&template, &data, None)?;
//! let prepared = engine.prepare(&template, &filled.value)?;
//! prepared.render(&Default::default(), &())?.write_mp4("maria.mp4".as_ref())?;
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

pub use vignette_generators as generators;
pub use vignette_renderer as renderer;
pub use vignette_templates as templates;

use generators::GenerateError;
use renderer::compose::Media;
use renderer::error::RenderError;
use renderer::render::{Prepared, prepare};
use renderer::text::{FontError, FontLibrary};
use templates::fault::{Faults, Warned};
use templates::generate::Generated;
use templates::video::Video;
use templates::{Data, Fill, OpenOptions, Package};

/// Everything that can keep a video from being made, and whose fault it is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The template or the viewer's data are at fault, at these places.
    #[error(transparent)]
    Faults(#[from] Faults),
    /// A value could not be generated.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// The video could not be drawn, encoded or written.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The fonts that every video may need are not installed.
    #[error(transparent)]
    Fonts(#[from] FontError),
    /// Anything else about the input, in words.
    #[error("{0}")]
    Input(String),
}

impl Error {
    /// Whether the template or data could be changed to avoid it; otherwise this machine is at fault.
    pub fn is_input_fault(&self) -> bool {
        match self {
            Error::Faults(_) | Error::Input(_) => true,
            Error::Generate(error) => {
                matches!(error, GenerateError::Invalid(_) | GenerateError::Language { .. })
            }
            Error::Render(error) => error.is_input_fault(),
            Error::Fonts(_) => false,
        }
    }
}

/// What is costly to set up once and good for every video: fonts and generators.
pub struct Engine {
    fonts: FontLibrary,
    generators: generators::Engine,
}

impl Engine {
    /// An engine with this machine's fonts and the offline generators.
    ///
    /// # Errors
    /// A set of fonts that is not installed, with the package that brings it.
    pub fn new() -> Result<Engine, Error> {
        Ok(Engine { fonts: FontLibrary::system()?, generators: generators::Engine::offline() })
    }

    /// Opens and checks the template package at `path`: a folder with `template.yaml`, or the file itself.
    /// Files that viewers' data name are looked for in the package and then in `asset_folders`.
    ///
    /// # Errors
    /// Every fault of the template, each with its place.
    pub fn open(&self, path: &Path, asset_folders: &[PathBuf]) -> Result<Warned<Template>, Error> {
        let (fonts, media) = (self.fonts.clone(), Arc::new(Media::default()));
        let opened = media.clone();
        let options = OpenOptions {
            assets: asset_folders.to_vec(),
            has_font_family: Some(Arc::new(move |family| fonts.has_family(family))),
            probe: Some(Arc::new(move |kind, blob| opened.probe(kind, blob))),
        };
        let package = Package::open(path, &options)?;
        Ok(Warned { value: Template { package: package.value, media }, warnings: package.warnings })
    }

    /// Fills the template with one viewer's data, generating what it asks for.
    ///
    /// # Errors
    /// Every value that is wrong once it is filled; a value that cannot be generated and has no fallback.
    pub fn personalise(
        &self,
        template: &Template,
        data: &Data,
        rendition: Option<&str>,
    ) -> Result<Warned<Video>, Error> {
        let package = &template.package;
        let mut generated: BTreeMap<String, Generated> = BTreeMap::new();
        loop {
            // Speech may say generated words, so each round makes asking for the next one possible.
            let requests = templates::ask(&package.template, data, &generated)?;
            if requests.is_empty() {
                break;
            }
            let answers = self.generators.generate(&requests);
            for (request, answer) in requests.into_iter().zip(answers) {
                generated.insert(request.name, answer?);
            }
        }
        Ok(templates::fill(&package.template, data, &generated, Fill { rendition }, &package.files)?)
    }

    /// Decodes the video's assets and lays out its text.
    ///
    /// # Errors
    /// An asset that cannot be decoded, or a layer that cannot be drawn, by its place in the template.
    pub fn prepare<'a>(&self, template: &Template, video: &'a Video) -> Result<Prepared<'a>, Error> {
        Ok(prepare(video, &template.media, &self.fonts)?)
    }
}

/// A template that was opened and found right, with its files.
pub struct Template {
    package: Package,
    /// What was decoded while its files were looked at, so that it is not decoded again to be drawn.
    media: Arc<Media>,
}

impl Template {
    /// The JSON Schema (draft 2020-12) of one viewer's data.
    pub fn data_schema(&self) -> &Value {
        self.package.template.data_schema()
    }

    /// The renditions with their width and height in pixels; the first is `default`, the canvas itself.
    pub fn renditions(&self) -> Vec<(&str, u32, u32)> {
        self.package.template.renditions()
    }

    /// One viewer's data, completed and valid; `name` is how messages call it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn data(&self, name: &str, value: Value) -> Result<Data, Faults> {
        self.package.template.data(name, value)
    }

    /// One viewer's data from JSON text; `name` is how messages call it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse_data(&self, name: &str, text: &[u8]) -> Result<Data, Faults> {
        self.package.template.parse_data(name, text)
    }
}
