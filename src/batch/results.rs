//! The table of results: a line for each row that was finished, in the order of the audience.

use std::fs::OpenOptions;
use std::io::BufWriter;
use std::path::Path;

use csv::ByteRecord;

use super::io;
use super::journal::{Entry, Journal};
use crate::Error;
use crate::audience::{Audience, Row};

/// The columns behind those of the audience.
const COLUMNS: [&str; 8] =
    ["file", "status", "error", "duration", "size", "segments_new", "segments_reused", "warnings"];

/// Writes the table to `path`, as a whole or not at all, for the eyes of its owner alone: it holds the viewers' data.
///
/// The columns of the audience are written back as they came. Where one of them has the name of a column of ours, ours has
/// `vignette_` before it. Rows are read again one by one, so that memory does not grow with their number.
///
/// # Errors
/// An audience that is no longer what it was; a file system that refuses.
pub(super) fn write(
    path: &Path,
    audience: &Audience,
    journal: &Journal,
    file_of: impl Fn(&Row) -> String,
) -> Result<(), Error> {
    // Not by way of `write_whole`, which reads back all that was written: this file may be larger than memory is wide. No
    // video's partial file has this number, and one of a process that was killed is swept like any other.
    let partial = path.with_file_name(format!(".vignette-{}-{}.part", std::process::id(), u32::MAX));
    let written = write_partial(&partial, path, audience, journal, file_of)
        .and_then(|()| std::fs::rename(&partial, path).map_err(|error| refused(path, error)));
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written
}

fn write_partial(
    partial: &Path,
    path: &Path,
    audience: &Audience,
    journal: &Journal,
    file_of: impl Fn(&Row) -> String,
) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(partial).map_err(|error| refused(path, error))?;
    let mut table = csv::Writer::from_writer(BufWriter::with_capacity(1 << 16, file));
    fill(&mut table, path, audience, journal, file_of)?;
    let out = table.into_inner().map_err(|error| refused(path, error.into_error()))?;
    let file = out.into_inner().map_err(|error| refused(path, error.into_error()))?;
    file.sync_all().map_err(|error| refused(path, error))
}

fn fill(
    table: &mut csv::Writer<impl std::io::Write>,
    path: &Path,
    audience: &Audience,
    journal: &Journal,
    file_of: impl Fn(&Row) -> String,
) -> Result<(), Error> {
    let unwritten = |error: csv::Error| refused(path, error.into());
    let columns = audience.columns();
    let mut header: ByteRecord = columns.iter().map(String::as_bytes).collect();
    for name in COLUMNS {
        match columns.iter().any(|column| column == name) {
            true => header.push_field(format!("vignette_{name}").as_bytes()),
            false => header.push_field(name.as_bytes()),
        }
    }
    table.write_byte_record(&header).map_err(unwritten)?;
    let last = journal.last();
    for row in audience.rows()?.take(usize::try_from(last).unwrap_or(usize::MAX)) {
        let row = row?;
        let Some(entry) = journal.entry(row.number()) else { continue };
        let mut line = row.cells().into_owned();
        let own = match entry {
            Entry::Done(made) => [
                file_of(&row),
                "done".to_owned(),
                String::new(),
                seconds(made.seconds),
                made.bytes.to_string(),
                made.segments_new.to_string(),
                made.segments_reused.to_string(),
                made.warnings.join("; "),
            ],
            Entry::Failed(reason) => {
                let mut own: [String; 8] = Default::default();
                (own[1], own[2]) = ("failed".to_owned(), reason);
                own
            }
        };
        for cell in own {
            line.push_field(cell.as_bytes());
        }
        table.write_byte_record(&line).map_err(unwritten)?;
    }
    Ok(())
}

/// To the microsecond, without zeros that say nothing.
fn seconds(seconds: f64) -> String {
    let text = format!("{seconds:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn refused(path: &Path, source: std::io::Error) -> Error {
    io(format!("cannot write {}", path.display()), source)
}
