//! Viewers in a file: one row each, read as a stream.
//!
//! ```text
//! file ── Audience::open ──► columns ── rows ──► Row ── value ──► one viewer's data (JSON)
//! ```
//!
//! A file of millions of rows is read in bounded memory: one row at a time, no row longer than
//! [`MAX_BYTES`]. A row that cannot be read is that row's fault; those after it are read as if it were not there,
//! as far as the format allows.

mod cells;
mod lines;
mod table;
mod typed;

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use csv::ByteRecord;
use serde_json::Value;

use crate::templates::blob::Digest;
use crate::templates::data::MAX_BYTES;

pub use typed::assign;

/// The most columns that an audience has.
pub const MAX_COLUMNS: usize = 1000;

/// How many rows of JSON Lines are looked at for the names of the columns.
const ROWS_FOR_COLUMNS: usize = 100;

/// Why an audience cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AudienceError {
    /// The system refused.
    #[error("{path}: cannot read the viewers: {source}")]
    Io {
        /// The file, as it was named.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what its ending says, or is none that can be read.
    #[error("{path}: {message}")]
    Format {
        /// The file, as it was named.
        path: String,
        /// What is wrong, and what would be right.
        message: String,
    },
}

impl From<AudienceError> for crate::Error {
    fn from(error: AudienceError) -> Self {
        crate::Error::Input(error.to_string())
    }
}

/// How the rows of a file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values (RFC 4180) with a header, UTF-8.
    Csv,
    /// One JSON object a line (<https://jsonlines.org>).
    JsonLines,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// The format that a file's ending names: `.csv`, `.jsonl` or `.ndjson`, `.parquet`.
    pub fn of(path: &Path) -> Option<Format> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Format::Csv),
            "jsonl" | "ndjson" => Some(Format::JsonLines),
            "parquet" => Some(Format::Parquet),
            _ => None,
        }
    }
}

/// A file of viewers.
pub struct Audience {
    path: PathBuf,
    format: Format,
    columns: Arc<[String]>,
    stamp: Stamp,
}

/// What tells a file from the same file written again.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Audience {
    /// Opens the file at `path` and learns its columns.
    ///
    /// # Errors
    /// No regular file, an ending that names no format, a header that cannot be read or names a column twice.
    pub fn open(path: &Path) -> Result<Audience, AudienceError> {
        let name = path.display().to_string();
        let refused =
            |message: &str| AudienceError::Format { path: name.clone(), message: message.to_owned() };
        let Some(format) = Format::of(path) else {
            return Err(refused("viewers are read from .csv, .jsonl, .ndjson and .parquet files"));
        };
        Audience::open_as(path, format)
    }

    /// The same for a file whose name does not tell its format.
    ///
    /// # Errors
    /// As [`Audience::open`].
    pub fn open_as(path: &Path, format: Format) -> Result<Audience, AudienceError> {
        let name = path.display().to_string();
        let refused =
            |message: &str| AudienceError::Format { path: name.clone(), message: message.to_owned() };
        let stamp = stamp(path).map_err(|source| AudienceError::Io { path: name.clone(), source })?;
        let Some(stamp) = stamp else { return Err(refused("this is not a regular file")) };
        let unnamed = Audience { path: path.to_owned(), format, columns: Arc::new([]), stamp };
        let columns = match format {
            Format::Csv => unnamed.explain(cells::columns(unnamed.file()?))?,
            Format::JsonLines => unnamed.explain(lines::columns(unnamed.file()?))?,
            Format::Parquet => unnamed.explain(table::columns(unnamed.file()?))?,
        };
        if columns.len() > MAX_COLUMNS {
            return Err(refused(&format!("it has more than {MAX_COLUMNS} columns")));
        }
        let mut named: Vec<&str> =
            columns.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
        named.sort_unstable();
        if let Some(twice) = named.windows(2).find(|pair| pair[0] == pair[1]) {
            let shown = crate::templates::fault::shortened(twice[0]);
            return Err(refused(&format!("two columns are called `{shown}`; rename one of them")));
        }
        Ok(Audience { columns: columns.into(), ..unnamed })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the columns in their order: of the header, of the fields at the top of the first hundred JSON rows,
    /// of the fields at the top of the Parquet schema. A CSV column may have an empty name; it is no part of the data.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The rows from the first on.
    ///
    /// # Errors
    /// The file cannot be opened, or is no longer the one that was opened first.
    pub fn rows(&self) -> Result<Rows, AudienceError> {
        let source = match self.format {
            Format::Csv => Source::Csv(Box::new(self.explain(cells::Cells::open(self.file()?))?)),
            Format::JsonLines => Source::Lines(lines::Lines::new(self.file()?)),
            Format::Parquet => Source::Parquet(self.explain(table::Table::open(self.file()?))?),
        };
        Ok(Rows { source, name: self.path.display().to_string(), columns: self.columns.clone(), last: 0 })
    }

    /// How many rows there are. Reads the file once, a Parquet file only at its end.
    ///
    /// # Errors
    /// As [`Audience::rows`], and a file that stops being readable.
    pub fn count(&self) -> Result<u64, AudienceError> {
        let mut rows = self.rows()?;
        if let Source::Parquet(table) = &rows.source {
            return Ok(table.count());
        }
        let mut count = 0;
        while rows.skip_one()? {
            count += 1;
        }
        Ok(count)
    }

    /// The digest of the file's bytes.
    ///
    /// # Errors
    /// As [`Audience::rows`].
    pub fn digest(&self) -> Result<Digest, AudienceError> {
        let mut hasher = blake3::Hasher::new();
        self.explain(hasher.update_reader(self.file()?).map_err(Trouble::Io))?;
        Ok(Digest(*hasher.finalize().as_bytes()))
    }

    /// The file from its beginning, if it still is the one that was opened.
    fn file(&self) -> Result<File, AudienceError> {
        let io = |source| AudienceError::Io { path: self.path.display().to_string(), source };
        if stamp(&self.path).map_err(io)? != Some(self.stamp) {
            return Err(AudienceError::Format {
                path: self.path.display().to_string(),
                message: "the file was changed while it was read".to_owned(),
            });
        }
        File::open(&self.path).map_err(io)
    }

    fn explain<T>(&self, result: Result<T, Trouble>) -> Result<T, AudienceError> {
        result.map_err(|trouble| trouble.at(&self.path.display().to_string()))
    }
}

/// Reads the first `most` rows of a Parquet file, for a process that may end by it.
///
/// # Errors
/// Why it is none. A row that cannot be read is no reason: it is told when the row is made.
pub fn read_parquet(file: File, most: u64) -> Result<(), String> {
    let mut table = table::Table::open(file).map_err(|trouble| match trouble {
        Trouble::Io(error) => error.to_string(),
        Trouble::Format(message) => message,
    })?;
    for _ in 0..most {
        if table.next().is_none() {
            break;
        }
    }
    Ok(())
}

/// Size and time of the file at `path`; nothing when it is no regular file.
fn stamp(path: &Path) -> io::Result<Option<Stamp>> {
    let found = std::fs::metadata(path)?;
    Ok(found.is_file().then(|| Stamp { bytes: found.len(), modified: found.modified().ok() }))
}

/// What keeps a file from being read, before its name is known.
enum Trouble {
    Io(io::Error),
    Format(String),
}

impl Trouble {
    fn at(self, path: &str) -> AudienceError {
        let path = path.to_owned();
        match self {
            Trouble::Io(source) => AudienceError::Io { path, source },
            Trouble::Format(message) => AudienceError::Format { path, message },
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Trouble::Io(error)
    }
}

/// The rows of an audience in order. An error ends them: what is wrong with one row alone is told by [`Row::value`].
pub struct Rows {
    source: Source,
    name: String,
    columns: Arc<[String]>,
    last: u64,
}

enum Source {
    Csv(Box<cells::Cells<File>>),
    Lines(lines::Lines<File>),
    Parquet(table::Table),
    /// After an error nothing more is read.
    Ended,
}

impl Rows {
    /// Reads past one row without looking into it; false at the end.
    fn skip_one(&mut self) -> Result<bool, AudienceError> {
        let skipped = match &mut self.source {
            Source::Csv(cells) => cells.advance(),
            Source::Lines(lines) => lines.advance(),
            Source::Parquet(_) | Source::Ended => return Ok(self.next().transpose()?.is_some()),
        };
        skipped.map_err(|trouble| trouble.at(&self.name))
    }
}

impl Iterator for Rows {
    type Item = Result<Row, AudienceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let content = match &mut self.source {
            Source::Csv(cells) => cells.next(self.columns.len()),
            Source::Lines(lines) => lines.next(),
            Source::Parquet(table) => table.next().map(Ok),
            Source::Ended => None,
        };
        match content? {
            Ok(content) => {
                self.last += 1;
                Some(Ok(Row { number: self.last, columns: self.columns.clone(), content }))
            }
            Err(trouble) => {
                self.source = Source::Ended;
                Some(Err(trouble.at(&self.name)))
            }
        }
    }
}

/// One viewer of an audience.
pub struct Row {
    number: u64,
    columns: Arc<[String]>,
    content: Content,
}

enum Content {
    /// Cells without types.
    Cells(ByteRecord),
    /// A JSON value as it stands in the file.
    Json(Value),
    /// The values of a table whose columns have types of their own.
    Table(Value),
    /// What is wrong with the row, and what could be read of its cells.
    Faulty(String, ByteRecord),
}

impl Row {
    /// Its place among the rows, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The row as one viewer's data.
    ///
    /// A CSV cell is read as the type that `schema`, the template's [schema of viewers' data](crate::Template::data_schema),
    /// gives its column; an empty one is left out, so that defaults apply, and so is a Parquet null. A Parquet value that
    /// is no text becomes text where the schema wants text.
    ///
    /// # Errors
    /// What is wrong with the row, in words.
    pub fn value(&self, schema: &Value) -> Result<Value, String> {
        match &self.content {
            Content::Cells(cells) => typed::object(&self.columns, cells, schema),
            Content::Json(value) => Ok(value.clone()),
            Content::Table(value) => Ok(typed::suited(value.clone(), schema)),
            Content::Faulty(reason, _) => Err(reason.clone()),
        }
    }

    /// What stands in each of [`Audience::columns`]: the bytes of a CSV cell, the text of a JSON or Parquet text, other
    /// values as JSON, nothing for null and for what is missing.
    pub fn cells(&self) -> Cow<'_, ByteRecord> {
        let mut cells = match &self.content {
            Content::Cells(cells) if cells.len() == self.columns.len() => return Cow::Borrowed(cells),
            Content::Cells(cells) | Content::Faulty(_, cells) => cells.clone(),
            Content::Json(value) | Content::Table(value) => {
                self.columns.iter().map(|column| typed::cell(&value[column.as_str()])).collect()
            }
        };
        cells.truncate(self.columns.len());
        while cells.len() < self.columns.len() {
            cells.push_field(b"");
        }
        Cow::Owned(cells)
    }
}

/// That a row is longer than a viewer's data may be.
fn too_long(remedy: &str) -> String {
    format!("the row is longer than the {MAX_BYTES} bytes that one viewer's data may have{remedy}")
}

#[cfg(test)]
mod tests;
