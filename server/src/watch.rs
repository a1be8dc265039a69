//! Under a link: playlists, captions, stills, the whole video, and a page that plays it.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{CONTENT_DISPOSITION, LOCATION};
use actix_web::web::{self, Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use futures_util::stream;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use serde::Deserialize;
use tokio::sync::mpsc;
use vignette_templates::units::{self, Duration as Written};
use vignette_templates::video::Video;

use crate::app::App;
use crate::output::{self, Format, Output};
use crate::permits::Class;
use crate::problem::Problem;
use crate::sitting::Piece;
use crate::viewing::Viewing;
use crate::{files, links, media, movie, page, traces};

/// The longest a request waits for a piece; a proxy in front waits as long by default.
const PATIENCE: Duration = Duration::from_secs(60);

/// Fragments of a video that are made ahead of a receiver who is slow.
const FRAGMENTS_AHEAD: usize = 4;

/// `GET /w/{token}`: leads to the page, whose addresses are relative.
pub async fn enter(token: Path<String>) -> HttpResponse {
    // Percent-encoded again, as the path was decoded: nothing but a token's own signs gets into the header.
    let plain: String = token
        .chars()
        .filter(|sign| sign.is_ascii_alphanumeric() || "-_~".contains(*sign))
        .take(4096)
        .collect();
    HttpResponse::PermanentRedirect().insert_header((LOCATION, format!("/w/{plain}/"))).finish()
}

/// What may stand behind a link's path.
#[derive(Deserialize)]
pub struct Asked {
    at: Option<String>,
}

/// `GET /w/{token}/{file}`.
///
/// # Errors
/// A token that is not good; a file that there is not; a piece that cannot be made.
pub async fn get(
    app: Data<Arc<App>>,
    request: HttpRequest,
    path: Path<(String, String)>,
    asked: Query<Asked>,
) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    let (token, file) = path.into_inner();
    let viewing = links::follow(app, &token).await?;
    app.shelf.announce(&viewing);
    match file.as_str() {
        "" => Ok(page::watch(app, &request, &viewing, &token)),
        "captions.vtt" => Ok(text(viewing.captions.clone(), "text/vtt; charset=utf-8")),
        "poster.jpg" => {
            let bytes = poster(app, &viewing).await?;
            Ok(private().content_type("image/jpeg").body(bytes))
        }
        "frame.png" => {
            let at = asked.at.as_deref().unwrap_or("0s");
            let bytes = still(app, &viewing, frame_at(&viewing.video, at)?).await?;
            Ok(private().content_type("image/png").body(bytes))
        }
        "video.mp4" => video(app, &request, viewing).await,
        "preview.gif" => preview(app, &request, &viewing, Format::Gif).await,
        "preview.webp" => preview(app, &request, &viewing, Format::Webp).await,
        file => match viewing.files.get(file) {
            Some(bytes) if file.ends_with(".m3u8") => {
                if file == "master.m3u8" {
                    // Decided here, as the first segment may be there already, shared by all, although those behind it are still to be made.
                    let_in(app, &viewing, 0).await?;
                    warm(app, &viewing);
                }
                viewing.begins();
                Ok(text(bytes.clone(), "application/vnd.apple.mpegurl"))
            }
            Some(bytes) => Ok(text(bytes.clone(), "text/vtt; charset=utf-8")),
            None => Err(Problem::missing("file-unknown", "a link has no such file")),
        },
    }
}

/// Lets a player begin in a size, unless somebody would stand still for it.
async fn let_in(app: &Arc<App>, viewing: &Arc<Viewing>, size: usize) -> Result<(), Problem> {
    if viewing.is_in() {
        return Ok(());
    }
    let (studio, viewing) = (app.studio.clone(), viewing.clone());
    Ok(web::block(traces::carry(move || studio.let_in(&viewing, size))).await??)
}

/// Headers are the same for all viewers of a size, so having them made once costs two frames for each size since the start.
fn warm(app: &Arc<App>, viewing: &Arc<Viewing>) {
    let (app, viewing) = (app.clone(), viewing.clone());
    let name =
        |size: &crate::viewing::Size| vignette_renderer::package::cmaf::init_video_name(&size.plan.profile);
    if viewing.sizes.iter().all(|size| app.warm.get(&name(size)).is_some()) {
        return;
    }
    // Whoever asks for a header that failed is told.
    drop(web::block(move || drop(media::warm_headers(&app, &viewing))));
}

fn private() -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response
        .insert_header(("cache-control", "private, max-age=300"))
        .insert_header(("access-control-allow-origin", "*"))
        .insert_header(("referrer-policy", "no-referrer"))
        .insert_header(("x-robots-tag", "noindex"))
        .insert_header(("x-content-type-options", "nosniff"));
    response
}

fn text(bytes: Bytes, kind: &'static str) -> HttpResponse {
    private().content_type(kind).body(bytes)
}

/// The frame that shows at this moment, as typed: `1.5s`, `450ms`, `12f`.
///
/// # Errors
/// Anything else; a moment outside the video.
pub fn frame_at(video: &Video, at: &str) -> Result<u32, Problem> {
    let wrong = |why: String| Problem::refused("moment-invalid", why).field("at");
    if at.len() > 32 {
        return Err(wrong("expected a moment such as 1.5s or 12f".into()));
    }
    let frame =
        match units::parse_duration(at).map_err(|_| wrong("expected a moment such as 1.5s or 12f".into()))? {
            Written::Frames(frames) => u64::try_from(frames).ok(),
            Written::Time(time) if time.ticks() >= 0 => {
                // The last frame that began at or before this moment.
                let rate = video.canvas.frame_rate;
                let near = rate.frames_in(time);
                Some(if rate.time_of(near) > time { near.saturating_sub(1) } else { near })
            }
            Written::Time(_) => None,
        };
    let frame = frame.and_then(|frame| u32::try_from(frame).ok()).filter(|frame| *frame < video.frames());
    frame.ok_or_else(|| wrong(format!("the video lasts {:.3} s", video.duration().as_seconds())))
}

/// A frame as PNG.
///
/// # Errors
/// A frame that cannot be made.
pub async fn still(app: &Arc<App>, viewing: &Arc<Viewing>, frame: u32) -> Result<Bytes, Problem> {
    let name = format!("still {} {frame}", viewing.id);
    if let Some(bytes) = app.warm.get(&name) {
        return Ok(bytes);
    }
    let ticket = app.studio.want(viewing, Piece::Still(frame), Class::now())?;
    let frame = in_time(ticket.still()).await?;
    let encoded = web::block(move || {
        let mut bytes = Vec::new();
        frame.to_rgb().write_with_encoder(PngEncoder::new(&mut bytes)).map(|()| Bytes::from(bytes))
    });
    let bytes = encoded.await?.map_err(|_| Problem::internal("a still cannot be encoded"))?;
    app.warm.put(&name, &bytes);
    Ok(bytes)
}

/// A frame from near the start, in which all has come in, as JPEG.
///
/// # Errors
/// A frame that cannot be made.
pub async fn poster(app: &Arc<App>, viewing: &Arc<Viewing>) -> Result<Bytes, Problem> {
    const QUALITY: u8 = 85;
    let name = format!("poster {}", viewing.id);
    if let Some(bytes) = app.warm.get(&name) {
        return Ok(bytes);
    }
    let first = viewing.video.scenes.first().map_or(1, |scene| scene.frames);
    let ticket = app.studio.want(viewing, Piece::Still(first * 2 / 3), Class::now())?;
    let frame = in_time(ticket.still()).await?;
    let encoded = web::block(move || {
        let mut bytes = Vec::new();
        let jpeg = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
        frame.to_rgb().write_with_encoder(jpeg).map(|()| Bytes::from(bytes))
    });
    let bytes = encoded.await?.map_err(|_| Problem::internal("a poster cannot be encoded"))?;
    app.warm.put(&name, &bytes);
    Ok(bytes)
}

/// Waits for a piece, but no longer than a client would.
///
/// # Errors
/// What kept it from being made; `503` when it takes too long.
pub async fn in_time<T>(
    made: impl Future<Output = Result<T, crate::workshop::MakeError>>,
) -> Result<T, Problem> {
    match tokio::time::timeout(PATIENCE, made).await {
        Ok(made) => Ok(made?),
        Err(_) => Err(Problem::busy()),
    }
}

/// A short animation for e-mail, made once.
async fn preview(
    app: &Arc<App>,
    request: &HttpRequest,
    viewing: &Arc<Viewing>,
    format: Format,
) -> Result<HttpResponse, Problem> {
    let output = Output { format, ..Output::default() };
    let (name, _) = in_time(output::make(app, viewing, &output, Class::now())).await?;
    files::serve(app, request, &name).await?.ok_or_else(Problem::busy)
}

/// The whole video: the finished file when there is one, with ranges; until then fragments as they are made.
///
/// # Errors
/// `503` when too much is watched; a piece that cannot be made, as long as nothing was sent.
pub async fn video(
    app: &Arc<App>,
    request: &HttpRequest,
    viewing: Arc<Viewing>,
) -> Result<HttpResponse, Problem> {
    let missing = || Problem::internal("a video without a size");
    let name = movie::name(&viewing).ok_or_else(missing)?;
    if let Some(response) = files::serve(app, request, &name).await? {
        return Ok(response);
    }
    let mut response = private();
    response
        .content_type("video/mp4")
        .insert_header(("accept-ranges", "none"))
        .insert_header((CONTENT_DISPOSITION, "inline; filename=\"video.mp4\""))
        .insert_header(("cache-control", "no-store"));
    if request.method() == Method::HEAD {
        return Ok(response.finish());
    }
    let_in(app, &viewing, viewing.largest()).await?;
    viewing.begins();
    let (send, receive) = mpsc::channel(FRAGMENTS_AHEAD);
    actix_web::rt::spawn(traces::along(movie::stream(app.clone(), viewing, send)));
    // The status is not told before there is something to send.
    let mut receive = receive;
    let first = tokio::time::timeout(PATIENCE, receive.recv()).await.map_err(|_| Problem::busy())?;
    let first = first.ok_or_else(Problem::busy)??;
    let rest = stream::unfold((Some(first), receive), |(first, mut receive)| async move {
        if let Some(first) = first {
            return Some((Ok(first), (None, receive)));
        }
        receive.recv().await.map(|part| (part, (None, receive)))
    });
    Ok(response.streaming(rest))
}
