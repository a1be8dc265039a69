//! A stranger's package is read in a child process first: what crashes a decoder, fills the memory or never ends then costs an
//! upload, and not the service.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, io, thread};

use vignette_server::workshop::MakeError;

/// Seconds of one core that reading a package may take.
const CPU_SECONDS: u64 = 60;
/// Seconds until it is ended whatever it waits for.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes of addresses that it may take: threads and decoders reserve far more than they use.
const ADDRESSES: u64 = 8 << 30;
/// Bytes of the longest file that it may write.
const FILE_BYTES: u64 = 64 << 20;
/// Files that it may have open.
const FILES: u64 = 256;

/// Has the package in `folder` read whole by another process, which has no network (where the system lets a process give it up),
/// and bounds on memory, time and files. Faults of the template are not told here: who opens it next finds them.
///
/// # Errors
/// That reading it ended the process.
pub(super) fn inspect(folder: &Path) -> Result<(), MakeError> {
    let machine = |error: io::Error| MakeError::Machine(format!("a package cannot be inspected: {error}"));
    let mut command = Command::new(env::current_exe().map_err(machine)?);
    command.arg("check").arg(folder);
    match guarded(&mut command, PATIENCE).map_err(machine)? {
        Some(status) if status.code().is_some() => Ok(()),
        Some(status) => Err(MakeError::Input(format!(
            "reading a file of the package ended the reader ({}); one of its pictures, fonts, sounds or videos is damaged or asks for too much",
            match status.signal() {
                Some(libc::SIGXCPU | libc::SIGKILL) => "it took too long or too much memory",
                _ => "it crashed",
            }
        ))),
        None => Err(MakeError::Input(format!(
            "reading the package took longer than {} s; one of its files asks for too much",
            PATIENCE.as_secs()
        ))),
    }
}

/// Runs a command within the bounds: how it ended, or `None` when it had to be ended.
///
/// # Errors
/// That it could not be started.
fn guarded(command: &mut Command, patience: Duration) -> io::Result<Option<ExitStatus>> {
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // What finds programs and plug-ins, and nothing that holds a key.
    for name in
        ["PATH", "HOME", "XDG_CACHE_HOME", "LANG", "GST_PLUGIN_PATH", "GST_REGISTRY", "FONTCONFIG_PATH"]
    {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    // SAFETY: between fork and exec only calls are made that are async-signal-safe (signal-safety(7)): they allocate nothing and take no
    // locks.
    unsafe { command.pre_exec(confine) };
    let mut child = command.spawn()?;
    let began = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if began.elapsed() >= patience {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Gives up what reading a package does not need.
fn confine() -> io::Result<()> {
    let bound = |what, most: u64| {
        let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
        // SAFETY: the structure lives as long as the call.
        match unsafe { libc::setrlimit(what, &limit) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    bound(libc::RLIMIT_AS, ADDRESSES)?;
    bound(libc::RLIMIT_CPU, CPU_SECONDS)?;
    bound(libc::RLIMIT_FSIZE, FILE_BYTES)?;
    bound(libc::RLIMIT_NOFILE, FILES)?;
    bound(libc::RLIMIT_CORE, 0)?;
    // SAFETY: numbers alone are handed over.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        // Who may not have a network of its own, empty, may not have a user's name space either: then it keeps that of the service, whose
        // readers open no connection. As root the first one does.
        if libc::unshare(libc::CLONE_NEWNET) != 0 {
            libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str, patience: Duration) -> Option<ExitStatus> {
        let mut command = Command::new("python3");
        guarded(command.args(["-c", script]), patience).unwrap()
    }

    #[test]
    fn whatever_it_does_ends_it_alone() {
        let long = Duration::from_secs(120);
        assert_eq!(run("pass", long).unwrap().code(), Some(0));
        assert_eq!(run("import os; os.abort()", long).unwrap().signal(), Some(libc::SIGABRT));
        // Python tells of memory that it does not get, and ends.
        assert_eq!(run("x = bytearray(9 << 30)", long).unwrap().code(), Some(1));
        assert_eq!(
            run("import os; os._exit(len([os.dup(0) for _ in range(300)]))", long).unwrap().code(),
            Some(1)
        );
        assert_eq!(run("import time; time.sleep(600)", Duration::from_millis(300)), None);
        let key = run("import os; os._exit('CARGO_MANIFEST_DIR' in os.environ)", long).unwrap();
        assert_eq!(key.code(), Some(0), "what stands in the environment is not handed on");
    }

    #[test]
    fn it_has_no_network() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = format!("import socket; socket.create_connection(('127.0.0.1', {port}), 5)");
        let reached = run(&script, Duration::from_secs(60)).unwrap().success();
        // A system that lets nobody have a network of their own does not let this one give it up, either.
        let may = Command::new("unshare").args(["--user", "--net", "true"]).status();
        assert!(!reached || !may.unwrap().success(), "it reached a listener of this machine");
    }
}
