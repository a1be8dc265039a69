//! Every path of the service.

use actix_web::web::{self, ServiceConfig};

use crate::{jobs, links, media, operate, page, stills, templates, watch};

/// Path, method and handler of every route. The documentation of the API has each of those under `/v1`.
pub fn all(config: &mut ServiceConfig) {
    let nothing = || web::route().to(operate::nothing);
    config
        .service(web::resource("/healthz").route(web::get().to(operate::healthz)).default_service(nothing()))
        .service(web::resource("/readyz").route(web::get().to(operate::readyz)).default_service(nothing()))
        .service(web::resource("/metrics").route(web::get().to(operate::metrics)).default_service(nothing()))
        .service(
            web::resource("/openapi.json").route(web::get().to(operate::openapi)).default_service(nothing()),
        )
        .service(web::resource("/docs").route(web::get().to(operate::docs)).default_service(nothing()))
        .service(
            web::resource("/docs/docs.js")
                .route(web::get().to(operate::docs_script))
                .default_service(nothing()),
        )
        .service(
            web::resource("/player/watch.js").route(web::get().to(page::script)).default_service(nothing()),
        )
        .service(
            web::resource("/player/watch.css").route(web::get().to(page::style)).default_service(nothing()),
        )
        .service(
            web::resource("/player/hls.min.js").route(web::get().to(page::player)).default_service(nothing()),
        )
        .service(web::resource("/oembed").route(web::get().to(page::oembed)).default_service(nothing()))
        .service(web::resource("/v1/links").route(web::post().to(links::create)).default_service(nothing()))
        .service(
            web::resource("/v1/renders")
                .route(web::get().to(jobs::list))
                .route(web::post().to(jobs::create))
                .default_service(nothing()),
        )
        .service(
            web::resource("/v1/renders/{id}")
                .route(web::get().to(jobs::get))
                .route(web::delete().to(jobs::cancel))
                .default_service(nothing()),
        )
        .service(
            web::resource("/v1/renders/{id}/events")
                .route(web::get().to(jobs::events))
                .default_service(nothing()),
        )
        .service(
            web::resource("/v1/renders/{id}/file")
                .route(web::get().to(jobs::file))
                .default_service(nothing()),
        )
        .service(
            web::resource("/v1/templates").route(web::get().to(templates::list)).default_service(nothing()),
        )
        .service(
            web::resource("/v1/templates/{name}")
                .route(web::get().to(templates::get))
                .route(web::post().to(templates::upload))
                .default_service(nothing()),
        )
        .service(
            web::resource("/v1/templates/{name}/published")
                .route(web::put().to(templates::publish))
                .default_service(nothing()),
        )
        .service(
            web::resource("/v1/templates/{name}/still")
                .route(web::post().to(stills::create))
                .default_service(nothing()),
        )
        .service(
            web::resource("/v1/webhook-secret")
                .route(web::get().to(crate::hooks::tell_secret))
                .default_service(nothing()),
        )
        .service(web::resource("/s/{name}").route(web::get().to(media::get)).default_service(nothing()))
        .service(web::resource("/w/{token}").route(web::get().to(watch::enter)).default_service(nothing()))
        .service(
            web::resource("/w/{token}/{file:.*}")
                .route(web::get().to(watch::get))
                .route(web::head().to(watch::get))
                .default_service(nothing()),
        )
        .default_service(nothing());
}
