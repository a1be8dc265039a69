//! A finished file, or the part of it that is asked for (RFC 9110, sections 13 and 14).

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{IF_NONE_MATCH, IF_RANGE, RANGE};
use actix_web::{HttpRequest, HttpResponse};

use crate::app::App;
use crate::output::Format;
use crate::problem::Problem;

/// What a `Range` header asks for of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    /// First byte, and one past the last.
    Bytes(u64, u64),
    /// Nothing that there is.
    Outside,
}

/// One range of bytes. Several at once, other units and anything odd are answered with the whole, as is allowed (section 14.2).
fn part(header: Option<&str>, length: u64) -> Part {
    let Some(range) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Part::Whole;
    };
    let Some((first, last)) = range.split_once('-').filter(|_| !range.contains(',')) else {
        return Part::Whole;
    };
    let plain = |text: &str| text.bytes().all(|sign| sign.is_ascii_digit()) && text.len() <= 18;
    if !plain(first) || !plain(last) {
        return Part::Whole;
    }
    match (first.parse::<u64>().ok(), last.parse::<u64>().ok()) {
        (None, None) => Part::Whole,
        (None, Some(0)) => Part::Outside,
        (None, Some(count)) => Part::Bytes(length.saturating_sub(count), length),
        (Some(first), _) if first >= length => Part::Outside,
        (Some(first), None) => Part::Bytes(first, length),
        (Some(first), Some(last)) if last < first => Part::Whole,
        (Some(first), Some(last)) => Part::Bytes(first, last.saturating_add(1).min(length)),
    }
}

/// Serves the finished file of that `name`, which follows from its content; `None` when it is not there.
///
/// # Errors
/// `416` for a range outside it; a file that cannot be read.
pub async fn serve(app: &App, request: &HttpRequest, name: &str) -> Result<Option<HttpResponse>, Problem> {
    let Some(found) = app.artefacts.find(name).await? else { return Ok(None) };
    let length = found.length;
    let (kind, ending) = (Format::of_name(name).media_type(), name.rsplit('.').next().unwrap_or_default());
    let tag = format!("\"{name}\"");
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    if header(IF_NONE_MATCH).is_some_and(|known| known.split(',').any(|known| known.trim() == tag)) {
        return Ok(Some(HttpResponse::NotModified().insert_header(("etag", tag)).finish()));
    }
    let range = header(RANGE).filter(|_| header(IF_RANGE).is_none_or(|known| known.trim() == tag));
    let (start, end, status) = match part(range, length) {
        Part::Whole => (0, length, StatusCode::OK),
        Part::Bytes(start, end) => (start, end, StatusCode::PARTIAL_CONTENT),
        Part::Outside => {
            let detail = format!("the file has {length} bytes");
            return Err(Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range-outside", detail));
        }
    };
    let mut response = HttpResponse::build(status);
    response
        .content_type(kind)
        .insert_header(("accept-ranges", "bytes"))
        .insert_header(("etag", tag))
        .insert_header(("cache-control", "private, max-age=300"))
        .insert_header(("access-control-allow-origin", "*"))
        .insert_header(("content-disposition", format!("inline; filename=\"video.{ending}\"")))
        .insert_header(("x-content-type-options", "nosniff"));
    if status == StatusCode::PARTIAL_CONTENT {
        response
            .insert_header(("content-range", format!("bytes {start}-{}/{length}", end.saturating_sub(1))));
    }
    Ok(Some(response.body(SizedStream::new(end - start, found.read(start, end)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (header, expected) in [
            (None, Part::Whole),
            (Some("bytes=0-9"), Part::Bytes(0, 10)),
            (Some("bytes=90-"), Part::Bytes(90, 100)),
            (Some("bytes=90-1000"), Part::Bytes(90, 100)),
            (Some("bytes=-10"), Part::Bytes(90, 100)),
            (Some("bytes=-1000"), Part::Bytes(0, 100)),
            (Some("bytes=100-"), Part::Outside),
            (Some("bytes=-0"), Part::Outside),
            (Some("bytes=9-3"), Part::Whole),
            (Some("bytes=0-1,3-4"), Part::Whole),
            (Some("bytes=a-b"), Part::Whole),
            (Some("bytes=-"), Part::Whole),
            (Some("lines=0-1"), Part::Whole),
            (Some("bytes=99999999999999999999-"), Part::Whole),
        ] {
            assert_eq!(part(header, 100), expected, "{header:?}");
        }
    }
}
