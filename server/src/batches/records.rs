//! Batches and their rows in the database. A row's data are sealed, and gone once it has ended.

use crate::clock;
use crate::database::{Fault, OptionalExtension, Params, Row, ToValue, params};
use crate::problem::Problem;
use crate::records::{LONGEST_PAUSE, Records};
use crate::uses::{Record, ViewerId};

/// How a row stands.
pub mod state {
    pub const QUEUED: i64 = 0;
    pub const RENDERING: i64 = 1;
    pub const DONE: i64 = 2;
    pub const FAILED: i64 = 3;
    pub const ERASED: i64 = 4;
}

/// A batch as it is kept.
#[derive(Clone, Debug)]
pub struct Batch {
    pub seq: i64,
    pub id: String,
    pub tenant: String,
    pub template: String,
    pub version: String,
    /// reading, forecasting, forecast, running, paused, done, cancelled, failed.
    pub state: String,
    pub priority: i64,
    pub created: i64,
    pub begun: Option<i64>,
    pub finished: Option<i64>,
    pub total: i64,
    pub done: i64,
    pub failed: i64,
    pub erased: i64,
    /// What was wanted, sealed.
    pub sealed: Vec<u8>,
    /// The forecast, sealed.
    pub forecast: Option<Vec<u8>>,
    pub code: Option<String>,
}

const BATCH: &str = "seq, id, tenant, template, version, state, priority, created, begun, finished, total, done, failed, erased, sealed, \
                     forecast, code";

fn batch(row: &Row) -> Result<Batch, Fault> {
    Ok(Batch {
        seq: row.get(0)?,
        id: row.get(1)?,
        tenant: row.get(2)?,
        template: row.get(3)?,
        version: row.get(4)?,
        state: row.get(5)?,
        priority: row.get(6)?,
        created: row.get(7)?,
        begun: row.get(8)?,
        finished: row.get(9)?,
        total: row.get(10)?,
        done: row.get(11)?,
        failed: row.get(12)?,
        erased: row.get(13)?,
        sealed: row.get(14)?,
        forecast: row.get(15)?,
        code: row.get(16)?,
    })
}

/// A batch that is being uploaded.
pub struct NewBatch<'a> {
    pub id: &'a str,
    pub tenant: &'a str,
    pub template: &'a str,
    pub version: &'a str,
    pub priority: i64,
    /// Whether it begins without being confirmed.
    pub start: bool,
    pub sealed: &'a [u8],
}

/// A row that is being uploaded, or was.
#[derive(Clone, Debug)]
pub struct RowRecord {
    pub number: i64,
    pub state: i64,
    pub viewer: Option<ViewerId>,
    pub attempts: i64,
    /// The viewer's data.
    pub sealed: Vec<u8>,
    /// The cells that the result is to have.
    pub cells: Option<Vec<u8>>,
    pub file: Option<String>,
    /// The link's token.
    pub link: Option<Vec<u8>>,
    /// Why it failed.
    pub detail: Option<Vec<u8>>,
}

const ROW: &str = "number, state, viewer, attempts, sealed, cells, file, link, detail";

fn row(row: &Row) -> Result<RowRecord, Fault> {
    Ok(RowRecord {
        number: row.get(0)?,
        state: row.get(1)?,
        viewer: row.get(2)?,
        attempts: row.get(3)?,
        sealed: row.get(4)?,
        cells: row.get(5)?,
        file: row.get(6)?,
        link: row.get(7)?,
        detail: row.get(8)?,
    })
}

/// What came of a row.
pub enum RowEnd {
    /// A file of that name.
    File(String),
    /// A link's token, sealed.
    Link(Vec<u8>),
    /// Nothing, for this reason, sealed.
    Failed(Vec<u8>),
}

/// A batch's end in words, with its webhook.
pub struct Hook<'a> {
    /// The message's name.
    pub message: &'a str,
    /// Where to and what, sealed.
    pub sealed: &'a [u8],
}

impl Records {
    /// Begins a batch whose rows follow; `None` when its tenant has `most` that have not ended.
    pub(crate) fn add_batch(&self, new: &NewBatch<'_>, most: u32) -> Result<Option<i64>, Problem> {
        let mut connection = self.lock();
        let change = connection.transaction()?;
        let open = "SELECT COUNT(*) FROM batches WHERE tenant = ?1 AND finished IS NULL";
        if change.query_row(open, params![new.tenant], |row| row.get::<u32>(0))? >= most {
            return Ok(None);
        }
        let seq = change.query_row(
            "INSERT INTO batches (id, tenant, template, version, state, priority, served, created, start, total, done, failed, erased, \
             sealed, worker) VALUES (?1, ?2, ?3, ?4, 'reading', ?5, 0, ?6, ?7, 0, 0, 0, 0, ?8, ?9) RETURNING seq",
            params![
                new.id, new.tenant, new.template, new.version, new.priority, clock::now_millis(), new.start, new.sealed, self.me
            ],
            |row| row.get(0),
        )?;
        change.commit()?;
        Ok(Some(seq))
    }

    /// Adds rows to a batch that is being uploaded, in one step.
    pub(crate) fn add_rows(&self, batch: i64, rows: &[RowRecord]) -> Result<(), Problem> {
        let mut connection = self.lock();
        let change = connection.transaction()?;
        let failed = rows.iter().filter(|row| row.state == state::FAILED).count();
        let values: Vec<[&dyn ToValue; 7]> = rows
            .iter()
            .map(|row| {
                let RowRecord { number, state, viewer, sealed, cells, detail, .. } = row;
                [&batch as &dyn ToValue, number, state, viewer, sealed, cells, detail]
            })
            .collect();
        let values: Vec<Params<'_>> = values.iter().map(<[_; 7]>::as_slice).collect();
        change.execute_many(
            "INSERT INTO batch_rows (batch, number, state, viewer, not_before, attempts, sealed, cells, detail) \
             VALUES (?1, ?2, ?3, ?4, 0, 0, ?5, ?6, ?7)",
            &values,
        )?;
        let change_batch = "UPDATE batches SET total = total + ?2, failed = failed + ?3 WHERE seq = ?1";
        change.execute(change_batch, params![batch, rows.len() as i64, failed as i64])?;
        change.commit()?;
        Ok(())
    }

    /// Moves a batch from any of the states `from` to another. Whether it was in one of them.
    pub(crate) fn move_batch(&self, batch: i64, from: &[&str], to: &str) -> Result<bool, Problem> {
        let list = from.iter().map(|state| format!("'{state}'")).collect::<Vec<_>>().join(", ");
        let change = format!(
            "UPDATE batches SET state = ?2, finished = CASE WHEN ?2 = 'cancelled' THEN ?3 ELSE finished END \
             WHERE seq = ?1 AND state IN ({list})"
        );
        Ok(self.lock().execute(&change, params![batch, to, clock::now_millis()])? > 0)
    }

    /// Removes a batch with its rows.
    pub(crate) fn drop_batch(&self, batch: i64) -> Result<(), Problem> {
        let mut connection = self.lock();
        let change = connection.transaction()?;
        change.execute("DELETE FROM batch_rows WHERE batch = ?1", params![batch])?;
        change.execute("DELETE FROM batches WHERE seq = ?1", params![batch])?;
        change.commit()?;
        Ok(())
    }

    /// A batch, if it is this tenant's.
    pub(crate) fn batch(&self, tenant: &str, id: &str) -> Result<Option<Batch>, Problem> {
        let query =
            format!("SELECT {BATCH} FROM batches WHERE id = ?1 AND tenant = ?2 AND state != 'reading'");
        Ok(self.lock().query_row(&query, params![id, tenant], batch).optional()?)
    }

    /// A tenant's batches, newest first.
    pub(crate) fn batches(
        &self,
        tenant: &str,
        state: Option<&str>,
        template: Option<&str>,
        cursor: Option<i64>,
        most: u32,
    ) -> Result<Vec<Batch>, Problem> {
        let query = format!(
            "SELECT {BATCH} FROM batches WHERE tenant = ?1 AND seq < ?2 AND state != 'reading' AND (?3 IS NULL OR state = ?3) \
             AND (?4 IS NULL OR template = ?4) ORDER BY seq DESC LIMIT ?5"
        );
        let connection = self.lock();
        Ok(connection.query_map(
            &query,
            params![tenant, cursor.unwrap_or(i64::MAX), state, template, most],
            batch,
        )?)
    }

    /// The batch whose forecast is to be made next, by this process.
    pub(crate) fn next_forecast(&self) -> Result<Option<Batch>, Problem> {
        let query = format!(
            "UPDATE batches SET worker = ?1 WHERE seq = (SELECT seq FROM batches WHERE state = 'forecasting' AND \
             (worker IS NULL OR worker = ?1) ORDER BY seq LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING {BATCH}"
        );
        Ok(self.lock().query_row(&query, params![self.me], batch).optional()?)
    }

    /// Keeps a forecast; the batch begins if it was to, else waits to be confirmed. `None` for one that could not be made.
    pub(crate) fn end_forecast(&self, batch: i64, made: Result<&[u8], &str>) -> Result<(), Problem> {
        let connection = self.lock();
        match made {
            Ok(forecast) => connection.execute(
                "UPDATE batches SET forecast = ?2, state = CASE WHEN start != 0 THEN 'running' ELSE 'forecast' END \
                 WHERE seq = ?1 AND state = 'forecasting'",
                params![batch, forecast],
            )?,
            Err(code) => connection.execute(
                "UPDATE batches SET state = 'failed', code = ?2, finished = ?3 WHERE seq = ?1 AND state = 'forecasting'",
                params![batch, code, clock::now_millis()],
            )?,
        };
        Ok(())
    }

    /// At most `most` rows of a batch behind the row `after`.
    pub(crate) fn rows(&self, batch: i64, after: i64, most: u32) -> Result<Vec<RowRecord>, Problem> {
        let query =
            format!("SELECT {ROW} FROM batch_rows WHERE batch = ?1 AND number > ?2 ORDER BY number LIMIT ?3");
        let connection = self.lock();
        Ok(connection.query_map(&query, params![batch, after, most], row)?)
    }

    /// One row of a batch.
    pub(crate) fn row(&self, batch: i64, number: i64) -> Result<Option<RowRecord>, Problem> {
        let query = format!("SELECT {ROW} FROM batch_rows WHERE batch = ?1 AND number = ?2");
        Ok(self.lock().query_row(&query, params![batch, number], row).optional()?)
    }

    /// Takes the next row: of the most important batch, and among equals of that which waits longest.
    pub(crate) fn begin_row(&self) -> Result<Option<(Batch, RowRecord)>, Problem> {
        let now = clock::now_millis();
        let mut connection = self.lock();
        let change = connection.addition()?;
        let query = format!(
            "SELECT {BATCH} FROM batches WHERE state = 'running' AND EXISTS (SELECT 1 FROM batch_rows WHERE batch = batches.seq AND \
             state = 0 AND not_before NOT BETWEEN ?1 + 1 AND ?1 + ?2) ORDER BY priority DESC, served, seq LIMIT 1"
        );
        let Some(next) = change.query_row(&query, params![now, LONGEST_PAUSE], batch).optional()? else {
            return Ok(None);
        };
        let query = format!(
            "SELECT {ROW} FROM batch_rows WHERE batch = ?1 AND state = 0 AND not_before NOT BETWEEN ?2 + 1 AND ?2 + ?3 ORDER BY number LIMIT 1 \
             FOR UPDATE SKIP LOCKED"
        );
        let found = change.query_row(&query, params![next.seq, now, LONGEST_PAUSE], row).optional()?;
        let Some(found) = found else { return Ok(None) };
        change.execute(
            "UPDATE batches SET served = ?2, begun = COALESCE(begun, ?2) WHERE seq = ?1",
            params![next.seq, now],
        )?;
        change.execute(
            "UPDATE batch_rows SET state = 1, attempts = attempts + 1, worker = ?3 WHERE batch = ?1 AND number = ?2",
            params![next.seq, found.number, self.me],
        )?;
        change.commit()?;
        Ok(Some((next, found)))
    }

    /// Whether a row is still wanted: its batch goes on, and its viewer was not erased.
    pub(crate) fn row_is_wanted(&self, batch: i64, number: i64) -> Result<bool, Problem> {
        let query = "SELECT EXISTS (SELECT 1 FROM batch_rows JOIN batches ON seq = batch WHERE batch = ?1 AND number = ?2 AND \
                     batch_rows.state = 1 AND batch_rows.worker = ?3 AND batches.state IN ('running', 'paused'))";
        Ok(self.lock().query_row(query, params![batch, number, self.me], |row| row.get(0))?)
    }

    /// Notes what a row will use, if it is still wanted.
    pub(crate) fn note_row(&self, batch: i64, number: i64, record: &Record<'_>) -> Result<bool, Problem> {
        let mut connection = self.lock();
        let change = connection.transaction()?;
        let query = "SELECT EXISTS (SELECT 1 FROM batch_rows WHERE batch = ?1 AND number = ?2 AND state = 1 AND \
                     worker = ?3)";
        let wanted = change.query_row(query, params![batch, number, self.me], |row| row.get(0))?;
        if wanted {
            record.write(&change)?;
            change.commit()?;
        }
        Ok(wanted)
    }

    /// Ends a row that is being made. Whether it still was.
    pub(crate) fn end_row(&self, batch: i64, number: i64, end: &RowEnd) -> Result<bool, Problem> {
        let mut connection = self.lock();
        let change = connection.transaction()?;
        let which = "WHERE batch = ?1 AND number = ?2 AND state = 1 AND worker = ?4";
        let (changed, counter) = match end {
            RowEnd::File(name) => (
                change.execute(
                    &format!("UPDATE batch_rows SET state = 2, sealed = x'', file = ?3 {which}"),
                    params![batch, number, name, self.me],
                )?,
                "done",
            ),
            RowEnd::Link(token) => (
                change.execute(
                    &format!("UPDATE batch_rows SET state = 2, sealed = x'', link = ?3 {which}"),
                    params![batch, number, token, self.me],
                )?,
                "done",
            ),
            RowEnd::Failed(detail) => (
                change.execute(
                    &format!("UPDATE batch_rows SET state = 3, sealed = x'', detail = ?3 {which}"),
                    params![batch, number, detail, self.me],
                )?,
                "failed",
            ),
        };
        if changed > 0 {
            let count = format!("UPDATE batches SET {counter} = {counter} + 1 WHERE seq = ?1");
            change.execute(&count, params![batch])?;
        }
        change.commit()?;
        Ok(changed > 0)
    }

    /// Puts a row back, to be begun in `pause` milliseconds at the earliest; what was not `begun` is no attempt.
    pub(crate) fn put_row_back(
        &self,
        batch: i64,
        number: i64,
        pause: i64,
        begun: bool,
    ) -> Result<(), Problem> {
        let change = "UPDATE batch_rows SET state = 0, not_before = ?3, attempts = attempts - ?4 WHERE batch = ?1 AND number = ?2 AND \
                      state = 1 AND worker = ?5";
        let values = params![batch, number, clock::now_millis() + pause, !begun, self.me];
        self.lock().execute(change, values)?;
        Ok(())
    }

    /// Running batches of which no row is left.
    pub(crate) fn idle_batches(&self) -> Result<Vec<Batch>, Problem> {
        let query = format!(
            "SELECT {BATCH} FROM batches WHERE state = 'running' AND NOT EXISTS (SELECT 1 FROM batch_rows WHERE batch = batches.seq AND \
             state IN (0, 1))"
        );
        let connection = self.lock();
        Ok(connection.query_map(&query, &[], batch)?)
    }

    /// Ends a batch, and lays its webhook ready in the same step. Whether it had not ended.
    pub(crate) fn end_batch(
        &self,
        batch: &Batch,
        state: &str,
        hook: Option<&Hook<'_>>,
    ) -> Result<bool, Problem> {
        let now = clock::now_millis();
        let mut connection = self.lock();
        let change = connection.transaction()?;
        let end = "UPDATE batches SET state = ?2, finished = ?3 WHERE seq = ?1 AND finished IS NULL";
        let ended = change.execute(end, params![batch.seq, state, now])? > 0;
        if let (true, Some(hook)) = (ended, hook) {
            change.execute(
                "INSERT INTO deliveries (id, job, tenant, sealed, attempts, next, state, changed) \
                 VALUES (?1, ?2, ?3, ?4, 0, ?5, 'pending', ?5) ON CONFLICT DO NOTHING",
                params![hook.message, batch.id, batch.tenant, hook.sealed, now],
            )?;
        }
        change.commit()?;
        Ok(ended)
    }

    /// Removes viewers' data of rows that are not made any more, a part at a time. Whether there may be more.
    pub(crate) fn strip_rows(&self) -> Result<bool, Problem> {
        const AT_ONCE: u32 = 500;
        let change = "UPDATE batch_rows SET sealed = x'' WHERE (batch, number) IN (SELECT batch, number FROM batch_rows WHERE sealed != x'' \
                      AND batch IN (SELECT seq FROM batches WHERE state IN ('cancelled', 'failed')) LIMIT ?1)";
        Ok(self.lock().execute(change, params![AT_ONCE])? >= AT_ONCE as usize)
    }

    /// The files of batches that ended before a moment, and of nothing else.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) fn old_batch_files(&self, before: i64) -> Result<Vec<String>, Problem> {
        let old = "SELECT seq FROM batches WHERE finished < ?1";
        let query = format!(
            "SELECT DISTINCT file FROM batch_rows WHERE file IS NOT NULL AND batch IN ({old}) AND file NOT IN \
             (SELECT file FROM jobs WHERE file IS NOT NULL) AND file NOT IN \
             (SELECT file FROM batch_rows WHERE file IS NOT NULL AND batch NOT IN ({old}))"
        );
        Ok(self.lock().query_map(&query, params![before], |row| row.get(0))?)
    }

    /// Removes what is known of batches that ended before a moment.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) fn forget_batches(&self, before: i64) -> Result<(), Problem> {
        let old = "SELECT seq FROM batches WHERE finished < ?1";
        let mut connection = self.lock();
        let change = connection.transaction()?;
        change.execute(&format!("DELETE FROM batch_rows WHERE batch IN ({old})"), params![before])?;
        change.execute("DELETE FROM batches WHERE finished < ?1", params![before])?;
        change.commit()?;
        Ok(())
    }
}
