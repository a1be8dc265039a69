use std::fs;
use std::io::Write;
use std::sync::Arc;

use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, Int32Type,
    Int64Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::json;
use tempfile::TempDir;

use super::*;

fn written(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// Each row's data, or what is wrong with it.
fn values(path: &Path, schema: &Value) -> Vec<Result<Value, String>> {
    let audience = Audience::open(path).unwrap();
    let rows: Vec<Row> = audience.rows().unwrap().map(Result::unwrap).collect();
    assert_eq!(audience.count().unwrap(), rows.len() as u64);
    assert!(rows.iter().zip(1..).all(|(row, number)| row.number() == number));
    rows.iter().map(|row| row.value(schema)).collect()
}

fn cells(path: &Path) -> Vec<Vec<String>> {
    let audience = Audience::open(path).unwrap();
    let rows = audience.rows().unwrap().map(Result::unwrap);
    rows.map(|row| row.cells().iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect())
        .collect()
}

#[test]
fn csv_cells_are_typed_by_the_schema() {
    let csv = "\u{feff}first_name, plan ,age,\nMaria,pro,41,\n\"Li, \"\"Wei\"\"\",,x,y\n\nBo,\"a\nb\",7,\n";
    let (_folder, path) = written("p.CSV", csv.as_bytes());
    let schema = json!({ "properties": { "age": { "type": "integer" }, "plan": { "type": "string" } } });
    assert_eq!(Audience::open(&path).unwrap().columns(), ["first_name", "plan", "age", ""]);
    let expected = [
        Ok(json!({ "first_name": "Maria", "plan": "pro", "age": 41 })),
        Ok(json!({ "first_name": "Li, \"Wei\"", "age": "x" })),
        Ok(json!({ "first_name": "Bo", "plan": "a\nb", "age": 7 })),
    ];
    assert_eq!(values(&path, &schema), expected);
    assert_eq!(cells(&path)[1], ["Li, \"Wei\"", "", "x", "y"]);
}

#[test]
fn a_faulty_row_stands_alone() {
    let long = "x".repeat(MAX_BYTES + 1);
    let csv = [
        &b"name,age\nMaria,1\nLi\nAna,1,2\n"[..],
        b"J\xf6rg,1\n",
        long.as_bytes(),
        b",1\n",
        ",".repeat(MAX_COLUMNS + 5).as_bytes(),
        b"\nBo,2\n",
    ]
    .concat();
    let (_folder, path) = written("p.csv", &csv);
    let found = values(&path, &Value::Null);
    for (index, said) in [
        (1, "the row has 1 cell, the header 2"),
        (2, "the row has 3 cells, the header 2"),
        (3, "the cell under `name` is not UTF-8 text"),
        (4, "longer than the 1048576 bytes"),
        (5, "more than 1000 cells"),
    ] {
        assert!(found[index].as_ref().is_err_and(|reason| reason.contains(said)), "{:?}", found[index]);
    }
    assert_eq!(found[0], Ok(json!({ "name": "Maria", "age": "1" })));
    assert_eq!(found[6], Ok(json!({ "name": "Bo", "age": "2" })));
    assert_eq!(found.len(), 7);
    // What can be read is there for the results, byte by byte.
    let audience = Audience::open(&path).unwrap();
    let rows: Vec<Row> = audience.rows().unwrap().map(Result::unwrap).collect();
    assert_eq!(&rows[3].cells()[0], b"J\xf6rg");
    assert_eq!(rows[2].cells().iter().collect::<Vec<_>>(), [&b"Ana"[..], b"1"]);
    assert_eq!(rows[1].cells().len(), 2);
}

#[test]
fn a_quote_that_is_not_closed_takes_no_more_memory_than_a_row() {
    let mut csv = b"name\n\"Maria\n".to_vec();
    csv.resize(8 << 20, b'x');
    let (_folder, path) = written("p.csv", &csv);
    let found = values(&path, &Value::Null);
    assert_eq!(found.len(), 1);
    assert!(found[0].as_ref().is_err_and(|reason| reason.contains("quote")), "{found:?}");
}

#[test]
fn json_lines_are_objects() {
    let long = format!("{{\"a\":\"{}\"}}\n", "x".repeat(MAX_BYTES));
    let lines = format!(
        "\u{feff}{{\"b\":1,\"a\":{{\"c\":[1,\"x\"]}}}}\r\n\n  \nx\n{long}[1]\n{{\"a\":null,\"late\":true,\"b\":\"t\"}}"
    );
    let (_folder, path) = written("p.ndjson", lines.as_bytes());
    let found = values(&path, &Value::Null);
    assert_eq!(found[0], Ok(json!({ "b": 1, "a": { "c": [1, "x"] } })));
    assert!(found[1].as_ref().is_err_and(|reason| reason.contains("not JSON")), "{found:?}");
    assert!(found[2].as_ref().is_err_and(|reason| reason.contains("longer than")));
    assert_eq!(found[3], Ok(json!([1])), "left for the template to refuse");
    assert_eq!(found.len(), 5);
    assert_eq!(Audience::open(&path).unwrap().columns(), ["b", "a", "late"]);
    let cells = cells(&path);
    assert_eq!(cells[0], ["1", "{\"c\":[1,\"x\"]}", ""]);
    assert_eq!(cells[1], ["", "", ""]);
    assert_eq!(cells[4], ["t", "", "true"]);
}

#[test]
fn what_is_no_audience_is_refused() {
    for (name, bytes, said) in [
        ("p.csv", &b""[..], "it is empty"),
        ("p.csv", b"a;b\n1;2\n", "separated by ';'"),
        ("p.csv", b"a,b,a\n", "two columns are called `a`"),
        ("p.csv", b"\xff\xfea\n", "not UTF-8"),
        ("p.txt", b"a\n", ".csv, .jsonl"),
        ("p.parquet", b"PAR1", "cannot be read as Parquet"),
    ] {
        let (_folder, path) = written(name, bytes);
        let error = Audience::open(&path).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(said), "{name} {bytes:?}: {error}");
    }
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("p.csv")).unwrap();
    let error = Audience::open(&folder.path().join("p.csv")).err().unwrap().to_string();
    assert!(error.contains("not a regular file"), "{error}");
}

#[test]
fn a_file_that_changes_is_noticed() {
    let (_folder, path) = written("p.csv", b"a\n1\n");
    let audience = Audience::open(&path).unwrap();
    let digest = audience.digest().unwrap();
    assert_eq!(digest, Digest::of(b"a\n1\n"));
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"2\n").unwrap();
    assert!(audience.rows().is_err_and(|error| error.to_string().contains("changed")));
}

/// A Parquet file with a row group of its own for each of `groups`.
fn parquet_file(groups: &[&[&str]]) -> Vec<u8> {
    let schema = "message people {
        required binary first_name (utf8);
        optional int64 viewer_id;
        optional int32 born (date);
        optional int64 seen (timestamp(nanos,false));
        optional int32 price (decimal(9,2));
        optional fixed_len_byte_array(16) key (uuid);
        optional double share;
        optional boolean member;
        optional binary extra (json);
        optional group tags (list) { repeated group list { optional binary element (utf8); } }
        optional group home { optional binary city (utf8); optional int32 floor; }
        optional binary raw;
    }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut file = Vec::new();
    let mut writer =
        SerializedFileWriter::new(&mut file, schema, Arc::new(WriterProperties::builder().build())).unwrap();
    for names in groups {
        let texts: Vec<ByteArray> = names
            .iter()
            // A name of this spelling stands for bytes that are no text.
            .map(|name| if *name == "?" { vec![0xff, 0xfe].into() } else { ByteArray::from(*name) })
            .collect();
        let count = names.len();
        // The last row of each group has nothing but a name.
        let def: Vec<i16> = (0..count).map(|row| i16::from(row + 1 < count)).collect();
        let some = count - 1;
        let mut group = writer.next_row_group().unwrap();
        for index in 0.. {
            let Some(mut column) = group.next_column().unwrap() else { break };
            macro_rules! write {
                ($kind:ty, $value:expr) => {
                    column.typed::<$kind>().write_batch(&vec![$value; some], Some(&def), None).unwrap()
                };
            }
            match index {
                0 => column.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap(),
                1 => write!(Int64Type, 7),
                2 => write!(Int32Type, 11_016),
                3 => write!(Int64Type, 1_500_000_000),
                4 => write!(Int32Type, 1250),
                5 => write!(FixedLenByteArrayType, FixedLenByteArray::from(vec![0xab; 16])),
                6 => write!(DoubleType, 0.5),
                7 => write!(BoolType, true),
                8 => write!(ByteArrayType, ByteArray::from("{\"x\":[1]}")),
                9 => {
                    // Each list but the last row's is ["a", null].
                    let mut values = Vec::new();
                    let (mut defs, mut reps) = (Vec::new(), Vec::new());
                    for row in 0..count {
                        if row + 1 < count {
                            values.push(ByteArray::from("a"));
                            defs.extend([3, 2]);
                            reps.extend([0, 1]);
                        } else {
                            defs.push(0);
                            reps.push(0);
                        }
                    }
                    column.typed::<ByteArrayType>().write_batch(&values, Some(&defs), Some(&reps)).unwrap()
                }
                10 => {
                    let def: Vec<i16> = def.iter().map(|def| def * 2).collect();
                    let cities = vec![ByteArray::from("Porto"); some];
                    column.typed::<ByteArrayType>().write_batch(&cities, Some(&def), None).unwrap()
                }
                // The group is there, its field is not.
                11 => column.typed::<Int32Type>().write_batch(&[], Some(&def), None).unwrap(),
                _ => write!(ByteArrayType, ByteArray::from("plain")),
            };
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
    file
}

#[test]
fn parquet_values_become_json() {
    let (_folder, path) = written("p.parquet", &parquet_file(&[&["Maria", "Li"], &["Ana"]]));
    let schema = json!({ "properties": { "viewer_id": { "type": "string" } } });
    let first = json!({
        "first_name": "Maria",
        "viewer_id": "7",
        "born": "2000-02-29",
        "seen": "1970-01-01T00:00:01.5",
        "price": 12.5,
        "key": "abababab-abab-abab-abab-abababababab",
        "share": 0.5,
        "member": true,
        "extra": { "x": [1] },
        "tags": ["a", null],
        "home": { "city": "Porto" },
        "raw": "plain",
    });
    let expected = [Ok(first), Ok(json!({ "first_name": "Li" })), Ok(json!({ "first_name": "Ana" }))];
    assert_eq!(values(&path, &schema), expected);
    assert_eq!(Audience::open(&path).unwrap().columns()[..3], ["first_name", "viewer_id", "born"]);
    let cells = cells(&path);
    assert_eq!(
        cells[0][..6],
        ["Maria", "7", "2000-02-29", "1970-01-01T00:00:01.5", "12.5", "abababab-abab-abab-abab-abababababab"]
    );
    assert_eq!(cells[0][9..11], ["[\"a\",null]", "{\"city\":\"Porto\"}"]);
    assert_eq!(cells[2][1..], vec![""; 11]);
}

#[test]
fn a_parquet_row_that_cannot_be_read_ends_its_row_group_only() {
    let (_folder, path) = written("p.parquet", &parquet_file(&[&["Maria", "?", "Li"], &["Ana"]]));
    let found = values(&path, &Value::Null);
    assert_eq!(found.len(), 4);
    assert!(found[0].is_ok());
    assert!(found[1].as_ref().is_err_and(|reason| reason.contains("not UTF-8")), "{found:?}");
    assert!(found[2].as_ref().is_err_and(|reason| reason.contains("same row group")), "{found:?}");
    assert_eq!(found[3], Ok(json!({ "first_name": "Ana" })));
}

#[test]
fn damaged_parquet_files_end_nothing() {
    let file = parquet_file(&[&["Maria", "Li"], &["Ana", "Bo"]]);
    // Each byte in turn; whatever comes of it, it comes as a value.
    let folder = tempfile::tempdir().unwrap();
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 0x55;
        // A file of its own each time: writing over one makes some file systems wait for the disk.
        let path = folder.path().join(format!("{at}.parquet"));
        fs::write(&path, damaged).unwrap();
        let Ok(audience) = Audience::open(&path) else { continue };
        let Ok(rows) = audience.rows() else { continue };
        for row in rows.take(100).flatten() {
            let _ = row.value(&Value::Null);
        }
    }
}
