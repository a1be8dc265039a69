//! One viewer's data, from a file or the command line.

use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};
use vignette::templates::Data;
use vignette::templates::data::{MAX_BYTES, MAX_DEPTH};
use vignette::{Error, Template};

use super::{Stop, ending};

/// The largest file of viewers' data that is read.
const LARGEST_FILE: u64 = 256 << 20;

/// Reads a JSON object, or one row of a CSV or JSON Lines file, and puts the `--set` values over it.
pub(super) fn load(
    template: &Template,
    file: Option<&Path>,
    row: Option<usize>,
    set: &[(String, String)],
) -> Result<Data, Stop> {
    let Some(path) = file else {
        return Ok(template.data("--set", over(Value::Object(Map::new()), set, template.data_schema()))?);
    };
    let name = if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() };
    let fault = |message: String| Stop::Failed(Error::Input(format!("{name}: {message}")));
    let text = read(path).map_err(fault)?;
    let value = match ending(path).as_deref() {
        Some("csv") => csv_row(&text, row, template.data_schema()).map_err(fault)?,
        Some("jsonl" | "ndjson") => json_line(&text, row).map_err(fault)?,
        _ if row.is_some() => {
            return Err(Stop::Usage("--row goes with a .csv, .jsonl or .ndjson file".into()));
        }
        // Parsed by the template, which tells the line of a fault and refuses what is too long unread.
        _ if set.is_empty() || text.len() > MAX_BYTES => {
            return Ok(template.parse_data(&name, text.as_bytes())?);
        }
        _ => match serde_json::from_str(&text) {
            Ok(value) => value,
            Err(_) => return Ok(template.parse_data(&name, text.as_bytes())?),
        },
    };
    Ok(template.data(&name, over(value, set, template.data_schema()))?)
}

/// `--set` values over those of the file. What is no object is left for the template to refuse.
fn over(mut value: Value, set: &[(String, String)], schema: &Value) -> Value {
    if let Value::Object(map) = &mut value {
        map.extend(set.iter().map(|(key, text)| (key.clone(), assigned(text, kind(schema, key)))));
    }
    value
}

/// A `--set` value as the type of its field; where the schema tells none, as JSON if it is JSON.
fn assigned(text: &str, kind: &Value) -> Value {
    match kind {
        Value::Null => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
        kind => typed(text, kind),
    }
}

/// The type that the schema gives a field, also by way of references.
fn kind<'a>(schema: &'a Value, field: &str) -> &'a Value {
    let mut property = &schema["properties"][field];
    for _ in 0..MAX_DEPTH {
        let target = property["$ref"].as_str().and_then(|target| target.strip_prefix('#'));
        match target.and_then(|pointer| schema.pointer(pointer)) {
            Some(next) => property = next,
            None => break,
        }
    }
    &property["type"]
}

fn read(path: &Path) -> Result<String, String> {
    let mut text = Vec::new();
    let outcome = if path.as_os_str() == "-" {
        std::io::stdin().take(LARGEST_FILE + 1).read_to_end(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut text))
    };
    outcome.map_err(|error| format!("cannot read the data: {error}"))?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(format!("larger than {} MiB", LARGEST_FILE >> 20));
    }
    let text = String::from_utf8(text).map_err(|_| "not UTF-8 text")?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn wanted(row: Option<usize>) -> Result<usize, String> {
    match row {
        None => Err("it holds many viewers; choose one with --row N, from 1".into()),
        Some(0) => Err("rows are counted from 1".into()),
        Some(row) => Ok(row),
    }
}

/// Row `row` of a CSV file as an object. An empty cell is left out, so that defaults apply; others are read as the
/// type that the template's schema gives their column.
fn csv_row(text: &str, row: Option<usize>, schema: &Value) -> Result<Value, String> {
    let row = wanted(row)?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let heads = reader.headers().map_err(|error| error.to_string())?.clone();
    let mut count = 0;
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        count += 1;
        if count == row {
            let cells = heads.iter().map(str::trim).zip(record.iter()).filter(|(_, cell)| !cell.is_empty());
            return Ok(Value::Object(
                cells.map(|(head, cell)| (head.to_owned(), typed(cell, kind(schema, head)))).collect(),
            ));
        }
    }
    Err(format!("it has {count} rows, not {row}"))
}

/// A cell as the type of its column. What does not read as that type stays text, which the schema then refuses by name.
fn typed(cell: &str, kind: &Value) -> Value {
    let text = || Value::String(cell.to_owned());
    let kinds: Vec<&str> = match kind {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if kinds.is_empty() || kinds.contains(&"string") {
        return text();
    }
    serde_json::from_str(cell.trim()).unwrap_or_else(|_| text())
}

fn json_line(text: &str, row: Option<usize>) -> Result<Value, String> {
    let row = wanted(row)?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let line = lines.get(row - 1).ok_or_else(|| format!("it has {} rows, not {row}", lines.len()))?;
    if line.len() > MAX_BYTES {
        return Err(format!("row {row} has {} bytes, more than the {MAX_BYTES} allowed", line.len()));
    }
    serde_json::from_str(line).map_err(|error| format!("row {row} is not JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows() {
        let csv = "first_name,plan,age\nMaria,pro,41\n\"Li, Wei\",,x\n";
        let schema = json!({ "properties": { "age": { "type": "integer" }, "plan": { "type": "string" } } });
        let row = |row| csv_row(csv, row, &schema);
        assert_eq!(row(Some(1)), Ok(json!({ "first_name": "Maria", "plan": "pro", "age": 41 })));
        assert_eq!(row(Some(2)), Ok(json!({ "first_name": "Li, Wei", "age": "x" })));
        assert!(row(Some(3)).is_err_and(|message| message.contains("2 rows")));
        assert!(row(Some(0)).is_err());
        assert!(row(None).is_err_and(|message| message.contains("--row")));
        assert!(csv_row("a,b\n1,2,3\n", Some(1), &schema).is_err());
        assert_eq!(json_line("{\"a\":1}\n\n{\"a\":2}\n", Some(2)), Ok(json!({ "a": 2 })));
        assert!(json_line("{\"a\":1}\nx\n", Some(2)).is_err());
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_BYTES));
        assert!(json_line(&long, Some(1)).is_err_and(|message| message.contains("bytes")));
    }

    #[test]
    fn set_values_have_the_type_of_their_field() {
        let schema = json!({
            "$defs": { "count": { "type": "integer" } },
            "properties": {
                "name": { "type": "string" },
                "nick": { "type": ["string", "null"] },
                "age": { "type": "integer" },
                "visits": { "$ref": "#/$defs/count" },
                "tags": { "type": "array" },
                "any": true,
            },
        });
        for (key, text, value) in [
            ("name", "42", json!("42")),
            ("name", "true", json!("true")),
            ("name", "", json!("")),
            ("nick", "null", json!("null")),
            ("age", "42", json!(42)),
            ("age", "old", json!("old")),
            ("visits", "7", json!(7)),
            ("tags", "[1,2]", json!([1, 2])),
            ("any", "[1]", json!([1])),
            ("any", "Maria", json!("Maria")),
            ("unknown", "1", json!(1)),
        ] {
            let set = [(key.to_owned(), text.to_owned())];
            let mut expected = Map::new();
            expected.insert(key.to_owned(), value);
            assert_eq!(over(json!({}), &set, &schema), Value::Object(expected), "{key}={text}");
        }
    }
}
