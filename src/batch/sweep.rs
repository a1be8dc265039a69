//! Removes what processes that were killed left in a batch's folder.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Removes the files that were being written (`.vignette-PID-N.part`) by processes that are no more.
///
/// A file of this process is a leaving, too: the caller has the folder to itself and is writing nothing into it yet, and
/// in a container the process before it may well have had the same number.
pub(super) fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Some(process) = entry.file_name().to_str().and_then(writer) else { continue };
        let written = entry.metadata().and_then(|found| found.modified()).ok();
        if process == std::process::id() || !is_running(process, written) {
            // What cannot be removed is in nobody's way.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The same in a folder that holds folders.
pub(super) fn sweep_tree(folder: &Path) {
    sweep(folder);
    let Ok(entries) = fs::read_dir(folder) else { return };
    let folders = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.for_each(|entry| sweep_tree(&entry.path()));
}

/// The process that a partial file belongs to.
fn writer(name: &str) -> Option<u32> {
    let (process, number) = name.strip_prefix(".vignette-")?.strip_suffix(".part")?.split_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number(process) && is_number(number) { process.parse().ok() } else { None }
}

/// Whether the process that wrote something at `written` still runs. A process that began later has only inherited the
/// number. Where the system does not tell, it is taken to run.
fn is_running(process: u32, written: Option<SystemTime>) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else {
        return !Path::new("/proc/self/stat").exists();
    };
    match (started(&stat), written) {
        // Both clocks are rounded to about a second.
        (Some(started), Some(written)) => started <= written + Duration::from_secs(2),
        _ => true,
    }
}

/// When a process began, of its `stat` (proc(5), field 22, in ticks of 1/100 s since the system began).
fn started(stat: &str) -> Option<SystemTime> {
    let ticks: u64 = stat.rsplit(')').next()?.split_whitespace().nth(19)?.parse().ok()?;
    let system = fs::read_to_string("/proc/stat").ok()?;
    let booted: u64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(booted))?.checked_add(Duration::from_millis(ticks * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_writes_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        // Process 1 always runs, and began before these files were written; no process has the largest number.
        let names = [
            (".vignette-1-0.part", true),
            (".vignette-4194304-7.part", false),
            (".vignette-99999999999-7.part", true),
            (".vignette-4194304-.part", true),
            (".vignette-4194304-7.mp4", true),
            ("vignette-4194304-7.part", true),
            (".vignette-batch.jsonl", true),
        ];
        for (name, _) in names {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        let own = folder.path().join(format!(".vignette-{}-3.part", std::process::id()));
        fs::write(&own, "x").unwrap();
        sweep(folder.path());
        for (name, stays) in names {
            assert_eq!(folder.path().join(name).exists(), stays, "{name}");
        }
        assert!(!own.exists());
    }

    #[test]
    fn a_process_that_began_later_has_only_inherited_the_number() {
        let own = std::process::id();
        assert!(is_running(own, Some(SystemTime::now())));
        assert!(!is_running(own, Some(UNIX_EPOCH)));
        assert!(!is_running(4_194_304, Some(SystemTime::now())));
    }
}
