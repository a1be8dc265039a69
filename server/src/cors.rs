//! Which pages of other origins may call the API (Fetch standard, section 3.3). Callers send their key in a header, so no credentials
//! of the browser are ever allowed. What is under links and signed addresses is for everybody and says so by itself.

use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderName, HeaderValue, ORIGIN};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse};

use crate::app::App;

const METHODS: &str = "GET, POST, PUT, DELETE";
const SENT: &str = "authorization, content-type, idempotency-key";
const SEEN: &str = "location, retry-after, ratelimit, ratelimit-policy, x-request-id";

/// The origin that may be told to a page of `origin`.
fn allowed(known: &[String], origin: &str) -> Option<String> {
    if known.iter().any(|known| known == "*") {
        return Some("*".to_owned());
    }
    known.iter().find(|known| *known == origin).cloned()
}

/// Answers preflights under `/v1`, and marks answers for pages of the origins that are configured.
///
/// # Errors
/// Those of the service behind it.
pub async fn guard<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let app = request.app_data::<Data<Arc<App>>>().cloned();
    let origin = request.headers().get(ORIGIN).and_then(|origin| origin.to_str().ok()).map(str::to_owned);
    let known = app.as_ref().map(|app| app.config.cors_origins.as_slice()).unwrap_or_default();
    let allowed = origin
        .filter(|_| request.path().starts_with("/v1/"))
        .and_then(|origin| HeaderValue::from_str(&allowed(known, &origin)?).ok());
    let Some(allowed) = allowed else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    let asks = request.method() == Method::OPTIONS
        && request.headers().contains_key("access-control-request-method");
    let mut response = match asks {
        true => {
            let answer = HttpResponse::NoContent()
                .insert_header(("access-control-allow-methods", METHODS))
                .insert_header(("access-control-allow-headers", SENT))
                .insert_header(("access-control-max-age", 600))
                .finish();
            request.into_response(answer).map_into_right_body()
        }
        false => next.call(request).await?.map_into_left_body(),
    };
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("access-control-allow-origin"), allowed);
    headers.insert(HeaderName::from_static("access-control-expose-headers"), HeaderValue::from_static(SEEN));
    headers.insert(HeaderName::from_static("vary"), HeaderValue::from_static("origin"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::allowed;

    #[test]
    fn origins_are_compared_whole() {
        let known = ["https://app.example.com".to_owned()];
        assert_eq!(allowed(&known, "https://app.example.com").as_deref(), Some("https://app.example.com"));
        for other in ["http://app.example.com", "https://app.example.com.evil.test", "null", ""] {
            assert_eq!(allowed(&known, other), None, "{other}");
        }
        assert_eq!(allowed(&["*".to_owned()], "https://x.test").as_deref(), Some("*"));
    }
}
