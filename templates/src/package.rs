//! A template package: a folder with `template.yaml` and its files, opened and checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::blob::Digest;
use crate::check::{self, order::Item};
use crate::data::{Contract, Data};
use crate::fault::{At, Fault, Faults, Warned};
use crate::source::{self, MAX_BYTES};
use crate::template::document::Document;
use crate::template::read_document;
use crate::time::FrameRate;
use crate::world::{Directory, Fetch, HasFontFamily, Probe, World};

/// The names of a package's template, in order of preference.
const TEMPLATE_FILES: [&str; 3] = ["template.yaml", "template.yml", "template.json"];

/// A template that was opened.
///
/// # Guarantees
/// Nothing is wrong with it that can be known before there is a viewer: fields, names, variables, files.
#[derive(Clone, Debug)]
pub struct Template {
    file: String,
    /// Of the text it was read from.
    digest: Digest,
    document: Document,
    contract: Contract,
    order: Vec<Item>,
    frame_rate: FrameRate,
    /// Personal fields in what is asked of each generator.
    sent: BTreeMap<String, Vec<String>>,
}

impl Template {
    /// Opens the template in `text`; `file` is its name for messages, and one that ends in `.json` is read as JSON.
    ///
    /// # Errors
    /// Everything that is wrong, in order of places.
    pub fn open(file: &str, text: &[u8], world: &dyn World) -> Result<Warned<Template>, Faults> {
        let root = source::parse(file, text)?;
        let (document, mut faults) = read_document(file, &root);
        let Some(document) = document else { return Err(faults.sorted()) };
        let contract = match Contract::read(document.data.as_ref(), file) {
            Ok(contract) => Some(contract),
            Err(more) => {
                faults.extend(more);
                None
            }
        };
        // A schema at fault still says which variables there are.
        let raw = document.data.as_ref().map_or(Value::Null, |data| data.value.clone());
        let schema = contract.as_ref().map_or(&raw, Contract::schema);
        let findings = check::check(&document, schema, world, !faults.is_empty());
        faults.extend(findings.faults);
        if !faults.is_empty() {
            return Err(faults.sorted());
        }
        let order = check::order::order(&document)?;
        let frame_rate = document.canvas.fps.as_ref().map(|fps| fps.value.0).or(FrameRate::new(30, 1));
        // Without faults there is a contract, and 30/1 is a frame rate; still nothing here may end the process.
        let (Some(contract), Some(frame_rate)) = (contract, frame_rate) else { return Err(faults) };
        let mut warnings = findings.warnings;
        warnings.sort();
        let sent = check::private::sent(&document, &order, &contract);
        let (file, digest) = (file.to_owned(), Digest::of(text));
        let template = Template { file, digest, document, contract, order, frame_rate, sent };
        Ok(Warned { value: template, warnings })
    }

    /// The template's name.
    pub fn name(&self) -> &str {
        &self.document.name.value.0
    }

    /// The file it was read from, as it was named.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The digest of the text it was read from. Files that it names are no part of it.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The template as written.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Frames per second of every rendition.
    pub fn frame_rate(&self) -> FrameRate {
        self.frame_rate
    }

    /// The renditions with their width and height in pixels; the first is `default`, the canvas itself.
    pub fn renditions(&self) -> Vec<(&str, u32, u32)> {
        let canvas = &self.document.canvas;
        let others = self.document.renditions.entries.iter();
        std::iter::once(("default", canvas.width.value.0, canvas.height.value.0))
            .chain(others.map(|(name, _, size)| (name.as_str(), size.width.value.0, size.height.value.0)))
            .collect()
    }

    /// Whether how long a generated voice speaks can change a frame of the video: then frames are known only once the voice
    /// is.
    pub fn voices_time_frames(&self) -> bool {
        check::spoken::times_frames(&self.document, &self.order)
    }

    /// JSON pointers to the viewer's personal fields (`x-pii`) that take part in what a provider of `generator` is told, be it
    /// by way of named values or of what is generated before it.
    pub fn personal_fields_sent(&self, generator: &str) -> &[String] {
        self.sent.get(generator).map_or(&[], Vec::as_slice)
    }

    /// The JSON Schema (draft 2020-12) of one viewer's data.
    pub fn data_schema(&self) -> &Value {
        self.contract.schema()
    }

    /// What the template demands of a viewer's data.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// One viewer's data, completed and valid; `name` is how messages call it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn data(&self, name: &str, value: Value) -> Result<Data, Faults> {
        self.contract.admit(name, value)
    }

    /// One viewer's data from JSON text; `name` is how messages call it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse_data(&self, name: &str, text: &[u8]) -> Result<Data, Faults> {
        self.contract.parse(name, text)
    }

    pub(crate) fn order(&self) -> &[Item] {
        &self.order
    }
}

/// What opening a package asks of the outside.
#[derive(Clone, Default)]
pub struct OpenOptions {
    /// Folders to look for files in, after the package itself. Default: none.
    pub assets: Vec<PathBuf>,
    /// Answers whether a font family is installed. Default: every family is.
    pub has_font_family: Option<HasFontFamily>,
    /// Looks closer at files. Default: their first bytes decide.
    pub probe: Option<Probe>,
    /// Fetches files that are named by an `https:` address. Default: such names are refused.
    pub fetch: Option<Fetch>,
}

/// A template and its files.
pub struct Package {
    /// The template.
    pub template: Template,
    /// Its files.
    pub files: Directory,
}

impl Package {
    /// Opens the package at `path`: its folder, or the template in it.
    ///
    /// # Errors
    /// There is none, or everything that is wrong with it, in order of places.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Warned<Package>, Faults> {
        let shown = path.display().to_string();
        let at = At::file(&shown);
        let file = match path.is_dir() {
            true => {
                let found = TEMPLATE_FILES.iter().map(|name| path.join(name)).find(|file| file.exists());
                found.ok_or_else(|| {
                    let fault = Fault::new(&at, "there is no template in this folder");
                    fault.hint(format!("a package holds {}", TEMPLATE_FILES.join(", or ")))
                })?
            }
            false => path.to_owned(),
        };
        let text = read_template(&file)
            .map_err(|message| Fault::new(&At::file(&file.display().to_string()), message))?;
        let root = match file.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => Path::new("."),
        };
        let mut files =
            Directory::new(root).map_err(|error| Fault::new(&at, format!("cannot be opened: {error}")))?;
        for folder in &options.assets {
            let at = At::file(&folder.display().to_string());
            files =
                files.and(folder).map_err(|error| Fault::new(&at, format!("cannot be opened: {error}")))?;
        }
        if let Some(has_font_family) = &options.has_font_family {
            files = files.with_fonts(has_font_family.clone());
        }
        if let Some(probe) = &options.probe {
            files = files.with_probe(probe.clone());
        }
        if let Some(fetch) = &options.fetch {
            files = files.with_fetch(fetch.clone());
        }
        let opened = Template::open(&file.display().to_string(), &text, &files)?;
        Ok(Warned { value: Package { template: opened.value, files }, warnings: opened.warnings })
    }
}

/// The bytes of a template file, one more than allowed at most, so that the reader can say that it is too long.
fn read_template(file: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    if !std::fs::metadata(file).map_err(unreadable)?.is_file() {
        return Err("this is not a regular file".into());
    }
    let mut text = Vec::new();
    let opened = std::fs::File::open(file).map_err(unreadable)?;
    opened.take(MAX_BYTES as u64 + 1).read_to_end(&mut text).map_err(unreadable)?;
    Ok(text)
}
