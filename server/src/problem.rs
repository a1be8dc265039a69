//! Every error of the service as a problem document (RFC 9457).

use std::borrow::Cow;
use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Value, json};
use vignette_templates::fault::Fault;

use crate::sitting::Full;
use crate::workshop::MakeError;

/// Why a request is not answered as asked.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    /// The field of the request.
    field: Option<String>,
    faults: Vec<Fault>,
    retry_after: Option<u64>,
}

impl Problem {
    /// A problem with its stable code, and what the caller can do about it.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem { status, code, detail: detail.into(), field: None, faults: Vec::new(), retry_after: None }
    }

    /// Says which field of the request it is about.
    pub fn field(mut self, field: impl Into<String>) -> Problem {
        self.field = Some(field.into());
        self
    }

    /// Says after how many seconds it is worth trying again.
    pub fn retry_after(mut self, seconds: u64) -> Problem {
        self.retry_after = Some(seconds);
        self
    }

    /// `400`: the request cannot be read.
    pub fn bad(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// `404`: there is no such thing for this caller.
    pub fn missing(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// `422`: it was understood, and cannot be done.
    pub fn refused(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// `503`: the service is at its limit for now.
    pub fn busy() -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "the service is at its limit; try again soon")
            .retry_after(2)
    }

    /// `500`: this machine is at fault. `what` is for the operator's log alone and must hold nothing personal.
    pub fn internal(what: &str) -> Problem {
        crate::log::error("internal", what);
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the service failed; its operator can see why",
        )
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Its stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The document.
    pub fn document(&self) -> Value {
        let mut document = json!({
            "type": format!("urn:vignette:problem:{}", self.code),
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        if let Some(field) = &self.field {
            document["field"] = json!(field);
        }
        if !self.faults.is_empty() {
            document["faults"] = faults(&self.faults);
        }
        document
    }
}

/// Faults and warnings as the service tells them: the file by its last name, as folders are the operator's.
pub fn faults(list: &[Fault]) -> Value {
    let fault = |fault: &Fault| {
        let file = fault.file.rsplit('/').next().unwrap_or_default();
        json!({
            "file": file, "line": fault.line, "column": fault.column, "path": &*fault.path,
            "message": fault.message, "found": fault.found, "hint": fault.hint,
        })
    };
    Value::Array(list.iter().take(MOST_FAULTS).map(fault).collect())
}

/// Faults that one answer lists.
const MOST_FAULTS: usize = 100;

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = HttpResponse::build(self.status);
        if let Some(seconds) = self.retry_after {
            response.insert_header((RETRY_AFTER, seconds));
        }
        response
            .content_type("application/problem+json")
            .insert_header(("cache-control", "no-store"))
            .insert_header(("x-content-type-options", "nosniff"))
            .body(self.document().to_string())
    }
}

impl From<Full> for Problem {
    fn from(Full(wait): Full) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Problem { retry_after: Some(seconds.clamp(1, 60)), ..Problem::busy() }
    }
}

impl From<MakeError> for Problem {
    fn from(error: MakeError) -> Self {
        match error {
            MakeError::Faults(faults) => {
                let mut problem = Problem::refused("invalid", "the data or the template are at fault");
                problem.faults = faults.into_iter().collect();
                problem
            }
            MakeError::Input(words) => Problem::refused("invalid", words),
            // Its words may name files and hold what the encoder was given, so they go nowhere.
            MakeError::Machine(_) => Problem::internal("a piece of a video could not be made"),
            MakeError::Cancelled => Problem::busy(),
        }
    }
}

impl From<actix_web::error::BlockingError> for Problem {
    fn from(_: actix_web::error::BlockingError) -> Self {
        Problem::busy()
    }
}
