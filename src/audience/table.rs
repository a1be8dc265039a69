//! Apache Parquet, row by row (<https://parquet.apache.org/docs/file-format/>).
//!
//! Of each column one page is in memory at a time. The reader's record interface ends the process's thread where it meets
//! a type that it does not know, so that types are looked at first, and whatever else goes wrong in it is caught.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

use csv::ByteRecord;
use parquet::basic::{Compression, ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::record::reader::{ReaderIter, TreeBuilder};
use parquet::schema::types::Type;
use serde_json::{Map, Number, Value};

use super::{Content, Trouble};
use crate::templates::data::MAX_DEPTH;
use crate::templates::fault::shortened;

/// The names of the fields at the top of the schema.
pub(super) fn columns(file: File) -> Result<Vec<String>, Trouble> {
    let table = Table::open(file)?;
    Ok(table.schema().get_fields().iter().map(|field| field.name().to_owned()).collect())
}

/// The rows of a file.
pub(super) struct Table {
    reader: SerializedFileReader<File>,
    /// The next row group, and the rows of the one before it.
    next_group: usize,
    rows: Option<ReaderIter>,
    /// How many rows of the group are still to come, and why they cannot be read, if so.
    left: u64,
    broken: Option<String>,
}

impl Table {
    /// Opens the file and looks at the types of its columns.
    pub(super) fn open(file: File) -> Result<Self, Trouble> {
        let reader = caught(|| SerializedFileReader::new(file))
            .map_err(|reason| Trouble::Format(format!("it cannot be read as Parquet: {reason}")))?;
        let schema = reader.metadata().file_metadata().schema();
        for field in schema.get_fields() {
            check(field, field.name(), 0).map_err(Trouble::Format)?;
        }
        for group in reader.metadata().row_groups() {
            for column in group.columns() {
                let compression = column.compression();
                let known = matches!(
                    compression,
                    Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_)
                );
                if !known {
                    return Err(Trouble::Format(format!(
                        "the column `{}` is compressed with {}; write the file with zstd, snappy or without compression",
                        shortened(&column.column_path().string()),
                        compression.to_string().split('(').next().unwrap_or_default()
                    )));
                }
            }
        }
        Ok(Table { reader, next_group: 0, rows: None, left: 0, broken: None })
    }

    fn schema(&self) -> &Type {
        self.reader.metadata().file_metadata().schema()
    }

    /// How many rows there are in all.
    pub(super) fn count(&self) -> u64 {
        let groups = self.reader.metadata().row_groups().iter();
        groups.map(|group| u64::try_from(group.num_rows()).unwrap_or(0)).sum()
    }

    /// The next row. After a row that cannot be read the columns no longer stand at the same viewer, so that the rest of
    /// its row group cannot be read either; the next group can.
    pub(super) fn next(&mut self) -> Option<Content> {
        while self.left == 0 {
            if self.next_group >= self.reader.num_row_groups() {
                return None;
            }
            self.begin(self.next_group);
            self.next_group += 1;
        }
        self.left -= 1;
        if let Some(reason) = &self.broken {
            return Some(Content::Faulty(reason.clone(), ByteRecord::new()));
        }
        let row = caught(|| self.rows.as_mut().and_then(Iterator::next).transpose());
        let faulty = match row {
            Ok(Some(row)) => {
                let fields = self.schema().get_fields();
                let mut object = Map::new();
                for ((name, field), kind) in row.into_columns().into_iter().zip(fields) {
                    object.insert(name, json(&field, Some(kind), 0));
                }
                return Some(Content::Table(Value::Object(object)));
            }
            Ok(None) => "its row group ends before it".to_owned(),
            Err(reason) => reason,
        };
        self.broken = Some("a row before it in the same row group cannot be read".to_owned());
        Some(Content::Faulty(format!("the row cannot be read: {faulty}"), ByteRecord::new()))
    }

    fn begin(&mut self, group: usize) {
        self.broken = None;
        self.rows = None;
        self.left = u64::try_from(self.reader.metadata().row_group(group).num_rows()).unwrap_or(0);
        let schema = self.reader.metadata().file_metadata().schema_descr_ptr();
        let rows = caught(|| {
            let group = self.reader.get_row_group(group)?;
            TreeBuilder::new().as_iter(schema, &*group)
        });
        match rows {
            Ok(rows) => self.rows = Some(rows),
            Err(reason) => self.broken = Some(format!("its row group cannot be read: {reason}")),
        }
    }
}

/// What `read` gives, or why it gives nothing, without the values that it met.
fn caught<T>(read: impl FnOnce() -> Result<T, parquet::errors::ParquetError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            let text = error.to_string();
            // This one message shows all bytes of a viewer's value.
            match text.contains("Error reading BYTE_ARRAY as String") {
                true => Err("a text is not UTF-8".to_owned()),
                false => Err(shortened(text.trim_start_matches("Parquet error: "))),
            }
        }
        Err(_) => Err("its data are damaged".to_owned()),
    }
}

/// Whether the record reader knows the type of a column and of all below it.
fn check(kind: &Type, path: &str, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("the column `{}` is nested deeper than {MAX_DEPTH} levels", shortened(path)));
    }
    if !kind.is_primitive() {
        let repeated = kind.get_fields();
        let lists = matches!(
            kind.get_basic_info().converted_type(),
            ConvertedType::LIST | ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE
        );
        if lists && (repeated.len() != 1 || repeated.first().is_none_or(|inner| !is_repeated(inner))) {
            return Err(format!("the column `{}` is no valid list or map", shortened(path)));
        }
        for field in repeated {
            check(field, &format!("{path}.{}", field.name()), depth + 1)?;
        }
        return Ok(());
    }
    use ConvertedType as C;
    let converted = kind.get_basic_info().converted_type();
    let known = match kind.get_physical_type() {
        Physical::BOOLEAN | Physical::INT96 | Physical::FLOAT | Physical::DOUBLE => true,
        Physical::INT32 => matches!(
            converted,
            C::NONE
                | C::INT_8
                | C::INT_16
                | C::INT_32
                | C::UINT_8
                | C::UINT_16
                | C::UINT_32
                | C::DATE
                | C::TIME_MILLIS
                | C::DECIMAL
        ),
        Physical::INT64 => matches!(
            converted,
            C::NONE
                | C::INT_64
                | C::UINT_64
                | C::TIME_MICROS
                | C::TIMESTAMP_MILLIS
                | C::TIMESTAMP_MICROS
                | C::DECIMAL
        ),
        Physical::BYTE_ARRAY => {
            matches!(converted, C::NONE | C::UTF8 | C::ENUM | C::JSON | C::BSON | C::DECIMAL)
        }
        Physical::FIXED_LEN_BYTE_ARRAY => matches!(converted, C::NONE | C::DECIMAL),
    };
    match known {
        true => Ok(()),
        false => Err(format!(
            "the column `{}` is of a type that cannot be read ({} as {converted}); write it as text",
            shortened(path),
            kind.get_physical_type()
        )),
    }
}

fn is_repeated(kind: &Type) -> bool {
    let info = kind.get_basic_info();
    info.has_repetition() && info.repetition() == parquet::basic::Repetition::REPEATED
}

/// A value as JSON. Dates and times become text as ISO 8601 writes them, UUIDs text, JSON text its value, bytes that are no
/// UTF-8 text base16; a decimal becomes a number where it has at most 15 digits, which a number holds exactly, else text. A
/// null inside a group is left out.
fn json(field: &Field, kind: Option<&Type>, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    let info = kind.map(Type::get_basic_info);
    let logical = info.and_then(|info| info.logical_type_ref());
    let below =
        |index: usize| kind.filter(|kind| kind.is_group()).and_then(|kind| kind.get_fields().get(index));
    let real = |value: f64| Number::from_f64(value).map_or(Value::Null, Value::Number);
    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => Value::Bool(*value),
        Field::Byte(value) => Value::from(*value),
        Field::Short(value) => Value::from(*value),
        Field::Int(value) => Value::from(*value),
        Field::Long(value) => match logical {
            Some(LogicalType::Timestamp(stamp)) if stamp.unit == TimeUnit::NANOS => {
                Value::String(timestamp(i128::from(*value), stamp.is_adjusted_to_u_t_c))
            }
            Some(LogicalType::Time(time)) if time.unit == TimeUnit::NANOS => {
                Value::String(time_of_day(i128::from(*value)))
            }
            _ => Value::from(*value),
        },
        Field::UByte(value) => Value::from(*value),
        Field::UShort(value) => Value::from(*value),
        Field::UInt(value) => Value::from(*value),
        Field::ULong(value) => Value::from(*value),
        Field::Float16(value) => real(f64::from(*value)),
        // By way of its shortest decimal form: 0.1 as a float is meant as 0.1.
        Field::Float(value) => real(value.to_string().parse().unwrap_or(f64::from(*value))),
        Field::Double(value) => real(*value),
        Field::Decimal(value) => decimal(value.data(), value.scale()),
        Field::Str(text) => {
            let is_json = info.is_some_and(|info| info.converted_type() == ConvertedType::JSON);
            let parsed = if is_json { serde_json::from_str(text).ok() } else { None };
            parsed.unwrap_or_else(|| Value::String(text.clone()))
        }
        Field::Bytes(bytes) => {
            let bytes = bytes.data();
            match (logical, bytes.len()) {
                (Some(LogicalType::Uuid), 16) => Value::String(uuid(bytes)),
                // Several programs write text without saying that it is text.
                _ => Value::String(std::str::from_utf8(bytes).map_or_else(|_| hex(bytes), str::to_owned)),
            }
        }
        Field::Date(days) => Value::String(date(i64::from(*days))),
        Field::TimeMillis(time) => Value::String(time_of_day(i128::from(*time) * 1_000_000)),
        Field::TimeMicros(time) => Value::String(time_of_day(i128::from(*time) * 1_000)),
        Field::TimestampMillis(stamp) => {
            Value::String(timestamp(i128::from(*stamp) * 1_000_000, is_utc(logical)))
        }
        Field::TimestampMicros(stamp) => {
            Value::String(timestamp(i128::from(*stamp) * 1_000, is_utc(logical)))
        }
        Field::Group(row) => {
            let fields = row.get_column_iter().enumerate();
            let values = fields.map(|(index, (name, field))| {
                (name.clone(), json(field, below(index).map(AsRef::as_ref), depth + 1))
            });
            Value::Object(values.filter(|(_, value)| !value.is_null()).collect())
        }
        Field::ListInternal(list) => {
            let kind = element(kind);
            Value::Array(list.elements().iter().map(|entry| json(entry, kind, depth + 1)).collect())
        }
        Field::MapInternal(map) => {
            let pair = below(0).filter(|pair| pair.is_group());
            let part = |index: usize| pair.and_then(|pair| pair.get_fields().get(index)).map(AsRef::as_ref);
            let entries = map.entries().iter().map(|(key, value)| {
                let key = match json(key, part(0), depth + 1) {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                (key, json(value, part(1), depth + 1))
            });
            Value::Object(entries.collect())
        }
    }
}

/// The type of a list's entries, for the list layouts of the Parquet format (LogicalTypes.md, "Lists").
fn element(kind: Option<&Type>) -> Option<&Type> {
    let kind = kind?;
    let is_list = kind.is_group() && kind.get_basic_info().converted_type() == ConvertedType::LIST;
    if !is_list {
        // A repeated field without a list around it is the type of its own entries.
        return Some(kind);
    }
    let repeated = kind.get_fields().first()?;
    match repeated.is_group() && repeated.get_fields().len() == 1 && !is_legacy(repeated, kind) {
        true => repeated.get_fields().first().map(AsRef::as_ref),
        false => Some(repeated),
    }
}

/// Two older writers' lists whose entries are groups of one field.
fn is_legacy(repeated: &Type, list: &Type) -> bool {
    repeated.name() == "array" || repeated.name() == format!("{}_tuple", list.name())
}

fn is_utc(logical: Option<&LogicalType>) -> bool {
    match logical {
        Some(LogicalType::Timestamp(stamp)) => stamp.is_adjusted_to_u_t_c,
        // The older annotations always meant UTC.
        _ => true,
    }
}

/// The calendar date so many days after 1 January 1970 in the proleptic Gregorian calendar (ISO 8601).
fn date(days: i64) -> String {
    // The era's 400 years are counted from 1 March, so that the leap day ends a year.
    let days = i128::from(days) + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i128::from(month <= 2);
    if year < 0 {
        format!("-{:04}-{month:02}-{day:02}", -year)
    } else {
        format!("{year:04}-{month:02}-{day:02}")
    }
}

/// A time of day from nanoseconds since midnight; fractions only where there are some.
fn time_of_day(nanoseconds: i128) -> String {
    let (seconds, rest) = (nanoseconds.div_euclid(1_000_000_000), nanoseconds.rem_euclid(1_000_000_000));
    let text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if rest == 0 { text } else { format!("{text}.{}", format!("{rest:09}").trim_end_matches('0')) }
}

/// A moment from nanoseconds since 1970 (RFC 3339), without an offset where it is local time.
fn timestamp(nanoseconds: i128, utc: bool) -> String {
    const DAY: i128 = 86_400 * 1_000_000_000;
    let days = i64::try_from(nanoseconds.div_euclid(DAY)).unwrap_or(i64::MAX);
    let zone = if utc { "Z" } else { "" };
    format!("{}T{}{zone}", date(days), time_of_day(nanoseconds.rem_euclid(DAY)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The text form of RFC 9562, section 4.
fn uuid(bytes: &[u8]) -> String {
    let digits = hex(bytes);
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| digits[range].to_owned()).join("-")
}

/// A big-endian two's complement number divided by ten to the power of `scale`.
fn decimal(bytes: &[u8], scale: i32) -> Value {
    // Digits to base 10, least first: each byte multiplies what is there by 256.
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut digits: Vec<u32> = vec![0];
    let mut add = |byte: u32| {
        let mut carry = byte;
        for digit in &mut digits {
            carry += *digit * 256;
            *digit = carry % 10;
            carry /= 10;
        }
        while carry > 0 {
            digits.push(carry % 10);
            carry /= 10;
        }
    };
    // The magnitude of a negative number is its complement plus one.
    let mut carry = u32::from(negative);
    let mut magnitude: Vec<u32> =
        bytes.iter().map(|byte| u32::from(if negative { !byte } else { *byte })).collect();
    for byte in magnitude.iter_mut().rev() {
        carry += *byte;
        *byte = carry & 0xff;
        carry >>= 8;
    }
    add(carry);
    magnitude.into_iter().for_each(add);
    let scale = usize::try_from(scale).unwrap_or(0).min(1000);
    while digits.len() <= scale {
        digits.push(0);
    }
    let text: String = digits.iter().rev().filter_map(|digit| char::from_digit(*digit, 10)).collect();
    let (whole, fraction) = text.split_at(text.len() - scale);
    let whole = whole.trim_start_matches('0');
    let sign = if negative { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    let written = format!("{sign}{}{point}{fraction}", if whole.is_empty() { "0" } else { whole });
    let significant = whole.len() + fraction.len();
    match serde_json::from_str(&written) {
        Ok(number) if significant <= 15 => Value::Number(number),
        _ => Value::String(written),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn dates_and_times_are_written_as_iso_8601_has_them() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (20_468, "2026-01-15"),
            (-719_528, "0000-01-01"),
            (-719_529, "-0001-12-31"),
        ] {
            assert_eq!(date(days), expected, "{days}");
        }
        assert_eq!(time_of_day(3_661_000_000_000), "01:01:01");
        assert_eq!(time_of_day(1_500_000), "00:00:00.0015");
        assert_eq!(timestamp(1_000_000_000, true), "1970-01-01T00:00:01Z");
        assert_eq!(timestamp(-1_000_000, false), "1969-12-31T23:59:59.999");
    }

    #[test]
    fn decimals_keep_their_digits() {
        let big = 123_456_789_012_345_678_i64.to_be_bytes();
        for (bytes, scale, expected) in [
            (&[0x04, 0xe2][..], 2, json!(12.5)),
            (&[0xff], 0, json!(-1)),
            (&[0xff, 0x38], 2, json!(-2.0)),
            (&[], 0, json!(0)),
            (&[0x05], 3, json!(0.005)),
            (&[0x80], 0, json!(-128)),
            (&big, 2, json!("1234567890123456.78")),
        ] {
            let found = decimal(bytes, scale);
            assert_eq!(found.to_string().parse::<f64>().ok(), expected.to_string().parse::<f64>().ok());
            assert_eq!(found.is_string(), expected.is_string(), "{bytes:?}");
            if expected.is_string() {
                assert_eq!(found, expected);
            }
        }
    }
}
