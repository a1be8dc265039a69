//! What the records promise, on both databases.

use std::collections::BTreeSet;
use std::thread;

use vignette_templates::blob::Digest;

use crate::batches::records::{NewBatch, RowEnd, RowRecord};
use crate::clock;
use crate::database::params;
use crate::database::testing::{on_both, on_postgres, postgres};
use crate::problem::Problem;
use crate::quota::Quota;
use crate::records::{Accepted, End, JobFilter, JobRecord, KeptLink, NewJob, Records};
use crate::uses::{Kind, Record, Use, ViewerId};

const MARIA: ViewerId = [1; 16];
const ZOE: ViewerId = [2; 16];

fn segment(number: u8) -> Use {
    Use { key: Digest([number; 32]), kind: Kind::Segment, detail: u32::from(number) }
}

fn record<'a>(viewer: Option<ViewerId>, uses: &'a [Use]) -> Record<'a> {
    Record { tenant: "acme", template: "hello", viewer, uses }
}

fn job<'a>(id: &'a str, record: &'a Record<'a>) -> NewJob<'a> {
    NewJob {
        id,
        tenant: "acme",
        template: "hello",
        version: "",
        priority: 0,
        deadline: None,
        sealed: b"sealed",
        frames: 10,
        idem: None,
        record,
    }
}

fn accepted(records: &Records, new: &NewJob<'_>) -> JobRecord {
    match records.accept(new, 100_000).unwrap() {
        Accepted::New(job) => job,
        _ => panic!("not accepted"),
    }
}

const DONE: End<'_> = End::Done { file: "f.mp4", bytes: 7 };

#[test]
fn jobs_are_accepted_once_taken_in_order_and_ended_once() {
    on_both(|open| {
        let records = open();
        let nobody = record(None, &[]);
        let plain = job("a", &nobody);
        let first = accepted(&records, &NewJob { idem: Some(([1; 32], [2; 32])), ..plain });
        assert_eq!(
            (first.state.as_str(), first.attempts, first.sealed.as_slice()),
            ("queued", 0, &b"sealed"[..])
        );
        let offer = |id, body| {
            let new = NewJob { id, idem: Some(([1; 32], [body; 32])), ..job(id, &nobody) };
            records.accept(&new, 100).unwrap()
        };
        assert!(matches!(offer("b", 2), Accepted::Known(job) if job.id == "a"));
        assert!(matches!(offer("b", 3), Accepted::Conflict));
        assert!(matches!(records.accept(&job("b", &nobody), 1).unwrap(), Accepted::Full));
        accepted(&records, &job("b", &nobody));
        accepted(&records, &NewJob { priority: 5, ..job("c", &nobody) });
        accepted(
            &records,
            &NewJob { deadline: Some(clock::now_millis() - 1), priority: 9, ..job("d", &nobody) },
        );
        assert_eq!(records.queue().unwrap(), (4, 0));
        // The most important first, then the oldest; what is too late is not begun.
        let taken: Vec<String> = (0..3).map(|_| records.begin_job().unwrap().unwrap().id).collect();
        assert_eq!(taken, ["c", "a", "b"]);
        assert!(records.begin_job().unwrap().is_none());
        assert_eq!(records.job("acme", "d").unwrap().unwrap().state, "expired");
        assert_eq!(records.queue().unwrap(), (0, 3));
        assert_eq!(records.under_way().unwrap(), 3);
        records.progress("c", 4).unwrap();
        assert_eq!(records.job("acme", "c").unwrap().unwrap().done, 4);
        assert!(records.job("other", "c").unwrap().is_none(), "another tenant");
        // Ended once, with its webhook.
        assert!(records.end_job("c", &DONE, Some(("message", b"where"))).unwrap());
        assert!(!records.end_job("c", &DONE, Some(("message", b"where"))).unwrap());
        let ended = records.job("acme", "c").unwrap().unwrap();
        assert_eq!(
            (ended.state.as_str(), ended.done, ended.bytes, ended.sealed.len()),
            ("done", 10, Some(7), 0)
        );
        assert_eq!(records.delivery_of("c").unwrap().unwrap().state, "pending");
        let due = records.due(10, 60_000).unwrap();
        assert_eq!((due.len(), due[0].job.as_str(), due[0].sealed.as_slice()), (1, "c", &b"where"[..]));
        records.attempted("message", "delivered", "204", None).unwrap();
        assert!(records.due(10, 60_000).unwrap().is_empty());
        let failed = End::Failed { code: "encoder-failed", sealed_detail: b"why" };
        assert!(records.end_job("a", &failed, None).unwrap());
        // Put back, and cancelled while it waits.
        records.put_back("b", 60_000).unwrap();
        assert!(records.begin_job().unwrap().is_none(), "not yet");
        assert!(records.cancel_job("acme", "b").unwrap() && !records.cancel_job("acme", "b").unwrap());
        let listed = |filter: JobFilter| -> Vec<String> {
            records.jobs("acme", &filter, None, 10).unwrap().into_iter().map(|job| job.id).collect()
        };
        assert_eq!(listed(JobFilter::default()), ["d", "c", "b", "a"]);
        assert_eq!(listed(JobFilter { state: Some("failed".into()), ..JobFilter::default() }), ["a"]);
        assert_eq!(listed(JobFilter { viewer: Some(MARIA), ..JobFilter::default() }), Vec::<String>::new());
        // Nothing is left of what ended long ago.
        let soon = clock::now_millis() + 1;
        records.sweep(soon).unwrap();
        assert_eq!(records.old_files(soon).unwrap(), ["f.mp4"]);
        records.forget_jobs(soon).unwrap();
        assert!(records.old_files(soon).unwrap().is_empty());
        assert!(records.jobs("acme", &JobFilter::default(), None, 10).unwrap().is_empty());
    });
}

#[test]
fn keys_links_and_versions_are_kept() {
    on_both(|open| {
        let records = open();
        assert!(!records.has_keys().unwrap());
        let quota = Quota { renders: Some(3), seconds: None, links: None };
        records.add_key("k1", "acme", &[7; 32], "render", quota).unwrap();
        assert!(records.add_key("k1", "acme", &[8; 32], "render", quota).is_err(), "an id is one key's");
        assert!(records.has_keys().unwrap());
        assert_eq!(records.quota_of("k1").unwrap(), quota);
        assert!(records.renew_key("k1", "k2", &[9; 32], 60_000).unwrap());
        assert!(records.renew_key("k1", "k3", &[10; 32], -1).unwrap());
        assert!(records.key(&[7; 32]).unwrap().is_none(), "the shorter overlap counts");
        assert_eq!(records.key(&[9; 32]).unwrap().unwrap().quota, quota);
        assert!(records.revoke_key("k2").unwrap() && !records.revoke_key("k2").unwrap());
        assert!(records.key(&[9; 32]).unwrap().is_none());

        let kept = KeptLink { id: &[3; 32], sealed: b"data", expires: clock::now() + 60 };
        records.add_link(&record(Some(MARIA), &[segment(1)]), Some(&kept)).unwrap();
        assert_eq!(records.link(&[3; 32]).unwrap().unwrap(), b"data");
        assert!(records.link(&[4; 32]).unwrap().is_none());

        let place = |_| Ok(());
        assert_eq!(records.add_version("acme", "hello", "x", place).unwrap(), 1);
        let fails = records.add_version("acme", "hello", "y", |_| Err(Problem::busy()));
        assert!(fails.is_err(), "nothing is known of what has no place");
        assert_eq!(records.add_version("acme", "hello", "y", place).unwrap(), 2);
        assert_eq!(records.published("acme", "hello").unwrap(), Some(1));
        assert!(
            records.publish("acme", "hello", 2).unwrap() && !records.publish("acme", "hello", 3).unwrap()
        );
        assert_eq!(records.published("acme", "hello").unwrap(), Some(2));
        assert_eq!(records.version_of("acme", "hello", "x").unwrap(), Some(1));
        assert!(
            records.has_version("acme", "hello", 2).unwrap()
                && !records.has_version("acme", "hello", 3).unwrap()
        );
        // By their bytes, whatever the language of the machine.
        for name in ["b", "B", "_", "a"] {
            records.add_version("acme", name, "x", place).unwrap();
        }
        let names: Vec<String> =
            records.templates("acme").unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["B", "_", "a", "b", "hello"]);

        records.set_retention("acme", "hello", Some(3)).unwrap();
        records.set_retention("acme", "hello", Some(4)).unwrap();
        assert_eq!(records.retentions().unwrap(), [("acme".to_owned(), "hello".to_owned(), 4)]);
        records.set_retention("acme", "hello", None).unwrap();
        assert!(records.retentions().unwrap().is_empty());
    });
}

#[test]
fn erasing_takes_what_is_one_viewer_s_alone() {
    on_both(|open| {
        let records = open();
        records.add_link(&record(Some(MARIA), &[segment(1), segment(2), segment(1)]), None).unwrap();
        records.add_link(&record(Some(MARIA), &[segment(3)]), None).unwrap();
        records.add_link(&record(Some(ZOE), &[segment(2)]), None).unwrap();
        records.note(&record(None, &[segment(3)])).unwrap();
        let uses = [segment(4)];
        accepted(&records, &job("a", &record(Some(MARIA), &uses)));
        let removed = records.erase("acme", &MARIA).unwrap();
        assert_eq!((removed.links, removed.jobs, removed.open.as_slice()), (2, 1, &["a".to_owned()][..]));
        assert_eq!((removed.doomed.as_slice(), removed.erasures), (&[segment(1), segment(4)][..], 1));
        assert_eq!(records.erase("acme", &MARIA).unwrap().erasures, 2);
        assert_eq!(records.erased(0).unwrap(), [(MARIA, 2)]);
        assert!(records.erased(clock::now_millis() + 60_000).unwrap().is_empty());
        assert!(records.is_used(&segment(2)).unwrap() && !records.is_used(&segment(1)).unwrap());
        assert_eq!(records.doomed_since(0).unwrap().len(), 2);
        assert!(records.doomed(10).unwrap().is_empty(), "a minute later");
        records.undoom(&[segment(1), segment(4)]).unwrap();
        assert!(records.doomed_since(0).unwrap().is_empty());
        assert_eq!(records.retire("acme", "hello", 0).unwrap().doomed, [], "made today");
        records.forget_viewers(clock::now_millis() + 1).unwrap();
        assert!(records.erased(0).unwrap().is_empty());
    });
}

fn row(number: i64, viewer: Option<ViewerId>) -> RowRecord {
    RowRecord {
        number,
        state: 0,
        viewer,
        attempts: 0,
        sealed: b"row".to_vec(),
        cells: None,
        file: None,
        link: None,
        detail: None,
    }
}

#[test]
fn batches_go_row_by_row() {
    on_both(|open| {
        let records = open();
        records.begin().unwrap();
        let new = |id| NewBatch {
            id,
            tenant: "acme",
            template: "hello",
            version: "",
            priority: 0,
            start: true,
            sealed: b"wanted",
        };
        let seq = records.add_batch(&new("x"), 1).unwrap().unwrap();
        assert!(records.add_batch(&new("y"), 1).unwrap().is_none(), "as many as a tenant may have");
        records.add_rows(seq, &[row(1, Some(MARIA)), row(2, None), row(3, None)]).unwrap();
        assert!(records.batch("acme", "x").unwrap().is_none(), "half of it");
        assert!(records.move_batch(seq, &["reading"], "forecasting").unwrap());
        assert_eq!(records.next_forecast().unwrap().unwrap().id, "x");
        records.end_forecast(seq, Ok(b"forecast")).unwrap();
        assert!(records.next_forecast().unwrap().is_none());
        let batch = records.batch("acme", "x").unwrap().unwrap();
        assert_eq!(
            (batch.state.as_str(), batch.total, batch.forecast.as_deref()),
            ("running", 3, Some(&b"forecast"[..]))
        );
        let numbers: Vec<i64> = (0..3).map(|_| records.begin_row().unwrap().unwrap().1.number).collect();
        assert_eq!(numbers, [1, 2, 3]);
        assert!(records.begin_row().unwrap().is_none());
        assert!(records.row_is_wanted(seq, 1).unwrap() && !records.row_is_wanted(seq, 4).unwrap());
        assert!(records.note_row(seq, 1, &record(Some(MARIA), &[segment(1)])).unwrap());
        assert!(records.end_row(seq, 1, &RowEnd::File("f.mp4".into())).unwrap());
        assert!(!records.end_row(seq, 1, &RowEnd::Link(vec![1])).unwrap());
        assert!(records.end_row(seq, 2, &RowEnd::Failed(vec![1])).unwrap());
        records.put_row_back(seq, 3, 0, true).unwrap();
        assert_eq!(records.begin_row().unwrap().unwrap().1.attempts, 1);
        assert!(records.idle_batches().unwrap().is_empty());
        assert!(records.end_row(seq, 3, &RowEnd::Link(vec![1])).unwrap());
        assert_eq!(records.erase("acme", &MARIA).unwrap().rows, 1);
        let idle = records.idle_batches().unwrap();
        assert_eq!((idle.len(), idle[0].done, idle[0].failed, idle[0].erased), (1, 1, 1, 1));
        assert!(
            records.end_batch(&idle[0], "done", None).unwrap()
                && !records.end_batch(&idle[0], "done", None).unwrap()
        );
        assert_eq!(records.rows(seq, 1, 10).unwrap().len(), 2);
        assert!(!records.strip_rows().unwrap());
        let soon = clock::now_millis() + 1;
        assert!(records.old_batch_files(soon).unwrap().is_empty(), "its file was erased");
        records.forget_batches(soon).unwrap();
        assert!(records.batch("acme", "x").unwrap().is_none());
    });
}

#[test]
fn what_was_under_way_when_all_ended_is_begun_again() {
    on_both(|open| {
        let before = open();
        before.begin().unwrap();
        let nobody = record(None, &[]);
        accepted(&before, &job("a", &nobody));
        before.begin_job().unwrap().unwrap();
        before.leave().unwrap();
        drop(before);
        let after = open();
        after.begin().unwrap();
        let again = after.begin_job().unwrap().unwrap();
        assert_eq!((again.id.as_str(), again.attempts), ("a", 0), "being ended is no attempt");
    });
}

#[test]
fn processes_that_share_a_database_do_nothing_twice() {
    on_postgres(|open| {
        const JOBS: usize = 120;
        let first = open();
        let nobody = record(None, &[]);
        for number in 0..JOBS {
            accepted(&first, &job(&format!("j{number:03}"), &nobody));
        }
        let worked = |records: &Records| {
            let mut mine = Vec::new();
            while let Some(job) = records.begin_job().unwrap() {
                let hook = (job.id.as_str(), &b"where"[..]);
                assert!(records.end_job(&job.id, &DONE, Some(hook)).unwrap());
                mine.push(job.id);
            }
            let mut sent = Vec::new();
            loop {
                let due = records.due(8, 60_000).unwrap();
                if due.is_empty() {
                    return (mine, sent);
                }
                sent.extend(due.into_iter().map(|delivery| delivery.job));
            }
        };
        let processes: Vec<Records> = (0..4).map(|_| open()).collect();
        let shares: Vec<(Vec<String>, Vec<String>)> = thread::scope(|scope| {
            // Two workers each, as the service has.
            let threads: Vec<_> =
                processes.iter().chain(&processes).map(|records| scope.spawn(|| worked(records))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for all in [
            shares.iter().flat_map(|(jobs, _)| jobs).collect::<Vec<_>>(),
            shares.iter().flat_map(|(_, hooks)| hooks).collect(),
        ] {
            assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (JOBS, JOBS));
        }
        assert!(shares.iter().filter(|(jobs, _)| !jobs.is_empty()).count() > 1, "one did it all");
    });
}

#[test]
fn links_that_come_together_are_all_kept() {
    on_both(|open| {
        const EACH: u8 = 25;
        let records = open();
        thread::scope(|scope| {
            for part in 0..8_u8 {
                let records = &records;
                scope.spawn(move || {
                    for number in 0..EACH {
                        let mut id = [part; 32];
                        id[0] = number;
                        let kept = KeptLink { id: &id, sealed: &[part, number], expires: clock::now() + 60 };
                        let uses = [segment(part), segment(100 + number)];
                        records.add_link(&record(Some([part; 16]), &uses), Some(&kept)).unwrap();
                        assert_eq!(records.link(&id).unwrap().unwrap(), [part, number]);
                    }
                });
            }
        });
        for part in 0..8_u8 {
            let removed = records.erase("acme", &[part; 16]).unwrap();
            // The last one takes with it what all shared.
            let own = if part == 7 { 1 + usize::from(EACH) } else { 1 };
            assert_eq!((removed.links, removed.doomed.len()), (u64::from(EACH), own));
        }
    });
}

#[test]
fn a_day_s_quota_is_not_passed_by_many_at_once() {
    on_postgres(|open| {
        let quota = Quota { renders: Some(25), seconds: None, links: None };
        let processes: Vec<Records> = (0..4).map(|_| open()).collect();
        let within: usize = thread::scope(|scope| {
            let take = |records: &Records| {
                let share = || crate::quota::Share::of(1.0);
                (0..10).filter(|_| records.take_quota("key", quota, share()).unwrap().1).count()
            };
            let threads: Vec<_> =
                processes.iter().map(|records| scope.spawn(move || take(records))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(within, 25);
    });
}

#[test]
fn what_an_ended_process_had_is_taken_over_and_its_late_word_does_not_count() {
    on_postgres(|open| {
        let (gone, other) = (open(), open());
        let nobody = record(None, &[]);
        for records in [&gone, &other] {
            records.begin().unwrap();
        }
        accepted(&gone, &job("a", &nobody));
        gone.begin_job().unwrap().unwrap();
        let there = other.beat().unwrap();
        let (id, beat) = there[0].clone();
        assert_eq!((there.len(), id.as_str(), beat), (1, gone.me.as_str(), 1));
        assert_eq!(other.bury(&id, beat + 1).unwrap(), 0, "it beat since");
        assert_eq!(other.bury(&id, beat).unwrap(), 1);
        assert!(!gone.end_job("a", &DONE, None).unwrap(), "it is nobody's");
        assert_eq!(other.begin_job().unwrap().unwrap().id, "a");
        assert!(!gone.end_job("a", &DONE, None).unwrap(), "it is another's");
        gone.put_back("a", 0).unwrap();
        assert!(other.end_job("a", &DONE, None).unwrap());
    });
}

#[test]
fn lost_connections_are_made_anew() {
    let mut server = postgres::Server::start(&[]);
    let url = server.database();
    let records = Records::open(&crate::database::Source::Url(url)).unwrap();
    let nobody = record(None, &[]);
    accepted(&records, &job("a", &nobody));
    server.tell("down");
    let refused = records.accept(&job("b", &nobody), 10).err().unwrap();
    assert_eq!(refused.code(), "busy");
    assert!(!records.is_well());
    server.tell("up");
    assert!(records.is_well());
    accepted(&records, &job("b", &nobody));
    // One that was cut while it was lent.
    let mut held = records.lock();
    let change = held.transaction().unwrap();
    change.execute("DELETE FROM jobs", &[]).unwrap();
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'vignette'");
    assert!(change.execute("DELETE FROM jobs", params![]).is_err());
    assert!(change.commit().is_err());
    drop(held);
    assert_eq!(records.queue().unwrap(), (2, 0), "nothing is half done");
}
