//! Processes that share one database: each tells that it is there, and takes over what those leave behind that are not any more.
//!
//! Whether another process lives is told by its *beat*, a number that it counts up: one whose beat has stood still for
//! [`STILL`] by this process's own monotonic clock, while the database answered all the time, has ended. What it had claimed goes back into the
//! queue. Should it come to life again after all, nothing that it ends counts, as its claims are others' by then.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web;
use serde_json::json;

use crate::app::App;
use crate::clock;
use crate::database::{Change, Fault, params};
use crate::erase;
use crate::log;
use crate::problem::Problem;
use crate::records::Records;

/// The pause between beats.
const BEAT: Duration = Duration::from_secs(2);
/// How long a beat stands still before its process counts as ended.
const STILL: Duration = Duration::from_secs(15);
/// How far the clocks of processes may be apart, and how long a step may take, in milliseconds.
const APART: i64 = 600_000;

/// What is known of other processes: their beats, and since when they have been the same.
#[derive(Default)]
pub struct Others(HashMap<String, (i64, Instant)>);

impl Others {
    /// Notes what is there at `now`, and gives those who have ended.
    fn note(&mut self, there: Vec<(String, i64)>, now: Instant) -> Vec<(String, i64)> {
        let mut known = HashMap::new();
        let mut ended = Vec::new();
        for (id, beat) in there {
            let since = match self.0.get(&id) {
                Some((before, since)) if *before == beat => *since,
                _ => now,
            };
            if now.duration_since(since) >= STILL {
                ended.push((id.clone(), beat));
            }
            known.insert(id, (beat, since));
        }
        self.0 = known;
        ended
    }

    /// Begins to look anew: while nothing was seen, nobody stood still.
    fn forget(&mut self) {
        self.0.clear();
    }
}

impl Records {
    /// Begins to work with the database. Gives how many renders were put back into the queue: in a file, all that were under way, as
    /// no other process works with it.
    ///
    /// # Errors
    /// What the database says.
    pub fn begin(&self) -> Result<usize, Problem> {
        if self.database.is_shared() {
            self.beat()?;
            return Ok(0);
        }
        let mut connection = self.lock();
        let change = connection.transaction()?;
        let again = put_back(&change, None)?;
        change.commit()?;
        Ok(again)
    }

    /// Tells that this process is there, and gives all others with their beats.
    pub(crate) fn beat(&self) -> Result<Vec<(String, i64)>, Problem> {
        let held = self.lock();
        let count =
            "INSERT INTO processes VALUES (?1, 1) ON CONFLICT (id) DO UPDATE SET beat = processes.beat + 1";
        held.execute(count, params![self.me])?;
        let others = "SELECT id, beat FROM processes WHERE id != ?1";
        Ok(held.query_map(others, params![self.me], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }

    /// Puts back what a process left behind, if its beat still stands where it stood. How many renders that were.
    pub(crate) fn bury(&self, id: &str, beat: i64) -> Result<usize, Problem> {
        let mut connection = self.lock();
        let change = connection.transaction()?;
        if change.execute("DELETE FROM processes WHERE id = ?1 AND beat = ?2", params![id, beat])? == 0 {
            return Ok(0);
        }
        let again = put_back(&change, Some(id))?;
        change.commit()?;
        Ok(again)
    }

    /// Ends to work with the database, and puts back what is under way here.
    ///
    /// # Errors
    /// What the database says.
    pub fn leave(&self) -> Result<(), Problem> {
        let mut connection = self.lock();
        let change = connection.transaction()?;
        change.execute("DELETE FROM processes WHERE id = ?1", params![self.me])?;
        put_back(&change, Some(&self.me))?;
        change.commit()?;
        Ok(())
    }
}

/// Puts back what a process has claimed, or, without one, whatever anybody has; and removes batches that were not uploaded to their end. How
/// many renders that were. Being killed is no failure of them, and so no attempt.
fn put_back(change: &Change<'_>, worker: Option<&str>) -> Result<usize, Fault> {
    let whose = "(?1 IS NULL OR worker = ?1)";
    let fewer = "attempts = CASE WHEN attempts > 0 THEN attempts - 1 ELSE 0 END";
    let renders = change.execute(
        &format!("UPDATE jobs SET state = 'queued', {fewer}, done = 0 WHERE state = 'rendering' AND {whose}"),
        params![worker],
    )?;
    let half = format!("SELECT seq FROM batches WHERE state = 'reading' AND {whose}");
    change.execute(&format!("DELETE FROM batch_rows WHERE batch IN ({half})"), params![worker])?;
    change.execute(&format!("DELETE FROM batches WHERE seq IN ({half})"), params![worker])?;
    change.execute(
        &format!(
            "UPDATE batch_rows SET state = 0, {fewer} WHERE state = 1 AND {whose} AND batch IN (SELECT seq FROM batches WHERE finished IS NULL)"
        ),
        params![worker],
    )?;
    let forecast = format!("UPDATE batches SET worker = NULL WHERE state = 'forecasting' AND {whose}");
    change.execute(&forecast, params![worker])?;
    if worker.is_some() {
        change.execute(
            "UPDATE deliveries SET next = ?2, worker = NULL WHERE worker = ?1 AND next IS NOT NULL",
            params![worker, clock::now_millis()],
        )?;
    }
    Ok(renders)
}

/// Beats until the service ends, takes over what others left behind, and hears of what they erased.
pub async fn work(app: Arc<App>) {
    if !app.records.database.is_shared() {
        return;
    }
    let mut others = Others::default();
    let mut since = clock::now_millis() - APART;
    while !app.is_stopping() {
        let (state, mut seen) = (app.clone(), std::mem::take(&mut others));
        let looked = web::block(move || {
            let looked = look(&state, &mut seen, since);
            if looked.is_err() {
                seen.forget();
            }
            (seen, looked)
        });
        let begun = clock::now_millis() - APART;
        if let Ok((seen, looked)) = looked.await {
            others = seen;
            if looked.is_ok() {
                since = begun;
            }
        }
        app.ending_or(BEAT).await;
    }
}

fn look(app: &Arc<App>, others: &mut Others, since: i64) -> Result<(), Problem> {
    erase::hear(app, since)?;
    let there = app.records.beat()?;
    for (id, beat) in others.note(there, Instant::now()) {
        let again = app.records.bury(&id, beat)?;
        log::event("process-ended", json!({ "requeued": again }));
        app.jobs.wake();
        app.batches.notify_waiters();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_that_stands_still_is_an_end() {
        let begin = Instant::now();
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        let there = |a: i64, b: i64| vec![("a".to_owned(), a), ("b".to_owned(), b)];
        let mut others = Others::default();
        assert!(others.note(there(1, 1), at(0)).is_empty());
        assert!(others.note(there(1, 2), at(14)).is_empty());
        assert_eq!(others.note(there(1, 3), at(15)), [("a".to_owned(), 1)]);
        assert!(others.note(there(2, 4), at(16)).is_empty(), "it lives after all");
        others.forget();
        assert!(others.note(there(2, 4), at(60)).is_empty(), "nobody looked meanwhile");
        assert!(others.note(there(3, 4), at(70)).is_empty());
        assert_eq!(others.note(there(3, 4), at(75)), [("b".to_owned(), 4)]);
    }
}
