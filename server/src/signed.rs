//! Render by URL: `GET /r/{template}.{mp4,webm,gif,webp,jpg,png}?field=value&…&k=&x=&sig=`, for pictures in mail and in ads.
//!
//! The signature is HMAC-SHA256 (RFC 2104) in base64url without padding over
//!
//! ```text
//! /r/offer.gif?first=value&second=value
//! ```
//!
//! the path and all fields but `sig`, sorted by name and then by value, names and values percent-encoded but for the unreserved signs
//! of RFC 3986 (section 2.3). `k` names the key and `x` says when the address ends, in seconds since 1970; `w` is a width and `at` the
//! moment of a still; `d` holds data sealed. All other fields are the viewer's data, each read as the type that the template gives it.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{self, Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use crate::app::{App, Wish};
use crate::auth::{Scope, caller};
use crate::database::{OptionalExtension, params};
use crate::output::{self, Format, Output};
use crate::permits::Class;
use crate::problem::{Problem, faults};
use crate::records::Records;
use crate::secrets::{Purpose, random_name};
use crate::uses::{Record, ViewerId};
use crate::{body, catalog, clock, erase, files, jobs, links, watch};

/// Fields of an address that are not the viewer's data.
const OWN: [&str; 6] = ["k", "x", "d", "w", "at", "sig"];
/// The longest query.
const LONGEST: usize = 2000;
/// The most fields.
const MOST_FIELDS: usize = 40;
/// Days that the key before the last still signs, unless told.
const OVERLAP_DAYS: u32 = 30;

impl Records {
    /// A tenant's keys that sign, newest first, with when they end.
    fn signing_keys(&self, tenant: &str) -> Result<Vec<(String, Option<i64>)>, Problem> {
        let connection = self.lock();
        Ok(connection.query_map("SELECT id, ends FROM signing_keys WHERE tenant = ?1 AND (ends IS NULL OR ends > ?2) ORDER BY ends IS NULL DESC, created DESC LIMIT 50", params![tenant, clock::now_millis()], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }

    /// Makes another key, and ends those before it in `overlap` milliseconds.
    fn add_signing_key(&self, id: &str, tenant: &str, overlap: i64) -> Result<(), Problem> {
        let now = clock::now_millis();
        let mut connection = self.lock();
        let change = connection.transaction()?;
        let end = "UPDATE signing_keys SET ends = ?2 WHERE tenant = ?1 AND (ends IS NULL OR ends > ?2)";
        change.execute(end, params![tenant, now + overlap])?;
        change.execute(
            "INSERT INTO signing_keys (id, tenant, created) VALUES (?1, ?2, ?3)",
            params![id, tenant, now],
        )?;
        change.commit()?;
        Ok(())
    }

    /// Whose key this is, if it still signs.
    fn signer(&self, id: &str) -> Result<Option<String>, Problem> {
        let query = "SELECT tenant FROM signing_keys WHERE id = ?1 AND (ends IS NULL OR ends > ?2)";
        Ok(self.lock().query_row(query, params![id, clock::now_millis()], |row| row.get(0)).optional()?)
    }
}

/// The secret of a key; it is nowhere but here.
fn secret(app: &App, id: &str) -> [u8; 32] {
    app.secrets.name("signing key", &[id.as_bytes()])
}

/// The key that signs now, made when there is none.
fn current_key(app: &App, tenant: &str) -> Result<String, Problem> {
    if let Some((id, _)) = app.records.signing_keys(tenant)?.into_iter().find(|(_, ends)| ends.is_none()) {
        return Ok(id);
    }
    let id = random_name().map_err(|_| Problem::internal("no randomness"))?[..16].to_owned();
    app.records.add_signing_key(&id, tenant, i64::from(OVERLAP_DAYS) * 86_400_000)?;
    Ok(id)
}

fn mac(secret: &[u8; 32], path: &str, fields: &[(String, String)]) -> Option<Hmac<Sha256>> {
    let mut sorted: Vec<&(String, String)> = fields.iter().filter(|(name, _)| name != "sig").collect();
    sorted.sort();
    let pairs: Vec<String> =
        sorted.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    mac.update(format!("{path}?{}", pairs.join("&")).as_bytes());
    Some(mac)
}

/// Percent-encoded but for unreserved signs (RFC 3986, section 2.3).
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The fields of a query, decoded; `None` when it holds anything else, or a field twice.
fn fields(query: &str) -> Option<Vec<(String, String)>> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (decoded(name)?, decoded(value)?);
        if fields.len() >= MOST_FIELDS || fields.iter().any(|(known, _)| *known == name) {
            return None;
        }
        fields.push((name, value));
    }
    Some(fields)
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            b'+' => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// What `d` holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    /// The viewer's data.
    d: Value,
    /// The tenant, so that it opens under this tenant's keys alone.
    n: String,
    /// When it was made.
    c: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    v: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r: Option<String>,
    /// The viewer, and how often she had been erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    u: Option<(ViewerId, u32)>,
}

/// Whether a schema marks a value, or anything in it, as personal.
fn is_personal(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            fields.get("x-pii").is_some_and(|mark| mark != &Value::Bool(false))
                || fields.values().any(is_personal)
        }
        Value::Array(list) => list.iter().any(is_personal),
        _ => false,
    }
}

/// The fields of data that are personal by the template's schema.
fn personal_fields<'a>(schema: &Value, names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let of = |name: &str| is_personal(&schema["properties"][name]);
    names.filter(|name| of(name)).cloned().collect()
}

fn refused(status: StatusCode, code: &'static str, detail: &'static str) -> Problem {
    Problem::new(status, code, detail)
}

/// `GET /r/{file}`.
///
/// # Errors
/// An address that was not signed here, was changed or has ended; personal fields in the open; what filling says.
pub async fn get(
    app: Data<Arc<App>>,
    request: HttpRequest,
    file: Path<String>,
) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    let unknown = || Problem::missing("path-unknown", "there is nothing at this path; see /docs");
    let (name, ending) = file.rsplit_once('.').ok_or_else(unknown)?;
    let format = Format::of_ending(ending).ok_or_else(unknown)?;
    if !catalog::is_name(name) {
        return Err(unknown());
    }
    let query = request.query_string();
    if query.len() > LONGEST {
        return Err(Problem::new(StatusCode::URI_TOO_LONG, "query-too-long", "send long data by a link"));
    }
    let invalid =
        || Problem::bad("query-invalid", "each field stands once in the query, percent-encoded UTF-8");
    let fields = fields(query).ok_or_else(invalid)?;
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let wrong = || {
        refused(
            StatusCode::FORBIDDEN,
            "signature-invalid",
            "this address was not signed here, or was changed",
        )
    };
    let (Some(key), Some(given)) = (field("k"), field("sig")) else { return Err(wrong()) };
    let (state, id) = (app.clone(), key.to_owned());
    let tenant = web::block(move || state.records.signer(&id)).await??.ok_or_else(wrong)?;
    let given = URL_SAFE_NO_PAD.decode(given).map_err(|_| wrong())?;
    let mac = mac(&secret(app, key), &format!("/r/{name}.{ending}"), &fields).ok_or_else(wrong)?;
    mac.verify_slice(&given).map_err(|_| wrong())?;
    // Signed from here on, so that what follows was said by the tenant.
    let ends = field("x").and_then(|text| text.parse::<i64>().ok());
    let ends =
        ends.ok_or_else(|| Problem::refused("expiry-invalid", "`x` says when the address ends").field("x"))?;
    let left = ends - clock::now();
    if left <= 0 {
        return Err(refused(StatusCode::GONE, "signature-expired", "this address has ended"));
    }
    let number = |name: &'static str| match field(name).map(str::parse::<u32>) {
        None => Ok(None),
        Some(Ok(number)) => Ok(Some(number)),
        Some(Err(_)) => Err(Problem::refused("output-invalid", "expected a whole number").field(name)),
    };
    let mut output =
        Output { format, width: number("w")?, at: field("at").map(str::to_owned), ..Output::default() };
    output.check()?;
    let open: Vec<(String, String)> =
        fields.iter().filter(|(name, _)| !OWN.contains(&name.as_str())).cloned().collect();
    let sealed = match field("d") {
        None => None,
        Some(text) => {
            let text = app.secrets.open_text(Purpose::Link, text).map_err(|_| wrong())?;
            let sealed: Sealed = serde_json::from_slice(&text).map_err(|_| wrong())?;
            Some(sealed).filter(|sealed| sealed.n == tenant).map(Some).ok_or_else(wrong)?
        }
    };
    let (version, viewer) = sealed.as_ref().map_or((None, None), |sealed| (sealed.v.clone(), sealed.u));
    output.rendition = sealed.as_ref().and_then(|sealed| sealed.r.clone());
    let personal = sealed.is_some();
    let base = match sealed {
        Some(sealed) => {
            erase::may_open(app, &tenant, name, viewer, sealed.c)?;
            sealed.d
        }
        None => Value::Object(Map::new()),
    };
    let (state, owner, template, asked) = (app.clone(), tenant.clone(), name.to_owned(), version.clone());
    let data = web::block(move || {
        let found = state.catalog.get(&owner, &template, asked.as_deref())?;
        let hidden = personal_fields(found.opened.data_schema(), open.iter().map(|(name, _)| name));
        if let Some(name) = hidden.into_iter().next() {
            let detail = "this field is personal (x-pii), so it does not stand in a URL in the open; let POST /v1/signatures seal it";
            return Err(Problem::refused("field-personal", detail).field(name));
        }
        Ok(found.opened.assigned(base, &open))
    });
    let wish = Wish {
        tenant: tenant.clone(),
        template: name.to_owned(),
        version,
        rendition: output.rendition.clone(),
        data: data.await??,
        viewer: viewer.map(|(viewer, _)| viewer),
    };
    let viewing = app.viewing(wish).await?;
    let file = output.file_name(&viewing).ok_or_else(|| Problem::internal("a video without a size"))?;
    let is_there = app.artefacts.find(&file).await?.is_some();
    if !is_there {
        let uses = jobs::uses_of(&viewing, &output).await?;
        let (state, template) = (app.clone(), name.to_owned());
        let noted = web::block(move || {
            let viewer = viewer.map(|(viewer, _)| viewer);
            state.records.note(&Record { tenant: &tenant, template: &template, viewer, uses: &uses })
        });
        noted.await??;
        if format != Format::Mp4 {
            watch::in_time(output::make(app, &viewing, &output, Class::now())).await?;
        }
    }
    let mut response = match format {
        // In fragments while it is made.
        Format::Mp4 => watch::video(app, &request, viewing).await?,
        _ => files::serve(app, &request, &file).await?.ok_or_else(Problem::busy)?,
    };
    // What is sent while it is made may break off, so nobody keeps it.
    if is_there || format != Format::Mp4 {
        let reach = if personal { "private" } else { "public" };
        if let Ok(value) = format!("{reach}, max-age={}", left.min(86_400)).parse() {
            response.headers_mut().insert(CACHE_CONTROL, value);
        }
    }
    Ok(response)
}

/// `POST /v1/signatures`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSignature {
    template: String,
    version: Option<String>,
    data: Value,
    #[serde(default)]
    output: Output,
    viewer: Option<String>,
    /// Seconds from now.
    expires_in: Option<i64>,
    /// Seals the data although nothing in them is personal.
    #[serde(default)]
    seal: bool,
}

/// `POST /v1/signatures`: signs an address. Data with personal fields, a version, a rendition or a viewer are sealed in it.
///
/// # Errors
/// A body, template or data that are wrong; data that are too long for a URL.
pub async fn create(
    app: Data<Arc<App>>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    const LASTS: i64 = 365 * 86_400;
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Render).await?;
    let new: NewSignature = body::read_json(&app.config.limits, payload).await?;
    new.expires_in.map(links::check_lasts).transpose()?;
    new.output.check()?;
    if new.output.format == Format::Hls || new.output.max_bytes.is_some() {
        let detail = "a signed address gives mp4, webm, gif, webp, jpg or png, without a bound on bytes";
        return Err(Problem::refused("output-invalid", detail).field("output"));
    }
    let viewer = new.viewer.as_deref().map(|id| erase::viewer_id(app, &caller.tenant, id)).transpose()?;
    let wish = Wish {
        tenant: caller.tenant.clone(),
        template: new.template.clone(),
        version: new.version.clone(),
        rendition: new.output.rendition.clone(),
        data: new.data.clone(),
        viewer,
    };
    // Filled now, so that whoever signs it hears of what is wrong, not the viewer.
    let viewing = app.viewing(wish).await?;
    let (state, tenant) = (app.clone(), caller.tenant.clone());
    let key = web::block(move || current_key(&state, &tenant)).await??;
    let ends = clock::now() + new.expires_in.unwrap_or(LASTS);
    let Value::Object(data) = &new.data else {
        return Err(Problem::refused("invalid", "data are an object").field("data"));
    };
    let plain: BTreeMap<String, String> =
        data.iter().filter_map(|(name, value)| Some((name.clone(), plain(value)?))).collect();
    let personal = !personal_fields(viewing.template.data_schema(), data.keys()).is_empty();
    let sealed = personal
        || new.seal
        || viewer.is_some()
        || new.version.is_some()
        || new.output.rendition.is_some()
        || plain.len() < data.len()
        || data.keys().any(|name| OWN.contains(&name.as_str()));
    let mut fields: Vec<(String, String)> = Vec::new();
    if sealed {
        let sealed = Sealed {
            d: new.data.clone(),
            n: caller.tenant.clone(),
            c: clock::now(),
            v: new.version,
            r: new.output.rendition,
            u: viewer.map(|viewer| (viewer, app.ledger.erasures(&viewer))),
        };
        let text =
            serde_json::to_vec(&sealed).map_err(|_| Problem::internal("an address cannot be written"))?;
        let text = app.secrets.seal_text(Purpose::Link, &text);
        fields.push(("d".into(), text.map_err(|why| Problem::refused("data-too-long", why).field("data"))?));
    } else {
        fields.extend(plain);
    }
    fields.extend(new.output.width.map(|width| ("w".to_owned(), width.to_string())));
    fields.extend(new.output.at.map(|at| ("at".to_owned(), at)));
    fields.push(("k".into(), key.clone()));
    fields.push(("x".into(), ends.to_string()));
    let path = format!("/r/{}.{}", new.template, new.output.format.ending());
    let mac = mac(&secret(app, &key), &path, &fields).ok_or_else(|| Problem::internal("signing failed"))?;
    fields.push(("sig".into(), URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())));
    let query: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    let query = query.join("&");
    if query.len() > LONGEST || fields.len() > MOST_FIELDS {
        let detail = format!("a signed address has at most {LONGEST} signs behind `?`; make a link instead");
        return Err(Problem::refused("data-too-long", detail).field("data"));
    }
    Ok(HttpResponse::Created().insert_header(("cache-control", "no-store")).json(json!({
        "url": format!("{}{path}?{query}", app.base(&request)),
        "expires": clock::stamp(ends * 1000),
        "sealed": sealed,
        "warnings": faults(&viewing.warnings),
    })))
}

/// A value as a field of a query has it.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// `GET /v1/signing-key`: the key that signs, for those who sign by themselves.
///
/// # Errors
/// A caller who may not manage.
pub async fn tell_key(app: Data<Arc<App>>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Manage).await?;
    let state = app.clone();
    let told = web::block(move || {
        let id = current_key(&state, &caller.tenant)?;
        let others = state.records.signing_keys(&caller.tenant)?.into_iter();
        let others = others.filter_map(|(id, ends)| Some(json!({ "id": id, "ends": clock::stamp(ends?) })));
        let secret = URL_SAFE_NO_PAD.encode(secret(&state, &id));
        Ok::<_, Problem>(json!({ "id": id, "secret": secret, "ending": others.collect::<Vec<_>>() }))
    });
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(told.await??))
}

/// `POST /v1/signing-key`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// Days that addresses signed with the keys before still open; 0 ends them at once.
    #[serde(default = "overlap")]
    overlap_days: u32,
}

fn overlap() -> u32 {
    OVERLAP_DAYS
}

/// `POST /v1/signing-key`: makes another key sign from now on.
///
/// # Errors
/// A caller who may not manage; an overlap of more than 730 days.
pub async fn rotate(
    app: Data<Arc<App>>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Manage).await?;
    let Rotation { overlap_days } = body::read_json(&app.config.limits, payload).await?;
    if overlap_days > 730 {
        return Err(Problem::refused("overlap-invalid", "0 to 730 days").field("overlap_days"));
    }
    let id = random_name().map_err(|_| Problem::internal("no randomness"))?[..16].to_owned();
    let state = app.clone();
    let told = web::block(move || {
        state.records.add_signing_key(&id, &caller.tenant, i64::from(overlap_days) * 86_400_000)?;
        Ok::<_, Problem>(json!({ "id": id, "secret": URL_SAFE_NO_PAD.encode(secret(&state, &id)) }))
    });
    Ok(HttpResponse::Created().insert_header(("cache-control", "no-store")).json(told.await??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_strictly() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (query, expected) in [
            ("", Some(vec![])),
            ("a=1&b=x%20y", Some(vec![pair("a", "1"), pair("b", "x y")])),
            ("a=x+y", Some(vec![pair("a", "x y")])),
            ("a=%C3%A9", Some(vec![pair("a", "é")])),
            ("a==", Some(vec![pair("a", "=")])),
            ("a=1&a=2", None),
            ("a", None),
            ("a=%", None),
            ("a=%4", None),
            ("a=%zz", None),
            ("a=%+1", None),
            ("a=%ff", None),
        ] {
            assert_eq!(fields(query), expected, "{query}");
        }
        let many: Vec<String> = (0..=MOST_FIELDS).map(|number| format!("f{number}=1")).collect();
        assert_eq!(fields(&many.join("&")), None);
        assert_eq!(encoded("a b/é~"), "a%20b%2F%C3%A9~");
    }

    #[test]
    fn the_signature_is_over_path_and_sorted_fields() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let fields = [pair("x", "9"), pair("b", "1"), pair("a", "x y"), pair("k", "id"), pair("sig", "?")];
        let made = mac(&[0; 32], "/r/offer.gif", &fields).unwrap().finalize().into_bytes();
        let mut by_hand = Hmac::<Sha256>::new_from_slice(&[0; 32]).unwrap();
        by_hand.update(b"/r/offer.gif?a=x%20y&b=1&k=id&x=9");
        assert_eq!(made, by_hand.finalize().into_bytes());
    }

    #[test]
    fn personal_fields_are_found_wherever_they_are_marked() {
        let schema = json!({ "properties": {
            "name": { "type": "string", "x-pii": true },
            "plan": { "type": "string" },
            "shown": { "type": "string", "x-pii": false },
            "address": { "type": "object", "properties": { "street": { "x-pii": true } } },
        } });
        let names: Vec<String> = ["name", "plan", "shown", "address", "other"].map(str::to_owned).to_vec();
        assert_eq!(personal_fields(&schema, names.iter()), ["name", "address"]);
    }
}
