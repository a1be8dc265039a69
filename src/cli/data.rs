//! One viewer's data, from a file or the command line.

use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};
use vignette::Error;

use super::Stop;

/// The largest file of viewers' data that is read.
const LARGEST_FILE: u64 = 256 << 20;

/// Reads a JSON object, or one row of a CSV or JSON Lines file, and puts the `--set` values over it.
pub(super) fn load(file: Option<&Path>, row: Option<usize>, set: &[(String, Value)]) -> Result<Value, Stop> {
    let mut values = match file {
        None if row.is_some() => return Err(Stop::Usage("--row needs --data".into())),
        None => Value::Object(Map::new()),
        Some(path) => read(path, row)?,
    };
    if let Value::Object(map) = &mut values {
        for (key, value) in set {
            map.insert(key.clone(), value.clone());
        }
    }
    Ok(values)
}

fn read(path: &Path, row: Option<usize>) -> Result<Value, Stop> {
    let name = if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() };
    let fault = |message: String| Stop::Failed(Error::Input(format!("{name}: {message}")));
    let mut text = Vec::new();
    let outcome = if path.as_os_str() == "-" {
        std::io::stdin().take(LARGEST_FILE + 1).read_to_end(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut text))
    };
    outcome.map_err(|error| fault(format!("cannot read the data: {error}")))?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(fault(format!("larger than {} MiB", LARGEST_FILE >> 20)));
    }
    let text = String::from_utf8(text).map_err(|_| fault("not UTF-8 text".into()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("csv") => csv_row(text, row).map_err(fault),
        Some("jsonl" | "ndjson") => json_line(text, row).map_err(fault),
        _ if row.is_some() => Err(Stop::Usage("--row goes with a .csv, .jsonl or .ndjson file".into())),
        _ => serde_json::from_str(text).map_err(|error| fault(format!("not JSON: {error}"))),
    }
}

fn wanted(row: Option<usize>) -> Result<usize, String> {
    match row {
        None => Err("it holds many viewers; choose one with --row N, from 1".into()),
        Some(0) => Err("rows are counted from 1".into()),
        Some(row) => Ok(row),
    }
}

/// Row `row` of a CSV file as an object. Cells are text, except that an empty one is left out, so that defaults apply.
fn csv_row(text: &str, row: Option<usize>) -> Result<Value, String> {
    let row = wanted(row)?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let heads = reader.headers().map_err(|error| error.to_string())?.clone();
    let mut count = 0;
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        count += 1;
        if count == row {
            let cells = heads.iter().zip(record.iter()).filter(|(_, cell)| !cell.is_empty());
            return Ok(Value::Object(
                cells.map(|(head, cell)| (head.trim().to_owned(), Value::String(cell.to_owned()))).collect(),
            ));
        }
    }
    Err(format!("it has {count} rows, not {row}"))
}

fn json_line(text: &str, row: Option<usize>) -> Result<Value, String> {
    let row = wanted(row)?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let line = lines.get(row - 1).ok_or_else(|| format!("it has {} rows, not {row}", lines.len()))?;
    serde_json::from_str(line).map_err(|error| format!("row {row} is not JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows() {
        let csv = "first_name,plan\nMaria,pro\n\"Li, Wei\",\n";
        assert_eq!(csv_row(csv, Some(1)), Ok(json!({ "first_name": "Maria", "plan": "pro" })));
        assert_eq!(csv_row(csv, Some(2)), Ok(json!({ "first_name": "Li, Wei" })));
        assert!(csv_row(csv, Some(3)).is_err_and(|message| message.contains("2 rows")));
        assert!(csv_row(csv, Some(0)).is_err());
        assert!(csv_row(csv, None).is_err_and(|message| message.contains("--row")));
        assert!(csv_row("a,b\n1,2,3\n", Some(1)).is_err());
        assert_eq!(json_line("{\"a\":1}\n\n{\"a\":2}\n", Some(2)), Ok(json!({ "a": 2 })));
        assert!(json_line("{\"a\":1}\nx\n", Some(2)).is_err());
    }
}
