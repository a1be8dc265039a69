use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::store::{Lookup, Vault};

fn key(number: u64) -> Digest {
    Digest::of(&number.to_le_bytes())
}

fn bytes(length: usize) -> Arc<[u8]> {
    vec![7; length].into()
}

fn there(disk: &Disk, numbers: Range<u64>) -> Vec<u64> {
    numbers.filter(|number| disk.contains(&key(*number)).unwrap()).collect()
}

fn names_in(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

/// A store on a device that has room for `device` bytes of entries; what else takes room there is `others`.
fn on_device(folder: &Path, bound: u64, device: u64, others: Arc<AtomicU64>) -> Disk {
    let mut disk = Disk::open(folder, bound).unwrap();
    let version = disk.version.clone();
    disk.write = Box::new(move |file, header, payload| {
        let mut taken = others.load(Ordering::SeqCst);
        walk::each(&version, &mut |entry| {
            taken += entry.bytes;
            ControlFlow::Continue(())
        })?;
        if taken + (header.len() + payload.len()) as u64 > device {
            // A device that is full takes some of the bytes first.
            file.write_all(header)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        write_both(file, header, payload)
    });
    disk
}

const ENTRY: u64 = seal::sealed_len(1000);

#[test]
fn a_full_device_keeps_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let disk = on_device(folder.path(), u64::MAX, 10 * ENTRY, Arc::default());
    for number in 0..30 {
        disk.put(&key(number), &bytes(1000)).unwrap();
    }
    assert_eq!(there(&disk, 0..30), (20..30).collect::<Vec<_>>());
    assert_eq!(names_in(&folder.path().join("v1/tmp")), 0);
}

#[test]
fn a_device_that_others_filled() {
    let folder = tempfile::tempdir().unwrap();
    let others = Arc::new(AtomicU64::new(0));
    let disk = Arc::new(on_device(folder.path(), u64::MAX, 10 * ENTRY, others.clone()));
    for number in 0..5 {
        disk.put(&key(number), &bytes(1000)).unwrap();
    }
    others.store(10 * ENTRY, Ordering::SeqCst);
    let refused = disk.put(&key(5), &bytes(1000));
    assert!(matches!(refused, Err(StoreError::Full { bytes: ENTRY, .. })), "{refused:?}");
    assert_eq!(names_in(&folder.path().join("v1/tmp")), 0, "nothing half written is left");
    assert_eq!(disk.tally.add(0), Sum::Known(disk.stats().unwrap().bytes), "the sum is right again");

    let vault = Vault::new(disk);
    for number in 10..30 {
        let Lookup::Mine(turn) = vault.begin(&key(number)) else { panic!("entry {number} is not there") };
        turn.keep(bytes(1000));
    }
    let warnings = vault.take_warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("3 times there was no room to keep an entry"), "{warnings:?}");
}

#[test]
fn a_write_that_fails_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = Disk::open(folder.path(), u64::MAX).unwrap();
    disk.put(&key(1), &bytes(1000)).unwrap();
    disk.write = Box::new(|file, header, _| {
        file.write_all(header)?;
        Err(io::Error::other("as planned"))
    });
    assert!(matches!(disk.put(&key(1), &bytes(500)), Err(StoreError::Io { .. })));
    assert_eq!(disk.get(&key(1)).unwrap(), Some(bytes(1000)));
    assert_eq!(names_in(&folder.path().join("v1/tmp")), 0);
    assert_eq!(disk.tally.add(0), Sum::Known(ENTRY));
}

#[test]
fn processes_keep_to_the_bound_together() {
    let folder = tempfile::tempdir().unwrap();
    let disks: Vec<Disk> = (0..3).map(|_| Disk::open(folder.path(), 20 * ENTRY).unwrap()).collect();
    for number in 0..90 {
        disks[number as usize % 3].put(&key(number), &bytes(1000)).unwrap();
        let stats = disks[0].stats().unwrap();
        assert!(stats.bytes <= 20 * ENTRY, "{} bytes after {number} entries", stats.bytes);
    }
    assert!(disks[0].stats().unwrap().entries >= 17);
    assert!(there(&disks[0], 75..90).len() == 15, "the newest stay");
}

#[test]
fn a_sum_that_was_lost_is_counted_anew() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(folder.path(), 10 * ENTRY).unwrap();
    for number in 0..10 {
        disk.put(&key(number), &bytes(1000)).unwrap();
    }
    for nonsense in [&b""[..], b"nonsense", &[0xff; 16]] {
        fs::write(folder.path().join("v1/total"), nonsense).unwrap();
        disk.put(&key(100), &bytes(1000)).unwrap();
        let stats = disk.stats().unwrap();
        assert!(stats.bytes <= 10 * ENTRY, "{stats:?}");
        assert_eq!(disk.tally.add(0), Sum::Known(stats.bytes));
    }
}

#[test]
fn an_entry_that_goes_while_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(folder.path(), u64::MAX).unwrap();
    disk.put(&key(1), &bytes(1 << 20)).unwrap();
    let (file, found) = disk.look_at(&key(1)).unwrap().unwrap();
    assert_eq!(disk.prune(0).unwrap().entries, 1);
    assert_eq!(disk.read(&key(1), file, found.len()).unwrap(), Ok(bytes(1 << 20)));
    assert_eq!(disk.get(&key(1)).unwrap(), None);
}

#[test]
fn uses_are_noted_now_and_then() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(folder.path(), u64::MAX).unwrap();
    disk.put(&key(1), &bytes(10)).unwrap();
    let path = disk.path_of(&key(1));
    let now = SystemTime::now();
    let hour = Duration::from_secs(3600);
    for (name, modified, noted) in [
        ("lately", now - Disk::TOUCH_AFTER / 2, false),
        ("long ago", now - hour, true),
        ("by a clock that was wrong", now + hour, true),
    ] {
        File::open(&path).unwrap().set_modified(modified).unwrap();
        assert!(disk.get(&key(1)).unwrap().is_some());
        let after = fs::metadata(&path).unwrap().modified().unwrap();
        assert_eq!(after != modified, noted, "used {name}");
        assert!(disk.contains(&key(1)).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), after, "asking is no use");
    }
}

#[test]
fn only_entries_are_ever_removed() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(folder.path(), 4 * ENTRY).unwrap();
    let shard = disk.path_of(&key(0)).parent().unwrap().to_owned();
    fs::create_dir_all(&shard).unwrap();
    let name = key(0).to_string();
    let others = [
        folder.path().join("beside.txt"),
        folder.path().join("v1").join("beside.txt"),
        folder.path().join("v1").join(&name),
        shard.join("beside.txt"),
        shard.join(format!("{name}.bak")),
        shard.join(name.to_uppercase()),
        shard.join(key(1).to_string()),
    ];
    for path in &others {
        fs::write(path, "x").unwrap();
    }
    for number in 2..30 {
        disk.put(&key(number), &bytes(1000)).unwrap();
    }
    disk.prune(0).unwrap();
    disk.verify(&mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(disk.stats().unwrap().entries, 0);
    for path in &others {
        assert_eq!(fs::read(path).unwrap(), b"x", "{}", path.display());
    }
}
