//! A template's stills: one frame for given data, before anybody sends a link.

use std::sync::Arc;

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::Value;

use crate::app::{App, Wish};
use crate::auth::{Scope, caller};
use crate::problem::Problem;
use crate::{body, watch};

/// `POST /v1/templates/{name}/still`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewStill {
    version: Option<String>,
    rendition: Option<String>,
    data: Value,
    /// A moment such as `1.5s` or `12f`.
    #[serde(default = "start")]
    at: String,
}

fn start() -> String {
    "0s".into()
}

/// `POST /v1/templates/{name}/still`: a frame as PNG, of the canvas' own size, sRGB.
///
/// # Errors
/// A template that there is not; data that are wrong; a moment outside the video.
pub async fn create(
    app: Data<Arc<App>>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Render).await?;
    let new: NewStill = body::read_json(&app.config.limits, payload).await?;
    let wish = Wish {
        tenant: caller.tenant,
        template: name.into_inner(),
        version: new.version,
        rendition: new.rendition,
        data: new.data,
        viewer: None,
    };
    let viewing = app.viewing(wish).await?;
    let frame = watch::frame_at(&viewing.video, &new.at)?;
    let png = watch::still(app, &viewing, frame).await?;
    Ok(HttpResponse::Ok().content_type("image/png").insert_header(("cache-control", "no-store")).body(png))
}
