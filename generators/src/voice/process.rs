//! Runs one program: no shell, text by standard input, ended at its deadline.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use crate::error::GenerateError;
use crate::provider::{Context, ModelFile};

/// A program that a provider runs.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) provider: &'static str,
    /// A name that is looked up in `PATH`, or a path.
    pub(super) path: PathBuf,
    /// The Debian package that installs it.
    pub(super) package: &'static str,
}

/// More output than twenty minutes of speech at 22 kHz needs is a program gone mad.
pub(super) const MAX_OUTPUT: u64 = 64 << 20;

impl Program {
    /// What the program writes to standard output when given these arguments and this input.
    ///
    /// # Errors
    /// When it is not installed, fails, or is not done at the deadline; then it is ended. Its own messages are not
    /// part of the error, since they may repeat what it was given.
    pub(super) fn run(
        &self,
        arguments: &[impl AsRef<OsStr>],
        input: &[u8],
        context: &Context,
    ) -> Result<Vec<u8>, GenerateError> {
        self.run_beside(arguments, input, Stdio::null(), context)
    }

    /// [`Program::run`] with `beside` as the program's standard error, which it reaches as `/dev/stderr`.
    ///
    /// # Errors
    /// As [`Program::run`].
    pub(super) fn run_beside(
        &self,
        arguments: &[impl AsRef<OsStr>],
        input: &[u8],
        beside: Stdio,
        context: &Context,
    ) -> Result<Vec<u8>, GenerateError> {
        let started = Instant::now();
        let given = context.remaining();
        let mut child = Command::new(&self.path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(beside)
            .spawn()
            .map_err(|error| self.not_started(error))?;
        // Both pipes are served by threads of their own: one that fills up would stop the program for ever. They end
        // when the program does, so nobody needs to wait for them.
        if let Some(mut stdin) = child.stdin.take() {
            let input = input.to_vec();
            // A program that stops reading early shows in its exit status.
            self.thread(move || drop(stdin.write_all(&input)))?;
        }
        let (sender, output) = mpsc::sync_channel(1);
        if let Some(stdout) = child.stdout.take() {
            self.thread(move || {
                let mut bytes = Vec::new();
                let read = stdout.take(MAX_OUTPUT).read_to_end(&mut bytes).map(|_| bytes);
                let _ = sender.send(read);
            })?;
        }
        let mut child = Ended(child);
        let late = || GenerateError::Deadline { provider: self.provider.to_owned(), after: given };
        // The output ends when the program ends (or closes it), which spares waking up to look.
        let bytes = match output.recv_timeout(given.saturating_sub(started.elapsed())) {
            Ok(bytes) => bytes.map_err(|error| self.io("read the output of", error))?,
            Err(_) => return Err(late()),
        };
        if bytes.len() as u64 == MAX_OUTPUT {
            return Err(GenerateError::Provider {
                provider: self.provider.to_owned(),
                reason: format!("{} writes without end", self.display()),
            });
        }
        let status = loop {
            match child.0.try_wait().map_err(|error| self.io("wait for", error))? {
                Some(status) => break status,
                None if started.elapsed() >= given => return Err(late()),
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        if !status.success() {
            return Err(GenerateError::Provider {
                provider: self.provider.to_owned(),
                reason: format!("{} failed with {status}", self.display()),
            });
        }
        Ok(bytes)
    }

    fn not_started(&self, error: std::io::Error) -> GenerateError {
        if error.kind() == std::io::ErrorKind::NotFound {
            return GenerateError::NotInstalled {
                provider: self.provider.to_owned(),
                program: self.display(),
                package: self.package.to_owned(),
            };
        }
        self.io("start", error)
    }

    /// The program's file; nothing when it is not installed.
    pub(super) fn file(&self) -> Option<ModelFile> {
        let found = match self.path.components().count() {
            1 => {
                let folders = std::env::var_os("PATH")?;
                std::env::split_paths(&folders)
                    .map(|folder| folder.join(&self.path))
                    .find(|path| path.is_file())?
            }
            _ => Some(self.path.clone()).filter(|path| path.is_file())?,
        };
        Some(ModelFile { name: self.display(), path: found })
    }

    /// The program's name, without the folders in which somebody keeps it.
    fn display(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        Path::new(name).display().to_string()
    }

    pub(super) fn io(&self, doing: &str, error: std::io::Error) -> GenerateError {
        GenerateError::Io {
            provider: self.provider.to_owned(),
            operation: format!("{doing} {}", self.display()),
            source: Arc::new(error),
        }
    }

    fn thread(&self, work: impl FnOnce() + Send + 'static) -> Result<(), GenerateError> {
        std::thread::Builder::new()
            .spawn(work)
            .map(drop)
            .map_err(|error| self.io("start a thread for", error))
    }
}

/// A child that does not outlive its owner.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Does nothing when it has ended already; waiting takes it off the process table.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
