//! Reading what callers send, within bounds of size and time.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use crate::config::Limits;
use crate::problem::Problem;

/// The whole body, of at most `most` bytes, within `patience`.
///
/// # Errors
/// `413` when it is longer, `408` when it takes longer, `400` when the connection breaks.
pub async fn read(mut payload: Payload, most: usize, patience: Duration) -> Result<Bytes, Problem> {
    let whole = async {
        let mut bytes = BytesMut::new();
        while let Some(part) = payload.next().await {
            let part = part.map_err(|_| Problem::bad("body-broken", "the body broke off"))?;
            if bytes.len() + part.len() > most {
                let detail = format!("the body is longer than {most} bytes");
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail));
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes.freeze())
    };
    let late = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "body-late", "the body took too long");
    tokio::time::timeout(patience, whole).await.map_err(late)?
}

/// A short JSON body, within the service's own bounds.
///
/// # Errors
/// Those of [`read`] and [`json`].
pub async fn read_json<T: DeserializeOwned>(limits: &Limits, payload: Payload) -> Result<T, Problem> {
    json(&read_short(limits, payload).await?)
}

/// A body of any kind, within the service's own bounds for short ones.
///
/// # Errors
/// Those of [`read`].
pub async fn read_short(limits: &Limits, payload: Payload) -> Result<Bytes, Problem> {
    read(payload, limits.body_bytes, Duration::from_secs(limits.body_seconds)).await
}

/// A JSON body, without fields that there are not.
///
/// # Errors
/// Those of [`read`], and `400` for anything else than that JSON.
pub fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        // The reader's own words may repeat a value, so only its kind and place are told, and the name of a field.
        let words = error.to_string();
        let known = ["unknown field", "missing field", "duplicate field"]
            .iter()
            .any(|start| words.starts_with(start));
        match known {
            true => Problem::bad("body-invalid", words),
            false => {
                let what = match error.classify() {
                    serde_json::error::Category::Data => "a value has another type or meaning than it should",
                    serde_json::error::Category::Eof => "the JSON is cut short",
                    _ => "this is not JSON, or it is too deep",
                };
                Problem::bad(
                    "body-invalid",
                    format!("{what}: line {}, column {}", error.line(), error.column()),
                )
            }
        }
    })
}
