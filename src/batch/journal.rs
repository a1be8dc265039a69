//! What was finished, kept so that nothing but the disk can lose it.
//!
//! A file of JSON lines: the first tells what the batch is made of, each further one a row that was finished, or what was taken of a
//! provider's budget. A line of a row is written
//! after the row's file took its name, so that a process may end at any moment: a line that is torn is dropped, and a
//! video without a line is made again, to the same bytes. Errors may quote the viewer's values, as the table of results does,
//! so that both can be read by their owner alone.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::make::Made;
use super::{MAX_TOLD, MAX_WARNINGS, io};
use crate::Error;
use crate::templates::generate::Cost;

/// The journal's name in the batch's folder.
const NAME: &str = ".vignette-batch.jsonl";
/// Version of its form.
const VERSION: u64 = 1;
/// The longest line: as many warnings as can be told, each character four bytes, escaped.
const MAX_LINE: usize = MAX_TOLD * 24 * (MAX_WARNINGS + 2);

/// What came of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Entry {
    /// Its video is there.
    Done(Made),
    /// Why there is none.
    Failed(String),
}

/// The journal of a batch, locked against other batches in the same folder.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Where the lines end.
    end: u64,
    /// For each row, from the first, where its line starts; 0 is nowhere, as the first line is no row's.
    lines: Vec<u64>,
    /// What was taken of the budget of each provider, in all runs.
    spent: BTreeMap<String, Cost>,
}

impl Journal {
    /// Opens the journal of `folder`, or begins one. `identity` is what the batch is made of, by its name in messages;
    /// `rows` is how many rows there are.
    ///
    /// # Errors
    /// Another batch is at work in the folder; one was begun there and is not to be resumed, or is made of other things; a file
    /// system that refuses.
    pub(super) fn open(
        folder: &Path,
        identity: &[(&'static str, Value)],
        resume: bool,
        rows: u64,
    ) -> Result<Journal, Error> {
        let path = folder.join(NAME);
        let refused = |message: String| Error::Input(format!("{}: {message}", folder.display()));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file =
            options.open(&path).map_err(|error| io(format!("cannot open {}", path.display()), error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(refused("another batch is at work here".into())),
            // Some network file systems know no locks; a batch alone in its folder does not need one.
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => {
                return Err(io(format!("cannot lock {}", path.display()), error));
            }
        }
        let mut journal = Journal { path, file, end: 0, lines: Vec::new(), spent: BTreeMap::new() };
        match journal.header()? {
            // Empty, or torn while its first line was written: nothing had been made.
            None => journal.begin(identity)?,
            Some(_) if !resume => {
                return Err(refused(
                    "a batch was begun here; go on with it by --resume, or take another folder".into(),
                ));
            }
            Some(header) => {
                if header["vignette_batch"] != json!(VERSION) {
                    return Err(refused(format!(
                        "{NAME} is not a journal that this version can read; take another folder"
                    )));
                }
                let differs = identity.iter().find(|(name, value)| header[*name] != *value);
                if let Some((name, _)) = differs {
                    return Err(refused(format!(
                        "the batch was begun with another {name}; give the same, or take another folder"
                    )));
                }
                journal.read_rows(rows)?;
            }
        }
        Ok(journal)
    }

    /// The first line, if it is whole.
    fn header(&mut self) -> Result<Option<Value>, Error> {
        let mut line = Vec::new();
        let whole =
            read_line(&mut BufReader::new(&self.file), &mut line).map_err(|e| self.cannot("read", e))?;
        self.end = line.len() as u64;
        Ok(if whole == Line::Whole { serde_json::from_slice(&line).ok() } else { None })
    }

    fn begin(&mut self, identity: &[(&'static str, Value)]) -> Result<(), Error> {
        let mut header = json!({ "vignette_batch": VERSION });
        for (name, value) in identity {
            header[*name] = value.clone();
        }
        let line = format!("{header}\n");
        self.end = 0;
        let written = self.file.set_len(0).and_then(|()| self.write(line.as_bytes()));
        written.map_err(|error| self.cannot("write", error))
    }

    /// Learns which rows were finished, and cuts off what is torn at the end.
    fn read_rows(&mut self, rows: u64) -> Result<(), Error> {
        let unreadable = |journal: &Self, error| journal.cannot("read", error);
        let mut at = self.end;
        let mut input = BufReader::with_capacity(1 << 16, &self.file);
        input.seek(SeekFrom::Start(at)).map_err(|error| unreadable(self, error))?;
        let (mut lines, mut spent) = (Vec::new(), BTreeMap::new());
        let mut line = Vec::new();
        loop {
            line.clear();
            let start = at;
            match read_line(&mut input, &mut line).map_err(|error| unreadable(self, error))? {
                Line::None | Line::Torn => break,
                Line::TooLong(bytes) => at += bytes,
                Line::Whole => {
                    at += line.len() as u64;
                    if let Some((provider, cost)) = parse_spent(&line) {
                        spent.insert(provider, cost);
                        continue;
                    }
                    // A line that means nothing stands for no row; that row is made again.
                    let row = parse(&line).map(|(row, _)| row).filter(|row| (1..=rows).contains(row));
                    if let Some(index) = row.and_then(|row| usize::try_from(row - 1).ok()) {
                        if lines.len() <= index {
                            lines.resize(index + 1, 0);
                        }
                        lines[index] = start;
                    }
                }
            }
        }
        drop(input);
        self.lines = lines;
        self.spent = spent;
        self.end = at;
        self.file.set_len(at).map_err(|error| self.cannot("write", error))
    }

    /// What came of a row, as far as it was finished.
    pub(super) fn entry(&self, row: u64) -> Option<Entry> {
        let index = usize::try_from(row.checked_sub(1)?).ok()?;
        let start = *self.lines.get(index).filter(|start| **start > 0)?;
        let mut file = &self.file;
        file.seek(SeekFrom::Start(start)).ok()?;
        let mut line = Vec::new();
        read_line(&mut BufReader::with_capacity(1 << 10, file), &mut line).ok()?;
        parse(&line).filter(|(found, _)| *found == row).map(|(_, entry)| entry)
    }

    /// What was made of a row, if it was.
    pub(super) fn done(&self, row: u64) -> Option<Made> {
        match self.entry(row)? {
            Entry::Done(made) => Some(made),
            Entry::Failed(_) => None,
        }
    }

    /// The last row of which something came; 0 when there is none.
    pub(super) fn last(&self) -> u64 {
        self.lines.len() as u64
    }

    /// Notes that a row was finished. Its last line counts.
    ///
    /// # Errors
    /// A file system that refuses; then nothing of the line is left.
    pub(super) fn append(&mut self, row: u64, entry: &Entry) -> Result<(), Error> {
        let line = match entry {
            Entry::Done(made) => {
                // Destructured in full, so that a new figure cannot be forgotten here.
                let Made { seconds, bytes, segments_new, segments_reused, warnings } = made;
                json!({
                    "row": row,
                    "seconds": seconds,
                    "bytes": bytes,
                    "segments_new": segments_new,
                    "segments_reused": segments_reused,
                    "warnings": warnings,
                })
            }
            Entry::Failed(reason) => json!({ "row": row, "failed": reason }),
        };
        let start = self.end;
        self.write(format!("{line}\n").as_bytes()).map_err(|error| self.cannot("write", error))?;
        let index = usize::try_from(row.saturating_sub(1)).unwrap_or(usize::MAX);
        if self.lines.len() <= index {
            self.lines.resize(index + 1, 0);
        }
        self.lines[index] = start;
        Ok(())
    }

    /// What all runs took of the budget of each provider.
    pub(super) fn spent(&self) -> BTreeMap<String, Cost> {
        self.spent.clone()
    }

    /// Notes what all runs took of a provider's budget; its last line counts.
    ///
    /// # Errors
    /// A file system that refuses; then nothing of the line is left.
    pub(super) fn spend(&mut self, provider: &str, spent: Cost) -> Result<(), Error> {
        let line = json!({ "spent": provider, "cost": spent });
        self.write(format!("{line}\n").as_bytes()).map_err(|error| self.cannot("write", error))?;
        self.spent.insert(provider.to_owned(), spent);
        Ok(())
    }

    /// Adds bytes at the end, all or none.
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(self.end))?;
        if let Err(error) = self.file.write_all(bytes) {
            let _ = self.file.set_len(self.end);
            return Err(error);
        }
        self.end += bytes.len() as u64;
        Ok(())
    }

    fn cannot(&self, what: &str, error: std::io::Error) -> Error {
        io(format!("cannot {what} {}", self.path.display()), error)
    }
}

#[derive(PartialEq, Eq)]
enum Line {
    Whole,
    /// Longer than any line of a journal; so many bytes were passed over.
    TooLong(u64),
    /// Without its end.
    Torn,
    None,
}

/// Reads a line with its end into `line`.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<Line> {
    input.take(MAX_LINE as u64).read_until(b'\n', line)?;
    match line.last() {
        None => return Ok(Line::None),
        Some(b'\n') => return Ok(Line::Whole),
        Some(_) if line.len() < MAX_LINE => return Ok(Line::Torn),
        Some(_) => {}
    }
    let mut passed = line.len() as u64;
    loop {
        let more = input.fill_buf()?;
        if more.is_empty() {
            return Ok(Line::Torn);
        }
        let end = more.iter().position(|byte| *byte == b'\n');
        let read = end.map_or(more.len(), |end| end + 1);
        input.consume(read);
        passed += read as u64;
        if end.is_some() {
            return Ok(Line::TooLong(passed));
        }
    }
}

fn parse_spent(line: &[u8]) -> Option<(String, Cost)> {
    #[derive(serde::Deserialize)]
    struct Spent {
        spent: String,
        cost: Cost,
    }
    let Spent { spent, cost } = serde_json::from_slice(line).ok()?;
    Some((spent, cost))
}

fn parse(line: &[u8]) -> Option<(u64, Entry)> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let row = value["row"].as_u64()?;
    if let Some(reason) = value["failed"].as_str() {
        return Some((row, Entry::Failed(reason.to_owned())));
    }
    let warnings = value["warnings"].as_array()?.iter().map(|warning| warning.as_str().map(str::to_owned));
    let made = Made {
        seconds: value["seconds"].as_f64()?,
        bytes: value["bytes"].as_u64()?,
        segments_new: value["segments_new"].as_u64()?,
        segments_reused: value["segments_reused"].as_u64()?,
        warnings: warnings.collect::<Option<_>>()?,
    };
    Some((row, Entry::Done(made)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn made(bytes: u64) -> Entry {
        let warnings = vec!["no font has \"x\"\n".to_owned()];
        Entry::Done(Made { seconds: 0.5, bytes, segments_new: 1, segments_reused: 2, warnings })
    }

    fn open(folder: &Path, resume: bool) -> Result<Journal, Error> {
        Journal::open(folder, &[("template", json!("a")), ("--quality", json!(23))], resume, 10)
    }

    #[test]
    fn what_was_written_is_read_wherever_the_file_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let mut journal = open(folder.path(), false).unwrap();
        let begun = journal.end;
        journal.append(1, &made(10)).unwrap();
        journal.append(3, &Entry::Failed("so".into())).unwrap();
        journal.append(2, &made(20)).unwrap();
        let first = journal.lines[2];
        journal.append(3, &made(30)).unwrap();
        assert_eq!((journal.entry(3), journal.last()), (Some(made(30)), 3));
        drop(journal);
        let whole = fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            // A folder of its own each time: writing over a file makes some file systems wait for the disk.
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(NAME);
            fs::write(&path, &whole[..cut]).unwrap();
            let journal = open(folder.path(), true).unwrap();
            // Every line that ends before the cut counts, and no other.
            let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
            let expected = [
                (lines >= 2).then(|| made(10)),
                (lines >= 4).then(|| made(20)),
                (lines >= 3).then(|| if lines >= 5 { made(30) } else { Entry::Failed("so".into()) }),
            ];
            assert_eq!([1, 2, 3].map(|row| journal.entry(row)), expected, "cut at {cut}");
            let end = fs::metadata(&path).unwrap().len();
            assert!(end == journal.end && (end <= cut as u64 || cut < begun as usize), "cut at {cut}");
        }
        assert!(first > 0);
    }

    #[test]
    fn lines_that_mean_nothing_stand_for_no_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        drop(open(folder.path(), false).unwrap());
        let mut text = fs::read(&path).unwrap();
        text.extend(b"\0\0\0\n{\"row\":11,\"failed\":\"x\"}\n{\"row\":0,\"failed\":\"x\"}\n{\"row\":99999999999999999,\"failed\":\"x\"}\n");
        text.extend(vec![b'x'; MAX_LINE + 5]);
        text.extend(b"\n{\"row\":2,\"failed\":\"y\"}\n");
        fs::write(&path, &text).unwrap();
        let journal = open(folder.path(), true).unwrap();
        assert_eq!((journal.last(), journal.entry(2)), (2, Some(Entry::Failed("y".into()))));
        assert_eq!((journal.entry(1), journal.entry(0), journal.entry(11)), (None, None, None));
    }

    #[test]
    fn what_was_spent_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let cost = |requests| Cost { requests, tokens: 70 * requests, ..Cost::default() };
        let mut journal = open(folder.path(), false).unwrap();
        journal.spend("house", cost(1)).unwrap();
        journal.append(1, &made(10)).unwrap();
        journal.spend("studio", cost(5)).unwrap();
        journal.spend("house", cost(3)).unwrap();
        drop(journal);
        let journal = open(folder.path(), true).unwrap();
        assert_eq!(journal.spent(), BTreeMap::from([("house".into(), cost(3)), ("studio".into(), cost(5))]));
        assert_eq!((journal.entry(1), journal.last()), (Some(made(10)), 1));
    }

    #[test]
    fn other_inputs_and_other_batches_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path(), false).unwrap();
        let said =
            |result: Result<Journal, Error>| result.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said(open(folder.path(), true)).contains("another batch is at work"));
        drop(journal);
        assert!(said(open(folder.path(), false)).contains("--resume"));
        let other = Journal::open(folder.path(), &[("template", json!("b"))], true, 10);
        assert!(said(other).contains("another template"));
        assert_eq!(said(open(folder.path(), true)), "");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.path().join(NAME)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
