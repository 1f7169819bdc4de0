//! Attempts to escape, one function each. An attempt answers whether it got what it must not get; how it was stopped
//! is printed for the log.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use crate::raw::{syscall, text};

/// The attempt was stopped.
pub(crate) const STOPPED: i32 = 42;
/// The attempt got through.
pub(crate) const ESCAPED: i32 = 66;

type Attempt = fn(&str) -> Result<String, String>;

/// Every attempt: `Ok` is an escape with what was got, `Err` is how it was stopped.
const ATTEMPTS: &[(&str, Attempt)] = &[
    ("read-file", read_file),
    ("write-file", |path| done(fs::write(path, "owned"))),
    ("write-system", |_| done(fs::write("/usr/owned", "x"))),
    ("write-root", |_| done(fs::write("/owned", "x"))),
    ("write-etc", |_| done(fs::write("/etc/passwd", "root::0:0::/:/bin/sh"))),
    ("read-shadow", |_| read_file("/etc/shadow")),
    ("link-out", link_out),
    ("hard-link-out", |path| done(fs::hard_link(path, "/tmp/hard"))),
    ("dot-dot", |path| read_file(&format!("/tmp/../../../../..{path}"))),
    ("proc-root", |path| read_file(&format!("/proc/1/root{path}"))),
    ("proc-fd", proc_fd),
    ("proc-mem", |_| {
        done(fs::OpenOptions::new().write(true).open("/proc/1/mem").map(drop))
    }),
    ("proc-environ", |_| read_file("/proc/1/environ")),
    ("sysctl", |_| {
        done(fs::write("/proc/sys/kernel/core_pattern", "|/tmp/x"))
    }),
    ("sysrq", |_| done(fs::write("/proc/sysrq-trigger", "h"))),
    ("kernel-memory", |_| {
        done(fs::File::open("/proc/kcore").and_then(|mut f| f.read_exact(&mut [0; 4])))
    }),
    ("foreign-process", foreign_process),
    ("signal-everyone", signal_everyone),
    ("mount", |_| {
        call(libc::SYS_mount, [text(c"none"), text(c"/tmp"), text(c"tmpfs"), 0, 0, 0])
    }),
    ("remount-root", |_| {
        call(libc::SYS_mount, [0, text(c"/"), 0, libc::MS_REMOUNT, 0, 0])
    }),
    ("unmount", |_| {
        call(libc::SYS_umount2, [text(c"/proc/sys"), 2, 0, 0, 0, 0])
    }),
    ("new-mount-api", |_| {
        call(libc::SYS_fsopen, [text(c"tmpfs"), 0, 0, 0, 0, 0])
    }),
    ("pivot-root", |_| {
        call(libc::SYS_pivot_root, [text(c"/tmp"), text(c"/tmp"), 0, 0, 0, 0])
    }),
    ("chroot", |_| call(libc::SYS_chroot, [text(c"/tmp"), 0, 0, 0, 0, 0])),
    ("unshare-user", |_| {
        call(libc::SYS_unshare, [libc::CLONE_NEWUSER as u64, 0, 0, 0, 0, 0])
    }),
    ("clone-user", clone_user),
    ("clone3-user", clone3_user),
    ("setns", setns),
    ("ptrace", ptrace),
    ("vm-read", vm_read),
    ("keyctl", |_| call(libc::SYS_keyctl, [0, (-4_i64) as u64, 1, 0, 0, 0])),
    ("add-key", |_| {
        call(
            libc::SYS_add_key,
            [text(c"user"), text(c"a"), text(c"b"), 1, (-4_i64) as u64, 0],
        )
    }),
    ("bpf", |_| call(libc::SYS_bpf, [0, 0, 0, 0, 0, 0])),
    ("perf", |_| {
        call(libc::SYS_perf_event_open, [0, 0, u64::MAX, u64::MAX, 0, 0])
    }),
    ("userfaultfd", |_| call(libc::SYS_userfaultfd, [1, 0, 0, 0, 0, 0])),
    ("io-uring", io_uring),
    ("open-by-handle", |_| {
        call(libc::SYS_open_by_handle_at, [0, 0, 0, 0, 0, 0])
    }),
    ("module", |_| call(libc::SYS_init_module, [0, 0, 0, 0, 0, 0])),
    ("kexec", |_| call(libc::SYS_kexec_load, [0, 0, 0, 0, 0, 0])),
    ("reboot", |_| {
        call(libc::SYS_reboot, [0xfee1_dead, 672_274_793, 0, 0, 0, 0])
    }),
    ("set-clock", |_| call(libc::SYS_clock_settime, [0, 0, 0, 0, 0, 0])),
    ("host-name", |_| {
        call(libc::SYS_sethostname, [text(c"owned"), 5, 0, 0, 0, 0])
    }),
    ("become-root", |_| {
        done(syscall(libc::SYS_setresuid, [0, 0, 0, 0, 0, 0]))
    }),
    ("set-user-id", set_user_id),
    ("make-device", |_| make_device()),
    ("host-device", host_device),
    ("type-into-terminal", |_| {
        call(libc::SYS_ioctl, [0, 0x5412, text(c"x"), 0, 0, 0])
    }),
    ("tcp", |address| done(connect(address))),
    ("udp", udp),
    ("host-abstract-socket", abstract_socket),
    ("docker-socket", |_| {
        done(any_socket(&[
            "/var/run/docker.sock",
            "/run/docker.sock",
            "/run/systemd/private",
        ]))
    }),
    ("raw-socket", |_| {
        call(
            libc::SYS_socket,
            [libc::AF_INET as u64, libc::SOCK_RAW as u64, 1, 0, 0, 0],
        )
    }),
    ("packet-socket", |_| {
        call(
            libc::SYS_socket,
            [libc::AF_PACKET as u64, libc::SOCK_RAW as u64, 0, 0, 0, 0],
        )
    }),
    ("vsock", |_| {
        call(
            libc::SYS_socket,
            [libc::AF_VSOCK as u64, libc::SOCK_STREAM as u64, 0, 0, 0, 0],
        )
    }),
    ("inherited-descriptors", inherited),
    ("environment", environment),
    ("raise-limits", raise_limits),
    ("git-hook", git_hook),
    ("leave-cgroup", leave_cgroup),
    ("x32", |_| call(0x4000_0000 + libc::SYS_getpid, [0; 6])),
];

/// Makes the attempt and ends the process with its verdict.
pub(crate) fn attempt(name: &str, argument: &str) -> ! {
    let Some((_, attack)) = ATTEMPTS.iter().find(|(known, _)| *known == name) else {
        eprintln!("no attack is named {name}");
        std::process::exit(2);
    };
    let code = match attack(argument) {
        Ok(got) => {
            println!("{name} got {got}");
            ESCAPED
        }
        Err(why) => {
            println!("{name} stopped: {why}");
            STOPPED
        }
    };
    std::process::exit(code)
}

fn done<T>(result: io::Result<T>) -> Result<String, String> {
    result.map(|_| "through".to_owned()).map_err(|error| error.to_string())
}

/// A system call that only checks its rights: `EPERM`, `ENOSYS` and the like stop it; an error about the (nonsense)
/// arguments means that it would have gone on.
fn call(number: libc::c_long, arguments: [u64; 6]) -> Result<String, String> {
    match syscall(number, arguments) {
        Ok(value) => Ok(format!("result {value}")),
        Err(error) => match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES | libc::ENOSYS | libc::EAFNOSUPPORT | libc::ENOKEY) => {
                Err(error.to_string())
            }
            _ => Ok(format!("past the check of rights: {error}")),
        },
    }
}

fn read_file(path: &str) -> Result<String, String> {
    match fs::read(path) {
        Ok(bytes) if bytes.is_empty() => Err("it is empty".to_owned()),
        Ok(bytes) => Ok(format!("{} bytes", bytes.len())),
        Err(error) => Err(error.to_string()),
    }
}

fn link_out(path: &str) -> Result<String, String> {
    symlink(path, "link").map_err(|error| error.to_string())?;
    read_file("link")
}

fn proc_fd(_: &str) -> Result<String, String> {
    done(fs::read_dir("/proc/1/fd").map(Iterator::count))
}

/// Any process but this one and the jail's first.
fn foreign_process(_: &str) -> Result<String, String> {
    let own = std::process::id().to_string();
    let names = fs::read_dir("/proc").map_err(|e| e.to_string())?;
    let names = names.filter_map(|e| e.ok()?.file_name().into_string().ok());
    let foreign: Vec<String> = names
        .filter(|n| n.parse::<u32>().is_ok() && *n != own && n != "1")
        .collect();
    if foreign.is_empty() {
        Err("none is in sight".into())
    } else {
        Ok(format!("{foreign:?}"))
    }
}

/// `kill -KILL -1` and process 1; the test looks whether its marked process outside lives.
fn signal_everyone(outside: &str) -> Result<String, String> {
    let pid: i64 = outside.parse().map_err(|_| "no process is named".to_owned())?;
    for target in [1, pid] {
        let _ = syscall(libc::SYS_kill, [target as u64, libc::SIGKILL as u64, 0, 0, 0, 0]);
    }
    Err("the test looks whether it lives".into())
}

fn clone_user(_: &str) -> Result<String, String> {
    match syscall(
        libc::SYS_clone,
        [(libc::CLONE_NEWUSER | libc::SIGCHLD) as u64, 0, 0, 0, 0, 0],
    ) {
        Ok(0) => std::process::exit(0),
        Ok(pid) => Ok(format!("process {pid}")),
        Err(error) => Err(error.to_string()),
    }
}

fn clone3_user(_: &str) -> Result<String, String> {
    let arguments: [u64; 8] = [libc::CLONE_NEWUSER as u64, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0];
    match syscall(libc::SYS_clone3, [arguments.as_ptr() as u64, 64, 0, 0, 0, 0]) {
        Ok(0) => std::process::exit(0),
        Ok(pid) => Ok(format!("process {pid}")),
        Err(error) => Err(error.to_string()),
    }
}

fn setns(_: &str) -> Result<String, String> {
    let own = fs::File::open("/proc/self/ns/net").map_err(|error| error.to_string())?;
    call(libc::SYS_setns, [own.as_raw_fd() as u64, 0, 0, 0, 0, 0])
}

fn ptrace(_: &str) -> Result<String, String> {
    call(
        libc::SYS_ptrace,
        [
            libc::PTRACE_ATTACH as u64,
            u64::from(std::os::unix::process::parent_id()),
            0,
            0,
            0,
            0,
        ],
    )
}

fn vm_read(_: &str) -> Result<String, String> {
    call(libc::SYS_process_vm_readv, [1, 0, 0, 0, 0, 0])
}

fn io_uring(_: &str) -> Result<String, String> {
    let parameters = [0_u8; 120];
    call(libc::SYS_io_uring_setup, [4, parameters.as_ptr() as u64, 0, 0, 0, 0])
}

/// A set-user-id copy of a program must not raise anything; `NoNewPrivs` says so.
fn set_user_id(_: &str) -> Result<String, String> {
    let status = fs::read_to_string("/proc/self/status").map_err(|e| e.to_string())?;
    let field = |name: &str| {
        status
            .lines()
            .find_map(|l| l.strip_prefix(name))
            .map(|v| v.trim().to_owned())
            .unwrap_or_default()
    };
    let (new, permitted, bounding) = (field("NoNewPrivs:"), field("CapPrm:"), field("CapEff:"));
    if new == "1" && permitted.trim_matches('0').is_empty() && bounding.trim_matches('0').is_empty() {
        Err("no new privileges, no capabilities".into())
    } else {
        Ok(format!("NoNewPrivs {new}, permitted {permitted}, effective {bounding}"))
    }
}

fn make_device() -> Result<String, String> {
    let device = libc::makedev(1, 1);
    call(
        // Arm has no `mknod`.
        libc::SYS_mknodat,
        [
            i64::from(libc::AT_FDCWD).cast_unsigned(),
            text(c"/tmp/mem"),
            u64::from(libc::S_IFCHR | 0o666),
            device,
            0,
            0,
        ],
    )
}

fn host_device(_: &str) -> Result<String, String> {
    let seen = [
        "/dev/mem",
        "/dev/kmsg",
        "/dev/sda",
        "/dev/vda",
        "/dev/kvm",
        "/dev/fuse",
        "/dev/net/tun",
    ];
    let open = |p: &&&str| {
        fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(p)
            .is_ok()
    };
    seen.iter()
        .find(open)
        .map_or(Err("none opens".into()), |found| Ok((*found).to_string()))
}

fn connect(address: &str) -> io::Result<()> {
    let address = address.parse().map_err(io::Error::other)?;
    TcpStream::connect_timeout(&address, Duration::from_secs(2)).map(drop)
}

/// Sends to a listener outside, which the test asks; and to a public address, for which there is no route.
fn udp(address: &str) -> Result<String, String> {
    let socket = UdpSocket::bind("0.0.0.0:0").map_err(|error| error.to_string())?;
    let _ = socket.send_to(b"owned", address);
    done(socket.send_to(b"owned", "192.0.2.1:53"))
}

fn abstract_socket(name: &str) -> Result<String, String> {
    use std::os::linux::net::SocketAddrExt;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name).map_err(|error| error.to_string())?;
    done(UnixStream::connect_addr(&address))
}

fn any_socket(paths: &[&str]) -> io::Result<UnixStream> {
    let mut last = io::ErrorKind::NotFound.into();
    for path in paths {
        match UnixStream::connect(path) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Anything open beside the standard three and the directory handle that lists them.
fn inherited(_: &str) -> Result<String, String> {
    let open: Vec<i32> = (3..4096)
        .filter(|fd| syscall(libc::SYS_fcntl, [*fd as u64, libc::F_GETFD as u64, 0, 0, 0, 0]).is_ok())
        .collect();
    if open.is_empty() {
        Err("none is open".into())
    } else {
        Ok(format!("{open:?}"))
    }
}

fn environment(expected: &str) -> Result<String, String> {
    let mut names: Vec<String> = std::env::vars_os()
        .map(|(k, _)| k.to_string_lossy().into_owned())
        .collect();
    names.sort();
    let names = names.join(",");
    if names == expected {
        Err("it is the one given".into())
    } else {
        Ok(names)
    }
}

fn raise_limits(_: &str) -> Result<String, String> {
    let unlimited = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    let resources = [
        libc::RLIMIT_NPROC,
        libc::RLIMIT_FSIZE,
        libc::RLIMIT_NOFILE,
        libc::RLIMIT_DATA,
        libc::RLIMIT_CPU,
    ];
    for resource in resources {
        // SAFETY: the limit lives across the call.
        if unsafe { libc::setrlimit(resource, &raw const unlimited) } == 0 {
            return Ok(format!("limit {resource:?}"));
        }
    }
    Err("each is refused".into())
}

/// Plants a hook and a configuration in the work tree; the test looks whether the host's tree has them.
fn git_hook(_: &str) -> Result<String, String> {
    fs::create_dir_all(".git/hooks").map_err(|error| error.to_string())?;
    let hook = Path::new(".git/hooks/post-checkout");
    fs::write(hook, "#!/bin/sh\ntouch /tmp/owned\n").map_err(|error| error.to_string())?;
    fs::set_permissions(hook, fs::Permissions::from_mode(0o755)).map_err(|error| error.to_string())?;
    let mut config = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(".git/config")
        .map_err(|e| e.to_string())?;
    config
        .write_all(b"[core]\n\tfsmonitor = touch /tmp/owned\n")
        .map_err(|error| error.to_string())?;
    Err("the test looks at the host's tree".into())
}

fn leave_cgroup(_: &str) -> Result<String, String> {
    let roots = [
        "/sys/fs/cgroup/cgroup.procs",
        "/sys/fs/cgroup/memory/cgroup.procs",
        "/sys/fs/cgroup/pids/cgroup.procs",
    ];
    roots
        .iter()
        .find(|p| fs::write(p, "0").is_ok())
        .map_or(Err("none is in sight".into()), |p| Ok((*p).to_string()))
}

/// Listens and connects within the jail: what must work.
pub(crate) fn own_loopback() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    client.write_all(b"ping")?;
    let mut got = [0; 4];
    server.read_exact(&mut got)?;
    let path = "/tmp/own.sock";
    let local = UnixListener::bind(path)?;
    UnixStream::connect(path)?;
    drop(local);
    if &got == b"ping" {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

/// Takes over a descriptor by number, as the command that it was passed to does.
pub(crate) fn say_on(fd: i32) -> io::Result<()> {
    // SAFETY: the test passes this descriptor, and nothing else in this process owns it.
    unsafe { fs::File::from_raw_fd(fd) }.write_all(b"passed")
}
