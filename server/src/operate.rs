//! What operators look at: health, figures, and what the API is.

use std::sync::Arc;

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use tokio::runtime::Handle;

use crate::app::App;
use crate::problem::Problem;

/// The API as OpenAPI 3.1 has it. A test holds it against the routes.
pub const OPENAPI: &str = include_str!("openapi.json");
const DOCS: &str = include_str!("page/docs.html");
const DOCS_SCRIPT: &str = include_str!("page/docs.js");

/// `GET /healthz`: the process answers.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(json!({ "status": "ok" }))
}

/// What the service stands on, as it is now.
#[derive(Clone, Copy, Debug)]
pub struct Checks {
    /// The database answers.
    pub database: bool,
    /// The store answers, or there is none.
    pub store: bool,
    /// Finished files can be found.
    pub files: bool,
    /// The encoder is there.
    pub encoder: bool,
    /// The service takes work.
    pub open: bool,
}

impl Checks {
    /// Whether all is well.
    pub fn is_ready(self) -> bool {
        self.database && self.store && self.files && self.encoder && self.open
    }
}

/// Looks at everything; may wait for a database or a store, on a thread for that.
pub fn checks(app: &App) -> Checks {
    let store =
        app.studio.stores().vault.store().is_none_or(|store| {
            store.contains(&vignette_templates::blob::Digest::of(b"vignette ready")).is_ok()
        });
    let (encoder, database) = (encoder_is_well(), app.records.is_well());
    let files = Handle::current().block_on(app.artefacts.is_well());
    Checks { database, store, files, encoder, open: !app.is_stopping() }
}

/// `GET /readyz`: encoder, store, files and database answer.
pub async fn readyz(app: Data<Arc<App>>) -> Result<HttpResponse, Problem> {
    let state = app.get_ref().clone();
    let checks = web::block(move || checks(&state)).await?;
    let Checks { database, store, files, encoder, open } = checks;
    let ready = checks.is_ready();
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    if !ready {
        response.insert_header(("retry-after", 2));
    }
    Ok(response.insert_header(("cache-control", "no-store")).json(
        json!({ "database": database, "store": store, "files": files, "encoder": encoder, "open": open }),
    ))
}

/// Whether the encoder's element is there; starting one for each question would cost a core.
fn encoder_is_well() -> bool {
    use vignette_renderer::encode::{EncoderId, SegmentEncoder, VideoProfile};
    use vignette_templates::time::FrameRate;
    static KNOWN: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *KNOWN.get_or_init(|| {
        let Some(frame_rate) = FrameRate::new(25, 1) else { return false };
        let quality = VideoProfile::DEFAULT_QUALITY;
        let encoder = EncoderId::default();
        SegmentEncoder::start(VideoProfile { width: 64, height: 64, frame_rate, quality, encoder }, 1).is_ok()
    })
}

/// `GET /metrics`.
pub async fn metrics(app: Data<Arc<App>>) -> Result<HttpResponse, Problem> {
    let state = app.get_ref().clone();
    let (waiting, begun) = web::block(move || state.records.queue()).await??;
    let gauges = [
        ("vignette_queue_depth", "Render jobs that wait.", waiting),
        ("vignette_renders_running", "Render jobs under way.", begun),
        ("vignette_sittings", "Videos that are being watched or made.", app.studio.sittings() as u64),
        ("vignette_permits_waiting", "Pieces that wait for a core.", app.studio.permits().waiting() as u64),
        ("vignette_viewings", "Videos that are filled and planned.", app.shelf.len() as u64),
        ("vignette_cache_bytes", "Bytes of finished segments in memory.", app.warm.bytes() as u64),
    ];
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .insert_header(("cache-control", "no-store"))
        .body(app.metrics.text(&gauges)))
}

/// `GET /openapi.json`.
pub async fn openapi() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header(("access-control-allow-origin", "*"))
        .body(OPENAPI)
}

/// `GET /docs`: the API for readers.
pub async fn docs() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'",
        ))
        .insert_header(("x-content-type-options", "nosniff"))
        .body(DOCS)
}

/// `GET /docs/docs.js`.
pub async fn docs_script() -> HttpResponse {
    HttpResponse::Ok().content_type("text/javascript; charset=utf-8").body(DOCS_SCRIPT)
}

/// Whatever else is asked for.
///
/// # Errors
/// Always `404`, or `405` where the path is known.
pub async fn nothing(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let known = request.match_pattern().is_some();
    Err(match known {
        true => Problem::new(
            actix_web::http::StatusCode::METHOD_NOT_ALLOWED,
            "method-unknown",
            "this path does not take that method",
        ),
        false => Problem::missing("path-unknown", "there is nothing at this path; see /docs"),
    })
}
