//! One viewer's data, from a file or the command line.

use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};
use vignette::audience::{Audience, Format, assign};
use vignette::templates::Data;
use vignette::templates::data::MAX_BYTES;
use vignette::{Error, Template};

use super::Stop;

/// Reads a JSON object, or one row of an audience, and puts the `--set` values over it.
pub(super) fn load(
    template: &Template,
    file: Option<&Path>,
    row: Option<usize>,
    set: &[(String, String)],
) -> Result<Data, Stop> {
    let schema = template.data_schema();
    let Some(path) = file else {
        return Ok(template.data("--set", assign(Value::Object(Map::new()), set, schema))?);
    };
    let name = if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() };
    let fault = |message: String| Stop::Failed(Error::Input(format!("{name}: {message}")));
    if Format::of(path).is_some() {
        let value = row_of(path, row, schema).map_err(|error| match error {
            RowError::Audience(error) => error.into(),
            RowError::Row(message) => fault(message),
        })?;
        return Ok(template.data(&name, assign(value, set, schema))?);
    }
    if row.is_some() {
        return Err(Stop::Usage("--row goes with a .csv, .jsonl, .ndjson or .parquet file".into()));
    }
    let text = read(path).map_err(fault)?;
    // Parsed by the template, which tells the line of a fault and refuses what is too long unread.
    if set.is_empty() || text.len() > MAX_BYTES {
        return Ok(template.parse_data(&name, &text)?);
    }
    match serde_json::from_slice(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text)) {
        Ok(value) => Ok(template.data(&name, assign(value, set, schema))?),
        Err(_) => Ok(template.parse_data(&name, &text)?),
    }
}

/// The bytes of a JSON file or of standard input, one more than allowed at most, so that the template can say that it is too
/// long.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let most = MAX_BYTES as u64 + 1;
    let outcome = if path.as_os_str() == "-" {
        std::io::stdin().take(most).read_to_end(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut text))
    };
    outcome.map_err(|error| format!("cannot read the data: {error}"))?;
    Ok(text)
}

enum RowError {
    Audience(vignette::audience::AudienceError),
    Row(String),
}

/// Row `row` of the audience at `path`.
fn row_of(path: &Path, row: Option<usize>, schema: &Value) -> Result<Value, RowError> {
    let wanted = match row {
        None => {
            return Err(RowError::Row("it holds many viewers; choose one with --row N, from 1".into()));
        }
        Some(0) => return Err(RowError::Row("rows are counted from 1".into())),
        Some(row) => row,
    };
    let audience = Audience::open(path).map_err(RowError::Audience)?;
    let mut count = 0;
    for found in audience.rows().map_err(RowError::Audience)? {
        let found = found.map_err(RowError::Audience)?;
        count += 1;
        if count == wanted {
            return found.value(schema).map_err(|reason| RowError::Row(format!("row {wanted}: {reason}")));
        }
    }
    Err(RowError::Row(format!("it has {count} rows, not {wanted}")))
}
