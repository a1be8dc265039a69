//! What comes with `POST /v1/batches`: an audience as the body itself, or as a part of multipart/form-data (RFC 7578) beside the options.

use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use serde_json::Value;

use crate::output::{Format, Output};
use crate::problem::Problem;
use crate::workshop::RowForm;

/// What is made of each row.
#[derive(Clone, Copy, Debug, Default, Deserialize, serde::Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Deliver {
    /// A file.
    #[default]
    Files,
    /// A link; its segments are made when they are first asked for.
    Links,
}

/// What is wanted, as fields of a query or of the part `options`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewBatch {
    pub template: String,
    pub version: Option<String>,
    /// Begins once the forecast is made, without being confirmed.
    #[serde(default)]
    pub start: bool,
    #[serde(default)]
    pub deliver: Deliver,
    #[serde(default)]
    pub format: Format,
    pub rendition: Option<String>,
    /// The column with the viewers' ids.
    pub viewer: Option<String>,
    /// Columns that the result has beside the row's number.
    #[serde(default, deserialize_with = "list")]
    pub columns: Vec<String>,
    /// Seconds that links open.
    pub expires_in: Option<i64>,
    #[serde(default)]
    pub priority: i64,
    pub webhook: Option<String>,
    pub metadata: Option<Value>,
    /// Where the audience is, when the request is JSON and does not bring it.
    pub audience: Option<Referenced>,
}

/// An audience that is elsewhere.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Referenced {
    /// Its `https:` address.
    pub url: String,
    /// Its form; what the answer's media type or the ending of the address says when left out.
    pub form: Option<NamedForm>,
}

/// A form of rows, by name.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamedForm {
    Csv,
    Jsonl,
    Parquet,
}

impl Referenced {
    /// The form of its rows, which came as this media type.
    ///
    /// # Errors
    /// Neither the caller, the type nor the address tells it.
    pub fn form_of(&self, kind: &str) -> Result<RowForm, Problem> {
        let path = self.url.split(['?', '#']).next().unwrap_or_default();
        let found = match self.form {
            Some(NamedForm::Csv) => Some(RowForm::Csv),
            Some(NamedForm::Jsonl) => Some(RowForm::JsonLines),
            Some(NamedForm::Parquet) => Some(RowForm::Parquet),
            None => form_of_type(kind).or_else(|| form_of_name(path)),
        };
        let detail = "say in audience.form whether it is csv, jsonl or parquet; its host does not";
        found.ok_or_else(|| Problem::refused("audience-unknown", detail).field("audience.form"))
    }
}

impl NewBatch {
    /// How each row is written.
    pub fn output(&self) -> Output {
        Output { format: self.format, rendition: self.rendition.clone(), ..Output::default() }
    }
}

/// A list, or its entries separated by commas, as a query has them.
fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Text(String),
        List(Vec<String>),
    }
    match Either::deserialize(from).map_err(|_| D::Error::custom("invalid type: expected a list"))? {
        Either::Text(text) => {
            Ok(text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect())
        }
        Either::List(list) => Ok(list),
    }
}

/// The form of rows with this media type.
fn form_of_type(kind: &str) -> Option<RowForm> {
    match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "text/csv" => Some(RowForm::Csv),
        "application/jsonl" | "application/x-ndjson" | "application/x-jsonlines" => Some(RowForm::JsonLines),
        "application/vnd.apache.parquet" => Some(RowForm::Parquet),
        _ => None,
    }
}

fn form_of_name(name: &str) -> Option<RowForm> {
    match name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
        "csv" => Some(RowForm::Csv),
        "jsonl" | "ndjson" => Some(RowForm::JsonLines),
        "parquet" => Some(RowForm::Parquet),
        _ => None,
    }
}

/// Whether a body of this media type says where the audience is, instead of bringing it.
pub fn is_reference(kind: &str) -> bool {
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// What is wanted of an audience that is elsewhere, and where.
///
/// # Errors
/// A body that does not say it.
pub fn read_reference(body: &[u8]) -> Result<(NewBatch, Referenced), Problem> {
    let mut new: NewBatch = crate::body::json(body)?;
    let missing = || Problem::bad("body-invalid", "missing field `audience`").field("audience");
    let audience = new.audience.take().ok_or_else(missing)?;
    Ok((new, audience))
}

/// Takes an upload apart: what is wanted, and the audience with its form.
///
/// # Errors
/// A body that is neither an audience nor a form with one.
pub fn read(kind: &str, query: &str, body: Bytes) -> Result<(NewBatch, RowForm, Bytes), Problem> {
    let (new, form, audience) = take_apart(kind, query, body)?;
    match new.audience {
        None => Ok((new, form, audience)),
        Some(_) => {
            let detail = "an audience is sent, or named in a JSON body, not both";
            Err(Problem::bad("body-invalid", detail).field("audience"))
        }
    }
}

fn take_apart(kind: &str, query: &str, body: Bytes) -> Result<(NewBatch, RowForm, Bytes), Problem> {
    let unknown = || {
        let detail = "an audience is text/csv, application/jsonl or application/vnd.apache.parquet, a file of multipart/form-data, or named in application/json";
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "audience-unknown", detail)
    };
    if let Some(boundary) = boundary(kind) {
        let parts = parts(&body, &boundary)
            .ok_or_else(|| Problem::bad("body-invalid", "this is no multipart/form-data"))?;
        let part = |name: &str| parts.iter().find(|part| part.name == name);
        let missing = |name: &str| {
            Problem::bad("body-invalid", format!("there is no part `{name}`")).field(name.to_owned())
        };
        let options = part("options").ok_or_else(|| missing("options"))?;
        let audience = part("audience").ok_or_else(|| missing("audience"))?;
        let form = audience.file.as_deref().and_then(form_of_name);
        let form = form
            .or_else(|| form_of_type(audience.kind.as_deref().unwrap_or_default()))
            .ok_or_else(unknown)?;
        let new = crate::body::json(&body[options.from..options.to])?;
        return Ok((new, form, body.slice(audience.from..audience.to)));
    }
    let form = form_of_type(kind).ok_or_else(unknown)?;
    let new = actix_web::web::Query::<NewBatch>::from_query(query).map_err(|_| {
        Problem::bad("query-invalid", "the query has a field that there is not, or lacks one")
    })?;
    Ok((new.into_inner(), form, body))
}

/// One part of a form.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    name: String,
    file: Option<String>,
    kind: Option<String>,
    from: usize,
    to: usize,
}

/// More parts than a form of ours has, but few.
const MOST_PARTS: usize = 16;

fn boundary(kind: &str) -> Option<String> {
    let (kind, rest) = kind.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = parameter(rest, "boundary")?;
    (1..=70).contains(&value.len()).then_some(value)
}

/// A parameter of a header's value, quoted or not.
fn parameter(text: &str, name: &str) -> Option<String> {
    text.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let plain = value.trim().trim_matches('"');
        key.trim().eq_ignore_ascii_case(name).then(|| plain.to_owned())
    })
}

/// The parts of a multipart body (RFC 2046, section 5.1.1); `None` when it is none.
fn parts(body: &[u8], boundary: &str) -> Option<Vec<Part>> {
    let delimiter = format!("--{boundary}");
    let delimiter = delimiter.as_bytes();
    let mut at = find(body, delimiter, 0)?;
    if at != 0 && !body[..at].ends_with(b"\r\n") {
        return None;
    }
    let mut parts = Vec::new();
    loop {
        at += delimiter.len();
        if body[at..].starts_with(b"--") {
            return Some(parts);
        }
        if !body[at..].starts_with(b"\r\n") || parts.len() >= MOST_PARTS {
            return None;
        }
        let head_end = find(body, b"\r\n\r\n", at)?;
        let head = std::str::from_utf8(body.get(at + 2..head_end).unwrap_or_default()).ok()?;
        let from = head_end + 4;
        let ending = [b"\r\n", delimiter].concat();
        let to = find(body, &ending, from)?;
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        let disposition = header("content-disposition")?;
        let name = parameter(disposition, "name")?;
        let file = parameter(disposition, "filename");
        parts.push(Part { name, file, kind: header("content-type").map(str::to_owned), from, to });
        at = to + 2;
    }
}

fn find(body: &[u8], what: &[u8], from: usize) -> Option<usize> {
    let rest = body.get(from..)?;
    let first = *what.first()?;
    let mut at = 0;
    // By the first byte, which is rare enough.
    while let Some(step) = rest.get(at..)?.iter().position(|byte| *byte == first) {
        at += step;
        if rest[at..].starts_with(what) {
            return Some(from + at);
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "--xx\r\nContent-Disposition: form-data; name=\"options\"\r\n\r\n{\"template\":\"hello\",\"columns\":[\"id\"]}\r\n\
        --xx\r\nContent-Disposition: form-data; name=\"audience\"; filename=\"people.CSV\"\r\nContent-Type: text/plain\r\n\r\nname\r\nA\r\n-\r\n\
        --xx--\r\n";

    #[test]
    fn forms_and_bodies_are_taken_apart() {
        let (new, form, audience) =
            read("multipart/form-data; boundary=\"xx\"", "", Bytes::from_static(FORM.as_bytes())).unwrap();
        assert_eq!(
            (new.template.as_str(), new.columns, form),
            ("hello", vec!["id".to_owned()], RowForm::Csv)
        );
        assert_eq!(&audience[..], b"name\r\nA\r\n-");
        let query = "template=hello&start=true&deliver=links&columns=a,b&priority=3";
        let (new, form, _) = read("application/x-ndjson", query, Bytes::new()).unwrap();
        assert!(new.start && new.deliver == Deliver::Links && new.priority == 3);
        assert_eq!((new.columns.len(), form), (2, RowForm::JsonLines));
    }

    #[test]
    fn audiences_elsewhere_are_named() {
        let body =
            br#"{"template":"hello","start":true,"audience":{"url":"https://x.test/a.JSONL?b=c.csv"}}"#;
        let (new, audience) = read_reference(body).unwrap();
        assert!(new.start && new.audience.is_none());
        for (kind, form) in [
            ("", Some(RowForm::JsonLines)),
            ("application/octet-stream", Some(RowForm::JsonLines)),
            ("text/csv; charset=utf-8", Some(RowForm::Csv)),
        ] {
            assert_eq!(audience.form_of(kind).ok(), form, "{kind}");
        }
        let named = Referenced { url: "https://x.test/a.csv".into(), form: Some(NamedForm::Parquet) };
        assert_eq!(named.form_of("text/csv").ok(), Some(RowForm::Parquet));
        assert!(Referenced { url: "https://x.test/a".into(), form: None }.form_of("text/html").is_err());
        for wrong in [
            r#"{"template":"hello"}"#,
            r#"{"template":"hello","audience":"https://x.test/a.csv"}"#,
            r#"{"template":"hello","audience":{"url":"https://x.test/a.csv","path":"/etc/passwd"}}"#,
            r#"{"template":"hello","audience":{"url":"https://x.test/a.csv","form":"xml"}}"#,
        ] {
            assert!(read_reference(wrong.as_bytes()).is_err(), "{wrong}");
        }
        let both = FORM.replace("\"columns\":[\"id\"]", "\"audience\":{\"url\":\"https://x.test/a.csv\"}");
        let both = Bytes::copy_from_slice(both.as_bytes());
        assert!(read("multipart/form-data; boundary=xx", "", both).is_err());
        assert!(is_reference("application/json; charset=utf-8") && !is_reference("application/jsonl"));
    }

    #[test]
    fn what_is_no_upload_is_refused() {
        let body = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        for (kind, query, text) in [
            ("", "template=x", ""),
            ("application/zip", "template=x", ""),
            ("text/csv", "", ""),
            ("text/csv", "template=x&evil=1", ""),
            ("text/csv", "template=x&start=maybe", ""),
            ("multipart/form-data", "", FORM),
            ("multipart/form-data; boundary=yy", "", FORM),
            ("multipart/form-data; boundary=xx", "", &FORM[..FORM.len() - 8]),
            ("multipart/form-data; boundary=xx", "", &FORM.replace("audience", "people")),
            ("multipart/form-data; boundary=xx", "", &FORM.replace("template", "tmplate")),
            ("multipart/form-data; boundary=xx", "", &FORM.replace(".CSV", ".zip")),
            ("multipart/form-data; boundary=xx", "", "--xx"),
            ("multipart/form-data; boundary=xx", "", "--xx\r\n\r\n\r\n--xx--"),
        ] {
            assert!(read(kind, query, body(text)).is_err(), "{kind} {query} {text}");
        }
        for cut in 0..FORM.len() - 6 {
            assert!(
                read("multipart/form-data; boundary=xx", "", body(&FORM[..cut])).is_err(),
                "cut at {cut}"
            );
        }
    }
}
