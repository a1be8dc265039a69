//! The reader itself, `vignette inspect`: a process that reads one file or package of a stranger, and ends.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use vignette::inspection::{Refusal, read_whole};
use vignette::renderer::media::warm_up;
use vignette::renderer::text::FontLibrary;
use vignette::templates::blob::Blob;
use vignette::templates::video::AssetKind;
use vignette::templates::world::MAX_FILE_BYTES;
use vignette::{Engine, audience};

use super::confine::{self, Bounds};

/// What stands before a file's bytes on standard input: what it is, 8 bytes for the most pixels of a picture, 8 bytes for its length; little-endian.
pub(super) const HEADER: usize = 17;

/// Rows of an audience that are read: as many as a service may be told to take.
const MOST_ROWS: u64 = 10_000_000;

/// The kinds of files by the byte that stands for them.
const KINDS: [AssetKind; 4] = [AssetKind::Image, AssetKind::Video, AssetKind::Audio, AssetKind::Font];

pub(super) fn byte_of(kind: AssetKind) -> u8 {
    KINDS.iter().position(|known| *known == kind).map_or(u8::MAX, |at| at as u8)
}

/// Stands before the answer once the reader has loaded what it needs, so that an end before is not held against the file.
pub(super) const READY: &[u8] = b"\n";

/// Tells that what comes now is the stranger's, and gives up what that must not have.
fn begin() -> io::Result<()> {
    confine::shut_calls();
    let mut out = io::stdout().lock();
    out.write_all(READY)?;
    out.flush()
}

/// The answer on standard output, as JSON behind [`READY`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Right,
    File(String),
    Machine(String),
}

impl From<Result<(), Refusal>> for Answer {
    fn from(verdict: Result<(), Refusal>) -> Self {
        match verdict {
            Ok(()) => Answer::Right,
            Err(Refusal::File(why)) => Answer::File(why),
            Err(Refusal::Machine(why)) => Answer::Machine(why),
        }
    }
}

/// Reads what the arguments say, and tells what was found.
pub(in crate::cli) fn run(folder: Option<&Path>, parquet: bool, bounds: Bounds) -> ExitCode {
    if confine::limit(bounds).is_err() {
        return ExitCode::FAILURE;
    }
    // While there is one thread: those that start later are as confined as this one.
    confine::shut_files(folder);
    let read = match (folder, parquet) {
        (Some(folder), _) => package(folder),
        (None, true) => table(),
        (None, false) => file(),
    };
    let told = read.and_then(|verdict| {
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, &Answer::from(verdict))?;
        out.flush()
    });
    if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn machine(error: impl ToString) -> Refusal {
    Refusal::Machine(error.to_string())
}

/// Whatever is wrong with the template itself is found again by who opens it next.
fn package(folder: &Path) -> io::Result<Result<(), Refusal>> {
    let engine = match warm_up().map_err(machine).and_then(|()| Engine::new().map_err(machine)) {
        Ok(engine) => engine,
        Err(refusal) => return Ok(Err(refusal)),
    };
    begin()?;
    drop(engine.open(folder, &[]));
    Ok(Ok(()))
}

/// An audience that is standard input, each row of it.
fn table() -> io::Result<Result<(), Refusal>> {
    begin()?;
    let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    Ok(audience::read_parquet(file, MOST_ROWS).map_err(Refusal::File))
}

/// One file behind its header on standard input.
fn file() -> io::Result<Result<(), Refusal>> {
    let fonts = warm_up().map_err(machine).and_then(|()| FontLibrary::system().map_err(machine));
    begin()?;
    let mut input = io::stdin().lock();
    let mut header = [0; HEADER];
    input.read_exact(&mut header)?;
    let number = |at: usize| {
        let digits = header.get(at..at + 8).and_then(|digits| <[u8; 8]>::try_from(digits).ok());
        u64::from_le_bytes(digits.unwrap_or_default())
    };
    let (most_pixels, length) = (number(1), number(9));
    let (Some(kind), true) = (KINDS.get(usize::from(header[0])), length <= MAX_FILE_BYTES) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut bytes = Vec::with_capacity(length as usize);
    input.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(fonts.and_then(|fonts| read_whole(*kind, &Blob::new(bytes), &fonts, most_pixels)))
}
