//! The suite that every store passes.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use object_store::memory::InMemory;
use vignette_renderer::store::seal::sealed_len;
use vignette_renderer::store::{Disk, Layered, Memory, Objects, Store, StoreError, Verified};

use super::s3::Server;
use super::{LONG, STERN, key, noise};

const MIB: u64 = 1 << 20;

/// Runs everything on stores that `make` gives: each new, empty, and with the bound it is given, if with any.
fn conformance(make: impl Fn(u64) -> Box<dyn Store>) {
    entries_come_and_go(&*make(64 * MIB));
    entries_of_all_sizes(&*make(64 * MIB));
    many_entries(&*make(64 * MIB));
    many_threads_put_one_key(&*make(64 * MIB));
    many_threads_put_many_keys(&*make(64 * MIB));
    claims_are_granted_and_freed(&*make(64 * MIB));
    the_bound_holds(&*make(MIB));
    the_longest_unused_go(&*make(MIB));
    pruning(&*make(64 * MIB));
    verifying(&*make(64 * MIB));
}

fn entries_come_and_go(store: &dyn Store) {
    let (one, other) = (noise(1, 1000), noise(2, 700));
    assert!(!store.place().is_empty());
    assert_eq!(store.stats().unwrap().entries, 0);
    assert_eq!(store.get(&key(1)).unwrap(), None);
    assert!(!store.contains(&key(1)).unwrap());
    assert!(!store.remove(&key(1)).unwrap());

    store.put(&key(1), &one).unwrap();
    assert_eq!(store.get(&key(1)).unwrap().as_ref(), Some(&one));
    assert!(store.contains(&key(1)).unwrap());
    assert_eq!(store.get(&key(2)).unwrap(), None);
    let stats = store.stats().unwrap();
    assert_eq!((stats.entries, stats.bytes), (1, sealed_len(1000)));

    store.put(&key(1), &other).unwrap();
    assert_eq!(store.get(&key(1)).unwrap().as_ref(), Some(&other), "replaced");
    let stats = store.stats().unwrap();
    assert_eq!((stats.entries, stats.bytes), (1, sealed_len(700)));

    assert!(store.remove(&key(1)).unwrap());
    assert_eq!(store.get(&key(1)).unwrap(), None);
    assert!(!store.contains(&key(1)).unwrap());
    let stats = store.stats().unwrap();
    assert_eq!((stats.entries, stats.bytes), (0, 0));
}

fn entries_of_all_sizes(store: &dyn Store) {
    for length in [0, 1, 47, 48, 49, 65_535, 65_536, 65_537, 8 << 20] {
        let bytes = noise(length as u64, length);
        store.put(&key(3), &bytes).unwrap();
        let found = store.get(&key(3)).unwrap();
        assert!(found.as_ref() == Some(&bytes), "{length} bytes");
    }
}

fn many_entries(store: &dyn Store) {
    let length = |number: u64| (number * 7 % 500) as usize;
    for number in 0..300 {
        store.put(&key(number), &noise(number, length(number))).unwrap();
    }
    for number in 0..300 {
        let found = store.get(&key(number)).unwrap();
        assert_eq!(found, Some(noise(number, length(number))), "entry {number}");
    }
    let stats = store.stats().unwrap();
    assert_eq!(stats.entries, 300);
    assert_eq!(stats.bytes, (0..300).map(|number| sealed_len(length(number) as u64)).sum::<u64>());
}

fn many_threads_put_one_key(store: &dyn Store) {
    let versions: Vec<Arc<[u8]>> = (0..8).map(|seed| noise(seed, 50_000 + seed as usize)).collect();
    let start = Barrier::new(16);
    thread::scope(|scope| {
        for version in &versions {
            scope.spawn(|| {
                start.wait();
                for _ in 0..5 {
                    store.put(&key(4), version).unwrap();
                }
            });
            scope.spawn(|| {
                start.wait();
                for _ in 0..20 {
                    if let Some(found) = store.get(&key(4)).unwrap() {
                        assert!(versions.contains(&found), "a mixture of two entries");
                    }
                }
            });
        }
    });
    assert!(store.get(&key(4)).unwrap().is_some_and(|found| versions.contains(&found)));
    assert_eq!(store.stats().unwrap().entries, 1);
}

fn many_threads_put_many_keys(store: &dyn Store) {
    thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                for number in thread * 20..thread * 20 + 20 {
                    store.put(&key(number), &noise(number, 3000)).unwrap();
                    assert_eq!(store.get(&key(number)).unwrap(), Some(noise(number, 3000)));
                }
            });
        }
    });
    assert_eq!(store.stats().unwrap().entries, 160);
}

fn claims_are_granted_and_freed(store: &dyn Store) {
    let claims: Vec<_> = (0..100).map(|number| store.claim(&key(number)).unwrap().expect("free")).collect();
    if claims[0].is_locked() {
        assert!(store.claim(&key(0)).unwrap().is_none(), "claimed twice");
    }
    drop(claims);
    for number in 0..100 {
        assert!(store.claim(&key(number)).unwrap().is_some(), "{number} was not freed");
    }
}

fn the_bound_holds(store: &dyn Store) {
    let Some(bound) = store.stats().unwrap().bound else { return };
    for number in 0..60 {
        store.put(&key(number), &noise(number, 50_000)).unwrap();
        let stats = store.stats().unwrap();
        assert!(stats.bytes <= bound, "{} bytes after {number} entries", stats.bytes);
        assert!(store.contains(&key(number)).unwrap(), "the newest is not given up");
    }
    assert!(store.stats().unwrap().bytes > bound / 2, "more was given up than had to be");
    let before = store.stats().unwrap();
    let refused = store.put(&key(100), &noise(100, bound as usize));
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
    assert!(!store.contains(&key(100)).unwrap());
    assert_eq!(store.stats().unwrap(), before, "nothing was given up for it");
    let most = noise(101, bound as usize - sealed_len(0) as usize);
    store.put(&key(101), &most).unwrap();
    assert!(store.get(&key(101)).unwrap() == Some(most), "what just fits is kept");
}

fn the_longest_unused_go(store: &dyn Store) {
    let Some(bound) = store.stats().unwrap().bound else { return };
    let length = (bound / 10 - sealed_len(0)) as usize;
    for number in 0..10 {
        store.put(&key(number), &noise(number, length)).unwrap();
    }
    assert_eq!(store.stats().unwrap().entries, 10);
    assert!(store.get(&key(0)).unwrap().is_some());
    store.put(&key(10), &noise(10, length)).unwrap();
    let there = |number| store.contains(&key(number)).unwrap();
    assert!(there(0), "just used");
    assert!(!there(1), "not used for longest");
    assert!((3..11).all(there), "used later than others that had to go");
}

fn pruning(store: &dyn Store) {
    for number in 0..20 {
        store.put(&key(number), &noise(number, 1000)).unwrap();
    }
    let untouched = store.prune(20 * sealed_len(1000)).unwrap();
    assert_eq!((untouched.entries, untouched.bytes), (0, 0));
    let pruned = store.prune(5 * sealed_len(1000) + 1).unwrap();
    assert!(pruned.entries >= 15 && pruned.bytes >= 15 * sealed_len(1000), "{pruned:?}");
    let stats = store.stats().unwrap();
    assert_eq!((stats.entries, stats.bytes), (5, 5 * sealed_len(1000)));
    for number in 0..20 {
        assert_eq!(store.contains(&key(number)).unwrap(), number >= 15, "entry {number}");
    }
    store.prune(0).unwrap();
    assert_eq!(store.stats().unwrap().entries, 0);
    store.put(&key(1), &noise(1, 10)).unwrap();
    assert!(store.get(&key(1)).unwrap().is_some(), "usable after all was removed");
}

fn verifying(store: &dyn Store) {
    for number in 0..20 {
        store.put(&key(number), &noise(number, 1000)).unwrap();
    }
    let mut steps = 0;
    let verified = store
        .verify(&mut |_| {
            steps += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(verified.sound >= 20 && steps > 0);
    assert_eq!(verified.bytes, verified.sound * sealed_len(1000));
    assert_eq!(Verified { sound: 0, bytes: 0, ..verified }, Verified::default());
    let broken_off = store.verify(&mut |_| ControlFlow::Break(())).unwrap();
    assert!(broken_off.sound <= verified.sound);
    assert_eq!(store.stats().unwrap().entries, 20);
}

/// Gives folders that are not there yet, in `folder`.
fn fresh_folders(folder: &Path) -> impl Fn() -> PathBuf {
    let next = Cell::new(0);
    let folder = folder.to_owned();
    move || {
        next.set(next.get() + 1);
        folder.join(format!("store {}", next.get()))
    }
}

fn in_memory() -> Objects {
    Objects::new(Arc::new(InMemory::new()), "some/where", LONG).unwrap()
}

#[test]
fn memory() {
    conformance(|bound| Box::new(Memory::new(bound)));
}

#[test]
fn disk() {
    let root = tempfile::tempdir().unwrap();
    let folder = fresh_folders(root.path());
    conformance(|bound| Box::new(Disk::open(&folder(), bound).unwrap().touching_after(Duration::ZERO)));
}

#[test]
fn objects() {
    conformance(|_| Box::new(in_memory()));
}

#[test]
fn objects_over_http() {
    let server = Server::start();
    let next = Cell::new(0);
    conformance(|_| {
        next.set(next.get() + 1);
        Box::new(server.store(&format!("s3://bucket/{}/deep", next.get()), LONG))
    });
}

#[test]
fn memory_before_disk() {
    let root = tempfile::tempdir().unwrap();
    let folder = fresh_folders(root.path());
    conformance(|bound| {
        let disk = Disk::open(&folder(), bound).unwrap().touching_after(Duration::ZERO);
        Box::new(Layered::with_patience(Arc::new(Memory::new(bound)), Arc::new(disk), STERN))
    });
}

#[test]
fn small_memory_before_disk() {
    let root = tempfile::tempdir().unwrap();
    let folder = fresh_folders(root.path());
    conformance(|bound| {
        let disk = Disk::open(&folder(), bound).unwrap().touching_after(Duration::ZERO);
        Box::new(Layered::with_patience(Arc::new(Memory::new(10_000)), Arc::new(disk), STERN))
    });
}

#[test]
fn memory_before_objects() {
    conformance(|bound| {
        Box::new(Layered::with_patience(Arc::new(Memory::new(bound)), Arc::new(in_memory()), STERN))
    });
}

#[test]
fn disk_before_objects() {
    let root = tempfile::tempdir().unwrap();
    let folder = fresh_folders(root.path());
    conformance(|bound| {
        let disk = Disk::open(&folder(), bound).unwrap();
        Box::new(Layered::with_patience(Arc::new(disk), Arc::new(in_memory()), STERN))
    });
}

#[test]
fn what_is_kept_for_good_is_there_when_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Arc::new(InMemory::new());
    let open: [&dyn Fn() -> Box<dyn Store>; 2] =
        [&|| Box::new(Disk::open(folder.path(), MIB).unwrap()), &|| {
            Box::new(Objects::new(objects.clone(), "", LONG).unwrap())
        }];
    for open in open {
        for number in 0..5 {
            open().put(&key(number), &noise(number, 1000)).unwrap();
        }
        let again = open();
        assert_eq!(again.stats().unwrap().entries, 5, "{}", again.place());
        for number in 0..5 {
            assert_eq!(again.get(&key(number)).unwrap(), Some(noise(number, 1000)));
        }
    }
}

#[test]
fn what_is_found_far_is_copied_near() {
    let (near, far) = (Arc::new(Memory::new(MIB)), Arc::new(Memory::new(MIB)));
    let layered = Layered::new(near.clone(), far.clone());
    far.put(&key(1), &noise(1, 1000)).unwrap();
    assert!(layered.contains(&key(1)).unwrap());
    assert!(!near.contains(&key(1)).unwrap());
    assert!(layered.get(&key(1)).unwrap().is_some());
    assert!(near.contains(&key(1)).unwrap());
    assert!(layered.remove(&key(1)).unwrap());
    assert!(!near.contains(&key(1)).unwrap() && !far.contains(&key(1)).unwrap());

    layered.put(&key(2), &noise(2, 1000)).unwrap();
    assert!(near.contains(&key(2)).unwrap() && far.contains(&key(2)).unwrap());
}
