//! JSON Lines: one object a line (<https://jsonlines.org>).

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};

use csv::ByteRecord;
use serde_json::Value;

use super::{Content, MAX_COLUMNS, ROWS_FOR_COLUMNS, Trouble, too_long};
use crate::templates::data::MAX_BYTES;

/// The names of the fields of the first rows, in the order in which they are met.
pub(super) fn columns(input: impl Read) -> Result<Vec<String>, Trouble> {
    let mut lines = Lines::new(input);
    let (mut names, mut known) = (Vec::new(), HashSet::new());
    for _ in 0..ROWS_FOR_COLUMNS {
        let Some(content) = lines.next() else { break };
        let Content::Json(Value::Object(fields)) = content? else { continue };
        for (name, _) in fields {
            if known.insert(name.clone()) {
                names.push(name);
            }
            if names.len() > MAX_COLUMNS {
                return Ok(names);
            }
        }
    }
    Ok(names)
}

/// Lines that are not blank, of bounded length.
pub(super) struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    begun: bool,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Lines { input: BufReader::with_capacity(1 << 16, input), line: Vec::new(), begun: false }
    }

    /// Goes past one row; false at the end.
    pub(super) fn advance(&mut self) -> Result<bool, Trouble> {
        Ok(self.read()?.is_some())
    }

    /// The next row.
    pub(super) fn next(&mut self) -> Option<Result<Content, Trouble>> {
        let faulty = |reason| Content::Faulty(reason, ByteRecord::new());
        match self.read() {
            Err(trouble) => Some(Err(trouble)),
            Ok(None) => None,
            Ok(Some(false)) => Some(Ok(faulty(too_long("")))),
            Ok(Some(true)) => Some(Ok(match serde_json::from_slice(&self.line) {
                Ok(value) => Content::Json(value),
                Err(error) => {
                    // A row is one line, so that its line says nothing; the message holds none of its values.
                    let reason = error.to_string();
                    let reason = reason.split(" at line ").next().unwrap_or(&reason);
                    faulty(format!("the row is not JSON: {reason} at column {}", error.column()))
                }
            })),
        }
    }

    /// Reads the next line that is not blank: whether it is kept, as it is short enough. `None` at the end.
    fn read(&mut self) -> Result<Option<bool>, Trouble> {
        loop {
            self.line.clear();
            let (mut any, mut kept) = (false, true);
            loop {
                let input = self.input.fill_buf()?;
                if input.is_empty() {
                    break;
                }
                any = true;
                let end = input.iter().position(|byte| *byte == b'\n');
                let piece = &input[..end.unwrap_or(input.len())];
                kept &= self.line.len() + piece.len() <= MAX_BYTES;
                if kept {
                    self.line.extend_from_slice(piece);
                }
                let read = end.map_or(input.len(), |end| end + 1);
                self.input.consume(read);
                if end.is_some() {
                    break;
                }
            }
            if !any {
                return Ok(None);
            }
            if !std::mem::replace(&mut self.begun, true) && self.line.starts_with(b"\xef\xbb\xbf") {
                self.line.drain(..3);
            }
            if !kept || !self.line.trim_ascii().is_empty() {
                return Ok(Some(kept));
            }
        }
    }
}
