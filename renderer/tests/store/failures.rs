//! Whatever a store does, entries are made.

use std::fs;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vignette_renderer::store::{
    Disk, Guarded, Layered, Lookup, Memory, Objects, Patience, Store, StoreError, Vault,
};

use super::fakes::{Call, Fake};
use super::s3::{Mood, Server};
use super::{LONG, STERN, key, noise};

/// Wants entries `numbers` of `vault`, one after the other: how many had to be made.
fn render(vault: &Vault, numbers: std::ops::Range<u64>) -> usize {
    let mut made = 0;
    for number in numbers {
        match vault.begin(&key(number)) {
            Lookup::Found(bytes) => assert_eq!(bytes, noise(number, 500)),
            Lookup::Mine(turn) => {
                made += 1;
                turn.keep(noise(number, 500));
            }
            Lookup::Busy(_) => panic!("nobody else makes entry {number}"),
        }
    }
    made
}

#[test]
fn a_store_that_always_fails_is_soon_left_alone() {
    let fake = Arc::new(Fake::new(|_| Some(ErrorKind::ConnectionRefused)));
    let vault = Vault::with_patience(fake.clone(), STERN);
    assert_eq!(render(&vault, 0..50), 50);
    assert!(!vault.contains(&key(1)));
    assert_eq!(fake.calls(), 9, "three of each: get, claim and put");
    assert_eq!((vault.counters().made, vault.counters().errors), (50, 9));
    let warnings = vault.take_warnings();
    assert_eq!(
        warnings,
        [
            "store fake: 9 requests failed (first: ask: connection refused); see that the store is there and well"
        ]
    );
    assert_eq!(vault.take_warnings(), Vec::<String>::new(), "told once");
}

#[test]
fn a_store_that_recovers_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start();
    let patience =
        Patience { rest: Duration::from_millis(1), longest_rest: Duration::from_millis(1), ..STERN };
    let far = server.store("s3://bucket", LONG);
    let disk = Disk::open(folder.path(), 1 << 20).unwrap();
    let vault = Vault::new(Arc::new(Layered::with_patience(Arc::new(disk), Arc::new(far), patience)));
    server.set(Mood::Fails);
    assert_eq!(render(&vault, 0..5), 5);
    server.set(Mood::Well);
    while server.names().is_empty() {
        std::thread::sleep(Duration::from_millis(1));
        vault.keep(&key(9), noise(9, 500));
    }
}

#[test]
fn a_slow_store_is_soon_left_alone() {
    let mut fake = Fake::new(|_| None);
    fake.takes = Duration::from_millis(20);
    let fake = Arc::new(fake);
    let vault = Vault::with_patience(fake.clone(), Patience { slow: Duration::from_millis(5), ..STERN });
    assert_eq!(render(&vault, 0..20), 20);
    assert_eq!(fake.calls(), 9, "three of each: get, claim and put");
    assert!(fake.memory.contains(&key(0)).unwrap(), "what it did counts");
    let warnings = vault.take_warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("store fake: 9 answers took longer than making"), "{warnings:?}");
    assert_eq!(vault.counters().errors, 0);
}

#[test]
fn a_store_that_cannot_be_written_is_still_read() {
    let fake = Arc::new(Fake::new(|call| match call {
        Call::Get | Call::Contains => None,
        Call::Put | Call::Remove | Call::Claim => Some(ErrorKind::ReadOnlyFilesystem),
    }));
    for number in 0..20 {
        fake.memory.put(&key(number), &noise(number, 500)).unwrap();
    }
    let vault = Vault::with_patience(fake, STERN);
    assert_eq!(render(&vault, 10..40), 20);
    assert_eq!(render(&vault, 0..20), 0, "what is there is used, also after many failed writes");
    let warnings = vault.take_warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("store fake: 6 writes were not allowed"), "{warnings:?}");
}

#[test]
fn a_full_store_is_still_read() {
    let fake = Arc::new(Fake::new(|call| (call == Call::Put).then_some(ErrorKind::StorageFull)));
    fake.memory.put(&key(0), &noise(0, 500)).unwrap();
    let vault = Vault::with_patience(fake, STERN);
    assert_eq!(render(&vault, 0..10), 9);
    assert_eq!(render(&vault, 0..1), 0);
    let warnings = vault.take_warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("store fake: 3 times there was no room"), "{warnings:?}");
}

/// Rights do not hold for the user that tests may run as, so files stand where folders should be.
#[test]
fn a_folder_in_which_nothing_can_be_made() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(folder.path(), 1 << 20).unwrap();
    for number in 0..5 {
        disk.put(&key(number), &noise(number, 500)).unwrap();
    }
    drop(disk);
    for name in ["tmp", "locks", "total"] {
        let path = folder.path().join("v1").join(name);
        let _ = fs::remove_dir_all(&path);
        let _ = fs::remove_file(&path);
        fs::write(&path, "in the way").unwrap();
    }
    let vault = Vault::with_patience(Arc::new(Disk::open(folder.path(), 1 << 20).unwrap()), STERN);
    assert_eq!(render(&vault, 0..30), 25);
    assert_eq!(render(&vault, 0..5), 0);
    let warnings = vault.take_warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("6 requests failed"), "three of each: lock and put: {warnings:?}");
}

#[test]
fn a_folder_that_goes_while_it_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::with_patience(Arc::new(Disk::open(folder.path(), 1 << 20).unwrap()), STERN);
    assert_eq!(render(&vault, 0..5), 5);
    fs::remove_dir_all(folder.path().join("v1")).unwrap();
    assert_eq!(render(&vault, 0..5), 5);
    assert_eq!(render(&vault, 0..5), 0, "it was made again");
    assert_eq!(vault.take_warnings(), Vec::<String>::new());
}

#[test]
fn folders_that_cannot_be_a_store() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    fs::write(path("file"), "x").unwrap();
    fs::create_dir(path("photos")).unwrap();
    fs::write(path("photos").join("me.jpg"), "x").unwrap();
    fs::create_dir(path("empty")).unwrap();
    fs::create_dir(path("volume")).unwrap();
    fs::create_dir(path("volume").join("lost+found")).unwrap();
    fs::create_dir(path("odd")).unwrap();
    fs::write(path("odd").join("v1"), "x").unwrap();
    for (name, expected) in [
        ("file", Some("this is a file; a store needs a folder")),
        ("file/below", Some("look at the folder")),
        ("photos", Some("the folder holds other things (me.jpg); name a new or empty folder")),
        ("odd", Some("make a folder in it")),
        ("empty", None),
        ("volume", None),
        ("new/and/deep", None),
    ] {
        let opened = Disk::open(&path(name), 1 << 20);
        match (opened, expected) {
            (Ok(_), None) => {}
            (Err(error), Some(expected)) => {
                let message = error.to_string();
                assert!(message.contains(expected) && message.contains(name), "{name}: {message}");
            }
            (Ok(_), Some(_)) => panic!("{name} was opened"),
            (Err(error), None) => panic!("{name}: {error}"),
        }
    }
    assert!(path("photos").join("me.jpg").exists());
    Disk::open(&path("new/and/deep"), 1 << 20).unwrap();
}

#[cfg(unix)]
#[test]
fn a_store_is_for_its_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("store");
    Disk::open(&folder, 1 << 20).unwrap().put(&key(1), &noise(1, 10)).unwrap();
    for path in [folder.clone(), folder.join("v1"), folder.join("v1/tmp")] {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700, "{}", path.display());
    }
}

#[test]
fn an_entry_that_the_caller_cannot_read_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let stores: [Arc<dyn Store>; 3] = [
        Arc::new(Disk::open(folder.path(), 1 << 20).unwrap()),
        Arc::new(Layered::with_patience(
            Arc::new(Memory::new(1 << 20)),
            Arc::new(Memory::new(1 << 20)),
            STERN,
        )),
        // What it has cannot be removed.
        Arc::new(Fake::new(|call| (call == Call::Remove).then_some(ErrorKind::Other))),
    ];
    for store in stores {
        let place = store.place();
        store.put(&key(1), &noise(7, 500)).unwrap();
        let vault = Vault::with_patience(store, STERN);
        assert!(matches!(vault.begin(&key(1)), Lookup::Found(_)));
        vault.distrust(&key(1));
        assert!(!vault.contains(&key(1)), "{place}");
        assert_eq!(render(&vault, 1..2), 1, "{place}");
        assert!(vault.contains(&key(1)), "{place}");
        assert_eq!(render(&vault, 1..2), 0, "{place}");
        assert_eq!(vault.counters().corrupt, 1, "{place}");
        let warnings = vault.take_warnings();
        assert!(warnings[0].contains("a damaged entry was made again"), "{warnings:?}");
    }
}

#[test]
fn an_object_store_in_every_mood() {
    for (mood, expected) in [
        (Mood::Fails, "requests failed"),
        (Mood::Hangs, "requests had no answer in time"),
        (Mood::CutsShort, "requests"),
        (Mood::ReadOnly, "requests were refused"),
    ] {
        let server = Server::start();
        let timeout = if mood == Mood::Hangs { Duration::from_millis(200) } else { LONG };
        let store = server.store("s3://bucket/prefix", LONG);
        for number in 0..5 {
            store.put(&key(number), &noise(number, 500)).unwrap();
        }
        let before = server.requests();
        server.set(mood);
        let vault = Vault::with_patience(Arc::new(server.store("s3://bucket/prefix", timeout)), STERN);
        let made = render(&vault, 0..40);
        let asked = server.requests() - before;
        let warnings = vault.take_warnings();
        assert!(warnings.iter().any(|warning| warning.contains(expected)), "{mood:?}: {warnings:?}");
        assert!(
            warnings.iter().all(|warning| warning.starts_with("store s3://bucket/prefix: ")),
            "{warnings:?}"
        );
        assert!(warnings.iter().all(|warning| !warning.contains("secret")), "{warnings:?}");
        if mood == Mood::ReadOnly {
            assert_eq!(made, 35, "what is there is used");
        } else {
            assert_eq!(made, 40, "{mood:?}");
            // Three gets and three puts, each tried again twice at most; what has no body cannot be cut short.
            let puts = if mood == Mood::CutsShort { 40 } else { 9 };
            assert!(asked <= 9 + puts, "{mood:?}: asked {asked} times");
        }
        server.set(Mood::Well);
    }
}

#[test]
fn an_object_store_that_nobody_serves() {
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let settings = object_store::aws::AmazonS3Builder::new()
        .with_endpoint(format!("http://{address}"))
        .with_allow_http(true)
        .with_access_key_id("id")
        .with_secret_access_key("secret");
    let store = Objects::s3("s3://bucket", settings, Duration::from_millis(500)).unwrap();
    let vault = Vault::with_patience(Arc::new(store), STERN);
    assert_eq!(render(&vault, 0..40), 40);
    assert!(!vault.take_warnings().is_empty());
}

#[test]
fn one_layer_fails_and_the_other_goes_on() {
    let broken = || Arc::new(Fake::new(|_| Some(ErrorKind::ConnectionRefused)));
    let well = || Arc::new(Memory::new(1 << 20));
    let pairs: [(Arc<dyn Store>, Arc<dyn Store>); 2] = [(broken(), well()), (well(), broken())];
    for (near, far) in pairs {
        let vault = Vault::new(Arc::new(Layered::with_patience(near, far, STERN)));
        assert_eq!(render(&vault, 0..20), 20);
        assert_eq!(render(&vault, 0..20), 0, "the other layer has them");
        let warnings = vault.take_warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("requests failed"), "{warnings:?}");
    }
}

#[test]
fn an_entry_too_large_for_the_near_store_is_no_trouble() {
    let (near, far) = (Arc::new(Memory::new(100)), Arc::new(Memory::new(1 << 20)));
    let vault = Vault::new(Arc::new(Layered::with_patience(near, far, STERN)));
    assert_eq!(render(&vault, 0..20), 20);
    assert_eq!(render(&vault, 0..20), 0);
    assert_eq!(vault.take_warnings(), Vec::<String>::new());
    vault.keep(&key(100), noise(100, 2 << 20));
    assert_eq!(vault.take_warnings().len(), 1, "too large for either");
}

#[test]
fn what_is_not_asked_is_told_to_who_asks() {
    let guarded = Guarded::around(Arc::new(Fake::new(|_| Some(ErrorKind::Other))), STERN);
    for _ in 0..3 {
        assert!(matches!(guarded.get(&key(1)), Err(StoreError::Io { .. })));
    }
    assert!(matches!(guarded.get(&key(1)), Err(StoreError::Resting { .. })));
    assert!(matches!(guarded.put(&key(1), &noise(1, 1)), Err(StoreError::Io { .. })), "writing is apart");
}

/// A caller on the thread of another runtime must be answered like any other.
#[test]
fn calls_from_within_a_runtime() {
    let server = Server::start();
    let store = Arc::new(server.store("s3://bucket", LONG));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        store.put(&key(1), &noise(1, 500)).unwrap();
        let inner = store.clone();
        let blocking = tokio::task::spawn_blocking(move || inner.get(&key(1)).unwrap());
        assert_eq!(blocking.await.unwrap(), Some(noise(1, 500)));
        drop(store);
    });
}

/// Waiting for what hangs must not take longer than its time.
#[test]
fn a_request_that_hangs_is_given_up() {
    let server = Server::start();
    let store = server.store("s3://bucket", Duration::from_millis(100));
    server.set(Mood::Hangs);
    let began = Instant::now();
    let answer = store.get(&key(1));
    assert!(matches!(answer, Err(StoreError::TimedOut { .. })), "{answer:?}");
    assert!(began.elapsed() >= Duration::from_millis(100));
}

#[test]
fn a_prefix_that_is_no_path() {
    let objects = Arc::new(object_store::memory::InMemory::new());
    assert!(matches!(Objects::new(objects, "a//b", LONG), Err(StoreError::Unusable { .. })));
}
