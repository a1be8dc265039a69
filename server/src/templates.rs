//! Templates by HTTP: uploaded as zip or form, checked, kept as immutable versions, published and rolled back.

use std::borrow::Cow;
use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::{Component, Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_multipart::Multipart;
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::web::{self, Bytes, BytesMut, Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::{Scope, caller};
use crate::catalog::{Version, is_name};
use crate::problem::{Problem, faults};
use crate::secrets::random_name;
use crate::{body, clock};

/// Files of one package.
const MOST_FILES: usize = 500;
/// Folders within folders.
const DEEPEST: usize = 6;

/// `GET /v1/templates`.
///
/// # Errors
/// A caller who may not read.
pub async fn list(app: Data<Arc<App>>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Read).await?;
    let state = app.clone();
    let own = web::block(move || state.records.templates(&caller.tenant)).await??;
    let mut told: Vec<Value> = own
        .iter()
        .map(|(name, version)| json!({ "name": name, "published": version.to_string(), "gallery": false }))
        .collect();
    let shared = app.catalog.gallery().filter(|known| !own.iter().any(|(name, _)| *name == known.name));
    told.extend(
        shared.map(|known| json!({ "name": known.name, "published": known.version, "gallery": true })),
    );
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(json!({ "templates": told })))
}

/// Which version is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    version: Option<String>,
}

/// `GET /v1/templates/{name}`: the schema of its data, its renditions and versions.
///
/// # Errors
/// `404` when there is none.
pub async fn get(
    app: Data<Arc<App>>,
    request: HttpRequest,
    name: Path<String>,
    which: web::Query<Which>,
) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Read).await?;
    let (state, name, version) = (app.clone(), name.into_inner(), which.into_inner().version);
    let told = web::block(move || {
        let found = state.catalog.get(&caller.tenant, &name, version.as_deref())?;
        let versions = state.records.versions(&caller.tenant, &name)?;
        let mut told = describe(&found, &versions);
        told["retention_days"] = json!(state.ledger.retention(&caller.tenant, &name).0);
        Ok::<_, Problem>(told)
    });
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(told.await??))
}

fn describe(found: &Version, versions: &[(i64, String, i64)]) -> Value {
    let renditions: Vec<Value> = found
        .opened
        .renditions()
        .into_iter()
        .map(|(name, width, height)| json!({ "name": name, "width": width, "height": height }))
        .collect();
    let versions: Vec<Value> = versions
        .iter()
        .map(|(version, digest, created)| {
            json!({ "version": version.to_string(), "digest": digest, "created": clock::stamp(*created) })
        })
        .collect();
    json!({
        "name": found.name,
        "version": found.version,
        "gallery": found.gallery,
        "data_schema": found.opened.data_schema(),
        "renditions": renditions,
        "versions": versions,
    })
}

/// `POST /v1/templates/{name}`: uploads a package as zip, or as `multipart/form-data` with a part for each file, named by its path. The same
/// package again is the same version.
///
/// # Errors
/// A package that is damaged or beyond the bounds; `422` with every fault of the template.
pub async fn upload(
    app: Data<Arc<App>>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Manage).await?;
    let name = name.into_inner();
    if !is_name(&name) {
        let detail = "a template's name has 1 to 64 small letters, digits, `-` and `_`";
        return Err(Problem::refused("name-invalid", detail).field("name"));
    }
    let limits = &app.config.limits;
    let bytes = body::read(payload, limits.upload_bytes, Duration::from_secs(limits.body_seconds)).await?;
    let package = packed(request.headers(), bytes).await?;
    let state = app.clone();
    let made = web::block(move || keep(&state, &caller.tenant, &name, &package)).await??;
    let (found, warnings, fresh) = made;
    let location = format!("/v1/templates/{}?version={}", found.name, found.version);
    let mut told = describe(&found, &[]);
    told["warnings"] = warnings;
    let status = if fresh { StatusCode::CREATED } else { StatusCode::OK };
    Ok(HttpResponse::build(status).insert_header(("location", location)).json(told))
}

/// A folder that is removed unless it was moved away.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Moved away, or in the way of nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A package as it was sent.
enum Packed {
    Zip(Bytes),
    /// Names and contents, in their order.
    Parts(Vec<(String, Bytes)>),
}

/// Takes a body apart, by its type.
///
/// # Errors
/// A form (RFC 7578) that is damaged, or has a part without a name.
async fn packed(headers: &HeaderMap, body: Bytes) -> Result<Packed, Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.trim_start().to_ascii_lowercase().starts_with("multipart/form-data") {
        return Ok(Packed::Zip(body));
    }
    let damaged = || Problem::refused("package-invalid", "the form is damaged, or its boundary is missing");
    let whole = stream::iter([Ok::<_, PayloadError>(body)]);
    let mut form = Multipart::new(headers, whole);
    let mut parts = Vec::new();
    while let Some(part) = form.next().await {
        let mut part = part.map_err(|_| damaged())?;
        let name = part.name().filter(|name| !name.is_empty()).map(str::to_owned).ok_or_else(|| {
            Problem::refused(
                "package-invalid",
                "a part's name is its file's path in the package; one has none",
            )
        })?;
        if parts.len() >= MOST_FILES {
            return Err(too_many());
        }
        let mut bytes = BytesMut::new();
        while let Some(piece) = part.next().await {
            bytes.extend_from_slice(&piece.map_err(|_| damaged())?);
        }
        parts.push((name, bytes.freeze()));
    }
    Ok(Packed::Parts(parts))
}

fn refused(why: impl Into<Cow<'static, str>>) -> Problem {
    Problem::refused("package-invalid", why)
}

fn too_many() -> Problem {
    refused(format!("a package has at most {MOST_FILES} files"))
}

fn keep(app: &App, tenant: &str, name: &str, package: &Packed) -> Result<(Version, Value, bool), Problem> {
    let failed = |what: &str, error: &std::io::Error| Problem::internal(&format!("{what}: {}", error.kind()));
    let unique = random_name().map_err(|_| Problem::internal("no randomness"))?;
    let folder = Temporary(app.catalog.folder().join(format!(".upload-{unique}")));
    fs::create_dir_all(&folder.0).map_err(|error| failed("an upload's folder", &error))?;
    let mut unpacked = Unpacked { folder: &folder.0, files: 0, left: app.config.limits.unpacked_bytes };
    match package {
        Packed::Zip(zip) => unpacked.zip(zip)?,
        Packed::Parts(parts) => {
            for (name, bytes) in parts {
                unpacked.file(name, None, &mut bytes.as_ref())?;
            }
        }
    }
    let workshop = app.catalog.workshop();
    workshop.inspect(&folder.0)?;
    let opened = workshop.open(&folder.0)?;
    let digest = opened.value.version()?.to_string();
    drop(opened.value);
    let warnings = faults(&opened.warnings);
    if let Some(version) = app.records.version_of(tenant, name, &digest)? {
        let found = app.catalog.get(tenant, name, Some(&version.to_string()))?;
        return Ok((found, warnings, false));
    }
    let version = app.records.add_version(tenant, name, &digest, |version| {
        let place = app.catalog.folder_of(tenant, name, version);
        let parent = place.parent().unwrap_or(FilePath::new("."));
        fs::create_dir_all(parent).map_err(|error| failed("a template's folder", &error))?;
        // Left by a process that ended before its version was known.
        let _ = fs::remove_dir_all(&place);
        fs::rename(&folder.0, &place).map_err(|error| failed("a template's folder", &error))
    })?;
    app.catalog.uploaded(tenant, name);
    Ok((app.catalog.get(tenant, name, Some(&version.to_string()))?, warnings, true))
}

/// A package that comes out of its packing into a folder: plain files alone, with names that stay inside, within bounds that count what
/// comes out.
struct Unpacked<'a> {
    folder: &'a FilePath,
    files: usize,
    /// Bytes that may still come.
    left: u64,
}

impl Unpacked<'_> {
    /// # Errors
    /// What is wrong with it, as a problem that names the file by its number.
    fn zip(&mut self, zip: &[u8]) -> Result<(), Problem> {
        let damaged = || refused("this is no zip file, or it is damaged");
        let mut archive = zip::ZipArchive::new(Cursor::new(zip)).map_err(|_| damaged())?;
        if archive.len() > MOST_FILES {
            return Err(too_many());
        }
        // A package that was packed with its folder around it is taken out of it.
        let root = common_root(&archive);
        for number in 0..archive.len() {
            let mut entry = archive.by_index(number).map_err(|_| damaged())?;
            if entry.is_dir() {
                continue;
            }
            let at = |why: &str| refused(format!("file {}: {why}", number + 1));
            if entry.is_symlink()
                || entry
                    .unix_mode()
                    .is_some_and(|mode| mode & 0o170_000 != 0o100_000 && mode & 0o170_000 != 0)
            {
                return Err(at("only plain files are taken"));
            }
            if entry.encrypted() {
                return Err(at("it is encrypted"));
            }
            let name = entry.name().map_err(|_| damaged())?.into_owned();
            self.file(&name, root.as_deref(), &mut entry)?;
        }
        Ok(())
    }

    /// Writes a file; a name in the folder `root` is taken out of it.
    ///
    /// # Errors
    /// What is wrong with it, as a problem that names the file by its number.
    fn file(&mut self, name: &str, root: Option<&FilePath>, bytes: &mut dyn Read) -> Result<(), Problem> {
        self.files += 1;
        let at = |why: &str| refused(format!("file {}: {why}", self.files));
        let path = inner(name).ok_or_else(|| at("its name leads out of the package, or is no plain name"))?;
        let path = root.and_then(|root| path.strip_prefix(root).ok()).unwrap_or(&path);
        let target = self.folder.join(path);
        let parent = target.parent().unwrap_or(self.folder);
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::StorageFull => Problem::busy(),
            kind => Problem::internal(&format!("an upload cannot be written: {kind}")),
        };
        fs::create_dir_all(parent).map_err(|_| at("its name is a folder's, too"))?;
        let mut file = fs::File::create_new(&target).map_err(|_| at("its name is taken by another file"))?;
        // What an archive says of sizes is not believed.
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = bytes.read(&mut buffer).map_err(|_| at("it is damaged"))?;
            if count == 0 {
                return Ok(());
            }
            self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
                let detail = "the files come to more than this service takes";
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "package-too-large", detail)
            })?;
            file.write_all(&buffer[..count]).map_err(failed)?;
        }
    }
}

/// The one folder that all files are in, if `template.yaml` is directly in it and not at the top.
fn common_root(archive: &zip::ZipArchive<Cursor<&[u8]>>) -> Option<PathBuf> {
    let names: Vec<String> =
        archive.file_names().map(|name| Some(name.ok()?.into_owned())).collect::<Option<_>>()?;
    let names: Vec<&String> = names.iter().filter(|name| !name.ends_with('/')).collect();
    let first = names.first()?.split_once('/')?.0;
    let within = |name: &&String| name.split_once('/').is_some_and(|(root, _)| root == first);
    let top = format!("{first}/template.yaml");
    (names.iter().all(within) && names.contains(&&top)).then(|| PathBuf::from(first))
}

/// A name as a path that stays inside: no root, no `..`, no signs that mean something elsewhere.
fn inner(name: &str) -> Option<PathBuf> {
    let plain =
        name.len() <= 255 && !name.chars().any(|sign| sign.is_control() || "\\:*?\"<>|".contains(sign));
    let path = FilePath::new(name);
    let parts: Vec<Component<'_>> = path.components().collect();
    let inside = parts.iter().all(|part| matches!(part, Component::Normal(_)));
    (plain && inside && (1..=DEEPEST).contains(&parts.len())).then(|| path.to_owned())
}

/// `PUT /v1/templates/{name}/published`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Publish {
    version: String,
}

/// `PUT /v1/templates/{name}/published`: publishes a version, or rolls back to one.
///
/// # Errors
/// `404` when there is no such version.
pub async fn publish(
    app: Data<Arc<App>>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Manage).await?;
    let wanted: Publish = body::read_json(&app.config.limits, payload).await?;
    let missing = || Problem::missing("template-unknown", "there is no such template or version");
    let number: i64 = wanted.version.parse().map_err(|_| missing())?;
    let (state, name) = (app.clone(), name.into_inner());
    let told = name.clone();
    if !web::block(move || state.records.publish(&caller.tenant, &name, number)).await?? {
        return Err(missing());
    }
    Ok(HttpResponse::Ok().json(json!({ "name": told, "published": wanted.version })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use zip::write::SimpleFileOptions;

    type Written<'a> = (&'a str, &'a [u8], u32);

    fn unpack(zip: &[u8], folder: &FilePath, most: u64) -> Result<(), Problem> {
        Unpacked { folder, files: 0, left: most }.zip(zip)
    }

    fn pack(files: &[Written<'_>]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes, mode) in files {
            let options = SimpleFileOptions::default().unix_permissions(*mode);
            writer.start_file(*name, options).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn plain_packages_are_unpacked() {
        for prefix in ["", "mine/"] {
            let folder = tempfile::tempdir().unwrap();
            let (one, two) = (format!("{prefix}template.yaml"), format!("{prefix}assets/a.png"));
            let zip = pack(&[(&one, b"x", 0o644), (&two, b"y", 0o644)]);
            unpack(&zip, folder.path(), 100).unwrap();
            assert_eq!(fs::read(folder.path().join("template.yaml")).unwrap(), b"x");
            assert_eq!(fs::read(folder.path().join("assets/a.png")).unwrap(), b"y");
        }
    }

    #[test]
    fn hostile_packages_are_refused() {
        let bomb = vec![0; 1 << 20];
        let many: Vec<String> = (0..=MOST_FILES).map(|number| format!("f{number}")).collect();
        let many: Vec<Written<'_>> = many.iter().map(|name| (name.as_str(), &b""[..], 0o644)).collect();
        for (what, zip) in [
            ("no zip", b"PK nonsense".to_vec()),
            ("outside", pack(&[("../evil", b"x", 0o644)])),
            ("outside later", pack(&[("a/../../evil", b"x", 0o644)])),
            ("absolute", pack(&[("/etc/evil", b"x", 0o644)])),
            ("backslashes", pack(&[("..\\evil", b"x", 0o644)])),
            ("too deep", pack(&[("a/b/c/d/e/f/g", b"x", 0o644)])),
            ("bomb", pack(&[("zeros", &bomb, 0o644)])),
            ("file and folder", pack(&[("a", b"x", 0o644), ("a/b", b"x", 0o644)])),
            ("too many", pack(&many)),
            ("cut short", {
                let mut zip = pack(&[("a", b"x", 0o644)]);
                zip.truncate(zip.len() - 10);
                zip
            }),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let inside = folder.path().join("inside");
            fs::create_dir(&inside).unwrap();
            assert!(unpack(&zip, &inside, 100_000).is_err(), "{what}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{what}: nothing outside");
        }
        // A symbolic link, which the writer has a way of its own for.
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        writer.add_symlink("link", "/etc/passwd", SimpleFileOptions::default()).unwrap();
        let zip = writer.finish().unwrap().into_inner();
        let folder = tempfile::tempdir().unwrap();
        assert!(unpack(&zip, folder.path(), 100_000).is_err());
    }
}
