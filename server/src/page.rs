//! The watch page, its player, and oEmbed (oembed.com, version 1.0).

use std::sync::Arc;

use actix_web::web::{self, Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;

use crate::app::App;
use crate::links;
use crate::problem::Problem;
use crate::viewing::Viewing;

const PAGE: &str = include_str!("page/watch.html");
const SCRIPT: &str = include_str!("page/watch.js");
const STYLE: &str = include_str!("page/watch.css");

/// What the page may load: its own files, media of this service, and the player's worker and empty track of captions.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self' blob: data:; connect-src 'self'; \
                      worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors *";

/// The page of a link. It tells nothing of the viewer.
pub fn watch(app: &App, request: &HttpRequest, viewing: &Viewing, token: &str) -> HttpResponse {
    let url = format!("{}/w/{token}/", app.base(request));
    let canvas = viewing.video.canvas;
    let values = [
        ("LANGUAGE", attribute(&viewing.video.locale)),
        ("OEMBED", attribute(&format!("{}/oembed?url={url}", app.base(request)))),
        ("WIDTH", canvas.width.to_string()),
        ("HEIGHT", canvas.height.to_string()),
        ("CAPTIONS", if viewing.video.captions.is_empty() { "no".into() } else { "yes".into() }),
        ("PLAYER", if app.config.player.is_some() { "/player/hls.min.js".into() } else { String::new() }),
    ];
    let mut page = PAGE.to_owned();
    for (name, value) in values {
        page = page.replace(&format!("{{{{{name}}}}}"), &value);
    }
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header(("content-security-policy", POLICY))
        .insert_header(("referrer-policy", "no-referrer"))
        .insert_header(("x-robots-tag", "noindex"))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("cache-control", "private, no-store"))
        .body(page)
}

/// A text as it may stand in a page.
pub fn attribute(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

/// `GET /favicon.ico`, which browsers ask for by themselves: there is none.
pub async fn icon() -> HttpResponse {
    HttpResponse::NoContent().insert_header(("cache-control", "public, max-age=86400")).finish()
}

/// `GET /player/watch.js`.
pub async fn script() -> HttpResponse {
    asset(SCRIPT.into(), "text/javascript; charset=utf-8")
}

/// `GET /player/watch.css`.
pub async fn style() -> HttpResponse {
    asset(STYLE.into(), "text/css; charset=utf-8")
}

/// `GET /player/hls.min.js`: the installed player.
///
/// # Errors
/// `404` when none is configured.
pub async fn player(app: Data<Arc<App>>) -> Result<HttpResponse, Problem> {
    let missing = || Problem::missing("player-missing", "no player is installed here");
    let path = app.config.player.clone().ok_or_else(missing)?;
    let name = "player hls.min.js";
    if let Some(bytes) = app.warm.get(name) {
        return Ok(asset(bytes, "text/javascript; charset=utf-8"));
    }
    let bytes = web::block(move || std::fs::read(path)).await?.map_err(|_| missing())?;
    let bytes = bytes::Bytes::from(bytes);
    app.warm.put(name, &bytes);
    Ok(asset(bytes, "text/javascript; charset=utf-8"))
}

/// A part of a page.
pub fn asset(bytes: bytes::Bytes, kind: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(kind)
        .insert_header(("cache-control", "public, max-age=3600"))
        .insert_header(("x-content-type-options", "nosniff"))
        .body(bytes)
}

/// `GET /oembed`.
#[derive(Deserialize)]
pub struct Asked {
    url: String,
    format: Option<String>,
    maxwidth: Option<u32>,
    maxheight: Option<u32>,
}

/// `GET /oembed?url=`: how a link is embedded.
///
/// # Errors
/// A URL that is no link of this service; another format than JSON.
pub async fn oembed(
    app: Data<Arc<App>>,
    request: HttpRequest,
    asked: Query<Asked>,
) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    if asked.format.as_deref().is_some_and(|format| format != "json") {
        return Err(Problem::bad("format-unknown", "only JSON is given").field("format"));
    }
    let unknown = || Problem::missing("link-unknown", "this is no link of this service");
    let (_, token) = asked.url.rsplit_once("/w/").ok_or_else(unknown)?;
    let token = token.trim_end_matches('/').to_owned();
    let viewing = links::follow(app, &token).await?;
    let canvas = viewing.video.canvas;
    // As large as is allowed, in the video's own shape.
    let within =
        |most: Option<u32>, side: u32| most.map_or(1.0, |most| f64::from(most) / f64::from(side)).min(1.0);
    let scale = within(asked.maxwidth, canvas.width).min(within(asked.maxheight, canvas.height));
    let side = |side: u32| (f64::from(side) * scale).floor().max(1.0) as u32;
    let url = format!("{}/w/{token}/", app.base(&request));
    let (width, height) = (side(canvas.width), side(canvas.height));
    Ok(HttpResponse::Ok().insert_header(("access-control-allow-origin", "*")).json(json!({
        "version": "1.0",
        "type": "video",
        "provider_name": "Vignette",
        "width": width,
        "height": height,
        "thumbnail_url": format!("{url}poster.jpg"),
        "thumbnail_width": canvas.width,
        "thumbnail_height": canvas.height,
        "html": format!(
            "<iframe src=\"{url}\" width=\"{width}\" height=\"{height}\" style=\"border:0\" allow=\"autoplay; fullscreen\" \
             title=\"Video\"></iframe>"
        ),
    })))
}
