//! Entries that are not what was put: never given out, made again, and replaced.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use vignette_renderer::store::seal::HEADER_LEN;
use vignette_renderer::store::{Disk, Layered, Lookup, Memory, Store, StoreError, Vault};

use super::s3::Server;
use super::{LONG, STERN, key, noise};

const LENGTH: usize = 10_000;

/// Changes the bytes of an entry.
type Change = dyn Fn(&mut Vec<u8>);

/// Every way in which the bytes of an entry are changed here, by name.
fn damages() -> Vec<(String, Box<Change>)> {
    let mut damages: Vec<(String, Box<Change>)> = Vec::new();
    let all = HEADER_LEN + LENGTH;
    // Every byte of the header, and some hundred of the others.
    for at in (0..HEADER_LEN).chain((HEADER_LEN..all).step_by(97)) {
        let bit = 1 << (at % 8);
        damages.push((format!("a flipped bit in byte {at}"), Box::new(move |bytes| bytes[at] ^= bit)));
    }
    for length in [0, 1, 4, 8, 16, HEADER_LEN - 1, HEADER_LEN, HEADER_LEN + 1, all / 2, all - 1] {
        damages.push((format!("cut to {length}"), Box::new(move |bytes| bytes.truncate(length))));
    }
    for more in [1, HEADER_LEN, 4096] {
        damages.push((format!("{more} bytes more"), Box::new(move |bytes| bytes.extend(vec![0; more]))));
    }
    damages.push(("all zero".to_owned(), Box::new(|bytes| bytes.fill(0))));
    damages.push(("the entry twice".to_owned(), Box::new(|bytes| bytes.extend(bytes.clone()))));
    damages.push((
        "the entry of another key".to_owned(),
        Box::new(|bytes| *bytes = vignette_renderer::store::seal::seal(&key(9), &noise(9, LENGTH))),
    ));
    damages
}

/// Runs every damage against `store`, where `change` reaches the stored bytes of the only entry.
fn is_found_out(store: Arc<dyn Store>, change: &dyn Fn(&Change)) {
    let vault = Vault::with_patience(store.clone(), STERN);
    let damages = damages();
    for (name, damage) in &damages {
        store.put(&key(1), &noise(1, LENGTH)).unwrap();
        change(damage);
        let read = store.get(&key(1));
        assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{name}: {read:?}");

        let Lookup::Mine(turn) = vault.begin(&key(1)) else { panic!("{name}: not made again") };
        turn.keep(noise(1, LENGTH));
        assert_eq!(store.get(&key(1)).unwrap(), Some(noise(1, LENGTH)), "{name}: not replaced");
    }
    let counters = vault.counters();
    let count = damages.len() as u64;
    assert_eq!((counters.corrupt, counters.made, counters.errors), (count, count, 0));
    let warnings = vault.take_warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let expected = format!("store {}: {count} damaged entries were made again", store.place());
    assert!(warnings[0].starts_with(&expected), "{warnings:?}");

    for (name, damage) in &damages {
        store.put(&key(1), &noise(1, LENGTH)).unwrap();
        change(damage);
        let verified = store.verify(&mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!((verified.sound, verified.damaged, verified.removed), (0, 1, 1), "{name}");
        assert_eq!(store.get(&key(1)).unwrap(), None, "{name}: not removed");
    }
}

fn change_file(path: &Path, change: &Change) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn on_a_disk() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(folder.path(), 1 << 30).unwrap();
    let path = disk.path_of(&key(1));
    is_found_out(Arc::new(disk), &|change| change_file(&path, change));
}

#[test]
fn in_an_object_store() {
    let server = Server::start();
    let store = server.store("s3://bucket/prefix", LONG);
    is_found_out(Arc::new(store), &|change| {
        let name = server.names().pop().unwrap();
        server.change(&name, change);
    });
}

#[test]
fn a_damaged_near_copy_is_replaced_by_the_far_one() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk::open(folder.path(), 1 << 30).unwrap());
    let far = Arc::new(Memory::new(1 << 30));
    let vault = Vault::new(Arc::new(Layered::with_patience(disk.clone(), far, STERN)));
    vault.keep(&key(1), noise(1, LENGTH));
    change_file(&disk.path_of(&key(1)), &|bytes| bytes[100] ^= 1);

    let Lookup::Found(bytes) = vault.begin(&key(1)) else { panic!("the far store has it") };
    assert_eq!(bytes, noise(1, LENGTH));
    assert_eq!(disk.get(&key(1)).unwrap(), Some(noise(1, LENGTH)), "not replaced");
    assert_eq!(vault.counters().corrupt, 1);
}

#[test]
fn verifying_leaves_what_is_sound_and_what_is_not_ours() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(folder.path(), 1 << 30).unwrap();
    for number in 0..10 {
        disk.put(&key(number), &noise(number, LENGTH)).unwrap();
    }
    for number in 0..3 {
        change_file(&disk.path_of(&key(number)), &|bytes| bytes[60] ^= 1);
    }
    let notes = disk.path_of(&key(0)).with_file_name("notes.txt");
    fs::write(&notes, "not an entry").unwrap();
    let verified = disk.verify(&mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((verified.sound, verified.damaged, verified.removed, verified.unread), (7, 3, 3, 0));
    assert_eq!(disk.stats().unwrap().entries, 7);
    assert_eq!(disk.prune(0).unwrap().entries, 7);
    assert_eq!(fs::read(notes).unwrap(), b"not an entry");
}

#[test]
fn an_object_store_leaves_what_is_not_ours() {
    let server = Server::start();
    let store = server.store("s3://bucket/prefix", LONG);
    store.put(&key(1), &noise(1, LENGTH)).unwrap();
    let others = [
        "/bucket/prefix/v1/ab/notes.txt",
        "/bucket/prefix/v1/notes.txt",
        "/bucket/other",
        "/bucket/prefix/v10/x",
    ];
    for name in others {
        server.add(name, b"not an entry");
    }
    assert_eq!(store.stats().unwrap().entries, 1);
    assert_eq!(store.verify(&mut |_| ControlFlow::Continue(())).unwrap().sound, 1);
    assert_eq!(store.prune(0).unwrap().entries, 1);
    let mut expected = others.map(str::to_owned);
    expected.sort();
    assert_eq!(server.names(), expected);
}
