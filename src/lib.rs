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
//! let template = engine.open("templates/gallery/welcome".as_ref(), &[])?.value;
//! let data = serde_json::json!({ "first_name": "Maria", "plan": "pro", "photo": "assets/maria.png" });
//! let filled = engine.personalise(&template, data, None)?;
//! let prepared = engine.prepare(&filled.value)?;
//! prepared.render(&Default::default(), &())?.write_mp4("maria.mp4".as_ref())?;
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

pub use vignette_generators as generators;
pub use vignette_renderer as renderer;
pub use vignette_templates as templates;

use generators::GenerateError;
use renderer::error::RenderError;
use renderer::render::{Prepared, prepare};
use renderer::text::{FontError, FontLibrary};
use templates::fault::{Faults, Warned};
use templates::fill::FillOptions;
use templates::generate::Generated;
use templates::package::{Package, World};
use templates::video::Video;

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
            Error::Generate(error) => error.is_input_fault(),
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

    /// The engine's own fonts.
    pub fn fonts(&self) -> &FontLibrary {
        &self.fonts
    }

    /// Opens and checks the template package at `path`: a folder with `template.yaml`, or the file itself.
    /// Assets that viewers' data name are looked for in the package and then in `asset_roots`.
    ///
    /// # Errors
    /// Every fault of the template, each with its place.
    pub fn open(&self, path: &Path, asset_roots: &[PathBuf]) -> Result<Warned<Template>, Error> {
        let fonts = self.fonts.clone();
        let package = Package::open(path, asset_roots, move |family| fonts.has_family(family))?;
        Ok(Warned { value: Template { package: package.value }, warnings: package.warnings })
    }

    /// Fills the template with one viewer's data, generating what it asks for.
    ///
    /// # Errors
    /// Every fault of the data; a value that cannot be generated and has no fallback.
    pub fn personalise(
        &self,
        template: &Template,
        data: Value,
        rendition: Option<&str>,
    ) -> Result<Warned<Video>, Error> {
        let package = &template.package;
        let data = package.template().accept(data)?;
        let mut generated: BTreeMap<String, Generated> = BTreeMap::new();
        loop {
            // Speech may say generated words, so each round makes asking for the next one possible.
            let requests = package.template().ask(&data, &generated)?;
            if requests.is_empty() {
                break;
            }
            let answers = self.generators.generate(&requests);
            for (request, answer) in requests.into_iter().zip(answers) {
                generated.insert(request.name, answer?);
            }
        }
        let options = FillOptions { rendition };
        Ok(package.template().fill(&data, &generated, &options, package.world())?)
    }

    /// Decodes the video's assets and lays out its text.
    ///
    /// # Errors
    /// An asset that cannot be decoded, or a layer that cannot be drawn, by its place in the template.
    pub fn prepare<'a>(&self, video: &'a Video) -> Result<Prepared<'a>, Error> {
        Ok(prepare(video, &self.fonts)?)
    }
}

/// A template that was opened and found right.
pub struct Template {
    package: Package,
}

impl Template {
    /// The JSON Schema (draft 2020-12) of one viewer's data.
    pub fn data_schema(&self) -> Value {
        self.package.template().data_schema()
    }

    /// Checks one viewer's data without rendering.
    ///
    /// # Errors
    /// Every fault of the data.
    pub fn check_data(&self, data: Value) -> Result<(), Error> {
        self.package.template().accept(data)?;
        Ok(())
    }

    /// Where the template's assets are read from.
    pub fn world(&self) -> &dyn World {
        self.package.world()
    }
}
