//! What a video is written as: the finished files that jobs, links and signed addresses give out, each made once.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::web;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use vignette_templates::blob::Digest;
use vignette_templates::units;

use crate::app::App;
use crate::artefacts::Draft;
use crate::permits::{Class, Keeps, Permit, Permits};
use crate::problem::Problem;
use crate::secrets::random_name;
use crate::traces::{Place, Span};
use crate::uses::{self, Use};
use crate::viewing::Viewing;
use crate::workshop::MakeError;

/// A file format.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// MP4 with its index first: H.264 and AAC.
    #[default]
    Mp4,
    /// WebM: VP9 and Opus.
    Webm,
    /// A short animation that every mail program shows.
    Gif,
    /// The same, smaller, in animated WebP.
    Webp,
    /// One frame as JPEG.
    Jpg,
    /// One frame as PNG.
    Png,
    /// An HLS presentation as a zip of its folder.
    Hls,
}

impl Format {
    /// The format of files with this ending.
    pub fn of_ending(ending: &str) -> Option<Format> {
        use Format::{Gif, Jpg, Mp4, Png, Webm, Webp};
        [Mp4, Webm, Gif, Webp, Jpg, Png].into_iter().find(|format| format.ending() == ending)
    }

    /// The format of a finished file of that name.
    pub fn of_name(name: &str) -> Format {
        Format::of_ending(name.rsplit('.').next().unwrap_or_default()).unwrap_or(Format::Hls)
    }

    /// The ending of its files.
    pub fn ending(self) -> &'static str {
        match self {
            Format::Mp4 => "mp4",
            Format::Webm => "webm",
            Format::Gif => "gif",
            Format::Webp => "webp",
            Format::Jpg => "jpg",
            Format::Png => "png",
            Format::Hls => "zip",
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Mp4 => "video/mp4",
            Format::Webm => "video/webm",
            Format::Gif => "image/gif",
            Format::Webp => "image/webp",
            Format::Jpg => "image/jpeg",
            Format::Png => "image/png",
            Format::Hls => "application/zip",
        }
    }

    fn is_picture(self) -> bool {
        matches!(self, Format::Gif | Format::Webp | Format::Jpg | Format::Png)
    }
}

/// What is wanted of a video.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Output {
    /// How it is written.
    pub format: Format,
    /// The template's rendition; the canvas itself when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rendition: Option<String>,
    /// Width of an animation or a still, in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// The moment that a still shows, e.g. `1.5s`; a third of the video when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The most bytes of an animation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
}

impl Output {
    /// Whether the fields go with the format.
    ///
    /// # Errors
    /// The first that does not, or that is out of its bounds.
    pub fn check(&self) -> Result<(), Problem> {
        let refused = |field: &str, why: &str| {
            Err(Problem::refused("output-invalid", why.to_owned()).field(format!("output.{field}")))
        };
        if let Some(width) = self.width {
            if !self.format.is_picture() {
                return refused(
                    "width",
                    "a width goes with gif, webp, jpg and png; films have the sizes of renditions",
                );
            }
            if !(16..=1920).contains(&width) {
                return refused("width", "a width is 16 to 1920 pixels");
            }
        }
        if let Some(at) = &self.at {
            if !matches!(self.format, Format::Jpg | Format::Png) {
                return refused("at", "a moment goes with jpg and png");
            }
            if at.len() > 32 || units::parse_duration(at).is_err() {
                return refused("at", "expected a moment such as 1.5s or 12f");
            }
        }
        if let Some(bytes) = self.max_bytes {
            if !matches!(self.format, Format::Gif | Format::Webp) {
                return refused("max_bytes", "a bound on bytes goes with gif and webp");
            }
            if !(10_000..=50_000_000).contains(&bytes) {
                return refused("max_bytes", "a bound is 10000 to 50000000 bytes");
            }
        }
        Ok(())
    }

    /// Names the file by what it is made of; tells nothing of a viewer.
    pub fn file_name(&self, viewing: &Viewing) -> Option<String> {
        if self.format == Format::Mp4 {
            return viewing.file_name(viewing.largest(), "mp4");
        }
        let mut hasher = blake3::Hasher::new_derive_key("vignette output v1");
        hasher.update(&viewing.id.0);
        // The rendition is part of the viewing.
        let own = Output { rendition: None, ..self.clone() };
        hasher.update(&serde_json::to_vec(&own).ok()?);
        Some(format!("{}.{}", Digest(*hasher.finalize().as_bytes()), self.format.ending()))
    }

    /// Everything that making it may leave in the store and among the files.
    ///
    /// # Errors
    /// A size that the format does not take.
    pub fn uses(&self, viewing: &Viewing) -> Result<Vec<Use>, MakeError> {
        let plans = match self.format {
            Format::Mp4 => Vec::new(),
            _ => viewing.template.plans(&viewing.video, self)?,
        };
        let largest = viewing.sizes.get(viewing.largest()).map(|size| &size.plan);
        let plans = match self.format {
            Format::Mp4 => largest.into_iter().collect(),
            _ => plans.iter().collect::<Vec<_>>(),
        };
        let mut uses = uses::of_generated(viewing);
        plans.iter().for_each(|plan| uses.extend(uses::of_plan(plan)));
        uses.extend(self.file_name(viewing).and_then(|name| Use::file(&name)));
        Ok(uses)
    }
}

/// Files that are being made, so that each is made once for all who ask.
#[derive(Default)]
pub struct Making(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Making {
    fn of(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut making = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those whom nobody waits for.
        making.retain(|_, one| Arc::strong_count(one) > 1);
        making.entry(name.to_owned()).or_default().clone()
    }
}

/// A permit that is given up between frames to whoever is more urgent.
struct Breath<'a> {
    permits: &'a Permits,
    class: Class,
    given_up: &'a AtomicBool,
    held: Mutex<Option<Permit<'a>>>,
}

impl Breath<'_> {
    /// Whether nobody wants the work any more; waits while somebody else is more urgent.
    fn is_over(&self) -> bool {
        let over = || self.given_up.load(Ordering::Relaxed);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        // As many of these as there are workers of jobs; what is asked for at once hardly ever gives way.
        !self.permits.give_way(&mut held, Keeps::Little, &|| self.class, &over)
    }
}

/// Sets its flag when dropped: whoever waited went away.
struct GiveUp(Arc<AtomicBool>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Makes the file of a viewing in any format but MP4, unless it is there; gives its name and length. When the caller goes away, the
/// work is given up between two frames.
///
/// # Errors
/// What kept it from being made.
pub async fn make(
    app: &Arc<App>,
    viewing: &Arc<Viewing>,
    output: &Output,
    class: Class,
) -> Result<(String, u64), MakeError> {
    let name =
        output.file_name(viewing).ok_or_else(|| MakeError::Machine("a video without a size".into()))?;
    let span = Span::begin("file");
    span.set("vignette.format", output.format.ending());
    span.set("vignette.class", class.name());
    let wait = span.place().begin("turn");
    let turn = app.making.of(&name);
    let _turn = turn.lock().await;
    drop(wait);
    // One that cannot be looked for is made: what it needs is mostly there.
    if let Ok(Some(found)) = app.artefacts.find(&name).await {
        span.set("vignette.found", true);
        return Ok((name, found.length));
    }
    let length = make_new(app, viewing, output, class, &name, &span).await;
    Ok((name, length.inspect_err(|error| span.fail(error.kind()))?))
}

async fn make_new(
    app: &Arc<App>,
    viewing: &Arc<Viewing>,
    output: &Output,
    class: Class,
    name: &str,
    span: &Span,
) -> Result<u64, MakeError> {
    let given_up = Arc::new(AtomicBool::new(false));
    let _give_up = GiveUp(given_up.clone());
    let (draft, place) = (app.artefacts.draft(name)?, span.place());
    let (state, viewing, output) = (app.clone(), viewing.clone(), output.clone());
    let made = apart(app, move || {
        write(&state, &viewing, &output, &draft.path, class, &given_up, &place)?;
        Ok::<_, MakeError>(draft)
    });
    keep(app, name, made.await??).await
}

/// Does long work on a thread of its own, which steps back behind those that answer requests.
async fn apart<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, MakeError> {
    let (tell, told) = oneshot::channel();
    let state = app.clone();
    let begun = std::thread::Builder::new().name("writer".into()).spawn(move || {
        state.catalog.workshop().step_back();
        // Whoever waited may have gone.
        let _ = tell.send(work());
    });
    begun.map_err(|_| MakeError::Machine("the system has no thread to give".into()))?;
    told.await.map_err(|_| MakeError::Machine("writing a file panicked".into()))
}

/// Keeps a file that was made, unless nobody uses it any more. Gives its length.
///
/// # Errors
/// What keeps it from being kept; nobody who uses it, as its viewer was erased meanwhile.
pub async fn keep(app: &Arc<App>, name: &str, draft: Draft) -> Result<u64, MakeError> {
    let length = app.artefacts.keep(name, draft).await?;
    let (state, name) = (app.clone(), name.to_owned());
    let used = web::block(move || {
        let used = Use::file(&name).map_or(Ok(true), |used| state.records.is_used(&used));
        // Sending it may have taken longer than what is doomed waits. A database that does not answer leaves it to that.
        if !used.unwrap_or(true) {
            state.artefacts.remove(&name)?;
            return Ok::<_, MakeError>(false);
        }
        Ok(true)
    });
    match used.await.map_err(|_| MakeError::Cancelled)?? {
        true => Ok(length),
        false => Err(MakeError::Cancelled),
    }
}

fn write(
    app: &App,
    viewing: &Viewing,
    output: &Output,
    path: &Path,
    class: Class,
    given_up: &AtomicBool,
    place: &Place,
) -> Result<(), MakeError> {
    let wait = place.begin("permit");
    let breath = Breath { permits: app.studio.permits(), class, given_up, held: Mutex::new(None) };
    if breath.is_over() {
        return Err(MakeError::Cancelled);
    }
    drop(wait);
    let _span = place.begin("make");
    let over = || viewing.is_over() || breath.is_over();
    if output.format != Format::Hls {
        viewing.template.write(&viewing.video, output, path, &over)?;
        return Ok(());
    }
    let failed =
        |error: std::io::Error| MakeError::Machine(format!("a file cannot be written: {}", error.kind()));
    let files = app.artefacts.folder();
    let folder = Scratch(files.join(format!(".hls-{}", random_name().map_err(MakeError::Machine)?)));
    viewing.template.write(&viewing.video, output, &folder.0, &over)?;
    let part = Scratch(folder.0.with_extension("part"));
    pack(&folder.0, &part.0).map_err(failed)?;
    fs::rename(&part.0, path).map_err(failed)
}

/// A file or folder that does not stay.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // One of both is right, unless it was never made or was moved away.
        let _ = fs::remove_dir_all(&self.0);
        let _ = fs::remove_file(&self.0);
    }
}

/// A folder and what is in it as a zip, as it is: media do not get smaller.
fn pack(folder: &Path, target: &Path) -> std::io::Result<()> {
    let mut zip = zip::ZipWriter::new(fs::File::create(target)?);
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(&inner)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
        entries.sort();
        for path in entries {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy();
            zip.start_file(name, options).map_err(std::io::Error::other)?;
            std::io::copy(&mut fs::File::open(&path)?, &mut zip)?;
        }
    }
    let mut file = zip.finish().map_err(std::io::Error::other)?;
    file.flush()?;
    file.sync_all()
}

/// Removes files whose time is over; blocks.
///
/// # Errors
/// The first that cannot be removed now.
pub fn discard(app: &App, names: &[String]) -> Result<(), Problem> {
    names.iter().try_for_each(|name| app.artefacts.remove(name).map(drop).map_err(Problem::from))
}

/// Removes what a process that ended was writing; where others may be writing, what has not been touched for a day.
pub fn clean(files: &Path, shared: bool) {
    const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
    let old = |entry: &fs::DirEntry| {
        let touched = entry.metadata().and_then(|known| known.modified()).ok();
        touched.and_then(|touched| touched.elapsed().ok()).is_some_and(|since| since > DAY)
    };
    for entry in fs::read_dir(files).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with('.') && (!shared || old(&entry)) {
            drop(Scratch(entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_go_with_their_formats() {
        for (text, field) in [
            (r#"{}"#, None),
            (r#"{"format":"gif","width":320,"max_bytes":500000}"#, None),
            (r#"{"format":"png","at":"1.5s","width":320}"#, None),
            (r#"{"format":"mp4","width":320}"#, Some("output.width")),
            (r#"{"format":"gif","width":8}"#, Some("output.width")),
            (r#"{"format":"gif","at":"1s"}"#, Some("output.at")),
            (r#"{"format":"jpg","at":"soon"}"#, Some("output.at")),
            (r#"{"format":"hls","max_bytes":500000}"#, Some("output.max_bytes")),
            (r#"{"format":"webp","max_bytes":5}"#, Some("output.max_bytes")),
        ] {
            let output: Output = serde_json::from_str(text).unwrap();
            let told = output.check().err().map(|problem| problem.document()["field"].clone());
            assert_eq!(told, field.map(serde_json::Value::from), "{text}");
        }
        assert!(serde_json::from_str::<Output>(r#"{"format":"avi"}"#).is_err());
        assert!(serde_json::from_str::<Output>(r#"{"speed":2}"#).is_err());
        assert_eq!(Format::of_ending("webp"), Some(Format::Webp));
        assert_eq!(Format::of_ending("zip"), None);
    }
}
