//! Those who want the same entry: one makes it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use vignette_renderer::store::{Disk, Layered, Lookup, Memory, Store, Vault};

use super::s3::Server;
use super::{LONG, STERN, key, noise};

const MIB: u64 = 1 << 20;

fn disk(folder: &Path) -> Arc<dyn Store> {
    Arc::new(Disk::open(folder, 64 * MIB).unwrap())
}

/// The entry under `key`, made when it has to be; `made` counts.
fn want(vault: &Vault, number: u64, made: &AtomicU64) -> Arc<[u8]> {
    let mut lookup = vault.begin(&key(number));
    loop {
        lookup = match lookup {
            Lookup::Found(bytes) => return bytes,
            Lookup::Mine(turn) => {
                made.fetch_add(1, Ordering::SeqCst);
                let bytes = noise(number, 2000);
                turn.keep(bytes.clone());
                return bytes;
            }
            Lookup::Busy(waiting) => waiting.wait(LONG),
        }
    }
}

#[test]
fn sixteen_threads_want_fifty_keys() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start();
    let memory = || Arc::new(Memory::new(64 * MIB));
    let stores: [Arc<dyn Store>; 4] = [
        memory(),
        disk(&folder.path().join("alone")),
        Arc::new(Layered::with_patience(memory(), disk(&folder.path().join("behind")), STERN)),
        Arc::new(Layered::with_patience(memory(), Arc::new(server.store("s3://bucket", LONG)), STERN)),
    ];
    for store in stores {
        let place = store.place();
        let vault = Vault::with_patience(store, STERN);
        let made: Vec<AtomicU64> = (0..50).map(|_| AtomicU64::new(0)).collect();
        let start = Barrier::new(16);
        thread::scope(|scope| {
            for thread in 0..16 {
                let (vault, made, start) = (&vault, &made, &start);
                scope.spawn(move || {
                    start.wait();
                    for step in 0..50 {
                        // Half of the threads go the other way round.
                        let number = if thread % 2 == 0 { step } else { 49 - step };
                        assert_eq!(want(vault, number, &made[number as usize]), noise(number, 2000));
                    }
                });
            }
        });
        let made: Vec<u64> = made.iter().map(|count| count.load(Ordering::SeqCst)).collect();
        assert_eq!(made, vec![1; 50], "{place}");
        let counters = vault.counters();
        assert_eq!((counters.made, counters.found, counters.errors), (50, 750, 0), "{place}");
        assert_eq!(vault.take_warnings(), Vec::<String>::new(), "{place}");
    }
}

/// Hands out lookups of key 1 to threads that wait, while the caller has the turn.
fn with_waiting(vault: &Vault, count: usize, finish: impl FnOnce() + Send) -> Vec<(bool, Arc<[u8]>)> {
    let begun = Barrier::new(count + 1);
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                let Lookup::Busy(waiting) = vault.begin(&key(1)) else { panic!("the turn is taken") };
                begun.wait();
                let mut lookup = waiting.wait(LONG);
                let result = loop {
                    lookup = match lookup {
                        Lookup::Found(bytes) => break (false, bytes),
                        Lookup::Mine(turn) => {
                            turn.keep(noise(1, 100));
                            break (true, noise(1, 100));
                        }
                        Lookup::Busy(waiting) => waiting.wait(LONG),
                    }
                };
                results.lock().unwrap().push(result);
            });
        }
        begun.wait();
        finish();
    });
    results.into_inner().unwrap()
}

#[test]
fn a_vault_that_keeps_nothing_still_shares() {
    let vault = Vault::none();
    let Lookup::Mine(turn) = vault.begin(&key(1)) else { panic!("nobody makes it") };
    let results = with_waiting(&vault, 8, || turn.keep(noise(1, 100)));
    assert_eq!(results, vec![(false, noise(1, 100)); 8]);
    assert!(!vault.contains(&key(1)));
    assert!(matches!(vault.begin(&key(1)), Lookup::Mine(_)), "nothing is kept");
    assert_eq!((vault.counters().found, vault.counters().made), (8, 1));
}

#[test]
fn when_the_maker_fails_one_other_makes_it() {
    let folder = tempfile::tempdir().unwrap();
    let stores: [Arc<dyn Store>; 2] = [Arc::new(Memory::new(MIB)), disk(folder.path())];
    for vault in stores.map(|store| Vault::with_patience(store, STERN)) {
        let Lookup::Mine(turn) = vault.begin(&key(1)) else { panic!("nobody makes it") };
        let results = with_waiting(&vault, 8, || drop(turn));
        assert_eq!(results.iter().filter(|(made, _)| *made).count(), 1);
        assert!(results.iter().all(|(_, bytes)| *bytes == noise(1, 100)));
    }
}

#[test]
fn when_the_maker_panics_one_other_makes_it() {
    let vault = Vault::new(Arc::new(Memory::new(MIB)));
    let Lookup::Mine(turn) = vault.begin(&key(1)) else { panic!("nobody makes it") };
    let results = with_waiting(&vault, 8, || {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _turn = turn;
            panic!("as planned");
        }));
        assert!(panicked.is_err());
    });
    assert_eq!(results.iter().filter(|(made, _)| *made).count(), 1);
}

#[test]
fn waiting_ends_when_the_time_is_up_and_may_go_on() {
    let vault = Vault::none();
    let Lookup::Mine(turn) = vault.begin(&key(1)) else { panic!("nobody makes it") };
    let Lookup::Busy(waiting) = vault.begin(&key(1)) else { panic!("it is being made") };
    let Lookup::Busy(waiting) = waiting.wait(Duration::ZERO) else { panic!("nothing has changed") };
    let Lookup::Busy(waiting) = waiting.wait(Duration::from_millis(20)) else {
        panic!("nothing has changed")
    };
    turn.keep(noise(1, 100));
    let Lookup::Found(bytes) = waiting.wait(Duration::ZERO) else { panic!("it was kept") };
    assert_eq!(bytes, noise(1, 100));
}

/// Two stores on one folder stand for two processes: they share nothing but files.
#[test]
fn two_who_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) =
        (Vault::with_patience(disk(folder.path()), STERN), Vault::with_patience(disk(folder.path()), STERN));

    let Lookup::Mine(turn) = one.begin(&key(1)) else { panic!("nobody makes it") };
    let Lookup::Busy(waiting) = other.begin(&key(1)) else { panic!("the first makes it") };
    let Lookup::Busy(waiting) = waiting.wait(Duration::from_millis(20)) else {
        panic!("nothing has changed")
    };
    thread::scope(|scope| {
        let waiting =
            scope.spawn(move || matches!(waiting.wait(LONG), Lookup::Found(b) if b == noise(1, 100)));
        turn.keep(noise(1, 100));
        assert!(waiting.join().unwrap(), "the second finds what the first made");
    });

    let Lookup::Mine(turn) = one.begin(&key(2)) else { panic!("nobody makes it") };
    let Lookup::Busy(waiting) = other.begin(&key(2)) else { panic!("the first makes it") };
    thread::scope(|scope| {
        let waiting = scope.spawn(move || match waiting.wait(LONG) {
            Lookup::Mine(turn) => turn.keep(noise(2, 100)),
            _ => panic!("the first has failed"),
        });
        drop(turn);
        waiting.join().unwrap();
    });
    assert!(matches!(one.begin(&key(2)), Lookup::Found(bytes) if bytes == noise(2, 100)));
}

#[test]
fn many_threads_of_two_who_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let vaults =
        [Vault::with_patience(disk(folder.path()), STERN), Vault::with_patience(disk(folder.path()), STERN)];
    let made: BTreeMap<u64, AtomicU64> = (0..40).map(|number| (number, AtomicU64::new(0))).collect();
    thread::scope(|scope| {
        for thread in 0..8 {
            let (vault, made) = (&vaults[thread % 2], &made);
            scope.spawn(move || {
                for (number, count) in made {
                    want(vault, *number, count);
                }
            });
        }
    });
    for (number, count) in made {
        assert_eq!(count.into_inner(), 1, "entry {number}");
    }
}
