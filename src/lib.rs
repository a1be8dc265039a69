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
//! prepared.render(&Default::default(), engine.stores(), &())?.write_mp4("maria.mp4".as_ref())?;
//! # Ok(())
//! # }
//! ```

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

pub mod audience;
pub mod batch;
pub mod forecast;
pub mod inspection;
pub mod output;
pub mod receipt;
mod silence;

pub use vignette_generators as generators;
pub use vignette_renderer as renderer;
pub use vignette_templates as templates;

use generators::GenerateError;
use inspection::Refusal;
use receipt::KeyError;
use renderer::compose::Media;
use renderer::encode::VideoProfile;
use renderer::error::RenderError;
use renderer::media::MediaError;
use renderer::plan::{Plan, plan, plan_for};
use renderer::render::{Prepared, Stores, prepare};
use renderer::store::{Lookup, StoreError, Vault};
use renderer::text::{FontError, FontLibrary};
use templates::blob::{Blob, Digest};
use templates::fault::{At, Fault, Faults, Warned};
use templates::generate::{Generated, GeneratedValue, Provenance, Request, RequestKind, Voice};
use templates::time::Time;
use templates::video::{AssetKind, Video};
use templates::world::Fetch;
use templates::{Data, Fill, OpenOptions, Package, World};

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
    /// The file that chooses the generators is wrong.
    #[error(transparent)]
    Settings(#[from] generators::SettingsError),
    /// The store cannot be used as it was asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A receipt cannot be used.
    #[error(transparent)]
    Receipt(#[from] receipt::ReceiptError),
    /// The key of receipts cannot be had.
    #[error(transparent)]
    ReceiptKey(#[from] KeyError),
    /// What was asked for as output does not go together, or not with this video.
    #[error("{0}")]
    Options(String),
    /// Anything else about the input, in words.
    #[error("{0}")]
    Input(String),
}

impl Error {
    /// Whether the template or data could be changed to avoid it; otherwise this machine is at fault.
    pub fn is_input_fault(&self) -> bool {
        match self {
            Error::Faults(_) | Error::Input(_) | Error::Options(_) | Error::Settings(_) => true,
            Error::Generate(error) => error.is_input_fault(),
            Error::Render(error) => error.is_input_fault(),
            Error::Receipt(_) => true,
            Error::ReceiptKey(error) => !matches!(error, KeyError::Io { .. } | KeyError::Random(_)),
            Error::Fonts(_) | Error::Store(_) => false,
        }
    }

    /// The error with what caused it, unless it says so already.
    pub fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(inner) = cause {
            let words = inner.to_string();
            if !text.contains(&words) {
                text = format!("{text}: {words}");
            }
            cause = inner.source();
        }
        text
    }
}

/// What becomes of speech that nobody here can speak.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unspoken {
    /// Silence stands for it, and that is told.
    Silent,
    /// It is an error: of thousands of videos none should go out silent.
    Refused,
}

/// Answers requests, in their order.
type Answer<'a> = &'a dyn Fn(&[Request]) -> Vec<Result<Generated, GenerateError>>;

/// Has files read where a crash of a decoder harms nobody, before this process decodes them.
#[derive(Clone)]
pub struct Inspection {
    /// Names what decides its verdicts besides the file, such as bounds: the store keeps that a file was found right.
    pub name: String,
    /// Whether a file may be read here.
    pub inspect: Inspect,
}

/// Tells whether a file may be read here; see [`Inspection`].
pub type Inspect = Arc<dyn Fn(AssetKind, &Blob) -> Result<(), Refusal> + Send + Sync>;

/// What is costly to set up once and good for every video: fonts and generators.
pub struct Engine {
    fonts: FontLibrary,
    generators: generators::Engine,
    stores: Stores,
    /// Where generated values are kept beyond this process.
    kept: Option<Arc<dyn generators::Keep>>,
    /// Fetches files that are named by address.
    fetch: Option<Fetch>,
    /// Reads files elsewhere first.
    inspection: Option<Inspection>,
}

impl Engine {
    /// An engine with this machine's fonts and the offline generators.
    ///
    /// # Errors
    /// A set of fonts that is not installed, with the package that brings it.
    pub fn new() -> Result<Engine, Error> {
        Ok(Engine {
            fonts: FontLibrary::system()?,
            generators: generators::Engine::offline(),
            stores: Stores::none(),
            kept: None,
            fetch: None,
            inspection: None,
        })
    }

    /// The same engine, which finds in `stores` what was made before and keeps there what it makes.
    pub fn with_stores(mut self, stores: Stores) -> Engine {
        let kept: Arc<dyn generators::Keep> = Arc::new(KeptInVault(stores.vault.clone()));
        self.generators = self.generators.with_keep(kept.clone());
        self.kept = Some(kept);
        self.stores = stores;
        self
    }

    /// The same engine, which has what templates ask for made by `generators` instead of the offline ones.
    pub fn with_generators(mut self, generators: generators::Engine) -> Engine {
        self.generators = match &self.kept {
            Some(kept) => generators.with_keep(kept.clone()),
            None => generators,
        };
        self
    }

    /// The same engine, which asks `fetch` for files that templates or data name by an `https:` address; otherwise such names are refused.
    pub fn with_fetch(mut self, fetch: Fetch) -> Engine {
        self.fetch = Some(fetch);
        self
    }

    /// The same engine, which has every file of a template, of viewers' data and from elsewhere inspected before it reads it. What was
    /// generated is not.
    pub fn with_inspection(mut self, inspection: Inspection) -> Engine {
        self.inspection = Some(inspection);
        self
    }

    /// What makes what templates ask for.
    pub fn generators(&self) -> &generators::Engine {
        &self.generators
    }

    /// What the engine finds and keeps; to be handed to [`Prepared::render`].
    pub fn stores(&self) -> &Stores {
        &self.stores
    }

    /// Opens and checks the template package at `path`: a folder with `template.yaml`, or the file itself.
    /// Files that viewers' data name are looked for in the package and then in `asset_folders`.
    ///
    /// # Errors
    /// Every fault of the template, each with its place.
    pub fn open(&self, path: &Path, asset_folders: &[PathBuf]) -> Result<Warned<Template>, Error> {
        let (fonts, library) = (self.fonts.clone(), self.fonts.clone());
        let media = Arc::new(Media::default());
        let lacking: Arc<Mutex<Option<Lack>>> = Arc::default();
        let (opened, lacks, vault) = (media.clone(), lacking.clone(), self.stores.vault.clone());
        let inspection = self.inspection.clone();
        let right: Mutex<HashSet<Digest>> = Mutex::default();
        let probe = move |kind, blob: &Blob| {
            // A file that was found right before, for another viewer or in another process, is decoded when a frame shows it.
            let finding = finding(inspection.as_ref(), kind, blob);
            let is_known = || lock(&right).contains(&finding) || vault.contains(&finding);
            // Without an inspection there is nothing about a font that opening it does not tell.
            if (kind != AssetKind::Font || inspection.is_some()) && !is_known() {
                if let Some(inspection) = &inspection {
                    (inspection.inspect)(kind, blob).map_err(|refusal| {
                        let message = refusal.to_string();
                        if let Refusal::Machine(why) = refusal {
                            *lock(&lacks) = Some(Lack::Inspection(why));
                        }
                        message
                    })?;
                }
                if kind != AssetKind::Font {
                    opened.probe(kind, blob).map_err(|error| {
                        let message = error.fault.to_string();
                        if error.is_machine() {
                            *lock(&lacks) = Some(Lack::Media(error));
                        }
                        message
                    })?;
                }
                vault.keep(&finding, Vec::new().into());
                let mut right = lock(&right);
                if right.len() >= MOST_FINDINGS {
                    right.clear();
                }
                right.insert(finding);
            }
            if kind == AssetKind::Font {
                let font = std::iter::once((blob.digest(), blob.bytes().clone()));
                return library.with_assets(font).map(drop).map_err(|error| error.to_string());
            }
            Ok(())
        };
        let options = OpenOptions {
            assets: asset_folders.to_vec(),
            has_font_family: Some(Arc::new(move |family| fonts.has_family(family))),
            probe: Some(Arc::new(probe)),
            fetch: self.fetch.clone(),
        };
        let package = Package::open(path, &options);
        // A file that this machine cannot judge is not the template's fault.
        if let Some(lack) = lock(&lacking).take() {
            return Err(lack.into());
        }
        let package = package?;
        Ok(Warned {
            value: Template {
                package: package.value,
                asset_folders: asset_folders.to_vec(),
                media,
                lacking,
                fonts: Mutex::default(),
            },
            warnings: package.warnings,
        })
    }

    /// The same engine, which finds generated values in `stores` and keeps them there, and nothing else: what is rendered is rendered
    /// anew.
    pub fn with_kept_values(mut self, stores: &Stores) -> Engine {
        let kept: Arc<dyn generators::Keep> = Arc::new(KeptInVault(stores.vault.clone()));
        self.generators = self.generators.with_keep(kept.clone());
        self.kept = Some(kept);
        self
    }

    /// Fills the template with one viewer's data, generating what it asks for. Where nobody here can speak, speech is silent for as long as
    /// its words would take, and a warning says what to install.
    ///
    /// # Errors
    /// Every value that is wrong once it is filled; a value that cannot be generated and has no fallback.
    pub fn personalise(
        &self,
        template: &Template,
        data: &Data,
        rendition: Option<&str>,
    ) -> Result<Warned<Video>, Error> {
        Ok(self.personalise_noted(template, data, rendition)?.map(|personal| personal.video))
    }

    /// [`Engine::personalise`] with what a [receipt] has to know of the generated values.
    ///
    /// # Errors
    /// As [`Engine::personalise`].
    pub fn personalise_noted(
        &self,
        template: &Template,
        data: &Data,
        rendition: Option<&str>,
    ) -> Result<Warned<Personalised>, Error> {
        let answer = |requests: &[Request]| self.generators.generate(requests);
        self.personalise_by(template, data, rendition, Unspoken::Silent, &answer)
    }

    /// [`Engine::personalise`], and under which names the store has what was generated for it and found out about its files: what has
    /// to be removed when the viewer is to be forgotten. Where it has to be `aloud`, speech that cannot be spoken is an error.
    ///
    /// # Errors
    /// As there.
    pub fn personalise_noting(
        &self,
        template: &Template,
        data: &Data,
        rendition: Option<&str>,
        aloud: bool,
    ) -> Result<(Warned<Video>, Noted), Error> {
        let generated = Mutex::new(Vec::new());
        let answer = |requests: &[Request]| {
            let answers = self.generators.generate(requests);
            for (request, answer) in requests.iter().zip(&answers) {
                if let (Some(name), Ok(_)) = (self.generators.name_of(request), answer) {
                    lock(&generated).push(name);
                }
            }
            answers
        };
        let unspoken = if aloud { Unspoken::Refused } else { Unspoken::Silent };
        let filled = self.personalise_by(template, data, rendition, unspoken, &answer)?;
        let filled = filled.map(|personal| personal.video);
        let files = filled.value.assets.values().filter(|asset| asset.kind != AssetKind::Font);
        let findings =
            files.map(|asset| finding(self.inspection.as_ref(), asset.kind, &asset.blob)).collect();
        let generated = generated.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok((filled, Noted { generated, findings }))
    }

    /// The same for one of many, where speech that cannot be spoken is an error.
    pub(crate) fn personalise_aloud(
        &self,
        template: &Template,
        data: &Data,
        rendition: Option<&str>,
    ) -> Result<Warned<Personalised>, Error> {
        let answer = |requests: &[Request]| self.generators.generate(requests);
        self.personalise_by(template, data, rendition, Unspoken::Refused, &answer)
    }

    /// [`Engine::personalise`] with what is generated answered by `answer`, in the order of the requests.
    fn personalise_by(
        &self,
        template: &Template,
        data: &Data,
        rendition: Option<&str>,
        unspoken: Unspoken,
        answer: Answer<'_>,
    ) -> Result<Warned<Personalised>, Error> {
        let package = &template.package;
        let wanted = package.template.document().generate.entries.len();
        let mut generated: BTreeMap<String, Generated> = BTreeMap::new();
        let mut failed: BTreeMap<String, GenerateError> = BTreeMap::new();
        while generated.len() + failed.len() < wanted {
            // Speech may say generated words, so each round makes asking for the next one possible.
            let mut requests = templates::ask(&package.template, data, &generated, &package.files)?;
            requests.retain(|request| !failed.contains_key(&request.name));
            if requests.is_empty() {
                break;
            }
            let answers = answer(&requests);
            for (request, answer) in requests.into_iter().zip(answers) {
                match answer {
                    Ok(answer) => drop(generated.insert(request.name, answer)),
                    // A picture may have a fallback file, which fill takes.
                    Err(error) if matches!(request.kind, RequestKind::Image(_) | RequestKind::Photo(_)) => {
                        failed.insert(request.name, error);
                    }
                    Err(error) => match request.kind {
                        // That nobody can speak here is no reason not to show the video: it is told, with what to install.
                        RequestKind::Voice(voice) if unspoken == Unspoken::Silent && !error.is_invalid() => {
                            let provenance = Provenance {
                                provider: "silence".to_owned(),
                                fallback: Some(error.to_string()),
                                ..Provenance::default()
                            };
                            let value = GeneratedValue::Voice(silence::of(&voice));
                            generated.insert(request.name, Generated { value, provenance });
                        }
                        _ => return Err(error.into()),
                    },
                }
            }
        }
        let at = At::file(package.template.file());
        let told = self.stood_in(&generated).map(|message| Fault::new(&at, message)).collect::<Vec<_>>();
        let filled = templates::fill(&package.template, data, &generated, Fill { rendition }, &package.files);
        let values = generated.iter().map(|(name, made)| (name.clone(), receipt::Value::of(&made.value)));
        let values: BTreeMap<String, receipt::Value> = values.collect();
        let filled = filled.map(|mut filled| {
            filled.warnings.extend(told);
            for (name, error) in &failed {
                if let Some(provenance) = filled.value.generated.get_mut(name) {
                    provenance.fallback = Some(error.to_string());
                }
            }
            filled.map(|video| Personalised { video, values })
        });
        if let Some(lack) = lock(&template.lacking).take() {
            return Err(lack.into());
        }
        match (filled, failed.into_values().next()) {
            (Ok(mut filled), Some(error)) => {
                filled.warnings.push(Fault::new(&at, format!("its fallback is used: {error}")));
                Ok(filled)
            }
            (Ok(filled), None) => Ok(filled),
            // Without its picture the video cannot be filled: what kept it from being made is the reason.
            (Err(_), Some(error)) => Err(error.into()),
            (Err(faults), None) => Err(faults.into()),
        }
    }

    /// What stands for something else among generated values, each with its reason.
    fn stood_in<'a>(
        &self,
        generated: &'a BTreeMap<String, Generated>,
    ) -> impl Iterator<Item = String> + use<'a> {
        // Who is paid for was meant to be heard; that `flite` leaves German to `espeak-ng` is how it should be.
        let counted: Vec<String> =
            self.generators.usage().into_iter().map(|(_, usage)| format!("{}: ", usage.provider)).collect();
        generated.iter().flat_map(move |(name, made)| {
            let made = &made.provenance;
            let mut told: Vec<String> =
                made.skipped.iter().map(|what| format!("generate.{name}: {what}")).collect();
            let missed =
                made.instead_of.iter().filter(|why| counted.iter().any(|name| why.starts_with(name)));
            let missed: Vec<&str> = missed.map(String::as_str).collect();
            match (&made.fallback, made.provider.as_str()) {
                (Some(why), "silence") => {
                    told.push(format!("generate.{name}: it is silent, as nobody could speak it: {why}"));
                }
                (Some(why), _) => told.push(format!("generate.{name}: its fallback is used: {why}")),
                (None, provider) if !missed.is_empty() => {
                    told.push(format!(
                        "generate.{name}: `{provider}` made it instead: {}",
                        missed.join("; ")
                    ));
                }
                (None, _) => {}
            }
            told
        })
    }

    /// What every provider would be told for one viewer, request by request; nothing is asked. Where a request says what is
    /// generated first, the fallback of that is shown, or `…`.
    ///
    /// # Errors
    /// Every value of a request that is wrong once it is filled.
    pub fn explain(&self, template: &Template, data: &Data) -> Result<Vec<Explained>, Error> {
        let Package { template, files } = &template.package;
        let mut generated: BTreeMap<String, Generated> = BTreeMap::new();
        let mut explained = Vec::new();
        loop {
            let requests = templates::ask(template, data, &generated, files)?;
            if requests.is_empty() {
                return Ok(explained);
            }
            for request in requests {
                let (kind, value) = stand_in(&request.kind);
                let providers = self.generators.explain(&request);
                explained.push(Explained { name: request.name.clone(), kind, providers });
                generated.insert(request.name, Generated { value, provenance: Provenance::default() });
            }
        }
    }

    /// Every line of copy that one viewer could be shown, at most `limit` for each request, for a person to approve.
    ///
    /// # Errors
    /// Every value of a request that is wrong once it is filled; copy that cannot be generated and has no fallback.
    pub fn copy(
        &self,
        template: &Template,
        data: &Data,
        limit: usize,
    ) -> Result<Vec<generators::CopyEntry>, Error> {
        let Package { template, files } = &template.package;
        let mut generated: BTreeMap<String, Generated> = BTreeMap::new();
        let mut entries = Vec::new();
        loop {
            let requests = templates::ask(template, data, &generated, files)?;
            if requests.is_empty() {
                return Ok(entries);
            }
            for request in requests {
                let mut value = stand_in(&request.kind).1;
                if let Some(entry) = self.generators.copy(&request, limit) {
                    let entry = entry?;
                    // Copy that says other copy is listed for its first line.
                    if let Some(line) = entry.lines.first() {
                        value = GeneratedValue::Text(line.text.clone());
                    }
                    entries.push(entry);
                }
                generated.insert(request.name, Generated { value, provenance: Provenance::default() });
            }
        }
    }

    /// The video's segments and their names, without opening any of its files.
    pub fn plan(&self, video: &Video, quality: u8) -> Plan {
        plan(video, &self.fonts, quality)
    }

    /// The same for another size or quality; see [`Prepared::render_plans`].
    pub fn plan_for(&self, video: &Video, profile: VideoProfile) -> Plan {
        plan_for(video, &self.fonts, profile)
    }

    /// The engine's fonts with those that the video brings, made once for all videos that bring the same.
    fn fonts_of(&self, template: &Template, video: &Video) -> Result<FontLibrary, Error> {
        let own: Vec<_> = video.assets.iter().filter(|(_, asset)| asset.kind == AssetKind::Font).collect();
        if own.is_empty() {
            return Ok(self.fonts.clone());
        }
        // The engine's own fonts are part of the name, as the template may be used with another engine.
        let base = self.fonts.identity();
        let key: Vec<Digest> = std::iter::once(base).chain(own.iter().map(|(digest, _)| **digest)).collect();
        if let Some(library) = lock(&template.fonts).get(&key) {
            return Ok(library.clone());
        }
        let mut library = self.fonts.clone();
        for (digest, asset) in own {
            let font = (*digest, asset.blob.bytes().clone());
            library = library
                .with_assets(std::iter::once(font))
                .map_err(|error| Error::Input(format!("{}: {error}", asset.name)))?;
        }
        let mut kept = lock(&template.fonts);
        if kept.len() >= MAX_LIBRARIES {
            kept.clear();
        }
        kept.insert(key, library.clone());
        Ok(library)
    }

    /// Loads the video's fonts and lays out its texts.
    ///
    /// # Errors
    /// A font that cannot be used, or a text that cannot be laid out, by its place in the template.
    pub fn prepare<'a>(&self, template: &'a Template, video: &'a Video) -> Result<Prepared<'a>, Error> {
        Ok(prepare(video, &template.media, &self.fonts)?)
    }
}

/// A filled video, with what a receipt has to know of the values that were generated for it.
#[derive(Clone, Debug)]
pub struct Personalised {
    /// The video.
    pub video: Video,
    /// The generated values by their names in the template; those that were not generated are left out.
    pub values: BTreeMap<String, receipt::Value>,
}

/// What is asked for, and what takes its place where nothing is to be generated.
fn stand_in(kind: &RequestKind) -> (generators::Kind, GeneratedValue) {
    let nothing = || Blob::new(Vec::new());
    match kind {
        RequestKind::Text(text) => {
            let words = text.fallback.clone().unwrap_or_else(|| "…".to_owned());
            (generators::Kind::Text, GeneratedValue::Text(words))
        }
        RequestKind::Voice(_) => {
            let voice = Voice {
                audio: nothing(),
                duration: Time::from_seconds(1),
                words: Vec::new(),
                phonemes: Vec::new(),
            };
            (generators::Kind::Voice, GeneratedValue::Voice(voice))
        }
        RequestKind::Image(_) => (generators::Kind::Image, GeneratedValue::Image(nothing())),
        RequestKind::Photo(_) => (generators::Kind::Photo, GeneratedValue::Image(nothing())),
    }
}

/// One request, and what each provider would be told for it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Explained {
    /// Its name under `generate:` in the template.
    pub name: String,
    /// What is asked for.
    pub kind: generators::Kind,
    /// The providers in the order in which they are tried.
    pub providers: Vec<generators::Told>,
}

/// What the store has of a video before any of it is rendered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// Generated values, by kind and the store's name.
    pub generated: Vec<(generators::Kind, Digest)>,
    /// The store's names for the findings that its files can be decoded.
    pub findings: Vec<Digest>,
}

/// Generated values in the same store as segments: a name that was spoken once need not be spoken again.
struct KeptInVault(Arc<Vault>);

impl generators::Keep for KeptInVault {
    fn get(&self, key: &Digest) -> Option<Arc<[u8]>> {
        match self.0.begin(key) {
            Lookup::Found(bytes) => Some(bytes),
            // The generators' own memory lets one caller make each value.
            Lookup::Mine(_) | Lookup::Busy(_) => None,
        }
    }

    fn put(&self, key: &Digest, bytes: Vec<u8>) {
        self.0.keep(key, bytes.into());
    }
}

/// Names the finding that a file can be decoded as what it is said to be; one that was inspected, by how, and by whether it is from
/// elsewhere.
fn finding(inspection: Option<&Inspection>, kind: AssetKind, blob: &Blob) -> Digest {
    let how = inspection.map(|inspection| {
        let place = if blob.path().is_none() { "from elsewhere" } else { "in a package" };
        format!("{place}, inspected: {}", inspection.name)
    });
    let form =
        format!("vignette probe {PROBE_VERSION} {kind:?} {} {}", blob.digest(), how.unwrap_or_default());
    Digest::of(form.trim_end().as_bytes())
}

/// What kept a file from being judged, which is not the file's fault.
enum Lack {
    Media(MediaError),
    Inspection(String),
}

impl From<Lack> for Error {
    fn from(lack: Lack) -> Self {
        match lack {
            Lack::Media(error) => RenderError::machine(error),
            Lack::Inspection(why) => RenderError::Io {
                operation: "inspecting a file".to_owned(),
                source: std::io::Error::other(why),
            },
        }
        .into()
    }
}

/// Findings that are remembered of a template's files; each voice of each viewer is one, too.
const MOST_FINDINGS: usize = 4096;

/// Changes whenever a file may be judged otherwise.
const PROBE_VERSION: u32 = 1;

/// A template that was opened and found right, with its files.
pub struct Template {
    package: Package,
    /// Where files that the data name are looked for besides the package.
    asset_folders: Vec<PathBuf>,
    /// What was decoded while its files were looked at, so that it is not decoded again to be drawn.
    media: Arc<Media>,
    /// That this machine lacks something to judge a file, found while files were looked at.
    lacking: Arc<Mutex<Option<Lack>>>,
    /// Fonts with those of videos that were planned, by the digests of both.
    fonts: Mutex<HashMap<Vec<Digest>, FontLibrary>>,
}

/// How many sets of fonts are kept with a template; videos of one template mostly bring the same.
const MAX_LIBRARIES: usize = 16;

/// What is kept behind these locks is whole at every moment, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Refuses the name of a rendition that there is not, before thousands of rows are refused one by one.
    pub(crate) fn check_rendition(&self, name: Option<&str>) -> Result<(), Error> {
        let known = || self.renditions().into_iter().map(|(name, ..)| name);
        match name {
            Some(name) if !known().any(|known| known == name) => {
                let hint = templates::fault::did_you_mean(name, known());
                let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
                Err(Error::Input(format!("--rendition: the template has no rendition `{name}`{hint}")))
            }
            _ => Ok(()),
        }
    }

    /// The digest of the template's text and of every file that the template itself names. Files that only viewers' data
    /// name are no part of it.
    ///
    /// # Errors
    /// The template can no longer be read.
    pub fn digest(&self) -> Result<Digest, Error> {
        let template = &self.package.template;
        let unread =
            |error: std::io::Error| Error::Input(format!("{}: cannot be read: {error}", template.file()));
        let mut parts = vec![Digest::of(&std::fs::read(template.file()).map_err(unread)?)];
        let document = template.document();
        let mut names: Vec<&str> = Vec::new();
        for (_, _, asset) in &document.assets.entries {
            let written = [&asset.image, &asset.video, &asset.audio].into_iter().flatten();
            names.extend(written.filter_map(|name| name.plain()).map(|name| name.0.as_str()));
            names.extend(
                [&asset.font, &asset.fallback].into_iter().flatten().map(|name| name.value.0.as_str()),
            );
        }
        for (_, _, generator) in &document.generate.entries {
            let fallback = generator.image.as_ref().and_then(|image| image.fallback.as_ref());
            names.extend(fallback.map(|name| name.value.0.as_str()));
        }
        // What cannot be read now is told where it is used.
        parts.extend(
            names.into_iter().filter_map(|name| self.package.files.read(name).ok()).map(|file| file.digest()),
        );
        Ok(Digest::of(&parts.iter().flat_map(|part| part.0).collect::<Vec<u8>>()))
    }

    /// The template's name.
    pub fn name(&self) -> &str {
        self.package.template.name()
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
