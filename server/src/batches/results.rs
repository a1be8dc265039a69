//! The table of results as CSV (RFC 4180): a line for each row, in the order of the audience.

use std::sync::Arc;

use actix_web::web::{self, Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;

use super::records::{Batch, RowRecord, state};
use super::upload::Deliver;
use super::{Wanted, find, open_wanted, unseal_json};
use crate::app::App;
use crate::auth::{Scope, caller};
use crate::problem::Problem;
use crate::secrets::Purpose;

/// Rows that are read at a time.
const PAGE: u32 = 500;

/// `GET /v1/batches/{id}/results.csv`: what came of each row so far. Of the audience's columns it has those that were asked for.
///
/// # Errors
/// `404` when this tenant has no such batch.
pub async fn results(
    app: Data<Arc<App>>,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let app = app.get_ref();
    let caller = caller(app, &request, Scope::Read).await?;
    let batch = find(app, &caller.tenant, &id).await?;
    let wanted = open_wanted(app, &batch)?;
    let what = match wanted.deliver {
        Deliver::Files => "file",
        Deliver::Links => "link",
    };
    let ours = ["row", "status", what, "error"];
    let own = wanted.columns.iter().map(|name| match ours.contains(&name.as_str()) {
        true => format!("audience_{name}"),
        false => name.clone(),
    });
    let header = line(ours.into_iter().map(str::to_owned).chain(own));
    let base = app.base(&request);
    let begin = (app.clone(), batch, Arc::new(wanted), base, 0, Some(header));
    let pages = stream::try_unfold(begin, |(app, batch, wanted, base, after, header)| async move {
        if let Some(header) = header {
            return Ok(Some((Bytes::from(header), (app, batch, wanted, base, after, None))));
        }
        let (state, known, shape, place) = (app.clone(), batch.clone(), wanted.clone(), base.clone());
        let page = web::block(move || {
            let rows = state.records.rows(known.seq, after, PAGE)?;
            let last = rows.last().map(|row| row.number);
            let text: String = rows.iter().map(|row| tell(&state, &known, &shape, &place, row)).collect();
            Ok::<_, Problem>(last.map(|last| (text, last)))
        });
        let page = page.await.map_err(std::io::Error::other)?;
        let page = page.map_err(|problem| std::io::Error::other(problem.code()))?;
        Ok::<_, std::io::Error>(
            page.map(|(text, last)| (Bytes::from(text), (app, batch, wanted, base, last, None))),
        )
    });
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header(("cache-control", "no-store"))
        .insert_header(("content-disposition", "attachment; filename=\"results.csv\""))
        .insert_header(("x-content-type-options", "nosniff"))
        .streaming(Box::pin(pages)))
}

fn tell(app: &App, batch: &Batch, wanted: &Wanted, base: &str, row: &RowRecord) -> String {
    let status = match row.state {
        state::DONE => "done",
        state::FAILED => "failed",
        state::ERASED => "erased",
        _ if batch.state == "cancelled" => "cancelled",
        state::RENDERING => "rendering",
        _ => "queued",
    };
    let open = |sealed: &Option<Vec<u8>>| {
        let text = app.secrets.open_sealed(Purpose::Record, sealed.as_ref()?).ok()?;
        String::from_utf8(text).ok()
    };
    let address = match wanted.deliver {
        Deliver::Files => {
            row.file.as_ref().map(|_| format!("{base}/v1/batches/{}/rows/{}/file", batch.id, row.number))
        }
        Deliver::Links => open(&row.link).map(|token| format!("{base}/w/{token}/")),
    };
    let cells = row.cells.as_ref().and_then(|sealed| unseal_json(app, sealed));
    let cell = |at: usize| cells.as_ref().and_then(|cells| cells[at].as_str()).unwrap_or_default().to_owned();
    let ours = [
        row.number.to_string(),
        status.to_owned(),
        address.unwrap_or_default(),
        open(&row.detail).unwrap_or_default(),
    ];
    line(ours.into_iter().chain((0..wanted.columns.len()).map(cell)))
}

/// A line of a table.
fn line(cells: impl Iterator<Item = String>) -> String {
    let quoted = |cell: String| match cell.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    };
    let mut line = cells.map(quoted).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn cells_are_quoted() {
        let cells = ["1", "", "a,b", "say \"x\"", "two\nlines"].into_iter().map(str::to_owned);
        assert_eq!(line(cells), "1,,\"a,b\",\"say \"\"x\"\"\",\"two\nlines\"\r\n");
    }
}
