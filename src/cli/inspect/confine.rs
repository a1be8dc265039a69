//! What a reader of strangers' files gives up: [`limit`] before it begins, [`shut_files`] before anything is loaded, [`shut_calls`] before the
//! first byte of a stranger.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{env, io, ptr};

/// Bytes of the longest file that a reader may write; it has nowhere to write one.
const FILE_BYTES: u64 = 1 << 20;
/// Files that it may have open.
const FILES: u64 = 256;
/// Seconds between the signal that tells of the bound on a core's time and the one that cannot be ignored.
const GRACE: u64 = 2;
/// How much a reader stands back behind those whom viewers wait for; see nice(2).
const NICE: i32 = 5;

/// Bounds on one reader.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Bounds {
    /// Seconds of one core.
    pub(in crate::cli) cpu_seconds: u64,
    /// Bytes of addresses; threads and decoders reserve more than they use.
    pub(in crate::cli) addresses: u64,
}

/// Gives up what reading a file does not need; for a process of one thread. It allocates nothing and takes no lock, so it may stand between fork
/// and exec (signal-safety(7)).
///
/// # Errors
/// A limit that the system does not take.
pub(super) fn limit(bounds: Bounds) -> io::Result<()> {
    let bound = |what, soft: u64, hard: u64| {
        let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
        // SAFETY: the structure lives as long as the call.
        match unsafe { libc::setrlimit(what, &limit) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    bound(libc::RLIMIT_AS, bounds.addresses, bounds.addresses)?;
    bound(libc::RLIMIT_CPU, bounds.cpu_seconds, bounds.cpu_seconds + GRACE)?;
    bound(libc::RLIMIT_FSIZE, FILE_BYTES, FILE_BYTES)?;
    bound(libc::RLIMIT_NOFILE, FILES, FILES)?;
    bound(libc::RLIMIT_CORE, 0, 0)?;
    // SAFETY: numbers alone are handed over.
    unsafe {
        libc::nice(NICE);
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        // The thread that starts readers lasts as long as the service.
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        // An empty network, where the system lets a process have one of its own; the calls that lead to any are shut later everywhere.
        if libc::unshare(libc::CLONE_NEWNET) != 0 {
            libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET);
        }
    }
    Ok(())
}

/// What libraries, plug-ins and fonts are read from, and no more of the machine: no data, no keys, no other process.
const READ: [&str; 13] = [
    "/usr",
    "/lib",
    "/lib64",
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/self",
    "/sys/devices/system/cpu",
    "/dev/null",
    "/dev/urandom",
];

/// Folders that plug-ins and their registry are in where the environment says so.
fn named_by_environment() -> Vec<PathBuf> {
    let lists =
        ["GST_PLUGIN_PATH", "GST_PLUGIN_SYSTEM_PATH", "GST_REGISTRY", "LD_LIBRARY_PATH", "FONTCONFIG_PATH"];
    let mut paths: Vec<PathBuf> = lists
        .iter()
        .filter_map(env::var_os)
        .flat_map(|list| env::split_paths(&list).collect::<Vec<_>>())
        .collect();
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".cache")));
    paths.extend(cache.map(|cache| cache.join("gstreamer-1.0")));
    paths
}

/// Access rights of landlock(7).
const EXECUTE: u64 = 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;

/// `struct landlock_ruleset_attr`: what is denied unless a rule allows it.
#[repr(C)]
struct Denied {
    files: u64,
    net: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    parent: i32,
}

/// Leaves this process, and all that it starts from now on, reading alone, and of files only those of the system and below `folder`. To be
/// called while there is one thread. Whether the system has done so: Linux has it from 5.13 on, where it is switched on.
pub(super) fn shut_files(folder: Option<&Path>) -> bool {
    // SAFETY: with no attributes and the flag for it, the call only tells the version.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<Denied>(), 0usize, 1u32) };
    // Each version knows more rights and a longer structure.
    let (files, length) = match version {
        ..=0 => return false,
        1 => ((1u64 << 13) - 1, 8),
        2 => ((1 << 14) - 1, 8),
        3 => ((1 << 15) - 1, 8),
        4 => ((1 << 15) - 1, 16),
        5 => ((1 << 16) - 1, 16),
        _ => ((1 << 16) - 1, 24),
    };
    // Binding and connecting of TCP; abstract sockets and signals of others.
    let denied = Denied { files, net: 0b11, scoped: 0b11 };
    // SAFETY: the structure lives as long as the call, which reads `length` bytes of it.
    let rules =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const denied, length as usize, 0u32) };
    let Ok(rules) = i32::try_from(rules) else { return false };
    if rules < 0 {
        return false;
    }
    let fixed = READ.iter().map(PathBuf::from);
    for path in fixed.chain(named_by_environment()).chain(folder.map(Path::to_owned)) {
        allow(rules, path.as_os_str(), path.is_dir());
    }
    // SAFETY: numbers alone are handed over.
    unsafe {
        let done = libc::syscall(libc::SYS_landlock_restrict_self, rules, 0u32);
        libc::close(rules);
        done == 0
    }
}

/// Lets what is at `path` be read; what is not there needs no rule.
fn allow(rules: i32, path: &OsStr, is_folder: bool) {
    let Ok(path) = CString::new(path.as_bytes()) else { return };
    // SAFETY: the name ends with a zero byte.
    let parent = unsafe { libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC) };
    if parent < 0 {
        return;
    }
    let allowed = EXECUTE | READ_FILE | if is_folder { READ_DIR } else { 0 };
    let beneath = Beneath { allowed, parent };
    // SAFETY: the structure lives as long as the call; the descriptor was opened above.
    unsafe {
        libc::syscall(libc::SYS_landlock_add_rule, rules, 1u32, &raw const beneath, 0u32);
        libc::close(parent);
    }
}

#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xc000_00b7;

/// Calls that a reader has no use for, and that lead out of it: other programs, networks, other processes, other ways to the kernel.
const SHUT: [i64; 19] = [
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_open,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_io_uring_setup,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_unshare,
    libc::SYS_setns,
];
/// Calls whose first argument is a process, and whether 0 means the caller there, too: they are left for this one. For signals 0 is the whole
/// group, which the service is in.
const OWN: [(i64, bool); 3] =
    [(libc::SYS_kill, false), (libc::SYS_tgkill, false), (libc::SYS_prlimit64, true)];

/// Refuses the calls in [`SHUT`] to all threads from now on, with the error that they are not permitted (seccomp(2)). Whether the system has
/// done so.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) fn shut_calls() -> bool {
    // Classic BPF over `struct seccomp_data`: number at 0, architecture at 4, first argument at 16 (its low half, little-endian).
    let load = |at: u32| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at);
    let refuse = statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
    let allow = statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW);
    let jump = |what: u32, value: u32, yes: u8, no: u8| libc::sock_filter {
        code: (libc::BPF_JMP | what | libc::BPF_K) as u16,
        jt: yes,
        jf: no,
        k: value,
    };
    let mut program = vec![load(4), jump(libc::BPF_JEQ, ARCH, 1, 0), refuse, load(0)];
    // The numbers of x86-64's other interface, which would get past the list.
    program.extend([jump(libc::BPF_JGE, 0x4000_0000, 0, 1), refuse]);
    for number in SHUT {
        program.extend([jump(libc::BPF_JEQ, number as u32, 0, 1), refuse]);
    }
    let own = std::process::id();
    for (number, zero) in OWN {
        program.extend([
            jump(libc::BPF_JEQ, number as u32, 0, 5),
            load(16),
            jump(libc::BPF_JEQ, own, 2, 0),
            jump(libc::BPF_JEQ, 0, u8::from(zero), 0),
            refuse,
            allow,
        ]);
    }
    program.push(allow);
    let Ok(length) = u16::try_from(program.len()) else { return false };
    let program = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    // SAFETY: the program lives as long as the call, which copies it.
    let done = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_TSYNC,
            &raw const program,
        )
    };
    done == 0
}

/// Elsewhere the numbers of calls are others.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn shut_calls() -> bool {
    false
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::process::Command;
    use std::thread;

    /// Run by the test below in a process of its own, as there is no way back.
    #[test]
    #[ignore = "confines the process that runs it"]
    fn confined() {
        let folder = PathBuf::from(env::var_os("VIGNETTE_TEST_FOLDER").unwrap());
        let port: u16 = env::var("VIGNETTE_TEST_PORT").unwrap().parse().unwrap();
        // The harness has begun threads of its own; those that begin from here on are what counts.
        let outcome = thread::spawn(move || {
            let files = shut_files(Some(&folder.join("package")));
            assert!(shut_calls());
            let inner = thread::spawn(move || {
                assert_eq!(fs::read(folder.join("package/template.yaml")).unwrap(), b"x");
                assert!(fs::read("/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf").is_ok());
                if files {
                    assert!(
                        fs::read(folder.join("secrets.json")).is_err(),
                        "what is elsewhere cannot be read"
                    );
                    assert!(fs::read("/etc/passwd").is_err());
                    assert!(File::create(folder.join("package/new")).is_err(), "nothing can be written");
                    assert!(fs::remove_file(folder.join("package/template.yaml")).is_err());
                }
                assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "there is no network");
                assert!(UdpSocket::bind("127.0.0.1:0").is_err());
                assert!(Command::new("/usr/bin/true").status().is_err(), "no other program runs");
                // SAFETY: numbers alone are handed over; signal 0 is none.
                unsafe {
                    assert_eq!(libc::kill(libc::getppid(), 0), -1, "other processes are out of reach");
                    assert_eq!(libc::kill(0, 0), -1, "nor is the group");
                    assert_eq!(libc::kill(libc::getpid(), 0), 0);
                    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
                    assert_eq!(libc::prlimit(libc::getppid(), libc::RLIMIT_CPU, ptr::null(), &mut limit), -1);
                    assert_eq!(libc::prlimit(0, libc::RLIMIT_CPU, ptr::null(), &mut limit), 0);
                }
                files
            });
            inner.join().unwrap()
        });
        println!("files shut: {}", outcome.join().unwrap());
    }

    #[test]
    fn nothing_else_is_within_reach() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("package")).unwrap();
        fs::write(folder.path().join("package/template.yaml"), b"x").unwrap();
        fs::write(folder.path().join("secrets.json"), b"secret").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut command = Command::new("/proc/self/exe");
        command.args(["--ignored", "--exact", "--nocapture", "cli::inspect::confine::tests::confined"]);
        command.env("VIGNETTE_TEST_FOLDER", folder.path());
        command.env("VIGNETTE_TEST_PORT", listener.local_addr().unwrap().port().to_string());
        // SAFETY: as where readers are started.
        unsafe {
            std::os::unix::process::CommandExt::pre_exec(&mut command, || {
                limit(Bounds { cpu_seconds: 20, addresses: 4 << 30 })
            });
        }
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && told.contains("1 passed"), "{told}");
        // SAFETY: as above: the call only tells the version.
        let version =
            unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<Denied>(), 0usize, 1u32) };
        assert_eq!(told.contains("files shut: true"), version > 0, "{told}");
    }
}
