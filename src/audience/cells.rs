//! Comma-separated values (RFC 4180), row by row.
//!
//! The row limit is why this stands on `csv-core` and not on the `csv` crate's reader, which keeps all of a row in memory: a
//! quote that is never closed makes one row of the rest of the file.

use std::io::{BufRead, BufReader, Read};

use csv::ByteRecord;
use csv_core::ReadRecordResult;

use super::{Content, MAX_COLUMNS, Trouble, too_long};
use crate::templates::data::MAX_BYTES;

/// The names in the header of `input`.
pub(super) fn columns(input: impl Read) -> Result<Vec<String>, Trouble> {
    let mut records = Records::new(input);
    let record = match records.read()? {
        Outcome::End => return Err(Trouble::Format("it is empty; its first line names the columns".into())),
        Outcome::TooLong => return Err(Trouble::Format(too_long(" in its header"))),
        Outcome::TooWide => return Err(Trouble::Format(format!("it has more than {MAX_COLUMNS} columns"))),
        Outcome::Record => records.record(),
    };
    let names: Result<Vec<String>, _> =
        record.iter().map(|name| std::str::from_utf8(name).map(|name| name.trim().to_owned())).collect();
    let names = names
        .map_err(|_| Trouble::Format("its header is not UTF-8 text; save it as “CSV UTF-8”".to_owned()))?;
    if let [only] = names.as_slice()
        && let Some(mark) = [';', '\t', '|'].into_iter().find(|mark| only.contains(*mark))
    {
        return Err(Trouble::Format(format!(
            "its columns are separated by {mark:?}; save it with commas between them"
        )));
    }
    Ok(names)
}

/// The rows behind the header.
pub(super) struct Cells<R> {
    records: Records<R>,
}

impl<R: Read> Cells<R> {
    pub(super) fn open(input: R) -> Result<Self, Trouble> {
        let mut records = Records::new(input);
        records.read()?;
        Ok(Cells { records })
    }

    /// Goes past one row; false at the end.
    pub(super) fn advance(&mut self) -> Result<bool, Trouble> {
        Ok(!matches!(self.records.read()?, Outcome::End))
    }

    /// The next row, which should have `columns` cells.
    pub(super) fn next(&mut self, columns: usize) -> Option<Result<Content, Trouble>> {
        let faulty = |reason: String, cells| Content::Faulty(reason, cells);
        Some(Ok(match self.records.read() {
            Err(trouble) => return Some(Err(trouble)),
            Ok(Outcome::End) => return None,
            Ok(Outcome::TooLong) => faulty(too_long("; is a quote not closed?"), ByteRecord::new()),
            Ok(Outcome::TooWide) => {
                faulty(format!("the row has more than {MAX_COLUMNS} cells"), ByteRecord::new())
            }
            Ok(Outcome::Record) => {
                let cells = self.records.record();
                match cells.len() {
                    found if found == columns => Content::Cells(cells),
                    found => faulty(
                        format!(
                            "the row has {found} {}, the header {columns}; is a comma not inside quotes?",
                            if found == 1 { "cell" } else { "cells" }
                        ),
                        cells,
                    ),
                }
            }
        }))
    }
}

/// What reading one record came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Record,
    TooLong,
    TooWide,
    End,
}

/// Records of bounded length.
struct Records<R> {
    core: csv_core::Reader,
    input: BufReader<R>,
    /// The record's cells one behind the other, and where each ends.
    cells: Vec<u8>,
    ends: Vec<usize>,
    /// How many of each belong to the last record.
    filled: (usize, usize),
}

impl<R: Read> Records<R> {
    fn new(input: R) -> Self {
        Records {
            core: csv_core::Reader::new(),
            input: BufReader::with_capacity(1 << 16, input),
            cells: vec![0; 1 << 12],
            ends: vec![0; 64],
            filled: (0, 0),
        }
    }

    /// Reads the next record. Of one that is too long or too wide all is read and nothing kept.
    fn read(&mut self) -> Result<Outcome, Trouble> {
        let (mut used, mut fields) = (0, 0);
        let (mut long, mut wide) = (false, false);
        loop {
            let input = self.input.fill_buf()?;
            let (result, read, written, ended) =
                self.core.read_record(input, &mut self.cells[used..], &mut self.ends[fields..]);
            self.input.consume(read);
            used += written;
            fields += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.cells.len() < MAX_BYTES => {
                    let larger = (self.cells.len() * 2).min(MAX_BYTES);
                    self.cells.resize(larger, 0);
                }
                ReadRecordResult::OutputFull => (long, used) = (true, 0),
                ReadRecordResult::OutputEndsFull if self.ends.len() < MAX_COLUMNS => {
                    let more = (self.ends.len() * 2).min(MAX_COLUMNS);
                    self.ends.resize(more, 0);
                }
                ReadRecordResult::OutputEndsFull => (wide, fields) = (true, 0),
                ReadRecordResult::Record => {
                    self.filled = (used, fields);
                    return Ok(match (long, wide) {
                        (true, _) => Outcome::TooLong,
                        (_, true) => Outcome::TooWide,
                        _ => Outcome::Record,
                    });
                }
                ReadRecordResult::End => return Ok(Outcome::End),
            }
        }
    }

    /// The record that was read last.
    fn record(&self) -> ByteRecord {
        let (used, fields) = self.filled;
        let mut record = ByteRecord::with_capacity(used, fields);
        let mut start = 0;
        for end in &self.ends[..fields] {
            record.push_field(&self.cells[start..*end]);
            start = *end;
        }
        record
    }
}
