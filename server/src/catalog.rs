//! Templates by name: those of the gallery, which every tenant may use, and those that a tenant uploaded.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::problem::Problem;
use crate::records::Records;
use crate::workshop::{MakeError, Opened, Workshop};

/// A template that can be filled.
#[derive(Clone)]
pub struct Version {
    /// Its name.
    pub name: String,
    /// Which version: a number for one that was uploaded, the beginning of its digest in the gallery.
    pub version: String,
    /// Whether it is the gallery's.
    pub gallery: bool,
    /// The template itself.
    pub opened: Arc<dyn Opened>,
}

/// All templates.
pub struct Catalog {
    workshop: Arc<dyn Workshop>,
    gallery: BTreeMap<String, Version>,
    records: Arc<Records>,
    folder: PathBuf,
    /// Uploaded ones that are open, by folder.
    open: Mutex<HashMap<PathBuf, Arc<dyn Opened>>>,
    /// Tenants and the names of what they uploaded.
    own: Mutex<HashSet<(String, String)>>,
}

/// Uploaded versions that are kept open.
const MOST_OPEN: usize = 64;

impl Catalog {
    /// Opens every package in the folder `gallery`; uploaded ones are in `folder`.
    ///
    /// # Errors
    /// A gallery that cannot be read, or a template in it that is wrong, in words for the operator.
    pub fn open(
        workshop: Arc<dyn Workshop>,
        records: Arc<Records>,
        gallery: Option<&Path>,
        folder: PathBuf,
    ) -> Result<Catalog, String> {
        let mut templates = BTreeMap::new();
        if let Some(gallery) = gallery {
            let shown = gallery.display();
            let entries =
                std::fs::read_dir(gallery).map_err(|error| format!("{shown}: cannot be read: {error}"))?;
            for entry in entries.flatten() {
                let path = entry.path();
                let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
                if !path.join("template.yaml").is_file() || !is_name(&name) {
                    continue;
                }
                let tell = |error: MakeError| format!("{}: {error}", path.display());
                let opened = workshop.open(&path).map_err(tell)?.value;
                let digest = opened.version().map_err(tell)?.to_string();
                let version = digest.chars().take(16).collect();
                templates.insert(name.clone(), Version { name, version, gallery: true, opened });
            }
        }
        let own = records.uploaded().map_err(|_| "the database does not answer".to_owned())?;
        Ok(Catalog {
            workshop,
            gallery: templates,
            records,
            folder,
            open: Mutex::default(),
            own: Mutex::new(own),
        })
    }

    /// What opens templates.
    pub fn workshop(&self) -> &Arc<dyn Workshop> {
        &self.workshop
    }

    /// The gallery's templates.
    pub fn gallery(&self) -> impl Iterator<Item = &Version> {
        self.gallery.values()
    }

    /// The gallery's template, if it is certain without the disk that it is what is meant.
    pub fn in_gallery(&self, tenant: &str, name: &str, version: Option<&str>) -> Option<Version> {
        let known =
            self.gallery.get(name).filter(|known| version.is_none_or(|version| known.version == version))?;
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        (!own.contains(&(tenant.to_owned(), name.to_owned()))).then(|| known.clone())
    }

    /// Notes that a tenant has a template of its own of that name.
    pub fn uploaded(&self, tenant: &str, name: &str) {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.insert((tenant.to_owned(), name.to_owned()));
    }

    /// Notes which templates tenants have, as another process may have been sent some.
    pub fn heard(&self, all: HashSet<(String, String)>) {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).extend(all);
    }

    /// The folder of an uploaded version.
    pub fn folder_of(&self, tenant: &str, name: &str, version: i64) -> PathBuf {
        self.folder.join(tenant).join(name).join(version.to_string())
    }

    /// The folder of uploaded templates.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The template of that name for `tenant`: its own before the gallery's; the published version unless one is named. Reads the disk.
    ///
    /// # Errors
    /// `404` when there is none.
    pub fn get(&self, tenant: &str, name: &str, version: Option<&str>) -> Result<Version, Problem> {
        let missing = || Problem::missing("template-unknown", "there is no such template or version");
        let number = match version {
            None => self.records.published(tenant, name)?,
            Some(version) => match version.parse::<i64>() {
                Ok(number) if version.len() < 16 => {
                    self.records.has_version(tenant, name, number)?.then_some(number)
                }
                _ => None,
            },
        };
        let Some(number) = number else {
            let known =
                self.gallery.get(name).filter(|known| version.is_none_or(|version| known.version == version));
            return known.cloned().ok_or_else(missing);
        };
        let folder = self.folder_of(tenant, name, number);
        let version = number.to_string();
        let name = name.to_owned();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = open.get(&folder) {
            return Ok(Version { name, version, gallery: false, opened: opened.clone() });
        }
        let opened = self.workshop.open(&folder)?.value;
        if open.len() >= MOST_OPEN {
            open.clear();
        }
        open.insert(folder, opened.clone());
        Ok(Version { name, version, gallery: false, opened })
    }
}

/// Whether a template may have this name: it is part of paths.
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|sign| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == b'-' || sign == b'_')
        && name.bytes().next().is_some_and(|sign| sign.is_ascii_alphanumeric())
}
