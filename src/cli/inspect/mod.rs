//! What strangers send is read by a process of its own first: what crashes a decoder, fills the memory or never ends is then one file that is
//! refused, and never the service.
//!
//! ```text
//! file ── verdict known? ──► yes: nothing to do
//!                └─ no ──► a reader that waits, warm ── all of the file ──► right, refused, or its own end
//! ```
//!
//! A reader ([`reader`]) reads one file and ends, so that a file that took one over says nothing of the next file.

mod confine;
mod reader;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use std::{env, thread};

use vignette::inspection::Refusal;
use vignette::templates::blob::{Blob, Digest};
use vignette::templates::fault::shortened;
use vignette::templates::video::AssetKind;

use self::reader::Answer;

pub(super) use self::confine::Bounds;
pub(super) use self::reader::run;

/// Readers that wait for a file, ready to read.
const WARM: usize = 2;
/// Verdicts that are remembered; the store remembers files that are right for longer.
const MOST_VERDICTS: usize = 4096;
/// How long a file stays refused whose reader ended: it may have been the machine that ended it.
const DOUBT: Duration = Duration::from_secs(60);
/// How long a reader may compute nothing before it counts as hanging: one that waits for a core still gets some of it.
const QUIET: Duration = Duration::from_secs(30);
/// How long it may take to end once it has given its answer.
const LAST: Duration = Duration::from_secs(20);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// The longest answer, in bytes.
const LONGEST_ANSWER: u64 = 16 << 10;
/// Readers that may have died while they waited, before that is the machine's fault.
const ATTEMPTS: usize = 8;

/// Has files read by processes that may end by it. Shared by all threads; each call blocks its own.
pub(super) struct Readers {
    bounds: Bounds,
    quiet: Duration,
    warm: OnceLock<Mutex<Receiver<io::Result<Child>>>>,
    /// How many more may read at a time.
    places: Mutex<usize>,
    freed: Condvar,
    verdicts: Mutex<HashMap<Digest, Arc<Mutex<Option<Verdict>>>>>,
}

/// What was found, and until when it counts.
struct Verdict {
    found: Result<(), Refusal>,
    until: Option<Instant>,
}

impl Readers {
    /// Readers that may take so many seconds of a core and so many bytes of addresses, as many at a time as there are cores.
    pub(super) fn new(cpu_seconds: u64, addresses: u64, cores: usize) -> Readers {
        Readers {
            bounds: Bounds { cpu_seconds, addresses },
            quiet: QUIET,
            warm: OnceLock::new(),
            places: Mutex::new(cores.max(1)),
            freed: Condvar::new(),
            verdicts: Mutex::default(),
        }
    }

    /// Starts readers, for the first file that comes.
    pub(super) fn warm_up(&self) {
        self.waiting();
    }

    /// Has a file read whole; nothing is done for one that was looked at before. A picture may have `most_pixels`.
    ///
    /// # Errors
    /// Why it cannot be used, or that its reader ended.
    pub(super) fn file(&self, kind: AssetKind, blob: &Blob, most_pixels: u64) -> Result<(), Refusal> {
        let byte = reader::byte_of(kind);
        let mut header = vec![byte];
        header.extend(most_pixels.to_le_bytes());
        header.extend((blob.bytes().len() as u64).to_le_bytes());
        let name = Digest::of(&[&header[..], &blob.digest().0].concat());
        let slot = {
            let mut verdicts = lock(&self.verdicts);
            if verdicts.len() >= MOST_VERDICTS {
                verdicts.clear();
            }
            verdicts.entry(name).or_default().clone()
        };
        // Held while the file is read, so that whoever comes with the same one waits.
        let mut known = lock(&slot);
        if let Some(verdict) = &*known
            && verdict.until.is_none_or(|until| Instant::now() < until)
        {
            return verdict.found.clone();
        }
        let (found, lasts) = self.read(&[&header, blob.bytes()]);
        *known = match found {
            Err(Refusal::Machine(_)) => None,
            _ => Some(Verdict { found: found.clone(), until: (!lasts).then(|| Instant::now() + DOUBT) }),
        };
        found
    }

    /// Has a template package read, with the beginnings of all files that it names. Whatever is wrong with the template itself is not told:
    /// who opens it next finds it.
    ///
    /// # Errors
    /// That reading it ended the reader.
    pub(super) fn package(&self, folder: &Path) -> Result<(), Refusal> {
        let mut command = program(self.bounds);
        command.arg("--package").arg(folder).stdin(Stdio::null());
        self.alone(command)
    }

    /// Has an audience in Apache Parquet read, each row of it.
    ///
    /// # Errors
    /// Why it is none, or that reading it ended the reader.
    pub(super) fn parquet(&self, file: File) -> Result<(), Refusal> {
        let mut command = program(self.bounds);
        command.arg("--parquet").stdin(file);
        self.alone(command)
    }

    fn alone(&self, command: Command) -> Result<(), Refusal> {
        let _place = self.place();
        let child = started(command).map_err(machine)?;
        self.converse(child, &[]).0
    }

    /// What a reader finds, and whether another one would find the same.
    fn read(&self, parts: &[&[u8]]) -> (Result<(), Refusal>, bool) {
        let _place = self.place();
        for _ in 0..ATTEMPTS {
            let child = lock(self.waiting()).recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()));
            match child {
                // One that died while it waited has not seen the file.
                Ok(mut child) => match child.try_wait() {
                    Ok(None) => return self.converse(child, parts),
                    _ => continue,
                },
                Err(error) => return (Err(machine(error)), false),
            }
        }
        (Err(machine("readers of files end before they begin")), false)
    }

    /// Hands over what is to be read, and hears what was found.
    fn converse(&self, mut child: Child, parts: &[&[u8]]) -> (Result<(), Refusal>, bool) {
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let quiet = self.quiet;
        let (done, waiting) = mpsc::channel::<()>();
        let (answer, ended, late) = thread::scope(|scope| {
            let watch = scope.spawn(move || {
                let late = hangs(&child, &waiting, quiet);
                if late || !ends(&mut child) {
                    // It may just have ended by itself.
                    let _ = child.kill();
                }
                (child.wait(), late)
            });
            let mut answer = Vec::new();
            if let Some(mut input) = input {
                // Who ends before all of it was read is heard of below.
                let _ = parts.iter().try_for_each(|part| input.write_all(part));
            }
            if let Some(output) = output {
                let _ = output.take(LONGEST_ANSWER).read_to_end(&mut answer);
            }
            drop(done);
            let (ended, late) = watch.join().unwrap_or_else(|_| (Err(io::ErrorKind::Other.into()), true));
            (answer, ended, late)
        });
        let told = serde_json::from_slice::<Answer>(&answer).ok();
        match (ended, told) {
            (Err(error), _) => (Err(machine(error)), false),
            (Ok(status), Some(answer)) if status.success() => match answer {
                Answer::Right => (Ok(()), true),
                Answer::File(why) => (Err(Refusal::File(shortened(&why))), true),
                Answer::Machine(why) => (Err(Refusal::Machine(shortened(&why))), false),
            },
            // It did not come to the file.
            (Ok(status), _) if !answer.starts_with(reader::READY) => {
                (Err(machine(format!("a reader ended before it began ({status})"))), false)
            }
            (Ok(status), _) => (Err(Refusal::File(self.reason(status, late))), false),
        }
    }

    /// Why a reader ended without an answer, in words.
    fn reason(&self, status: ExitStatus, late: bool) -> String {
        let Bounds { cpu_seconds, addresses } = self.bounds;
        match status.signal() {
            _ if late => "reading it comes to nothing".to_owned(),
            Some(libc::SIGXCPU) => format!("reading it takes more than {cpu_seconds} s of a core"),
            Some(libc::SIGKILL) => {
                "its reader was killed, for the time or the memory that it took".to_owned()
            }
            Some(signal) => format!(
                "reading it crashed the reader (signal {signal}): it is damaged, or wants more than {} MiB of memory",
                addresses >> 20
            ),
            None => "its reader ended without an answer".to_owned(),
        }
    }

    /// Readers that wait, started by a thread that lasts: they end with the thread that started them.
    fn waiting(&self) -> &Mutex<Receiver<io::Result<Child>>> {
        self.warm.get_or_init(|| {
            // The one that the thread has in hand counts as well.
            let (give, take) = mpsc::sync_channel(WARM - 1);
            let bounds = self.bounds;
            // Without the thread there is no reader, which is told to whoever wants one.
            let _ = thread::Builder::new().name("readers".into()).spawn(move || keep_warm(&give, bounds));
            Mutex::new(take)
        })
    }

    fn place(&self) -> Place<'_> {
        let mut places = lock(&self.places);
        while *places == 0 {
            places = self.freed.wait(places).unwrap_or_else(PoisonError::into_inner);
        }
        *places -= 1;
        Place(self)
    }
}

/// Waits until `waiting` is over; whether `child` computed nothing for so long before.
fn hangs(child: &Child, waiting: &Receiver<()>, quiet: Duration) -> bool {
    let (mut computed, mut since) = (None, Instant::now());
    while let Err(RecvTimeoutError::Timeout) = waiting.recv_timeout(LOOK) {
        let now = ticks(child.id());
        if now != computed {
            (computed, since) = (now, Instant::now());
        }
        if since.elapsed() >= quiet {
            return true;
        }
    }
    false
}

/// Whether a reader ends that has said what it had to say.
fn ends(child: &mut Child) -> bool {
    let since = Instant::now();
    let mut pause = Duration::from_millis(1);
    while since.elapsed() < LAST {
        match child.try_wait() {
            Ok(None) => thread::sleep(pause),
            _ => return true,
        }
        pause = (pause * 2).min(LOOK);
    }
    false
}

/// How long a process has computed (proc_pid_stat(5), fields 14 and 15).
fn ticks(process: u32) -> Option<(u64, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split(' ').skip(12).map(str::parse::<u64>);
    Some((fields.next()?.ok()?, fields.next()?.ok()?))
}

/// That one may read.
struct Place<'a>(&'a Readers);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *lock(&self.0.places) += 1;
        self.0.freed.notify_one();
    }
}

fn keep_warm(give: &SyncSender<io::Result<Child>>, bounds: Bounds) {
    loop {
        let mut command = program(bounds);
        command.stdin(Stdio::piped());
        let child = started(command);
        let failed = child.is_err();
        if let Err(mpsc::SendError(child)) = give.send(child) {
            // Nobody will want one any more.
            if let Ok(mut child) = child {
                let _ = child.kill();
                let _ = child.wait();
            }
            return;
        }
        if failed {
            thread::sleep(Duration::from_millis(200));
        }
    }
}

/// This program as a reader within the bounds, also when its file was replaced meanwhile. It bounds itself before it does anything else: what is
/// done between fork and exec needs a copy of this process's tables of pages, which are large, and all that answers requests stands still meanwhile.
fn program(bounds: Bounds) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg("inspect");
    command.arg("--cpu-seconds").arg(bounds.cpu_seconds.to_string());
    command.arg("--addresses").arg(bounds.addresses.to_string());
    command
}

/// Starts a reader with what finds programs, plug-ins and fonts in its environment, and nothing that holds a key.
fn started(mut command: Command) -> io::Result<Child> {
    command.env_clear().stdout(Stdio::piped()).stderr(Stdio::null());
    for name in [
        "PATH",
        "HOME",
        "XDG_CACHE_HOME",
        "LANG",
        "LD_LIBRARY_PATH",
        "GST_PLUGIN_PATH",
        "GST_PLUGIN_SYSTEM_PATH",
        "GST_REGISTRY",
        "FONTCONFIG_PATH",
    ] {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    command.spawn()
}

fn machine(error: impl ToString) -> Refusal {
    Refusal::Machine(format!("a file cannot be inspected: {}", error.to_string()))
}

/// What is kept behind these locks is whole at every moment, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;

    use super::*;

    /// What becomes of a program that stands where a reader would.
    fn run(script: &str, cpu_seconds: u64) -> Result<(), Refusal> {
        let mut readers = Readers::new(cpu_seconds, 4 << 30, 1);
        readers.quiet = Duration::from_secs(3);
        let mut command = Command::new("python3");
        command.args(["-c", &format!("print(flush=True)\n{script}")]).stdin(Stdio::null());
        let bounds = readers.bounds;
        // SAFETY: between fork and exec only calls are made that are async-signal-safe (signal-safety(7)): they allocate nothing and take no
        // locks.
        unsafe { command.pre_exec(move || confine::limit(bounds)) };
        readers.alone(command)
    }

    fn refused(script: &str) -> String {
        run(script, 20).unwrap_err().to_string()
    }

    #[test]
    fn whatever_it_does_ends_it_alone() {
        assert_eq!(run("print('\"right\"')", 20), Ok(()));
        let found = refused("print('{\"file\": \"no picture\"}')");
        assert_eq!(found, "no picture");
        assert!(refused("import os; os.abort()").contains("crashed the reader (signal 6)"));
        assert!(refused("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)").contains("signal 11"));
        assert!(refused("import os; print('\"right\"', flush=True); os.abort()").contains("signal 6"));
        let told = run("while True: pass", 1).unwrap_err().to_string();
        assert!(told.contains("more than 1 s of a core"), "{told}");
        assert!(refused("import time; time.sleep(600)").contains("comes to nothing"));
        let mut never = Command::new("false");
        never.stdin(Stdio::null());
        let found = Readers::new(1, 4 << 30, 1).alone(never);
        assert!(matches!(found, Err(Refusal::Machine(_))), "no file's fault: {found:?}");
        // Python tells of what it does not get, and ends.
        for script in [
            "x = bytearray(5 << 30); print('\"right\"')",
            "import os; [os.dup(0) for _ in range(300)]; print('\"right\"')",
            "open('/tmp/vignette-too-long', 'wb').write(bytes(2 << 20)); print('\"right\"')",
        ] {
            assert!(run(script, 20).is_err(), "{script}");
        }
        let _ = std::fs::remove_file("/tmp/vignette-too-long");
        let hidden = "import os, sys; sys.exit('CARGO_MANIFEST_DIR' in os.environ)";
        assert!(refused(hidden).contains("without an answer"));
        let script = "import os; print('\"right\"' if 'CARGO_MANIFEST_DIR' not in os.environ else '')";
        assert_eq!(run(script, 20), Ok(()), "what stands in the environment is not handed on");
    }
}
