//! Values by the types that the template's schema gives their fields.

use csv::ByteRecord;
use serde_json::{Map, Value};

use crate::templates::data::MAX_DEPTH;
use crate::templates::fault::shortened;

/// Puts values that were typed as text (`--set`) over those of `value`, each read as the type that `schema` gives its field;
/// where it gives none, as JSON if it is JSON. What is no object stays as it is, for the template to refuse.
pub fn assign(mut value: Value, set: &[(String, String)], schema: &Value) -> Value {
    if let Value::Object(map) = &mut value {
        map.extend(set.iter().map(|(key, text)| (key.clone(), assigned(text, kind(schema, key)))));
    }
    value
}

fn assigned(text: &str, kind: &Value) -> Value {
    match kind {
        Value::Null => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
        kind => typed(text, kind),
    }
}

/// Cells without types as an object. An empty cell is left out, so that defaults apply.
///
/// # Errors
/// The column whose cell is not UTF-8 text.
pub(super) fn object(columns: &[String], cells: &ByteRecord, schema: &Value) -> Result<Value, String> {
    let mut object = Map::new();
    for (column, cell) in columns.iter().zip(cells) {
        if column.is_empty() || cell.is_empty() {
            continue;
        }
        let text = std::str::from_utf8(cell)
            .map_err(|_| format!("the cell under `{}` is not UTF-8 text", shortened(column)))?;
        object.insert(column.clone(), typed(text, kind(schema, column)));
    }
    Ok(Value::Object(object))
}

/// A row of a table that knows its own types: what is null is left out, and what the schema wants as text becomes text.
pub(super) fn suited(mut value: Value, schema: &Value) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.retain(|_, field| !field.is_null());
        for (name, field) in fields {
            let as_text = matches!(field, Value::Number(_) | Value::Bool(_)) && {
                let kinds = kinds(kind(schema, name));
                kinds.contains(&"string") && !kinds.iter().any(|kind| is_a(field, kind))
            };
            let as_number = matches!(field, Value::String(_)) && {
                let kinds = kinds(kind(schema, name));
                !kinds.contains(&"string") && kinds.iter().any(|kind| matches!(*kind, "number" | "integer"))
            };
            if as_text {
                *field = Value::String(field.to_string());
            } else if as_number
                && let Some(text) = field.as_str()
                && let Ok(number @ Value::Number(_)) = serde_json::from_str(text)
            {
                // A decimal with more digits than a number holds exactly.
                *field = number;
            }
        }
    }
    value
}

fn is_a(value: &Value, kind: &str) -> bool {
    match value {
        Value::Number(number) => kind == "number" || (kind == "integer" && !number.is_f64()),
        Value::Bool(_) => kind == "boolean",
        _ => false,
    }
}

/// A value as a cell of a table.
pub(super) fn cell(value: &Value) -> Vec<u8> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
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

fn kinds(kind: &Value) -> Vec<&str> {
    match kind {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// A cell as the type of its column. What does not read as that type stays text, which the schema then refuses by name.
fn typed(cell: &str, kind: &Value) -> Value {
    let text = || Value::String(cell.to_owned());
    let kinds = kinds(kind);
    if kinds.is_empty() || kinds.contains(&"string") {
        return text();
    }
    serde_json::from_str(cell.trim()).unwrap_or_else(|_| text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
            assert_eq!(assign(json!({}), &set, &schema), Value::Object(expected), "{key}={text}");
        }
    }

    #[test]
    fn a_table_suits_itself_to_the_schema() {
        let schema = json!({ "properties": {
            "id": { "type": "string" },
            "age": { "type": "integer" },
            "either": { "type": ["string", "integer"] },
            "price": { "type": "number" },
        } });
        let row = json!({ "id": 7, "age": 41, "either": 1, "price": "12.5", "gone": null, "more": [1] });
        let expected = json!({ "id": "7", "age": 41, "either": 1, "price": 12.5, "more": [1] });
        assert_eq!(suited(row, &schema), expected);
    }
}
