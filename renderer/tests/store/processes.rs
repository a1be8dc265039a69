//! Processes that share a folder. Each test starts this program again, to run the same test in another role.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use std::{env, thread};

use vignette_renderer::store::{Disk, Lookup, Store, Vault};

use super::{LONG, STERN, key, noise};

/// Set in a process that another has started: the folder that they share.
const SHARED: &str = "VIGNETTE_TEST_SHARED_FOLDER";

/// The folder, in a process that was started by [`start`].
fn shared_folder() -> Option<PathBuf> {
    env::var_os(SHARED).map(PathBuf::from)
}

/// A process that is killed when the test is done with it, however that goes.
struct Other(Child);

impl Drop for Other {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts this program to run the test `name`.
fn start(name: &str, folder: &Path) -> Other {
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(SHARED, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    Other(child)
}

/// Ends this process when the one that started it ends.
fn end_with_parent() {
    thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
}

fn disk(folder: &Path) -> Disk {
    Disk::open(&folder.join("store"), 64 << 20).unwrap()
}

/// Reads what a process prints until it prints `line`.
fn wait_for(other: &mut Other, line: &str) {
    let lines = BufReader::new(other.0.stdout.as_mut().unwrap()).lines();
    let found = lines.map_while(Result::ok).any(|printed| printed.ends_with(line));
    assert!(found, "the other process ended");
}

const KEYS: u64 = 50;

#[test]
fn four_processes_make_each_key_once() {
    if let Some(folder) = shared_folder() {
        return make_all(&folder);
    }
    let folder = tempfile::tempdir().unwrap();
    let others: Vec<Other> =
        (0..4).map(|_| start("processes::four_processes_make_each_key_once", folder.path())).collect();
    for mut other in others {
        let mut printed = String::new();
        other.0.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        assert!(other.0.wait().unwrap().success(), "{printed}");
    }
    let made = fs::read_to_string(folder.path().join("made")).unwrap();
    let mut made: Vec<u64> = made.lines().map(|line| line.parse().unwrap()).collect();
    made.sort_unstable();
    assert_eq!(made, (0..KEYS).collect::<Vec<_>>());
    assert_eq!(disk(folder.path()).stats().unwrap().entries, KEYS);
}

/// Wants every key from four threads, and writes down which it made.
fn make_all(folder: &Path) {
    end_with_parent();
    let vault = Vault::with_patience(Arc::new(disk(folder)), STERN);
    let made = OpenOptions::new().create(true).append(true).open(folder.join("made")).unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            let (vault, mut made) = (&vault, &made);
            scope.spawn(move || {
                for step in 0..KEYS {
                    let number = (step + thread * 13) % KEYS;
                    let mut lookup = vault.begin(&key(number));
                    let bytes = loop {
                        lookup = match lookup {
                            Lookup::Found(bytes) => break bytes,
                            Lookup::Mine(turn) => {
                                made.write_all(format!("{number}\n").as_bytes()).unwrap();
                                thread::sleep(Duration::from_millis(3));
                                turn.keep(noise(number, 2000));
                                break noise(number, 2000);
                            }
                            Lookup::Busy(waiting) => waiting.wait(LONG),
                        }
                    };
                    assert_eq!(bytes, noise(number, 2000));
                }
            });
        }
    });
    assert_eq!(vault.take_warnings(), Vec::<String>::new());
}

#[test]
fn a_process_that_is_killed_frees_what_it_held() {
    if let Some(folder) = shared_folder() {
        return hold_for_ever(&folder);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut other = start("processes::a_process_that_is_killed_frees_what_it_held", folder.path());
    wait_for(&mut other, "holding");
    let vault = Vault::with_patience(Arc::new(disk(folder.path())), STERN);
    for number in 0..KEYS {
        let Lookup::Busy(waiting) = vault.begin(&key(number)) else { panic!("entry {number} is held") };
        assert!(matches!(waiting.wait(Duration::ZERO), Lookup::Busy(_)));
    }
    let Lookup::Busy(waiting) = vault.begin(&key(0)) else { panic!("it is held") };
    thread::scope(|scope| {
        let waiting = scope.spawn(move || matches!(waiting.wait(LONG), Lookup::Mine(_)));
        drop(other);
        assert!(waiting.join().unwrap(), "who waited gets the turn");
    });
    for number in 0..KEYS {
        assert!(matches!(vault.begin(&key(number)), Lookup::Mine(_)), "entry {number} was not freed");
    }
}

fn hold_for_ever(folder: &Path) {
    end_with_parent();
    let disk = disk(folder);
    let claims: Vec<_> = (0..KEYS).map(|number| disk.claim(&key(number)).unwrap().unwrap()).collect();
    println!("\nholding");
    loop {
        thread::park();
        assert_eq!(claims.len() as u64, KEYS);
    }
}

/// A process is killed while it writes, again and again; what others read is always whole.
#[test]
fn a_process_that_is_killed_while_it_writes_spoils_nothing() {
    if let Some(folder) = shared_folder() {
        return write_for_ever(&folder);
    }
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    for _ in 0..5 {
        let mut other =
            start("processes::a_process_that_is_killed_while_it_writes_spoils_nothing", folder.path());
        wait_for(&mut other, "writing");
        for number in 0..200 {
            if let Some(bytes) = store.get(&key(number % 10)).unwrap() {
                assert_eq!(bytes, noise(number % 10, 300_000));
            }
        }
    }
    let verified = store.verify(&mut |_| std::ops::ControlFlow::Continue(())).unwrap();
    assert_eq!((verified.sound, verified.damaged), (10, 0));
}

fn write_for_ever(folder: &Path) {
    end_with_parent();
    let disk = disk(folder);
    let entries: Vec<_> = (0..10).map(|number| (key(number), noise(number, 300_000))).collect();
    for (key, bytes) in &entries {
        disk.put(key, bytes).unwrap();
    }
    println!("\nwriting");
    loop {
        for (key, bytes) in &entries {
            disk.put(key, bytes).unwrap();
        }
    }
}
